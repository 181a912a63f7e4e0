//! What the step runs, and what it makes of the answers.

use std::fs;
use std::path::Path;

use super::super::bench::Bench;
use super::super::bench::err;
use super::super::bench::out;
use super::super::bench::run_program;
use super::super::read::tests::read_kind;
use super::*;
use crate::model::Shell;
use crate::model::ShellLine;

const URL: &str = "https://example.org/hello.git";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn git(url: &str, mode: Mode) -> Git {
    Git {
        checkout: Checkout {
            repourl: Some(Text::literal(url).into()),
            mode,
            ..Checkout::default()
        },
        ..Git::default()
    }
}

fn bench(step: &Git) -> Bench {
    Bench::new(step, &KIND)
}

#[test]
fn an_incremental_checkout_fetches_and_resets() {
    let mut bench = bench(&git(URL, Mode::Incremental));
    assert_eq!(bench.running_text(), ["updating"]);
    let script: &[(&str, i32, &[_])] = &[
        ("hello/build: git --version", 0, &[]),
        ("stat hello/build/.git", 0, &[]),
        ("stat hello/build/.buildbot-patched", 1, &[]),
        (
            "hello/build: git fetch -t https://example.org/hello.git master",
            0,
            &[],
        ),
        ("hello/build: git reset --hard FETCH_HEAD", 0, &[]),
        ("hello/build: git branch -M master", 0, &[]),
        ("hello/build: git rev-parse HEAD", 0, &[out(COMMIT)]),
    ];
    bench.plays(script, "success: update");
    assert_eq!(bench.properties.text("got_revision"), Some(COMMIT));
}

#[test]
fn a_revision_that_is_here_already_is_not_fetched() {
    let mut step = git(URL, Mode::Incremental);
    step.submodules = true;
    let mut bench = bench(&step);
    bench.stamp.branch = Some("main".into());
    bench.stamp.revision = Some("abc123".into());
    let script: &[(&str, i32, &[_])] = &[
        ("hello/build: git --version", 0, &[]),
        ("stat hello/build/.git", 0, &[]),
        ("stat hello/build/.buildbot-patched", 1, &[]),
        ("hello/build: git cat-file -e abc123", 0, &[]),
        ("hello/build: git reset --hard abc123", 0, &[]),
        ("hello/build: git branch -M main", 0, &[]),
        (
            "hello/build: git submodule update --init --recursive",
            0,
            &[],
        ),
        ("hello/build: git rev-parse HEAD", 0, &[out("no commit")]),
    ];
    bench.plays(script, "failure: update failed; build: git");
}

#[test]
fn a_fresh_checkout_is_cleaned_before_and_below() {
    let mut step = git(URL, Mode::Fresh);
    step.submodules = true;
    step.branch = Some(Text::literal("main"));
    let script: &[(&str, i32, &[_])] = &[
        ("hello/build: git --version", 0, &[]),
        ("stat hello/build/.git", 0, &[]),
        ("hello/build: git clean -f -d -x", 0, &[]),
        (
            "hello/build: git fetch -t https://example.org/hello.git main",
            0,
            &[],
        ),
        ("hello/build: git reset --hard FETCH_HEAD", 0, &[]),
        // Where it cannot be, as at a tag, what is built is the same.
        ("hello/build: git branch -M main", 128, &[]),
        (
            "hello/build: git submodule update --init --recursive",
            0,
            &[],
        ),
        (
            "hello/build: git submodule foreach git clean -f -d -x",
            0,
            &[],
        ),
        ("hello/build: git rev-parse HEAD", 0, &[out(COMMIT)]),
    ];
    bench(&step).plays(script, "success: update");
}

#[test]
fn a_copy_is_made_of_a_checkout_that_is_kept() {
    let mut step = git(URL, Mode::Copy);
    step.shallow = true;
    let script: &[(&str, i32, &[_])] = &[
        ("hello/source: git --version", 0, &[]),
        ("rmdir hello/build", 0, &[]),
        ("stat hello/source/.git", 1, &[]),
        (
            "hello/source: git clone --depth 1 --branch master https://example.org/hello.git .",
            0,
            &[],
        ),
        ("hello/source: git rev-parse HEAD", 0, &[out(COMMIT)]),
        ("cpdir hello/source hello/build", 1, &[]),
    ];
    bench(&step).plays(script, "failure: update failed; build: git");
}

