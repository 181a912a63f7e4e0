//! The console: a row for each of the newest changes, in it a box for each
//! builder. `boxes.rs` knows which build a box is; this file what is shown.

mod boxes;

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::master::outlook::Outlook;
use crate::master::outlook::Scope;
use crate::model::BuildId;
use crate::model::BuildRecord;
use crate::model::Change;
use crate::model::Outcome;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

use super::app::Shared;
use super::builder;
use super::builders;
use super::builders::BuilderFacts;
use super::choice;
use super::choice::Choice;
use super::failure::Failure;
use super::frame;
use super::links;
use super::past::Past;
use super::rows::ChangeView;
use super::rows::Link;
use super::window::Ways;
use super::window::Window;
use super::words::Badge;
use boxes::By;
use boxes::Found;

/// Changes unless `revs` says otherwise, and the most that it may say.
const CHANGES: i64 = 40;
const MOST_CHANGES: i64 = 200;

/// Where the search for changes that fit ends.
const FARTHEST: usize = 500;

/// Boxes on one page: what is shown of more builders is on the next.
const BOXES: usize = 700;

/// Changes that are read at once.
const BLOCK: usize = 50;

/// Seconds from one page to the next, for browsers without scripts.
const RELOAD: u32 = 60;

/// A longer comment is folded.
const LONG_COMMENT: usize = 400;

/// What an address asks for.
struct Wanted {
    choice: Choice,
    repository: Option<String>,
    project: Option<String>,
    branch: Option<String>,
    authors: Vec<String>,
    changes: usize,
    by: By,
}

impl Wanted {
    fn new(query: &choice::Query, by: By) -> Result<Self, Failure> {
        let text = |name| choice::first(query, name).map(str::to_owned);
        let authors = choice::all(query, &["name"]);
        // Who looks for somebody's changes looks further back.
        let doubled = if authors.is_empty() { 1 } else { 2 };
        let asked = builder::number(query, "revs")?.unwrap_or(CHANGES);
        let changes = asked.clamp(1, MOST_CHANGES) * doubled;
        Ok(Self {
            choice: Choice::new(query),
            repository: text("repository"),
            project: text("project"),
            branch: text("branch"),
            authors,
            changes: usize::try_from(changes).expect("at least one"),
            by,
        })
    }

    fn takes(&self, change: &Change) -> bool {
        let fits = |asked: &Option<String>, value: Option<&str>| {
            asked.as_deref().is_none_or(|asked| Some(asked) == value)
        };
        fits(&self.repository, Some(&change.repository))
            && fits(&self.project, Some(&change.project))
            && fits(&self.branch, change.branch.as_deref())
            && (self.authors.is_empty() || self.authors.contains(&change.author))
    }

    fn read_changes(&self, store: &mut dyn Store) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        let mut before = None;
        let mut seen = 0;
        while changes.len() < self.changes && seen < FARTHEST {
            let block = store.recent_changes(before, BLOCK)?;
            seen += BLOCK;
            before = block.last().map(|it| it.id);
            let is_end = block.len() < BLOCK;
            changes.extend(block.into_iter().filter(|it| self.takes(it)));
            if is_end {
                break;
            }
        }
        self.by.sort(&mut changes);
        changes.truncate(self.changes);
        Ok(changes)
    }
}

/// A change and the builds that tell of it, one for each builder.
struct Row {
    change: Change,
    boxes: Vec<(Option<BuildRecord>, Option<BuildRecord>)>,
}

/// Everything that is drawn.
struct Facts {
    builders: Vec<BuilderFacts>,
    rows: Vec<Row>,
    /// Of builds that broke with a change.
    steps: BTreeMap<BuildId, Vec<StepRecord>>,
}

fn read(
    store: &mut dyn Store,
    builders: Vec<BuilderFacts>,
    wanted: &Wanted,
) -> Result<Facts, StoreError> {
    let changes = wanted.read_changes(store)?;
    let mut pasts: Vec<_> = builders
        .iter()
        .map(|it| Past::new(it, wanted.changes))
        .collect();
    let mut steps = BTreeMap::new();
    let mut rows = Vec::new();
    for change in changes {
        let mut boxes = Vec::new();
        for past in &mut pasts {
            let standing = |place| -> Result<_, StoreError> {
                let build = past.get(store, place)?;
                Ok(build.map(|it| wanted.by.standing(it, &change)))
            };
            let Found { build, before } = boxes::find(standing)?;
            let get = |place: Option<usize>| place.map(|it| past.seen(it).clone());
            let (build, before) = (get(build), get(before));
            if let Some(build) = &build
                && is_broken(boxes::badge(Some(build), before.as_ref()))
                && !steps.contains_key(&build.id)
            {
                steps.insert(build.id, store.steps(build.id)?);
            }
            boxes.push((build, before));
        }
        rows.push(Row { change, boxes });
    }
    Ok(Facts {
        builders,
        rows,
        steps,
    })
}

/// Whether the box says that the change broke something.
fn is_broken(badge: Badge) -> bool {
    badge.class == Outcome::Failure.as_str()
}

