//! Properties: named values of a build, each with where it came from, and
//! the `%(name)s` texts that take them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde_json::Value;

use super::SecretRef;
use super::secret::OPENING;

/// One value and its origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Property {
    pub(crate) value: Value,
    /// Who set it: `Scheduler`, `Change`, `Build`, `Builder`, `BuildSlave`, a step's name …
    pub(crate) source: String,
    /// Set while the build ran; a rebuild does not carry it over.
    pub(crate) runtime: bool,
}

/// Values by name, in name order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Properties(BTreeMap<String, Property>);

impl Properties {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets a value, replacing one of the same name and its origin.
    pub(crate) fn set(
        &mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
        source: impl Into<String>,
    ) {
        let property = Property {
            value: value.into(),
            source: source.into(),
            runtime: false,
        };
        self.0.insert(name.into(), property);
    }

    /// Sets a value that belongs to this run of the build only.
    pub(crate) fn set_runtime(
        &mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
        source: impl Into<String>,
    ) {
        let property = Property {
            value: value.into(),
            source: source.into(),
            runtime: true,
        };
        self.0.insert(name.into(), property);
    }

    /// Lays `other` over this: its values win.
    pub(crate) fn overlay(&mut self, other: &Self) {
        self.0
            .extend(other.0.iter().map(|(name, it)| (name.clone(), it.clone())));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(|it| &it.value)
    }

    /// The value as a string, if it is one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Property)> {
        self.0.iter().map(|(name, it)| (name.as_str(), it))
    }
}

impl FromIterator<(String, Property)> for Properties {
    fn from_iter<I: IntoIterator<Item = (String, Property)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// A text of the configuration with property references, read once at load:
/// `%(name)s`, `%(name:-if unset)s`, `%(name:~if unset or false)s`,
/// `%(name:+if set)s`, and `%%` for a percent sign. It may also refer to
/// secrets, `${secret:NAME}`; any other `${…}` is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Reference {
        name: String,
        form: Form,
    },
    Secret(SecretRef),
    /// What stands between the entries of a list such as `PATH`.
    Joint,
}

/// What stands between the entries of `PATH` where nothing else is known.
const JOINT: &str = ":";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// `%(p)s`: unset is an error.
    Plain,
    /// `%(p:-r)s`: `r` when unset.
    IfUnset(String),
    /// `%(p:~r)s`: `r` when unset or false.
    IfFalse(String),
    /// `%(p:+r)s`: `r` when set, else nothing.
    IfSet(String),
}

/// A text that cannot be read: what is wrong, and which bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextError {
    pub(crate) at: Range<usize>,
    pub(crate) what: String,
}

/// A text that names a property which the build does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenderError {
    pub(crate) name: String,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "property `{0}` is not set; `%({0}:-…)s` gives a value for that case",
            self.name
        )
    }
}

impl std::error::Error for RenderError {}

