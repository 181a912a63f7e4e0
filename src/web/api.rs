//! `/api`: what the command line asks for. JSON; an error is `{"error": TEXT}`, with `next` where
//! something can be done about it. [`super::calls`] has every call with its fields and its answer.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::middleware;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::config::Action;
use crate::config::BuilderPlan;
use crate::master::outlook::{Outlook, Scope};
use crate::master::prune::Report;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::ChangeId;
use crate::model::ConfigId;
use crate::model::Failing;
use crate::model::Outcome;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::StoreError;

use super::actions;
use super::app::App;
use super::app::Shared;
use super::auth;
use super::auth::Target;
use super::auth::Visitor;
use super::build;
use super::builders;
use super::builders::Present;
use super::calls;
use super::choice;
use super::diary;
use super::failing;
use super::failure::Failure;
use super::json;
use super::locks;
use super::openapi;
use super::paging;
use super::sources;
use super::test_list;
use super::test_page;
use super::users;
use super::why;
use super::why_waiting;

/// Of a list, unless `limit` says otherwise, and the most it may say.
const BUILDS: usize = 20;
const BUILDERS: usize = 100;
const MOST: usize = 1000;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(openapi::document))
        .route("/status", get(status))
        .route("/builders", get(all_builders))
        .route("/builds", get(builds))
        .route("/builders/{builder}/builds/{number}", get(one_build))
        .route(
            "/builders/{builder}/builds/{number}/why",
            get(why::document),
        )
        .route(
            "/builders/{builder}/builds/{number}/tests",
            get(test_list::document),
        )
        .route(
            "/builders/{builder}/builds/{number}/tests/{test}",
            get(test_page::document),
        )
        .route("/requests/{id}", get(request))
        .route("/jobs/{id}", get(job))
        .route("/why/requests/{id}", get(why_waiting::request))
        .route("/why/builders/{builder}", get(why_waiting::builder))
        .route("/why/builds/{builder}/{number}", get(why::document))
        .route("/why/changes/{id}", get(why_waiting::change))
        .route("/changes", get(changes))
        .route("/events", get(diary::documents))
        .route("/locks", get(locks::document))
        .route("/users", get(users::documents).post(users::order))
        .route("/users/{id}", get(users::one_document))
        .route("/tokens", get(auth::list_tokens).post(auth::add_token))
        .route("/tokens/{name}/remove", post(auth::remove_token))
        .route("/audit", get(auth::audit_document))
        .route("/sources", get(sources::document))
        .route("/schedulers", get(schedulers))
        .route("/shutdown", get(shutdown))
        .route("/prune", get(what_would_go).post(prune))
        .route("/reload", post(reload))
        .route_layer(middleware::from_fn(calls::check_query))
}

#[derive(Serialize)]
struct BuildDocument {
    builder: String,
    number: i64,
    outcome: Option<Outcome>,
    reason: String,
    slave: String,
    branch: Option<String>,
    revision: Option<String>,
    got_revision: Option<String>,
    started: String,
    finished: Option<String>,
    elapsed_secs: f64,
    text: Vec<String>,
    /// Authors of its changes and of its patch.
    blame: Vec<String>,
    /// The `owner` of each of its requests.
    owners: Vec<String>,
    /// If it failed: the number of the build that began the run of failures.
    failing_since: Option<i64>,
    requests: Vec<RequestId>,
    config: Option<ConfigId>,
    /// How long it still takes, in words, as far as anybody knows.
    left: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepDocument>>,
}

#[derive(Serialize)]
struct StepDocument {
    number: u32,
    name: String,
    outcome: Option<Outcome>,
    text: Vec<String>,
    started: Option<String>,
    finished: Option<String>,
    elapsed_secs: Option<f64>,
    hidden: bool,
    logs: Vec<String>,
}

#[derive(Serialize)]
struct RequestDocument {
    id: RequestId,
    builder: String,
    state: &'static str,
    outcome: Option<Outcome>,
    submitted: String,
    reason: String,
    builds: Vec<i64>,
    /// Its own; `null`: that of its builder.
    priority: Option<i64>,
    /// Why it was completed without a build.
    cancelled: Option<String>,
    why: Option<String>,
    /// When it is built, in words, as far as anybody knows.
    expected: Option<String>,
}

