//! One builder: its queue and why each request waits, what runs, what ran and
//! how long it took, its slaves, and the form that asks for a build.

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use minijinja::Value;
use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::master::forcing::FormErrors;
use crate::master::handle::SlaveView;
use crate::master::outlook::{Outlook, Scope};
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::Failing;
use crate::model::Outcome;
use crate::model::RequestRecord;
use crate::model::SlaveName;
use crate::model::StepRecord;
use crate::model::Subject;
use crate::model::Timestamp;
use crate::store::BuildQuery;
use crate::store::Glance;
use crate::store::GlanceQuery;
use crate::store::Store;
use crate::store::StoreError;

use super::actions;
use super::app::Shared;
use super::auth;
use super::auth::May;
use super::auth::Target;
use super::builder_slaves::SlaveOfBuilder;
use super::builders;
use super::choice;
use super::diary;
use super::diary::EventLine;
use super::failing::FailingLine;
use super::failure::Failure;
use super::force_form::Fields;
use super::force_form::ForceForm;
use super::links;
use super::markdown;
use super::plot::Plot;
use super::rows::BuildLine;
use super::rows::Link;
use super::rows::RequestLine;
use super::words;

/// Builds on the page unless it is asked for more with `numbuilds`.
const BUILDS: usize = 20;
const MOST_BUILDS: usize = 500;

/// Builds that the picture and the numbers of slaves go by.
const LOOKED_AT: usize = 200;

/// Requests that the page tells of, the next ones.
const WAITING: usize = 50;

/// A request with more changes only says how many.
const CHANGES: usize = 3;

/// What the page is about.
pub(super) struct Facts {
    pub(super) name: BuilderName,
    /// `None` for a builder that has left the configuration.
    pub(super) planned: Option<Planned>,
    /// The oldest of what waits.
    pub(super) waiting: Vec<RequestRecord>,
    pub(super) waiting_count: usize,
    /// Of what waits.
    pub(super) changes: Vec<Change>,
    /// Of the changes of each of what waits, where a rule asks for them.
    pub(super) authors: Vec<Vec<String>>,
    pub(super) outlook: Outlook,
    pub(super) running: Vec<RunningFacts>,
    pub(super) builds: Vec<BuildRecord>,
    pub(super) glances: Vec<Glance>,
    pub(super) slaves: Vec<SlaveView>,
    pub(super) failing: Vec<Failing>,
    pub(super) events: Vec<EventLine>,
}

/// What the configuration says of it.
pub(super) struct Planned {
    pub(super) category: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) description: Option<String>,
    pub(super) factory: String,
}

/// Which of its builds the page lists.
struct Wanted {
    count: usize,
    below: Option<i64>,
    branches: Vec<Option<String>>,
    outcomes: Vec<Outcome>,
}

impl Wanted {
    fn new(query: &choice::Query) -> Result<Self, Failure> {
        let count = number(query, "numbuilds")?.map_or(BUILDS, |it| {
            usize::try_from(it).unwrap_or(BUILDS).clamp(1, MOST_BUILDS)
        });
        let outcomes = choice::all(query, &["result"]);
        let outcomes = outcomes.iter().map(|asked| {
            let mut all = Outcome::ALL.into_iter();
            all.find(|it| it.as_str() == asked).ok_or_else(|| {
                let all = Outcome::ALL.map(Outcome::as_str).join(", ");
                Failure::BadRequest(format!("`result` is one of {all}, not `{asked}`"))
            })
        });
        Ok(Self {
            count,
            below: number(query, "before")?,
            branches: choice::branches(query),
            outcomes: outcomes.collect::<Result<_, _>>()?,
        })
    }

    /// One more than the page lists says that there is more.
    fn query(&self, builder: &BuilderName) -> BuildQuery {
        BuildQuery {
            builder: Some(builder.clone()),
            below: self.below,
            branches: self.branches.clone(),
            outcomes: self.outcomes.clone(),
            limit: self.count + 1,
            ..BuildQuery::default()
        }
    }
}

