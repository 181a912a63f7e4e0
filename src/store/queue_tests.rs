//! What the queue is made of.

use std::sync::Arc;

use super::*;

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
    assert_eq!(some, [None, Some("enough")], "those that there are");
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
