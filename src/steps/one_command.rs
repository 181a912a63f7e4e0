//! A step that is one command line: `shell`, `compile`, `pyflakes` and many
//! others differ in what they run by default, in their texts, and in who
//! judges what was said.

use std::fmt;

use crate::model::Command;
use crate::model::Outcome;
use crate::model::Recording;
use crate::model::Shell;

use super::Cx;
use super::Ended;
use super::Gauge;
use super::Line;
use super::Move;
use super::Run;
use super::Settings;
use super::Step;
use super::StepError;
use super::Verdict;
use super::texts::verdict;

/// The usual texts of a type; a step without them shows its command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) running: &'static str,
    pub(super) done: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct OneCommand<J> {
    pub(super) line: Line,
    pub(super) settings: Settings,
    pub(super) words: Option<Words>,
    pub(super) judge: J,
}

/// What a type makes of how its command ended and of what it said.
pub(super) trait Judge: Clone + fmt::Debug + Send + Sync + 'static {
    /// `done` is the text for a good end, before anything is added.
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, done: Vec<String>) -> Verdict;

    /// Counts how far the step is while it runs.
    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        None
    }

    /// The properties that it sets.
    fn sets(&self) -> Vec<String> {
        Vec::new()
    }

    /// Where its run of tests is recorded.
    fn recording(&self) -> Option<&Recording> {
        None
    }

    /// What has to run before the command, so that the judge knows what it needs.
    fn asks(&self, _: &Settings, _: &Cx<'_>) -> Result<Option<Shell>, StepError> {
        Ok(None)
    }

    /// Takes in what it asked for.
    fn hears(&mut self, _: &Ended<'_>) {}
}

impl<J: Judge> Step for OneCommand<J> {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(Running {
            step: self.clone(),
            place: Place::Begun,
        })
    }

    fn sets(&self) -> Vec<String> {
        self.judge.sets()
    }

    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        self.judge.gauge()
    }

    fn metrics(&self) -> Vec<String> {
        self.settings.metrics(self.gauge())
    }

    fn recording(&self) -> Option<&Recording> {
        self.judge.recording()
    }
}

/// How far it is.
enum Place {
    Begun,
    /// What the judge asked for runs.
    Asked,
    /// The command itself runs.
    Command,
}

struct Running<J> {
    step: OneCommand<J>,
    place: Place,
}

impl<J: Judge> Run for Running<J> {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let usual = self.step.words.map(|it| it.running);
        self.step.settings.running_text(&self.step.line, cx, usual)
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let usual = self.step.words.map(|it| it.done);
        self.step.settings.done_text(&self.step.line, cx, usual)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let OneCommand {
            line,
            settings,
            judge,
            ..
        } = &mut self.step;
        match (&self.place, last) {
            (Place::Command, Some(ended)) => {
                let done = self.done_text(cx);
                let outcomes = &self.step.settings.outcomes;
                let seen = Ended {
                    exit: &outcomes.seen(ended.exit),
                    output: ended.output,
                };
                let verdict = self.step.judge.judge(cx, &seen, done);
                return Ok(Move::Done(outcomes.applied(cx, ended, verdict)));
            }
            (Place::Asked, Some(ended)) => judge.hears(ended),
            (_, _) => {
                if let Some(asked) = judge.asks(settings, cx)? {
                    self.place = Place::Asked;
                    return Ok(Move::Run(Command::Shell(asked)));
                }
            }
        }
        self.place = Place::Command;
        Ok(Move::Run(Command::Shell(settings.command(line, cx)?)))
    }
}

/// Listens to nothing: how the command ends is all.
#[derive(Clone, Debug)]
pub(super) struct ByExit;

impl Judge for ByExit {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, done: Vec<String>) -> Verdict {
        verdict(cx, judged(ended), done)
    }
}

/// Good if the command ended by itself with 0.
pub(super) fn judged(ended: &Ended<'_>) -> Outcome {
    if ended.exit.is_success() {
        Outcome::Success
    } else {
        Outcome::Failure
    }
}
