//! A matrix: every combination of the values of its axes is a builder of its own.

use std::ops::ControlFlow;

use serde_json::Map;
use serde_json::Value as Json;

use super::select::compiled;
use crate::expr::Values;
use crate::expr::names;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::json;

/// More builders than a farm has are a mistake.
const MOST: usize = 10_000;

/// The axes of a section, in the order of the file.
pub(super) struct Matrix {
    axes: Vec<Axis>,
    /// Combinations for which one of these holds are left out.
    exclude: Vec<Node>,
    /// Combinations that are added.
    include: Vec<Combination>,
}

struct Axis {
    name: String,
    values: Vec<(String, Place)>,
}

/// A value for each axis, and where it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Combination(pub(super) Vec<(String, String, Place)>);

impl Combination {
    pub(super) fn values(&self) -> Map<String, Json> {
        let all = self.0.iter();
        all.map(|(name, value, _)| (name.clone(), Json::from(value.as_str())))
            .collect()
    }

    /// `python = 2.6, database = sqlite3`.
    pub(super) fn shown(&self) -> String {
        let all = self.0.iter();
        let all: Vec<_> = all
            .map(|(name, value, _)| format!("{name} = {value}"))
            .collect();
        all.join(", ")
    }
}

impl Matrix {
    /// Asks for the keys of a matrix; without one, there is one combination
    /// without values.
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let axes = keys.placed_map::<Scalars>("matrix");
        let exclude = keys.or("exclude", Rules(Vec::new()));
        let include = keys.or("include", Rows(Vec::new()));
        let mut axes: Vec<_> = axes?
            .into_iter()
            .map(|(name, (place, values))| {
                let axis = Axis {
                    name,
                    values: values.0,
                };
                (place.span().start, axis)
            })
            .collect();
        axes.sort_by_key(|(at, _)| *at);
        let mut is_good = true;
        for (_, axis) in &axes {
            is_good &= check_axis(axis, keys);
        }
        let matrix = Self {
            axes: axes.into_iter().map(|(_, axis)| axis).collect(),
            exclude: exclude?.0,
            include: include?.0,
        };
        is_good.then_some(matrix)
    }

    /// Whether there is more than the one combination without values.
    pub(super) fn is_some(&self) -> bool {
        !self.axes.is_empty() || !self.include.is_empty()
    }

    /// The combinations in the order of the file, the last axis the quickest.
    pub(super) fn combinations(
        &self,
        title: &str,
        problems: &mut Problems,
    ) -> Option<Vec<Combination>> {
        let count = self.axes.iter().try_fold(1_usize, |count, axis| {
            match count.checked_mul(axis.values.len()) {
                Some(count) if count <= MOST => ControlFlow::Continue(count),
                _ => ControlFlow::Break(axis),
            }
        });
        if let ControlFlow::Break(axis) = count {
            let what = format!("the matrix of {title} has more than {MOST} combinations");
            let problem = Problem::error(Code::BadValue, what);
            let place = axis.values.first().map(|(_, place)| place.clone());
            problems.note(match place {
                Some(place) => problem.at(&place),
                None => problem,
            });
            return None;
        }
        let mut all = vec![Combination::default()];
        for axis in &self.axes {
            all = all
                .iter()
                .flat_map(|one| {
                    axis.values.iter().map(|(value, place)| {
                        let mut one = one.clone();
                        one.0
                            .push((axis.name.clone(), value.clone(), place.clone()));
                        one
                    })
                })
                .collect();
        }
        if self.axes.is_empty() && !self.include.is_empty() {
            all.clear();
        }
        if !self.exclude.is_empty() {
            all = self.without_excluded(all, problems)?;
        }
        all.extend(self.include.iter().cloned());
        if all.is_empty() {
            let what = format!("nothing is left of the matrix of {title}");
            let problem = Problem::error(Code::EmptyMatrix, what);
            let place = self.exclude.first().map(|it| it.place.clone());
            problems.note(match place {
                Some(place) => problem.at(&place).label("this excludes every combination"),
                None => problem,
            });
            return None;
        }
        Some(all)
    }

    fn without_excluded(
        &self,
        all: Vec<Combination>,
        problems: &mut Problems,
    ) -> Option<Vec<Combination>> {
        let cx = names::MATRIX.with_names(self.axes.iter().map(|it| it.name.as_str()));
        let rules: Vec<_> = self
            .exclude
            .iter()
            .map(|it| Some((it, compiled(it, &cx, "`exclude`", problems)?)))
            .collect();
        let rules: Vec<_> = rules.into_iter().collect::<Option<_>>()?;
        let mut kept = Vec::new();
        for one in all {
            let values = Values::from(&one.values());
            let mut is_out = false;
            for (node, rule) in &rules {
                match rule.holds(&values) {
                    Ok(holds) => is_out |= holds,
                    Err(error) => {
                        let text = node.as_text().unwrap_or_default();
                        let at = error.at.unwrap_or(0..text.len());
                        let what = format!("`exclude` cannot be computed for {}", one.shown());
                        let problem = Problem::error(Code::BadExpression, what);
                        problems.note(problem.at(&node.part(text, at)).label(error.what));
                        return None;
                    }
                }
            }
            if !is_out {
                kept.push(one);
            }
        }
        Some(kept)
    }
}

