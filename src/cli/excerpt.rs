//! The sections of a configuration that a builder is made of, as far as names
//! tell: its own, its factory's and its slaves'. Passwords are left out,
//! because such an excerpt is what people show each other.

use std::collections::BTreeSet;

use super::excerpt_toml;
use crate::store::ConfigFile;
use crate::syntax;
use crate::syntax::Entry;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Source;
use crate::syntax::Value as _;
use crate::syntax::plain;

/// What stands under a header.
pub(super) struct Part {
    /// As INI spells it: `:master:`, `slave:linux`, `hello`.
    pub(super) name: String,
    /// All of its section, of which this may be a part.
    pub(super) entries: Vec<Entry>,
    /// As it stands in the file, without passwords.
    pub(super) text: String,
}

/// Prints the sections in file order; `None` if none has to do with the builder.
pub(super) fn of_builder(files: &[ConfigFile], builder: &str) -> Option<String> {
    let mut parts = Vec::new();
    for file in files {
        // It was applied, so it can be read; a newer program may see mistakes in it.
        if file.name.ends_with(".ini") {
            parts.extend(ini_parts(file));
        } else if file.name.ends_with(".toml") {
            parts.extend(excerpt_toml::parts(file));
        }
    }
    let wanted = wanted(&parts, builder);
    let found = parts.iter().filter(|it| wanted.contains(&it.name));
    let found: Vec<&str> = found.map(|it| it.text.as_str()).collect();
    (!found.is_empty()).then(|| found.join("\n"))
}

fn ini_parts(file: &ConfigFile) -> Vec<Part> {
    let source = Source::new(file.name.clone(), "", file.text.clone());
    let sections = syntax::ini::read(&source, &mut Problems::default()).sections;
    let parts = sections.iter().enumerate().map(|(index, section)| Part {
        name: section.name.clone(),
        entries: section.entries.clone(),
        text: without_passwords(lines_of(section, sections.get(index + 1))),
    });
    parts.collect()
}

/// The names of the sections that make the builder.
fn wanted(sections: &[Part], builder: &str) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    let mut add = |name: String| {
        if sections.iter().any(|it| it.name == name) {
            wanted.insert(name);
        }
    };
    let own = format!("builder:{builder}");
    if let Some(section) = sections.iter().find(|it| it.name == own) {
        add(own);
        for factory in words(section, "factory") {
            add(factory.clone());
            add(format!("factory:{factory}"));
        }
        for slave in words(section, "slaves") {
            add(format!("slave:{slave}"));
            add(format!("worker:{slave}"));
        }
        return wanted;
    }
    // One that was derived is called `FACTORY`, `FACTORY-SLAVE` or `FACTORY-OS`; the longest
    // factory that fits is meant.
    let factories = sections.iter().filter_map(|it| factory_name(&it.name));
    let fits = factories.filter_map(|factory| {
        let rest = builder.strip_prefix(factory)?;
        let group = rest.strip_prefix('-');
        (rest.is_empty() || group.is_some()).then_some((factory, group))
    });
    let Some((factory, group)) = fits.max_by_key(|(factory, _)| factory.len()) else {
        return wanted;
    };
    add(factory.to_owned());
    add(format!("factory:{factory}"));
    let master = sections.iter().find(|it| it.name == ":master:");
    for section in sections {
        let Some(slave) = slave_name(&section.name) else {
            continue;
        };
        // What a slave leaves out, the master's section may say.
        let said = |key| match words(section, key) {
            said if said.is_empty() => master.map(|it| words(it, key)).unwrap_or_default(),
            said => said,
        };
        let builds = || {
            said("factories")
                .iter()
                .any(|it| it == "*" || it == factory)
        };
        let is_one = match group {
            None => builds(),
            Some(group) => slave == group || said("os").iter().any(|it| it == group) && builds(),
        };
        if is_one {
            add(section.name.clone());
        }
    }
    wanted
}

