//! What nobody waits for.

use serde_json::json;

use super::{open, write};
use crate::store::{StoreError, StoreHandle};

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
