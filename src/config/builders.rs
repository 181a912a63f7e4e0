//! Which builders there are: those that follow from slaves and factories, and
//! those of `[builder:NAME]` sections, a matrix of them among these.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use super::BuilderPlan;
use super::Catalogue;
use super::MergeRequests;
use super::Origin;
use super::builder;
use super::builder::Checks;
use super::builder::Filled;
use super::builder::Settings;
use super::factory::Factories;
use super::factory::FactorySection;
use super::known::Key;
use super::known::Known;
use super::master::Grouping;
use super::master::Master;
use super::matrix::Combination;
use super::matrix::Matrix;
use super::read::index_of;
use super::select::Candidate;
use super::select::Slaves;
use super::slave::Slave;
use crate::cores;
use crate::expr;
use crate::model::BuilderName;
use crate::model::SlaveName;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;

/// A builder before its settings are read.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) slaves: Vec<SlaveName>,
    /// The index of its factory's section.
    pub(super) factory: usize,
    /// Its own section, if it has one.
    filled: Option<Filled>,
    origin: Origin,
}

/// All of them.
#[derive(Default)]
pub(super) struct Drafts {
    pub(super) all: Vec<Draft>,
    /// Combinations that no slave can build, with the reason.
    pub(super) left_out: Vec<String>,
    /// Names that would be there, were it not for a mistake that is told.
    pub(super) broken: Vec<String>,
    /// Whether every section could be followed.
    pub(super) is_whole: bool,
    /// The first draft of each name.
    by_name: HashMap<String, usize>,
    /// Factories of those that could not: only with their builders' values
    /// could be said what is wrong with them.
    pub(super) unsure: Vec<usize>,
}

/// Finds the builders; what is wrong is noted.
pub(super) fn drafts<'a>(
    master: Option<&Master>,
    slaves: &[Slave],
    wanted: &[Vec<usize>],
    sections: impl Iterator<Item = &'a Section>,
    factories: &mut Factories,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Drafts {
    let mut drafts = Drafts {
        is_whole: true,
        ..Drafts::default()
    };
    let grouping = master.map_or(Grouping::Slave, |it| it.builders);
    drafts.derive(grouping, slaves, wanted, factories.all(), problems);
    for section in sections {
        let mut world = World {
            slaves,
            factories,
            catalogue,
            problems,
        };
        if drafts.written(section, &mut world).is_none() {
            drafts.is_whole = false;
            if let Some(pattern) = pattern(&section.own_name) {
                drafts.broken.push(pattern);
            }
            let mut quiet = Problems::default();
            let said = Keys::of(section, &mut quiet).optional::<String>("factory");
            let name = said.flatten().unwrap_or_else(|| section.own_name.clone());
            let is_it = |it: &FactorySection| it.name.as_str() == name;
            drafts.unsure.extend(factories.all().iter().position(is_it));
        }
    }
    drafts
}

/// What the names of a matrix look like.
fn pattern(template: &str) -> Option<String> {
    let mut pieces = template.split('{');
    let mut pattern = pieces.next()?.to_owned();
    for piece in pieces {
        pattern.push('*');
        pattern.push_str(piece.rsplit_once('}').map_or("", |(_, it)| it));
    }
    pattern.contains('*').then_some(pattern)
}

struct World<'a> {
    slaves: &'a [Slave],
    factories: &'a mut Factories,
    catalogue: &'a dyn Catalogue,
    problems: &'a mut Problems,
}

impl Drafts {
    fn add(&mut self, draft: Draft) {
        let index = self.all.len();
        self.by_name.entry(draft.name.clone()).or_insert(index);
        self.all.push(draft);
    }

    /// One for each group of slaves and factory.
    fn derive(
        &mut self,
        grouping: Grouping,
        slaves: &[Slave],
        wanted: &[Vec<usize>],
        factories: &[FactorySection],
        problems: &mut Problems,
    ) {
        // Which group made a builder: two may come to the same name.
        let mut groups: BTreeMap<String, (usize, (usize, String))> = BTreeMap::new();
        for (slave, indexes) in slaves.iter().zip(wanted) {
            let Some(group) = group(grouping, slave, problems) else {
                self.is_whole = false;
                continue;
            };
            for index in indexes {
                let factory = &factories[*index];
                let name = match group.as_str() {
                    "" => factory.name.as_str().to_owned(),
                    group => format!("{}-{group}", factory.name),
                };
                let made_by = (*index, group.clone());
                match groups.get(&name) {
                    Some((_, first)) if *first != made_by => {
                        let what = format!("two builders would be named `{name}`");
                        let problem = Problem::error(Code::SharedDirectory, what)
                            .at(&slave.place)
                            .help("another name of the slave or of the factory keeps them apart");
                        problems.note(problem);
                        self.is_whole = false;
                    }
                    Some((draft, _)) => self.all[*draft].slaves.push(slave.name.clone()),
                    None => {
                        groups.insert(name.clone(), (self.all.len(), made_by));
                        let how = match grouping {
                            Grouping::Slave => {
                                format!("slave `{}` builds factory `{}`", slave.name, factory.name)
                            }
                            Grouping::Platform => {
                                format!("slaves of `{group}` build factory `{}`", factory.name)
                            }
                            Grouping::Factory => format!("slaves build factory `{}`", factory.name),
                        };
                        self.add(Draft {
                            name,
                            slaves: vec![slave.name.clone()],
                            factory: *index,
                            filled: None,
                            origin: Origin {
                                place: slave.place.clone(),
                                how: format!("derived: {how}"),
                            },
                        });
                    }
                }
            }
        }
    }

