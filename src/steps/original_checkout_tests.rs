//! What every type of checkout promised in Buildbot, whichever its program.

use super::KINDS;
use super::Role;
use super::StepKind;
use super::bench::Bench;
use super::bench::Line;
use super::bench::change;
use super::bench::out;
use super::read::tests::problems_of;
use super::read::tests::read_kind;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn kinds() -> impl Iterator<Item = &'static StepKind> {
    let is_checkout = |it: &&StepKind| read_kind(it, it.example).role() == Role::Checkout;
    KINDS.iter().filter(is_checkout)
}

/// What a type calls its repository, and where that begins.
fn url_of(kind: &StepKind) -> (&'static str, &'static str) {
    match kind.name {
        "cvs" => ("cvsroot", "/srv"),
        "p4" => ("p4base", "//depot"),
        "repo" => ("manifest_url", "https://h"),
        "bitkeeper" => ("bkurl", "https://h"),
        "svn" => ("svnurl", "https://h"),
        _ => ("repourl", "https://h"),
    }
}

/// Keys without which a type cannot be, besides its repository.
fn needed(kind: &StepKind) -> &'static str {
    match kind.name {
        "monotone" => "branch = 'b'",
        _ => "",
    }
}

/// A checkout of `…/trunk`.
fn lines(kind: &StepKind, more: &str) -> String {
    let (key, head) = url_of(kind);
    format!("{key} = '{head}/trunk'\n{}\n{more}", needed(kind))
}

fn bench(kind: &StepKind, lines: &str) -> Bench {
    let mut bench = Bench::new(read_kind(kind, lines).as_ref(), kind);
    bench.properties.set("slavename", "s", "test");
    bench.properties.set("buildername", "b", "test");
    bench.properties.set("host", "h", "test");
    bench
}

/// How a command ends in a world where all is well and every tree is there.
fn usual(told: &str) -> (i32, Vec<Line<'_>>) {
    let is = |word: &str| told.contains(word);
    let said = match told {
        _ if told.ends_with("/.buildbot-patched") => return (1, Vec::new()),
        _ if is("info --xml") => {
            "<info><entry revision='9'><url>https://h/trunk</url></entry></info>"
        }
        _ if is("status --xml") => "<status></status>",
        _ if is("identify --branch") => "default",
        _ if is("rev-parse") || is("identify --id") || is("automate select") => COMMIT,
        _ if is("p4 ") && is(" info") => "Current directory: /b",
        _ if is("changes -s") => "Change 17 on 2026/01/01",
        _ if is("date -u") => "2026-11-20 22:48:54 +0000",
        _ => "7",
    };
    (0, vec![out(said)])
}

/// Every move of a checkout in which what `fails` says ends badly.
fn played(bench: &mut Bench, fails: impl Fn(&str) -> bool) -> Vec<String> {
    let mut all = vec![bench.begin()];
    while all.len() < 40 {
        let told = all.last().expect("a move").clone();
        let is_over = ["success: ", "failure: ", "error: "];
        if is_over.iter().any(|it| told.starts_with(it)) {
            return all;
        }
        let (code, said) = usual(&told);
        all.push(match fails(&told) {
            true => bench.ends(1, &[]),
            false => bench.ends(code, &said),
        });
    }
    panic!("it never ends: {all:#?}");
}

fn played_well(bench: &mut Bench) -> Vec<String> {
    played(bench, |_| false)
}

/// Whether a type has a mode or method.
fn has(kind: &StepKind, more: &str) -> bool {
    problems_of(kind, &lines(kind, more)).is_empty()
}

/// Every way to say what becomes of the tree.
fn modes(kind: &'static StepKind) -> impl Iterator<Item = String> {
    let methods = ["clean", "fresh", "clobber", "copy", "export"];
    let methods = methods.map(|it| format!("mode = 'full'\nmethod = '{it}'"));
    let all = [String::new()].into_iter().chain(methods);
    all.filter(move |it| has(kind, it))
}

#[test]
fn every_checkout_is_called_as_it_was() {
    let called: Vec<_> = kinds().map(|it| (it.name, it.step_name)).collect();
    let expected = [
        ("git", "git"),
        ("mercurial", "hg"),
        ("svn", "svn"),
        ("cvs", "cvs"),
        ("bzr", "bzr"),
        ("darcs", "darcs"),
        ("monotone", "mtn"),
        ("p4", "p4"),
        ("repo", "repo"),
        ("bitkeeper", "bk"),
    ];
    assert_eq!(called, expected);
}

