//! A small, fixed history with hostile names, and a store that is told of it, for tests that
//! draw pages.

use std::collections::BTreeMap;

use crate::logs::record;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::ChangeId;
use crate::model::Channel;
use crate::model::ConfigId;
use crate::model::LogRecord;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Outcome;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::TestEnd;
use crate::model::TestResults;
use crate::model::Timestamp;
use crate::model::Usage;
use crate::model::Vc;
use crate::store;
use crate::store::BuildEnd;
use crate::store::NewBuild;
use crate::store::NewConfig;
use crate::store::Store;

/// A name that breaks out of everything that does not escape.
pub(super) const HOSTILE: &str = "web lint/\"><script>alert('x')</script>";

pub(super) fn at(now: Timestamp, ago: i64) -> Timestamp {
    Timestamp(now.0 - ago * 1000)
}

/// A build of one minute, `ago` seconds before `now`.
pub(super) fn build(
    builder: &str,
    number: i64,
    outcome: Option<Outcome>,
    now: Timestamp,
    ago: i64,
) -> BuildRecord {
    let mut properties = Properties::new();
    properties.set("buildername", builder, "Builder");
    properties.set("got_revision", "5f0c1e7ab92d44bb0c", "checkout");
    properties.set("note", "<i>&", "Scheduler");
    properties.set("long", "x".repeat(600), "Scheduler");
    let changes = if number % 2 == 0 { vec![1, 2] } else { vec![] };
    BuildRecord {
        id: BuildId(number + 1 + i64::try_from(builder.len()).expect("short") * 1000),
        key: BuildKey {
            builder: builder.into(),
            number,
        },
        slave: if number % 3 == 0 { "newt" } else { "otter" }.into(),
        reason: "scheduler `nightly` <b>".into(),
        stamp: SourceStamp {
            branch: (number % 2 == 1).then(|| "feature/<x>&y".to_owned()),
            revision: Some("5f0c1e7ab92d44bb0c".into()),
            repository: "https://git.test/otter.git".into(),
            project: "otter".into(),
            patch: None,
            changes: changes.into_iter().map(ChangeId).collect(),
        },
        properties,
        requests: vec![RequestId(number + 1)],
        blame: vec!["Ines <ines@test>".into(), "bo\"<s>".into()],
        started: at(now, ago),
        finished: outcome.map(|_| at(now, ago - 61)),
        outcome,
        text: match outcome {
            Some(Outcome::Success) => vec!["build".into(), "successful".into()],
            Some(it) => vec![it.as_str().into(), "test <b>".into()],
            None => vec![],
        },
        failing_since: None,
        config: Some(ConfigId(number / 4 + 1)),
    }
}

fn step(
    build: &BuildRecord,
    number: u32,
    name: &str,
    times: (i64, Option<i64>),
    outcome: Option<Outcome>,
) -> StepRecord {
    let after = |secs: i64| Timestamp(build.started.0 + secs * 1000);
    let log = LogRecord {
        name: "stdio".into(),
        file: format!("{}-{}-stdio", build.id, number),
        complete: times.1.is_some(),
    };
    StepRecord {
        number,
        name: name.into(),
        started: Some(after(times.0)),
        finished: times.1.map(after),
        outcome,
        text: vec![
            name.into(),
            outcome.map_or("running", Outcome::as_str).into(),
        ],
        build_text: vec![],
        statistics: vec![("warnings".into(), 3)],
        urls: vec![
            ("report <1>".into(), "https://r.test/?a=\"b\"".into()),
            ("bad".into(), "javascript:alert(1)".into()),
        ],
        hidden: false,
        usage: Some(Usage {
            user_ms: 61_230,
            system_ms: 450,
            peak_memory: 12_900_000,
            read_bytes: Some(512),
            written_bytes: None,
            out_of_memory: false,
        }),
        ended: (outcome == Some(Outcome::Failure)).then(|| "signal 11 (SIGSEGV)".into()),
        progress: Progress {
            // No build before has uploaded anything.
            counts: name != "upload",
            began: Some(after(times.0)),
            ..Progress::default()
        },
        logs: vec![log],
    }
}

/// The steps of a build: all of them when it is finished, else up to the third.
pub(super) fn steps(build: &BuildRecord) -> Vec<StepRecord> {
    let end = build.finished.map(|_| 60);
    let mut steps = vec![
        step(build, 0, "checkout", (0, Some(5)), Some(Outcome::Success)),
        step(
            build,
            1,
            "compile \"<all>\"/x",
            (5, Some(20)),
            Some(Outcome::Warnings),
        ),
        step(build, 2, "test", (20, end), build.outcome),
    ];
    if build.outcome.is_none() {
        let mut later = step(build, 3, "upload", (0, None), None);
        later.started = None;
        later.text = vec!["upload".into()];
        later.logs.clear();
        steps.push(later);
    }
    steps
}

/// How the tests of a build ended, with names that break out of everything.
pub(super) fn tests(build: &BuildRecord) -> TestResults {
    let mut results = TestResults::default();
    let (last, log) = match build.outcome {
        Some(Outcome::Success) => (TestEnd::Success, ""),
        _ => (TestEnd::Failure, "Traceback <x>:\n  assert 1 == 2\n"),
    };
    results.add(
        "words.test.test_intro.Intro.test_reads",
        TestEnd::Success,
        "",
    );
    results.add("words.test.test_intro.Intro.test_counts", last, log);
    results.add(
        "words.test.test_web.Pages.test_later",
        TestEnd::Skipped,
        "no network",
    );
    results.add_as(
        "words.test.test_web.Pages.test_odd",
        TestEnd::Warning,
        "fly away",
        "",
    );
    for hostile in [
        "",
        "..",
        "a/../b",
        "<script>alert(1)</script>",
        &"<b>".repeat(3400),
    ] {
        results.add(hostile, TestEnd::UnexpectedSuccess, "</pre><script>");
    }
    results
}

