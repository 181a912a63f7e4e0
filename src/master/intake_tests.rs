//! What a request that comes in puts an end to.

use std::sync::Arc;

use super::*;
use crate::config::plan_of;
use crate::model::{BuildId, ChangeId, NewChange, Outcome, Patch, Properties};
use crate::store::{BuildEnd, NewBuild, StoreHandle, effort};

/// The builders `a` and `b`, with more keys for both.
fn plan(keys: &str) -> Arc<Plan> {
    Arc::new(plan_of(&format!(
        "[slave:s]\npassword = x\nfactories = f\n[f]\ntype = shell\ncommands = true\n\
         [builder:a]\nfactory = f\nslaves = s\n{keys}\n[builder:b]\nfactory = f\nslaves = s\n{keys}\n"
    )))
}

struct Bench {
    _dir: tempfile::TempDir,
    store: StoreHandle,
    plan: Arc<Plan>,
}

/// What somebody wants, by default a scheduler because of changes of `main`.
#[derive(Clone)]
struct Wish {
    builder: &'static str,
    changes: Vec<i64>,
    branch: &'static str,
    project: &'static str,
    repository: &'static str,
    patch: bool,
    by_hand: bool,
    priority: Option<i64>,
    rules: QueueRules,
}

fn changes(ids: &[i64]) -> Wish {
    Wish {
        builder: "a",
        changes: ids.to_vec(),
        branch: "main",
        project: "",
        repository: "https://git.test/x",
        patch: false,
        by_hand: false,
        priority: None,
        rules: QueueRules::default(),
    }
}

impl Bench {
    async fn new(keys: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a store");
        let added = store.write(|verbs| {
            for _ in 0..9 {
                verbs.add_change(&NewChange::by("ann"), clock::now())?;
            }
            Ok(())
        });
        added.await.expect("changes");
        Self {
            _dir: dir,
            store,
            plan: plan(keys),
        }
    }

    fn wanted(&self, wish: &Wish) -> NewBuildset {
        let mut properties = Properties::new();
        if !wish.by_hand {
            properties.set("scheduler", "quick", "Scheduler");
        }
        let patch = Patch {
            level: 1,
            diff: b"x".to_vec(),
            subdir: None,
            author: None,
            comment: None,
        };
        NewBuildset {
            reason: "why".into(),
            stamp: SourceStamp {
                branch: Some(wish.branch.into()),
                revision: None,
                repository: wish.repository.into(),
                project: wish.project.into(),
                patch: wish.patch.then_some(patch),
                changes: wish.changes.iter().copied().map(ChangeId).collect(),
            },
            properties,
            priority: wish.priority,
            builders: vec![wish.builder.into()],
        }
    }

    async fn want(&self, wish: Wish) -> std::result::Result<Intake, Full> {
        let plan = Arc::clone(&self.plan);
        let wanted = self.wanted(&wish);
        let taken = self.store.write(move |verbs| {
            let asker = match wish.by_hand {
                true => Asker::Person,
                false => Asker::Scheduler(&wish.rules),
            };
            take_in(verbs, &plan, &wanted, asker)
        });
        taken.await.expect("written")
    }

    /// The number of the request.
    async fn ask(&self, wish: Wish) -> RequestId {
        let intake = self.want(wish).await.expect("not full");
        intake.requests[0].id
    }

    /// Begins a build of the requests.
    async fn build(&self, requests: &[RequestId]) -> BuildId {
        let new = NewBuild {
            builder: "a".into(),
            slave: "s".into(),
            requests: requests.to_vec(),
            stamp: SourceStamp::default(),
            reason: String::new(),
            config: None,
            locks: Vec::new(),
        };
        let begun = self
            .store
            .write(move |verbs| verbs.start_build(&new, clock::now()));
        begun.await.expect("written").expect("free").id
    }

    /// The requests that wait.
    async fn waiting(&self) -> Vec<RequestId> {
        self.store
            .read(|verbs| verbs.pending_ids())
            .await
            .expect("readable")
    }

    async fn why_cancelled(&self, id: RequestId) -> Option<String> {
        let found = self.store.read(move |verbs| verbs.request(id)).await;
        let found = found.expect("readable").expect("there");
        assert_eq!(found.outcome.is_some(), found.cancelled.is_some());
        found.cancelled
    }
}

#[tokio::test]
async fn a_newer_request_cancels_older_ones_of_its_branch_that_wait_and_says_so() {
    let bench = Bench::new("cancel_superseded = queued").await;
    let first = bench.ask(changes(&[1])).await;
    let second = bench.ask(changes(&[2])).await;
    let third = bench.want(changes(&[3])).await.expect("not full");
    assert_eq!(bench.waiting().await, [third.requests[0].id]);
    let gone: Vec<RequestId> = third.gone.iter().map(|it| it.0).collect();
    assert_eq!(gone, [second]);
    assert_eq!(
        bench.why_cancelled(first).await.as_deref(),
        Some("superseded by request 2")
    );
}

