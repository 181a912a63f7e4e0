//! The steps of a factory, of which only some are run here: the others are
//! skipped, each with a word that says why.

use std::sync::Arc;

use crate::expr::Condition;
use crate::factories::Factory;
use crate::factories::Repository;
use crate::model::Platform;
use crate::model::SecretRef;
use crate::model::SourceStamp;
use crate::steps::Cx;
use crate::steps::Ended;
use crate::steps::Move;
use crate::steps::Role;
use crate::steps::Run;
use crate::steps::Step;
use crate::steps::StepError;
use crate::steps::StepPlan;
use crate::syntax::Place;

/// Which steps are to be run.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// All, if none is named.
    pub(super) only: Vec<String>,
    /// The first one.
    pub(super) from: Option<String>,
    /// Those that bring the sources, too.
    pub(super) checkout: bool,
}

impl Wish {
    /// Why each of the steps is left out, for those that are.
    pub(super) fn reasons(&self, steps: &[StepPlan]) -> Vec<Option<String>> {
        let first = self.from.as_ref();
        let first = first.and_then(|it| steps.iter().position(|step| step.name == *it));
        let reasons = steps.iter().enumerate().map(|(at, step)| {
            if !self.only.is_empty() {
                // Who names a step wants it.
                let is_named = self.only.contains(&step.name);
                return (!is_named).then(|| "it was not asked for".to_owned());
            }
            if first.is_some_and(|first| at < first) {
                return Some("it is before the first that was asked for".to_owned());
            }
            match step.body.role() {
                Role::Work => None,
                Role::Checkout if self.checkout => None,
                Role::Checkout => Some("the sources are what is here".to_owned()),
                Role::Trigger => Some("there is no master to build what it triggers".to_owned()),
            }
        });
        reasons.collect()
    }
}

/// A factory whose steps are skipped but for those that are wished.
#[derive(Debug)]
pub(super) struct Chosen {
    inner: Arc<dyn Factory>,
    wish: Wish,
}

impl Chosen {
    pub(super) fn new(inner: Arc<dyn Factory>, wish: Wish) -> Self {
        Self { inner, wish }
    }
}

impl Factory for Chosen {
    fn sources(&self) -> &[Repository] {
        self.inner.sources()
    }

    fn steps(&self, platform: &Platform) -> Result<Vec<StepPlan>, String> {
        let steps = self.inner.steps(platform)?;
        let reasons = self.wish.reasons(&steps);
        let chosen = steps.into_iter().zip(reasons).map(|(step, reason)| {
            let Some(why) = reason else { return Ok(step) };
            Ok(StepPlan {
                do_step_if: Some(Condition::parse("false").map_err(|error| error.what)?),
                body: Arc::new(LeftOut { why }),
                ..step
            })
        });
        chosen.collect()
    }

    fn secrets(&self) -> Vec<(SecretRef, Place)> {
        self.inner.secrets()
    }

    fn workdir(&self, stamp: &SourceStamp) -> Result<String, String> {
        self.inner.workdir(stamp)
    }
}

/// A step that is always skipped.
#[derive(Clone, Debug)]
struct LeftOut {
    why: String,
}

impl Step for LeftOut {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for LeftOut {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.done_text(cx)
    }

    fn done_text(&self, _: &Cx<'_>) -> Vec<String> {
        vec![format!("{}:", self.why)]
    }

    fn advance(&mut self, _: &mut Cx<'_>, _: Option<&Ended<'_>>) -> Result<Move, StepError> {
        Err(StepError::Other(self.why.clone()))
    }
}
