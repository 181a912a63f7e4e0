//! What the core decides.

use super::*;
use crate::config::plan_of;
use crate::config::{BuilderOrder, MergeRequests, RequestOrder, Rule, SlaveOrder};
use crate::expr::names;
use crate::model::{BuildsetId, ChangeId, SourceStamp, Timestamp};

impl Core {
    /// Why what waits does so, in words.
    pub(super) fn why_waiting(&self) -> BTreeMap<RequestId, String> {
        let reasons = self.reasons(&Scope::Everything).into_iter();
        reasons.map(|(id, it)| (id, it.text)).collect()
    }
}

pub(in crate::master) fn plan(builders: &[(&str, &[&str])], max_builds: Option<u32>) -> Arc<Plan> {
    let mut slaves: Vec<&str> = builders.iter().flat_map(|it| it.1).copied().collect();
    slaves.sort_unstable();
    slaves.dedup();
    let mut text = String::from("[:master:]\nslaveport = none\nhtmlport = none\n");
    for slave in slaves {
        let most = max_builds.map_or(String::new(), |it| format!("max_builds = {it}\n"));
        text.push_str(&format!("[slave:{slave}]\npassword = x\n{most}"));
    }
    text.push_str("[echo]\ntype = shell\ncommands = true\n");
    for (name, slaves) in builders {
        let slaves = slaves.join(" ");
        text.push_str(&format!(
            "[builder:{name}]\nfactory = echo\nslaves = {slaves}\n"
        ));
    }
    Arc::new(plan_of(&text))
}

#[test]
fn who_waits_for_a_build_is_told_which() {
    let mut core = Core::new(plan(&[("a", &["s1"])], None), 0);
    attached(&mut core, "s1");
    core.handle(Event::RequestsAdded(vec![request(1, "a", &[])]));
    let key = BuildKey {
        builder: "a".into(),
        number: 7,
    };
    let (ticket, expected) = (Ticket(1), key.clone());
    core.handle(Event::BuildBegun { ticket, key });
    core.handle(Event::RequestsAdded(vec![request(2, "a", &[])]));
    assert_eq!(
        core.reasons(&Scope::Everything)[&RequestId(2)].builds,
        [expected]
    );
}

pub(in crate::master) fn request(id: i64, builder: &str, changes: &[i64]) -> RequestRecord {
    RequestRecord {
        id: RequestId(id),
        buildset: BuildsetId(id),
        builder: builder.into(),
        submitted: Timestamp(id),
        reason: String::new(),
        stamp: Arc::new(SourceStamp {
            changes: changes.iter().copied().map(ChangeId).collect(),
            // Forced requests differ in their revision, so that they do not merge.
            revision: changes.is_empty().then(|| id.to_string()),
            ..SourceStamp::default()
        }),
        properties: Arc::default(),
        priority: None,
        outcome: None,
        cancelled: None,
        builds: vec![],
        claimed: false,
    }
}

/// Assignments as `builder on slave: requests`.
pub(in crate::master) fn shown(assignments: &[Assignment]) -> Vec<String> {
    assignments
        .iter()
        .map(|it| {
            let requests: Vec<String> = it.requests.iter().map(|it| it.id.to_string()).collect();
            format!(
                "{} on {}: {}",
                it.builder.name,
                it.slave,
                requests.join(" ")
            )
        })
        .collect()
}

pub(in crate::master) fn attached(core: &mut Core, slave: &str) -> Vec<String> {
    shown(&core.handle(Event::SlaveAttached(slave.into())))
}

pub(in crate::master) fn ended(core: &mut Core, ticket: u64) -> Vec<String> {
    let (ticket, outcome) = (Ticket(ticket), Outcome::Failure);
    shown(&core.handle(Event::BuildEnded { ticket, outcome }))
}

#[test]
fn the_oldest_request_is_built_first_and_one_at_a_time_on_a_slave() {
    let mut core = Core::new(plan(&[("a", &["s1"])], None), 0);
    core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "a", &[]),
    ]));
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1"]);
    assert_eq!(ended(&mut core, 1), ["a on s1: 2"]);
    assert_eq!(ended(&mut core, 2), Vec::<String>::new());
}