#[derive(Serialize)]
pub(super) struct BuilderView {
    pub(super) name: String,
    pub(super) url: String,
    /// The name as a part of an address.
    pub(super) quoted: String,
    pub(super) planned: bool,
    pub(super) category: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) factory: Option<String>,
    /// What it is for, drawn from Markdown.
    pub(super) description: Option<Value>,
    pub(super) state: &'static str,
    pub(super) failing: Vec<FailingLine>,
    pub(super) waiting: Vec<WaitingLine>,
    pub(super) waiting_count: usize,
    pub(super) running: Vec<Running>,
    pub(super) recent: Vec<BuildLine>,
    pub(super) filter: FilterView,
    pub(super) plot: Option<Plot>,
    pub(super) slaves: Vec<SlaveOfBuilder>,
    /// Markdown of its badge, if the master knows its own address.
    pub(super) badge: Option<String>,
    pub(super) form: ForceForm,
    pub(super) events: Vec<EventLine>,
}

/// What the list of builds is narrowed to, and ways on.
#[derive(Serialize)]
pub(super) struct FilterView {
    is_narrow: bool,
    branch: String,
    results: Vec<ResultLine>,
    older: Option<String>,
    /// Whether there may be newer ones than those shown.
    newer: Option<String>,
}

#[derive(Serialize)]
struct ResultLine {
    word: &'static str,
    chosen: bool,
}

impl FilterView {
    fn new(query: &choice::Query, wanted: &Wanted, oldest: Option<i64>) -> Self {
        let older = |oldest: i64| choice::with(query, "before", &oldest.to_string(), &[]);
        Self {
            is_narrow: !wanted.branches.is_empty() || !wanted.outcomes.is_empty(),
            branch: choice::first(query, "branch")
                .unwrap_or_default()
                .to_owned(),
            results: Outcome::ALL
                .into_iter()
                .map(|it| ResultLine {
                    word: it.as_str(),
                    chosen: wanted.outcomes.contains(&it),
                })
                .collect(),
            older: oldest.map(older),
            newer: wanted.below.map(|_| choice::written(query, &["before"])),
        }
    }
}

/// A request that waits, with its changes as far as they are few.
#[derive(Serialize)]
pub(super) struct WaitingLine {
    request: RequestLine,
    changes: Vec<Link>,
    /// Of a request with many.
    many: Option<usize>,
    /// Whether who looks at it may cancel it.
    can_cancel: bool,
}

impl WaitingLine {
    fn all(facts: &Facts, may: &May<'_>, now: Timestamp) -> Vec<Self> {
        let web = &may.plan().web;
        let mut authors = facts.authors.iter().cloned();
        let line = |it: &RequestRecord| Self {
            can_cancel: may.cancel(it, authors.next().unwrap_or_default()),
            ..Self::new(it, facts, web, now)
        };
        facts.waiting.iter().map(line).collect()
    }

    fn new(request: &RequestRecord, facts: &Facts, web: &WebPlan, now: Timestamp) -> Self {
        let ids = &request.stamp.changes;
        let known = facts.changes.iter();
        let link = |it: &Change| {
            let revision = it.revision.as_deref().map(words::short);
            let revision = revision.unwrap_or_else(|| format!("change {}", it.id.0));
            Link {
                name: format!("{revision} by {}", words::person(&it.author)),
                url: links::change(it.id.0),
            }
        };
        let mut line = RequestLine::new(request, &facts.outlook, web, now);
        line.stamp.changes.clear();
        let is_few = ids.len() <= CHANGES;
        let shown = known.filter(|it| is_few && ids.contains(&it.id));
        Self {
            request: line,
            changes: shown.map(link).collect(),
            many: (!is_few).then_some(ids.len()),
            can_cancel: false,
        }
    }
}

/// A running build and what it takes to say how far it is.
pub(super) struct RunningFacts {
    build: BuildRecord,
    steps: Vec<StepRecord>,
}

