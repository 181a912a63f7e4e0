//! A text that nobody sees again once it was read: a password.

use std::fmt;

use super::Misread;
use super::Node;
use super::Value;

/// A password. Its `Debug` form prints `…`, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HiddenText(String);

impl HiddenText {
    /// The text, for who spends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Value for HiddenText {
    const EXPECTED: &'static str = "a password";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        if text.is_empty() || text.contains(['\0', '\r', '\n']) {
            return Err(Misread {
                what: Some("a password is one line and not empty".into()),
                ..Misread::default()
            });
        }
        Ok(Self(text.to_owned()))
    }
}
