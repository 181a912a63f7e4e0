//! The JSON documents, key by key as clients of Buildbot 0.8.5 know them.

use std::time::Duration;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::estimate::Left;
use crate::master::figures::FiguresView;
use crate::master::figures::Level;
use crate::master::handle::SlaveView;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::Change;
use crate::model::Properties;
use crate::model::RequestRecord;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::model::Usage;
use crate::store::Store;
use crate::store::StoreError;

use super::World;
use crate::web::builders;
use crate::web::failing;
use crate::web::links;

type Found = Result<Value, StoreError>;

/// How many builds of a slave its document looks back on.
const SLAVE_BUILDS: usize = 200;

/// Builds that a builder keeps at hand.
pub(super) const CACHED: usize = 15;

/// The master's figures: what is counted, how long things take, and what is worth a look.
pub(super) fn metrics(figures: &FiguresView) -> Value {
    let alarm = |(name, level, why): &(&'static str, Level, Option<String>)| {
        ((*name).to_owned(), json!([level.as_str(), why]))
    };
    let alarms: Map<String, Value> = figures.alarms.iter().map(alarm).collect();
    json!({ "counters": figures.counters, "timers": figures.timers, "alarms": alarms })
}

impl World {
    pub(super) fn project(&self) -> Value {
        let master = &self.plan.master;
        json!({
            "title": master.title,
            "titleURL": master.title_url,
            "buildbotURL": master.base_url,
        })
    }

    pub(super) fn sources(&self) -> Value {
        let each = self.sources.iter().enumerate();
        each.map(|(at, source)| (at.to_string(), json!({ "description": source.describe })))
            .collect()
    }

    pub(super) fn builder(
        &self,
        store: &mut dyn Store,
        builder: &crate::config::BuilderPlan,
    ) -> Found {
        let running: Vec<i64> = self
            .running
            .iter()
            .filter(|it| it.key.builder == builder.name)
            .map(|it| it.key.number)
            .collect();
        let mut cached = store.newest_numbers(&builder.name, CACHED)?;
        cached.extend(&running);
        cached.sort_unstable();
        cached.dedup();
        let connected = self.present.of(builder);
        let basedir = builder.builddir.rsplit('/').next();
        Ok(json!({
            "basedir": basedir,
            "category": builder.category,
            "slaves": builder.slaves,
            "state": builders::state(!running.is_empty(), connected),
            "currentBuilds": running,
            "cachedBuilds": cached,
            "pendingBuilds": self.pending.get(&builder.name).copied().unwrap_or(0),
            "failing": failing::documents(store, &builder.name)?,
        }))
    }

    pub(super) fn slave(&self, store: &mut dyn Store, slave: &SlaveView) -> Found {
        let mut running = Vec::new();
        for build in self.running.iter().filter(|it| it.slave == slave.name) {
            running.push(self.build(store, build)?);
        }
        let mut builders: Map<String, Value> = slave
            .builders
            .iter()
            .map(|it| (it.to_string(), json!([])))
            .collect();
        for (build, outcome) in store.ran_on(&slave.name, SLAVE_BUILDS)? {
            // What runs stands among the running ones.
            if outcome.is_some()
                && let Some(Value::Array(numbers)) = builders.get_mut(build.builder.as_str())
            {
                numbers.push(build.number.into());
            }
        }
        let paused = slave
            .pause
            .as_ref()
            .map(|it| json!({ "since": secs(Some(it.since)), "by": it.by, "reason": it.reason }));
        let missing = slave.missing.as_ref().map(|it| {
            let trouble = it.trouble.as_ref().map(ToString::to_string);
            json!({
                "since": secs(Some(it.since)),
                "told": it.told.map(|it| secs(Some(it))),
                "trouble": trouble,
            })
        });
        Ok(json!({
            "name": slave.name,
            "connected": slave.connected,
            "host": slave.host,
            "admin": slave.admin,
            "access_uri": slave.access_uri,
            "version": slave.version,
            "paused": paused,
            "missing": missing,
            "shuts_down": slave.shuts_down,
            "on_demand": slave.on_demand,
            "phase": slave.phase.as_ref().map(ToString::to_string),
            "machine": {
                "os": slave.os,
                "kernel": slave.kernel,
                "distribution": slave.machine.distribution,
                "cores": slave.machine.cores,
                "memory": slave.machine.memory,
                "disk_free": slave.machine.disk_free,
            },
            "capabilities": slave.capabilities,
            "downtime": slave.downtime.as_ref().map(|it| secs(Some(it.0))),
            "runningBuilds": running,
            "builders": builders,
        }))
    }

