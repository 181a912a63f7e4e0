//! What the queue is made of.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::model::ChangeId;

async fn add(store: &StoreHandle, wanted: NewBuildset) -> (BuildsetId, Vec<RequestId>) {
    write(store, move |verbs| verbs.add_buildset(&wanted, NOW)).await
}

async fn read<T: Send + 'static>(
    store: &StoreHandle,
    verbs: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
) -> T {
    store.read(verbs).await.expect("readable")
}

#[tokio::test]
async fn what_waits_is_told_by_number_by_builder_and_counted() {
    let (_dir, store) = open();
    let (set, first) = add(&store, wanted(&["a", "b"])).await;
    let (_, second) = add(&store, wanted(&["a"])).await;
    let (a, b, again) = (first[0], first[1], second[0]);
    write(&store, move |verbs| {
        verbs.start_build(&start("a", &[a]), NOW)
    })
    .await;
    write(&store, move |verbs| verbs.cancel_request(b, "enough", NOW)).await;

    assert_eq!(read(&store, |verbs| verbs.pending_ids()).await, [again]);
    let open = read(&store, |verbs| verbs.open_requests(&"a".into())).await;
    let open: Vec<_> = open.iter().map(|it| (it.id, it.claimed)).collect();
    assert_eq!(open, [(a, true), (again, false)]);
    assert_eq!(
        read(&store, |verbs| verbs.open_requests(&"b".into())).await,
        []
    );
    assert_eq!(
        read(&store, |verbs| verbs.count_pending()).await,
        [("a".into(), 1)]
    );
    let of_set = read(&store, move |verbs| verbs.requests_of(set)).await;
    let of_set: Vec<_> = of_set.iter().map(|it| it.builder.as_str()).collect();
    assert_eq!(of_set, ["a", "b"]);
    let ids = [again, RequestId(99), b];
    let some = read(&store, move |verbs| verbs.requests(&ids)).await;
    let some: Vec<_> = some.iter().map(|it| it.cancelled.as_deref()).collect();
    assert_eq!(some, [Some("enough"), None], "those that there are");
}

#[tokio::test]
async fn a_look_at_what_waits_is_bounded_and_says_how_many_there_are() {
    let (_dir, store) = open();
    let mut all = Vec::new();
    for _ in 0..5 {
        all.extend(add(&store, wanted(&["a", "b"])).await.1);
    }
    let first = all[0];
    write(&store, move |verbs| verbs.cancel_request(first, "no", NOW)).await;
    let (oldest, count) = read(&store, |verbs| verbs.waiting_of(&"a".into(), 2)).await;
    let oldest: Vec<_> = oldest.iter().map(|it| it.id).collect();
    assert_eq!((oldest, count), (vec![all[2], all[4]], 4));
}

#[tokio::test]
async fn older_requests_of_a_source_are_found_and_no_others() {
    let (_dir, store) = open();
    let change = NewChange::by("ann");
    write(&store, move |verbs| verbs.add_change(&change, NOW)).await;
    let of = |branch: &str, builders: &[&str]| NewBuildset {
        stamp: SourceStamp {
            branch: Some(branch.into()),
            changes: vec![ChangeId(1)],
            ..SourceStamp::default()
        },
        ..wanted(builders)
    };
    let (_, main) = add(&store, of("main", &["a", "b"])).await;
    add(&store, of("side", &["a"])).await;
    add(&store, wanted(&["a"])).await;
    let (_, running) = add(&store, of("main", &["a"])).await;
    let (_, done) = add(&store, of("main", &["a"])).await;
    let (_, new) = add(&store, of("main", &["a"])).await;
    add(&store, of("main", &["a"])).await;
    let (claimed, ended) = (running[0], done[0]);
    write(&store, move |verbs| {
        verbs.cancel_request(ended, "no", NOW)?;
        verbs.start_build(&start("a", &[claimed]), NOW)
    })
    .await;
    let found = read(&store, move |verbs| {
        let new = verbs.request(new[0])?.expect("it waits");
        verbs.older_of_source(&new)
    });
    let found: Vec<_> = found.await.iter().map(|it| it.id).collect();
    assert_eq!(found, [main[0], claimed]);
}

#[tokio::test]
async fn of_those_who_wait_the_least_urgent_are_found_first_and_of_these_the_oldest() {
    let (_dir, store) = open();
    let mut ids = Vec::new();
    for priority in [Some(5), None, Some(-3), Some(2), None, Some(7), Some(-3)] {
        let wanted = NewBuildset {
            priority,
            ..wanted(&["a"])
        };
        ids.extend(add(&store, wanted).await.1);
    }
    add(&store, wanted(&["b"])).await;
    let urgent = |usual, count| {
        read(&store, move |verbs| {
            verbs.least_urgent(&"a".into(), usual, count)
        })
    };
    let order = |places: &[usize]| -> Vec<RequestId> { places.iter().map(|it| ids[*it]).collect() };
    assert_eq!(urgent(2, 9).await, order(&[2, 6, 1, 3, 4, 0, 5]));
    assert_eq!(urgent(-4, 3).await, order(&[1, 4, 2]));
    assert_eq!(urgent(9, 0).await, []);
    let count = |most| read(&store, move |verbs| verbs.waits_up_to(&"a".into(), most));
    assert_eq!((count(3).await, count(100).await), (3, 7));
}

