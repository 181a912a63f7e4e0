//! What every database must do with events.

use crate::model::EventKind;
use crate::model::EventRecord;
use crate::model::NewEvent;
use crate::model::Subject;
use crate::model::Timestamp;

use super::tests::{open, write};
use super::{EventsBefore, Kept, StoreHandle};

fn slave(name: &str) -> Subject {
    Subject::Slave(name.into())
}

fn builder(name: &str) -> Subject {
    Subject::Builder(name.into())
}

fn event(at: i64, subject: Subject, kind: EventKind) -> NewEvent {
    NewEvent::new(Timestamp(at), subject, kind)
}

async fn add(store: &StoreHandle, events: Vec<NewEvent>) {
    write(store, move |verbs| {
        events.iter().try_for_each(|it| verbs.add_event(it))
    })
    .await;
}

fn told(events: &[EventRecord]) -> Vec<(i64, String)> {
    let all = events.iter();
    all.map(|it| (it.event.at.0, it.text())).collect()
}

#[tokio::test]
async fn an_event_is_read_back_as_it_was_written_among_those_of_its_subject_only() {
    let (_dir, store) = open();
    let noted = NewEvent {
        note: "build 7: too slow".into(),
        ..event(2, builder("a"), EventKind::Interrupted)
    };
    let events = vec![
        event(1, slave("a"), EventKind::Connected),
        noted.clone(),
        event(3, Subject::Master, EventKind::MasterStopped),
    ];
    add(&store, events).await;
    let read = |of: Subject| {
        let store = store.clone();
        async move {
            let all = store.read(move |verbs| verbs.events(&of, EventsBefore::Now, 9));
            all.await.expect("readable")
        }
    };
    let of_builder = read(builder("a")).await;
    assert_eq!(of_builder.len(), 1);
    assert_eq!(of_builder[0].event, noted);
    assert_eq!(told(&read(slave("a")).await), [(1, "connect a".into())]);
    assert_eq!(
        told(&read(Subject::Master).await),
        [(3, "master shutdown".into())]
    );
    assert!(read(slave("b")).await.is_empty());
    let all = store.read(|verbs| verbs.all_events(EventsBefore::Now, 2));
    let all = told(&all.await.expect("readable"));
    assert_eq!(
        all,
        [(3, "master shutdown".into()), (2, "interrupt".into())]
    );
}

#[tokio::test]
async fn events_are_read_newest_first_in_pieces_that_neither_repeat_nor_leave_out() {
    let (_dir, store) = open();
    // Two at one moment, and a clock that was put back.
    let times = [10, 20, 20, 15, 30];
    let events = times.map(|at| event(at, slave("s"), EventKind::Connected));
    add(&store, events.to_vec()).await;
    let seen = store.read(|verbs| {
        let (of, mut from, mut seen) = (slave("s"), EventsBefore::Now, Vec::new());
        loop {
            let piece = verbs.events(&of, from, 2)?;
            let Some(last) = piece.last() else { break };
            from = EventsBefore::Event {
                at: last.event.at,
                id: last.id,
            };
            seen.extend(piece.iter().map(|it| (it.event.at.0, it.id)));
        }
        Ok(seen)
    });
    let seen = seen.await.expect("readable");
    assert_eq!(seen, [(30, 5), (20, 3), (20, 2), (15, 4), (10, 1)]);
    let up_to = store.read(|verbs| {
        let upto = EventsBefore::UpTo(Timestamp(20));
        Ok((
            verbs.events(&slave("s"), upto, 9)?,
            verbs.all_events(upto, 9)?,
        ))
    });
    let (mine, all) = up_to.await.expect("readable");
    assert_eq!((mine.len(), all.len()), (4, 4));
}

#[tokio::test]
async fn the_newest_events_of_each_subject_are_kept_and_none_with_nought() {
    let (_dir, store) = open();
    let mut events: Vec<_> = (0..10)
        .map(|at| event(at, slave("s"), EventKind::Connected))
        .collect();
    events.push(event(0, builder("b"), EventKind::BuilderCreated));
    add(&store, events).await;
    let kept = |newest, since: Option<i64>| Kept {
        newest,
        since: since.map(Timestamp),
    };
    let looked = write(&store, move |verbs| {
        let of = slave("s");
        Ok([
            verbs.old_events(&of, kept(None, None))?,
            verbs.old_events(&of, kept(Some(10), None))?,
            verbs.old_events(&of, kept(Some(4), None))?,
            verbs.old_events(&of, kept(None, Some(7)))?,
            verbs.old_events(&of, kept(Some(4), Some(9)))?,
            verbs.old_events(&of, kept(Some(0), None))?,
        ])
    })
    .await;
    assert_eq!(looked, [0, 0, 6, 7, 9, 10]);
    let gone = write(&store, move |verbs| {
        let (of, four) = (slave("s"), kept(Some(4), None));
        let pieces = [
            verbs.forget_events(&of, four, 5)?,
            verbs.forget_events(&of, four, 5)?,
            verbs.forget_events(&of, four, 5)?,
        ];
        let left = verbs.events(&of, EventsBefore::Now, 99)?;
        Ok((pieces, left, verbs.event_subjects()?))
    })
    .await;
    let (pieces, left, mut subjects) = gone;
    assert_eq!(pieces, [5, 1, 0]);
    let times: Vec<_> = left.iter().map(|it| it.event.at.0).collect();
    assert_eq!(times, [9, 8, 7, 6]);
    subjects.sort();
    assert_eq!(subjects, [slave("s"), builder("b")]);
    let none = write(&store, move |verbs| {
        verbs.forget_events(&slave("s"), kept(Some(0), None), 99)?;
        verbs.event_subjects()
    })
    .await;
    assert_eq!(none, [builder("b")]);
}
