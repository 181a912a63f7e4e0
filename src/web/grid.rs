//! The grid: a row for each builder and a column for each of the newest
//! sources that were built, or the other way round.

use std::collections::HashSet;

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::config::WebPlan;
use crate::model::BuildRecord;
use crate::model::Outcome;
use crate::model::Patch;
use crate::model::SourceStamp;
use crate::model::Timestamp;

use super::app::Shared;
use super::builder;
use super::builder_list;
use super::builder_list::Glimpse;
use super::choice;
use super::choice::Choice;
use super::failure::Failure;
use super::links;
use super::past::FARTHEST;
use super::past::Past;
use super::rows;
use super::rows::StampView;
use super::window::Ways;
use super::window::Window;
use super::words::Badge;

/// Sources that are shown unless `width` or `length` says otherwise, and the most they may say.
const WIDTH: i64 = 5;
const MOST: i64 = 50;

/// Builders on one page.
const BUILDERS: usize = 100;

/// What an address asks for.
struct Wanted {
    choice: Choice,
    width: usize,
    /// Whether the newest stands first.
    is_newest_first: bool,
}

impl Wanted {
    /// `width` is the name of the argument that says how many sources.
    fn new(query: &choice::Query, width: &str) -> Result<Self, Failure> {
        let asked = builder::number(query, width)?.unwrap_or(WIDTH);
        Ok(Self {
            choice: Choice::new(query),
            width: usize::try_from(asked.clamp(1, MOST)).expect("at least one"),
            is_newest_first: width == "length" && choice::first(query, "rev_order") == Some("desc"),
        })
    }
}

/// What makes two builds builds of the same source.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    branch: Option<String>,
    revision: Option<String>,
    patch: Option<Patch>,
}

impl Source {
    fn of(build: &BuildRecord) -> Self {
        Self {
            branch: build.stamp.branch.clone(),
            revision: rows::got_revision(build),
            patch: build.stamp.patch.clone(),
        }
    }
}

/// A builder and its builds that are looked at, newest first.
struct Row {
    builder: BuilderLine,
    builds: Vec<BuildRecord>,
}

/// The newest sources, oldest first: in the order in which their first builds began.
fn sources(rows: &[Row], width: usize) -> Vec<(Source, &SourceStamp)> {
    let mut found: Vec<(Timestamp, Source, &SourceStamp)> = Vec::new();
    for build in rows.iter().flat_map(|it| &it.builds) {
        let source = Source::of(build);
        match found.iter_mut().find(|it| it.1 == source) {
            Some(it) => it.0 = it.0.min(build.started),
            None => found.push((build.started, source, &build.stamp)),
        }
    }
    found.sort_by_key(|it| it.0);
    let first = found.len().saturating_sub(width);
    let newest = found.into_iter().skip(first);
    newest.map(|(_, source, stamp)| (source, stamp)).collect()
}

#[derive(Serialize)]
struct GridView {
    categories: Vec<String>,
    branch: Option<String>,
    sources: Vec<StampView>,
    rows: Vec<RowView>,
    /// The arguments of the same grid the other way round.
    transposed: String,
    legend: Vec<Badge>,
    /// Where the other builders are.
    window: Option<Ways>,
}

/// A builder at the head of its row.
#[derive(Clone, Debug, Serialize)]
struct BuilderLine {
    name: String,
    url: String,
    state: &'static str,
    pending: usize,
}

impl BuilderLine {
    fn new(it: &Glimpse) -> Self {
        let name = it.plan.name.as_str();
        Self {
            name: name.to_owned(),
            url: links::builder(name),
            state: it.state(),
            pending: it.pending,
        }
    }
}

#[derive(Serialize)]
struct RowView {
    builder: BuilderLine,
    /// One for each source.
    cells: Vec<Option<Cell>>,
}

#[derive(Debug, Serialize)]
struct Cell {
    url: String,
    number: i64,
    badge: Badge,
    text: String,
}

impl Cell {
    fn new(build: &BuildRecord) -> Self {
        let badge = Badge::of(build.outcome);
        let text = build.text.join(" ");
        Self {
            url: links::build(&build.key),
            number: build.key.number,
            badge,
            text: match (build.finished, text.as_str()) {
                (None, _) => "building".to_owned(),
                (_, "build successful") => "OK".to_owned(),
                (_, "") => badge.word.to_owned(),
                _ => text,
            },
        }
    }
}

fn view(rows: &[Row], wanted: &Wanted, query: &choice::Query, web: &WebPlan) -> GridView {
    let mut sources = sources(rows, wanted.width);
    if wanted.is_newest_first {
        sources.reverse();
    }
    let row = |row: &Row| RowView {
        builder: row.builder.clone(),
        cells: sources
            .iter()
            .map(|(source, _)| {
                let mut builds = row.builds.iter();
                builds.find(|it| Source::of(it) == *source).map(Cell::new)
            })
            .collect(),
    };
    let stamp = |(source, stamp): &(Source, &SourceStamp)| {
        let stamp = SourceStamp {
            revision: source.revision.clone(),
            changes: Vec::new(),
            ..(*stamp).clone()
        };
        StampView::new(&stamp, web)
    };
    let same = choice::written(query, &["width", "length", "rev_order"]);
    GridView {
        categories: wanted.choice.categories.clone(),
        branch: choice::first(query, "branch").map(str::to_owned),
        rows: rows.iter().map(row).collect(),
        sources: sources.iter().map(stamp).collect(),
        transposed: same,
        legend: Outcome::ALL
            .into_iter()
            .map(|it| Badge::of(Some(it)))
            .chain([Badge::of(None)])
            .collect(),
        window: None,
    }
}

