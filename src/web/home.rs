//! The first page: what is wrong, what runs, every builder at a glance, what ran.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::master::handle::SlaveView;
use crate::master::outlook::{Outlook, Scope};
use crate::master::source_view::SourceView;
use crate::model::BuildRecord;
use crate::model::Timestamp;
use crate::store::BuildQuery;

use super::app::Shared;
use super::auth::May;
use super::builder;
use super::builder::Running;
use super::builder::RunningFacts;
use super::builder_list;
use super::builder_list::BuilderRow;
use super::builder_list::Glimpse;
use super::failure::Failure;
use super::links;
use super::rows::BuildLine;
use super::rows::Link;
use super::words::Moment;

/// How many finished builds the first page lists.
const RECENT: usize = 15;

/// Builders that have a card each; of more there is a line for each category.
const CARDS: usize = 60;

/// Of what is wrong and of what runs, so many are named.
const NAMED: usize = 25;

#[derive(Serialize)]
struct HomeView {
    total: usize,
    builders: Vec<BuilderRow>,
    /// In the place of many builders.
    categories: Vec<CategoryLine>,
    /// The last builds of the builders that somebody has to look at, the first of so many.
    red: Vec<BuildLine>,
    red_count: usize,
    missing: Vec<MissingSlave>,
    sources: Vec<BadSource>,
    running: Vec<Running>,
    running_count: usize,
    recent: Vec<BuildLine>,
    waiting: usize,
}

/// What became of the builders of a category.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct CategoryLine {
    name: Option<String>,
    query: String,
    builders: usize,
    red: usize,
    building: usize,
    waiting: usize,
}

/// A slave that is away and should not be.
#[derive(Serialize)]
struct MissingSlave {
    slave: Link,
    since: Moment,
}

/// A source of changes that cannot be asked.
#[derive(Serialize)]
struct BadSource {
    name: String,
    problem: String,
}

impl CategoryLine {
    fn all(glimpses: &[Glimpse]) -> Vec<Self> {
        let mut all: BTreeMap<Option<String>, Self> = BTreeMap::new();
        for it in glimpses {
            let name = it.plan.category.clone();
            let line = all.entry(name.clone()).or_insert_with(|| Self {
                query: match &name {
                    Some(name) => format!("?category={}", links::quote(name)),
                    None => String::new(),
                },
                name,
                ..Self::default()
            });
            line.builders += 1;
            line.red += usize::from(it.is_red());
            line.building += usize::from(!it.running.is_empty());
            line.waiting += it.pending;
        }
        all.into_values().collect()
    }
}

fn missing(slaves: &[SlaveView], now: Timestamp) -> Vec<MissingSlave> {
    let missing = slaves
        .iter()
        .filter_map(|it| Some((it, it.missing.as_ref()?)));
    missing
        .map(|(slave, missing)| MissingSlave {
            slave: Link::slave(slave.name.as_str()),
            since: Moment::new(missing.since, now),
        })
        .collect()
}

fn bad(sources: Vec<SourceView>) -> Vec<BadSource> {
    let bad = sources
        .into_iter()
        .filter_map(|it| Some((it.name, it.health?.err()?)));
    bad.map(|(name, problem)| BadSource { name, problem })
        .collect()
}

/// What the first page reads of the store.
struct Facts {
    red: Vec<BuildRecord>,
    running: Vec<RunningFacts>,
    recent: Vec<BuildRecord>,
}

pub(super) async fn page(State(app): State<Shared>, uri: Uri) -> Result<Response, Failure> {
    let glimpses = builder_list::glimpse(&app, Vec::new(), |_| true).await?;
    let red: Vec<_> = glimpses.iter().filter(|it| it.is_red()).collect();
    let red_count = red.len();
    let keys: Vec<_> = red
        .iter()
        .take(NAMED)
        .filter_map(|it| Some((it.plan.name.clone(), it.last.as_ref()?.number)))
        .collect();
    let facts = app
        .read(move |store| {
            let mut red = Vec::new();
            for (builder, number) in &keys {
                red.extend(store.build(builder, *number)?);
            }
            let recent = BuildQuery {
                limit: RECENT,
                ..BuildQuery::default()
            };
            Ok(Facts {
                red,
                running: builder::read_running(store, None)?,
                recent: store.find_builds(&recent)?,
            })
        })
        .await?;
    let outlook = match facts.running.is_empty() {
        true => Outlook::default(),
        false => app.desk.outlook(Scope::Nothing).await?,
    };
    let plan = app.desk.plan();
    let now = clock::now();
    let total = glimpses.len();
    let waiting = glimpses.iter().map(|it| it.pending).sum();
    let (builders, categories) = match total > CARDS {
        true => (Vec::new(), CategoryLine::all(&glimpses)),
        false => {
            let rows = BuilderRow::all(&app, &plan, glimpses, Vec::new()).await?;
            (rows, Vec::new())
        }
    };
    let shown = facts.running.len().min(NAMED);
    let view = HomeView {
        total,
        builders,
        categories,
        red: BuildLine::all(&facts.red, now),
        red_count,
        missing: missing(&app.desk.slaves(), now),
        sources: bad(app.desk.sources()),
        running: Running::all(&facts.running[..shown], &outlook, &May::of_page(&app), now),
        running_count: facts.running.len(),
        recent: BuildLine::all(&facts.recent, now),
        waiting,
    };
    app.draw("home.html", &uri, view)
}