impl Text {
    /// A text without references.
    pub(crate) fn literal(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Literal(text.into())],
        }
    }

    /// Reads a text; a percent sign that starts no reference is an error with its place.
    pub(crate) fn parse(text: &str) -> Result<Self, TextError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(start) = next_mark(text, at) {
            literal.push_str(&text[at..start]);
            if text[start..].starts_with(OPENING) {
                let read = SecretRef::find(&text[start..]).map_err(|error| TextError {
                    at: start + error.at.start..start + error.at.end,
                    what: error.what,
                })?;
                let (secret, bytes) = read.expect("the text begins with one");
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Secret(secret));
                at = start + bytes.end;
                continue;
            }
            let rest = &text[start + 1..];
            if rest.starts_with('%') {
                literal.push('%');
                at = start + 2;
                continue;
            }
            let error = |end: usize, what: &str| TextError {
                at: start..end,
                what: what.into(),
            };
            let Some(inner) = rest.strip_prefix('(') else {
                let what = "a `%` here starts no property reference; write `%%` for a percent sign";
                return Err(error(start + 1, what));
            };
            let Some(close) = inner.find(')') else {
                return Err(error(
                    text.len(),
                    "this property reference has no closing `)`",
                ));
            };
            let end = start + 2 + close + 1;
            if !text[end..].starts_with('s') {
                let what = "a property reference ends in `)s`, as in `%(branch)s`";
                return Err(error(end, what));
            }
            if inner[..close].contains(OPENING) {
                let what = "a secret cannot stand inside a property reference";
                return Err(error(end, what));
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(reference(&inner[..close]));
            at = end + 1;
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The entries of a list such as `PATH`: who fills it in knows what stands between them.
    pub(crate) fn list(entries: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            parts.extend((number > 0).then_some(Part::Joint));
            parts.extend(entry.parts);
        }
        Self { parts }
    }

    /// Whether it is a list of several entries.
    pub(crate) fn is_list(&self) -> bool {
        self.parts.contains(&Part::Joint)
    }

    /// This text with another one behind it.
    pub(crate) fn then(mut self, other: &Self) -> Self {
        self.parts.extend_from_slice(&other.parts);
        self
    }

    /// Whether it takes properties.
    pub(crate) fn has_references(&self) -> bool {
        let is_reference = |it: &Part| matches!(it, Part::Reference { .. });
        self.parts.iter().any(is_reference)
    }

    /// What stands before the first reference.
    pub(crate) fn head(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            Some(Part::Reference { .. } | Part::Secret(_) | Part::Joint) | None => "",
        }
    }

    /// Fills in the properties. Null renders as nothing, lists and maps as JSON.
    /// A secret renders as `<NAME>`: what comes out may be shown.
    pub(crate) fn render(&self, properties: &Properties) -> Result<String, RenderError> {
        Ok(self.render_with_holes(properties)?.0)
    }

    /// As [`Text::render`]; but what is one reference and nothing else gives the property's own
    /// value, of whatever type.
    pub(crate) fn value(&self, properties: &Properties) -> Result<Value, RenderError> {
        let own = match self.parts.as_slice() {
            [Part::Reference { name, form }] => properties.get(name).filter(|it| match form {
                Form::Plain | Form::IfUnset(_) => true,
                Form::IfFalse(_) => is_true(it),
                Form::IfSet(_) => false,
            }),
            _ => None,
        };
        match own {
            Some(value) => Ok(value.clone()),
            None => Ok(Value::String(self.render(properties)?)),
        }
    }

    /// As [`Text::render`], and where each secret's value goes.
    pub(crate) fn render_with_holes(
        &self,
        properties: &Properties,
    ) -> Result<(String, Vec<(usize, SecretRef)>), RenderError> {
        self.render_joined(properties, JOINT)
    }

    /// As [`Text::render_with_holes`], with `joint` between the entries of a list.
    pub(crate) fn render_joined(
        &self,
        properties: &Properties,
        joint: &str,
    ) -> Result<(String, Vec<(usize, SecretRef)>), RenderError> {
        let mut out = String::new();
        let mut holes = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Joint => out.push_str(joint),
                Part::Secret(secret) => {
                    holes.push((out.len(), secret.clone()));
                    out.push_str(&secret.name.shown());
                }
                Part::Reference { name, form } => {
                    let value = properties.get(name);
                    match (form, value) {
                        (Form::Plain, None) => return Err(RenderError { name: name.clone() }),
                        (Form::IfUnset(text), None) => out.push_str(text),
                        (Form::Plain | Form::IfUnset(_), Some(value)) => {
                            out.push_str(&shown(value));
                        }
                        (Form::IfFalse(text), value) => match value.filter(|it| is_true(it)) {
                            Some(value) => out.push_str(&shown(value)),
                            None => out.push_str(text),
                        },
                        (Form::IfSet(text), Some(_)) => out.push_str(text),
                        (Form::IfSet(_), None) => {}
                    }
                }
            }
        }
        Ok((out, holes))
    }
}

/// Where the next `%` or `${secret:` begins.
fn next_mark(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let found = [rest.find('%'), rest.find(OPENING)];
    found.into_iter().flatten().min().map(|it| at + it)
}

