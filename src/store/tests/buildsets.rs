//! What is asked for: buildsets and their requests, and how they end.

use super::*;
use crate::model::SchedulerName;

#[tokio::test]
async fn a_request_is_claimed_by_one_build_only() {
    let (_dir, store) = open();
    let (_, requests) = write(&store, |verbs| {
        verbs.add_buildset(&wanted(&["a", "b"]), NOW)
    })
    .await;
    let first = requests[0];

    let one = write(&store, move |verbs| {
        verbs.start_build(&start("a", &[first]), NOW)
    })
    .await;
    let two = write(&store, move |verbs| {
        verbs.start_build(&start("a", &[first]), NOW)
    })
    .await;

    assert_eq!(one.map(|it| it.number), Some(0), "numbers begin at 0");
    assert_eq!(two, None);
    let pending = store
        .read(|verbs| verbs.pending_requests())
        .await
        .expect("readable");
    assert_eq!(
        pending.iter().map(|it| it.id).collect::<Vec<_>>(),
        [requests[1]]
    );
    let numbers = store
        .read(|verbs| verbs.build_numbers(&"a".into()))
        .await
        .expect("readable");
    assert_eq!(numbers, [0], "the lost claim used no number");
}

#[tokio::test]
async fn a_buildset_ends_with_its_last_request() {
    let (_dir, store) = open();
    let (set, requests) = write(&store, |verbs| {
        verbs.add_buildset(&wanted(&["a", "b"]), NOW)
    })
    .await;
    let [a, b] = requests[..] else {
        panic!("two requests")
    };

    let finished = write(&store, move |verbs| {
        let build = verbs.start_build(&start("a", &[a]), NOW)?.expect("free").id;
        verbs.finish_build(build, &end(Outcome::Warnings), NOW)
    })
    .await;
    assert_eq!(finished, []);
    let finished = write(&store, move |verbs| {
        let build = verbs.start_build(&start("b", &[b]), NOW)?.expect("free").id;
        verbs.finish_build(build, &end(Outcome::Success), NOW)
    })
    .await;

    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].id, set);
    assert_eq!(
        finished[0].outcome,
        Outcome::Success,
        "warnings count as success"
    );
}

#[tokio::test]
async fn a_cancelled_request_completes_as_a_failure() {
    let (_dir, store) = open();
    let (_, requests) = write(&store, |verbs| verbs.add_buildset(&wanted(&["a"]), NOW)).await;
    let request = requests[0];
    assert!(
        write(&store, move |verbs| verbs.cancel_request(
            request,
            "cancelled",
            NOW
        ))
        .await
    );
    assert!(
        !write(&store, move |verbs| verbs.cancel_request(
            request,
            "cancelled",
            NOW
        ))
        .await,
        "only once"
    );
    let record = store
        .read(move |verbs| verbs.request(request))
        .await
        .expect("ok")
        .expect("there");
    assert_eq!(record.outcome, Some(Outcome::Failure));
}

#[tokio::test]
async fn buildsets_are_found_by_their_scheduler_and_tell_how_they_ended() {
    let (_dir, store) = open();
    let by = |scheduler: &str, revision: &str| {
        let mut wanted = wanted(&["a"]);
        wanted.properties.set("scheduler", scheduler, "Scheduler");
        wanted.stamp.revision = Some(revision.into());
        wanted
    };
    let (quick, other, later) = (
        by("quick", "1"),
        by("other's \"one\"", "2"),
        by("quick", "3"),
    );
    let (first, second) = write(&store, move |verbs| {
        assert_eq!(verbs.newest_buildset()?.0, 0);
        let first = verbs.add_buildset(&quick, NOW)?;
        verbs.add_buildset(&other, NOW)?;
        verbs.add_buildset(&wanted(&["a"]), NOW)?;
        Ok((first, verbs.add_buildset(&later, NOW)?))
    })
    .await;
    let cancelled = second.1[0];
    write(&store, move |verbs| {
        verbs.cancel_request(cancelled, "cancelled", NOW)
    })
    .await;

    let (all, newer, other, newest) = store
        .read(move |verbs| {
            let quick = SchedulerName::from("quick");
            let other = SchedulerName::from("other's \"one\"");
            Ok((
                verbs.buildsets_of(&quick, BuildsetId(0))?,
                verbs.buildsets_of(&quick, first.0)?,
                verbs.buildsets_of(&other, BuildsetId(0))?,
                verbs.newest_buildset()?,
            ))
        })
        .await
        .expect("readable");
    let shown: Vec<_> = all
        .iter()
        .map(|it| (it.id, it.stamp.revision.as_deref(), it.outcome))
        .collect();
    let ended = (second.0, Some("3"), Some(Outcome::Failure));
    assert_eq!(shown, [(first.0, Some("1"), None), ended]);
    assert_eq!(newer, all[1..]);
    assert_eq!((other.len(), newest), (1, second.0));
}

#[tokio::test]
async fn a_buildset_is_found_by_what_who_asked_for_it_calls_it() {
    let (_dir, store) = open();
    let (newest, found, none) = write(&store, |verbs| {
        let (first, _) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
        verbs.put_external_id(first, "job's \"1\"")?;
        let (second, requests) = verbs.add_buildset(&wanted(&["a", "b"]), NOW)?;
        verbs.put_external_id(second, "job's \"1\"")?;
        let (third, _) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
        assert_eq!(verbs.external_id(second)?.as_deref(), Some("job's \"1\""));
        assert_eq!(verbs.external_id(third)?, None);
        assert_eq!(verbs.external_id(BuildsetId(99))?, None);
        let found = verbs.requests_called("job's \"1\"")?;
        Ok(((second, requests), found, verbs.requests_called("job")?))
    })
    .await;
    let shown: Vec<_> = found.iter().map(|it| (it.buildset, it.id)).collect();
    let expected: Vec<_> = newest.1.iter().map(|it| (newest.0, *it)).collect();
    assert_eq!(shown, expected);
    assert_eq!(none, []);
}

#[tokio::test]
async fn a_patch_is_kept_as_it_came() {
    let (_dir, store) = open();
    for comment in [None, Some("try this")] {
        let mut it = wanted(&["a"]);
        it.stamp.patch = Some(Patch {
            level: 2,
            diff: b"-\xff\n+\0\n".to_vec(),
            subdir: Some("sub".into()),
            author: Some("ann".into()),
            comment: comment.map(str::to_owned),
        });
        let stamp = it.stamp.clone();
        let (_, requests) = write(&store, move |verbs| verbs.add_buildset(&it, NOW)).await;
        let id = requests[0];
        let kept = store
            .read(move |verbs| verbs.request(id))
            .await
            .expect("readable")
            .expect("kept");
        assert_eq!(*kept.stamp, stamp);
    }
}
