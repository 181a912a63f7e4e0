//! What goes and what stays, on a master without tasks.

use std::path::Path;
use std::sync::Arc;

use super::round::PIECE;
use super::*;
use crate::config;
use crate::master::crew::Beginnings;
use crate::model::{
    BuilderName, BuildsetId, ChangeId, LogRecord, NewBuildset, NewChange, Outcome, Progress,
    Properties, RequestId, SourceStamp, StepRecord, TestEnd, TestResults, Timestamp,
};
use crate::store::{Amount, BuildEnd, NewBuild, StoreHandle};

const NOW: Timestamp = Timestamp(1);

/// A master without tasks.
pub(super) fn crew(dir: &Path, ini: &str) -> Arc<Crew> {
    std::fs::write(dir.join("master.ini"), ini).expect("written");
    let (core, _) = tokio::sync::mpsc::channel(1);
    let (returns, _) = tokio::sync::mpsc::unbounded_channel();
    Crew::new(Beginnings {
        dir: dir.to_owned(),
        files: None,
        store: StoreHandle::open(&dir.join("state.sqlite")).expect("a store"),
        identity: String::new(),
        started: clock::now(),
        core,
        returns,
        plan: Arc::new(config::load(dir).expect("a configuration")),
        fleet: crate::master::fleet::Fleet::new(BTreeMap::new()),
        pauses: crate::master::pauses::Pauses::default(),
        absences: crate::master::absences::Absences::default(),
        stop: tokio_util::sync::CancellationToken::new(),
    })
}

pub(super) fn ini(horizons: &str) -> String {
    format!(
        "[slave:s]\npassword = x\nfactories = a\n\n[a]\ntype = shell\ncommands = true\n{horizons}"
    )
}

/// Builds that there were.
pub(super) struct Past {
    pub(super) builder: &'static str,
    pub(super) count: i64,
    /// Has not ended.
    pub(super) runs: Option<i64>,
    /// Is still needed.
    pub(super) retried: Option<i64>,
    pub(super) failed: &'static [i64],
    /// Bytes of each one's log.
    pub(super) size: usize,
    pub(super) ended: fn(i64) -> Timestamp,
}

pub(super) const PAST: Past = Past {
    builder: "a-s",
    count: 0,
    runs: None,
    retried: None,
    failed: &[],
    size: 1,
    ended: |_| NOW,
};

/// Makes builds with a log each, in one go.
pub(super) async fn make(crew: &Crew, past: Past) {
    let dir = crew.dir.join("builds").join(past.builder);
    std::fs::create_dir_all(&dir).expect("made");
    for number in 0..past.count {
        let log = "x".repeat(past.size);
        std::fs::write(dir.join(format!("{number}-log")), log).expect("written");
    }
    let made = crew.store.write(move |verbs| {
        for number in 0..past.count {
            let (_, requests) = verbs.add_buildset(
                &NewBuildset {
                    priority: None,
                    reason: String::new(),
                    stamp: SourceStamp::default(),
                    properties: Properties::new(),
                    builders: vec![past.builder.into()],
                },
                NOW,
            )?;
            let new = NewBuild {
                config: None,
                builder: past.builder.into(),
                slave: "s".into(),
                requests,
                stamp: SourceStamp::default(),
                reason: String::new(),
                locks: Vec::new(),
            };
            let begun = verbs.start_build(&new, NOW)?.expect("free");
            assert_eq!(begun.number, number);
            verbs.put_step(begun.id, &step(format!("{}/{number}-log", past.builder)))?;
            let outcome = match number {
                it if past.retried == Some(it) => Outcome::Retry,
                it if past.failed.contains(&it) => Outcome::Failure,
                _ => Outcome::Success,
            };
            if past.runs != Some(number) {
                verbs.finish_build(begun.id, &end(outcome), (past.ended)(number))?;
            }
        }
        Ok(())
    });
    made.await.expect("built");
}

async fn build(crew: &Crew, count: i64, runs: Option<i64>, retried: Option<i64>) {
    let past = Past {
        count,
        runs,
        retried,
        ..PAST
    };
    make(crew, past).await;
}

fn end(outcome: Outcome) -> BuildEnd {
    BuildEnd {
        outcome,
        text: vec![],
        properties: Properties::new(),
    }
}

