//! The waterfall: time falls down the page, a column for the changes and one
//! per builder. `strips.rs` knows how it falls; this file what is in it.

pub(super) mod status;
mod strips;

use std::cell::RefCell;
use std::collections::VecDeque;

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::model::BuildId;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

use super::app::Shared;
use super::builder;
use super::builders;
use super::builders::BuilderFacts;
use super::builders::BuilderLine;
use super::failure::Failure;
use super::links;
use super::rows::Link;
use super::rows::StepLine;
use super::words;
use super::words::Badge;
use super::words::Moment;
use strips::Bounds;
use strips::Cell;
use strips::Column;
use strips::Item;

/// Changes that the column knows.
const CHANGES: usize = 40;

/// Strips unless `num_events` says otherwise, and the most it may say.
const STRIPS: i64 = 200;
const MOST_STRIPS: i64 = 1000;

/// Builds of a column that are read at once.
const BUILDS: usize = 10;

/// What is shown of the past.
struct Wanted {
    builders: Vec<String>,
    categories: Vec<String>,
    /// `trunk` means the default branch.
    branches: Vec<String>,
    bounds: Bounds,
}

impl Wanted {
    fn new(query: &[(String, String)], web: &WebPlan, now: Timestamp) -> Result<Self, Failure> {
        let all = |names: &[&str]| -> Vec<String> {
            query
                .iter()
                .filter(|(name, value)| names.contains(&name.as_str()) && !value.is_empty())
                .map(|(_, value)| value.clone())
                .collect()
        };
        let time = |name| -> Result<Option<Timestamp>, Failure> {
            Ok(builder::number(query, name)?.map(Timestamp::from_secs))
        };
        let last = time("last_time")?.unwrap_or(now);
        let first = match builder::number(query, "show_time")? {
            Some(secs) => Some(Timestamp(last.0.saturating_sub(secs.saturating_mul(1000)))),
            None => time("first_time")?,
        };
        let usual = web.num_events.map_or(STRIPS, i64::from);
        let most = web.num_events_max.map_or(MOST_STRIPS.max(usual), i64::from);
        let strips = builder::number(query, "num_events")?
            .unwrap_or(usual)
            .clamp(1, most);
        Ok(Self {
            builders: all(&["builder", "show"]),
            categories: all(&["category"]),
            branches: all(&["branch"]),
            bounds: Bounds {
                now,
                last,
                first,
                strips: usize::try_from(strips).expect("at least one"),
                merge: !query
                    .iter()
                    .any(|(name, value)| name == "nobubble" && value == "1"),
            },
        })
    }

    fn takes_builder(&self, facts: &BuilderFacts) -> bool {
        let named =
            self.builders.is_empty() || self.builders.iter().any(|it| it == facts.name.as_str());
        named && self.takes_category(facts.category.as_deref())
    }

    fn takes_category(&self, category: Option<&str>) -> bool {
        self.categories.is_empty()
            || self
                .categories
                .iter()
                .any(|it| Some(it.as_str()) == category)
    }

    fn takes_branch(&self, branch: Option<&str>) -> bool {
        self.branches.is_empty()
            || self
                .branches
                .iter()
                .any(|it| Some(it.as_str()) == branch || (it == "trunk" && branch.is_none()))
    }
}

/// What lies in a cell.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Tile {
    kind: &'static str,
    class: &'static str,
    sign: &'static str,
    word: &'static str,
    url: String,
    name: String,
    text: String,
    title: String,
    logs: Vec<Link>,
    /// Links that lead elsewhere.
    urls: Vec<Link>,
}

impl Tile {
    fn change(change: &Change) -> Self {
        Self {
            kind: "change",
            class: "change",
            sign: "",
            word: "",
            url: links::change(change.id.0),
            name: words::person(&change.author),
            text: change
                .revision
                .as_deref()
                .map(words::short)
                .unwrap_or_default(),
            title: change.comments.clone(),
            logs: Vec::new(),
            urls: Vec::new(),
        }
    }

    fn build(build: &BuildRecord) -> Self {
        let badge = Badge::of(build.outcome);
        Self {
            kind: "build",
            class: "start",
            sign: badge.sign,
            word: badge.word,
            url: links::build(&build.key),
            name: format!("Build {}", build.key.number),
            text: String::new(),
            title: format!("Reason: {}", build.reason.trim()),
            logs: Vec::new(),
            urls: Vec::new(),
        }
    }

    fn step(build: &BuildRecord, step: &StepRecord, now: Timestamp) -> Self {
        let line = StepLine::new(&build.key, step, now);
        let mut urls = line.urls;
        urls.retain(|it| !it.url.is_empty());
        Self {
            kind: "step",
            class: line.badge.class,
            sign: line.badge.sign,
            word: line.badge.word,
            url: line.url,
            text: if line.text == line.name {
                String::new()
            } else {
                line.text
            },
            name: line.name,
            title: line.length.unwrap_or_default(),
            logs: line.logs,
            urls,
        }
    }
}

/// The changes, newest first.
struct Changes(VecDeque<Item<Tile>>);

