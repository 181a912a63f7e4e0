//! One line for each build: the newest of all builders, or of one.

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::model::BuilderName;
use crate::store::BuildQuery;

use super::app::App;
use super::app::Shared;
use super::app::redirect;
use super::builder;
use super::builder_list;
use super::builders;
use super::builders::BuilderFacts;
use super::choice;
use super::choice::Choice;
use super::failure::Failure;
use super::rows::BuildLine;
use super::rows::Link;

/// Lines unless the configuration or the address says otherwise, and the most it may say.
const LINES: i64 = 20;
const MOST: i64 = 500;

/// Of more builders than that, the builds of all are read in the order of their ends.
pub(super) const MANY: usize = 64;

#[derive(Serialize)]
struct LinesView {
    /// The builder that all are of, if the page is about one.
    builder: Option<Link>,
    builds: Vec<BuildLine>,
    /// Builders that were asked for by name: they can be forced and stopped together.
    named: Vec<String>,
    any_building: bool,
    any_online: bool,
}

fn count(query: &choice::Query, web: &WebPlan) -> Result<usize, Failure> {
    let usual = web.num_builds.map_or(LINES, i64::from);
    let asked = builder::number(query, "numbuilds")?.unwrap_or(usual);
    Ok(usize::try_from(asked.clamp(1, MOST)).expect("at least one"))
}

/// Reads the builds that ended last, of these builders.
async fn read(
    app: &Shared,
    builders: Option<Vec<BuilderName>>,
    query: &choice::Query,
) -> Result<Vec<BuildLine>, Failure> {
    let wanted = BuildQuery {
        among: builders,
        branches: choice::branches(query),
        limit: count(query, &app.desk.plan().web)?,
        ..BuildQuery::default()
    };
    let builds = app.read(move |store| store.find_builds(&wanted)).await?;
    Ok(BuildLine::all(&builds, clock::now()))
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let plan = app.desk.plan();
    let choice = Choice::new(&query);
    let shown = plan.builders.iter();
    let shown = shown.filter(|it| choice.takes(it.name.as_str(), it.category.as_deref()));
    let shown: Vec<_> = shown.map(|it| it.name.clone()).collect();
    let is_named = choice::first(&query, "builder").is_some();
    let named = match is_named {
        true => {
            let names = shown.clone();
            builder_list::glimpse(&app, Vec::new(), move |it| names.contains(&it.name)).await?
        }
        false => Vec::new(),
    };
    let view = LinesView {
        builder: None,
        builds: read(&app, Some(shown), &query).await?,
        any_building: named.iter().any(|it| !it.running.is_empty()),
        any_online: named.iter().any(|it| it.connected > 0),
        named: named.iter().map(|it| it.plan.name.to_string()).collect(),
    };
    app.draw("onelineperbuild.html", &uri, view)
}

pub(super) async fn of_builder(
    State(app): State<Shared>,
    uri: Uri,
    Path(name): Path<String>,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let name = find(&app, &name).await?.name;
    let view = LinesView {
        builder: Some(Link::builder(name.as_str())),
        builds: read(&app, Some(vec![name]), &query).await?,
        named: Vec::new(),
        any_building: false,
        any_online: false,
    };
    app.draw("onelineperbuild.html", &uri, view)
}

/// A builder and its newest builds, also if it has left the configuration.
pub(super) async fn find(app: &App, name: &str) -> Result<BuilderFacts, Failure> {
    let builder = BuilderName::from(name);
    let plan = app.desk.plan();
    let is_planned = plan.builders.iter().any(|it| it.name == builder);
    let asked = builder.clone();
    let builds = app
        .read(move |store| {
            if !is_planned && store.newest_numbers(&asked, 1)?.is_empty() {
                return Ok(None);
            }
            Ok(Some(store.recent_builds(
                Some(&asked),
                None,
                builders::GLANCE,
            )?))
        })
        .await?;
    let builds = builds.ok_or_else(|| Failure::NotFound(format!("builder `{name}`")))?;
    Ok(BuilderFacts {
        name: builder,
        category: None,
        connected: 0,
        builds,
    })
}

/// A box for each builder is what the list of builders has.
pub(super) async fn boxes(uri: Uri) -> Response {
    let query = uri.query().map(|it| format!("?{it}")).unwrap_or_default();
    redirect(&format!("builders{query}"))
}
