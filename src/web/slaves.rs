//! Slaves: who is here, what they run, what they ran.

use std::time::Duration;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::clock;
use crate::master::handle::SlaveView;
use crate::master::outlook::{Outlook, Scope};
use crate::master::phase::Phase;
use crate::model::BuildId;
use crate::model::BuildRecord;
use crate::model::Bytes;
use crate::model::Machine;
use crate::model::StepRecord;
use crate::model::Subject;
use crate::model::Timestamp;
use crate::store::BuildQuery;
use crate::store::Store;
use crate::store::StoreError;

use super::app::Shared;
use super::auth;
use super::auth::May;
use super::auth::Target;
use super::builder;
use super::builder::Running;
use super::builder::RunningFacts;
use super::builders::Square;
use super::choice;
use super::diary;
use super::diary::EventLine;
use super::failure::Failure;
use super::links;
use super::rows::BuildLine;
use super::rows::Link;
use super::words::Badge;
use super::words::Moment;

/// Builds on a slave's page unless it is asked for more with `numbuilds`.
const BUILDS: i64 = 20;
const MOST_BUILDS: i64 = 200;
/// Builds of a slave in the list of all.
const GLANCE: usize = 8;
/// Builders of a slave in the list of all.
const TOLD: usize = 12;
/// Capabilities that are shown, and the characters of each.
const CAPABILITIES: usize = 50;
const SHOWN: usize = 200;

/// A slave in a table.
#[derive(Serialize)]
pub(super) struct SlaveLine {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) connected: bool,
    pub(super) state: &'static str,
    /// How it is doing, if the master starts it.
    pub(super) phase: Option<String>,
    pub(super) shuts_down: bool,
    /// Whether the master starts it.
    pub(super) kept: bool,
    pub(super) pause: Option<PauseLine>,
    pub(super) missing: Option<MissingLine>,
    /// The downtime that lasts now.
    pub(super) downtime: Option<String>,
    /// Those that are planned.
    pub(super) downtimes: Option<String>,
    pub(super) admin: Option<String>,
    pub(super) host: Option<String>,
    pub(super) access_url: Option<String>,
    pub(super) version: Option<String>,
    pub(super) os: Option<String>,
    /// What it has: `8 cores, 15.6 GiB of memory`.
    pub(super) machine: String,
    pub(super) kernel: Option<String>,
    pub(super) distribution: Option<String>,
    pub(super) capabilities: Vec<(String, String)>,
    /// The first of those that it has.
    pub(super) builders: Vec<Link>,
    pub(super) builder_count: usize,
    pub(super) running: Vec<Link>,
    pub(super) last_heard: Option<Moment>,
    pub(super) connects: usize,
    pub(super) line: Option<String>,
    pub(super) nonsense: Option<Nonsense>,
}

/// That a slave takes no new builds, since when, and who said so.
#[derive(Serialize)]
pub(super) struct PauseLine {
    pub(super) since: Moment,
    pub(super) by: Option<String>,
    pub(super) reason: Option<String>,
}

/// That a slave is missing, since when, and who knows.
#[derive(Serialize)]
pub(super) struct MissingLine {
    pub(super) since: Moment,
    pub(super) told: Option<Moment>,
    /// Why a mail about it could not be sent.
    pub(super) trouble: Option<String>,
}

/// Why a slave was cut off.
#[derive(Serialize)]
pub(super) struct Nonsense {
    pub(super) at: Moment,
    pub(super) why: String,
}

impl SlaveLine {
    /// Of its builders so many are told.
    pub(super) fn new(slave: &SlaveView, told: usize, now: Timestamp) -> Self {
        let trimmed = |it: &Option<String>| {
            it.as_deref()
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
        };
        Self {
            name: slave.name.to_string(),
            url: links::slave(slave.name.as_str()),
            connected: slave.connected,
            state: match (slave.connected, slave.running.is_empty(), &slave.phase) {
                (false, _, Some(Phase::Down)) if slave.on_demand => "resting",
                (false, _, Some(Phase::Starting { .. })) => "starting",
                (false, _, Some(Phase::Stopping { .. })) => "stopping",
                (false, _, _) => "offline",
                (true, true, _) => "idle",
                (true, false, _) => "building",
            },
            phase: slave.phase.as_ref().map(|it| format!("It {it}.")),
            shuts_down: slave.shuts_down,
            kept: slave.kept,
            pause: slave.pause.as_ref().map(|it| PauseLine {
                since: Moment::new(it.since, now),
                by: it.by.clone(),
                reason: it.reason.clone(),
            }),
            downtime: slave.downtime.as_ref().map(|it| it.1.clone()),
            downtimes: slave.downtimes.clone(),
            missing: slave.missing.as_ref().map(|it| MissingLine {
                since: Moment::new(it.since, now),
                told: it.told.map(|it| Moment::new(it, now)),
                trouble: it.trouble.as_ref().map(ToString::to_string),
            }),
            admin: trimmed(&slave.admin),
            host: trimmed(&slave.host),
            access_url: slave.access_uri.as_deref().and_then(links::outside),
            version: trimmed(&slave.version),
            os: trimmed(&slave.os),
            machine: machine(&slave.machine),
            kernel: trimmed(&slave.kernel).map(|it| short(&it)),
            distribution: trimmed(&slave.machine.distribution).map(|it| short(&it)),
            capabilities: slave
                .capabilities
                .iter()
                .take(CAPABILITIES)
                .map(|(name, said)| (short(name), short(said)))
                .collect(),
            builders: slave
                .builders
                .iter()
                .take(told)
                .map(|it| Link::builder(it.as_str()))
                .collect(),
            builder_count: slave.builders.len(),
            running: slave.running.iter().map(Link::build).collect(),
            last_heard: slave.last_heard.map(|it| Moment::new(it, now)),
            connects: slave.connects,
            line: slave.line.clone(),
            nonsense: slave.nonsense.as_ref().map(|(at, why)| Nonsense {
                at: Moment::new(*at, now),
                why: why.clone(),
            }),
        }
    }
}

