//! The waterfall: time falls down the page, a column for the changes and one
//! per builder. `strips.rs` knows how it falls, `columns.rs` reads what falls, `wanted.rs` what
//! the address asks for; a page has so many builders and boxes that it is small and soon there.

mod columns;
mod head;
pub(super) mod help;
pub(super) mod status;
mod strips;
#[cfg(test)]
mod tests;
mod tile;
mod wanted;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::BuilderPlan;
use crate::config::Plan;
use crate::master::outlook::Scope;
use crate::model::BuilderName;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

use super::app::App;
use super::app::Shared;
use super::choice;
use super::failure::Failure;
use super::words::Moment;
use columns::Builds;
use columns::Changes;
use columns::Source;
use head::Busy;
use head::Head;
use head::Now;
use strips::Cell;
use strips::Column;
use tile::Tile;
use tile::items;
use wanted::COLUMNS;
use wanted::Wanted;

#[derive(Serialize)]
pub(super) struct WaterfallView {
    /// Where the clock hangs: `+01:00`.
    zone: String,
    /// Cells may be taller than a row.
    merges: bool,
    builders: Vec<Head>,
    rows: Vec<RowView>,
    /// The arguments, for the page that explains them.
    arguments: String,
    /// The next page: from the oldest time on.
    older: Option<String>,
    /// The same without what is on this page already, to be put below it.
    further: Option<String>,
    /// The arguments without `reload`, if there is one.
    stop_reloading: Option<String>,
    pages: Option<Pages>,
}

/// Which builders the page has, if they are not all.
#[derive(Serialize)]
struct Pages {
    first: usize,
    last: usize,
    count: usize,
    before: Option<String>,
    after: Option<String>,
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
    plan: &Plan,
    known: &Now,
    wanted: &Wanted,
    query: &choice::Query,
) -> Result<WaterfallView, StoreError> {
    let now = wanted.bounds.now;
    let source = Source::new(store, wanted);
    let busy = Busy::read(&source)?;
    let mut chosen: Vec<&Arc<BuilderPlan>> = Vec::new();
    for builder in &plan.builders {
        if wanted.takes_builder(builder.name.as_str(), builder.category.as_deref())
            && (!wanted.failures_only || head::is_bad(&source, builder, known, &busy)?)
        {
            chosen.push(builder);
        }
    }
    let pages = pages(query, chosen.len(), wanted.skip);
    let shown: Vec<_> = chosen.into_iter().skip(wanted.skip).take(COLUMNS).collect();
    let mut columns: Vec<Box<dyn Column<Tile, StoreError> + '_>> =
        vec![Box::new(Changes::new(&source)?)];
    let mut heads = Vec::new();
    for builder in shown {
        heads.push(Head::read(&source, builder, known, &busy)?);
        columns.push(Box::new(Builds::new(
            &source,
            &builder.name,
            &builder.slaves,
        )?));
    }
    let table = strips::lay_out(columns, wanted.bounds)?;
    let mut day = date(now);
    let rows = table
        .rows
        .into_iter()
        .map(|row| RowView {
            time: row.time.map(|(at, rows)| {
                let today = date(at);
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
    let further = |oldest: Timestamp| from(query, Timestamp(oldest.0 - 1));
    Ok(WaterfallView {
        zone: clock::iso(now).chars().skip(19).collect(),
        merges: wanted.bounds.merge,
        builders: heads,
        rows,
        arguments: choice::written(query, &[]),
        older: table.oldest.map(|oldest| from(query, oldest)),
        further: table.oldest.map(further),
        stop_reloading: choice::first(query, "reload").map(|_| choice::written(query, &["reload"])),
        pages,
    })
}

/// `Mon 02 Jan 2012`.
fn date(at: Timestamp) -> String {
    clock::long(at).chars().take(15).collect()
}

/// The arguments of a page with other ones in the place of one.
fn with(query: &choice::Query, name: &str, value: &str) -> String {
    let mut text = choice::written(query, &[name]);
    if !text.is_empty() {
        text.push('&');
    }
    text + name + "=" + value
}

/// The arguments of the page that begins at a moment.
fn from(query: &choice::Query, at: Timestamp) -> String {
    with(query, "last_time", &wanted::seconds(at))
}

fn pages(query: &choice::Query, count: usize, skip: usize) -> Option<Pages> {
    let page = |skip: usize| with(query, "from", &(skip + 1).to_string());
    (count > COLUMNS || skip > 0).then(|| Pages {
        first: skip.saturating_add(1).min(count),
        last: skip.saturating_add(COLUMNS).min(count),
        count,
        before: (skip > 0).then(|| page(skip.min(count).saturating_sub(COLUMNS))),
        after: (skip.saturating_add(COLUMNS) < count).then(|| page(skip + COLUMNS)),
    })
}

/// Asks for what the store does not know.
async fn now(app: &App, plan: &Plan) -> Result<Now, Failure> {
    let mut upcoming: HashMap<BuilderName, Vec<Timestamp>> = HashMap::new();
    for scheduler in &plan.schedulers {
        if let Some(next) = app.desk.next_of(&scheduler.name) {
            for builder in &scheduler.builders {
                upcoming.entry(builder.clone()).or_default().push(next);
            }
        }
    }
    upcoming.values_mut().for_each(|it| it.sort_unstable());
    Ok(Now {
        outlook: app.desk.outlook(Scope::Nothing).await?,
        online: Now::online(&app.desk.slaves()),
        upcoming,
    })
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let plan = app.desk.plan();
    let wanted = Wanted::new(&query, &plan.web, clock::now())?;
    let known = now(&app, &plan).await?;
    let view = app
        .read(move |store| draw(store, &plan, &known, &wanted, &query))
        .await?;
    app.draw("waterfall.html", &uri, view)
}
