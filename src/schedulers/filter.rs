//! Which changes a scheduler hears of, and which of those are worth a build
//! by themselves. Pure, and compared by value, so that a reload can tell
//! whether it changed.

use std::fmt;

use serde_json::json;

use crate::expr::Expression;
use crate::expr::Values;
use crate::expr::names;
use crate::model::Change;
use crate::syntax::Glob;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Pattern;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Conditions on a change, all of which must hold. The default lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    /// The change must be on one of these; none: anywhere.
    pub(crate) on: Vec<Branch>,
    pub(crate) conditions: Vec<(Field, Criterion)>,
    pub(crate) change_filter: Option<ChangeExpression>,
    pub(crate) importance: Importance,
    /// Unimportant changes are not even heard of.
    pub(crate) only_important: bool,
}

/// A branch of a repository. Both are compared as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) repository: String,
    /// `None` is the default branch, which is not the same as an empty name.
    pub(crate) branch: Option<String>,
}

/// What of a change a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Branch,
    Repository,
    Project,
    Category,
    Author,
    /// The condition must hold for one of them.
    Files,
}

/// A condition on one attribute of a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Criterion {
    /// It is one of these; `None` is one that is not set.
    OneOf(Vec<Option<String>>),
    /// It is set, and one of the patterns matches the whole of it.
    Glob(Vec<Glob>),
    /// It is set, and the pattern matches where it begins.
    Matches(Pattern),
}

/// What makes a change worth a build by itself. All of it must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Importance {
    /// One of its files matches one of these; none: no condition.
    pub(crate) files: Vec<Glob>,
    /// It holds for one of its files.
    pub(crate) rule: Option<ChangeExpression>,
}

/// What the filter says of a change, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) passes: bool,
    /// Whether it is worth a build by itself.
    pub(crate) important: bool,
    /// Such as ``the branch `dev` is not `main` ``.
    pub(crate) because: String,
}

/// The keys of each field: values, patterns of names, a regular expression.
const FIELDS: [(Field, [&str; 3]); 6] = [
    (Field::Branch, ["branch", "branch_glob", "branch_re"]),
    (
        Field::Repository,
        ["repository", "repository_glob", "repository_re"],
    ),
    (Field::Project, ["project", "project_glob", "project_re"]),
    (
        Field::Category,
        ["category", "category_glob", "category_re"],
    ),
    (Field::Author, ["author", "author_glob", "author_re"]),
    (Field::Files, ["files", "files_glob", "files_re"]),
];

/// The keys of rules.
const RULES: [&str; 4] = [
    "change_filter",
    "file_is_important",
    "important_files",
    "only_important",
];