/// What of it is known, in words.
fn machine(it: &Machine) -> String {
    let cores = it.cores.map(|it| match it {
        1 => "1 core".to_owned(),
        _ => format!("{it} cores"),
    });
    let memory = it.memory.map(|it| format!("{} of memory", gibibytes(it)));
    let disk = it
        .disk_free
        .map(|it| format!("{} free for builds when it came", gibibytes(it)));
    let known = [cores, memory, disk].into_iter().flatten();
    known.collect::<Vec<_>>().join(", ")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "one digit behind the point is shown"
)]
fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// What a slave says may be as long as it likes; the page stays a page.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A slave in the list of all.
#[derive(Serialize)]
struct SlaveRow {
    slave: SlaveLine,
    /// Builds at once, where there is a limit.
    max_builds: Option<u32>,
    /// Its newest builds, oldest first.
    glance: Vec<Square>,
}

#[derive(Serialize)]
struct SlavesView {
    slaves: Vec<SlaveRow>,
    /// Whether it is said which builders each has.
    has_builders: bool,
    connected: usize,
    /// The arguments that turn that round.
    turned: &'static str,
}

#[derive(Serialize)]
struct SlavePage {
    slave: SlaveLine,
    max_builds: Option<u32>,
    tags: Vec<String>,
    running: Vec<Running>,
    recent: Vec<BuildLine>,
    /// What those took of the machine, if the slave counts it.
    used: Option<String>,
    older: Option<String>,
    newer: Option<String>,
    /// Its newest events.
    events: Vec<EventLine>,
}

/// Sorts `slave9` before `slave10`.
pub(super) fn natural(name: &str) -> Vec<(u64, String)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|it: char| it.is_ascii_digit())
            .unwrap_or(tail.len());
        let (word, tail) = tail.split_at(letters);
        key.push((number.parse().unwrap_or(0), word.to_owned()));
        rest = tail;
    }
    key
}

/// What steps took of a machine, in words, if it was counted.
fn used<'a>(steps: impl IntoIterator<Item = &'a StepRecord>) -> Option<String> {
    let mut any = false;
    let (mut millis, mut memory) = (0_u64, 0);
    for usage in steps.into_iter().filter_map(|it| it.usage.as_ref()) {
        any = true;
        millis = millis
            .saturating_add(usage.user_ms)
            .saturating_add(usage.system_ms);
        memory = memory.max(usage.peak_memory);
    }
    any.then(|| {
        format!(
            "{} of processor time, {} of memory at most",
            clock::human(Duration::from_millis(millis)),
            Bytes(memory)
        )
    })
}

