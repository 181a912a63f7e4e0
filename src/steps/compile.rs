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
            judge: warnings?,
            ..step(line?, settings?)
        }))
    },
};

/// `line` as a step of this type.
pub(super) fn step(line: Line, settings: Settings) -> OneCommand<Warnings> {
    OneCommand {
        line,
        settings,
        words: Some(Words {
            running: "compiling",
            done: "compile",
        }),
        judge: Warnings::default(),
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

    fn read(text: &str) -> Arc<dyn super::super::Step> {
        let source = crate::syntax::Source::new("x.toml", "/base", text);
        let mut problems = crate::syntax::Problems::default();
        let tree = crate::syntax::toml::tree(&source, &mut problems);
        let step = (KIND.read)(&mut crate::syntax::Keys::of(
            &tree.sections[0],
            &mut problems,
        ));
        step.unwrap_or_else(|| panic!("{}", problems.render(false)))
    }

    #[test]
    fn suppressed_warnings_are_neither_counted_nor_logged() {
        let step = read("suppressions = [[\"\", \"^test_\"]]\nmax_warn_count = 1\n");
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.begin();
        let lines = [
            out("test_a: warning: x"),
            out("a: warning: test_"),
            err("test_b warning y"),
        ];
        assert_eq!(bench.ends(0, &lines), "warnings: compile warnings");
        let log = ("warnings (1)".to_owned(), "a: warning: test_\n".to_owned());
        assert_eq!(bench.verdict().logs, [log]);
    }

    #[test]
    fn a_file_is_known_by_the_directories_that_make_is_in() {
        let text =
            "warning_pattern = '(\\S+):(\\d+): warning: (.*)'\nwarning_extractor = 'groups'\n";
        let step = read(&format!(
            "{text}suppressions = [[\"lib/x\\\\.c\", \"^unused\", 10, 20]]\n"
        ));
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.begin();
        let lines = [
            out("x.c:12: warning: unused a"),
            out("make: Entering directory 'lib'"),
            out("x.c:12: warning: unused b"),
            out("x.c:21: warning: unused c"),
            out("x.c:12: warning: is unused d"),
            out("make: Leaving directory 'lib'"),
            out("make: Leaving directory 'lib'"),
        ];
        assert_eq!(bench.ends(0, &lines), "warnings: compile warnings");
        let log =
            "x.c:12: warning: unused a\nx.c:21: warning: unused c\nx.c:12: warning: is unused d\n";
        assert_eq!(bench.verdict().logs[0].1, log);
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