impl Filter {
    /// Every key that a kind without a condition on branches has.
    pub(super) fn keys() -> impl Iterator<Item = &'static str> {
        let fields = FIELDS.into_iter().filter(|(it, _)| *it != Field::Branch);
        let names = fields.flat_map(|(_, names)| names);
        names.chain(["categories"]).chain(RULES)
    }

    /// Reads the keys that every kind on changes has. `branch` is what the kind calls
    /// its condition on branches, if it has one.
    pub(super) fn read(keys: &mut Keys<'_>, branch: Option<&str>) -> Option<Self> {
        let mut conditions = Vec::new();
        let mut is_good = true;
        for (field, [value, glob, pattern]) in FIELDS {
            let value = match (field, branch) {
                (Field::Branch, None) => continue,
                (Field::Branch, Some(branch)) => branch,
                _ => value,
            };
            // Buildbot's word for a list of them.
            let names = [value, "categories"];
            let names = &names[..if field == Field::Category { 2 } else { 1 }];
            let read = [
                keys.optional_as::<Names>(names)
                    .map(|it| it.map(|it| Criterion::OneOf(field.values(it.0)))),
                keys.optional(glob).map(|it| it.map(Criterion::Glob)),
                keys.optional(pattern).map(|it| it.map(Criterion::Matches)),
            ];
            for criterion in read {
                match criterion {
                    Some(criterion) => conditions.extend(criterion.map(|it| (field, it))),
                    None => is_good = false,
                }
            }
        }
        let change_filter = keys.optional("change_filter");
        let files = keys.or("important_files", Vec::new());
        let rule = keys.optional("file_is_important");
        let only_important = keys.or("only_important", false);
        let filter = Self {
            on: Vec::new(),
            conditions,
            change_filter: change_filter?,
            importance: Importance {
                files: files?,
                rule: rule?,
            },
            only_important: only_important?,
        };
        is_good.then_some(filter)
    }

    /// Says what the filter makes of a change.
    pub(crate) fn verdict(&self, change: &Change) -> Verdict {
        let refused = |because: String| Verdict {
            passes: false,
            important: false,
            because,
        };
        if let Some(because) = self.refusal(change) {
            return refused(because);
        }
        match self.importance.objection(change) {
            Ok(None) => Verdict {
                passes: true,
                important: true,
                because: "every condition holds".into(),
            },
            Ok(Some(objection)) if self.only_important => refused(format!(
                "{objection}, and only important changes are heard of"
            )),
            Ok(Some(objection)) => Verdict {
                passes: true,
                important: false,
                because: format!("{objection}: it only rides along with important ones"),
            },
            Err(error) => refused(format!("`file_is_important` cannot be computed: {error}")),
        }
    }

    /// The first condition that does not hold.
    fn refusal(&self, change: &Change) -> Option<String> {
        let is_here = |it: &&Branch| it.repository == change.repository;
        let here = self.on.iter().filter(is_here);
        let mut here = here.map(|it| it.branch.as_deref()).peekable();
        if !self.on.is_empty() && here.peek().is_none() {
            let mut names: Vec<_> = self.on.iter().map(|it| it.repository.as_str()).collect();
            names.dedup();
            let names = names.into_iter().map(|it| shown(Some(it)));
            let own = shown(Some(&change.repository));
            return Some(format!("the repository {own} is not {}", either(names)));
        }
        let branch = change.branch.as_deref();
        if here.peek().is_some() && !here.clone().any(|it| it == branch) {
            let names = either(here.map(shown));
            return Some(format!("the branch {} is not {names}", shown(branch)));
        }
        let failed = self
            .conditions
            .iter()
            .find(|(field, criterion)| !field.of(change).iter().any(|it| criterion.holds(*it)));
        if let Some((field, criterion)) = failed {
            let (wanted, has, lacks) = criterion.shown();
            return Some(match field {
                Field::Files => format!("none of its files {has} {wanted}"),
                _ => format!(
                    "the {field} {} {lacks} {wanted}",
                    shown(field.of(change)[0])
                ),
            });
        }
        let rule = self.change_filter.as_ref()?;
        match rule.passes(change) {
            Ok(true) => None,
            Ok(false) => Some(format!("`change_filter` says no: {rule}")),
            Err(error) => Some(format!("`change_filter` cannot be computed: {error}")),
        }
    }

    /// Each of its conditions, such as ``the project is `hello` ``.
    pub(crate) fn describe(&self) -> Vec<String> {
        let mut said = Vec::new();
        if !self.on.is_empty() {
            let all = self.on.iter().map(|it| {
                let branch = shown(it.branch.as_deref());
                format!("{branch} of {}", shown(Some(&it.repository)))
            });
            said.push(format!("the branch is {}", either(all)));
        }
        said.extend(self.conditions.iter().map(|(field, criterion)| {
            let (wanted, has, _) = criterion.shown();
            match field {
                Field::Files => format!("one of its files {has} {wanted}"),
                _ => format!("the {field} {has} {wanted}"),
            }
        }));
        if let Some(rule) = &self.change_filter {
            said.push(format!("`change_filter` holds: {rule}"));
        }
        if !self.importance.files.is_empty() {
            let files = self.importance.files.iter();
            let files = either(files.map(|it| shown(Some(it.as_str()))));
            said.push(format!("important if a file matches {files}"));
        }
        if let Some(rule) = &self.importance.rule {
            said.push(format!("important if {rule}"));
        }
        if self.only_important {
            said.push("what is not important is not heard of".to_owned());
        }
        said
    }

    /// Whether there is any condition on branches.
    pub(super) fn is_on_branches(&self) -> bool {
        let is_on_branch = |(field, _): &(Field, Criterion)| *field == Field::Branch;
        self.change_filter.is_some() || self.conditions.iter().any(is_on_branch)
    }
}

impl Importance {
    /// Why the change is not important, if it is not.
    fn objection(&self, change: &Change) -> Result<Option<String>, String> {
        let is_wanted = |file: &String| self.files.iter().any(|it| it.matches(file));
        if !self.files.is_empty() && !change.files.iter().any(is_wanted) {
            return Ok(Some("no file of it is one of `important_files`".into()));
        }
        match &self.rule {
            Some(rule) if !rule.passes(change)? => {
                Ok(Some("`file_is_important` says that it is not".into()))
            }
            _ => Ok(None),
        }
    }
}

