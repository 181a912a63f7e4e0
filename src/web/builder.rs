//! One builder: its queue and why each request waits, what runs, what ran,
//! its slaves, and the form that asks for a build.

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::master::forcing::FormErrors;
use crate::master::handle::SlaveView;
use crate::master::outlook::{Outlook, Scope};
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Failing;
use crate::model::RequestRecord;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

use super::app::Shared;
use super::auth;
use super::auth::Target;
use super::builders;
use super::failing::FailingLine;
use super::failure::Failure;
use super::force_form::Fields;
use super::force_form::ForceForm;
use super::links;
use super::rows::BuildLine;
use super::rows::RequestLine;
use super::slaves::SlaveLine;

/// Builds on the page unless it is asked for more with `numbuilds`.
const BUILDS: usize = 20;
const MOST_BUILDS: usize = 500;

/// What the page is about.
pub(super) struct Facts {
    pub(super) name: BuilderName,
    /// `None` for a builder that has left the configuration.
    pub(super) planned: Option<Planned>,
    pub(super) waiting: Vec<RequestRecord>,
    pub(super) outlook: Outlook,
    pub(super) running: Vec<RunningFacts>,
    pub(super) builds: Vec<BuildRecord>,
    pub(super) slaves: Vec<SlaveView>,
    pub(super) failing: Vec<Failing>,
}

pub(super) struct Planned {
    pub(super) category: Option<String>,
    pub(super) factory: String,
}

#[derive(Serialize)]
pub(super) struct BuilderView {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) planned: bool,
    pub(super) category: Option<String>,
    pub(super) factory: Option<String>,
    pub(super) state: &'static str,
    pub(super) failing: Vec<FailingLine>,
    pub(super) waiting: Vec<RequestLine>,
    pub(super) running: Vec<Running>,
    pub(super) recent: Vec<BuildLine>,
    pub(super) slaves: Vec<SlaveLine>,
    pub(super) form: ForceForm,
}

/// A running build and what it takes to say how far it is.
pub(super) struct RunningFacts {
    build: BuildRecord,
    steps: Vec<StepRecord>,
}

/// Reads what runs, of one builder or of all.
pub(super) fn read_running(
    store: &mut dyn Store,
    builder: Option<&BuilderName>,
) -> Result<Vec<RunningFacts>, StoreError> {
    let mut running = store.running_builds()?;
    running.retain(|it| builder.is_none_or(|name| it.key.builder == *name));
    running
        .into_iter()
        .map(|build| {
            Ok(RunningFacts {
                steps: store.steps(build.id)?,
                build,
            })
        })
        .collect()
}

/// A running build with the step that it is at.
#[derive(Serialize)]
pub(super) struct Running {
    pub(super) build: BuildLine,
    pub(super) step: Option<String>,
    pub(super) eta: Option<String>,
}

impl Running {
    pub(super) fn all(facts: &[RunningFacts], outlook: &Outlook, now: Timestamp) -> Vec<Self> {
        let line = |it: &RunningFacts| Self {
            build: BuildLine::new(&it.build, now),
            step: current_step(&it.steps).map(|it| it.name.clone()),
            eta: outlook.left(&it.build.key).map(|it| it.to_string()),
        };
        facts.iter().map(line).collect()
    }
}

pub(super) fn view(facts: &Facts, form: ForceForm, web: &WebPlan, now: Timestamp) -> BuilderView {
    let running = Running::all(&facts.running, &facts.outlook, now);
    let finished: Vec<_> = facts
        .builds
        .iter()
        .filter(|it| it.finished.is_some())
        .cloned()
        .collect();
    BuilderView {
        name: facts.name.to_string(),
        url: links::builder(facts.name.as_str()),
        planned: facts.planned.is_some(),
        category: facts.planned.as_ref().and_then(|it| it.category.clone()),
        factory: facts.planned.as_ref().map(|it| it.factory.clone()),
        state: builders::state(
            !running.is_empty(),
            facts.slaves.iter().filter(|it| it.connected).count(),
        ),
        failing: FailingLine::all(&facts.name, &facts.failing, now),
        waiting: facts
            .waiting
            .iter()
            .map(|it| RequestLine::new(it, &facts.outlook, web, now))
            .collect(),
        running,
        recent: BuildLine::all(&finished, now),
        slaves: facts
            .slaves
            .iter()
            .map(|it| SlaveLine::new(it, now))
            .collect(),
        form,
    }
}

/// The step that a build is at.
fn current_step(steps: &[StepRecord]) -> Option<&StepRecord> {
    steps
        .iter()
        .find(|it| it.started.is_some() && it.finished.is_none())
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    draw(&app, &uri, name, &query, &[], None).await
}

/// Draws the page; with what is wrong with a form that was posted, and what stood in it.
pub(super) async fn draw(
    app: &Shared,
    uri: &Uri,
    name: String,
    query: &[(String, String)],
    posted: &Fields,
    wrong: Option<&FormErrors>,
) -> Result<Response, Failure> {
    let limit = number(query, "numbuilds")?.map_or(BUILDS, |it| {
        usize::try_from(it).unwrap_or(BUILDS).clamp(1, MOST_BUILDS)
    });
    let missing = Failure::NotFound(format!("builder `{name}`"));
    let name = BuilderName::from(name);
    let plan = app.desk.plan();
    auth::about_page(Target::builder(&plan, &name, None).about);
    let form = ForceForm::new(&plan, &name, posted, wrong);
    let planned = plan
        .builders
        .iter()
        .find(|it| it.name == name)
        .map(|it| Planned {
            category: it.category.clone(),
            factory: it.factory_name.to_string(),
        });
    let mut slaves = app.desk.slaves();
    slaves.retain(|it| it.builders.contains(&name));
    let outlook = app.desk.outlook(Scope::Builder(name.clone())).await?;
    let facts = app
        .read(move |store| {
            if planned.is_none() && !store.known_builders()?.contains(&name) {
                return Ok(None);
            }
            let mut waiting = store.open_requests(&name)?;
            waiting.retain(|it| !it.claimed);
            let running = read_running(store, Some(&name))?;
            let builds = store.recent_builds(Some(&name), None, limit + running.len())?;
            Ok(Some(Facts {
                failing: store.failing(&name)?,
                name,
                planned,
                waiting,
                outlook,
                running,
                builds,
                slaves,
            }))
        })
        .await?;
    let facts = facts.ok_or(missing)?;
    app.draw(
        "builder.html",
        uri,
        view(&facts, form, &plan.web, clock::now()),
    )
}

/// A whole number among the arguments.
pub(super) fn number(query: &[(String, String)], name: &str) -> Result<Option<i64>, Failure> {
    let Some((_, value)) = query.iter().find(|(it, _)| it == name) else {
        return Ok(None);
    };
    value.trim().parse().map(Some).map_err(|_| {
        Failure::BadRequest(format!("`{name}` should be a whole number, not `{value}`"))
    })
}
