//! `git`: brings the tree to the branch and revision of the build.

use std::sync::Arc;

use crate::model::Command;
use crate::model::FileCommand;
use crate::model::MirrorKind;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Role;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::checkout;
use super::checkout::Begun;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::Plan;
use super::checkout::Source;
use super::checkout::gerrit;
use super::paths;

pub(super) const KIND: StepKind = StepKind {
    name: "git",
    aliases: &[],
    step_name: "git",
    summary: "Checks out a Git repository.",
    example: r#"repourl = "https://example.org/hello.git"
branch = "main"
mode = "full"
method = "clean""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Git::read(keys)?)),
};

/// The methods of `mode = full`.
pub(crate) const METHODS: &[(&str, Mode)] = &[
    ("clean", Mode::Clean),
    ("fresh", Mode::Fresh),
    ("clobber", Mode::Clobber),
    ("copy", Mode::Copy),
];

/// The branch of a repository that nobody says otherwise about.
const BRANCH: &str = "master";

#[derive(Clone, Debug, Default)]
pub(crate) struct Git {
    pub(crate) checkout: Checkout,
    /// Built where the stamp names none.
    pub(crate) branch: Option<Text>,
    pub(crate) submodules: bool,
    /// Fetches the newest commit only, unless a revision is wanted.
    pub(crate) shallow: bool,
    pub(crate) progress: bool,
    /// Whether cleaning spares no ignored files, whatever the method.
    pub(crate) ignore_ignores: bool,
    /// A repository on the slave whose objects a clone may use.
    pub(crate) reference: Option<Text>,
    /// Whether a failed fetch is tried once more before anything else is.
    pub(crate) retry_fetch: bool,
    /// Whether a checkout that cannot be updated is left, and the step fails.
    pub(crate) keep_on_failure: bool,
}

impl Git {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = Checkout::read(keys, METHODS);
        let branch = keys.optional_as(&["branch", "default_branch"]);
        let submodules = keys.or("submodules", false);
        let submodule = keys.or("submodule", false);
        let shallow = keys.or("shallow", false);
        let progress = keys.or("progress", false);
        let ignore_ignores = keys.or("ignore_ignores", false);
        let reference = keys.optional("reference");
        let retry_fetch = keys.or("retry_fetch", false);
        let clobber_on_failure = keys.or("clobber_on_failure", true);
        Some(Self {
            checkout: checkout?,
            branch: branch?,
            submodules: submodules? | submodule?,
            shallow: shallow?,
            progress: progress?,
            ignore_ignores: ignore_ignores?,
            reference: reference?,
            retry_fetch: retry_fetch?,
            keep_on_failure: !clobber_on_failure?,
        })
    }
}

