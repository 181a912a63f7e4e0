//! Forgets what the horizons no longer keep: builds and logs of a builder
//! when one of its builds has ended, changes every hour. It works in small
//! pieces, so that a first round over years of builds stops nobody.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{self, MissedTickBehavior};
use tracing::{debug, warn};

use crate::config::BuilderPlan;
use crate::master::crew::Crew;
use crate::model::Status;
use crate::store::{OldBuild, Result};

/// Builds in one transaction.
const PIECE: usize = 50;
/// Changes in one transaction.
const CHANGES: usize = 200;
/// How often changes are looked at.
const CHANGE_ROUND: Duration = Duration::from_hours(1);

/// Prunes until the master stops.
pub(crate) async fn run(crew: Arc<Crew>) {
    let mut heard = crew.status.subscribe();
    let mut round = time::interval(CHANGE_ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    prune_all(&crew).await;
    loop {
        tokio::select! {
            _ = round.tick() => prune_changes(&crew).await,
            status = heard.recv() => match status.as_deref() {
                Ok(Status::BuildFinished { build, .. }) => {
                    let plan = crew.plan();
                    let builder = plan.builders.iter().find(|it| it.name == build.builder);
                    if let Some(builder) = builder {
                        prune(&crew, builder).await;
                    }
                }
                // Other horizons may be in force, or ends were missed.
                Ok(Status::Reloaded) | Err(RecvError::Lagged(_)) => prune_all(&crew).await,
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}

async fn prune_all(crew: &Crew) {
    for builder in &crew.plan().builders {
        prune(crew, builder).await;
    }
}

async fn prune(crew: &Crew, builder: &BuilderPlan) {
    if let Err(error) = try_prune(crew, builder).await {
        warn!(builder = %builder.name, reason = %error, "failed to forget old builds");
    }
}

async fn try_prune(crew: &Crew, builder: &BuilderPlan) -> Result<()> {
    let horizons = builder.horizons;
    if horizons.builds.is_none() && horizons.logs.is_none() {
        return Ok(());
    }
    let name = builder.name.clone();
    let next = crew
        .store
        .read(move |verbs| verbs.next_number(&name))
        .await?;
    if let Some(keep) = horizons.builds {
        loop {
            let (name, below) = (builder.name.clone(), next - i64::from(keep));
            let old = crew
                .store
                .read(move |verbs| verbs.old_builds(&name, below, PIECE))
                .await?;
            if old.is_empty() {
                break;
            }
            debug!(builder = %builder.name, builds = old.len(), "forgetting old builds");
            // The files first: what is cut off in between is found again by its rows.
            let old = remove_files(crew, old).await;
            let name = builder.name.clone();
            let ids: Vec<_> = old.iter().map(|it| it.id).collect();
            crew.store
                .write(move |verbs| verbs.forget_builds(&name, &ids))
                .await?;
        }
    }
    if let Some(keep) = horizons.logs {
        loop {
            let (name, below) = (builder.name.clone(), next - i64::from(keep));
            let old = crew
                .store
                .read(move |verbs| verbs.old_logs(&name, below, PIECE))
                .await?;
            if old.is_empty() {
                break;
            }
            let old = remove_files(crew, old).await;
            let name = builder.name.clone();
            crew.store
                .write(move |verbs| verbs.forget_logs(&name, &old))
                .await?;
        }
    }
    Ok(())
}

async fn prune_changes(crew: &Crew) {
    let plan = crew.plan();
    let Some(keep) = plan.master.change_horizon else {
        return;
    };
    loop {
        let schedulers: Vec<_> = plan.schedulers.iter().map(|it| it.name.clone()).collect();
        let forgotten = crew
            .store
            .write(move |verbs| verbs.forget_changes(keep, &schedulers, CHANGES));
        match forgotten.await {
            Ok(0) => return,
            Ok(changes) => debug!(changes, "forgot old changes"),
            Err(error) => {
                warn!(reason = %error, "failed to forget old changes");
                return;
            }
        }
    }
}

/// Removes log files away from the threads that serve everybody; gives back whose they were.
async fn remove_files(crew: &Crew, old: Vec<OldBuild>) -> Vec<OldBuild> {
    let dir = crew.dir.join("builds");
    let files: Vec<_> = old.iter().flat_map(|it| it.files.clone()).collect();
    let removing = tokio::task::spawn_blocking(move || {
        for file in files {
            remove_file(&dir.join(file));
        }
    });
    if removing.await.is_err() {
        warn!("removing old logs broke off");
    }
    old
}

fn remove_file(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            warn!(log = %path.display(), reason = %error, "failed to remove an old log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::config;
    use crate::master::crew::Beginnings;
    use crate::model::{
        BuilderName, ChangeId, LogRecord, NewBuildset, NewChange, Outcome, Progress, Properties,
        SourceStamp, StepRecord, Timestamp,
    };
    use crate::store::{BuildEnd, NewBuild, StoreHandle};

    const NOW: Timestamp = Timestamp(1);

    /// A master without tasks.
    fn crew(dir: &Path, ini: &str) -> Arc<Crew> {
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
            fleet: crate::master::fleet::Fleet::new(std::collections::BTreeMap::new()),
            pauses: crate::master::pauses::Pauses::default(),
            absences: crate::master::absences::Absences::default(),
            stop: tokio_util::sync::CancellationToken::new(),
        })
    }

    fn ini(horizons: &str) -> String {
        format!(
            "[slave:s]\npassword = x\nfactories = a\n\n[a]\ntype = shell\ncommands = true\n{horizons}"
        )
    }

    /// Makes builds with a log each; the one that `runs` has not ended, the one that is
    /// `retried` is still needed.
    async fn build(crew: &Crew, count: i64, runs: Option<i64>, retried: Option<i64>) {
        let dir = crew.dir.join("builds/a-s");
        std::fs::create_dir_all(&dir).expect("made");
        for number in 0..count {
            std::fs::write(dir.join(format!("{number}-log")), "x").expect("written");
            let made = crew.store.write(move |verbs| {
                let (_, requests) = verbs.add_buildset(
                    &NewBuildset {
                        reason: String::new(),
                        stamp: SourceStamp::default(),
                        properties: Properties::new(),
                        priority: None,
                        builders: vec![BuilderName::from("a-s")],
                    },
                    NOW,
                )?;
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
                let step = StepRecord {
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
                        file: format!("a-s/{number}-log"),
                        complete: true,
                    }],
                };
                verbs.put_step(begun.id, &step)?;
                let end = BuildEnd {
                    outcome: if retried == Some(number) {
                        Outcome::Retry
                    } else {
                        Outcome::Success
                    },
                    text: vec![],
                    properties: Properties::new(),
                };
                if runs != Some(number) {
                    verbs.finish_build(begun.id, &end, NOW)?;
                }
                Ok(begun.number)
            });
            assert_eq!(made.await.expect("built"), number);
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

    async fn prune_here(crew: &Crew) {
        let plan = crew.plan();
        try_prune(crew, &plan.builders[0]).await.expect("pruned");
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
        assert_eq!(logs, [1, 3, 4, 5], "the mark waits behind what is needed");

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
                reason: String::new(),
                stamp: SourceStamp {
                    changes: vec![ChangeId(change)],
                    ..SourceStamp::default()
                },
                properties: Properties::new(),
                priority: None,
                builders: vec!["a-s".into()],
            };
            let (_, done) = verbs.add_buildset(&buildset(1), NOW)?;
            verbs.cancel_request(done[0], "", NOW)?;
            let (_, open) = verbs.add_buildset(&buildset(4), NOW)?;
            Ok(open[0])
        });
        let open = open.await.expect("made");
        let left = async || {
            prune_changes(&crew).await;
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
}