    /// The builders of a section, or its settings for one that is there.
    fn written(&mut self, section: &Section, world: &mut World<'_>) -> Option<()> {
        let mut keys = Keys::of(section, world.problems);
        let matrix = Matrix::read(&mut keys)?;
        let says_which = keys.has("factory") || builder::SLAVES.iter().any(|it| keys.has(it));
        let same_name = self.by_name.get(&section.own_name).copied();
        if let Some(at) = same_name
            && !matrix.is_some()
            && !says_which
        {
            let draft = &mut self.all[at];
            draft.filled = Some(Filled::new(
                section,
                Combination::default(),
                world.problems,
            )?);
            draft.origin = Origin {
                place: section.place.clone(),
                how: format!("{}, with settings of its own", draft.origin.how),
            };
            return Some(());
        }
        let title = format!("[{}]", section.name);
        let all = matrix.combinations(&title, world.problems)?;
        let mut is_good = true;
        let (built, left_out) = (self.all.len(), self.left_out.len());
        for combination in all {
            is_good &= self
                .combined(section, combination, &matrix, world)
                .is_some();
        }
        if is_good && self.all.len() == built && self.left_out.len() > left_out {
            self.left_out.truncate(left_out);
            let what = format!("no slave can build any combination of {title}");
            let mut places = builder::SLAVES.iter();
            let keys = Keys::of(section, world.problems);
            let place = places.find_map(|it| keys.set_at(it));
            let problem = Problem::error(Code::NoSlave, what);
            let problem = problem.at(&place.unwrap_or_else(|| section.place.clone()));
            let problem = problem.label("this selects none for each of them");
            world.problems.note(problem);
            return None;
        }
        is_good.then_some(())
    }

    fn combined(
        &mut self,
        section: &Section,
        combination: Combination,
        matrix: &Matrix,
        world: &mut World<'_>,
    ) -> Option<()> {
        let name = name(section, &combination, world.problems);
        let filled = Filled::new(section, combination, world.problems);
        let (Some(name), Some(filled)) = (name.clone(), filled) else {
            self.broken.extend(name);
            builder::note_unknown(section, world.problems);
            return None;
        };
        let mut keys = Keys::of(&filled.section, world.problems);
        let factory = keys.optional::<String>("factory");
        let place = keys.place("factory");
        let slaves = keys.required_as::<Slaves>(&builder::SLAVES);
        let slaves_place = builder::SLAVES.iter().find_map(|it| keys.set_at(it));
        let chosen = match slaves {
            Some(slaves) => slaves.resolve(world.slaves, &filled.values.map, world.problems),
            None => None,
        };
        let factory = factory.and_then(|name| match name {
            Some(name) => index_of(
                &name,
                &place,
                world.factories,
                world.catalogue,
                world.problems,
            ),
            None => self.factory_of_the_same_name(section, world),
        });
        let (Some(chosen), Some(factory)) = (chosen, factory) else {
            self.broken.push(name);
            return None;
        };
        if chosen.is_empty() {
            if matrix.is_some() {
                self.left_out.push(format!(
                    "{name}: no slave can build {}",
                    filled.combination.shown()
                ));
                return Some(());
            }
            let what = format!("no slave can build `{name}`");
            let problem = Problem::error(Code::NoSlave, what);
            let place = slaves_place.unwrap_or_else(|| section.place.clone());
            world
                .problems
                .note(problem.at(&place).label("this selects none"));
            self.broken.push(name);
            return None;
        }
        let how = match matrix.is_some() {
            true => format!(
                "a combination of [{}]: {}",
                section.name,
                filled.combination.shown()
            ),
            false => format!("[{}]", section.name),
        };
        self.add(Draft {
            name,
            slaves: chosen,
            factory,
            filled: Some(filled),
            origin: Origin {
                place: section.place.clone(),
                how,
            },
        });
        Some(())
    }

