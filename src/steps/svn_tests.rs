//! What the step runs, and what it makes of the answers.

use std::fs;
use std::path::Path;

use super::super::bench::Bench;
use super::super::bench::err;
use super::super::bench::out;
use super::super::bench::run_program;
use super::super::read::tests::problems_of;
use super::super::read::tests::read_kind;
use super::*;
use crate::model::Patch;
use crate::model::Properties;
use crate::model::SourceStamp;

const URL: &str = "https://example.org/svn/trunk";

fn svn(mode: Mode) -> Svn {
    Svn {
        checkout: Checkout {
            mode,
            ..Checkout::default()
        },
        urls: SvnUrls::One(Text::literal(URL).into()),
        ..Svn::default()
    }
}

fn info(url: &str) -> String {
    format!("<info><entry revision='9'><url>{url}</url></entry></info>")
}

#[test]
fn an_incremental_checkout_updates_what_is_of_the_same_url() {
    let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
    bench.stamp.revision = Some("7".into());
    let info = info(URL);
    bench.plays(
        &[
            ("hello/build: svn --version --quiet", 0, &[]),
            ("stat hello/build/.svn", 0, &[]),
            ("hello/build: svn info --xml", 0, &[out(&info)]),
            ("stat hello/build/.buildbot-patched", 1, &[]),
            (
                "hello/build: svn update --revision=7 --non-interactive --no-auth-cache",
                0,
                &[],
            ),
            ("hello/build: svnversion .", 0, &[out("5:7MS")]),
        ],
        "success: update r7",
    );
    assert_eq!(bench.properties.text("got_revision"), Some("7"));
}

#[test]
fn another_url_and_a_broken_checkout_are_removed_and_a_silent_repository_is_not_blamed_on_it() {
    let checkout = format!(
        "hello/build: svn checkout --revision=HEAD --non-interactive --no-auth-cache -- {URL}@ ."
    );
    let update = "hello/build: svn update --revision=HEAD --non-interactive --no-auth-cache";
    let other = info("https://example.org/svn/other");
    let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
    bench.plays(
        &[
            ("hello/build: svn --version --quiet", 0, &[]),
            ("stat hello/build/.svn", 0, &[]),
            ("hello/build: svn info --xml", 0, &[out(&other)]),
            ("rmdir hello/build", 0, &[]),
            (&checkout, 0, &[]),
            (
                "hello/build: svnversion .",
                0,
                &[out("Unversioned directory")],
            ),
            ("rmdir hello/build", 0, &[]),
            (&checkout, 0, &[]),
            ("hello/build: svnversion .", 0, &[out("exported")]),
        ],
        "failure: update failed; build: svn",
    );
    let same = info(URL);
    for (complaint, is_blamed) in [("svn: E155004: locked", true), ("svn: E170013: no", false)] {
        let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
        bench.begin();
        bench.ends(0, &[]);
        bench.ends(0, &[]);
        bench.ends(0, &[out(&same)]);
        assert_eq!(bench.ends(1, &[]), update);
        let next = bench.ends(1, &[err(complaint)]);
        assert_eq!(next == "rmdir hello/build", is_blamed, "{next}");
    }
}

#[test]
fn cleaning_removes_what_the_repository_does_not_know_but_for_what_is_kept() {
    let step = Svn {
        keep_on_purge: vec![Text::literal("cache")],
        ..svn(Mode::Fresh)
    };
    let mut bench = Bench::new(&step, &KIND);
    let same = info(URL);
    let status = "<status><target path='.'>\
            <entry path='a&amp;b'><wc-status item='unversioned'/></entry>\
            <entry path='cache'><wc-status item='ignored'/></entry>\
            <entry path='m'><wc-status item='modified'/></entry>\
            <entry path='gone'><wc-status item='missing'/></entry>\
            <entry path='ext'><wc-status item='external'/></entry></target></status>";
    bench.begin();
    bench.ends(0, &[]);
    bench.ends(0, &[]);
    let told = bench.ends(0, &[out(&same)]);
    assert_eq!(told, "hello/build: svn status --xml --no-ignore");
    assert_eq!(bench.ends(0, &[out(status)]), "rmdir hello/build/a&b");
    assert_eq!(bench.ends(0, &[]), "rmdir hello/build/m");
    assert!(bench.ends(0, &[]).starts_with("hello/build: svn update"));
    // A name that leads out of the tree is removed by nobody.
    let evil = "<status><entry path='../../x'><wc-status item='unversioned'/></entry></status>";
    let mut bench = Bench::new(&step, &KIND);
    bench.begin();
    bench.ends(0, &[]);
    bench.ends(0, &[]);
    bench.ends(0, &[out(&same)]);
    assert!(bench.ends(0, &[out(evil)]).starts_with("error: "));
}

