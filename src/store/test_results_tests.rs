//! What every database must do with the results of tests.

use crate::model::BuildId;
use crate::model::Outcome;
use crate::model::PastTest;
use crate::model::TestEnd;
use crate::model::TestResults;

use super::tests::{NOW, end, open, start, step, wanted, write};
use super::{Holders, Result, Store, StoreHandle, TestQuery};

use TestEnd::{Error, ExpectedFailure, Failure, Skipped, Success};

/// Results of these names and ends.
fn results(tests: &[(&str, TestEnd)]) -> TestResults {
    let mut results = TestResults::default();
    for (name, end) in tests {
        let log = if end.is_good() { "" } else { "said <1>\n" };
        results.add(name, *end, log);
    }
    results
}

/// A build of the builder whose steps ran these tests, as they are counted from 0.
fn build(verbs: &mut dyn Store, builder: &str, steps: &[&[(&str, TestEnd)]]) -> Result<BuildId> {
    let (_, requests) = verbs.add_buildset(&wanted(&[builder]), NOW)?;
    let begun = verbs.start_build(&start(builder, &requests), NOW)?;
    let id = begun.expect("the request waits").id;
    for (number, tests) in (0..).zip(steps) {
        verbs.put_step(id, &step(number))?;
        verbs.put_tests(id, number, &results(tests))?;
    }
    verbs.finish_build(id, &end(Outcome::Success), NOW)?;
    Ok(id)
}

/// The results that fit, each in a line.
async fn found(store: &StoreHandle, build: BuildId, query: TestQuery) -> Vec<String> {
    let tests = store.read(move |verbs| verbs.tests(build, &query)).await;
    let line = |it: &super::KeptTest| format!("{} {}: {}", it.step, it.result.name, it.result.end);
    tests.expect("readable").iter().map(line).collect()
}

fn query() -> TestQuery {
    TestQuery {
        limit: 100,
        ..TestQuery::default()
    }
}

#[tokio::test]
async fn tests_are_listed_with_those_that_went_wrong_before_all_others() {
    let (_dir, store) = open();
    let id = write(&store, |verbs| {
        let first: &[_] = &[("a.ok", Success), ("a.bad", Failure), ("a.later", Skipped)];
        let second: &[_] = &[("b.OK", Success), ("b.x_y", Error), ("b%", ExpectedFailure)];
        build(verbs, "x", &[first, second])
    })
    .await;
    let all = [
        "0 a.bad: failure",
        "1 b.x_y: error",
        "0 a.later: skipped",
        "0 a.ok: success",
        "1 b%: expected failure",
        "1 b.OK: success",
    ];
    assert_eq!(found(&store, id, query()).await, all);
    let page = TestQuery {
        skip: 4,
        limit: 1,
        ..query()
    };
    assert_eq!(found(&store, id, page).await, all[4..5]);
    for (part, expected) in [
        (".ok", vec![all[3], all[5]]),
        ("%", vec![all[4]]),
        ("x_y", vec![all[1]]),
        ("_", vec![all[1]]),
        ("\\", vec![]),
        ("'", vec![]),
    ] {
        let part = TestQuery {
            part: Some(part.to_owned()),
            ..query()
        };
        assert_eq!(found(&store, id, part.clone()).await, expected, "{part:?}");
    }
    let bad = TestQuery {
        end: Some(Failure),
        ..query()
    };
    assert_eq!(found(&store, id, bad).await, all[..1]);
    let counts = store.read(move |verbs| verbs.test_counts(id)).await;
    let counts = counts.expect("readable");
    assert_eq!(counts.len(), 2);
    assert_eq!(counts[0].counts, [(Failure, 1), (Skipped, 1), (Success, 1)]);
    assert_eq!((counts[1].step, counts[1].left_out), (1, 0));
    let named = store
        .read(move |verbs| verbs.tests_named(id, "a.bad", 9))
        .await;
    let named = named.expect("readable");
    assert_eq!(named.len(), 1);
    assert_eq!(
        (named[0].step, named[0].result.log.as_str()),
        (0, "said <1>")
    );
    let none = store
        .read(move |verbs| verbs.tests_named(id, "a.BAD", 9))
        .await;
    assert!(none.expect("readable").is_empty());
}