impl fmt::Display for Text {
    /// The text as it would be written in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace('%', "%%"))?,
                Part::Joint => f.write_str(JOINT)?,
                Part::Secret(SecretRef { name, fallback }) => match fallback {
                    Some(text) => write!(f, "{OPENING}{name}:-{text}}}")?,
                    None => write!(f, "{OPENING}{name}}}")?,
                },
                Part::Reference { name, form } => match form {
                    Form::Plain => write!(f, "%({name})s")?,
                    Form::IfUnset(text) => write!(f, "%({name}:-{text})s")?,
                    Form::IfFalse(text) => write!(f, "%({name}:~{text})s")?,
                    Form::IfSet(text) => write!(f, "%({name}:+{text})s")?,
                },
            }
        }
        Ok(())
    }
}

/// A reference of a text, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) property: String,
    /// The bytes of the property's name.
    pub(crate) at: Range<usize>,
    /// Whether it says what stands there if the property is not set.
    pub(crate) has_default: bool,
}

/// The references of a text that [`Text::parse`] reads.
pub(crate) fn references(text: &str) -> Vec<Reference> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('%') {
        let start = at + found + 1;
        let Some(inner) = text[start..].strip_prefix('(') else {
            // The second of two, or no reference.
            at = (start + 1).min(text.len());
            while !text.is_char_boundary(at) {
                at += 1;
            }
            continue;
        };
        let Some(close) = inner.find(')') else { break };
        if let Part::Reference { name, form } = reference(&inner[..close]) {
            all.push(Reference {
                at: start + 1..start + 1 + name.len(),
                property: name,
                has_default: form != Form::Plain,
            });
        }
        at = start + 1 + close;
    }
    all
}