#[test]
fn each_mode_has_its_texts_where_no_description_says_otherwise() {
    for kind in kinds() {
        for (mode, running, done) in [
            ("update", "updating", "update"),
            ("copy", "updating", "update"),
            ("incremental", "updating", "update"),
            ("full", "updating", "update"),
            ("clobber", "checkout", "checkout"),
            ("export", "exporting", "export"),
        ] {
            let mode = format!("mode = '{mode}'");
            if !has(kind, &mode) {
                continue;
            }
            let mut usual = bench(kind, &lines(kind, &mode));
            assert_eq!(usual.running_text(), [running], "{}", kind.name);
            let all = played_well(&mut usual);
            let end = all.last().expect("an end");
            assert_eq!(*end, format!("success: {done}"), "{} {mode}", kind.name);
            let own = "description = 'fetching'\ndescription_done = ['all', '%(host)s']";
            let mut own = bench(kind, &lines(kind, &format!("{mode}\n{own}")));
            assert_eq!(own.running_text(), ["fetching"], "{}", kind.name);
            let all = played_well(&mut own);
            assert_eq!(all.last().expect("an end"), "success: all h");
        }
    }
}

#[test]
fn the_revision_of_changes_is_the_highest_number_or_the_last_ones() {
    let told = |kind: &'static StepKind| {
        let mut bench = bench(kind, &lines(kind, ""));
        for revision in ["9", "10", "8"] {
            let mut it = change(&[]);
            it.revision = Some(revision.into());
            bench.changes.push(it);
        }
        let all = played_well(&mut bench);
        let end = all.last().expect("an end");
        assert!(end.starts_with("success"), "{all:#?}");
        let set = |name: &str| {
            let mut found = bench.properties.iter().filter(|it| it.0 == name);
            let text = found.next().map_or("none".into(), |(_, it)| {
                assert_eq!(it.source, "Source", "{} {name}", kind.name);
                let text = it.value.as_str().expect("a text");
                text.lines().collect::<Vec<_>>().join(" ")
            });
            text.replace(COMMIT, "COMMIT")
        };
        format!(
            "{}: {}, got {}",
            kind.name,
            set("revision"),
            set("got_revision")
        )
    };
    let table: Vec<_> = kinds().map(told).collect();
    insta::assert_snapshot!(table.join("\n"), @"
    git: 8, got COMMIT
    mercurial: 8, got COMMIT
    svn: 10, got 7
    cvs: Thu, 01 Jan 1970 00:00:00 -0000, got Thu, 01 Jan 1970 00:00:00 -0000
    bzr: 10, got 7
    darcs: none, got 7
    monotone: 8, got COMMIT
    p4: 10, got 10
    repo: 8, got none
    bitkeeper: 8, got 7
    ");
}

/// Whether any program of the checkout is told the repository.
fn asks_for(kind: &StepKind, lines: &str, repository: &str, url: &str) -> bool {
    let mut bench = bench(kind, lines);
    bench.stamp.repository = repository.into();
    let all = played_well(&mut bench);
    let stdin = bench.shells.iter().map(|it| &it.initial_stdin);
    let stdin = stdin.map(|it| String::from_utf8_lossy(it).into_owned());
    let mut words = all.into_iter().chain(stdin);
    let ends = |text: &str| {
        let behind = text.split(url).nth(1);
        behind.is_some_and(|it| it.is_empty() || it.starts_with([' ', '@', '?', '/', '\n']))
    };
    words.any(|it| ends(&it))
}

