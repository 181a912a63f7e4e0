//! What the waterfall can be asked for, as a form.

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use super::super::app::Shared;
use super::super::choice;
use super::super::failure::Failure;
use super::wanted::says_true;

/// How often a page may be drawn again, in seconds.
const RELOADS: [u32; 3] = [60, 300, 600];

#[derive(Serialize)]
struct HelpView {
    show_events: bool,
    failures_only: bool,
    branches: Vec<String>,
    committers: Vec<String>,
    builders: Vec<Choice>,
    categories: Vec<Choice>,
    reload: Option<u32>,
    reloads: Vec<u32>,
}

#[derive(Serialize)]
struct Choice {
    name: String,
    chosen: bool,
}

pub(in crate::web) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let plan = app.desk.plan();
    let typed = |name: &str| {
        let mut all = choice::all(&query, &[name]);
        // One to type another into.
        all.push(String::new());
        all
    };
    let choices = |names: Vec<&str>, asked: &[&str]| -> Vec<Choice> {
        let chosen = choice::all(&query, asked);
        let all = names.into_iter();
        all.map(|name| Choice {
            name: name.to_owned(),
            chosen: chosen.iter().any(|it| it == name),
        })
        .collect()
    };
    let builders = plan.builders.iter().map(|it| it.name.as_str()).collect();
    let mut categories: Vec<_> = plan
        .builders
        .iter()
        .filter_map(|it| it.category.as_deref())
        .collect();
    categories.sort_unstable();
    categories.dedup();
    let reload = choice::first(&query, "reload")
        .and_then(|it| it.parse().ok())
        .filter(|it| *it > 0);
    let mut reloads = RELOADS.to_vec();
    reloads.extend(reload.filter(|it| !RELOADS.contains(it)));
    let view = HelpView {
        show_events: says_true(&query, "show_events"),
        failures_only: says_true(&query, "failures_only"),
        branches: typed("branch"),
        committers: typed("committer"),
        builders: choices(builders, &["builder", "show"]),
        categories: choices(categories, &["category"]),
        reload,
        reloads,
    };
    app.draw("waterfallhelp.html", &uri, view)
}
