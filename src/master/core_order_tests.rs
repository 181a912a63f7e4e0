//! In which order what waits is built, on which slave, and with what.

use super::lines::tests::Chance;
use super::tests::{attached, ended, plan, request, shown, why};
use super::*;
use crate::config::plan_of;
use crate::model::SourceStamp;

const NOTHING: Vec<String> = Vec::new();

fn at(core: &mut Core, secs: i64) {
    core.set_clock(Timestamp::from_secs(secs), &Zone::from(TimeZone::UTC));
}

fn urgent(id: i64, builder: &str, priority: i64) -> RequestRecord {
    RequestRecord {
        priority: Some(priority),
        ..request(id, builder, &[])
    }
}

fn add(core: &mut Core, requests: Vec<RequestRecord>) -> Vec<String> {
    shown(&core.handle(Event::RequestsAdded(requests)))
}

fn ended_well(core: &mut Core, ticket: u64) -> Vec<String> {
    let (ticket, outcome) = (Ticket(ticket), Outcome::Success);
    shown(&core.handle(Event::BuildEnded { ticket, outcome }))
}

/// Ends builds one after the other; says which began.
fn all(core: &mut Core, first: u64, last: u64) -> Vec<String> {
    (first..=last).flat_map(|it| ended(core, it)).collect()
}

/// One slave that builds one thing at a time, and more keys of the builders `a` and `b`.
fn two_builders(a: &str, b: &str) -> Core {
    let text = format!(
        "[:master:]\nslaveport = none\nhtmlport = none\n[slave:s1]\npassword = x\nmax_builds = 1\n\
         [echo]\ntype = shell\ncommands = true\n\
         [builder:a]\nfactory = echo\nslaves = s1\n{a}\n[builder:b]\nfactory = echo\nslaves = s1\n{b}\n"
    );
    Core::new(Arc::new(plan_of(&text)), 0)
}

#[test]
fn builders_are_tried_in_the_order_of_their_oldest_requests() {
    let mut core = two_builders("", "");
    add(
        &mut core,
        vec![
            request(3, "a", &[]),
            request(4, "a", &[]),
            request(2, "b", &[]),
            request(5, "b", &[]),
        ],
    );
    assert_eq!(attached(&mut core, "s1"), ["b on s1: 2"]);
    assert_eq!(
        all(&mut core, 1, 3),
        ["a on s1: 3", "a on s1: 4", "b on s1: 5"]
    );
}

#[test]
fn of_two_requests_one_free_slave_takes_the_oldest_and_two_take_both() {
    let both = || vec![request(135_000, "a", &[]), request(130_000, "a", &[])];
    let mut one = Core::new(plan(&[("a", &["s1", "s2"])], None), 0);
    attached(&mut one, "s1");
    assert_eq!(add(&mut one, both()), ["a on s1: 130000"]);

    let mut two = Core::new(plan(&[("a", &["s1", "s2"])], None), 0);
    attached(&mut two, "s1");
    attached(&mut two, "s2");
    assert_eq!(
        add(&mut two, both()),
        ["a on s1: 130000", "a on s2: 135000"]
    );

    let mut none = Core::new(plan(&[("a", &["s1"])], None), 0);
    assert_eq!(add(&mut none, both()), NOTHING, "it claims nothing");
}

#[test]
fn the_more_urgent_request_goes_first_whichever_builder_it_is_of() {
    let mut core = two_builders("", "");
    add(
        &mut core,
        vec![
            request(1, "a", &[]),
            urgent(2, "b", 5),
            urgent(3, "a", 7),
            urgent(4, "a", -1),
            request(5, "b", &[]),
        ],
    );
    assert_eq!(
        why(&core, 1),
        "waits behind request 3 of this builder, which has priority 7"
    );
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 3"]);
    assert_eq!(
        all(&mut core, 1, 5),
        ["b on s1: 2", "a on s1: 1", "b on s1: 5", "a on s1: 4"]
    );
}

#[test]
fn a_request_without_a_priority_of_its_own_has_that_of_its_builder() {
    let mut core = two_builders("priority = 3", "");
    add(
        &mut core,
        vec![
            request(1, "b", &[]),
            request(2, "a", &[]),
            urgent(3, "b", 2),
            urgent(4, "a", 0),
        ],
    );
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 2"]);
    assert_eq!(
        all(&mut core, 1, 3),
        ["b on s1: 3", "b on s1: 1", "a on s1: 4"]
    );

    // A reload gives what waits already its new place.
    add(&mut core, vec![request(5, "a", &[]), request(6, "b", &[])]);
    let changed = two_builders("", "priority = 1");
    let (plan, config) = (changed.plan, None);
    core.handle(Event::Planned { plan, config });
    assert_eq!(ended(&mut core, 4), ["b on s1: 6"]);
}