fn step(file: String) -> StepRecord {
    StepRecord {
        number: 0,
        name: "shell".into(),
        started: Some(NOW),
        finished: Some(NOW),
        outcome: Some(Outcome::Success),
        text: vec![],
        build_text: vec![],
        statistics: vec![],
        urls: vec![],
        hidden: false,
        usage: None,
        ended: None,
        progress: Progress::default(),
        logs: vec![LogRecord {
            name: "stdio".into(),
            file,
            complete: true,
        }],
    }
}

/// The numbers whose rows are there, and those whose logs are, both as files and in rows.
async fn kept(crew: &Crew) -> (Vec<i64>, Vec<i64>) {
    let read = crew.store.read(|verbs| {
        let mut logs = Vec::new();
        let numbers = verbs.build_numbers(&"a-s".into())?;
        for number in &numbers {
            let build = verbs.build(&"a-s".into(), *number)?.expect("there");
            if verbs.steps(build.id)?.iter().any(|it| !it.logs.is_empty()) {
                logs.push(*number);
            }
        }
        Ok((numbers, logs))
    });
    let (rows, logs) = read.await.expect("readable");
    let files = std::fs::read_dir(crew.dir.join("builds/a-s")).expect("a directory");
    let mut files: Vec<i64> = files
        .map(|it| {
            let name = it.expect("a file").file_name();
            let name = name.to_string_lossy().into_owned();
            name.trim_end_matches("-log").parse().expect("a number")
        })
        .collect();
    files.sort_unstable();
    assert_eq!(files, logs, "files and rows agree");
    (rows, logs)
}

pub(super) async fn prune_here(crew: &Crew) {
    let plan = crew.plan();
    let builder = &plan.builders[0].name;
    let round = round(crew);
    round.measure().await.expect("measured");
    round.after_a_build(builder).await.expect("pruned");
}

async fn changes_gone(crew: &Crew) -> usize {
    let mut report = Report::default();
    let done = round(crew).prune_changes(&mut report).await;
    done.expect("pruned");
    report.changes
}

#[tokio::test]
async fn the_newest_builds_are_kept_and_the_logs_of_fewer() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 20\nlog_horizon = 5\n"));
    build(&crew, 50, None, None).await;
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await, ((30..50).collect(), (45..50).collect()));
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await.0.len(), 20, "again changes nothing");
}

#[tokio::test]
async fn logs_go_without_builds_and_in_more_than_one_piece() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("log_horizon = 10\n"));
    let many = i64::try_from(PIECE).expect("small") * 2 + 15;
    build(&crew, many, None, None).await;
    prune_here(&crew).await;
    assert_eq!(
        kept(&crew).await,
        ((0..many).collect(), (many - 10..many).collect())
    );
}

#[tokio::test]
async fn what_runs_or_is_still_needed_is_kept_until_it_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 2\nlog_horizon = 1\n"));
    build(&crew, 6, Some(1), Some(3)).await;
    prune_here(&crew).await;
    let (rows, logs) = kept(&crew).await;
    assert_eq!(rows, [1, 3, 4, 5]);
    assert_eq!(logs, [1, 3, 5]);

    let ended = crew.store.write(|verbs| {
        let running = verbs.build(&"a-s".into(), 1)?.expect("there").id;
        let retried = verbs.build(&"a-s".into(), 3)?.expect("there").requests[0];
        let end = BuildEnd {
            outcome: Outcome::Success,
            text: vec![],
            properties: Properties::new(),
        };
        verbs.cancel_request(retried, "", NOW)?;
        verbs.finish_build(running, &end, NOW).map(drop)
    });
    ended.await.expect("ended");
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await, (vec![4, 5], vec![5]));
}

#[tokio::test]
async fn old_changes_go_unless_somebody_needs_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("[:master:]\nchange_horizon = 3\n\n{}", ini(""));
    let crew = crew(dir.path(), &text);
    let open = crew.store.write(|verbs| {
        for _ in 0..10 {
            verbs.add_change(&NewChange::by("Ann"), NOW)?;
        }
        let buildset = |change| NewBuildset {
            priority: None,
            reason: String::new(),
            stamp: SourceStamp {
                changes: vec![ChangeId(change)],
                ..SourceStamp::default()
            },
            properties: Properties::new(),
            builders: vec!["a-s".into()],
        };
        let (_, done) = verbs.add_buildset(&buildset(1), NOW)?;
        verbs.cancel_request(done[0], "", NOW)?;
        let (_, open) = verbs.add_buildset(&buildset(4), NOW)?;
        Ok(open[0])
    });
    let open = open.await.expect("made");
    let left = async || {
        changes_gone(&crew).await;
        let all = crew
            .store
            .read(|verbs| verbs.changes_after(ChangeId(0), 100));
        let all = all.await.expect("readable");
        all.iter().map(|it| it.id.0).collect::<Vec<_>>()
    };
    assert_eq!(left().await, [4, 8, 9, 10]);
    let cancelled = crew
        .store
        .write(move |verbs| verbs.cancel_request(open, "", NOW));
    assert!(cancelled.await.expect("cancelled"));
    assert_eq!(left().await, [8, 9, 10]);
}

