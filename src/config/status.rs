//! `[status:NAME]` sections: read, and their builders looked up among those
//! that there are.

use std::sync::Arc;

use super::Origin;
use super::StatusPlan;
use super::select::Builders;
use super::select::Candidate;
use crate::reporters;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;

/// Reads a section; what is wrong is noted.
pub(super) fn read(
    section: &Section,
    builders: &[Candidate<'_>],
    broken: &[String],
    problems: &mut Problems,
) -> Option<Arc<StatusPlan>> {
    let mut keys = Keys::of(section, problems);
    let read = reporters::read(&mut keys);
    keys.finish();
    let read = read?;
    let title = format!("[{}]", section.name);
    let chosen = Builders {
        words: (!read.builders.is_empty()).then_some(read.builders),
        tags: read.tags,
    };
    chosen.resolve(builders, broken, &title, problems)?;
    for (word, place) in &read.categories {
        let mut all = builders.iter().filter_map(|it| it.category);
        if !all.clone().any(|it| it == word) {
            let what = format!("no builder has the category `{word}`");
            let known: Vec<_> = all.by_ref().collect();
            let problem = Problem::error(Code::UnknownName, what).at(place);
            problems.note(problem.unknown_word(word, known));
        }
    }
    Some(Arc::new(StatusPlan {
        name: section.own_name.clone(),
        kind: read.kind,
        settings: read.settings,
        origin: Origin {
            place: section.place.clone(),
            how: title,
        },
    }))
}