/// A row for each builder.
pub(super) async fn page(
    state: State<Shared>,
    uri: Uri,
    query: Query<choice::Query>,
) -> Result<Response, Failure> {
    draw(state, uri, query, "width", "grid.html").await
}

/// A row for each source.
pub(super) async fn transposed(
    state: State<Shared>,
    uri: Uri,
    query: Query<choice::Query>,
) -> Result<Response, Failure> {
    draw(state, uri, query, "length", "grid_transposed.html").await
}

async fn draw(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
    width: &str,
    template: &str,
) -> Result<Response, Failure> {
    let wanted = Wanted::new(&query, width)?;
    let mut chosen = wanted.choice.planned(&app.desk.plan());
    chosen.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    let ways = Window::new(&query, BUILDERS)?.cut(&mut chosen, &query);
    let names: HashSet<_> = chosen.iter().map(|it| it.name.clone()).collect();
    let mut shown =
        builder_list::glimpse(&app, Vec::new(), move |it| names.contains(&it.name)).await?;
    shown.sort_by(|one, other| one.plan.name.as_str().cmp(other.plan.name.as_str()));
    let choice = wanted.choice.clone();
    let count = wanted.width;
    let rows = app
        .read(move |store| {
            shown
                .iter()
                .map(|it| {
                    let fits = |it: &BuildRecord| choice.takes_branch(it.stamp.branch.as_deref());
                    let mut past = Past::of(&it.plan.name, FARTHEST).begin_with(count);
                    Ok(Row {
                        builder: BuilderLine::new(it),
                        builds: past.newest(store, count, fits)?,
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut view = view(&rows, &wanted, &query, &app.desk.plan().web);
    view.window = ways;
    app.draw(template, &uri, view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::sample;

    fn query(text: &str) -> choice::Query {
        let parts = text.split('&').filter_map(|it| it.split_once('='));
        parts
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Builds of the default branch of these revisions, the oldest first, those of `b` a
    /// second later.
    fn row(name: &str, revisions: &[&str]) -> Row {
        let now = Timestamp::from_secs(100_000);
        let mut builds: Vec<_> = (0..)
            .zip(revisions)
            .map(|(number, revision)| {
                let ago = 5000 - number * 100 - i64::from(name == "b");
                let mut build = sample::build(name, number, Some(Outcome::Success), now, ago);
                build.stamp.branch = None;
                build.properties.set("got_revision", *revision, "checkout");
                build
            })
            .collect();
        builds.reverse();
        let builder = BuilderLine {
            name: name.into(),
            url: links::builder(name),
            state: "idle",
            pending: 0,
        };
        Row { builder, builds }
    }

    fn numbers(view: &GridView) -> Vec<Vec<Option<i64>>> {
        let rows = view.rows.iter();
        rows.map(|it| {
            let cells = it.cells.iter();
            cells.map(|it| it.as_ref().map(|it| it.number)).collect()
        })
        .collect()
    }

    fn drawn(rows: &[Row], asked: &str, width: &str) -> GridView {
        let query = query(asked);
        let wanted = Wanted::new(&query, width).expect("numbers");
        view(rows, &wanted, &query, &WebPlan::default())
    }

    fn revisions(view: &GridView) -> Vec<&str> {
        let sources = view.sources.iter();
        sources
            .map(|it| it.revision.as_deref().expect("a revision"))
            .collect()
    }

    #[test]
    fn a_cell_is_the_newest_build_of_its_builder_and_source() {
        let rows = [row("a", &["5", "6", "6"]), row("b", &["6"])];
        let view = drawn(&rows, "width=2", "width");
        assert_eq!(revisions(&view), ["5", "6"]);
        assert_eq!(
            numbers(&view),
            [vec![Some(0), Some(2)], vec![None, Some(0)]]
        );
    }

    #[test]
    fn the_newest_sources_are_kept_and_stand_oldest_first() {
        let rows = [row("a", &["1", "2", "3", "2"])];
        assert_eq!(revisions(&drawn(&rows, "width=2", "width")), ["2", "3"]);
        // The order of rows can be turned, that of columns cannot.
        let asked = "length=2&width=1&rev_order=desc";
        assert_eq!(revisions(&drawn(&rows, asked, "length")), ["3", "2"]);
        assert_eq!(revisions(&drawn(&rows, asked, "width")), ["3"]);
        let odd = "rev_order=sideways";
        assert_eq!(revisions(&drawn(&rows, odd, "length")), ["1", "2", "3"]);
    }

    #[test]
    fn a_patch_or_a_branch_makes_another_source() {
        let mut one = row("a", &["1", "1", "1"]);
        one.builds[1].stamp.branch = Some("x".into());
        one.builds[2].stamp.patch = Some(Patch {
            level: 0,
            diff: b"x".to_vec(),
            subdir: None,
            author: None,
            comment: None,
        });
        assert_eq!(drawn(&[one], "", "width").sources.len(), 3);
    }

    #[test]
    fn a_cell_says_what_came_of_the_build_in_few_words() {
        let now = Timestamp::from_secs(100_000);
        let mut build = sample::build("a", 0, Some(Outcome::Success), now, 50);
        assert_eq!(Cell::new(&build).text, "OK");
        build.text.clear();
        assert_eq!(Cell::new(&build).text, "success");
        build.text = vec!["failed".into(), "test".into()];
        assert_eq!(Cell::new(&build).text, "failed test");
        build.finished = None;
        assert_eq!(Cell::new(&build).text, "building");
    }
}
