//! `mercurial`: brings the tree to the branch and revision of the build.

use std::sync::Arc;

use crate::model::Command;
use crate::model::MirrorKind;
use crate::model::Outcome;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Cx;
use super::Ended;
use super::Move;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Plan;
use super::checkout::Wanted;
use super::paths;
use super::texts::verdict;

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
    pub(crate) base_url: Option<Text>,
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
        let base_url = keys.optional::<Text>("base_url");
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
        Box::new(Running {
            step: self.clone(),
            begun: None,
        })
    }
}

struct Running {
    step: Mercurial,
    begun: Option<Begun>,
}

/// What is known once the build's properties are.
struct Begun {
    wanted: Wanted,
    tree: String,
    /// Whether what came was no good, so that it is had from the repository itself.
    is_mirror_doubted: bool,
    plan: Plan<Job>,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Version,
    /// Is there a checkout? Clones where there is none.
    Look,
    Remove,
    Clone,
    Purge,
    Pull,
    /// Is it a checkout of the wanted branch?
    Branch,
    /// Is it a checkout of the wanted repository?
    Repository,
    Update,
    Revision,
}

impl Running {
    fn begin(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let step = &self.step;
        let own_branch = match &step.default_branch {
            Some(text) => Some(text.render(cx.properties)?),
            None => None,
        };
        let wanted = match &step.base_url {
            Some(base) => self.wanted_below(&base.render(cx.properties)?, own_branch, cx)?,
            None => step.checkout.wanted(cx, own_branch)?,
        };
        if step.branch_type == BranchType::DirName
            && step.base_url.is_none()
            && wanted.branch.is_some()
        {
            let what = "with `branch_type = dirname` a build of a branch needs `base_url`";
            return Err(StepError::Other(what.into()));
        }
        let tree = step.checkout.tree(cx)?;
        let mut plan = Plan::new([Job::Version], step.checkout.retry);
        match step.checkout.mode {
            Mode::Incremental | Mode::Clean | Mode::Fresh => plan.jobs.push_back(Job::Look),
            Mode::Clobber | Mode::Copy | Mode::Export => {
                plan.jobs.extend([Job::Remove, Job::Clone])
            }
        }
        // After a clobber, one more clone from nothing is no fallback but a retry.
        plan.has_fallen_back = step.checkout.mode == Mode::Clobber;
        Ok(Begun {
            wanted,
            tree,
            is_mirror_doubted: false,
            plan,
        })
    }

    /// The repository of the branch, which lies at the base URL and its name.
    fn wanted_below(
        &self,
        base: &str,
        own_branch: Option<String>,
        cx: &mut Cx<'_>,
    ) -> Result<Wanted, StepError> {
        let below = |branch: Option<&str>| format!("{base}{}", branch.unwrap_or_default());
        // A stamp may name the base, or the branch's own repository.
        let stamped = cx.stamp.branch.as_deref().filter(|it| !it.is_empty());
        let stamped = stamped.or(own_branch.as_deref());
        let names = [base.to_owned(), below(stamped)];
        let is_about_this = names
            .iter()
            .any(|it| checkout::is_same_repository(it, &cx.stamp.repository));
        let checkout = Checkout {
            repourl: Some(Text::literal(if is_about_this {
                cx.stamp.repository.clone()
            } else {
                base.to_owned()
            })),
            ..self.step.checkout.clone()
        };
        let mut wanted = checkout.wanted(cx, own_branch)?;
        wanted.url = below(wanted.branch.as_deref());
        wanted.check()?;
        Ok(wanted)
    }

    fn command(&self, job: Job, begun: &Begun, cx: &Cx<'_>) -> Result<Command, StepError> {
        let work = paths::of_builder(cx.builder_dir, &begun.tree);
        let url = begun.wanted.url.as_str();
        let revision = begun.wanted.revision.as_deref();
        let argv: &[&str] = match job {
            Job::Look => return Ok(checkout::stat(cx, &begun.tree, ".hg")),
            Job::Remove => return checkout::rmdir(cx, &begun.tree),
            Job::Version => &["--version"],
            Job::Clone => &["clone", "--noupdate", url, "."],
            Job::Purge if self.step.checkout.mode == Mode::Fresh => {
                &["--config", "extensions.purge=", "purge", "--all"]
            }
            Job::Purge => &["--config", "extensions.purge=", "purge"],
            Job::Pull => match (self.step.checkout.mode, revision) {
                (Mode::Incremental, _) => &["pull", url, "--update"],
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
        let mut command = self.step.checkout.command(cx, &work, argv, &begun.wanted)?;
        if let Command::Shell(shell) = &mut command {
            // Aliases and languages of the slave's user must not change what is read below.
            shell
                .env
                .entry("HGPLAIN".into())
                .or_insert_with(|| Some("1".into()));
        }
        if matches!(job, Job::Clone | Job::Pull) && self.step.checkout.mirror {
            let doubted = begun.is_mirror_doubted;
            checkout::mirrored(&mut command, MirrorKind::Hg, &begun.wanted, doubted);
        }
        Ok(command)
    }

    /// The named branch to update to, where branches have names.
    fn branch<'a>(&self, begun: &'a Begun) -> Option<&'a str> {
        match self.step.branch_type {
            BranchType::InRepo => Some(begun.wanted.branch.as_deref().unwrap_or("default")),
            BranchType::DirName => None,
        }
    }

