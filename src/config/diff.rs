//! What a reload changes, for the person who asked for it.

use std::fmt::Debug;

use super::Plan;

/// A line for each thing that is added, changed or removed, and one for all
/// that are kept.
pub(crate) fn diff(old: &Plan, new: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for ((name, before), (_, after)) in old.master.ports().into_iter().zip(new.master.ports()) {
        match (before, after) {
            (None, Some(after)) => lines.push(format!("added {name} {after}")),
            (Some(before), None) => lines.push(format!("removed {name} {before}")),
            (Some(before), Some(after)) if before != after => {
                lines.push(format!("changed {name} {before} to {after}"));
            }
            _ => {}
        }
    }
    if settings(old) != settings(new) {
        lines.push("changed the settings of the master".to_owned());
    }
    let mut kept = Vec::new();
    let all = [
        (
            "slave",
            of(&old.slaves, |it| it.name.as_str()),
            of(&new.slaves, |it| it.name.as_str()),
        ),
        (
            "builder",
            of(&old.builders, |it| it.name.as_str()),
            of(&new.builders, |it| it.name.as_str()),
        ),
        (
            "source",
            of(&old.sources, |it| it.name.as_str()),
            of(&new.sources, |it| it.name.as_str()),
        ),
        (
            "scheduler",
            of(&old.schedulers, |it| it.name.as_str()),
            of(&new.schedulers, |it| it.name.as_str()),
        ),
    ];
    for (noun, before, after) in &all {
        let unchanged = compare(noun, before, after, &mut lines);
        if unchanged > 0 {
            let plural = if unchanged == 1 { "" } else { "s" };
            kept.push(format!("{unchanged} {noun}{plural}"));
        }
    }
    if !kept.is_empty() {
        lines.push(format!("kept {}", kept.join(", ")));
    }
    lines
}

/// What the master has besides its listeners.
fn settings(plan: &Plan) -> String {
    let mut master = plan.master.clone();
    master.slaveport = None;
    master.htmlport = None;
    master.publichtmlport = None;
    format!("{master:?}")
}

/// Name and value of each; values are compared by their `Debug` form, which
/// names every setting of a factory too.
fn of<T: Debug>(all: &[T], name: impl Fn(&T) -> &str) -> Vec<(String, String)> {
    all.iter()
        .map(|it| (name(it).to_owned(), format!("{it:?}")))
        .collect()
}

/// Notes what differs and counts what does not.
fn compare(
    noun: &str,
    before: &[(String, String)],
    after: &[(String, String)],
    lines: &mut Vec<String>,
) -> usize {
    let mut unchanged = 0;
    for (name, value) in after {
        match before.iter().find(|(other, _)| other == name) {
            None => lines.push(format!("added {noun} `{name}`")),
            Some((_, old)) if old != value => lines.push(format!("changed {noun} `{name}`")),
            Some(_) => unchanged += 1,
        }
    }
    for (name, _) in before {
        if !after.iter().any(|(other, _)| other == name) {
            lines.push(format!("removed {noun} `{name}`"));
        }
    }
    unchanged
}
