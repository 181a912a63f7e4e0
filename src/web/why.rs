//! Why a build ran where and when it did: facts of the store and of the plan,
//! each with its time. What is not written down is said to be so, never guessed.

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::config::BuilderPlan;
use crate::config::Plan;
use crate::config::SchedulerPlan;
use crate::config::explain;
use crate::master::lock_view::LockView;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::Change;
use crate::model::ConfigId;
use crate::model::RequestRecord;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

use super::app::App;
use super::app::Shared;
use super::build;
use super::failure::Failure;
use super::words::Moment;

/// Builds before this one that are looked through for those that kept slaves busy.
const LOOKED_AT: usize = 200;

/// A build with what belongs to its beginning.
pub(super) struct Records<'a> {
    pub(super) build: &'a BuildRecord,
    pub(super) changes: &'a [Change],
    /// Those that are still in the store.
    pub(super) requests: &'a [RequestRecord],
    /// Builds that were begun before this one, the newest first.
    pub(super) before: &'a [BuildRecord],
}

/// What is in force, and what was then.
pub(super) struct InForce<'a> {
    pub(super) plan: &'a Plan,
    pub(super) config: Option<ConfigId>,
}

/// One thing that led to the build, or that happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    /// `None` where the time is not written down, or where there is none.
    pub(super) at: Option<Timestamp>,
    /// A word for what kind of thing it is.
    pub(super) about: &'static str,
    pub(super) what: String,
}

/// A fact as the page has it.
#[derive(Serialize)]
pub(super) struct WhyLine {
    pub(super) at: Option<Moment>,
    pub(super) about: &'static str,
    pub(super) what: String,
}

impl WhyLine {
    pub(super) fn all(facts: Vec<Fact>, now: Timestamp) -> Vec<Self> {
        let lines = facts.into_iter().map(|it| Self {
            at: it.at.map(|at| Moment::new(at, now)),
            about: it.about,
            what: it.what,
        });
        lines.collect()
    }
}

/// Everything there is to say, in the order in which it happened.
pub(super) fn facts(records: &Records<'_>, in_force: &InForce<'_>) -> Vec<Fact> {
    let build = records.build;
    let is_same = build.config.is_some() && build.config == in_force.config;
    let mut facts = Vec::new();
    of_changes(records, &mut facts);
    of_schedulers(records, in_force, is_same, &mut facts);
    of_requests(records, &mut facts);
    let mut builders = in_force.plan.builders.iter();
    let builder = builders.find(|it| it.name == build.key.builder);
    of_the_slave(records, builder.map(AsRef::as_ref), is_same, &mut facts);
    of_the_wait(records, &mut facts);
    facts.push(fact(
        build.started,
        "started",
        format!("as {} on slave `{}`", build.key, build.slave),
    ));
    of_locks(records, builder.map(AsRef::as_ref), is_same, &mut facts);
    match (build.finished, build.outcome) {
        (Some(at), Some(outcome)) => facts.push(fact(at, "finished", outcome.to_string())),
        _ => facts.push(Fact {
            at: None,
            about: "finished",
            what: "not yet".to_owned(),
        }),
    }
    facts
}

pub(super) fn fact(at: Timestamp, about: &'static str, what: String) -> Fact {
    Fact {
        at: Some(at),
        about,
        what,
    }
}

fn of_changes(records: &Records<'_>, facts: &mut Vec<Fact>) {
    for it in records.changes {
        let on = match &it.branch {
            Some(branch) => format!(" on `{branch}`"),
            None => String::new(),
        };
        let revision = match &it.revision {
            Some(revision) => format!(", revision {revision}"),
            None => String::new(),
        };
        let what = format!("{} by {}{on}{revision}", it.id, it.author);
        facts.push(fact(it.when, "change", what));
    }
    let forgotten = records.build.stamp.changes.len() - records.changes.len();
    if forgotten > 0 {
        facts.push(Fact {
            at: None,
            about: "change",
            what: format!("{forgotten} more, which are forgotten"),
        });
    }
    if records.build.stamp.changes.is_empty() {
        let stamp = &records.build.stamp;
        let of = match (&stamp.revision, &stamp.branch) {
            (Some(revision), _) => format!("revision {revision} was asked for"),
            (None, Some(branch)) => format!("the latest of `{branch}` was asked for"),
            (None, None) => "the latest was asked for".to_owned(),
        };
        facts.push(Fact {
            at: None,
            about: "change",
            what: format!("none: {of}"),
        });
    }
}

