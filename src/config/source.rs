//! `[source:NAME]` sections: who notices changes.

use std::sync::Arc;

use super::Origin;
use super::SourcePlan;
use super::master::Master;
use crate::changes;
use crate::changes::hooks::HookSettings;
use crate::factories::Repository;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;

/// Reads a section; what is wrong is noted.
pub(super) fn read(
    section: &Section,
    master: Option<&Master>,
    problems: &mut Problems,
) -> Option<Arc<SourcePlan>> {
    let mut keys = Keys::of(section, problems);
    let settings = changes::read(&mut keys);
    keys.finish();
    let usual = master?.poll_interval;
    Some(Arc::new(SourcePlan {
        name: section.own_name.clone(),
        settings: settings?.with_usual_interval(usual),
        origin: Origin {
            place: section.place.clone(),
            how: format!("[{}]", section.name),
        },
    }))
}

/// That there is every poller which a hook is to wake.
pub(super) fn check_wakes(sources: &[Arc<SourcePlan>], problems: &mut Problems) {
    let pollers = sources.iter().filter(|it| it.settings.looks());
    let pollers: Vec<&str> = pollers.map(|it| it.name.as_str()).collect();
    for hook in sources {
        for name in hook.settings.hook().map_or(&[][..], HookSettings::wakes) {
            if !pollers.contains(&name.as_str()) {
                let what = format!(
                    "source `{}` is to wake `{name}`, which is no poller",
                    hook.name
                );
                let problem = Problem::error(Code::UnknownName, what).at(&hook.origin.place);
                problems.note(problem.did_you_mean(name, pollers.iter().copied()));
            }
        }
    }
}

/// That no two sources empty one maildir: each would take mails that the other one waits for.
pub(super) fn check_maildirs(sources: &[Arc<SourcePlan>], problems: &mut Problems) {
    for (at, source) in sources.iter().enumerate() {
        let maildir = source.settings.maildir();
        let mut before = sources[..at].iter();
        let other = before.find(|it| maildir.is_some() && it.settings.maildir() == maildir);
        if let Some(other) = other {
            let (one, two) = (&other.name, &source.name);
            let what = format!("sources `{one}` and `{two}` read the same maildir");
            let problem = Problem::error(Code::Contradiction, what).at(&source.origin.place);
            let problem = problem.also(&other.origin.place, "the other one");
            problems.note(
                problem.help("have mails of each kind delivered into a maildir of their own"),
            );
        }
    }
}

/// The sources of the sections, behind those that are `derived`: what a
/// section follows needs no other.
pub(super) fn join(
    mut derived: Vec<(Repository, Arc<SourcePlan>)>,
    sections: Vec<Arc<SourcePlan>>,
) -> Vec<Arc<SourcePlan>> {
    derived.retain(|(repository, derived)| {
        let is_followed = |it: &Arc<SourcePlan>| {
            let branch = repository.branch.as_deref();
            it.name == derived.name || it.settings.follows(&repository.url, branch)
        };
        !sections.iter().any(is_followed)
    });
    let mut all: Vec<_> = derived.into_iter().map(|(_, it)| it).collect();
    all.extend(sections);
    all
}
