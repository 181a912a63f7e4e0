//! The keys of `[:secrets:]`.

use std::path::PathBuf;

use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Where secrets come from, in the order in which they are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Files of many secrets, TOML or JSON.
    pub(crate) files: Vec<PathBuf>,
    /// A directory with a file for each secret.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) environment: Vec<Variables>,
}

/// Which variables of the environment are secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variables {
    /// The one of this name, which is also the secret's.
    Named(String),
    /// Every one that begins so; the rest is the secret's name in capitals.
    Prefix(String),
}

/// Reads the section.
pub(crate) fn read(keys: &mut Keys<'_>) -> Option<Settings> {
    let files = keys.or_as(&["file", "files"], Files(Vec::new()));
    let directory = keys.optional::<PathBuf>("directory");
    let environment = keys.or("environment", Environment(Vec::new()));
    let settings = Settings {
        files: files?.0,
        directory: directory?,
        environment: environment?.0,
    };
    if settings == Settings::default() {
        let what = format!("{} names no place", keys.title());
        let problem = Problem::error(Code::MissingKey, what).at(keys.header());
        keys.note(problem.label("expected `file`, `directory` or `environment`"));
        return None;
    }
    Some(settings)
}

struct Files(Vec<PathBuf>);

impl Value for Files {
    const EXPECTED: &'static str = "a path, or several";
    const SHAPE: Shape = Shape::List(&Shape::Path);

    fn read(node: &Node) -> Result<Self, Misread> {
        let paths: Result<_, _> = Vec::<(String, Place)>::read(node)?
            .into_iter()
            .map(|(text, place)| {
                let content = Content::Text(text);
                PathBuf::read(&Node { place, content })
            })
            .collect();
        paths.map(Self)
    }
}

struct Environment(Vec<Variables>);

impl Value for Environment {
    const EXPECTED: &'static str = "names of variables, or a prefix that ends in `_`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all = Vec::new();
        for (word, place) in Vec::<(String, Place)>::read(node)? {
            let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if word.is_empty() || word == "_" || !word.chars().all(is_good) {
                return Err(Misread {
                    place: Some(place),
                    ..Misread::default()
                });
            }
            all.push(if word.ends_with('_') {
                Variables::Prefix(word)
            } else {
                Variables::Named(word)
            });
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::ini;

    fn check(text: &str) -> String {
        let source = Source::new("m.ini", "/base", format!("[:secrets:]\n{text}\n"));
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        let settings = read(&mut keys);
        keys.finish();
        match settings {
            Some(settings) if !problems.has_errors() => format!("{settings:?}"),
            _ => problems.render(false),
        }
    }

    #[test]
    fn places_are_read_relative_to_the_file() {
        assert_eq!(
            check("file = secrets.json /etc/more.toml\ndirectory = secrets"),
            "Settings { files: [\"/base/secrets.json\", \"/etc/more.toml\"], \
             directory: Some(\"/base/secrets\"), environment: [] }"
        );
        assert_eq!(
            check("environment = AUTOBOT_SECRET_ TOKEN"),
            "Settings { files: [], directory: None, \
             environment: [Prefix(\"AUTOBOT_SECRET_\"), Named(\"TOKEN\")] }"
        );
    }

    #[test]
    fn a_section_without_a_place_and_bad_names_are_refused() {
        insta::assert_snapshot!(check(""), @"
        error[missing-key]: [:secrets:] names no place
         --> m.ini:1:2
          |
        1 | [:secrets:]
          |  ^^^^^^^^^ expected `file`, `directory` or `environment`
        ");
        insta::assert_snapshot!(check("environment = A-B\nfiel = x"), @"
        error[bad-value]: bad value for `environment` in [:secrets:]
         --> m.ini:2:15
          |
        2 | environment = A-B
          |               ^^^ expected names of variables, or a prefix that ends in `_`

        error[unknown-key]: unknown key `fiel` in [:secrets:]
         --> m.ini:3:1
          |
        3 | fiel = x
          | ^^^^ did you mean `file`?
        ");
    }
}