#[test]
fn every_checkout_takes_its_repository_in_every_form() {
    for kind in kinds() {
        let (key, head) = url_of(kind);
        let check = |value: &str, repository: &str, url: &str| {
            let said = if value.is_empty() {
                String::new()
            } else {
                format!("{key} = {value}")
            };
            let lines = format!(
                "mode = 'full'\nmethod = 'clobber'\n{said}\n{}",
                needed(kind)
            );
            let url = format!("{head}/{url}");
            assert!(
                asks_for(kind, &lines, repository, &url),
                "{} {value}",
                kind.name
            );
        };
        check(&format!("'{head}/x'"), "", "x");
        check(&format!("'{head}/%s/x'"), "test", "test/x");
        check(
            &format!("{{ a = '{head}/of-a', b = '{head}/of-b' }}"),
            "b",
            "of-b",
        );
        check(
            &format!("{{ regex = '^git:(.*)$', replace = '{head}/$1' }}"),
            "git:r",
            "r",
        );
        check(&format!("'{head}/%(host)s'"), "", "h");
        if kind.name != "monotone" {
            check("", &format!("{head}/stamped"), "stamped");
        }
    }
}

#[test]
fn every_base_takes_these_forms_too() {
    for name in ["mercurial", "svn", "bzr", "darcs", "bitkeeper"] {
        let kind = kinds().find(|it| it.name == name).expect(name);
        let check = |value: &str, repository: &str, url: &str| {
            let lines = format!("mode = 'clobber'\nbranch = 'b'\nbase_url = {value}");
            assert!(asks_for(kind, &lines, repository, url), "{name} {value}");
        };
        check("'https://h/'", "", "https://h/b");
        // No slash is added.
        check("'https://h/x-'", "", "https://h/x-b");
        check("'https://h/%s/'", "test", "https://h/test/b");
        check("{ a = 'https://h/of-a/' }", "a", "https://h/of-a/b");
        check(
            "{ regex = '^git:(.*)$', replace = 'https://h/$1/' }",
            "git:r",
            "https://h/r/b",
        );
        check("'https://%(host)s/'", "", "https://h/b");
        let both = format!("base_url = 'https://y'\n{}", lines(kind, ""));
        assert!(problems_of(kind, &both).contains("`base_url` takes the place of `repourl`"));
    }
}

#[test]
fn what_is_read_is_asked_for_in_english_unless_the_step_says_otherwise() {
    for kind in kinds() {
        for mode in modes(kind) {
            let spoken = |more: &str| {
                let mut bench = bench(kind, &lines(kind, &format!("{mode}\n{more}")));
                played_well(&mut bench);
                let said = bench.shells.iter().map(|it| it.env["LC_MESSAGES"].clone());
                let mut said: Vec<_> = said.map(Option::unwrap_or_default).collect();
                said.dedup();
                said
            };
            assert_eq!(spoken(""), ["C"], "{} {mode}", kind.name);
            assert_eq!(spoken("env.LC_MESSAGES = 'de'"), ["de"], "{}", kind.name);
        }
    }
}

#[test]
fn no_checkout_has_a_terminal_or_a_longest_time() {
    for kind in kinds() {
        let mut bench = bench(kind, &lines(kind, ""));
        played_well(&mut bench);
        for shell in &bench.shells {
            assert!(!shell.terms.use_pty, "{}", kind.name);
            assert_eq!(shell.max_time, None, "{}", kind.name);
        }
        for unknown in ["use_pty = true", "max_time = 5"] {
            assert!(!has(kind, unknown), "{} {unknown}", kind.name);
        }
    }
}

#[test]
fn a_slave_without_the_program_loses_no_tree() {
    for kind in kinds() {
        for mode in modes(kind) {
            let mut bench = bench(kind, &lines(kind, &mode));
            let is_question = |told: &str| told.ends_with("version") || told.ends_with(" -V");
            let all = played(&mut bench, |it| is_question(it) || it.contains("--version"));
            let end = all.last().expect("an end");
            assert!(
                end.starts_with("failure: "),
                "{} {mode}: {all:#?}",
                kind.name
            );
            let removed = all.iter().find(|it| it.starts_with("rmdir"));
            assert_eq!(removed, None, "{} {mode}", kind.name);
        }
    }
}

#[test]
fn what_cannot_be_removed_or_copied_fails_the_step() {
    for kind in kinds() {
        for (mode, act) in [("clobber", "rmdir"), ("copy", "rmdir"), ("copy", "cpdir")] {
            let mut bench = bench(kind, &lines(kind, &format!("mode = '{mode}'")));
            let all = played(&mut bench, |it| it.starts_with(act));
            let [.., last, end] = all.as_slice() else {
                panic!("too short: {all:?}");
            };
            assert!(last.starts_with(act), "{} {mode}: {all:#?}", kind.name);
            assert!(
                end.starts_with("failure: "),
                "{} {mode}: {all:#?}",
                kind.name
            );
        }
    }
}

