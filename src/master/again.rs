//! What a person wants of builds and requests that are there already: the same
//! once more, or an end of them.

use crate::clock;
use crate::master::forcing;
use crate::master::handle::{Denied, MasterHandle};
use crate::master::intake::{Asker, take_in};
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ChangeId;
use crate::model::NewBuildset;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::SourceStamp;

/// Where properties of a build come from that its next build has of its own.
const OF_ONE_BUILD: [&str; 4] = ["Build", "Builder", "BuildSlave", "slave"];

/// Who has asked for a build is no longer its scheduler when a person does.
const SCHEDULER: &str = "scheduler";

/// What a person asks to be built once more.
#[derive(Clone, Debug)]
pub(crate) struct Rebuild {
    pub(crate) build: BuildKey,
    pub(crate) reason: String,
    /// Over those of the build, as they were typed.
    pub(crate) properties: Properties,
    /// Who has logged in and asks: whose the build is, whatever was typed.
    pub(crate) owner: Option<String>,
    pub(crate) priority: Option<i64>,
}

impl MasterHandle {
    /// Makes a request for what the build has built: the same source, exactly, with the same
    /// properties.
    ///
    /// # Errors
    /// The build is not there or not finished, its builder has left the configuration, or a
    /// property is not let in.
    pub(crate) async fn rebuild(
        &self,
        rebuild: Rebuild,
    ) -> Result<(BuildsetId, RequestId), Denied> {
        let plan = self.plan();
        let typed = forcing::check_typed(&rebuild, &plan)?;
        let key = rebuild.build;
        let found = {
            let key = key.clone();
            let found = self
                .store()
                .read(move |verbs| verbs.build(&key.builder, key.number));
            found.await?
        };
        let Some(build) = found else {
            return Err(Denied::NoBuild(key.to_string()));
        };
        if build.finished.is_none() {
            return Err(Denied::Running(key));
        }
        if !plan.builders.iter().any(|it| it.name == key.builder) {
            return Err(Denied::NoBuilder(key.builder.to_string()));
        }
        let wanted = NewBuildset {
            reason: rebuild.reason,
            stamp: exact_stamp(&build),
            properties: carried_over(&build.properties, &typed),
            priority: rebuild.priority,
            builders: vec![key.builder],
        };
        let crew = self.crew();
        let made = crew
            .store
            .write(move |verbs| take_in(verbs, &plan, &wanted, Asker::Person));
        let intake = made.await??;
        let made = intake.made();
        crew.taken_in(intake).await;
        Ok(made?)
    }

    /// Cancels what waits of a change, of one builder or of all; says which requests that were.
    ///
    /// # Errors
    /// The store cannot be used.
    pub(crate) async fn cancel_change(
        &self,
        change: ChangeId,
        builder: Option<&BuilderName>,
        why: &str,
    ) -> Result<Vec<RequestId>, Denied> {
        let (builder, why) = (builder.cloned(), why.to_owned());
        let crew = self.crew();
        let cancelled = crew.store.write(move |verbs| {
            let mut cancelled = Vec::new();
            for it in verbs.requests_of_change(change)? {
                let is_meant = builder.as_ref().is_none_or(|name| *name == it.builder);
                if is_meant && verbs.cancel_request(it.id, &why, clock::now())? {
                    cancelled.push((it.id, it.builder));
                }
            }
            Ok(cancelled)
        });
        let mut ids = Vec::new();
        for (id, builder) in cancelled.await? {
            crew.request_gone(id, builder).await;
            ids.push(id);
        }
        Ok(ids)
    }

    /// Stops every build that runs, of these builders or of all; says which builds those were.
    ///
    /// # Errors
    /// The store cannot be used.
    pub(crate) async fn stop_builds(
        &self,
        of: Option<&[BuilderName]>,
        reason: &str,
    ) -> Result<Vec<BuildKey>, Denied> {
        let live = self.crew().live().keys().cloned().collect::<Vec<_>>();
        let mut stopped = Vec::new();
        for key in live {
            if of.is_some_and(|it| !it.contains(&key.builder)) {
                continue;
            }
            match self.stop_build(&key, reason).await {
                Ok(()) => stopped.push(key),
                // It has just ended.
                Err(Denied::Finished(_) | Denied::NoBuild(_)) => {}
                Err(denied) => return Err(denied),
            }
        }
        stopped.sort();
        Ok(stopped)
    }
}

/// The source of a build as it turned out to be.
fn exact_stamp(build: &BuildRecord) -> SourceStamp {
    let mut stamp = build.stamp.clone();
    let got = build.properties.text("got_revision");
    if let Some(got) = got.filter(|it| !it.is_empty()) {
        stamp.revision = Some(got.to_owned());
    }
    stamp
}

/// The properties that go from a build to its next: those that it was asked for with, and not
/// what came up while it ran, or is of that build, its builder or its slave.
fn carried_over(of_build: &Properties, extra: &Properties) -> Properties {
    let mut properties = Properties::new();
    for (name, it) in of_build.iter() {
        let is_its_own = it.runtime || OF_ONE_BUILD.contains(&it.source.as_str());
        if !is_its_own && name != SCHEDULER {
            properties.set(name, it.value.clone(), it.source.as_str());
        }
    }
    properties.overlay(extra);
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_carries_all_properties_but_those_of_the_run_the_builder_and_the_slave() {
        let mut of_build = Properties::new();
        of_build.set("owner", "ann", "Force Build Form");
        of_build.set("of_change", "1", "Change");
        of_build.set("scheduler", "quick", "Scheduler");
        of_build.set("buildnumber", 7, "Build");
        of_build.set("of_builder", "x", "Builder");
        of_build.set("of_slave", "x", "BuildSlave");
        of_build.set("workdir", "/x", "slave");
        of_build.set_runtime("got_revision", "abc", "git");
        let mut extra = Properties::new();
        extra.set("of_change", "2", "Force Build Form");
        extra.set("new", "3", "Force Build Form");
        let carried = carried_over(&of_build, &extra);
        let shown: Vec<String> = carried
            .iter()
            .map(|(name, it)| format!("{name}={} ({})", it.value, it.source))
            .collect();
        assert_eq!(
            shown,
            [
                "new=\"3\" (Force Build Form)",
                "of_change=\"2\" (Force Build Form)",
                "owner=\"ann\" (Force Build Form)",
            ]
        );
    }
}
