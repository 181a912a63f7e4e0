//! `extends`: a section takes over the keys of another of its kind. Names
//! that begin with `_` are templates, which are never built themselves.

use super::sections::Kind;
use crate::syntax::Code;
use crate::syntax::Entry;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::same;

/// Whether a section is there to be extended only.
pub(super) fn is_template(section: &Section) -> bool {
    section.own_name.starts_with('_')
}

/// Gives every section what those say that it extends.
pub(super) fn resolve(all: &mut [(Kind, Section)], problems: &mut Problems) {
    let inherited: Vec<_> = (0..all.len())
        .map(|index| chain(all, index, problems))
        .collect();
    for ((_, section), inherited) in all.iter_mut().zip(inherited) {
        section.inherited = inherited;
        section.entries.retain(|it| !same(&it.key, "extends"));
    }
}

/// What the section at `index` takes over, the nearest first.
fn chain(all: &[(Kind, Section)], index: usize, problems: &mut Problems) -> Vec<Vec<Entry>> {
    let mut layers = Vec::new();
    let mut road = vec![index];
    let mut stops: Vec<(Place, String)> = Vec::new();
    while let Some((name, place)) = extends(&all[road[road.len() - 1]].1) {
        let (kind, section) = &all[road[road.len() - 1]];
        let of_kind = || all.iter().enumerate().filter(|(_, (it, _))| it == kind);
        let found = of_kind().find(|(_, (_, it))| it.own_name == name);
        let Some((next, (_, parent))) = found else {
            let word = kind.table().word;
            let what = format!(
                "[{}] extends `{name}`, and there is no such {word}",
                section.name
            );
            let problem = Problem::error(Code::BadExtends, what).at(&place);
            let known = of_kind().map(|(_, (_, it))| &it.own_name);
            problems.note(problem.did_you_mean(&name, known.filter(|it| **it != section.own_name)));
            return layers;
        };
        if road.contains(&next) {
            let mut names: Vec<_> = road.iter().map(|it| all[*it].1.own_name.as_str()).collect();
            names.push(&parent.own_name);
            let what = format!(
                "sections extend each other in a circle: {}",
                names.join(" → ")
            );
            problems.note(Problem::error(Code::Circle, what).at(&place));
            return layers;
        }
        stops.push((place, format!("[{}] takes it over here", section.name)));
        let own = parent.entries.iter().filter(|it| !same(&it.key, "extends"));
        let through = own.map(|it| {
            // From where it is written outwards to who uses it.
            stops
                .iter()
                .rev()
                .fold(it.clone(), |it, (place, what)| it.through(place, what))
        });
        layers.push(through.collect());
        road.push(next);
    }
    layers
}

/// What `extends` says in the section itself.
fn extends(section: &Section) -> Option<(String, Place)> {
    let entry = section.entries.iter().find(|it| same(&it.key, "extends"))?;
    let name = entry.value.as_text().ok()?;
    Some((name.to_owned(), entry.value.place.clone()))
}
