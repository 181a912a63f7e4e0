//! `[scheduler:NAME]` sections: read, and their words looked up among the
//! builders and schedulers that there are.

use std::sync::Arc;

use super::Origin;
use super::SchedulerPlan;
use super::builders::Built;
use super::select::Builders;
use super::select::Candidate;
use super::select::listed;
use crate::model::SchedulerName;
use crate::schedulers;
use crate::schedulers::Read;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;

/// A section; what could not be read was noted.
pub(super) struct Scheduler {
    name: SchedulerName,
    place: Place,
    title: String,
    read: Option<Read>,
}

/// Reads a section; what is wrong is noted.
pub(super) fn read(section: &Section, problems: &mut Problems) -> Scheduler {
    let mut keys = Keys::of(section, problems);
    let read = schedulers::read(&mut keys);
    keys.finish();
    Scheduler {
        name: SchedulerName::from(section.own_name.as_str()),
        place: section.place.clone(),
        title: format!("[{}]", section.name),
        read,
    }
}

/// The builders that a selection is made of.
pub(super) struct Choice<'a> {
    pub(super) candidates: &'a [Candidate<'a>],
    pub(super) built: &'a [Built],
    /// Names that are missing only because something is wrong with them.
    pub(super) broken: &'a [String],
}

/// The schedulers of the sections, behind those that are `derived`; who has
/// the name of a derived one takes its place.
pub(super) fn join(
    mut derived: Vec<Arc<SchedulerPlan>>,
    sections: &[Scheduler],
    choice: &Choice<'_>,
    problems: &mut Problems,
) -> Vec<Arc<SchedulerPlan>> {
    derived.retain(|derived| !sections.iter().any(|it| it.name == derived.name));
    let own = sections.iter().map(|it| it.name.to_string());
    let names: Vec<_> = own
        .chain(derived.iter().map(|it| it.name.to_string()))
        .collect();
    let mut all = derived;
    for section in sections {
        let Some(read) = &section.read else { continue };
        if let Some((upstream, place)) = &read.upstream {
            if !names.iter().any(|it| it == upstream.as_str()) {
                let what = format!("unknown scheduler `{upstream}`");
                problems.note(unknown(what, place, upstream.as_str(), &names));
            } else if is_in_circle(section, sections) {
                let what = format!("scheduler `{}` waits for itself", section.name);
                problems.note(Problem::error(Code::Circle, what).at(place));
            }
        }
        let selected = Builders {
            words: (read.tags.is_none() || !read.builders.is_empty())
                .then(|| read.builders.clone()),
            tags: read.tags.clone(),
        };
        let broken = choice.broken;
        let chosen = selected.resolve(choice.candidates, broken, &section.title, problems);
        let Some(chosen) = chosen else { continue };
        if chosen.is_empty() {
            // What it would have selected may be what is wrong already.
            if broken.is_empty() {
                let what = format!("scheduler `{}` has no builder", section.name);
                problems.note(Problem::error(Code::NoBuilder, what).at(&section.place));
            }
            continue;
        }
        all.push(Arc::new(SchedulerPlan {
            name: section.name.clone(),
            builders: chosen
                .into_iter()
                .map(|it| choice.built[it].plan.name.clone())
                .collect(),
            properties: read.properties.clone(),
            queue: read.queue.clone(),
            settings: Arc::clone(&read.settings),
            origin: Origin {
                place: section.place.clone(),
                how: section.title.clone(),
            },
        }));
    }
    check_jobdirs(&all, problems);
    all
}

/// Two schedulers would take each other's jobs away.
fn check_jobdirs(all: &[Arc<SchedulerPlan>], problems: &mut Problems) {
    for (index, it) in all.iter().enumerate() {
        let Some(dir) = it.settings.jobdir() else {
            continue;
        };
        let mut before = all[..index].iter();
        if let Some(first) = before.find(|it| it.settings.jobdir() == Some(dir)) {
            let what = format!("two schedulers have the `jobdir` `{}`", dir.display());
            let problem = Problem::error(Code::Duplicate, what)
                .at(&it.origin.place)
                .label("the second one")
                .also(&first.origin.place, "the first one");
            problems.note(problem);
        }
    }
}

/// Whether its upstream's upstream and so on is the section itself.
fn is_in_circle(section: &Scheduler, sections: &[Scheduler]) -> bool {
    let upstream = |it: &Scheduler| Some(it.read.as_ref()?.upstream.as_ref()?.0.clone());
    let mut at = upstream(section);
    for _ in sections {
        let Some(name) = at else { return false };
        if name == section.name {
            return true;
        }
        at = sections
            .iter()
            .find(|it| it.name == name)
            .and_then(upstream);
    }
    false
}

/// The schedulers that steps trigger must be there, and be triggerable.
pub(super) fn check_triggers(
    sections: &[Scheduler],
    all: &[Arc<SchedulerPlan>],
    built: &[Built],
    problems: &mut Problems,
) {
    let is_triggerable = |it: &&Arc<SchedulerPlan>| it.settings.is_triggerable();
    let names: Vec<_> = all
        .iter()
        .filter(is_triggerable)
        .map(|it| it.name.to_string())
        .collect();
    for wanted in built.iter().flat_map(|it| &it.checks.triggers) {
        let name = &wanted.name;
        // One whose builders are what is wrong was told already.
        let is_broken = |it: &&Scheduler| {
            let read = it.read.as_ref();
            it.name.as_str() == name && read.is_none_or(|it| it.settings.is_triggerable())
        };
        if names.contains(name) || sections.iter().any(|it| is_broken(&it)) {
            continue;
        }
        let is_there = all.iter().any(|it| it.name.as_str() == name);
        let what = match is_there {
            true => format!("scheduler `{name}` is not triggerable"),
            false => format!("unknown scheduler `{name}`"),
        };
        problems.note(unknown(what, &wanted.place, name, &names));
    }
}

fn unknown(what: String, place: &Place, word: &str, known: &[String]) -> Problem {
    let problem = Problem::error(Code::UnknownScheduler, what).at(place);
    let problem = problem.unknown_word(word, known);
    match problem.label {
        Some(_) => problem,
        None => problem.help(listed("there are", known)),
    }
}
