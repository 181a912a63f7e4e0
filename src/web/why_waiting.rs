//! Why something waits, or what became of it: of a request, a builder and a
//! change. The words are the core's own, which decides.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::config::Plan;
use crate::config::explain;
use crate::master::outlook::{Outlook, Scope, SlavesOf};
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SchedulerName;
use crate::model::Timestamp;

use super::app::App;
use super::app::Shared;
use super::failure::Failure;
use super::why::Fact;
use super::why::fact;

/// So many requests of a builder are told of, the next ones.
const TOLD: usize = 20;

fn timeless(about: &'static str, what: String) -> Fact {
    let at = None;
    Fact { at, about, what }
}

/// What became of a request, or why it waits.
pub(super) fn of_request(request: &RequestRecord, outlook: &Outlook) -> Vec<Fact> {
    let reason = match request.reason.trim() {
        "" => "no reason given",
        reason => reason,
    };
    let what = format!(
        "{} for builder {} was submitted: {reason}",
        request.id, request.builder
    );
    let mut facts = vec![fact(request.submitted, "request", what)];
    if let Some(scheduler) = request.properties.text("scheduler") {
        facts.push(timeless("scheduler", format!("`{scheduler}`")));
    }
    if !request.stamp.changes.is_empty() {
        let changes = request.stamp.changes.iter().map(ToString::to_string);
        let changes: Vec<_> = changes.collect();
        facts.push(timeless("changes", changes.join(", ")));
    }
    if let Some(priority) = request.priority {
        facts.push(timeless("priority", priority.to_string()));
    }
    let is_open = request.outcome.is_none() && !request.claimed;
    let given_back = match is_open {
        true => request.builds.len(),
        false => request.builds.len().saturating_sub(1),
    };
    for key in request.builds.iter().take(given_back) {
        facts.push(timeless("build", format!("{key} had it and gave it back")));
    }
    facts.push(timeless("state", state(request, outlook)));
    if let Some(expected) = outlook.expected(request.id).filter(|_| is_open) {
        facts.push(timeless("expected", expected));
    }
    facts
}

/// Where the request stands, with why.
fn state(request: &RequestRecord, outlook: &Outlook) -> String {
    let build = request.builds.last();
    match (request.outcome, &request.cancelled, build) {
        (Some(_), Some(why), _) => format!("it was cancelled: {}", why.trim()),
        (Some(outcome), None, Some(build)) => format!("it ended with {build}: {outcome}"),
        (Some(outcome), None, None) => format!("it is complete: {outcome}"),
        (None, _, Some(build)) if request.claimed => format!("it is being built as {build}"),
        (None, _, _) => match outlook.why(request.id) {
            Some(why) => format!("it waits: {why}"),
            None => "it waits: its turn comes".to_owned(),
        },
    }
}

/// What a builder does, and what keeps it from doing more.
pub(super) fn of_builder(
    (waiting, count): (&[RequestRecord], usize),
    running: &[BuildRecord],
    slaves: &SlavesOf,
    outlook: &Outlook,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (slave, why) in slaves {
        let what = match why {
            Some(why) => {
                let left = why.builds.iter();
                let left = left.filter_map(|it| Some(format!("; {it}: {}", outlook.left(it)?)));
                format!("{}{}", why.text, left.collect::<String>())
            }
            None => format!("slave {slave} can take its next build"),
        };
        facts.push(timeless("slave", what));
    }
    for build in running {
        let left = outlook.left(&build.key);
        let left = left.map(|it| format!(", {it}")).unwrap_or_default();
        let what = format!("{} on slave {}{left}", build.key, build.slave);
        facts.push(fact(build.started, "running", what));
    }
    if waiting.is_empty() {
        facts.push(timeless("waiting", "nothing waits".to_owned()));
    }
    for request in waiting {
        let expected = outlook.expected(request.id);
        let expected = expected.map(|it| format!("; {it}")).unwrap_or_default();
        let what = format!(
            "request {}: {}{expected}",
            request.id,
            state(request, outlook)
        );
        facts.push(fact(request.submitted, "waiting", what));
    }
    if count > waiting.len() {
        let more = format!("{} more requests", count - waiting.len());
        facts.push(timeless("waiting", more));
    }
    facts
}

/// A scheduler that keeps changes until it asks for builds of them.
pub(super) struct Held {
    scheduler: SchedulerName,
    /// When it asks, unless it hears of another change before.
    due: Option<Timestamp>,
    /// Whether changes of several branches wait, each of them with a time of its own.
    is_of_branches: bool,
}

impl Held {
    fn new(scheduler: SchedulerName, due: Option<Timestamp>, state: &Value) -> Self {
        let kept = state["changes"].as_array().into_iter().flatten();
        let branches: BTreeSet<_> = kept.filter_map(|it| it.get(2)?.as_str()).collect();
        Self {
            scheduler,
            due,
            is_of_branches: branches.len() > 1,
        }
    }

