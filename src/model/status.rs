//! What pages, feeds and reporters hear about. Events are hints: whoever
//! missed some reads the store again.

use super::{BuildKey, BuilderName, ChangeId, Outcome, RequestId, SlaveName};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Status {
    ChangeAdded {
        change: ChangeId,
    },
    RequestAdded {
        request: RequestId,
        builder: BuilderName,
    },
    RequestFinished {
        request: RequestId,
        builder: BuilderName,
    },
    BuildStarted {
        build: BuildKey,
        slave: SlaveName,
    },
    StepStarted {
        build: BuildKey,
        step: u32,
    },
    StepFinished {
        build: BuildKey,
        step: u32,
        outcome: Outcome,
    },
    /// A log has more to read.
    LogGrew {
        build: BuildKey,
        step: u32,
        log: String,
    },
    BuildFinished {
        build: BuildKey,
        slave: SlaveName,
        outcome: Outcome,
    },
    SlaveChanged {
        slave: SlaveName,
    },
    /// The master has begun to wait for a disk, or waits no longer.
    TroubleChanged,
    /// A clean shutdown of the master began or was cancelled.
    ShutdownChanged,
    /// A new configuration is in force.
    Reloaded,
    /// The configuration on the disk has mistakes; the one from before stays in force.
    ReloadRefused,
}
