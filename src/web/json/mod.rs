//! `/json`: the state as documents, in the form of Buildbot 0.8.5, so that
//! what reads a Buildbot reads this. `shape.rs` knows the parameters that
//! every resource takes, `documents.rs` the documents; here is the tree.

mod documents;
mod kept;
mod shape;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Uri;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::clock;
use crate::config::BuilderPlan;
use crate::config::Plan;
use crate::master::Access;
use crate::master::handle::SlaveView;
use crate::master::outlook::{Outlook, Scope};
use crate::master::source_view::SourceView;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

use super::app::App;
use super::app::Jsonp;
use super::app::Shared;
use super::builders::Present;
use super::failure::Failure;
use super::links;
use super::step;
pub(super) use kept::Kept;
use shape::Shape;

/// How long a reply may be used again.
const FRESH: Duration = Duration::from_secs(60);

/// The most builds that `_all` gives.
const MOST_BUILDS: usize = 1000;
/// So many requests are told of that wait for a builder, the oldest.
const MOST_PENDING: usize = 1000;

/// What the documents are made of, besides builds.
pub(super) struct World {
    plan: Arc<Plan>,
    slaves: Vec<SlaveView>,
    present: Present,
    sources: Vec<SourceView>,
    /// How many requests wait for each builder.
    pending: HashMap<BuilderName, usize>,
    running: Vec<BuildRecord>,
    outlook: Outlook,
    /// The master's figures; null without a section for them.
    metrics: Value,
    /// For `builds/_all`.
    max: usize,
}

/// A change as Buildbot's documents have it.
pub(super) fn change(change: &Change) -> Value {
    documents::change(change)
}

type Found = Result<Option<Value>, StoreError>;

/// Builds whose help is linked: the newest.
const LINKED: usize = 20;

#[derive(Serialize)]
struct HelpView {
    path: String,
    /// Its last part, as it stands in an address.
    last: String,
    has_parent: bool,
    children: Vec<Child>,
}

/// A resource below another.
#[derive(Serialize)]
struct Child {
    name: String,
    url: String,
}

impl HelpView {
    fn new(address: &str, path: &[String], document: &Value) -> Self {
        let shown = address.trim_end_matches('/').trim_end_matches("/help");
        let keys = || -> Vec<String> {
            let all = document.as_object();
            all.into_iter().flat_map(|it| it.keys().cloned()).collect()
        };
        let named = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let names: Vec<String> = match parts.as_slice() {
            [] | ["builders" | "slaves" | "change_sources"] => keys(),
            ["builders", _] => named(&["builds", "pendingBuilds", "slaves"]),
            ["builders", _, "slaves"] => keys(),
            ["builders", _, "builds"] => {
                let mut numbers = keys();
                numbers.push("_all".to_owned());
                numbers.into_iter().rev().take(LINKED).collect()
            }
            ["builders", _, "builds", "_all"] => Vec::new(),
            ["builders", _, "builds", _] => named(&["source_stamp", "steps"]),
            ["builders", _, "builds", _, "source_stamp"] => named(&["changes"]),
            ["builders", _, "builds", _, "source_stamp", "changes"]
            | ["builders", _, "builds", _, "steps"] => keys(),
            _ => Vec::new(),
        };
        let child = |name: String| Child {
            url: links::quote(&name),
            name,
        };
        Self {
            path: shown.to_owned(),
            last: shown.rsplit('/').next().unwrap_or_default().to_owned(),
            has_parent: !path.is_empty(),
            children: names.into_iter().map(child).collect(),
        }
    }
}

pub(super) async fn root(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    reply(&app, &uri, &query).await
}

pub(super) async fn at(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    reply(&app, &uri, &query).await
}