#[derive(Serialize)]
struct ConsoleView {
    groups: Vec<Group<Square>>,
    rows: Vec<RowView>,
    legend: Vec<Badge>,
    /// The author that is looked for.
    name: String,
    /// Arguments that a search keeps.
    others: Vec<(String, String)>,
    reload: u32,
    /// Where the other builders are.
    window: Option<Ways>,
}

/// What stands together, under the category of its builders.
#[derive(Serialize)]
struct Group<T> {
    name: String,
    boxes: Vec<T>,
}

#[derive(Clone, Serialize)]
struct Square {
    url: String,
    /// What of the build is shown over the page.
    popup: Option<String>,
    badge: Badge,
    title: String,
}

#[derive(Serialize)]
struct RowView {
    change: ChangeView,
    is_long: bool,
    groups: Vec<Group<Square>>,
    broken: Vec<Broken>,
}

/// A builder that a change broke.
#[derive(Serialize)]
struct Broken {
    builder: String,
    url: String,
    text: String,
    logs: Vec<Link>,
}

impl Square {
    /// The builder itself, with what its last build said.
    fn of_builder(facts: &BuilderFacts) -> Self {
        let last = facts.builds.iter().find(|it| it.finished.is_some());
        let badge = match last {
            _ if facts.connected == 0 => boxes::OFFLINE,
            Some(last) => Badge::of(last.outcome),
            None => Badge::NOT_STARTED,
        };
        Self {
            url: links::builder(facts.name.as_str()),
            popup: None,
            badge,
            title: format!("{}: {}", facts.name, badge.word),
        }
    }

    fn of_change(
        facts: &BuilderFacts,
        build: Option<&BuildRecord>,
        before: Option<&BuildRecord>,
        outlook: &Outlook,
    ) -> Self {
        let badge = boxes::badge(build, before);
        let name = &facts.name;
        let Some(build) = build else {
            let shown = links::quote(name.as_str());
            return Self {
                url: format!("waterfall?show={shown}"),
                popup: None,
                badge,
                title: format!("{name}: {}", badge.word),
            };
        };
        let number = build.key.number;
        let text = match build.text.join(" ") {
            text if text.is_empty() => badge.word.to_owned(),
            text => text,
        };
        let left = outlook.left(&build.key);
        let eta = left.map(|it| format!(" ETA: {:.0}s", it.secs().max(0.0)));
        let left = left.map(|it| format!(", {it}"));
        let [eta, left] = [eta, left].map(Option::unwrap_or_default);
        Self {
            url: links::build(&build.key),
            popup: Some(format!(
                "buildstatus?builder={}&number={number}",
                links::quote(name.as_str())
            )),
            badge,
            // As Buildbot has it, and behind that what tells boxes of one text apart.
            title: format!("{name}: {text}{eta} (#{number}, {}{left})", badge.word),
        }
    }
}

impl Broken {
    fn new(build: &BuildRecord, steps: &[StepRecord]) -> Self {
        let red = |it: &&StepRecord| it.outcome == Some(Outcome::Failure);
        let step = steps.iter().find(red);
        let logs = step.into_iter().flat_map(|step| {
            let link = |name: &str| links::log(&build.key, &step.name, name);
            step.logs.iter().map(move |log| Link {
                name: log.name.clone(),
                url: link(&log.name),
            })
        });
        Self {
            builder: build.key.to_string(),
            url: links::build(&build.key),
            text: step.map_or(&build.text, |it| &it.text).join(" "),
            logs: logs.collect(),
        }
    }
}

/// Puts boxes in the order of the builders under their categories, which are sorted.
fn grouped<T>(builders: &[BuilderFacts], boxes: Vec<T>) -> Vec<Group<T>> {
    let mut groups: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (facts, one) in builders.iter().zip(boxes) {
        // What follows a bar is for people who sort builders, not for the page.
        let category = facts.category.as_deref().unwrap_or_default();
        let name = match category.split('|').next().unwrap_or_default().trim() {
            "" => "default",
            name => name,
        };
        groups.entry(name.to_owned()).or_default().push(one);
    }
    let groups = groups.into_iter();
    groups.map(|(name, boxes)| Group { name, boxes }).collect()
}