#[tokio::test]
async fn requests_that_are_read_in_pieces_are_whole() {
    let (_dir, store) = open();
    let many: Vec<String> = (0..2500).map(|it| format!("b{it}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_, mut ids) = add(&store, wanted(&many)).await;
    let (_, one) = add(&store, wanted(&["x"])).await;
    write(&store, {
        let one = one.clone();
        move |verbs| verbs.start_build(&start("x", &one), NOW)
    })
    .await;
    ids.extend(one);
    let asked = ids.clone();
    let all = read(&store, move |verbs| verbs.requests(&asked)).await;
    let read: Vec<_> = all.iter().map(|it| it.id).collect();
    assert_eq!(read, ids);
    assert!(Arc::ptr_eq(&all[0].stamp, &all[2499].stamp));
    let last = &all[2500];
    assert_eq!((last.claimed, last.builds.len()), (true, 1));
}

#[tokio::test]
async fn a_request_has_the_priority_that_it_was_asked_for_with() {
    let (_dir, store) = open();
    let urgent = NewBuildset {
        priority: Some(-7),
        ..wanted(&["a"])
    };
    add(&store, urgent).await;
    add(&store, wanted(&["a"])).await;
    let all = read(&store, |verbs| verbs.pending_requests()).await;
    let all: Vec<_> = all.iter().map(|it| it.priority).collect();
    assert_eq!(all, [Some(-7), None]);
}

#[tokio::test]
async fn requests_of_a_buildset_share_what_they_have_of_it() {
    let (_dir, store) = open();
    let (set, _) = add(&store, wanted(&["a", "b"])).await;
    for all in [
        read(&store, move |verbs| verbs.requests_of(set)).await,
        read(&store, |verbs| verbs.pending_requests()).await,
        read(&store, |verbs| {
            verbs.requests(&[RequestId(1), RequestId(2)])
        })
        .await,
    ] {
        assert!(Arc::ptr_eq(&all[0].stamp, &all[1].stamp));
        assert!(Arc::ptr_eq(&all[0].properties, &all[1].properties));
    }
}

#[tokio::test]
async fn who_makes_a_buildset_knows_its_requests_as_they_are_read_later() {
    let (_dir, store) = open();
    for author in ["one", "another"] {
        write(&store, move |verbs| {
            verbs.add_change(&NewChange::by(author), NOW)
        })
        .await;
    }
    let mut properties = Properties::new();
    properties.set("n", json!(1.0), "Force Build Form");
    properties.set_runtime("list", json!(["é", null, {"b": 1, "a": -2}]), "x");
    let asked = NewBuildset {
        reason: "because".into(),
        stamp: SourceStamp {
            branch: Some("b".into()),
            revision: Some(String::new()),
            repository: "r".into(),
            project: "p".into(),
            patch: Some(Patch {
                level: 1,
                diff: vec![0, 255, 10],
                subdir: None,
                author: Some("me".into()),
                comment: Some("\u{0}".into()),
            }),
            changes: vec![ChangeId(2), ChangeId(1)],
        },
        properties,
        priority: Some(3),
        builders: vec!["b".into(), "a".into()],
    };
    let (set, numbers) = add(&store, asked.clone()).await;
    let later = read(&store, move |verbs| verbs.requests_of(set)).await;
    assert_eq!(asked.requests(set, &numbers, NOW), later);
}

#[tokio::test]
async fn where_a_builders_last_good_build_ran_is_known_if_it_is_not_too_long_ago() {
    let (_dir, store) = open();
    let built = async |slave: &str, outcome: Outcome| {
        let (_, requests) = add(&store, wanted(&["a"])).await;
        let new = NewBuild {
            slave: slave.into(),
            ..start("a", &requests)
        };
        write(&store, move |verbs| {
            let build = verbs.start_build(&new, NOW)?.expect("free").id;
            verbs.finish_build(build, &end(outcome), NOW)
        })
        .await;
    };
    let last = async || {
        let found = read(&store, |verbs| verbs.last_good_slave(&"a".into())).await;
        found.map(|it| it.to_string())
    };
    assert_eq!(last().await, None);
    built("one", Outcome::Failure).await;
    assert_eq!(last().await, None);
    built("two", Outcome::Warnings).await;
    built("three", Outcome::Exception).await;
    assert_eq!(last().await.as_deref(), Some("two"));
    for _ in 0..49 {
        built("three", Outcome::Failure).await;
    }
    assert_eq!(last().await, None, "its tree is old");
}
