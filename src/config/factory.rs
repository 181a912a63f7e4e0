//! Factory sections: the keys that their factory takes, and those that every
//! builder has.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Catalogue;
use super::master;
use crate::factories::Factory;
use crate::model::FactoryName;
use crate::model::Properties;
use crate::model::Text;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::plain;

/// `[NAME]` or `[factory:NAME]`, or a factory that a slave names without a section.
pub(super) struct FactorySection {
    pub(super) name: FactoryName,
    pub(super) place: Place,
    /// `None` if something is wrong with it.
    pub(super) settings: Option<Settings>,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) factory: Arc<dyn Factory>,
    pub(super) category: Option<String>,
    pub(super) merge_requests: Option<bool>,
    pub(super) properties: Properties,
    pub(super) env: BTreeMap<String, Option<Text>>,
}

/// The keys of every builder.
const BUILDER_KEYS: [&str; 4] = ["category", "merge_requests", "property", "env"];

/// Reads a section.
pub(super) fn read(
    name: &str,
    section: &Section,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> FactorySection {
    FactorySection {
        name: FactoryName::from(name),
        place: section.place.clone(),
        settings: read_settings(section, catalogue, problems),
    }
}

/// Reads a factory that a slave names at `place` and that has no section.
pub(super) fn read_without_section(
    name: &str,
    place: &Place,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> FactorySection {
    let section = Section {
        name: name.to_owned(),
        place: place.clone(),
        entries: Vec::new(),
        defaults: Arc::default(),
    };
    let mut told = Problems::default();
    let factory = read(name, &section, catalogue, &mut told);
    for problem in told.0 {
        problems.note(problem.help(format!("the file has no section `[{name}]`")));
    }
    factory
}

fn read_settings(
    section: &Section,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Option<Settings> {
    // What the factory does not know may be a key of every builder: then it
    // reads the section again without that key. A factory that has a key of
    // the same name means its own.
    let mut told = Problems::default();
    let mut factory = catalogue.read(section, &mut told);
    let refused = |entry: &Entry| {
        told.0
            .iter()
            .any(|it| it.place.as_ref() == Some(&entry.key_place))
    };
    let (builders, own): (Vec<_>, Vec<_>) = section
        .entries
        .iter()
        .cloned()
        .partition(|entry| is_builder_key(&entry.key) && refused(entry));
    if !builders.is_empty() {
        let section = Section {
            entries: own,
            ..section.clone()
        };
        told = Problems::default();
        factory = catalogue.read(&section, &mut told);
    }
    for problem in told.0 {
        problems.note(suggest(problem, section));
    }
    let title = format!("[{}]", section.name);
    let mut keys = Keys::of_entries(&title, &section.place, &builders, problems);
    let category = keys.optional::<String>("category");
    let merge_requests = keys.optional("merge_requests");
    let properties = master::properties(&mut keys, "Builder");
    let env = keys.map("env");
    keys.finish();
    Some(Settings {
        factory: factory?,
        category: category?.filter(|it| !it.is_empty()),
        merge_requests: merge_requests?,
        properties: properties?,
        env: env?,
    })
}

fn is_builder_key(key: &str) -> bool {
    let head = key.split('.').next().unwrap_or_default();
    BUILDER_KEYS.iter().any(|it| plain(it) == plain(head))
}

/// Says of a key that the factory does not know which of every builder's is near.
fn suggest(mut problem: Problem, section: &Section) -> Problem {
    let key = section
        .entries
        .iter()
        .find(|it| problem.place.as_ref() == Some(&it.key_place));
    match key {
        Some(entry) if problem.label.is_none() => {
            problem = problem.did_you_mean(&entry.key, BUILDER_KEYS);
            if problem.label.is_some() {
                problem.help.clear();
            }
            problem
        }
        None if section.name == "master" => problem.help("the master's section is `[:master:]`"),
        _ => problem,
    }
}

/// Names in backticks with commas.
pub(super) fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = names.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}
