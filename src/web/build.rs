//! One build: its result, what it was about, its steps and their logs.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::config::WebPlan;
use crate::estimate::Left;
use crate::master::outlook::{BuildLeft, Scope};
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::Outcome;
use crate::model::SlaveName;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::KeptArtifact;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::TestCounts;

use super::app::App;
use super::app::Shared;
use super::artifacts;
use super::artifacts::ArtifactLine;
use super::auth;
use super::auth::Target;
use super::failing::RunLine;
use super::failure::Failure;
use super::links;
use super::log;
use super::log::Found;
use super::log::Tail;
use super::rows;
use super::rows::BuildLine;
use super::rows::ChangeView;
use super::rows::Link;
use super::rows::PropertyLine;
use super::rows::StampView;
use super::rows::StepLine;
use super::test_list::CountLine;
use super::why;
use super::why::Fact;
use super::why::WhyLine;
use super::words;
use super::words::Badge;
use super::words::Moment;

/// A build with everything that belongs to it.
pub(super) struct Facts {
    pub(super) build: BuildRecord,
    pub(super) steps: Vec<StepRecord>,
    pub(super) changes: Vec<Change>,
    /// Of the steps that ran any.
    pub(super) tests: Vec<TestCounts>,
    pub(super) artifacts: Vec<KeptArtifact>,
    /// The builds before and after it that there are.
    pub(super) older: Option<i64>,
    pub(super) newer: Option<i64>,
    /// The run of failures that it belongs to.
    pub(super) run: Option<RunLine>,
}

#[derive(Serialize)]
pub(super) struct BuildView {
    pub(super) trail: Vec<Link>,
    pub(super) key: String,
    pub(super) build: BuildLine,
    pub(super) stamp: StampView,
    pub(super) got_revision: Option<String>,
    /// Whether a rebuild has the same source: its revision or its changes are known.
    pub(super) is_exact: bool,
    pub(super) got_revision_url: Option<String>,
    pub(super) changes: Vec<ChangeView>,
    pub(super) steps: Vec<StepLine>,
    pub(super) hidden: Vec<StepLine>,
    /// How many tests ended how.
    pub(super) tests: Vec<CountLine>,
    pub(super) tests_url: String,
    pub(super) properties: Vec<PropertyLine>,
    pub(super) why: Vec<WhyLine>,
    pub(super) requests: Vec<i64>,
    pub(super) config: Option<i64>,
    pub(super) owners: Vec<String>,
    pub(super) run: Option<RunLine>,
    pub(super) finished: Option<Moment>,
    pub(super) eta: Option<String>,
    pub(super) artifacts: Vec<ArtifactLine>,
    /// How many there are that are not shown here.
    pub(super) more_artifacts: usize,
    pub(super) artifacts_url: String,
    /// The page of its slave, if that is still in the configuration.
    pub(super) slave: Option<String>,
    /// Whose changes are in it.
    pub(super) authors: Vec<String>,
    pub(super) elapsed: String,
    pub(super) older: Option<String>,
    pub(super) newer: Option<String>,
}

/// Artifacts on the page of a build; the others have a page of their own.
const ARTIFACTS: usize = 20;

/// What is asked of others than the store.
pub(super) struct Around {
    pub(super) tails: BTreeMap<u32, Tail>,
    pub(super) why: Vec<Fact>,
    pub(super) left: Option<Left>,
    pub(super) artifacts: Vec<ArtifactLine>,
    /// Slaves of the configuration.
    pub(super) slaves: Vec<SlaveName>,
}

pub(super) fn view(facts: &Facts, around: Around, web: &WebPlan, now: Timestamp) -> BuildView {
    let Around {
        mut tails,
        why,
        left,
        artifacts,
        slaves,
    } = around;
    let build = &facts.build;
    let got_revision = build.properties.text("got_revision");
    let builder = build.key.builder.as_str();
    let neighbour = |number: i64| format!("{}/builds/{number}", links::builder(builder));
    let mut trail = rows::trail(&build.key);
    trail.pop();
    let (hidden, steps) = facts
        .steps
        .iter()
        .map(|it| StepLine {
            tail: tails.remove(&it.number),
            ..StepLine::new(&build.key, it, now)
        })
        // A hidden step that went wrong or still runs is worth seeing.
        .partition(|it| it.hidden && !it.running && !it.badge.is_red());
    BuildView {
        trail,
        key: build.key.to_string(),
        build: BuildLine::new(build, now),
        stamp: StampView::new(&build.stamp, web),
        is_exact: got_revision.is_some()
            || build.stamp.revision.is_some()
            || !build.stamp.changes.is_empty(),
        got_revision_url: rows::revision_url(web, &build.stamp.repository, got_revision),
        got_revision: got_revision
            .filter(|it| Some(*it) != build.stamp.revision.as_deref())
            .map(str::to_owned),
        changes: facts
            .changes
            .iter()
            .map(|it| ChangeView::new(it, web, now))
            .collect(),
        steps,
        hidden,
        tests: CountLine::all(&build.key, &facts.tests),
        tests_url: links::tests(&build.key),
        properties: PropertyLine::all(&build.properties),
        why: WhyLine::all(why, now),
        requests: build.requests.iter().map(|it| it.0).collect(),
        config: build.config.map(|it| it.0),
        owners: build.owners().iter().map(|it| words::person(it)).collect(),
        run: facts.run.clone(),
        finished: build.finished.map(|it| Moment::new(it, now)),
        eta: left.map(|it| it.to_string()),
        older: facts.older.map(neighbour),
        newer: facts.newer.map(neighbour),
        slave: slaves
            .contains(&build.slave)
            .then(|| links::slave(build.slave.as_str())),
        authors: build.blame.clone(),
        elapsed: words::interval(build.finished.unwrap_or(now).since(build.started)),
        artifacts_url: format!("{}/artifacts", links::build(&build.key)),
        more_artifacts: artifacts.len().saturating_sub(ARTIFACTS),
        artifacts: artifacts.into_iter().take(ARTIFACTS).collect(),
    }
}