/// A day per build: the newest ended an hour less than a day ago.
fn daily(number: i64) -> Timestamp {
    let hours = (20 - number) * 24 - 1;
    Timestamp(clock::now().0 - hours * 3_600_000)
}

#[tokio::test]
async fn builds_and_logs_go_when_they_are_too_old() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_age = 10d\nlog_age = 3d\n"));
    let past = Past {
        count: 20,
        ended: daily,
        ..PAST
    };
    make(&crew, past).await;
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await, ((10..20).collect(), (17..20).collect()));
}

#[tokio::test]
async fn what_is_neither_new_nor_young_enough_goes_whichever_says_so_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_age = 10d\nbuild_horizon = 4\n"));
    let past = Past {
        count: 20,
        ended: daily,
        ..PAST
    };
    make(&crew, past).await;
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await.0, (16..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_oldest_logs_go_until_the_others_are_within_the_budget_of_their_builder() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("log_size = 5K\n"));
    let past = Past {
        count: 70,
        size: 1000,
        ..PAST
    };
    make(&crew, past).await;
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await, ((0..70).collect(), (65..70).collect()));
    let bytes = crew.store.read(|verbs| verbs.log_bytes(None)).await;
    assert_eq!(bytes.expect("readable"), 5000);
}

#[tokio::test]
async fn a_budget_of_the_master_is_for_the_logs_of_all_builders_together() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = ini("[b]\ntype = shell\ncommands = true\n").replace("= a\n", "= a b\n");
    let crew = crew(dir.path(), &format!("[:master:]\nlog_size = 25K\n{text}"));
    for (builder, count) in [("a-s", 20), ("b-s", 10), ("gone", 5)] {
        let past = Past {
            builder,
            count,
            size: 1024,
            ..PAST
        };
        make(&crew, past).await;
    }
    now(&crew).await.expect("pruned");
    assert_eq!(kept(&crew).await.1, (10..20).collect::<Vec<_>>());
    let others = crew.store.read(|verbs| {
        let gone = verbs.log_bytes(Some(&"gone".into()))?;
        Ok((verbs.log_bytes(Some(&"b-s".into()))?, gone))
    });
    assert_eq!(others.await.expect("readable"), (10 * 1024, 5 * 1024));
}

#[tokio::test]
async fn the_build_that_began_a_run_of_failures_stays_while_the_run_lasts() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 3\nlog_horizon = 1\n"));
    let past = Past {
        count: 10,
        failed: &[4, 5, 6, 7, 8, 9],
        ..PAST
    };
    make(&crew, past).await;
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await, (vec![4, 7, 8, 9], vec![4, 9]));
    let good = crew.store.write(|verbs| {
        let wanted = NewBuildset {
            priority: None,
            reason: String::new(),
            stamp: SourceStamp::default(),
            properties: Properties::new(),
            builders: vec!["a-s".into()],
        };
        let (_, requests) = verbs.add_buildset(&wanted, NOW)?;
        let new = NewBuild {
            config: None,
            builder: "a-s".into(),
            slave: "s".into(),
            requests,
            stamp: SourceStamp::default(),
            reason: String::new(),
            locks: Vec::new(),
        };
        let begun = verbs.start_build(&new, NOW)?.expect("free");
        verbs.finish_build(begun.id, &end(Outcome::Success), NOW)
    });
    good.await.expect("built");
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await, (vec![8, 9, 10], vec![]));
}

#[tokio::test]
async fn a_failure_stays_while_an_older_build_runs_that_may_make_it_the_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 1\n"));
    let past = Past {
        count: 8,
        runs: Some(2),
        failed: &[1, 3, 4, 7],
        ..PAST
    };
    make(&crew, past).await;
    prune_here(&crew).await;
    // Build 5 was good, so 3 and 4 begin nothing any more, but who knows that is the row of 7.
    assert_eq!(kept(&crew).await.0, [2, 3, 4, 7]);
    let ended = crew.store.write(|verbs| {
        let running = verbs.build(&"a-s".into(), 2)?.expect("there").id;
        verbs.finish_build(running, &end(Outcome::Success), NOW)
    });
    ended.await.expect("ended");
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await.0, [7]);
}

