//! A patch of the build, laid over the tree that a checkout has made: for every
//! type the same, around whatever brings its tree about.
//!
//! A patched tree has a mark, so that the next build does not take it for what
//! the repository has. The names are Buildbot's: a tree that one of its slaves
//! has patched is known as such.

use std::sync::Arc;

use super::Checkout;
use super::diff;
use crate::model::Command;
use crate::model::FileCommand;
use crate::model::Outcome;
use crate::model::Patch;
use crate::model::Written;
use crate::steps::Cx;
use crate::steps::Ended;
use crate::steps::Move;
use crate::steps::Run;
use crate::steps::StepError;
use crate::steps::Verdict;
use crate::steps::bytes::Bytes;
use crate::steps::bytes::PIECE;
use crate::steps::paths;
use crate::steps::texts::verdict;

/// In a tree that is patched.
pub(super) const MARK: &str = ".buildbot-patched";

/// Where the diff lies meanwhile.
pub(super) const DIFF: &str = ".buildbot-diff";

/// Enters a directory of the tree, if it is one, and becomes `patch`.
const ENTER: &str = r#"top=$(pwd -P) && cd -P -- "$1" || exit 1
case $(pwd -P)/ in
"$top"/*) ;;
*) echo "\`$1\` is not a directory of the tree" >&2; exit 1 ;;
esac
if [ "$3" = git ]; then
exec git --git-dir=/dev/null apply "-p$2" --whitespace=nowarn "$top/.buildbot-diff"
fi
exec patch "-p$2" --remove-empty-files --force --forward --unified -i "$top/.buildbot-diff""#;

/// What becomes of a tree that the last build has patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::steps) enum Remains {
    /// The checkout looks for it by itself ([`is_patched`]) and cleans it.
    Cleaned,
    /// It is removed before the checkout begins.
    Removed,
}

/// Is the tree `dir` patched?
pub(in crate::steps) fn is_patched(cx: &Cx<'_>, dir: &str) -> Command {
    super::stat(cx, dir, MARK)
}

/// Removes the mark of the tree `dir`, once it is clean.
pub(in crate::steps) fn unmark(cx: &Cx<'_>, dir: &str) -> Command {
    let path = format!("{}/{MARK}", paths::of_builder(cx.builder_dir, dir));
    Command::File(FileCommand::Rmfile { path })
}

/// A checkout that lays the build's patch over its tree. `is_about` says whether the build,
/// and so its patch, is about the repository of this one.
pub(in crate::steps) fn with_patch(
    checkout: &Checkout,
    remains: Remains,
    is_about: impl Fn(&Cx<'_>) -> Result<bool, StepError> + Send + 'static,
    inner: Box<dyn Run>,
) -> Box<dyn Run> {
    Box::new(Patched {
        checkout: checkout.clone(),
        remains,
        is_about: Box::new(is_about),
        inner,
        patch: None,
        act: None,
    })
}

type IsAbout = dyn Fn(&Cx<'_>) -> Result<bool, StepError> + Send;

struct Patched {
    checkout: Checkout,
    remains: Remains,
    is_about: Box<IsAbout>,
    inner: Box<dyn Run>,
    /// What is to be laid over the tree.
    patch: Option<Arc<Patch>>,
    /// What the last command was for; the checkout's own if `None`.
    act: Option<Act>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Is the tree of the last build patched?
    Look,
    RemoveTree,
    Mark,
    WriteDiff,
    Patch,
    RemoveDiff {
        is_good: bool,
    },
}

impl Patched {
    /// What comes before the checkout.
    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Move, StepError> {
        let patch = cx.stamp.patch.as_ref();
        let patch = patch.filter(|it| !it.diff.trim_ascii().is_empty());
        if let Some(patch) = patch
            && (self.is_about)(cx)?
        {
            self.patch = Some(Arc::new(patch.clone()));
            if let Err(why) = check(patch) {
                return Ok(self.refused(cx, why));
            }
        }
        match self.remains == Remains::Removed && self.checkout.mode.keeps_tree() {
            true => {
                let tree = self.checkout.tree(cx)?;
                Ok(self.run(Act::Look, is_patched(cx, &tree)))
            }
            false => self.check_out(cx, None),
        }
    }

    /// Lets the checkout go on, and the patch follow its good end.
    fn check_out(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        self.act = None;
        let next = self.inner.advance(cx, last)?;
        let Move::Done(done) = next else {
            return Ok(next);
        };
        if self.patch.is_none() || done.outcome != Outcome::Success {
            return Ok(Move::Done(self.with_log(done)));
        }
        let path = self.path(cx, MARK)?;
        let mark = Bytes {
            path: &path,
            bytes: b"patched\n",
            max_size: None,
            mode: None,
        };
        Ok(self.run(Act::Mark, mark.piece(0, PIECE)))
    }

    fn run(&mut self, act: Act, command: Command) -> Move {
        self.act = Some(act);
        Move::Run(command)
    }

    fn write_diff(&mut self, cx: &Cx<'_>, patch: &Patch, offset: u64) -> Result<Move, StepError> {
        let path = self.path(cx, DIFF)?;
        let diff = Bytes {
            path: &path,
            bytes: &patch.diff,
            max_size: None,
            mode: None,
        };
        Ok(self.run(Act::WriteDiff, diff.piece(offset, PIECE)))
    }

    fn lay(&mut self, cx: &Cx<'_>, patch: &Patch) -> Result<Move, StepError> {
        let tree = paths::of_builder(cx.builder_dir, &self.checkout.tree(cx)?);
        let subdir = patch.subdir.as_deref().filter(|it| !is_all(it));
        let needs_git = diff::needs_git(&patch.diff);
        let argv = match subdir {
            // No repository is meant: the tree may be of another program, or below one of git.
            None if needs_git => vec![
                "git".to_owned(),
                "--git-dir=/dev/null".to_owned(),
                "apply".to_owned(),
                format!("-p{}", patch.level),
                "--whitespace=nowarn".to_owned(),
                DIFF.to_owned(),
            ],
            None => vec![
                "patch".to_owned(),
                format!("-p{}", patch.level),
                "--remove-empty-files".to_owned(),
                "--force".to_owned(),
                "--forward".to_owned(),
                // Nothing else that a diff may be, such as a script for `ed`.
                "--unified".to_owned(),
                "-i".to_owned(),
                DIFF.to_owned(),
            ],
            // Only there it shows whether the directory is a link to somewhere else.
            Some(subdir) => vec![
                "/bin/sh".to_owned(),
                "-c".to_owned(),
                ENTER.to_owned(),
                "patch".to_owned(),
                subdir.to_owned(),
                patch.level.to_string(),
                if needs_git { "git" } else { "patch" }.to_owned(),
            ],
        };
        let command = Command::Shell(self.checkout.shell(cx, &tree, argv)?);
        Ok(self.run(Act::Patch, command))
    }

    /// A file in the tree, as the slave is told it.
    fn path(&self, cx: &Cx<'_>, name: &str) -> Result<String, StepError> {
        let tree = paths::of_builder(cx.builder_dir, &self.checkout.tree(cx)?);
        Ok(format!("{tree}/{name}"))
    }

    fn with_log(&self, mut verdict: Verdict) -> Verdict {
        if let Some(patch) = &self.patch {
            let diff = String::from_utf8_lossy(&patch.diff).into_owned();
            verdict.logs.push(("patch".into(), diff));
        }
        verdict
    }

    fn failed(&self, cx: &Cx<'_>) -> Verdict {
        self.with_log(verdict(cx, Outcome::Failure, vec!["patch".into()]))
    }

    fn refused(&self, cx: &Cx<'_>, why: String) -> Move {
        let mut verdict = self.failed(cx);
        verdict.logs.push(("err.text".into(), format!("{why}\n")));
        Move::Done(verdict)
    }
}

impl Run for Patched {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.inner.running_text(cx)
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.inner.done_text(cx)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return self.begin(cx);
        };
        let (Some(act), is_good) = (self.act, ended.exit.is_success()) else {
            return self.check_out(cx, last);
        };
        let patch = self.patch.clone();
        match (act, patch) {
            (Act::Look, _) if is_good => {
                let tree = self.checkout.tree(cx)?;
                let why = "the tree is patched";
                let remove = super::because(super::rmdir(cx, &tree)?, why, &tree);
                Ok(self.run(Act::RemoveTree, remove))
            }
            (Act::Look, _) => self.check_out(cx, None),
            (Act::RemoveTree, _) if is_good => self.check_out(cx, None),
            (Act::Mark, Some(patch)) if is_good => self.write_diff(cx, &patch, 0),
            (Act::WriteDiff, Some(patch)) if is_good => {
                let Some(written) = Written::parse(&ended.output.stdout(1000)) else {
                    let what = "the slave does not say how much it has written";
                    return Err(StepError::Other(what.into()));
                };
                match written.end < written.size {
                    true => self.write_diff(cx, &patch, written.end),
                    false => self.lay(cx, &patch),
                }
            }
            (Act::Patch, _) => {
                let path = self.path(cx, DIFF)?;
                let remove = Command::File(FileCommand::Rmfile { path });
                Ok(self.run(Act::RemoveDiff { is_good }, remove))
            }
            (Act::RemoveDiff { is_good: true }, _) => {
                let done = self.done_text(cx);
                let verdict = verdict(cx, Outcome::Success, done);
                Ok(Move::Done(self.with_log(verdict)))
            }
            (Act::RemoveTree | Act::Mark | Act::WriteDiff | Act::RemoveDiff { .. }, _) => {
                Ok(Move::Done(self.failed(cx)))
            }
        }
    }
}

/// Refuses a patch that would change something else than its tree.
fn check(patch: &Patch) -> Result<(), String> {
    if let Some(subdir) = &patch.subdir {
        let leaves = subdir.starts_with(['/', '-'])
            || subdir.chars().any(char::is_control)
            || subdir.split('/').any(|it| it == ".." || diff::is_own(it));
        if leaves {
            let shown = subdir.escape_debug();
            return Err(format!(
                "the patch is for `{shown}`, which is not a directory of the tree"
            ));
        }
    }
    diff::check(&patch.diff, patch.level).map_err(|it| it.to_string())
}

/// Whether a directory of the tree is the tree itself.
fn is_all(subdir: &str) -> bool {
    subdir.split('/').all(|it| matches!(it, "" | "."))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::steps::StepKind;
    use crate::steps::bench::Bench;
    use crate::steps::bench::err;
    use crate::steps::bench::out;
    use crate::steps::bench::run_program;
    use crate::steps::git;
    use crate::steps::mercurial;
    use crate::steps::read::tests::read_kind;
    use crate::steps::svn;

    const DIFF: &str = "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-one\n+patched\n\
                        --- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+made\n";

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn patch(diff: &str) -> Option<Patch> {
        Some(Patch {
            level: 1,
            diff: diff.into(),
            subdir: None,
            author: None,
            comment: None,
        })
    }

    /// A build with a patch whose tree is cloned anew, at the patch.
    fn cloned(patch: Option<Patch>) -> (Bench, String) {
        let lines = "repourl = \"https://x/r\"\nmode = \"full\"\nmethod = \"clobber\"";
        let step = read_kind(&git::KIND, lines);
        let mut bench = Bench::new(step.as_ref(), &git::KIND);
        bench.stamp.patch = patch;
        let first = bench.begin();
        if !first.ends_with("git --version") {
            return (bench, first);
        }
        for _ in 0..3 {
            bench.ends(0, &[]);
        }
        let after = bench.ends(0, &[out(COMMIT)]);
        (bench, after)
    }

    #[test]
    fn a_patch_is_laid_over_the_tree_once_it_is_there_and_is_a_log() {
        let (mut bench, told) = cloned(patch(DIFF));
        assert_eq!(told, "write hello/build/.buildbot-patched: patched\n");
        let told = bench.ends(0, &[out("wrote 8 of 8 bytes")]);
        assert_eq!(told, format!("write hello/build/.buildbot-diff: {DIFF}"));
        let size = DIFF.len();
        let told = bench.ends(0, &[out(&format!("wrote {size} of {size} bytes"))]);
        assert_eq!(
            told,
            "hello/build: patch -p1 --remove-empty-files --force --forward --unified -i .buildbot-diff"
        );
        assert_eq!(bench.ends(0, &[]), "rmfile hello/build/.buildbot-diff");
        assert_eq!(bench.ends(0, &[]), "success: update");
        let logs = &bench.verdict().logs;
        assert_eq!(*logs, [("patch".to_owned(), DIFF.to_owned())]);
    }

    #[test]
    fn a_patch_that_does_not_fit_fails_the_step() {
        let (mut bench, _) = cloned(patch(DIFF));
        bench.ends(0, &[]);
        bench.ends(0, &[out("wrote 9 of 9 bytes")]);
        let told = bench.ends(1, &[err("1 out of 1 hunk FAILED")]);
        assert_eq!(told, "rmfile hello/build/.buildbot-diff");
        assert_eq!(bench.ends(0, &[]), "failure: patch failed; build: git");
        assert_eq!(bench.verdict().logs[0].0, "patch");
    }

    #[test]
    fn a_patch_longer_than_one_command_is_written_in_pieces() {
        let lines = "+long\n".repeat(100_000);
        let long = format!("--- /dev/null\n+++ b/long\n@@ -0,0 +1,100000 @@\n{lines}");
        let (mut bench, _) = cloned(patch(&long));
        let size = long.len();
        let told = bench.ends(0, &[]);
        let first = format!("write hello/build/.buildbot-diff 0 of {size}…: ");
        assert!(told.starts_with(&first), "{}", &told[..80]);
        let told = bench.ends(0, &[out(&format!("wrote {PIECE} of {size} bytes"))]);
        let second = format!("write hello/build/.buildbot-diff {PIECE} of {size}: ");
        assert!(told.starts_with(&second), "{}", &told[..80]);
    }

    #[test]
    fn a_hostile_patch_fails_before_anything_is_checked_out() {
        let (bench, told) = cloned(patch(&DIFF.replace("b/new", "b/.git/hooks/post-checkout")));
        assert_eq!(told, "failure: patch failed; build: git");
        let (name, why) = &bench.verdict().logs[1];
        assert_eq!(name, "err.text");
        assert_eq!(
            why,
            "line 7 of the patch names `b/.git/hooks/post-checkout`, which is not for patches to change\n"
        );
        for subdir in ["..", "/etc", "a/../../b", "-x", ".git", "a\nb"] {
            let mut it = patch(DIFF);
            it.as_mut().expect("a patch").subdir = Some(subdir.into());
            let (bench, told) = cloned(it);
            assert_eq!(told, "failure: patch failed; build: git", "{subdir}");
            let why = &bench.verdict().logs[1].1;
            assert!(why.contains("is not a directory of the tree"), "{why}");
        }
    }

    #[test]
    fn what_patch_cannot_do_is_done_by_git() {
        let diff = "diff --git a/none b/none\nnew file mode 100644\n";
        let (mut bench, _) = cloned(patch(diff));
        bench.ends(0, &[]);
        let size = diff.len();
        let told = bench.ends(0, &[out(&format!("wrote {size} of {size} bytes"))]);
        assert_eq!(
            told,
            "hello/build: git --git-dir=/dev/null apply -p1 --whitespace=nowarn .buildbot-diff"
        );
    }

    #[test]
    fn an_empty_patch_is_none() {
        assert_eq!(cloned(patch("\n")).1, "success: update");
    }

    #[test]
    fn a_patch_of_another_repository_is_not_for_this_tree() {
        let step = read_kind(&git::KIND, "repourl = \"https://x/r\"");
        let mut bench = Bench::new(step.as_ref(), &git::KIND);
        bench.stamp.repository = "https://y".into();
        bench.stamp.patch = patch("garbage");
        assert_eq!(bench.begin(), "hello/build: git --version");
    }

    #[test]
    fn a_patched_tree_may_be_removed_before_the_next_checkout() {
        let step = read_kind(&git::KIND, "repourl = \"https://x/r\"");
        let checkout = Checkout::default();
        let mut bench = Bench::of_run(
            with_patch(&checkout, Remains::Removed, |_| Ok(true), step.begin()),
            &git::KIND,
        );
        let script: &[(&str, i32, &[_])] = &[
            ("stat hello/build/.buildbot-patched", 0, &[]),
            ("rmdir hello/build", 0, &[]),
        ];
        bench.plays(script, "hello/build: git --version");
    }

    /// A repository of each type with `file`, which says `one`, and `sub/file`.
    fn repositories(dir: &Path) -> Vec<(&'static StepKind, String)> {
        for name in ["git", "hg", "trunk"] {
            fs::create_dir_all(dir.join(name).join("sub")).expect("a directory");
            for file in ["file", "sub/file"] {
                fs::write(dir.join(name).join(file), "one\n").expect("a file");
            }
        }
        let run = |dir: &Path, program: &str, argv: &[&[&str]]| {
            for argv in argv {
                run_program(dir, program, argv);
            }
        };
        let at = |name: &str| dir.join(name).display().to_string();
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let commit = [&who[..], &["commit", "-q", "-m", "one"]].concat();
        let git: &[&[&str]] = &[&["init", "-q"], &["add", "."], &commit];
        run(&dir.join("git"), "git", git);
        let hg: &[&[&str]] = &[&["init"], &["commit", "-q", "-A", "-u", "a", "-m", "one"]];
        run(&dir.join("hg"), "hg", hg);
        let svn = format!("file://{}/trunk", at("svn"));
        run(dir, "svnadmin", &[&["create", "svn"]]);
        run(dir, "svn", &[&["import", "-q", "-m", "one", "trunk", &svn]]);
        vec![
            (&git::KIND, at("git")),
            (&mercurial::KIND, at("hg")),
            (&svn::KIND, svn),
        ]
    }

    #[test]
    fn a_real_patch_is_laid_over_every_tree_and_gone_with_the_next_build() {
        let world = tempfile::tempdir().expect("a directory");
        let build = world.path().join("hello/build");
        for (kind, url) in repositories(world.path()) {
            let methods: &[&str] = match kind.name {
                "svn" => &["clean", "fresh", "clobber", "copy", "export"],
                "git" => &["clean", "fresh", "clobber", "copy"],
                // It takes its time to start.
                _ => &["fresh"],
            };
            let modes = methods
                .iter()
                .map(|it| format!("mode = \"full\"\nmethod = \"{it}\""));
            for mode in [String::new()].into_iter().chain(modes) {
                let step = read_kind(kind, &format!("repourl = \"{url}\"\n{mode}"));
                let build_it = |patch: Option<Patch>| {
                    let mut bench = Bench::new(step.as_ref(), kind);
                    bench.stamp.patch = patch;
                    let told = bench.run_for_real(world.path());
                    assert_eq!(bench.verdict().outcome, Outcome::Success, "{told:#?}");
                    let said = |name: &str| fs::read_to_string(build.join(name)).ok();
                    let names = ["file", "new", "sub/file", "sub/new", MARK, super::DIFF];
                    names.map(|it| said(it).unwrap_or_default())
                };
                let mut inner = patch(DIFF);
                inner.as_mut().expect("a patch").subdir = Some("sub/".into());
                let plain = ["one\n", "", "one\n", "", "", ""];
                assert_eq!(build_it(None), plain, "{} {mode}", kind.name);
                let there = ["patched\n", "made\n", "one\n", "", "patched\n", ""];
                assert_eq!(build_it(patch(DIFF)), there, "{} {mode}", kind.name);
                let below = ["one\n", "", "patched\n", "made\n", "patched\n", ""];
                assert_eq!(build_it(inner), below, "{} {mode}", kind.name);
                assert_eq!(build_it(None), plain, "{} {mode}", kind.name);
            }
            fs::remove_dir_all(world.path().join("hello")).expect("there were trees");
        }
    }

    /// A new file without anything in it, one that is no text, and a new name.
    const BY_GIT: &str = "diff --git a/sub/file b/sub/other\nrename from sub/file\nrename to sub/other\n\
        diff --git a/none b/none\nnew file mode 100644\n\
        diff --git a/zero b/zero\nnew file mode 100644\n\
        index 0000000000000000000000000000000000000000..f71ac66a63ac339d7af6ffdfa9d67f1fdb33791c\n\
        GIT binary patch\nliteral 2\nJcmb<o0002?0DAxc\n\n";

    #[test]
    fn a_real_patch_of_files_that_are_no_text_is_laid_over_every_tree() {
        let world = tempfile::tempdir().expect("a directory");
        let build = world.path().join("hello/build");
        for (kind, url) in repositories(world.path()) {
            for subdir in [None, Some("sub")] {
                let step = read_kind(kind, &format!("repourl = \"{url}\""));
                let mut bench = Bench::new(step.as_ref(), kind);
                let mut it = patch(&match subdir {
                    None => BY_GIT.to_owned(),
                    Some(_) => BY_GIT
                        .replace("sub/file", "file")
                        .replace("sub/other", "other"),
                });
                it.as_mut().expect("a patch").subdir = subdir.map(str::to_owned);
                bench.stamp.patch = it;
                let told = bench.run_for_real(world.path());
                assert_eq!(bench.verdict().outcome, Outcome::Success, "{told:#?}");
                let at = |name: &str| build.join(subdir.unwrap_or_default()).join(name);
                assert_eq!(fs::read(at("none")).expect("a file"), b"", "{}", kind.name);
                assert_eq!(fs::read(at("zero")).expect("a file"), b"z\0");
                assert!(!build.join("sub/file").exists());
                let other = fs::read_to_string(build.join("sub/other"));
                assert_eq!(other.expect("a file"), "one\n");
            }
            fs::remove_dir_all(world.path().join("hello")).expect("there were trees");
        }
    }

    #[test]
    fn a_link_of_the_tree_leads_no_patch_out_of_it() {
        let world = tempfile::tempdir().expect("a directory");
        let at = |name: &str| world.path().join(name);
        let (_, url) = repositories(world.path()).swap_remove(0);
        fs::create_dir(at("outside")).expect("a directory");
        fs::write(at("outside/file"), "one\n").expect("a file");
        for (name, target) in [("way", "outside"), ("link", "outside/file")] {
            std::os::unix::fs::symlink(at(target), at("git").join(name)).expect("a link");
        }
        run_program(&at("git"), "git", &["add", "."]);
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let commit = [&who[..], &["commit", "-q", "-m", "links"]].concat();
        run_program(&at("git"), "git", &commit);
        let step = read_kind(&git::KIND, &format!("repourl = \"{url}\""));
        for (subdir, name) in [(None, "way/file"), (None, "link"), (Some("way"), "file")] {
            let mut it = patch(&DIFF.replace("/file", &format!("/{name}")));
            it.as_mut().expect("a patch").subdir = subdir.map(str::to_owned);
            let mut bench = Bench::new(step.as_ref(), &git::KIND);
            bench.stamp.patch = it;
            let told = bench.run_for_real(world.path());
            let end = told.last().map(String::as_str);
            assert_eq!(end, Some("failure: patch failed; build: git"), "{told:#?}");
            let left = fs::read_to_string(at("outside/file")).expect("a file");
            assert_eq!(left, "one\n", "{name}");
            assert!(!at("outside/new").exists());
        }
    }
}
