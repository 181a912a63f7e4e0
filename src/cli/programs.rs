//! The other names of the program: called as `create-autobot`, `buildslave`
//! and so on, it behaves as that program did.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use clap::Parser;
use clap::Subcommand;

use super::args::Autobot;
use super::args::DirsArgs;
use super::args::Verb;
use super::checkconfig::CheckArgs;
use super::create;
use super::exit::Done;
use super::exit::Failure;
use super::old_options::IdleArgs;
use super::old_options::OldMasterArgs;
use super::old_options::OldSlaveArgs;
use super::old_options::RotationArgs;
use super::reach::ReachArgs;
use super::sendchange::SendchangeArgs;
use super::start::StartArgs;
use super::statuslog::StatuslogArgs;
use super::stop_clean::StopArgs;
use super::tries::TryArgs;
use super::tryserver::TryserverArgs;
use super::user::UserArgs;
use super::verbs;
use crate::scaffold::MasterVariables;
use crate::scaffold::SlaveVariables;

/// Names that are verbs of `autobot` too.
pub(super) const VERB_NAMES: &[&str] = &[
    "create-autobot",
    "create-autobot-master",
    "create-autobot-slave",
    "create-autobot-project",
    "parse-autobot-config",
];

/// What autobot has of the verbs of `buildbot`, under that name.
#[derive(Debug, Parser)]
#[command(name = "buildbot", version, about = "Looks after a build master.")]
pub(super) struct Buildbot {
    #[command(subcommand)]
    verb: BuildbotVerb,
}

#[derive(Debug, Subcommand)]
enum BuildbotVerb {
    /// Make a master
    CreateMaster(CreateMasterArgs),
    /// Start a master and wait until it is ready
    Start(StartArgs),
    /// Stop a master and wait until it is gone
    Stop(StopArgs),
    /// Stop a master and start it again
    Restart(DirsArgs),
    /// Put a changed configuration into force
    #[command(visible_alias = "sighup")]
    Reconfig(ReachArgs),
    /// Look for mistakes in a configuration
    Checkconfig(CheckArgs),
    /// Tell a master of a change
    Sendchange(SendchangeArgs),
    /// Build what was changed here before it is committed
    Try(TryArgs),
    /// Put a try job that comes on the standard input into a directory of a master
    Tryserver(TryserverArgs),
    /// Print what a master does, as it does it
    Statuslog(StatuslogArgs),
    /// Add, update, remove or look up users: who changes are made by
    User(UserArgs),
}

#[derive(Debug, clap::Args)]
struct CreateMasterArgs {
    /// Its directory
    #[arg(default_value = ".")]
    basedir: PathBuf,
    #[command(flatten)]
    rotation: RotationArgs,
    #[command(flatten)]
    old: OldMasterArgs,
    #[command(flatten)]
    idle: IdleArgs,
}

/// `create-slave start stop restart` under Buildbot's name.
#[derive(Debug, Parser)]
#[command(name = "buildslave", version, about = "Looks after a build slave.")]
pub(super) struct Buildslave {
    #[command(subcommand)]
    verb: BuildslaveVerb,
}

#[derive(Debug, Subcommand)]
enum BuildslaveVerb {
    /// Make a slave
    CreateSlave(CreateSlaveArgs),
    /// Start a slave and wait until its master has greeted it
    Start(StartArgs),
    /// Stop a slave and wait until it is gone
    Stop(DirsArgs),
    /// Stop a slave and start it again
    Restart(DirsArgs),
}

#[derive(Debug, clap::Args)]
struct CreateSlaveArgs {
    /// Its directory
    basedir: PathBuf,
    /// Where its master is: HOST or HOST:PORT
    master: String,
    /// Its name
    name: String,
    /// Its password
    password: String,
    /// Seconds between two looks at the connection
    #[arg(short, long, value_name = "SECONDS", default_value_t = 600)]
    keepalive: u32,
    /// Seconds of the longest wait between two attempts to reach the master
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    maxdelay: u32,
    /// File mode mask in octal, such as 022
    #[arg(long)]
    umask: Option<String>,
    #[command(flatten)]
    old: OldSlaveArgs,
    #[command(flatten)]
    idle: IdleArgs,
}

/// The name that the program was called by, without directories.
pub(super) fn called_as(program: &OsString) -> &str {
    Path::new(program)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("autobot")
}

/// Does what the program of this name would do.
pub(super) fn run(args: Vec<OsString>) -> Done {
    let name = args.first().map_or("autobot", |program| called_as(program));
    match name {
        "buildbot" => Buildbot::parse_from(args).run(),
        "buildslave" => Buildslave::parse_from(args).run(),
        _ => verbs::run(Autobot::parse_from(as_verb(name, &args)).verb),
    }
}

