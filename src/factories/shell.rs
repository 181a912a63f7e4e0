//! `shell`: checks repositories out and runs commands there, one step each.

use std::sync::Arc;

use crate::expr::Amount;
use crate::model::Platform;
use crate::model::SourceStamp;
use crate::model::Text;
use crate::steps::Line;
use crate::steps::Settings;
use crate::steps::StepPlan;
use crate::steps::plan;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Factory;
use super::FactoryKind;
use super::Repository;
use super::number_names;
use super::sources::Sources;

pub(super) const KIND: FactoryKind = FactoryKind {
    name: "shell",
    summary: "Checks out the source and runs commands, a line each; the first that fails ends the build.",
    example: "git = https://example.org/hello.git#main\ncommands =\n    ./configure\n    make -j2\n    make check",
    read: |keys| Some(Arc::new(Commands::read(keys)?)),
};

#[derive(Debug)]
struct Commands {
    sources: Sources,
    lines: Vec<Line>,
    timeout: Option<Amount>,
}

impl Commands {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let usual = Settings::default();
        let sources = Sources::read_in_place(keys);
        let command = keys.optional::<Line>("command");
        let commands = keys.or("commands", Lines(Vec::new()));
        let timeout = keys.or("timeout", usual.timeout);
        let lines: Vec<_> = command?.into_iter().chain(commands?.0).collect();
        if lines.is_empty() {
            let what = format!("no commands in {}", keys.title());
            let problem = Problem::error(Code::MissingKey, what).at(keys.header());
            keys.note(problem.label("expected `commands`, a line each, or `command`"));
            return None;
        }
        Some(Self {
            sources: sources?,
            lines,
            timeout: timeout?,
        })
    }
}

impl Factory for Commands {
    fn sources(&self) -> &[Repository] {
        &self.sources.all
    }

    fn workdir(&self, stamp: &SourceStamp) -> Result<String, String> {
        self.sources.workdir.over(stamp)
    }

    fn steps(&self, _: &Platform) -> Result<Vec<StepPlan>, String> {
        let mut steps = self.sources.checkouts();
        for line in &self.lines {
            let settings = Settings {
                timeout: self.timeout.clone(),
                ..Settings::default()
            };
            steps.push(plan::shell(line.clone(), settings).halting());
        }
        Ok(number_names(steps))
    }
}

/// A command on each line that is not blank, or a list of commands.
struct Lines(Vec<Line>);

impl Value for Lines {
    const EXPECTED: &'static str = "commands, a line each, or a list of them";
    const SHAPE: Shape = Shape::Lines(&Shape::Command);

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = match &node.content {
            Content::List(all) => {
                let all: Result<_, _> = all.iter().map(Line::read).collect();
                return all.map(Self);
            }
            _ => node.as_text()?,
        };
        let mut lines = Vec::new();
        let mut at = 0;
        for raw in text.split_inclusive('\n') {
            let line = raw.trim();
            let start = at + raw.find(line).unwrap_or(0);
            at += raw.len();
            if line.is_empty() {
                continue;
            }
            let line = Text::parse(line).map_err(|error| {
                let span = start + error.at.start..start + error.at.end;
                node.misread(text, span, error.what)
            })?;
            lines.push(Line::Script(line));
        }
        Ok(Self(lines))
    }
}
