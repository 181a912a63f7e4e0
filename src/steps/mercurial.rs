//! `mercurial`: brings the tree to the branch and revision of the build.

use std::sync::Arc;

use crate::model::Command;
use crate::model::FileCommand;
use crate::model::MirrorKind;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

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
use super::checkout::RepoUrl;
use super::checkout::Source;
use super::checkout::Wanted;
use super::paths;

pub(super) const KIND: StepKind = StepKind {
    name: "mercurial",
    aliases: &["hg"],
    step_name: "hg",
    summary: "Checks out a Mercurial repository.",
    example: r#"repourl = "https://example.org/hello"
branch = "stable"
mode = "full"
method = "fresh""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Mercurial::read(keys)?)),
};

/// The methods of `mode = full`.
pub(crate) const METHODS: &[(&str, Mode)] = &[
    ("clean", Mode::Clean),
    ("fresh", Mode::Fresh),
    ("clobber", Mode::Clobber),
    ("copy", Mode::Copy),
];

/// What a branch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BranchType {
    /// A named branch in one repository.
    #[default]
    InRepo,
    /// A repository of its own, at the base URL and the branch's name.
    DirName,
}

#[derive(Clone, Debug)]
pub(crate) struct Mercurial {
    pub(crate) checkout: Checkout,
    /// Before a branch's name, with [`BranchType::DirName`].
    pub(crate) base_url: Option<RepoUrl>,
    /// Built where the stamp names none.
    pub(crate) default_branch: Option<Text>,
    pub(crate) branch_type: BranchType,
    /// Whether a checkout of another branch is removed rather than updated.
    pub(crate) clobber_on_branch_change: bool,
}

impl Default for Mercurial {
    fn default() -> Self {
        Self {
            checkout: Checkout::default(),
            base_url: None,
            default_branch: None,
            branch_type: BranchType::default(),
            clobber_on_branch_change: true,
        }
    }
}

impl Mercurial {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = Checkout::read(keys, METHODS);
        let base_url = RepoUrl::key(keys, &["base_url"]);
        let default_branch = keys.optional_as(&["default_branch", "branch"]);
        let branch_type = keys.optional::<String>("branch_type");
        let clobber_on_branch_change = keys.or("clobber_on_branch_change", true);
        let (checkout, base_url) = (checkout?, base_url?);
        let branch_type = match branch_type?.as_deref() {
            // Branches in one repository are what a single URL can have.
            None if base_url.is_some() => BranchType::DirName,
            None | Some("inrepo") => BranchType::InRepo,
            Some("dirname") => BranchType::DirName,
            Some(other) => {
                let problem =
                    Problem::error(Code::BadValue, format!("`{other}` is no type of branch"));
                let problem = problem.at(&keys.place("branch_type"));
                keys.note(problem.label("expected `inrepo` or `dirname`"));
                return None;
            }
        };
        if base_url.is_some() && (checkout.repourl.is_some() || branch_type == BranchType::InRepo) {
            let problem = Problem::error(
                Code::Contradiction,
                "`base_url` takes the place of `repourl`, with a branch behind it",
            );
            let problem = problem.at(&keys.place("base_url"));
            keys.note(
                problem.label("expected `repourl`, or `branch_type = dirname` and no `repourl`"),
            );
            return None;
        }
        Some(Self {
            checkout,
            base_url,
            default_branch: default_branch?,
            branch_type,
            clobber_on_branch_change: clobber_on_branch_change?,
        })
    }
}