#[test]
fn two_free_slaves_take_two_requests_and_then_take_turns() {
    let mut core = Core::new(plan(&[("a", &["s1", "s2"])], None), 0);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    let both = core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "a", &[]),
    ]));
    assert_eq!(shown(&both), ["a on s1: 1", "a on s2: 2"]);
    ended(&mut core, 1);
    ended(&mut core, 2);
    let next = core.handle(Event::RequestsAdded(vec![request(3, "a", &[])]));
    assert_eq!(shown(&next), ["a on s1: 3"]);
    ended(&mut core, 3);
    let next = core.handle(Event::RequestsAdded(vec![request(4, "a", &[])]));
    assert_eq!(
        shown(&next),
        ["a on s2: 4"],
        "the one that has been idle longest"
    );
}

#[test]
fn requests_for_changes_of_one_branch_become_one_build() {
    let mut core = Core::new(plan(&[("a", &["s1"])], None), 0);
    core.handle(Event::Pending(vec![
        request(1, "a", &[1]),
        request(2, "a", &[]),
        request(3, "a", &[2, 3]),
    ]));
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1 3"]);
    assert_eq!(ended(&mut core, 1), ["a on s1: 2"]);
}

#[test]
fn max_builds_limits_a_slave_over_all_builders() {
    let mut core = Core::new(
        plan(&[("a", &["s1"]), ("b", &["s1"]), ("c", &["s1"])], Some(2)),
        0,
    );
    attached(&mut core, "s1");
    let first = core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "b", &[]),
        request(3, "c", &[]),
    ]));
    assert_eq!(shown(&first), ["a on s1: 1", "b on s1: 2"]);
    assert_eq!(ended(&mut core, 2), ["c on s1: 3"]);
}

#[test]
fn it_says_why_each_request_waits() {
    let mut core = Core::new(plan(&[("a", &["s1", "s2"]), ("b", &["s1"])], Some(1)), 0);
    core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "gone", &[]),
    ]));
    let why = |core: &Core, id| core.why_waiting().remove(&RequestId(id)).expect("it waits");
    assert_eq!(
        why(&core, 1),
        "slave s1 is not connected; slave s2 is not connected"
    );
    assert_eq!(why(&core, 2), "builder gone is not in the configuration");

    attached(&mut core, "s1");
    let key = BuildKey {
        builder: "a".into(),
        number: 7,
    };
    core.handle(Event::BuildBegun {
        ticket: Ticket(1),
        key,
    });
    core.handle(Event::RequestsAdded(vec![
        request(3, "a", &[]),
        request(4, "b", &[]),
        request(5, "a", &[]),
    ]));
    assert_eq!(
        why(&core, 3),
        "slave s1 is building a/7; slave s2 is not connected"
    );
    assert_eq!(
        why(&core, 4),
        "slave s1 has its 1 builds at once (max_builds): a/7"
    );
    assert_eq!(why(&core, 5), "waits behind request 3 of this builder");
}

#[test]
fn a_fresh_reading_does_not_start_a_request_twice() {
    let mut core = Core::new(plan(&[("a", &["s1", "s2"])], None), 0);
    attached(&mut core, "s1");
    attached(&mut core, "s2");
    let first = core.handle(Event::Pending(vec![request(1, "a", &[])]));
    assert_eq!(first.len(), 1);
    let again = core.handle(Event::Pending(vec![request(1, "a", &[])]));
    assert_eq!(shown(&again), Vec::<String>::new(), "it is being started");
}