fn factory_name(section: &str) -> Option<&str> {
    match section.split_once(':') {
        None => Some(section),
        Some(("factory", name)) => Some(name),
        Some(_) => None,
    }
}

fn slave_name(section: &str) -> Option<&str> {
    match section.split_once(':') {
        Some(("slave" | "worker", name)) => Some(name),
        _ => None,
    }
}

fn words(section: &Part, key: &str) -> Vec<String> {
    let entries = section.entries.iter();
    let values = entries.filter(|it| plain(&it.key) == plain(key));
    let words = values.filter_map(|it| Vec::<String>::read(&it.value).ok());
    words.flatten().collect()
}

/// From its header to the next one, without what introduces that.
fn lines_of<'a>(section: &'a Section, next: Option<&Section>) -> Vec<&'a str> {
    let text = section.place.source.text.as_str();
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |it| it + 1);
    let end = next.map_or(text.len(), |it| line_start(it.place.span().start));
    let mut lines: Vec<&str> = text[line_start(section.place.span().start)..end]
        .lines()
        .collect();
    leave_introduction(&mut lines);
    lines
}

/// Takes off what introduces the next section.
pub(super) fn leave_introduction(lines: &mut Vec<&str>) {
    let says_nothing = |line: &&str| line.trim().is_empty() || line.starts_with(['#', ';']);
    while lines.last().is_some_and(says_nothing) {
        lines.pop();
    }
}

fn without_passwords(lines: Vec<&str>) -> String {
    let mut text = String::new();
    let mut is_secret = false;
    for line in lines {
        let is_continued = line.starts_with([' ', '\t']);
        if is_continued && is_secret {
            continue;
        }
        let key = line.split(['=', ':']).next().unwrap_or_default().trim();
        is_secret = !is_continued && key.to_lowercase().contains("passw");
        if is_secret {
            text.push_str(key);
            text.push_str(" = …\n");
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const INI: &str = "[:master:]\nfactories = *\n\n# the fast one\n[slave:fast]\npassword = a\n  b\n\
        os = linux\n\n[worker:slow]\nPassword: x\nfactories = hello-x\nos = win\n\n# said twice\n[hello]\n\
        type = shell\n# how\ncommands =\n    make\n\n; the end\n[hello-x]\ntype = shell\n\n\
        [builder:all]\nfactory = hello\nslaves = fast slow\n";

    fn check(builder: &str, expected: &[&str]) {
        let files = [
            ConfigFile {
                name: "factories/fast.toml".into(),
                text: "[[steps]]\ntype = \"shell\"\n".into(),
            },
            ConfigFile {
                name: "master.ini".into(),
                text: INI.into(),
            },
        ];
        let found = of_builder(&files, builder).unwrap_or_default();
        let headers: Vec<_> = found.lines().filter(|it| it.starts_with('[')).collect();
        assert_eq!(headers, expected, "{builder}");
    }

    #[test]
    fn a_builder_is_told_by_the_names_of_its_sections() {
        check(
            "all",
            &["[slave:fast]", "[worker:slow]", "[hello]", "[builder:all]"],
        );
        check("hello-fast", &["[slave:fast]", "[hello]"]);
        check("hello-x-slow", &["[worker:slow]", "[hello-x]"]);
        check("hello-linux", &["[slave:fast]", "[hello]"]);
        check("hello-x", &["[slave:fast]", "[worker:slow]", "[hello-x]"]);
        check("hello", &["[slave:fast]", "[hello]"]);
        check("hell", &[]);
    }

    #[test]
    fn an_excerpt_is_as_the_file_was_but_for_passwords() {
        let file = ConfigFile {
            name: "master.ini".into(),
            text: INI.into(),
        };
        assert_eq!(
            of_builder(&[file], "hello-fast").as_deref(),
            Some(
                "[slave:fast]\npassword = …\nos = linux\n\n\
                 [hello]\ntype = shell\n# how\ncommands =\n    make\n"
            )
        );
    }
}