fn of_schedulers(
    records: &Records<'_>,
    in_force: &InForce<'_>,
    is_same: bool,
    facts: &mut Vec<Fact>,
) {
    let mut told: Vec<&str> = Vec::new();
    for request in records.requests {
        let Some(name) = request.properties.text("scheduler") else {
            continue;
        };
        if told.contains(&name) {
            continue;
        }
        told.push(name);
        let mut all = in_force.plan.schedulers.iter();
        let plan = all.find(|it| it.name.as_str() == name);
        let what = match (plan, is_same) {
            (Some(plan), true) => format!("`{name}` {}", rule(plan)),
            _ => format!("`{name}`; {}", other_config(records.build)),
        };
        facts.push(Fact {
            at: None,
            about: "scheduler",
            what,
        });
    }
    if told.is_empty() {
        let what = match records.requests {
            [] => "which one is not recorded",
            _ => "none: the build was asked for",
        };
        facts.push(Fact {
            at: None,
            about: "scheduler",
            what: what.to_owned(),
        });
    }
}

fn rule(plan: &SchedulerPlan) -> String {
    let builds = explain::builds(plan);
    let conditions = plan.settings.filter().map(|it| it.describe());
    match conditions.unwrap_or_default().as_slice() {
        [] => builds,
        conditions => format!(
            "{builds}; it hears of a change if {}",
            conditions.join(", and ")
        ),
    }
}

/// What is said of rules that may have changed since.
fn other_config(build: &BuildRecord) -> String {
    match build.config {
        Some(id) => format!(
            "configuration {id} was in force, and is no more: `autobot config show {id} --builder \
             {}` prints its rules",
            build.key.builder
        ),
        None => "which configuration was in force is not recorded".to_owned(),
    }
}

fn of_requests(records: &Records<'_>, facts: &mut Vec<Fact>) {
    let build = records.build;
    for request in records.requests {
        let reason = match request.reason.as_str() {
            "" => "no reason given",
            reason => reason,
        };
        let what = format!("{} was submitted: {reason}", request.id);
        facts.push(fact(request.submitted, "request", what));
        let earlier = request.builds.iter().take_while(|it| **it != build.key);
        for key in earlier {
            facts.push(Fact {
                at: None,
                about: "request",
                what: format!("{} had it and gave it back", key),
            });
        }
    }
    let forgotten = build.requests.len() - records.requests.len();
    if forgotten > 0 {
        facts.push(Fact {
            at: None,
            about: "request",
            what: format!("{forgotten} more, which are not recorded any more"),
        });
    }
    if build.requests.len() > 1 {
        let ids: Vec<_> = build.requests.iter().map(ToString::to_string).collect();
        facts.push(fact(
            build.started,
            "merge",
            format!("requests {} became one build", ids.join(", ")),
        ));
    }
}

/// When the first of its requests was submitted, or else its beginning.
fn first_asked(records: &Records<'_>) -> Timestamp {
    let submitted = records.requests.iter().map(|it| it.submitted);
    submitted.min().unwrap_or(records.build.started)
}

fn of_the_wait(records: &Records<'_>, facts: &mut Vec<Fact>) {
    let (since, until) = (first_asked(records), records.build.started);
    if since < until {
        let waited = clock::human(until.since(since));
        let what = format!("{waited} from the first request to the beginning");
        facts.push(fact(until, "waited", what));
    }
}

fn of_the_slave(
    records: &Records<'_>,
    builder: Option<&BuilderPlan>,
    is_same: bool,
    facts: &mut Vec<Fact>,
) {
    let build = records.build;
    let since = first_asked(records);
    let Some(builder) = builder.filter(|_| is_same) else {
        facts.push(Fact {
            at: None,
            about: "slave",
            what: format!("`{}`; {}", build.slave, other_config(build)),
        });
        return;
    };
    let mut was_busy = Vec::new();
    for it in records.before.iter().rev() {
        let is_ours = builder.slaves.contains(&it.slave);
        if !is_ours || it.finished.is_some_and(|end| end <= since) {
            continue;
        }
        if it.finished.is_none_or(|end| end > build.started) {
            was_busy.push(&it.slave);
        }
        let until = match it.finished {
            Some(end) => format!("until {}", clock::iso(end)),
            None => "and still does".to_owned(),
        };
        let what = format!("`{}` built {} {until}", it.slave, it.key);
        facts.push(fact(it.started, "busy", what));
    }
    for slave in &builder.slaves {
        if *slave != build.slave && !was_busy.contains(&slave) {
            facts.push(Fact {
                at: None,
                about: "slave",
                what: format!(
                    "`{slave}` could have built it, too; whether it was here is not recorded"
                ),
            });
        }
    }
}

