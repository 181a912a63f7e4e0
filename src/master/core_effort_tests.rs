//! How much a decision looks at while very much waits: counted, not timed.

use std::fmt::Write as _;

use super::effort;
use super::tests::{attached, request};
use super::*;
use crate::config::plan_of;
use crate::master::shutdown::CleanShutdown;
use crate::model::{Patch, SourceStamp};

const BUILDERS: u64 = 50;
const SLAVES: u64 = 6;

/// A core with builders `b0`, … that all slaves build; each of both has these keys.
fn core(master: &str, slave_keys: &str, builder_keys: &str) -> Core {
    let mut text = format!("[:master:]\nslaveport = none\nhtmlport = none\n{master}");
    for slave in 0..SLAVES {
        let _ = write!(text, "[slave:s{slave}]\npassword = x\n{slave_keys}");
    }
    text.push_str("[lock:db]\n[lock:cpu]\ntype = slave\n[echo]\ntype = shell\ncommands = true\n");
    for builder in 0..BUILDERS {
        let _ = write!(
            text,
            "[builder:b{builder}]\nfactory = echo\nslaves = *\n{builder_keys}"
        );
    }
    let mut core = Core::new(Arc::new(plan_of(&text)), 0);
    for slave in 0..SLAVES {
        attached(&mut core, &format!("s{slave}"));
    }
    core
}

/// Shows the core so many requests of each builder.
fn fill(core: &mut Core, each: u64, stamp: impl Fn(i64) -> SourceStamp) {
    let mut all = Vec::new();
    for _ in 0..each {
        for builder in 0..BUILDERS {
            let id = 1 + all.len() as i64;
            all.push(RequestRecord {
                stamp: Arc::new(stamp(id)),
                ..request(id, &format!("b{builder}"), &[])
            });
        }
    }
    core.handle(Event::RequestsAdded(all));
}

fn of_its_own(id: i64) -> SourceStamp {
    SourceStamp {
        revision: Some(id.to_string()),
        ..SourceStamp::default()
    }
}

/// What the most laborious of some decisions looks at.
fn most(core: &mut Core) -> u64 {
    let decisions = (0..20).map(|_| {
        let mut running = core.running.iter();
        let usual = running.find(|(_, it)| it.awaits.is_empty());
        let ticket = *usual.expect("something runs").0;
        let outcome = Outcome::Success;
        let (made, begun) = effort::of(|| core.handle(Event::BuildEnded { ticket, outcome }));
        assert!(!begun.is_empty(), "a build begins");
        made
    });
    decisions.max().unwrap_or(0)
}

/// A decision looks at so many things, and at no more if ten times as much waits.
#[track_caller]
fn check(limit: u64, of: impl Fn(u64) -> Core) {
    let (few, many) = (most(&mut of(5)), most(&mut of(50)));
    assert!(
        many <= few + 5,
        "{many} for ten times as many, {few} before"
    );
    assert!(few <= limit, "{few}");
}

#[test]
fn a_decision_looks_at_no_more_because_more_waits() {
    check(60, |each| {
        let mut core = core("", "max_builds = 1\n", "");
        fill(&mut core, each, of_its_own);
        core
    });
}

#[test]
fn requests_that_try_patches_of_one_revision_are_not_compared_with_each_other() {
    check(60, |each| {
        let mut core = core("", "max_builds = 1\n", "");
        fill(&mut core, each, |id| SourceStamp {
            revision: Some("r1".into()),
            patch: Some(Patch {
                level: 1,
                diff: id.to_string().into_bytes(),
                subdir: None,
                author: None,
                comment: None,
            }),
            ..SourceStamp::default()
        });
        core
    });
}

#[test]
fn rules_are_asked_for_as_many_builders_and_requests_as_before() {
    check(60, |each| {
        let master = "prioritize_builders = builder.oldest\n";
        let rules = "next_build = request.submitted\n";
        let mut core = core(master, "max_builds = 1\n", rules);
        fill(&mut core, each, of_its_own);
        core
    });
}

#[test]
fn in_a_clean_shutdown_only_what_is_awaited_is_looked_at() {
    check(200, |each| {
        let mut core = core("", "max_builds = 1\n", "");
        fill(&mut core, each, of_its_own);
        // Each request is a buildset of its own.
        let buildsets = (100..140).map(BuildsetId).collect();
        let ticket = *core.running.keys().next().expect("something runs");
        core.handle(Event::BuildAwaits { ticket, buildsets });
        core.handle(Event::ShutdownBegun(CleanShutdown {
            since: Timestamp(0),
            by: None,
        }));
        core
    });
}

#[test]
fn who_stands_in_line_for_a_lock_is_not_asked_for_each_slave_anew() {
    for locks in ["locks = db\n", "locks = cpu\n"] {
        check(12 * BUILDERS, |each| {
            let mut core = core("", "", locks);
            fill(&mut core, each, of_its_own);
            core
        });
        let mut core = core("", "", locks);
        fill(&mut core, 5, of_its_own);
        most(&mut core);
        core.locks.looked_at.set(0);
        most(&mut core);
        let looked = core.locks.looked_at.get() / 20;
        assert!(looked <= 12 * BUILDERS, "{looked} holders, each time");
    }
}

#[test]
fn what_is_foreseen_asks_rules_so_many_times_in_all() {
    let rules = "merge_requests = b.agrees and a.reason == b.reason\n";
    let mut core = core("", "max_builds = 1\n", rules);
    fill(&mut core, 40, of_its_own);
    let last = core.places.keys().last().copied().expect("something waits");
    let (made, lineup) = effort::of(|| core.lineup(&Scope::Request(last)));
    assert!(lineup.waiting.len() > 100);
    let waiting = core.places.len() as u64;
    assert!(made <= 2 * waiting + 1000, "{made} of {waiting}");
}

#[test]
fn who_asks_why_is_told_of_so_many_and_no_slave_is_asked_for_each_builder_anew() {
    let mut core = core("", "max_builds = 1\n", "");
    fill(&mut core, 10, of_its_own);
    let last = core.places.keys().last().copied().expect("something waits");
    let (one, lineup) = effort::of(|| core.lineup(&Scope::Request(last)));
    assert!(lineup.why.contains_key(&last));
    // All that waits is foreseen: each once, compared with nothing.
    let waiting = core.places.len() as u64;
    assert!(one <= 4 * waiting + 20 * SLAVES, "{one} of {waiting}");

    let all: Vec<RequestId> = core.places.keys().copied().collect();
    let told = core.reasons(&Scope::Why(all)).len();
    assert_eq!(told, TOLD);
}