    /// How long its timer still runs, with the moment at which it is over.
    fn timer(&self, now: Timestamp) -> Option<Fact> {
        let due = self.due?;
        let name = &self.scheduler;
        let whose = match self.is_of_branches {
            true => "the first of its branches is due",
            false => "it asks for builds",
        };
        let left = match due.since(now) {
            left if left.is_zero() => "now".to_owned(),
            left => format!("in {}", clock::human(left)),
        };
        Some(fact(
            due,
            "timer",
            format!("`{name}`: {whose} {left}, unless another change comes before"),
        ))
    }
}

/// Who hears of a change, who still waits before asking for a build of it, and what became of
/// what was asked for.
pub(super) fn of_change(
    change: &Change,
    plan: &Plan,
    held: &[Held],
    requests: &[RequestRecord],
    outlook: &Outlook,
) -> Vec<Fact> {
    let now = clock::now();
    let on = match &change.branch {
        Some(branch) => format!(" on `{branch}`"),
        None => String::new(),
    };
    let what = format!("{} by {}{on}", change.id, change.author);
    let mut facts = vec![fact(change.when, "change", what)];
    for it in explain::change(plan, change) {
        let name = &it.scheduler.name;
        let rule = explain::builds(it.scheduler);
        let holds = held.iter().find(|it| it.scheduler == *name);
        let what = match (holds.is_some(), it.passes, it.important) {
            (true, _, true) => format!("`{name}` has heard of it and waits: it {rule}"),
            (true, _, false) => format!(
                "`{name}` has heard of it and waits for a change that is important: {}",
                it.because
            ),
            (false, true, _) => format!("`{name}` hears of such changes: it {rule}"),
            (false, false, _) => format!("`{name}` does not hear of it: {}", it.because),
        };
        facts.push(timeless("scheduler", what));
        facts.extend(holds.and_then(|it| it.timer(now)));
    }
    if requests.is_empty() {
        let what = "no builder was asked to build it so far".to_owned();
        facts.push(timeless("request", what));
    }
    for request in requests {
        let what = format!(
            "{} for builder {}: {}",
            request.id,
            request.builder,
            state(request, outlook)
        );
        facts.push(fact(request.submitted, "request", what));
    }
    facts
}

/// What the store and the core know of a change.
pub(super) async fn change_facts(
    app: &App,
    change: &Change,
    requests: &[RequestRecord],
) -> Result<Vec<Fact>, Failure> {
    let plan = app.desk.plan();
    let schedulers = plan.schedulers.iter();
    let schedulers = schedulers.filter(|it| it.settings.filter().is_some());
    let objects: Vec<_> = schedulers
        .map(|it| (it.name.clone(), it.object(), app.desk.next_of(&it.name)))
        .collect();
    let id = change.id;
    let held = app
        .read(move |store| {
            let mut held = Vec::new();
            for (name, object, due) in objects {
                let state = store.state(&object)?;
                if holds(&state, id) {
                    held.push(Held::new(name, due, &state));
                }
            }
            Ok(held)
        })
        .await?;
    let mut waiting = requests
        .iter()
        .filter(|it| it.outcome.is_none() && !it.claimed);
    let scope = match (waiting.next(), waiting.next()) {
        (None, _) => Scope::Nothing,
        (Some(one), None) => Scope::Request(one.id),
        (Some(_), Some(_)) => Scope::Requests(requests.iter().map(|it| it.id).collect()),
    };
    let outlook = app.desk.outlook(scope).await?;
    Ok(of_change(change, &plan, &held, requests, &outlook))
}

/// Changes that schedulers keep until they ask the builder for a build.
async fn held_for(app: &App, builder: &BuilderName) -> Result<Vec<Fact>, Failure> {
    let plan = app.desk.plan();
    let schedulers = plan.schedulers.iter();
    let schedulers: Vec<_> = schedulers
        .filter(|it| it.settings.filter().is_some() && it.builders.contains(builder))
        .map(|it| (Arc::clone(it), app.desk.next_of(&it.name)))
        .collect();
    let now = clock::now();
    app.read(move |store| {
        let mut facts = Vec::new();
        for (it, due) in schedulers {
            let state = store.state(&it.object())?;
            let kept = state["changes"].as_array().map_or(0, Vec::len);
            if kept > 0 {
                let (name, rule) = (&it.name, explain::builds(&it));
                let changes = if kept == 1 { "change" } else { "changes" };
                let what = format!("`{name}` waits with {kept} {changes}: it {rule}");
                facts.push(timeless("scheduler", what));
                facts.extend(Held::new(name.clone(), due, &state).timer(now));
            }
        }
        Ok(facts)
    })
    .await
}

/// Whether the scheduler that saved this state keeps the change until it asks for a build.
fn holds(state: &Value, change: ChangeId) -> bool {
    let kept = state["changes"].as_array().into_iter().flatten();
    let mut kept = kept.map(|it| if it.is_array() { &it[0] } else { it });
    kept.any(|it| it.as_i64() == Some(change.0))
}

