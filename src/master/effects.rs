//! What a reload does to the work that was under way: which builds go on as
//! they were, which end, which requests wait for what.

use std::collections::BTreeMap;
use std::collections::HashSet;

use crate::config::Difference;
use crate::config::Plan;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::SlaveName;

/// What was under way when a plan was put into force.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// How many requests waited for each builder.
    pub(super) waiting: BTreeMap<BuilderName, usize>,
    pub(super) running: Vec<(BuildKey, SlaveName)>,
    /// The slaves that are let go of, and why.
    pub(super) leaving: BTreeMap<SlaveName, String>,
}

/// A line for each build that is touched and for each builder whose requests are.
pub(super) fn effects(difference: &Difference, new: &Plan, work: &mut Work) -> Vec<String> {
    let builders = &difference.builders;
    let removed: HashSet<&str> = builders.removed.iter().map(String::as_str).collect();
    let added: HashSet<&str> = builders.added.iter().map(String::as_str).collect();
    let new_steps = |name: &str| {
        let what = builders.changed.get(name);
        what.is_some_and(|it| it.iter().any(|what| matches!(*what, "factory" | "env")))
    };
    let mut lines = Vec::new();
    work.running.sort();
    for (key, slave) in &work.running {
        let name = key.builder.as_str();
        if let Some(why) = work.leaving.get(slave) {
            lines.push(format!("build {key} ended: {why}; its requests wait again"));
        } else if removed.contains(name) {
            lines.push(format!(
                "build {key} goes on to its end, without its builder"
            ));
        } else if new_steps(name) {
            lines.push(format!("build {key} goes on with its old steps"));
        } else if builders
            .changed
            .get(name)
            .is_some_and(|it| it.contains(&"slaves"))
            && let Some(plan) = new.builders.iter().find(|it| it.name == key.builder)
            && !plan.slaves.contains(slave)
        {
            lines.push(format!(
                "build {key} goes on on slave `{slave}`, the last one there"
            ));
        }
    }
    for (name, count) in work.waiting.iter().filter(|(_, count)| **count > 0) {
        let name = name.as_str();
        let (requests, wait, are) = match count {
            1 => ("request", "waits", "is"),
            _ => ("requests", "wait", "are"),
        };
        let who = format!("{count} {requests} of builder `{name}`");
        if removed.contains(name) {
            lines.push(format!("{who} {wait} until it returns"));
        } else if added.contains(name) {
            lines.push(format!("{who} {are} built now that it is back"));
        } else if new_steps(name) {
            lines.push(format!("{who} {are} built with the new steps"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::core::tests::plan;

    #[test]
    fn it_is_told_what_becomes_of_requests_and_builds() {
        let old = plan(&[("a", &["s1"]), ("gone", &["s1", "s2"])], None);
        let new = plan(&[("a", &["s2"]), ("back", &["s2"])], None);
        let difference = Difference::between(&old, &new);
        let key = |builder: &str, number| BuildKey {
            builder: builder.into(),
            number,
        };
        let mut work = Work {
            waiting: [("gone", 2), ("back", 1), ("elsewhere", 1), ("a", 1)]
                .map(|(name, count)| (name.into(), count))
                .into(),
            running: vec![
                (key("gone", 4), "s2".into()),
                (key("gone", 3), "s1".into()),
                (key("a", 7), "s3".into()),
            ],
            leaving: BTreeMap::from([("s1".into(), "slave `s1` left".into())]),
        };
        assert_eq!(
            effects(&difference, &new, &mut work),
            [
                "build a/7 goes on on slave `s3`, the last one there",
                "build gone/3 ended: slave `s1` left; its requests wait again",
                "build gone/4 goes on to its end, without its builder",
                "1 request of builder `back` is built now that it is back",
                "2 requests of builder `gone` wait until it returns",
            ]
        );
    }
}