impl RunningFacts {
    pub(super) fn slave(&self) -> &SlaveName {
        &self.build.slave
    }
}

/// Reads what runs, of one builder or of all.
pub(super) fn read_running(
    store: &mut dyn Store,
    builder: Option<&BuilderName>,
) -> Result<Vec<RunningFacts>, StoreError> {
    let mut running = store.running_builds()?;
    running.retain(|it| builder.is_none_or(|name| it.key.builder == *name));
    running
        .into_iter()
        .map(|build| {
            Ok(RunningFacts {
                steps: store.steps(build.id)?,
                build,
            })
        })
        .collect()
}

/// A running build with the step that it is at.
#[derive(Serialize)]
pub(super) struct Running {
    pub(super) build: BuildLine,
    pub(super) step: Option<String>,
    /// Whether that step waits for its locks.
    pub(super) is_locked: bool,
    pub(super) eta: Option<String>,
    /// Whether who looks at it may stop it.
    pub(super) can_stop: bool,
}

impl Running {
    pub(super) fn all(
        facts: &[RunningFacts],
        outlook: &Outlook,
        may: &May<'_>,
        now: Timestamp,
    ) -> Vec<Self> {
        let line = |it: &RunningFacts| {
            let step = current_step(&it.steps);
            Self {
                build: BuildLine::new(&it.build, now),
                step: step.map(|it| it.name.clone()),
                is_locked: step.is_some_and(|it| it.progress.began.is_none()),
                eta: outlook.left(&it.build.key).map(|it| it.to_string()),
                can_stop: may.stop(&it.build),
            }
        };
        facts.iter().map(line).collect()
    }
}

fn view(
    facts: &Facts,
    form: ForceForm,
    wanted: &Wanted,
    query: &choice::Query,
    may: &May<'_>,
    now: Timestamp,
) -> BuilderView {
    let plan = may.plan();
    let running = Running::all(&facts.running, &facts.outlook, may, now);
    let shown = facts.builds.len().min(wanted.count);
    let has_more = facts.builds.len() > wanted.count;
    let recent = &facts.builds[..shown];
    let oldest = recent.last().filter(|_| has_more).map(|it| it.key.number);
    let planned = facts.planned.as_ref();
    BuilderView {
        name: facts.name.to_string(),
        url: links::builder(facts.name.as_str()),
        quoted: links::quote(facts.name.as_str()),
        planned: planned.is_some(),
        category: planned.and_then(|it| it.category.clone()),
        tags: planned.map(|it| it.tags.clone()).unwrap_or_default(),
        description: planned
            .and_then(|it| it.description.as_deref())
            .map(|it| Value::from_safe_string(markdown::draw(it))),
        factory: planned.map(|it| it.factory.clone()),
        state: builders::state(
            !running.is_empty(),
            facts.slaves.iter().filter(|it| it.connected).count(),
        ),
        failing: FailingLine::all(&facts.name, &facts.failing, now),
        waiting: WaitingLine::all(facts, may, now),
        waiting_count: facts.waiting_count,
        running,
        recent: BuildLine::all(recent, now),
        filter: FilterView::new(query, wanted, oldest),
        plot: Plot::new(&facts.name, &facts.glances, now),
        slaves: SlaveOfBuilder::all(&facts.slaves, &facts.glances, now),
        badge: plan
            .master
            .base_url
            .as_deref()
            .map(|it| badge(it, &facts.name)),
        form,
        events: facts.events.clone(),
    }
}

/// What makes a picture of the builder's last result in a page of Markdown elsewhere.
fn badge(base: &str, builder: &BuilderName) -> String {
    let base = base.trim_end_matches('/');
    let quoted = links::quote(builder.as_str());
    let mut name = String::new();
    for it in builder.as_str().chars() {
        // What means something in Markdown.
        if "\\`*_[]<>!".contains(it) {
            name.push('\\');
        }
        name.push(it);
    }
    format!("[![{name}]({base}/badges/{quoted}.svg)]({base}/builders/{quoted})")
}