    /// What shows whether the checkout is of the wanted branch.
    fn branch_check(&self) -> Job {
        match self.step.branch_type {
            BranchType::InRepo => Job::Branch,
            BranchType::DirName => Job::Repository,
        }
    }

    fn looked(&self, is_there: bool, begun: &mut Begun) {
        let jobs = match (is_there, self.step.checkout.mode) {
            (false, _) => vec![Job::Clone],
            (true, Mode::Clean | Mode::Fresh) => vec![Job::Purge, Job::Pull],
            (true, Mode::Incremental | Mode::Clobber | Mode::Copy | Mode::Export) => {
                vec![Job::Pull]
            }
        };
        begun.plan.first(jobs);
    }

    /// Goes on to the update, or from nothing where the checkout is of another branch.
    fn checked(&self, is_other: bool, begun: &mut Begun) {
        if is_other && self.step.clobber_on_branch_change {
            begun.plan.first([Job::Remove, Job::Clone]);
        } else {
            begun.plan.first([Job::Update]);
        }
    }

    fn failed(&self, job: Job, begun: &mut Begun, ended: &Ended<'_>) -> bool {
        let can_start_over = match job {
            Job::Version | Job::Look | Job::Remove => false,
            Job::Clone
            | Job::Purge
            | Job::Pull
            | Job::Branch
            | Job::Repository
            | Job::Update
            | Job::Revision => true,
        };
        if !can_start_over || checkout::was_cut_short(ended.exit) || !begun.plan.may_start_over() {
            return false;
        }
        // What clones and pulls has been without the mirror already.
        begun.is_mirror_doubted |= !matches!(job, Job::Clone | Job::Pull | Job::Purge);
        begun.plan.jobs.clear();
        begun.plan.first([Job::Remove, Job::Clone]);
        true
    }

    fn gave_up(&self, cx: &Cx<'_>) -> Move {
        Move::Done(verdict(cx, Outcome::Failure, self.done_text(cx)))
    }
}

impl Run for Running {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.step.checkout.running_text(cx)
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.step.checkout.done_text(cx)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let mut begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin(cx)?,
        };
        if let (Some(ended), Some(job)) = (last, begun.plan.running.take()) {
            let is_good = ended.exit.is_success();
            match job {
                Job::Look => self.looked(is_good, &mut begun),
                Job::Pull if is_good || has_no_changes(ended) => {
                    begun.plan.first([self.branch_check()]);
                }
                Job::Branch if is_good => {
                    let current = ended.output.stdout(1000);
                    let is_other = self.branch(&begun) != Some(current.trim());
                    self.checked(is_other, &mut begun);
                }
                Job::Repository => {
                    let current = ended.output.stdout(4000);
                    let is_other =
                        is_good && !checkout::is_same_repository(&current, &begun.wanted.url);
                    self.checked(is_other, &mut begun);
                }
                Job::Revision if is_good => match checkout::commit(&ended.output.stdout(100)) {
                    Some(commit) => {
                        cx.properties
                            .set_runtime("got_revision", commit, checkout::SOURCE);
                    }
                    None => return Ok(self.gave_up(cx)),
                },
                _ if !is_good => {
                    if !self.failed(job, &mut begun, ended) {
                        return Ok(self.gave_up(cx));
                    }
                }
                Job::Clone => begun.plan.first([Job::Update]),
                Job::Update => begun.plan.first([Job::Revision]),
                Job::Version
                | Job::Remove
                | Job::Purge
                | Job::Pull
                | Job::Branch
                | Job::Revision => {}
            }
        }
        let Some(job) = begun.plan.jobs.pop_front() else {
            let done = self.done_text(cx);
            return Ok(Move::Done(verdict(cx, Outcome::Success, done)));
        };
        let command = self.command(job, &begun, cx)?;
        begun.plan.running = Some(job);
        self.begun = Some(begun);
        Ok(Move::Run(command))
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
    use super::*;
    use crate::model::Shell;

    const URL: &str = "https://example.org/hello";
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn hg(url: &str, mode: Mode) -> Mercurial {
        Mercurial {
            checkout: Checkout {
                repourl: Some(Text::literal(url)),
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
        assert_eq!(asks(bench.ends_shell(0)), Some((3, false)), "it pulls");
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
        bench.plays(script, "success: update");
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
            base_url: Some(Text::literal("https://example.org/")),
            branch_type: BranchType::DirName,
            default_branch: Some(Text::literal("trunk")),
            ..Mercurial::default()
        };
        let mut bench = Bench::new(&step, &KIND);
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: hg --verbose --version", 0, &[]),
            ("stat hello/build/.hg", 0, &[]),
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
            assert_eq!(
                told.last().map(String::as_str),
                Some("success: update"),
                "{told:#?}"
            );
            fs::read_to_string(world.path().join("hello/build/file")).expect("a file")
        };
        let url = Path::new(&dir).display().to_string();
        for mode in [Mode::Incremental, Mode::Fresh] {
            let step = hg(&url, mode);
            assert_eq!(build(&step, None, None), "two", "{mode:?}");
            assert_eq!(build(&step, Some("side"), None), "side", "{mode:?}");
            assert_eq!(build(&step, None, Some(&first)), "one", "{mode:?}");
            fs::write(world.path().join("hello/build/file"), "changed").expect("a file");
            assert_eq!(build(&step, Some("default"), None), "two", "{mode:?}");
        }
    }
}
