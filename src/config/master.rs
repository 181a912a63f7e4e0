//! The keys of `[:master:]`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use super::BuilderOrder;
use super::Horizons;
use super::MasterPlan;
use super::MergeRequests;
use super::ValidationPlan;
use super::buildbot_keys;
use super::clients;
use super::horizons;
use super::horizons::NewestChanges;
use super::line;
use super::log_limits;
use super::own_log;
use super::slave;
use crate::model::Properties;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Size;
use crate::syntax::Value;

/// `[:master:]` with what other sections need of it.
pub(super) struct Master {
    pub(super) plan: MasterPlan,
    pub(super) port_places: BTreeMap<&'static str, Place>,
    pub(super) poll_interval: Duration,
    pub(super) tree_stable: Duration,
    pub(super) builders: Grouping,
    pub(super) merge_requests: MergeRequests,
    /// Whether pollers and schedulers are derived from the factories' sources.
    pub(super) derive: bool,
}

/// Which slaves share a builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    /// A builder for each pair of slave and factory.
    Slave,
    /// One for each factory and operating system.
    Platform,
    /// One for each factory.
    Factory,
}

impl Value for Grouping {
    const EXPECTED: &'static str = "`slave`, `platform` or `factory`";
    const SHAPE: Shape = Shape::Word(&["slave", "platform", "factory"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "slave" => Ok(Self::Slave),
            "platform" => Ok(Self::Platform),
            "factory" => Ok(Self::Factory),
            _ => Err(Misread::default()),
        }
    }
}

/// How pages are reached: a web address, which gets a `/` at its end.
struct BaseUrl(String);

impl Value for BaseUrl {
    const EXPECTED: &'static str = "a web address such as `https://ci.example.org/`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let rest = text.strip_prefix("http").ok_or_else(Misread::default)?;
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        match rest.strip_prefix("://") {
            Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => {
                let slash = if text.ends_with('/') { "" } else { "/" };
                Ok(Self(format!("{text}{slash}")))
            }
            _ => Err(Misread::default()),
        }
    }
}

/// Asks for the keys of the section.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<Master> {
    let title = keys.or_as(&["title", "project_name"], "autobot".to_owned());
    let title_url = keys.optional_as::<String>(&["title_url", "project_url"]);
    let base_url = keys.optional_as::<BaseUrl>(&["base_url", "buildbot_url"]);
    let slaveport = port(keys, "slaveport", Some(9010));
    let htmlport = port(keys, "htmlport", Some(8010));
    let publichtmlport = port(keys, "publichtmlport", None);
    let pb_port = port(keys, "pb_port", None);
    let poll_interval = positive(keys, "poll_interval", 60);
    let tree_stable = keys.or("tree_stable", Duration::from_mins(1));
    let lost_timeout = keys.or("lost_timeout", Duration::from_mins(10));
    let builders = keys.or("builders", Grouping::Slave);
    let merge_requests = keys.or("merge_requests", MergeRequests::Yes);
    let prioritize_builders = keys.or("prioritize_builders", BuilderOrder::default());
    let horizons = horizons::read(keys);
    let logs = log_limits::read(keys);
    let database = buildbot_keys::read(keys);
    let change_horizon = keys.or("change_horizon", NewestChanges(None));
    let change_age = keys.or("change_age", None::<Duration>);
    let log_size = keys.or("log_size", Size(None));
    let line = line::read(keys);
    let clients = clients::read(keys);
    let log = own_log::read(keys);
    let derive = keys.or("derive", true);
    // These were followed when the files were read.
    let include = keys.or("include", Vec::<String>::new());
    keys.optional::<crate::syntax::CommandText>("generate");
    let watch = keys.or("watch", false);
    let properties = properties(keys, "Global");
    // These are the defaults of every slave; here they are only looked at.
    let defaults = slave::read_common(keys);
    warn_of_mail_and_irc(keys);
    if let (Some(slaveport), Some(htmlport), Some(publichtmlport), Some(pb_port)) =
        (slaveport, htmlport, publichtmlport, pb_port)
    {
        let ports = [
            ("slaveport", slaveport),
            ("htmlport", htmlport),
            ("publichtmlport", publichtmlport),
            ("pb_port", pb_port),
        ];
        check_ports(keys, &ports);
    }
    let named = [
        "slaveport",
        "htmlport",
        "publichtmlport",
        "pb_port",
        "db_url",
    ]
    .into_iter()
    .chain(line::PLACED)
    .chain(clients::PLACED)
    .filter(|name| keys.has(name));
    let port_places = named.map(|name| (name, keys.place(name))).collect();
    let horizons = horizons.map(|it| it.over(Horizons::default()));
    if let Some(wrong) = horizons.and_then(Horizons::contradiction) {
        let problem = Problem::error(Code::Contradiction, wrong.what)
            .at(&keys.place(wrong.logs))
            .label("logs are kept of builds only")
            .also(&keys.place(wrong.builds), "builds go with their logs");
        keys.note(problem);
    }
    if include.is_none() || !defaults.is_good() {
        return None;
    }
    let horizons = horizons?;
    Some(Master {
        plan: MasterPlan {
            title: title?,
            title_url: title_url?.filter(|it| !it.is_empty()),
            base_url: base_url?.map(|it| it.0),
            slaveport: slaveport?,
            htmlport: htmlport?,
            publichtmlport: publichtmlport?,
            pb_port: pb_port?,
            line: line?,
            clients: clients?,
            properties: properties?,
            lost_timeout: lost_timeout?,
            validation: ValidationPlan::default(),
            prioritize_builders: prioritize_builders?,
            horizons,
            change_horizon: change_horizon?.0,
            change_age: change_age?,
            log_size: log_size?.0,
            logs: logs?,
            log: log?,
            database: database?,
            watch: watch?,
        },
        port_places,
        poll_interval: poll_interval?,
        tree_stable: tree_stable?,
        builders: builders?,
        merge_requests: merge_requests?,
        derive: derive?,
    })
}

