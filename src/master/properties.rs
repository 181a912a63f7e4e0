//! The properties a build begins with, later ones win: global, each change,
//! each request, the build's own, the builder's, the slave's.

use serde_json::Value;

use crate::config::BuilderPlan;
use crate::config::SlavePlan;
use crate::model::Change;
use crate::model::Properties;
use crate::model::RequestRecord;
use crate::model::SourceStamp;

/// The stamp, reason and changes of requests that become one build.
pub(crate) fn merged_stamp(requests: &[RequestRecord]) -> (SourceStamp, String) {
    let mut stamp = requests
        .first()
        .map(|it| SourceStamp::clone(&it.stamp))
        .unwrap_or_default();
    for other in requests.iter().skip(1) {
        stamp.changes.extend_from_slice(&other.stamp.changes);
    }
    stamp.changes.sort_unstable();
    stamp.changes.dedup();
    // With changes, the newest of them says which revision is built.
    let newest = requests
        .iter()
        .max_by_key(|it| it.stamp.changes.iter().max());
    if let Some(newest) = newest
        && !newest.stamp.changes.is_empty()
    {
        stamp.branch.clone_from(&newest.stamp.branch);
        stamp.revision.clone_from(&newest.stamp.revision);
    }
    let mut reasons: Vec<&str> = Vec::new();
    for reason in requests.iter().map(|it| it.reason.as_str()) {
        if !reason.is_empty() && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    (stamp, reasons.join(", "))
}

/// What is known when a build begins.
pub(crate) struct Beginning<'a> {
    pub(crate) global: &'a Properties,
    /// Of the stamp, oldest first.
    pub(crate) changes: &'a [Change],
    pub(crate) requests: &'a [RequestRecord],
    pub(crate) number: i64,
    pub(crate) stamp: &'a SourceStamp,
    pub(crate) builder: &'a BuilderPlan,
    pub(crate) slave: &'a SlavePlan,
    /// Where the slave keeps its builders, if it said so.
    pub(crate) slave_basedir: Option<&'a str>,
    /// Whether its paths are joined with `\`.
    pub(crate) is_windows: bool,
}

