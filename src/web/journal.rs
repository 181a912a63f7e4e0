//! What happened lately, with numbers, so that who was away for a moment hears what was missed.
//!
//! All streams of a port read one journal, each at its own place: a slow reader costs a number
//! and no memory. It reads with [`Journal::after`] and sleeps on a [`Waker`]. What a journal no
//! longer has, nobody is told; the reader learns that there is a gap.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::error::TryRecvError;

use crate::clock;
use crate::model::BuildKey;
use crate::model::Status;

/// Events that are kept: minutes of a busy farm, a few hundred kilobytes.
const KEPT: usize = 4096;

/// Events that are handed out at once.
const AT_ONCE: usize = 64;

/// Tells the journals of one process apart that began in one millisecond.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What happened lately.
pub(super) struct Journal {
    /// Numbers of another journal mean nothing here.
    name: String,
    pages: Mutex<Pages>,
}

struct Pages {
    hear: broadcast::Receiver<Arc<Status>>,
    /// What the next event is called.
    next: u64,
    kept: BTreeMap<u64, Arc<Status>>,
    /// Where the newest growth of each log stands: what came before it says nothing more.
    growth: HashMap<(BuildKey, u32, String), u64>,
    /// Everything from here on was kept.
    whole_from: u64,
}

/// A place in a journal: before the event of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

/// What there is after a place.
#[derive(Debug)]
pub(super) struct Read {
    /// Something in between is not known any more.
    pub(super) gap: bool,
    /// Each with the place after it.
    pub(super) events: Vec<(Place, Arc<Status>)>,
    /// Where to read on.
    pub(super) next: Place,
}

/// Wakes a reader when something has happened.
pub(super) struct Waker(broadcast::Receiver<Arc<Status>>);

impl Waker {
    /// Waits for the next event; `false` if there will be none.
    pub(super) async fn wait(&mut self) -> bool {
        let heard = self.0.recv().await;
        // One awakening is enough for all that came; the journal has them.
        self.0 = self.0.resubscribe();
        !matches!(heard, Err(RecvError::Closed))
    }
}

impl Journal {
    pub(super) fn new(hear: broadcast::Receiver<Arc<Status>>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pages = Pages {
            hear,
            next: 0,
            kept: BTreeMap::new(),
            growth: HashMap::new(),
            whole_from: 0,
        };
        Self {
            name: format!("{:x}.{number:x}", clock::now().0),
            pages: Mutex::new(pages),
        }
    }

    /// The place after everything that has happened, and what wakes at the next event.
    pub(super) fn end(&self) -> (Place, Waker) {
        let pages = self.pages();
        // Subscribed first: nothing lies between the waker and the place.
        let waker = Waker(pages.hear.resubscribe());
        (Place(self.catch_up(pages).next), waker)
    }

    /// What a reader is told to come back with.
    pub(super) fn ticket(&self, place: Place) -> String {
        format!("{}-{}", self.name, place.0)
    }

    /// The place that a ticket names; `None` if it is of another journal, or of none.
    pub(super) fn place(&self, ticket: &str) -> Option<Place> {
        let (name, number) = ticket.rsplit_once('-')?;
        let place = Place(number.parse().ok()?);
        let known = name == self.name && place.0 <= self.catch_up(self.pages()).next;
        known.then_some(place)
    }

    /// Some of what there is after a place, the oldest first.
    pub(super) fn after(&self, place: Place) -> Read {
        let pages = self.catch_up(self.pages());
        let gap = place.0 < pages.whole_from;
        let from = place.0.max(pages.whole_from);
        let events = pages.kept.range(from..).take(AT_ONCE);
        let events: Vec<_> = events
            .map(|(number, status)| (Place(number + 1), Arc::clone(status)))
            .collect();
        let next = match events.last() {
            Some((place, _)) if events.len() == AT_ONCE => *place,
            _ => Place(pages.next),
        };
        Read { gap, events, next }
    }

