//! A regular expression that a text must fit from its first to its last byte.

use regex::Regex;

use super::Misread;
use super::Node;
use super::Pattern;
use super::Shape;
use super::Value;

/// Fits a whole text or nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WholePattern {
    /// As the file has it.
    text: String,
    whole: Pattern,
}

impl WholePattern {
    pub(crate) fn new(text: &str) -> Result<Self, regex::Error> {
        // The break ends a comment that a pattern with `(?x)` may have at its end.
        Regex::new(&format!(r"\A(?:{text})\z"))
            .or_else(|_| Regex::new(&format!("\\A(?:{text}\n)\\z")))
            .map(|whole| Self {
                text: text.to_owned(),
                whole: Pattern(whole),
            })
    }

    /// Whether it fits all of `text`. What is empty says nothing and is always let in.
    pub(crate) fn lets_in(&self, text: &str) -> bool {
        text.is_empty() || self.whole.0.is_match(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl Value for WholePattern {
    const EXPECTED: &'static str = Pattern::EXPECTED;
    const SHAPE: Shape = Pattern::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        // Alone first: two halves of brackets must not become whole by what is put around them.
        let pattern = Pattern::read(node)?;
        Self::new(pattern.0.as_str()).map_err(|_| Misread::default())
    }
}
