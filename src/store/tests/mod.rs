//! What every database must do; SQLite is the one there is.

mod behind;
mod builds;
mod buildsets;
mod queue;
mod reading;
mod search;
mod small_logs;

use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ConfigId;
use crate::model::HeldLocks;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Outcome;
use crate::model::Patch;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Timestamp;

use super::{BuildEnd, ConfigFile, NewBuild, NewConfig, Result, Store, StoreError, StoreHandle};

pub(super) const NOW: Timestamp = Timestamp(1_000_000);

pub(super) fn open() -> (tempfile::TempDir, StoreHandle) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a new store");
    (dir, store)
}

pub(super) async fn write<T: Send + 'static>(
    store: &StoreHandle,
    verbs: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
) -> T {
    store.write(verbs).await.expect("the verbs succeed")
}

pub(super) fn wanted(builders: &[&str]) -> NewBuildset {
    NewBuildset {
        reason: "because".into(),
        stamp: SourceStamp::default(),
        properties: Properties::new(),
        priority: None,
        builders: builders.iter().map(|it| BuilderName::from(*it)).collect(),
    }
}

pub(super) fn start(builder: &str, requests: &[RequestId]) -> NewBuild {
    NewBuild {
        builder: builder.into(),
        slave: "linux-1".into(),
        requests: requests.to_vec(),
        stamp: SourceStamp::default(),
        reason: "because".into(),
        config: None,
        locks: Vec::new(),
    }
}

pub(super) fn end(outcome: Outcome) -> BuildEnd {
    BuildEnd {
        outcome,
        text: vec!["done".into()],
        properties: Properties::new(),
    }
}

pub(super) fn step(number: u32) -> StepRecord {
    StepRecord {
        number,
        name: format!("step {number}"),
        started: None,
        finished: None,
        outcome: None,
        text: vec![],
        build_text: vec![],
        statistics: vec![],
        urls: vec![],
        hidden: false,
        usage: None,
        ended: None,
        progress: Progress::default(),
        logs: vec![],
    }
}

#[tokio::test]
async fn a_change_of_one_origin_is_kept_once() {
    let (_dir, store) = open();
    let mut change = NewChange::by("Ann <ann@example.org>");
    change.files = vec!["ü b.c".into(), "a.c".into()];
    change
        .properties
        .set("p", serde_json::json!([1, null]), "Change");
    change.origin = Some("git url main abc".into());
    let twice = change.clone();

    let ids = write(&store, move |verbs| {
        Ok((
            verbs.add_change(&change, NOW)?,
            verbs.add_change(&twice, NOW)?,
        ))
    })
    .await;

    let first = ids.0.expect("the first is new");
    assert_eq!(ids.1, None);
    let kept = store
        .read(move |verbs| verbs.change(first))
        .await
        .expect("readable")
        .expect("kept");
    assert_eq!(kept.files, ["a.c", "ü b.c"]);
    assert_eq!(kept.when, NOW);
    assert_eq!(
        kept.properties.get("p"),
        Some(&serde_json::json!([1, null]))
    );
}

#[tokio::test]
async fn the_newest_changes_are_those_that_came_last_whenever_they_were_made() {
    let (_dir, store) = open();
    let newest = write(&store, |verbs| {
        assert_eq!(verbs.newest_change()?.0, 0, "there is none");
        for when in [300, 100, 200] {
            let mut change = NewChange::by("Ann");
            change.when = Some(Timestamp(when));
            verbs.add_change(&change, NOW)?;
        }
        verbs.recent_changes(None, 2)
    })
    .await;
    let newest: Vec<_> = newest.iter().map(|it| (it.id.0, it.when.0)).collect();
    assert_eq!(newest, [(3, 200), (2, 100)]);
}

#[tokio::test]
async fn a_failing_job_is_undone_and_its_neighbours_stand() {
    let (_dir, store) = open();
    let bad = store.write(|verbs| {
        verbs.add_change(&NewChange::by("lost"), NOW)?;
        Err::<(), _>(StoreError::new("no"))
    });
    let panics = store.write(|verbs| {
        verbs.add_change(&NewChange::by("lost too"), NOW)?;
        panic!("a bug in a verb")
    });
    let good = store.write(|verbs| verbs.add_change(&NewChange::by("kept"), NOW));

    let (bad, panics, good) = tokio::join!(bad, panics, good);

    assert_eq!(bad.expect_err("it failed").what, "no");
    let _: StoreError = Result::<()>::expect_err(panics, "it panicked");
    good.expect("the neighbour is fine");
    let changes = store
        .read(|verbs| verbs.recent_changes(None, 10))
        .await
        .expect("readable");
    assert_eq!(
        changes
            .iter()
            .map(|it| it.author.as_str())
            .collect::<Vec<_>>(),
        ["kept"]
    );
}

