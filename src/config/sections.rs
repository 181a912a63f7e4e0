//! What a section is about, from its name: the table of kinds, and the names
//! that a section may have.

use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;

/// What a section describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Master,
    Slave,
    Factory,
    Builder,
    Source,
    Scheduler,
    Lock,
    Status,
    User,
    Test,
    Web,
    Authz,
    Properties,
    Validation,
    Secrets,
    Metrics,
}

/// A kind as the reader and the manual see it.
pub(crate) struct KindOfSection {
    pub(crate) kind: Kind,
    /// The word before the colon, or between colons.
    pub(crate) word: &'static str,
    pub(crate) aliases: &'static [&'static str],
    /// There is one of it, `[:word:]`, and not one for each name.
    pub(crate) is_alone: bool,
    pub(crate) summary: &'static str,
}

const fn named(
    kind: Kind,
    word: &'static str,
    aliases: &'static [&'static str],
    summary: &'static str,
) -> KindOfSection {
    KindOfSection {
        kind,
        word,
        aliases,
        is_alone: false,
        summary,
    }
}

const fn alone(kind: Kind, word: &'static str, summary: &'static str) -> KindOfSection {
    KindOfSection {
        kind,
        word,
        aliases: &[],
        is_alone: true,
        summary,
    }
}

/// Every kind of section, in the order of the manual.
pub(crate) const KINDS: &[KindOfSection] = &[
    alone(
        Kind::Master,
        "master",
        "The master, and the defaults of every slave.",
    ),
    named(Kind::Slave, "slave", &["worker"], "A slave."),
    named(
        Kind::Factory,
        "factory",
        &[],
        "The parameters of a factory; in INI a bare name is a factory too.",
    ),
    named(
        Kind::Builder,
        "builder",
        &[],
        "A builder, a matrix of builders, or settings for a derived one.",
    ),
    named(
        Kind::Source,
        "source",
        &["change_source"],
        "A change source.",
    ),
    named(Kind::Scheduler, "scheduler", &[], "A scheduler."),
    named(
        Kind::Lock,
        "lock",
        &[],
        "A lock of the master or of its slaves.",
    ),
    named(
        Kind::Status,
        "status",
        &["reporter"],
        "A status target: who is told of builds, and how.",
    ),
    named(Kind::User, "user", &[], "A user and the names they go by."),
    named(
        Kind::Test,
        "test",
        &[],
        "A change, and what it is expected to start.",
    ),
    alone(Kind::Web, "web", "The pages."),
    alone(Kind::Authz, "authz", "Who may do what."),
    alone(Kind::Properties, "properties", "Properties of every build."),
    alone(
        Kind::Validation,
        "validation",
        "What branches, revisions and properties from outside may look like.",
    ),
    alone(Kind::Secrets, "secrets", "Where secrets come from."),
    alone(
        Kind::Metrics,
        "metrics",
        "What the master measures of itself.",
    ),
];

impl Kind {
    pub(crate) fn of_word(word: &str) -> Option<&'static KindOfSection> {
        KINDS
            .iter()
            .find(|it| it.word == word || it.aliases.contains(&word))
    }

    pub(crate) fn table(self) -> &'static KindOfSection {
        KINDS
            .iter()
            .find(|it| it.kind == self)
            .expect("every kind is in the table")
    }
}

/// Says what a section of INI is; what nobody understands is noted.
pub(super) fn of_ini(mut section: Section, problems: &mut Problems) -> Option<(Kind, Section)> {
    let name = section.name.as_str();
    let at = |what: String| Problem::error(Code::UnknownSection, what).at(&section.place);
    let singles = || KINDS.iter().filter(|it| it.is_alone);
    if let Some(word) = name.strip_prefix(':').and_then(|it| it.strip_suffix(':')) {
        if let Some(kind) = singles().find(|it| it.word == word) {
            section.own_name = word.to_owned();
            return Some((kind.kind, section));
        }
        let known = singles().map(|it| format!(":{}:", it.word));
        problems.note(at(format!("unknown section `[{name}]`")).did_you_mean(name, known));
        return None;
    }
    let Some((word, rest)) = name.split_once(':') else {
        section.own_name = usable(name, Kind::Factory, &section, problems)?;
        return Some((Kind::Factory, section));
    };
    match Kind::of_word(word) {
        Some(kind) if !kind.is_alone => {
            section.own_name = usable(rest, kind.kind, &section, problems)?;
            Some((kind.kind, section))
        }
        Some(_) => {
            problems.note(at(format!(
                "there is one section `[:{word}:]`, without names"
            )));
            None
        }
        None => {
            let problem = at(format!("unknown kind of section `[{word}:…]`"))
                .help("`[slave:NAME]` is a slave, `[NAME]` or `[factory:NAME]` a factory");
            let words = KINDS
                .iter()
                .filter(|it| !it.is_alone)
                .flat_map(|it| [&[it.word], it.aliases].concat());
            problems.note(problem.did_you_mean(word, words));
            None
        }
    }
}

