//! The environment of a command: the slave's own, with the command's laid
//! over it by Buildbot's rules.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What stands between the entries of a list such as `PATH`.
const JOINT: &str = if cfg!(windows) { ";" } else { ":" };

pub(super) type Environment = BTreeMap<OsString, OsString>;

/// Lays `overlay` over `own`: `None` removes a variable, `${NAME}` is the
/// slave's own `NAME`, the slave's `PYTHONPATH` comes after the command's.
pub(super) fn lay_over(
    own: &Environment,
    overlay: &BTreeMap<String, Option<String>>,
    workdir: &Path,
) -> Environment {
    let mut result = own.clone();
    for (name, value) in overlay {
        let key = OsString::from(name);
        let Some(value) = value else {
            result.remove(&key);
            continue;
        };
        let mut value = expand(value, own);
        if name == "PYTHONPATH"
            && let Some(rest) = own.get(&key).filter(|it| !it.is_empty())
        {
            // An empty entry would mean the current directory.
            if !value.is_empty() {
                value.push(JOINT);
            }
            value.push(rest);
        }
        result.insert(key, value);
    }
    result.insert("PWD".into(), workdir.into());
    result
}

/// Replaces each `${NAME}`; a name that is not set gives nothing.
fn expand(text: &str, own: &Environment) -> OsString {
    let mut result = OsString::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        result.push(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        if let Some(tail) = tail.strip_prefix('}') {
            result.push(own.get(OsStr::new(name)).map_or(OsStr::new(""), |it| it));
            rest = tail;
        } else {
            result.push("${");
            rest = after;
        }
    }
    result.push(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(overlay: &[(&str, Option<&str>)], expected: &[(&str, &str)]) {
        let to_os = |&(name, value): &(&str, &str)| (name.into(), value.into());
        let own = [("A", "1"), ("B", "2"), ("PYTHONPATH", "/lib")];
        let own = own.iter().map(to_os).collect();
        let overlay = overlay
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
            .collect();
        let mut expected: Environment = expected.iter().map(to_os).collect();
        expected.insert("PWD".into(), "/w".into());
        assert_eq!(lay_over(&own, &overlay, Path::new("/w")), expected);
    }

    #[test]
    fn variables_are_added_replaced_removed_and_expanded() {
        check(
            &[
                ("A", Some("x:${A}:${NONE}:${B")),
                ("B", None),
                ("C", Some("$A ${A-}${A}")),
                ("PYTHONPATH", Some("/mine")),
            ],
            &[
                ("A", "x:1::${B"),
                ("C", "$A ${A-}1"),
                ("PYTHONPATH", "/mine:/lib"),
            ],
        );
    }

    #[test]
    fn an_empty_overlay_only_sets_where_it_is() {
        check(&[], &[("A", "1"), ("B", "2"), ("PYTHONPATH", "/lib")]);
        check(
            &[("PYTHONPATH", Some(""))],
            &[("A", "1"), ("B", "2"), ("PYTHONPATH", "/lib")],
        );
    }

    #[test]
    fn without_a_pythonpath_of_the_slave_nothing_trails() {
        let overlay = [("PYTHONPATH".to_owned(), Some("/mine".to_owned()))];
        let laid = lay_over(&Environment::new(), &overlay.into(), Path::new("/"));
        assert_eq!(laid[OsStr::new("PYTHONPATH")], "/mine");
    }
}
