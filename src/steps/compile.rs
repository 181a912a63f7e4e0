//! `compile`: builds the tree and counts the warnings.

use std::sync::Arc;

use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::argv;
use super::one_command::OneCommand;
use super::one_command::Words;
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
    read: |keys| {
        let line = keys.or("command", argv(&["make", "all"]));
        let settings = Settings::read(keys);
        let warnings = Warnings::read(keys);
        Some(Arc::new(OneCommand {
            warnings: Some(warnings?),
            ..step(line?, settings?)
        }))
    },
};

/// `line` as a step of this type.
pub(super) fn step(line: Line, settings: Settings) -> OneCommand {
    OneCommand {
        line,
        settings,
        words: Some(Words {
            running: "compiling",
            done: "compile",
        }),
        warnings: Some(Warnings::default()),
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
        let mut bench = Bench::new(&step(argv(&["make", "all"]), Settings::default()), &KIND);
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
        let mut bench = Bench::new(&step(argv(&["make"]), Settings::default()), &KIND);
        bench.properties.set("warnings-count", 3, "an earlier step");
        bench.begin();
        bench.ends(0, &[out("x: warning: y")]);
        assert_eq!(bench.properties.get("warnings-count"), Some(&4.into()));

        let mut quiet = Bench::new(&step(argv(&["make"]), Settings::default()), &KIND);
        quiet.begin();
        assert_eq!(quiet.ends(0, &[]), "success: compile");
        assert_eq!(quiet.properties.get("warnings-count"), Some(&0.into()));
    }

    #[test]
    fn a_failure_still_tells_its_warnings() {
        let mut bench = Bench::new(&step(argv(&["make"]), Settings::default()), &KIND);
        bench.begin();
        let end = bench.ends(3, &[out("x: warning: y")]);
        assert_eq!(end, "failure: compile failed; build: compile");
        assert_eq!(bench.verdict().logs[0].0, "warnings (1)");
    }
}
