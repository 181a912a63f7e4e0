//! `set_property`: what a command prints becomes a property of the build.

use std::sync::Arc;

use crate::model::Command;
use crate::model::Outcome;
use crate::model::Properties;
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
use super::one_command::judged;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "set_property",
    aliases: &["set_property_from_command"],
    step_name: "setproperty",
    summary: "Runs a command and keeps what it prints as a property.",
    example: r#"property = "version"
command = ["git", "describe", "--always"]"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| Some(Arc::new(SetProperty::read(keys)?)),
};

#[derive(Clone, Debug)]
pub(crate) struct SetProperty {
    pub(crate) property: Text,
    pub(crate) line: Line,
    /// Whether white space around the value is dropped.
    pub(crate) strip: bool,
    pub(crate) settings: Settings,
}

/// A property is a value that people read, not a place for a whole log.
const LONGEST: usize = 64 << 10;

impl SetProperty {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let property = keys.required("property");
        let line = keys.required("command");
        let strip = keys.or("strip", true);
        let settings = Settings::read(keys);
        Some(Self {
            property: property?,
            line: line?,
            strip: strip?,
            settings: settings?,
        })
    }
}

impl Step for SetProperty {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }

    fn sets(&self) -> Vec<String> {
        let name = self.property.render(&Properties::new());
        name.into_iter().collect()
    }
}

impl Run for SetProperty {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.running_text(&self.line, cx, None)
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.done_text(&self.line, cx, None)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return Ok(Move::Run(Command::Shell(
                self.settings.command(&self.line, cx)?,
            )));
        };
        let outcomes = &self.settings.outcomes;
        if !outcomes.seen(ended.exit).is_success() {
            let done = self.done_text(cx);
            let verdict = verdict(cx, judged(ended), done);
            return Ok(Move::Done(outcomes.applied(cx, ended, verdict)));
        }
        let name = self.property.render(cx.properties)?;
        if name.is_empty() {
            return Err(StepError::Other("the property's name is empty".into()));
        }
        let said = ended.output.stdout(LONGEST);
        let value = if self.strip {
            said.trim()
        } else {
            said.as_str()
        };
        cx.properties
            .set_runtime(name.as_str(), value, "SetProperty Step");
        let text = vec![format!("property '{name}' set")];
        let mut verdict = verdict(cx, Outcome::Success, text);
        let change = format!("{name}: {}\n", quoted(value));
        verdict.logs.push(("property changes".into(), change));
        Ok(Move::Done(outcomes.applied(cx, ended, verdict)))
    }
}

/// The value as Buildbot's log shows it: in single quotes, on one line.
fn quoted(value: &str) -> String {
    let mut shown = String::from("'");
    for c in value.chars() {
        match c {
            '\'' => shown.push_str("\\'"),
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c => shown.push(c),
        }
    }
    shown.push('\'');
    shown
}

#[cfg(test)]
mod tests {
    use super::super::argv;
    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::*;

    fn step(strip: bool) -> SetProperty {
        SetProperty {
            property: Text::literal("where"),
            line: argv(&["pwd"]),
            strip,
            settings: Settings::default(),
        }
    }

    #[test]
    fn standard_output_becomes_the_property() {
        let mut bench = Bench::new(&step(true), &KIND);
        assert_eq!(bench.begin(), "hello/build: pwd");
        let lines = [err("noise"), out("  /srv/it's  ")];
        assert_eq!(bench.ends(0, &lines), "success: property 'where' set");
        assert_eq!(bench.properties.text("where"), Some("/srv/it's"));
        let (name, text) = &bench.verdict().logs[0];
        assert_eq!(
            (name.as_str(), text.as_str()),
            ("property changes", "where: '/srv/it\\'s'\n")
        );
    }

    #[test]
    fn without_strip_the_value_is_what_was_printed() {
        let mut bench = Bench::new(&step(false), &KIND);
        bench.begin();
        bench.ends(0, &[out(" a ")]);
        assert_eq!(bench.properties.text("where"), Some(" a \n"));
    }

    #[test]
    fn a_failing_command_sets_nothing() {
        let mut bench = Bench::new(&step(true), &KIND);
        bench.begin();
        let end = bench.ends(1, &[out("x")]);
        assert_eq!(end, "failure: 'pwd' failed; build: setproperty");
        assert_eq!(bench.properties.get("where"), None);
    }
}
