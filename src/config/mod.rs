//! The configuration: `master.ini` and the factories become a [`Plan`].
//! Three doors: *read* (text to typed), *check* (across sections), both pure
//! but for the files; then *derive* (what needs no configuration).

mod accounts;
mod asked;
mod authz;
mod buildbot_keys;
mod builder;
mod builders;
mod catalogue;
mod clients;
mod convert;
mod derive;
mod diff;
mod downtime;
mod environment;
pub(crate) mod explain;
mod extends;
mod factory;
mod files;
mod fuzz;
mod generate;
mod horizons;
mod known;
mod launch;
mod line;
mod links;
mod log_limits;
mod manual;
mod master;
mod matrix;
mod metrics;
mod origins;
mod own_log;
mod persons;
mod proxies;
mod read;
#[cfg(test)]
mod reference;
mod references;
mod rule;
mod scheduler;
mod schema;
mod sections;
mod select;
mod show;
mod slave;
mod source;
mod status;
mod trials;
mod users;
mod validation;
mod web;
mod web_ports;
mod web_server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::changes;
use crate::factories::Factory;
use crate::locks::LockPlan;
use crate::locks::LockUses;
use crate::model::BuilderName;
use crate::model::FactoryName;
use crate::model::Properties;
use crate::model::SchedulerName;
use crate::model::SecretRef;
use crate::model::SlaveName;
use crate::model::Text;
use crate::reporters;
use crate::schedulers;
use crate::schedulers::CancelSuperseded;
use crate::schedulers::QueueRules;
use crate::secrets::SecretText;
use crate::secrets::Secrets;
use crate::syntax::Place;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Source;

pub(crate) use crate::schedulers::Asking;
pub(crate) use accounts::Htfile;
pub(crate) use accounts::Known as KnownPassword;
pub(crate) use accounts::Password;
pub(crate) use accounts::read_file as read_htpasswd;
pub(crate) use authz::Action;
pub(crate) use authz::Authz;
pub(crate) use authz::Permission;
pub(crate) use catalogue::Catalogue;
pub(crate) use clients::ClientsPlan;
pub(crate) use convert::Spelling;
pub(crate) use diff::Difference;
pub(crate) use diff::needs_restart;
pub(crate) use downtime::Downtime;
pub(crate) use environment::cannot_listen;
pub(crate) use environment::check as check_environment;
pub(crate) use environment::tls_identity;
pub(crate) use environment::web_identity;
pub(crate) use files::NAMES;
pub(crate) use files::hash;
pub(crate) use files::is_printed;
pub(crate) use files::path_of;
pub(crate) use files::stored_name;
pub use fuzz::fuzz_config;
pub(crate) use horizons::Horizons;
pub(crate) use known::Known;
pub(crate) use launch::{CommandLaunch, Launch, OnDemand, SshLaunch};
pub(crate) use line::LinePlan;
pub(crate) use line::TlsUse;
pub(crate) use log_limits::LogLimits;
pub(crate) use metrics::MetricsPlan;
pub(crate) use origins::Origins;
pub(crate) use own_log::{LogFormat, LogLevel, LogPlan};
pub(crate) use persons::About;
pub(crate) use persons::AboutBuilder;
pub(crate) use persons::Person;
pub(crate) use proxies::ProxyHeaders;
#[cfg(test)]
pub(crate) use proxies::TrustedProxies;
pub(crate) use read::read;
pub(crate) use rule::BuilderOrder;
pub(crate) use rule::MergeRequests;
pub(crate) use rule::Rank;
pub(crate) use rule::RequestOrder;
pub(crate) use rule::Rule;
pub(crate) use rule::SlaveOrder;
pub(crate) use show::Shown;
pub(crate) use users::UserPlan;
pub(crate) use validation::ValidationPlan;
pub(crate) use web::Feed;
pub(crate) use web::WebPlan;
pub(crate) use web_ports::CLIENT_PORT;
pub(crate) use web_ports::Endpoint;
pub(crate) use web_ports::Listener;
pub(crate) use web_server::WebLimits;
pub(crate) use web_server::WebServerPlan;