#[tokio::test]
async fn the_newest_events_of_builders_slaves_and_the_master_are_kept_and_builders_may_differ() {
    use crate::model::{EventKind, NewEvent, Subject};

    let dir = tempfile::tempdir().expect("a directory");
    let text = ini("event_horizon = 7\n[b]\ntype = shell\ncommands = true\nevent_horizon = 0\n");
    let text = text.replace("= a\n", "= a b\n");
    let crew = crew(
        dir.path(),
        &format!("[:master:]\nevent_horizon = 3\n{text}"),
    );
    let subjects = || {
        [
            Subject::Master,
            Subject::Slave("s".into()),
            Subject::Slave("gone".into()),
            Subject::Builder("a-s".into()),
            Subject::Builder("b-s".into()),
        ]
    };
    let happened = crew.store.write(move |verbs| {
        for at in 0..20 {
            for subject in subjects() {
                let event = NewEvent::new(Timestamp(at), subject, EventKind::Connected);
                verbs.add_event(&event)?;
            }
        }
        Ok(())
    });
    happened.await.expect("written");
    let would = preview(&crew).await.expect("readable").events;
    let report = now(&crew).await.expect("pruned");
    assert_eq!((would, report.events), (76, 76));
    let left = crew.store.read(move |verbs| {
        let all = subjects();
        let counts = all.iter().map(|of| {
            let events = verbs.events(of, crate::store::EventsBefore::Now, 99)?;
            Ok(events.len())
        });
        counts.collect::<Result<Vec<_>>>()
    });
    // What is shown by more than one builder is kept for the one that keeps most.
    assert_eq!(left.await.expect("readable"), [7, 7, 3, 7, 0]);
    assert_eq!(now(&crew).await.expect("pruned").events, 0);
}

#[tokio::test]
async fn fifty_events_of_each_are_kept_unless_somebody_says_otherwise_and_old_ones_by_age() {
    use crate::model::{EventKind, NewEvent, Subject};

    for (key, left) in [("", 50), ("event_age = 10d\n", 10)] {
        let dir = tempfile::tempdir().expect("a directory");
        let crew = crew(dir.path(), &ini(key));
        let happened = crew.store.write(|verbs| {
            for day in 0..60 {
                let at = Timestamp(clock::now().0 - day * 86_400_000 - 3_600_000);
                let subject = Subject::Builder("a-s".into());
                verbs.add_event(&NewEvent::new(at, subject, EventKind::Pinging))?;
            }
            Ok(())
        });
        happened.await.expect("written");
        now(&crew).await.expect("pruned");
        let kept = crew.store.read(|verbs| {
            let of = Subject::Builder("a-s".into());
            verbs.events(&of, crate::store::EventsBefore::Now, 99)
        });
        assert_eq!(kept.await.expect("readable").len(), left);
    }
}

#[tokio::test]
async fn what_would_go_is_what_goes_and_asking_for_it_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let horizons = "build_horizon = 40\nlog_horizon = 20\nlog_size = 15K\n\
                    [b]\ntype = shell\ncommands = true\nlog_age = 12d\n";
    let text = ini(horizons).replace("= a\n", "= a b\n");
    let master = "[:master:]\nlog_size = 20K\nchange_horizon = 2\n";
    let crew = crew(dir.path(), &format!("{master}{text}"));
    for (builder, count, failed) in [("a-s", 60, &[3_i64, 30][..]), ("b-s", 20, &[][..])] {
        let past = Past {
            builder,
            count,
            failed,
            size: 1024,
            ended: daily,
            ..PAST
        };
        make(&crew, past).await;
    }
    let changes = crew.store.write(|verbs| {
        for _ in 0..5 {
            verbs.add_change(&NewChange::by("Ann"), NOW)?;
        }
        Ok(())
    });
    changes.await.expect("added");

    let told = preview(&crew).await.expect("told");
    assert_eq!(preview(&crew).await.expect("told"), told, "nothing changed");
    let amount = |builds, logs| Amount {
        builds,
        logs,
        bytes: logs * 1024,
    };
    let builders: Vec<_> = told.builders.clone().into_iter().collect();
    assert_eq!(
        builders,
        [("a-s".into(), amount(20, 52)), ("b-s".into(), amount(0, 8))]
    );
    assert_eq!((told.changes, told.left, told.over), (3, 20 * 1024, 0));
    assert_eq!(now(&crew).await.expect("pruned"), told);
    assert_eq!(kept(&crew).await.0, (20..60).collect::<Vec<_>>());
    let nothing = Report {
        left: 20 * 1024,
        ..Report::default()
    };
    assert_eq!(now(&crew).await.expect("pruned"), nothing);
}

