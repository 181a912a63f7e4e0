//! Choosing slaves and builders: by name, by pattern, by tag, or by an
//! expression over what they are.

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::slave::Slave;
use crate::expr::Context;
use crate::expr::Expression;
use crate::expr::TagExpression;
use crate::expr::Values;
use crate::expr::names;
use crate::model::SlaveName;
use crate::syntax::Code;
use crate::syntax::Glob;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Which slaves, as a section says it: words, or an expression over `slave`.
pub(super) struct Slaves(Node);

impl Value for Slaves {
    const EXPECTED: &'static str =
        "names, patterns or tags of slaves, or an expression such as `slave.os == \"linux\"`";
    const SHAPE: Shape = Shape::OrExpression(&Shape::List(&Shape::Text));

    fn read(node: &Node) -> Result<Self, Misread> {
        if node.as_text().is_ok_and(|it| it.trim().is_empty()) {
            return Err(Misread::default());
        }
        if !is_expression(node) {
            Vec::<(String, Place)>::read(node)?;
        }
        Ok(Self(node.clone()))
    }
}

/// Whether one of its words is `slave`, or begins with `slave.`: no list of
/// names looks so, unless slaves are called like that.
fn is_expression(node: &Node) -> bool {
    let is_part = |it: char| it.is_alphanumeric() || matches!(it, '_' | '.' | '-');
    node.as_text().is_ok_and(|text| {
        let mut words = text.split(|it: char| !is_part(it));
        words.any(|it| it == "slave" || it.starts_with("slave."))
    })
}

impl Slaves {
    /// The slaves in file order; what names none is noted. `None` if that
    /// cannot be said.
    pub(super) fn resolve(
        &self,
        slaves: &[Slave],
        axes: &Map<String, Json>,
        problems: &mut Problems,
    ) -> Option<Vec<SlaveName>> {
        let words = Vec::<(String, Place)>::read(&self.0).ok();
        let names_all = words.as_ref().is_some_and(|words| {
            let mut words = words.iter();
            words.all(|(word, _)| slaves.iter().any(|it| it.name.as_str() == word))
        });
        if is_expression(&self.0) && !names_all {
            return self.by_rule(slaves, axes, problems);
        }
        let mut chosen = vec![false; slaves.len()];
        let mut is_good = true;
        for (word, place) in words.unwrap_or_default() {
            let glob = Glob::new(&word);
            let mut any = false;
            for (slave, chosen) in slaves.iter().zip(&mut chosen) {
                let fits = glob.matches(slave.name.as_str()) || slave.tags.contains(&word);
                *chosen |= fits;
                any |= fits;
            }
            if !any && !Glob::is_one(&word) {
                is_good = false;
                let names = slaves.iter().map(|it| it.name.as_str());
                let tags = slaves.iter().flat_map(|it| &it.tags).map(String::as_str);
                let known: Vec<_> = names.chain(tags).collect();
                let what = format!("unknown slave `{word}`");
                let mut problem = Problem::error(Code::UnknownSlave, what)
                    .at(&place)
                    .unknown_word(&word, &known);
                if problem.label.is_none() {
                    problem = problem.help(listed("the slaves and their tags are", &known));
                }
                problems.note(problem);
            }
        }
        let chosen = slaves.iter().zip(chosen).filter(|(_, chosen)| *chosen);
        is_good.then(|| chosen.map(|(it, _)| it.name.clone()).collect())
    }

    fn by_rule(
        &self,
        slaves: &[Slave],
        axes: &Map<String, Json>,
        problems: &mut Problems,
    ) -> Option<Vec<SlaveName>> {
        let title = "`slaves`";
        let cx = names::MATRIX.with_names(axes.keys().map(String::as_str));
        let rule = compiled(&self.0, &cx, title, problems)?;
        let mut chosen = Vec::new();
        for slave in slaves {
            let values = Values::from(axes).with("slave", slave.as_value());
            match rule.holds(&values) {
                Ok(true) => chosen.push(slave.name.clone()),
                Ok(false) => {}
                Err(error) => {
                    let text = self.0.as_text().unwrap_or_default();
                    let at = error.at.unwrap_or(0..text.len());
                    let what = format!("{title} cannot be computed for slave `{}`", slave.name);
                    let problem = Problem::error(Code::BadExpression, what);
                    problems.note(problem.at(&self.0.part(text, at)).label(error.what));
                    return None;
                }
            }
        }
        Some(chosen)
    }
}

/// Compiles the expression that stands at `node`; what is wrong is noted.
pub(super) fn compiled(
    node: &Node,
    cx: &Context,
    title: &str,
    problems: &mut Problems,
) -> Option<Expression> {
    match Expression::read_in(node, cx) {
        Ok(it) => Some(it),
        Err(misread) => {
            let code = misread.code.unwrap_or(Code::BadExpression);
            let place = misread.place.as_ref().unwrap_or(&node.place);
            let label = misread
                .what
                .unwrap_or_else(|| "expected an expression".to_owned());
            let problem = Problem::error(code, format!("bad expression in {title}"));
            problems.note(problem.at(place).label(label));
            None
        }
    }
}

impl Slave {
    /// As expressions see it.
    pub(super) fn as_value(&self) -> Json {
        let plan = self.plan.as_ref();
        let properties: Map<String, Json> = plan
            .map(|it| it.properties.iter())
            .into_iter()
            .flatten()
            .map(|(name, it)| (name.to_owned(), it.value.clone()))
            .collect();
        json!({
            "name": self.name.as_str(),
            "os": plan.and_then(|it| it.os.clone()),
            "tags": self.tags,
            "has": self.has,
            "properties": properties,
            "max_builds": plan.and_then(|it| it.max_builds),
            "timeout_factor": plan.map(|it| it.timeout_factor),
        })
    }
}

