//! Rules that decide about requests, builders and slaves: expressions over
//! what waits and who is here. The one place that knows which engine computes
//! them.

use std::cmp::Ordering;

use serde_json::Value as Json;

use crate::expr::Context;
use crate::expr::ExprError;
use crate::expr::Expression;
use crate::expr::Values;
use crate::expr::names;
use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// An expression over a few named things.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule(Expression);

impl Rule {
    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Compiles `text` over the names of `cx`.
    pub(crate) fn compile(text: &str, cx: &Context) -> Result<Self, ExprError> {
        Expression::compile(text, cx).map(Self)
    }

    fn of(node: &Node, cx: &Context) -> Result<Self, Misread> {
        let text = match &node.content {
            Content::Int(number) => number.to_string(),
            Content::Bool(it) => it.to_string(),
            _ => node.as_text()?.to_owned(),
        };
        Self::compile(&text, cx).map_err(|error| error.in_node(node, &text))
    }

    /// Computes it; the error says why that is not possible.
    fn compute<const N: usize>(&self, things: [(&str, Json); N]) -> Result<Json, String> {
        let values = things
            .into_iter()
            .fold(Values::new(), |values, (name, thing)| {
                values.with(name, thing)
            });
        self.0.eval(&values).map_err(|error| error.to_string())
    }

    /// Whether it looks at this of the thing: nobody else needs to say it.
    pub(crate) fn reads(&self, thing: &str, name: &str) -> bool {
        self.0.reads(thing, name)
    }

    /// Whether it holds for `a` and `b`.
    pub(crate) fn joins(&self, a: Json, b: Json) -> Result<bool, String> {
        Ok(is_true(&self.compute([("a", a), ("b", b)])?))
    }

    /// Where it puts `thing` in line; `None` leaves it out.
    pub(crate) fn rank(&self, name: &str, thing: Json) -> Result<Option<Rank>, String> {
        let value = self.compute([(name, thing)])?;
        match value {
            Json::Null | Json::Bool(false) => Ok(None),
            Json::Array(all) => {
                let all: Result<_, _> = all.into_iter().map(Key::of).collect();
                Ok(Some(Rank(all?)))
            }
            single => Ok(Some(Rank(vec![Key::of(single)?]))),
        }
    }
}

fn is_true(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(it) => *it,
        Json::Number(it) => it.as_f64() != Some(0.0),
        Json::String(it) => !it.is_empty(),
        Json::Array(all) => !all.is_empty(),
        Json::Object(all) => !all.is_empty(),
    }
}

/// A place in line: lower comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(Vec<Key>);

/// Part of a place in line. Different kinds have an order too, so that any two can be compared.
#[derive(Clone, Debug)]
enum Key {
    Flag(bool),
    Number(f64),
    Text(String),
}

impl Key {
    fn of(value: Json) -> Result<Self, String> {
        match value {
            Json::Null => Ok(Self::Flag(false)),
            Json::Bool(it) => Ok(Self::Flag(it)),
            Json::Number(it) => Ok(Self::Number(it.as_f64().unwrap_or(f64::INFINITY))),
            Json::String(it) => Ok(Self::Text(it)),
            Json::Array(_) | Json::Object(_) => {
                Err("a place in line is a number, a text, or a list of these".into())
            }
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Flag(_) => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

/// Whether requests of a builder become one build.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum MergeRequests {
    /// If repository, branch and project agree, and what else makes them one.
    #[default]
    Yes,
    No,
    /// If this holds for the request that is built and the other one.
    If(Rule),
}

impl Value for MergeRequests {
    const EXPECTED: &'static str =
        "`yes`, `no`, or a condition over `a` and `b` such as `b.agrees and a.reason == b.reason`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        if is_none(node) {
            return Err(Misread {
                what: Some(
                    "expected `yes`, `no` or a condition; without the key the usual holds".into(),
                ),
                ..Misread::default()
            });
        }
        match bool::read(node) {
            Ok(true) => Ok(Self::Yes),
            Ok(false) => Ok(Self::No),
            Err(_) => Rule::of(node, &names::REQUESTS).map(Self::If),
        }
    }
}

/// As if the key were not there.
fn is_none(node: &Node) -> bool {
    match &node.content {
        Content::Null => true,
        Content::Text(text) => text.eq_ignore_ascii_case("none"),
        _ => false,
    }
}

