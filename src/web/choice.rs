//! What the arguments of an address choose of builders, branches and changes,
//! as several pages have them.

use std::sync::Arc;

use crate::config::BuilderPlan;
use crate::config::Plan;

use super::links;
use super::notice;

pub(super) type Query = Vec<(String, String)>;

/// What is shown; an argument that is not given, or empty, chooses all.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    builders: Vec<String>,
    pub(super) categories: Vec<String>,
    /// `trunk` means the default branch.
    branches: Vec<String>,
}

impl Choice {
    pub(super) fn new(query: &Query) -> Self {
        Self {
            builders: all(query, &["builder", "show"]),
            categories: all(query, &["category"]),
            branches: all(query, &["branch"]),
        }
    }

    /// Whether a builder of this name and category is shown.
    pub(super) fn takes(&self, name: &str, category: Option<&str>) -> bool {
        let named = self.builders.is_empty() || self.builders.iter().any(|it| it == name);
        named
            && (self.categories.is_empty()
                || self
                    .categories
                    .iter()
                    .any(|it| Some(it.as_str()) == category))
    }

    /// The builders of a configuration that are chosen, in its order.
    pub(super) fn planned(&self, plan: &Plan) -> Vec<Arc<BuilderPlan>> {
        let builders = plan.builders.iter();
        let chosen = builders.filter(|it| self.takes(it.name.as_str(), it.category.as_deref()));
        chosen.cloned().collect()
    }

    pub(super) fn takes_branch(&self, branch: Option<&str>) -> bool {
        self.branches.is_empty() || self.branches.iter().any(|it| is_branch(it, branch))
    }
}

/// Whether an argument means this branch.
pub(super) fn is_branch(asked: &str, branch: Option<&str>) -> bool {
    Some(asked) == branch || (asked == "trunk" && branch.is_none())
}

/// The branches that an address asks for, as a store is asked for them.
pub(super) fn branches(query: &Query) -> Vec<Option<String>> {
    let mut branches: Vec<_> = all(query, &["branch"]).into_iter().map(Some).collect();
    if branches.iter().flatten().any(|it| it == "trunk") {
        branches.push(None);
    }
    branches
}

/// The values of arguments of these names that are not empty.
pub(super) fn all(query: &Query, names: &[&str]) -> Vec<String> {
    query
        .iter()
        .filter(|(name, value)| names.contains(&name.as_str()) && !value.is_empty())
        .map(|(_, value)| value.clone())
        .collect()
}

/// The first value of an argument that is not empty.
pub(super) fn first<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    let mut values = query.iter().filter(|(it, _)| it == name);
    values
        .find(|(_, it)| !it.is_empty())
        .map(|(_, it)| it.as_str())
}

/// The arguments as they stand in an address, with `name` as this and those of `without` left out.
pub(super) fn with(query: &Query, name: &str, value: &str, without: &[&str]) -> String {
    let mut left_out = vec![name];
    left_out.extend(without);
    let kept = written(query, &left_out);
    let own = format!("{}={}", links::quote(name), links::quote(value));
    match kept.is_empty() {
        true => own,
        false => format!("{kept}&{own}"),
    }
}

/// The arguments as they stand in an address, those of `without` left out, and what is said once.
pub(super) fn written(query: &Query, without: &[&str]) -> String {
    let kept = query
        .iter()
        .filter(|(name, _)| name != notice::ARGUMENT && !without.contains(&name.as_str()));
    let parts: Vec<_> = kept
        .map(|(name, value)| format!("{}={}", links::quote(name), links::quote(value)))
        .collect();
    parts.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &[(&str, &str)]) -> Query {
        let pairs = text.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn trunk_is_the_default_branch_and_an_empty_argument_chooses_all() {
        let choice = Choice::new(&query(&[("branch", "trunk"), ("branch", "")]));
        assert!(choice.takes_branch(None) && choice.takes_branch(Some("trunk")));
        assert!(!choice.takes_branch(Some("x")));
        let choice = Choice::new(&query(&[("branch", ""), ("builder", "")]));
        assert!(choice.takes_branch(Some("x")));
    }

    #[test]
    fn arguments_are_quoted_when_they_are_written_again() {
        let query = query(&[
            ("a b", "\"<&"),
            ("width", "3"),
            ("x", ""),
            ("notice", "still-runs"),
        ]);
        assert_eq!(written(&query, &["width"]), "a%20b=%22%3C%26&x=");
        assert_eq!(with(&query, "x", "&", &["a b"]), "width=3&x=%26");
    }
}
