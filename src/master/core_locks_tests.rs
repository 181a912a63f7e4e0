//! Who begins when builds exclude each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::config::{Plan, plan_of};
use crate::master::core::tests::{attached, ended, request, shown, why};
use crate::master::core::{Assignment, Event};
use crate::model::{Access, BuildKey};

/// A core of these sections; each `[slave:NAME]` gets its password, each `[builder:NAME]` its factory.
fn core(sections: &str) -> Core {
    Core::new(planned(sections), 0)
}

fn planned(sections: &str) -> Arc<Plan> {
    let mut text = String::from("[:master:]\nslaveport = none\nhtmlport = none\n");
    text.push_str("[echo]\ntype = shell\ncommands = true\n");
    for line in sections.lines() {
        text.push_str(line.trim());
        text.push('\n');
        if line.trim().starts_with("[slave:") {
            text.push_str("password = x\n");
        } else if line.trim().starts_with("[builder:") {
            text.push_str("factory = echo\n");
        }
    }
    Arc::new(plan_of(&text))
}

/// Builders `a` on `s1` and `b` on `s2`; both slaves hold a lock for each build.
fn plan_with_slave_locks(max_count: u32) -> Arc<Plan> {
    planned(&format!(
        "[lock:power]\nmax_count = {max_count}\n[slave:s1]\nlocks = power\n[slave:s2]\nlocks = power\n\
         [builder:a]\nslaves = s1\n[builder:b]\nslaves = s2\n"
    ))
}

/// `a` on `s1` and `b` on `s2` need the same lock; `c` on `s2` needs none.
const TWO_OF_ONE_LOCK: &str = "[lock:db]\n[slave:s1]\n[slave:s2]\nmax_builds = 1\n\
    [builder:a]\nslaves = s1\nlocks = db\n[builder:b]\nslaves = s2\nlocks = db\n\
    [builder:c]\nslaves = s2\n";