/// The key splits at the last of the first operator that occurs, in the order `:-` `:~` `:+`.
fn reference(key: &str) -> Part {
    for operator in [":-", ":~", ":+"] {
        if let Some((name, text)) = key.rsplit_once(operator) {
            let text = text.to_owned();
            let form = match operator {
                ":-" => Form::IfUnset(text),
                ":~" => Form::IfFalse(text),
                _ => Form::IfSet(text),
            };
            return Part::Reference {
                name: name.into(),
                form,
            };
        }
    }
    Part::Reference {
        name: key.into(),
        form: Form::Plain,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        other => other.to_string(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(it) => *it,
        Value::Number(it) => it.as_f64() != Some(0.0),
        Value::String(it) => !it.is_empty(),
        Value::Array(it) => !it.is_empty(),
        Value::Object(it) => !it.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(text: &str, expected: &str) {
        let mut properties = Properties::new();
        properties.set("word", "foo", "test");
        properties.set("empty", "", "test");
        properties.set("zero", 0, "test");
        properties.set("no", false, "test");
        properties.set("null", Value::Null, "test");
        properties.set("list", json!(["a", 1]), "test");
        let read = Text::parse(text).expect(text);
        let shown = read
            .render(&properties)
            .unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(shown, expected, "{text}");
        assert_eq!(
            Text::parse(&read.to_string()).as_ref(),
            Ok(&read),
            "{text} reads back"
        );
    }

    #[test]
    fn the_four_forms_render_as_the_manual_promises() {
        check("a %(word)s b", "a foo b");
        check("100%% of %(word:-x)s-%(unset:-x)s", "100% of foo-x");
        check(
            "[%(null)s] [%(null:-r)s] [%(null:~r)s] [%(null:+r)s]",
            "[] [] [r] [r]",
        );
        check("[%(unset:~r)s] [%(unset:+r)s] [%(unset:-)s]", "[r] [] []");
        check("%(empty:-r)s|%(empty:~r)s|%(empty:+r)s", "|r|r");
        check("%(zero)s %(zero:~r)s %(no)s %(no:~r)s", "0 r False r");
        check("%(list)s", r#"["a",1]"#);
        check("%(a:-b:-c)s", "c");
        check(
            "%(unset)s",
            "error: property `unset` is not set; `%(unset:-…)s` gives a value for that case",
        );
    }

    #[test]
    fn a_text_has_several_references_and_an_operator_is_the_last_one() {
        check("build-%(null)s-%(word)s.tar.gz", "build--foo.tar.gz");
        check("build-%(word:-x)s-%(b:-x)s", "build-foo-x");
        check("%(unset:-a:~b)s|%(unset:~a b/c)s", "a:~b|a b/c");
    }

    #[test]
    fn a_text_that_is_one_reference_has_the_propertys_own_value() {
        let mut properties = Properties::new();
        properties.set("list", json!(["a", 1]), "test");
        properties.set("zero", 0, "test");
        let check = |text: &str, expected: Value| {
            let read = Text::parse(text).expect(text);
            assert_eq!(read.value(&properties), Ok(expected), "{text}");
        };
        check("%(list)s", json!(["a", 1]));
        check("%(list:-x)s", json!(["a", 1]));
        check("%(list:~x)s", json!(["a", 1]));
        check("%(list:+x)s", json!("x"));
        check("%(list)s!", json!("[\"a\",1]!"));
        check("%(zero)s", json!(0));
        check("%(zero:~x)s", json!("x"));
        check("%(unset:-x)s", json!("x"));
        check("plain", json!("plain"));
        let unset = Text::parse("%(unset)s").expect("a text").value(&properties);
        assert_eq!(
            unset,
            Err(RenderError {
                name: "unset".into()
            })
        );
    }

    #[test]
    fn a_property_that_is_set_again_has_its_new_origin_and_all_are_listed_by_name() {
        let mut properties = Properties::new();
        properties.set("b", 1, "Change");
        properties.set("a", Value::Null, "Build");
        properties.set_runtime("b", "two", "Trigger");
        let listed = properties.iter();
        let listed: Vec<_> = listed
            .map(|(name, it)| (name, it.value.clone(), it.source.as_str(), it.runtime))
            .collect();
        let expected = [
            ("a", Value::Null, "Build", false),
            ("b", json!("two"), "Trigger", true),
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_secret_is_shown_by_its_name_and_leaves_a_hole() {
        check("a ${secret:db.key} b ${PATH}", "a <db.key> b ${PATH}");
        check("%(word)s${secret:a:-50%}%%", "foo<a>%");
        let mut properties = Properties::new();
        properties.set("evil", "${secret:b} <a> %(word)s", "Change");
        let text = Text::parse("%(evil)s ${secret:a}").expect("a text");
        let (shown, holes) = text.render_with_holes(&properties).expect("rendered");
        assert_eq!(shown, "${secret:b} <a> %(word)s <a>");
        let holes: Vec<_> = holes
            .iter()
            .map(|(at, secret)| (*at, secret.name.as_str()))
            .collect();
        assert_eq!(holes, [(25, "a")], "what a property says is no reference");
        let literal = Text::literal("${secret:a}").render_with_holes(&properties);
        assert_eq!(literal.expect("rendered"), ("${secret:a}".into(), vec![]));
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_told_with_its_place() {
        let what = |text: &str| Text::parse(text).expect_err(text);
        assert_eq!(what("100%% ${secret:x").at, 6..16);
        assert_eq!(what("%(word)s ${secret:../x}").at, 9..23);
        let inside = what("%(p:-${secret:x})s");
        assert_eq!(
            inside.what,
            "a secret cannot stand inside a property reference"
        );
    }

    #[test]
    fn entries_of_a_list_are_joined_as_their_platform_does_and_holes_move_with_it() {
        let read = |text: &str| Text::parse(text).expect(text);
        let list = Text::list(["a:b", "%(word)s", "${secret:s}"].map(read));
        assert!(list.is_list() && !read("a:b").is_list());
        let mut properties = Properties::new();
        properties.set("word", "w", "test");
        let holes = |joint: &str| {
            let (shown, holes) = list.render_joined(&properties, joint).expect("rendered");
            (shown, holes[0].0)
        };
        assert_eq!(holes(":"), ("a:b:w:<s>".to_owned(), 6));
        assert_eq!(holes("; "), ("a:b; w; <s>".to_owned(), 8));
        assert_eq!(list.to_string(), "a:b:%(word)s:${secret:s}");
    }

    #[test]
    fn a_stray_percent_is_refused_with_its_place() {
        let place = |text: &str| Text::parse(text).expect_err(text).at;
        assert_eq!(place("50% of"), 2..3);
        assert_eq!(place("x %(branch"), 2..10);
        assert_eq!(place("x %(branch)d"), 2..11);
    }
}
