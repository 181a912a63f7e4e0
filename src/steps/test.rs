//! `test`: runs the tests; a failure lets the later steps run.

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
    read: |keys| {
        let line = keys.or("command", argv(&["make", "test"]));
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
            running: "testing",
            done: "test",
        }),
        judge: Warnings::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;

    #[test]
    fn a_failing_test_names_itself_to_the_build_and_does_not_halt_it() {
        let mut bench = Bench::new(&step(argv(&["make", "check"]), Settings::default()), &KIND);
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
