//! Conditions and load-time texts: minijinja in an empty room, without side
//! effects, with limited fuel. It knows names and values, not what they mean.

mod room;
mod tokens;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use minijinja::Expression;
use minijinja::value::Object;
use minijinja::value::Serde;

use crate::model::Properties;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Value;

/// A condition over a build's properties, compiled when it was loaded, such as
/// `branch != "docs-only"`.
#[derive(Clone)]
pub(crate) struct Condition {
    text: String,
    compiled: Arc<Expression<'static, 'static>>,
}

impl Condition {
    /// Compiles a condition; the error says what is wrong and at which byte.
    pub(crate) fn parse(text: &str) -> Result<Self, ConditionError> {
        let compiled = room::compile(text)?;
        Ok(Self {
            text: text.to_owned(),
            compiled: Arc::new(compiled),
        })
    }

    /// Whether it holds. A property that is not set is `none`.
    pub(crate) fn holds(&self, properties: &Properties) -> Result<bool, ConditionError> {
        let values = properties
            .iter()
            .map(|(name, it)| (name.to_owned(), minijinja::Value::from(Serde(&it.value))));
        let context = minijinja::Value::from_object(Open(values.collect()));
        let value = self
            .compiled
            .eval(context)
            .map_err(|error| room::explain(&self.text, &error))?;
        Ok(value.is_true())
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

/// Names that are there even when they are not set.
#[derive(Debug)]
struct Open(BTreeMap<String, minijinja::Value>);

impl Object for Open {
    fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
        let value = self.0.get(key.as_str()?).cloned();
        Some(value.unwrap_or_else(|| minijinja::Value::from(())))
    }
}

impl Value for Condition {
    const EXPECTED: &'static str = "a condition such as `branch != \"docs-only\"`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        Self::parse(text).map_err(|error| {
            let at = error.at.unwrap_or(0..text.len());
            node.misread(text, at, error.what)
        })
    }
}

/// A condition or text that cannot be read or computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct ConditionError {
    pub(crate) what: String,
    /// The bytes of the text that are wrong, if known.
    pub(crate) at: Option<Range<usize>>,
}

/// Fills in a load-time text: `{{ name }}` over `values`. Between the braces
/// stands an expression; everything else is left as it is, and a value of
/// null fills in nothing.
pub(crate) fn fill(
    text: &str,
    values: &serde_json::Map<String, serde_json::Value>,
) -> Result<String, ConditionError> {
    let mut out = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let open = at + found;
        let inside = open + 2;
        let Some(length) = tokens::until_closed(&text[inside..]) else {
            return Err(ConditionError {
                what: "this `{{` is not closed by `}}`".into(),
                at: Some(open..open + 2),
            });
        };
        out.push_str(&text[at..open]);
        let expression = &text[inside..inside + length];
        let filled = fill_one(expression, values).map_err(|error| {
            let within = error.at.unwrap_or(0..expression.len());
            ConditionError {
                what: error.what,
                at: Some(inside + within.start..inside + within.end),
            }
        })?;
        out.push_str(&filled);
        at = inside + length + 2;
    }
    out.push_str(&text[at..]);
    Ok(out)
}

