//! `triggerable`: builds when a `trigger` step of another build asks for it.
//! The master makes its buildsets; by itself it does nothing.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::model::SchedulerName;

use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::force::Asked;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "triggerable",
    aliases: &["triggerable_scheduler"],
    summary: "Builds when a `trigger` step of another build asks for it.",
    example: "property.channel = stable",
    read: |_| Some(Arc::new(Triggerable)),
};

#[derive(Clone, Debug, PartialEq)]
struct Triggerable;

impl Settings for Triggerable {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, _name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(Asked)
    }

    fn describe(&self) -> String {
        "builds when a trigger step asks for it".into()
    }

    fn is_triggerable(&self) -> bool {
        true
    }
}
