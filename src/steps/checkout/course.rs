//! The course of a checkout: the jobs of a repository's program one after
//! another, and from nothing again where that may help.

use std::fmt;

use super::Checkout;
use super::Plan;
use super::Remains;
use super::Wanted;
use super::because;
use super::was_cut_short;
use super::with_patch;
use crate::model::Command;
use crate::model::Exit;
use crate::model::Outcome;
use crate::steps::Cx;
use crate::steps::Ended;
use crate::steps::Move;
use crate::steps::Run;
use crate::steps::StepError;
use crate::steps::texts::verdict;

/// What a type of checkout says about its repository's program: by which
/// commands a tree comes about, and what their ends mean. It keeps no state of
/// its own while it runs: that is in [`Begun`].
pub(in crate::steps) trait Source:
    Clone + fmt::Debug + Send + Sync + 'static
{
    /// What a command is for.
    type Job: Send;
    /// What is known besides once the build's properties are.
    type Known: Send;

    /// What becomes of a tree that the last build has patched.
    const REMAINS: Remains = Remains::Cleaned;

    fn checkout(&self) -> &Checkout;

    /// Whether the build is about the repository of this checkout.
    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError>;

    /// What is wanted, and the first jobs.
    fn begin(&self, cx: &mut Cx<'_>) -> Result<Begun<Self>, StepError>;

    fn command(
        &self,
        job: &Self::Job,
        begun: &Begun<Self>,
        cx: &Cx<'_>,
    ) -> Result<Command, StepError>;

    /// What follows a job that ended, well or not.
    fn ended(
        &self,
        job: &Self::Job,
        begun: &mut Begun<Self>,
        ended: &Ended<'_>,
        cx: &mut Cx<'_>,
    ) -> Next<Self::Job>;

    /// The jobs that make the tree anew, whatever is there. A tree that is kept is to be asked
    /// whether it [is patched](super::is_patched), and cleaned then.
    fn anew(&self, begun: &Begun<Self>) -> Vec<Self::Job>;

    /// What its texts say of this build besides.
    fn remarks(&self, _: &Cx<'_>) -> Vec<String> {
        Vec::new()
    }
}

/// A checkout whose build's properties are known.
pub(in crate::steps) struct Begun<S: Source> {
    pub(in crate::steps) wanted: Wanted,
    /// Where the program works: the tree, or `source` with the method `copy`.
    pub(in crate::steps) work: String,
    pub(in crate::steps) tree: String,
    pub(in crate::steps) plan: Plan<S::Job>,
    pub(in crate::steps) known: S::Known,
}

/// What follows a job.
pub(in crate::steps) enum Next<J> {
    /// These, and then what is left.
    First(Vec<J>),
    /// What is there is no good: all of it from nothing, if that may be tried.
    StartOver,
    /// What is there is something else, as the text says: all of it from nothing.
    Replace(&'static str),
    /// Nothing would help.
    GiveUp,
}

impl<J> Next<J> {
    /// What is left.
    pub(in crate::steps) const GO_ON: Self = Self::First(Vec::new());
}

/// Begins a checkout for one build, and lays the build's patch over its tree.
pub(in crate::steps) fn begin<S: Source>(step: &S) -> Box<dyn Run> {
    let running = Running {
        step: step.clone(),
        begun: None,
    };
    let asked = step.clone();
    let is_about = move |cx: &Cx<'_>| asked.is_about(cx);
    with_patch(step.checkout(), S::REMAINS, is_about, Box::new(running))
}

struct Running<S: Source> {
    step: S,
    begun: Option<Begun<S>>,
}

impl<S: Source> Running<S> {
    /// Whether there is something to go on with after the job that was running.
    fn goes_on(&self, begun: &mut Begun<S>, ended: &Ended<'_>, cx: &mut Cx<'_>) -> bool {
        let Some(job) = begun.plan.running.take() else {
            return true;
        };
        match self.step.ended(&job, begun, ended, cx) {
            Next::First(jobs) => begun.plan.first(jobs),
            // Another program that says nothing would only take as long, and a checkout that
            // is there is not to blame for it.
            Next::StartOver if was_cut_short(ended.exit) && !begun.plan.has_fallen_back => {
                return false;
            }
            Next::StartOver if !begun.plan.may_start_over() => return false,
            Next::StartOver => {
                begun.plan.why = Some(why(ended.exit));
                begun.plan.jobs = self.step.anew(begun).into();
            }
            Next::Replace(why) => {
                begun.plan.why = Some(why.to_owned());
                begun.plan.jobs = self.step.anew(begun).into();
            }
            Next::GiveUp => return false,
        }
        true
    }
}

/// Why a checkout begins from nothing.
fn why(exit: &Exit) -> String {
    match exit.is_success() {
        true => "what the last command said is of no use".to_owned(),
        false => format!("the last command failed ({})", exit.reason()),
    }
}

impl<S: Source> Run for Running<S> {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let text = self.step.checkout().running_text(cx);
        [text, self.step.remarks(cx)].concat()
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let text = self.step.checkout().done_text(cx);
        [text, self.step.remarks(cx)].concat()
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.step.begin(cx)?,
        };
        if let Some(ended) = last
            && !self.goes_on(&mut begun, ended, cx)
        {
            let done = self.done_text(cx);
            return Ok(Move::Done(verdict(cx, Outcome::Failure, done)));
        }
        if let Some(pause) = begun.plan.take_pause() {
            let command = self.step.checkout().wait(cx, pause)?;
            self.begun = Some(begun);
            return Ok(Move::Run(command));
        }
        let Some(job) = begun.plan.jobs.pop_front() else {
            let done = self.done_text(cx);
            return Ok(Move::Done(verdict(cx, Outcome::Success, done)));
        };
        let mut command = self.step.command(&job, &begun, cx)?;
        if let Some(why) = begun.plan.why.take() {
            command = because(command, &why, &begun.work);
        }
        begun.plan.running = Some(job);
        self.begun = Some(begun);
        Ok(Move::Run(command))
    }
}