    pub(super) fn build(&self, store: &mut dyn Store, build: &BuildRecord) -> Found {
        let steps = store.steps(build.id)?;
        let mut logs = Vec::new();
        let mut documents = Vec::new();
        let mut current = Value::Null;
        for step in &steps {
            let document = self.step(&build.key, step);
            logs.extend(self.logs(&build.key, step));
            if step.started.is_some() && step.finished.is_none() && build.finished.is_none() {
                current = document.clone();
            }
            documents.push(document);
        }
        Ok(json!({
            "builderName": build.key.builder,
            "number": build.key.number,
            "reason": build.reason,
            "results": build.outcome.map(|it| it.code()),
            "text": build.text,
            "times": [secs(Some(build.started)), secs(build.finished)],
            "eta": self.outlook.left(&build.key).map(Left::secs),
            "slave": build.slave,
            "blame": build.blame,
            "failing_since": build.failing_since,
            "properties": properties(&build.properties),
            "sourceStamp": self.stamp(store, &build.stamp)?,
            "steps": documents,
            "currentStep": current,
            "logs": logs,
        }))
    }

    pub(super) fn step(&self, key: &BuildKey, step: &StepRecord) -> Value {
        let left = self.outlook.running.get(key);
        let at = usize::try_from(step.number).unwrap_or(usize::MAX);
        let left = left.and_then(|it| it.steps.get(at));
        let begun = left.filter(|_| step.started.is_some());
        let expectations: Vec<Value> = begun
            .iter()
            .flat_map(|it| &it.metrics)
            .map(|it| json!([it.name, it.value, it.expected]))
            .collect();
        let statistics: Map<String, Value> = step
            .statistics
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let urls: Map<String, Value> = step
            .urls
            .iter()
            .map(|(name, url)| (name.clone(), json!(url)))
            .collect();
        json!({
            "name": step.name,
            "step_number": step.number,
            "isStarted": step.started.is_some(),
            "isFinished": step.finished.is_some(),
            "results": [step.outcome.map(|it| it.code()), step.build_text],
            "text": step.text,
            "times": [secs(step.started), secs(step.finished)],
            "eta": left.and_then(|it| it.left).map(Left::secs),
            "expectations": expectations,
            "statistics": statistics,
            "urls": urls,
            "logs": self.logs(key, step),
            "usage": step.usage.as_ref().map(usage),
            "ended": step.ended,
        })
    }

    /// Names and addresses; without the site's own address there are none to give.
    fn logs(&self, key: &BuildKey, step: &StepRecord) -> Vec<Value> {
        let base = self.plan.master.base_url.as_deref();
        step.logs
            .iter()
            .map(|log| {
                let url =
                    base.map(|base| format!("{base}{}", links::log(key, &step.name, &log.name)));
                json!([log.name, url])
            })
            .collect()
    }

    pub(super) fn changes(
        &self,
        store: &mut dyn Store,
        stamp: &SourceStamp,
    ) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        for id in &stamp.changes {
            changes.extend(store.change(*id)?);
        }
        Ok(changes)
    }

    pub(super) fn stamp(&self, store: &mut dyn Store, stamp: &SourceStamp) -> Found {
        let changes: Vec<Value> = self.changes(store, stamp)?.iter().map(change).collect();
        Ok(json!({
            "branch": stamp.branch,
            "revision": stamp.revision,
            "repository": stamp.repository,
            "project": stamp.project,
            "hasPatch": stamp.patch.is_some(),
            "changes": changes,
        }))
    }

    pub(super) fn request(&self, store: &mut dyn Store, request: &RequestRecord) -> Found {
        let mut builds = Vec::new();
        for key in &request.builds {
            if let Some(build) = store.build(&key.builder, key.number)? {
                builds.push(self.build(store, &build)?);
            }
        }
        Ok(json!({
            "brid": request.id,
            "builderName": request.builder,
            "source": self.stamp(store, &request.stamp)?,
            "submittedAt": request.submitted.as_secs(),
            "builds": builds,
        }))
    }
}

pub(super) fn change(change: &Change) -> Value {
    let mut names: Vec<_> = change.files.iter().collect();
    names.sort();
    let files: Vec<Value> = names
        .into_iter()
        .map(|name| {
            let url = change
                .revlink
                .contains(name.as_str())
                .then_some(&change.revlink);
            json!({ "name": name, "url": url })
        })
        .collect();
    let properties: Vec<Value> = change
        .properties
        .iter()
        .map(|(name, it)| json!([name, it.value, "Change"]))
        .collect();
    json!({
        "number": change.id,
        "who": change.author,
        "comments": change.comments,
        "when": change.when.as_secs(),
        "at": clock::long(change.when),
        "branch": change.branch,
        "category": change.category,
        "revision": change.revision,
        "rev": change.revision,
        "revlink": change.revlink,
        "repository": change.repository,
        "project": change.project,
        "files": files,
        "properties": properties,
    })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "user": Duration::from_millis(usage.user_ms).as_secs_f64(),
        "system": Duration::from_millis(usage.system_ms).as_secs_f64(),
        "peakMemory": usage.peak_memory,
        "bytesRead": usage.read_bytes,
        "bytesWritten": usage.written_bytes,
        "outOfMemory": usage.out_of_memory,
    })
}

fn properties(properties: &Properties) -> Vec<Value> {
    properties
        .iter()
        .map(|(name, it)| json!([name, it.value, it.source]))
        .collect()
}

fn secs(at: Option<Timestamp>) -> Option<f64> {
    at.map(Timestamp::as_secs_f64)
}
