//! Rebuilds, and ends of what waits and runs, on the bench of the reloads.

use std::time::Duration;

use super::*;
use crate::master::again::Rebuild;
use crate::master::bench::plain_force;
use crate::master::handle::Denied;
use crate::master::intake::{Asker, take_in};
use crate::model::{BuildKey, ChangeId, NewBuildset, SourceStamp};
use crate::schedulers::{CancelSuperseded, QueueRules};
use crate::store::{Act, AuditQuery, NewAudit};

fn key(number: i64) -> BuildKey {
    BuildKey {
        builder: "a-s1".into(),
        number,
    }
}

fn again(number: i64) -> Rebuild {
    Rebuild {
        build: key(number),
        reason: "once more".into(),
        properties: Properties::new(),
        owner: None,
        priority: Some(3),
    }
}

/// A push: a change, and a scheduler's request for it.
async fn push(bench: &Bench, cancel_superseded: CancelSuperseded) -> (ChangeId, RequestId) {
    let plan = bench.handle.plan();
    let made = bench.crew().store.write(move |verbs| {
        let change = NewChange {
            revision: Some("tip".into()),
            ..NewChange::by("ann")
        };
        let id = verbs.add_change(&change, clock::now())?.expect("new");
        let mut properties = Properties::new();
        properties.set("scheduler", "quick", "Scheduler");
        let wanted = NewBuildset {
            reason: "scheduler".into(),
            stamp: SourceStamp {
                revision: Some("tip".into()),
                changes: vec![id],
                ..SourceStamp::default()
            },
            properties,
            priority: None,
            builders: vec!["a-s1".into()],
        };
        let rules = QueueRules {
            cancel_superseded: Some(cancel_superseded),
            ..QueueRules::default()
        };
        let intake = take_in(verbs, &plan, &wanted, Asker::Scheduler(&rules))?;
        Ok((id, intake.expect("never refused")))
    });
    let (change, intake) = made.await.expect("written");
    let request = intake.requests[0].id;
    bench.crew().taken_in(intake).await;
    (change, request)
}

#[tokio::test]
async fn a_finished_build_is_built_again_with_its_source_and_an_unfinished_one_is_not() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("s1").await;
    let (change, _) = push(&bench, CancelSuperseded::No).await;
    let (id, _) = slave.begin().await;
    let denied = bench.handle.rebuild(again(0)).await.expect_err("it runs");
    assert!(matches!(denied, Denied::Running(_)), "{denied}");
    slave.finish(id).await;
    bench.ended("a-s1", 0).await;
    let denied = bench.handle.rebuild(again(1)).await.expect_err("not there");
    assert!(matches!(denied, Denied::NoBuild(_)), "{denied}");

    let (_, request) = bench.handle.rebuild(again(0)).await.expect("a request");
    let record = bench.request(request).await;
    assert_eq!(record.stamp.changes, [change]);
    assert_eq!(record.stamp.revision.as_deref(), Some("tip"));
    assert_eq!((&*record.reason, record.priority), ("once more", Some(3)));
    assert!(record.properties.get("scheduler").is_none());
    let (id, _) = slave.begin().await;
    slave.finish(id).await;
    assert_eq!(bench.ended("a-s1", 1).await.requests, [request]);

    bench
        .apply("[slave:s1]\nfactories = b\n[b]\ntype = shell\ncommands = echo b\n")
        .await;
    let denied = bench
        .handle
        .rebuild(again(0))
        .await
        .expect_err("no builder");
    assert!(matches!(denied, Denied::NoBuilder(_)), "{denied}");
}

#[tokio::test]
async fn a_newer_change_stops_the_build_of_an_older_one_and_is_built_itself() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("s1").await;
    push(&bench, CancelSuperseded::Running).await;
    let (id, _) = slave.begin().await;
    let (_, newer) = push(&bench, CancelSuperseded::Running).await;
    // The slave is told to end the command, which then ends as such commands do.
    loop {
        if let Some(FromMaster::Interrupt { .. }) = slave.hear().await {
            break;
        }
    }
    slave.end(id, 1).await;
    let old = bench.ended("a-s1", 0).await;
    assert_eq!(old.outcome, Some(Outcome::Exception));
    let (id, _) = slave.begin().await;
    slave.finish(id).await;
    let new = bench.ended("a-s1", 1).await;
    assert_eq!(
        (new.requests, new.outcome),
        (vec![newer], Some(Outcome::Success))
    );
}

