//! The documents that a master answers with. A newer master may say more;
//! what is not known is left alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::Outcome;

/// The answer to a forced build.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Forced {
    pub(crate) buildset: i64,
    pub(crate) request: i64,
}

/// How a ping of a builder ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct PingView {
    pub(crate) builder: String,
    /// `ping success` and the like.
    pub(crate) result: String,
    pub(crate) slaves: Vec<PingedSlave>,
}

/// What a slave said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct PingedSlave {
    pub(crate) name: String,
    /// `answered`, `silent` or `latent`.
    pub(crate) answer: String,
    pub(crate) ms: Option<u64>,
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct PruneView {
    pub(crate) builders: Vec<PrunedBuilder>,
    pub(crate) changes: u64,
    /// Requests that were never built.
    #[serde(default)]
    pub(crate) requests: u64,
    #[serde(default)]
    pub(crate) events: u64,
    /// Bytes of logs that stay.
    pub(crate) left: u64,
    /// How many of them are over a budget.
    pub(crate) over: u64,
    /// The master has done a part of it and waits to be asked again.
    #[serde(default)]
    pub(crate) more: bool,
}

/// What goes of a builder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct PrunedBuilder {
    pub(crate) name: String,
    pub(crate) builds: u64,
    /// Builds whose logs go.
    pub(crate) logs: u64,
    pub(crate) bytes: u64,
}

impl PruneView {
    /// Adds what was done after this.
    pub(crate) fn add(&mut self, then: Self) {
        for more in then.builders {
            match self.builders.iter_mut().find(|it| it.name == more.name) {
                Some(it) => {
                    it.builds += more.builds;
                    it.logs += more.logs;
                    it.bytes += more.bytes;
                }
                None => self.builders.push(more),
            }
        }
        self.changes += then.changes;
        self.requests += then.requests;
        self.events += then.events;
        (self.left, self.over, self.more) = (then.left, then.over, then.more);
    }
}

/// The answer to what is done with users.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct UsersView {
    pub(crate) users: Vec<UserView>,
    /// Of whom there are none.
    pub(crate) missing: Vec<String>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct UserView {
    pub(crate) uid: i64,
    pub(crate) identifier: String,
    pub(crate) bb_username: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A builder, of which only the name is needed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct BuilderView {
    pub(crate) name: String,
}

/// A master, of which only its slaves and builders are needed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct MasterView {
    pub(crate) slaves: Vec<SlaveView>,
    #[serde(default)]
    pub(crate) builders: Vec<BuilderView>,
}

/// A slave, of which only the name is needed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct SlaveView {
    pub(crate) name: String,
}

/// The answer to a pause, or to its end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Paused {
    pub(crate) slave: String,
    /// Continues a sentence that begins with the slave; `None`: it is not paused.
    pub(crate) pause: Option<String>,
}

/// The answer to a slave's shutdown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ShutsDown {
    pub(crate) slave: String,
}

/// The clean shutdown of a master.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Shutdown {
    /// In words; `None`: there is none.
    pub(crate) shutdown: Option<String>,
    /// The builds that are left.
    #[serde(default)]
    pub(crate) builds: Vec<String>,
}

/// The answer to a shutdown that is cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ShutdownCancelled {
    /// Whether there was one.
    pub(crate) cancelled: bool,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RequestState {
    Waiting,
    Building,
    Complete,
}

/// A build request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct RequestView {
    pub(crate) id: i64,
    pub(crate) builder: String,
    pub(crate) state: RequestState,
    pub(crate) outcome: Option<Outcome>,
    /// Numbers of the builds that were started for it, oldest first.
    #[serde(default)]
    pub(crate) builds: Vec<i64>,
    /// Why it waits.
    #[serde(default)]
    pub(crate) why: Option<String>,
}

/// A build; its steps are there when one build was asked for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct BuildView {
    pub(crate) builder: String,
    pub(crate) number: i64,
    pub(crate) outcome: Option<Outcome>,
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) slave: String,
    #[serde(default)]
    pub(crate) branch: Option<String>,
    #[serde(default)]
    pub(crate) revision: Option<String>,
    #[serde(default)]
    pub(crate) got_revision: Option<String>,
    /// ISO 8601, for people.
    #[serde(default)]
    pub(crate) started: Option<String>,
    #[serde(default)]
    pub(crate) finished: Option<String>,
    #[serde(default)]
    pub(crate) elapsed_secs: Option<f64>,
    #[serde(default)]
    pub(crate) text: Vec<String>,
    /// How long it still takes, in words.
    #[serde(default)]
    pub(crate) left: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<StepView>,
}

/// A step of a build.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct StepView {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) outcome: Option<Outcome>,
    #[serde(default)]
    pub(crate) text: Vec<String>,
    #[serde(default)]
    pub(crate) elapsed_secs: Option<f64>,
    #[serde(default)]
    pub(crate) logs: Vec<String>,
}

impl BuildView {
    /// `BUILDER/NUMBER`.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.builder, self.number)
    }

    /// The first step that broke the build.
    pub(crate) fn failing_step(&self) -> Option<&StepView> {
        self.steps.iter().find(|step| {
            matches!(
                step.outcome,
                Some(Outcome::Failure | Outcome::Exception | Outcome::Retry)
            )
        })
    }
}
