//! A long history without a farm that made it, for benchmarks: a store is told what a master
//! would tell it, by the same verbs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::config;
use crate::logs::record;
use crate::model::BuilderName;
use crate::model::ChangeId;
use crate::model::Channel;
use crate::model::LogRecord;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Outcome;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::model::Vc;
use crate::store::{BuildEnd, NewBuild, Store, StoreHandle};

/// Builds that are told in one transaction.
const TOGETHER: usize = 1000;
/// Builds of one change.
const OF_CHANGE: usize = 5;
const STEPS: [&str; 5] = ["checkout", "configure", "compile", "test", "upload"];
const AUTHORS: usize = 200;
/// What lies between two builds.
const PAUSE: Duration = Duration::from_secs(20);

/// What is told.
struct History {
    builders: Vec<BuilderName>,
    slaves: Vec<crate::model::SlaveName>,
    builds: usize,
    now: Timestamp,
}

/// Fills the store of the master in `dir` with so many finished builds, all builders in turn,
/// and so many requests that wait; only the newest build of each builder has its logs.
///
/// # Errors
/// The configuration has mistakes, or the store does not take it.
pub fn fill_history(dir: &Path, builds: usize, waiting: usize) -> Result<(), String> {
    let plan = config::load_offline(dir).map_err(|it| it.render(false))?;
    let store = StoreHandle::open(&dir.join("state.sqlite")).map_err(|it| it.to_string())?;
    let logs = dir.join("builds");
    fs::create_dir_all(&logs).map_err(|it| it.to_string())?;
    let mut text = Vec::new();
    for line in 0..200 {
        let line = format!("src/part_{line}.c: compiled with 2 warnings\n");
        record::push(Channel::Stdout, line.as_bytes(), &mut text);
    }
    let history = std::sync::Arc::new(History {
        builders: plan.builders.iter().map(|it| it.name.clone()).collect(),
        slaves: plan.slaves.iter().map(|it| it.name.clone()).collect(),
        builds,
        now: clock::now(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|it| it.to_string())?;
    for from in (0..builds).step_by(TOGETHER) {
        let history = std::sync::Arc::clone(&history);
        let (logs, text) = (logs.clone(), text.clone());
        let told = runtime.block_on(store.write(move |verbs| {
            for number in from..(from + TOGETHER).min(history.builds) {
                let files = history.tell(verbs, number)?;
                if number + history.builders.len() >= history.builds {
                    for file in files {
                        // Without it the page of a log says so, and is measured all the same.
                        drop(fs::write(logs.join(file), &text));
                    }
                }
            }
            Ok(())
        }));
        told.map_err(|it| it.to_string())?;
    }
    let asked = runtime.block_on(store.write(move |verbs| {
        for number in 0..waiting {
            let builder = &history.builders[number % history.builders.len()];
            verbs.add_buildset(&history.wish(builder, number, None), history.now)?;
        }
        Ok(())
    }));
    asked.map_err(|it| it.to_string())
}

impl History {
    fn wish(&self, builder: &BuilderName, number: usize, change: Option<ChangeId>) -> NewBuildset {
        NewBuildset {
            reason: "scheduler `all`".into(),
            stamp: SourceStamp {
                branch: Some("main".into()),
                revision: Some(format!("{number:040x}")),
                repository: "https://example.org/words.git".into(),
                project: "words".into(),
                patch: None,
                changes: change.into_iter().collect(),
            },
            properties: Properties::new(),
            priority: None,
            builders: vec![builder.clone()],
        }
    }

    /// Tells the store one build; gives the names of its log files.
    fn tell(&self, verbs: &mut dyn Store, number: usize) -> crate::store::Result<Vec<String>> {
        let builder = &self.builders[number % self.builders.len()];
        let ago = i64::try_from(self.builds - number).unwrap_or(i64::MAX);
        let begun = Timestamp(self.now.0 - ago * millis(PAUSE));
        let after = |secs: u64| Timestamp(begun.0 + millis(Duration::from_secs(secs)));
        let change = self.change(verbs, number, begun)?;
        let wish = self.wish(builder, number, Some(change));
        let requests = verbs.add_buildset(&wish, begun)?.1;
        let new = NewBuild {
            builder: builder.clone(),
            slave: self.slaves[number % self.slaves.len()].clone(),
            requests,
            stamp: wish.stamp,
            reason: wish.reason,
            config: None,
            locks: Vec::new(),
        };
        let Some(build) = verbs.start_build(&new, begun)? else {
            return Ok(Vec::new());
        };
        // Each twentieth builder fails, and others now and then.
        let turn = number / self.builders.len();
        let outcome = match (number % 20, (number + turn) % 13) {
            (7, _) | (_, 3) => Outcome::Failure,
            (_, 5) => Outcome::Warnings,
            _ => Outcome::Success,
        };
        let mut properties = Properties::new();
        properties.set("branch", "main", "Build");
        properties.set("buildername", builder.as_str(), "Builder");
        properties.set("buildnumber", build.number, "Build");
        properties.set("got_revision", format!("{number:040x}"), "checkout");
        properties.set("scheduler", "all", "Scheduler");
        properties.set("slavename", new.slave.as_str(), "BuildSlave");
        let steps: Vec<_> = STEPS
            .iter()
            .zip(0_u32..)
            .map(|(name, at)| StepRecord {
                number: at,
                name: (*name).to_owned(),
                started: Some(after(u64::from(at) * 10)),
                finished: Some(after(u64::from(at) * 10 + 9)),
                outcome: Some(match at {
                    3 => outcome,
                    _ => Outcome::Success,
                }),
                text: vec![(*name).to_owned()],
                build_text: Vec::new(),
                statistics: vec![("warnings".into(), 2)],
                urls: Vec::new(),
                hidden: false,
                usage: None,
                ended: None,
                progress: Progress {
                    counts: true,
                    began: Some(after(u64::from(at) * 10)),
                    ..Progress::default()
                },
                logs: vec![LogRecord {
                    name: "stdio".into(),
                    file: format!("{}-{at}-stdio", build.id),
                    complete: true,
                }],
            })
            .collect();
        verbs.plan_build(build.id, "", &properties, &steps)?;
        let end = BuildEnd {
            outcome,
            text: vec!["build".into(), outcome.as_str().into()],
            properties,
        };
        verbs.finish_build(build.id, &end, after(50))?;
        verbs.measure(&[(build.id, 9000)])?;
        Ok(steps
            .into_iter()
            .flat_map(|it| it.logs)
            .map(|it| it.file)
            .collect())
    }

    fn change(
        &self,
        verbs: &mut dyn Store,
        number: usize,
        now: Timestamp,
    ) -> crate::store::Result<ChangeId> {
        if number.is_multiple_of(OF_CHANGE) {
            let change = NewChange {
                files: (0..4).map(|it| format!("src/part_{it}.c")).collect(),
                comments: format!("reword part {number}\n\nIt was hard to read."),
                revision: Some(format!("{number:040x}")),
                branch: Some("main".into()),
                repository: "https://example.org/words.git".into(),
                project: "words".into(),
                when: Some(now),
                vc: Some(Vc::Git),
                ..NewChange::by(format!("Ann {0} <ann{0}@example.org>", number % AUTHORS))
            };
            if let Some(id) = verbs.add_change(&change, now)? {
                return Ok(id);
            }
        }
        verbs.newest_change()
    }
}

fn millis(it: Duration) -> i64 {
    i64::try_from(it.as_millis()).unwrap_or(i64::MAX)
}