#[test]
fn every_tree_that_is_copied_has_a_kept_checkout_of_its_own() {
    for (tree, kept) in [
        ("build", "source"),
        ("./build/", "source"),
        ("build/a", "source-build-a"),
        ("build/b", "source-build-b"),
    ] {
        let mut step = git(URL, Mode::Copy);
        step.checkout.workdir = Some(Text::literal(tree));
        let expected = format!("hello/{kept}: git --version");
        assert_eq!(bench(&step).begin(), expected);
    }
}

#[test]
fn a_failed_fetch_is_tried_again_from_nothing_once_and_then_as_often_as_said() {
    let mut step = git(URL, Mode::Incremental);
    step.branch = Some(Text::literal("main"));
    step.checkout.retry.times = 1;
    let clone = "hello/build: git clone --branch main https://example.org/hello.git .";
    let script: &[(&str, i32, &[_])] = &[
        ("hello/build: git --version", 0, &[]),
        ("stat hello/build/.git", 0, &[]),
        ("stat hello/build/.buildbot-patched", 1, &[]),
        (
            "hello/build: git fetch -t https://example.org/hello.git main",
            128,
            &[],
        ),
        ("rmdir hello/build", 0, &[]),
        (clone, 128, &[]),
        ("rmdir hello/build", 0, &[]),
        (clone, 128, &[]),
    ];
    bench(&step).plays(script, "failure: update failed; build: git");
}

#[test]
fn a_fetch_is_tried_once_more_where_that_is_said_and_a_tree_is_kept_where_that_is() {
    let fetch = "hello/build: git fetch -t https://example.org/hello.git main";
    let reset = "hello/build: git reset --hard FETCH_HEAD";
    let clone = "hello/build: git clone --branch main https://example.org/hello.git .";
    let begin: [(&str, i32, &[_]); 3] = [
        ("hello/build: git --version", 0, &[]),
        ("stat hello/build/.git", 0, &[]),
        ("stat hello/build/.buildbot-patched", 1, &[]),
    ];
    let failed = "failure: update failed; build: git";
    let check = |lines: &str, more: &[(&str, i32, &[_])], end: &str| {
        let lines = format!("repourl = '{URL}'\nbranch = 'main'\n{lines}");
        let step = read_kind(&KIND, &lines);
        Bench::new(step.as_ref(), &KIND).plays(&[&begin, more].concat(), end);
    };
    let twice: &[(&str, i32, &[_])] = &[
        (fetch, 0, &[]),
        (reset, 128, &[]),
        (fetch, 128, &[]),
        ("rmdir hello/build", 0, &[]),
        (clone, 128, &[]),
    ];
    check("retry_fetch = true", twice, failed);
    check("clobber_on_failure = false", &[(fetch, 128, &[])], failed);
    let both = "retry_fetch = true\nclobber_on_failure = false";
    check(both, &twice[..3], failed);
}

#[test]
fn a_patch_set_of_gerrit_is_fetched_instead_of_the_branch() {
    let patch_set = "refs/changes/34/1234/5";
    let properties: [(&str, &str); 2] = [
        ("event.patchSet.ref", patch_set),
        ("gerrit_change", "1234/5"),
    ];
    let fetch = format!("hello/build: git fetch -t {URL} {patch_set}");
    for (name, value) in properties {
        let begun = |mode| {
            let mut bench = bench(&git(URL, mode));
            bench.stamp.branch = Some("main/1234".into());
            bench.stamp.revision = Some(COMMIT.into());
            bench.properties.set(name, value, "Change");
            bench
        };
        let mut updated = begun(Mode::Incremental);
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: git --version", 0, &[]),
            ("stat hello/build/.git", 0, &[]),
            ("stat hello/build/.buildbot-patched", 1, &[]),
            (&format!("hello/build: git cat-file -e {COMMIT}"), 1, &[]),
            (&fetch, 0, &[]),
        ];
        updated.plays(script, &format!("hello/build: git reset --hard {COMMIT}"));
        let set = updated.properties.iter().find(|it| it.0 == "gerrit_branch");
        let set = set.map(|(_, it)| (it.value.clone(), it.source.as_str()));
        assert_eq!(set, Some((patch_set.into(), "Unknown")));

        // It is no branch that could be cloned.
        let mut cloned = begun(Mode::Clobber);
        let clone = format!("hello/build: git clone --no-checkout {URL} .");
        let script: &[(&str, i32, &[_])] = &[
            ("hello/build: git --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (&clone, 0, &[]),
            (&fetch, 0, &[]),
        ];
        cloned.plays(script, &format!("hello/build: git reset --hard {COMMIT}"));

        // The mirror is asked for the first branch, and then for it.
        let mut mirrored = begun(Mode::Clobber);
        mirrored.begin();
        mirrored.ends(0, &[]);
        let asked = |shell: Shell| shell.mirror.map(|it| (it.branch, it.revision));
        assert_eq!(asked(mirrored.ends_shell(0)), Some((None, None)));
        let expected = (Some(patch_set.to_owned()), Some(COMMIT.to_owned()));
        assert_eq!(asked(mirrored.ends_shell(0)), Some(expected));
    }
    // A change of another repository has nothing to say here.
    let mut other = bench(&git(URL, Mode::Clobber));
    other.stamp.repository = "https://y".into();
    other.properties.set("gerrit_change", "1/2", "Change");
    other.begin();
    assert_eq!(other.properties.get("gerrit_branch"), None);
    let mut hostile = bench(&git(URL, Mode::Clobber));
    let bad = "refs/a:refs/heads/main";
    hostile.properties.set("event.patchSet.ref", bad, "Change");
    let expected = format!("error: the property `event.patchSet.ref` is no ref: `{bad}`");
    assert_eq!(hostile.begin(), expected);
}