/// Puts them together.
pub(crate) fn at_beginning(it: &Beginning<'_>) -> Properties {
    let mut all = it.global.clone();
    for change in it.changes {
        all.overlay(&change.properties);
    }
    let mut owners = Vec::new();
    for request in it.requests {
        all.overlay(&request.properties);
        owners.extend(request.properties.get("owner").cloned());
    }
    all.set("buildnumber", it.number, "Build");
    all.set("branch", it.stamp.branch.clone(), "Build");
    all.set("revision", it.stamp.revision.clone(), "Build");
    all.set("repository", it.stamp.repository.clone(), "Build");
    all.set("project", it.stamp.project.clone(), "Build");
    all.set("buildername", it.builder.name.as_str(), "Builder");
    all.overlay(&it.builder.properties);
    all.overlay(&it.slave.properties);
    all.set("slavename", it.slave.name.as_str(), "BuildSlave");
    if let Some(basedir) = it.slave_basedir {
        let separator = if it.is_windows { '\\' } else { '/' };
        let own = it.builder.slavebuilddir.as_str();
        let workdir = match own.starts_with('/') {
            true => own.to_owned(),
            false => format!("{basedir}{separator}{own}"),
        };
        all.set("workdir", workdir, "slave");
    }
    if !owners.is_empty() {
        all.set("owners", Value::Array(owners), "Build");
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::plan_of;
    use crate::model::{BuildsetId, ChangeId, RequestId, Timestamp};

    fn request(reason: &str, changes: &[i64], revision: &str) -> RequestRecord {
        RequestRecord {
            id: RequestId(1),
            buildset: BuildsetId(1),
            builder: "a".into(),
            submitted: Timestamp(0),
            reason: reason.into(),
            stamp: Arc::new(SourceStamp {
                revision: Some(revision.into()),
                changes: changes.iter().copied().map(ChangeId).collect(),
                ..SourceStamp::default()
            }),
            properties: Arc::default(),
            priority: None,
            outcome: None,
            cancelled: None,
            builds: vec![],
            claimed: false,
        }
    }

    #[test]
    fn merged_requests_build_the_newest_change_and_give_every_reason_once() {
        let requests = [
            request("scheduler", &[2], "r2"),
            request("scheduler", &[1], "r1"),
            request("", &[3], "r3"),
        ];
        let (stamp, reason) = merged_stamp(&requests);
        assert_eq!(stamp.revision.as_deref(), Some("r3"));
        assert_eq!(stamp.changes, [ChangeId(1), ChangeId(2), ChangeId(3)]);
        assert_eq!(reason, "scheduler");
    }

    /// The properties of a build of `words` on `linux`, with these requests and changes.
    fn beginning(requests: &[RequestRecord], changes: &[Change], is_windows: bool) -> Properties {
        let plan = plan_of(
            "[:master:]\nslaveport = none\nhtmlport = none\nproperty.where = global\nproperty.global = yes\n\
             [slave:linux]\npassword = x\nproperty.where = slave\nproperty.of_slave = 1\n\
             [words]\ntype = shell\ncommands = true\n[builder:words]\nfactory = words\nslaves = linux\n\
             property.where = builder\nproperty.who = builder\nproperty.project = renamed\n",
        );
        let (stamp, _) = merged_stamp(requests);
        at_beginning(&Beginning {
            global: &plan.master.properties,
            changes,
            requests,
            number: 7,
            stamp: &stamp,
            builder: &plan.builders[0],
            slave: &plan.slaves[0],
            slave_basedir: Some(if is_windows { "C:\\bot" } else { "/srv/bot" }),
            is_windows,
        })
    }

    fn change(id: i64, properties: &[(&str, &str)]) -> Change {
        let mut all = Properties::new();
        for (name, value) in properties {
            all.set(*name, *value, "Change");
        }
        Change {
            id: ChangeId(id),
            author: "ann".into(),
            files: vec![],
            comments: String::new(),
            revision: None,
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: Timestamp(0),
            properties: all,
        }
    }

    fn asking(id: i64, properties: &[(&str, &str)]) -> RequestRecord {
        let mut request = request("because", &[], "r1");
        request.id = RequestId(id);
        for (name, value) in properties {
            Arc::make_mut(&mut request.properties).set(*name, *value, "Scheduler");
        }
        request
    }

    fn shown(properties: &Properties, name: &str) -> String {
        let mut all = properties.iter();
        match all.find(|(it, _)| *it == name) {
            Some((_, it)) => format!("{} from {}", it.value, it.source),
            None => "not set".to_owned(),
        }
    }

    #[test]
    fn the_slave_wins_over_the_builder_that_over_the_request_that_over_the_change() {
        let all = [
            ("where", "x"),
            ("who", "x"),
            ("what", "request"),
            ("of_slave", "x"),
        ];
        let changed = [("what", "change"), ("of_change", "newer")];
        let changes = [change(1, &[("of_change", "older")]), change(2, &changed)];
        let seen = beginning(&[asking(1, &all)], &changes, false);
        assert_eq!(shown(&seen, "where"), "\"slave\" from BuildSlave");
        assert_eq!(shown(&seen, "who"), "\"builder\" from Builder");
        assert_eq!(shown(&seen, "what"), "\"request\" from Scheduler");
        assert_eq!(shown(&seen, "of_change"), "\"newer\" from Change");
        assert!(
            shown(&seen, "global").ends_with("from Global"),
            "{}",
            shown(&seen, "global")
        );
        assert!(shown(&seen, "of_slave").ends_with("from BuildSlave"));
    }

    #[test]
    fn a_builder_may_rename_what_the_build_says_of_itself() {
        let seen = beginning(&[asking(1, &[])], &[], false);
        assert_eq!(shown(&seen, "project"), "\"renamed\" from Builder");
        assert_eq!(shown(&seen, "buildnumber"), "7 from Build");
        assert_eq!(shown(&seen, "branch"), "null from Build");
        assert_eq!(shown(&seen, "revision"), "\"r1\" from Build");
        assert_eq!(shown(&seen, "buildername"), "\"words\" from Builder");
        assert_eq!(shown(&seen, "slavename"), "\"linux\" from BuildSlave");
        assert_eq!(
            shown(&seen, "scheduler"),
            "not set",
            "a forced build has none"
        );
        assert_eq!(shown(&seen, "owners"), "not set");
    }

    #[test]
    fn of_merged_requests_the_later_one_wins_and_every_owner_is_kept() {
        let first = asking(1, &[("what", "first"), ("owner", "ann")]);
        let second = asking(2, &[("what", "second"), ("owner", "bo")]);
        let seen = beginning(&[first, second], &[], false);
        assert_eq!(shown(&seen, "what"), "\"second\" from Scheduler");
        assert_eq!(shown(&seen, "owners"), "[\"ann\",\"bo\"] from Build");
    }

    #[test]
    fn the_workdir_is_written_as_the_slave_writes_it() {
        let here = beginning(&[asking(1, &[])], &[], false);
        assert_eq!(shown(&here, "workdir"), "\"/srv/bot/words\" from slave");
        let there = beginning(&[asking(1, &[])], &[], true);
        assert_eq!(there.text("workdir"), Some("C:\\bot\\words"));
    }

    #[test]
    fn a_scheduler_says_its_own_name_whatever_its_properties_say() {
        let mut own = Properties::new();
        own.set("scheduler", "another", "Trigger");
        own.set("who", "ann", "Trigger");
        let all = crate::master::ports::properties_of(&"nightly".into(), own);
        assert_eq!(shown(&all, "scheduler"), "\"nightly\" from Scheduler");
        assert_eq!(shown(&all, "who"), "\"ann\" from Trigger");
    }
}