#[tokio::test]
async fn all_that_waits_of_a_change_is_cancelled_and_what_is_built_of_it_is_not() {
    let bench = Bench::new(
        "[slave:s1]\nfactories = a\n[a]\ntype = shell\ncommands = echo old\nmerge_requests = no\n",
    )
    .await;
    let mut slave = bench.attach("s1").await;
    let (change, building) = push(&bench, CancelSuperseded::No).await;
    let (id, _) = slave.begin().await;
    let cancel = |builder: Option<&'static str>| {
        let handle = bench.handle.clone();
        async move {
            let builder = builder.map(Into::into);
            let done = handle
                .cancel_change(change, builder.as_ref(), "not wanted")
                .await;
            done.expect("cancelled")
        }
    };
    assert_eq!(cancel(None).await, [], "it is being built");
    slave.finish(id).await;
    assert_eq!(bench.ended("a-s1", 0).await.requests, [building]);

    let (_, waits) = bench.handle.rebuild(again(0)).await.expect("a request");
    let (busy, _) = slave.begin().await;
    let (_, second) = bench.handle.rebuild(again(0)).await.expect("a request");
    assert_eq!(cancel(Some("b-s1")).await, [], "of another builder");
    assert_eq!(cancel(Some("a-s1")).await, [second]);
    let record = bench.request(second).await;
    assert_eq!(record.cancelled.as_deref(), Some("not wanted"));
    slave.finish(busy).await;
    assert_eq!(bench.ended("a-s1", 1).await.requests, [waits]);
    assert_eq!(bench.waiting().await, [""; 0]);
}

#[tokio::test]
async fn every_build_is_stopped_or_those_of_some_builders() {
    let bench = Bench::new(ONE).await;
    let mut slave = bench.attach("s1").await;
    bench.force("a-s1").await;
    let (id, _) = slave.begin().await;
    let others = ["b-s1".into()];
    let stopped = bench.handle.stop_builds(Some(&others), "enough").await;
    assert_eq!(stopped.expect("asked"), []);
    let stopped = bench.handle.stop_builds(None, "enough").await;
    assert_eq!(stopped.expect("asked"), [key(0)]);
    loop {
        if let Some(FromMaster::Interrupt { .. }) = slave.hear().await {
            break;
        }
    }
    slave.end(id, 1).await;
    let build = bench.ended("a-s1", 0).await;
    assert_eq!(build.outcome, Some(Outcome::Exception));
    let stopped = bench.handle.stop_builds(None, "enough").await;
    assert_eq!(stopped.expect("asked"), [], "nothing runs");
}

#[tokio::test]
async fn who_forces_a_build_says_how_urgent_it_is_or_its_scheduler_does() {
    let ini = format!("{ONE}[scheduler:by hand]\ntype = force\nbuilders = a-s1\npriority = 4\n");
    let bench = Bench::new(&ini).await;
    let usual = bench.force("a-s1").await;
    assert_eq!(bench.request(usual).await.priority, Some(4));
    let force = Force {
        priority: Some(-2),
        ..plain_force("a-s1")
    };
    let (_, own) = bench.handle.force(force).await.expect("a request");
    assert_eq!(bench.request(own).await.priority, Some(-2));
}

/// Has the store refuse what is inserted into one of its tables, or take it again.
fn refuse(bench: &Bench, table: &str, refuses: bool) {
    let path = bench.dir.path().join("state.sqlite");
    let db = rusqlite::Connection::open(path).expect("the store");
    let trigger = match refuses {
        true => format!(
            "CREATE TRIGGER refused BEFORE INSERT ON {table} BEGIN SELECT raise(ABORT, 'no'); END"
        ),
        false => "DROP TRIGGER refused".to_owned(),
    };
    db.execute_batch(&trigger).expect("done");
}

#[tokio::test]
async fn a_forced_build_and_its_entry_of_the_audit_log_are_there_together_or_not_at_all() {
    let bench = Bench::new(ONE).await;
    let force = async || {
        let entry = NewAudit {
            user: Some("ann".into()),
            way: "session".into(),
            place: None,
            action: "force_build".into(),
            target: "builder a-s1".into(),
            result: "begun".into(),
            left_out: 0,
        };
        let act = Arc::new(Act::new(entry, Duration::from_hours(1), 100, true));
        let force = Force {
            act: Some(act),
            ..plain_force("a-s1")
        };
        bench.handle.force(force).await
    };
    let noted = async || {
        let query = AuditQuery {
            limit: 10,
            ..AuditQuery::default()
        };
        let entries = bench.crew().store.read(move |verbs| verbs.audit(&query));
        entries.await.expect("readable").len()
    };
    for table in ["audit", "requests"] {
        refuse(&bench, table, true);
        let denied = force().await.expect_err("it cannot be written");
        assert!(matches!(denied, Denied::Store(_)), "{table}: {denied}");
        assert_eq!(bench.waiting().await.len(), 0, "{table}");
        assert_eq!(noted().await, 0, "{table}");
        refuse(&bench, table, false);
    }

    force().await.expect("a request");

    assert_eq!(bench.waiting().await, ["a-s1"]);
    assert_eq!(noted().await, 1);
}
