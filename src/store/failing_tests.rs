//! Who is responsible for a build, and since when a builder fails.

use crate::model::BuildId;
use crate::model::ChangeId;
use crate::model::Failing;
use crate::model::NewChange;
use crate::model::Outcome;
use crate::model::Patch;
use crate::model::SourceStamp;
use crate::model::Timestamp;

use super::tests::{NOW, end, open, start, wanted, write};
use super::{NewBuild, StoreHandle};

const MAIN: Option<&str> = Some("main");

/// Changes by these authors, in order.
async fn changes(store: &StoreHandle, authors: &'static [&'static str]) -> Vec<ChangeId> {
    write(store, move |verbs| {
        let mut ids = Vec::new();
        for author in authors {
            ids.extend(verbs.add_change(&NewChange::by(*author), NOW)?);
        }
        Ok(ids)
    })
    .await
}

/// Begins a build of `a` on a branch.
async fn begin(store: &StoreHandle, branch: Option<&str>, changes: Vec<ChangeId>) -> BuildId {
    begin_at(
        store,
        SourceStamp {
            branch: branch.map(Into::into),
            changes,
            ..SourceStamp::default()
        },
    )
    .await
}

async fn begin_at(store: &StoreHandle, stamp: SourceStamp) -> BuildId {
    write(store, move |verbs| {
        let (_, requests) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
        let new = NewBuild {
            stamp,
            ..start("a", &requests)
        };
        Ok(verbs.start_build(&new, NOW)?.expect("it waits").id)
    })
    .await
}

async fn finish(store: &StoreHandle, build: BuildId, outcome: Outcome) {
    write(store, move |verbs| {
        verbs.finish_build(build, &end(outcome), Timestamp(NOW.0 + build.0))
    })
    .await;
}

/// Builds a branch once.
async fn build(store: &StoreHandle, branch: Option<&str>, outcome: Outcome) {
    let build = begin(store, branch, vec![]).await;
    finish(store, build, outcome).await;
}

async fn failing(store: &StoreHandle) -> Vec<Failing> {
    let failing = store.read(|verbs| verbs.failing(&"a".into())).await;
    failing.expect("readable")
}

/// `branch first-last`, for each branch that fails.
async fn runs(store: &StoreHandle) -> Vec<String> {
    let shown = |it: Failing| {
        let branch = it.branch.unwrap_or_else(|| "-".into());
        format!("{branch} {}-{}", it.first, it.last)
    };
    failing(store).await.into_iter().map(shown).collect()
}

/// What each build says of the run that it belongs to.
async fn marks(store: &StoreHandle) -> Vec<Option<i64>> {
    let read = store.read(|verbs| verbs.recent_builds(Some(&"a".into()), None, 99));
    let all = read.await.expect("readable");
    all.iter().rev().map(|it| it.failing_since).collect()
}

#[tokio::test]
async fn the_blame_is_every_author_of_its_changes_once_and_the_patchs_too_sorted() {
    let (_dir, store) = open();
    let changes = changes(&store, &["Ines", "bo", "Ann", "Ines"]).await;
    let stamp = SourceStamp {
        patch: Some(Patch {
            level: 0,
            diff: vec![],
            subdir: None,
            author: Some("bo".into()),
            comment: None,
        }),
        changes,
        ..SourceStamp::default()
    };
    begin_at(&store, stamp).await;
    let build = store.read(|verbs| verbs.build(&"a".into(), 0)).await;
    let build = build.expect("readable").expect("there");
    assert_eq!(build.blame, ["Ann", "Ines", "bo"]);
}

#[tokio::test]
async fn a_run_of_failures_begins_with_the_first_and_ends_with_a_good_one() {
    use Outcome::{Failure, Success, Warnings};

    let (_dir, store) = open();
    for outcome in [Success, Failure, Failure, Warnings] {
        build(&store, MAIN, outcome).await;
    }
    assert_eq!(runs(&store).await, [] as [&str; 0]);
    for outcome in [Failure, Failure] {
        build(&store, MAIN, outcome).await;
    }
    let all = failing(&store).await;
    assert_eq!((all[0].first, all[0].last, all[0].good), (4, 5, Some(3)));
    assert_eq!(all[0].since, Timestamp(NOW.0 + 5), "when it ended");
    assert_eq!(
        marks(&store).await,
        [None, Some(1), Some(1), None, Some(4), Some(4)]
    );
}

#[tokio::test]
async fn suspects_are_the_authors_since_the_last_good_build_up_to_the_first_bad_one() {
    let (_dir, store) = open();
    let all = changes(&store, &["early", "broke it", "in an exception", "late"]).await;
    let outcomes = [
        Outcome::Success,
        Outcome::Exception,
        Outcome::Failure,
        Outcome::Failure,
    ];
    for (change, outcome) in [all[0], all[2], all[1], all[3]].into_iter().zip(outcomes) {
        let build = begin(&store, MAIN, vec![change]).await;
        finish(&store, build, outcome).await;
    }
    let all = failing(&store).await;
    assert_eq!(all[0].suspects, ["broke it", "in an exception"]);
    assert_eq!((all[0].first, all[0].good), (2, Some(0)));
}

#[tokio::test]
async fn an_exception_a_retry_and_a_skipped_build_neither_begin_nor_end_a_run() {
    use Outcome::{Exception, Failure, Retry, Skipped};

    let (_dir, store) = open();
    for outcome in [Exception, Retry, Skipped] {
        build(&store, MAIN, outcome).await;
    }
    assert_eq!(runs(&store).await, [] as [&str; 0]);
    for outcome in [Failure, Exception, Retry, Skipped] {
        build(&store, MAIN, outcome).await;
    }
    assert_eq!(runs(&store).await, ["main 3-3"]);
}

