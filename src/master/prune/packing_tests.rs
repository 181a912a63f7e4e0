//! Small logs that go together, and are read as before.

use std::fs;

use super::tests::{PAST, Past, crew, ini, make, prune_here};
use super::*;
use crate::logs::pack;
use crate::model::BuildKey;

/// The files of logs that there are.
fn files(crew: &Crew) -> usize {
    fs::read_dir(crew.dir.join("builds/a-s"))
        .expect("a directory")
        .count()
}

async fn packed(crew: &Crew, number: i64) -> Option<Vec<u8>> {
    let key = BuildKey {
        builder: "a-s".into(),
        number,
    };
    let pack = crew.store.read(move |verbs| verbs.pack_of(&key));
    let pack = pack.await.expect("readable")?;
    let found = pack::find(&pack, &format!("a-s/{number}-log"));
    found.expect("a pack").map(|it| it.bytes)
}

#[tokio::test]
async fn small_logs_of_older_builds_are_packed_and_the_newest_stay_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini(""));
    let past = Past {
        count: 100,
        size: 50,
        ..PAST
    };
    make(&crew, past).await;
    fs::write(dir.path().join("builds/a-s/7-log"), vec![b'y'; 5000]).expect("a long one");

    let more = pack(&crew, &"a-s".into(), PACKS).await;

    assert_eq!(files(&crew), 36 + 1);
    assert_eq!(more, 12, "then there are 48 again");
    for number in [0, 31, 32, 63] {
        assert_eq!(
            packed(&crew, number).await,
            Some(vec![b'x'; 50]),
            "{number}"
        );
    }
    assert_eq!(packed(&crew, 7).await, None, "a long one stays");
    assert_eq!(packed(&crew, 64).await, None);
    assert_eq!(
        pack(&crew, &"a-s".into(), PACKS).await,
        12,
        "nothing is left to do"
    );
}

#[tokio::test]
async fn a_build_that_runs_holds_up_what_comes_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini(""));
    let past = Past {
        count: 100,
        runs: Some(40),
        ..PAST
    };
    make(&crew, past).await;

    pack(&crew, &"a-s".into(), PACKS).await;

    assert_eq!(
        packed(&crew, 0).await,
        None,
        "39 are too few beside those that stay"
    );
    assert_eq!(files(&crew), 100);
}

#[tokio::test]
async fn a_pack_goes_with_the_last_log_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("log_horizon = 60\n"));
    let past = Past { count: 100, ..PAST };
    make(&crew, past).await;
    pack(&crew, &"a-s".into(), PACKS).await;
    assert!(packed(&crew, 5).await.is_some());

    prune_here(&crew).await;

    assert_eq!(
        packed(&crew, 5).await,
        None,
        "of the first pack nobody has one"
    );
    assert!(packed(&crew, 45).await.is_some());
}

#[tokio::test]
async fn a_pack_is_no_larger_than_a_page_has_time_to_unpack() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini(""));
    let past = Past {
        count: 160,
        size: 4096,
        ..PAST
    };
    make(&crew, past).await;

    let more = pack(&crew, &"a-s".into(), PACKS).await;

    assert_eq!((files(&crew), more), (16 + 16, 16));
    for number in 0..128 {
        assert!(packed(&crew, number).await.is_some(), "{number}");
    }
}

#[tokio::test]
async fn what_a_master_was_killed_over_is_there_once_or_twice_and_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini(""));
    let past = Past { count: 60, ..PAST };
    make(&crew, past).await;
    let log = dir.path().join("builds/a-s/3-log");
    let before = fs::read(&log).expect("a log");
    pack(&crew, &"a-s".into(), PACKS).await;
    // It was killed before the file was removed.
    fs::write(&log, &before).expect("a log");

    pack(&crew, &"a-s".into(), PACKS).await;

    assert_eq!(packed(&crew, 3).await, Some(before));
}
