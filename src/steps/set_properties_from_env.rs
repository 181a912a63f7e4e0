//! `set_properties_from_env`: variables of the slave's environment become properties.

use std::sync::Arc;

use crate::model::Command;
use crate::model::ExitCause;
use crate::model::Outcome;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Move;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "set_properties_from_env",
    aliases: &[],
    step_name: "SetPropertiesFromEnv",
    summary: "Keeps variables of the slave's environment as properties.",
    example: r#"variables = ["HOSTTYPE", "LANG"]"#,
    flags: Flags::NONE,
    read: |keys| Some(Arc::new(Variables::read(keys)?)),
};

/// Each variable is asked for by a command of its own, which every kind of slave can run: its
/// environment is what commands inherit, and nobody else has to be told of it.
#[derive(Clone, Debug)]
struct Variables {
    names: Vec<String>,
    /// Where pages say that the properties are from.
    source: String,
}

/// A property is a value that people read, not a place for a whole log.
const LONGEST: usize = 64 << 10;

impl Variables {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let names = keys.required::<Vec<(String, Place)>>("variables");
        let source = keys.or("source", "SlaveEnvironment".to_owned());
        let mut is_good = true;
        for (name, place) in names.iter().flatten() {
            if !is_name(name) {
                let what = format!("`{}` is no name of a variable", name.escape_debug());
                keys.note(Problem::error(Code::BadName, what).at(place));
                is_good = false;
            }
        }
        let names = names?.into_iter().map(|(name, _)| name).collect();
        let source = source?;
        is_good.then_some(Self { names, source })
    }
}

/// Some systems know variables such as `ProgramFiles(x86)`; nothing that a shell or `set` would
/// take for more than a name is one.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars
        .next()
        .is_some_and(|it| it.is_ascii_alphabetic() || it == '_');
    first && chars.all(|it| it.is_ascii_alphanumeric() || "_().".contains(it))
}

fn question(name: &str, cx: &Cx<'_>) -> Command {
    let line = match cx.is_on_windows() {
        // It also tells of longer names that begin so.
        true => ShellLine::Script(format!("set {}", name.to_ascii_uppercase())),
        false => ShellLine::Argv(vec!["printenv".into(), name.to_owned()]),
    };
    let mut shell = Shell::new(line, cx.builder_dir);
    shell.log_environ = false;
    Command::Shell(shell)
}

/// What the answer says of the variable; empty is as good as not set.
fn value(name: &str, ended: &Ended<'_>, cx: &Cx<'_>) -> Option<String> {
    if !ended.exit.is_success() {
        return None;
    }
    let said = ended.output.stdout(LONGEST);
    let value = match cx.is_on_windows() {
        true => said.lines().find_map(|line| {
            let (found, value) = line.split_once('=')?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })?,
        false => said.strip_suffix('\n').unwrap_or(&said).to_owned(),
    };
    (!value.is_empty()).then_some(value)
}

impl Step for Variables {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(Asking {
            step: self.clone(),
            asked: 0,
        })
    }

    fn sets(&self) -> Vec<String> {
        self.names.clone()
    }
}

struct Asking {
    step: Variables,
    asked: usize,
}

impl Run for Asking {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        vec![cx.name.to_owned()]
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        vec![cx.name.to_owned()]
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        if let Some(ended) = last {
            let name = &self.step.names[self.asked];
            if let ExitCause::NotStarted(why) = &ended.exit.cause {
                let what = format!("the slave cannot be asked for `{name}`: {why}");
                return Err(StepError::Other(what));
            }
            if let Some(value) = value(name, ended, cx) {
                let source = self.step.source.as_str();
                cx.properties.set_runtime(name.as_str(), value, source);
            }
            self.asked += 1;
        }
        Ok(match self.step.names.get(self.asked) {
            Some(name) => Move::Run(question(name, cx)),
            None => Move::Done(verdict(cx, Outcome::Success, self.done_text(cx))),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;
    use crate::expr::Values;

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, lines);
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn what_is_set_becomes_a_property_and_what_is_not_leaves_the_old_one() {
        let mut bench = bench("variables = [\"LANG\", \"EMPTY\", \"UNSET\", \"TWO\"]");
        bench.properties.set("UNSET", "old", "test");
        bench.properties.set("EMPTY", "old", "test");
        assert_eq!(bench.running_text(), ["SetPropertiesFromEnv"]);
        bench.plays(
            &[
                ("hello: printenv LANG", 0, &[out("de_DE.UTF-8")]),
                ("hello: printenv EMPTY", 0, &[out("")]),
                ("hello: printenv UNSET", 1, &[]),
                ("hello: printenv TWO", 0, &[out(" a"), out("b ")]),
            ],
            "success: SetPropertiesFromEnv",
        );
        let told = bench.properties.iter();
        let told: Vec<_> = told
            .map(|(name, it)| format!("{name}={} {}", it.value, it.source))
            .collect();
        let expected = [
            "EMPTY=\"old\" test",
            "LANG=\"de_DE.UTF-8\" SlaveEnvironment",
            "TWO=\" a\\nb \" SlaveEnvironment",
            "UNSET=\"old\" test",
        ];
        assert_eq!(told, expected);
        assert!(bench.verdict().logs.is_empty());
    }

    #[test]
    fn windows_knows_variables_in_any_spelling() {
        for os in ["win", "win32", "nt"] {
            let mut bench = bench("variables = \"ProgramFiles\"\nsource = \"there\"");
            bench.seen = Values::new().with("slave", json!({ "os": os }));
            let lines = [out("ProgramFiles(x86)=C:\\x86"), out("ProgramFiles=C:\\=")];
            bench.plays(
                &[("sh hello: set PROGRAMFILES", 0, &lines)],
                "success: SetPropertiesFromEnv",
            );
            assert_eq!(bench.properties.text("ProgramFiles"), Some("C:\\="));
        }
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let problems = problems_of(&KIND, "variables = [\"A\", \"B&C\", \"-i\", \"\"]\n");
        insta::assert_snapshot!(problems, @"
        factories/x.toml:2:19: `B&C` is no name of a variable
        factories/x.toml:2:26: `-i` is no name of a variable
        factories/x.toml:2:32: `` is no name of a variable
        ");
    }
}