impl BuildDocument {
    fn new(build: &BuildRecord, outlook: &Outlook, now: Timestamp) -> Self {
        Self {
            builder: build.key.builder.to_string(),
            number: build.key.number,
            outcome: build.outcome,
            reason: build.reason.clone(),
            slave: build.slave.to_string(),
            branch: build.stamp.branch.clone(),
            revision: build.stamp.revision.clone(),
            got_revision: build.properties.text("got_revision").map(str::to_owned),
            started: clock::iso(build.started),
            finished: build.finished.map(clock::iso),
            elapsed_secs: build
                .finished
                .unwrap_or(now)
                .since(build.started)
                .as_secs_f64(),
            text: build.text.clone(),
            blame: build.blame.clone(),
            owners: build.owners(),
            failing_since: build.failing_since,
            requests: build.requests.clone(),
            config: build.config,
            left: outlook.left(&build.key).map(|it| it.to_string()),
            steps: None,
        }
    }

    fn with_steps(mut self, steps: &[StepRecord], now: Timestamp) -> Self {
        self.steps = Some(steps.iter().map(|it| StepDocument::new(it, now)).collect());
        self
    }
}

impl StepDocument {
    fn new(step: &StepRecord, now: Timestamp) -> Self {
        Self {
            number: step.number,
            name: step.name.clone(),
            outcome: step.outcome,
            text: step.text.clone(),
            started: step.started.map(clock::iso),
            finished: step.finished.map(clock::iso),
            elapsed_secs: step
                .started
                .map(|it| step.finished.unwrap_or(now).since(it).as_secs_f64()),
            hidden: step.hidden,
            logs: step.logs.iter().map(|it| it.name.clone()).collect(),
        }
    }
}

impl RequestDocument {
    fn new(request: &RequestRecord, outlook: &Outlook) -> Self {
        Self {
            id: request.id,
            builder: request.builder.to_string(),
            state: match (request.outcome, request.claimed) {
                (Some(_), _) => "complete",
                (None, true) => "building",
                (None, false) => "waiting",
            },
            outcome: request.outcome,
            submitted: clock::iso(request.submitted),
            reason: request.reason.clone(),
            builds: request.builds.iter().map(|it| it.number).collect(),
            priority: request.priority,
            cancelled: request.cancelled.clone(),
            why: outlook.why(request.id).map(str::to_owned),
            expected: outlook.expected(request.id),
        }
    }
}

/// A builder with what the command line shows of it.
struct BuilderFacts {
    plan: Arc<BuilderPlan>,
    connected: usize,
    pending: usize,
    running: Vec<BuildRecord>,
    last: Option<BuildRecord>,
    failing: Vec<Failing>,
}

impl BuilderFacts {
    fn document(&self, outlook: &Outlook, now: Timestamp) -> Value {
        let build = |it: &BuildRecord| BuildDocument::new(it, outlook, now);
        json!({
            "name": self.plan.name,
            "category": self.plan.category,
            "state": builders::state(!self.running.is_empty(), self.connected),
            "slaves": self.plan.slaves.len(),
            "connected": self.connected,
            "pending": self.pending,
            "running": self.running.iter().map(build).collect::<Vec<_>>(),
            "last": self.last.as_ref().map(build),
            "failing": self.failing.iter().map(failing::document).collect::<Vec<_>>(),
        })
    }
}

/// What is left of those of the builds that run.
async fn outlook(
    app: &App,
    builds: impl IntoIterator<Item = &BuildRecord>,
) -> Result<Outlook, Failure> {
    let is_running = builds.into_iter().any(|it| it.finished.is_none());
    Ok(match is_running {
        true => app.desk.outlook(Scope::Nothing).await?,
        false => Outlook::default(),
    })
}

