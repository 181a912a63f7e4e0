//! What `autobot try` understands.

use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;

use crate::cli::args::MasterArgs;
use crate::cli::args::name_and_value;

/// How a job gets to its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Connect {
    /// Over the pages, to a scheduler of type `try_userpass`
    #[value(alias = "pb")]
    Http,
    /// By `autobot tryserver` on the master's machine, for one of type `try_jobdir`
    Ssh,
}

/// What becomes of files that version control does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Untracked {
    /// They are in the patch
    Include,
    /// They are not
    Ignore,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TryArgs {
    /// How the job gets to the master [default: http; ssh with --host]
    #[arg(short, long, value_enum, value_name = "HOW")]
    pub(super) connect: Option<Connect>,
    /// With http: who tries it
    #[arg(short, long, value_name = "NAME")]
    pub(super) username: Option<String>,
    /// With http: the password; `-` reads it from the standard input [default: the token in
    /// AUTOBOT_TOKEN]
    #[arg(
        long,
        env = "AUTOBOT_TRY_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    pub(super) passwd: Option<String>,
    /// With http: the scheduler [default: the one of its type, if there is one]
    #[arg(long, value_name = "NAME")]
    pub(super) scheduler: Option<String>,
    /// With ssh: the master's machine
    #[arg(long, alias = "tryhost", value_name = "HOST")]
    pub(super) host: Option<String>,
    /// With ssh: the port of its sshd
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// With ssh: the `jobdir` of the scheduler there
    #[arg(long, alias = "trydir", value_name = "DIR")]
    pub(super) jobdir: Option<String>,
    /// With ssh: the program, and what it is told, as `ssh -i key`
    #[arg(long, value_name = "COMMAND")]
    pub(super) ssh: Option<String>,
    /// With ssh: how autobot is called there [default: autobot]
    #[arg(long, alias = "buildbotbin", value_name = "PROGRAM")]
    pub(super) autobotbin: Option<String>,
    /// Who made the change
    #[arg(short, long, value_name = "NAME")]
    pub(super) who: Option<String>,
    /// What it is about
    #[arg(short = 'C', long, value_name = "TEXT")]
    pub(super) comment: Option<String>,
    /// A patch that is tried instead of what was changed here; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    pub(super) diff: Option<PathBuf>,
    /// How many leading parts the names in it have too many
    #[arg(short, long, value_name = "N", default_value_t = 0, requires = "diff")]
    pub(super) patchlevel: u32,
    /// The revision that the patch is for [default: the one that the tree was made from; with
    /// --diff, the newest]
    #[arg(long, value_name = "REV")]
    pub(super) baserev: Option<String>,
    /// The version control of the tree [default: what lies in it, or above]
    #[arg(long, value_parser = ["bzr", "cvs", "darcs", "git", "hg", "mtn", "p4", "svn"])]
    pub(super) vc: Option<String>,
    /// The branch that the patch is for
    #[arg(long, value_name = "NAME")]
    pub(super) branch: Option<String>,
    /// The repository that it is for [default: whichever the builder checks out]
    #[arg(long, value_name = "URL")]
    pub(super) repository: Option<String>,
    /// The project that it is for
    #[arg(long, value_name = "NAME")]
    pub(super) project: Option<String>,
    /// A builder, as often as wanted [default: all of the scheduler]
    #[arg(short, long = "builder", value_name = "NAME")]
    pub(super) builders: Vec<String>,
    /// A property of the builds, as often as wanted
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) property: Vec<(String, String)>,
    /// The same, several at once
    #[arg(long, value_name = "N=V,…", value_delimiter = ',', value_parser = name_and_value)]
    pub(super) properties: Vec<(String, String)>,
    /// A file that lies at the top of the tree, which is looked for here and above
    #[arg(long, value_name = "NAME", conflicts_with = "topdir")]
    pub(super) topfile: Option<String>,
    /// The top of the tree
    #[arg(long, value_name = "DIR")]
    pub(super) topdir: Option<PathBuf>,
    /// What becomes of files that version control does not know [default: asked]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) untracked: Option<Untracked>,
    /// Follow the builds, and succeed only if all of them do
    #[arg(long)]
    pub(super) wait: bool,
    /// Print the job and send nothing
    #[arg(short = 'n', long, alias = "dryrun")]
    pub(super) dry_run: bool,
    /// Say only how it ended
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Print the builders that may try something, and do nothing else
    #[arg(long)]
    pub(super) get_builder_names: bool,
    #[command(flatten)]
    pub(super) master: MasterArgs,
}
