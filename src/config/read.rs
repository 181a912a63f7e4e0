//! From texts to a [`Plan`]: each section is read, then all of them are
//! checked against each other, then the rest is derived. Every mistake of all
//! of them is told at once.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;

use super::Catalogue;
use super::Origins;
use super::Plan;
use super::authz;
use super::builders;
use super::clients;
use super::derive;
use super::extends;
use super::factory::Factories;
use super::factory::FactorySection;
use super::files::Files;
use super::known::Known;
use super::master;
use super::metrics;
use super::references;
use super::scheduler;
use super::sections::Kind;
use super::slave;
use super::slave::Slave;
use super::source;
use super::status;
use super::trials;
use super::users;
use super::validation;
use super::web;
use super::web_ports;
use crate::cores;
use crate::locks;
use crate::locks::BuilderLocks;
use crate::locks::LockPlan;
use crate::locks::LockUses;
use crate::model::SecretRef;
use crate::secrets;
use crate::secrets::Secrets;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Source;

/// Reads and checks a configuration whose first file is `main`.
///
/// # Errors
/// Every problem at once, if there is an error among them.
pub(crate) fn read(main: &Arc<Source>, catalogue: &dyn Catalogue) -> Result<Plan, Problems> {
    read_again(main, catalogue, &Known::default())
}

/// As [`read`], knowing what was read before.
pub(super) fn read_again(
    main: &Arc<Source>,
    catalogue: &dyn Catalogue,
    known: &Known,
) -> Result<Plan, Problems> {
    let mut problems = Problems::default();
    let files = Files::read(main, &known.pieces, &mut problems);
    // What does not spell a value is told once, not for its meaning, too.
    let unspelled: Vec<_> = problems.0.clone();
    let plan = match files.is_torn {
        true => None,
        false => plan(files, main, catalogue, known, &mut problems),
    };
    problems.0.retain(|it| {
        unspelled.contains(it)
            || !unspelled.iter().any(|first| {
                first.code == Code::BadLine && first.place.is_some() && first.place == it.place
            })
    });
    problems.sort();
    match plan {
        Some(mut plan) if !problems.has_errors() => {
            plan.warnings = problems;
            Ok(plan)
        }
        _ => Err(problems),
    }
}

