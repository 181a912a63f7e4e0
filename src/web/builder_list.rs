//! All builders, hundreds of them at ease: found by name, tag, state and branch,
//! sorted, a page at a time. Every builder is only glimpsed at; what a page
//! shows of its own is read for those on it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::BuilderPlan;
use crate::config::Plan;
use crate::estimate::Left;
use crate::master::outlook::{Outlook, Scope};
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::SlaveName;
use crate::model::Timestamp;
use crate::store::Glance;
use crate::store::GlanceQuery;
use crate::store::Store;
use crate::store::StoreError;

use super::app::App;
use super::app::Shared;
use super::builders;
use super::builders::GLANCE;
use super::builders::Square;
use super::choice;
use super::choice::Choice;
use super::failure::Failure;
use super::links;
use super::pager;
use super::pager::Pager;
use super::past::FARTHEST;
use super::rows;
use super::rows::Link;
use super::slaves;
use super::words;
use super::words::Badge;
use super::words::Moment;

/// Builders on one page.
const PAGE: usize = 100;

/// Squares on one page: many builders show fewer of their builds each.
const SQUARES: usize = 600;

/// Tags of a builder that a list shows.
const TAGS: usize = 4;

/// Categories and tags that the form offers.
const OFFERED: usize = 100;

/// What is known of every builder without looking at it closely.
pub(super) struct Glimpse {
    pub(super) plan: Arc<BuilderPlan>,
    pub(super) connected: usize,
    pub(super) pending: usize,
    /// Numbers of what runs, oldest first.
    pub(super) running: Vec<i64>,
    /// The newest that has ended.
    pub(super) last: Option<Glance>,
}

impl Glimpse {
    pub(super) fn state(&self) -> &'static str {
        builders::state(!self.running.is_empty(), self.connected)
    }

    fn badge(&self) -> Option<Badge> {
        let last = self.last.as_ref()?;
        Some(Badge::of(last.outcome))
    }

    pub(super) fn is_red(&self) -> bool {
        self.badge().is_some_and(Badge::is_red)
    }
}

/// Glimpses at builders in the order of the configuration.
pub(super) async fn glimpse(
    app: &App,
    branches: Vec<Option<String>>,
    fits: impl Fn(&BuilderPlan) -> bool + Send + 'static,
) -> Result<Vec<Glimpse>, Failure> {
    let plan = app.desk.plan();
    let slaves = app.desk.slaves();
    let here = slaves.into_iter().filter(|it| it.connected || it.on_demand);
    let here: HashSet<SlaveName> = here.map(|it| it.name).collect();
    app.read(move |store| {
        let pending: HashMap<_, _> = store.count_pending()?.into_iter().collect();
        let mut running: HashMap<BuilderName, Vec<i64>> = HashMap::new();
        for build in store.running_builds()? {
            let of = running.entry(build.key.builder).or_default();
            of.push(build.key.number);
        }
        let query = GlanceQuery {
            branches,
            farthest: FARTHEST,
            is_finished: true,
            limit: 1,
        };
        let builders = plan.builders.iter().filter(|it| fits(it));
        builders
            .map(|builder| {
                Ok(Glimpse {
                    connected: builder
                        .slaves
                        .iter()
                        .filter(|it| here.contains(*it))
                        .count(),
                    pending: pending.get(&builder.name).copied().unwrap_or(0),
                    running: running.remove(&builder.name).unwrap_or_default(),
                    last: store.glances(&builder.name, &query)?.pop(),
                    plan: Arc::clone(builder),
                })
            })
            .collect()
    })
    .await
}

/// What an address asks for.
struct Wanted {
    choice: Choice,
    tags: Vec<String>,
    /// Words that have to be in the name, the category or a tag.
    words: Vec<String>,
    branches: Vec<Option<String>>,
    status: Option<Status>,
    sort: Sort,
}

/// How builders are doing: each has a place of its own on the page, and may be in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Red,
    Warnings,
    Green,
    Unbuilt,
    Building,
    Waiting,
    Offline,
}