/// Everything a master runs, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The files, the first of which is `master.ini` or `master.toml`.
    pub(crate) files: Vec<Arc<Source>>,
    pub(crate) master: MasterPlan,
    /// In file order.
    pub(crate) slaves: Vec<Arc<SlavePlan>>,
    /// In the order that pages show.
    pub(crate) builders: Vec<Arc<BuilderPlan>>,
    pub(crate) sources: Vec<Arc<SourcePlan>>,
    pub(crate) schedulers: Vec<Arc<SchedulerPlan>>,
    /// Combinations of matrixes that no slave can build.
    pub(crate) left_out: Vec<String>,
    pub(crate) status: Vec<Arc<StatusPlan>>,
    /// In file order.
    pub(crate) users: Vec<Arc<UserPlan>>,
    /// What the pages are told besides their ports.
    pub(crate) web: WebPlan,
    /// How often figures are taken and written down; `None` without the section.
    pub(crate) metrics: Option<MetricsPlan>,
    /// Who may do what through the pages.
    pub(crate) authz: Authz,
    /// Where secrets come from.
    pub(crate) secrets: Secrets,
    /// Every secret that the files refer to, and where.
    pub(crate) secret_names: Vec<(SecretRef, Place)>,
    pub(crate) locks: Vec<LockPlan>,
    pub(crate) warnings: Problems,
    /// Where the rest of it comes from.
    pub(crate) origins: Origins,
    /// So that the next one is read quickly.
    pub(crate) known: Known,
    /// Where each port and the database is set, for those that the file names.
    pub(crate) port_places: BTreeMap<&'static str, Place>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MasterPlan {
    pub(crate) title: String,
    pub(crate) title_url: Option<String>,
    /// `buildbotURL`: how the pages are reached from outside, ends in `/`.
    pub(crate) base_url: Option<String>,
    /// Where slaves dial in; port 9010 on every address.
    pub(crate) slaveport: Option<SocketAddr>,
    /// The web status; port 8010.
    pub(crate) htmlport: Option<SocketAddr>,
    /// The read-only web status; none unless set.
    pub(crate) publichtmlport: Option<SocketAddr>,
    /// Where Buildbot's slaves and clients are spoken to at once; none unless set.
    pub(crate) pb_port: Option<SocketAddr>,
    /// How slaves that dial in are received.
    pub(crate) line: LinePlan,
    /// Buildbot's clients that have no section.
    pub(crate) clients: ClientsPlan,
    /// Global properties of every build.
    pub(crate) properties: Properties,
    /// How long a slave may be away before its builds are given back.
    pub(crate) lost_timeout: Duration,
    /// What may come from outside with a forced build.
    pub(crate) validation: ValidationPlan,
    /// Which builder gets the next slave; the one with the oldest request where unset.
    pub(crate) prioritize_builders: BuilderOrder,
    /// Of builders that do not say otherwise.
    pub(crate) horizons: Horizons,
    /// Changes that are kept; `None` is all.
    pub(crate) change_horizon: Option<u32>,
    /// For how long they are kept.
    pub(crate) change_age: Option<Duration>,
    /// Bytes that the logs of all builders may take together.
    pub(crate) log_size: Option<u64>,
    pub(crate) logs: LogLimits,
    /// What the master says of itself.
    pub(crate) log: LogPlan,
    /// Relative to the master's base directory.
    pub(crate) database: PathBuf,
    /// Whether a change of the files is put into force by itself.
    pub(crate) watch: bool,
}

