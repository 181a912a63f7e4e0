//! Who starts a slave, and when: the keys of `[slave:NAME]` that say so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::Properties;
use crate::model::Text;
use crate::steps::read_env;
use crate::syntax::Code;
use crate::syntax::CommandText;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::nearest;

/// Who starts a slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Launch {
    /// It dials in.
    None,
    /// The master starts it as a child with this base directory and talks over its pipes.
    Local { basedir: PathBuf },
    /// Commands start and stop it; it dials in.
    Command(CommandLaunch),
    /// The master starts it on another host and talks to it over that line.
    Ssh(SshLaunch),
}

impl Launch {
    /// Whether a slave that `other` describes is this one: it may stay as it is.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) | (Self::Command(_), Self::Command(_)) => true,
            (Self::Local { basedir }, Self::Local { basedir: other }) => basedir == other,
            (Self::Ssh(one), Self::Ssh(other)) => {
                let place = |it: &SshLaunch| {
                    let SshLaunch {
                        host,
                        port,
                        user,
                        basedir,
                        ..
                    } = it;
                    (host.clone(), *port, user.clone(), basedir.clone())
                };
                place(one) == place(other)
            }
            _ => false,
        }
    }

    /// Whether such a slave knows its password and dials in with it.
    pub(crate) fn dials_in(&self) -> bool {
        matches!(self, Self::None | Self::Command(_))
    }
}

/// The commands that start and stop a slave, which run in the master's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLaunch {
    pub(crate) start: CommandText,
    pub(crate) stop: Option<CommandText>,
    /// Succeeds while the slave's machine is there.
    pub(crate) status: Option<CommandText>,
    /// More variables for them.
    pub(crate) env: BTreeMap<String, Option<Text>>,
    /// How the slave reaches the master; its own name if unset.
    pub(crate) master_host: Option<String>,
}

/// Where and how a slave is started over ssh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshLaunch {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Who runs the master, if unset.
    pub(crate) user: Option<String>,
    /// The agent's keys, if unset.
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) known_hosts: PathBuf,
    /// A shell line whose standard input and output are the connection.
    pub(crate) proxy_command: Option<String>,
    /// On that host; relative to the home of the user.
    pub(crate) basedir: String,
}

/// A slave that is started when a build needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnDemand {
    /// How long it stays without a build; `None` is for ever.
    pub(crate) build_wait_timeout: Option<Duration>,
}

/// What a command may say of the slave that it starts, besides the slave's properties.
const KNOWN: [&str; 4] = ["slavename", "master_host", "master_port", "password_file"];

/// The keys that only one way of launching reads.
const OF_COMMAND: [&str; 5] = [
    "start_command",
    "stop_command",
    "status_command",
    "launch_env",
    "master_host",
];
const OF_SSH: [&str; 6] = [
    "host",
    "port",
    "user",
    "key_file",
    "known_hosts",
    "proxy_command",
];

/// The keys that may also stand in `[:master:]`; `None` where that is wrong.
pub(super) struct Launching {
    word: Option<LaunchWord>,
    on_demand: Option<bool>,
    build_wait_timeout: Option<Patience>,
    missing_timeout: Option<Option<Absence>>,
    start: Option<Option<CommandText>>,
    stop: Option<Option<CommandText>>,
    status: Option<Option<CommandText>>,
    env: Option<BTreeMap<String, Option<Text>>>,
    master_host: Option<Option<HostName>>,
    user: Option<Option<HostName>>,
    key_file: Option<Option<PathBuf>>,
    known_hosts: Option<Option<PathBuf>>,
    proxy_command: Option<Option<String>>,
}

impl Launching {
    pub(super) fn is_good(&self) -> bool {
        self.word.is_some()
            && self.on_demand.is_some()
            && self.build_wait_timeout.is_some()
            && self.missing_timeout.is_some()
            && self.start.is_some()
            && self.stop.is_some()
            && self.status.is_some()
            && self.env.is_some()
            && self.master_host.is_some()
            && self.user.is_some()
            && self.key_file.is_some()
            && self.known_hosts.is_some()
            && self.proxy_command.is_some()
    }
}