#[test]
fn a_clone_may_borrow_and_a_patched_tree_is_cleaned_with_its_submodules() {
    let lines = format!(
        "repourl = '{URL}'\nreference = '/srv/%(branch)s.git'\nmode = 'clobber'\nprogress = true"
    );
    let mut bench = Bench::new(read_kind(&KIND, &lines).as_ref(), &KIND);
    bench.properties.set("branch", "b", "test");
    bench.begin();
    bench.ends(0, &[]);
    let clone = "hello/build: git clone --reference /srv/b.git --branch master \
                     https://example.org/hello.git . --progress";
    assert_eq!(bench.ends(0, &[]), clone);

    let mut step = git(URL, Mode::Incremental);
    step.submodules = true;
    let script: &[(&str, i32, &[_])] = &[
        ("hello/build: git --version", 0, &[]),
        ("stat hello/build/.git", 0, &[]),
        ("stat hello/build/.buildbot-patched", 0, &[]),
        ("hello/build: git clean -f -d", 0, &[]),
        ("rmfile hello/build/.buildbot-patched", 1, &[]),
        (
            "hello/build: git fetch -t https://example.org/hello.git master",
            0,
            &[],
        ),
        ("hello/build: git reset --hard FETCH_HEAD", 0, &[]),
        ("hello/build: git branch -M master", 0, &[]),
        (
            "hello/build: git submodule update --init --recursive",
            0,
            &[],
        ),
        ("hello/build: git submodule foreach git clean -f -d", 0, &[]),
    ];
    let end = "hello/build: git rev-parse HEAD";
    Bench::new(&step, &KIND).plays(script, end);
}

#[test]
fn a_branch_that_is_gone_removes_no_checkout() {
    let mut step = git(URL, Mode::Incremental);
    step.branch = Some(Text::literal("gone"));
    let script: &[(&str, i32, &[_])] = &[
        ("hello/build: git --version", 0, &[]),
        ("stat hello/build/.git", 0, &[]),
        ("stat hello/build/.buildbot-patched", 1, &[]),
        (
            "hello/build: git fetch -t https://example.org/hello.git gone",
            128,
            &[err("fatal: couldn't find remote ref gone")],
        ),
    ];
    bench(&step).plays(script, "failure: update failed; build: git");
}

/// What the mirror is asked for, of a command that may have one.
fn asks(bench: &mut Bench, code: i32) -> Option<(String, Option<String>, bool)> {
    let shell = bench.ends_shell(code);
    let mirror = shell.mirror?;
    let ShellLine::Argv(words) = &shell.line else {
        panic!("git has words");
    };
    assert_eq!(words[mirror.word], URL);
    let branch = mirror.branch.unwrap_or_default();
    Some((branch, mirror.revision, mirror.is_doubted))
}

#[test]
fn what_asks_the_repository_may_ask_the_mirror_and_what_fails_behind_it_doubts_it() {
    let mut step = git(URL, Mode::Incremental);
    step.branch = Some(Text::literal("main"));
    step.checkout.retry.times = 1;
    let main = |doubted| Some(("main".to_owned(), None, doubted));
    let mut bench = bench(&step);
    bench.begin();
    bench.ends(0, &[]);
    bench.ends(0, &[]);
    assert_eq!(asks(&mut bench, 1), main(false), "it fetches");
    assert_eq!(asks(&mut bench, 0), None, "it resets");
    assert_eq!(bench.ends(128, &[]), "rmdir hello/build");
    assert_eq!(asks(&mut bench, 0), main(true), "it clones");
    assert_eq!(bench.ends(128, &[]), "rmdir hello/build");
    assert_eq!(asks(&mut bench, 0), main(true), "it clones again");
    assert_eq!(asks(&mut bench, 0), None, "it asks for the revision");
}