fn plan(
    files: Files,
    main: &Arc<Source>,
    catalogue: &dyn Catalogue,
    known: &Known,
    problems: &mut Problems,
) -> Option<Plan> {
    let mut sections = distinct(files.sections, problems);
    extends::resolve(&mut sections, problems);
    sections.retain(|(_, it)| !extends::is_template(it));
    let mut sections = Sections(sections);
    let secret_names = sections.secret_names();

    let nothing = empty_section(":master:", &Place::new(main, 0..0));
    let master_section = sections.alone(Kind::Master).unwrap_or(&nothing);
    let mut keys = Keys::of(master_section, problems);
    let mut master = master::read(&mut keys);
    let mut origins = Origins::default();
    origins.read_master(master_section, &keys);
    keys.finish();
    for kind in [Kind::Slave, Kind::Lock, Kind::User] {
        origins.add(kind, sections.of(kind));
    }
    if let Some(section) = sections.alone(Kind::Properties) {
        let global = master::global_properties(&mut Keys::of(section, problems));
        if let (Some(master), Some(global)) = (&mut master, &global) {
            master.plan.properties.overlay(global);
        }
    }
    let defaults = master::slave_defaults(&master_section.entries);
    let slaves: Vec<_> = sections
        .of(Kind::Slave)
        .map(|section| {
            let by = format!("[{}] takes it from here", section.name);
            let defaults: Vec<_> = defaults
                .iter()
                .map(|it| it.through(&section.place, &by))
                .collect();
            let mut keys = Keys::of(section, problems).with_defaults(&defaults);
            let slave = slave::read(&section.own_name, &mut keys);
            keys.finish();
            slave
        })
        .collect();
    slave::check_basedirs(&slaves, problems);
    slave::check_port(&slaves, master.as_ref().map(|it| &it.plan), problems);
    let mut factories = Factories::of(sections.take(Kind::Factory));
    let wanted = resolve(&slaves, &mut factories, catalogue, problems);
    let mut built = builders::drafts(
        master.as_ref(),
        &slaves,
        &wanted,
        sections.of(Kind::Builder),
        &mut factories,
        catalogue,
        problems,
    );
    let (read, settings) = builders::read(
        &mut built,
        master.as_ref(),
        factories.all(),
        catalogue,
        known,
        problems,
    );
    warn_of_the_idle(
        main, &slaves, &factories, &wanted, &built, catalogue, problems,
    );
    let candidates: Vec<_> = read.iter().map(builders::Built::as_candidate).collect();
    let status: Vec<_> = sections
        .of(Kind::Status)
        .filter_map(|it| status::read(it, &candidates, &built.broken, problems))
        .collect();
    slave::check_notices(&slaves, &status, problems);
    let read_users = read_users(&sections, problems);
    let web = single(&sections, Kind::Web, web::read, problems);
    let authz = single(&sections, Kind::Authz, authz::read, problems);
    if let Some(authz) = &authz {
        users::check_logins(&read_users, authz, problems);
    }
    let users = read_users.into_iter().map(|it| Arc::new(it.plan)).collect();
    let metrics = match sections.alone(Kind::Metrics) {
        Some(_) => single(&sections, Kind::Metrics, metrics::read, problems).map(Some),
        None => Some(None),
    };
    if let (Some(authz), Some(web)) = (sections.alone(Kind::Authz), sections.alone(Kind::Web)) {
        authz::check_with_web(authz, web, problems);
    }
    let validation = single(&sections, Kind::Validation, validation::read, problems);
    let locks = read_locks(&sections, &slaves, &read, problems);
    let secrets = single(&sections, Kind::Secrets, secrets::read, problems);
    let global = master.as_ref().map(|it| &it.plan.properties);
    references::check(global, &slaves, &read, problems);
    let schedulers: Vec<_> = sections
        .of(Kind::Scheduler)
        .map(|section| scheduler::read(section, problems))
        .collect();
    let sources = sections
        .of(Kind::Source)
        .filter_map(|it| source::read(it, master.as_ref(), problems))
        .collect();
    let trials: Vec<_> = sections
        .of(Kind::Test)
        .filter_map(|it| trials::read(it, problems))
        .collect();
    let followed = derive::follow(master.as_ref(), &read);
    let choice = scheduler::Choice {
        candidates: &candidates,
        built: &read,
        broken: &built.broken,
    };
    let all = scheduler::join(followed.schedulers, &schedulers, &choice, problems);
    scheduler::check_triggers(&schedulers, &all, &read, problems);
    explain_left_out(&built.left_out, problems);
    let mut plan = derive::plan(master.as_ref()?, &slaves, &read)?;
    plan.sources = source::join(followed.sources, sources);
    source::check_wakes(&plan.sources, problems);
    source::check_maildirs(&plan.sources, problems);
    plan.schedulers = all;
    plan.master.validation = validation?;
    plan.locks = locks;
    plan.origins = origins;
    plan.left_out = built.left_out;
    plan.status = status;
    clients::check(&plan, problems);
    plan.users = users;
    plan.web = web?;
    plan.metrics = metrics?;
    let mut more = plan.web.server.ports.iter();
    if more.any(|it| it.key == "http_port") && !plan.port_places.contains_key("htmlport") {
        // Who names the port of the pages there has no other.
        plan.master.htmlport = None;
    }
    web_ports::check(&plan, problems);
    plan.authz = authz?;
    plan.secrets = Secrets::of(secrets?);
    plan.secret_names = secret_names;
    let factories = plan.builders.iter().map(|it| &it.factory);
    plan.secret_names
        .extend(factories.flat_map(|it| it.secrets()));
    plan.files = files.sources;
    plan.known = Known {
        pieces: files.pieces,
        settings,
    };
    if !problems.has_errors() {
        trials::run(&trials, &plan, problems);
    }
    Some(plan)
}