/// `create-autobot X` as `autobot create-autobot X`; anything else as it is.
fn as_verb(name: &str, args: &[OsString]) -> Vec<OsString> {
    let mut whole = vec![OsString::from("autobot")];
    if VERB_NAMES.contains(&name) {
        whole.push(name.into());
    }
    whole.extend(args.iter().skip(1).cloned());
    whole
}

impl Buildbot {
    fn run(self) -> Done {
        match self.verb {
            BuildbotVerb::CreateMaster(args) => args.run(),
            BuildbotVerb::Start(args) => verbs::run(Verb::Start(args)),
            BuildbotVerb::Stop(args) => verbs::run(Verb::Stop(args)),
            BuildbotVerb::Restart(args) => verbs::run(Verb::Restart(args)),
            BuildbotVerb::Reconfig(args) => verbs::run(Verb::Reconfig(args)),
            BuildbotVerb::Checkconfig(args) => verbs::run(Verb::Checkconfig(args)),
            BuildbotVerb::Sendchange(args) => verbs::run(Verb::Sendchange(args)),
            BuildbotVerb::Try(args) => verbs::run(Verb::Try(args)),
            BuildbotVerb::Tryserver(args) => verbs::run(Verb::Tryserver(args)),
            BuildbotVerb::Statuslog(args) => verbs::run(Verb::Statuslog(args)),
            BuildbotVerb::User(args) => verbs::run(Verb::User(args)),
        }
    }
}

impl Buildslave {
    fn run(self) -> Done {
        match self.verb {
            BuildslaveVerb::CreateSlave(args) => args.run(),
            BuildslaveVerb::Start(args) => verbs::run(Verb::Start(args)),
            BuildslaveVerb::Stop(dirs) => verbs::run(Verb::Stop(StopArgs::at_once(dirs))),
            BuildslaveVerb::Restart(args) => verbs::run(Verb::Restart(args)),
        }
    }
}

impl CreateMasterArgs {
    /// Makes a master without factories.
    fn run(&self) -> Done {
        self.old.check()?;
        self.idle.tell();
        let mut variables = MasterVariables::default();
        self.rotation.put_into(&mut variables);
        create::master_of(&variables, &self.basedir, self.idle.quiet)
    }
}

impl CreateSlaveArgs {
    fn run(&self) -> Done {
        let variables = self.variables()?;
        self.old.tell();
        self.idle.tell();
        create::slave_of(&variables, &self.basedir, self.idle.quiet)
    }

    fn variables(&self) -> Result<SlaveVariables, Failure> {
        let (master, slaveport) = host_and_port(&self.master)?;
        Ok(SlaveVariables {
            master,
            slaveport,
            name: self.name.clone(),
            password: self.password.clone(),
            max_delay: self.maxdelay,
            keepalive: self.keepalive,
            umask: self.umask.clone(),
            host: create::this_machine(),
            ..SlaveVariables::default()
        })
    }
}

/// Splits `HOST[:PORT]`; Buildbot's masters wait at 9989.
fn host_and_port(text: &str) -> Result<(String, u16), Failure> {
    let wrong = || {
        Failure::usage(format!(
            "`{text}` is not a master such as `ci.example.org:9989`"
        ))
    };
    if text.contains("//") || text.starts_with("http:") {
        return Err(wrong());
    }
    match text.rsplit_once(':') {
        None if text.is_empty() => Err(wrong()),
        None => Ok((text.to_owned(), 9989)),
        Some((host, port)) => match port.parse() {
            Ok(port) if port > 0 && !host.is_empty() => Ok((host.to_owned(), port)),
            _ => Err(wrong()),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_other_programs_are_consistent() {
        Buildbot::command().debug_assert();
        Buildslave::command().debug_assert();
    }

    #[test]
    fn a_link_name_is_a_verb() {
        let line = |args: &[&str]| -> Vec<OsString> {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            as_verb(called_as(&args[0]), &args)
        };
        assert_eq!(
            line(&["/usr/bin/create-autobot", "-f", "-", "bot"]),
            ["autobot", "create-autobot", "-f", "-", "bot"]
        );
        assert_eq!(line(&["./autobot", "stop"]), ["autobot", "stop"]);
        for name in VERB_NAMES {
            let verbs = Autobot::command();
            assert!(verbs.find_subcommand(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_master_is_a_host_with_or_without_a_port() {
        assert_eq!(host_and_port("ci.test"), Ok(("ci.test".to_owned(), 9989)));
        assert_eq!(
            host_and_port("ci.test:9010"),
            Ok(("ci.test".to_owned(), 9010))
        );
        for wrong in [
            "",
            "http://ci.test",
            "ci.test:",
            "ci.test:x",
            ":9010",
            "a:0",
        ] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }
}
