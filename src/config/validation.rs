//! `[:validation:]`: what a person from outside may write as branch, revision
//! and property of a forced build.

use crate::syntax::Keys;
use crate::syntax::WholePattern;

/// A pattern for each word that comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValidationPlan {
    pub(crate) branch: WholePattern,
    pub(crate) revision: WholePattern,
    pub(crate) property_name: WholePattern,
    pub(crate) property_value: WholePattern,
}

/// Letters, digits and `_` of ASCII, and a few signs that no shell minds.
const BRANCH: &str = r"[A-Za-z0-9_.+/~-]*";
const REVISION: &str = r"[A-Za-z0-9_ ./-]*";
const PROPERTY: &str = r"[A-Za-z0-9_./~:-]*";

impl Default for ValidationPlan {
    fn default() -> Self {
        let usual = |text| WholePattern::new(text).expect("the usual patterns compile");
        Self {
            branch: usual(BRANCH),
            revision: usual(REVISION),
            property_name: usual(PROPERTY),
            property_value: usual(PROPERTY),
        }
    }
}

/// Reads the section; what it does not name keeps its usual pattern.
pub(crate) fn read(keys: &mut Keys<'_>) -> Option<ValidationPlan> {
    let usual = ValidationPlan::default();
    let branch = keys.or("branch", usual.branch);
    let revision = keys.or("revision", usual.revision);
    let property_name = keys.or("property_name", usual.property_name);
    let property_value = keys.or("property_value", usual.property_value);
    Some(ValidationPlan {
        branch: branch?,
        revision: revision?,
        property_name: property_name?,
        property_value: property_value?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::ini;

    fn check(text: &str) -> (Option<ValidationPlan>, String) {
        let source = Source::new("master.ini", "/base", format!("[:validation:]\n{text}"));
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        let plan = read(&mut keys);
        keys.finish();
        (plan, problems.render(false))
    }

    #[test]
    fn the_usual_patterns_let_in_what_no_shell_minds() {
        let (plan, problems) = check("");
        assert_eq!(problems, "");
        let plan = plan.expect("a plan");
        assert_eq!(plan, ValidationPlan::default());
        let check = |pattern: &WholePattern, good: &[&str], bad: &[&str]| {
            for text in good {
                assert!(pattern.lets_in(text), "{text:?}");
            }
            for text in bad {
                assert!(!pattern.lets_in(text), "{text:?}");
            }
        };
        let bad = ["a;b", "a\n", "\n", "$(x)", "a'b", "ä", "a`b", "a\\b", "a\0"];
        check(&plan.branch, &["", "feature/x+y~1-2.z_0"], &bad);
        check(&plan.branch, &[], &["a b", "a:b"]);
        check(&plan.revision, &["", "1.2 rev-3/x"], &bad);
        check(&plan.revision, &[], &["a~1", "a\tb"]);
        check(&plan.property_name, &["", "a.b-c/d~e:f"], &bad);
        check(&plan.property_value, &["http://host:80/~me"], &bad);
    }

    #[test]
    fn a_pattern_of_the_file_fits_from_the_start_to_the_end() {
        let fits = |pattern: &str, text: &str| {
            let (plan, problems) = check(&format!("branch = {pattern}\n"));
            assert_eq!(problems, "", "{pattern}");
            plan.expect(pattern).branch.lets_in(text)
        };
        assert!(fits("main|next", "next"));
        assert!(!fits("main|next", "next-1"));
        assert!(!fits("main|next", "x-main"));
        assert!(fits("a|ab", "ab"), "the longer way is found too");
        assert!(fits("^main$", "main"));
        assert!(!fits("^main$", "main\n"));
        assert!(!fits("(?m)^main$", "main\nrm -rf /"));
        assert!(fits("(?x) m a i n # the only one", "main"));
        assert!(!fits("(?x) m a i n # the only one", "mainx"));
    }

    #[test]
    fn other_names_and_broken_patterns_are_told() {
        let (plan, problems) = check("brunch = x\nrevision = (\nproperty_name = a)|(b\n");
        assert_eq!(plan, None);
        insta::assert_snapshot!(problems, @"
        error[unknown-key]: unknown key `brunch` in [:validation:]
         --> master.ini:2:1
          |
        2 | brunch = x
          | ^^^^^^ did you mean `branch`?

        error[bad-value]: bad value for `revision` in [:validation:]
         --> master.ini:3:12
          |
        3 | revision = (
          |            ^ expected a regular expression: unclosed group

        error[bad-value]: bad value for `property_name` in [:validation:]
         --> master.ini:4:17
          |
        4 | property_name = a)|(b
          |                 ^^^^^ expected a regular expression: unopened group
        ");
    }
}