/// Reads the keys that may also stand in `[:master:]`.
pub(super) fn read(keys: &mut Keys<'_>) -> Launching {
    Launching {
        word: keys.or("launch", LaunchWord::None),
        on_demand: keys.or("on_demand", false),
        build_wait_timeout: keys.or(
            "build_wait_timeout",
            Patience(Some(Duration::from_mins(10))),
        ),
        missing_timeout: keys.optional("missing_timeout"),
        start: keys.optional("start_command"),
        stop: keys.optional("stop_command"),
        status: keys.optional("status_command"),
        env: read_env(keys, "launch_env"),
        master_host: keys.optional("master_host"),
        user: keys.optional("user"),
        key_file: keys.optional("key_file"),
        known_hosts: keys.optional("known_hosts"),
        proxy_command: keys.optional("proxy_command"),
    }
}

/// What the keys come to for one slave.
pub(super) struct Launched {
    pub(super) launch: Launch,
    pub(super) on_demand: Option<OnDemand>,
    pub(super) missing_timeout: Option<Duration>,
}

impl Launching {
    /// Reads what only a slave's section has, and puts it together. What contradicts is noted.
    pub(super) fn of_slave(
        self,
        keys: &mut Keys<'_>,
        name: &str,
        properties: Option<&Properties>,
    ) -> Option<Launched> {
        let host = keys.optional::<HostName>("host");
        let port = keys.or("port", PortNumber(22));
        let word = self.word;
        let basedir = match word {
            Some(LaunchWord::Ssh) => keys.optional::<RemoteDir>("basedir").map(Basedir::Remote),
            _ => keys.optional::<PathBuf>("basedir").map(Basedir::Local),
        };
        let references = keys.references();
        let word = word?;
        contradictions(keys, word);
        let on_demand = self.on_demand?;
        if on_demand && word == LaunchWord::None && keys.has("on_demand") {
            let why = "the slave dials in by itself; `launch = …` says how the master starts it";
            keys.wrong("on_demand", why);
        }
        if !on_demand && keys.has("build_wait_timeout") {
            let why = "only a slave with `on_demand = yes` is stopped when it has nothing to do";
            keys.wrong("build_wait_timeout", why);
        }
        let launch = match word {
            LaunchWord::None => Launch::None,
            LaunchWord::Local => {
                let Basedir::Local(basedir) = basedir? else {
                    return None;
                };
                let usual = || keys.header().source.dir.join("slaves").join(name);
                Launch::Local {
                    basedir: basedir.unwrap_or_else(usual),
                }
            }
            LaunchWord::Command => {
                for it in references {
                    let is_property = properties.is_none_or(|all| all.get(&it.property).is_some());
                    if it.has_default || is_property || KNOWN.contains(&it.property.as_str()) {
                        continue;
                    }
                    let what = format!("nothing sets the property `{}`", it.property);
                    let problem = Problem::error(Code::UnknownName, what).at(&it.place);
                    let own = properties.iter().flat_map(|it| it.iter());
                    let all: Vec<&str> = KNOWN.into_iter().chain(own.map(|it| it.0)).collect();
                    let near = nearest(&it.property, all.iter().copied());
                    keys.note(match near {
                        Some(near) => problem.label(format!("did you mean `{near}`?")),
                        None => problem.help(format!("there are `{}`", all.join("`, `"))),
                    });
                }
                let Some(start) = self.start? else {
                    missing(keys, "start_command", "launch = command");
                    return None;
                };
                Launch::Command(CommandLaunch {
                    start,
                    stop: self.stop?,
                    status: self.status?,
                    env: self.env?,
                    master_host: self.master_host?.map(|it| it.0),
                })
            }
            LaunchWord::Ssh => {
                let Some(host) = host? else {
                    missing(keys, "host", "launch = ssh");
                    return None;
                };
                let Basedir::Remote(basedir) = basedir? else {
                    return None;
                };
                let known_hosts = || keys.header().source.dir.join("known_hosts");
                Launch::Ssh(SshLaunch {
                    host: host.0,
                    port: port?.0,
                    user: self.user?.map(|it| it.0),
                    key_file: self.key_file?,
                    known_hosts: self.known_hosts?.unwrap_or_else(known_hosts),
                    proxy_command: self.proxy_command?.filter(|it| it != "none"),
                    basedir: basedir.map_or_else(|| format!("autobot-{name}"), |it| it.0),
                })
            }
        };
        let build_wait_timeout = self.build_wait_timeout?.0;
        Some(Launched {
            on_demand: (on_demand && word != LaunchWord::None)
                .then_some(OnDemand { build_wait_timeout }),
            missing_timeout: match (self.missing_timeout?, word) {
                (Some(Absence(it)), _) => it,
                (None, LaunchWord::None) => Some(Duration::from_hours(1)),
                (None, _) => Some(Duration::from_mins(20)),
            },
            launch,
        })
    }
}

