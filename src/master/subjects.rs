//! What the rules of the configuration see of requests, builders and slaves.

use serde_json::{Map, Value, json};

use crate::config::{BuilderOrder, BuilderPlan, Rule, SlaveOrder, SlavePlan};
use crate::model::Properties;
use crate::model::RequestRecord;

/// What a rule is shown of a thing: only what it looks at, for a rule is asked very often.
struct Shown<'a> {
    rule: &'a Rule,
    /// What the rule calls the thing.
    thing: &'a str,
    map: Map<String, Value>,
}

impl<'a> Shown<'a> {
    fn to(rule: &'a Rule, thing: &'a str) -> Self {
        Self {
            rule,
            thing,
            map: Map::new(),
        }
    }

    fn with(mut self, name: &str, value: impl FnOnce() -> Value) -> Self {
        if self.rule.reads(self.thing, name) {
            self.map.insert(name.to_owned(), value());
        }
        self
    }

    fn done(self) -> Value {
        Value::Object(self.map)
    }
}

/// A request, as `a`, `b` and `request`.
pub(super) fn request(rule: &Rule, thing: &str, it: &RequestRecord) -> Value {
    shown_request(rule, thing, it).done()
}

fn shown_request<'a>(rule: &'a Rule, thing: &'a str, it: &RequestRecord) -> Shown<'a> {
    let stamp = &it.stamp;
    let changes = || stamp.changes.iter().map(|it| it.0).collect::<Vec<i64>>();
    Shown::to(rule, thing)
        .with("id", || it.id.0.into())
        .with("builder", || it.builder.as_str().into())
        .with("reason", || it.reason.as_str().into())
        .with("submitted", || it.submitted.as_secs_f64().into())
        .with("branch", || json!(stamp.branch))
        .with("revision", || json!(stamp.revision))
        .with("repository", || stamp.repository.as_str().into())
        .with("project", || stamp.project.as_str().into())
        .with("changes", || changes().into())
        .with("has_patch", || stamp.patch.is_some().into())
        .with("priority", || json!(it.priority))
        .with("properties", || properties(&it.properties))
}

/// Two requests that may become one build; `agrees` says what would be done without the rule.
pub(super) fn pair(rule: &Rule, head: &RequestRecord, other: &RequestRecord) -> (Value, Value) {
    let agrees = || head.stamp.can_merge_with(&other.stamp).into();
    let side = |thing, it| shown_request(rule, thing, it).with("agrees", agrees).done();
    (side("a", head), side("b", other))
}

/// What a builder has to do.
pub(super) struct BuilderLoad<'a> {
    pub(super) waiting: usize,
    /// Counts them, if somebody wants to know.
    pub(super) running: &'a dyn Fn() -> usize,
    /// Of its most urgent request.
    pub(super) priority: i64,
}

/// A builder with what it has to do.
pub(super) fn builder(
    rule: &Rule,
    it: &BuilderPlan,
    oldest: &RequestRecord,
    load: &BuilderLoad<'_>,
) -> Value {
    let slaves = || it.slaves.iter().map(|it| it.as_str()).collect::<Vec<_>>();
    Shown::to(rule, BuilderOrder::THING)
        .with("name", || it.name.as_str().into())
        .with("factory", || it.factory_name.as_str().into())
        .with("category", || json!(it.category))
        .with("tags", || json!(it.tags))
        .with("slaves", || slaves().into())
        .with("properties", || properties(&it.properties))
        .with("oldest", || oldest.submitted.as_secs_f64().into())
        .with("waiting", || load.waiting.into())
        .with("running", || (load.running)().into())
        .with("priority", || load.priority.into())
        .done()
}

/// A slave that could take a build.
pub(super) fn slave(
    rule: &Rule,
    it: &SlavePlan,
    running: usize,
    last_used: u64,
    warm: &str,
) -> Value {
    Shown::to(rule, SlaveOrder::THING)
        .with("name", || it.name.as_str().into())
        .with("os", || json!(it.os))
        .with("tags", || json!(it.tags))
        .with("has", || json!(it.has))
        .with("timeout_factor", || it.timeout_factor.into())
        .with("max_builds", || json!(it.max_builds))
        .with("properties", || properties(&it.properties))
        .with("running", || running.into())
        .with("last_used", || last_used.into())
        .with("warm", || warm.into())
        .done()
}

fn properties(all: &Properties) -> Value {
    let pairs = all.iter();
    let pairs = pairs.map(|(name, it)| (name.to_owned(), it.value.clone()));
    Value::Object(pairs.collect())
}