/// Who names a builder that is left out is told why, and not of a similar name.
fn explain_left_out(left_out: &[String], problems: &mut Problems) {
    for problem in &mut problems.0 {
        let name = problem.what.strip_prefix("unknown builder `");
        let Some(name) = name.and_then(|it| it.strip_suffix('`')) else {
            continue;
        };
        let mut reasons = left_out.iter().filter_map(|it| it.split_once(": "));
        if let Some((_, reason)) = reasons.find(|(it, _)| *it == name) {
            problem.label = Some(format!("it is left out: {reason}"));
            problem.help.clear();
        }
    }
}

/// So many sections are looked through in a millisecond or so.
const RUN: usize = 256;

/// The sections of all files, each once.
struct Sections(Vec<(Kind, Section)>);

impl Sections {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Section> {
        self.0
            .iter()
            .filter(move |(it, _)| *it == kind)
            .map(|(_, section)| section)
    }

    /// Takes those of a kind out.
    fn take(&mut self, kind: Kind) -> impl Iterator<Item = Section> {
        let taken = self.0.extract_if(.., move |(it, _)| *it == kind);
        taken.map(|(_, section)| section)
    }

    /// Every secret that one of them refers to, and where.
    fn secret_names(&self) -> Vec<(SecretRef, Place)> {
        let all = cores::map(&self.0, RUN, |(_, it)| {
            let inherited = it.inherited.iter().flatten();
            let entries = it.entries.iter().chain(inherited);
            let secrets = entries.chain(it.defaults.iter());
            secrets
                .flat_map(|it| it.value.secrets())
                .collect::<Vec<_>>()
        });
        all.into_iter().flatten().collect()
    }

    fn alone(&self, kind: Kind) -> Option<&Section> {
        self.of(kind).next()
    }
}