fn wait(core: &mut Core, requests: &[(i64, &str)]) -> Vec<String> {
    let requests = requests
        .iter()
        .map(|(id, builder)| request(*id, builder, &[]));
    shown(&core.handle(Event::RequestsAdded(requests.collect())))
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_request_that_waits_for_a_lock_holds_nobodys_place() {
    let mut core = core(TWO_OF_ONE_LOCK);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    assert_eq!(wait(&mut core, &[(1, "a")]), ["a on s1: 1"]);
    assert_eq!(wait(&mut core, &[(2, "b")]), none());
    assert_eq!(why(&core, 2), "waits for lock db, which a build of a has");
    assert_eq!(wait(&mut core, &[(3, "c")]), ["c on s2: 3"]);
    assert_eq!(
        why(&core, 2),
        "slave s2 has its 1 builds at once (max_builds): a build of c"
    );
    assert_eq!(ended(&mut core, 1), none());
    assert_eq!(ended(&mut core, 2), ["b on s2: 2"]);
}

#[test]
fn requests_that_wait_for_a_lock_still_become_one_build() {
    let mut core = core(TWO_OF_ONE_LOCK);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    wait(&mut core, &[(1, "a")]);
    let both = vec![request(2, "b", &[1]), request(3, "b", &[2])];
    assert_eq!(shown(&core.handle(Event::RequestsAdded(both))), none());
    assert_eq!(ended(&mut core, 1), ["b on s2: 2 3"]);
}

#[test]
fn who_could_begin_but_for_a_lock_has_it_kept_from_those_who_come_later() {
    let mut core = core(
        "[lock:db]\nmax_count = 2\n[slave:s1]\n[slave:s2]\n[slave:s3]\n\
         [builder:a]\nslaves = s1\nlocks = db\n[builder:sole]\nslaves = s2\nlocks = db exclusive\n\
         [builder:late]\nslaves = s3\nlocks = db\n",
    );
    for slave in ["s1", "s2", "s3"] {
        attached(&mut core, slave);
    }
    wait(&mut core, &[(1, "a")]);
    assert_eq!(wait(&mut core, &[(2, "sole")]), none());
    assert_eq!(
        wait(&mut core, &[(3, "late")]),
        none(),
        "there would be room"
    );
    assert_eq!(why(&core, 3), "waits for lock db, which a build of a has");
    // Older by its number, and it came later all the same.
    assert_eq!(wait(&mut core, &[(0, "a")]), none());
    assert_eq!(ended(&mut core, 1), ["sole on s2: 2"]);
    let next = ended(&mut core, 2);
    assert_eq!(next, ["a on s1: 0", "late on s3: 3"]);
}

#[test]
fn who_waits_for_one_lock_leaves_the_slaves_other_places_to_others() {
    let mut core = core(
        "[lock:db]\n[lock:cpu]\ntype = slave\nmax_count = 2\n[slave:s1]\nlocks = cpu\n\
         [builder:a]\nslaves = s1\nlocks = db\n[builder:b]\nslaves = s1\nlocks = db\n[builder:c]\nslaves = s1\n",
    );
    attached(&mut core, "s1");
    wait(&mut core, &[(1, "a")]);
    assert_eq!(wait(&mut core, &[(2, "b")]), none());
    assert_eq!(wait(&mut core, &[(3, "c")]), ["c on s1: 3"]);
    // From now on a place that is given back is kept.
    assert_eq!(ended(&mut core, 2), none());
    assert_eq!(wait(&mut core, &[(4, "c")]), none());
    assert_eq!(ended(&mut core, 1), ["b on s1: 2", "c on s1: 4"]);
}

#[test]
fn who_needs_no_lock_any_more_keeps_none() {
    let mut core = core(TWO_OF_ONE_LOCK);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    wait(&mut core, &[(1, "a")]);
    wait(&mut core, &[(2, "b")]);
    let plan = planned(&TWO_OF_ONE_LOCK.replace("slaves = s2\nlocks = db", "slaves = s2"));
    let given = core.handle(Event::Planned { plan, config: None });
    assert_eq!(shown(&given), ["b on s2: 2"]);
    ended(&mut core, 1);
    assert_eq!(wait(&mut core, &[(3, "a")]), ["a on s1: 3"]);
}

#[test]
fn who_waits_for_a_slave_keeps_no_lock_from_a_step() {
    let mut core = core(TWO_OF_ONE_LOCK);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    wait(&mut core, &[(1, "a")]);
    wait(&mut core, &[(2, "b")]);
    // While `b` stands in line its slave is taken by `c`, a step of which wants the lock: were
    // it kept for `b`, neither could ever go on.
    assert_eq!(wait(&mut core, &[(3, "c")]), ["c on s2: 3"]);
    let uses = [LockUse {
        lock: "db".into(),
        access: Access::Exclusive,
    }];
    core.ask_locks(Ticket(2), &uses).expect("in line");
    ended(&mut core, 1);
    let mut granted = core.granted_locks();
    assert_eq!(granted.len(), 1, "c has it");
    core.return_locks(granted.remove(0));
    assert_eq!(shown(&core.handle(Event::LocksMoved)), none());
    assert_eq!(ended(&mut core, 2), ["b on s2: 2"]);
}

#[test]
fn a_slave_for_which_the_lock_is_free_goes_before_a_less_busy_one() {
    let mut core = core(
        "[lock:cpu]\ntype = slave\n[slave:s1]\n[slave:s2]\n[builder:a]\nslaves = s1\nlocks = cpu\n\
         [builder:b]\nslaves = s1 s2\nlocks = cpu\n[builder:c]\nslaves = s2\n",
    );
    attached(&mut core, "s1");
    wait(&mut core, &[(1, "a")]);
    assert_eq!(wait(&mut core, &[(2, "b")]), none());
    assert_eq!(
        why(&core, 2),
        "waits for lock cpu of slave s1, which a build of a has"
    );
    assert_eq!(attached(&mut core, "s2"), ["b on s2: 2"]);
}

#[test]
fn no_slave_is_started_for_who_waits_for_a_lock() {
    let mut core = core(
        "[lock:db]\n[slave:s1]\n[slave:d]\nlaunch = local\non_demand = yes\n\
         [builder:a]\nslaves = s1\nlocks = db\n[builder:b]\nslaves = d\nlocks = db\n",
    );
    attached(&mut core, "s1");
    wait(&mut core, &[(1, "a"), (2, "b")]);
    assert_eq!(core.wanted(), BTreeSet::new());
    assert_eq!(why(&core, 2), "waits for lock db, which a build of a has");
    ended(&mut core, 1);
    assert_eq!(core.wanted(), BTreeSet::from([SlaveName::from("d")]));
    assert_eq!(attached(&mut core, "d"), ["b on d: 2"]);
}

#[test]
fn a_resumed_build_holds_the_locks_of_its_builder_again() {
    let mut core = core(TWO_OF_ONE_LOCK);
    core.handle(Event::BuildResumed {
        ticket: Ticket(1),
        builder: "a".into(),
        slave: "s1".into(),
        key: BuildKey {
            builder: "a".into(),
            number: 3,
        },
        locks: vec![LockUse {
            lock: "db".into(),
            access: Access::Counting,
        }],
    });
    attached(&mut core, "s2");
    assert_eq!(wait(&mut core, &[(1, "b")]), none());
    assert_eq!(why(&core, 1), "waits for lock db, which a/3 has");
    core.last_ticket = 1;
    assert_eq!(ended(&mut core, 1), ["b on s2: 1"]);
}

#[test]
fn a_slave_whose_lock_is_taken_begins_no_build() {
    let mut core = Core::new(plan_with_slave_locks(1), 0);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    let begun = core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "b", &[]),
    ]));
    assert_eq!(shown(&begun), ["a on s1: 1"]);
    assert_eq!(
        why(&core, 2),
        "waits for lock power, which a build of a has"
    );
    // What one slave gives back lets the other begin.
    assert_eq!(ended(&mut core, 1), ["b on s2: 2"]);
}

