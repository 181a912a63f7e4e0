//! One build as the waterfall draws it, newest step first: for small windows.

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;

use super::super::app::Shared;
use super::super::build;
use super::super::builder;
use super::super::choice;
use super::super::failure::Failure;
use super::Tile;
use super::items;

#[derive(Serialize)]
struct StatusView {
    key: String,
    boxes: Vec<Tile>,
}

pub(in crate::web) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let asked = |name: &str| {
        let missing = || Failure::BadRequest(format!("`{name}` is missing in the address"));
        choice::first(&query, name).ok_or_else(missing)
    };
    let name = asked("builder")?.to_owned();
    let number = asked("number")?.to_owned();
    builder::number(&query, "number")?;
    let facts = build::find(&app, name, &number).await?;
    let items = items(&facts.build, &facts.steps, clock::now());
    let view = StatusView {
        key: facts.build.key.to_string(),
        boxes: items.into_iter().map(|it| it.what).collect(),
    };
    app.draw("buildstatus.html", &uri, view)
}
