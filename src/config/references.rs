//! Property references are looked up when the configuration is loaded: a
//! misspelled name would end a build with an exception.

use std::collections::BTreeSet;

use super::builders::Built;
use super::select::listed;
use super::slave::Slave;
use crate::model::Properties;
use crate::syntax::Code;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::nearest;

/// Properties that every build has, or that its sources and schedulers give it.
const KNOWN: &[&str] = &[
    "branch",
    "builddir",
    "buildername",
    "buildnumber",
    "got_revision",
    "owner",
    "owners",
    "project",
    "reason",
    "repository",
    "revision",
    "scheduler",
    "slavename",
    "workdir",
];

/// Notes references to properties that nothing sets. One with a default is
/// told only if it looks like a slip of the pen.
pub(super) fn check(
    global: Option<&Properties>,
    slaves: &[Slave],
    all: &[Built],
    problems: &mut Problems,
) {
    let everywhere: BTreeSet<&str> = KNOWN
        .iter()
        .copied()
        .chain(
            global
                .into_iter()
                .flat_map(|it| it.iter().map(|(name, _)| name)),
        )
        .collect();
    let mut seen = BTreeSet::new();
    for built in all {
        let builder = &built.plan;
        // Almost all are known everywhere: what the builder has is looked at for the others.
        let unknown = built.checks.references.iter().filter(|it| {
            let name = it.property.as_str();
            !everywhere.contains(name)
                && builder.properties.get(name).is_none()
                && !built.checks.sets.contains(name)
        });
        let unknown: Vec<_> = unknown.collect();
        if unknown.is_empty() {
            continue;
        }
        let slaves = slaves.iter().filter(|it| builder.slaves.contains(&it.name));
        let plans = slaves.filter_map(|it| it.plan.as_ref());
        let of_slaves = plans.flat_map(|it| it.properties.iter().map(|(name, _)| name));
        let mut known: BTreeSet<&str> = everywhere.clone();
        known.extend(of_slaves);
        known.extend(builder.properties.iter().map(|(name, _)| name));
        known.extend(built.checks.sets.iter().map(String::as_str));
        for reference in unknown {
            let name = reference.property.as_str();
            if known.contains(name) {
                continue;
            }
            let near = nearest(name, &known);
            if reference.has_default && near.is_none() {
                continue;
            }
            let place = &reference.place;
            if !seen.insert((place.source.name.clone(), place.offset())) {
                continue;
            }
            let problem = Problem::error(
                Code::UnknownProperty,
                format!("nothing sets the property `{name}`"),
            )
            .at(place);
            problems.note(match near {
                Some(near) => problem.label(format!("did you mean `{near}`?")),
                None => {
                    let known: Vec<_> = known.iter().collect();
                    problem
                        .help(format!(
                            "`%({name}:-…)s` gives a value for that case, and so does a line `{name} = …` in [:properties:]"
                        ))
                        .help(listed("known are", &known))
                }
            });
        }
    }
}