#[test]
fn a_tree_is_purged_before_an_update_if_it_is_patched_or_always() {
    let same = info(URL);
    let status = "hello/build: svn status --xml";
    let all = "hello/build: svn status --xml --no-ignore";
    let mut step = svn(Mode::Incremental);
    for (always, spares, expected) in [
        (false, false, all),
        (false, true, status),
        (true, true, status),
    ] {
        (step.always_purge, step.spares_ignored) = (always, spares);
        let mut bench = Bench::new(&step, &KIND);
        bench.begin();
        bench.ends(0, &[]);
        bench.ends(0, &[]);
        let mut told = bench.ends(0, &[out(&same)]);
        if !always {
            assert_eq!(told, "stat hello/build/.buildbot-patched");
            told = bench.ends(0, &[]);
        }
        assert_eq!(told, expected);
    }
}

#[test]
fn its_text_says_what_is_out_of_the_ordinary() {
    let check = |url: &str, revision: Option<&str>, is_patched: bool, expected: &[&str]| {
        let step = Svn {
            urls: SvnUrls::One(Text::literal(url).into()),
            ..svn(Mode::Incremental)
        };
        let mut bench = Bench::new(&step, &KIND);
        bench.stamp.revision = revision.map(str::to_owned);
        bench.stamp.patch = is_patched.then(|| Patch {
            level: 0,
            diff: b"x".to_vec(),
            subdir: None,
            author: None,
            comment: None,
        });
        assert_eq!(bench.running_text(), expected, "{url}");
    };
    check(URL, None, false, &["updating"]);
    check(
        "https://x/branches/b",
        None,
        false,
        &["updating", "[branch]"],
    );
    check(URL, Some("7"), false, &["updating", "r7"]);
    check(URL, Some("7"), true, &["updating", "r7", "[patch]"]);
}

#[test]
fn a_map_is_of_repositories_or_of_branches() {
    let lines = "mode = 'clobber'\nrepourl = { 'http://x/' = 'http://y/trunk', b = 'http://z/b' }";
    let step = read_kind(&KIND, lines);
    for (repository, branch, expected) in [
        ("http://x", "any", "http://y/trunk"),
        ("http://z", "b", "http://z/b"),
    ] {
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.stamp.repository = repository.into();
        bench.stamp.branch = Some(branch.into());
        bench.begin();
        bench.ends(0, &[]);
        let told = bench.ends(0, &[]);
        assert!(told.ends_with(&format!(" -- {expected}@ .")), "{told}");
    }
    insta::assert_snapshot!(
        problems_of(&KIND, "repourl = 'http://x'\nbase_url = 'http://y'"),
        @"factories/x.toml:3:12: `base_url` takes the place of `repourl`, with a branch behind it"
    );
}

