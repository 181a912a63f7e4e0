//! Steps: what a build does, one after another.
//!
//! A [`Step`] is configured once and begun afresh for every build. What it
//! began, a [`Run`], does nothing itself: it says the next [`Command`] (or
//! which [`Piece`] of a file the master is to send) or how the step ended,
//! from how its last command ended. It is a pure function of
//! the properties and the ends it was shown, so a restarted master plays the
//! recorded ends to a fresh `Run` and is where it was.
//!
//! To add a kind: one file with its settings, behaviour, tests and `KIND`,
//! and one row in [`KINDS`].

#[cfg(test)]
pub(crate) mod bench;
mod bitkeeper;
mod branch_urls;
mod bytes;
mod bzr;
mod checkout;
mod compile;
mod configure;
mod counts;
mod create_virtualenv;
mod cvs;
mod cvs_root;
mod darcs;
mod directory;
mod download;
mod epydoc;
mod file_exists;
mod firefox;
mod gauge;
pub(crate) mod git;
mod hlint;
mod junit;
mod line;
mod master_shell_command;
mod maxq;
pub(crate) mod mercurial;
mod monotone;
mod mtr;
mod one_command;
#[cfg(test)]
mod original_checkout_tests;
#[cfg(test)]
mod original_tests;
mod outcomes;
mod p4;
mod password;
mod paths;
mod perl_module_test;
pub(crate) mod plan;
mod pyflakes;
mod pylint;
mod read;
mod remove_pycs;
mod repo;
mod repo_downloads;
mod results;
mod rustc;
mod set_properties_from_env;
mod set_property;
mod settings;
mod shell;
mod spans;
mod sphinx;
mod subunit;
mod suppressions;
pub(crate) mod svn;
mod svn_said;
mod tally;
mod terms;
mod test;
mod texts;
mod tree_size;
mod trial;
mod trigger;
mod upload;
mod vcs;
mod visual_studio;
mod warning_counting;
mod warnings;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::expr::Condition;
use crate::expr::Values;
use crate::locks::LockUses;
use crate::model::Change;
use crate::model::Channel;
use crate::model::Command;
use crate::model::Exit;
use crate::model::OUTPUT;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::Recording;
use crate::model::RenderError;
use crate::model::RunRows;
use crate::model::Shell;
use crate::model::SourceStamp;
use crate::model::TestResults;
use crate::model::Text;
use crate::model::Timestamp;
use crate::model::Upload;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Referred;

pub(crate) use checkout::Checkout;
pub(crate) use checkout::Mode;
pub(crate) use checkout::check_patch;
pub(crate) use checkout::check_url;
pub(crate) use checkout::check_word;
pub(crate) use checkout::needs_git;
pub(crate) use gauge::Gauge;
pub(crate) use git::Git;
pub(crate) use line::Line;
pub(crate) use line::argv;
pub(crate) use mercurial::BranchType;
pub(crate) use mercurial::Mercurial;
pub(crate) use read::asked;
pub(crate) use read::env as read_env;
pub(crate) use read::read;
pub(crate) use set_property::SetProperty;
pub(crate) use settings::Settings;
pub(crate) use svn::Svn;
pub(crate) use svn::SvnUrls;
pub(crate) use trigger::TriggerEnd;
pub(crate) use trigger::TriggerOrder;

/// Every step type, in the order of the manual.
pub(crate) const KINDS: &[StepKind] = &[
    git::KIND,
    mercurial::KIND,
    svn::KIND,
    cvs::KIND,
    bzr::KIND,
    darcs::KIND,
    monotone::KIND,
    p4::KIND,
    repo::KIND,
    bitkeeper::KIND,
    shell::KIND,
    configure::KIND,
    warning_counting::KIND,
    compile::KIND,
    visual_studio::VC6,
    visual_studio::VC7,
    visual_studio::VC8,
    visual_studio::VC9,
    visual_studio::VC10,
    visual_studio::EXPRESS9,
    test::KIND,
    pyflakes::KIND,
    pylint::KIND,
    hlint::KIND,
    sphinx::KIND,
    epydoc::KIND,
    trial::KIND,
    perl_module_test::KIND,
    subunit::KIND,
    junit::KIND,
    mtr::KIND,
    maxq::KIND,
    tree_size::KIND,
    remove_pycs::KIND,
    create_virtualenv::KIND,
    set_property::KIND,
    set_properties_from_env::KIND,
    master_shell_command::KIND,
    directory::MAKE,
    directory::REMOVE,
    trigger::KIND,
    firefox::KIND,
    download::FILE,
    download::STRING,
    download::JSON,
    download::PROPERTIES,
    upload::FILE,
    upload::DIRECTORY,
    file_exists::KIND,
];

