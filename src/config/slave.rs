//! The keys of `[slave:NAME]`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Downtime;
use super::Launch;
use super::MasterPlan;
use super::SlavePlan;
use super::StatusPlan;
use super::launch;
use super::launch::Launching;
use super::master;
use super::matrix;
use crate::locks::LockUses;
use crate::model::SlaveName;
use crate::reporters::Addresses;
use crate::secrets::SecretText;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Size;
use crate::syntax::Value;

/// What the mirrors of a slave may take where nobody says so: a lot for most projects, and
/// not too much for a small board.
const MIRROR_BUDGET: u64 = 10 << 30;

/// `[slave:NAME]` and the factories it names.
pub(super) struct Slave {
    pub(super) name: SlaveName,
    pub(super) place: Place,
    /// `None` if something is wrong with it.
    pub(super) plan: Option<SlavePlan>,
    /// Where it says who is told that it is missing.
    told_at: Option<Place>,
    /// Where it says who starts it.
    launched_at: Place,
    /// `None` if the list cannot be read.
    pub(super) factories: Option<Vec<(String, Place)>>,
    /// Words that it can be chosen by.
    pub(super) tags: Vec<String>,
    /// What it has, by what it is: `has.python = 3.11 3.12`.
    pub(super) has: BTreeMap<String, Vec<String>>,
}

/// The keys that may also stand in `[:master:]`, as [`plain`](crate::syntax::plain) spells them.
pub(super) const COMMON: [&str; 26] = [
    "password",
    "factories",
    "os",
    "launch",
    "ondemand",
    "buildwaittimeout",
    "missingtimeout",
    "notifyonmissing",
    "startcommand",
    "stopcommand",
    "statuscommand",
    "launchenv",
    "masterhost",
    "user",
    "keyfile",
    "knownhosts",
    "proxycommand",
    "maxbuilds",
    "tags",
    "has",
    "capability",
    "cleanup",
    "timeoutfactor",
    "locks",
    "mirrors",
    "mirrorbudget",
];

/// Those of them that have names of the user's behind a dot.
pub(super) const COMMON_MAPS: [&str; 3] = ["launchenv", "has", "capability"];

/// They run at once, whenever the slave comes.
const MOST_CAPABILITIES: usize = 50;

/// What they say; `None` where that is wrong.
pub(super) struct Common {
    password: Option<Option<SecretText>>,
    factories: Option<Vec<(String, Place)>>,
    os: Option<Option<Os>>,
    launch: Launching,
    notify_on_missing: Option<Addresses>,
    max_builds: Option<Option<AtLeastOne>>,
    tags: Option<Vec<String>>,
    has: Option<BTreeMap<String, Vec<String>>>,
    capabilities: Option<BTreeMap<String, String>>,
    clean_up: Option<CleanUp>,
    timeout_factor: Option<f64>,
    locks: Option<LockUses>,
    mirrors: Option<bool>,
    mirror_budget: Option<Size>,
}

impl Common {
    pub(super) fn is_good(&self) -> bool {
        self.password.is_some()
            && self.factories.is_some()
            && self.os.is_some()
            && self.launch.is_good()
            && self.notify_on_missing.is_some()
            && self.max_builds.is_some()
            && self.tags.is_some()
            && self.has.is_some()
            && self.capabilities.is_some()
            && self.clean_up.is_some()
            && self.timeout_factor.is_some()
            && self.locks.is_some()
            && self.mirrors.is_some()
            && self.mirror_budget.is_some()
    }
}