#[test]
fn a_raised_count_lets_the_next_build_begin() {
    let mut core = Core::new(plan_with_slave_locks(1), 0);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "b", &[]),
    ]));
    let more = core.handle(Event::Planned {
        plan: plan_with_slave_locks(2),
        config: None,
    });
    assert_eq!(shown(&more), ["b on s2: 2"]);
}

#[test]
fn a_build_that_waits_for_a_lock_says_so_to_those_behind_it() {
    let mut core = core(
        "[lock:db]\n[slave:s1]\n[slave:s2]\n[builder:a]\nslaves = s1\n[builder:b]\nslaves = s2\n",
    );
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "b", &[]),
        request(3, "b", &[]),
    ]));
    let uses = [LockUse {
        lock: "db".into(),
        access: Access::Exclusive,
    }];
    for (ticket, builder) in [(1, "a"), (2, "b")] {
        let ticket = Ticket(ticket);
        let key = BuildKey {
            builder: builder.into(),
            number: 0,
        };
        core.handle(Event::BuildBegun { ticket, key });
        core.ask_locks(ticket, &uses).expect("in line");
    }
    let mut granted = core.granted_locks();
    assert_eq!(granted.len(), 1);
    assert_eq!(
        why(&core, 3),
        "slave s2 is building b/0, which waits for lock db, which a/0 has"
    );
    core.return_locks(granted.remove(0));
    assert_eq!(core.granted_locks().len(), 1);
    let error = core.ask_locks(Ticket(2), &uses);
    assert_eq!(
        error.expect_err("its own"),
        "the build holds lock db already"
    );
    assert_eq!(why(&core, 3), "slave s2 is building b/0");
}

#[test]
fn a_resumed_build_holds_the_lock_of_its_slave_again() {
    let mut core = Core::new(plan_with_slave_locks(1), 10);
    core.handle(Event::BuildResumed {
        ticket: Ticket(1),
        builder: "a".into(),
        slave: "s1".into(),
        key: BuildKey {
            builder: "a".into(),
            number: 3,
        },
        locks: Vec::new(),
    });
    attached(&mut core, "s2");
    let none = core.handle(Event::Pending(vec![request(1, "b", &[])]));
    assert_eq!(shown(&none), Vec::<String>::new());
    assert_eq!(ended(&mut core, 1), ["b on s2: 1"]);
}

/// Numbers that follow from a seed.
pub(in crate::master) struct Chance(pub(in crate::master) u64);

impl Chance {
    pub(in crate::master) fn below(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).expect("31 bits") % below
    }
}

