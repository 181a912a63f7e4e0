//! What a visitor can do to builds and requests that are there: build the
//! same again, cancel what waits of a change or of a request, stop many
//! builds at once; and ask for builds of many builders.

use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;
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
use super::actions::authors;
use super::actions::field;
use super::actions::priority;
use super::actions::properties;
use super::actions::read;
use super::actions::reason;
use super::actions::wish;
use super::app::App;
use super::app::Shared;
use super::auth::Target;
use super::auth::Visitor;
use super::build;
use super::failure::Failure;
use super::links;
use super::notice;

/// So many builders are asked at a time: the store takes together what comes together.
const AT_ONCE: usize = 50;

pub(super) async fn rebuild(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path((builder, number)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = read(posted)?;
    let plan = app.desk.plan();
    let name = BuilderName::from(builder.as_str());
    let found = build::find(&app, builder, &number).await;
    let branch = found.as_ref().ok();
    let branch = branch.and_then(|it| it.build.stamp.branch.as_deref());
    let target = Target::builder(&plan, &name, branch);
    app.permit(&visitor, Action::ForceBuild, &target).await?;
    let key: BuildKey = found?.build.key;
    let wish = Rebuild {
        build: key.clone(),
        reason: reason(&visitor, "rebuild", &fields, None),
        properties: properties(&fields),
        owner: visitor.name().map(str::to_owned),
        priority: priority(&fields)?,
    };
    let page = format!("../../../{}", links::quote(key.builder.as_str()));
    let (buildset, request) = match app.desk.rebuild(wish).await {
        Ok(asked) => asked,
        Err(denied) => return notice::of_denied(denied, &headers, &page),
    };
    let done = json!({
        "builder": key.builder, "rebuilt": key.number, "buildset": buildset, "request": request,
    });
    Ok(answer(&headers, &done, || page))
}

pub(super) async fn cancel_request(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = read(posted)?;
    let number = id.parse().map(RequestId).ok();
    let found = app.read(move |store| {
        let Some(request) = number.map(|it| store.request(it)).transpose()?.flatten() else {
            return Ok(None);
        };
        let authors = authors(store, &request)?;
        Ok(Some((request, authors)))
    });
    let found = found.await?;
    let target = match &found {
        Some((request, authors)) => Target::request(&app.desk.plan(), request, authors.clone()),
        None => Target::called(format!("request {id}")),
    };
    app.permit(&visitor, Action::CancelPendingBuild, &target)
        .await?;
    let missing = || Failure::NotFound(format!("request {id}"));
    let (request, _) = found.ok_or_else(missing)?;
    let (number, builder) = (request.id, request.builder);
    app.desk
        .cancel_request(number, &reason(&visitor, "cancel", &fields, None))
        .await?;
    let done = json!({ "builder": builder, "cancelled": [number] });
    Ok(answer(&headers, &done, || {
        format!("../../{}", links::builder(builder.as_str()))
    }))
}

/// Cancels what waits of a change for one builder.
pub(super) async fn stop_change(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(builder): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    let name = BuilderName::from(builder.as_str());
    let (_, done) = cancel_of_change(&app, &visitor, &read(posted)?, Some(&name)).await?;
    Ok(answer(&headers, &done, || {
        format!("../{}", links::quote(&builder))
    }))
}

/// Cancels what waits of a change for any builder.
pub(super) async fn stop_change_everywhere(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    let (change, done) = cancel_of_change(&app, &visitor, &read(posted)?, None).await?;
    Ok(answer(&headers, &done, || {
        format!("../../changes/{change}")
    }))
}

/// Cancels what waits of a change, for one builder or for all; says which change that was, and
/// what was cancelled.
async fn cancel_of_change(
    app: &App,
    visitor: &Visitor,
    fields: &Fields,
    builder: Option<&BuilderName>,
) -> Result<(ChangeId, Value), Failure> {
    let id = change(fields)?;
    let known = app.read(move |store| store.change(id)).await?;
    let target = match &known {
        Some(change) => Target::change(&app.desk.plan(), builder, change),
        None => Target::called(format!("change {id}")),
    };
    app.permit(visitor, Action::StopChange, &target).await?;
    // Of one that there is no longer, something may still wait for a builder.
    if known.is_none() && builder.is_none() {
        return Err(Failure::NotFound(format!("change {id}")));
    }
    let why = reason(visitor, "stop change", fields, None);
    let cancelled = app.desk.cancel_change(id, builder, &why).await?;
    Ok((id, json!({ "change": id, "cancelled": cancelled })))
}

pub(super) async fn stop_all(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(&visitor, Action::StopAllBuilds, &Target::master())
        .await?;
    let fields = read(posted)?;
    stop(&app, &visitor, &headers, (&fields, None)).await
}

/// Asks for a build of every builder.
pub(super) async fn force_all(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(&visitor, Action::ForceAllBuilds, &Target::master())
        .await?;
    let fields = read(posted)?;
    let plan = app.desk.plan();
    let all = plan.builders.iter().map(|it| it.name.clone()).collect();
    force(&app, &visitor, &headers, (&fields, all)).await
}

/// Asks for a build of each builder that was chosen.
pub(super) async fn force_selected(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = read(posted)?;
    let chosen = selected(&fields);
    let target = called(&chosen);
    app.permit(&visitor, Action::ForceAllBuilds, &target)
        .await?;
    force(&app, &visitor, &headers, (&fields, chosen)).await
}

/// Asks each builder; one that refuses is not in the way of the others, unless all do.
async fn force(
    app: &Shared,
    visitor: &Visitor,
    headers: &HeaderMap,
    (fields, builders): (&Fields, Vec<BuilderName>),
) -> Result<Response, Failure> {
    let plan = app.desk.plan();
    let priority = priority(fields)?;
    let asking = builders.into_iter().map(|builder| {
        let forcing = plan.forcing(&builder);
        let usual = forcing.and_then(|it| it.settings.as_force()?.reason.as_deref());
        let mut wish = wish(visitor, builder.as_str(), fields, usual);
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

/// What the audit log says of builders that were chosen.
fn called(chosen: &[BuilderName]) -> Target {
    let names: Vec<_> = chosen.iter().map(|it| it.as_str()).collect();
    Target::called(format!("builders {}", names.join(", ")))
}

/// Stops the builds of the builders that were chosen.
pub(super) async fn stop_selected(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = read(posted)?;
    let chosen = selected(&fields);
    let target = called(&chosen);
    app.permit(&visitor, Action::StopAllBuilds, &target).await?;
    stop(&app, &visitor, &headers, (&fields, Some(&chosen))).await
}

async fn stop(
    app: &Shared,
    visitor: &Visitor,
    headers: &HeaderMap,
    (fields, of): (&Fields, Option<&[BuilderName]>),
) -> Result<Response, Failure> {
    let why = reason(visitor, "stop build", fields, None);
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