#[tokio::test]
async fn what_is_over_the_budget_and_needed_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("log_size = 1K\n"));
    let past = Past {
        count: 3,
        failed: &[1, 2],
        size: 3000,
        ..PAST
    };
    make(&crew, past).await;
    let told = preview(&crew).await.expect("told");
    let done = now(&crew).await.expect("pruned");
    assert_eq!((done.left, done.over), (3000, 3000 - 1024));
    assert_eq!(told, done);
    assert_eq!(kept(&crew).await.1, [1]);
}

#[tokio::test]
async fn ten_thousand_builds_are_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 10\n"));
    build(&crew, 10_000, None, None).await;
    let done = now(&crew).await.expect("pruned");
    assert_eq!(done.builders[&BuilderName::from("a-s")].builds, 9990);
    assert_eq!(kept(&crew).await.0, (9990..10_000).collect::<Vec<_>>());
}

/// How many requests and buildsets of the first `count` are there.
async fn requests(crew: &Crew, count: i64) -> (usize, usize) {
    let read = crew.store.read(move |verbs| {
        let (mut requests, mut buildsets) = (0, 0);
        for id in 1..=count {
            requests += usize::from(verbs.request(RequestId(id))?.is_some());
            buildsets += usize::from(verbs.buildset(BuildsetId(id))?.is_some());
        }
        Ok((requests, buildsets))
    });
    read.await.expect("readable")
}

#[tokio::test]
async fn a_request_goes_with_its_last_build_and_a_buildset_with_its_last_request() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 4\n"));
    build(&crew, 10, None, None).await;
    prune_here(&crew).await;
    assert_eq!(requests(&crew, 10).await, (4, 4));
}

#[tokio::test]
async fn a_buildset_that_a_scheduler_has_not_looked_at_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let follows = "build_horizon = 4\n[scheduler:first]\ntype = periodic\nbuilders = a-s\n\
                   periodic_build_timer = 1h\n[scheduler:then]\ntype = dependent\nupstream = first\n\
                   builders = a-s\n";
    let crew = crew(dir.path(), &ini(follows));
    build(&crew, 10, None, None).await;
    let waits = crew.store.write(|verbs| {
        let state = serde_json::json!({ "since": 3, "waiting": [] });
        verbs.save_state("scheduler dependent then", &state)
    });
    waits.await.expect("saved");
    prune_here(&crew).await;
    assert_eq!(requests(&crew, 10).await, (7, 7));
}

#[tokio::test]
async fn a_build_that_triggered_others_can_be_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 1\n"));
    build(&crew, 2, None, None).await;
    let triggered = crew.store.write(|verbs| {
        let build = verbs.build(&"a-s".into(), 0)?.expect("there").id;
        verbs.put_triggered(build, 0, &"packages".into(), BuildsetId(2))
    });
    triggered.await.expect("written");
    prune_here(&crew).await;
    assert_eq!(kept(&crew).await.0, [1]);
}

#[tokio::test]
async fn changes_go_when_they_came_too_long_ago_whenever_they_were_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("[:master:]\nchange_age = 10d\n{}", ini(""));
    let crew = crew(dir.path(), &text);
    let added = crew.store.write(|verbs| {
        for number in 0..20 {
            let mut change = NewChange::by("Ann");
            change.when = Some(NOW);
            verbs.add_change(&change, daily(number))?;
        }
        Ok(())
    });
    added.await.expect("added");
    assert_eq!(changes_gone(&crew).await, 10);
    let left = crew
        .store
        .read(|verbs| verbs.changes_after(ChangeId(0), 100));
    let left = left.await.expect("readable");
    assert_eq!((left.len(), left[0].id), (10, ChangeId(11)));
}