/// A step type as the reader, the manual and the tests see it.
pub(crate) struct StepKind {
    pub(crate) name: &'static str,
    /// Other words for it in `type = …`.
    pub(crate) aliases: &'static [&'static str],
    /// What a step of this type is called where the file says nothing.
    pub(crate) step_name: &'static str,
    pub(crate) summary: &'static str,
    /// TOML lines that a `[[steps]]` table of this type may hold besides `type`.
    pub(crate) example: &'static str,
    /// The flags that hold where the file says nothing.
    pub(crate) flags: Flags,
    /// Reads the type's own parameters; the common ones are read by [`read()`].
    pub(crate) read: fn(&mut Keys<'_>) -> Option<Arc<dyn Step>>,
}

/// What a step's outcome does to its build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// A failure ends the build.
    pub(crate) halt_on_failure: bool,
    /// Warnings make the build a failure.
    pub(crate) flunk_on_warnings: bool,
    /// A failure makes the build a failure.
    pub(crate) flunk_on_failure: bool,
    /// Warnings make the build end with warnings.
    pub(crate) warn_on_warnings: bool,
    /// A failure makes the build end with warnings, unless it makes it a failure.
    pub(crate) warn_on_failure: bool,
    /// Runs even after a halt, an exception or a stop, but not when the slave is lost.
    pub(crate) always_run: bool,
}

impl Flags {
    pub(crate) const NONE: Self = Self {
        halt_on_failure: false,
        flunk_on_warnings: false,
        flunk_on_failure: false,
        warn_on_warnings: false,
        warn_on_failure: false,
        always_run: false,
    };
}

/// A step of a factory: its name, what its outcome does, and what it runs.
#[derive(Clone, Debug)]
pub(crate) struct StepPlan {
    pub(crate) name: String,
    pub(crate) flags: Flags,
    /// `false` skips the step.
    pub(crate) do_step_if: Option<Condition>,
    pub(crate) hide_step_if: Option<Condition>,
    /// Whether its time is part of what a build is expected to take.
    pub(crate) use_progress: bool,
    /// What tells how far it is; `None` is everything that it counts.
    pub(crate) progress_metrics: Option<Vec<String>>,
    /// Held while it runs.
    pub(crate) locks: LockUses,
    pub(crate) body: Arc<dyn Step>,
    /// The properties that its texts refer to, as far as a file says them.
    pub(crate) references: Vec<Referred>,
}

/// A configured step. Its `Debug` form names every setting: a build that was
/// begun with other settings cannot be continued.
pub(crate) trait Step: fmt::Debug + Send + Sync {
    /// Begins the step for one build.
    fn begin(&self) -> Box<dyn Run>;

    /// The properties that it sets, as far as that is known before it runs.
    fn sets(&self) -> Vec<String> {
        Vec::new()
    }

    /// Counts how far it is while it runs.
    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        None
    }

    /// The names of what tells how far it is.
    fn metrics(&self) -> Vec<String> {
        let gauge = gauge::names(self.gauge());
        [OUTPUT.to_owned()].into_iter().chain(gauge).collect()
    }

    /// What it is for, besides work of its own.
    fn role(&self) -> Role {
        Role::Work
    }

    /// Where its run of tests is recorded, if it is: the run is there before the first command,
    /// and [`Verdict::rows`] are added at the end.
    fn recording(&self) -> Option<&Recording> {
        None
    }

    /// The schedulers that it triggers, as far as they are known when it is loaded.
    fn triggers(&self) -> &[SchedulerWord] {
        &[]
    }
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Work,
    /// It brings the sources to the slave.
    Checkout,
    /// It asks schedulers for builds.
    Trigger,
}

/// A scheduler that a step names, and where. Its `Debug` form has no place:
/// who is only moved in his file has not changed.
#[derive(Clone)]
pub(crate) struct SchedulerWord {
    pub(crate) name: String,
    pub(crate) place: Place,
}

impl fmt::Debug for SchedulerWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// A step while its build runs.
pub(crate) trait Run: Send {
    /// The short strings shown while it runs, such as `testing`.
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String>;