impl Step for Mercurial {
    fn begin(&self) -> Box<dyn Run> {
        checkout::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

/// What is known once the build's properties are.
pub(super) struct Known {
    /// Whether what came was no good, so that it is had from the repository itself.
    is_mirror_doubted: bool,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    Version,
    /// Is there a checkout? Clones where there is none.
    Look,
    /// Is it patched? Cleans it where it is.
    LookForPatch,
    /// Takes back what was changed.
    Undo,
    RemoveWork,
    RemoveTree,
    Clone,
    Purge,
    Pull,
    /// Is it a checkout of the wanted branch?
    Branch,
    /// Is it a checkout of the wanted repository?
    Repository,
    Update,
    Revision,
    CopyTree,
}

impl Source for Mercurial {
    type Job = Job;
    type Known = Known;

    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let Some(base) = &self.base_url else {
            return self.checkout.is_about_its_url(cx);
        };
        let (base, own_branch) = (base.render(cx)?, self.own_branch(cx)?);
        let is_below = |_: &str| self.is_below(&base, own_branch.as_deref(), cx);
        Ok(self.checkout.is_about(cx, is_below))
    }

    fn begin(&self, cx: &mut Cx<'_>) -> Result<Begun<Self>, StepError> {
        let own_branch = self.own_branch(cx)?;
        let wanted = match &self.base_url {
            Some(base) => self.wanted_below(&base.render(cx)?, own_branch, cx)?,
            None => self.checkout.wanted(cx, own_branch)?,
        };
        if self.branch_type == BranchType::DirName
            && self.base_url.is_none()
            && wanted.branch.is_some()
        {
            let what = "with `branch_type = dirname` a build of a branch needs `base_url`";
            return Err(StepError::Other(what.into()));
        }
        let tree = self.checkout.tree(cx)?;
        let mut plan = Plan::new([Job::Version], self.checkout.retry);
        match self.checkout.mode {
            Mode::Incremental | Mode::Clean | Mode::Fresh => plan.jobs.push_back(Job::Look),
            Mode::Clobber | Mode::Export => plan.jobs.extend([Job::RemoveWork, Job::Clone]),
            Mode::Copy => plan.jobs.extend([Job::RemoveTree, Job::Look]),
        }
        let work = match self.checkout.mode {
            Mode::Copy => checkout::kept(cx, &tree),
            _ => tree.clone(),
        };
        // After a clobber, one more clone from nothing is no fallback but a retry.
        plan.has_fallen_back = self.checkout.mode == Mode::Clobber;
        Ok(Begun {
            wanted,
            work,
            tree,
            plan,
            known: Known {
                is_mirror_doubted: false,
            },
        })
    }

    fn command(&self, job: &Job, begun: &Begun<Self>, cx: &Cx<'_>) -> Result<Command, StepError> {
        let work = paths::of_builder(cx.builder_dir, &begun.work);
        let url = begun.wanted.url.as_str();
        let revision = begun.wanted.revision.as_deref();
        let argv: &[&str] = match job {
            Job::Look => return Ok(checkout::stat(cx, &begun.work, ".hg")),
            Job::LookForPatch => return Ok(checkout::is_patched(cx, &begun.work)),
            Job::Undo => &["update", "--clean", "--rev", "."],
            Job::RemoveWork => return checkout::rmdir(cx, &begun.work),
            Job::RemoveTree => return checkout::rmdir(cx, &begun.tree),
            Job::CopyTree => {
                let to = paths::inside_builder(cx.builder_dir, &begun.tree)?;
                return Ok(Command::File(FileCommand::Cpdir { from: work, to }));
            }
            Job::Version => &["--version"],
            Job::Clone => &["clone", "--noupdate", url, "."],
            Job::Purge if self.checkout.mode == Mode::Clean => {
                &["--config", "extensions.purge=", "purge"]
            }
            Job::Purge => &["--config", "extensions.purge=", "purge", "--all"],
            Job::Pull => match (self.checkout.mode, revision) {
                (Mode::Incremental | Mode::Copy, _) => &["pull", url, "--update"],
                (_, Some(revision)) => &["pull", url, "--rev", revision],
                (_, None) => &["pull", url],
            },
            Job::Branch => &["identify", "--branch"],
            Job::Repository => &["paths", "default"],
            Job::Update => match revision.or_else(|| self.branch(begun)) {
                Some(revision) => &["update", "--clean", "--rev", revision],
                None => &["update", "--clean"],
            },
            Job::Revision => &["identify", "--id", "--debug"],
        };
        let argv = ["hg", "--verbose"].iter().chain(argv);
        let argv = argv.map(|&word| word.to_owned()).collect();
        let mut command = self.checkout.command(cx, &work, argv, &begun.wanted)?;
        if let Command::Shell(shell) = &mut command {
            // Aliases and languages of the slave's user must not change what is read below.
            shell
                .env
                .entry("HGPLAIN".into())
                .or_insert_with(|| Some("1".into()));
        }
        if matches!(job, Job::Clone | Job::Pull) && self.checkout.mirror {
            let doubted = begun.known.is_mirror_doubted;
            checkout::mirrored(&mut command, MirrorKind::Hg, &begun.wanted, doubted);
        }
        Ok(command)
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
            Job::Look => Next::First(self.looked(is_good)),
            Job::LookForPatch if is_good => Next::First(vec![Job::Undo, Job::Purge, Job::Pull]),
            Job::LookForPatch => Next::First(vec![Job::Pull]),
            Job::Pull if is_good || has_no_changes(ended) => Next::First(vec![self.branch_check()]),
            Job::Branch if is_good => {
                let current = ended.output.stdout(1000);
                self.checked(self.branch(begun) != Some(current.trim()))
            }
            Job::Repository => {
                let current = ended.output.stdout(4000);
                let is_same = checkout::is_same_repository(&current, &begun.wanted.url);
                self.checked(is_good && !is_same)
            }
            Job::Version | Job::RemoveWork | Job::RemoveTree | Job::CopyTree if !is_good => {
                Next::GiveUp
            }
            _ if !is_good => {
                // What clones and pulls has been without the mirror already.
                begun.plan.has_fallen_back |= *job == Job::Clone;
                begun.known.is_mirror_doubted |=
                    !matches!(job, Job::Clone | Job::Pull | Job::Undo | Job::Purge);
                Next::StartOver
            }
            Job::Revision => match checkout::commit(&ended.output.stdout(100)) {
                Some(commit) => {
                    cx.properties
                        .set_runtime("got_revision", commit, checkout::SOURCE);
                    match self.checkout.mode {
                        Mode::Copy => Next::First(vec![Job::CopyTree]),
                        _ => Next::GO_ON,
                    }
                }
                None => Next::GiveUp,
            },
            Job::Clone => Next::First(vec![Job::Update]),
            Job::Update => Next::First(vec![Job::Revision]),
            Job::Version
            | Job::RemoveWork
            | Job::RemoveTree
            | Job::CopyTree
            | Job::Undo
            | Job::Purge
            | Job::Pull
            | Job::Branch => Next::GO_ON,
        }
    }