#[tokio::test]
async fn a_step_that_is_judged_again_has_its_tests_once() {
    let (_dir, store) = open();
    let id = write(&store, |verbs| {
        let id = build(verbs, "x", &[&[("a", Failure), ("b", Success)]])?;
        verbs.put_tests(id, 0, &results(&[("a", Failure), ("b", Success)]))?;
        verbs.put_tests(id, 0, &results(&[("a", Failure), ("c", Success)]))?;
        Ok(id)
    })
    .await;
    let expected = ["0 a: failure", "0 c: success"];
    assert_eq!(found(&store, id, query()).await, expected);
    let counts = store.read(move |verbs| verbs.test_counts(id)).await;
    assert_eq!(counts.expect("readable").len(), 1);
}

#[tokio::test]
async fn the_history_of_a_test_is_that_of_its_builder() {
    let (_dir, store) = open();
    write(&store, |verbs| {
        build(verbs, "x", &[&[("t", Success)]])?;
        build(verbs, "other", &[&[("t", Error)]])?;
        build(verbs, "x", &[&[("t", Failure)], &[("t", Success)]])?;
        build(verbs, "x", &[])?;
        build(verbs, "x", &[&[("u", Success)]])?;
        let many: Vec<String> = (0..10_001).map(|it| format!("many.{it}")).collect();
        let many: Vec<_> = many.iter().map(|it| (it.as_str(), Success)).collect();
        build(verbs, "x", &[&many])
    })
    .await;
    let past = |up_to: i64, limit: usize| {
        let read = store.read(move |verbs| verbs.past_tests(&"x".into(), "t", up_to, limit));
        async { read.await.expect("readable") }
    };
    let at = |number, end, is_whole| PastTest {
        number,
        end,
        is_whole,
    };
    let expected = [
        at(4, None, false),
        at(3, None, true),
        at(1, Some(Failure), true),
        at(0, Some(Success), true),
    ];
    assert_eq!(past(9, 9).await, expected);
    assert_eq!(past(3, 2).await, expected[1..3]);
}

#[tokio::test]
async fn tests_are_forgotten_with_their_build_and_their_logs_with_its_logs() {
    let (dir, store) = open();
    let ids = write(&store, |verbs| {
        let first = build(verbs, "x", &[&[("kept", Failure), ("gone", Failure)]])?;
        let second = build(verbs, "x", &[&[("kept", Failure)]])?;
        Ok([first, second])
    })
    .await;
    write(&store, move |verbs| {
        verbs.forget_builds(&"x".into(), &ids[..1], &Holders::default())
    })
    .await;
    assert!(found(&store, ids[0], query()).await.is_empty());
    assert_eq!(found(&store, ids[1], query()).await, ["0 kept: failure"]);
    let db = rusqlite::Connection::open(dir.path().join("state.sqlite")).expect("a database");
    let names = |db: &rusqlite::Connection| -> Vec<String> {
        let mut select = db.prepare("SELECT name FROM test_names").expect("a table");
        let rows = select.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|it| it.expect("a name")).collect()
    };
    assert_eq!(names(&db), ["kept"]);
    let id = ids[1];
    write(&store, move |verbs| verbs.forget_logs(&[id])).await;
    let named = store
        .read(move |verbs| verbs.tests_named(id, "kept", 9))
        .await;
    assert_eq!(named.expect("readable")[0].result.log, "");
}

#[tokio::test]
async fn hostile_names_come_back_as_they_were() {
    let (_dir, store) = open();
    let long = "<b>".repeat(400);
    let names = ["", "..", "a/../b", "<script>'\"", "é\u{1}\n", long.as_str()].map(str::to_owned);
    let tests: Vec<_> = names.clone().into();
    let id = write(&store, move |verbs| {
        let tests: Vec<_> = tests.iter().map(|it| (it.as_str(), Failure)).collect();
        build(verbs, "x", &[&tests])
    })
    .await;
    for name in names {
        let cut: String = name.chars().take(1000).collect();
        let cut = if cut == name {
            name
        } else {
            format!("{cut}…")
        };
        let wanted = cut.clone();
        let found = store
            .read(move |verbs| verbs.tests_named(id, &wanted, 9))
            .await;
        let found = found.expect("readable");
        assert_eq!(found.len(), 1, "{cut}");
        assert_eq!(found[0].result.name, cut);
    }
}