    /// Takes in what was said since somebody looked.
    fn catch_up<'a>(&'a self, mut pages: MutexGuard<'a, Pages>) -> MutexGuard<'a, Pages> {
        loop {
            match pages.hear.try_recv() {
                Ok(status) => pages.add(status),
                Err(TryRecvError::Lagged(missed)) => pages.forget(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return pages,
            }
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn add(&mut self, status: Arc<Status>) {
        let number = self.next;
        self.next += 1;
        if let Some(log) = log_of(&status)
            && let Some(older) = self.growth.insert(log, number)
        {
            self.kept.remove(&older);
        }
        self.kept.insert(number, status);
        if self.kept.len() > KEPT
            && let Some((oldest, status)) = self.kept.pop_first()
        {
            self.whole_from = oldest + 1;
            if let Some(log) = log_of(&status) {
                self.growth.remove(&log);
            }
        }
    }

    /// So many were missed by the journal itself, as nobody was reading.
    fn forget(&mut self, missed: u64) {
        self.next += missed;
        self.whole_from = self.next;
        self.kept.clear();
        self.growth.clear();
    }
}

fn log_of(status: &Status) -> Option<(BuildKey, u32, String)> {
    match status {
        Status::LogGrew { build, step, log } => Some((build.clone(), *step, log.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChangeId;

    fn change(id: i64) -> Arc<Status> {
        Arc::new(Status::ChangeAdded {
            change: ChangeId(id),
        })
    }

    fn ids(read: &Read) -> Vec<i64> {
        let events = read.events.iter();
        events
            .filter_map(|(_, status)| match status.as_ref() {
                Status::ChangeAdded { change } => Some(change.0),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn who_comes_back_hears_what_was_missed() {
        let (tell, hear) = broadcast::channel(16);
        let journal = Journal::new(hear);
        let (start, _) = journal.end();
        for id in 1..=3 {
            tell.send(change(id)).expect("heard");
        }
        let read = journal.after(start);
        assert_eq!((read.gap, ids(&read)), (false, vec![1, 2, 3]));

        let ticket = journal.ticket(read.events[0].0);
        let place = journal.place(&ticket).expect("its own");
        assert_eq!(ids(&journal.after(place)), [2, 3]);
        let end = journal.end().0;
        assert!(journal.after(end).events.is_empty());
    }

    #[test]
    fn tickets_of_another_journal_mean_nothing() {
        let (_tell, hear) = broadcast::channel::<Arc<Status>>(16);
        let others = Journal::new(hear.resubscribe());
        let journal = Journal::new(hear);
        let name = &journal.name;
        for bad in [
            others.ticket(others.end().0),
            format!("{name}-1"),
            format!("{name}-x"),
            format!("{name}--1"),
            String::new(),
            "-".into(),
        ] {
            assert_eq!(journal.place(&bad), None, "{bad}");
        }
        assert_eq!(journal.place(&format!("{name}-0")), Some(Place(0)));
    }

    #[test]
    fn a_reader_who_is_too_slow_learns_of_the_gap_and_goes_on_behind_it() {
        let (tell, hear) = broadcast::channel(16);
        let journal = Journal::new(hear);
        let (start, _) = journal.end();
        let kept = i64::try_from(KEPT).expect("small");
        for id in 0..kept + 10 {
            tell.send(change(id)).expect("heard");
            journal.end();
        }
        let read = journal.after(start);
        assert!(read.gap);
        assert_eq!(ids(&read)[0], 10);
        assert_eq!(read.events.len(), AT_ONCE);
        assert!(!journal.after(read.events[0].0).gap);
        assert_eq!(journal.pages().kept.len(), KEPT);
    }

    #[test]
    fn what_came_while_nobody_read_is_a_gap() {
        let (tell, hear) = broadcast::channel(4);
        let journal = Journal::new(hear);
        let (start, _) = journal.end();
        for id in 0..9 {
            tell.send(change(id)).expect("heard");
        }
        let read = journal.after(start);
        assert_eq!((read.gap, ids(&read)), (true, vec![5, 6, 7, 8]));
        assert_eq!(read.next, Place(9));
    }

    #[test]
    fn of_a_log_that_grows_only_the_newest_word_is_kept() {
        let (tell, hear) = broadcast::channel(64);
        let journal = Journal::new(hear);
        let (start, _) = journal.end();
        let grew = |step| {
            Arc::new(Status::LogGrew {
                build: BuildKey {
                    builder: "a".into(),
                    number: 1,
                },
                step,
                log: "stdio".into(),
            })
        };
        for status in [grew(1), change(7), grew(1), grew(2), grew(1)] {
            tell.send(status).expect("heard");
        }
        let read = journal.after(start);
        assert!(!read.gap);
        assert_eq!(ids(&read), [7]);
        let places: Vec<_> = read.events.iter().map(|it| it.0.0).collect();
        assert_eq!(places, [2, 4, 5]);
        assert_eq!(journal.pages().growth.len(), 2);
    }

    #[tokio::test]
    async fn a_waker_wakes_at_the_next_event_and_at_the_end() {
        let (tell, hear) = broadcast::channel(4);
        let journal = Journal::new(hear);
        tell.send(change(1)).expect("heard");
        let (place, mut waker) = journal.end();
        for id in 2..20 {
            tell.send(change(id)).expect("heard");
        }
        assert!(waker.wait().await);
        assert!(journal.after(place).gap);
        drop(tell);
        while waker.wait().await {}
        assert!(!journal.after(journal.end().0).gap);
    }
}
