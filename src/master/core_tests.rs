//! What the core decides.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::config::{Launch, MasterPlan, SlavePlan};
use crate::factories::{Factory, Repository};
use crate::model::{BuildsetId, ChangeId, Platform, Properties, SourceStamp, Timestamp};
use crate::steps::StepPlan;
use crate::syntax::Problems;

#[derive(Debug)]
struct NoSteps;

impl Factory for NoSteps {
    fn sources(&self) -> &[Repository] {
        &[]
    }
    fn steps(&self, _: &Platform) -> Result<Vec<StepPlan>, String> {
        Ok(Vec::new())
    }
}

fn plan(builders: &[(&str, &[&str])], max_builds: Option<u32>) -> Arc<Plan> {
    let mut slaves: Vec<&str> = builders.iter().flat_map(|it| it.1).copied().collect();
    slaves.sort_unstable();
    slaves.dedup();
    Arc::new(Plan {
        master: MasterPlan {
            title: String::new(),
            title_url: None,
            base_url: None,
            slaveport: None::<SocketAddr>,
            htmlport: None,
            publichtmlport: None,
            properties: Properties::new(),
            lost_timeout: Duration::from_secs(600),
        },
        slaves: slaves
            .into_iter()
            .map(|name| {
                Arc::new(SlavePlan {
                    name: name.into(),
                    password: "x".into(),
                    os: None,
                    launch: Launch::None,
                    max_builds,
                    properties: Properties::new(),
                })
            })
            .collect(),
        builders: builders
            .iter()
            .map(|(name, slaves)| {
                Arc::new(BuilderPlan {
                    name: (*name).into(),
                    builddir: (*name).into(),
                    slaves: slaves.iter().map(|it| (*it).into()).collect(),
                    factory_name: "shell".into(),
                    factory: Arc::new(NoSteps),
                    category: None,
                    properties: Properties::new(),
                    env: BTreeMap::new(),
                    merge_requests: true,
                })
            })
            .collect(),
        sources: vec![],
        schedulers: vec![],
        warnings: Problems::default(),
        port_places: BTreeMap::new(),
    })
}

fn request(id: i64, builder: &str, changes: &[i64]) -> RequestRecord {
    RequestRecord {
        id: RequestId(id),
        buildset: BuildsetId(id),
        builder: builder.into(),
        submitted: Timestamp(id),
        reason: String::new(),
        stamp: SourceStamp {
            changes: changes.iter().copied().map(ChangeId).collect(),
            // Forced requests differ in their revision, so that they do not merge.
            revision: changes.is_empty().then(|| id.to_string()),
            ..SourceStamp::default()
        },
        properties: Properties::new(),
        outcome: None,
        builds: vec![],
        claimed: false,
    }
}

/// Assignments as `builder on slave: requests`.
fn shown(assignments: &[Assignment]) -> Vec<String> {
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

fn attached(core: &mut Core, slave: &str) -> Vec<String> {
    shown(&core.handle(Event::SlaveAttached(slave.into())))
}

fn ended(core: &mut Core, ticket: u64) -> Vec<String> {
    shown(&core.handle(Event::BuildEnded {
        ticket: Ticket(ticket),
    }))
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
        "slave s1 has its 1 builds at once (max_builds)"
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
    });
    attached(&mut core, "s1");
    let none = core.handle(Event::Pending(vec![request(1, "a", &[])]));
    assert_eq!(shown(&none), Vec::<String>::new());
    assert_eq!(ended(&mut core, 1), ["a on s1: 1"]);
}