/// Numbers that are looked through for the next build: some may have been forgotten.
const GAP: i64 = 50;

/// The next build in a direction.
fn neighbour(
    store: &mut dyn Store,
    builder: &BuilderName,
    number: i64,
    step: i64,
) -> Result<Option<i64>, StoreError> {
    for distance in 1..=GAP {
        let number = number + distance * step;
        if number < 0 {
            break;
        }
        if store.build(builder, number)?.is_some() {
            return Ok(Some(number));
        }
        // Of those that come, none is missing in between.
        if step > 0 && distance == 1 {
            let newest = store.build(builder, -1)?;
            if newest.is_none_or(|it| it.key.number < number) {
                break;
            }
        }
    }
    Ok(None)
}

/// Reads a build and its steps; a negative number counts back from the newest.
pub(super) fn read(
    store: &mut dyn Store,
    builder: &BuilderName,
    number: i64,
) -> Result<Option<Facts>, StoreError> {
    let Some(build) = store.build(builder, number)? else {
        return Ok(None);
    };
    let mut changes = Vec::new();
    for id in &build.stamp.changes {
        changes.extend(store.change(*id)?);
    }
    let number = build.key.number;
    let older = neighbour(store, builder, number, -1)?;
    let newer = neighbour(store, builder, number, 1)?;
    Ok(Some(Facts {
        steps: store.steps(build.id)?,
        changes,
        tests: store.test_counts(build.id)?,
        artifacts: store.artifacts(build.id)?,
        older,
        newer,
        run: RunLine::read(store, &build)?,
        build,
    }))
}

/// Finds the build that an address names.
pub(super) async fn find(app: &App, builder: String, number: &str) -> Result<Facts, Failure> {
    let missing = Failure::NotFound(format!("build {number} of `{builder}`"));
    let number = match number {
        "latest" => -1,
        number => match number.parse() {
            Ok(number) => number,
            Err(_) => return Err(missing),
        },
    };
    let builder = BuilderName::from(builder);
    app.read(move |store| read(store, &builder, number))
        .await?
        .ok_or(missing)
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path((builder, number)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let facts = find(&app, builder, &number).await?;
    auth::about_page(Target::build(&app.desk.plan(), &facts.build).about);
    let tails = tails(&app, &facts).await;
    let (plan, now) = (app.desk.plan(), clock::now());
    let brought = facts.artifacts.clone();
    let around = Around {
        tails,
        why: why::of(&app, &facts).await?,
        left: left(&app, &facts.build).await?.and_then(|it| it.left),
        artifacts: artifacts::lines(&app, &facts.build, &facts.steps, brought, now).await?,
        slaves: app.desk.slaves().into_iter().map(|it| it.name).collect(),
    };
    app.draw("build.html", &uri, view(&facts, around, &plan.web, now))
}

/// What is left of a build, if it runs.
pub(super) async fn left(app: &App, build: &BuildRecord) -> Result<Option<BuildLeft>, Failure> {
    if build.finished.is_some() {
        return Ok(None);
    }
    let mut outlook = app.desk.outlook(Scope::Nothing).await?;
    Ok(outlook.running.remove(&build.key))
}

/// Steps that went wrong and show what they said: who looks for a mistake begins with the first.
const WRONG_STEPS: usize = 3;

/// What is worth reading without a click: the end of what the running step says, and of
/// what the steps that went wrong said.
async fn tails(app: &App, facts: &Facts) -> BTreeMap<u32, Tail> {
    let runs = |it: &&StepRecord| it.started.is_some() && it.finished.is_none();
    let wrong = |it: &&StepRecord| Badge::of(it.outcome).is_red();
    let running = facts.steps.iter().filter(runs);
    let wrong = facts.steps.iter().filter(wrong).take(WRONG_STEPS);
    let mut tails = BTreeMap::new();
    for step in running.chain(wrong) {
        // An exception is told in a log that was added when it came.
        let log = match step.outcome {
            Some(Outcome::Exception) => step.logs.last(),
            _ => step.logs.first(),
        };
        let Some(log) = log else { continue };
        // The log's own page says what is wrong with it.
        if let Ok(found) = Found::locate(app, &facts.build, step, log).await
            && let Ok(Some(tail)) = log::glance(&found).await
        {
            tails.insert(step.number, tail);
        }
    }
    tails
}
