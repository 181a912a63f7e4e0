//! The parts of a TOML file for an excerpt: each table with its header, under the name that its
//! section has in INI. It does not know which of them is wanted.

use std::collections::HashMap;
use std::ops::Range;

use super::excerpt::Part;
use super::excerpt::leave_introduction;
use crate::store::ConfigFile;
use crate::syntax;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Problems;
use crate::syntax::Source;

/// The kinds of sections that a builder is made of.
const KINDS: [&str; 4] = ["slave", "worker", "builder", "factory"];

/// Every table of such a section, in the order of the file.
pub(super) fn parts(file: &ConfigFile) -> Vec<Part> {
    let source = Source::new(file.name.clone(), "", file.text.clone());
    let entries = syntax::toml::read(&source, &mut Problems::default());
    let mut secrets = Vec::new();
    find_passwords(&entries, &mut secrets);
    let sections = sections(&entries);
    let headers = syntax::toml::headers(&file.text);
    let parts = headers.iter().enumerate().filter_map(|(index, begin)| {
        let end = headers.get(index + 1).copied().unwrap_or(file.text.len());
        let name = section_of(file.text[*begin..end].lines().next()?)?;
        Some(Part {
            entries: sections.get(&name)?.clone(),
            text: text_of(&file.text, *begin..end, &secrets),
            name,
        })
    });
    parts.collect()
}

/// The sections by the names that they have in INI.
fn sections(entries: &[Entry]) -> HashMap<String, Vec<Entry>> {
    let mut all = HashMap::new();
    for entry in entries {
        let Content::Table(inside) = &entry.value.content else {
            continue;
        };
        if entry.key == "master" {
            all.insert(":master:".to_owned(), inside.clone());
        } else if KINDS.contains(&entry.key.as_str()) {
            for own in inside {
                if let Content::Table(inside) = &own.value.content {
                    all.insert(format!("{}:{}", entry.key, own.key), inside.clone());
                }
            }
        }
    }
    all
}

/// The name in INI of the section that the header is of, or of a table inside of it.
fn section_of(header: &str) -> Option<String> {
    let source = Source::new("header", "", header.to_owned());
    let read = syntax::toml::read(&source, &mut Problems::default());
    let kind = read.first()?;
    if kind.key == "master" {
        return Some(":master:".to_owned());
    }
    let own = match &kind.value.content {
        Content::Table(inside) => inside.first()?,
        _ => return None,
    };
    Some(format!("{}:{}", kind.key, own.key))
}

/// Where values stand that are not for the screen.
fn find_passwords(entries: &[Entry], found: &mut Vec<Range<usize>>) {
    for entry in entries {
        if entry.key.to_lowercase().contains("passw") {
            found.push(entry.value.place.span());
            continue;
        }
        match &entry.value.content {
            Content::Table(inside) => find_passwords(inside, found),
            Content::List(all) => {
                for it in all.iter() {
                    if let Content::Table(inside) = &it.content {
                        find_passwords(inside, found);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What stands there, without passwords and without what introduces the next table.
fn text_of(text: &str, at: Range<usize>, secrets: &[Range<usize>]) -> String {
    let mut secrets: Vec<_> = secrets
        .iter()
        .filter(|it| at.start <= it.start && it.end <= at.end)
        .collect();
    secrets.sort_by_key(|it| it.start);
    let mut shown = String::new();
    let mut from = at.start;
    for secret in secrets {
        shown.push_str(&text[from..secret.start]);
        shown.push('…');
        from = secret.end;
    }
    shown.push_str(&text[from..at.end]);
    let mut lines: Vec<&str> = shown.lines().collect();
    leave_introduction(&mut lines);
    lines.iter().map(|it| format!("{it}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::excerpt::of_builder;
    use super::*;

    const TOML: &str = r#"title = "Tools"
[master]
factories = ["*"]
password = "quiet"

# the fast one
[slave.fast]
password = """
[slave.slow]
x"""
os = "linux"

[worker."slow"]
env = { PASSWORD = "y", A = "b" }
factories = [
  "docs", # [slave.gone]
]

[factory.hello]
type = "steps"

# first
[[factory.hello.steps]]
type = "shell"
command = "echo '[x]'"

[factory.hello-x]
type = "shell"

[builder.all]
factory = "hello"
slaves = ["fast", "slow"]
"#;

    fn files() -> [ConfigFile; 2] {
        [
            ConfigFile {
                name: "factories/docs.toml".into(),
                text: "[parameters.fast]\ntype = \"text\"\n".into(),
            },
            ConfigFile {
                name: "master.toml".into(),
                text: TOML.into(),
            },
        ]
    }

    #[test]
    fn a_builder_of_toml_is_told_by_its_tables_as_they_are_but_for_passwords() {
        let found = of_builder(&files(), "all").expect("found");
        insta::assert_snapshot!(found, @r#"
        [slave.fast]
        password = …
        os = "linux"

        [worker."slow"]
        env = { PASSWORD = …, A = "b" }
        factories = [
          "docs", # [slave.gone]
        ]

        [factory.hello]
        type = "steps"

        [[factory.hello.steps]]
        type = "shell"
        command = "echo '[x]'"

        [builder.all]
        factory = "hello"
        slaves = ["fast", "slow"]
        "#);
    }

    #[test]
    fn a_derived_builder_of_toml_is_told_by_its_factory_and_slaves() {
        let headers = |builder: &str| -> Vec<String> {
            let found = of_builder(&files(), builder).unwrap_or_default();
            let lines = found.lines().filter(|it| it.starts_with('['));
            lines.map(str::to_owned).collect()
        };
        let own = ["[slave.fast]", "[factory.hello]", "[[factory.hello.steps]]"];
        assert_eq!(headers("hello-fast"), own);
        assert_eq!(headers("hello-linux"), own);
        assert_eq!(headers("hello-x"), ["[slave.fast]", "[factory.hello-x]"]);
        assert!(headers("hell").is_empty());
    }
}