impl MasterPlan {
    /// Every port by the key that sets it.
    pub(crate) const fn ports(&self) -> [(&'static str, Option<SocketAddr>); 4] {
        [
            ("slaveport", self.slaveport),
            ("htmlport", self.htmlport),
            ("publichtmlport", self.publichtmlport),
            ("pb_port", self.pb_port),
        ]
    }
}

/// A slave section.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SlavePlan {
    pub(crate) name: SlaveName,
    pub(crate) password: SecretText,
    /// Overrides what the slave says of itself: `linux`, `win` or `mac`.
    pub(crate) os: Option<String>,
    pub(crate) launch: Launch,
    /// Set if it is started only when a build needs it.
    pub(crate) on_demand: Option<OnDemand>,
    /// How long it may be away, also when it was started; `None` is for ever.
    pub(crate) missing_timeout: Option<Duration>,
    /// Mail addresses of those who are told when it is away for longer.
    pub(crate) notify_on_missing: Vec<String>,
    /// When it is planned that it takes no new builds.
    pub(crate) downtime: Downtime,
    /// Builds at once; `None` is no limit.
    pub(crate) max_builds: Option<u32>,
    /// Words that it can be chosen by.
    pub(crate) tags: Vec<String>,
    /// What it has, such as versions of programs, for expressions.
    pub(crate) has: BTreeMap<String, Vec<String>>,
    /// Command lines by the name of what they ask programs there for.
    pub(crate) capabilities: BTreeMap<String, String>,
    /// How long the directory of a builder that is gone stays there; `None` is for ever.
    pub(crate) clean_up: Option<Duration>,
    /// How much slower than others it is, for expressions.
    pub(crate) timeout_factor: f64,
    /// Held for each of its builds.
    pub(crate) locks: LockUses,
    /// Whether it keeps mirrors of repositories.
    pub(crate) mirrors: bool,
    /// How many bytes they may take; `None` is no limit.
    pub(crate) mirror_budget: Option<u64>,
    pub(crate) properties: Properties,
}

/// A builder: which factory on which slaves.
#[derive(Clone, Debug)]
pub(crate) struct BuilderPlan {
    pub(crate) name: BuilderName,
    /// Directory under the master's base directory: where its logs are.
    pub(crate) builddir: String,
    /// Directory under the slave's base directory: where it builds.
    pub(crate) slavebuilddir: String,
    pub(crate) slaves: Vec<SlaveName>,
    pub(crate) factory_name: FactoryName,
    pub(crate) factory: Arc<dyn Factory>,
    /// [`Print::of`](crate::factories::Print::of) the factory.
    pub(crate) factory_print: u64,
    pub(crate) category: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) properties: Properties,
    pub(crate) env: BTreeMap<String, Option<Text>>,
    /// Whether requests that agree become one build.
    pub(crate) merge_requests: MergeRequests,
    /// Of requests that have none of their own; higher goes first.
    pub(crate) priority: i64,
    /// For requests of whose scheduler nothing is said.
    pub(crate) cancel_superseded: CancelSuperseded,
    /// How many requests may wait.
    pub(crate) max_pending: Option<NonZeroU32>,
    pub(crate) next_build: RequestOrder,
    pub(crate) next_slave: SlaveOrder,
    /// Held for all of a build.
    pub(crate) locks: LockUses,
    /// Whether it is said how long its builds still take.
    pub(crate) use_progress: bool,
    pub(crate) horizons: Horizons,
    pub(crate) origin: Origin,
}

/// A status target.
#[derive(Clone, Debug)]
pub(crate) struct StatusPlan {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) settings: Arc<dyn reporters::Settings>,
    pub(crate) origin: Origin,
}

impl PartialEq for StatusPlan {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && *self.settings == *other.settings
    }
}

/// Where a thing of the plan comes from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) place: Place,
    /// `this section`, or the rule that derived it.
    pub(crate) how: String,
}

impl Origin {
    /// A section of a file.
    fn section(section: &Section) -> Self {
        Self {
            place: section.place.clone(),
            how: format!("[{}]", section.name),
        }
    }

    /// A value of a key.
    const fn at_place(place: Place) -> Self {
        let how = String::new();
        Self { place, how }
    }

    /// The place: `master.ini:35:2`.
    pub(crate) fn at(&self) -> String {
        show::at(&self.place)
    }
}

/// Where a thing comes from is no part of what it is.
impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Origin")
    }
}

/// A change source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourcePlan {
    /// As pages and the store name it: for one that is derived
    /// `GitPoller: URL#BRANCH`, or without `#BRANCH` where the repository's own
    /// default is followed.
    pub(crate) name: String,
    pub(crate) settings: changes::Settings,
    pub(crate) origin: Origin,
}

