//! Changes and where they come from.

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::Action;
use crate::config::WebPlan;
use crate::master::source_view::SourceView;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::RequestRecord;
use crate::model::Timestamp;
use crate::model::User;

use super::app::Shared;
use super::auth::Visitor;
use super::builder;
use super::failure::Failure;
use super::rows::ChangeView;
use super::rows::Link;
use super::users;
use super::why::Fact;
use super::why::WhyLine;
use super::why_waiting;
use super::words::Badge;
use super::words::Moment;

/// Changes on one page.
const PAGE: usize = 50;

#[derive(Serialize)]
pub(super) struct ChangesView {
    pub(super) sources: Vec<SourceLine>,
    pub(super) changes: Vec<ChangeView>,
    /// Where the next page starts.
    pub(super) before: Option<i64>,
}

/// A change source and how it is doing.
#[derive(Serialize)]
pub(super) struct SourceLine {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) problem: Option<String>,
    pub(super) last_poll: Option<Moment>,
}

/// A change and what became of it.
#[derive(Serialize)]
pub(super) struct ChangePage {
    pub(super) change: ChangeView,
    pub(super) requests: Vec<RequestOfChange>,
    /// Who made it, where users are shown.
    pub(super) user: Option<Link>,
    /// Whether one of them waits.
    pub(super) waits: bool,
    pub(super) why: Vec<WhyLine>,
}

#[derive(Serialize)]
pub(super) struct RequestOfChange {
    pub(super) id: i64,
    pub(super) builder: Link,
    pub(super) badge: Option<Badge>,
    pub(super) state: &'static str,
    pub(super) cancelled: Option<String>,
    pub(super) builds: Vec<Link>,
}

pub(super) fn view(
    sources: &[SourceView],
    changes: &[Change],
    web: &WebPlan,
    now: Timestamp,
) -> ChangesView {
    ChangesView {
        sources: sources
            .iter()
            .map(|source| SourceLine {
                name: source.name.clone(),
                state: source.state(),
                problem: source.health.clone().and_then(Result::err),
                last_poll: source.last_poll.map(|it| Moment::new(it, now)),
            })
            .collect(),
        before: (changes.len() == PAGE)
            .then(|| changes.last().map(|it| it.id.0))
            .flatten(),
        changes: changes
            .iter()
            .map(|it| ChangeView::new(it, web, now))
            .collect(),
    }
}

pub(super) fn change_view(
    change: &Change,
    requests: &[RequestRecord],
    user: Option<&User>,
    why: Vec<Fact>,
    web: &WebPlan,
    now: Timestamp,
) -> ChangePage {
    ChangePage {
        change: ChangeView::new(change, web, now),
        user: user.map(users::link),
        waits: requests
            .iter()
            .any(|it| it.outcome.is_none() && !it.claimed),
        why: WhyLine::all(why, now),
        requests: requests
            .iter()
            .map(|request| RequestOfChange {
                id: request.id.0,
                builder: Link::builder(request.builder.as_str()),
                badge: request.outcome.map(|it| Badge::of(Some(it))),
                state: request_state(request),
                cancelled: request.cancelled.clone(),
                builds: request.builds.iter().map(Link::build).collect(),
            })
            .collect(),
    }
}

/// Where a request stands, in one word.
pub(super) fn request_state(request: &RequestRecord) -> &'static str {
    match (request.outcome, request.claimed) {
        (Some(_), _) => "finished",
        (None, true) => "building",
        (None, false) => "waiting",
    }
}

pub(super) async fn list(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let before = builder::number(&query, "before")?.map(ChangeId);
    let sources = app.desk.sources();
    let changes = app
        .read(move |store| store.recent_changes(before, PAGE))
        .await?;
    app.draw(
        "changes.html",
        &uri,
        view(&sources, &changes, &app.desk.plan().web, clock::now()),
    )
}

pub(super) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    uri: Uri,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let missing = Failure::NotFound(format!("change {id}"));
    let Ok(id) = id.parse().map(ChangeId) else {
        return Err(missing);
    };
    let found = app
        .read(move |store| match store.change(id)? {
            Some(change) => {
                let user = store.users_of_change(id)?.into_iter().next();
                Ok(Some((change, store.requests_of_change(id)?, user)))
            }
            None => Ok(None),
        })
        .await?;
    let (change, requests, user) = found.ok_or(missing)?;
    let user = user.filter(|_| app.may_see(&visitor, Action::ShowUsersPage));
    let why = why_waiting::change_facts(&app, &change, &requests).await?;
    let (plan, now) = (app.desk.plan(), clock::now());
    let view = change_view(&change, &requests, user.as_ref(), why, &plan.web, now);
    app.draw("change.html", &uri, view)
}
