//! Which branch a path of a Subversion repository or a Perforce depot belongs to, and what the
//! file is called in it. They themselves know only directories.

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;
use crate::syntax::plain;

/// How paths are taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// All of it is the default branch.
    None,
    /// `trunk/` is the default branch, `branches/NAME/` the branch `branches/NAME`.
    Branches,
    /// The first directory is the branch; a file in none is of no branch.
    Simple,
    /// Each branch has its directories.
    Map(Vec<Prefix>),
}

/// A branch and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// May hold a `*`, which is what stood for the one in `parts`.
    branch: String,
    /// Directories from the URL on; `*` is any one.
    parts: Vec<String>,
}

impl Prefix {
    /// Reads `branch = prefix`; the error says what is wrong with it.
    pub(super) fn new(branch: &str, prefix: &str) -> Result<Self, &'static str> {
        let parts: Vec<String> = components(prefix).map(str::to_owned).collect();
        let stars = parts.iter().filter(|it| *it == "*").count();
        let has_star = branch.contains('*');
        if branch.is_empty() {
            return Err("the branch has no name");
        }
        if parts.iter().any(|it| it == "..") {
            return Err("a prefix has no `..`");
        }
        if parts.iter().any(|it| it != "*" && it.contains('*')) {
            return Err("a `*` stands for one whole directory");
        }
        if stars > 1 || has_star != (stars == 1) || branch.matches('*').count() > 1 {
            return Err("a `*` stands once in the name and once in the prefix, or in neither");
        }
        Ok(Self {
            branch: branch.to_owned(),
            parts,
        })
    }

    /// The branch and what is left of the path, if it begins with the prefix.
    fn strip(&self, path: &str) -> Option<(String, String)> {
        let mut rest = components(path);
        let mut name = self.branch.clone();
        for part in &self.parts {
            let found = rest.next()?;
            if part == "*" {
                name = name.replace('*', found);
            } else if part != found {
                return None;
            }
        }
        Some((name, rest.collect::<Vec<_>>().join("/")))
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|it| !it.is_empty() && *it != ".")
}

