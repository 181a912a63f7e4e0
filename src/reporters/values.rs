//! Values that only status targets have: addresses, ports, sizes, templates.

use std::sync::LazyLock;

use regex::Regex;

use crate::expr::ExprError;
use crate::expr::Template;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::nearest;
use crate::syntax::plain;

fn misread(what: impl Into<String>) -> Misread {
    Misread {
        what: Some(what.into()),
        ..Misread::default()
    }
}

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let bare = r#"[^\s<>@,;:"()\\[:cntrl:]]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"#;
    let pattern = format!(r#"^(?:{bare}|[^<>@[:cntrl:]]*<{bare}>)$"#);
    Regex::new(&pattern).expect("a constant")
});

/// Whether a mail can be sent there: `ann@example.org` or `Ann <ann@example.org>`.
pub(super) fn is_address(text: &str) -> bool {
    text.len() <= 320 && ADDRESS.is_match(text)
}

/// A mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) String);

const ADDRESS_EXPECTED: &str =
    "a mail address such as `ann@example.org` or `Ann <ann@example.org>`";

impl Value for Address {
    const EXPECTED: &'static str = ADDRESS_EXPECTED;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        if is_address(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Misread::default())
        }
    }
}

/// Mail addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses(pub(crate) Vec<String>);

impl Value for Addresses {
    const EXPECTED: &'static str = "mail addresses, those with blanks in quotes";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let all = Vec::<(String, Place)>::read(node)?;
        for (address, place) in &all {
            if !is_address(address) {
                let hint = match address.trim_end_matches([',', ';']) {
                    it if is_address(it) => "addresses are separated by blanks alone".to_owned(),
                    _ => format!("expected {ADDRESS_EXPECTED}; one with blanks stands in quotes"),
                };
                return Err(Misread {
                    place: Some(place.clone()),
                    ..misread(hint)
                });
            }
        }
        Ok(Self(all.into_iter().map(|(it, _)| it).collect()))
    }
}

/// The name of a machine, or its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host(pub(super) String);

impl Value for Host {
    const EXPECTED: &'static str = "the name of a machine, such as `mail.example.org`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let is_part = |it: char| it.is_ascii_alphanumeric() || "-._:[]".contains(it);
        if text.is_empty() || text.starts_with('-') || !text.chars().all(is_part) {
            return Err(Misread::default());
        }
        Ok(Self(text.to_owned()))
    }
}

/// A port of another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port(pub(super) u16);

impl Value for Port {
    const EXPECTED: &'static str = "a port from 1 to 65535";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        let port = u16::try_from(i64::read(node)?).ok().filter(|it| *it > 0);
        port.map(Self).ok_or_else(Misread::default)
    }
}

/// A number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u32);

impl Value for Count {
    const EXPECTED: &'static str = "a whole number from 1";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        let count = u32::read(node).map_err(|_| Misread::default())?;
        if count == 0 {
            return Err(Misread::default());
        }
        Ok(Self(count))
    }
}

/// Bytes, `16384` or `1M`; `none` and 0 are no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeLimit(pub(super) Option<u64>);

impl Value for SizeLimit {
    const EXPECTED: &'static str = "a size such as `16384` or `1M`, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Size);

    fn read(node: &Node) -> Result<Self, Misread> {
        let bytes = match node.as_text() {
            Ok(text) if text.eq_ignore_ascii_case("none") => 0,
            Ok(text) => size(text).ok_or_else(Misread::default)?,
            Err(_) => u64::read(node).map_err(|_| Misread::default())?,
        };
        Ok(Self(Some(bytes).filter(|it| *it > 0)))
    }
}

fn size(text: &str) -> Option<u64> {
    let digits = text.find(|it: char| !it.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Where an HTTP request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebAddress(pub(super) String);

impl Value for WebAddress {
    const EXPECTED: &'static str = "a web address such as `https://hooks.example.org/ci`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"));
        let is_bad = |it: char| it.is_whitespace() || it.is_control();
        match rest {
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(is_bad) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Misread::default()),
        }
    }
}

/// Words that a list may have, in any spelling of case, `_` and `-`. What is
/// none of them is wrong, and the nearest is named.
pub(super) fn words<T: Copy + PartialEq>(
    node: &Node,
    known: &[(&str, T)],
) -> Result<Vec<T>, Misread> {
    let mut all = Vec::new();
    for (word, place) in Vec::<(String, Place)>::read(node)? {
        let found = word_of(&word, known).map_err(|misread| Misread {
            place: Some(place),
            ..misread
        })?;
        if !all.contains(&found) {
            all.push(found);
        }
    }
    Ok(all)
}

pub(super) fn word_of<T: Copy>(word: &str, known: &[(&str, T)]) -> Result<T, Misread> {
    let spelled = plain(word);
    if let Some((_, it)) = known.iter().find(|(name, _)| plain(name) == spelled) {
        return Ok(*it);
    }
    let names = known.iter().map(|(name, _)| *name);
    Err(misread(match nearest(word, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let names: Vec<_> = names.map(|it| format!("`{it}`")).collect();
            format!("expected {}", names.join(", "))
        }
    }))
}

/// Takes a template that may ask for `names`.
#[expect(clippy::option_option, reason = "outer: readable; inner: there")]
pub(super) fn template(keys: &mut Keys<'_>, key: &str, names: &[&str]) -> Option<Option<Template>> {
    let Some(text) = keys.optional::<Placed>(key)? else {
        return Some(None);
    };
    match Template::parse(&text.0, names) {
        Ok(it) => Some(Some(it)),
        Err(error) => {
            wrong_template(keys, key, &text, error);
            None
        }
    }
}

/// A text that knows where it stands.
pub(super) struct Placed(pub(super) String, Node);

impl Value for Placed {
    const EXPECTED: &'static str = "a text, which may have `{{ NAME }}`";

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(Self(node.as_text()?.to_owned(), node.clone()))
    }
}

/// Notes what is wrong with a template.
pub(super) fn wrong_template(keys: &mut Keys<'_>, key: &str, text: &Placed, error: ExprError) {
    let place = match error.at {
        Some(at) => text.1.part(&text.0, at),
        None => text.1.place.clone(),
    };
    let what = format!("bad template for `{key}` in {}", keys.title());
    let problem = Problem::error(Code::BadExpression, what)
        .at(&place)
        .label(error.what);
    keys.note(problem);
}

/// Notes a key that was a Python function in Buildbot and has another form here.
pub(super) fn was_a_function(keys: &mut Keys<'_>, key: &str, instead: &str) {
    if keys.has(key) && keys.node(key).is_some() {
        let what = format!("`{key}` in {} was a Python function", keys.title());
        let problem = Problem::error(Code::UnknownKey, what)
            .at(&keys.place(key))
            .label(instead);
        keys.note(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_user_and_a_host() {
        for good in ["a@b.org", "Ann R <ann.r+ci@x-y.example.org>", "<a@b.c>"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "a b@c.org",
            "a@b.org\r\nBcc: c@d.org",
            "x\n<a@b.org>",
            "a@b.org,c@d.org",
            "<a@b.org",
            "a@b@c.org",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("16384", Some(16384)),
            ("1M", Some(1 << 20)),
            ("2 kb", Some(2048)),
            ("1T", None),
            ("", None),
            ("-1", None),
            ("99999999999G", None),
        ] {
            assert_eq!(size(text), expected, "{text}");
        }
    }
}