#[tokio::test]
async fn what_is_not_of_the_same_branch_or_not_of_a_scheduler_is_never_superseded() {
    let bench = Bench::new("cancel_superseded = running").await;
    let mut kept = Vec::new();
    for other in [
        Wish {
            branch: "stable",
            ..changes(&[1])
        },
        Wish {
            project: "other",
            ..changes(&[1])
        },
        Wish {
            repository: "https://git.test/y",
            ..changes(&[1])
        },
        Wish {
            builder: "b",
            ..changes(&[1])
        },
        Wish {
            patch: true,
            ..changes(&[1])
        },
        Wish {
            by_hand: true,
            ..changes(&[1])
        },
        Wish {
            by_hand: true,
            ..changes(&[])
        },
        changes(&[]),
    ] {
        kept.push(bench.ask(other).await);
    }
    kept.push(bench.ask(changes(&[2])).await);
    assert_eq!(bench.waiting().await, kept);

    // Nor do these supersede anything.
    for other in [
        Wish {
            patch: true,
            ..changes(&[3])
        },
        Wish {
            by_hand: true,
            ..changes(&[3])
        },
        // The build of an older change once more.
        changes(&[1]),
    ] {
        kept.push(bench.ask(other).await);
    }
    assert_eq!(bench.waiting().await, kept);
}

#[tokio::test]
async fn a_build_is_stopped_if_nothing_in_it_is_still_wanted() {
    let bench = Bench::new("cancel_superseded = running").await;
    let first = bench.ask(changes(&[1])).await;
    bench.build(&[first]).await;
    let intake = bench.want(changes(&[2])).await.expect("not full");
    let stopped: Vec<String> = intake
        .stopped
        .iter()
        .map(|(build, why)| format!("{build}: {why}"))
        .collect();
    assert_eq!(stopped, ["a/0: superseded by request 2"]);
    // It is written down, so that a master that is killed now stops it after its restart.
    let unfinished = bench.store.read(|verbs| verbs.unfinished_builds()).await;
    let reasons: Vec<_> = unfinished
        .expect("readable")
        .into_iter()
        .map(|it| it.stop_reason)
        .collect();
    assert_eq!(reasons, [Some("superseded by request 2".to_owned())]);

    // Somebody's own request has become part of this one.
    let (second, own) = (
        intake.requests[0].id,
        bench
            .ask(Wish {
                by_hand: true,
                ..changes(&[2])
            })
            .await,
    );
    bench.build(&[second, own]).await;
    let intake = bench.want(changes(&[3])).await.expect("not full");
    let stopped: Vec<i64> = intake.stopped.iter().map(|it| it.0.number).collect();
    assert_eq!(stopped, [0], "a/0 still runs, and a/1 goes on");
}

#[tokio::test]
async fn with_queued_only_what_waits_is_cancelled() {
    let bench = Bench::new("cancel_superseded = queued").await;
    let first = bench.ask(changes(&[1])).await;
    bench.build(&[first]).await;
    let intake = bench.want(changes(&[2])).await.expect("not full");
    assert_eq!((intake.stopped, intake.gone), (vec![], vec![]));
}

#[tokio::test]
async fn a_schedulers_word_counts_more_than_its_builders() {
    let said = |word| QueueRules {
        cancel_superseded: Some(word),
        ..QueueRules::default()
    };
    let bench = Bench::new("cancel_superseded = queued").await;
    let rules = said(CancelSuperseded::No);
    bench.ask(changes(&[1])).await;
    bench
        .ask(Wish {
            rules,
            ..changes(&[2])
        })
        .await;
    assert_eq!(bench.waiting().await.len(), 2);

    let bench = Bench::new("").await;
    bench.ask(changes(&[1])).await;
    bench.ask(changes(&[2])).await;
    assert_eq!(
        bench.waiting().await.len(),
        2,
        "nothing is cancelled by itself"
    );
    let rules = said(CancelSuperseded::Queued);
    let last = bench
        .ask(Wish {
            rules,
            ..changes(&[3])
        })
        .await;
    assert_eq!(bench.waiting().await, [last]);
}