    fn factory_of_the_same_name(&self, section: &Section, world: &mut World<'_>) -> Option<usize> {
        if let Some(found) = world.factories.position(&section.own_name) {
            return Some(found);
        }
        let what = format!("`factory` is missing in [{}]", section.name);
        let problem = Problem::error(Code::MissingKey, what).at(&section.place);
        let label = match self.by_name.contains_key(&section.own_name) {
            true => "there is such a builder already: leave out `slaves` to give it settings",
            false => "expected `factory = NAME`",
        };
        world.problems.note(problem.label(label));
        None
    }
}

/// The builder's name: the section's, with the combination filled in.
fn name(section: &Section, combination: &Combination, problems: &mut Problems) -> Option<String> {
    let template = section.own_name.as_str();
    let within = |at: Option<std::ops::Range<usize>>| {
        // The own name is the end of what stands in the brackets.
        let start = section.place.span().end.saturating_sub(template.len());
        let is_there = section.place.text().ends_with(template);
        match at {
            Some(at) if is_there => section.place.elsewhere(start + at.start..start + at.end),
            _ => section.place.clone(),
        }
    };
    let wrong = match expr::fill_name(template, &combination.values()) {
        Ok(name) if name.starts_with('_') => "a builder's name does not begin with `_`",
        Ok(name) if name.trim().is_empty() => "the name is empty",
        Ok(name) if name.chars().any(char::is_control) => "a name has no control characters",
        Ok(name) => return Some(name),
        Err(error) => {
            let what = format!("bad name of [{}]", section.name);
            let problem = Problem::error(Code::UnknownName, what).at(&within(error.at));
            problems.note(problem.label(error.what));
            return None;
        }
    };
    let what = format!("`[{}]` has no usable name", section.name);
    let problem = Problem::error(Code::BadName, what).at(&section.place);
    problems.note(problem.label(wrong));
    None
}

/// What stands behind the factory in the names of the slave's builders.
fn group(grouping: Grouping, slave: &Slave, problems: &mut Problems) -> Option<String> {
    match grouping {
        Grouping::Slave => Some(slave.name.as_str().to_owned()),
        Grouping::Factory => Some(String::new()),
        Grouping::Platform => {
            let plan = slave.plan.as_ref()?;
            if plan.os.is_none() {
                let what = format!(
                    "`builders = platform` has to know the os of `{}`",
                    slave.name
                );
                let problem = Problem::error(Code::MissingKey, what)
                    .at(&slave.place)
                    .label("expected `os = linux`, `os = win` or `os = mac` in this section");
                problems.note(problem);
            }
            plan.os.clone()
        }
    }
}

/// A builder with what is checked when all are known.
pub(super) struct Built {
    pub(super) plan: Arc<BuilderPlan>,
    pub(super) checks: Arc<Checks>,
    /// Whether a section of its own fills in its factory.
    pub(super) place: Place,
}

impl Built {
    /// As selections see it.
    pub(super) fn as_candidate(&self) -> Candidate<'_> {
        Candidate {
            name: self.plan.name.as_str(),
            tags: &self.plan.tags,
            category: self.plan.category.as_deref(),
        }
    }
}

/// So many builders are read in a millisecond or so.
const RUN: usize = 16;