#[test]
fn a_mirror_is_for_whole_repositories_that_are_somewhere_else() {
    let check = |step: &Git, expected: bool| {
        let mut bench = bench(step);
        bench.begin();
        bench.ends(0, &[]);
        let clone = bench.ends_shell(0);
        assert_eq!(clone.mirror.is_some(), expected, "{step:?}");
    };
    let clobber = |url: &str| git(url, Mode::Clobber);
    check(&clobber(URL), true);
    check(&clobber("file:///srv/x"), false);
    let shallow = true;
    check(
        &Git {
            shallow,
            ..clobber(URL)
        },
        false,
    );
    let mut step = clobber(URL);
    step.checkout.mirror = false;
    check(&step, false);
}

#[test]
fn a_slave_without_git_fails_at_once() {
    let script: &[(&str, i32, &[_])] = &[("hello/build: git --version", 127, &[])];
    bench(&git(URL, Mode::Clobber)).plays(script, "failure: update failed; build: git");
}

#[test]
fn a_revision_that_looks_like_an_option_reaches_no_program() {
    let mut bench = bench(&git(URL, Mode::Incremental));
    bench.stamp.revision = Some("--output=/etc/passwd".into());
    let expected = "error: the revision `--output=/etc/passwd` begins with `-`";
    assert_eq!(bench.begin(), expected);
}

#[test]
fn a_password_in_the_url_is_masked() {
    let mut bench = bench(&git("https://u:secret@host/x", Mode::Incremental));
    assert_eq!(bench.begin_shell().mask, ["secret"]);
}

/// A repository with two commits on `main` and one more on `side`.
fn repository(dir: &Path) -> String {
    fs::create_dir_all(dir).expect("a directory");
    let git = |argv: &[&str]| {
        let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
        run_program(dir, "git", &[&who, argv].concat())
    };
    git(&["init", "-q", "-b", "main"]);
    for word in ["one", "two"] {
        fs::write(dir.join("file"), word).expect("a file");
        git(&["add", "."]);
        git(&["commit", "-q", "-m", word]);
    }
    git(&["checkout", "-q", "-b", "side"]);
    fs::write(dir.join("file"), "side").expect("a file");
    git(&["commit", "-q", "-a", "-m", "side"]);
    git(&["checkout", "-q", "main"]);
    dir.display().to_string()
}

struct World {
    dir: tempfile::TempDir,
    url: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = repository(&dir.path().join("repository"));
        Self { dir, url }
    }

    /// Builds and tells what `file` says then.
    fn build(&self, step: &Git, branch: Option<&str>, revision: Option<&str>) -> String {
        let mut bench = bench(step);
        bench.stamp.branch = branch.map(str::to_owned);
        bench.stamp.revision = revision.map(str::to_owned);
        let told = bench.run_for_real(self.dir.path());
        assert_eq!(
            told.last().map(String::as_str),
            Some("success: update"),
            "{told:#?}"
        );
        let got = bench
            .properties
            .text("got_revision")
            .expect("a revision")
            .to_owned();
        let head = self.rev_parse(&self.dir.path().join("hello/build"), "HEAD");
        assert_eq!(got, head);
        fs::read_to_string(self.dir.path().join("hello/build/file")).expect("a file")
    }

    fn rev_parse(&self, dir: &Path, what: &str) -> String {
        run_program(dir, "git", &["rev-parse", what])
            .trim()
            .to_owned()
    }
}

#[test]
fn real_checkouts_reach_branches_and_revisions_in_every_mode() {
    let world = World::new();
    let first = world.rev_parse(Path::new(&world.url), "main~1");
    for mode in [
        Mode::Incremental,
        Mode::Clean,
        Mode::Fresh,
        Mode::Clobber,
        Mode::Copy,
    ] {
        for url in [world.url.clone(), format!("file://{}", world.url)] {
            let step = git(&url, mode);
            // Nobody names a branch, and there is no `master`.
            assert_eq!(world.build(&step, None, None), "two", "{mode:?}");
            assert_eq!(world.build(&step, Some("side"), None), "side", "{mode:?}");
            assert_eq!(
                world.build(&step, Some("main"), Some(&first)),
                "one",
                "{mode:?}"
            );
            assert_eq!(world.build(&step, Some("main"), None), "two", "{mode:?}");
        }
    }
}

