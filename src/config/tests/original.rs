//! What the keys of autobot 0.1.1 and Buildbot's factories meant, with the real factories.

use super::*;

/// What `load` makes of a `master.ini` with one slave.
fn loaded(text: &str) -> Plan {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("master.ini");
    std::fs::write(&path, text).expect("a file");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("a mode");
    load(dir.path()).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

#[test]
fn a_slaveport_that_is_empty_or_zero_is_the_usual_one() {
    let port = |line: &str| {
        let text = format!("[:master:]\n{line}\n[slave:a]\npassword = p\nfactories = mine\n");
        plan(&text).master.slaveport.map(|it| it.port())
    };
    for line in ["", "slaveport =", "slaveport = 0"] {
        assert_eq!(port(line), Some(9010), "{line}");
    }
    assert_eq!(port("slaveport: 9011"), Some(9011));
}

#[test]
fn a_star_among_other_names_is_every_factory() {
    let sections = "[one]\ntype = foo\nbar = 1\n[two]\ntype = mine\n";
    let names = |factories: &str| {
        let text = format!("[slave:a]\npassword = p\nfactories = {factories}\n{sections}");
        let plan = plan(&text);
        let mut names: Vec<_> = plan.builders.iter().map(|it| it.name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names("*"), ["one-a", "two-a"]);
    assert_eq!(names("two *"), ["one-a", "two-a"]);
    assert_eq!(names("* one"), ["one-a", "two-a"]);
}

#[test]
fn one_builder_is_made_of_each_slave_and_each_of_its_factories() {
    let text = "[:master:]\npassword = p\n[slave:a]\nfactories = one two\n[slave:b]\nfactories = two\n\
                [one]\ntype = foo\nbar = 1\n[two]\ntype = mine\n";
    let plan = plan(text);
    let names: Vec<_> = plan.builders.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["one-a", "two-a", "two-b"]);
}

#[test]
fn repositories_are_asked_every_minute_and_builds_wait_for_a_quiet_one() {
    let text = "[slave:a]\npassword = p\nfactories = vcs\n[vcs]\ngit = https://x/a\n";
    let told = shown(&plan(text));
    assert!(told.contains("GitPoller: https://x/a every 60s"), "{told}");
    assert!(told.contains("stable for 60 s"), "{told}");
    let told = shown(&plan(&format!(
        "[:master:]\npollinterval = 5\ntreestable = 7\n{text}"
    )));
    assert!(
        told.contains("every 5s") && told.contains("stable for 7 s"),
        "{told}"
    );
}

#[test]
fn of_builds_of_a_quick_factory_no_times_are_kept_and_of_a_basic_one_they_are() {
    let text = "[slave:a]\npassword = p\nfactories = quick_build_factory basic_build_factory\n\
                [quick_build_factory]\ncvsroot = /cvs\ncvsmodule = x\n\
                [basic_build_factory]\ncvsroot = /cvs\ncvsmodule = x\n";
    let plan = loaded(text);
    let keeps: Vec<_> = plan
        .builders
        .iter()
        .map(|it| (it.name.as_str(), it.use_progress))
        .collect();
    let expected = [
        ("quick_build_factory-a", false),
        ("basic_build_factory-a", true),
    ];
    assert_eq!(keeps, expected);
}