#[tokio::test]
async fn builds_that_end_in_another_order_than_they_began_in_count_by_their_numbers() {
    let (_dir, store) = open();
    build(&store, MAIN, Outcome::Success).await;
    let mut running = Vec::new();
    for _ in 1..=5 {
        running.push(begin(&store, MAIN, vec![]).await);
    }
    let [first, second, third, fourth, fifth] = running[..] else {
        panic!("five builds");
    };
    finish(&store, third, Outcome::Failure).await;
    assert_eq!(runs(&store).await, ["main 3-3"]);
    finish(&store, first, Outcome::Failure).await;
    assert_eq!(runs(&store).await, ["main 1-3"]);
    assert_eq!(
        marks(&store).await[3],
        Some(1),
        "the later one belongs to it"
    );
    finish(&store, fifth, Outcome::Failure).await;
    finish(&store, second, Outcome::Success).await;
    assert_eq!(runs(&store).await, ["main 3-5"], "what is older is over");
    assert_eq!(marks(&store).await[1..4], [Some(1), None, Some(3)]);
    finish(&store, fourth, Outcome::Success).await;
    assert_eq!(runs(&store).await, ["main 5-5"]);
}

#[tokio::test]
async fn a_failure_that_ends_after_a_newer_good_build_begins_nothing() {
    let (_dir, store) = open();
    let (older, newer) = (
        begin(&store, MAIN, vec![]).await,
        begin(&store, MAIN, vec![]).await,
    );
    finish(&store, newer, Outcome::Success).await;
    finish(&store, older, Outcome::Failure).await;
    assert_eq!(runs(&store).await, [] as [&str; 0]);
}

#[tokio::test]
async fn an_exception_between_that_ends_late_adds_its_authors() {
    let (_dir, store) = open();
    let all = changes(&store, &["ann", "bo"]).await;
    build(&store, MAIN, Outcome::Success).await;
    let slow = begin(&store, MAIN, vec![all[0]]).await;
    let quick = begin(&store, MAIN, vec![all[1]]).await;
    finish(&store, quick, Outcome::Failure).await;
    assert_eq!(failing(&store).await[0].suspects, ["bo"]);
    finish(&store, slow, Outcome::Exception).await;
    assert_eq!(failing(&store).await[0].suspects, ["ann", "bo"]);
}

#[tokio::test]
async fn each_branch_of_a_builder_has_a_run_of_its_own_and_a_patch_says_nothing() {
    let (_dir, store) = open();
    build(&store, MAIN, Outcome::Failure).await;
    build(&store, Some("1.2.X"), Outcome::Success).await;
    build(&store, Some("1.2.X"), Outcome::Failure).await;
    let patched = begin_at(
        &store,
        SourceStamp {
            branch: Some("1.2.X".into()),
            patch: Some(Patch {
                level: 0,
                diff: vec![],
                subdir: None,
                author: None,
                comment: None,
            }),
            ..SourceStamp::default()
        },
    )
    .await;
    finish(&store, patched, Outcome::Success).await;
    assert_eq!(runs(&store).await, ["main 0-0", "1.2.X 2-2"]);
    build(&store, MAIN, Outcome::Success).await;
    assert_eq!(runs(&store).await, ["1.2.X 2-2"]);
}

#[tokio::test]
async fn a_build_without_a_branch_is_of_the_only_branch_there_is() {
    let (_dir, store) = open();
    build(&store, None, Outcome::Failure).await;
    assert_eq!(runs(&store).await, ["- 0-0"]);
    build(&store, MAIN, Outcome::Failure).await;
    assert_eq!(runs(&store).await, ["main 0-1"], "it was of that branch");
    build(&store, None, Outcome::Success).await;
    assert_eq!(runs(&store).await, [] as [&str; 0]);

    build(&store, MAIN, Outcome::Failure).await;
    build(&store, Some("other"), Outcome::Failure).await;
    build(&store, None, Outcome::Success).await;
    assert_eq!(runs(&store).await, ["main 3-3", "other 4-4"]);
}

#[tokio::test]
async fn a_restarted_master_knows_since_when_it_fails() {
    let (dir, store) = open();
    build(&store, MAIN, Outcome::Failure).await;
    build(&store, MAIN, Outcome::Failure).await;
    drop(store);
    let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a store");
    assert_eq!(runs(&store).await, ["main 0-1"]);
}

#[tokio::test]
async fn what_an_older_version_has_built_tells_since_when_it_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.sqlite");
    let old = rusqlite::Connection::open(&path).expect("a file");
    old.execute_batch(include_str!("sqlite/schema.sql"))
        .expect("the first tables");
    old.execute_batch(
        "INSERT INTO meta VALUES ('identity', 'me'), ('lease', '0');
         PRAGMA user_version = 1",
    )
    .expect("rows");
    for (number, outcome) in [0, 2, 4, 2, 2].into_iter().enumerate() {
        old.execute(
            "INSERT INTO builds (builder, number, slave, reason, branch, repository, project, \
             properties, blame, text, started, finished, outcome, lease, fingerprint) \
             VALUES ('a', ?1, 's', '', 'main', '', '', '{}', '[\"ann\"]', '[]', 1, 50, ?2, 1, '')",
            rusqlite::params![number, outcome],
        )
        .expect("a build");
    }
    drop(old);
    let store = StoreHandle::open(&path).expect("brought up to date");
    let all = failing(&store).await;
    let expected = Failing {
        branch: Some("main".into()),
        first: 1,
        since: Timestamp(50),
        last: 4,
        good: Some(0),
        suspects: vec!["ann".into()],
    };
    assert_eq!(all, [expected]);
    let marks = marks(&store).await;
    assert_eq!(marks, [None, Some(1), None, Some(1), Some(1)]);
}