async fn status(State(app): State<Shared>) -> Result<Json<Value>, Failure> {
    let plan = app.desk.plan();
    let present = Present::new(&app.desk.slaves());
    let planned = plan.builders.clone();
    let (facts, running) = app
        .read(move |store| {
            let running = store.running_builds()?;
            let pending: HashMap<_, _> = store.count_pending()?.into_iter().collect();
            let facts = planned.into_iter().map(|it| {
                let builds = running.iter().any(|build| build.key.builder == it.name);
                let waiting = pending.get(&it.name).copied().unwrap_or(0);
                let last = store.last_end(&it.name)?.map(|it| it.1);
                Ok((it, builds, waiting, last))
            });
            let facts = facts.collect::<Result<Vec<_>, StoreError>>()?;
            Ok((facts, running))
        })
        .await?;
    let slaves: Vec<Value> = app
        .desk
        .slaves()
        .iter()
        .map(|it| {
            let running: Vec<_> = it.running.iter().map(ToString::to_string).collect();
            let phase = it.phase.as_ref().map(ToString::to_string);
            let pause = it.pause.as_ref().map(ToString::to_string);
            let missing = it.missing.as_ref().map(ToString::to_string);
            json!({
                "name": it.name,
                "connected": it.connected,
                "on_demand": it.on_demand,
                "phase": phase,
                "pause": pause,
                "missing": missing,
                "shutdown": it.shuts_down.then_some("shuts down when its builds are done"),
                "downtime": it.downtime.as_ref().map(|it| format!("has a {}", it.1)),
                "running": running,
            })
        })
        .collect();
    let sources: Vec<Value> = app
        .desk
        .sources()
        .into_iter()
        .map(|it| {
            json!({
                "name": it.name,
                "state": it.state(),
                "problem": it.health.and_then(Result::err),
                "last_poll": it.last_poll.map(clock::iso),
            })
        })
        .collect();
    let builders: Vec<Value> = facts
        .iter()
        .map(|it| {
            json!({
                "name": it.0.name,
                "state": builders::state(it.1, present.of(&it.0)),
                "pending": it.2,
                "last": it.3,
            })
        })
        .collect();
    let running: Vec<_> = running.iter().map(|it| it.key.to_string()).collect();
    Ok(Json(json!({
        "title": plan.master.title,
        "version": env!("CARGO_PKG_VERSION"),
        "url": plan.master.base_url,
        "started": clock::iso(app.desk.started()),
        "config": app.desk.config(),
        "config_problem": app.desk.config_bad_since().map(|since| format!(
            "the files on the disk have mistakes since {}; the configuration from before stays \
             in force",
            clock::iso(since)
        )),
        "troubles": app.desk.troubles().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "shutdown": app.desk.shutdown().map(|it| it.wish.to_string()),
        "waiting": facts.iter().map(|it| it.2).sum::<usize>(),
        "running": running,
        "builders": builders,
        "slaves": slaves,
        "sources": sources,
    })))
}