macro_rules! orders {
    ($($(#[$doc:meta])* $name:ident $thing:literal $cx:ident $expected:literal)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct $name(pub(crate) Option<Rule>);

        impl $name {
            /// What the rule calls the thing it looks at.
            pub(crate) const THING: &'static str = $thing;
        }

        impl Value for $name {
            const EXPECTED: &'static str = $expected;
            const SHAPE: Shape = Shape::Expression;

            fn read(node: &Node) -> Result<Self, Misread> {
                if is_none(node) {
                    return Ok(Self(None));
                }
                Rule::of(node, &names::$cx).map(|it| Self(Some(it)))
            }
        }
    )*};
}

orders! {
    /// Which builder gets the next slave.
    BuilderOrder "builder" PRIORITY "a sort key over `builder` such as `builder.oldest`"
    /// Which request of a builder is built next.
    RequestOrder "request" NEXT_BUILD "a sort key over `request` such as `-request.id`"
    /// Which slave takes a builder's next build.
    SlaveOrder "slave" NEXT_SLAVE "a sort key over `slave` such as `slave.running`"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rank(text: &str, thing: Json) -> Result<Option<Rank>, String> {
        let rule = Rule::compile(text, &names::VALUES.with_names(["request"]))
            .map_err(|it| it.to_string())?;
        rule.rank("request", thing)
    }

    #[test]
    fn lower_ranks_come_first_whatever_they_are_made_of() {
        let order = |text: &str, mut things: Vec<Json>| {
            things.sort_by_key(|it| rank(text, it.clone()).expect(text));
            things
        };
        assert_eq!(
            order("-request.id", vec![json!({"id": 1}), json!({"id": 10})]),
            [json!({"id": 10}), json!({"id": 1})]
        );
        let things = vec![
            json!({"v": "b", "n": 1}),
            json!({"v": "a", "n": 2}),
            json!({"v": "a", "n": 1}),
        ];
        let sorted = order("[request.v, request.n]", things);
        assert_eq!(sorted[0], json!({"v": "a", "n": 1}));
        assert_eq!(sorted[2], json!({"v": "b", "n": 1}));
        let mixed = vec![json!({"v": "x"}), json!({"v": 2}), json!({"v": true})];
        assert_eq!(order("request.v", mixed)[0], json!({"v": true}));
    }

    #[test]
    fn none_and_false_leave_out_and_an_odd_value_is_a_mistake() {
        for text in ["none", "false", "request.id > 3"] {
            assert_eq!(rank(text, json!({"id": 1})), Ok(None), "{text}");
        }
        assert!(
            rank("request.id < 3", json!({"id": 1}))
                .expect("true")
                .is_some()
        );
        assert!(rank("0", json!({})).expect("a number").is_some());
        let odd = rank("request", json!({})).expect_err("a map");
        assert_eq!(
            odd,
            "a place in line is a number, a text, or a list of these"
        );
        let usual = rank("request.priority | default(5)", json!({"id": 1}));
        assert_eq!(usual, rank("5", json!({})));
    }

    #[test]
    fn a_rule_says_what_it_looks_at() {
        let check = |text: &str, name: &str, reads: bool| {
            let rule = Rule::compile(text, &names::NEXT_BUILD).expect(text);
            assert_eq!(rule.reads("request", name), reads, "{text}: {name}");
        };
        check("request.properties.nightly", "properties", true);
        check("request.properties.nightly", "id", false);
        check("-request['id']", "id", true);
        check("-request['id']", "reason", false);
        check("[request.id, request.reason]", "reason", true);
        // All of it may be wanted.
        check("request | default(1)", "reason", true);
        let rule = Rule::compile("builder != 'docs'", &names::PRIORITY).expect("a name");
        assert!(rule.reads("builder", "name"));
        assert!(!rule.reads("request", "name"));
    }

    #[test]
    fn a_rule_names_nothing_else() {
        let error = Rule::compile("reqest.id", &names::NEXT_BUILD).expect_err("unknown");
        assert_eq!(
            error.what,
            "there is no name `reqest`; did you mean `request`?"
        );
        assert_eq!(error.at, Some(0..6));
    }

    #[test]
    fn keys_take_words_rules_and_complaints() {
        use crate::syntax::{Keys, Problems, Source, ini};
        let text = "[a]\nmergeRequests = no\nx = b.agrees and a.reason == b.reason\ny = c.id\nz = none\n\
                    nextBuild = none\nn = -request.id\no = request.id =\n";
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        assert_eq!(keys.required("merge_requests"), Some(MergeRequests::No));
        assert!(matches!(keys.required("x"), Some(MergeRequests::If(_))));
        assert_eq!(keys.required::<MergeRequests>("y"), None);
        assert_eq!(keys.required::<MergeRequests>("z"), None);
        assert_eq!(keys.required("next_build"), Some(RequestOrder(None)));
        assert!(matches!(keys.required("n"), Some(RequestOrder(Some(_)))));
        assert_eq!(keys.required::<RequestOrder>("o"), None);
        keys.finish();
        insta::assert_snapshot!(problems.render(false), @"
        error[unknown-name]: bad value for `y` in [a]
         --> master.ini:4:5
          |
        4 | y = c.id
          |     ^ there is no name `c`; there are `a`, `b`

        error[bad-value]: bad value for `z` in [a]
         --> master.ini:5:5
          |
        5 | z = none
          |     ^^^^ expected `yes`, `no` or a condition; without the key the usual holds

        error[bad-expression]: bad value for `o` in [a]
         --> master.ini:8:16
          |
        8 | o = request.id =
          |                ^ write `==` to compare
        ");
    }
}