    fn anew(&self, _: &Begun<Self>) -> Vec<Job> {
        vec![Job::RemoveWork, Job::Clone]
    }

    fn remarks(&self, cx: &Cx<'_>) -> Vec<String> {
        let own = self.own_branch(cx).ok().flatten();
        let own = own.as_deref().unwrap_or("default");
        let stamped = cx.stamp.branch.as_deref();
        let is_other = stamped.is_some_and(|it| !it.is_empty() && it != own);
        let is_about = is_other && self.is_about(cx).unwrap_or_default();
        is_about
            .then(|| "[branch]".to_owned())
            .into_iter()
            .collect()
    }
}

impl Mercurial {
    /// The repository of the branch, which lies at the base URL and its name.
    fn wanted_below(
        &self,
        base: &str,
        own_branch: Option<String>,
        cx: &mut Cx<'_>,
    ) -> Result<Wanted, StepError> {
        let url = match self.is_below(base, own_branch.as_deref(), cx) {
            true => cx.stamp.repository.clone(),
            false => base.to_owned(),
        };
        let checkout = Checkout {
            repourl: Some(Text::literal(url).into()),
            ..self.checkout.clone()
        };
        let mut wanted = checkout.wanted(cx, own_branch)?;
        wanted.url = checkout::below(base, wanted.branch.as_deref().unwrap_or_default())?;
        wanted.check()?;
        Ok(wanted)
    }

    /// Whether the stamp names the base, or the branch's own repository.
    fn is_below(&self, base: &str, own_branch: Option<&str>, cx: &Cx<'_>) -> bool {
        let repository = cx.stamp.repository.as_str();
        if self.base_url.as_ref().is_some_and(RepoUrl::follows_stamp) {
            return !repository.is_empty();
        }
        let branch = cx.stamp.branch.as_deref().filter(|it| !it.is_empty());
        let branch = branch.or(own_branch).unwrap_or_default();
        let names = [base.to_owned(), format!("{base}{branch}")];
        names
            .iter()
            .any(|it| checkout::is_same_repository(it, repository))
    }

