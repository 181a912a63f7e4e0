//! `configure`: prepares the tree; nothing after it makes sense if it fails.

use std::sync::Arc;

use crate::model::Command;
use crate::model::Text;
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
use super::shell::judged;
use super::texts::verdict;

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
    read: |keys| Some(Arc::new(Configure::read(keys)?)),
};

#[derive(Clone, Debug)]
pub(crate) struct Configure {
    pub(crate) line: Line,
    pub(crate) settings: Settings,
}

impl Configure {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let line = keys.or("command", Line::Script(Text::literal("./configure")));
        let settings = Settings::read(keys);
        Some(Self {
            line: line?,
            settings: settings?,
        })
    }
}

impl Step for Configure {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for Configure {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings
            .running_text(&self.line, cx, Some("configuring"))
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.done_text(&self.line, cx, Some("configure"))
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        match last {
            None => Ok(Move::Run(Command::Shell(
                self.settings.command(&self.line, cx)?,
            ))),
            Some(ended) => {
                let done = self.done_text(cx);
                Ok(Move::Done(verdict(cx, judged(ended), done)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::argv;
    use super::super::bench::Bench;
    use super::*;

    #[test]
    fn it_has_texts_of_its_own() {
        let step = Configure {
            line: argv(&["./configure", "--prefix=/opt"]),
            settings: Settings::default(),
        };
        let mut bench = Bench::new(&step, &KIND);
        assert_eq!(bench.running_text(), ["configuring"]);
        assert_eq!(bench.begin(), "hello/build: ./configure --prefix=/opt");
        assert_eq!(
            bench.ends(77, &[]),
            "failure: configure failed; build: configure"
        );
    }
}