fn of_locks(
    records: &Records<'_>,
    builder: Option<&BuilderPlan>,
    is_same: bool,
    facts: &mut Vec<Fact>,
) {
    let Some(builder) = builder.filter(|it| is_same && !it.locks.is_empty()) else {
        return;
    };
    let locks: Vec<_> = builder
        .locks
        .as_slice()
        .iter()
        .map(ToString::to_string)
        .collect();
    facts.push(fact(
        records.build.started,
        "locks",
        format!(
            "{}: taken when it began; how long they were waited for is not recorded",
            locks.join(", ")
        ),
    ));
}

/// What the store keeps of a build's beginning.
fn read(
    store: &mut dyn Store,
    build: &BuildRecord,
) -> Result<(Vec<RequestRecord>, Vec<BuildRecord>), StoreError> {
    let mut requests = Vec::new();
    for id in &build.requests {
        requests.extend(store.request(*id)?);
    }
    let before = store.recent_builds(None, Some(BuildId(build.id.0)), LOOKED_AT)?;
    Ok((requests, before))
}

/// The facts of a build that was found.
pub(super) async fn of(app: &App, found: &build::Facts) -> Result<Vec<Fact>, Failure> {
    let build = found.build.clone();
    let (requests, before) = app.read(move |store| read(store, &build)).await?;
    let plan = app.desk.plan();
    let records = Records {
        build: &found.build,
        changes: &found.changes,
        requests: &requests,
        before: &before,
    };
    let in_force = InForce {
        plan: &plan,
        config: app.desk.config(),
    };
    let mut facts = facts(&records, &in_force);
    if found.build.finished.is_none() {
        facts.extend(of_waiting_locks(&app.desk.locks().await, &found.build.key));
    }
    Ok(facts)
}

/// The locks that a running build waits for, and who has them.
fn of_waiting_locks(locks: &[LockView], build: &BuildKey) -> Vec<Fact> {
    let waits = |it: &&LockView| it.waiting.iter().any(|it| it.build.as_ref() == Some(build));
    let waited = locks.iter().filter(waits).map(|it| {
        let holders = it.holders.iter().filter_map(|it| it.build.as_ref());
        let holders: Vec<_> = holders.map(ToString::to_string).collect();
        let who = match holders.as_slice() {
            [] => "others were earlier".to_owned(),
            holders => format!("{} has it", holders.join(", ")),
        };
        Fact {
            at: None,
            about: "locks",
            what: format!("it waits for {}: {who}", it.name),
        }
    });
    waited.collect()
}