/// The step that a build is at.
fn current_step(steps: &[StepRecord]) -> Option<&StepRecord> {
    steps
        .iter()
        .find(|it| it.started.is_some() && it.finished.is_none())
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path(name): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    draw(&app, &uri, name, &query, &[], None).await
}

/// Draws the page; with what is wrong with a form that was posted, and what stood in it.
pub(super) async fn draw(
    app: &Shared,
    uri: &Uri,
    name: String,
    query: &[(String, String)],
    posted: &Fields,
    wrong: Option<&FormErrors>,
) -> Result<Response, Failure> {
    let query = query.to_vec();
    let wanted = Wanted::new(&query)?;
    let missing = Failure::NotFound(format!("builder `{name}`"));
    let name = BuilderName::from(name);
    let may = May::of_page(app);
    let plan = may.plan();
    auth::about_page(Target::builder(plan, &name, None).about);
    let form = ForceForm::new(plan, &name, posted, wrong);
    let planned = plan
        .builders
        .iter()
        .find(|it| it.name == name)
        .map(|it| Planned {
            category: it.category.clone(),
            tags: it.tags.clone(),
            description: it.description.clone(),
            factory: it.factory_name.to_string(),
        });
    let mut slaves = app.desk.slaves();
    slaves.retain(|it| it.builders.contains(&name));
    let outlook = app.desk.outlook(Scope::Builder(name.clone())).await?;
    let asked = wanted.query(&name);
    let minds_authors = may.minds_authors();
    let facts = app
        .read(move |store| {
            if planned.is_none() && !store.known_builders()?.contains(&name) {
                return Ok(None);
            }
            let (waiting, waiting_count) = store.waiting_of(&name, WAITING)?;
            let few = waiting
                .iter()
                .filter(|it| it.stamp.changes.len() <= CHANGES);
            let mut changes = Vec::new();
            for id in few.flat_map(|it| &it.stamp.changes) {
                changes.extend(store.change(*id)?);
            }
            let mut authors = Vec::new();
            for request in waiting.iter().filter(|_| minds_authors) {
                authors.push(actions::authors(store, request)?);
            }
            let looked_at = GlanceQuery {
                is_finished: true,
                limit: LOOKED_AT,
                ..GlanceQuery::default()
            };
            let subject = Subject::Builder(name.clone());
            Ok(Some(Facts {
                failing: store.failing(&name)?,
                events: diary::newest(store, &subject, clock::now())?,
                running: read_running(store, Some(&name))?,
                builds: store.find_builds(&asked)?,
                glances: store.glances(&name, &looked_at)?,
                name,
                planned,
                waiting,
                waiting_count,
                changes,
                authors,
                outlook,
                slaves,
            }))
        })
        .await?;
    let facts = facts.ok_or(missing)?;
    app.draw(
        "builder.html",
        uri,
        view(&facts, form, &wanted, &query, &may, clock::now()),
    )
}

/// A whole number among the arguments.
pub(super) fn number(query: &[(String, String)], name: &str) -> Result<Option<i64>, Failure> {
    let Some((_, value)) = query.iter().find(|(it, _)| it == name) else {
        return Ok(None);
    };
    value.trim().parse().map(Some).map_err(|_| {
        Failure::BadRequest(format!("`{name}` should be a whole number, not `{value}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_markdown_of_a_badge_survives_any_name() {
        assert_eq!(
            badge("https://ci.test/", &"a/b".into()),
            "[![a/b](https://ci.test/badges/a%2Fb.svg)](https://ci.test/builders/a%2Fb)"
        );
        let odd = badge("https://ci.test", &"x](y) *".into());
        assert!(odd.starts_with("[![x\\](y) \\*](https://ci.test/badges/x%5D%28y%29%20%2A.svg)"));
    }
}
