//! `bzr`: brings the tree to the branch and revision of the build, with
//! Bazaar or with Breezy, whichever the slave has.

use std::sync::Arc;

use crate::model::Command;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Role;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::branch_urls::Branches;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::Wanted;
use super::vcs;
use super::vcs::Site;
use super::vcs::Steps;
use super::vcs::Vcs;

pub(super) const KIND: StepKind = StepKind {
    name: "bzr",
    aliases: &["bazaar"],
    step_name: "bzr",
    summary: "Checks out a branch of Bazaar or Breezy.",
    example: r#"base_url = "https://example.org/bzr/"
default_branch = "trunk"
mode = "full"
method = "fresh""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Bzr::read(keys)?)),
};

#[derive(Clone, Debug)]
struct Bzr {
    branches: Branches,
    /// Whether the branches of a builder keep their revisions together.
    force_shared_repo: bool,
}

impl Bzr {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let branches = Branches::read(keys, "repourl", vcs::METHODS);
        let force_shared_repo = keys.or("force_shared_repo", false);
        Some(Self {
            branches: branches?,
            force_shared_repo: force_shared_repo?,
        })
    }

    fn begun(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let place = self.branches.wanted(cx)?;
        let revision = match place.is_about_this {
            true => vcs::revision(&self.branches.checkout, cx, vcs::highest),
            false => None,
        };
        let wanted = Wanted {
            revision,
            ..place.wanted
        };
        wanted.check()?;
        Ok(Begun {
            program: "bzr",
            mode: self.branches.checkout.mode,
            wanted,
            force_shared_repo: self.force_shared_repo,
        })
    }
}

impl Steps for Bzr {
    type Vcs = Begun;

    fn checkout(&self) -> &Checkout {
        &self.branches.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        self.branches.is_about(cx)
    }

    fn remarks(&self, cx: &Cx<'_>) -> Vec<String> {
        let Ok(place) = self.branches.wanted(cx) else {
            return Vec::new();
        };
        let own = self.branches.own_branch(cx).ok().flatten();
        let branch = place.wanted.branch.filter(|it| Some(it) != own.as_ref());
        let is_latest = self.branches.checkout.always_use_latest || !place.is_about_this;
        let revision = checkout::said(cx.stamp.revision.as_deref());
        let revision = revision.or_else(|| vcs::highest(cx.changes));
        let revision = revision.filter(|_| !is_latest);
        let branch = branch.map(|it| format!("[{it}]"));
        branch
            .into_iter()
            .chain(revision.map(|it| format!("r{it}")))
            .collect()
    }

    fn of(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        self.begun(cx)
    }
}

