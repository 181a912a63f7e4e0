//! What came of the newest builds, for feed readers: RSS 2.0 and Atom 1.0.
//! `entry.rs` says what an entry says; this file which builds have one.

mod entry;
mod tails;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;

use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::Feed;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Outcome;
use crate::model::StepRecord;

use super::app::App;
use super::app::Shared;
use super::choice;
use super::choice::Choice;
use super::failure::Failure;
use super::lines;
use super::past;
use super::past::Past;
use super::unchanged;
use super::words::Badge;
use entry::Description;
use entry::Entry;
pub(super) use entry::clean;
use tails::Tails;

/// Entries of a feed; of no builder it is looked further back either.
const ENTRIES: usize = 25;

#[derive(Serialize)]
struct FeedView {
    title: String,
    /// The first page of the site.
    link: String,
    /// The feed itself.
    address: String,
    /// When its newest build ended, in the words of both kinds.
    date: String,
    iso: String,
    entries: Vec<Entry>,
}

pub(super) async fn rss(
    state: State<Shared>,
    uri: Uri,
    query: Query<choice::Query>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    send(state, uri, query, headers, Feed::Rss).await
}

pub(super) async fn atom(
    state: State<Shared>,
    uri: Uri,
    query: Query<choice::Query>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    send(state, uri, query, headers, Feed::Atom).await
}

/// Answers what is below `/json` only where `provide_feeds` has it.
pub(super) async fn json(
    State(app): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    provided(&app, Feed::Json)?;
    Ok(next.run(request).await)
}

fn provided(app: &App, feed: Feed) -> Result<(), Failure> {
    match app.desk.plan().web.provided().any(|it| it == feed) {
        true => Ok(()),
        false => Err(Failure::NotFound("page at this address".into())),
    }
}

/// A build with what its entry tells of it.
struct Facts {
    build: BuildRecord,
    /// Its steps that failed.
    failed: Vec<StepRecord>,
}

async fn send(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
    headers: HeaderMap,
    feed: Feed,
) -> Result<Response, Failure> {
    provided(&app, feed)?;
    let plan = app.desk.plan();
    let base = base(plan.master.base_url.as_deref(), &headers);
    let (name, template) = match feed {
        Feed::Atom => ("atom", "feed_atom10.xml"),
        Feed::Rss | Feed::Json => ("rss", "feed_rss20.xml"),
    };
    let choice = Choice::new(&query);
    let only_failures = choice::first(&query, "failures_only") == Some("true");
    let builders = choice.planned(&plan);
    let builds = app
        .read(move |store| {
            let fits = |it: &BuildRecord| {
                it.finished.is_some()
                    && choice.takes_branch(it.stamp.branch.as_deref())
                    && (!only_failures || Badge::of(it.outcome).is_red())
            };
            let builds = if builders.len() > lines::MANY {
                let names: HashSet<_> = builders.iter().map(|it| &it.name).collect();
                let fits = |it: &BuildRecord| names.contains(&it.key.builder) && fits(it);
                let mut builds = past::ended_last(store, ENTRIES, fits)?;
                builds.sort_by_key(|it| Reverse((it.started, it.id.0)));
                builds
            } else {
                let running = store.running_builds()?;
                let running = |name: &BuilderName| {
                    let builds = running.iter();
                    builds.filter(|it| it.key.builder == *name).count()
                };
                let names = builders.iter().map(|it| &it.name);
                let mut pasts: Vec<_> = names
                    .map(|it| Past::of(it, ENTRIES + running(it)))
                    .collect();
                past::merge(store, &mut pasts, ENTRIES, fits, |it| it.started)?
            };
            let facts = builds.into_iter().map(|build| {
                let mut failed = Vec::new();
                if Badge::of(build.outcome).is_red() {
                    failed = store.steps(build.id)?;
                    failed.retain(|it| it.outcome == Some(Outcome::Failure));
                }
                Ok(Facts { build, failed })
            });
            facts.collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut tails = Tails::default();
    let mut entries = Vec::new();
    for Facts { build, failed } in &builds {
        let logs = tails.of(&app, &base, build, failed).await?;
        let description = Description::new(build, failed, logs, &plan.web, &base);
        let text = app.draw_text("feed_description.html", &uri, &description)?;
        entries.push(Entry::new(build, &base, text));
    }
    let newest = builds.iter().filter_map(|it| it.build.finished).max();
    let newest = newest.unwrap_or(app.desk.started());
    let asked = uri.query().map(|it| format!("?{it}")).unwrap_or_default();
    let view = FeedView {
        title: format!("Build status of {}", plan.master.title),
        address: format!("{base}{name}{asked}"),
        link: base,
        date: clock::http(newest),
        iso: clock::utc(newest),
        entries,
    };
    let text = clean(app.draw_text(template, &uri, &view)?);
    Ok(once(&headers, "text/xml; charset=UTF-8", text))
}

/// A document that a client has already is not sent again.
pub(super) fn once(headers: &HeaderMap, kind: &'static str, text: String) -> Response {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|it| unchanged::names(it, &tag)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let head = [(header::CONTENT_TYPE, kind.to_owned()), (header::ETAG, tag)];
    (head, text).into_response()
}

/// Where the site is: what the configuration says, or else where the client found it.
fn base(said: Option<&str>, headers: &HeaderMap) -> String {
    if let Some(said) = said {
        return format!("{}/", said.trim_end_matches('/'));
    }
    let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
    let is_host = |it: &&str| {
        let mut bytes = it.bytes();
        !it.is_empty() && bytes.all(|it| it.is_ascii_alphanumeric() || b"-.:[]".contains(&it))
    };
    format!("http://{}/", host.filter(is_host).unwrap_or("localhost"))
}