pub(super) async fn list(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let mut slaves = app.desk.slaves();
    slaves.sort_by_cached_key(|it| natural(it.name.as_str()));
    let names: Vec<_> = slaves.iter().map(|it| it.name.clone()).collect();
    let builds = app
        .read(move |store| {
            let newest = |slave| store.ran_on(slave, GLANCE);
            names.iter().map(newest).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let has_builders = choice::first(&query, "no_builders") != Some("1");
    let (plan, now) = (app.desk.plan(), clock::now());
    let rows = slaves.iter().zip(&builds).map(|(slave, builds)| SlaveRow {
        slave: SlaveLine::new(slave, TOLD, now),
        max_builds: plan
            .slaves
            .iter()
            .find(|it| it.name == slave.name)
            .and_then(|it| it.max_builds),
        glance: builds
            .iter()
            .rev()
            .map(|(key, outcome)| Square {
                url: links::build(key),
                number: key.number,
                badge: Badge::of(*outcome),
            })
            .collect(),
    });
    let view = SlavesView {
        slaves: rows.collect(),
        has_builders,
        connected: slaves.iter().filter(|it| it.connected).count(),
        turned: if has_builders { "?no_builders=1" } else { "" },
    };
    app.draw("buildslaves.html", &uri, view)
}

/// What the page of a slave reads.
struct Facts {
    running: Vec<RunningFacts>,
    /// One more than the page lists says that there is more.
    builds: Vec<BuildRecord>,
    steps: Vec<StepRecord>,
    events: Vec<EventLine>,
}

fn read(store: &mut dyn Store, slave: &SlaveView, query: &BuildQuery) -> Result<Facts, StoreError> {
    let mut running = builder::read_running(store, None)?;
    running.retain(|it| it.slave() == &slave.name);
    let builds = store.find_builds(query)?;
    let mut steps = Vec::new();
    for build in builds.iter().take(query.limit - 1) {
        steps.extend(store.steps(build.id)?);
    }
    let subject = Subject::Slave(slave.name.clone());
    Ok(Facts {
        running,
        builds,
        steps,
        events: diary::newest(store, &subject, clock::now())?,
    })
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path(name): Path<String>,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let slave = app
        .desk
        .slaves()
        .into_iter()
        .find(|it| it.name.as_str() == name)
        .ok_or_else(|| Failure::NotFound(format!("slave `{name}`")))?;
    auth::about_page(Target::slave(&slave.name).about);
    let count = builder::number(&query, "numbuilds")?.unwrap_or(BUILDS);
    let count = usize::try_from(count.clamp(1, MOST_BUILDS)).expect("at least one");
    let before = builder::number(&query, "before")?;
    let wanted = BuildQuery {
        slave: Some(slave.name.clone()),
        before: before.map(BuildId),
        limit: count + 1,
        ..BuildQuery::default()
    };
    let (slave, facts) = app
        .read(move |store| {
            let facts = read(store, &slave, &wanted)?;
            Ok((slave, facts))
        })
        .await?;
    let outlook = match facts.running.is_empty() {
        true => Outlook::default(),
        false => app.desk.outlook(Scope::Nothing).await?,
    };
    let (plan, now) = (app.desk.plan(), clock::now());
    let planned = plan.slaves.iter().find(|it| it.name == slave.name);
    let shown = &facts.builds[..facts.builds.len().min(count)];
    let oldest = shown.last().filter(|_| facts.builds.len() > count);
    let view = SlavePage {
        max_builds: planned.and_then(|it| it.max_builds),
        tags: planned.map(|it| it.tags.clone()).unwrap_or_default(),
        running: Running::all(&facts.running, &outlook, &May::of_page(&app), now),
        recent: BuildLine::all(shown, now),
        used: used(&facts.steps),
        older: oldest.map(|it| choice::with(&query, "before", &it.id.0.to_string(), &[])),
        newer: before.map(|_| choice::written(&query, &["before"])),
        slave: SlaveLine::new(&slave, usize::MAX, now),
        events: facts.events,
    };
    app.draw("buildslave.html", &uri, view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slave_that_the_master_starts_says_how_it_is_doing() {
        let check = |connected, phase, state: &str, said: Option<&str>| {
            let view = SlaveView {
                name: "s".into(),
                connected,
                line: None,
                nonsense: None,
                phase,
                shuts_down: false,
                kept: true,
                pause: None,
                missing: None,
                downtimes: None,
                downtime: None,
                on_demand: true,
                admin: None,
                host: None,
                access_uri: None,
                version: None,
                os: None,
                machine: Machine::default(),
                kernel: None,
                capabilities: std::collections::BTreeMap::new(),
                builders: Vec::new(),
                running: Vec::new(),
                last_heard: None,
                connects: 0,
            };
            let line = SlaveLine::new(&view, 0, Timestamp(0));
            assert_eq!((line.state, line.phase.as_deref()), (state, said));
        };
        check(true, None, "idle", None);
        check(false, None, "offline", None);
        let said = "It is not started; a build that needs it starts it.";
        check(false, Some(Phase::Down), "resting", Some(said));
        let (why, until) = ("no machine".to_owned(), Timestamp(0));
        let said = format!(
            "It failed: no machine; it is tried again at {}.",
            clock::iso(until)
        );
        let failed = Phase::Failed { why, until };
        check(false, Some(failed), "offline", Some(&said));
    }

    #[test]
    fn a_machine_is_told_as_far_as_it_is_known_and_no_slave_makes_the_page_long() {
        let mut it = Machine {
            cores: Some(8),
            memory: Some(16_265_428 << 10),
            disk_free: Some(0),
            distribution: None,
        };
        let free = "0.0 GiB free for builds when it came";
        assert_eq!(machine(&it), format!("8 cores, 15.5 GiB of memory, {free}"));
        it.cores = Some(1);
        it.memory = None;
        assert_eq!(machine(&it), format!("1 core, {free}"));
        assert_eq!(machine(&Machine::default()), "");
        assert_eq!(short(&"é".repeat(SHOWN)), "é".repeat(SHOWN));
        assert_eq!(
            short(&"é".repeat(SHOWN + 1)),
            format!("{}…", "é".repeat(SHOWN))
        );
    }

    #[test]
    fn slaves_sort_as_people_count() {
        let mut names = vec!["slave10", "slave9", "a", "slave"];
        names.sort_by_key(|it| natural(it));
        assert_eq!(names, ["a", "slave", "slave9", "slave10"]);
    }
}
