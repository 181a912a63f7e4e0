//! Which branches of a repository are followed.

use std::collections::BTreeSet;

use crate::syntax::Glob;

/// Names and patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patterns(Vec<String>);

impl Patterns {
    pub(crate) const fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// The only name, if it is one name and no pattern.
    pub(crate) fn only(&self) -> Option<&str> {
        match self.0.as_slice() {
            [only] if !Glob::is_one(only) => Some(only),
            _ => None,
        }
    }

    pub(crate) fn fit(&self, branch: &str) -> bool {
        self.0.iter().any(|it| fits(it, branch))
    }
}

/// What of a git repository is followed, if it is not one branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) branches: Option<Patterns>,
    pub(crate) tags: Option<Patterns>,
    /// By full names, such as `refs/pull/*/head`.
    pub(crate) refs: Option<Patterns>,
}

const HEADS: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

impl Wanted {
    /// The full names and patterns of all that is followed.
    pub(super) fn patterns(&self) -> BTreeSet<String> {
        let kinds = [
            (&self.branches, HEADS),
            (&self.tags, TAGS),
            (&self.refs, ""),
        ];
        let of = |(patterns, before): (&Option<Patterns>, &str)| {
            let all = patterns.iter().flat_map(|it| it.0.clone());
            let full: Vec<_> = all.map(|it| format!("{before}{it}")).collect();
            full
        };
        kinds.into_iter().flat_map(of).collect()
    }

    /// What changes call a ref, if it is followed: a branch goes by its own name, all else by
    /// the full one.
    pub(super) fn branch<'a>(&self, name: &'a str) -> Option<&'a str> {
        let fit = |patterns: &Option<Patterns>, it: &str| {
            patterns.as_ref().is_some_and(|patterns| patterns.fit(it))
        };
        if let Some(branch) = name.strip_prefix(HEADS)
            && fit(&self.branches, branch)
        {
            // A name that looks like an option is left alone; one that looks like a full name
            // is told by its own.
            return match branch.starts_with("refs/") {
                true => Some(name),
                false => (!branch.starts_with('-')).then_some(branch),
            };
        }
        let is_tag = name
            .strip_prefix(TAGS)
            .is_some_and(|it| fit(&self.tags, it));
        (is_tag || fit(&self.refs, name)).then_some(name)
    }

    /// The full name of what [`Wanted::branch`] calls so.
    pub(super) fn name(&self, branch: &str) -> String {
        match branch.starts_with("refs/") {
            true => branch.to_owned(),
            false => format!("{HEADS}{branch}"),
        }
    }

    pub(super) fn shown(&self) -> String {
        let all = self.patterns();
        let short = all.iter().map(|it| it.strip_prefix(HEADS).unwrap_or(it));
        short.collect::<Vec<_>>().join(" ")
    }
}

fn fits(pattern: &str, branch: &str) -> bool {
    match Glob::is_one(pattern) {
        true => Glob::new(pattern).matches(branch),
        false => pattern == branch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_everything_else_is_meant_as_it_stands() {
        let check = |pattern: &str, branch: &str, expected: bool| {
            assert_eq!(fits(pattern, branch), expected, "{pattern} {branch}");
        };
        check("main", "main", true);
        check("main", "main2", false);
        check("*", "a/b", true);
        check("release/*", "release/1.0", true);
        check("release/*", "release", false);
        check("1.?", "1.2", true);
        check("1.?", "1x2", false);
        check("(a*", "(ab", true);
        assert_eq!(Patterns::new(vec!["a".into()]).only(), Some("a"));
        assert_eq!(Patterns::new(vec!["a*".into()]).only(), None);
    }

    #[test]
    fn a_branch_goes_by_its_own_name_and_all_else_by_the_full_one() {
        let patterns = |it: &str| Some(Patterns::new(vec![it.to_owned()]));
        let wanted = Wanted {
            branches: patterns("*"),
            tags: patterns("v*"),
            refs: patterns("refs/pull/*/head"),
        };
        for (name, branch) in [
            ("refs/heads/a/b", Some("a/b")),
            ("refs/heads/-x", None),
            ("refs/heads/refs/tags/v1", Some("refs/heads/refs/tags/v1")),
            ("refs/tags/v1", Some("refs/tags/v1")),
            ("refs/tags/old", None),
            ("refs/pull/7/head", Some("refs/pull/7/head")),
            ("refs/pull/7/merge", None),
            ("HEAD", None),
        ] {
            assert_eq!(wanted.branch(name), branch, "{name}");
            if let Some(branch) = branch {
                assert_eq!(wanted.name(branch), name);
            }
        }
        assert_eq!(wanted.shown(), "* refs/pull/*/head refs/tags/v*");
    }
}