enum Basedir {
    Local(Option<PathBuf>),
    Remote(Option<RemoteDir>),
}

fn missing(keys: &mut Keys<'_>, key: &str, because: &str) {
    let what = format!("`{key}` is missing in {}", keys.title());
    let problem = Problem::error(Code::MissingKey, what)
        .at(&keys.place("launch"))
        .label(format!("`{because}` needs it"));
    keys.note(problem);
}

/// Keys that this way of launching does not read.
fn contradictions(keys: &mut Keys<'_>, word: LaunchWord) {
    if matches!(word, LaunchWord::None | LaunchWord::Command) && keys.has("basedir") {
        let why = "the slave says itself where it works, unless `launch` is `local` or `ssh`";
        keys.wrong("basedir", why);
    }
    for (of, names) in [
        (LaunchWord::Command, &OF_COMMAND[..]),
        (LaunchWord::Ssh, &OF_SSH[..]),
    ] {
        for name in names.iter().filter(|_| of != word) {
            if keys.has(name) {
                keys.wrong(name, format!("only `launch = {}` reads it", of.text()));
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LaunchWord {
    None,
    Local,
    Command,
    Ssh,
}

impl LaunchWord {
    const ALL: [Self; 4] = [Self::None, Self::Local, Self::Command, Self::Ssh];

    fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Local => "local",
            Self::Command => "command",
            Self::Ssh => "ssh",
        }
    }
}

impl Value for LaunchWord {
    const EXPECTED: &'static str =
        "`none` (the slave dials in), or how the master starts it: `local`, `command` or `ssh`";
    const SHAPE: Shape = Shape::Word(&["none", "local", "command", "ssh"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let found = Self::ALL.into_iter().find(|it| it.text() == text);
        found.ok_or_else(Misread::default)
    }
}

/// How long; a negative number is for ever, as Buildbot has it.
struct Patience(Option<Duration>);

impl Value for Patience {
    const EXPECTED: &'static str =
        "a duration such as `10m`, `0` for none at all, or `none` for ever";
    const SHAPE: Shape = Shape::OrNone(&Shape::Duration);

    fn read(node: &Node) -> Result<Self, Misread> {
        let is_negative = match &node.content {
            Content::Int(number) => *number < 0,
            Content::Text(text) => text.parse::<i64>().is_ok_and(|it| it < 0),
            _ => false,
        };
        if is_negative {
            return Ok(Self(None));
        }
        Option::<Duration>::read(node).map(Self)
    }
}

/// How long a slave may be away before that is told; nothing at all is for ever, as Buildbot
/// has it.
struct Absence(Option<Duration>);

impl Value for Absence {
    const EXPECTED: &'static str = "a duration such as `1h`; `0` or `none` for ever";
    const SHAPE: Shape = Shape::OrNone(&Shape::Duration);

    fn read(node: &Node) -> Result<Self, Misread> {
        let read = Option::<Duration>::read(node)?;
        Ok(Self(read.filter(|it| !it.is_zero())))
    }
}

/// A name of a host or user: nothing that a program takes for an option, or a shell for more.
struct HostName(String);

impl Value for HostName {
    const EXPECTED: &'static str = "a name or address, without spaces";
    const SHAPE: Shape = Shape::Text;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let is_plain = |c: char| c.is_alphanumeric() || "-._:%@$+".contains(c);
        if text.is_empty() || text.starts_with('-') || !text.chars().all(is_plain) {
            return Err(Misread::default());
        }
        Ok(Self(text.to_owned()))
    }
}

struct PortNumber(u16);

impl Value for PortNumber {
    const EXPECTED: &'static str = "a port, from 1 to 65535";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        match u32::read(node).map(u16::try_from) {
            Ok(Ok(port)) if port > 0 => Ok(Self(port)),
            _ => Err(Misread::default()),
        }
    }
}

/// A directory on another host: as it is written.
struct RemoteDir(String);

impl Value for RemoteDir {
    const EXPECTED: &'static str = "a directory on that host, absolute or relative to its home";
    const SHAPE: Shape = Shape::Text;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let text = text.strip_prefix("~/").unwrap_or(text);
        if text.is_empty() || text.starts_with('~') || text.chars().any(char::is_control) {
            return Err(Misread::default());
        }
        Ok(Self(text.to_owned()))
    }
}
