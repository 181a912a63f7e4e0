//! `compile`: builds the tree and counts the warnings.

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
    name: "compile",
    aliases: &[],
    step_name: "compile",
    summary: "Runs `make all`, or another compiler, and counts its warnings.",
    example: r#"command = ["make", "-j4"]
warning_pattern = ".*Warning: .*"
max_warn_count = 100"#,
    flags: Flags {
        halt_on_failure: true,
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| Some(Arc::new(Compile::read(keys)?)),
};

#[derive(Clone, Debug)]
pub(crate) struct Compile {
    pub(crate) line: Line,
    pub(crate) settings: Settings,
    pub(crate) warnings: Warnings,
}

impl Compile {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let line = keys.or("command", argv(&["make", "all"]));
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

impl Step for Compile {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for Compile {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings
            .running_text(&self.line, cx, Some("compiling"))
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.done_text(&self.line, cx, Some("compile"))
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
    use super::super::bench::err;
    use super::super::bench::header;
    use super::super::bench::out;
    use super::*;

    #[test]
    fn warnings_of_both_streams_are_counted_and_headers_are_not() {
        let mut bench = Bench::new(&Compile::new(argv(&["make", "all"])), &KIND);
        assert_eq!(bench.running_text(), ["compiling"]);
        assert_eq!(bench.begin(), "hello/build: make all");
        let lines = [
            header("a warning: of nobody"),
            out("make[1]: Entering directory '/x/warning: y'"),
            out("a.c:1: warning: unused"),
            err("b.c:2: warning hot"),
            out("no warnings"),
            out("make[1]: Leaving directory '/x/warning: y'"),
        ];
        // The build stays good: nothing says that warnings flunk or warn.
        assert_eq!(bench.ends(0, &lines), "warnings: compile warnings");
        let verdict = bench.verdict();
        let log = "a.c:1: warning: unused\nb.c:2: warning hot\n";
        assert_eq!(verdict.logs, [("warnings (2)".to_owned(), log.to_owned())]);
        assert_eq!(verdict.statistics, [("warnings".to_owned(), 2)]);
    }

    #[test]
    fn the_builds_property_sums_over_its_steps() {
        let mut bench = Bench::new(&Compile::new(argv(&["make"])), &KIND);
        bench.properties.set("warnings-count", 3, "an earlier step");
        bench.begin();
        bench.ends(0, &[out("x: warning: y")]);
        assert_eq!(bench.properties.get("warnings-count"), Some(&4.into()));

        let mut quiet = Bench::new(&Compile::new(argv(&["make"])), &KIND);
        quiet.begin();
        assert_eq!(quiet.ends(0, &[]), "success: compile");
        assert_eq!(quiet.properties.get("warnings-count"), Some(&0.into()));
    }

    #[test]
    fn a_failure_still_tells_its_warnings() {
        let mut bench = Bench::new(&Compile::new(argv(&["make"])), &KIND);
        bench.begin();
        let end = bench.ends(3, &[out("x: warning: y")]);
        assert_eq!(end, "failure: compile failed; build: compile");
        assert_eq!(bench.verdict().logs[0].0, "warnings (1)");
    }
}
