//! `master_shell_command`: a command that the master itself runs, while the slave waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::ExitCause;
use crate::model::Outcome;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Errand;
use super::Flags;
use super::Line;
use super::Move;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::Verdict;
use super::line::rendered;
use super::read;
use super::read::Switch;
use super::settings::render_env;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "master_shell_command",
    aliases: &["master_shell"],
    step_name: "MasterShellCommand",
    summary: "Runs one command on the master, as the master's user.",
    example: r#"command = ["./publish", "%(got_revision:-)s"]
path = "public_html"
env.PATH = "/usr/bin:/bin"
description = "publishing"
description_done = "published""#,
    flags: Flags {
        halt_on_failure: true,
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| Some(Arc::new(MasterCommand::read(keys)?)),
};

#[derive(Clone, Debug)]
struct MasterCommand {
    line: Line,
    /// All that it has, be it nothing; the master's own if `None`.
    env: Option<BTreeMap<String, Option<Text>>>,
    /// Relative to the master's directory; that one if `None`.
    path: Option<Text>,
    use_pty: Switch,
    description: Option<Vec<Text>>,
    description_done: Option<Vec<Text>>,
}

impl MasterCommand {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let line = keys.required("command");
        let says_env = keys.set_at("env").is_some();
        let env = read::env(keys, "env");
        let path = keys.optional("path");
        let use_pty = keys.or("use_pty", Switch::default());
        let description = read::words(keys, "description");
        let description_done = read::words(keys, "description_done");
        Some(Self {
            line: line?,
            env: env.map(|it| (says_env || !it.is_empty()).then_some(it))?,
            path: path?,
            use_pty: use_pty?,
            description: description?,
            description_done: description_done?,
        })
    }

    fn errand(&self, cx: &Cx<'_>) -> Result<Errand, StepError> {
        let (line, holes) = self.line.render_with_holes(cx.properties)?;
        if matches!(&line, ShellLine::Argv(words) if words.is_empty()) {
            return Err(StepError::Other("the command is empty".into()));
        }
        let path = self.path.as_ref().map(|it| it.render(cx.properties));
        let mut shell = Shell::new(line, path.transpose()?.unwrap_or_default());
        shell.holes = holes;
        let path_joint = if cfg!(windows) { ";" } else { ":" };
        render_env(self.env.iter().flatten(), path_joint, cx, &mut shell)?;
        shell.timeout = None;
        shell.terms.use_pty = self.use_pty.is_on("use_pty", cx)?;
        Ok(Errand {
            shell,
            inherits: self.env.is_none(),
        })
    }
}

fn text(texts: Option<&[Text]>, usual: &str, cx: &Cx<'_>) -> Vec<String> {
    let text = texts.and_then(|it| rendered(it, cx.properties).ok());
    text.unwrap_or_else(|| vec![usual.to_owned()])
}

impl Step for MasterCommand {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for MasterCommand {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        text(self.description.as_deref(), "Running", cx)
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        text(self.description_done.as_deref(), "Ran", cx)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return Ok(Move::OnMaster(self.errand(cx)?));
        };
        if ended.exit.is_success() {
            let done = self.done_text(cx);
            return Ok(Move::Done(verdict(cx, Outcome::Success, done)));
        }
        let why = match ended.exit.cause {
            ExitCause::Signal(number) => format!("failed (signal {number})"),
            ExitCause::NotStarted(_) => "failed (not started)".to_owned(),
            _ => format!("failed ({})", ended.exit.code),
        };
        Ok(Move::Done(Verdict {
            text: vec![why],
            build_text: Vec::new(),
            ..verdict(cx, Outcome::Failure, Vec::new())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::read::tests::read_kind;
    use super::*;
    use crate::model::Exit;

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, lines);
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.properties.set("branch", "main", "test");
        bench.env = [("BUILDER".to_owned(), Some(Text::literal("x")))].into();
        bench
    }

    #[test]
    fn it_is_the_master_that_is_asked() {
        let mut it = bench("command = \"make %(branch)s\"");
        assert_eq!(it.running_text(), ["Running"]);
        assert_eq!(it.begin(), "on the master, in ``: sh: make main");
        assert_eq!(it.ends(0, &[]), "success: Ran");

        let lines = "command = [\"./publish\", \"${secret:key}\"]\npath = \"www/%(branch)s\"\n\
                     env.B = \"%(branch)s\"\nusePTY = true\n\
                     description = \"publishing\"\ndescriptionDone = [\"is\", \"out\"]\n";
        let mut it = bench(lines);
        assert_eq!(it.running_text(), ["publishing"]);
        let told = "on the master, in `www/main`, on a terminal, only with B=main: ./publish <key>";
        assert_eq!(it.begin(), told);
        assert_eq!(it.ends(0, &[]), "success: is out");
    }

    #[test]
    fn it_has_the_masters_environment_unless_one_is_said_and_an_empty_one_is_empty() {
        let begun = |lines: &str| bench(&format!("command = \"make\"\n{lines}")).begin();
        assert_eq!(begun(""), "on the master, in ``: sh: make");
        assert_eq!(
            begun("env = {}"),
            "on the master, in ``, only with : sh: make"
        );
        assert_eq!(
            begun("env = '{}'"),
            "on the master, in ``, only with : sh: make"
        );
        let list = "env.PATH = ['/usr/bin', '/%(branch)s']";
        let told = "on the master, in ``, only with PATH=/usr/bin:/main: sh: make";
        assert_eq!(begun(list), told);
    }

    #[test]
    fn a_failure_says_its_code_or_signal() {
        let check = |exit: &Exit, expected: &str| {
            let mut it = bench("command = \"make\"");
            it.begin();
            assert_eq!(it.ends_with(exit, &[]), expected);
        };
        check(&Exit::new(3, ExitCause::Exited, 1), "failure: failed (3)");
        let signal = Exit::new(-1, ExitCause::Signal(9), 1);
        check(&signal, "failure: failed (signal 9)");
        let missing = Exit::new(-1, ExitCause::NotStarted("x".into()), 1);
        check(&missing, "failure: failed (not started)");
    }
}