    /// The short strings shown when it is done, before `failed` and the like are added.
    fn done_text(&self, cx: &Cx<'_>) -> Vec<String>;

    /// Says what to do next. `last` is `None` at first, then how the command
    /// that was last said ended. A command that was stopped or lost is never
    /// shown: the build judges those.
    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError>;
}

/// What a step may see and set of its build.
pub(crate) struct Cx<'a> {
    /// The step's name in this build.
    pub(crate) name: &'a str,
    pub(crate) flags: Flags,
    /// Render texts over these; set with [`Properties::set_runtime`].
    pub(crate) properties: &'a mut Properties,
    /// What expressions see besides the properties: slave, builder, earlier steps.
    pub(crate) seen: &'a Values,
    pub(crate) stamp: &'a SourceStamp,
    /// The stamp's changes, oldest first.
    pub(crate) changes: &'a [Change],
    /// When the last of the build's requests was made, if that is known.
    pub(crate) submitted: Option<Timestamp>,
    /// The builder's directory, relative to the slave's base directory: every
    /// path of a command begins with it.
    pub(crate) builder_dir: &'a str,
    /// The factory's work directory, relative to `builder_dir`: `build`.
    pub(crate) workdir: &'a str,
    /// The builder's environment, under the step's own.
    pub(crate) env: &'a BTreeMap<String, Option<Text>>,
}

impl Cx<'_> {
    /// What an expression of the step is computed over.
    fn values(&self) -> Values {
        self.seen.clone().with_properties(self.properties)
    }

    /// Whether its slave is a Windows, however it says so.
    fn is_on_windows(&self) -> bool {
        let condition = Condition::parse("slave.os in ['win', 'win32', 'nt', 'windows']");
        condition.is_ok_and(|it| it.holds_over(&self.values()).unwrap_or(false))
    }
}

/// What a step wants next.
#[derive(Debug, PartialEq)]
pub(crate) enum Move {
    Run(Command),
    /// Ask schedulers for builds. How that ends is shown like a command's end,
    /// as [`TriggerEnd`] says it.
    Trigger(TriggerOrder),
    /// Has the master itself run a command.
    OnMaster(Errand),
    /// Has the master read a piece of one of its files, and runs the command that writes it.
    Send(Piece),
    /// Has the slave send something, and the master put it in its place.
    Receive(Receipt),
    Done(Verdict),
}

/// A command that the master runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Errand {
    /// Its work directory is relative to the master's.
    pub(crate) shell: Shell,
    /// Whether it has the master's environment, and not only its own.
    pub(crate) inherits: bool,
}

/// What is to come from the slave, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) upload: Upload,
    /// Relative to the master's directory, or absolute, or below `~`.
    pub(crate) target: String,
    /// The directory that properties in `target` do not lead out of, if it has any.
    pub(crate) anchor: Option<String>,
    /// The permissions; the master's usual ones if `None`.
    pub(crate) mode: Option<u32>,
    /// Whether it keeps the times that it had on the slave.
    pub(crate) keep_stamp: bool,
}

/// A piece of a file of the master, for a file on the slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Relative to the master's directory, or absolute, or below `~`.
    pub(crate) file: String,
    /// Where the slave puts it.
    pub(crate) path: String,
    pub(crate) offset: u64,
    /// At most.
    pub(crate) length: u64,
    /// What lies behind is left out.
    pub(crate) max_size: Option<u64>,
    /// What the piece before was of; a file that changed meanwhile is no good.
    pub(crate) version: Option<String>,
    pub(crate) mode: Option<u32>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// The step's final text, such as `test`, `3 tests`, `failed`.
    pub(crate) text: Vec<String>,
    /// What it adds to the build's text.
    pub(crate) build_text: Vec<String>,
    pub(crate) statistics: Vec<(String, i64)>,
    pub(crate) urls: Vec<(String, String)>,
    /// Extra logs, by name: written whole beside the step's `stdio`.
    pub(crate) logs: Vec<(String, String)>,
    /// How single tests ended.
    pub(crate) tests: TestResults,
    /// What is recorded, by a step that has a [`Recording`].
    pub(crate) rows: RunRows,
}

impl Verdict {
    /// A verdict that says nothing more.
    pub(crate) fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            text: Vec::new(),
            build_text: Vec::new(),
            statistics: Vec::new(),
            urls: Vec::new(),
            logs: Vec::new(),
            tests: TestResults::default(),
            rows: RunRows::default(),
        }
    }
}

/// How a command ended and what it said.
pub(crate) struct Ended<'a> {
    pub(crate) exit: &'a Exit,
    pub(crate) output: &'a dyn Output,
}

/// What one command said. It may be long: look once, keep little.
pub(crate) trait Output {
    /// Shows each line without its line end, headers included.
    fn lines(&self, see: &mut dyn FnMut(Channel, &str));

    /// Shows each line of the files that are logs of their own, with the number of its file.
    fn logfile_lines(&self, _see: &mut dyn FnMut(usize, &str)) {}

    /// The first `limit` bytes of its standard output.
    fn stdout(&self, limit: usize) -> String;
}

/// A step that cannot go on: its build ends with an exception that says why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Property(#[from] RenderError),
    #[error("{0}")]
    Other(String),
}
