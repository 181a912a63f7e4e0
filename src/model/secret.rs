//! References to secrets: `${secret:NAME}` in a text of the configuration,
//! and what stands for their values wherever people look. A value itself is
//! never in here, but for the [`Mask`] that hides it.

use std::fmt;
use std::ops::Range;

use super::TextError;

/// How a reference begins.
pub(crate) const OPENING: &str = "${secret:";

/// The name of a secret: parts of letters, digits, `_`, `-` and `.`, joined by `/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SecretName(String);

impl SecretName {
    /// `Err` says what is wrong with the name.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if name.is_empty() {
            return Err("the name of the secret is missing".into());
        }
        if let Some(bad) = name.chars().find(|c| !is_good(*c)) {
            let bad = bad.escape_debug();
            return Err(format!(
                "the name of a secret has letters, digits, `_`, `-`, `.` and `/`, not `{bad}`"
            ));
        }
        // It may become a path, which must not lead elsewhere.
        if name
            .split('/')
            .any(|part| part.is_empty() || part.starts_with('.'))
        {
            return Err("no part of a secret's name is empty or begins with `.`".into());
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for the value wherever people look: `<NAME>`.
    pub(crate) fn shown(&self) -> String {
        format!("<{}>", self.0)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// `${secret:NAME}`, or `${secret:NAME:-DEFAULT}`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretRef {
    pub(crate) name: SecretName,
    /// Taken where no place has the secret.
    pub(crate) fallback: Option<String>,
}

impl SecretRef {
    /// The first reference in `text`, and its bytes.
    ///
    /// # Errors
    /// It is not closed, or its name is no name.
    pub(crate) fn find(text: &str) -> Result<Option<(Self, Range<usize>)>, TextError> {
        let Some(start) = text.find(OPENING) else {
            return Ok(None);
        };
        let from = start + OPENING.len();
        let Some(length) = text[from..].find('}') else {
            return Err(TextError {
                at: start..text.len(),
                what: "this reference to a secret has no closing `}`".into(),
            });
        };
        let at = start..from + length + 1;
        let inner = &text[from..from + length];
        let (name, fallback) = match inner.split_once(":-") {
            Some((name, fallback)) => (name, Some(fallback.to_owned())),
            None => (inner, None),
        };
        match SecretName::parse(name) {
            Ok(name) => Ok(Some((Self { name, fallback }, at))),
            Err(what) => Err(TextError { at, what }),
        }
    }

    /// Every reference in `text` with its bytes; what cannot be read is passed over.
    pub(crate) fn all(text: &str) -> Vec<(Self, Range<usize>)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = text[at..].find(OPENING) {
            let start = at + start;
            at = start + OPENING.len();
            if let Ok(Some((reference, bytes))) = Self::find(&text[start..]) {
                at = start + bytes.end;
                found.push((reference, start..at));
            }
        }
        found
    }
}

/// As a file says it, but for the default.
impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fallback = self.fallback.as_ref().map_or("", |_| ":-…");
        write!(f, "{OPENING}{}{fallback}}}", self.name)
    }
}

/// A value that must not be seen, and what is shown instead.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) text: String,
    pub(crate) shown: String,
}

/// Shorter values are not masked: too much of a log would be.
pub(crate) const SHORTEST_MASKED: usize = 3;

/// Shorter lines of a value of several lines are not masked on their own.
const SHORTEST_LINE: usize = 8;

impl Mask {
    /// What hides `value`: the whole of it, and of several lines each long one.
    pub(crate) fn of(name: &SecretName, value: &str) -> Vec<Self> {
        let whole = value.trim_end_matches(['\r', '\n']);
        let mut texts = Vec::new();
        if whole.chars().count() >= SHORTEST_MASKED {
            texts.push(whole);
        }
        if whole.contains('\n') {
            let lines = whole.lines().map(|line| line.trim_end_matches('\r'));
            texts.extend(lines.filter(|line| line.chars().count() >= SHORTEST_LINE));
        }
        let mask = |text: &str| Self {
            text: text.to_owned(),
            shown: name.shown(),
        };
        texts.into_iter().map(mask).collect()
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "… as {}", self.shown)
    }
}

/// Replaces every value: at each place the longest that stands there.
pub(crate) fn hide(text: &str, masks: &[Mask]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let here = masks
            .iter()
            .filter(|it| !it.text.is_empty() && rest.starts_with(&it.text))
            .max_by_key(|it| it.text.len());
        match here {
            Some(mask) => {
                out.push_str(&mask.shown);
                rest = &rest[mask.text.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_name_and_perhaps_a_default() {
        let find = |text: &str| match SecretRef::find(text) {
            Ok(Some((it, at))) => format!("{} {:?} {at:?}", it.name, it.fallback),
            Ok(None) => "none".to_owned(),
            Err(error) => format!("{} {:?}", error.what, error.at),
        };
        assert_eq!(find("a ${secret:db.x} b"), "db.x None 2..16");
        assert_eq!(find("${secret:a/b:-c:-d}"), "a/b Some(\"c:-d\") 0..19");
        assert_eq!(find("${secret:a:-}"), "a Some(\"\") 0..13");
        assert_eq!(find("${PATH} $secret:a"), "none");
        assert_eq!(
            find("x ${secret:a"),
            "this reference to a secret has no closing `}` 2..12"
        );
        assert_eq!(
            find("${secret:}"),
            "the name of the secret is missing 0..10"
        );
        assert!(find("${secret:a b}").ends_with("not ` ` 0..13"));
        for path in ["../x", "a/../b", "/etc/x", "a//b", "a/", ".x"] {
            let said = find(&format!("${{secret:{path}}}"));
            assert!(
                said.starts_with("no part of a secret's name"),
                "{path}: {said}"
            );
        }
    }

    #[test]
    fn all_references_are_found_beside_what_cannot_be_read() {
        let names: Vec<_> = SecretRef::all("${secret:a}${secret: }${secret:b:-x} ${secret:c")
            .into_iter()
            .map(|(it, at)| (it.name.to_string(), at))
            .collect();
        assert_eq!(names, [("a".into(), 0..11), ("b".into(), 22..36)]);
    }

    #[test]
    fn neither_defaults_nor_values_are_in_a_debug_form() {
        let (reference, _) = SecretRef::find("${secret:a:-hunter2}").unwrap().unwrap();
        assert_eq!(format!("{reference:?}"), "${secret:a:-…}");
        let masks = Mask::of(&reference.name, "hunter2");
        assert_eq!(format!("{masks:?}"), "[… as <a>]");
    }

    #[test]
    fn a_value_of_several_lines_is_hidden_line_by_line_too() {
        let name = SecretName::parse("key").unwrap();
        let texts = |value: &str| -> Vec<String> {
            let masks = Mask::of(&name, value);
            masks.into_iter().map(|it| it.text).collect()
        };
        assert_eq!(texts("ab"), [""; 0]);
        assert_eq!(texts("abc\n"), ["abc"]);
        assert_eq!(
            texts("-----BEGIN-----\r\nabc\nabcdefgh\n"),
            [
                "-----BEGIN-----\r\nabc\nabcdefgh",
                "-----BEGIN-----",
                "abcdefgh"
            ]
        );
    }

    #[test]
    fn the_longest_value_that_stands_somewhere_is_hidden() {
        let mask = |text: &str, shown: &str| Mask {
            text: text.into(),
            shown: shown.into(),
        };
        let masks = [mask("ab", "<a>"), mask("", "<none>"), mask("abc", "<b>")];
        assert_eq!(hide("abc ab é c", &masks), "<b> <a> é c");
    }
}