#[tokio::test]
async fn a_change_that_a_scheduler_holds_or_has_not_seen_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let scheduler = "[scheduler:quick]\ntype = single_branch\nbranch = main\nbuilders = a-s\n";
    let text = format!("[:master:]\nchange_horizon = 1\n{}{scheduler}", ini(""));
    let crew = crew(dir.path(), &text);
    let added = crew.store.write(|verbs| {
        for _ in 0..10 {
            verbs.add_change(&NewChange::by("Ann"), NOW)?;
        }
        let state = serde_json::json!({ "changes": [[6, true]], "seen": 8 });
        verbs.save_state("scheduler single_branch quick", &state)
    });
    added.await.expect("added");
    assert_eq!(changes_gone(&crew).await, 5);
}

#[tokio::test]
async fn who_asks_for_it_is_answered_after_a_while_and_asks_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 1\n"));
    build(&crew, 3, None, None).await;
    let until = Some(Instant::now());
    let late = Round {
        until,
        ..round(&crew)
    };
    let nothing = late.prune_all().await.expect("pruned");
    assert_eq!((nothing.more, nothing.builders.len()), (true, 0));
    let done = now(&crew).await.expect("pruned");
    assert_eq!((done.more, done.builders.len()), (false, 1));
}

#[tokio::test]
async fn requests_that_were_never_built_go_as_long_ago_as_builds_do_with_their_buildsets() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("build_horizon = 3\n"));
    let made = crew.store.write(|verbs| {
        let buildset = |builders: &[&str]| NewBuildset {
            priority: None,
            reason: String::new(),
            stamp: SourceStamp::default(),
            properties: Properties::new(),
            builders: builders.iter().map(|it| (*it).into()).collect(),
        };
        let mut cancelled = Vec::new();
        for _ in 0..500 {
            let (_, requests) = verbs.add_buildset(&buildset(&["a-s"]), NOW)?;
            verbs.cancel_request(requests[0], "enough", NOW)?;
            cancelled.extend(requests);
        }
        // One buildset has a request that still waits, and one request waits from the beginning.
        let (_, both) = verbs.add_buildset(&buildset(&["a-s", "other"]), NOW)?;
        verbs.cancel_request(both[0], "enough", NOW)?;
        cancelled.push(both[0]);
        let (_, waits) = verbs.add_buildset(&buildset(&["a-s"]), NOW)?;
        Ok((cancelled, vec![both[1], waits[0]]))
    });
    let (cancelled, waiting) = made.await.expect("made");
    assert_eq!(preview(&crew).await.expect("looked").requests, 498);
    let done = round(&crew).prune_all().await.expect("pruned");
    assert_eq!(done.requests, 498);
    let left = crew.store.read(move |verbs| {
        let all: Vec<RequestId> = cancelled.iter().chain(&waiting).copied().collect();
        let left = verbs.requests(&all)?;
        let sets = (1..=502).map(|it| verbs.buildset(BuildsetId(it)));
        let sets: Result<Vec<_>> = sets.collect();
        Ok((
            left.iter().map(|it| it.id.0).collect::<Vec<_>>(),
            sets?.iter().flatten().count(),
        ))
    });
    let (left, sets) = left.await.expect("readable");
    assert_eq!(left, [499, 500, 501, 502, 503]);
    assert_eq!(sets, 4);
    assert_eq!(preview(&crew).await.expect("looked").requests, 0);
}

#[tokio::test]
async fn what_single_tests_said_counts_as_logs() {
    let dir = tempfile::tempdir().expect("a directory");
    let crew = crew(dir.path(), &ini("log_size = 1500\n"));
    build(&crew, 2, None, None).await;
    let told = crew.store.write(|verbs| {
        for number in 0..2 {
            let build = verbs.build(&"a-s".into(), number)?.expect("there").id;
            let mut results = TestResults::default();
            results.add("t", TestEnd::Failure, &"x".repeat(1000));
            verbs.put_tests(build, 0, &results)?;
        }
        Ok(())
    });
    told.await.expect("told");
    round(&crew).measure().await.expect("measured");
    let bytes = crew.store.read(|verbs| verbs.log_bytes(None));
    assert_eq!(bytes.await.expect("readable"), 2 * 1001);
    let done = round(&crew).prune_all().await.expect("pruned");
    assert_eq!(done.left, 1001, "the older one's went");
    let log = crew.store.read(|verbs| {
        let build = verbs.build(&"a-s".into(), 0)?.expect("there").id;
        verbs.tests_named(build, "t", 1)
    });
    assert_eq!(log.await.expect("readable")[0].result.log, "");
}