    fn own_branch(&self, cx: &Cx<'_>) -> Result<Option<String>, StepError> {
        Ok(match &self.default_branch {
            Some(text) => Some(text.render(cx.properties)?),
            None => None,
        })
    }

    /// The named branch to update to, where branches have names.
    fn branch<'a>(&self, begun: &'a Begun<Self>) -> Option<&'a str> {
        match self.branch_type {
            BranchType::InRepo => Some(begun.wanted.branch.as_deref().unwrap_or("default")),
            BranchType::DirName => None,
        }
    }

    /// What shows whether the checkout is of the wanted branch.
    fn branch_check(&self) -> Job {
        match self.branch_type {
            BranchType::InRepo => Job::Branch,
            BranchType::DirName => Job::Repository,
        }
    }

    fn looked(&self, is_there: bool) -> Vec<Job> {
        match (is_there, self.checkout.mode) {
            (false, _) => vec![Job::Clone],
            (true, Mode::Clean | Mode::Fresh) => vec![Job::Purge, Job::Pull],
            (true, Mode::Incremental) => vec![Job::LookForPatch],
            (true, Mode::Clobber | Mode::Copy | Mode::Export) => vec![Job::Pull],
        }
    }

    /// Goes on to the update, or from nothing where the checkout is of another branch.
    fn checked(&self, is_other: bool) -> Next<Job> {
        match (is_other && self.clobber_on_branch_change, self.branch_type) {
            (true, BranchType::InRepo) => Next::Replace("the tree is of another branch"),
            (true, BranchType::DirName) => Next::Replace("the tree is of another repository"),
            (false, _) => Next::First(vec![Job::Update]),
        }
    }
}