impl Field {
    /// What a list of values stands for: a change always has a repository and a project, which
    /// may be empty, and that is what `none` is for these.
    fn values(self, all: Vec<Option<String>>) -> Vec<Option<String>> {
        match self {
            Self::Repository | Self::Project => all
                .into_iter()
                .map(|it| Some(it.unwrap_or_default()))
                .collect(),
            Self::Branch | Self::Category | Self::Author | Self::Files => all,
        }
    }

    /// The values that a condition on it looks at.
    fn of(self, change: &Change) -> Vec<Option<&str>> {
        match self {
            Self::Branch => vec![change.branch.as_deref()],
            Self::Repository => vec![Some(&change.repository)],
            Self::Project => vec![Some(&change.project)],
            Self::Category => vec![change.category.as_deref()],
            Self::Author => vec![Some(&change.author)],
            Self::Files => change.files.iter().map(|it| Some(it.as_str())).collect(),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Branch => "branch",
            Self::Repository => "repository",
            Self::Project => "project",
            Self::Category => "category",
            Self::Author => "author",
            Self::Files => "files",
        })
    }
}

impl Criterion {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|it| it.as_deref() == value),
            Self::Glob(all) => value.is_some_and(|it| all.iter().any(|glob| glob.matches(it))),
            // A match at the start, if there is one, is the leftmost one.
            Self::Matches(pattern) => value
                .and_then(|it| pattern.0.find(it))
                .is_some_and(|found| found.start() == 0),
        }
    }

    /// What it looks for, and the words for having and for lacking it.
    fn shown(&self) -> (String, &'static str, &'static str) {
        match self {
            Self::OneOf(values) => {
                let names = values.iter().map(|it| shown(it.as_deref()));
                (either(names), "is", "is not")
            }
            Self::Glob(all) => {
                let names = all.iter().map(|it| shown(Some(it.as_str())));
                (either(names), "matches", "does not match")
            }
            Self::Matches(pattern) => {
                let pattern = shown(Some(pattern.0.as_str()));
                (pattern, "begins with", "does not begin with")
            }
        }
    }
}

fn shown(value: Option<&str>) -> String {
    value.map_or("(none)".to_owned(), |it| format!("`{it}`"))
}

fn either(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(" or ")
}

/// Words, of which `none` is a value that is not set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Names(pub(super) Vec<Option<String>>);

impl Value for Names {
    const EXPECTED: &'static str = "a name, `none`, or several";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let names = Vec::<String>::read(node)?;
        if names.is_empty() {
            return Err(Misread::default());
        }
        let set = |it: String| (it != "none").then_some(it);
        Ok(Self(names.into_iter().map(set).collect()))
    }
}

/// One name, or `none`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name(pub(super) Option<String>);

impl Value for Name {
    const EXPECTED: &'static str = "the name of a branch, or `none` for the default branch";

    fn read(node: &Node) -> Result<Self, Misread> {
        let name = node.as_text()?;
        if name.is_empty() {
            return Err(Misread::default());
        }
        Ok(Self((name != "none").then(|| name.to_owned())))
    }
}

/// An expression over `change`, and `file`: the name of one of its files.
/// The one place of this room that knows how expressions are computed.
#[derive(Clone)]
pub(crate) struct ChangeExpression(Expression);

impl ChangeExpression {
    /// Whether it holds for one of the change's files. For a change that names none it is
    /// computed once, with an empty `file`.
    pub(crate) fn passes(&self, change: &Change) -> Result<bool, String> {
        let own: serde_json::Map<_, _> = change
            .properties
            .iter()
            .map(|(name, it)| (name.to_owned(), it.value.clone()))
            .collect();
        let all = json!({
            "number": change.id,
            "author": change.author,
            "files": change.files,
            "comments": change.comments,
            "revision": change.revision,
            "branch": change.branch,
            "category": change.category,
            "repository": change.repository,
            "project": change.project,
            "revlink": change.revlink,
            "properties": own,
        });
        let bare = all.as_object().map(Values::from).unwrap_or_default();
        let values = bare.with("change", all);
        let none = [String::new()];
        let files = match change.files.as_slice() {
            [] => &none,
            files => files,
        };
        for file in files {
            let values = values.clone().with("file", file.as_str());
            match self.0.holds(&values) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(error) => return Err(error.to_string()),
            }
            if !self.0.uses("file") {
                break;
            }
        }
        Ok(false)
    }
}

impl PartialEq for ChangeExpression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Debug for ChangeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeExpression({:?})", self.0.as_str())
    }
}

impl fmt::Display for ChangeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Value for ChangeExpression {
    const EXPECTED: &'static str = "an expression such as `branch != \"docs-only\"`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        Expression::read_in(node, &names::CHANGE).map(Self)
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