async fn reply(app: &App, uri: &Uri, query: &[(String, String)]) -> Result<Response, Failure> {
    let missing = || Failure::NotFound("JSON resource at this address".into());
    let path = uri.path();
    let path = path.strip_prefix("/json").unwrap_or(path).trim_matches('/');
    let path = split(path).ok_or_else(missing)?;
    let shape = Shape::new(query);
    let help = path.last().is_some_and(|it| it == "help");
    let max = query
        .iter()
        .find(|(name, _)| name == "max")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(documents::CACHED);
    let kept = Kept::path(uri.path(), query);
    let end = app.journal.end().0;
    if let Some(text) = kept.and_then(|it| app.trees.get(it, end, Instant::now())) {
        let mut response = text.into_response();
        head(&mut response, uri.path(), shape.as_text);
        return Ok(response);
    }
    let select = shape.select.clone();
    let at = path.clone();
    let plan = app.desk.plan();
    // What many ask for again and again until it is over says nothing of anything else.
    let build = build_of(&at).filter(|_| select.is_empty());
    let (slaves, sources) = match build {
        Some(_) => (Vec::new(), Vec::new()),
        None => (app.desk.slaves(), app.desk.sources()),
    };
    let present = Present::new(&slaves);
    // What shows no build that may run needs no estimate.
    let shows_builds = |it: &String| matches!(it.as_str(), "builds" | "slaves");
    let is_estimated = match &build {
        Some(build) => app.desk.runs(build),
        None => at.is_empty() || !select.is_empty() || at.iter().any(shows_builds),
    };
    let outlook = match is_estimated {
        true => app.desk.outlook(Scope::Nothing).await?,
        false => Outlook::default(),
    };
    let is_alone = build.is_some();
    let shows_figures = at.first().is_none_or(|it| it == "metrics");
    let is_shown = app.access != Access::ReadOnly && plan.metrics.is_some();
    let metrics = match shows_figures && is_shown {
        true => documents::metrics(&app.desk.figures().await?),
        false => Value::Null,
    };
    let document = app
        .read(move |store| {
            let world = World {
                plan,
                slaves,
                present,
                sources,
                pending: match is_alone {
                    true => HashMap::new(),
                    false => store.count_pending()?.into_iter().collect(),
                },
                running: match is_alone {
                    true => Vec::new(),
                    false => store.running_builds()?,
                },
                outlook,
                metrics,
                max: max.min(MOST_BUILDS),
            };
            let found = if help { &at[..at.len() - 1] } else { &at[..] };
            world.selected(store, found, if help { &[] } else { &select })
        })
        .await?
        .ok_or_else(missing)?;
    if help {
        let view = HelpView::new(uri.path(), &path[..path.len() - 1], &document);
        return app.draw("jsonhelp.html", uri, view);
    }
    let callback = shape.callback.is_some();
    let text = Bytes::from(shape.write(document));
    if let Some(path) = kept {
        app.trees.put(path, end, Instant::now(), text.clone());
    }
    let mut response = text.into_response();
    head(&mut response, uri.path(), shape.as_text);
    if callback {
        response.extensions_mut().insert(Jsonp);
    }
    Ok(response)
}