/// Old versions end a pull that brought nothing with 1.
fn has_no_changes(ended: &Ended<'_>) -> bool {
    ended.exit.code == 1 && ended.output.stdout(64 << 10).contains("no changes found")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::bench::run_program;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;
    use crate::model::Shell;

    const URL: &str = "https://example.org/hello";
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn hg(url: &str, mode: Mode) -> Mercurial {
        Mercurial {
            checkout: Checkout {
                repourl: Some(Text::literal(url).into()),
                mode,
                ..Checkout::default()
            },
            ..Mercurial::default()
        }
    }

    #[test]
    fn what_asks_the_repository_may_ask_the_mirror() {
        let mut bench = Bench::new(&hg(URL, Mode::Incremental), &KIND);
        bench.begin();
        bench.ends(0, &[]);
        let asks = |shell: Shell| shell.mirror.map(|it| (it.word, it.is_doubted));
        bench.ends(0, &[]);
        assert_eq!(asks(bench.ends_shell(1)), Some((3, false)), "it pulls");
        assert_eq!(asks(bench.ends_shell(0)), None, "it looks for its branch");
        assert_eq!(bench.ends(1, &[]), "rmdir hello/build");
        assert_eq!(asks(bench.ends_shell(0)), Some((4, true)), "it clones");
        let mut step = hg(URL, Mode::Clobber);
        step.checkout.mirror = false;
        let mut bench = Bench::new(&step, &KIND);
        bench.begin();
        bench.ends(0, &[]);
        assert_eq!(asks(bench.ends_shell(0)), None);
    }

    #[test]
    fn an_incremental_checkout_pulls_and_updates_to_its_branch() {
        let mut bench = Bench::new(&hg(URL, Mode::Incremental), &KIND);
        bench.stamp.branch = Some("stable".into());
        let dirty = format!("{COMMIT}+");
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: hg --verbose --version", 0, &[]),
            ("stat hello/build/.hg", 0, &[]),
            ("stat hello/build/.buildbot-patched", 1, &[]),
            (
                "hello/build: hg --verbose pull https://example.org/hello --update",
                1,
                &[out("no changes found")],
            ),
            (
                "hello/build: hg --verbose identify --branch",
                0,
                &[out("stable")],
            ),
            (
                "hello/build: hg --verbose update --clean --rev stable",
                0,
                &[],
            ),
            (
                "hello/build: hg --verbose identify --id --debug",
                0,
                &[out(&dirty)],
            ),
        ];
        bench.plays(script, "success: update [branch]");
        assert_eq!(bench.properties.text("got_revision"), Some(COMMIT));
    }

    #[test]
    fn a_change_of_branch_clobbers_unless_told_otherwise() {
        let mut step = hg(URL, Mode::Fresh);
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: hg --verbose --version", 0, &[]),
            ("stat hello/build/.hg", 0, &[]),
            (
                "hello/build: hg --verbose --config extensions.purge= purge --all",
                0,
                &[],
            ),
            (
                "hello/build: hg --verbose pull https://example.org/hello --rev 12",
                0,
                &[],
            ),
            (
                "hello/build: hg --verbose identify --branch",
                0,
                &[out("stable")],
            ),
            ("rmdir hello/build", 0, &[]),
            (
                "hello/build: hg --verbose clone --noupdate https://example.org/hello .",
                0,
                &[],
            ),
            ("hello/build: hg --verbose update --clean --rev 12", 0, &[]),
            (
                "hello/build: hg --verbose identify --id --debug",
                0,
                &[out("?")],
            ),
        ];
        let mut bench = Bench::new(&step, &KIND);
        bench.stamp.revision = Some("12".into());
        bench.plays(script, "failure: update failed; build: hg");

        step.clobber_on_branch_change = false;
        let mut bench = Bench::new(&step, &KIND);
        bench.stamp.revision = Some("12".into());
        bench.plays(
            &script[..5],
            "hello/build: hg --verbose update --clean --rev 12",
        );
    }

    #[test]
    fn a_branch_that_is_a_directory_lies_below_the_base() {
        let step = Mercurial {
            base_url: Some(Text::literal("https://example.org/").into()),
            branch_type: BranchType::DirName,
            default_branch: Some(Text::literal("trunk")),
            ..Mercurial::default()
        };
        let mut bench = Bench::new(&step, &KIND);
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: hg --verbose --version", 0, &[]),
            ("stat hello/build/.hg", 0, &[]),
            ("stat hello/build/.buildbot-patched", 1, &[]),
            (
                "hello/build: hg --verbose pull https://example.org/trunk --update",
                0,
                &[],
            ),
            (
                "hello/build: hg --verbose paths default",
                0,
                &[out("https://example.org/other")],
            ),
            ("rmdir hello/build", 0, &[]),
        ];
        bench.plays(
            script,
            "hello/build: hg --verbose clone --noupdate https://example.org/trunk .",
        );
    }

    #[test]
    fn a_copy_is_made_of_a_checkout_that_is_kept() {
        let script: &[(&str, i32, &[_])] = &[
            ("hello/source: hg --verbose --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            ("stat hello/source/.hg", 1, &[]),
            (
                "hello/source: hg --verbose clone --noupdate https://example.org/hello .",
                0,
                &[],
            ),
            (
                "hello/source: hg --verbose update --clean --rev default",
                0,
                &[],
            ),
            (
                "hello/source: hg --verbose identify --id --debug",
                0,
                &[out(COMMIT)],
            ),
            ("cpdir hello/source hello/build", 0, &[]),
        ];
        let mut bench = Bench::new(&hg(URL, Mode::Copy), &KIND);
        bench.plays(script, "success: update");
    }

    #[test]
    fn a_patched_tree_is_purged_of_everything_before_it_is_updated() {
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: hg --verbose --version", 0, &[]),
            ("stat hello/build/.hg", 0, &[]),
            ("stat hello/build/.buildbot-patched", 0, &[]),
            ("hello/build: hg --verbose update --clean --rev .", 0, &[]),
            (
                "hello/build: hg --verbose --config extensions.purge= purge --all",
                0,
                &[],
            ),
        ];
        let mut bench = Bench::new(&hg(URL, Mode::Incremental), &KIND);
        let pull = "hello/build: hg --verbose pull https://example.org/hello --update";
        bench.plays(script, pull);
    }

    #[test]
    fn a_tree_that_cannot_be_cleaned_is_cloned_anew() {
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: hg --verbose --version", 0, &[]),
            ("stat hello/build/.hg", 0, &[]),
            (
                "hello/build: hg --verbose --config extensions.purge= purge",
                255,
                &[],
            ),
            ("rmdir hello/build", 0, &[]),
        ];
        let mut bench = Bench::new(&hg(URL, Mode::Clean), &KIND);
        let clone = "hello/build: hg --verbose clone --noupdate https://example.org/hello .";
        bench.plays(script, clone);
    }

    #[test]
    fn a_branch_leads_out_of_no_directory_of_branches() {
        let lines = "base_url = \"https://x/%s/\"\nbranch = \"../y\"";
        let step = read_kind(&KIND, lines);
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.stamp.repository = "test".into();
        let expected = "error: the branch `../y` leads out of the repository";
        assert_eq!(bench.begin(), expected);
        bench.stamp.branch = Some("b".into());
        assert_eq!(bench.begin(), "hello/build: hg --verbose --version");
        bench.ends(0, &[]);
        let told = bench.ends(1, &[]);
        assert_eq!(
            told,
            "hello/build: hg --verbose clone --noupdate https://x/test/b ."
        );
    }

    #[test]
    fn one_repository_or_a_directory_of_them_not_both() {
        insta::assert_snapshot!(
            problems_of(&KIND, "repourl = 'https://x'\nbase_url = 'https://y'"),
            @"factories/x.toml:3:12: `base_url` takes the place of `repourl`, with a branch behind it"
        );
        let mut bench = Bench::new(
            read_kind(&KIND, "repourl = 'https://x'\nbranch_type = 'dirname'").as_ref(),
            &KIND,
        );
        bench.stamp.branch = Some("b".into());
        let expected = "error: with `branch_type = dirname` a build of a branch needs `base_url`";
        assert_eq!(bench.begin(), expected);
    }

    #[test]
    fn a_branch_that_looks_like_an_option_reaches_no_program() {
        let mut bench = Bench::new(&hg(URL, Mode::Incremental), &KIND);
        bench.stamp.branch = Some("--config=alias.update=!touch x".into());
        let expected = "error: the branch `--config=alias.update=!touch x` begins with `-`";
        assert_eq!(bench.begin(), expected);
    }

    #[test]
    fn real_checkouts_reach_branches_and_revisions() {
        let world = tempfile::tempdir().expect("a directory");
        let dir = world.path().join("repository");
        fs::create_dir_all(&dir).expect("a directory");
        let hg_here = |argv: &[&str]| {
            let who = ["--config", "ui.username=a"];
            run_program(&dir, "hg", &[&who, argv].concat())
        };
        hg_here(&["init"]);
        for word in ["one", "two", "side"] {
            if word == "side" {
                hg_here(&["branch", "-q", "side"]);
            }
            fs::write(dir.join("file"), word).expect("a file");
            hg_here(&["commit", "-q", "-A", "-m", word]);
        }
        let first = hg_here(&["identify", "--id", "--debug", "--rev", "0"])
            .trim()
            .to_owned();
        let build = |step: &Mercurial, branch: Option<&str>, revision: Option<&str>| {
            let mut bench = Bench::new(step, &KIND);
            bench.stamp.branch = branch.map(str::to_owned);
            bench.stamp.revision = revision.map(str::to_owned);
            let told = bench.run_for_real(world.path());
            let end = told.last().expect("an end");
            assert!(end.starts_with("success: update"), "{told:#?}");
            fs::read_to_string(world.path().join("hello/build/file")).expect("a file")
        };
        let url = Path::new(&dir).display().to_string();
        for mode in [Mode::Incremental, Mode::Fresh, Mode::Copy] {
            let step = hg(&url, mode);
            assert_eq!(build(&step, None, None), "two", "{mode:?}");
            assert_eq!(build(&step, Some("side"), None), "side", "{mode:?}");
            assert_eq!(build(&step, None, Some(&first)), "one", "{mode:?}");
            fs::write(world.path().join("hello/build/file"), "changed").expect("a file");
            assert_eq!(build(&step, Some("default"), None), "two", "{mode:?}");
        }
    }
}