#[tokio::test]
async fn every_applied_configuration_is_kept_and_the_same_again_adds_nothing() {
    let (dir, store) = open();
    let config = |hash: &str, text: &str| NewConfig {
        hash: hash.into(),
        files: vec![ConfigFile {
            name: "master.ini".into(),
            text: text.into(),
        }],
        summary: vec![format!("changed {hash}")],
    };
    let add = async |new: NewConfig| write(&store, move |verbs| verbs.add_config(&new, NOW)).await;
    assert_eq!(add(config("x", "one")).await, ConfigId(1));
    assert_eq!(add(config("x", "one")).await, ConfigId(1));
    assert_eq!(add(config("y", "two")).await, ConfigId(2));
    assert_eq!(
        add(config("x", "one")).await,
        ConfigId(3),
        "what returns is applied anew"
    );

    let path = dir.path().join("state.sqlite");
    let told = super::read_file(&path, |verbs| verbs.recent_configs(2)).expect("readable");
    let told: Vec<_> = told
        .into_iter()
        .map(|it| (it.id.0, it.hash, it.applied, it.summary.join("; ")))
        .collect();
    assert_eq!(
        told,
        [
            (3, "x".into(), NOW, "changed x".to_owned()),
            (2, "y".into(), NOW, "changed y".to_owned())
        ]
    );
    let (_, files) = store
        .read(|verbs| verbs.config(ConfigId(2)))
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(files[0].text, "two");
    assert_eq!(
        format!("{files:?}"),
        r#"[ConfigFile { name: "master.ini", .. }]"#,
        "passwords are not for logs"
    );
}

#[test]
fn a_file_that_is_no_database_is_named_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.sqlite");
    std::fs::write(
        &path,
        "not a database, but long enough to be taken for one".repeat(20),
    )
    .expect("written");
    let error = super::create(&path).expect_err("it is refused");
    assert_eq!(
        error.to_string(),
        "the database says: file is not a database; the file is not a database of autobot"
    );
}

#[tokio::test]
async fn a_settled_store_is_whole_in_its_one_file() {
    let (dir, store) = open();
    write(&store, |verbs| verbs.add_buildset(&wanted(&["a"]), NOW)).await;
    store.settle().await.expect("settled");

    let copy = dir.path().join("copy.sqlite");
    std::fs::copy(dir.path().join("state.sqlite"), &copy).expect("copied");
    let copy = StoreHandle::open(&copy).expect("a whole store");
    let pending = copy.read(|verbs| verbs.pending_requests()).await;
    assert_eq!(pending.expect("readable").len(), 1);
}

#[tokio::test]
async fn a_database_of_the_first_version_keeps_what_its_schedulers_saved() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.sqlite");
    let old = rusqlite::Connection::open(&path).expect("a database");
    old.execute_batch(include_str!("../sqlite/schema.sql"))
        .expect("the first version");
    old.execute_batch(
        "INSERT INTO meta VALUES ('identity', 'x'), ('lease', '0');
         INSERT INTO states VALUES ('scheduler hello', '{\"seen\":7}'), ('source s', '1');
         PRAGMA user_version = 1;",
    )
    .expect("rows in it");
    drop(old);
    let store = StoreHandle::open(&path).expect("brought up to date");
    let states = store.read(|verbs| {
        Ok((
            verbs.state("scheduler single_branch hello")?,
            verbs.state("scheduler hello")?,
            verbs.state("source s")?,
        ))
    });
    let expected = (
        serde_json::json!({"seen": 7}),
        serde_json::Value::Null,
        serde_json::json!(1),
    );
    assert_eq!(states.await.expect("readable"), expected);
}

#[tokio::test]
async fn a_store_of_the_first_version_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.sqlite");
    let old = rusqlite::Connection::open(&path).expect("a file");
    old.execute_batch(include_str!("../sqlite/schema.sql"))
        .expect("the first tables");
    old.execute_batch(
        "INSERT INTO meta VALUES ('identity', 'me'), ('lease', '0');
         INSERT INTO builds (builder, number, slave, reason, repository, project, properties, \
         blame, text, started, lease, fingerprint) \
         VALUES ('a', 6, 's', '', '', '', '{}', '[]', '[]', 1, 1, 'print');
         PRAGMA user_version = 1",
    )
    .expect("rows");
    drop(old);

    let store = StoreHandle::open(&path).expect("brought up to date");
    let all = write(&store, |verbs| verbs.unfinished_builds()).await;
    assert_eq!(all[0].locks, HeldLocks::default());
    let (_, requests) = write(&store, |verbs| verbs.add_buildset(&wanted(&["a"]), NOW)).await;
    let next = write(&store, move |verbs| {
        verbs.start_build(&start("a", &requests), NOW)
    })
    .await;
    assert_eq!(next.map(|it| it.number), Some(7));
}
