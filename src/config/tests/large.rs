//! A farm larger than any: what grows faster than the file would not end here.

use std::fmt::Write as _;

use super::*;
use crate::config::catalogue::Installed;

const BUILDERS: usize = 2000;
const SLAVES: usize = 60;

/// Builders each with a factory of its own; `timeout` is that of the last of them.
fn farm(timeout: &str) -> String {
    let mut text = String::from("[master]\nderive = false\n");
    for slave in 0..SLAVES {
        let _ = writeln!(
            text,
            "[slave.s{slave}]\npassword = \"x\"\ntags = [\"t{}\"]",
            slave % 6
        );
    }
    for it in 0..16 {
        let _ = writeln!(
            text,
            "[scheduler.n{it}]\ntype = \"single_branch\"\nbranch = \"main\"\ntags = \"g{it}\""
        );
    }
    for it in 0..BUILDERS {
        let timeout = if it + 1 == BUILDERS { timeout } else { "1m" };
        let _ = write!(
            text,
            "[builder.b{it}]\nfactory = \"f{it}\"\nslaves = [\"t{}\"]\ntags = [\"g{}\"]\n\
             [factory.f{it}]\ngit = \"https://example.org/{it}.git\"\n\
             [[factory.f{it}.steps]]\ntype = \"shell\"\ncommand = [\"make\", \"%(branch)s\"]\ntimeout = \"{timeout}\"\n\
             [[factory.f{it}.steps]]\ntype = \"test\"\n",
            it % 6,
            it % 16
        );
    }
    text
}

fn plan_of_farm(text: &str) -> Result<Plan, Problems> {
    let dir = Path::new("/nonexistent");
    let main = Source::new("master.toml", dir, text);
    read(&main, &Installed::of(dir))
}

#[test]
fn two_thousand_builders_load_and_reload() {
    let old = plan_of_farm(&farm("1m")).expect("good");
    let new = plan_of_farm(&farm("2m")).expect("good");
    assert_eq!(old.builders.len(), BUILDERS);
    assert_eq!(old.schedulers[0].builders.len(), BUILDERS / 16);
    let difference = Difference::between(&old, &new);
    let expected = [
        "changed builder `b1999`: factory",
        "kept 60 slaves, 1999 builders, 16 schedulers",
    ];
    assert_eq!(difference.lines(), expected);
}

#[test]
fn a_mistake_in_each_of_many_builders_is_told() {
    let text = farm("1m").replace("type = \"test\"", "type = \"test\"\nblarg = 1");
    let problems = plan_of_farm(&text).expect_err("bad");
    let unknown = problems.0.iter().filter(|it| it.code == Code::UnknownKey);
    assert_eq!(unknown.count(), BUILDERS);
}