#[test]
fn no_checkout_leaves_the_builders_directory() {
    for kind in kinds() {
        for mode in modes(kind) {
            for dir in ["../x", "a/../../x", "/srv/x", "%(dir)s", r"C:\x"] {
                let more = format!("{mode}\nworkdir = '{dir}'");
                let mut bench = bench(kind, &lines(kind, &more));
                bench.properties.set("dir", "..", "Change");
                let told = bench.begin();
                assert!(
                    told.starts_with("error: `"),
                    "{} {mode} {dir}: {told}",
                    kind.name
                );
            }
        }
        // Some types of Buildbot said it so.
        let mut bench = bench(kind, &lines(kind, "mode = 'clobber'\ndirectory = 'src'"));
        let all = played_well(&mut bench);
        assert!(all.contains(&"rmdir hello/src".to_owned()), "{all:#?}");
    }
}

#[test]
fn full_is_fresh_unless_a_method_is_said_and_incremental_has_none() {
    for kind in kinds() {
        let moves = |more: &str| played_well(&mut bench(kind, &lines(kind, more)));
        let usual = match has(kind, "mode = 'full'\nmethod = 'fresh'") {
            true => "fresh",
            // Who cannot tell what is its own begins from nothing.
            false => "clobber",
        };
        let said = moves(&format!("mode = 'full'\nmethod = '{usual}'"));
        assert_eq!(moves("mode = 'full'"), said, "{}", kind.name);
        let ignored = moves("mode = 'incremental'\nmethod = 'clobber'");
        assert_eq!(ignored, moves(""), "{}", kind.name);
    }
}

#[test]
fn what_is_no_checkout_of_just_this_is_made_anew() {
    let looks_for = |kind: &'static StepKind, more: &str| {
        let (key, _) = url_of(kind);
        let all_lines = match more.starts_with(key) {
            true => format!("{more}\n{}", needed(kind)),
            false => lines(kind, more),
        };
        let mut bench = bench(kind, &all_lines);
        let all = played(&mut bench, |it| {
            it.contains("/autobot-") || it.contains("/.autobot-")
        });
        let look = |it: &&String| it.starts_with("stat ") && it.contains("autobot-");
        let look = all.iter().find(look).expect("a look").clone();
        assert!(all.contains(&"rmdir hello/build".to_owned()), "{all:#?}");
        look
    };
    let differ: [(&str, &[&str]); 7] = [
        (
            "cvs",
            &["cvsroot = '/x'", "cvsmodule = 'm'", "branch = 'b'"],
        ),
        ("bzr", &["repourl = 'https://x'"]),
        ("darcs", &["repourl = 'https://x'"]),
        ("bitkeeper", &["bkurl = 'https://x'"]),
        ("monotone", &["repourl = 'mtn://x'"]),
        (
            "p4",
            &[
                "p4base = '//x'",
                "p4port = 'h:1'",
                "p4client = 'c'",
                "branch = 'b'",
                "p4extra_views = [['//x', 'y']]",
                "p4line_end = 'unix'",
            ],
        ),
        (
            "repo",
            &[
                "manifest_url = 'https://x'",
                "manifest_branch = 'b'",
                "manifest_file = 'f'",
            ],
        ),
    ];
    for (name, others) in differ {
        let kind = kinds().find(|it| it.name == name).expect(name);
        let mut all = vec![looks_for(kind, "")];
        assert_eq!(all[0], looks_for(kind, "timeout = 5"), "{name}");
        all.extend(others.iter().map(|it| looks_for(kind, it)));
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{name}: {all:#?}");
    }
}

#[test]
fn every_build_begins_a_checkout_afresh() {
    for kind in kinds() {
        let lines = lines(kind, "retry = 2");
        let step = read_kind(kind, &lines);
        let begun = || {
            let mut bench = bench(kind, &lines);
            bench.begin_again(step.as_ref());
            bench
        };
        let failed = played(&mut begun(), |it| !it.ends_with(".buildbot-patched"));
        let first = played_well(&mut begun());
        assert_ne!(failed, first, "{}", kind.name);
        assert_eq!(played_well(&mut begun()), first, "{}", kind.name);
    }
}