fn document(about: &str, facts: &[Fact]) -> Json<Value> {
    let facts: Vec<_> = facts
        .iter()
        .map(|it| json!({ "time": it.at.map(clock::iso), "about": it.about, "what": it.what }))
        .collect();
    Json(json!({ "about": about, "facts": facts }))
}

pub(super) async fn request(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let missing = Failure::NotFound(format!("request {id}"));
    let Ok(id) = id.parse().map(RequestId) else {
        return Err(missing);
    };
    let found = app.read(move |store| store.request(id)).await?;
    let found = found.ok_or(missing)?;
    let outlook = app.desk.outlook(Scope::Request(id)).await?;
    let facts = of_request(&found, &outlook);
    Ok(document(&format!("request {id}"), &facts))
}

pub(super) async fn builder(
    State(app): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let name = BuilderName::from(name);
    if !app.desk.plan().builders.iter().any(|it| it.name == name) {
        return Err(Failure::NotFound(format!("builder `{name}`")));
    }
    let asked = name.clone();
    let ((waiting, count), running) = app
        .read(move |store| {
            let waiting = store.waiting_of(&asked, TOLD)?;
            let mut running = store.running_builds()?;
            running.retain(|it| it.key.builder == asked);
            Ok((waiting, running))
        })
        .await?;
    let outlook = app.desk.outlook(Scope::Builder(name.clone())).await?;
    let slaves = app.desk.slaves_of(&name).await;
    let mut facts = of_builder((&waiting, count), &running, &slaves, &outlook);
    facts.extend(held_for(&app, &name).await?);
    Ok(document(&format!("builder {name}"), &facts))
}

pub(super) async fn change(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let missing = Failure::NotFound(format!("change {id}"));
    let Ok(id) = id.parse().map(ChangeId) else {
        return Err(missing);
    };
    let found = app
        .read(move |store| match store.change(id)? {
            Some(change) => Ok(Some((change, store.requests_of_change(id)?))),
            None => Ok(None),
        })
        .await?;
    let (change, requests) = found.ok_or(missing)?;
    let facts = change_facts(&app, &change, &requests).await?;
    Ok(document(&format!("change {id}"), &facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;
    use crate::model::Properties;

    const SECOND: i64 = 1000;

    fn timer(state: &Value, left: i64) -> Option<(Option<Timestamp>, String)> {
        let now = Timestamp(1_000_000);
        let due = Some(Timestamp(now.0 + left));
        let fact = Held::new("all".into(), due, state).timer(now)?;
        Some((fact.at, fact.what))
    }

    #[test]
    fn who_waits_for_a_stable_tree_says_how_long_its_timer_still_runs_and_until_when() {
        let one = json!({"changes": [[1, true]], "seen": 1});
        let (at, what) = timer(&one, 184 * SECOND).expect("a timer");
        assert_eq!(at, Some(Timestamp(1_184_000)));
        assert_eq!(
            what,
            "`all`: it asks for builds in 3 min 04 s, unless another change comes before"
        );
        let (_, what) = timer(&one, -SECOND).expect("a timer");
        assert!(what.contains("it asks for builds now"), "{what}");
        assert!(
            Held::new("all".into(), None, &one)
                .timer(Timestamp(0))
                .is_none()
        );
    }

    #[test]
    fn of_branches_that_wait_each_by_itself_the_first_is_told_of() {
        let check = |state: Value, expected: &str| {
            let (_, what) = timer(&state, SECOND).expect("a timer");
            assert!(what.contains(expected), "{what}");
        };
        check(
            json!({"changes": [[1, true, "a"], [2, true, "b"]]}),
            "`all`: the first of its branches is due in 1.0 s",
        );
        check(
            json!({"changes": [[1, true, "a"], [2, true, "a"]]}),
            "it asks for builds in 1.0 s",
        );
    }

    #[test]
    fn a_change_that_waits_is_told_with_the_timer_of_who_keeps_it() {
        let plan = plan_of(
            "[:master:]\nslaveport = none\nhtmlport = none\nderive = no\n\
             [slave:s]\npassword = x\n[a]\ntype = shell\ncommands = true\n\
             [builder:a]\nfactory = a\nslaves = s\n\
             [scheduler:all]\ntype = any_branch\ntree_stable_timer = 5m\nbuilders = a\n",
        );
        let change = Change {
            id: ChangeId(1),
            author: "ann".into(),
            files: Vec::new(),
            comments: String::new(),
            revision: None,
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: Timestamp(0),
            properties: Properties::new(),
        };
        let due = Timestamp(clock::now().0 + 290 * SECOND);
        let state = json!({"changes": [[1, true]], "seen": 1});
        let held = [Held::new("all".into(), Some(due), &state)];
        let facts = of_change(&change, &plan, &held, &[], &Outlook::default());
        let timer = facts.iter().find(|it| it.about == "timer").expect("told");
        assert_eq!(timer.at, Some(due));
        assert!(timer.what.starts_with("`all`: it asks for builds in 4 min"));
        let facts = of_change(&change, &plan, &[], &[], &Outlook::default());
        assert!(
            facts.iter().all(|it| it.about != "timer"),
            "it does not wait"
        );
    }
}