fn view(
    facts: &Facts,
    query: &choice::Query,
    outlook: &Outlook,
    web: &WebPlan,
    now: Timestamp,
) -> ConsoleView {
    let builders = &facts.builders;
    let row = |row: &Row| {
        let squares = builders.iter().zip(&row.boxes);
        let squares = squares.map(|(facts, (build, before))| {
            Square::of_change(facts, build.as_ref(), before.as_ref(), outlook)
        });
        let squares: Vec<_> = squares.collect();
        let broken = squares.iter().zip(&row.boxes);
        let broken = broken
            .filter(|(square, _)| is_broken(square.badge))
            .filter_map(|(_, (build, _))| build.as_ref())
            .map(|it| Broken::new(it, facts.steps.get(&it.id).map_or(&[][..], Vec::as_slice)));
        RowView {
            is_long: row.change.comments.trim().len() > LONG_COMMENT,
            broken: broken.collect(),
            groups: grouped(builders, squares),
            change: ChangeView::new(&row.change, web, now),
        }
    };
    let heads = builders.iter().map(Square::of_builder).collect();
    ConsoleView {
        groups: grouped(builders, heads),
        rows: facts.rows.iter().map(row).collect(),
        legend: vec![
            Badge::of(Some(Outcome::Success)),
            Badge::of(Some(Outcome::Warnings)),
            Badge::of(Some(Outcome::Failure)),
            boxes::AGAIN,
            Badge::of(None),
            Badge::of(Some(Outcome::Exception)),
            boxes::OFFLINE,
            Badge::NOT_STARTED,
        ],
        name: choice::first(query, "name").unwrap_or_default().to_owned(),
        others: query.iter().filter(|it| it.0 != "name").cloned().collect(),
        reload: RELOAD,
        window: None,
    }
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let plan = app.desk.plan();
    let by = match plan.web.order_console_by_time {
        true => By::Time,
        false => By::Revision,
    };
    let wanted = Wanted::new(&query, by)?;
    let mut chosen = wanted.choice.planned(&plan);
    let most = (BOXES / wanted.changes.max(1)).max(1);
    let ways = Window::new(&query, most)?.cut(&mut chosen, &query);
    let builders = builders::gather_of(&app, chosen).await?;
    let is_busy = builders
        .iter()
        .any(|it| it.builds.iter().any(|it| it.finished.is_none()));
    let outlook = match is_busy {
        true => app.desk.outlook(Scope::Nothing).await?,
        false => Outlook::default(),
    };
    let facts = app
        .read(move |store| read(store, builders, &wanted))
        .await?;
    let mut view = view(&facts, &query, &outlook, &plan.web, clock::now());
    view.window = ways;
    if choice::first(&query, "reload").is_some_and(|it| it.trim() == "0") {
        view.reload = 0;
    }
    view.reload = frame::reload(uri.query()).unwrap_or(view.reload);
    app.draw("console.html", &uri, view)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::estimate::{Interval, Left};
    use crate::master::outlook::BuildLeft;
    use crate::web::sample;

    #[test]
    fn a_box_says_what_buildbots_says_and_which_build_it_is() {
        let now = Timestamp::from_secs(2_000_000);
        let facts = BuilderFacts {
            name: "a".into(),
            category: None,
            connected: 1,
            builds: Vec::new(),
        };
        let mut running = sample::build("a", 6, None, now, 10);
        running.text = vec!["building".into(), "docs".into()];
        let mut ended = sample::build("a", 5, Some(Outcome::Failure), now, 20);
        ended.text = Vec::new();
        let ends = Duration::from_millis(12_400);
        let within = Left::Within(Interval {
            low: ends,
            middle: ends,
            high: ends,
        });
        for (build, left, expected) in [
            (None, None, "a: not started"),
            (Some(&ended), None, "a: failure (#5, failure)"),
            (Some(&running), None, "a: building docs (#6, running)"),
            (
                Some(&running),
                Some(within),
                "a: building docs ETA: 12s (#6, running, about 12 s left)",
            ),
            (
                Some(&running),
                Some(Left::Overdue(ends)),
                "a: building docs ETA: 0s (#6, running, overdue by 12 s)",
            ),
        ] {
            let steps = Vec::new();
            let running = [(running.key.clone(), BuildLeft { left, steps })];
            let outlook = Outlook {
                running: running.into(),
                ..Outlook::default()
            };
            let square = Square::of_change(&facts, build, None, &outlook);
            assert_eq!(square.title, expected);
        }
    }

    #[test]
    fn builders_stand_under_their_categories_in_order() {
        let facts = |name: &str, category: Option<&str>| BuilderFacts {
            name: name.into(),
            category: category.map(str::to_owned),
            connected: 1,
            builds: Vec::new(),
        };
        let builders = [
            facts("a", Some("2slow|nightly")),
            facts("b", None),
            facts("c", Some("1fast")),
            facts("d", Some("2slow")),
        ];
        let groups = grouped(&builders, vec!["a", "b", "c", "d"]);
        let groups: Vec<_> = groups
            .iter()
            .map(|it| (it.name.as_str(), it.boxes.join("")))
            .collect();
        assert_eq!(
            groups,
            [
                ("1fast", "c".into()),
                ("2slow", "ad".into()),
                ("default", "b".to_owned())
            ]
        );
    }

    #[test]
    fn who_looks_for_an_author_looks_twice_as_far_back() {
        let query = |pairs: &[(&str, &str)]| -> choice::Query {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        for (asked, expected) in [
            (query(&[]), 40),
            (query(&[("name", "ann")]), 80),
            (query(&[("name", ""), ("revs", "3")]), 3),
            (query(&[("revs", "0")]), 1),
        ] {
            let wanted = Wanted::new(&asked, By::Time).expect("numbers");
            assert_eq!(wanted.changes, expected, "{asked:?}");
        }
    }
}