impl Column<Tile, StoreError> for Changes {
    fn next(&mut self) -> Result<Option<Item<Tile>>, StoreError> {
        Ok(self.0.pop_front())
    }
}

/// The builds of a builder, each with its steps above it, read as far as the page reaches.
struct Builds<'a, 'store> {
    store: &'a RefCell<&'store mut dyn Store>,
    wanted: &'a Wanted,
    builder: BuilderName,
    before: Option<BuildId>,
    builds: VecDeque<BuildRecord>,
    items: VecDeque<Item<Tile>>,
    at_end: bool,
}

impl Column<Tile, StoreError> for Builds<'_, '_> {
    fn next(&mut self) -> Result<Option<Item<Tile>>, StoreError> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            if self.builds.is_empty() && !self.at_end {
                let mut store = self.store.borrow_mut();
                let more = store.recent_builds(Some(&self.builder), self.before, BUILDS)?;
                self.at_end = more.len() < BUILDS;
                self.before = more.last().map(|it| it.id).or(self.before);
                self.builds.extend(more);
            }
            let Some(build) = self.builds.pop_front() else {
                return Ok(None);
            };
            let bounds = self.wanted.bounds;
            if bounds.first.is_some_and(|first| build.started < first) {
                self.builds.clear();
                self.at_end = true;
                return Ok(None);
            }
            if self.wanted.takes_branch(build.stamp.branch.as_deref()) {
                let steps = self.store.borrow_mut().steps(build.id)?;
                self.items.extend(items(&build, &steps, bounds.now));
            }
        }
    }
}

/// A build's items, newest first: its steps, then itself.
fn items(build: &BuildRecord, steps: &[StepRecord], now: Timestamp) -> Vec<Item<Tile>> {
    let mut items: Vec<_> = steps
        .iter()
        .rev()
        .filter(|it| !it.hidden)
        .filter_map(|step| {
            Some(Item {
                start: step.started?,
                end: step.finished,
                what: Tile::step(build, step, now),
            })
        })
        .collect();
    items.push(Item {
        start: build.started,
        end: build.finished,
        what: Tile::build(build),
    });
    items
}

#[derive(Serialize)]
pub(super) struct WaterfallView {
    builders: Vec<BuilderLine>,
    rows: Vec<RowView>,
    older: Option<String>,
}

#[derive(Serialize)]
struct RowView {
    time: Option<TimeCell>,
    cells: Vec<Option<Cell<Tile>>>,
}

/// The time of a strip, with its day where the day changes.
#[derive(Serialize)]
struct TimeCell {
    rows: usize,
    day: Option<String>,
    time: String,
    moment: Moment,
}

fn draw(
    store: &mut dyn Store,
    facts: &[BuilderFacts],
    wanted: &Wanted,
    query: &[(String, String)],
) -> Result<WaterfallView, StoreError> {
    let now = wanted.bounds.now;
    let facts: Vec<_> = facts.iter().filter(|it| wanted.takes_builder(it)).collect();
    let changes = store
        .recent_changes(None, CHANGES)?
        .iter()
        .filter(|it| wanted.takes_category(it.category.as_deref()))
        .filter(|it| wanted.takes_branch(it.branch.as_deref()))
        .map(|it| Item {
            start: it.when,
            end: None,
            what: Tile::change(it),
        })
        .collect();
    let store = RefCell::new(store);
    let mut columns: Vec<Box<dyn Column<Tile, StoreError> + '_>> = vec![Box::new(Changes(changes))];
    for builder in &facts {
        columns.push(Box::new(Builds {
            store: &store,
            wanted,
            builder: builder.name.clone(),
            before: None,
            builds: VecDeque::new(),
            items: VecDeque::new(),
            at_end: false,
        }));
    }
    let table = strips::lay_out(columns, wanted.bounds)?;
    let mut day = clock::day(now);
    let rows = table
        .rows
        .into_iter()
        .map(|row| RowView {
            time: row.time.map(|(at, rows)| {
                let today = clock::day(at);
                let changed = today != day;
                day.clone_from(&today);
                TimeCell {
                    rows,
                    day: changed.then_some(today),
                    time: clock::time_of_day(at),
                    moment: Moment::new(at, now),
                }
            }),
            cells: row.cells,
        })
        .collect();
    Ok(WaterfallView {
        builders: facts.iter().map(|it| BuilderLine::new(it, now)).collect(),
        rows,
        older: table.oldest.map(|oldest| older(query, oldest)),
    })
}

/// The arguments of the page that goes on where this one ends.
fn older(query: &[(String, String)], oldest: Timestamp) -> String {
    let mut arguments: Vec<_> = query
        .iter()
        .filter(|(name, _)| name != "last_time")
        .map(|(name, value)| format!("{}={}", links::quote(name), links::quote(value)))
        .collect();
    arguments.push(format!("last_time={}", oldest.as_secs()));
    arguments.join("&")
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let wanted = Wanted::new(&query, &app.desk.plan().web, clock::now())?;
    let facts = builders::gather(&app).await?;
    let view = app
        .read(move |store| draw(store, &facts, &wanted, &query))
        .await?;
    app.draw("waterfall.html", &uri, view)
}
