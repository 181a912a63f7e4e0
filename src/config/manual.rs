//! What the manual says of every key: one table, `keys.txt`, which the schema
//! and the reference pages share. A test holds it against what the readers ask for.

use std::sync::LazyLock;

use super::asked::asked;
use super::catalogue::Catalogue;
use super::read::empty_section;
use super::sections;
use super::sections::Kind;
use crate::changes;
use crate::factories;
use crate::reporters;
use crate::schedulers;
use crate::steps;
use crate::syntax::Asked;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Node;
use crate::syntax::Op;
use crate::syntax::Place;
use crate::syntax::Section;
use crate::syntax::Source;

/// A line of the table: a key, what it is where the file says nothing, what it
/// means. No default is a key that must be there.
struct Line {
    group: &'static str,
    key: &'static str,
    default: &'static str,
    help: &'static str,
}

static KEYS: LazyLock<Vec<Line>> = LazyLock::new(|| {
    let mut group = "";
    let mut all = Vec::new();
    for line in include_str!("keys.txt").lines() {
        let name = line.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        group = name.unwrap_or(group);
        // A key has no blanks, a pattern may have a `|`.
        let Some((key, rest)) = line.split_once(" | ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let (default, help) = rest.split_once("| ").unwrap_or(("", rest));
        all.push(Line {
            group,
            key,
            default: default.trim(),
            help,
        });
    }
    all
});

/// What a key of a group is where the file says nothing, as the table spells it.
pub(super) fn default_of(group: &str, key: &str) -> Option<&'static str> {
    let mut all = KEYS.iter();
    let found = all.find(|it| it.group == group && it.key == key)?;
    (!found.default.is_empty() && !found.help.starts_with("Read for old files"))
        .then(|| found.default.trim_matches('`'))
}

/// A thing that has keys: a kind of section, a type of factory or of step.
#[derive(Clone)]
pub(super) struct Page {
    /// `master`, `factory.shell`, `step.git`.
    pub(super) name: String,
    pub(super) summary: String,
    /// Lines of a file, of types only.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the reference is written by a test")
    )]
    pub(super) example: &'static str,
    /// Other words for it in `type = …`, of types only.
    pub(super) aliases: &'static [&'static str],
    /// Where [`KEYS`] has its keys.
    groups: Vec<String>,
    pub(super) keys: Vec<Asked>,
}

impl Page {
    fn new(name: &str, summary: &str, groups: &[&str], keys: Vec<Asked>) -> Self {
        let groups = [name].into_iter().chain(groups.iter().copied());
        Self {
            name: name.to_owned(),
            summary: summary.to_owned(),
            example: "",
            aliases: &[],
            groups: groups.map(str::to_owned).collect(),
            keys,
        }
    }

    /// Without the kind of section before it.
    pub(super) fn own_name(&self) -> &str {
        self.name
            .split_once('.')
            .map_or(self.name.as_str(), |it| it.1)
    }

    /// Every word for the type.
    pub(super) fn names(&self) -> Vec<&str> {
        let own = [self.own_name()].into_iter();
        own.chain(self.aliases.iter().copied()).collect()
    }

    /// The default of a key and what it means.
    pub(super) fn help(&self, key: &str) -> Option<(&'static str, &'static str)> {
        let of = |group: &String| {
            let mut all = KEYS.iter();
            all.find(|it| it.group == group.as_str() && it.key == key)
        };
        let found = self.groups.iter().find_map(of)?;
        Some((found.default, found.help))
    }
}

/// A type that a section may have.
struct Type {
    name: &'static str,
    aliases: &'static [&'static str],
    summary: &'static str,
    /// Lines of a file.
    example: &'static str,
}

/// The types of each kind of section that has a `type`. A line for each table
/// of them: the pages and the schema follow.
fn types(kind: Kind) -> Vec<Type> {
    macro_rules! of {
        ($kinds:expr, $it:ident, $aliases:expr) => {{
            let all = $kinds.iter().map(|$it| Type {
                name: $it.name,
                aliases: $aliases,
                summary: $it.summary,
                example: $it.example,
            });
            all.collect()
        }};
    }
    match kind {
        Kind::Factory => of!(factories::KINDS, it, &[]),
        Kind::Source => of!(changes::KINDS, it, it.aliases),
        Kind::Scheduler => of!(schedulers::KINDS, it, it.aliases),
        Kind::Status => of!(reporters::KINDS, it, it.aliases),
        _ => Vec::new(),
    }
}

