//! What the program understands: the verbs and their options, as clap sees
//! them. Nothing is done in here.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap_complete::Shell;

use super::create::CreateMaster;
use super::create::CreatePair;
use super::create::CreateProject;
use super::create::CreateSlave;
use super::reach::FarArgs;
use super::reach::ReachArgs;
use super::statuslog::StatuslogArgs;
use super::tls::TlsArgs;
use super::tries::TryArgs;
use crate::config::Spelling;

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
pub(super) struct DemoArgs {
    /// A new directory for everything [default: one under the temporary directory]
    pub(super) dir: Option<PathBuf>,
    /// Stop everything at the end; succeed only if the good change was green and the bad one red
    #[arg(long)]
    pub(super) once: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A factory type, a recipe of ./factories or of the program, or the file of a recipe
    pub(super) factory: String,
    /// A parameter of the factory, as in its section: `--param git=https://…`, as often as wanted
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub(super) params: Vec<String>,
    /// A property of the build, as often as wanted
    #[arg(long = "property", value_name = "NAME=VALUE")]
    pub(super) properties: Vec<String>,
    /// Run only this step, as often as wanted
    #[arg(long = "step", value_name = "NAME", conflicts_with = "from")]
    pub(super) steps: Vec<String>,
    /// Begin with this step
    #[arg(long, value_name = "NAME")]
    pub(super) from: Option<String>,
    /// Run the steps that check sources out, too, in a directory of their own
    #[arg(long)]
    pub(super) checkout: bool,
    /// That directory [default: one under the temporary directory, removed at the end]
    #[arg(long, requires = "checkout")]
    pub(super) dir: Option<PathBuf>,
    /// Where files go that steps upload to the master
    #[arg(long, value_name = "DIR")]
    pub(super) uploads: Option<PathBuf>,
    /// What the factory is told of the system: `linux`, `win` or `mac` [default: this one]
    #[arg(long, value_name = "OS")]
    pub(super) slave_os: Option<String>,
    /// Print the steps and their commands, and run nothing
    #[arg(long)]
    pub(super) list: bool,
    /// Print all that the log has of each command: its directory, limits and environment
    #[arg(short, long)]
    pub(super) verbose: bool,
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

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    #[command(flatten)]
    pub(super) dirs: DirsArgs,
    /// Stay in the foreground and log to the terminal, as service managers want it
    #[arg(long, alias = "no-daemon")]
    pub(super) nodaemon: bool,
}

#[derive(Debug, Args)]
pub(super) struct StopArgs {
    #[command(flatten)]
    pub(super) dirs: DirsArgs,
    #[command(flatten)]
    pub(super) far: FarArgs,
    /// Have the master begin no builds any more, and wait until those that run are done
    #[arg(long)]
    pub(super) clean: bool,
    /// Have a master that was told to stop in this way begin builds again
    #[arg(long, conflicts_with = "clean")]
    pub(super) cancel: bool,
}

