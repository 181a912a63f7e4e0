//! What the program understands: the verbs, as clap sees them, and the options that several of
//! them have; the others stand in the file of their verb. Nothing is done in here.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use super::audit::AuditArgs;
use super::builds::BuildsArgs;
use super::checkconfig::CheckArgs;
use super::checkconfig::ParseArgs;
use super::completions::CompletionsArgs;
use super::completions::ManArgs;
use super::config::ConfigArgs;
use super::convert::ConvertArgs;
use super::create::CreateMaster;
use super::create::CreatePair;
use super::create::CreateProject;
use super::create::CreateSlave;
use super::demo::DemoArgs;
use super::explain::ExplainArgs;
use super::force::ForceArgs;
use super::help::HelpArgs;
use super::kinds::KindsArgs;
use super::log::LogArgs;
use super::ping::PingArgs;
use super::prune::PruneArgs;
use super::queue::CancelArgs;
use super::queue::RebuildArgs;
use super::queue::StopBuildArgs;
use super::reach::ReachArgs;
use super::run::RunArgs;
use super::schema::SchemaArgs;
use super::sendchange::SendchangeArgs;
use super::slaves::SlaveArgs;
use super::ssh::SshTrustArgs;
use super::start::StartArgs;
use super::statuslog::StatuslogArgs;
use super::stop_clean::StopArgs;
use super::templates::TemplatesArgs;
use super::tls::TlsArgs;
use super::token::TokenArgs;
use super::tries::TryArgs;
use super::tryserver::TryserverArgs;
use super::user::UserArgs;
use super::why::WhyArgs;

/// A continuous-integration appliance: one binary, one master.ini.
#[derive(Debug, Parser)]
#[command(
    name = "autobot",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(super) struct Autobot {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show autobot at work: a small project, a master and a slave, a good and a bad change
    Demo(DemoArgs),
    /// Make a master and its slave
    #[command(visible_alias = "create")]
    CreateAutobot(CreatePair),
    /// Make a master
    #[command(visible_alias = "create-master")]
    CreateAutobotMaster(CreateMaster),
    /// Make a slave
    #[command(visible_alias = "create-slave")]
    CreateAutobotSlave(CreateSlave),
    /// Write a factory for a project, to be filled in
    #[command(visible_alias = "create-project")]
    CreateAutobotProject(CreateProject),
    /// Start a master, a slave or a pair, and wait until they are ready
    Start(StartArgs),
    /// Stop a master, a slave or a pair, and wait until they are gone
    Stop(StopArgs),
    /// Stop what runs and start it again
    Restart(DirsArgs),
    /// Put a changed configuration into force; if it has a mistake, nothing changes
    #[command(visible_alias = "sighup")]
    Reconfig(ReachArgs),
    /// Look at the configurations that were applied, or return to one
    Config(ConfigArgs),
    /// Say what runs
    Status(ReachArgs),
    /// Print what a master does, as it does it
    Statuslog(StatuslogArgs),
    /// Pause a slave, so that it takes no new builds, or end that
    Slave(SlaveArgs),
    /// Show the key of a slave's host and, if it is the right one, have the master know it
    SshTrust(SshTrustArgs),
    /// Look for mistakes in a configuration
    Checkconfig(CheckArgs),
    /// Say what a change would build, and by which rules; or why a build ran, or a request waits
    Explain(ExplainArgs),
    /// Turn a master.ini into a master.toml, or the reverse
    Convert(ConvertArgs),
    /// Print a JSON Schema of master.toml, for editors
    Schema(SchemaArgs),
    /// Make certificates, so that nobody else can read what master and slaves say
    Tls(TlsArgs),
    /// Print what is in a configuration file, section by section
    ParseAutobotConfig(ParseArgs),
    /// Say why a request or a builder waits, why a build ran, or what became of a change
    Why(WhyArgs),
    /// Build the same again
    Rebuild(RebuildArgs),
    /// Cancel a request that waits, or all that wait of a change
    Cancel(CancelArgs),
    /// Stop a build, or all that run
    StopBuild(StopBuildArgs),
    /// List the factories, or tell more of one
    Factories(KindsArgs),
    /// List the step types, or tell more of one
    Steps(KindsArgs),
    /// List the kinds of schedulers, or tell more of one
    Schedulers(KindsArgs),
    /// Run the steps of a factory here, without a master
    Run(RunArgs),
    /// Ask for a build
    Force(ForceArgs),
    /// Ask the slaves of a builder whether they are there
    Ping(PingArgs),
    /// Tell a master of a change
    Sendchange(SendchangeArgs),
    /// Build what was changed here before it is committed
    Try(TryArgs),
    /// Put a try job that comes on the standard input into a directory of a master
    Tryserver(TryserverArgs),
    /// List builds, the newest first
    Builds(BuildsArgs),
    /// Print what a build said
    Log(LogArgs),
    /// Add, update, remove or look up users: who changes are made by
    User(UserArgs),
    /// Make, list or remove tokens: what programs show instead of a name and a password
    Token(TokenArgs),
    /// Say who did what, the newest first
    Audit(AuditArgs),
    /// Forget builds, logs and changes that the horizons do not keep, or say what that would be
    Prune(PruneArgs),
    /// List the templates of the pages, or copy one, so that a master has its own
    Templates(TemplatesArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages into a directory
    Man(ManArgs),
    /// Tell more of a verb, or of the code of a problem
    Help(HelpArgs),
}

#[derive(Debug, Args)]
pub(super) struct DirsArgs {
    /// Directories of masters, slaves or pairs [default: $AUTOBOT_DIR or the current directory]
    #[arg(value_name = "DIR")]
    pub(super) dirs: Vec<PathBuf>,
    /// Say nothing unless it fails
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// How problems are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

/// Which master a command talks to.
#[derive(Debug, Args)]
pub(super) struct MasterArgs {
    /// The directory of the master or of its pair [default: the current directory]
    #[arg(long, env = "AUTOBOT_DIR", value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// The address of its pages, to talk to it over the network with the token that stands in
    /// AUTOBOT_TOKEN [default: AUTOBOT_URL, where no directory is named]
    #[arg(short, long, visible_alias = "url", value_name = "URL")]
    pub(super) master: Option<String>,
    /// Whom to believe at an `https://` address: the certificate of an authority in PEM [default:
    /// that of the directory's master, or whom the system trusts]
    #[arg(long, env = "AUTOBOT_CA", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
}

pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("it should be NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Autobot::command().debug_assert();
    }

    #[test]
    fn a_property_is_split_at_its_first_equals_sign() {
        assert_eq!(
            name_and_value("flags=-O2 -DX=1"),
            Ok(("flags".to_owned(), "-O2 -DX=1".to_owned()))
        );
        assert_eq!(name_and_value("a="), Ok(("a".to_owned(), String::new())));
        assert!(name_and_value("a").is_err() && name_and_value("=b").is_err());
    }

    #[test]
    fn a_daemon_is_named_by_its_directories() {
        let line = ["autobot", "start", "--nodaemon", "bot/master"];
        let Verb::Start(args) = Autobot::try_parse_from(line).unwrap().verb else {
            panic!("start is a verb");
        };
        assert!(args.nodaemon);
        assert_eq!(args.dirs.dirs, [PathBuf::from("bot/master")]);
    }

    #[test]
    fn a_log_is_printed_or_described_but_not_both() {
        assert!(Autobot::try_parse_from(["autobot", "log", "hello/3", "--json"]).is_ok());
        assert!(Autobot::try_parse_from(["autobot", "log", "hello/3", "test", "--json"]).is_err());
    }
}
