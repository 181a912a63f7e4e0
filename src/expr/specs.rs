//! Version specs: `postgresql8.4.5` is a name and components, reduced to as
//! many as matter: `postgresql8.4`, `sqlite3.X`.

use std::fmt;

use super::vocabulary::quoted;

/// A name and exactly as many components as were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    name: String,
    components: Vec<String>,
}

/// How many components count where nothing else is said.
pub(super) const PRECISION: usize = 2;

impl Spec {
    /// Reads letters, then digits and dots; `X` stands for a component that is
    /// not known, and for those that are missing.
    pub(super) fn parse(text: &str, precision: usize) -> Result<Self, String> {
        let malformed = || {
            let shown = quoted(text);
            format!("{shown} is no version such as `postgresql8.4`, `sqlite3` or `3.12`")
        };
        let start = text.find(|it: char| it.is_ascii_digit());
        let (name, numbers) = text.split_at(start.ok_or_else(malformed)?);
        let is_name = |it: char| it.is_alphabetic() || it == '-' || it == '_';
        if !name.chars().all(is_name) {
            return Err(malformed());
        }
        let mut components = Vec::new();
        for part in numbers.split('.') {
            let is_number = !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
            if !is_number && part != "X" {
                return Err(malformed());
            }
            components.push(part.to_owned());
        }
        components.resize(precision, "X".into());
        Ok(Self {
            name: name.to_owned(),
            components,
        })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.components.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_reduced_and_filled_up() {
        for (text, precision, expected) in [
            ("postgresql8.4.2", 2, "postgresql8.4"),
            ("postgresql8.4.2", 1, "postgresql8"),
            ("postgresql8.4.2", 3, "postgresql8.4.2"),
            ("sqlite3", 2, "sqlite3.X"),
            ("sqlite3.X", 2, "sqlite3.X"),
            ("mysql5.1.41", 2, "mysql5.1"),
            ("3.12.1", 2, "3.12"),
            ("lib-x1", 1, "lib-x1"),
        ] {
            let spec = Spec::parse(text, precision).expect(text);
            assert_eq!(spec.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_version_is_named() {
        for text in [
            "",
            "sqlite",
            "8.4beta",
            "postgresql8..4",
            "mysql5.",
            "a b1",
            "x1.Y",
        ] {
            let error = Spec::parse(text, 2).expect_err(text);
            assert!(
                error.starts_with(&format!("`{text}` is no version")),
                "{error}"
            );
        }
    }
}