#[test]
fn the_local_branch_is_called_as_the_one_that_is_built() {
    let world = World::new();
    let origin = Path::new(&world.url);
    run_program(origin, "git", &["tag", "v1", "main~1"]);
    let head = || {
        let build = world.dir.path().join("hello/build");
        run_program(&build, "git", &["rev-parse", "--abbrev-ref", "HEAD"])
    };
    for mode in [Mode::Incremental, Mode::Fresh, Mode::Copy] {
        let step = git(&world.url, mode);
        let built = |branch| {
            world.build(&step, Some(branch), None);
            head()
        };
        assert_eq!(built("main"), "main\n", "{mode:?}");
        assert_eq!(built("side"), "side\n", "{mode:?}");
        assert_eq!(built("main"), "main\n", "{mode:?}");
    }
    // A tag is no branch: who is at one stays on none.
    let at_tag = git(&world.url, Mode::Clobber);
    assert_eq!(world.build(&at_tag, Some("v1"), None), "one");
    assert_eq!(head(), "HEAD\n");
    let then = git(&world.url, Mode::Incremental);
    assert_eq!(world.build(&then, Some("v1"), None), "one");

    // So is a patch set of Gerrit: it belongs to its branch.
    let commit = world.rev_parse(origin, "side");
    run_program(
        origin,
        "git",
        &["update-ref", "refs/changes/34/1234/5", &commit],
    );
    let mut bench = bench(&then);
    bench.stamp.branch = Some("main".into());
    bench
        .properties
        .set("gerrit_change", "1234/5", "Force Build Form");
    world.build(&git(&world.url, Mode::Clobber), Some("main"), None);
    bench.run_for_real(world.dir.path());
    assert_eq!(bench.properties.text("got_revision"), Some(commit.as_str()));
    assert_eq!(head(), "main\n");
}

#[test]
fn a_rewritten_branch_and_a_broken_checkout_are_overcome() {
    let world = World::new();
    let step = git(&world.url, Mode::Incremental);
    assert_eq!(world.build(&step, Some("main"), None), "two");
    run_program(
        Path::new(&world.url),
        "git",
        &["reset", "-q", "--hard", "main~1"],
    );
    assert_eq!(world.build(&step, Some("main"), None), "one");
    fs::remove_dir_all(world.dir.path().join("hello/build/.git/objects")).expect("objects");
    assert_eq!(world.build(&step, Some("main"), None), "one");
}

#[test]
fn cleaning_removes_what_the_method_says() {
    let world = World::new();
    let build = world.dir.path().join("hello/build");
    let left_by = |mode| {
        world.build(&git(&world.url, Mode::Clobber), None, None);
        fs::write(build.join(".git/info/exclude"), "ignored\n").expect("a file");
        fs::write(build.join("ignored"), "").expect("a file");
        fs::write(build.join("unknown"), "").expect("a file");
        world.build(&git(&world.url, mode), None, None);
        ["ignored", "unknown"].map(|it| build.join(it).exists())
    };
    assert_eq!(left_by(Mode::Incremental), [true, true]);
    assert_eq!(left_by(Mode::Clean), [true, false]);
    assert_eq!(left_by(Mode::Fresh), [false, false]);
}

#[test]
fn a_shallow_clone_would_lack_a_wanted_revision() {
    let lines = format!("repourl = '{URL}'\nmode = 'clobber'\nbranch = 'b'\nshallow = true");
    let step = read_kind(&KIND, &lines);
    for (revision, options) in [(None, "--depth 1 "), (Some(COMMIT), "")] {
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.stamp.revision = revision.map(str::to_owned);
        bench.begin();
        bench.ends(0, &[]);
        let clone = format!("hello/build: git clone {options}--branch b {URL} .");
        assert_eq!(bench.ends(0, &[]), clone);
    }
}

#[test]
fn what_git_ignores_is_cleaned_too_where_that_is_said() {
    let cleans = |more: &str, is_patched: bool| {
        let step = read_kind(&KIND, &format!("repourl = '{URL}'\n{more}"));
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.begin();
        bench.ends(0, &[]);
        let told = bench.ends(0, &[]);
        if is_patched { bench.ends(0, &[]) } else { told }
    };
    let clean = "mode = 'full'\nmethod = 'clean'";
    let spared = "hello/build: git clean -f -d";
    assert_eq!(cleans(clean, false), spared);
    assert_eq!(cleans("", true), spared);
    let ignored = format!("{spared} -x");
    let said = "ignore_ignores = true";
    assert_eq!(cleans(said, true), ignored);
    assert_eq!(cleans(&format!("{clean}\n{said}"), false), ignored);
}
