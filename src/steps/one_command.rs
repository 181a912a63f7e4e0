//! A step that is one command line: `shell`, `configure`, `compile` and
//! `test` differ in what they run by default, in their texts, and in whether
//! they count warnings.

use crate::model::Command;
use crate::model::Outcome;

use super::Cx;
use super::Ended;
use super::Line;
use super::Move;
use super::Run;
use super::Settings;
use super::Step;
use super::StepError;
use super::texts::verdict;
use super::warnings::Warnings;

/// The usual texts of a type; a step without them shows its command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) running: &'static str,
    pub(super) done: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct OneCommand {
    pub(super) line: Line,
    pub(super) settings: Settings,
    pub(super) words: Option<Words>,
    /// Counts the warnings among what was said.
    pub(super) warnings: Option<Warnings>,
}

impl Step for OneCommand {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for OneCommand {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let usual = self.words.map(|it| it.running);
        self.settings.running_text(&self.line, cx, usual)
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let usual = self.words.map(|it| it.done);
        self.settings.done_text(&self.line, cx, usual)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            let command = self.settings.command(&self.line, cx)?;
            return Ok(Move::Run(Command::Shell(command)));
        };
        let done = self.done_text(cx);
        let Some(warnings) = &self.warnings else {
            return Ok(Move::Done(verdict(cx, judged(ended), done)));
        };
        let counted = warnings.count(ended);
        let mut verdict = verdict(cx, counted.outcome, done);
        counted.tell(cx, &mut verdict);
        Ok(Move::Done(verdict))
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