#[test]
fn a_resumed_build_keeps_its_slave_busy() {
    let mut core = Core::new(plan(&[("a", &["s1"])], None), 10);
    let key = BuildKey {
        builder: "a".into(),
        number: 3,
    };
    core.handle(Event::BuildResumed {
        ticket: Ticket(1),
        builder: "a".into(),
        slave: "s1".into(),
        key,
        locks: Vec::new(),
    });
    attached(&mut core, "s1");
    let none = core.handle(Event::Pending(vec![request(1, "a", &[])]));
    assert_eq!(shown(&none), Vec::<String>::new());
    assert_eq!(ended(&mut core, 1), ["a on s1: 1"]);
}

fn rule(text: &str, thing: &str) -> Option<Rule> {
    Some(
        Rule::compile(
            text,
            match thing {
                "builder" => &names::PRIORITY,
                "request" => &names::NEXT_BUILD,
                _ => &names::NEXT_SLAVE,
            },
        )
        .expect(text),
    )
}

/// The plan with something changed in it.
fn changed(mut plan: Arc<Plan>, change: impl FnOnce(&mut Plan)) -> Arc<Plan> {
    change(Arc::make_mut(&mut plan));
    plan
}

fn first_builder(plan: &mut Plan) -> &mut BuilderPlan {
    Arc::make_mut(&mut plan.builders[0])
}

pub(in crate::master) fn why(core: &Core, id: i64) -> String {
    core.why_waiting().remove(&RequestId(id)).expect("it waits")
}

#[test]
fn a_builder_that_does_not_merge_builds_each_request_alone() {
    let plan = changed(plan(&[("a", &["s1"])], None), |plan| {
        first_builder(plan).merge_requests = MergeRequests::No;
    });
    let mut core = Core::new(plan, 0);
    core.handle(Event::Pending(vec![
        request(1, "a", &[1]),
        request(2, "a", &[2]),
    ]));
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1"]);
    assert_eq!(ended(&mut core, 1), ["a on s1: 2"]);
}

#[test]
fn a_rule_says_which_requests_become_one_build() {
    let merge = |text: &str| MergeRequests::If(Rule::compile(text, &names::REQUESTS).expect(text));
    let check = |text: &str, expected: &[&str]| {
        let plan = changed(plan(&[("a", &["s1"])], None), |plan| {
            first_builder(plan).merge_requests = merge(text);
        });
        let mut core = Core::new(plan, 0);
        core.handle(Event::Pending(vec![
            request(1, "a", &[1]),
            request(2, "a", &[]),
            request(3, "a", &[2, 3]),
            request(4, "a", &[4]),
        ]));
        assert_eq!(attached(&mut core, "s1"), expected, "{text}");
    };
    check("true", &["a on s1: 1 2 3 4"]);
    check("b.agrees and b.changes | length == 1", &["a on s1: 1 4"]);
    check("a.id + 1 == b.id", &["a on s1: 1 2"]);
    // What cannot be computed does as if there were no rule.
    check("a.id < a.reason", &["a on s1: 1 3 4"]);
}

#[test]
fn the_next_request_is_the_one_that_the_rule_puts_first() {
    let plan = changed(plan(&[("a", &["s1"])], None), |plan| {
        let next = "-request.id if request.id != 2 else none";
        first_builder(plan).next_build = RequestOrder(rule(next, "request"));
    });
    let mut core = Core::new(plan, 0);
    let three = [1, 2, 3].map(|id| request(id, "a", &[])).to_vec();
    core.handle(Event::Pending(three));
    assert_eq!(why(&core, 3), "slave s1 is not connected");
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 3"]);
    assert_eq!(ended(&mut core, 1), ["a on s1: 1"]);
    assert_eq!(ended(&mut core, 2), Vec::<String>::new());
    assert_eq!(why(&core, 2), "next_build takes no request for now");
}

#[test]
fn the_slave_is_the_one_that_the_rule_puts_first() {
    let plan = changed(plan(&[("a", &["s1", "s2", "s3"])], None), |plan| {
        let next = "slave.name != 's3' and (2 if slave.name == 's1' else 1)";
        first_builder(plan).next_slave = SlaveOrder(rule(next, "slave"));
    });
    let mut core = Core::new(plan, 0);
    for slave in ["s1", "s2", "s3"] {
        attached(&mut core, slave);
    }
    let three = [1, 2, 3].map(|id| request(id, "a", &[])).to_vec();
    let begun = core.handle(Event::Pending(three));
    assert_eq!(shown(&begun), ["a on s2: 1", "a on s1: 2"]);
    assert_eq!(why(&core, 3), "next_slave takes none of s3");
}

