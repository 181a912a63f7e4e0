//! One line for each build: the newest of all builders, or of one.

use std::collections::HashSet;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::model::BuildRecord;
use crate::model::BuilderName;

use super::app::App;
use super::app::Shared;
use super::app::redirect;
use super::builder;
use super::builders;
use super::builders::BuilderFacts;
use super::choice;
use super::choice::Choice;
use super::failure::Failure;
use super::past;
use super::past::FARTHEST;
use super::past::Past;
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
}

fn count(query: &choice::Query, web: &WebPlan) -> Result<usize, Failure> {
    let usual = web.num_builds.map_or(LINES, i64::from);
    let asked = builder::number(query, "numbuilds")?.unwrap_or(usual);
    Ok(usize::try_from(asked.clamp(1, MOST)).expect("at least one"))
}

/// Reads the builds that ended last, of these builders.
async fn read(
    app: &Shared,
    builders: Vec<BuilderName>,
    choice: Choice,
    count: usize,
) -> Result<Vec<BuildLine>, Failure> {
    let farthest = FARTHEST.max(count);
    let builds = app
        .read(move |store| {
            let fits = |it: &BuildRecord| {
                it.finished.is_some() && choice.takes_branch(it.stamp.branch.as_deref())
            };
            if builders.len() > MANY {
                let builders: HashSet<_> = builders.iter().collect();
                let fits = |it: &BuildRecord| builders.contains(&it.key.builder) && fits(it);
                return past::ended_last(store, count, fits);
            }
            let mut pasts: Vec<_> = builders.iter().map(|it| Past::of(it, farthest)).collect();
            past::merge(store, &mut pasts, count, fits, |it| it.finished)
        })
        .await?;
    Ok(BuildLine::all(&builds, clock::now()))
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let count = count(&query, &app.desk.plan().web)?;
    let choice = Choice::new(&query);
    let builders = choice.planned(&app.desk.plan());
    let builders = builders.iter().map(|it| it.name.clone()).collect();
    let view = LinesView {
        builder: None,
        builds: read(&app, builders, choice, count).await?,
    };
    app.draw("onelineperbuild.html", &uri, view)
}

pub(super) async fn of_builder(
    State(app): State<Shared>,
    uri: Uri,
    Path(name): Path<String>,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let count = count(&query, &app.desk.plan().web)?;
    let view = LinesView {
        builder: Some(Link::builder(&name)),
        builds: read(
            &app,
            vec![find(&app, &name).await?.name],
            Choice::new(&query),
            count,
        )
        .await?,
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
        slaves: 0,
        connected: 0,
        pending: 0,
        builds,
    })
}

/// A box for each builder is what the list of builders has.
pub(super) async fn boxes(uri: Uri) -> Response {
    let query = uri.query().map(|it| format!("?{it}")).unwrap_or_default();
    redirect(&format!("builders{query}"))
}