fn fill_one(
    expression: &str,
    values: &serde_json::Map<String, serde_json::Value>,
) -> Result<String, ConditionError> {
    let compiled = room::compile(expression)?;
    let mut unknown: Vec<_> = compiled
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !values.contains_key(name))
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        return Err(ConditionError {
            what: room::unknown("name", name, values.keys().map(String::as_str)),
            at: tokens::find_name(expression, name),
        });
    }
    let context = minijinja::Value::from(Serde(values));
    let value = compiled
        .eval(context)
        .map_err(|error| room::explain(expression, &error))?;
    if value.is_undefined() {
        return Err(ConditionError {
            what: "this has no value".into(),
            at: None,
        });
    }
    if value.is_none() {
        return Ok(String::new());
    }
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn properties() -> Properties {
        let mut properties = Properties::new();
        properties.set("branch", "main", "test");
        properties.set("warnings", 3, "test");
        properties.set("tags", json!(["stable", "linux"]), "test");
        properties.set("clean", false, "test");
        properties.set("nothing", json!(null), "test");
        properties
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(holds(text).as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn conditions_compare_properties() {
        for text in [
            "branch == 'main'",
            "branch != \"docs-only\" and warnings < 5",
            "'stable' in tags and not clean",
            "branch in ['main', 'next']",
            "unset is none and unset is not defined and nothing is not defined",
            "branch is defined",
            "not unset",
            "unset == none",
            "branch is startingwith 'ma'",
            "branch | upper == 'MAIN' and tags | length == 2",
            "(warnings + 1) * 2 == 8",
            "'yes' if clean else 'no'",
            "branch not in ['next'] and not unset is defined",
        ] {
            check(text, "true");
        }
        for text in ["clean", "unset", "branch == 'next'", "unset == ''"] {
            check(text, "false");
        }
    }

    /// Each text, and under it the error with the bytes that it points at.
    fn errors(texts: &[&str], read: impl Fn(&str) -> Result<String, ConditionError>) -> String {
        let mut out = String::new();
        for text in texts {
            let error = read(text).expect_err(text);
            let at = error.at.clone().unwrap_or(0..0);
            let pointed = text.get(at).expect("a place in the text");
            out.push_str(&format!("{text}\n    {error} @ {pointed}\n"));
        }
        out
    }

    fn holds(text: &str) -> Result<String, ConditionError> {
        Ok(Condition::parse(text)?.holds(&properties())?.to_string())
    }

    #[test]
    fn a_condition_that_cannot_be_read_says_where() {
        let texts = [
            "branch = 'main'",
            "branch == 'a' && clean",
            "clean || branch",
            "!clean",
            "branch ==",
            "",
            "branch == 'main",
            "branch is startingwth 'm'",
            "branch | uper",
            "range(3)",
            "branch.startswith('m')",
            "{% for x in y %}",
        ];
        insta::assert_snapshot!(errors(&texts, |it| Condition::parse(it).map(|_| String::new())), @"
            branch = 'main'
                write `==` to compare @ =
            branch == 'a' && clean
                write `and` instead of `&&` @ &&
            clean || branch
                write `or` instead of `||` @ ||
            !clean
                write `not` instead of `!` @ !
            branch ==
                unexpected end of input, expected expression @ ==

                there is no expression @ 
            branch == 'main
                this `'` is not closed @ 'main
            branch is startingwth 'm'
                there is no test `startingwth`; did you mean `startingwith`? @ startingwth
            branch | uper
                there is no filter `uper`; did you mean `upper`? @ uper
            range(3)
                there is no function `range` @ range
            branch.startswith('m')
                there is no function `startswith` @ startswith
            {% for x in y %}
                unexpected `%` @ %
            ");
    }

    #[test]
    fn a_condition_that_cannot_be_computed_says_why() {
        let texts = ["branch - 1", "'x' in unset", "unset.attribute == 1"];
        insta::assert_snapshot!(errors(&texts, holds), @"
    branch - 1
        tried to use - operator on unsupported types string and number @ branch - 1
    'x' in unset
        cannot perform a containment check on this value @ 
    unset.attribute == 1
        `unset.attribute` is undefined @
    ");
    }

    #[test]
    fn nothing_runs_for_long() {
        let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
        let long = vec!["1"; 50_000].join("+");
        for text in [&deep, &long] {
            assert!(holds(text).is_err(), "{}", &text[..20]);
        }
        let error = Condition::parse(&long).expect_err("too long");
        assert_eq!(error.what, "this expression is too long");
    }

    #[test]
    fn arbitrary_text_never_panics() {
        let pieces = [
            "{{", "}}", "'", "\"", "a", " is ", "|", "(", ")", "é", "\\", "{", "}", ".", "%}",
        ];
        let values = serde_json::Map::new();
        let mut seed = 1_u32;
        for _ in 0..5000 {
            let mut text = String::new();
            for _ in 0..10 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
            }
            for error in [fill(&text, &values).err(), Condition::parse(&text).err()] {
                if let Some(at) = error.and_then(|it| it.at) {
                    assert!(text.get(at).is_some(), "{text}");
                }
            }
        }
    }

    fn filled(text: &str) -> Result<String, ConditionError> {
        let values = json!({
            "jobs": 2, "sanitize": false, "name": "hello", "list": ["a", "b"], "empty": null,
            "platform": {"os": "linux"},
        });
        fill(text, values.as_object().expect("an object"))
    }

    #[test]
    fn a_text_is_filled_in() {
        let check = |text: &str, expected: &str| {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        };
        check("-j{{ jobs }} {{name}}", "-j2 hello");
        check("{{ '-fsanitize=address' if sanitize else '-O2' }}", "-O2");
        check("{{ platform.os }} {{ list | join(',') }}", "linux a,b");
        check("[{{ empty }}]", "[]");
        check("{{ '}}' }} {{ {'a': {'b': 1}}.a.b }}", "}} 1");
        let untouched = "%(branch)s ${HOME} {%(x)s} } }} {# {";
        check(untouched, untouched);
    }

    #[test]
    fn a_text_that_cannot_be_filled_in_says_where() {
        let texts = [
            "make -j{{ job }}",
            "{{ somethingelse }}",
            "{{ platform.arch }}",
            "a {{ jobs",
            "a {{ }}",
            "{{ name | lowre }}",
        ];
        insta::assert_snapshot!(errors(&texts, filled), @"
            make -j{{ job }}
                there is no name `job`; did you mean `jobs`? @ job
            {{ somethingelse }}
                there is no name `somethingelse`; there are `jobs`, `sanitize`, `name`, `list`, `empty`, `platform` @ somethingelse
            {{ platform.arch }}
                this has no value @  platform.arch 
            a {{ jobs
                this `{{` is not closed by `}}` @ {{
            a {{ }}
                there is no expression @  
            {{ name | lowre }}
                there is no filter `lowre`; did you mean `lower`? @ lowre
            ");
    }
}