impl Step for Git {
    fn begin(&self) -> Box<dyn Run> {
        checkout::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

/// What is known once the build's properties are.
pub(super) struct Known {
    /// What the local branch is called, if anybody says: also that of a patch set of Gerrit.
    own_name: Option<String>,
    /// Whether `master` is our guess: then a repository without it gives its own first branch.
    is_branch_guessed: bool,
    is_cleaned: bool,
    /// Whether what came was no good, so that it is had from the repository itself.
    is_mirror_doubted: bool,
    /// Whether a fetch that failed was tried once more.
    has_fetched_again: bool,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Version,
    /// Is there a checkout? Clones where there is none.
    Look,
    /// Is it patched? Cleans it where it is.
    LookForPatch,
    Unmark,
    RemoveWork,
    RemoveTree,
    Clone,
    Clean,
    /// Is the revision here already? Fetches where it is not.
    HasRevision,
    Fetch,
    /// To the revision, or to what was fetched.
    ResetFetched,
    /// Gives the local branch the name of the one that is built.
    Name,
    /// To the revision, after a clone.
    ResetCloned,
    Submodules,
    CleanSubmodules,
    Revision,
    CopyTree,
}

impl Source for Git {
    type Job = Job;
    type Known = Known;

    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        self.checkout.is_about_its_url(cx)
    }

    fn begin(&self, cx: &mut Cx<'_>) -> Result<Begun<Self>, StepError> {
        let checkout = &self.checkout;
        let own_branch = match &self.branch {
            Some(text) => Some(text.render(cx.properties)?),
            None => None,
        };
        let mut wanted = checkout.wanted(cx, own_branch)?;
        let own_name = wanted.branch.clone();
        if self.is_about(cx)?
            && let Some(patch_set) = gerrit::patch_set(cx)?
        {
            // Nobody knows a better origin of it, as Buildbot has it.
            cx.properties
                .set_runtime("gerrit_branch", patch_set.as_str(), "Unknown");
            wanted.branch = Some(patch_set);
        }
        let is_branch_guessed = wanted.branch.is_none();
        if is_branch_guessed {
            wanted.branch = Some(BRANCH.into());
        }
        let tree = checkout.tree(cx)?;
        let (work, jobs) = match checkout.mode {
            Mode::Incremental | Mode::Clean | Mode::Fresh => (tree.clone(), vec![Job::Look]),
            Mode::Clobber | Mode::Export => (tree.clone(), vec![Job::RemoveWork, Job::Clone]),
            Mode::Copy => (checkout::kept(cx, &tree), vec![Job::RemoveTree, Job::Look]),
        };
        let mut plan = Plan::new([Job::Version], checkout.retry);
        plan.jobs.extend(jobs);
        // After a clobber, one more clone from nothing is no fallback but a retry.
        plan.has_fallen_back = checkout.mode == Mode::Clobber;
        Ok(Begun {
            wanted,
            work,
            tree,
            plan,
            known: Known {
                own_name,
                is_branch_guessed,
                is_cleaned: matches!(checkout.mode, Mode::Clean | Mode::Fresh),
                is_mirror_doubted: false,
                has_fetched_again: false,
            },
        })
    }

    fn command(&self, job: &Job, begun: &Begun<Self>, cx: &Cx<'_>) -> Result<Command, StepError> {
        let work = paths::of_builder(cx.builder_dir, &begun.work);
        let git = |argv: &[&str]| {
            let argv = ["git"]
                .iter()
                .chain(argv)
                .map(|&word| word.to_owned())
                .collect();
            self.checkout.command(cx, &work, argv, &begun.wanted)
        };
        let mirrored = |argv: &[&str]| {
            let mut command = git(argv)?;
            if self.may_have_mirror(begun) {
                let doubted = begun.known.is_mirror_doubted;
                let mut wanted = begun.wanted.clone();
                if *job == Job::Clone && is_elsewhere(begun) {
                    // What is cloned before is whatever the repository has first.
                    (wanted.branch, wanted.revision) = (None, None);
                }
                checkout::mirrored(&mut command, MirrorKind::Git, &wanted, doubted);
            }
            Ok(command)
        };
        let url = begun.wanted.url.as_str();
        let revision = begun.wanted.revision.as_deref();
        let branch = begun.wanted.branch.as_deref();
        match job {
            Job::Version => git(&["--version"]),
            Job::Look => Ok(checkout::stat(cx, &begun.work, ".git")),
            Job::LookForPatch => Ok(checkout::is_patched(cx, &begun.work)),
            Job::Unmark => Ok(checkout::unmark(cx, &begun.work)),
            Job::RemoveWork => checkout::rmdir(cx, &begun.work),
            Job::RemoveTree => checkout::rmdir(cx, &begun.tree),
            Job::Clone => {
                let mut argv = vec!["clone"];
                if self.is_shallow(begun) {
                    argv.extend(["--depth", "1"]);
                }
                let reference = match &self.reference {
                    Some(text) => text.render(cx.properties)?,
                    None => String::new(),
                };
                if !reference.is_empty() {
                    argv.extend(["--reference", &reference]);
                }
                match branch {
                    // Only branches and tags can be cloned; it is fetched next.
                    Some(_) if is_elsewhere(begun) => argv.push("--no-checkout"),
                    Some(branch) => argv.extend(["--branch", branch]),
                    None => {}
                }
                argv.extend([url, "."]);
                if self.progress {
                    argv.push("--progress");
                }
                mirrored(&argv)
            }
            Job::Clean => git(&self.clean_argv(&["clean"])),
            Job::HasRevision => git(&["cat-file", "-e", revision.unwrap_or("HEAD")]),
            Job::Fetch => {
                let mut argv = vec!["fetch", "-t", url, branch.unwrap_or("HEAD")];
                if self.progress {
                    argv.push("--progress");
                }
                mirrored(&argv)
            }
            Job::ResetFetched => git(&["reset", "--hard", revision.unwrap_or("FETCH_HEAD")]),
            Job::Name => git(&["branch", "-M", name(begun).unwrap_or(BRANCH)]),
            Job::ResetCloned => git(&["reset", "--hard", revision.unwrap_or("HEAD")]),
            Job::Submodules => git(&["submodule", "update", "--init", "--recursive"]),
            Job::CleanSubmodules => {
                git(&self.clean_argv(&["submodule", "foreach", "git", "clean"]))
            }
            Job::Revision => git(&["rev-parse", "HEAD"]),
            Job::CopyTree => Ok(Command::File(FileCommand::Cpdir {
                from: work,
                to: paths::inside_builder(cx.builder_dir, &begun.tree)?,
            })),
        }
    }

    fn ended(
        &self,
        job: &Job,
        begun: &mut Begun<Self>,
        ended: &Ended<'_>,
        cx: &mut Cx<'_>,
    ) -> Next<Job> {
        let is_good = ended.exit.is_success();
        match job {
            Job::Look => Next::First(self.looked(is_good, begun)),
            Job::LookForPatch if is_good => {
                begun.known.is_cleaned = true;
                let update = self.update(begun);
                Next::First([vec![Job::Clean, Job::Unmark], update].concat())
            }
            Job::LookForPatch => Next::First(self.update(begun)),
            Job::HasRevision if is_good => Next::First(vec![Job::ResetFetched]),
            Job::HasRevision => Next::First(vec![Job::Fetch]),
            // Cleaning has removed it, unless the repository ignores it.
            Job::Unmark => Next::GO_ON,
            // Who is at a tag is on no branch, and what is built is the same.
            Job::Name => Next::GO_ON,
            _ if !is_good => self.failed(*job, begun, ended),
            Job::Revision => match checkout::commit(&ended.output.stdout(100)) {
                Some(commit) => {
                    cx.properties
                        .set_runtime("got_revision", commit, checkout::SOURCE);
                    Next::GO_ON
                }
                None => Next::GiveUp,
            },
            Job::Fetch => Next::First(vec![Job::ResetFetched]),
            Job::Clone if is_elsewhere(begun) => Next::First(vec![Job::Fetch]),
            Job::Clone if begun.wanted.revision.is_some() => Next::First(vec![Job::ResetCloned]),
            Job::Clone | Job::ResetCloned => Next::First(self.is_at_revision(true, begun)),
            Job::ResetFetched => Next::First(self.is_at_revision(false, begun)),
            Job::Version
            | Job::RemoveWork
            | Job::RemoveTree
            | Job::Clean
            | Job::Submodules
            | Job::CleanSubmodules
            | Job::CopyTree => Next::GO_ON,
        }
    }

    fn anew(&self, _: &Begun<Self>) -> Vec<Job> {
        vec![Job::RemoveWork, Job::Clone]
    }
}

impl Git {
    fn is_shallow(&self, begun: &Begun<Self>) -> bool {
        self.shallow && begun.wanted.revision.is_none()
    }

