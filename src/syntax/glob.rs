//! Patterns of names, as a shell has them: `*` is any text (`/` too), `?` one
//! character, `[a-c]` one of some, `[!a-c]` one of the others.

use std::fmt;

use regex::Regex;

use super::Misread;
use super::Node;
use super::Place;
use super::Shape;
use super::Value;

/// A pattern that a whole name must match.
#[derive(Clone)]
pub(crate) struct Glob {
    text: String,
    /// `None` if it fits itself only.
    compiled: Option<Regex>,
}

impl Glob {
    /// `None` if a `[` is not closed, or a range in it runs backwards.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut pattern = String::from(r"(?s)\A");
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '*' => pattern.push_str(".*"),
                '?' => pattern.push('.'),
                '[' => {
                    let inside = rest.as_str();
                    let negated = inside.strip_prefix('!');
                    let class = negated.unwrap_or(inside);
                    // A `]` that comes first is one of the characters.
                    let first = class.chars().next()?.len_utf8();
                    let end = first + class.get(first..)?.find(']')?;
                    pattern.push_str(if negated.is_some() { "[^" } else { "[" });
                    for c in class[..end].chars() {
                        if c != '-' && !c.is_alphanumeric() {
                            pattern.push('\\');
                        }
                        pattern.push(c);
                    }
                    pattern.push(']');
                    rest = class[end + 1..].chars();
                }
                c => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        pattern.push_str(r"\z");
        let compiled = Some(Regex::new(&pattern).ok()?);
        let text = text.to_owned();
        Some(Self { text, compiled })
    }

    /// As [`Glob::parse`]; what is no pattern stands for itself.
    pub(crate) fn new(text: &str) -> Self {
        let parsed = Some(text)
            .filter(|it| Self::is_one(it))
            .and_then(Self::parse);
        parsed.unwrap_or_else(|| Self {
            text: text.to_owned(),
            compiled: None,
        })
    }

    /// Whether `text` is written as a pattern at all.
    pub(crate) fn is_one(text: &str) -> bool {
        text.contains(['*', '?', '['])
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match &self.compiled {
            Some(pattern) => pattern.is_match(name),
            None => self.text == name,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?})", self.text)
    }
}

impl Value for Vec<Glob> {
    const EXPECTED: &'static str = "patterns of names such as `release-*`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let all = Vec::<(String, Place)>::read(node)?;
        let read = |(text, place): (String, Place)| {
            Glob::parse(&text).ok_or_else(|| Misread {
                what: Some("this `[` begins no set of characters such as `[a-c]`".into()),
                place: Some(place),
                ..Misread::default()
            })
        };
        all.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        let check = |pattern: &str, name: &str, expected: bool| {
            let glob = Glob::parse(pattern).expect(pattern);
            assert_eq!(glob.matches(name), expected, "{pattern} {name}");
        };
        check("release-*", "release-1/x", true);
        check("release-*", "prerelease-1", false);
        check("a?c", "abc", true);
        check("a?c", "ac", false);
        check("v[0-9].x", "v1.x", true);
        check("v[0-9].x", "v1yx", false);
        check("v[!0-9]", "va", true);
        check("v[]^-]", "v]", true);
        check("v[]^-]", "v^", true);
        check("a+(b", "a+(b", true);
        check("*", "", true);
        check("*", "two\nlines", true);
        check("", "", true);
    }

    #[test]
    fn a_set_that_is_not_closed_or_runs_backwards_is_no_pattern() {
        for bad in ["[", "a[bc", "[!", "[]", "[z-a]", "ü[", "[ü"] {
            assert!(Glob::parse(bad).is_none(), "{bad}");
        }
    }
}
