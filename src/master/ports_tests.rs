//! What a scheduler's desk keeps, and under which name.

use serde_json::json;

use super::*;
use crate::config::plan_of;
use crate::master::bench::PlayedMaster;

const BUILDER: &str = "[:master:]\nslaveport = none\nhtmlport = none\nderive = no\n\
    [slave:s]\npassword = x\nfactories = a\n[a]\ntype = shell\ncommand = true\n";

/// A master without schedulers, and the desk that one of these lines has there.
async fn desk(lines: &str) -> (tempfile::TempDir, PlayedMaster, SchedulerDesk) {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("master.ini"), BUILDER).expect("written");
    let master = PlayedMaster::start(dir.path()).await;
    let master = master.unwrap_or_else(|error| panic!("{error}"));
    let desk = desk_of(&master, lines);
    (dir, master, desk)
}

fn desk_of(master: &PlayedMaster, lines: &str) -> SchedulerDesk {
    let plan = plan_of(&format!("{BUILDER}[scheduler:x]\nbuilders = *\n{lines}\n"));
    SchedulerDesk {
        crew: Arc::clone(master.handle().crew()),
        plan: Arc::clone(&plan.schedulers[0]),
    }
}

fn change(branch: &str, revision: &str) -> NewChange {
    NewChange {
        author: "ann".into(),
        files: Vec::new(),
        comments: String::new(),
        revision: Some(revision.into()),
        branch: Some(branch.into()),
        category: None,
        revlink: String::new(),
        repository: "r".into(),
        project: revision.into(),
        when: None,
        properties: Properties::new(),
        origin: None,
        vc: None,
    }
}

#[tokio::test]
async fn of_several_changes_the_newest_says_which_source_and_all_of_them_are_attached() {
    let (_dir, master, desk) =
        desk("branch = none\nproperty.p = 1\nproperty.scheduler = other").await;
    let first = master.add_change(change("old", "1")).await.expect("kept");
    let second = master.add_change(change("new", "2")).await.expect("kept");
    let wish = Wish {
        what: Wanted::Changes(vec![second, first]),
        reason: "scheduler".into(),
    };
    desk.request(wish, json!({"seen": 2})).await.expect("kept");
    let waiting = master
        .handle()
        .store()
        .read(|verbs| verbs.pending_requests());
    let waiting = waiting.await.expect("readable");
    let request = &waiting[0];
    let stamp = &request.stamp;
    assert_eq!(
        (
            stamp.branch.as_deref(),
            stamp.revision.as_deref(),
            &*stamp.repository,
            &*stamp.project
        ),
        (Some("new"), Some("2"), "r", "2")
    );
    assert_eq!(stamp.changes, [first, second]);
    assert_eq!(request.reason, "scheduler");
    let properties: Vec<_> = request
        .properties
        .iter()
        .map(|(name, it)| format!("{name}={} {}", it.value, it.source))
        .collect();
    assert_eq!(
        properties,
        [r#"p="1" Scheduler"#, r#"scheduler="x" Scheduler"#]
    );
    // In the same transaction.
    assert_eq!(desk.state().await.expect("readable"), json!({"seen": 2}));
}

#[tokio::test]
async fn the_latest_source_names_a_branch_and_nothing_else() {
    let (_dir, master, desk) = desk("type = periodic\nevery = 1h\nbranch = main").await;
    let wish = Wish {
        what: Wanted::latest(Some("main".into())),
        reason: "r".into(),
    };
    desk.request(wish, json!({})).await.expect("kept");
    let waiting = master
        .handle()
        .store()
        .read(|verbs| verbs.pending_requests());
    let stamp = waiting.await.expect("readable").remove(0).stamp;
    let latest = SourceStamp {
        branch: Some("main".into()),
        ..SourceStamp::default()
    };
    assert_eq!(*stamp, latest);
}

#[tokio::test]
async fn a_scheduler_finds_its_state_by_its_name_and_kind_and_another_kind_begins_anew() {
    let (_dir, master, desk) = desk("branch = main").await;
    desk.save(json!({"changes": [[1, true]], "seen": 1}))
        .await
        .expect("kept");
    let other_timer = desk_of(&master, "branch = dev\ntree_stable_timer = 5");
    let kept = other_timer.state().await.expect("readable");
    assert_eq!(kept["seen"], 1, "other settings are the same scheduler");
    let other_kind = desk_of(&master, "type = any_branch");
    assert_eq!(other_kind.state().await.expect("readable"), Value::Null);
    let mut renamed = desk_of(&master, "branch = main");
    let mut plan = SchedulerPlan::clone(&renamed.plan);
    plan.name = "y".into();
    renamed.plan = Arc::new(plan);
    assert_eq!(renamed.state().await.expect("readable"), Value::Null);
    // An old name of the class is the same kind.
    let old_name = desk_of(&master, "type = Scheduler\nbranch = main");
    assert_eq!(old_name.state().await.expect("readable")["seen"], 1);
}