impl Split {
    /// Reads `split_file`, or `branch.NAME = PREFIX` instead of it.
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let split_file = keys.optional::<String>("split_file");
        let prefixes = keys.placed_map::<String>("branch")?;
        let mut map = Vec::new();
        let mut is_good = true;
        for (branch, (place, prefix)) in &prefixes {
            match Prefix::new(branch, prefix) {
                Ok(prefix) => map.push(prefix),
                Err(why) => {
                    is_good = false;
                    let what = format!("bad prefix of the branch `{branch}` in {}", keys.title());
                    keys.note(Problem::error(Code::BadValue, what).at(place).label(why));
                }
            }
        }
        let split = match split_file?.as_deref().map(plain).as_deref() {
            None if map.is_empty() => Self::None,
            None => Self::Map(map),
            Some(_) if !prefixes.is_empty() => {
                let what = "`split_file` and `branch.NAME` say the same thing twice";
                let problem = Problem::error(Code::Contradiction, what);
                keys.note(problem.at(&keys.place("split_file")));
                return None;
            }
            // Buildbot's function for a URL that is all trunk leaves paths as they are.
            Some("none" | "trunk" | "alwaystrunk" | "splitfilealwaystrunk") => Self::None,
            Some("branches" | "splitfilebranches") => Self::Branches,
            Some("simple" | "getsimplesplit") => Self::Simple,
            Some(_) => {
                let label =
                    "expected `none`, `branches`, `simple`, or `branch.NAME = PREFIX` instead";
                keys.wrong("split_file", label);
                return None;
            }
        };
        is_good.then_some(split)
    }

    /// The branch and the file in it; an empty file is the branch's own directory.
    pub(super) fn split(&self, path: &str) -> Option<(Option<String>, String)> {
        match self {
            Self::None => Some((None, path.to_owned())),
            Self::Branches => {
                let (head, rest) = path.split_once('/').unwrap_or((path, ""));
                match head {
                    "trunk" => Some((None, rest.to_owned())),
                    "branches" => {
                        let (name, file) = rest.split_once('/').unwrap_or((rest, ""));
                        let branch = (!name.is_empty()).then(|| format!("branches/{name}"))?;
                        Some((Some(branch), file.to_owned()))
                    }
                    _ => None,
                }
            }
            Self::Simple => {
                let (branch, file) = path.split_once('/')?;
                Some((Some(branch.to_owned()), file.to_owned()))
            }
            Self::Map(all) => {
                // The one that says the most of the path knows it best.
                let mut found: Option<(usize, (String, String))> = None;
                for prefix in all {
                    if let Some(parts) = prefix.strip(path) {
                        let depth = prefix.parts.len();
                        if found.as_ref().is_none_or(|(it, _)| *it < depth) {
                            found = Some((depth, parts));
                        }
                    }
                }
                found.map(|(_, (branch, file))| (Some(branch), file))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(all: &[(&str, &str)]) -> Split {
        let all = all
            .iter()
            .map(|(name, it)| Prefix::new(name, it).expect(it));
        Split::Map(all.collect())
    }

    fn check(split: &Split, path: &str, expected: Option<(&str, &str)>) {
        let told = split.split(path);
        let told = told.map(|(branch, file)| (branch.unwrap_or_else(|| "-".into()), file));
        let expected = expected.map(|(branch, file)| (branch.to_owned(), file.to_owned()));
        assert_eq!(told, expected, "{path}");
    }

    #[test]
    fn trunk_and_branches_are_where_everybody_has_them() {
        check(&Split::None, "a/b", Some(("-", "a/b")));
        check(&Split::Branches, "trunk/a/b", Some(("-", "a/b")));
        check(&Split::Branches, "trunk", Some(("-", "")));
        let branch = Some(("branches/1.5", "a"));
        check(&Split::Branches, "branches/1.5/a", branch);
        check(&Split::Branches, "branches/1.5", Some(("branches/1.5", "")));
        for path in ["branches", "branches/", "tags/1/a", "trunks/a", ""] {
            check(&Split::Branches, path, None);
        }
    }

    #[test]
    fn the_simple_split_takes_the_first_directory_for_the_branch() {
        check(&Split::Simple, "a/b/c", Some(("a", "b/c")));
        check(&Split::Simple, "top", None);
    }

    #[test]
    fn a_prefix_is_whole_directories_and_is_taken_off_once() {
        let split = map(&[
            ("trunk", "django/trunk"),
            ("1.2.X", "django/branches/releases/1.2.X"),
        ]);
        check(&split, "django/trunk/a", Some(("trunk", "a")));
        let twice = "django/trunk/django/trunk/a";
        check(&split, twice, Some(("trunk", "django/trunk/a")));
        check(&split, "django/trunk-old/a", None);
        check(&split, "django/branches/releases/1.2.X2/a", None);
        let release = "django/branches/releases/1.2.X/a/b";
        check(&split, release, Some(("1.2.X", "a/b")));
        check(&split, "django/trunk", Some(("trunk", "")));
        check(&split, "djangoproject.com/a", None);
    }

    #[test]
    fn the_longest_prefix_wins_and_a_star_names_the_branch() {
        let split = map(&[("all", ""), ("main", "trunk/x"), ("b-*", "branches/*/x")]);
        check(&split, "trunk/x/a", Some(("main", "a")));
        check(&split, "branches/1.5/x/a", Some(("b-1.5", "a")));
        check(
            &split,
            "branches/1.5/y/a",
            Some(("all", "branches/1.5/y/a")),
        );
    }

    #[test]
    fn a_prefix_that_can_mean_nothing_is_refused() {
        for (name, prefix) in [
            ("", "a"),
            ("a", "*"),
            ("*", "a"),
            ("*", "*/*"),
            ("**", "*"),
            ("*", "a*"),
            ("a", "../b"),
        ] {
            assert!(Prefix::new(name, prefix).is_err(), "{name} {prefix}");
        }
    }
}