pub(super) async fn document(
    State(app): State<Shared>,
    Path((builder, number)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let found = build::find(&app, builder, &number).await?;
    let facts = of(&app, &found).await?;
    let facts: Vec<_> = facts
        .iter()
        .map(|it| json!({ "time": it.at.map(clock::iso), "about": it.about, "what": it.what }))
        .collect();
    Ok(Json(json!({
        "about": format!("build {}", found.build.key),
        "builder": found.build.key.builder,
        "number": found.build.key.number,
        "facts": facts,
    })))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::plan_of;
    use crate::master::lock_view::LockUserView;
    use crate::model::Access;
    use crate::model::BuildsetId;
    use crate::model::ChangeId;
    use crate::model::Outcome;
    use crate::model::Properties;
    use crate::model::RequestId;
    use crate::model::SourceStamp;

    const FARM: &str = "[:master:]\nbuilders = factory\nfactories = words\n\
        [slave:one]\npassword = x\n[slave:two]\npassword = x\n[slave:three]\npassword = x\n\
        [lock:db]\n[words]\ntype = shell\ngit = https://git.test/words.git#main\ncommand = make\n\
        [builder:words]\nlocks = db exclusive\n";

    fn secs(secs: i64) -> Timestamp {
        Timestamp(secs * 1000)
    }

    fn build(builder: &str, slave: &str, started: i64, finished: Option<i64>) -> BuildRecord {
        BuildRecord {
            id: BuildId(started),
            key: BuildKey {
                builder: builder.into(),
                number: started,
            },
            slave: slave.into(),
            reason: String::new(),
            stamp: SourceStamp::default(),
            properties: Properties::new(),
            requests: Vec::new(),
            blame: Vec::new(),
            started: secs(started),
            finished: finished.map(secs),
            outcome: finished.map(|_| Outcome::Success),
            text: Vec::new(),
            failing_since: None,
            config: Some(ConfigId(1)),
        }
    }

    fn request(id: i64, submitted: i64, scheduler: &str) -> RequestRecord {
        let mut properties = Properties::new();
        properties.set("scheduler", scheduler, "Scheduler");
        RequestRecord {
            id: RequestId(id),
            buildset: BuildsetId(id),
            builder: "words".into(),
            submitted: secs(submitted),
            reason: "scheduler".into(),
            stamp: Arc::default(),
            properties: Arc::new(properties),
            priority: None,
            cancelled: None,
            outcome: None,
            builds: Vec::new(),
            claimed: true,
        }
    }

    fn shown(records: &Records<'_>, config: i64) -> String {
        let plan = plan_of(FARM);
        let in_force = InForce {
            plan: &plan,
            config: Some(ConfigId(config)),
        };
        let lines = facts(records, &in_force).into_iter().map(|it| {
            let at = it.at.map_or("-".to_owned(), |it| (it.0 / 1000).to_string());
            // Times inside of a text have the zone of who runs the test.
            let what = match it.what.split_once(" until ") {
                Some((what, _)) => format!("{what} until …"),
                None => it.what,
            };
            format!("{at:>3} {}: {what}", it.about)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn change() -> Change {
        Change {
            id: ChangeId(4),
            author: "ann".into(),
            files: Vec::new(),
            comments: String::new(),
            revision: Some("5f0c".into()),
            branch: Some("main".into()),
            category: None,
            revlink: String::new(),
            repository: "https://git.test/words.git".into(),
            project: String::new(),
            when: secs(10),
            properties: Properties::new(),
        }
    }

    #[test]
    fn a_build_is_told_from_its_change_to_its_end() {
        let mut own = build("words", "one", 100, Some(160));
        own.requests = vec![RequestId(1), RequestId(2)];
        own.stamp.changes = vec![ChangeId(4)];
        let requests = [request(1, 70, "words"), request(2, 80, "words")];
        let records = Records {
            build: &own,
            changes: &[change()],
            requests: &requests,
            before: &[
                build("other", "two", 90, None),
                build("words", "one", 40, Some(99)),
                build("words", "one", 20, Some(30)),
            ],
        };
        insta::assert_snapshot!(shown(&records, 1), @"
         10 change: 4 by ann on `main`, revision 5f0c
          - scheduler: `words` builds when its source was stable for 60 s; it hears of a change if the branch is `main` of `https://git.test/words.git`
         70 request: 1 was submitted: scheduler
         80 request: 2 was submitted: scheduler
        100 merge: requests 1, 2 became one build
         40 busy: `one` built words/40 until …
         90 busy: `two` built other/90 and still does
          - slave: `three` could have built it, too; whether it was here is not recorded
        100 waited: 30.0 s from the first request to the beginning
        100 started: as words/100 on slave `one`
        100 locks: db exclusive: taken when it began; how long they were waited for is not recorded
        160 finished: success
        ");
    }

    #[test]
    fn a_running_build_that_waits_for_a_lock_says_who_has_it() {
        let user = |number| LockUserView {
            build: Some(build("words", "one", number, None).key),
            builder: Some("words".into()),
            access: Access::Exclusive,
        };
        let lock = LockView {
            name: "database".into(),
            is_of_slaves: false,
            slave: None,
            max_count: 1,
            holders: vec![user(812)],
            waiting: vec![user(813)],
        };
        let locks = [lock];
        let told = of_waiting_locks(&locks, &build("words", "one", 813, None).key);
        assert_eq!(told[0].what, "it waits for database: words/812 has it");
        assert_eq!(
            of_waiting_locks(&locks, &build("words", "one", 812, None).key),
            []
        );
    }

    #[test]
    fn what_is_not_recorded_is_said_to_be_so() {
        let mut own = build("words", "one", 100, None);
        own.requests = vec![RequestId(1)];
        own.stamp.changes = vec![ChangeId(4)];
        let records = Records {
            build: &own,
            changes: &[],
            requests: &[],
            before: &[],
        };
        insta::assert_snapshot!(shown(&records, 2), @r#"
          - change: 1 more, which are forgotten
          - scheduler: which one is not recorded
          - request: 1 more, which are not recorded any more
          - slave: `one`; configuration 1 was in force, and is no more: `autobot config show 1 --builder words` prints its rules
        100 started: as words/100 on slave `one`
          - finished: not yet
        "#);
    }
}
