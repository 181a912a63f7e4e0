//! What nobody waits for, and what is answered before it is on disk.

use serde_json::json;

use super::{open, write};
use crate::store::{Promise, StoreError, StoreHandle};

async fn state(store: &StoreHandle, object: &'static str) -> serde_json::Value {
    let read = store.read(move |verbs| verbs.state(object)).await;
    read.expect("readable")
}

#[tokio::test]
async fn what_is_written_behind_goes_down_with_the_next() {
    let (_dir, store) = open();
    store.write_behind(|verbs| verbs.save_state("first", &json!(1)));
    store.write_behind(|verbs| {
        verbs.save_state("second", &json!(2))?;
        Err(StoreError::new("what fails takes nobody with it"))
    });

    let seen = write(&store, |verbs| verbs.state("first")).await;

    assert_eq!(seen, json!(1), "it went before");
    assert_eq!(state(&store, "second").await, json!(null));
}

#[tokio::test]
async fn what_is_written_behind_goes_down_soon_when_nothing_else_is_written() {
    let (_dir, store) = open();
    store.write_behind(|verbs| verbs.save_state("alone", &json!(1)));
    while state(&store, "alone").await != json!(1) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_written_behind_is_there_when_the_database_is_settled() {
    let (_dir, store) = open();
    store.write_behind(|verbs| verbs.save_state("last", &json!(1)));

    store.settle().await.expect("settled");

    assert_eq!(state(&store, "last").await, json!(1));
}

#[tokio::test]
async fn what_is_written_ahead_goes_down_with_the_next() {
    let (_dir, store) = open();
    let (number, promise) = ahead(&store).await;
    assert_eq!(number, 7, "answered at once");
    assert_eq!(state(&store, "ahead").await, json!(null), "not yet on disk");

    write(&store, |verbs| verbs.save_state("after", &json!(2))).await;

    assert_eq!(state(&store, "ahead").await, json!(1));
    assert!(!promise.is_broken());
    let broken = tokio::time::timeout(std::time::Duration::ZERO, promise.broken());
    assert!(broken.await.is_err(), "it stands");
}

#[tokio::test]
async fn what_is_written_ahead_goes_down_soon_when_nothing_follows() {
    let (_dir, store) = open();
    ahead(&store).await;
    while state(&store, "ahead").await != json!(1) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_fails_ahead_is_told_at_once_and_takes_nobody_with_it() {
    let (_dir, store) = open();
    let (_, promise) = ahead(&store).await;
    let failed = store.write_ahead(|verbs| {
        verbs.save_state("second", &json!(2))?;
        Err::<(), _>(StoreError::new("it cannot be"))
    });
    assert!(failed.await.is_err());

    write(&store, |_| Ok(())).await;

    assert_eq!(state(&store, "ahead").await, json!(1));
    assert_eq!(state(&store, "second").await, json!(null));
    assert!(!promise.is_broken());
}

#[tokio::test]
async fn what_fails_ahead_leaves_the_database_to_other_programs() {
    let (dir, store) = open();
    let failed = store.write_ahead(|_| Err::<(), _>(StoreError::new("it cannot be")));
    assert!(failed.await.is_err());

    let path = dir.path().join("state.sqlite");
    let other = rusqlite::Connection::open(path).expect("a database");
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody writes");
}

#[tokio::test]
async fn what_was_written_ahead_is_undone_with_its_transaction_and_who_follows_hears_it() {
    let (_dir, store) = open();
    let (_, promise) = ahead(&store).await;

    store.lose_transaction().await;

    promise.clone().broken().await;
    let asked = write(&store, move |_| Ok(promise.is_broken())).await;
    assert!(asked);
    assert_eq!(state(&store, "ahead").await, json!(null));
}

#[tokio::test]
async fn what_is_written_early_is_on_disk_without_more() {
    let (_dir, store) = open();
    let answered = store.write_early(|verbs| verbs.save_state("early", &json!(1)));
    let ((), promise) = answered.await.expect("answered");
    promise.committed().await.expect("on disk");
    assert_eq!(state(&store, "early").await, json!(1));
}

#[tokio::test]
async fn who_waits_for_the_commit_of_what_was_answered_before_hears_that_it_was_undone() {
    let (_dir, store) = open();
    let (_, promise) = ahead(&store).await;

    store.lose_transaction().await;

    assert!(promise.committed().await.is_err());
}

#[tokio::test]
async fn the_first_job_of_a_transaction_fails_alone_too() {
    let (_dir, store) = open();
    let failed = store.write_ahead(|verbs| {
        verbs.save_state("first", &json!(1))?;
        Err::<(), _>(StoreError::new("it cannot be"))
    });
    assert!(failed.await.is_err());
    let panicked = store.write_ahead(|verbs| {
        verbs.save_state("second", &json!(1))?;
        if verbs.state("second")? == json!(1) {
            panic!("a bug in a verb");
        }
        Ok(())
    });
    assert!(panicked.await.is_err());

    write(&store, |verbs| verbs.save_state("third", &json!(1))).await;

    assert_eq!(state(&store, "first").await, json!(null));
    assert_eq!(state(&store, "second").await, json!(null));
    assert_eq!(state(&store, "third").await, json!(1));
}

async fn ahead(store: &StoreHandle) -> (i32, Promise) {
    let answered = store.write_ahead(|verbs| {
        verbs.save_state("ahead", &json!(1))?;
        Ok(7)
    });
    answered.await.expect("answered")
}