/// Reads the keys that may also stand in `[:master:]`.
pub(super) fn read_common(keys: &mut Keys<'_>) -> Common {
    Common {
        password: keys.optional("password"),
        factories: keys.or("factories", Vec::new()),
        os: keys.optional("os"),
        launch: launch::read(keys),
        notify_on_missing: keys.or("notify_on_missing", Addresses::default()),
        max_builds: keys.optional("max_builds"),
        tags: keys.or("tags", Vec::new()),
        has: keys.map("has"),
        capabilities: capabilities(keys),
        clean_up: keys.or("clean_up", CleanUp(None)),
        timeout_factor: keys.or("timeout_factor", 1.0),
        locks: keys.or("locks", LockUses::default()),
        mirrors: keys.or("mirrors", true),
        mirror_budget: keys.or("mirror_budget", Size(Some(MIRROR_BUDGET))),
    }
}

/// Two slaves that the master starts cannot work in one directory.
pub(super) fn check_basedirs(slaves: &[Slave], problems: &mut Problems) {
    let local = |slave: &Slave| match &slave.plan.as_ref()?.launch {
        Launch::Local { basedir } => Some(basedir.display().to_string()),
        Launch::Ssh(it) => {
            let user = it.user.as_deref().map(|it| format!("{it}@"));
            let user = user.unwrap_or_default();
            Some(format!("{user}{}:{}/{}", it.host, it.port, it.basedir))
        }
        Launch::None | Launch::Command(_) => None,
    };
    for (index, slave) in slaves.iter().enumerate() {
        let Some(basedir) = local(slave) else {
            continue;
        };
        let earlier = slaves[..index]
            .iter()
            .find(|it| local(it).as_ref() == Some(&basedir));
        if let Some(earlier) = earlier {
            let what = format!(
                "slave `{}` would work in the base directory of slave `{}`",
                slave.name, earlier.name
            );
            let problem = Problem::error(Code::SharedDirectory, what)
                .at(&slave.place)
                .label(format!("`{basedir}` is taken"))
                .also(&earlier.place, "by this");
            problems.note(problem);
        }
    }
}

/// A slave that commands start dials in, so there must be a port for that.
pub(super) fn check_port(slaves: &[Slave], master: Option<&MasterPlan>, problems: &mut Problems) {
    if master.is_none_or(|it| it.slaveport.is_some()) {
        return;
    }
    for slave in slaves {
        let plan = slave.plan.as_ref();
        if plan.is_some_and(|it| matches!(it.launch, Launch::Command(_))) {
            let what = format!("slave `{}` cannot dial in when it is started", slave.name);
            let problem = Problem::warning(Code::NoEffect, what)
                .at(&slave.launched_at)
                .label("`slaveport = none` in [:master:] lets nobody in")
                .help("with `launch = local` or `ssh` no port is needed");
            problems.note(problem);
        }
    }
}

/// Who is to hear of missing slaves hears by the first status target that is a mail.
pub(super) fn check_notices(slaves: &[Slave], status: &[Arc<StatusPlan>], problems: &mut Problems) {
    if status.iter().any(|it| it.settings.post().is_some()) {
        return;
    }
    let mut told = BTreeSet::new();
    for slave in slaves {
        let plan = slave.plan.as_ref();
        let is_wanted = plan.is_some_and(|it| !it.notify_on_missing.is_empty());
        // One line of the master's section may be of many slaves.
        let Some(place) = slave.told_at.as_ref().filter(|_| is_wanted) else {
            continue;
        };
        if told.insert((place.source.name.clone(), place.span().start)) {
            let what = "nobody is told when a slave is missing";
            let problem = Problem::warning(Code::NoEffect, what)
                .at(place)
                .label("no status target sends mails")
                .help("`[status:mail]` with `fromaddr` and `relayhost` says how they are sent");
            problems.note(problem);
        }
    }
}