fn head(response: &mut Response, path: &str, as_text: bool) {
    let headers = response.headers_mut();
    let kind = if as_text {
        "text/plain; charset=utf-8"
    } else {
        let name = match path.trim_end_matches('/') {
            "/json" => "buildbot".to_owned(),
            path => path.replace(['"', '\\'], "_"),
        };
        let disposition = format!("attachment; filename=\"{name}.json\"");
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        "application/json"
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    let expires = Timestamp(clock::now().0 + i64::try_from(FRESH.as_millis()).unwrap_or(0));
    if let Ok(expires) = HeaderValue::from_str(&http_date(expires)) {
        headers.insert(header::EXPIRES, expires);
    }
}

fn http_date(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

fn split(path: &str) -> Option<Vec<String>> {
    path.split('/')
        .filter(|it| !it.is_empty())
        .map(links::unquote)
        .collect()
}

/// The build that a path leads to, or something of it. One that is counted from the end may
/// be another in a moment.
fn build_of(path: &[String]) -> Option<BuildKey> {
    let [builders, builder, builds, number, ..] = path else {
        return None;
    };
    let number: i64 = number.parse().ok().filter(|it| *it >= 0)?;
    let leads_there = builders == "builders" && builds == "builds";
    leads_there.then(|| BuildKey {
        builder: builder.as_str().into(),
        number,
    })
}

impl World {
    /// The resource at `path`, or what is selected beneath it.
    fn selected(&self, store: &mut dyn Store, path: &[String], select: &[String]) -> Found {
        if select.is_empty() {
            return self.resource(store, path);
        }
        // The root is always there, and the most work to make.
        if !path.is_empty() && self.resource(store, path)?.is_none() {
            return Ok(None);
        }
        let mut reply = Map::new();
        for below in select {
            let parts: Vec<&str> = below.split('/').filter(|it| !it.is_empty()).collect();
            let mut whole = path.to_vec();
            whole.extend(parts.iter().map(|it| (*it).to_owned()));
            let document = self
                .resource(store, &whole)?
                .unwrap_or_else(|| json!({ "error": "Not available" }));
            shape::place(&mut reply, &parts, document);
        }
        Ok(Some(Value::Object(reply)))
    }

    fn resource(&self, store: &mut dyn Store, path: &[String]) -> Found {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        Ok(Some(match path.as_slice() {
            [] => json!({
                "builders": self.all_builders(store)?,
                "slaves": self.slaves_of(store, None)?,
                "project": self.project(),
                "change_sources": self.sources(),
                "metrics": self.metrics,
            }),
            ["builders"] => self.all_builders(store)?,
            ["builders", name, rest @ ..] => {
                let Some(builder) = self
                    .plan
                    .builders
                    .iter()
                    .find(|it| it.name.as_str() == *name)
                else {
                    return Ok(None);
                };
                return self.below_builder(store, builder, rest);
            }
            ["slaves"] => self.slaves_of(store, None)?,
            ["slaves", name] => return self.one_slave(store, name),
            ["project"] => self.project(),
            ["change_sources"] => self.sources(),
            ["change_sources", at] => return Ok(self.sources().get(*at).cloned()),
            ["metrics"] => self.metrics.clone(),
            ["metrics", group] => return Ok(self.metrics.get(*group).cloned()),
            ["metrics", group, name] => {
                let group = self.metrics.get(*group);
                return Ok(group.and_then(|it| it.get(*name)).cloned());
            }
            _ => return Ok(None),
        }))
    }

    fn all_builders(&self, store: &mut dyn Store) -> Result<Value, StoreError> {
        let mut all = Map::new();
        for builder in &self.plan.builders {
            all.insert(builder.name.to_string(), self.builder(store, builder)?);
        }
        Ok(Value::Object(all))
    }

    fn slaves_of(
        &self,
        store: &mut dyn Store,
        builder: Option<&BuilderPlan>,
    ) -> Result<Value, StoreError> {
        let mut all = Map::new();
        for slave in &self.slaves {
            if builder.is_none_or(|it| it.slaves.contains(&slave.name)) {
                all.insert(slave.name.to_string(), self.slave(store, slave)?);
            }
        }
        Ok(Value::Object(all))
    }

    fn one_slave(&self, store: &mut dyn Store, name: &str) -> Found {
        match self.slaves.iter().find(|it| it.name.as_str() == name) {
            Some(slave) => self.slave(store, slave).map(Some),
            None => Ok(None),
        }
    }

    fn below_builder(&self, store: &mut dyn Store, builder: &BuilderPlan, path: &[&str]) -> Found {
        Ok(Some(match path {
            [] => self.builder(store, builder)?,
            ["slaves"] => self.slaves_of(store, Some(builder))?,
            ["slaves", name] if builder.slaves.iter().any(|it| it.as_str() == *name) => {
                return self.one_slave(store, name);
            }
            ["pendingBuilds"] => {
                let mut all = Vec::new();
                let (oldest, _) = store.waiting_of(&builder.name, MOST_PENDING)?;
                for request in &oldest {
                    all.push(self.request(store, request)?);
                }
                Value::Array(all)
            }
            ["builds"] => store
                .build_numbers(&builder.name)?
                .into_iter()
                .map(|number| (number.to_string(), Value::Null))
                .collect(),
            ["builds", "_all"] => {
                let mut all = Map::new();
                for build in store.recent_builds(Some(&builder.name), None, self.max)? {
                    all.insert(build.key.number.to_string(), self.build(store, &build)?);
                }
                Value::Object(all)
            }
            ["builds", number, rest @ ..] => {
                let Ok(number) = number.parse() else {
                    return Ok(None);
                };
                let Some(build) = store.build(&builder.name, number)? else {
                    return Ok(None);
                };
                return self.below_build(store, &build, rest);
            }
            _ => return Ok(None),
        }))
    }

    fn below_build(&self, store: &mut dyn Store, build: &BuildRecord, path: &[&str]) -> Found {
        Ok(Some(match path {
            [] => self.build(store, build)?,
            ["source_stamp"] => self.stamp(store, &build.stamp)?,
            ["source_stamp", "changes"] => self
                .changes(store, &build.stamp)?
                .iter()
                .map(|it| (it.id.to_string(), documents::change(it)))
                .collect(),
            ["source_stamp", "changes", id] => {
                let changes = self.changes(store, &build.stamp)?;
                return Ok(changes
                    .iter()
                    .find(|it| it.id.to_string() == *id)
                    .map(documents::change));
            }
            ["steps"] => store
                .steps(build.id)?
                .iter()
                .map(|it| (it.number.to_string(), self.step(&build.key, it)))
                .collect(),
            ["steps", which] => {
                let steps = store.steps(build.id)?;
                // By index, from the end if negative, or by name.
                let found = match which.parse::<i64>() {
                    Ok(at) if at < 0 => usize::try_from(-at)
                        .ok()
                        .and_then(|back| steps.len().checked_sub(back))
                        .and_then(|at| steps.get(at)),
                    Ok(at) => usize::try_from(at).ok().and_then(|at| steps.get(at)),
                    Err(_) => step::find(&steps, which),
                };
                return Ok(found.map(|it| self.step(&build.key, it)));
            }
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod tests;
