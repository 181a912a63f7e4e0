//! `test`: runs the tests; a failure lets the later steps run.

use std::sync::Arc;

use crate::model::Command;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Line;
use super::Move;
use super::Run;
use super::Settings;
use super::Step;
use super::StepError;
use super::StepKind;
use super::argv;
use super::texts::verdict;
use super::warnings::Warnings;

pub(super) const KIND: StepKind = StepKind {
    name: "test",
    aliases: &[],
    step_name: "test",
    summary: "Runs `make test`, or another test command, and counts its warnings.",
    example: r#"command = ["make", "check"]"#,
    flags: Flags {
        flunk_on_failure: true,
        warn_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| Some(Arc::new(Test::read(keys)?)),
};

#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) line: Line,
    pub(crate) settings: Settings,
    pub(crate) warnings: Warnings,
}

impl Test {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let line = keys.or("command", argv(&["make", "test"]));
        let settings = Settings::read(keys);
        let warnings = Warnings::read(keys);
        Some(Self {
            line: line?,
            settings: settings?,
            warnings: warnings?,
        })
    }

    /// `line` with everything else as usual.
    pub(crate) fn new(line: Line) -> Self {
        Self {
            line,
            settings: Settings::default(),
            warnings: Warnings::default(),
        }
    }
}

impl Step for Test {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for Test {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.running_text(&self.line, cx, Some("testing"))
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.done_text(&self.line, cx, Some("test"))
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return Ok(Move::Run(Command::Shell(
                self.settings.command(&self.line, cx)?,
            )));
        };
        let counted = self.warnings.count(ended);
        let mut verdict = verdict(cx, counted.outcome, self.done_text(cx));
        counted.tell(cx, &mut verdict);
        Ok(Move::Done(verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;

    #[test]
    fn a_failing_test_names_itself_to_the_build_and_does_not_halt_it() {
        let mut bench = Bench::new(&Test::new(argv(&["make", "check"])), &KIND);
        assert_eq!(bench.running_text(), ["testing"]);
        bench.begin();
        assert_eq!(bench.ends(2, &[]), "failure: test failed; build: test");
        let expected = Flags {
            flunk_on_failure: true,
            warn_on_failure: true,
            ..Flags::NONE
        };
        assert_eq!(KIND.flags, expected);
    }
}