/// Reads the settings of all builders; those that are wrong join the broken ones.
/// Gives also those that the next reading may take as they are.
pub(super) fn read(
    drafts: &mut Drafts,
    master: Option<&Master>,
    factories: &[FactorySection],
    catalogue: &dyn Catalogue,
    known: &Known,
    problems: &mut Problems,
) -> (Vec<Built>, HashMap<Key, Settings>) {
    let mut all: Vec<Built> = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_directory: BTreeMap<String, usize> = BTreeMap::new();
    let keyed = drafts.all.iter().map(|draft| {
        let key = Key::of(&factories[draft.factory], draft.filled.as_ref());
        (draft, known.settings.get(&key), key)
    });
    let keyed: Vec<_> = keyed.collect();
    let unknown = keyed.iter().filter(|(_, known, _)| known.is_none());
    let unknown: Vec<_> = unknown.map(|(draft, ..)| *draft).collect();
    let read = cores::map(&unknown, RUN, |draft| {
        let factory = &factories[draft.factory];
        let mut told = Problems::default();
        let settings = match &draft.filled {
            None => factory.settings(catalogue, &mut told).cloned(),
            Some(filled) => builder::read(factory, Some(filled), catalogue, &mut told),
        };
        (settings, told)
    });
    let mut read = read.into_iter();
    let mut lasting = HashMap::new();
    for (draft, known, key) in keyed {
        let factory = &factories[draft.factory];
        let settings = match known {
            Some(known) => Some(known.clone()),
            None => read.next().and_then(|(settings, told)| {
                problems.append(told);
                settings
            }),
        };
        let Some(settings) = settings else {
            drafts.broken.push(draft.name.clone());
            continue;
        };
        if settings.lasts {
            lasting.insert(key, settings.clone());
        }
        let keys = settings.keys;
        let builddir = keys.builddir.unwrap_or_else(|| directory(&draft.name));
        let slavebuilddir = keys.slavebuilddir.unwrap_or_else(|| builddir.clone());
        if let Some(own) = of_slave(&slavebuilddir) {
            let name = &draft.name;
            let what = format!("builder `{name}` would work in `{own}`, which is the slave's own");
            let problem = Problem::error(Code::SharedDirectory, what)
                .at(&draft.origin.place)
                .help("another name or `slavebuilddir` keeps them apart");
            problems.note(problem);
            drafts.broken.push(draft.name.clone());
            continue;
        }
        let mut is_taken = |what: String, first: usize, help: &str| {
            let first: &Built = &all[first];
            let mut problem = Problem::error(Code::SharedDirectory, what)
                .at(&draft.origin.place)
                .help(help);
            if first.place != draft.origin.place {
                problem = problem.also(&first.place, "the first one");
            }
            problems.note(problem);
        };
        if let Some(first) = by_name.get(&draft.name) {
            let what = format!("two builders would be named `{}`", draft.name);
            is_taken(
                what,
                *first,
                "a name for each combination has every axis in it, as in `{branch}-{python}`",
            );
            drafts.broken.push(draft.name.clone());
            continue;
        }
        if let Some(first) = by_directory.get(&builddir) {
            let what = format!(
                "builder `{}` would share its directory with `{}`",
                draft.name, all[*first].plan.name
            );
            is_taken(
                what,
                *first,
                "another name or `builddir` keeps them apart; a name of the slave or of the factory does, too",
            );
            drafts.broken.push(draft.name.clone());
            continue;
        }
        let general = master.map(|it| it.plan.horizons).unwrap_or_default();
        let horizons = keys.horizons.over(general);
        if let Some(wrong) = horizons.contradiction().filter(|_| horizons != general) {
            let place = match &draft.filled {
                Some(_) => &draft.origin.place,
                None => &factory.place,
            };
            let problem = Problem::error(Code::Contradiction, wrong.what)
                .at(place)
                .label("logs are kept of builds only")
                .help("what this section does not say is said in [:master:]");
            problems.note(problem);
        }
        by_name.insert(draft.name.clone(), all.len());
        by_directory.insert(builddir.clone(), all.len());
        let plan = BuilderPlan {
            name: BuilderName::from(draft.name.as_str()),
            slavebuilddir,
            builddir,
            slaves: draft.slaves.clone(),
            factory_name: factory.name.clone(),
            factory: settings.factory,
            factory_print: settings.print,
            category: keys.category,
            tags: keys.tags,
            description: keys.description,
            properties: keys.properties,
            env: keys.env,
            merge_requests: keys.merge_requests.unwrap_or_else(|| {
                master.map_or_else(MergeRequests::default, |it| it.merge_requests.clone())
            }),
            priority: keys.priority,
            cancel_superseded: keys.cancel_superseded,
            max_pending: keys.max_pending,
            next_build: keys.next_build,
            next_slave: keys.next_slave,
            locks: keys.locks,
            use_progress: keys.use_progress,
            horizons,
            origin: draft.origin.clone(),
        };
        all.push(Built {
            plan: Arc::new(plan),
            checks: settings.checks,
            place: draft.origin.place.clone(),
        });
    }
    (all, lasting)
}

/// A name as a directory, by the rule that it always had: white space and most
/// signs become `_`.
pub(super) fn directory(name: &str) -> String {
    name.chars()
        .map(|it| match it {
            '\t' | ' ' => '_',
            '"' | '`' | '-' | '_' => it,
            _ if it.is_ascii_punctuation() => '_',
            _ => it,
        })
        .collect()
}

/// The directory in a slave's base directory that is not for builders, if this would be in it.
fn of_slave(slavebuilddir: &str) -> Option<&'static str> {
    let first = slavebuilddir.split('/').next();
    ["mirrors", "spool"]
        .into_iter()
        .find(|it| Some(*it) == first)
}

#[cfg(test)]
mod tests {
    use super::directory;

    #[test]
    fn a_name_becomes_a_directory_by_the_old_rule() {
        assert_eq!(directory("a b/c.d-e_f:g"), "a_b_c_d-e_f_g");
        assert_eq!(directory("é\"`-_~"), "é\"`-__");
    }
}
