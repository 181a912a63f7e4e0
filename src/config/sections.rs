//! What a section is about, from its name.

use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;

/// A section by its kind.
pub(super) enum Kind<'a> {
    Master,
    Slave(&'a str),
    Factory(&'a str),
}

/// Kinds with a name behind a colon.
const NAMED: [&str; 3] = ["slave", "worker", "factory"];

/// Kinds of the language that a later version will understand.
const LATER: [&str; 7] = [
    "builder",
    "source",
    "scheduler",
    "lock",
    "status",
    "reporter",
    "user",
];

/// Singletons of the language that a later version will understand.
const LATER_ALONE: [&str; 6] = [
    ":web:",
    ":authz:",
    ":properties:",
    ":validation:",
    ":secrets:",
    ":metrics:",
];

/// Says what the section is; what nobody understands is noted.
pub(super) fn kind<'a>(section: &'a Section, problems: &mut Problems) -> Option<Kind<'a>> {
    let name = section.name.as_str();
    let at = |what: String| Problem::error(what).at(&section.place);
    if name == ":master:" {
        return Some(Kind::Master);
    }
    if name.starts_with(':') && name.ends_with(':') {
        problems.note(if LATER_ALONE.contains(&name) {
            at(format!("`[{name}]` is not understood by this version"))
        } else {
            at(format!("unknown section `[{name}]`"))
                .did_you_mean(name, [":master:"].iter().chain(&LATER_ALONE))
        });
        return None;
    }
    let Some((kind, rest)) = name.split_once(':') else {
        return named(name, section, problems).map(Kind::Factory);
    };
    match kind {
        "slave" | "worker" => named(rest, section, problems).map(Kind::Slave),
        "factory" => named(rest, section, problems).map(Kind::Factory),
        _ if LATER.contains(&kind) => {
            problems.note(at(format!(
                "`[{kind}:…]` sections are not understood by this version"
            )));
            None
        }
        _ => {
            let problem = at(format!("unknown kind of section `[{kind}:…]`"))
                .help("`[slave:NAME]` is a slave, `[NAME]` or `[factory:NAME]` a factory");
            problems.note(problem.did_you_mean(kind, NAMED.iter().chain(&LATER)));
            None
        }
    }
}

/// Names become directories and parts of addresses.
fn named<'a>(name: &'a str, section: &Section, problems: &mut Problems) -> Option<&'a str> {
    let trimmed = name.trim();
    let wrong = match trimmed.chars().next() {
        None => "expected a name behind the colon",
        Some('.') => "a name does not begin with `.`",
        Some('_') => "names with `_` first are templates, which this version does not understand",
        Some(_) if trimmed.contains(['/', '\\']) => "a name has no `/` and no `\\`",
        Some(_) if trimmed.chars().any(char::is_control) => "a name has no control characters",
        Some(_) if trimmed.len() > 100 => "a name has at most 100 bytes",
        Some(_) => return Some(trimmed),
    };
    let problem = Problem::error(format!("`[{}]` has no usable name", section.name))
        .at(&section.place)
        .label(wrong);
    problems.note(problem);
    None
}