/// Every kind of section without types whose reader is there.
pub(super) fn sections(catalogue: &dyn Catalogue) -> Vec<Page> {
    let all = sections::KINDS.iter();
    let pages = all.filter(|it| types(it.kind).is_empty()).filter_map(|it| {
        let section = empty_section(it.word, &nowhere());
        let known = asked(it.kind, &section, catalogue);
        let groups: &[&str] = match it.kind {
            Kind::Master => &["slaves"],
            Kind::Slave => &["slaves", "section"],
            Kind::Builder => &["builds", "section"],
            _ => &["section"],
        };
        let has_keys = known.rest.is_none();
        has_keys.then(|| Page::new(it.word, it.summary, groups, known.keys))
    });
    pages.collect()
}

/// Every type that sections of this kind may have.
pub(super) fn of_types(kind: Kind, catalogue: &dyn Catalogue) -> Vec<Page> {
    let word = kind.table().word;
    let pages = types(kind).into_iter().map(|it| {
        let name = it.name;
        let mut groups = vec![word, "section"];
        match kind {
            Kind::Factory => groups.extend(["sources", "builds"]),
            Kind::Scheduler => groups.extend(["changes", "filter"]),
            _ => {}
        }
        if name.ends_with("_maildir") {
            groups.insert(0, "maildir");
        }
        if matches!(name, "virtualenv" | "python_source") {
            groups.push("environment");
        }
        let keys = of_type(kind, name, catalogue);
        Page {
            example: it.example,
            aliases: it.aliases,
            ..Page::new(&format!("{word}.{name}"), it.summary, &groups, keys)
        }
    });
    pages.collect()
}

/// What a section of this type, or recipe, is asked for.
pub(super) fn of_type(kind: Kind, name: &str, catalogue: &dyn Catalogue) -> Vec<Asked> {
    let place = nowhere();
    let said = Entry {
        key: "type".to_owned(),
        key_place: place.clone(),
        op: Op::Set,
        value: Node {
            place: place.clone(),
            content: Content::Text(name.to_owned()),
        },
    };
    let section = Section {
        entries: vec![said],
        ..empty_section(name, &place)
    };
    asked(kind, &section, catalogue).keys
}

/// Every type of step.
pub(super) fn steps() -> Vec<Page> {
    let all = steps::KINDS.iter();
    let pages = all.map(|it| {
        let groups: &[&str] = match it.name {
            "git" | "mercurial" | "svn" | "cvs" | "bzr" => &["checkout", "step"],
            "darcs" | "bitkeeper" => &["whole_checkout", "branches", "checkout", "step"],
            "monotone" | "p4" | "repo" => &["whole_checkout", "checkout", "step"],
            "warning_counting_shell_command" | "compile" | "test" | "perl_module_test" | "mtr" => {
                &["warnings", "command", "step"]
            }
            name if name.starts_with("vc") => &["visual_studio", "command", "step"],
            "make_directory" | "remove_directory" => &["directory", "step"],
            "trigger" | "file_exists" | "set_properties_from_env" | "master_shell_command" => {
                &["step"]
            }
            name if name.ends_with("download") => &["download", "step"],
            name if name.ends_with("upload") => &["upload", "step"],
            _ => &["command", "step"],
        };
        let name = format!("step.{}", it.name);
        Page {
            example: it.example,
            aliases: it.aliases,
            ..Page::new(&name, it.summary, groups, steps::asked(it))
        }
    });
    pages.collect()
}

/// For sections that stand in no file.
fn nowhere() -> Place {
    Place::new(&Source::new("", "", ""), 0..0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::config::catalogue::Installed;

    #[test]
    fn the_table_has_exactly_the_keys_that_are_asked_for() {
        let catalogue = Installed::of(Path::new("/nonexistent"));
        let mut used = BTreeSet::new();
        let mut missing = Vec::new();
        let mut pages = [sections(&catalogue), steps()].concat();
        let kinds = sections::KINDS.iter();
        pages.extend(kinds.flat_map(|it| of_types(it.kind, &catalogue)));
        for page in &pages {
            assert!(!page.keys.is_empty(), "{}", page.name);
            for asked in &page.keys {
                match page.help(&asked.name) {
                    None => missing.push(format!("{}: {}", page.name, asked.name)),
                    Some((default, help)) => {
                        // What is required has no default, unless its type says one.
                        assert!(help.ends_with('.'), "{}", asked.name);
                        if !asked.required {
                            assert_ne!(default, "", "{} {}", page.name, asked.name);
                        }
                        // Lines may have the same words.
                        used.insert(help.as_ptr());
                    }
                }
            }
        }
        assert!(missing.is_empty(), "no help for {missing:#?}");
        let idle = KEYS.iter().filter(|it| !used.contains(&it.help.as_ptr()));
        let idle: Vec<_> = idle.map(|it| (it.group, it.key)).collect();
        assert!(idle.is_empty(), "nobody asks for {idle:#?}");
    }
}
