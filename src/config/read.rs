//! From texts to a [`Plan`]: each section is read, then all of them are
//! checked against each other, then the rest is derived. Every mistake of all
//! of them is told at once.

use std::sync::Arc;

use super::Catalogue;
use super::Plan;
use super::derive;
use super::factory;
use super::factory::FactorySection;
use super::master;
use super::sections;
use super::sections::Kind;
use super::slave;
use super::slave::Slave;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Source;
use crate::syntax::ini;

/// Reads and checks the files of a configuration, the first of which is `master.ini`.
///
/// # Errors
/// Every problem at once, if there is an error among them.
pub(crate) fn read(sources: &[Arc<Source>], catalogue: &dyn Catalogue) -> Result<Plan, Problems> {
    let mut problems = Problems::default();
    let mut all = Sections::default();
    for source in sources {
        for section in ini::read(source, &mut problems).sections {
            all.sort_in(section, &mut problems);
        }
    }
    let Some(first) = sources.first() else {
        problems.note(Problem::error("there is no file to read"));
        return Err(problems);
    };
    let master_section = all.master.unwrap_or_else(|| Section {
        name: ":master:".into(),
        place: Place::new(first, 0..0),
        entries: Vec::new(),
        defaults: Arc::default(),
    });
    let master = master::read(Keys::of(&master_section, &mut problems));
    let slave_defaults = master::slave_defaults(&master_section.entries);
    let slaves: Vec<_> = all
        .slaves
        .iter()
        .map(|(name, section)| {
            let keys = Keys::of(section, &mut problems).with_defaults(&slave_defaults);
            slave::read(name, keys)
        })
        .collect();
    slave::check_basedirs(&slaves, &mut problems);
    let mut factories: Vec<_> = all
        .factories
        .iter()
        .map(|(name, section)| factory::read(name, section, catalogue, &mut problems))
        .collect();
    let wanted = resolve(&slaves, &mut factories, catalogue, &mut problems);
    warn_of_the_idle(first, &slaves, &factories, &wanted, &mut problems);
    let plan = master
        .as_ref()
        .and_then(|it| derive::plan(it, &slaves, &factories, &wanted, &mut problems));
    problems.sort();
    match plan {
        Some(mut plan) if !problems.has_errors() => {
            plan.warnings = problems;
            Ok(plan)
        }
        _ => Err(problems),
    }
}

/// The sections of all files by kind, in order.
#[derive(Default)]
struct Sections {
    master: Option<Section>,
    slaves: Vec<(String, Section)>,
    factories: Vec<(String, Section)>,
}

impl Sections {
    fn sort_in(&mut self, section: Section, problems: &mut Problems) {
        let (noun, first) = match sections::kind(&section, problems) {
            None => return,
            Some(Kind::Master) => match &self.master {
                None => {
                    self.master = Some(section);
                    return;
                }
                Some(first) => ("section `[:master:]`".to_owned(), &first.place),
            },
            Some(Kind::Slave(name)) => match find(&self.slaves, name) {
                None => {
                    self.slaves.push((name.to_owned(), section));
                    return;
                }
                Some(first) => (format!("slave `{name}`"), first),
            },
            Some(Kind::Factory(name)) => match find(&self.factories, name) {
                None => {
                    self.factories.push((name.to_owned(), section));
                    return;
                }
                Some(first) => (format!("factory `{name}`"), first),
            },
        };
        let problem = Problem::error(format!("{noun} stands twice"))
            .at(&section.place)
            .label("the second one")
            .also(first, "the first one");
        problems.note(problem);
    }
}

fn find<'a>(all: &'a [(String, Section)], name: &str) -> Option<&'a Place> {
    all.iter()
        .find(|(known, _)| known == name)
        .map(|(_, section)| &section.place)
}

/// For each slave the indexes of its factories. A type that is named without
/// having a section is read without keys.
fn resolve(
    slaves: &[Slave],
    factories: &mut Vec<FactorySection>,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Vec<Vec<usize>> {
    let with_section = factories.len();
    let mut wanted = Vec::new();
    for slave in slaves {
        let mut indexes: Vec<usize> = Vec::new();
        for (name, place) in slave.factories.iter().flatten() {
            let names = match name.as_str() {
                "*" if with_section > 0 => {
                    indexes.extend(0..with_section);
                    continue;
                }
                "*" => catalogue.recipes(),
                _ => vec![name.clone()],
            };
            for name in names {
                indexes.extend(index_of(&name, place, factories, catalogue, problems));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        indexes.retain(|it| seen.insert(*it));
        wanted.push(indexes);
    }
    wanted
}

fn index_of(
    name: &str,
    place: &Place,
    factories: &mut Vec<FactorySection>,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Option<usize> {
    let found = factories.iter().position(|it| it.name.as_str() == name);
    if found.is_some() {
        return found;
    }
    let known = catalogue.names();
    if known.iter().any(|it| it == name) {
        let factory = factory::read_without_section(name, place, catalogue, problems);
        factories.push(factory);
        return Some(factories.len() - 1);
    }
    let sections = factories.iter().map(|it| it.name.as_str().to_owned());
    let mut all: Vec<_> = sections.chain(known).collect();
    all.sort();
    all.dedup();
    let mut problem = Problem::error(format!("unknown factory `{name}`"))
        .at(place)
        .did_you_mean(name, &all);
    if problem.label.is_none() {
        problem = problem.help(format!("there are {}", factory::listed(&all)));
    }
    problems.note(problem);
    None
}

/// What is there and does nothing is probably a mistake, but not surely.
fn warn_of_the_idle(
    source: &Arc<Source>,
    slaves: &[Slave],
    factories: &[FactorySection],
    wanted: &[Vec<usize>],
    problems: &mut Problems,
) {
    if slaves.is_empty() {
        let problem = Problem::warning("there is no slave, so nothing can be built")
            .help("a section `[slave:NAME]` with `password` and `factories` adds one")
            .at(&Place::new(source, 0..0));
        problems.note(problem);
        return;
    }
    for slave in slaves {
        if slave.factories.as_ref().is_some_and(Vec::is_empty) {
            let problem = Problem::warning(format!("slave `{}` builds nothing", slave.name))
                .at(&slave.place)
                .label("expected `factories = …` in this section or in [:master:]");
            problems.note(problem);
        }
    }
    let all_said = slaves.iter().all(|it| it.factories.is_some());
    for (index, factory) in factories.iter().enumerate() {
        let is_used = wanted.iter().any(|it| it.contains(&index));
        if !is_used && factory.settings.is_some() && all_said {
            let problem = Problem::warning(format!("no slave uses factory `{}`", factory.name))
                .at(&factory.place)
                .help(format!(
                    "`factories = {}` in a slave's section uses it",
                    factory.name
                ));
            problems.note(problem);
        }
    }
}