impl Status {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Red, "red", "red"),
        (Self::Building, "building", "building"),
        (Self::Waiting, "waiting", "with requests that wait"),
        (Self::Offline, "offline", "offline"),
        (Self::Warnings, "warnings", "with warnings"),
        (Self::Green, "green", "green"),
        (Self::Unbuilt, "unbuilt", "never built"),
    ];

    fn takes(self, it: &Glimpse) -> bool {
        let class = it.badge().map(|it| it.class);
        match self {
            Self::Red => it.is_red(),
            Self::Warnings => class == Some("warnings"),
            Self::Green => class == Some("success"),
            Self::Unbuilt => class.is_none(),
            Self::Building => !it.running.is_empty(),
            Self::Waiting => it.pending > 0,
            Self::Offline => it.state() == "offline",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Configured,
    Name,
    Result,
    Newest,
    Waiting,
}

impl Sort {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Configured, "", "as configured"),
        (Self::Name, "name", "by name"),
        (Self::Result, "result", "what went wrong first"),
        (Self::Newest, "newest", "by their last build"),
        (Self::Waiting, "waiting", "by what waits"),
    ];

    fn apply(self, all: &mut [Glimpse]) {
        match self {
            Self::Configured => {}
            Self::Name => all.sort_by_cached_key(|it| slaves::natural(it.plan.name.as_str())),
            // Who went wrong, then who warned; who was never built comes last.
            Self::Result => all.sort_by_key(|it| match it.badge() {
                Some(badge) if badge.is_red() => 0,
                Some(badge) if badge.class == "warnings" => 1,
                Some(badge) if badge.class != "success" => 2,
                Some(_) => 3,
                None => 4,
            }),
            Self::Newest => all.sort_by_key(|it| {
                let last = it.last.as_ref();
                Reverse(last.map(|it| (it.finished, it.started)))
            }),
            Self::Waiting => all.sort_by_key(|it| Reverse(it.pending)),
        }
    }
}

impl Wanted {
    fn new(query: &choice::Query) -> Result<Self, Failure> {
        let unknown = |name: &str, value: &str, all: &[&str]| {
            let all: Vec<_> = all.iter().filter(|it| !it.is_empty()).copied().collect();
            Failure::BadRequest(format!(
                "`{name}` is one of {}, not `{value}`",
                all.join(", ")
            ))
        };
        let status = choice::first(query, "status")
            .map(|asked| {
                let found = Status::ALL.iter().find(|it| it.1 == asked);
                let all = Status::ALL.map(|it| it.1);
                found
                    .map(|it| it.0)
                    .ok_or_else(|| unknown("status", asked, &all))
            })
            .transpose()?;
        let sort = choice::first(query, "sort")
            .map(|asked| {
                let found = Sort::ALL.iter().find(|it| it.1 == asked);
                let all = Sort::ALL.map(|it| it.1);
                found
                    .map(|it| it.0)
                    .ok_or_else(|| unknown("sort", asked, &all))
            })
            .transpose()?;
        let words = choice::first(query, "q").unwrap_or_default();
        Ok(Self {
            choice: Choice::new(query),
            tags: choice::all(query, &["tag"]),
            words: words.split_whitespace().map(str::to_lowercase).collect(),
            branches: choice::branches(query),
            status,
            sort: sort.unwrap_or(Sort::Configured),
        })
    }

    fn takes(&self, it: &BuilderPlan) -> bool {
        let has = |word: &String| {
            let own = [it.name.as_str(), it.category.as_deref().unwrap_or_default()];
            let mut said = own.into_iter().chain(it.tags.iter().map(String::as_str));
            said.any(|it| it.to_lowercase().contains(word))
        };
        self.choice.takes(it.name.as_str(), it.category.as_deref())
            && (self.tags.is_empty() || it.tags.iter().any(|it| self.tags.contains(it)))
            && self.words.iter().all(has)
    }
}

/// A builder in a list.
#[derive(Serialize)]
pub(super) struct BuilderRow {
    pub(super) name: String,
    pub(super) url: String,
    category: Option<String>,
    tags: Vec<String>,
    pub(super) state: &'static str,
    /// What it does now and next, a line each.
    activity: Vec<String>,
    slaves: usize,
    connected: usize,
    pending: usize,
    running: Vec<Link>,
    last: Option<LastLine>,
    /// Oldest first, as one reads.
    glance: Vec<Square>,
}

/// The newest build of a builder that has ended.
#[derive(Serialize)]
struct LastLine {
    number: i64,
    url: String,
    badge: Badge,
    text: String,
    revision: Option<String>,
    branch: Option<String>,
    started: Moment,
}