/// Reads `[:properties:]`: every key is a property of every build.
pub(super) fn global_properties(keys: &mut Keys<'_>) -> Option<Properties> {
    let mut properties = Properties::new();
    for entry in keys.rest() {
        let value = serde_json::Value::read(&entry.value).ok()?;
        properties.set(entry.key, value, "Global");
    }
    Some(properties)
}

/// Reads `property.NAME = VALUE` as properties that came from `origin`.
pub(super) fn properties(keys: &mut Keys<'_>, origin: &str) -> Option<Properties> {
    let read = keys.map::<serde_json::Value>("property");
    let nodes = keys.map::<Node>("property")?;
    let mut is_good = true;
    for (name, node) in nodes {
        if let Some((_, place)) = node.secrets().first() {
            is_good = false;
            let what = format!("a secret in `property.{name}` of {}", keys.title());
            let problem = Problem::error(Code::BadSecret, what).at(place);
            let problem = problem.label("properties are stored and shown");
            keys.note(problem.help("a command and `env.NAME` of a step may have secrets"));
        }
    }
    let mut properties = Properties::new();
    for (name, value) in read? {
        properties.set(name, value, origin);
    }
    is_good.then_some(properties)
}

/// A port; a line without a value means the usual one, as it always did.
#[expect(
    clippy::option_option,
    reason = "outer: readable; inner: listens at all"
)]
fn port(keys: &mut Keys<'_>, name: &str, usual: Option<u16>) -> Option<Option<SocketAddr>> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let usual = usual.map(|it| SocketAddr::new(any, it));
    Some(match keys.or(name, PortLine::Usual)? {
        PortLine::Usual => usual,
        PortLine::Said(it) => it,
    })
}

/// What a port's line says.
enum PortLine {
    Usual,
    Said(Option<SocketAddr>),
}

impl Value for PortLine {
    const EXPECTED: &'static str = <Option<SocketAddr> as Value>::EXPECTED;
    const SHAPE: Shape = <Option<SocketAddr> as Value>::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Int(0) => Ok(Self::Usual),
            Content::Text(text) if matches!(text.as_str(), "" | "0") => Ok(Self::Usual),
            _ => Option::read(node).map(Self::Said),
        }
    }
}

/// A time between two things, which cannot be none.
fn positive(keys: &mut Keys<'_>, name: &str, usual: u64) -> Option<Duration> {
    let read = keys.or(name, Duration::from_secs(usual))?;
    if read.is_zero() {
        let problem = Problem::error(
            Code::BadValue,
            format!("bad value for `{name}` in {}", keys.title()),
        )
        .at(&keys.place(name))
        .label("expected more than nothing");
        keys.note(problem);
        return None;
    }
    Some(read)
}

/// Two listeners cannot share a port.
fn check_ports(keys: &mut Keys<'_>, ports: &[(&str, Option<SocketAddr>)]) {
    for (index, (name, address)) in ports.iter().enumerate() {
        for (first_name, first) in &ports[..index] {
            let (Some(address), Some(first)) = (address, first) else {
                continue;
            };
            let overlaps = address.ip() == first.ip()
                || address.ip().is_unspecified()
                || first.ip().is_unspecified();
            if address.port() == 0 || address.port() != first.port() || !overlaps {
                continue;
            }
            let mut problem = Problem::error(
                Code::Port,
                format!(
                    "`{name}` and `{first_name}` are both port {}",
                    address.port()
                ),
            );
            // One of them may be a default: then only the other has a line.
            if keys.has(name) {
                problem = problem.at(&keys.place(name)).label("this is taken");
                if keys.has(first_name) {
                    problem = problem.also(&keys.place(first_name), "by this");
                } else {
                    problem = problem.help(format!(
                        "`{first_name}` is {} where the file says nothing else",
                        first.port()
                    ));
                }
            } else {
                problem = problem
                    .at(&keys.place(first_name))
                    .label("this is taken")
                    .help(format!(
                        "`{name}` is {} where the file says nothing else",
                        address.port()
                    ));
            }
            keys.note(problem);
            // One taker of a port is enough to say.
            break;
        }
    }
}

/// Keys of autobot's mail and IRC status, which scaffolds write and old files have.
fn warn_of_mail_and_irc(keys: &mut Keys<'_>) {
    keys.optional::<String>("botname");
    keys.optional::<String>("domain");
    for (name, what) in [
        ("recipients", "mail"),
        ("irc_host", "IRC"),
        ("channels", "IRC"),
    ] {
        let Some(Some(words)) = keys.optional::<Vec<(String, Place)>>(name) else {
            continue;
        };
        if words.iter().any(|(word, _)| word != "-") {
            let problem = Problem::warning(Code::NoEffect, format!("`{name}` has no effect"))
                .at(&keys.place(name))
                .label(format!("{what} status is not part of this version"));
            keys.note(problem);
        }
    }
}

/// The entries of the section that are defaults for slaves. Its properties
/// are not: they are global, and what is global must not win over a builder's.
pub(super) fn slave_defaults(entries: &[Entry]) -> Vec<Entry> {
    let is_default = |entry: &&Entry| {
        let key = crate::syntax::plain(&entry.key);
        // `has.python` is an entry of the map `has`.
        let map = key.split_once('.').map(|(map, _)| map);
        match map {
            Some(map) => slave::COMMON_MAPS.contains(&map),
            None => slave::COMMON.contains(&key.as_str()),
        }
    };
    entries.iter().filter(is_default).cloned().collect()
}
