//! The table of what Buildbot had names what there is.

use std::collections::BTreeSet;

use crate::factories;
use crate::steps;

const DOCUMENT: &str = include_str!("../../docs/from-buildbot.md");

/// The names in the second column of a section's table.
fn named(title: &str) -> BTreeSet<&'static str> {
    let heading = format!("\n## {title}\n");
    let start = DOCUMENT.find(&heading).expect(title) + heading.len();
    let section = DOCUMENT[start..].split("\n## ").next().expect(title);
    let rows = section.lines().filter(|it| it.starts_with("| "));
    let cells = rows.skip(1).filter_map(|it| it.split('|').nth(2));
    let names = cells.flat_map(|it| it.split('`').skip(1).step_by(2));
    names.collect()
}

#[test]
fn every_step_and_source_of_the_table_is_there_and_none_is_left_out() {
    let named: BTreeSet<&str> = named("Steps").union(&named("Sources")).copied().collect();
    let known: BTreeSet<&str> = steps::KINDS.iter().map(|it| it.name).collect();
    let missing: Vec<&&str> = named.difference(&known).collect();
    assert!(missing.is_empty(), "no such step: {missing:?}");
    // What Buildbot did not have needs no row.
    let own = BTreeSet::from(["junit", "create_virtualenv"]);
    let untold: Vec<&&str> = known
        .difference(&named)
        .filter(|it| !own.contains(**it))
        .collect();
    assert!(untold.is_empty(), "not in the table: {untold:?}");
}

#[test]
fn every_factory_of_the_table_is_there() {
    let mut known: BTreeSet<String> = factories::KINDS
        .iter()
        .map(|it| it.name.to_owned())
        .collect();
    known.extend(factories::recipe::shipped_names().map(str::to_owned));
    let named = named("Factories");
    let missing: Vec<&&str> = named
        .iter()
        .filter(|it| **it != "steps" && !known.contains(**it))
        .collect();
    assert!(missing.is_empty(), "no such factory: {missing:?}");
}
