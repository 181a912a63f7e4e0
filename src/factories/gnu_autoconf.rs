//! `gnu_autoconf`: configure, compile, check.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Platform;
use crate::model::SourceStamp;
use crate::model::Text;
use crate::steps::Line;
use crate::steps::Settings;
use crate::steps::StepPlan;
use crate::steps::argv;
use crate::steps::plan;
use crate::steps::read_env;
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
    name: "gnu_autoconf",
    summary: "Builds with `./configure`, `make all` and `make check`.",
    example: "git = https://example.org/hello.git#main\nconfigure_flags = --disable-nls",
    read: |keys| Some(Arc::new(GnuAutoconf::read(keys)?)),
};

/// Each command may be left out with `none`.
#[derive(Debug)]
struct GnuAutoconf {
    sources: Sources,
    configure: Option<Line>,
    configure_env: BTreeMap<String, Option<Text>>,
    compile: Option<Line>,
    test: Option<Line>,
}

impl GnuAutoconf {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let sources = Sources::read_some(keys);
        let usual = Line::Script(Text::literal("./configure"));
        let configure = keys.or("configure", MaybeLine(Some(usual)));
        let configure_env = read_env(keys, "configure_env");
        let flags = keys.or("configure_flags", Flags(Vec::new()));
        let compile = keys.or("compile", MaybeLine(Some(argv(&["make", "all"]))));
        let test = keys.or("test", MaybeLine(Some(argv(&["make", "check"]))));
        let configure = match (configure?.0, flags?.0) {
            (None, _) => None,
            (Some(line), flags) if flags.is_empty() => Some(line),
            (Some(Line::Argv(words)), flags) => Some(Line::Argv([words, flags].concat())),
            (Some(Line::Script(text)), flags) => {
                if text.to_string().contains(char::is_whitespace) {
                    let what = "a `configure` that is a shell line takes no `configure_flags`";
                    let problem = Problem::error(Code::Contradiction, what)
                        .at(&keys.place("configure_flags"));
                    keys.note(problem.label("write the flags into `configure`"));
                    return None;
                }
                Some(Line::Argv([vec![text], flags].concat()))
            }
        };
        Some(Self {
            sources: sources?,
            configure,
            configure_env: configure_env?,
            compile: compile?.0,
            test: test?.0,
        })
    }
}

impl Factory for GnuAutoconf {
    fn sources(&self) -> &[Repository] {
        &self.sources.all
    }

    fn workdir(&self, stamp: &SourceStamp) -> Result<String, String> {
        self.sources.workdir.over(stamp)
    }

    fn steps(&self, _: &Platform) -> Result<Vec<StepPlan>, String> {
        let mut steps = self.sources.checkouts();
        steps.extend(self.configure.clone().map(|line| {
            let settings = Settings {
                env: self.configure_env.clone(),
                ..Settings::default()
            };
            plan::configure(line, settings)
        }));
        let compile = self.compile.clone();
        steps.extend(compile.map(|line| plan::compile(line, Settings::default())));
        let test = self.test.clone();
        steps.extend(test.map(|line| plan::test(line, Settings::default())));
        Ok(number_names(steps))
    }
}

struct MaybeLine(Option<Line>);

impl Value for MaybeLine {
    const EXPECTED: &'static str = "a command, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Command);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Null => Ok(Self(None)),
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(Self(None)),
            _ => Line::read(node).map(|line| Self(Some(line))),
        }
    }
}

/// Words that may have property references.
struct Flags(Vec<Text>);

impl Value for Flags {
    const EXPECTED: &'static str = <Vec<String> as Value>::EXPECTED;
    const SHAPE: Shape = Shape::List(&Shape::Template);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut flags = Vec::new();
        for word in Vec::<String>::read(node)? {
            let flag = Text::parse(&word).map_err(|error| Misread {
                what: Some(error.what),
                ..Misread::default()
            })?;
            flags.push(flag);
        }
        Ok(Self(flags))
    }
}
