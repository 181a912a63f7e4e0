//! Which branches of a repository are followed.

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

    pub(super) fn shown(&self) -> String {
        self.0.join(" ")
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
}
