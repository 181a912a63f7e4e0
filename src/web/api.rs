//! `/api`: what the command line asks for. JSON; an error is `{"error": TEXT}`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/status` | what runs and waits, in a few numbers; builders, slaves and sources |
//! | `GET /api/builders` | all builders: `name`, `state`, `category`, `connected`, `pending`, `running`, `last`, `failing`: since which build |
//! | `GET /api/changes?limit=` | the newest changes, newest first, as `/json` has them |
//! | `GET /api/builds?builder=&limit=` | the newest builds, newest first, without steps; what is `left` of one that runs |
//! | `GET /api/builders/NAME/builds/N` | one build with its `steps`; `N` may be negative |
//! | `GET /api/builders/NAME/builds/N/why` | its `facts`: what led to it, each with `time`, `about`, `what` |
//! | `GET /api/builders/NAME/builds/N/tests?q=&end=&skip=&limit=` | `counts` of its tests by result, how many are `left_out`, and `tests`, those first that went wrong |
//! | `GET /api/builders/NAME/builds/N/tests/TEST` | the `results` of one test with their logs; since which build it `fails_since` |
//! | `GET /api/requests/ID` | `state` (`waiting`, `building`, `complete`), `outcome`, `builds`, `why` it waits, what is `expected` |
//! | `GET /api/jobs/ID` | the requests of the try job with this id, as above |
//! | `GET /api/schedulers` | all schedulers: `name`, `kind`, when it `builds`, its `builders`, the `next` time of its plan |
//! | `GET /api/why/requests/ID`, `/builders/NAME`, `/builds/NAME/N`, `/changes/ID` | `about` and its `facts`, as above |
//! | `GET /api/shutdown` | the clean `shutdown` that is under way, in words, and the `builds` that are left |
//! | `GET /api/prune` | what would be forgotten now: `builders` with `builds`, `logs` and `bytes`, `changes`; bytes of logs that are `left` |
//! | `POST /api/prune` | forgets it, for a while; `more` if there is more |
//! | `GET /api/users?after=` | users by number: `uid`, `identifier`, `attributes`, `section` |
//! | `GET /api/users/ID` | one, with the numbers of its newest `changes` |
//! | `POST /api/users` | what `autobot user` does: `op`, `ids`, `info`; the answer has the `users` and the `missing` |
//! | `GET /api/tokens` | all tokens: `name`, `user`, `scopes`, when each `expires` and was `used` |
//! | `POST /api/tokens` | makes one of `name`, `user`, `scope` and `days`; its `token` is shown this once |
//! | `POST /api/tokens/NAME/remove` | removes it |
//! | `GET /api/audit?user=&action=&before=&limit=` | who did what, the newest first |
//! | `POST /api/reload` | reads the configuration again; the answer is text |
//!
//! Times are ISO 8601 with an offset. A reload that fails answers 409 and
//! changes nothing. `GET /events` is in `events.rs`, the actions on builders
//! and builds (`force`, `cancelbuild`, `stop`) in `actions.rs`.

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::config::Action;
use crate::master::outlook::{Outlook, Scope};
use crate::master::prune::Report;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::ConfigId;
use crate::model::Outcome;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::StepRecord;
use crate::model::Timestamp;

use super::actions;
use super::app::App;
use super::app::Shared;
use super::auth;
use super::auth::Target;
use super::auth::Visitor;
use super::build;
use super::builder;
use super::builders;
use super::builders::BuilderFacts;
use super::failing;
use super::failure::Failure;
use super::json;
use super::locks;
use super::sources;
use super::test_list;
use super::test_page;
use super::users;
use super::why;
use super::why_waiting;

const BUILDS: i64 = 20;
const MOST_BUILDS: i64 = 1000;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
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

fn builder_document(facts: &BuilderFacts, outlook: &Outlook, now: Timestamp) -> Value {
    let mut running = Vec::new();
    let mut last = None;
    for build in &facts.builds {
        match build.finished {
            None => running.push(BuildDocument::new(build, outlook, now)),
            Some(_) => last = last.or_else(|| Some(BuildDocument::new(build, outlook, now))),
        }
    }
    json!({
        "name": facts.name,
        "category": facts.category,
        "state": builders::state(!running.is_empty(), facts.connected),
        "slaves": facts.slaves,
        "connected": facts.connected,
        "pending": facts.pending,
        "running": running,
        "last": last,
        "failing": facts.failing.iter().map(failing::document).collect::<Vec<_>>(),
    })
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
    let facts = builders::gather(&app).await?;
    let running = app.read(|store| store.running_builds()).await?;
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
            let building = it.builds.iter().any(|it| it.finished.is_none());
            let last = it.builds.iter().find_map(|it| it.outcome);
            json!({
                "name": it.name,
                "state": builders::state(building, it.connected),
                "pending": it.pending,
                "last": last,
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
        "waiting": facts.iter().map(|it| it.pending).sum::<usize>(),
        "running": running,
        "builders": builders,
        "slaves": slaves,
        "sources": sources,
    })))
}

async fn all_builders(State(app): State<Shared>) -> Result<Json<Vec<Value>>, Failure> {
    let facts = builders::gather(&app).await?;
    let outlook = outlook(&app, facts.iter().flat_map(|it| &it.builds)).await?;
    let now = clock::now();
    let documents = facts.iter().map(|it| builder_document(it, &outlook, now));
    Ok(Json(documents.collect()))
}

async fn builds(
    State(app): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Vec<BuildDocument>>, Failure> {
    let limit = builder::number(&query, "limit")?.unwrap_or(BUILDS);
    let limit = usize::try_from(limit.clamp(0, MOST_BUILDS)).expect("not negative");
    let name = query
        .iter()
        .find(|(it, value)| it == "builder" && !value.is_empty())
        .map(|(_, value)| BuilderName::from(value.as_str()));
    if let Some(name) = &name {
        let planned = app.desk.plan().builders.iter().any(|it| it.name == *name);
        let known = planned
            || app
                .read(|store| store.known_builders())
                .await?
                .contains(name);
        if !known {
            return Err(Failure::NotFound(format!("builder `{name}`")));
        }
    }
    let builds = app
        .read(move |store| store.recent_builds(name.as_ref(), None, limit))
        .await?;
    let outlook = outlook(&app, &builds).await?;
    let now = clock::now();
    Ok(Json(
        builds
            .iter()
            .map(|it| BuildDocument::new(it, &outlook, now))
            .collect(),
    ))
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
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Vec<Value>>, Failure> {
    let limit = builder::number(&query, "limit")?.unwrap_or(BUILDS);
    let limit = usize::try_from(limit.clamp(0, MOST_BUILDS)).expect("not negative");
    let found = app
        .read(move |store| store.recent_changes(None, limit))
        .await?;
    Ok(Json(found.iter().map(json::change).collect()))
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