impl StopArgs {
    pub(super) fn at_once(dirs: DirsArgs) -> Self {
        let (clean, cancel) = (false, false);
        Self {
            dirs,
            far: FarArgs::default(),
            clean,
            cancel,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub(super) verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// List them, the newest first: number, time, hash, and what changed
    History(ConfigHistoryArgs),
    /// Print the files of one as they were, passwords and all
    Show(ConfigShowArgs),
    /// Put the files of one back and have a running master read them
    Rollback(ConfigRollbackArgs),
}

#[derive(Debug, Args)]
pub(super) struct ConfigHistoryArgs {
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    pub(super) dir: Option<PathBuf>,
    /// How many at most
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    /// A table for people, or a document
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ConfigShowArgs {
    /// Its number in the history
    #[arg(value_name = "N")]
    pub(super) number: i64,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    pub(super) dir: Option<PathBuf>,
    /// Only the sections that make this builder, without passwords
    #[arg(long, value_name = "NAME")]
    pub(super) builder: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ConfigRollbackArgs {
    /// Its number in the history
    #[arg(value_name = "N")]
    pub(super) number: i64,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    pub(super) dir: Option<PathBuf>,
    /// Overwrite files that changed since the last configuration was applied
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct SlaveArgs {
    #[command(subcommand)]
    pub(super) verb: SlaveVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum SlaveVerb {
    /// Give a slave no new builds; what it builds goes on
    Pause(SlavePauseArgs),
    /// Give it builds again
    Unpause(SlaveUnpauseArgs),
    /// End a slave that dials in when its builds are done
    Shutdown(SlaveShutdownArgs),
}

#[derive(Debug, Args)]
pub(super) struct SlavePauseArgs {
    /// The slave
    pub(super) slave: String,
    /// Why, for others to read
    #[arg(long)]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct SlaveUnpauseArgs {
    /// The slave
    pub(super) slave: String,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct SlaveShutdownArgs {
    /// The slave
    pub(super) slave: String,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct SshTrustArgs {
    /// The slave, which has `launch = ssh`
    pub(super) slave: String,
    /// Take the key if it is this one, without asking: `SHA256:…`
    #[arg(long, value_name = "SHA256")]
    pub(super) fingerprint: Option<String>,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A master's directory or its master.ini [default: $AUTOBOT_DIR or the current directory]
    pub(super) dir: Option<PathBuf>,
    /// Say nothing about a good configuration
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Look at the files only: not for ports, programs, secrets and directories of this machine
    #[arg(long)]
    pub(super) offline: bool,
    /// Print the whole effective model, each item with where it comes from
    #[arg(long, conflicts_with = "quiet")]
    pub(super) show: bool,
    /// How problems, or the model, are told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// How problems are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ExplainArgs {
    #[command(subcommand)]
    pub(super) verb: Option<ExplainVerb>,
    #[command(flatten)]
    pub(super) change: ExplainChangeArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ExplainVerb {
    /// Say why a build ran, where and when
    Build(ExplainBuildArgs),
    /// Say why a request waits
    Request(ExplainRequestArgs),
}

/// A change that could come.
#[derive(Debug, Args)]
pub(super) struct ExplainChangeArgs {
    /// Its repository
    #[arg(long)]
    pub(super) repository: Option<String>,
    /// Its branch [default: one that is not named]
    #[arg(long)]
    pub(super) branch: Option<String>,
    /// A file that it touches, as often as wanted
    #[arg(long = "file", value_name = "FILE")]
    pub(super) files: Vec<String>,
    /// Its revision
    #[arg(long)]
    pub(super) rev: Option<String>,
    /// Its project
    #[arg(long, default_value = "")]
    pub(super) project: String,
    /// Its category
    #[arg(long)]
    pub(super) category: Option<String>,
    /// Who made it
    #[arg(long, default_value = "")]
    pub(super) author: String,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// How it is told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ExplainBuildArgs {
    /// The build; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N")]
    pub(super) build: String,
    /// How it is told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct ExplainRequestArgs {
    /// Its number
    #[arg(value_name = "ID")]
    pub(super) request: i64,
    /// How it is told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// A request's number, a builder, or a build
    #[arg(value_name = "REQUEST|BUILDER|BUILDER/N", conflicts_with = "change")]
    pub(super) what: Option<String>,
    /// A change's number
    #[arg(long, value_name = "N")]
    pub(super) change: Option<i64>,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct RebuildArgs {
    /// The build, which has finished; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N")]
    pub(super) build: String,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    /// A property over those of the build
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) properties: Vec<(String, String)>,
    /// How urgent it is: higher goes first
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(super) priority: Option<i64>,
    /// Follow the build and succeed only if it does
    #[arg(short, long)]
    pub(super) wait: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The request's number
    #[arg(conflicts_with = "change")]
    pub(super) request: Option<i64>,
    /// Everything that waits of this change
    #[arg(long, value_name = "N")]
    pub(super) change: Option<i64>,
    /// Only what waits for this builder
    #[arg(long, value_name = "NAME", requires = "change")]
    pub(super) builder: Option<String>,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct StopBuildArgs {
    /// The build; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N", conflicts_with = "all")]
    pub(super) build: Option<String>,
    /// Every build that runs
    #[arg(long)]
    pub(super) all: bool,
    /// Only builds of this builder, as often as wanted
    #[arg(long = "builder", value_name = "NAME", requires = "all")]
    pub(super) builders: Vec<String>,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// A file, or the directory of a master [default: $AUTOBOT_DIR or the current directory]
    #[arg(value_name = "FILE|DIR")]
    pub(super) path: Option<PathBuf>,
    /// The spelling to write [default: the one that the file is not written in]
    #[arg(long, value_enum)]
    pub(super) to: Option<SpellingArg>,
    /// Where to write it [default: it is printed]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "output")]
    pub(super) force: bool,
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SpellingArg {
    Ini,
    Toml,
}

impl From<SpellingArg> for Spelling {
    fn from(it: SpellingArg) -> Self {
        match it {
            SpellingArg::Ini => Self::Ini,
            SpellingArg::Toml => Self::Toml,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of recipes, factories/NAME.toml
    #[arg(long)]
    pub(super) recipe: bool,
}

#[derive(Debug, Args)]
pub(super) struct HelpArgs {
    /// A verb, a code such as `unknown-key`, or `codes` for all of them
    pub(super) word: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct KindsArgs {
    /// The one to tell more of
    pub(super) name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ParseArgs {
    /// The file
    #[arg(value_name = "INI")]
    pub(super) file: PathBuf,
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

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    pub(super) verb: TokenVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token, and print it this once
    Add(TokenAddArgs),
    /// List the tokens, and when each was used
    List(TokenListArgs),
    /// Remove a token: it opens nothing from then on
    Remove(TokenRemoveArgs),
}

#[derive(Debug, Args)]
pub(super) struct TokenAddArgs {
    /// What it is called
    pub(super) name: String,
    /// For whom it acts: it may do no more than this user
    #[arg(long, value_name = "NAME")]
    pub(super) user: String,
    /// What it is for: `read`, or actions such as `force_build,stop_build`
    #[arg(
        long = "scope",
        value_name = "ACTION,…",
        value_delimiter = ',',
        required = true
    )]
    pub(super) scopes: Vec<String>,
    /// How long it lasts: days such as `90d`, or `none`
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    pub(super) expires: Option<String>,
    /// Print a document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct TokenListArgs {
    /// Print a document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct TokenRemoveArgs {
    /// What it is called
    pub(super) name: String,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// What this user did only
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// This action only, such as `force_build` or `login`
    #[arg(long, value_name = "ACTION")]
    pub(super) action: Option<String>,
    /// So many at most
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(super) limit: u32,
    /// Print a document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct UserArgs {
    /// What is to be done: `add`, `update`, `remove` or `get`
    #[arg(value_name = "OP")]
    pub(super) verb: Option<String>,
    /// To add and update, as `--info`; else as `--ids`
    pub(super) who: Vec<String>,
    /// What is to be done, as Buildbot has it
    #[arg(long, value_name = "OP")]
    pub(super) op: Option<String>,
    /// Whom to remove or look up: `ID,ID`, as often as wanted. `#3` is the user with that number
    #[arg(long, value_name = "IDS")]
    pub(super) ids: Vec<String>,
    /// What a user is called: `TYPE=VALUE,…`, to update `ID:TYPE=VALUE,…`; each is one user
    #[arg(long = "info", value_name = "INFO")]
    pub(super) infos: Vec<String>,
    /// What the user logs in as; to update, with `--bb-password`
    #[arg(long, alias = "bb_username", value_name = "NAME")]
    pub(super) bb_username: Option<String>,
    /// Its password, which is hashed before it is sent; `-` reads it from the standard input
    #[arg(long, alias = "bb_password", value_name = "PASSWORD")]
    pub(super) bb_password: Option<String>,
    /// Over the network: who does it, where a token does not say that
    #[arg(short = 'u', long = "username", value_name = "NAME")]
    pub(super) login: Option<String>,
    /// Its password; `-` reads it from the standard input
    #[arg(short = 'p', long, value_name = "PASSWORD")]
    pub(super) passwd: Option<String>,
    /// Print a document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Say what would go, and forget nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print a document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct ForceArgs {
    /// The builder
    pub(super) builder: String,
    /// The branch to build
    #[arg(short, long)]
    pub(super) branch: Option<String>,
    /// The revision to build
    #[arg(short, long)]
    pub(super) revision: Option<String>,
    /// Why, for others to read
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    /// A property of the build
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) properties: Vec<(String, String)>,
    /// An answer to one of the builder's questions, as often as wanted
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) params: Vec<(String, String)>,
    /// The repository to build
    #[arg(long)]
    pub(super) repository: Option<String>,
    /// The project to build
    #[arg(long)]
    pub(super) project: Option<String>,
    /// How urgent it is: higher goes first
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(super) priority: Option<i64>,
    /// Follow the build and succeed only if it does
    #[arg(short, long)]
    pub(super) wait: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct PingArgs {
    /// The builder
    pub(super) builder: String,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct TryserverArgs {
    /// The `jobdir` of a scheduler of type `try_jobdir`
    #[arg(long, value_name = "DIR")]
    pub(super) jobdir: PathBuf,
}

/// The version controls that a change may be of.
pub(super) const VCS: [&str; 8] = ["cvs", "svn", "darcs", "hg", "bzr", "git", "mtn", "p4"];

#[derive(Debug, Args)]
pub(super) struct SendchangeArgs {
    /// Names of the files that it is about
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<String>,
    /// A file with further names, each ended by a NUL; `-` for the standard input
    #[arg(long = "files0-from", value_name = "FILE")]
    pub(super) files0_from: Option<PathBuf>,
    /// Who made it
    #[arg(short = 'W', long, alias = "username", value_name = "NAME")]
    pub(super) who: Option<String>,
    /// The repository
    #[arg(short = 'R', long, default_value = "")]
    pub(super) repository: String,
    /// The project
    #[arg(short = 'P', long, default_value = "")]
    pub(super) project: String,
    /// The branch [default: the repository's own]
    #[arg(short, long)]
    pub(super) branch: Option<String>,
    /// The category
    #[arg(short = 'C', long)]
    pub(super) category: Option<String>,
    /// The revision
    #[arg(short, long)]
    pub(super) revision: Option<String>,
    /// A file with the revision, and nothing else
    #[arg(
        long = "revision_file",
        alias = "revision-file",
        value_name = "FILE",
        conflicts_with = "revision"
    )]
    pub(super) revision_file: Option<PathBuf>,
    /// A property of its builds; NAME:VALUE does as well
    #[arg(short, long = "property", value_name = "NAME=VALUE", value_parser = name_and_value_of_old)]
    pub(super) properties: Vec<(String, String)>,
    /// What it is about
    #[arg(short, long)]
    pub(super) comments: Option<String>,
    /// A file with the comments, `-` for the standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "comments")]
    pub(super) logfile: Option<PathBuf>,
    /// When it was made, in seconds since 1970 [default: now]
    #[arg(short = 'w', long, value_name = "SECONDS")]
    pub(super) when: Option<f64>,
    /// Where it can be looked at
    #[arg(short = 'l', long, default_value = "")]
    pub(super) revlink: String,
    /// The version control that it is of
    #[arg(short = 's', long, value_parser = VCS)]
    pub(super) vc: Option<String>,
    /// The hook's secret, perhaps behind a name and a colon
    #[arg(
        short,
        long,
        env = "AUTOBOT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub(super) auth: Option<String>,
    /// The hook that is told
    #[arg(long, value_name = "NAME", default_value = "base")]
    pub(super) hook: String,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct BuildsArgs {
    /// Only builds of this builder
    pub(super) builder: Option<String>,
    /// How many at most
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    /// Print the list as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The build; without a number, the builder's newest
    #[arg(value_name = "BUILDER/N")]
    pub(super) build: String,
    /// A step's name or number [default: the step that failed, or else all]
    pub(super) step: Option<String>,
    /// Which of the step's logs
    #[arg(long, default_value = "stdio", value_name = "NAME")]
    pub(super) log: String,
    /// Say before each line when it came
    #[arg(long, conflicts_with = "json")]
    pub(super) times: bool,
    /// Go on while the build does
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Print the build and its steps as JSON, without their logs
    #[arg(long, conflicts_with_all = ["follow", "step"])]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct TemplatesArgs {
    #[command(subcommand)]
    pub(super) verb: Option<TemplatesVerb>,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum TemplatesVerb {
    /// Copy one into the directory `templates` of a master, where it takes the built-in one's place
    Copy(TemplatesCopyArgs),
}

#[derive(Debug, Args)]
pub(super) struct TemplatesCopyArgs {
    /// Its name, such as `about.html`
    pub(super) name: String,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    pub(super) dir: Option<PathBuf>,
    /// Write over what is there
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where; made if it is not there
    pub(super) dir: PathBuf,
}

/// As Buildbot's command has it, or as ours: whichever sign comes first.
fn name_and_value_of_old(text: &str) -> Result<(String, String), String> {
    match text.split_once([':', '=']) {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("it should be NAME=VALUE or NAME:VALUE".to_owned()),
    }
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
