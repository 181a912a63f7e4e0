//! What the expressions of a step see of its build besides the properties: the
//! names that `expr/names.rs` promises, from plain values.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::config::BuilderPlan;
use crate::config::SlavePlan;
use crate::expr::Values;
use crate::model::Outcome;
use crate::model::Platform;
use crate::model::Properties;
use crate::model::StepRecord;

/// A build when one of its steps begins.
pub(super) struct Around<'a> {
    pub(super) builder: &'a BuilderPlan,
    pub(super) slave: &'a SlavePlan,
    pub(super) platform: &'a Platform,
    pub(super) number: i64,
    pub(super) reason: &'a str,
    /// The steps before this one.
    pub(super) earlier: &'a [StepRecord],
}

/// The names.
pub(super) fn around(it: &Around<'_>) -> Values {
    Values::new()
        .with("tags", it.builder.tags.clone())
        .with("slave", slave(it.slave, it.platform))
        .with(
            "builder",
            json!({
                "name": it.builder.name.as_str(),
                "category": it.builder.category,
                "tags": it.builder.tags,
            }),
        )
        .with("build", json!({ "number": it.number, "reason": it.reason }))
        .with("step", steps(it.earlier))
}

fn slave(plan: &SlavePlan, platform: &Platform) -> Value {
    json!({
        "name": plan.name.as_str(),
        "os": said(&platform.os),
        "arch": said(&platform.arch),
        "version": said(&platform.version),
        "hostname": said(&platform.hostname),
        "tags": plan.tags,
        "timeout_factor": plan.timeout_factor,
        "has": plan.has,
        "properties": by_name(&plan.properties),
    })
}

/// What a slave does not say of itself is `none`.
fn said(text: &str) -> Option<&str> {
    Some(text).filter(|it| !it.is_empty())
}

fn by_name(properties: &Properties) -> Value {
    let all = properties.iter();
    all.map(|(name, it)| (name.to_owned(), it.value.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// Those that have ended; a step that was passed over is `none`.
fn steps(earlier: &[StepRecord]) -> Value {
    let ended = earlier.iter().filter_map(|step| {
        let outcome = step.outcome?;
        let about = json!({
            "failed": matches!(outcome, Outcome::Failure | Outcome::Exception | Outcome::Retry),
            "succeeded": matches!(outcome, Outcome::Success | Outcome::Warnings),
            "warned": outcome == Outcome::Warnings,
            "skipped": outcome == Outcome::Skipped,
            "outcome": outcome.as_str(),
        });
        Some((step.name.clone(), about))
    });
    ended.collect::<Map<_, _>>().into()
}
