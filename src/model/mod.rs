//! The nouns that every room speaks: what a change, a request, a build, a
//! step and a command are. No behaviour beyond what keeps a value true, no
//! I/O, no `Serialize` on the nouns: store, wire and web convert at their
//! own edge.

mod artifact;
mod build;
mod change;
mod command;
mod event;
mod failing;
mod files;
mod hex;
mod ids;
mod lock;
mod mirror;
mod outcome;
mod progress;
mod properties;
mod secret;
mod sourcestamp;
mod status;
mod terms;
mod test_result;
mod test_run;
mod time;
mod usage;
mod user;

pub(crate) use artifact::Artifact;
pub(crate) use build::{BuildKey, BuildRecord, LogRecord, RequestRecord, StepRecord};
pub(crate) use change::{Change, NewChange};
pub(crate) use command::{
    Channel, Command, CommandId, Exit, ExitCause, FileCommand, FileWrite, HoleIn, Machine,
    Platform, SecretHole, Shell, ShellLine, Written, signal_name, signal_number,
};
pub(crate) use event::{EventKind, EventRecord, NewEvent, Subject};
pub(crate) use failing::Failing;
pub(crate) use files::{CONTENT, FileKind, FileResult, FileStat, Sent, Upload, UploadKind};
pub(crate) use hex::hex;
pub(crate) use ids::{
    BuildId, BuilderName, BuildsetId, ChangeId, ConfigId, FactoryName, LockName, RequestId,
    SchedulerName, SlaveName, UserId,
};
pub(crate) use lock::{Access, HeldLocks, LockUse};
pub(crate) use mirror::{Mirror, MirrorKind};
pub(crate) use outcome::Outcome;
pub(crate) use progress::{Lap, Metric, OUTPUT, Pace, PaceMeter, PastRun, Progress, Reached};
pub(crate) use properties::references;
pub(crate) use properties::{Properties, Property, RenderError, Text, TextError};
pub(crate) use secret::{Mask, OPENING, SHORTEST_MASKED, SecretName, SecretRef, hide};
pub(crate) use sourcestamp::{NewBuildset, Patch, SourceStamp};
pub(crate) use status::Status;
pub(crate) use terms::{GroupLimits, IoClass, IoPriority, Logfile, RLIMITS, Terms};
pub(crate) use test_result::{PastTest, TestEnd, TestResult, TestResults};
pub(crate) use test_run::{RUN_PROPERTIES, RUN_SOURCE, Recording, RunFailure, RunRows, TestRun};
pub(crate) use time::Timestamp;
pub(crate) use usage::{Bytes, Usage};
pub(crate) use user::{User, UserSection, Vc};