#[tokio::test]
async fn where_no_more_may_wait_the_oldest_of_the_least_urgent_goes() {
    let bench = Bench::new("max_pending = 3").await;
    let [urgent, first, second, third] = [
        bench
            .ask(Wish {
                priority: Some(1),
                ..changes(&[1])
            })
            .await,
        bench.ask(changes(&[2])).await,
        bench.ask(changes(&[3])).await,
        bench.ask(changes(&[4])).await,
    ];
    assert_eq!(bench.waiting().await, [urgent, second, third]);
    assert_eq!(
        bench.why_cancelled(first).await.as_deref(),
        Some("builder a lets 3 requests wait (max_pending), and newer ones came")
    );
    // What is built makes room; another builder has its own.
    bench.build(&[urgent]).await;
    bench.ask(changes(&[5])).await;
    bench
        .ask(Wish {
            builder: "b",
            ..changes(&[5])
        })
        .await;
    assert_eq!(bench.waiting().await.len(), 4);
    // The new one is the least urgent itself.
    let late = Wish {
        priority: Some(-1),
        ..changes(&[6])
    };
    let intake = bench.want(late).await.expect("a scheduler is not refused");
    assert!(intake.requests.is_empty(), "{intake:?}");
}

#[tokio::test]
async fn who_asks_for_more_than_may_wait_is_refused_and_nothing_goes_for_it() {
    let bench = Bench::new("max_pending = 1").await;
    let first = bench.ask(changes(&[1])).await;
    let refused = bench
        .want(Wish {
            by_hand: true,
            ..changes(&[])
        })
        .await;
    let refused = refused.expect_err("full");
    assert_eq!(
        Denied::from(refused).to_string(),
        "1 requests wait for builder a already, and no more may (max_pending)"
    );
    assert_eq!(bench.waiting().await, [first]);
    let newest = bench.store.read(|verbs| verbs.newest_buildset()).await;
    assert_eq!(newest.expect("readable"), BuildsetId(1), "nothing was made");
}

/// What is read whole when a request comes while so many others wait.
async fn read_for_one_more(keys: &str, waiting: i64) -> usize {
    let bench = Bench::new("").await;
    let store = bench.store.clone();
    let filled = store.write(move |verbs| {
        for number in 0..waiting {
            let wanted = NewBuildset {
                reason: "by hand".into(),
                stamp: SourceStamp {
                    branch: Some(format!("topic-{number}")),
                    repository: "https://git.test/x".into(),
                    changes: vec![ChangeId(1)],
                    ..SourceStamp::default()
                },
                properties: Properties::new(),
                priority: None,
                builders: vec!["a".into()],
            };
            verbs.add_buildset(&wanted, clock::now())?;
        }
        Ok(())
    });
    filled.await.expect("written");
    let bench = Bench {
        plan: plan(keys),
        ..bench
    };
    bench.ask(changes(&[1])).await;
    let plan = Arc::clone(&bench.plan);
    let wanted = bench.wanted(&changes(&[2]));
    let taken = store.write(move |verbs| {
        let rules = QueueRules::default();
        let (read, intake) =
            effort::of(|| take_in(verbs, &plan, &wanted, Asker::Scheduler(&rules)));
        Ok((
            read,
            intake?.expect("a scheduler is not refused").gone.len(),
        ))
    });
    let (read, gone) = taken.await.expect("written");
    assert!(gone > 0, "something goes");
    read
}

#[tokio::test]
async fn no_more_is_read_for_a_request_because_more_wait() {
    for keys in ["cancel_superseded = queued", "max_pending = 5"] {
        let (few, many) = (
            read_for_one_more(keys, 10).await,
            read_for_one_more(keys, 300).await,
        );
        assert_eq!(few, many, "{keys}");
        assert!(few <= 3, "{keys}: {few}");
    }
}

#[tokio::test]
async fn a_superseded_request_makes_its_buildset_a_failure() {
    let bench = Bench::new("cancel_superseded = queued").await;
    let first = bench.want(changes(&[1])).await.expect("not full");
    bench.ask(changes(&[2])).await;
    let id = first.buildset.expect("made");
    let set = bench.store.read(move |verbs| verbs.buildset(id)).await;
    let outcome = set.expect("readable").expect("there").outcome;
    assert_eq!(outcome, Some(Outcome::Failure));
}

#[tokio::test]
async fn a_build_that_has_ended_is_not_stopped() {
    let bench = Bench::new("cancel_superseded = running").await;
    let first = bench.ask(changes(&[1])).await;
    let build = bench.build(&[first]).await;
    let end = BuildEnd {
        outcome: Outcome::Success,
        text: vec![],
        properties: Properties::new(),
    };
    let ended = bench
        .store
        .write(move |verbs| verbs.finish_build(build, &end, clock::now()));
    ended.await.expect("written");
    let intake = bench.want(changes(&[2])).await.expect("not full");
    assert_eq!((intake.stopped, intake.gone), (vec![], vec![]));
}
