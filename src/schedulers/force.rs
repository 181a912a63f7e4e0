//! `force`: what is added when a person asks for a build. The pages and the
//! command line ask; by itself it does nothing.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::model::SchedulerName;
use crate::syntax::Keys;

use super::Now;
use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::Wish;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "force",
    aliases: &["force_scheduler"],
    summary: "Adds properties and a reason to builds that a person asks for.",
    example: "reason = by hand\nproperty.channel = manual",
    read: |keys| Some(Arc::new(Force::read(keys)?)),
};

/// What it says of builds that a person asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Force {
    /// Stands for the reason of a person who gave none.
    pub(crate) reason: Option<String>,
}

impl Force {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let reason = keys.optional("reason")?;
        Some(Self { reason })
    }
}

impl Settings for Force {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, _name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(Asked)
    }

    fn describe(&self) -> String {
        "builds when a person asks for it".into()
    }

    fn as_force(&self) -> Option<&Force> {
        Some(self)
    }
}

/// Does nothing by itself.
pub(super) struct Asked;

impl Scheduler for Asked {
    fn due(&self, _now: Now) -> Option<Instant> {
        None
    }

    fn on_due(&mut self, _now: Now) -> Option<Wish> {
        None
    }

    fn state(&self) -> Value {
        json!({})
    }

    fn restore(&mut self, _state: &Value, _now: Now) {}
}