/// A scheduler.
#[derive(Clone, Debug)]
pub(crate) struct SchedulerPlan {
    pub(crate) name: SchedulerName,
    pub(crate) builders: Vec<BuilderName>,
    /// Of its builds.
    pub(crate) properties: Properties,
    pub(crate) queue: QueueRules,
    /// What kind it is, and when it builds.
    pub(crate) settings: Arc<dyn schedulers::Settings>,
    pub(crate) origin: Origin,
}

impl Plan {
    /// The force scheduler that has the builder, the first if there are several.
    pub(crate) fn forcing(&self, builder: &BuilderName) -> Option<&SchedulerPlan> {
        let mut all = self.schedulers.iter().map(Arc::as_ref);
        all.find(|it| it.settings.as_force().is_some() && it.builders.contains(builder))
    }
}

impl SchedulerPlan {
    /// What its state is kept under: another kind of the same name is another scheduler.
    pub(crate) fn object(&self) -> String {
        format!("scheduler {} {}", self.settings.kind(), self.name)
    }
}

impl PartialEq for SchedulerPlan {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.builders == other.builders
            && self.properties == other.properties
            && self.queue == other.queue
            && *self.settings == *other.settings
    }
}

/// Reads and checks the configuration of the master in `dir`, as a master that starts does:
/// every secret has a value, and every directory of try jobs is there.
///
/// # Errors
/// Every problem of the files at once, if there is an error among them.
pub(crate) fn load(dir: &Path) -> Result<Plan, Problems> {
    load_again(dir, &Known::default())
}

/// As [`load`], where another plan was read before, which is in force still.
///
/// # Errors
/// Every problem of the files at once, if there is an error among them.
pub(crate) fn load_again(dir: &Path, known: &Known) -> Result<Plan, Problems> {
    let mut plan = read_files(dir, known)?;
    plan.secrets.check(&plan.secret_names, &mut plan.warnings);
    let mut problems = std::mem::take(&mut plan.warnings);
    environment::check_jobdirs(&plan, &mut problems);
    accounts::check_file(&plan, &mut problems);
    plan.warnings = problems;
    if plan.warnings.has_errors() {
        return Err(plan.warnings);
    }
    Ok(plan)
}

/// Reads and checks what the files of the master in `dir` say, wherever it is to run.
///
/// # Errors
/// Every problem of the files at once, if there is an error among them.
pub(crate) fn load_offline(dir: &Path) -> Result<Plan, Problems> {
    read_files(dir, &Known::default())
}

fn read_files(dir: &Path, known: &Known) -> Result<Plan, Problems> {
    let main = files::main_file(dir)?;
    let catalogue = catalogue::Installed::of(dir);
    let mut plan = read::read_again(&main, &catalogue, known)?;
    files::check_modes(dir, &plan.files, &mut plan.warnings);
    plan.files.extend(files::beside(dir, catalogue.files()));
    Ok(plan)
}

/// Reads and checks a configuration that stands in no directory, with recipes from `recipes`.
///
/// # Errors
/// Every problem at once, if there is an error among them.
pub(crate) fn load_text(main: &Arc<Source>, recipes: Vec<PathBuf>) -> Result<Plan, Problems> {
    read(main, &catalogue::Installed::with(recipes))
}

/// Writes what a file of a configuration says in the spelling `to`.
///
/// # Errors
/// Every mistake of the file, and all that `to` has no words for.
pub(crate) fn convert(source: &Arc<Source>, to: Spelling) -> Result<String, Problems> {
    convert::convert(source, to, &catalogue::Installed::of(&source.dir))
}

/// The JSON Schema of `master.toml`.
pub(crate) fn schema() -> serde_json::Value {
    schema::of_configuration(&catalogue::Installed::of(Path::new("")))
}

/// The JSON Schema of recipes.
pub(crate) fn recipe_schema() -> serde_json::Value {
    schema::of_recipe(&catalogue::Installed::of(Path::new("")))
}

/// The plan of a `master.ini` with this text.
#[cfg(test)]
pub(crate) fn plan_of(text: &str) -> Plan {
    let dir = Path::new("/nonexistent");
    let main = Source::new("master.ini", dir, text);
    read(&main, &catalogue::Installed::of(dir))
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

#[cfg(test)]
pub(crate) mod tests;
