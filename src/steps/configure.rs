//! `configure`: prepares the tree; nothing after it makes sense if it fails.

use std::sync::Arc;

use crate::model::Text;

use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::one_command::ByExit;
use super::one_command::OneCommand;
use super::one_command::Words;

pub(super) const KIND: StepKind = StepKind {
    name: "configure",
    aliases: &[],
    step_name: "configure",
    summary: "Runs `./configure`, or another command that prepares the tree.",
    example: r#"command = ["./configure", "--disable-nls"]
env.CFLAGS = "-O2""#,
    flags: Flags {
        halt_on_failure: true,
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.or("command", Line::Script(Text::literal("./configure")));
        let settings = Settings::read(keys);
        Some(Arc::new(step(line?, settings?)))
    },
};

/// `line` as a step of this type.
pub(super) fn step(line: Line, settings: Settings) -> OneCommand<ByExit> {
    OneCommand {
        line,
        settings,
        words: Some(Words {
            running: "configuring",
            done: "configure",
        }),
        judge: ByExit,
    }
}

#[cfg(test)]
mod tests {
    use super::super::argv;
    use super::super::bench::Bench;
    use super::*;

    #[test]
    fn it_has_texts_of_its_own() {
        let line = argv(&["./configure", "--prefix=/opt"]);
        let step = step(line, Settings::default());
        let mut bench = Bench::new(&step, &KIND);
        assert_eq!(bench.running_text(), ["configuring"]);
        assert_eq!(bench.begin(), "hello/build: ./configure --prefix=/opt");
        assert_eq!(
            bench.ends(77, &[]),
            "failure: configure failed; build: configure"
        );
    }
}
