//! What the rules of the configuration see of requests, builders and slaves.

use serde_json::{Map, Value, json};

use crate::config::{BuilderPlan, SlavePlan};
use crate::model::Properties;
use crate::model::RequestRecord;

/// A request, as `a`, `b` and `request`.
pub(super) fn request(it: &RequestRecord) -> Map<String, Value> {
    let stamp = &it.stamp;
    let changes: Vec<i64> = stamp.changes.iter().map(|it| it.0).collect();
    let Value::Object(map) = json!({
        "id": it.id.0,
        "builder": it.builder.as_str(),
        "reason": it.reason,
        "submitted": it.submitted.as_secs_f64(),
        "branch": stamp.branch,
        "revision": stamp.revision,
        "repository": stamp.repository,
        "project": stamp.project,
        "changes": changes,
        "has_patch": stamp.patch.is_some(),
        "priority": it.priority,
        "properties": properties(&it.properties),
    }) else {
        unreachable!("an object was written");
    };
    map
}

/// Two requests that may become one build; `agrees` says what would be done without the rule.
pub(super) fn pair(head: &RequestRecord, other: &RequestRecord) -> (Value, Value) {
    let agrees = head.stamp.can_merge_with(&other.stamp);
    let side = |it: &RequestRecord| {
        let mut map = request(it);
        map.insert("agrees".into(), agrees.into());
        Value::Object(map)
    };
    (side(head), side(other))
}

/// What a builder has to do.
pub(super) struct BuilderLoad {
    pub(super) waiting: usize,
    pub(super) running: usize,
    /// Of its most urgent request.
    pub(super) priority: i64,
}

/// A builder with what it has to do.
pub(super) fn builder(it: &BuilderPlan, oldest: &RequestRecord, load: &BuilderLoad) -> Value {
    let slaves: Vec<&str> = it.slaves.iter().map(|it| it.as_str()).collect();
    json!({
        "name": it.name.as_str(),
        "factory": it.factory_name.as_str(),
        "category": it.category,
        "tags": it.tags,
        "slaves": slaves,
        "properties": properties(&it.properties),
        "oldest": oldest.submitted.as_secs_f64(),
        "waiting": load.waiting,
        "running": load.running,
        "priority": load.priority,
    })
}

/// A slave that could take a build.
pub(super) fn slave(it: &SlavePlan, running: usize, last_used: u64, warm: &str) -> Value {
    json!({
        "name": it.name.as_str(),
        "os": it.os,
        "tags": it.tags,
        "has": it.has,
        "timeout_factor": it.timeout_factor,
        "max_builds": it.max_builds,
        "properties": properties(&it.properties),
        "running": running,
        "last_used": last_used,
        "warm": warm,
    })
}

fn properties(all: &Properties) -> Value {
    let pairs = all.iter();
    let pairs = pairs.map(|(name, it)| (name.to_owned(), it.value.clone()));
    Value::Object(pairs.collect())
}