/// A builder as selections see it.
pub(super) struct Candidate<'a> {
    pub(super) name: &'a str,
    pub(super) tags: &'a [String],
    pub(super) category: Option<&'a str>,
}

/// Which builders, as schedulers and status targets say it.
#[derive(Clone, Debug, Default)]
pub(super) struct Builders {
    /// Names and patterns.
    pub(super) words: Option<Vec<(String, Place)>>,
    /// An expression over tags.
    pub(super) tags: Option<(String, Place)>,
}

impl Builders {
    /// The indexes of the builders, ascending. A word that fits none is
    /// noted, unless it is among `broken`: what was told already.
    pub(super) fn resolve(
        &self,
        all: &[Candidate<'_>],
        broken: &[String],
        title: &str,
        problems: &mut Problems,
    ) -> Option<Vec<usize>> {
        if let (Some(_), Some((_, place))) = (&self.words, &self.tags) {
            let what = format!("both `builders` and `tags` in {title}");
            let problem = Problem::error(Code::Contradiction, what).at(place);
            problems.note(problem.label("one of them selects the builders"));
            return None;
        }
        match (&self.words, &self.tags) {
            (Some(words), _) => by_words(words, all, broken, problems),
            (None, Some((text, place))) => by_tags(text, place, all, broken, problems),
            (None, None) => Some((0..all.len()).collect()),
        }
    }
}

fn by_words(
    words: &[(String, Place)],
    all: &[Candidate<'_>],
    broken: &[String],
    problems: &mut Problems,
) -> Option<Vec<usize>> {
    let mut chosen = std::collections::BTreeSet::new();
    let mut is_good = true;
    for (word, place) in words {
        if !Glob::is_one(word) {
            match all.iter().position(|it| it.name == word) {
                Some(index) => {
                    chosen.insert(index);
                }
                None if is_broken(word, broken) => is_good = false,
                None => {
                    is_good = false;
                    problems.note(unknown_builder(word, place, all));
                }
            }
            continue;
        }
        let glob = Glob::new(word);
        let fitting = all
            .iter()
            .enumerate()
            .filter(|(_, it)| glob.matches(it.name));
        let mut fitting = fitting.map(|(index, _)| index).peekable();
        let is_broken = || broken.iter().any(|it| glob.matches(it));
        if fitting.peek().is_none() && !is_broken() {
            is_good = false;
            let what = format!("no builder fits `{word}`");
            problems.note(Problem::error(Code::NoBuilder, what).at(place));
        }
        chosen.extend(fitting);
    }
    is_good.then(|| chosen.into_iter().collect())
}

/// Whether it is missing only because of a mistake that is told.
fn is_broken(word: &str, broken: &[String]) -> bool {
    let mut broken = broken.iter();
    broken.any(|it| it == word || Glob::is_one(it) && Glob::new(it).matches(word))
}

fn unknown_builder(word: &str, place: &Place, all: &[Candidate<'_>]) -> Problem {
    let names: Vec<_> = all.iter().map(|it| it.name).collect();
    let problem = Problem::error(Code::UnknownBuilder, format!("unknown builder `{word}`"))
        .at(place)
        .unknown_word(word, &names);
    match problem.label {
        None => problem.help(listed("the builders are", &names)),
        Some(_) => problem,
    }
}

fn by_tags(
    text: &str,
    place: &Place,
    all: &[Candidate<'_>],
    broken: &[String],
    problems: &mut Problems,
) -> Option<Vec<usize>> {
    let part = |at: std::ops::Range<usize>| {
        let node = Node {
            place: place.clone(),
            content: crate::syntax::Content::Text(text.to_owned()),
        };
        node.part(text, at)
    };
    let rule = match TagExpression::parse(text) {
        Ok(rule) => rule,
        Err(error) => {
            let at = error.at.unwrap_or(0..text.len());
            let problem = Problem::error(Code::BadExpression, "bad expression over tags");
            problems.note(problem.at(&part(at)).label(error.what));
            return None;
        }
    };
    let mut known: Vec<&str> = all
        .iter()
        .flat_map(|it| it.tags.iter().map(String::as_str).chain(it.category))
        .collect();
    known.sort_unstable();
    known.dedup();
    let unknown = rule.unknown(&known);
    // A builder with a mistake may be the one that has it.
    for (name, at) in unknown.iter().filter(|_| broken.is_empty()) {
        let what = format!("no builder has the tag `{name}`");
        let problem = Problem::error(Code::UnknownName, what)
            .at(&part(at.clone()))
            .did_you_mean(name, &known);
        problems.note(match problem.label {
            None => problem.help(listed("the tags are", &known)),
            Some(_) => problem,
        });
    }
    if !unknown.is_empty() {
        return None;
    }
    let fits = |it: &Candidate<'_>| {
        let tags: Vec<&str> = it
            .tags
            .iter()
            .map(String::as_str)
            .chain(it.category)
            .collect();
        rule.matches(&tags)
    };
    let fitting = all.iter().enumerate().filter(|(_, it)| fits(it));
    Some(fitting.map(|(index, _)| index).collect())
}

/// `INTRO a, b, c`, cut where it gets long.
pub(super) fn listed(intro: &str, names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 30;
    if names.is_empty() {
        return "there are none".to_owned();
    }
    let shown: Vec<_> = names
        .iter()
        .take(MOST)
        .map(|it| format!("`{}`", it.as_ref()))
        .collect();
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{intro} {}{more}", shown.join(", "))
}