async fn all_builders(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let plan = app.desk.plan();
    let mut chosen: &[Arc<BuilderPlan>] = &plan.builders;
    if let Some(after) = paging::after(&query) {
        let place = chosen.iter().position(|it| it.name.as_str() == after);
        let place = place.ok_or_else(|| Failure::NotFound(format!("builder `{after}`")))?;
        chosen = &chosen[place + 1..];
    }
    let limit = paging::limit(&query, BUILDERS, MOST)?;
    let next = chosen
        .get(limit)
        .map(|_| chosen[limit - 1].name.to_string());
    let chosen = chosen[..limit.min(chosen.len())].to_vec();
    let present = Present::new(&app.desk.slaves());
    let facts = app
        .read(move |store| {
            let pending: HashMap<_, _> = store.count_pending()?.into_iter().collect();
            let running = store.running_builds()?;
            chosen
                .into_iter()
                .map(|plan| {
                    let own = running.iter().filter(|it| it.key.builder == plan.name);
                    let mut last = None;
                    if let Some((number, _)) = store.last_end(&plan.name)? {
                        last = store.build(&plan.name, number)?;
                    }
                    Ok(BuilderFacts {
                        connected: present.of(&plan),
                        pending: pending.get(&plan.name).copied().unwrap_or(0),
                        running: own.rev().cloned().collect(),
                        last,
                        failing: store.failing(&plan.name)?,
                        plan,
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()
        })
        .await?;
    let outlook = outlook(&app, facts.iter().flat_map(|it| &it.running)).await?;
    let now = clock::now();
    let documents: Vec<_> = facts.iter().map(|it| it.document(&outlook, now)).collect();
    Ok(paging::page(documents, &uri, next))
}

async fn builds(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let limit = paging::limit(&query, BUILDS, MOST)?;
    let name = choice::first(&query, "builder").map(BuilderName::from);
    let after = match paging::after(&query) {
        None => None,
        Some(after) => {
            let bad = || {
                Failure::BadRequest(format!(
                    "`after` should be a builder and a number such as `hello/12`, not `{after}`"
                ))
            };
            let (builder, number) = after.rsplit_once('/').ok_or_else(bad)?;
            let number: i64 = number.parse().map_err(|_| bad())?;
            Some((BuilderName::from(builder), number))
        }
    };
    let planned = name
        .as_ref()
        .is_none_or(|name| app.desk.plan().builders.iter().any(|it| it.name == *name));
    let mut builds = app
        .read(move |store| {
            if let Some(name) = name.as_ref().filter(|_| !planned)
                && store.newest_numbers(name, 1)?.is_empty()
            {
                return Ok(Err(format!("builder `{name}`")));
            }
            let mut before = None;
            if let Some((builder, number)) = after {
                match store.build(&builder, number)? {
                    Some(build) => before = Some(build.id),
                    None => return Ok(Err(format!("build `{builder}/{number}`"))),
                }
            }
            Ok(Ok(store.recent_builds(name.as_ref(), before, limit + 1)?))
        })
        .await?
        .map_err(Failure::NotFound)?;
    let has_more = builds.len() > limit;
    builds.truncate(limit);
    let next = builds.last().filter(|_| has_more);
    let next = next.map(|it| it.key.to_string());
    let outlook = outlook(&app, &builds).await?;
    let now = clock::now();
    let documents = builds
        .iter()
        .map(|it| BuildDocument::new(it, &outlook, now));
    Ok(paging::page(documents.collect(), &uri, next))
}

async fn one_build(
    State(app): State<Shared>,
    Path((builder, number)): Path<(String, String)>,
) -> Result<Json<BuildDocument>, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    let outlook = outlook(&app, [&facts.build]).await?;
    let now = clock::now();
    Ok(Json(
        BuildDocument::new(&facts.build, &outlook, now).with_steps(&facts.steps, now),
    ))
}

/// The newest changes, newest first.
async fn changes(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let limit = paging::limit(&query, BUILDS, MOST)?;
    let before = paging::after_number(&query)?.map(ChangeId);
    let mut found = app
        .read(move |store| store.recent_changes(before, limit + 1))
        .await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more);
    let next = next.map(|it| it.id.to_string());
    Ok(paging::page(
        found.iter().map(json::change).collect(),
        &uri,
        next,
    ))
}

async fn request(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<RequestDocument>, Failure> {
    let missing = Failure::NotFound(format!("request {id}"));
    let Ok(id) = id.parse().map(RequestId) else {
        return Err(missing);
    };
    let request = app
        .read(move |store| store.request(id))
        .await?
        .ok_or(missing)?;
    let waits = request.outcome.is_none() && !request.claimed;
    let outlook = match waits {
        true => app.desk.outlook(Scope::Request(id)).await?,
        false => Outlook::default(),
    };
    Ok(Json(RequestDocument::new(&request, &outlook)))
}

async fn schedulers(State(app): State<Shared>) -> Json<Vec<Value>> {
    let plan = app.desk.plan();
    let all = plan.schedulers.iter().map(|it| {
        let builders: Vec<_> = it.builders.iter().map(|it| it.as_str()).collect();
        json!({
            "name": it.name.as_str(),
            "kind": it.settings.kind(),
            "builds": it.settings.describe(),
            "builders": builders,
            "next": app.desk.next_of(&it.name).map(clock::iso),
        })
    });
    Json(all.collect())
}

/// What became of a try job: its sender knows no more of it than its id.
async fn job(
    State(app): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Vec<RequestDocument>>, Failure> {
    let missing = Failure::NotFound(format!("try job `{}`", id.escape_debug()));
    let requests = app.read(move |store| store.requests_called(&id)).await?;
    if requests.is_empty() {
        return Err(missing);
    }
    let ids = requests.iter().map(|it| it.id).collect();
    let outlook = app.desk.outlook(Scope::Requests(ids)).await?;
    let requests = requests.iter();
    Ok(Json(
        requests
            .map(|it| RequestDocument::new(it, &outlook))
            .collect(),
    ))
}

async fn shutdown(State(app): State<Shared>) -> Json<Value> {
    Json(actions::shutdown(&app))
}

async fn what_would_go(
    State(app): State<Shared>,
    visitor: Visitor,
) -> Result<Json<Value>, Failure> {
    app.see(&visitor, Action::Prune).await?;
    Ok(Json(pruned(&app.desk.prune(true).await?)))
}

async fn prune(State(app): State<Shared>, visitor: Visitor) -> Result<Json<Value>, Failure> {
    app.permit(&visitor, Action::Prune, &Target::master())
        .await?;
    Ok(Json(pruned(&app.desk.prune(false).await?)))
}

fn pruned(report: &Report) -> Value {
    let builders: Vec<_> = report
        .builders
        .iter()
        .map(|(name, it)| {
            json!({
                "name": name, "builds": it.builds, "logs": it.logs, "bytes": it.bytes,
            })
        })
        .collect();
    json!({
        "builders": builders,
        "changes": report.changes,
        "requests": report.requests,
        "events": report.events,
        "left": report.left,
        "over": report.over,
        "more": report.more,
    })
}

async fn reload(State(app): State<Shared>, visitor: Visitor) -> Response {
    let target = Target::master();
    if let Err(refused) = app.permit(&visitor, Action::Reload, &target).await {
        return refused.into_response();
    }
    match app.desk.reload().await {
        Ok(said) => said.into_response(),
        Err(problems) => Failure::Conflict(problems).into_response(),
    }
}
