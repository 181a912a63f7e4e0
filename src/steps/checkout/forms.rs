//! How a file says the URL of a repository: as one, with the build's own
//! repository in it, by a table, or by a rule.

use std::collections::BTreeMap;

use super::url::is_same_repository;
use super::url::masked;
use crate::model::Text;
use crate::steps::Cx;
use crate::steps::StepError;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Pattern;
use crate::syntax::Shape;
use crate::syntax::Value;

/// The URL of a repository.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RepoUrl {
    /// Parts with the build's repository between them: it stands for every `%s`.
    Parts(Vec<Text>),
    /// For each repository of a build, where it is.
    Table(BTreeMap<String, Text>),
    Rule(Rule),
}

/// The build's repository with what fits `regex` replaced.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    regex: Pattern,
    replace: Text,
}

impl From<Text> for RepoUrl {
    fn from(text: Text) -> Self {
        Self::Parts(vec![text])
    }
}

impl Value for RepoUrl {
    const EXPECTED: &'static str =
        "a URL, a map of repositories and their URLs, or `regex` and `replace`";
    const SHAPE: Shape = Shape::OrMap(&Shape::Template, &Shape::Template);

    fn read(node: &Node) -> Result<Self, Misread> {
        let Content::Table(entries) = &node.content else {
            let parts = parts(node.as_text()?).into_iter();
            let parts = parts.map(|part| {
                Text::read(&Node {
                    content: Content::Text(part),
                    ..node.clone()
                })
            });
            return Ok(Self::Parts(parts.collect::<Result<_, _>>()?));
        };
        let named = |name: &str| entries.iter().find(|it| it.key == name);
        if let (2, Some(regex), Some(replace)) = (entries.len(), named("regex"), named("replace")) {
            return Ok(Self::Rule(Rule {
                regex: within(&regex.value)?,
                replace: within(&replace.value)?,
            }));
        }
        let pairs = entries
            .iter()
            .map(|it| Ok((it.key.clone(), within(&it.value)?)));
        Ok(Self::Table(pairs.collect::<Result<_, Misread>>()?))
    }
}

/// Reads a value of a map; what is wrong with it is wrong there.
fn within<T: Value>(node: &Node) -> Result<T, Misread> {
    T::read(node).map_err(|misread| Misread {
        what: Some(
            misread
                .what
                .unwrap_or_else(|| format!("expected {}", T::EXPECTED)),
        ),
        place: misread.place.or_else(|| Some(node.place.clone())),
        ..misread
    })
}

/// What stands before, between and behind each `%s`.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (head, tail) = rest.split_at(at);
        let (taken, ends_part) = match tail.as_bytes().get(1) {
            Some(b's') => (2, true),
            Some(b'%') => (2, false),
            _ => (1, false),
        };
        let last = parts.last_mut().expect("there is one at first");
        last.push_str(head);
        match ends_part {
            true => parts.push(String::new()),
            false => last.push_str(&tail[..taken]),
        }
        rest = &tail[taken..];
    }
    parts
        .last_mut()
        .expect("there is one at first")
        .push_str(rest);
    parts
}

impl RepoUrl {
    /// Reads the key of any of the names; in INI a map is dotted keys of the first.
    #[expect(clippy::option_option, reason = "outer: readable; inner: there")]
    pub(in crate::steps) fn key(keys: &mut Keys<'_>, names: &[&str]) -> Option<Option<Self>> {
        let url = keys.optional_as::<Self>(names)?;
        if url.is_some() {
            return Some(url);
        }
        let name = names.first()?;
        let mut table = keys.map::<Placed>(name)?;
        if table.len() == 2
            && let (Some(regex), Some(replace)) = (table.remove("regex"), table.remove("replace"))
        {
            let Ok(regex) = Pattern::read(&regex.1) else {
                let label = format!("expected {}", Pattern::EXPECTED);
                keys.wrong(&format!("{name}.regex"), label);
                return None;
            };
            let replace = replace.0;
            return Some(Some(Self::Rule(Rule { regex, replace })));
        }
        let table: BTreeMap<_, _> = table.into_iter().map(|(key, it)| (key, it.0)).collect();
        Some((!table.is_empty()).then_some(Self::Table(table)))
    }

    /// The URL for this build.
    pub(in crate::steps) fn render(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        let repository = cx.stamp.repository.as_str();
        match self {
            Self::Parts(parts) => {
                let parts = parts.iter().map(|it| it.render(cx.properties));
                Ok(parts.collect::<Result<Vec<_>, _>>()?.join(repository))
            }
            Self::Table(table) => match lookup(table, repository) {
                Some(url) => Ok(url.render(cx.properties)?),
                None => Err(missing("the table of `repourl` has no URL for", repository)),
            },
            Self::Rule(rule) => {
                if !rule.regex.0.is_match(repository) {
                    return Err(missing("the `regex` of `repourl` does not fit", repository));
                }
                let replace = rule.replace.render(cx.properties)?;
                let url = rule.regex.0.replace(repository, replace.as_str());
                Ok(url.into_owned())
            }
        }
    }