#[test]
fn a_branch_has_its_url() {
    let told = |urls: SvnUrls, stamp: SourceStamp| {
        let step = Svn {
            urls,
            ..svn(Mode::Clobber)
        };
        let mut bench = Bench::new(&step, &KIND);
        bench.stamp = stamp;
        let first = bench.begin();
        if first.starts_with("error") {
            return first;
        }
        bench.ends(0, &[]);
        let line = bench.ends(0, &[]);
        let (head, url) = line.split_once(" -- ").expect("a URL");
        let revision = head.split("--revision=").nth(1).expect("a revision");
        format!("{} {url}", revision.split(' ').next().unwrap_or_default())
    };
    let stamp = |repository: &str, branch: Option<&str>| SourceStamp {
        repository: repository.into(),
        branch: branch.map(str::to_owned),
        revision: Some("5".into()),
        ..SourceStamp::default()
    };
    let map = || {
        let pairs = [
            ("trunk", "http://x/svn/d/trunk"),
            ("1.2.X", "http://x/svn/d/b/1.2.X"),
        ];
        SvnUrls::Map(
            pairs
                .map(|(name, url)| (name.into(), Text::literal(url)))
                .into(),
        )
    };
    let root = "http://x/svn";
    let said = told(map(), stamp(root, Some("1.2.X")));
    assert_eq!(said, "5 http://x/svn/d/b/1.2.X@5 .");
    assert_eq!(
        told(map(), stamp(root, Some("9"))),
        "error: `repourl` has no URL for the branch `9`"
    );
    let unnamed = "error: the build names no branch, and the checkout has no `default_branch`";
    assert_eq!(told(map(), stamp(root, None)), unnamed);
    assert_eq!(told(map(), stamp("http://y/svn", Some("trunk"))), unnamed);

    let below = |base: &str| SvnUrls::Below(Text::parse(base).expect(base).into());
    let said = told(below("http://x/svn/"), stamp(root, Some("branches/1")));
    assert_eq!(said, "5 http://x/svn/branches/1@5 .");
    let said = told(below("http://x/svn/%%BRANCH%%/p"), stamp(root, Some("b")));
    assert_eq!(said, "5 http://x/svn/b/p@5 .");
    let said = told(
        SvnUrls::Below(RepoUrl::Parts(vec![
            Text::literal("http://x/"),
            Text::literal("/b/"),
        ])),
        stamp("svn", Some("b")),
    );
    assert_eq!(said, "5 http://x/svn/b/b@5 .");
    let said = told(below("http://x/svn/"), stamp(root, Some("../y")));
    assert!(said.starts_with("error: the branch `../y`"), "{said}");

    // A stamp of another repository says nothing about this one.
    let one = || SvnUrls::One(Text::literal(URL).into());
    assert_eq!(
        told(one(), stamp("http://y/", None)),
        format!("HEAD {URL}@ .")
    );
    let inner = stamp("https://example.org/svn", None);
    assert_eq!(told(one(), inner), format!("5 {URL}@5 ."));
    assert_eq!(
        told(SvnUrls::Stamp, stamp("http://y/z", None)),
        "5 http://y/z@5 ."
    );
}

#[test]
fn a_url_may_be_written_in_two_ways() {
    assert!(is_same_place("http://x/a%20%c3%bc", "http://u@x/a ü/"));
    assert!(is_same_place("file:///x/100%", "/x/100%"));
    assert!(!is_same_place("http://x/a", "http://x/b"));
}

#[test]
fn the_highest_revision_of_the_changes_is_built() {
    let change = |revision: Option<&str>| Change {
        id: crate::model::ChangeId(1),
        author: String::new(),
        files: Vec::new(),
        comments: String::new(),
        revision: revision.map(str::to_owned),
        branch: None,
        category: None,
        revlink: String::new(),
        repository: String::new(),
        project: String::new(),
        when: crate::model::Timestamp(0),
        properties: Properties::new(),
    };
    let all = [change(Some("9")), change(Some("10")), change(Some("8"))];
    assert_eq!(highest(&all).as_deref(), Some("10"));
    assert_eq!(highest(&[change(Some("9")), change(None)]), None);
    assert_eq!(highest(&[]), None);
}

#[test]
fn a_password_is_masked_and_an_export_says_what_it_exports() {
    let step = Svn {
        username: Some(Text::literal("ann")),
        password: Some(Text::literal("hush")),
        depth: Some("files".into()),
        extra_args: vec![Text::literal("--ignore-externals")],
        ..svn(Mode::Export)
    };
    let mut bench = Bench::new(&step, &KIND);
    assert_eq!(bench.begin_shell().mask, ["hush"]);
    bench.ends(0, &[]);
    let options = "--non-interactive --no-auth-cache --username=ann --password=hush --depth=files --ignore-externals";
    let newest = format!("hello: svn info --xml {options} -- {URL}@");
    assert_eq!(bench.ends(0, &[]), newest);
    let said = info(URL);
    let export = format!("hello: svn export --revision=9 {options} -- {URL}@9 build");
    assert_eq!(bench.ends(0, &[out(&said)]), export);
    assert_eq!(bench.ends(0, &[]), "success: update");
    assert_eq!(bench.properties.text("got_revision"), Some("9"));
}

#[test]
fn what_looks_like_an_option_reaches_no_program() {
    for revision in ["-x", "1\n2"] {
        let mut bench = Bench::new(&svn(Mode::Incremental), &KIND);
        bench.stamp.revision = Some(revision.into());
        assert!(bench.begin().starts_with("error: the revision"));
    }
}

