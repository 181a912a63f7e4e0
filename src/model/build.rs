//! Requests, builds, steps and logs as they stand in the store.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::{
    BuildId, BuilderName, BuildsetId, ConfigId, Exit, Outcome, Progress, Properties, RequestId,
    SlaveName, SourceStamp, Timestamp, Usage,
};

/// A build as people name it: `BUILDER/NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BuildKey {
    pub(crate) builder: BuilderName,
    /// From 0, per builder, without gaps.
    pub(crate) number: i64,
}

impl fmt::Display for BuildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.builder, self.number)
    }
}

/// One builder's share of a buildset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RequestRecord {
    pub(crate) id: RequestId,
    pub(crate) buildset: BuildsetId,
    pub(crate) builder: BuilderName,
    pub(crate) submitted: Timestamp,
    pub(crate) reason: String,
    /// Shared by the requests of a buildset that were read together, as its properties are.
    pub(crate) stamp: Arc<SourceStamp>,
    /// The buildset's properties.
    pub(crate) properties: Arc<Properties>,
    /// How urgent it is; `None`: as its builder is.
    pub(crate) priority: Option<i64>,
    /// Set when the request is complete.
    pub(crate) outcome: Option<Outcome>,
    /// Why it was completed without a build.
    pub(crate) cancelled: Option<String>,
    /// Builds that were started for it, oldest first.
    pub(crate) builds: Vec<BuildKey>,
    /// Whether a build is running for it.
    pub(crate) claimed: bool,
}

/// A build: its head, without steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BuildRecord {
    pub(crate) id: BuildId,
    pub(crate) key: BuildKey,
    pub(crate) slave: SlaveName,
    pub(crate) reason: String,
    pub(crate) stamp: SourceStamp,
    pub(crate) properties: Properties,
    pub(crate) requests: Vec<RequestId>,
    /// Distinct authors of its changes, sorted.
    pub(crate) blame: Vec<String>,
    pub(crate) started: Timestamp,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) outcome: Option<Outcome>,
    /// If it failed: the number of the build that began the run of failures it belongs to.
    pub(crate) failing_since: Option<i64>,
    /// The build's text and each step's addition, such as `failed`, `test`.
    pub(crate) text: Vec<String>,
    /// The configuration that it was begun under, if that was written down.
    pub(crate) config: Option<ConfigId>,
}

impl BuildRecord {
    /// Who asked for it, as the property `owners` has it: each once, sorted.
    pub(crate) fn owners(&self) -> Vec<String> {
        let owners = self.properties.get("owners").and_then(Value::as_array);
        let named = owners.into_iter().flatten().filter_map(Value::as_str);
        let mut owners: Vec<_> = named.map(str::to_owned).collect();
        owners.sort();
        owners.dedup();
        owners
    }
}

/// One step of a build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepRecord {
    /// Its place in the build, from 0.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) outcome: Option<Outcome>,
    /// Short strings such as `testing` while it runs, `test`, `failed` after.
    pub(crate) text: Vec<String>,
    /// What it adds to the build's text.
    pub(crate) build_text: Vec<String>,
    /// Numbers that it counted, such as `warnings`.
    pub(crate) statistics: Vec<(String, i64)>,
    /// Named links.
    pub(crate) urls: Vec<(String, String)>,
    pub(crate) hidden: bool,
    /// What its commands took, once it has ended.
    pub(crate) usage: Option<Usage>,
    /// What made its last command end, in words, if that was not plainly its success.
    pub(crate) ended: Option<String>,
    /// What it tells of the next step of its name.
    pub(crate) progress: Progress,
    pub(crate) logs: Vec<LogRecord>,
}

impl StepRecord {
    /// Adds what one of its commands took, and says how that ended.
    pub(crate) fn tally(&mut self, exit: &Exit) {
        if let Some(usage) = &exit.usage {
            let sum = self
                .usage
                .take()
                .map_or_else(|| usage.clone(), |it| it.and(usage));
            self.usage = Some(sum);
        }
        self.ended = (!exit.is_success()).then(|| exit.reason());
    }
}

/// One log of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub(crate) name: String,
    /// Relative to the master's `builds/` directory.
    pub(crate) file: String,
    pub(crate) complete: bool,
}