    /// Who wants the newest commit only does not want a mirror of all the others.
    fn may_have_mirror(&self, begun: &Begun<Self>) -> bool {
        self.checkout.mirror && !self.is_shallow(begun)
    }

    fn clean_argv(&self, verb: &[&'static str]) -> Vec<&'static str> {
        let mut argv = verb.to_vec();
        argv.extend(["-f", "-d"]);
        if self.ignore_ignores || self.checkout.mode == Mode::Fresh {
            argv.push("-x");
        }
        argv
    }

    /// What follows once a checkout is or is not there.
    fn looked(&self, is_there: bool, begun: &Begun<Self>) -> Vec<Job> {
        match self.checkout.mode {
            _ if !is_there => vec![Job::Clone],
            Mode::Incremental => vec![Job::LookForPatch],
            // What is kept to be copied is never patched.
            Mode::Copy => self.update(begun),
            Mode::Clean | Mode::Fresh | Mode::Clobber | Mode::Export => {
                vec![Job::Clean, Job::Fetch]
            }
        }
    }

    /// Brings a checkout to its revision.
    fn update(&self, begun: &Begun<Self>) -> Vec<Job> {
        match begun.wanted.revision {
            Some(_) => vec![Job::HasRevision],
            None => vec![Job::Fetch],
        }
    }

    /// What follows once the tree is at its revision.
    fn is_at_revision(&self, is_fresh_clone: bool, begun: &Begun<Self>) -> Vec<Job> {
        let mut jobs = Vec::new();
        if !is_fresh_clone && name(begun).is_some() {
            jobs.push(Job::Name);
        }
        if self.submodules {
            jobs.push(Job::Submodules);
            if begun.known.is_cleaned && !is_fresh_clone {
                jobs.push(Job::CleanSubmodules);
            }
        }
        jobs.push(Job::Revision);
        if self.checkout.mode == Mode::Copy {
            jobs.push(Job::CopyTree);
        }
        jobs
    }

    fn failed(&self, job: Job, begun: &mut Begun<Self>, ended: &Ended<'_>) -> Next<Job> {
        let is_branch_missing = checkout::complained(ended, &["remote", "branch", "not found"])
            || checkout::complained(ended, &["couldn't find remote ref"]);
        if is_branch_missing {
            if !begun.known.is_branch_guessed {
                return Next::GiveUp;
            }
            // Nobody asked for `master`; the repository's own first branch will do.
            begun.known.is_branch_guessed = false;
            begun.wanted.branch = None;
            return Next::First(vec![job]);
        }
        let is_fetch = matches!(job, Job::Fetch | Job::ResetFetched);
        if is_fetch && self.retry_fetch && !begun.known.has_fetched_again {
            begun.known.has_fetched_again = true;
            return Next::First(vec![Job::Fetch]);
        }
        if job == Job::Clone {
            // What follows is not instead of it, but once more the same.
            begun.plan.has_fallen_back = true;
        }
        if self.keep_on_failure && !begun.plan.has_fallen_back {
            return Next::GiveUp;
        }
        match job {
            Job::Version | Job::RemoveWork | Job::RemoveTree | Job::CopyTree => {
                return Next::GiveUp;
            }
            // They have been without the mirror already, or take nothing from it.
            Job::Look
            | Job::LookForPatch
            | Job::Unmark
            | Job::Name
            | Job::Clone
            | Job::Fetch
            | Job::Clean
            | Job::Submodules
            | Job::CleanSubmodules => {}
            Job::HasRevision | Job::ResetFetched | Job::ResetCloned | Job::Revision => {
                begun.known.is_mirror_doubted = true;
            }
        }
        Next::StartOver
    }
}

/// What the local branch is to be called; `None` if nobody knows.
fn name(begun: &Begun<Git>) -> Option<&str> {
    let guessed = || begun.wanted.branch.as_deref();
    let name = begun.known.own_name.as_deref().or_else(guessed);
    name.filter(|it| !it.starts_with("refs/"))
}

/// Whether what is wanted is neither a branch nor a tag, but a ref such as `refs/changes/1/2/3`.
fn is_elsewhere(begun: &Begun<Git>) -> bool {
    let branch = begun.wanted.branch.as_deref();
    branch.is_some_and(|it| it.starts_with("refs/"))
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
