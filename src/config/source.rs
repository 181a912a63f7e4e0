//! `[source:NAME]` sections: who notices changes.

use std::sync::Arc;

use super::Origin;
use super::SourcePlan;
use super::master::Master;
use crate::changes;
use crate::factories::Repository;
use crate::syntax::Keys;
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