#[test]
fn real_checkouts_reach_branches_and_revisions_in_every_mode() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    run_program(dir.path(), "svnadmin", &["create", "r"]);
    let root = format!("file://{}", at("r").display());
    let import = |name: &str, text: &str| {
        fs::create_dir_all(at("i")).expect("a directory");
        fs::write(at("i/file"), text).expect("a file");
        let url = format!("{root}/{name}");
        run_program(dir.path(), "svn", &["import", "-q", "-m", name, "i", &url]);
    };
    import("trunk", "one");
    import("branches/b", "of b");
    run_program(
        dir.path(),
        "svn",
        &["checkout", "-q", &format!("{root}/trunk"), "w"],
    );
    fs::write(at("w/file"), "three").expect("a file");
    run_program(&at("w"), "svn", &["commit", "-q", "-m", "three"]);

    let build = |mode: Mode, branch: &str, revision: Option<&str>| {
        let step = Svn {
            urls: SvnUrls::Below(Text::literal(format!("{root}/")).into()),
            ..svn(mode)
        };
        let mut bench = Bench::new(&step, &KIND);
        bench.stamp.repository = root.clone();
        bench.stamp.branch = Some(branch.into());
        bench.stamp.revision = revision.map(str::to_owned);
        let told = bench.run_for_real(dir.path());
        let end = told.last().expect("an end");
        assert!(end.starts_with("success: update"), "{told:#?}");
        let text = fs::read_to_string(at("hello/build/file")).expect("a file");
        let got = bench.properties.text("got_revision").unwrap_or_default();
        format!("{got} {text}")
    };
    let stray = |name: &str| {
        fs::write(at("hello/build").join(name), "x").expect("a file");
    };
    let is_there = |path: &str| Path::new(&at(path)).exists();
    assert_eq!(build(Mode::Incremental, "trunk", None), "3 three");
    stray("stray");
    assert_eq!(build(Mode::Incremental, "trunk", Some("1")), "1 one");
    assert!(is_there("hello/build/stray"));
    stray("file");
    assert_eq!(build(Mode::Clean, "trunk", None), "3 three");
    assert!(!is_there("hello/build/stray"));
    assert_eq!(build(Mode::Incremental, "branches/b", None), "3 of b");
    assert_eq!(build(Mode::Clobber, "trunk", Some("2")), "2 one");
    stray("stray.o");
    assert_eq!(build(Mode::Fresh, "trunk", Some("3")), "3 three");
    assert!(!is_there("hello/build/stray.o"));
    assert_eq!(build(Mode::Copy, "branches/b", None), "3 of b");
    assert!(is_there("hello/source/.svn") && is_there("hello/build/.svn"));
    assert_eq!(build(Mode::Export, "trunk", None), "3 three");
    assert!(!is_there("hello/build/.svn"));
    // What an export left is no checkout.
    assert_eq!(build(Mode::Incremental, "trunk", None), "3 three");
    fs::write(at("hello/build/.svn/wc.db"), "garbage").expect("a file");
    assert_eq!(build(Mode::Incremental, "trunk", None), "3 three");
}

#[test]
fn what_is_ignored_is_purged_unless_that_is_said_and_where_the_checkout_is() {
    let same = info(URL);
    let stray = "<status><entry path='x'><wc-status item='ignored'/></entry></status>";
    let purges = |more: &str, looks: usize| {
        let lines = format!("svnurl = '{URL}'\nalways_purge = true\n{more}");
        let mut bench = Bench::new(read_kind(&KIND, &lines).as_ref(), &KIND);
        bench.begin();
        for _ in 0..looks {
            bench.ends(0, &[]);
        }
        let status = bench.ends(0, &[out(&same)]);
        (status, bench.ends(0, &[out(stray)]))
    };
    let (status, purge) = purges("", 2);
    assert_eq!(status, "hello/build: svn status --xml --no-ignore");
    assert_eq!(purge, "rmdir hello/build/x");
    let (status, _) = purges("ignore_ignores = false", 2);
    assert_eq!(status, "hello/build: svn status --xml");
    let (status, purge) = purges("mode = 'copy'", 3);
    assert_eq!(status, "hello/source: svn status --xml --no-ignore");
    assert_eq!(purge, "rmdir hello/source/x");
}