/// A farm by chance: builders hold some of the first locks, their steps ask for some of the others.
fn farm(chance: &mut Chance) -> String {
    let mut text = String::new();
    for lock in 0..16 {
        let kind = ["master", "slave"][usize::from(lock % 3 == 0)];
        let count = 1 + chance.below(3);
        text.push_str(&format!(
            "[lock:l{lock}]\ntype = {kind}\nmax_count = {count}\n"
        ));
    }
    for slave in 0..5 {
        let most = 1 + chance.below(3);
        text.push_str(&format!("[slave:s{slave}]\nmax_builds = {most}\n"));
    }
    for builder in 0..24 {
        let slaves = [chance.below(5), chance.below(5)].map(|it| format!("s{it}"));
        let slaves: BTreeSet<&String> = slaves.iter().collect();
        let slaves: Vec<&str> = slaves.into_iter().map(String::as_str).collect();
        let locks: BTreeSet<usize> = (0..chance.below(4)).map(|_| chance.below(8)).collect();
        let locks = locks.into_iter().map(|it| {
            let how = ["counting", "exclusive"][usize::from(chance.below(3) == 0)];
            format!("l{it} {how}")
        });
        let locks: Vec<String> = locks.collect();
        text.push_str(&format!(
            "[builder:b{builder}]\nslaves = {}\n",
            slaves.join(" ")
        ));
        if !locks.is_empty() {
            text.push_str(&format!("locks = {}\n", locks.join(", ")));
        }
    }
    text
}

/// What happens next to a build that runs.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    AsksForStep,
    EndsStep,
    Ends,
}

#[test]
fn nobody_waits_for_ever_on_farms_of_slaves_and_locks() {
    for seed in 0..6 {
        let chance = &mut Chance(seed);
        let mut core = core(&farm(chance));
        for slave in 0..5 {
            attached(&mut core, &format!("s{slave}"));
        }
        let mut due: BTreeSet<(usize, u64, Next)> = BTreeSet::new();
        let mut steps: BTreeMap<Claim, u64> = BTreeMap::new();
        let mut held: BTreeMap<u64, LockHeld> = BTreeMap::new();
        let (mut begun, mut over, mut now) = (0, 0, 0);
        let mut arrivals = 400;
        loop {
            let mut given: Vec<Assignment> = Vec::new();
            if arrivals > 0 && (due.is_empty() || chance.below(3) == 0) {
                arrivals -= 1;
                let builder = format!("b{}", chance.below(24));
                let new = vec![request(400 - arrivals, &builder, &[])];
                given.extend(core.handle(Event::RequestsAdded(new)));
            } else if let Some((at, ticket, next)) = due.pop_first() {
                now = at;
                match next {
                    Next::AsksForStep => {
                        let uses: BTreeSet<usize> =
                            (0..chance.below(3)).map(|_| 8 + chance.below(8)).collect();
                        let uses: Vec<LockUse> = uses
                            .into_iter()
                            .map(|it| LockUse {
                                lock: format!("l{it}").as_str().into(),
                                access: [Access::Counting, Access::Exclusive][chance.below(2)],
                            })
                            .collect();
                        let claim = core.ask_locks(Ticket(ticket), &uses);
                        steps.insert(claim.expect("never its own"), ticket);
                    }
                    Next::EndsStep => {
                        core.return_locks(held.remove(&ticket).expect("it has its locks"));
                        given.extend(core.handle(Event::LocksMoved));
                        let next = [Next::AsksForStep, Next::Ends];
                        let next = next.into_iter().nth(chance.below(2)).expect("one of two");
                        due.insert((now + 1, ticket, next));
                    }
                    Next::Ends => {
                        over += 1;
                        let ticket = Ticket(ticket);
                        let outcome = crate::model::Outcome::Failure;
                        given.extend(core.handle(Event::BuildEnded { ticket, outcome }));
                    }
                }
            } else {
                break;
            }
            for it in given {
                begun += it.requests.len();
                due.insert((now + chance.below(20), it.ticket.0, Next::AsksForStep));
            }
            for it in core.granted_locks() {
                let ticket = steps.remove(&it.claim()).expect("it asked");
                held.insert(ticket, it);
                due.insert((now + chance.below(50), ticket, Next::EndsStep));
            }
        }
        assert!(
            steps.is_empty(),
            "seed {seed}: {} steps wait for ever",
            steps.len()
        );
        let waiting = core.why_waiting();
        assert!(waiting.is_empty(), "seed {seed}: {waiting:#?}");
        assert_eq!((begun, over), (400, 400), "seed {seed}");
    }
}
