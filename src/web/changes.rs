//! Changes and where they come from.

use std::collections::HashMap;
use std::collections::HashSet;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::Action;
use crate::config::Plan;
use crate::config::WebPlan;
use crate::config::explain;
use crate::master::source_view::SourceView;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::RequestRecord;
use crate::model::Timestamp;
use crate::model::User;
use crate::store::ChangeQuery;
use crate::store::FoundChanges;
use crate::store::Store;
use crate::store::StoreError;

use super::app::Shared;
use super::auth::May;
use super::auth::Visitor;
use super::builder;
use super::choice;
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

/// So many are looked at in a search; the page says how it goes on.
const FARTHEST: usize = 20_000;

/// Requests of a change that its page tells of.
const REQUESTS: usize = 300;

/// Builders that did not take a change, of each scheduler.
const NAMED: usize = 30;

#[derive(Serialize)]
pub(super) struct ChangesView {
    sources: Vec<SourceLine>,
    changes: Vec<ChangeView>,
    search: SearchView,
    is_narrow: bool,
    /// The arguments of what comes after, and of the beginning.
    older: Option<String>,
    newest: Option<String>,
}

/// What changes are looked for, as it was asked.
#[derive(Default, Serialize)]
struct SearchView {
    q: String,
    author: String,
    branch: String,
    project: String,
    repository: String,
    category: String,
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
    change: ChangeView,
    requests: Vec<RequestOfChange>,
    /// So many more there are.
    more_requests: usize,
    /// Who made it, where users are shown.
    user: Option<Link>,
    /// Whether who looks at it may cancel all that waits.
    can_stop: bool,
    why: Vec<WhyLine>,
    not_taken: Vec<NotTaken>,
}

#[derive(Serialize)]
struct RequestOfChange {
    id: i64,
    builder: Link,
    badge: Option<Badge>,
    state: &'static str,
    cancelled: Option<String>,
    waits: bool,
    can_stop: bool,
    builds: Vec<BuildOfChange>,
}

/// A build that the change is in.
#[derive(Serialize)]
struct BuildOfChange {
    build: Link,
    badge: Badge,
    text: String,
}

/// Builders of a scheduler that does not build the change, and why.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct NotTaken {
    scheduler: String,
    because: String,
    builders: Vec<String>,
    more: usize,
}

impl NotTaken {
    /// Builders that were asked by somebody else have taken it.
    fn all(plan: &Plan, change: &Change, requests: &[RequestRecord]) -> Vec<Self> {
        let taken: HashSet<_> = requests.iter().map(|it| &it.builder).collect();
        let mut all = Vec::new();
        for it in explain::change(plan, change) {
            if it.passes || it.scheduler.settings.filter().is_none() {
                continue;
            }
            let builders = it.scheduler.builders.iter();
            let left: Vec<_> = builders.filter(|it| !taken.contains(it)).collect();
            if left.is_empty() {
                continue;
            }
            all.push(Self {
                scheduler: it.scheduler.name.to_string(),
                because: it.because,
                builders: left.iter().take(NAMED).map(ToString::to_string).collect(),
                more: left.len().saturating_sub(NAMED),
            });
        }
        all
    }
}

fn view(
    sources: &[SourceView],
    found: &FoundChanges,
    query: &choice::Query,
    web: &WebPlan,
    now: Timestamp,
) -> ChangesView {
    let text = |name| choice::first(query, name).unwrap_or_default().to_owned();
    let asked = ["q", "author", "branch", "project", "repository", "category"];
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
        search: SearchView {
            q: text("q"),
            author: text("author"),
            branch: text("branch"),
            project: text("project"),
            repository: text("repository"),
            category: text("category"),
        },
        is_narrow: asked.iter().any(|it| choice::first(query, it).is_some()),
        older: found
            .next
            .map(|it| choice::with(query, "before", &it.0.to_string(), &[])),
        newest: choice::first(query, "before").map(|_| choice::written(query, &["before"])),
        changes: found
            .changes
            .iter()
            .map(|it| ChangeView::new(it, web, now))
            .collect(),
    }
}

/// What the page of a change reads.
struct Facts {
    change: Change,
    requests: Vec<RequestRecord>,
    /// Of the requests that are shown.
    builds: HashMap<BuildKey, BuildRecord>,
    user: Option<User>,
}

fn read(store: &mut dyn Store, id: ChangeId) -> Result<Option<Facts>, StoreError> {
    let Some(change) = store.change(id)? else {
        return Ok(None);
    };
    let requests = store.requests_of_change(id)?;
    let mut builds = HashMap::new();
    for key in requests.iter().take(REQUESTS).flat_map(|it| &it.builds) {
        if let Some(build) = store.build(&key.builder, key.number)? {
            builds.insert(key.clone(), build);
        }
    }
    Ok(Some(Facts {
        user: store.users_of_change(id)?.into_iter().next(),
        change,
        requests,
        builds,
    }))
}

fn change_view(
    facts: &Facts,
    user: Option<&User>,
    why: Vec<Fact>,
    may: &May<'_>,
    now: Timestamp,
) -> ChangePage {
    let plan = may.plan();
    let request = |request: &RequestRecord| {
        let builds = request.builds.iter().map(|key| {
            let build = facts.builds.get(key);
            BuildOfChange {
                build: Link::build(key),
                badge: build.map_or(Badge::NOT_STARTED, |it| Badge::of(it.outcome)),
                text: build.map(|it| it.text.join(" ")).unwrap_or_default(),
            }
        });
        RequestOfChange {
            id: request.id.0,
            builder: Link::builder(request.builder.as_str()),
            badge: request.outcome.map(|it| Badge::of(Some(it))),
            state: request_state(request),
            cancelled: request.cancelled.clone(),
            waits: waits(request),
            can_stop: waits(request) && may.stop_change(Some(&request.builder), &facts.change),
            // One that is pruned has no page.
            builds: builds.filter(|it| it.badge != Badge::NOT_STARTED).collect(),
        }
    };
    ChangePage {
        change: ChangeView::new(&facts.change, &plan.web, now),
        user: user.map(users::link),
        can_stop: facts.requests.iter().any(waits) && may.stop_change(None, &facts.change),
        why: WhyLine::all(why, now),
        not_taken: NotTaken::all(plan, &facts.change, &facts.requests),
        requests: facts.requests.iter().take(REQUESTS).map(request).collect(),
        more_requests: facts.requests.len().saturating_sub(REQUESTS),
    }
}

fn waits(request: &RequestRecord) -> bool {
    request.outcome.is_none() && !request.claimed
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
    let text = |name| choice::first(&query, name).map(str::to_owned);
    let wanted = ChangeQuery {
        before: builder::number(&query, "before")?.map(ChangeId),
        branches: choice::branches(&query),
        project: text("project"),
        repository: text("repository"),
        category: text("category"),
        author: text("author"),
        part: text("q"),
        farthest: FARTHEST,
        limit: PAGE,
    };
    let sources = app.desk.sources();
    let found = app.read(move |store| store.find_changes(&wanted)).await?;
    let web = &app.desk.plan().web;
    let view = view(&sources, &found, &query, web, clock::now());
    app.draw("changes.html", &uri, view)
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
    let facts = app.read(move |store| read(store, id)).await?;
    let facts = facts.ok_or(missing)?;
    let is_shown = app.may_see(&visitor, Action::ShowUsersPage);
    let user = facts.user.as_ref().filter(|_| is_shown);
    let why = why_waiting::change_facts(&app, &facts.change, &facts.requests).await?;
    let view = change_view(&facts, user, why, &May::of_page(&app), clock::now());
    app.draw("change.html", &uri, view)
}