#[test]
fn builders_are_served_in_the_order_of_the_rule_and_some_not_at_all() {
    let all = [("a", &["s1"][..]), ("b", &["s1"]), ("c", &["s1"])];
    let plan = changed(plan(&all, Some(1)), |plan| {
        let order = "none if builder.name == 'a' else -builder.waiting";
        plan.master.prioritize_builders = BuilderOrder(rule(order, "builder"));
    });
    let mut core = Core::new(plan, 0);
    attached(&mut core, "s1");
    let begun = core.handle(Event::Pending(vec![
        request(1, "a", &[]),
        request(2, "b", &[]),
        request(3, "c", &[]),
        request(4, "c", &[]),
    ]));
    assert_eq!(shown(&begun), ["c on s1: 3"]);
    assert_eq!(
        why(&core, 1),
        "prioritize_builders leaves builder a out for now"
    );
    assert_eq!(ended(&mut core, 1), ["b on s1: 2"], "now both have one");
    assert_eq!(ended(&mut core, 2), ["c on s1: 4"]);
    assert_eq!(ended(&mut core, 3), Vec::<String>::new());
}

#[test]
fn rules_that_cannot_be_computed_are_told_once_and_the_usual_is_done() {
    let plan = changed(plan(&[("b", &["s1"]), ("a", &["s1"])], Some(1)), |plan| {
        let odd = |thing: &str| {
            rule(
                &format!("1 < {thing}.NAME")
                    .replace("NAME", if thing == "request" { "reason" } else { "name" }),
                thing,
            )
        };
        plan.master.prioritize_builders = BuilderOrder(odd("builder"));
        let builder = first_builder(plan);
        builder.next_build = RequestOrder(odd("request"));
        builder.next_slave = SlaveOrder(odd("slave"));
    });
    let mut core = Core::new(plan, 0);
    attached(&mut core, "s1");
    let begun = core.handle(Event::Pending(vec![
        request(1, "b", &[]),
        request(2, "a", &[]),
        request(3, "b", &[]),
    ]));
    assert_eq!(shown(&begun), ["b on s1: 1"]);
    insta::assert_snapshot!(core.troubles().join("\n"), @"
    prioritize_builders of [:master:] cannot be computed, so the oldest request is first: a text and a number have no order; put a version in quotes, or read the text with `| int` (of builder a)
    next_build of builder b (master.ini:10:2) cannot be computed, so the oldest request is built: a text and a number have no order; put a version in quotes, or read the text with `| int`
    next_slave of builder b (master.ini:10:2) cannot be computed, so the least busy is taken: a text and a number have no order; put a version in quotes, or read the text with `| int`
    ");
    assert_eq!(
        core.handle(Event::Pending(vec![request(3, "b", &[])]))
            .len(),
        0
    );
    assert_eq!(core.troubles(), Vec::<String>::new());
    insta::assert_snapshot!(why(&core, 3), @"slave s1 is starting a build of b; prioritize_builders of [:master:] cannot be computed, so the oldest request is first: a text and a number have no order; put a version in quotes, or read the text with `| int` (of builder b); next_build of builder b (master.ini:10:2) cannot be computed, so the oldest request is built: a text and a number have no order; put a version in quotes, or read the text with `| int`");
}

/// A debug build takes about a second.
#[test]
fn a_thousand_builders_on_sixty_slaves_are_decided_about_at_once() {
    let slaves: Vec<String> = (0..60).map(|it| format!("s{it}")).collect();
    let slaves: Vec<&str> = slaves.iter().map(String::as_str).collect();
    let builders: Vec<String> = (0..1000).map(|it| format!("b{it}")).collect();
    let all: Vec<(&str, &[&str])> = builders
        .iter()
        .map(|it| (it.as_str(), slaves.as_slice()))
        .collect();
    let mut core = Core::new(plan(&all, Some(1)), 0);
    let requests = (0..1000).map(|it| request(it + 1, &builders[it as usize], &[]));
    core.handle(Event::Pending(requests.collect()));
    for slave in &slaves {
        assert_eq!(attached(&mut core, slave).len(), 1);
    }
    for ticket in 1..=200 {
        assert_eq!(ended(&mut core, ticket).len(), 1, "{ticket}");
    }
    assert_eq!(core.why_waiting().len(), 740);
}

fn paused(core: &mut Core, slave: &str, pause: Option<Pause>) -> Vec<String> {
    let slave = slave.into();
    shown(&core.handle(Event::SlavePaused { slave, pause }))
}

fn new_disk() -> Option<Pause> {
    Some(Pause {
        since: Timestamp(0),
        by: Some("ann".into()),
        reason: Some("new disk".into()),
    })
}

#[test]
fn a_paused_slave_keeps_its_build_and_takes_no_other_until_it_is_unpaused() {
    let mut core = Core::new(plan(&[("a", &["s1"]), ("b", &["s1"])], None), 0);
    core.handle(Event::Pending(vec![request(1, "a", &[])]));
    assert_eq!(attached(&mut core, "s1"), ["a on s1: 1"]);

    paused(&mut core, "s1", new_disk());
    let more = vec![request(2, "b", &[])];
    assert_eq!(
        shown(&core.handle(Event::RequestsAdded(more))),
        Vec::<String>::new()
    );
    let why = core.why_waiting()[&RequestId(2)].clone();
    assert!(
        why.starts_with("slave s1 is paused since 1970-01-01T"),
        "{why}"
    );
    assert!(why.ends_with(" by ann: new disk"), "{why}");
    assert_eq!(ended(&mut core, 1), Vec::<String>::new());
    // That it comes anew changes nothing.
    core.handle(Event::SlaveDetached("s1".into()));
    assert_eq!(attached(&mut core, "s1"), Vec::<String>::new());

    assert_eq!(paused(&mut core, "s1", None), ["b on s1: 2"]);
}

#[test]
fn another_slave_builds_what_a_paused_one_does_not() {
    let mut core = Core::new(plan(&[("a", &["s1", "s2"])], None), 0);
    paused(&mut core, "s1", new_disk());
    attached(&mut core, "s1");
    core.handle(Event::Pending(vec![request(1, "a", &[])]));
    assert_eq!(attached(&mut core, "s2"), ["a on s2: 1"]);
}

#[test]
fn a_slave_that_shuts_down_ends_its_builds_takes_no_other_and_is_told_once() {
    let mut core = Core::new(plan(&[("a", &["s1"]), ("b", &["s1"])], None), 0);
    core.handle(Event::Pending(vec![request(1, "a", &[])]));
    attached(&mut core, "s1");
    let s1 = SlaveName::from("s1");
    core.handle(Event::SlaveLeaves(s1.clone()));
    let more = vec![request(2, "b", &[])];
    assert!(core.handle(Event::RequestsAdded(more)).is_empty());
    assert_eq!(
        core.why_waiting()[&RequestId(2)],
        "slave s1 shuts down when its builds are done"
    );
    assert_eq!(core.dismissals(), []);
    // A look at who is here does not forget it.
    core.handle(Event::SlavesPresent(vec![s1.clone()]));
    assert_eq!(ended(&mut core, 1), Vec::<String>::new());
    assert_eq!(core.dismissals(), std::slice::from_ref(&s1));
    assert_eq!(core.dismissals(), []);
    // It is asked once more, and still there.
    core.handle(Event::SlaveLeaves(s1));
    assert_eq!(core.dismissals(), []);
    assert_eq!(attached(&mut core, "s1"), ["b on s1: 2"]);
}