/// The sections of a TOML document.
pub(super) fn of_toml(entries: Vec<Entry>, problems: &mut Problems) -> Vec<(Kind, Section)> {
    let mut all = Vec::new();
    for entry in entries {
        let is_table = matches!(entry.value.content, Content::Table(_));
        let Some(kind) = Kind::of_word(&entry.key) else {
            if !is_table {
                let what = format!("key `{}` stands before any section", entry.key);
                let problem = Problem::error(Code::BadLine, what).at(&entry.key_place);
                problems.note(problem.label("expected a section such as `[master]`"));
                continue;
            }
            let what = format!("unknown section `[{}]`", entry.key);
            let mut problem = Problem::error(Code::UnknownSection, what).at(&entry.key_place);
            let words = KINDS.iter().map(|it| it.word);
            problem = problem.did_you_mean(&entry.key, words);
            if problem.label.is_none() {
                problem = problem.help(format!("a factory is `[factory.{}]`", entry.key));
            }
            problems.note(problem);
            continue;
        };
        let Content::Table(inside) = entry.value.content else {
            let what = format!("`{}` is a section, not a key", entry.key);
            let problem = Problem::error(Code::BadLine, what).at(&entry.key_place);
            let word = kind.word;
            let header = if kind.is_alone {
                format!("[{word}]")
            } else {
                format!("[{word}.NAME]")
            };
            problems.note(problem.label(format!("expected `{header}`")));
            continue;
        };
        if kind.is_alone {
            all.push((kind.kind, section(&entry.key, "", &entry.key_place, inside)));
            continue;
        }
        for one in inside {
            let Content::Table(inside) = one.value.content else {
                let what = format!("key `{}` stands before any section", one.key);
                let problem = Problem::error(Code::BadLine, what).at(&one.key_place);
                problems.note(problem.label(format!("expected `[{}.NAME]`", entry.key)));
                continue;
            };
            let mut it = section(&entry.key, &one.key, &one.key_place, inside);
            if let Some(name) = usable(&one.key, kind.kind, &it, problems) {
                it.own_name = name;
                all.push((kind.kind, it));
            }
        }
    }
    all
}

fn section(word: &str, name: &str, place: &crate::syntax::Place, entries: Vec<Entry>) -> Section {
    let dot = if name.is_empty() { "" } else { "." };
    Section {
        name: format!("{word}{dot}{name}"),
        own_name: if name.is_empty() { word } else { name }.to_owned(),
        place: place.clone(),
        entries,
        inherited: Vec::new(),
        defaults: std::sync::Arc::default(),
    }
}

/// Names become directories and parts of addresses.
fn usable(name: &str, kind: Kind, section: &Section, problems: &mut Problems) -> Option<String> {
    let trimmed = name.trim();
    let is_path = |it: &str| match kind {
        // They are seen on pages only.
        Kind::Source | Kind::Status | Kind::Test | Kind::User | Kind::Scheduler => false,
        // A matrix of builders has expressions in its name.
        Kind::Builder => it.contains('\\'),
        _ => it.contains(['/', '\\']),
    };
    let wrong = match trimmed.chars().next() {
        None => "expected a name behind the colon",
        Some('.') => "a name does not begin with `.`",
        Some(_) if is_path(trimmed) => "a name has no `/` and no `\\`",
        Some(_) if trimmed.chars().any(char::is_control) => "a name has no control characters",
        Some(_) if trimmed.len() > 100 => "a name has at most 100 bytes",
        Some(_) if kind == Kind::Slave && matches!(trimmed, "debug" | "change" | "status") => {
            "this name is taken: it is one of the master's own users"
        }
        Some(_) => return Some(trimmed.to_owned()),
    };
    let problem = Problem::error(
        Code::BadName,
        format!("`[{}]` has no usable name", section.name),
    )
    .at(&section.place)
    .label(wrong);
    problems.note(problem);
    None
}