fn check_axis(axis: &Axis, keys: &mut Keys<'_>) -> bool {
    let place = axis
        .values
        .first()
        .map_or_else(|| keys.header().clone(), |(_, it)| it.clone());
    let is_word = axis
        .name
        .chars()
        .all(|it| it.is_alphanumeric() || it == '_')
        && axis
            .name
            .starts_with(|it: char| it.is_alphabetic() || it == '_');
    if !is_word || axis.name == "slave" {
        let what = format!("`{}` cannot be the name of an axis", axis.name);
        let problem = Problem::error(Code::BadName, what).at(&place);
        keys.note(problem.label("expected a word such as `matrix.branch`"));
        return false;
    }
    if axis.values.is_empty() {
        let what = format!("the axis `{}` has no values", axis.name);
        keys.note(Problem::error(Code::EmptyMatrix, what).at(&place));
        return false;
    }
    for (index, (value, place)) in axis.values.iter().enumerate() {
        if let Some(problem) = comma(value) {
            keys.note(problem.at(place));
            return false;
        }
        let first = axis.values[..index].iter().find(|(it, _)| it == value);
        if let Some((_, first)) = first {
            let what = format!("`{value}` stands twice on the axis `{}`", axis.name);
            let problem = Problem::error(Code::Duplicate, what)
                .at(place)
                .label("the second one")
                .also(first, "the first one");
            keys.note(problem);
            return false;
        }
    }
    true
}

/// What is wrong with a word that commas were meant to part from the next.
pub(super) fn comma(word: &str) -> Option<Problem> {
    let bare = word.strip_suffix(',')?;
    let what = format!("the value `{word}` ends with a comma");
    let help = format!("values stand between spaces: `{bare}`");
    Some(Problem::error(Code::BadValue, what).help(help))
}

/// Words, or a list of texts and whole numbers.
struct Scalars(Vec<(String, Place)>);

impl Value for Scalars {
    const EXPECTED: &'static str = <Vec<String> as Value>::EXPECTED;
    const SHAPE: Shape = Shape::List(&Shape::Any);

    fn read(node: &Node) -> Result<Self, Misread> {
        let Content::List(all) = &node.content else {
            return Vec::read(node).map(Self);
        };
        let all: Result<_, _> = all.iter().map(scalar).collect();
        all.map(Self)
    }
}

fn scalar(node: &Node) -> Result<(String, Place), Misread> {
    let text = match &node.content {
        Content::Text(text) => text.clone(),
        Content::Int(it) => it.to_string(),
        Content::Bool(it) => it.to_string(),
        // `3.10` would be `3.1`.
        Content::Float(_) => {
            return Err(Misread {
                what: Some("a version is written in quotes: `3.10` is no number".into()),
                place: Some(node.place.clone()),
                ..Misread::default()
            });
        }
        _ => {
            return Err(Misread {
                what: Some("expected a text".into()),
                place: Some(node.place.clone()),
                ..Misread::default()
            });
        }
    };
    Ok((text, node.place.clone()))
}

/// Expressions, a line each, or a list of them.
struct Rules(Vec<Node>);

impl Value for Rules {
    const EXPECTED: &'static str = "expressions, a line each, or a list of them";
    const SHAPE: Shape = Shape::Lines(&Shape::Expression);

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(Self(
            lines(node)?
                .into_iter()
                .map(|(text, place)| Node {
                    place,
                    content: Content::Text(text),
                })
                .collect(),
        ))
    }
}

/// The lines of a text that are not blank, or the texts of a list.
pub(super) fn lines(node: &Node) -> Result<Vec<(String, Place)>, Misread> {
    let text = match &node.content {
        Content::Text(text) => text,
        Content::List(_) => return Vec::read(node),
        Content::Edited(edited) => {
            let mut all = edited.base.as_ref().map_or(Ok(Vec::new()), lines)?;
            for (op, it) in &edited.edits {
                let more = lines(it)?;
                match op {
                    crate::syntax::Op::Remove => {
                        all.retain(|(it, _)| more.iter().all(|(m, _)| m != it))
                    }
                    _ => all.extend(more),
                }
            }
            return Ok(all);
        }
        _ => return Err(Misread::default()),
    };
    let mut all = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim();
        let start = at + raw.find(line).unwrap_or(0);
        at += raw.len();
        if !line.is_empty() {
            all.push((line.to_owned(), node.part(text, start..start + line.len())));
        }
    }
    Ok(all)
}

/// A list of maps, each of which is a combination.
struct Rows(Vec<Combination>);

impl Value for Rows {
    const EXPECTED: &'static str = "a list of combinations such as `[{\"python\": \"3.13\"}]`";
    const SHAPE: Shape = Shape::Json;

    fn read(node: &Node) -> Result<Self, Misread> {
        let all = match &node.content {
            Content::Text(text) => return Self::read(&json(node, text)?),
            Content::List(all) => all,
            _ => return Err(Misread::default()),
        };
        let mut rows = Vec::new();
        for row in all.iter() {
            let Content::Table(entries) = &row.content else {
                return Err(Misread {
                    place: Some(row.place.clone()),
                    ..Misread::default()
                });
            };
            let mut one = Vec::new();
            for entry in entries {
                let (value, place) = scalar(&entry.value)?;
                one.push((entry.key.clone(), value, place));
            }
            rows.push(Combination(one));
        }
        Ok(Self(rows))
    }
}