    /// Whether it is about whatever repository the build is about.
    pub(in crate::steps) fn follows_stamp(&self) -> bool {
        match self {
            Self::Parts(parts) => parts.len() > 1,
            Self::Table(_) | Self::Rule(_) => true,
        }
    }
}

/// The URL of a branch, which lies behind `base`.
pub(in crate::steps) fn below(base: &str, branch: &str) -> Result<String, StepError> {
    check_below(branch)?;
    Ok(format!("{base}{branch}"))
}

/// Refuses a branch whose name leads out of the directory of branches.
pub(in crate::steps) fn check_below(branch: &str) -> Result<(), StepError> {
    if branch.split('/').any(|it| it == "..") {
        let what = format!("the branch `{branch}` leads out of the repository");
        return Err(StepError::Other(what));
    }
    Ok(())
}

/// The URL of a repository in a table of them, however it is spelled there.
pub(in crate::steps) fn lookup<'a>(
    table: &'a BTreeMap<String, Text>,
    repository: &str,
) -> Option<&'a Text> {
    let alike = || {
        table
            .iter()
            .find(|(it, _)| is_same_repository(it, repository))
    };
    table.get(repository).or_else(|| Some(alike()?.1))
}

fn missing(what: &str, repository: &str) -> StepError {
    StepError::Other(match repository {
        "" => format!("{what} a build that names no repository"),
        _ => format!("{what} the build's repository `{}`", masked(repository)),
    })
}

/// A text, and what it was read from.
struct Placed(Text, Node);

impl Value for Placed {
    const EXPECTED: &'static str = Text::EXPECTED;
    const SHAPE: Shape = Text::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(Self(Text::read(node)?, node.clone()))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::bench::Bench;
    use crate::steps::git::KIND;
    use crate::steps::read::tests::problems_of;
    use crate::steps::read::tests::read_kind;

    /// What is cloned for a build of the repository, or why nothing is.
    fn cloned(lines: &str, repository: &str) -> String {
        let lines = format!("mode = \"full\"\nmethod = \"clobber\"\n{lines}");
        let step = read_kind(&KIND, &lines);
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.stamp.repository = repository.to_owned();
        bench.stamp.branch = Some("b".into());
        bench.properties.set("host", "h", "test");
        let first = bench.begin();
        if first.starts_with("error") {
            return first;
        }
        bench.ends(0, &[]);
        let told = bench.ends(0, &[]);
        let told = told.strip_prefix("hello/build: git clone --branch ");
        told.expect("a clone").trim_end_matches(" .").to_owned()
    }

    #[test]
    fn a_url_takes_the_builds_repository_and_properties() {
        let with = "repourl = \"http://server/%s\"";
        assert_eq!(cloned(with, "test"), "b http://server/test");
        let twice = "repourl = \"http://%(host)s/%s/%s%%s\"";
        assert_eq!(cloned(twice, "a"), "b http://h/a/a%s");
        // What stands for the build's repository is about it, and a URL of its own is not.
        let own = "repourl = \"http://server/x\"\nbranch = \"main\"";
        assert_eq!(cloned(own, "test"), "main http://server/x");
        assert_eq!(cloned("", "http://server/y"), "b http://server/y");
    }

    #[test]
    fn a_table_has_the_url_of_each_repository() {
        let table = "repourl = { a = \"http://x/a\", \"http://y/b\" = \"http://%(host)s/b\" }";
        assert_eq!(cloned(table, "a"), "b http://x/a");
        assert_eq!(cloned(table, "http://y/b/"), "b http://h/b");
        assert_eq!(
            cloned(table, "http://u:secret@z"),
            "error: the table of `repourl` has no URL for the build's repository `http://u:XXXX@z`"
        );
        assert_eq!(
            cloned(table, ""),
            "error: the table of `repourl` has no URL for a build that names no repository"
        );
        let dotted = "repourl.a = \"http://x/a\"";
        assert_eq!(cloned(dotted, "a"), "b http://x/a");
    }

    #[test]
    fn a_rule_replaces_what_fits_it() {
        let rule = r"repourl = { regex = '^https://([^/]*)/', replace = 'ssh://git@$1/%(host)s/' }";
        assert_eq!(cloned(rule, "https://x/r"), "b ssh://git@x/h/r");
        assert_eq!(
            cloned(rule, "git://x/r"),
            "error: the `regex` of `repourl` does not fit the build's repository `git://x/r`"
        );
        insta::assert_snapshot!(
            problems_of(&KIND, "repourl = { regex = '(', replace = 'x' }"),
            @"factories/x.toml:2:21: bad value for `repourl` in [[steps]]"
        );
        insta::assert_snapshot!(problems_of(&KIND, "repourl = 'http://%x'"), @"factories/x.toml:2:19: bad value for `repourl` in [[steps]]");
    }
}