#[test]
fn a_rule_for_builders_sees_how_urgent_they_are() {
    let mut core = two_builders("", "");
    let mut plan = core.plan.as_ref().clone();
    let rule = crate::config::Rule::compile("builder.priority", &crate::expr::names::PRIORITY);
    plan.master.prioritize_builders = crate::config::BuilderOrder(Some(rule.expect("a rule")));
    let (plan, config) = (Arc::new(plan), None);
    core.handle(Event::Planned { plan, config });
    add(&mut core, vec![urgent(1, "a", 4), urgent(2, "b", 2)]);
    assert_eq!(
        attached(&mut core, "s1"),
        ["b on s1: 2"],
        "the least comes first"
    );
}

#[test]
fn a_builder_with_ten_thousand_requests_takes_turns_with_one_that_has_one() {
    let mut core = two_builders("", "");
    at(&mut core, 100);
    add(
        &mut core,
        (1..=10_000).map(|it| request(it, "a", &[])).collect(),
    );
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1"]);
    let late = RequestRecord {
        submitted: Timestamp::from_secs(110),
        ..request(20_000, "b", &[])
    };
    at(&mut core, 110);
    add(&mut core, vec![late]);
    at(&mut core, 120);
    // It came after `a` was given a slave, so `a` has waited longer, once.
    assert_eq!(ended(&mut core, 1), ["a on s1: 2"]);
    at(&mut core, 130);
    assert_eq!(ended(&mut core, 2), ["b on s1: 20000"]);
    assert_eq!(ended(&mut core, 3), ["a on s1: 3"]);
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait_until_it_has_caught_up() {
    let mut core = two_builders("", "");
    at(&mut core, 10_000);
    add(&mut core, vec![request(1, "a", &[]), request(2, "a", &[])]);
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1"]);
    at(&mut core, 1000);
    let later = |id: i64, secs: i64| RequestRecord {
        submitted: Timestamp::from_secs(secs),
        ..request(id, "b", &[])
    };
    add(&mut core, vec![later(3, 1500), later(4, 2000)]);
    at(&mut core, 2500);
    assert_eq!(ended(&mut core, 1), ["a on s1: 2"]);
}

#[test]
fn builders_that_are_given_slaves_at_the_same_moment_take_turns_too() {
    let slaves = ["s1", "s2", "s3", "s4", "s5", "s6"];
    let mut core = Core::new(plan(&[("a", &slaves), ("b", &slaves)], Some(1)), 0);
    at(&mut core, 100);
    let requests = (1..=9).map(|it| request(it, "a", &[]));
    let requests = requests.chain((11..=19).map(|it| request(it, "b", &[])));
    add(&mut core, requests.collect());
    let begun: Vec<String> = slaves
        .iter()
        .flat_map(|it| attached(&mut core, it))
        .map(|it| it[..1].to_owned())
        .collect();
    assert_eq!(begun.concat(), "ababab");
}

/// Whatever comes when, and however many slaves there are: a builder gets its next slave before
/// any other that could use the same slaves has had more than one since this one has waited.
#[test]
fn no_builder_waits_while_another_is_served_twice() {
    for seed in 0..20 {
        let chance = &mut Chance(seed);
        let builders = ["a", "b", "c", "d", "e"];
        let slaves = &["s1", "s2", "s3"][..=chance.below(3)];
        let every: Vec<(&str, &[&str])> = builders.iter().map(|it| (*it, slaves)).collect();
        let mut core = Core::new(plan(&every, Some(1)), 0);
        for slave in slaves {
            attached(&mut core, slave);
        }
        let (mut next, mut now) = (1, 0);
        let mut running: Vec<u64> = Vec::new();
        let mut begun = 0;
        // Of each builder that waits: who was served since it has done so.
        let mut passed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut waiting: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..600 {
            now += 1;
            at(&mut core, now);
            let given = if running.is_empty() || chance.below(2) == 0 {
                // One of them asks for most of it.
                let builder = builders[chance.below(8).saturating_sub(3)];
                let many = 1 + chance.below(3);
                *waiting.entry(builder.into()).or_default() += many;
                let new = (0..many).map(|_| {
                    next += 1;
                    RequestRecord {
                        submitted: Timestamp::from_secs(now),
                        ..request(next, builder, &[])
                    }
                });
                core.handle(Event::RequestsAdded(new.collect()))
            } else {
                let ticket = Ticket(running.swap_remove(chance.below(running.len())));
                let outcome = Outcome::Failure;
                core.handle(Event::BuildEnded { ticket, outcome })
            };
            for it in given {
                let served = it.builder.name.to_string();
                running.push(it.ticket.0);
                begun += it.requests.len();
                passed.remove(&served);
                *waiting.get_mut(&served).expect("it waited") -= 1;
                for (builder, _) in waiting.iter().filter(|(_, count)| **count > 0) {
                    if *builder != served {
                        passed
                            .entry(builder.clone())
                            .or_default()
                            .push(served.clone());
                    }
                }
            }
            // Builders build once at a time on a slave, but there the one that waits could, too.
            for (builder, who) in &passed {
                let most = builders
                    .iter()
                    .map(|it| who.iter().filter(|who| who == it).count());
                // One more if it came between the other's turns, one for each further slave.
                let most = most.max().unwrap_or(0);
                assert!(
                    most <= 1 + slaves.len(),
                    "seed {seed}: {builder} waits while {who:?}"
                );
            }
        }
        assert!(begun > 100, "seed {seed}: only {begun} were built");
    }
}

#[test]
fn the_slave_with_the_builders_tree_goes_before_one_with_a_mirror_and_that_before_others() {
    let slaves = ["s1", "s2", "s3"];
    let mut core = Core::new(plan(&[("a", &slaves), ("b", &slaves)], None), 0);
    let of = |id: i64, builder: &str, repository: &str| {
        let it = request(id, builder, &[]);
        let stamp = SourceStamp {
            repository: repository.into(),
            ..SourceStamp::clone(&it.stamp)
        };
        RequestRecord {
            stamp: Arc::new(stamp),
            ..it
        }
    };
    attached(&mut core, "s3");
    assert_eq!(add(&mut core, vec![of(1, "a", "here")]), ["a on s3: 1"]);
    ended_well(&mut core, 1);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    assert_eq!(add(&mut core, vec![of(2, "a", "here")]), ["a on s3: 2"]);
    ended_well(&mut core, 2);
    // Another builder of the same repository.
    assert_eq!(add(&mut core, vec![of(3, "b", "here")]), ["b on s3: 3"]);
    ended(&mut core, 3);
    // What failed has left no tree that is worth anything, and nobody knows this repository.
    assert_eq!(add(&mut core, vec![of(4, "b", "there")]), ["b on s1: 4"]);
    // A busy slave is none for which it is worth waiting, or to be crowded.
    assert_eq!(add(&mut core, vec![of(5, "b", "here")]), ["b on s3: 5"]);
    assert_eq!(add(&mut core, vec![of(6, "a", "here")]), ["a on s2: 6"]);
}

#[test]
fn where_a_builder_built_last_is_known_from_an_earlier_run() {
    let mut core = Core::new(plan(&[("a", &["s1", "s2"])], None), 0);
    core.handle(Event::BuiltBefore(vec![("a".into(), "s2".into())]));
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    assert_eq!(add(&mut core, vec![request(1, "a", &[])]), ["a on s2: 1"]);
}

#[test]
fn a_fresh_reading_forgets_what_waits_no_longer_and_takes_in_what_is_new() {
    let mut core = Core::new(plan(&[("a", &["s1"])], None), 0);
    add(&mut core, vec![request(1, "a", &[]), request(2, "a", &[])]);
    let ids: Vec<RequestId> = [2, 3, 4].map(RequestId).into();
    assert_eq!(core.unknown(&ids), [RequestId(3), RequestId(4)]);
    let new = vec![request(3, "a", &[])];
    assert!(core.handle(Event::Learned(new)).is_empty());
    core.handle(Event::StillWaiting { ids });
    let waiting: Vec<i64> = core.why_waiting().keys().map(|it| it.0).collect();
    assert_eq!(waiting, [2, 3]);
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 2"]);
    // What is being built is neither news nor gone.
    assert_eq!(core.unknown(&[RequestId(2)]), []);
}

#[test]
fn the_chosen_request_is_compared_with_each_other_one_and_never_two_others() {
    // 1 agrees with 2 and 3 by the rule, 2 and 3 not with each other.
    let text = "[:master:]\nslaveport = none\nhtmlport = none\n[slave:s1]\npassword = x\n\
         [echo]\ntype = shell\ncommands = true\n[builder:a]\nfactory = echo\nslaves = s1\n\
         merge_requests = a.id == 1 and b.id != 4\n";
    let mut core = Core::new(Arc::new(plan_of(text)), 0);
    add(
        &mut core,
        [1, 2, 3, 4].map(|it| request(it, "a", &[])).into(),
    );
    let said = why(&core, 3);
    assert_eq!(
        said,
        "becomes one build with request 1: slave s1 is not connected"
    );
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1 2 3"]);
    assert_eq!(ended(&mut core, 1), ["a on s1: 4"]);
}

#[test]
fn a_rule_for_merging_is_asked_for_so_many_others_and_no_more() {
    let text = "[:master:]\nslaveport = none\nhtmlport = none\n[slave:s1]\npassword = x\n\
         [echo]\ntype = shell\ncommands = true\n[builder:a]\nfactory = echo\nslaves = s1\n\
         merge_requests = a.id < b.id\n";
    let mut core = Core::new(Arc::new(plan_of(text)), 0);
    let many = i64::try_from(dispatch::ASKED).expect("few") + 3;
    add(
        &mut core,
        (1..=many).map(|it| request(it, "a", &[])).collect(),
    );
    attached(&mut core, "s1");
    assert_eq!(core.why_waiting().len(), 2);
}

#[test]
fn with_merging_switched_off_by_a_reload_two_requests_are_two_builds() {
    let waiting = || vec![request(1, "a", &[1]), request(2, "a", &[2])];
    let mut core = two_builders("", "");
    add(&mut core, waiting());
    let (plan, config) = (two_builders("merge_requests = no", "").plan, None);
    core.handle(Event::Planned { plan, config });
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1"]);
    let (plan, config) = (two_builders("", "").plan, None);
    core.handle(Event::Planned { plan, config });
    add(&mut core, vec![request(3, "a", &[3])]);
    assert_eq!(ended(&mut core, 1), ["a on s1: 2 3"], "and on again");
}

#[test]
fn of_very_many_slaves_some_are_named() {
    let slaves: Vec<String> = (1..=12).map(|it| format!("s{it:02}")).collect();
    let slaves: Vec<&str> = slaves.iter().map(String::as_str).collect();
    let mut core = Core::new(plan(&[("a", &slaves)], None), 0);
    add(&mut core, vec![request(1, "a", &[])]);
    let said = why(&core, 1);
    assert!(
        said.ends_with("slave s08 is not connected; and 4 more slaves"),
        "{said}"
    );
    let told = core.slaves_of(&"a".into());
    assert_eq!(told.len(), 12, "who asks about the builder hears of all");
}

#[test]
fn who_is_asked_about_some_requests_says_nothing_of_the_others() {
    let mut core = two_builders("", "");
    add(
        &mut core,
        vec![
            request(1, "a", &[]),
            request(2, "b", &[]),
            request(3, "b", &[]),
        ],
    );
    let asked = |scope: &Scope| -> Vec<i64> { core.reasons(scope).keys().map(|it| it.0).collect() };
    assert_eq!(asked(&Scope::Nothing), [0_i64; 0]);
    assert_eq!(asked(&Scope::Request(RequestId(2))), [2]);
    assert_eq!(
        asked(&Scope::Requests(vec![RequestId(1), RequestId(9)])),
        [1]
    );
    assert_eq!(asked(&Scope::Builder("b".into())), [2, 3]);
    assert_eq!(asked(&Scope::Everything), [1, 2, 3]);
}

#[test]
fn what_waits_for_a_lock_says_which_build_has_it() {
    let text = "[:master:]\nslaveport = none\nhtmlport = none\n[slave:s1]\npassword = x\n\
         [lock:database]\n[echo]\ntype = shell\ncommands = true\n\
         [builder:full-linux]\nfactory = echo\nslaves = s1\nlocks = database exclusive\n\
         [builder:b]\nfactory = echo\nslaves = s1\nlocks = database exclusive\n";
    let mut core = Core::new(Arc::new(plan_of(text)), 0);
    attached(&mut core, "s1");
    add(&mut core, vec![request(1, "full-linux", &[])]);
    let key = BuildKey {
        builder: "full-linux".into(),
        number: 812,
    };
    let (ticket, has_it) = (Ticket(1), key.clone());
    core.handle(Event::BuildBegun { ticket, key });
    add(&mut core, vec![request(2, "b", &[])]);
    let reason = &core.reasons(&Scope::Request(RequestId(2)))[&RequestId(2)];
    assert_eq!(
        reason.text,
        "waits for lock database, which full-linux/812 has"
    );
    assert_eq!(
        reason.builds,
        [has_it],
        "so that it can be said how long it takes"
    );
}
