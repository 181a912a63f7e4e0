//! A text of the configuration that is a secret itself, or refers to some: a
//! password.

use std::fmt;

use super::SecretError;
use super::Secrets;
use crate::model::SecretRef;
use crate::syntax::Code;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Value;

/// A plain text, or one with references. Its `Debug` form shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Plain(String),
    Secret(SecretRef),
}

impl SecretText {
    /// A text without references.
    #[cfg(test)]
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Plain(text.into())],
        }
    }

    /// Whether it is written out in the file, and is this.
    pub(crate) fn is_plainly(&self, text: &str) -> bool {
        matches!(self.parts.as_slice(), [Part::Plain(plain)] if plain == text)
    }

    /// The value, for the one place that uses it.
    pub(crate) fn reveal(&self, secrets: &Secrets) -> Result<String, SecretError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Secret(wanted) => text.push_str(secrets.resolve(wanted)?.0.expose()),
            }
        }
        Ok(text)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Value for SecretText {
    const EXPECTED: &'static str = "a password, or `${secret:NAME}`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        if text.is_empty() {
            return Err(Misread::default());
        }
        let mut parts = Vec::new();
        let mut at = 0;
        loop {
            let found = SecretRef::find(&text[at..]).map_err(|error| Misread {
                code: Some(Code::BadSecret),
                ..node.misread(text, at + error.at.start..at + error.at.end, error.what)
            })?;
            let Some((reference, bytes)) = found else {
                break;
            };
            if bytes.start > 0 {
                parts.push(Part::Plain(text[at..at + bytes.start].to_owned()));
            }
            parts.push(Part::Secret(reference));
            at += bytes.end;
        }
        if at < text.len() {
            parts.push(Part::Plain(text[at..].to_owned()));
        }
        Ok(Self { parts })
    }
}
