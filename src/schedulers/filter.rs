//! Which changes a scheduler hears of. Pure, and compared by value, so that a
//! reload can tell whether it changed.

use regex::Regex;

use crate::model::Change;

/// Conditions on a change, all of which must hold. The default lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChangeFilter {
    /// The change must be in one of these places; no place: anywhere.
    pub(crate) places: Vec<Place>,
    pub(crate) project: Criterion,
    pub(crate) repository: Criterion,
    pub(crate) branch: Criterion,
    pub(crate) category: Criterion,
}

/// A branch of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) repository: String,
    /// `None` is the default branch, which is not the same as an empty name.
    pub(crate) branch: Option<String>,
}

/// A condition on one attribute of a change.
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "derived schedulers follow places; named ones say the rest"
    )
)]
#[derive(Clone, Debug, Default)]
pub(crate) enum Criterion {
    /// There is no condition.
    #[default]
    Any,
    /// The attribute is one of these; `None` is one that is not set.
    OneOf(Vec<Option<String>>),
    /// The attribute is set, and the pattern matches where it begins.
    Matches(Regex),
}

impl ChangeFilter {
    pub(crate) fn passes(&self, change: &Change) -> bool {
        let is_here =
            |place: &Place| place.repository == change.repository && place.branch == change.branch;
        (self.places.is_empty() || self.places.iter().any(is_here))
            && self.project.holds(Some(&change.project))
            && self.repository.holds(Some(&change.repository))
            && self.branch.holds(change.branch.as_deref())
            && self.category.holds(change.category.as_deref())
    }
}

impl Criterion {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(values) => values.iter().any(|it| it.as_deref() == value),
            // A match at the start, if there is one, is the leftmost one.
            Self::Matches(pattern) => value
                .and_then(|it| pattern.find(it))
                .is_some_and(|found| found.start() == 0),
        }
    }
}

impl PartialEq for Criterion {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::OneOf(a), Self::OneOf(b)) => a == b,
            (Self::Matches(a), Self::Matches(b)) => a.as_str() == b.as_str(),
            (Self::Any | Self::OneOf(_) | Self::Matches(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::change;
    use super::*;

    fn one_of(values: &[Option<&str>]) -> Criterion {
        Criterion::OneOf(values.iter().map(|it| it.map(str::to_owned)).collect())
    }

    fn matches(pattern: &str) -> Criterion {
        Criterion::Matches(Regex::new(pattern).unwrap())
    }

    fn check(test: Criterion, value: Option<&str>, expected: bool) {
        let mut branch = change(1);
        branch.branch = value.map(str::to_owned);
        let by_branch = ChangeFilter {
            branch: test.clone(),
            ..ChangeFilter::default()
        };
        assert_eq!(by_branch.passes(&branch), expected, "{test:?} of {value:?}");

        let mut category = change(1);
        category.category = value.map(str::to_owned);
        let by_category = ChangeFilter {
            category: test.clone(),
            ..ChangeFilter::default()
        };
        assert_eq!(
            by_category.passes(&category),
            expected,
            "{test:?} of {value:?}"
        );
    }

    #[test]
    fn values_lists_and_patterns_hold_as_the_original_had_it() {
        check(Criterion::Any, None, true);
        check(Criterion::Any, Some("x"), true);
        check(one_of(&[Some("b"), None]), Some("b"), true);
        check(one_of(&[Some("b"), None]), None, true);
        check(one_of(&[Some("b"), None]), Some("c"), false);
        check(one_of(&[None]), Some(""), false);
        check(one_of(&[Some("")]), None, false);
        check(matches("^a.*"), Some("albert"), true);
        check(matches("^a.*"), Some("boris"), false);
        check(matches("^t.*"), None, false);
        check(matches("(?i)^b"), Some("Bruce"), true);
    }

    #[test]
    fn a_pattern_begins_with_the_text_and_may_end_before_it() {
        check(matches("rel"), Some("release"), true);
        check(matches("rel"), Some("prerelease"), false);
        check(matches("x|rel"), Some("release-x"), true);
        check(matches("(?x) rel # a comment"), Some("release"), true);
    }

    #[test]
    fn every_condition_must_hold() {
        let filter = ChangeFilter {
            project: one_of(&[Some("p")]),
            repository: one_of(&[Some("r")]),
            branch: one_of(&[Some("b")]),
            category: one_of(&[Some("c")]),
            ..ChangeFilter::default()
        };
        let mut good = change(1);
        good.project = "p".into();
        good.repository = "r".into();
        good.branch = Some("b".into());
        good.category = Some("c".into());
        assert!(filter.passes(&good));
        let spoil: [fn(&mut Change); 4] = [
            |it| it.project.clear(),
            |it| it.repository.clear(),
            |it| it.branch = None,
            |it| it.category = None,
        ];
        for spoil in spoil {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(!filter.passes(&bad), "{bad:?}");
        }
    }

    #[test]
    fn a_place_is_a_repository_and_a_branch_together() {
        let place = |repository: &str, branch: Option<&str>| Place {
            repository: repository.into(),
            branch: branch.map(str::to_owned),
        };
        let filter = ChangeFilter {
            places: vec![place("a", None), place("b", Some("dev"))],
            ..ChangeFilter::default()
        };
        let passes = |repository: &str, branch: Option<&str>| {
            let mut it = change(1);
            it.repository = repository.into();
            it.branch = branch.map(str::to_owned);
            filter.passes(&it)
        };
        assert!(passes("a", None) && passes("b", Some("dev")));
        assert!(!passes("a", Some("dev")) && !passes("b", None) && !passes("a", Some("")));
    }

    #[test]
    fn filters_are_compared_by_value() {
        let filter = |pattern| ChangeFilter {
            branch: matches(pattern),
            ..ChangeFilter::default()
        };
        assert_eq!(filter("a"), filter("a"));
        assert_ne!(filter("a"), filter("b"));
        assert_ne!(filter("a"), ChangeFilter::default());
    }
}
