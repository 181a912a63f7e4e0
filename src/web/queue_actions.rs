//! What a visitor can do to builds and requests that are there: build the
//! same again, cancel what waits of a change or of a request, stop many
//! builds at once; and ask for builds of many builders.

use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;

use crate::config::Action;
use crate::master::again::Rebuild;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::ChangeId;
use crate::model::RequestId;

use super::actions::Fields;
use super::actions::Posted;
use super::actions::answer;
use super::actions::field;
use super::actions::priority;
use super::actions::properties;
use super::actions::read;
use super::actions::reason;
use super::actions::wish;
use super::app::Shared;
use super::build;
use super::failure::Failure;
use super::links;

/// So many builders are asked at a time: the store takes together what comes together.
const AT_ONCE: usize = 50;

pub(super) async fn rebuild(
    State(app): State<Shared>,
    headers: HeaderMap,
    Path((builder, number)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::ForceBuild)?;
    let fields = read(posted)?;
    let found = build::find(&app, builder, &number).await?;
    let key: BuildKey = found.build.key;
    let wish = Rebuild {
        build: key.clone(),
        reason: reason("rebuild", &fields, None),
        properties: properties(&fields),
        priority: priority(&fields)?,
    };
    let (buildset, request) = app.desk.rebuild(wish).await?;
    let done = json!({
        "builder": key.builder, "rebuilt": key.number, "buildset": buildset, "request": request,
    });
    Ok(answer(&headers, &done, || {
        format!("../../../{}", links::quote(key.builder.as_str()))
    }))
}

pub(super) async fn cancel_request(
    State(app): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::CancelPendingBuild)?;
    let fields = read(posted)?;
    let missing = || Failure::NotFound(format!("request {id}"));
    let number = id.parse().map(RequestId).map_err(|_| missing())?;
    let found = app.read(move |store| store.request(number)).await?;
    let builder = found.ok_or_else(missing)?.builder;
    app.desk
        .cancel_request(number, &reason("cancel", &fields, None))
        .await?;
    let done = json!({ "builder": builder, "cancelled": [number] });
    Ok(answer(&headers, &done, || {
        format!("../../{}", links::builder(builder.as_str()))
    }))
}

/// Cancels what waits of a change for one builder.
pub(super) async fn stop_change(
    State(app): State<Shared>,
    headers: HeaderMap,
    Path(builder): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::StopChange)?;
    let fields = read(posted)?;
    let name = BuilderName::from(builder.as_str());
    let change = change(&fields)?;
    let why = reason("stop change", &fields, None);
    let cancelled = app.desk.cancel_change(change, Some(&name), &why).await?;
    let done = json!({ "change": change, "cancelled": cancelled });
    Ok(answer(&headers, &done, || {
        format!("../{}", links::quote(&builder))
    }))
}

/// Cancels what waits of a change for any builder.
pub(super) async fn stop_change_everywhere(
    State(app): State<Shared>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::StopChange)?;
    let fields = read(posted)?;
    let change = change(&fields)?;
    let known = app.read(move |store| store.change(change)).await?;
    if known.is_none() {
        return Err(Failure::NotFound(format!("change {change}")));
    }
    let why = reason("stop change", &fields, None);
    let cancelled = app.desk.cancel_change(change, None, &why).await?;
    let done = json!({ "change": change, "cancelled": cancelled });
    Ok(answer(&headers, &done, || {
        format!("../../changes/{change}")
    }))
}

pub(super) async fn stop_all(
    State(app): State<Shared>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::StopAllBuilds)?;
    let fields = read(posted)?;
    stop(&app, &headers, &fields, None).await
}

/// Asks for a build of every builder.
pub(super) async fn force_all(
    State(app): State<Shared>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::ForceAllBuilds)?;
    let fields = read(posted)?;
    let plan = app.desk.plan();
    let all = plan.builders.iter().map(|it| it.name.clone()).collect();
    force(&app, &headers, &fields, all).await
}

/// Asks for a build of each builder that was chosen.
pub(super) async fn force_selected(
    State(app): State<Shared>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::ForceAllBuilds)?;
    let fields = read(posted)?;
    let chosen = selected(&fields);
    force(&app, &headers, &fields, chosen).await
}

/// Asks each builder; one that refuses is not in the way of the others, unless all do.
async fn force(
    app: &Shared,
    headers: &HeaderMap,
    fields: &Fields,
    builders: Vec<BuilderName>,
) -> Result<Response, Failure> {
    let plan = app.desk.plan();
    let priority = priority(fields)?;
    let asking = builders.into_iter().map(|builder| {
        let forcing = plan.forcing(&builder);
        let usual = forcing.and_then(|it| it.settings.as_force()?.reason.as_deref());
        let mut wish = wish(builder.as_str(), fields, usual);
        wish.priority = priority;
        async move { (builder, app.desk.force(wish).await) }
    });
    let mut asking = stream::iter(asking).buffered(AT_ONCE);
    let (mut forced, mut refused, mut first) = (Vec::new(), Vec::new(), None);
    while let Some((builder, answer)) = asking.next().await {
        match answer {
            Ok((buildset, request)) => forced.push(json!({
                "builder": builder, "buildset": buildset, "request": request,
            })),
            Err(denied) => {
                refused.push(json!({ "builder": builder, "why": denied.to_string() }));
                first.get_or_insert(denied);
            }
        }
    }
    match first {
        Some(denied) if forced.is_empty() => Err(denied.into()),
        _ => {
            let done = json!({ "forced": forced, "refused": refused });
            Ok(answer(headers, &done, || "../../builders".to_owned()))
        }
    }
}

/// The builders that were chosen, each once.
fn selected(fields: &Fields) -> Vec<BuilderName> {
    let mut chosen: Vec<BuilderName> = Vec::new();
    for (_, value) in fields.iter().filter(|(name, _)| name == "selected") {
        let name = BuilderName::from(value.as_str());
        if !chosen.contains(&name) {
            chosen.push(name);
        }
    }
    chosen
}

/// Stops the builds of the builders that were chosen.
pub(super) async fn stop_selected(
    State(app): State<Shared>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(Action::StopAllBuilds)?;
    let fields = read(posted)?;
    stop(&app, &headers, &fields, Some(&selected(&fields))).await
}

async fn stop(
    app: &Shared,
    headers: &HeaderMap,
    fields: &Fields,
    of: Option<&[BuilderName]>,
) -> Result<Response, Failure> {
    let why = reason("stop build", fields, None);
    let stopped = app.desk.stop_builds(of, &why).await?;
    let stopped: Vec<_> = stopped.iter().map(ToString::to_string).collect();
    let done = json!({ "stopped": stopped });
    Ok(answer(headers, &done, || "../../builders".to_owned()))
}

fn change(fields: &Fields) -> Result<ChangeId, Failure> {
    let id = field(fields, "change");
    let id = id.and_then(|it| it.parse().ok()).map(ChangeId);
    id.ok_or_else(|| Failure::BadRequest("`change` should be a change's number".into()))
}