impl LastLine {
    fn new(build: &BuildRecord, now: Timestamp) -> Self {
        Self {
            number: build.key.number,
            url: links::build(&build.key),
            badge: Badge::of(build.outcome),
            text: build.text.join(" "),
            revision: rows::got_revision(build).map(|it| words::short(&it)),
            branch: build.stamp.branch.clone(),
            started: Moment::new(build.started, now),
        }
    }
}

/// What is read of a builder that a page shows.
pub(super) struct Closer {
    last: Option<BuildRecord>,
    glances: Vec<Glance>,
}

/// Looks closer at the builders of a page.
pub(super) fn look(
    store: &mut dyn Store,
    shown: &[Glimpse],
    branches: &[Option<String>],
) -> Result<Vec<Closer>, StoreError> {
    let squares = (SQUARES / shown.len().max(1)).clamp(4, GLANCE);
    let query = GlanceQuery {
        branches: branches.to_vec(),
        farthest: FARTHEST,
        is_finished: false,
        limit: squares,
    };
    let shown = shown.iter();
    shown
        .map(|it| {
            let name = &it.plan.name;
            let last = match &it.last {
                Some(last) => store.build(name, last.number)?,
                None => None,
            };
            let glances = store.glances(name, &query)?;
            Ok(Closer { last, glances })
        })
        .collect()
}

/// When builders are built next by the plan of a scheduler.
pub(super) fn upcoming(app: &App, plan: &Plan) -> HashMap<BuilderName, Timestamp> {
    let mut upcoming: HashMap<BuilderName, Timestamp> = HashMap::new();
    for scheduler in &plan.schedulers {
        let Some(next) = app.desk.next_of(&scheduler.name) else {
            continue;
        };
        for builder in &scheduler.builders {
            let of = upcoming.entry(builder.clone()).or_insert(next);
            *of = next.min(*of);
        }
    }
    upcoming
}

/// What a builder does now and next: how long what runs still takes, what waits, what is planned.
fn activity(
    it: &Glimpse,
    outlook: &Outlook,
    next: Option<&Timestamp>,
    now: Timestamp,
) -> Vec<String> {
    let mut lines = Vec::new();
    let clock_time = |at: Timestamp| {
        let time = clock::time_of_day(at);
        time.get(..5).unwrap_or(&time).to_owned()
    };
    for number in &it.running {
        let key = BuildKey {
            builder: it.plan.name.clone(),
            number: *number,
        };
        let Some(left) = outlook.left(&key) else {
            continue;
        };
        let at = match left {
            Left::Within(left) => {
                let millis = i64::try_from(left.middle.as_millis()).unwrap_or(i64::MAX);
                let end = Timestamp(now.0.saturating_add(millis));
                format!(", done at {}", clock_time(end))
            }
            Left::Overdue(_) => String::new(),
        };
        lines.push(format!("#{number}: {left}{at}"));
    }
    if it.pending > 0 {
        lines.push(format!("{} waiting", it.pending));
    }
    if let Some(next) = next.filter(|it| **it > now) {
        let length = clock::human(next.since(now));
        lines.push(format!("next in {length}, at {}", clock_time(*next)));
    }
    lines
}

impl BuilderRow {
    pub(super) fn new(
        it: &Glimpse,
        closer: &Closer,
        outlook: &Outlook,
        next: Option<&Timestamp>,
        now: Timestamp,
    ) -> Self {
        let name = &it.plan.name;
        let key = |number: i64| BuildKey {
            builder: name.clone(),
            number,
        };
        Self {
            name: name.to_string(),
            url: links::builder(name.as_str()),
            category: it.plan.category.clone(),
            tags: it.plan.tags.iter().take(TAGS).cloned().collect(),
            state: it.state(),
            activity: activity(it, outlook, next, now),
            slaves: it.plan.slaves.len(),
            connected: it.connected,
            pending: it.pending,
            running: it
                .running
                .iter()
                .map(|number| Link {
                    name: format!("#{number}"),
                    ..Link::build(&key(*number))
                })
                .collect(),
            last: closer.last.as_ref().map(|it| LastLine::new(it, now)),
            glance: closer
                .glances
                .iter()
                .rev()
                .map(|it| Square {
                    url: links::build(&key(it.number)),
                    number: it.number,
                    badge: Badge::of(it.outcome),
                })
                .collect(),
        }
    }

