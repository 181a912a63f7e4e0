//! `set_property`: what a command prints becomes a property of the build.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::RegexBuilder;

use crate::model::Channel;
use crate::model::Command;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Pattern;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

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
use super::tally::push_line;
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
    taken: Taken,
    pub(crate) line: Line,
    /// Whether white space around the value is dropped.
    pub(crate) strip: bool,
    pub(crate) settings: Settings,
}

/// What becomes a property of what the command says.
#[derive(Clone, Debug)]
enum Taken {
    /// All of its standard output, under this name.
    All(Text),
    /// What the groups of patterns find, under the names of the groups.
    Groups(Vec<Pattern>),
}

/// A property is a value that people read, not a place for a whole log.
const LONGEST: usize = 64 << 10;

/// What lies behind in an output is not searched.
const SEARCHED: usize = 1 << 20;

impl SetProperty {
    /// Makes a property of all that the command prints, without white space around it.
    pub(crate) fn of_all(property: &str, line: Line, settings: Settings) -> Self {
        Self {
            taken: Taken::All(Text::literal(property)),
            line,
            strip: true,
            settings,
        }
    }

    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let property = keys.optional::<Text>("property");
        let extract = keys.optional_as::<Patterns>(&["extract", "extract_fn"]);
        let line = keys.required("command");
        let strip = keys.or("strip", true);
        let settings = Settings::read(keys);
        let taken = match (property?, extract?) {
            (Some(property), None) => Taken::All(property),
            (None, Some(patterns)) => Taken::Groups(patterns.0),
            (None, None) => {
                let what = format!("`property` is missing in {}", keys.title());
                let problem = Problem::error(Code::MissingKey, what).at(keys.header());
                keys.note(problem.help("or `extract`, patterns whose groups have names"));
                return None;
            }
            (Some(_), Some(_)) => {
                let what = "`property` and `extract` both say what becomes a property";
                let problem = Problem::error(Code::Contradiction, what);
                let problem = problem.at(&keys.place("extract")).label("this");
                keys.note(problem.also(&keys.place("property"), "and this"));
                return None;
            }
        };
        Some(Self {
            taken,
            line: line?,
            strip: strip?,
            settings: settings?,
        })
    }

    fn stripped<'a>(&self, said: &'a str) -> &'a str {
        match self.strip {
            true => said.trim(),
            false => said,
        }
    }

    /// The properties that there are to set, by name.
    fn values(
        &self,
        ended: &Ended<'_>,
        is_good: bool,
        cx: &Cx<'_>,
    ) -> Result<BTreeMap<String, String>, StepError> {
        match &self.taken {
            Taken::All(_) if !is_good => Ok(BTreeMap::new()),
            Taken::All(name) => {
                let name = name.render(cx.properties)?;
                if name.is_empty() {
                    return Err(StepError::Other("the property's name is empty".into()));
                }
                let said = ended.output.stdout(LONGEST);
                Ok([(name, self.stripped(&said).to_owned())].into())
            }
            Taken::Groups(patterns) => {
                let said = [ended.output.stdout(SEARCHED), complaints(ended)];
                Ok(self.found(patterns, &said))
            }
        }
    }

    /// What the groups of the patterns find: each pattern in the first output that it fits.
    fn found(&self, patterns: &[Pattern], said: &[String]) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for Pattern(pattern) in patterns {
            let Some(captures) = said.iter().find_map(|it| pattern.captures(it)) else {
                continue;
            };
            for name in pattern.capture_names().flatten() {
                if let Some(group) = captures.name(name) {
                    let value = self.stripped(group.as_str());
                    found.insert(name.to_owned(), cut(value).to_owned());
                }
            }
        }
        found
    }
}

