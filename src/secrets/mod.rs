//! Secrets: where `${secret:NAME}` takes its value from, and the one way in
//! which a value reaches what is to use it. A value is read when it is used,
//! so that one that was replaced is seen; none is kept.
//!
//! [`read()`] takes `[:secrets:]`; [`Secrets`] answers for one name, fills in
//! a command on its way to the slave, and says which names have no value.

mod known;
mod places;
mod read;
mod reveal;
mod shown;
mod text;
mod tree;

use std::fmt;

use crate::model::SecretName;

pub(crate) use known::read_password;
pub(crate) use places::SecretError;
pub(crate) use places::Secrets;
pub(crate) use read::Settings;
pub(crate) use read::read;
pub(crate) use shown::Login;
pub(crate) use shown::base64;
pub(crate) use shown::in_base64;
pub(crate) use shown::is_same;
pub(crate) use text::SecretText;

/// A value. It has no `Display`, and its `Debug` form shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The value itself, for the one place that uses it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The variable that a prefix makes of a name: `db.key` is `PREFIX_DB_KEY`.
fn variable(prefix: &str, name: &SecretName) -> String {
    let letters = name.as_str().chars().map(|it| match it {
        'a'..='z' | 'A'..='Z' | '0'..='9' => it.to_ascii_uppercase(),
        _ => '_',
    });
    prefix.chars().chain(letters).collect()
}

#[cfg(test)]
mod tests;