fn change(author: &str, branch: Option<&str>, when: Timestamp) -> NewChange {
    NewChange {
        files: vec!["src/intro.txt".into(), "<b>.rs".into()],
        comments: "reword <intro> & \"more\"\n\nfixes the rest".into(),
        revision: Some("5f0c1e7ab92d44bb0c".into()),
        branch: branch.map(str::to_owned),
        category: Some("doc".into()),
        revlink: "https://git.test/c/5f0c1e7ab92d44bb0c".into(),
        repository: "https://git.test/otter.git".into(),
        project: "otter".into(),
        when: Some(when),
        // One of the two is of a version control whose authors are users.
        vc: branch.is_none().then_some(Vc::Git),
        ..NewChange::by(author)
    }
}

/// One log: a header, colours, markup, a progress bar, standard error.
pub(super) fn log_bytes() -> Vec<u8> {
    let mut all = Vec::new();
    let mut put = |channel: Channel, text: &str| record::push(channel, text.as_bytes(), &mut all);
    put(
        Channel::Header,
        "make -j4 check\n in dir /srv/newt/dir/build (timeout 1200 s)\n",
    );
    put(
        Channel::Stdout,
        "compiling <script>alert(1)</script>\n  0%\r 50%\r100% done\n",
    );
    put(
        Channel::Stdout,
        "\u{1b}[1;32m✓ passed\u{1b}[0m 41 tests, \u{1b}[33m2 slow\u{1b}[0m\n",
    );
    put(Channel::Stderr, "warning: `x` is never used\n");
    put(
        Channel::Stdout,
        "\u{1b}[31mtest parser::deep … FAILED\u{1b}[0m\n",
    );
    for number in 1..=40 {
        put(
            Channel::Stdout,
            &format!("\u{1b}[34mline\u{1b}[0m {number} of what a test prints\n"),
        );
    }
    put(Channel::Header, "process ended with exit code 2\n");
    all
}

/// Every build there was, in the order in which they began, each with its steps.
pub(super) fn history(now: Timestamp) -> Vec<(BuildRecord, Vec<StepRecord>)> {
    let outcomes = [
        Some(Outcome::Success),
        Some(Outcome::Failure),
        Some(Outcome::Warnings),
        Some(Outcome::Exception),
        Some(Outcome::Retry),
        Some(Outcome::Success),
        None,
    ];
    let mut history = Vec::new();
    for (name, count, newest) in [
        ("hello", 7, 45),
        (HOSTILE, 6, 300),
        ("docs", 4, 7000),
        ("left", 1, 90_000),
    ] {
        for (number, outcome) in (0..count).zip(outcomes) {
            let ago = newest + (count - number - 1) * 400;
            let build = build(name, number, outcome, now, ago);
            let steps = steps(&build);
            history.push((build, steps));
        }
    }
    history.sort_by_key(|(build, _)| build.started);
    history
}

/// Tells a store the history as a master does; gives the requests that wait at its end.
pub(super) fn tell(
    store: &mut dyn Store,
    history: &[(BuildRecord, Vec<StepRecord>)],
    now: Timestamp,
) -> store::Result<[RequestId; 2]> {
    for (author, branch, ago) in [
        ("Ines Íñigo <ines@test>", None, 100_000),
        ("bo\"<s>", Some("feature/<x>"), 99_000),
    ] {
        store.add_change(&change(author, branch, at(now, ago)), at(now, ago))?;
    }
    let wish = |builder: &str, build: &BuildRecord| NewBuildset {
        reason: build.reason.clone(),
        stamp: build.stamp.clone(),
        properties: Properties::new(),
        priority: None,
        builders: vec![builder.into()],
    };
    for number in 1..=3 {
        let config = NewConfig {
            hash: format!("configuration {number}"),
            files: Vec::new(),
            summary: Vec::new(),
        };
        assert_eq!(store.add_config(&config, now)?, ConfigId(number));
    }
    // Requests that a build gave back.
    let mut again = BTreeMap::new();
    for (build, steps) in history {
        let builder = &build.key.builder;
        let request = match again.remove(builder) {
            Some(request) => request,
            None => {
                let wish = wish(builder.as_str(), build);
                store.add_buildset(&wish, build.started)?.1[0]
            }
        };
        let new = NewBuild {
            builder: builder.clone(),
            slave: build.slave.clone(),
            requests: vec![request],
            stamp: build.stamp.clone(),
            reason: build.reason.clone(),
            config: build.config,
            locks: Vec::new(),
        };
        let begun = store
            .start_build(&new, build.started)?
            .expect("the request waits");
        assert_eq!(begun.number, build.key.number, "numbers count up");
        store.plan_build(begun.id, "", &build.properties, steps)?;
        for step in steps {
            store.put_step(begun.id, step)?;
        }
        if build.outcome.is_some() && builder.as_str() != "docs" {
            store.put_tests(begun.id, 2, &tests(build))?;
        }
        if let (Some(outcome), Some(finished)) = (build.outcome, build.finished) {
            let end = BuildEnd {
                outcome,
                text: build.text.clone(),
                properties: build.properties.clone(),
            };
            store.finish_build(begun.id, &end, finished)?;
            if outcome == Outcome::Retry {
                again.insert(builder.clone(), request);
            }
        }
    }
    let mut ask = |builder| -> store::Result<RequestId> {
        let wish = wish(builder, &history[0].0);
        Ok(store.add_buildset(&wish, at(now, 100))?.1[0])
    };
    Ok([ask("hello")?, ask(HOSTILE)?])
}