    /// Rows of what is shown, with what is left of what runs.
    pub(super) async fn all(
        app: &App,
        plan: &Plan,
        shown: Vec<Glimpse>,
        branches: Vec<Option<String>>,
    ) -> Result<Vec<Self>, Failure> {
        let is_building = shown.iter().any(|it| !it.running.is_empty());
        let outlook = match is_building {
            true => app.desk.outlook(Scope::Nothing).await?,
            false => Outlook::default(),
        };
        let (shown, closer) = app
            .read(move |store| {
                let closer = look(store, &shown, &branches)?;
                Ok((shown, closer))
            })
            .await?;
        let upcoming = upcoming(app, plan);
        let now = clock::now();
        let rows = shown.iter().zip(&closer).map(|(it, closer)| {
            let next = upcoming.get(&it.plan.name);
            Self::new(it, closer, &outlook, next, now)
        });
        Ok(rows.collect())
    }
}

#[derive(Serialize)]
struct BuildersView {
    builders: Vec<BuilderRow>,
    /// So many fit, of so many.
    found: usize,
    total: usize,
    pager: Pager,
    /// Ways to those in a state, with how many there are.
    states: Vec<StateLine>,
    any_building: bool,
    any_online: bool,
    form: FormView,
}

#[derive(Serialize)]
struct StateLine {
    words: &'static str,
    class: &'static str,
    count: usize,
    chosen: bool,
    query: String,
}

/// The form that narrows the list, as it was filled in.
#[derive(Serialize)]
struct FormView {
    q: String,
    branch: String,
    category: String,
    tag: String,
    categories: Vec<String>,
    tags: Vec<String>,
    sorts: Vec<SortLine>,
    /// Arguments that it keeps.
    others: Vec<(String, String)>,
}

#[derive(Serialize)]
struct SortLine {
    value: &'static str,
    words: &'static str,
    chosen: bool,
}

impl FormView {
    fn new(query: &choice::Query, plan: &Plan, sort: Sort) -> Self {
        let text = |name| choice::first(query, name).unwrap_or_default().to_owned();
        let categories: BTreeSet<_> = plan.builders.iter().flat_map(|it| &it.category).collect();
        let tags: BTreeSet<_> = plan.builders.iter().flat_map(|it| &it.tags).collect();
        let own = ["q", "branch", "category", "tag", "sort", "skip"];
        Self {
            q: text("q"),
            branch: text("branch"),
            category: text("category"),
            tag: text("tag"),
            categories: categories.into_iter().take(OFFERED).cloned().collect(),
            tags: tags.into_iter().take(OFFERED).cloned().collect(),
            sorts: Sort::ALL
                .iter()
                .map(|(it, value, words)| SortLine {
                    value,
                    words,
                    chosen: *it == sort,
                })
                .collect(),
            others: query
                .iter()
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .cloned()
                .collect(),
        }
    }
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let wanted = Wanted::new(&query)?;
    let skip = pager::skip(&query)?;
    let plan = app.desk.plan();
    let Wanted {
        status,
        sort,
        branches,
        ..
    } = &wanted;
    let (status, sort, branches) = (*status, *sort, branches.clone());
    let mut all = glimpse(&app, branches.clone(), move |it| wanted.takes(it)).await?;
    let states = Status::ALL.map(|(it, word, words)| StateLine {
        words,
        class: word,
        count: all.iter().filter(|glimpse| it.takes(glimpse)).count(),
        chosen: status == Some(it),
        query: match status == Some(it) {
            true => choice::written(&query, &["status", "skip"]),
            false => choice::with(&query, "status", word, &["skip"]),
        },
    });
    let any_building = all.iter().any(|it| !it.running.is_empty());
    let any_online = all.iter().any(|it| it.connected > 0);
    all.retain(|it| status.is_none_or(|status| status.takes(it)));
    sort.apply(&mut all);
    let found = all.len();
    let shown = all.into_iter().skip(skip).take(PAGE).collect();
    let view = BuildersView {
        builders: BuilderRow::all(&app, &plan, shown, branches).await?,
        found,
        total: plan.builders.len(),
        pager: Pager::new(&query, skip, PAGE, found),
        states: states
            .into_iter()
            .filter(|it| it.count > 0 || it.chosen)
            .collect(),
        any_building,
        any_online,
        form: FormView::new(&query, &plan, sort),
    };
    app.draw("builders.html", &uri, view)
}