/// Reads the one section of a kind; without one, what it is when nothing is said.
fn single<T: Default>(
    sections: &Sections,
    kind: Kind,
    read: fn(&mut Keys<'_>) -> Option<T>,
    problems: &mut Problems,
) -> Option<T> {
    let Some(section) = sections.alone(kind) else {
        return Some(T::default());
    };
    let mut keys = Keys::of(section, problems);
    let read = read(&mut keys);
    keys.finish();
    read
}

/// Reads the locks, and looks for uses of them that cannot work.
fn read_locks(
    sections: &Sections,
    slaves: &[Slave],
    built: &[builders::Built],
    problems: &mut Problems,
) -> Vec<LockPlan> {
    let mut all = Vec::new();
    let mut is_whole = true;
    for section in sections.of(Kind::Lock) {
        let mut keys = Keys::of(section, problems);
        let read = locks::read(&section.own_name, &mut keys);
        keys.finish();
        is_whole &= read.is_some();
        all.extend(read);
    }
    if is_whole {
        let names: Vec<_> = slaves.iter().map(|it| &it.name).collect();
        let plans = slaves.iter().filter_map(|it| it.plan.as_ref());
        let holding = plans.filter(|it| it.locks != LockUses::default());
        let holding: Vec<_> = holding.collect();
        let builders: Vec<_> = built
            .iter()
            .map(|it| BuilderLocks {
                name: it.plan.name.as_str(),
                own: &it.plan.locks,
                slaves: holding
                    .iter()
                    .filter(|slave| it.plan.slaves.contains(&slave.name))
                    .map(|slave| (slave.name.as_str(), &slave.locks))
                    .collect(),
                steps: it.checks.locks.clone(),
            })
            .collect();
        problems.append(locks::check(&all, &names, &builders));
    }
    all.into_iter().map(|it| it.plan).collect()
}

fn read_users(sections: &Sections, problems: &mut Problems) -> Vec<users::User> {
    let mut all = Vec::new();
    for section in sections.of(Kind::User) {
        let mut keys = Keys::of(section, problems);
        all.extend(users::read(&section.own_name, &mut keys));
        keys.finish();
    }
    users::check(&all, problems);
    all
}

pub(super) fn empty_section(name: &str, place: &Place) -> Section {
    Section {
        name: name.to_owned(),
        own_name: name.trim_matches(':').to_owned(),
        place: place.clone(),
        entries: Vec::new(),
        inherited: Vec::new(),
        defaults: Arc::default(),
    }
}

/// Notes sections that stand twice, in one file or in two.
fn distinct(all: Vec<(Kind, Section)>, problems: &mut Problems) -> Vec<(Kind, Section)> {
    let mut seen: BTreeMap<(Kind, String), Place> = BTreeMap::new();
    let mut kept = Vec::new();
    for (kind, section) in all {
        let key = (kind, section.own_name.clone());
        let Some(first) = seen.get(&key) else {
            seen.insert(key, section.place.clone());
            kept.push((kind, section));
            continue;
        };
        let table = kind.table();
        let noun = match table.is_alone {
            true => format!("section `[:{}:]`", table.word),
            false => format!("{} `{}`", table.word, section.own_name),
        };
        let problem = Problem::error(Code::Duplicate, format!("{noun} stands twice"))
            .at(&section.place)
            .label("the second one")
            .also(first, "the first one");
        problems.note(problem);
    }
    kept
}

/// For each slave the indexes of its factories. A type that is named without
/// having a section is read without keys.
fn resolve(
    slaves: &[Slave],
    factories: &mut Factories,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Vec<Vec<usize>> {
    let with_section = factories.all().len();
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

/// The factory section called `name`, or a new one for a factory without a section.
pub(super) fn index_of(
    name: &str,
    place: &Place,
    factories: &mut Factories,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Option<usize> {
    let found = factories.position(name);
    if found.is_some() {
        return found;
    }
    let known = catalogue.names();
    if known.iter().any(|it| it == name) {
        return Some(factories.push(FactorySection::unwritten(name, place)));
    }
    let sections = factories.all().iter().map(|it| it.name.as_str().to_owned());
    let mut all: Vec<_> = sections.chain(known).collect();
    all.sort();
    all.dedup();
    let mut problem = Problem::error(Code::UnknownFactory, format!("unknown factory `{name}`"))
        .at(place)
        .unknown_word(name, &all);
    if problem.label.is_none() {
        problem = problem.help(super::select::listed("there are", &all));
    }
    problems.note(problem);
    None
}

/// What is there and does nothing is probably a mistake, but not surely.
fn warn_of_the_idle(
    source: &Arc<Source>,
    slaves: &[Slave],
    factories: &Factories,
    wanted: &[Vec<usize>],
    built: &builders::Drafts,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) {
    // A section that nobody understands may be one.
    let is_unread = |it: &Problem| matches!(it.code, Code::BadName | Code::UnknownSection);
    if slaves.is_empty() && !problems.0.iter().any(is_unread) {
        let problem = Problem::warning(Code::Idle, "there is no slave, so nothing can be built")
            .help("a section `[slave:NAME]` with `password` and `factories` adds one")
            .at(&Place::new(source, 0..0));
        problems.note(problem);
    }
    let chosen: HashSet<_> = built.all.iter().flat_map(|it| &it.slaves).collect();
    for slave in slaves {
        let is_chosen = chosen.contains(&slave.name);
        if slave.factories.as_ref().is_some_and(Vec::is_empty) && !is_chosen && built.is_whole {
            let what = format!("slave `{}` builds nothing", slave.name);
            let problem = Problem::warning(Code::Idle, what)
                .at(&slave.place)
                .label("expected `factories = …` in this section or in [:master:]");
            problems.note(problem);
        }
    }
    let all_said = slaves.iter().all(|it| it.factories.is_some()) && built.is_whole;
    let wanted = wanted.iter().flatten().copied();
    let used: HashSet<usize> = wanted
        .chain(built.all.iter().map(|it| it.factory))
        .chain(built.unsure.iter().copied())
        .collect();
    for (index, factory) in factories.all().iter().enumerate() {
        if used.contains(&index) || !factory.is_written {
            continue;
        }
        // Its mistakes are told all the same.
        let reads = factory.settings(catalogue, problems).is_some();
        if reads && all_said && !slaves.is_empty() {
            let what = format!("no slave uses factory `{}`", factory.name);
            let problem = Problem::warning(Code::Idle, what)
                .at(&factory.place)
                .help(format!(
                    "`factories = {}` in a slave's section uses it",
                    factory.name
                ));
            problems.note(problem);
        }
    }
}