impl Step for Bzr {
    fn begin(&self) -> Box<dyn Run> {
        vcs::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

struct Begun {
    /// `bzr`, or `brz` where only that is.
    program: &'static str,
    mode: Mode,
    wanted: Wanted,
    force_shared_repo: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Version,
    /// Is the builder's directory a shared repository?
    LookForRepository,
    InitRepository,
    Revert,
    Clean,
    Update,
    Checkout,
    Revision,
    /// Which revision is the newest?
    Newest,
    Export,
}

impl Vcs for Begun {
    type Job = Job;

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn own_dir(&self) -> &'static str {
        ".bzr"
    }

    fn prepare(&self) -> Vec<Job> {
        match self.force_shared_repo {
            true => vec![Job::Version, Job::LookForRepository],
            false => vec![Job::Version],
        }
    }

    fn update(&self) -> Vec<Job> {
        match self.mode {
            Mode::Clean | Mode::Fresh => vec![Job::Revert, Job::Clean, Job::Update],
            Mode::Incremental | Mode::Clobber | Mode::Copy | Mode::Export => vec![Job::Update],
        }
    }

    fn full(&self) -> Vec<Job> {
        vec![Job::Checkout]
    }

    fn export(&self) -> Vec<Job> {
        match self.wanted.revision {
            Some(_) => vec![Job::Export],
            None => vec![Job::Newest, Job::Export],
        }
    }

    fn conclude(&self) -> Vec<Job> {
        vec![Job::Revision]
    }

    fn command(&self, job: &Job, site: &Site<'_>) -> Result<Command, StepError> {
        let url = self.wanted.url.as_str();
        let at = |verb: &[&'static str]| {
            let mut argv = vec![self.program];
            argv.extend(verb);
            if let Some(revision) = &self.wanted.revision {
                argv.extend(["-r", revision]);
            }
            argv
        };
        let bzr = |verb: &[&'static str]| {
            let mut argv = vec![self.program];
            argv.extend(verb);
            argv
        };
        let shell = match job {
            Job::Version => site.beside(&bzr(&["--version"]))?,
            Job::LookForRepository => site.beside(&bzr(&["info", "."]))?,
            Job::InitRepository => site.beside(&bzr(&["init-repo", "."]))?,
            Job::Revert => site.inside(&bzr(&["revert", "--no-backup"]))?,
            Job::Clean => site.inside(&bzr(match self.mode {
                Mode::Fresh => &["clean-tree", "--unknown", "--ignored", "--force"],
                _ => &["clean-tree", "--unknown", "--force"],
            }))?,
            Job::Update => site.inside(&at(&["update"]))?,
            Job::Checkout => {
                let mut argv = at(&["checkout"]);
                argv.extend([url, site.work]);
                site.beside(&argv)?
            }
            Job::Revision => {
                site.inside(&bzr(&["version-info", "--custom", "--template={revno}"]))?
            }
            Job::Newest => {
                let mut argv = bzr(&["revno"]);
                argv.push(url);
                site.beside(&argv)?
            }
            Job::Export => {
                let mut argv = at(&["export", "--format=dir"]);
                argv.extend([site.work, url]);
                site.beside(&argv)?
            }
        };
        Ok(Command::Shell(shell))
    }

    fn ended(&mut self, job: &Job, ended: &Ended<'_>, cx: &mut Cx<'_>) -> Next<Job> {
        if !ended.exit.is_success() {
            return match job {
                Job::Version if self.program == "bzr" => {
                    self.program = "brz";
                    Next::First(vec![Job::Version])
                }
                Job::LookForRepository => Next::First(vec![Job::InitRepository]),
                _ => Next::StartOver,
            };
        }
        let got = match job {
            Job::Revision => match number(&ended.output.stdout(1000)) {
                Some(revision) => Some(revision),
                None => return Next::GiveUp,
            },
            Job::Newest => {
                self.wanted.revision = number(&ended.output.stdout(1000));
                return match self.wanted.revision {
                    Some(_) => Next::GO_ON,
                    None => Next::GiveUp,
                };
            }
            Job::Export => self.wanted.revision.clone(),
            Job::Version
            | Job::LookForRepository
            | Job::InitRepository
            | Job::Revert
            | Job::Clean
            | Job::Update
            | Job::Checkout => None,
        };
        if let Some(got) = got {
            cx.properties
                .set_runtime("got_revision", got, checkout::SOURCE);
        }
        Next::GO_ON
    }
}

/// A revision: `12`, or `12.1.3` on a branch that was merged.
fn number(said: &str) -> Option<String> {
    let word = said.trim();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
    word.split('.').all(is_number).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::bench::run_program;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;
    use super::super::vcs::tests::plays;
    use super::*;

    const MARK: &str = ".bzr/autobot-0c29a31b8978d005";
    const REVISION: &str = "hello/build: bzr version-info --custom --template={revno}";

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, &format!("repourl = \"https://x/r\"\n{lines}"));
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn a_checkout_is_updated_to_its_revision() {
        let mut bench = bench("");
        bench.stamp.revision = Some("5".into());
        assert_eq!(bench.running_text(), ["updating", "r5"]);
        let look = format!("stat hello/build/{MARK}");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bzr --version", 0, &[]),
            (&look, 0, &[]),
            ("hello/build: bzr update -r 5", 0, &[]),
            (REVISION, 0, &[out("5")]),
        ];
        plays(&mut bench, script, "success: update r5");
        assert_eq!(bench.properties.text("got_revision"), Some("5"));
    }

    #[test]
    fn its_text_names_another_branch_than_the_usual_one() {
        let lines = "base_url = \"https://x/\"\ndefault_branch = \"trunk\"";
        let step = read_kind(&KIND, lines);
        let told = |branch: Option<&str>| {
            let mut bench = Bench::new(step.as_ref(), &KIND);
            bench.stamp.branch = branch.map(str::to_owned);
            bench.running_text()
        };
        assert_eq!(told(None), ["updating"]);
        assert_eq!(told(Some("trunk")), ["updating"]);
        assert_eq!(told(Some("side")), ["updating", "[side]"]);
    }

    #[test]
    fn where_only_breezy_is_it_is_taken() {
        let mark = format!("write hello/build/{MARK}: ");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bzr --version", 127, &[]),
            ("hello: brz --version", 0, &[]),
            ("hello: brz info .", 3, &[]),
            ("hello: brz init-repo .", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            ("hello: brz checkout https://x/r build", 0, &[]),
            (
                "hello/build: brz version-info --custom --template={revno}",
                0,
                &[out("12.1.3")],
            ),
            (&mark, 0, &[]),
        ];
        let lines = "mode = \"full\"\nmethod = \"clobber\"\nforce_shared_repo = true";
        plays(&mut bench(lines), script, "success: update");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bzr --version", 127, &[]),
            ("hello: brz --version", 127, &[]),
        ];
        plays(&mut bench(""), script, "failure: update failed; build: bzr");
    }

    #[test]
    fn cleaning_spares_what_is_ignored_and_fresh_does_not() {
        let look = format!("stat hello/build/{MARK}");
        for (method, clean) in [
            ("clean", "clean-tree --unknown --force"),
            ("fresh", "clean-tree --unknown --ignored --force"),
        ] {
            let clean = format!("hello/build: bzr {clean}");
            let script: &[(&str, i32, &[_])] = &[
                ("hello: bzr --version", 0, &[]),
                (&look, 0, &[]),
                ("hello/build: bzr revert --no-backup", 0, &[]),
                (&clean, 0, &[]),
                ("hello/build: bzr update", 0, &[]),
                (REVISION, 0, &[out("no number")]),
            ];
            let lines = format!("mode = \"full\"\nmethod = \"{method}\"");
            plays(
                &mut bench(&lines),
                script,
                "failure: update failed; build: bzr",
            );
        }
    }

    #[test]
    fn a_copy_and_an_export_leave_fresh_trees() {
        let look = format!("stat hello/source/{MARK}");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bzr --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (&look, 0, &[]),
            ("hello/source: bzr update", 0, &[]),
            (
                "hello/source: bzr version-info --custom --template={revno}",
                0,
                &[out("7")],
            ),
            ("cpdir hello/source hello/build", 0, &[]),
        ];
        plays(
            &mut bench("mode = \"full\"\nmethod = \"copy\""),
            script,
            "success: update",
        );
        let script: &[(&str, i32, &[_])] = &[
            ("hello: bzr --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            ("hello: bzr revno https://x/r", 0, &[out("9")]),
            (
                "hello: bzr export --format=dir -r 9 build https://x/r",
                0,
                &[],
            ),
        ];
        let mut export = bench("mode = \"full\"\nmethod = \"export\"");
        plays(&mut export, script, "success: update");
        assert_eq!(export.properties.text("got_revision"), Some("9"));
    }

    #[test]
    fn what_looks_like_an_option_reaches_no_program() {
        let mut bench = bench("");
        bench.stamp.revision = Some("--directory=/".into());
        assert!(begin(&mut bench).starts_with("error: the revision"));
    }

    #[test]
    fn real_checkouts_reach_branches_and_revisions_in_every_mode() {
        let world = tempfile::tempdir().expect("a directory");
        let at = |name: &str| world.path().join(name);
        let bzr = |dir: &str, argv: &[&str]| run_program(&at(dir), "bzr", argv);
        let commit = |branch: &str, text: &str| {
            let dir = format!("r/{branch}");
            fs::write(at(&dir).join("file"), text).expect("a file");
            bzr(&dir, &["add", "-q"]);
            bzr(&dir, &["commit", "-q", "--author=a <a@b>", "-m", text]);
        };
        fs::create_dir_all(at("r")).expect("a directory");
        for branch in ["trunk", "side"] {
            bzr("r", &["init", "-q", branch]);
            bzr(
                &format!("r/{branch}"),
                &["whoami", "--branch", "a <a@example.org>"],
            );
        }
        fs::write(at("r/trunk/.bzrignore"), "*.o\n").expect("a file");
        commit("trunk", "one");
        commit("trunk", "second");
        commit("side", "of the side");
        let build = |lines: &str, branch: &str, revision: Option<&str>| {
            let base = at("r").display().to_string();
            let step = read_kind(&KIND, &format!("base_url = \"{base}/\"\n{lines}"));
            let mut bench = Bench::new(step.as_ref(), &KIND);
            bench.stamp.branch = Some(branch.into());
            bench.stamp.revision = revision.map(str::to_owned);
            let told = bench.run_for_real(world.path());
            let is_good = told.last().is_some_and(|it| it.starts_with("success"));
            assert!(is_good, "{told:#?}");
            let got = bench.properties.text("got_revision").unwrap_or_default();
            let text = fs::read_to_string(at("hello/build/file")).expect("a file");
            format!("{got} {text}")
        };
        let full = |method: &str| format!("mode = \"full\"\nmethod = \"{method}\"");
        let litter = || {
            for name in ["stray", "x.o", "file"] {
                fs::write(at("hello/build").join(name), "a build's").expect("a file");
            }
        };
        let is_there = |name: &str| at("hello").join(name).exists();
        assert_eq!(build("", "trunk", None), "2 second");
        commit("trunk", "the third");
        fs::write(at("hello/build/stray"), "x").expect("a file");
        assert_eq!(build("", "trunk", None), "3 the third");
        assert!(is_there("build/stray"), "it was updated");
        assert_eq!(build("", "trunk", Some("1")), "1 one");
        assert_eq!(build("", "trunk", None), "3 the third");
        litter();
        assert_eq!(build(&full("clean"), "trunk", None), "3 the third");
        assert!(!is_there("build/stray") && is_there("build/x.o"));
        litter();
        assert_eq!(build(&full("fresh"), "trunk", Some("2")), "2 second");
        assert!(!is_there("build/x.o"));
        assert_eq!(build("", "side", None), "1 of the side");
        assert_eq!(build(&full("copy"), "trunk", None), "3 the third");
        assert!(is_there("source/.bzr") && is_there("build/.bzr"));
        assert_eq!(build(&full("export"), "trunk", None), "3 the third");
        assert!(!is_there("build/.bzr"));
        assert_eq!(build(&full("export"), "trunk", Some("2")), "2 second");
        let shared = full("clobber") + "\nforce_shared_repo = true";
        assert_eq!(build(&shared, "trunk", Some("1")), "1 one");
        assert_eq!(build(&shared, "side", None), "1 of the side");
        assert!(is_there(".bzr"));
    }
}