/// Reads a slave's section; what is wrong with it is noted.
pub(super) fn read(name: &str, keys: &mut Keys<'_>) -> Slave {
    let place = keys.header().clone();
    let mut common = read_common(keys);
    let properties = master::properties(keys, "BuildSlave");
    let launched = common.launch.of_slave(keys, name, properties.as_ref());
    if matches!(common.password, Some(None)) {
        let problem = Problem::error(Code::MissingKey, format!("slave `{name}` has no password"))
            .at(&place)
            .label("expected `password = …` in this section or in [:master:]");
        keys.note(problem);
    }
    let told = common.notify_on_missing.take();
    if told.as_ref().is_some_and(|it| !it.0.is_empty())
        && launched
            .as_ref()
            .is_some_and(|it| it.missing_timeout.is_none())
        && keys.has("notify_on_missing")
    {
        let why = "`missing_timeout` says that the slave may be away for ever";
        keys.without_effect("notify_on_missing", why);
    }
    let told_at = keys.set_at("notify_on_missing");
    let launched_at = keys.place("launch");
    let downtime = Downtime::read(keys);
    let factories = common.factories.take();
    let (tags, has) = (common.tags.take(), common.has.take());
    for (what, values) in has.iter().flatten() {
        if let Some(problem) = values.iter().find_map(|it| matrix::comma(it)) {
            let place = keys.place(&format!("has.{what}"));
            keys.note(problem.at(&place));
        }
    }
    let plan = || {
        let launched = launched?;
        Some(SlavePlan {
            name: SlaveName::from(name),
            password: common.password??,
            os: common.os?.map(|it| it.0.to_owned()),
            launch: launched.launch,
            on_demand: launched.on_demand,
            missing_timeout: launched.missing_timeout,
            notify_on_missing: told?.0,
            downtime: downtime?,
            max_builds: common.max_builds?.map(|it| it.0),
            tags: tags.clone()?,
            has: has.clone()?,
            capabilities: common.capabilities?,
            clean_up: common.clean_up?.0,
            timeout_factor: common.timeout_factor?,
            locks: common.locks?,
            mirrors: common.mirrors?,
            mirror_budget: common.mirror_budget?.0,
            properties: properties?,
        })
    };
    Slave {
        name: SlaveName::from(name),
        plan: plan(),
        place,
        told_at,
        launched_at,
        factories,
        tags: tags.unwrap_or_default(),
        has: has.unwrap_or_default(),
    }
}

/// What is asked of programs of the slave.
fn capabilities(keys: &mut Keys<'_>) -> Option<BTreeMap<String, String>> {
    let all = keys.placed_map::<String>("capability")?;
    if let Some((place, _)) = all.values().nth(MOST_CAPABILITIES) {
        let what = format!(
            "{} capabilities are more than {MOST_CAPABILITIES}",
            all.len()
        );
        let problem = Problem::error(Code::BadValue, what).at(place);
        keys.note(problem.help("each is a command that runs whenever the slave comes"));
        return None;
    }
    let lines = all.into_iter().map(|(name, (_, line))| (name, line));
    Some(lines.collect())
}

/// How long a directory stays that no builder has any more.
struct CleanUp(Option<Duration>);

impl Value for CleanUp {
    const EXPECTED: &'static str = "a duration such as `7d`, or `none` for ever";
    const SHAPE: Shape = Shape::OrNone(&Shape::Duration);

    fn read(node: &Node) -> Result<Self, Misread> {
        let read = Option::<Duration>::read(node)?;
        if read.is_some_and(|it| it.is_zero()) {
            // A reload with a mistake would cost every work directory.
            let what =
                "it should be longer than nothing, such as `7d`; `none` is for ever".to_owned();
            return Err(Misread {
                what: Some(what),
                ..Misread::default()
            });
        }
        Ok(Self(read))
    }
}

struct Os(&'static str);

impl Value for Os {
    const EXPECTED: &'static str = "`linux`, `win` or `mac`";
    const SHAPE: Shape = Shape::Word(&["linux", "win", "mac"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let all = ["linux", "win", "mac"];
        let found = all.into_iter().find(|it| *it == text);
        found.map(Self).ok_or_else(Misread::default)
    }
}

struct AtLeastOne(u32);

impl Value for AtLeastOne {
    const EXPECTED: &'static str = "a whole number from 1";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        match u32::read(node) {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(Misread::default()),
        }
    }
}