/// As much of a value as a property may have.
fn cut(value: &str) -> &str {
    let mut end = value.len().min(LONGEST);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// What the command says on its error output.
fn complaints(ended: &Ended<'_>) -> String {
    let mut said = String::new();
    ended.output.lines(&mut |channel, line| {
        if channel == Channel::Stderr && said.len() + line.len() < SEARCHED {
            push_line(&mut said, line);
        }
    });
    said
}

/// Regular expressions whose groups have names; `^` and `$` are those of lines.
struct Patterns(Vec<Pattern>);

impl Value for Patterns {
    const EXPECTED: &'static str =
        "a regular expression, or a list of them, whose groups have names";
    const SHAPE: Shape = Shape::List(&Shape::Pattern);

    fn read(node: &Node) -> Result<Self, Misread> {
        let nodes = match &node.content {
            Content::List(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(node),
        };
        nodes
            .iter()
            .map(pattern)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn pattern(node: &Node) -> Result<Pattern, Misread> {
    let wrong = |what: &str| Misread {
        what: Some(what.to_owned()),
        place: Some(node.place.clone()),
        ..Misread::default()
    };
    let Ok(Pattern(read)) = Pattern::read(node) else {
        return Err(wrong("expected a regular expression"));
    };
    if read.capture_names().flatten().next().is_none() {
        return Err(wrong(
            r"expected a group with a name, as in `version (?P<version>\S+)`",
        ));
    }
    let of_lines = RegexBuilder::new(read.as_str()).multi_line(true).build();
    of_lines
        .map(Pattern)
        .map_err(|_| wrong("this regular expression is too large"))
}

impl Step for SetProperty {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }

    fn sets(&self) -> Vec<String> {
        match &self.taken {
            Taken::All(name) => name.render(&Properties::new()).into_iter().collect(),
            Taken::Groups(patterns) => {
                let names = patterns
                    .iter()
                    .flat_map(|it| it.0.capture_names().flatten());
                names.map(str::to_owned).collect()
            }
        }
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
        let is_good = outcomes.seen(ended.exit).is_success();
        let outcome = match is_good {
            true => Outcome::Success,
            false => judged(ended),
        };
        let values = self.values(ended, is_good, cx)?;
        let mut verdict = verdict(cx, outcome, self.done_text(cx));
        verdict.text = match values.keys().collect::<Vec<_>>().as_slice() {
            [] => verdict.text,
            [name] => vec![format!("property '{name}' set")],
            several => vec![format!("{} properties set", several.len())],
        };
        let mut changes = String::new();
        for (name, value) in values {
            push_line(&mut changes, &format!("{name}: {}", quoted(&value)));
            cx.properties.set_runtime(name, value, "SetProperty Step");
        }
        if !changes.is_empty() {
            verdict.logs.push(("property changes".into(), changes));
        }
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
    use super::super::bench::Line;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;

    fn step(strip: bool) -> SetProperty {
        SetProperty {
            strip,
            ..SetProperty::of_all("where", argv(&["pwd"]), Settings::default())
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

    fn extracts(lines: &str, code: i32, said: &[Line<'_>], expected: &str) -> (Bench, String) {
        let step = read_kind(&KIND, &format!("command = 'cc -v'\n{lines}"));
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.begin();
        assert_eq!(bench.ends(code, said), expected);
        let log = bench.verdict().logs.first();
        let log = log.map_or_else(String::new, |it| it.1.clone());
        (bench, log)
    }

    #[test]
    fn named_groups_of_patterns_become_properties_however_the_command_ends() {
        let one = r"extract = '^version\s+(?P<version>.*)$'";
        let said = [
            out("cc, version 1"),
            out("version   7.1 "),
            err("version 9"),
        ];
        let (bench, log) = extracts(one, 0, &said, "success: property 'version' set");
        let set: Vec<_> = bench.properties.iter().collect();
        assert_eq!(
            (set[0].0, set[0].1.source.as_str()),
            ("version", "SetProperty Step")
        );
        assert_eq!(log, "version: '7.1'\n");

        let two = r"extract = ['^target (?P<arch>\w+)-(?P<os>\w+)?', '(?P<threads>posix)']";
        let said = [out("threads: posix"), err("target amd64-")];
        // A text that says what was set says nothing of the end.
        let end = "failure: 2 properties set; build: setproperty";
        let (bench, log) = extracts(two, 1, &said, end);
        assert_eq!(log, "arch: 'amd64'\nthreads: 'posix'\n");
        assert_eq!(bench.properties.get("os"), None, "the group found nothing");

        let kept = format!("{one}\nstrip = false");
        extracts(
            &kept,
            0,
            &[out("version 7 ")],
            "success: property 'version' set",
        );
        let nothing = "failure: 'cc -v' failed; build: setproperty";
        assert_eq!(extracts(one, 2, &[out("no such thing")], nothing).1, "");
        assert_eq!(extracts(one, 0, &[], "success: 'cc -v'").1, "");
    }

    #[test]
    fn either_the_output_is_the_property_or_patterns_find_them() {
        let told = |lines: &str| problems_of(&KIND, &format!("command = 'x'\n{lines}"));
        insta::assert_snapshot!(told(""), @"factories/x.toml:1:1: `property` is missing in [[steps]]");
        insta::assert_snapshot!(told("property = 'a'\nextract = '(?P<b>.)'"), @"factories/x.toml:4:11: `property` and `extract` both say what becomes a property");
        insta::assert_snapshot!(told("extract = ['(?P<b>.)', '(.)', '(']"), @"factories/x.toml:3:24: bad value for `extract` in [[steps]]");
        let step = read_kind(&KIND, "command = 'x'\nextract = '(?P<a>.)(?P<b>.)?'");
        assert_eq!(step.sets(), ["a", "b"]);
    }
}
