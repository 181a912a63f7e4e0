//! The worked example: three builders, three changes, all arguments.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::config;
use crate::config::WebPlan;
use crate::master::outlook::Outlook;
use crate::model::BuildId;
use crate::model::ChangeId;
use crate::model::EventKind;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::NewEvent;
use crate::model::Outcome;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Subject;
use crate::store::BuildEnd;
use crate::store::NewBuild;
use crate::store::StoreHandle;

use super::*;

const NOW: Timestamp = Timestamp(1_325_500_000_000);

/// Seconds since the example began.
fn at(t: i64) -> Timestamp {
    Timestamp((1_325_499_000 + t) * 1000)
}

struct Example {
    _dir: tempfile::TempDir,
    store: StoreHandle,
    plan: Arc<Plan>,
}

/// A step: its name, its times, how it ended.
type Step = (&'static str, i64, Option<(i64, Outcome)>);

fn step(number: u32, (name, start, end): Step) -> StepRecord {
    StepRecord {
        number,
        name: name.into(),
        started: (start >= 0).then(|| at(start)),
        finished: end.map(|(end, _)| at(end)),
        outcome: end.map(|(_, outcome)| outcome),
        text: vec![name.into()],
        build_text: vec![],
        statistics: match end {
            Some((_, Outcome::Failure)) => vec![("tests-failed".into(), 3)],
            _ => vec![],
        },
        urls: vec![],
        hidden: false,
        usage: None,
        ended: None,
        progress: Progress::default(),
        logs: vec![],
    }
}

fn build(
    store: &mut dyn Store,
    (builder, branch, change): (&str, Option<&str>, Option<i64>),
    (start, end): (i64, Option<(i64, Outcome)>),
    steps: &[Step],
) -> Result<BuildId, StoreError> {
    let stamp = SourceStamp {
        branch: branch.map(str::to_owned),
        changes: change.into_iter().map(ChangeId).collect(),
        ..SourceStamp::default()
    };
    let wanted = NewBuildset {
        priority: None,
        reason: "because".into(),
        stamp: stamp.clone(),
        properties: Properties::new(),
        builders: vec![builder.into()],
    };
    let (_, requests) = store.add_buildset(&wanted, at(start))?;
    let new = NewBuild {
        builder: builder.into(),
        slave: "x".into(),
        requests,
        stamp,
        reason: "because".into(),
        config: None,
        locks: Vec::new(),
    };
    let begun = store.start_build(&new, at(start))?.expect("free");
    let records: Vec<_> = (0..).zip(steps).map(|(n, it)| step(n, *it)).collect();
    store.plan_build(begun.id, "print", &Properties::new(), &records)?;
    for record in &records {
        store.put_step(begun.id, record)?;
    }
    if let Some((end, outcome)) = end {
        let end_of_it = BuildEnd {
            outcome,
            text: vec!["build".into(), outcome.as_str().into()],
            properties: Properties::new(),
        };
        store.finish_build(begun.id, &end_of_it, at(end))?;
    }
    Ok(begun.id)
}

impl Example {
    async fn new() -> Self {
        use Outcome::{Failure, Success};

        let dir = tempfile::tempdir().expect("a directory");
        let ini = "[:master:]\nbuilders = factory\n[slave:x]\npassword = p\nfactories = A\n\
            [slave:y]\npassword = q\nfactories = B C\n[A]\ntype = shell\ncommands = true\n\
            category = one\n[B]\ntype = shell\ncommands = true\n[C]\ntype = shell\ncommands = true\n";
        std::fs::write(dir.path().join("master.ini"), ini).expect("written");
        let plan = config::load(dir.path()).unwrap_or_else(|it| panic!("{}", it.render(false)));
        let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a store");
        let written = store.write(|store| {
            for (author, t, branch) in
                [("ann", 95, None), ("bo", 104, Some("b")), ("cy", 296, None)]
            {
                let change = NewChange {
                    when: Some(at(t)),
                    branch: branch.map(str::to_owned),
                    category: (author == "cy").then(|| "one".into()),
                    ..NewChange::by(author)
                };
                store.add_change(&change, at(t))?;
            }
            let x = Subject::Slave("x".into());
            store.add_event(&NewEvent::new(at(50), x, EventKind::Connected))?;
            build(
                store,
                ("A", Some("b"), Some(2)),
                (100, Some((130, Failure))),
                &[
                    ("get", 100, Some((105, Success))),
                    ("make", 105, Some((130, Failure))),
                ],
            )?;
            build(
                store,
                ("B", None, Some(1)),
                (108, Some((120, Success))),
                &[("get", 108, Some((120, Success)))],
            )?;
            build(
                store,
                ("A", None, Some(3)),
                (300, None),
                &[
                    ("get", 300, Some((304, Success))),
                    ("make", 304, None),
                    ("test", -1, None),
                ],
            )
        });
        written.await.expect("written");
        Self {
            _dir: dir,
            store,
            plan: Arc::new(plan),
        }
    }

    async fn view(&self, query: &str) -> WaterfallView {
        let query: choice::Query = query
            .split('&')
            .filter_map(|it| it.split_once('='))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        let wanted = Wanted::new(&query, &WebPlan::default(), NOW);
        let wanted = wanted.unwrap_or_else(|_| panic!("{query:?}"));
        let known = Now {
            outlook: Outlook::default(),
            online: HashSet::from(["x".into(), "y".into()]),
            upcoming: HashMap::from([("C".into(), vec![Timestamp(NOW.0 + 7_200_000)])]),
        };
        let plan = Arc::clone(&self.plan);
        let drawn = self
            .store
            .read(move |store| draw(store, &plan, &known, &wanted, &query));
        drawn.await.expect("readable")
    }

    /// The rows, each with the time since the beginning and every cell with its height.
    async fn drawn(&self, query: &str) -> String {
        let view = self.view(query).await;
        let time = |it: &TimeCell| {
            let mut all = 0..1000;
            let t = all.find(|t| clock::time_of_day(at(*t)) == it.time);
            format!("{} x{}", t.expect("within"), it.rows)
        };
        let cell = |it: &Option<Cell<Tile>>| match it {
            None => ".".to_owned(),
            Some(it) => {
                let what = match (&it.what, it.unknown) {
                    (Some(tile), _) if tile.class.is_empty() => tile.name.clone(),
                    (Some(tile), _) => format!("{} ({})", tile.name, tile.class),
                    (None, true) => "?".into(),
                    (None, false) => "-".into(),
                };
                format!("{what} x{}", it.rows)
            }
        };
        let rows = view.rows.iter().map(|row| {
            let time = row.time.as_ref().map_or(".".into(), time);
            let cells: Vec<_> = row.cells.iter().map(cell).collect();
            format!("{time} | {}\n", cells.join(" | "))
        });
        rows.collect()
    }

    async fn builders(&self, query: &str) -> Vec<String> {
        let view = self.view(query).await;
        let heads = serde_json::to_value(&view.builders).expect("a document");
        let heads = heads.as_array().expect("a list").iter();
        heads
            .map(|it| it["name"].as_str().expect("a name").to_owned())
            .collect()
    }
}

#[tokio::test]
async fn builds_steps_and_changes_fall_into_strips_as_they_always_did() {
    let example = Example::new().await;
    insta::assert_snapshot!(example.drawn("").await, @r"
    296 x3 | - x2 | make (running) x1 | - x5 | ? x9
    . | . | get (success) x1 | . | .
    . | cy x1 | Build 1 (start) x1 | . | .
    130 x1 | - x4 | - x1 | . | .
    120 x1 | . | make (failure) x2 | . | .
    100 x3 | . | . | get (success) x2 | .
    . | . | get (success) x1 | . | .
    . | bo x1 | Build 0 (start) x1 | Build 0 (start) x1 | .
    95 x1 | ann x1 | ? x1 | ? x1 | .
    ");
}

#[tokio::test]
async fn show_events_adds_what_happened_to_the_builders_slaves() {
    let example = Example::new().await;
    insta::assert_snapshot!(example.drawn("show_events=true").await, @r"
    296 x3 | - x2 | make (running) x1 | - x5 | ? x11
    . | . | get (success) x1 | . | .
    . | cy x1 | Build 1 (start) x1 | . | .
    130 x1 | - x4 | - x1 | . | .
    120 x1 | . | make (failure) x2 | . | .
    100 x3 | . | . | get (success) x2 | .
    . | . | get (success) x1 | . | .
    . | bo x1 | Build 0 (start) x1 | Build 0 (start) x1 | .
    95 x1 | ann x1 | - x2 | ? x3 | .
    50 x2 | - x1 | . | . | .
    . | ? x1 | connect x x1 | . | .
    ");
}

#[tokio::test]
async fn nobubble_leaves_empty_cells_empty_and_labels_in_the_bottom_rows() {
    let example = Example::new().await;
    insta::assert_snapshot!(example.drawn("nobubble=1").await, @r"
    . | - x1 | make (running) x1 | - x1 | - x1
    . | - x1 | get (success) x1 | - x1 | - x1
    296 x1 | cy x1 | Build 1 (start) x1 | - x1 | - x1
    130 x1 | - x1 | - x1 | - x1 | - x1
    120 x1 | - x1 | - x1 | - x1 | - x1
    . | - x1 | make (failure) x1 | - x1 | - x1
    . | - x1 | get (success) x1 | get (success) x1 | - x1
    100 x1 | bo x1 | Build 0 (start) x1 | Build 0 (start) x1 | - x1
    95 x1 | ann x1 | ? x1 | ? x1 | ? x1
    ");
}

#[tokio::test]
async fn last_time_leaves_out_what_is_newer() {
    let example = Example::new().await;
    insta::assert_snapshot!(example.drawn("last_time=1325499200").await, @r"
    130 x1 | - x4 | - x1 | - x2 | ? x6
    120 x1 | . | make (failure) x2 | . | .
    100 x3 | . | . | get (success) x2 | .
    . | . | get (success) x1 | . | .
    . | bo x1 | Build 0 (start) x1 | Build 0 (start) x1 | .
    95 x1 | ann x1 | ? x1 | ? x1 | .
    ");
}

#[tokio::test]
async fn show_time_ends_the_columns_at_its_lower_bound() {
    let example = Example::new().await;
    insta::assert_snapshot!(example.drawn("show_time=850").await, @r"
    296 x3 | - x2 | make (running) x1 | ? x3 | ? x3
    . | . | get (success) x1 | . | .
    . | cy x1 | Build 1 (start) x1 | . | .
    ");
}

#[tokio::test]
async fn num_events_is_the_number_of_strips_and_not_one_more() {
    let example = Example::new().await;
    insta::assert_snapshot!(example.drawn("num_events=1").await, @r"
    296 x3 | - x2 | make (running) x1 | - x3 | ? x3
    . | . | get (success) x1 | . | .
    . | cy x1 | Build 1 (start) x1 | . | .
    ");
    insta::assert_snapshot!(example.drawn("num_events=2").await, @r"
    296 x3 | - x2 | make (running) x1 | - x4 | ? x4
    . | . | get (success) x1 | . | .
    . | cy x1 | Build 1 (start) x1 | . | .
    130 x1 | bo x1 | - x1 | . | .
    ");
}

#[tokio::test]
async fn builders_are_chosen_by_name_then_by_category_and_unknown_ones_are_ignored() {
    let example = Example::new().await;
    assert_eq!(example.builders("").await, ["A", "B", "C"]);
    assert_eq!(example.builders("builder=C&show=A").await, ["A", "C"]);
    assert_eq!(example.builders("builder=nobody&builder=B").await, ["B"]);
    assert_eq!(example.builders("category=one").await, ["A"]);
    let none: [&str; 0] = [];
    assert_eq!(example.builders("category=one&builder=B").await, none);
}

#[tokio::test]
async fn failures_only_keeps_builders_whose_last_build_was_not_a_success() {
    let example = Example::new().await;
    assert_eq!(example.builders("failures_only=True").await, ["A"]);
}

#[tokio::test]
async fn a_branch_chooses_changes_builds_and_the_last_build() {
    let example = Example::new().await;
    let drawn = example.drawn("branch=b&first_time=0").await;
    assert!(
        drawn.contains("bo x1") && drawn.contains("Build 0"),
        "{drawn}"
    );
    assert!(
        !drawn.contains("ann") && !drawn.contains("Build 1"),
        "{drawn}"
    );
    let trunk = example.drawn("branch=trunk&first_time=0").await;
    assert!(
        trunk.contains("ann x1") && trunk.contains("cy x1"),
        "{trunk}"
    );
    assert!(
        !trunk.contains("bo x1") && trunk.contains("Build 1"),
        "{trunk}"
    );
    let heads = serde_json::to_value(example.view("branch=b").await.builders);
    let heads = heads.expect("a document");
    assert_eq!(heads[0]["last"]["failed"], 3);
    assert!(heads[1]["last"].is_null());
}

#[tokio::test]
async fn a_committer_chooses_changes_and_the_builds_with_them() {
    let example = Example::new().await;
    let drawn = example.drawn("committer=ann&builder=A&builder=B").await;
    insta::assert_snapshot!(drawn, @r"
    120 x1 | - x3 | ? x4 | - x1
    108 x2 | . | . | get (success) x1
    . | . | . | Build 0 (start) x1
    95 x1 | ann x1 | . | ? x1
    ");
}

#[tokio::test]
async fn a_category_chooses_changes_too() {
    let example = Example::new().await;
    let drawn = example.drawn("category=one").await;
    assert!(drawn.contains("cy x1"), "{drawn}");
    assert!(
        !drawn.contains("ann x1") && !drawn.contains("bo x1"),
        "{drawn}"
    );
}

#[tokio::test]
async fn heads_tell_what_each_builder_does_and_what_comes_next() {
    let example = Example::new().await;
    let view = example.view("").await;
    let states: Vec<_> = view.builders.iter().map(|it| it.state).collect();
    assert_eq!(states, ["building", "idle", "waiting"]);
    let [next] = view.builders[2].lines.as_slice() else {
        panic!("{:?}", view.builders[2].lines);
    };
    assert!(next.starts_with("next in ~ 2 hrs at "), "{next}");
}

#[tokio::test]
async fn the_next_page_begins_at_the_oldest_time_and_keeps_the_other_arguments() {
    let example = Example::new().await;
    let view = example.view("show=A&reload=60&num_events=2").await;
    let older = view.older.expect("more");
    assert!(
        older.starts_with("show=A&reload=60&num_events=2&last_time=1325499"),
        "{older}"
    );
    assert_eq!(view.stop_reloading.as_deref(), Some("show=A&num_events=2"));
    let nothing = example.view("last_time=1325499010").await;
    assert!(nothing.older.is_none() && nothing.rows.is_empty());
}

#[tokio::test]
async fn pages_put_below_each_other_show_every_box_once() {
    let example = Example::new().await;
    let (mut query, mut names) = ("num_events=1&show_events=true".to_owned(), Vec::new());
    for _ in 0..20 {
        let view = example.view(&query).await;
        for cell in view.rows.iter().flat_map(|it| it.cells.iter().flatten()) {
            if let Some(tile) = cell.what.as_ref().filter(|_| !cell.ahead) {
                names.push(format!("{} {}", tile.name, tile.class));
            }
        }
        let Some(further) = view.further else { break };
        query = further;
    }
    let mut expected = vec![
        "cy ",
        "bo ",
        "ann ",
        "Build 1 start",
        "get success",
        "make running",
        "Build 0 start",
        "get success",
        "make failure",
        "Build 0 start",
        "get success",
        "connect x ",
    ];
    names.sort();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_page_has_so_many_builders_and_leads_to_the_others() {
    let pages = |count, skip| pages(&vec![("show".into(), "A b".into())], count, skip);
    assert!(pages(COLUMNS, 0).is_none());
    let first = pages(1000, 0).expect("more than one page");
    assert_eq!((first.first, first.last, first.count), (1, COLUMNS, 1000));
    assert_eq!(first.before, None);
    assert_eq!(first.after.as_deref(), Some("show=A%20b&from=41"));
    let last = pages(50, 40).expect("the second page");
    assert_eq!((last.first, last.last), (41, 50));
    assert_eq!(last.before.as_deref(), Some("show=A%20b&from=1"));
    assert_eq!(last.after, None);
    let beyond = pages(3, usize::MAX).expect("a way back");
    assert_eq!((beyond.first, beyond.last), (3, 3));
}
