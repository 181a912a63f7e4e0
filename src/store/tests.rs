//! What every database must do; SQLite is the one there is.

use crate::model::Access;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ConfigId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::HeldLocks;
use crate::model::LockUse;
use crate::model::LogRecord;
use crate::model::Metric;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::OUTPUT;
use crate::model::Outcome;
use crate::model::Pace;
use crate::model::PastRun;
use crate::model::Patch;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::SchedulerName;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::model::Usage;

use super::{
    BuildEnd, CommandRow, ConfigFile, NewBuild, NewConfig, PastCommand, Result, Store, StoreError,
    StoreHandle,
};

#[path = "behind_tests.rs"]
mod behind;
#[path = "queue_tests.rs"]
mod queue;
#[path = "reading_tests.rs"]
mod reading;
#[path = "search_tests.rs"]
mod search;

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

fn usage() -> Usage {
    Usage {
        user_ms: 1200,
        system_ms: 30,
        peak_memory: 5 << 20,
        read_bytes: Some(u64::MAX),
        written_bytes: None,
        out_of_memory: true,
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
async fn the_steps_of_builds_that_went_well_are_read_back_as_laps() {
    let (_dir, store) = open();
    let builder = BuilderName::from("a");
    let metric = |name: &str, value, pace| Metric {
        name: name.into(),
        value,
        pace,
    };
    let at = |secs| Some(Timestamp::from_secs(secs));
    let done = |number, outcome| StepRecord {
        started: at(10),
        finished: at(40),
        outcome: Some(outcome),
        ..step(number)
    };
    let plain = done(0, Outcome::Success);
    let mut locked = done(1, Outcome::Warnings);
    locked.progress = Progress {
        began: at(35),
        metrics: vec![
            metric(OUTPUT, 700, Some(Pace([1, 2, 3, 4, 5, 6, 255]))),
            metric("tests", 12, None),
        ],
        ..Progress::default()
    };
    let mut uncounted = done(2, Outcome::Success);
    uncounted.progress.counts = false;
    let skipped = done(3, Outcome::Skipped);
    let good = vec![plain.clone(), locked.clone(), uncounted, skipped];
    // One that ended before its last step, one that failed, and one that runs.
    let halted = vec![plain.clone(), step(1)];
    for (steps, outcome) in [
        (good.clone(), Some(Outcome::Warnings)),
        (halted, Some(Outcome::Success)),
        (vec![plain.clone()], Some(Outcome::Failure)),
        (vec![plain], Some(Outcome::Success)),
        (good.clone(), None),
    ] {
        write(&store, move |verbs| {
            let (_, requests) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
            let build = verbs.start_build(&start("a", &requests), NOW)?;
            let build = build.expect("claimed").id;
            for step in &steps {
                verbs.put_step(build, step)?;
            }
            match outcome {
                Some(outcome) => verbs.finish_build(build, &end(outcome), NOW).map(drop),
                None => Ok(()),
            }
        })
        .await;
    }

    let runs = store.read(move |verbs| {
        let running = verbs.build(&builder, -1)?.expect("it runs");
        assert_eq!(verbs.steps(running.id)?, good);
        Ok((verbs.past_runs(&builder, 9)?, verbs.past_runs(&builder, 1)?))
    });
    let (runs, newest) = runs.await.expect("readable");

    let laps = |run: &PastRun| {
        let laps = run.laps.iter();
        let laps = laps.map(|it| {
            (
                it.name.clone(),
                it.took.map(|it| it.as_secs()),
                it.metrics.len(),
            )
        });
        laps.collect::<Vec<_>>()
    };
    assert_eq!(runs.len(), 2);
    assert_eq!(laps(&runs[0]), [("step 0".into(), Some(30), 0)]);
    assert_eq!(
        laps(&runs[1]),
        [
            ("step 0".into(), Some(30), 0),
            ("step 1".into(), Some(5), 2),
            ("step 3".into(), None, 0)
        ]
    );
    assert_eq!(runs[1].laps[1].metrics, locked.progress.metrics);
    assert_eq!(newest, runs[..1]);
}

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
async fn a_build_that_is_retried_gives_its_requests_back() {
    let (_dir, store) = open();
    let (_, requests) = write(&store, |verbs| verbs.add_buildset(&wanted(&["a"]), NOW)).await;
    let request = requests[0];

    write(&store, move |verbs| {
        let build = verbs
            .start_build(&start("a", &[request]), NOW)?
            .expect("free")
            .id;
        verbs.finish_build(build, &end(Outcome::Retry), NOW)
    })
    .await;
    let again = write(&store, move |verbs| {
        verbs.start_build(&start("a", &[request]), NOW)
    })
    .await;

    assert_eq!(again.map(|it| it.number), Some(1), "a new number");
    let retries = store
        .read(move |verbs| verbs.retries(request))
        .await
        .expect("readable");
    assert_eq!(retries, 1);
    let record = store
        .read(move |verbs| verbs.request(request))
        .await
        .expect("ok")
        .expect("there");
    assert!(record.claimed);
    let key = |number| BuildKey {
        builder: "a".into(),
        number,
    };
    assert_eq!(record.builds, [key(0), key(1)]);
}

#[tokio::test]
async fn a_running_build_can_be_gone_on_with() {
    let (_dir, store) = open();
    let (_, requests) = write(&store, |verbs| verbs.add_buildset(&wanted(&["a"]), NOW)).await;
    let mut exit = Exit::new(0, ExitCause::Exited, 5);
    exit.usage = Some(usage());
    let ended = CommandRow {
        step: 1,
        index: 0,
        attempt: 0,
        log_start: 0,
    };
    let running = CommandRow {
        step: 1,
        index: 1,
        attempt: 0,
        log_start: 90,
    };
    let told = exit.clone();
    write(&store, move |verbs| {
        let build = verbs
            .start_build(&start("a", &[requests[0]]), NOW)?
            .expect("free")
            .id;
        let mut properties = Properties::new();
        properties.set("branch", "main", "Build");
        verbs.plan_build(build, "print", &properties, &[step(0), step(1)])?;
        let done = StepRecord {
            started: Some(NOW),
            finished: Some(NOW),
            usage: Some(usage()),
            ended: Some("exit code 3".into()),
            ..step(0)
        };
        verbs.put_step(build, &done)?;
        let log = LogRecord {
            name: "stdio".into(),
            file: "a/0-log-x-stdio".into(),
            complete: false,
        };
        let begun = StepRecord {
            started: Some(NOW),
            logs: vec![log],
            ..step(1)
        };
        verbs.put_step(build, &begun)?;
        verbs.start_command(build, ended, Some("here"))?;
        verbs.finish_command(build, ended, &told, 80)?;
        verbs.start_command(build, running, None)?;
        verbs.give_command(build, running, "there")?;
        let lock = |name: &str, access| LockUse {
            lock: name.into(),
            access,
        };
        let held = HeldLocks {
            build: vec![lock("cpu", Access::Counting)],
            step: vec![lock("a b", Access::Exclusive)],
        };
        verbs.set_locks(build, &held)?;
        verbs.request_stop(build, "enough")
    })
    .await;

    let all = write(&store, |verbs| verbs.unfinished_builds()).await;

    let [found] = &all[..] else {
        panic!("one build: {all:?}")
    };
    assert_eq!(found.fingerprint, "print");
    assert_eq!(found.stop_reason.as_deref(), Some("enough"));
    assert_eq!(found.locks.build[0].to_string(), "cpu counting");
    assert_eq!(found.locks.step[0].to_string(), "a b exclusive");
    assert_eq!(found.steps.len(), 2);
    assert_eq!(found.steps[0].usage, Some(usage()));
    assert_eq!(found.steps[0].ended.as_deref(), Some("exit code 3"));
    assert_eq!(found.steps[1].usage, None);
    assert_eq!(found.steps[1].logs[0].name, "stdio");
    let past = |at, spool: &str, end| PastCommand {
        at,
        spool: Some(spool.into()),
        end,
    };
    assert_eq!(
        found.commands,
        [
            past(ended, "here", Some((exit, 80))),
            past(running, "there", None)
        ]
    );
    assert_eq!(found.build.properties.text("branch"), Some("main"));
    let id = found.build.id;
    let leases = write(&store, move |verbs| {
        Ok((verbs.renew_lease(id)?, verbs.renew_lease(id)?))
    });
    let (one, two) = leases.await;
    assert!(one < two, "a lease only grows");
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

#[tokio::test]
async fn a_build_knows_the_configuration_that_it_began_under() {
    let (_dir, store) = open();
    let builds = write(&store, |verbs| {
        let new = NewConfig {
            hash: "x".into(),
            files: vec![],
            summary: vec![],
        };
        let config = verbs.add_config(&new, NOW)?;
        let (_, requests) = verbs.add_buildset(&wanted(&["a", "b"]), NOW)?;
        let under = NewBuild {
            config: Some(config),
            ..start("a", &requests[..1])
        };
        verbs.start_build(&under, NOW)?;
        verbs.start_build(&start("b", &requests[1..]), NOW)?;
        verbs.running_builds()
    });
    let configs: Vec<_> = builds.await.into_iter().map(|it| it.config).collect();
    assert_eq!(configs, [Some(ConfigId(1)), None]);
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
async fn what_a_step_triggered_is_remembered_by_build_and_step() {
    let (_dir, store) = open();
    let found = write(&store, |verbs| {
        let (buildset, requests) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
        let begun = verbs.start_build(&start("a", &requests), NOW)?;
        let build = begun.expect("it waits").id;
        verbs.put_triggered(build, 3, &"packages".into(), buildset)?;
        Ok((
            verbs.triggered(build, 3)? == [("packages".into(), buildset)],
            verbs.triggered(build, 2)?,
            verbs.buildset(buildset)?.map(|it| it.outcome),
            verbs.buildset(BuildsetId(99))?,
        ))
    })
    .await;
    assert_eq!(found, (true, vec![], Some(None), None));
}

#[tokio::test]
async fn a_database_of_the_first_version_keeps_what_its_schedulers_saved() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("state.sqlite");
    let old = rusqlite::Connection::open(&path).expect("a database");
    old.execute_batch(include_str!("sqlite/schema.sql"))
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
    old.execute_batch(include_str!("sqlite/schema.sql"))
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

#[tokio::test]
async fn a_build_is_of_everybody_who_changed_it_or_wrote_its_patch_once() {
    let (_dir, store) = open();
    let build = write(&store, |verbs| {
        let mut changes = Vec::new();
        for author in ["cy", "ann", "cy"] {
            changes.extend(verbs.add_change(&NewChange::by(author), NOW)?);
        }
        let (_, requests) = verbs.add_buildset(&wanted(&["a"]), NOW)?;
        let mut new = start("a", &requests);
        new.stamp.changes = changes;
        new.stamp.patch = Some(Patch {
            level: 1,
            diff: b"x".to_vec(),
            subdir: None,
            author: Some("bo".into()),
            comment: None,
        });
        verbs.start_build(&new, NOW)?;
        verbs.build(&"a".into(), 0)
    });
    let build = build.await.expect("begun");
    assert_eq!(build.blame, ["ann", "bo", "cy"]);
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
