//! What a slave of Buildbot says of itself.

use std::collections::BTreeMap;

use crate::model::Machine;
use crate::model::Platform;
use crate::wire::SlaveFacts;
use crate::wire::pb::jelly::Value;

/// Entries that are no files of the slave's `info` directory.
const NOT_INFO: [&str; 8] = [
    "environ",
    "system",
    "basedir",
    "numcpus",
    "version",
    "worker_commands",
    "slave_commands",
    "delete_leftover_dirs",
];

/// The most that is kept of a text, and how many there are: they are shown and stored.
const LONGEST: usize = 64 << 10;
const MOST: usize = 100;

/// What is known of the peer's program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    /// As it says it: `4.3.0`.
    pub(super) version: String,
    /// Its commands with their versions.
    pub(super) commands: BTreeMap<String, String>,
    /// Whether it is one of 0.8, which calls itself a slave.
    pub(super) is_old: bool,
    /// Its base directory, with `/` at no end.
    pub(super) basedir: String,
}

impl Program {
    /// How an error names it.
    pub(super) fn name(&self) -> String {
        let program = match self.is_old {
            true => "buildbot-slave",
            false => "buildbot-worker",
        };
        match self.version.as_str() {
            "" => program.to_owned(),
            version => format!("{program} {version}"),
        }
    }

    /// Whether a command is of this version or a later one.
    pub(super) fn has(&self, command: &str, version: (u32, u32)) -> bool {
        let Some(said) = self.commands.get(command) else {
            return false;
        };
        let mut numbers = said.split('.').map(|it| it.parse().unwrap_or(0));
        let said = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        said >= version
    }

    /// Reads `getWorkerInfo` or `getSlaveInfo`.
    pub(super) fn read(info: &Value, is_old: bool) -> Self {
        let commands = info.get("worker_commands");
        let commands = commands.or_else(|| info.get("slave_commands"));
        Self {
            version: text(info, "version"),
            commands: commands.map(texts).unwrap_or_default(),
            is_old,
            basedir: text(info, "basedir")
                .trim_end_matches(['/', '\\'])
                .to_owned(),
        }
    }

    /// What the master shows of the slave. `run` names this one line of it.
    pub(super) fn facts(&self, info: &Value, run: &str) -> SlaveFacts {
        let mut said = texts(info);
        said.retain(|name, _| !NOT_INFO.contains(&name.as_str()) && !name.starts_with("os_"));
        let os = match text(info, "system").as_str() {
            "nt" => "win",
            _ => "linux",
        };
        let pretty = text(info, "os_pretty_name");
        let cores = info.get("numcpus").and_then(Value::as_int);
        let environ = info.get("environ");
        let environ = |name| environ.map(|it| text(it, name)).unwrap_or_default();
        let hostname = [environ("HOSTNAME"), environ("COMPUTERNAME")];
        SlaveFacts {
            info: said,
            basedir: self.basedir.clone(),
            version: self.name(),
            platform: Platform {
                os: os.to_owned(),
                hostname: hostname
                    .into_iter()
                    .find(|it| !it.is_empty())
                    .unwrap_or_default(),
                ..Platform::default()
            },
            boot_id: run.to_owned(),
            machine: Machine {
                cores: cores.and_then(|it| u32::try_from(it).ok()),
                distribution: Some(pretty).filter(|it| !it.is_empty()),
                ..Machine::default()
            },
            capabilities: BTreeMap::new(),
            spool: run.to_owned(),
        }
    }
}

/// Texts by name, of a dictionary; what is none is left out.
pub(super) fn texts(value: &Value) -> BTreeMap<String, String> {
    let Value::Dict(pairs) = value else {
        return BTreeMap::new();
    };
    let pair = |(key, value): &(Value, Value)| Some((cut(key.as_text()?), cut(value.as_text()?)));
    pairs.iter().filter_map(pair).take(MOST).collect()
}

fn text(info: &Value, key: &str) -> String {
    info.get(key)
        .and_then(Value::as_text)
        .map(cut)
        .unwrap_or_default()
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slave_is_what_it_says_of_either_generation() {
        let new = Value::dict([
            ("admin", Value::text("Ann\n")),
            ("basedir", Value::text("/srv/w1/")),
            ("system", Value::text("posix")),
            ("numcpus", Value::Int(8)),
            ("version", Value::text("4.3.0")),
            ("os_pretty_name", Value::text("Debian")),
            ("environ", Value::dict([("HOSTNAME", Value::text("box"))])),
            (
                "worker_commands",
                Value::dict([("shell", Value::text("3.3"))]),
            ),
        ]);
        let program = Program::read(&new, false);
        assert_eq!(program.name(), "buildbot-worker 4.3.0");
        assert!(program.has("shell", (3, 3)) && program.has("shell", (2, 16)));
        assert!(!program.has("shell", (3, 4)) && !program.has("glob", (0, 0)));
        let facts = program.facts(&new, "run");
        assert_eq!(
            facts.info,
            [("admin".to_owned(), "Ann\n".to_owned())].into()
        );
        assert_eq!(facts.basedir, "/srv/w1");
        assert_eq!(facts.machine.cores, Some(8));
        assert_eq!(facts.platform.hostname, "box");
        assert_eq!(facts.spool(), "run run");

        let key = |text: &str| Value::Bytes(text.into());
        let old = Value::Dict(vec![
            (key("host"), key("old box\n")),
            (key("system"), key("nt")),
        ]);
        let program = Program::read(&old, true);
        assert_eq!(program.name(), "buildbot-slave");
        assert_eq!(program.facts(&old, "").platform.os, "win");
    }

    #[test]
    fn what_a_slave_says_of_itself_is_bounded() {
        let many = (0..1000).map(|it| (Value::text(it.to_string()), Value::text("x")));
        let info = Value::Dict(many.collect());
        assert_eq!(texts(&info).len(), MOST);
        let long = Value::dict([("admin", Value::text("é".repeat(LONGEST)))]);
        let said = texts(&long);
        assert_eq!(said["admin"].len(), LONGEST);
    }
}
