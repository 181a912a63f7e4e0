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
        .map(|it| it.stamp.clone())
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
    use super::*;
    use crate::model::{BuildsetId, ChangeId, RequestId, Timestamp};

    fn request(reason: &str, changes: &[i64], revision: &str) -> RequestRecord {
        RequestRecord {
            id: RequestId(1),
            buildset: BuildsetId(1),
            builder: "a".into(),
            submitted: Timestamp(0),
            reason: reason.into(),
            stamp: SourceStamp {
                revision: Some(revision.into()),
                changes: changes.iter().copied().map(ChangeId).collect(),
                ..SourceStamp::default()
            },
            properties: Properties::new(),
            outcome: None,
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
}
