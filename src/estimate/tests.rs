//! The estimates against histories whose truth is known.

use super::*;
use crate::model::BuilderName;
use crate::model::Lap;
use crate::model::Metric;
use crate::model::OUTPUT;
use crate::model::Pace;
use crate::model::PastRun;
use crate::model::Reached;
use crate::model::RequestId;
use crate::model::SlaveName;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Equal chances from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((it ^ (it >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A length around `middle`, whose logarithm spreads by `spread`.
    fn length(&mut self, middle: f64, spread: f64) -> Duration {
        let z = normal::quantile(self.roll());
        Duration::from_secs_f64(middle * (z * spread).exp())
    }
}

fn lap(name: &str, took: Option<Duration>) -> Lap {
    Lap {
        name: name.into(),
        took,
        metrics: Vec::new(),
    }
}

fn run(slave: &str, laps: &[(&str, Option<u64>)]) -> PastRun {
    PastRun {
        slave: slave.into(),
        laps: laps
            .iter()
            .map(|(name, took)| lap(name, took.map(secs)))
            .collect(),
    }
}

fn ahead(name: &str) -> StepNow<'_> {
    StepNow {
        name,
        running: None,
    }
}

fn running(name: &str, elapsed: Duration, said: u64) -> StepNow<'_> {
    counting(name, elapsed, &[(OUTPUT, said, None)])
}

/// A step that has counted so much, of what was announced.
fn counting<'a>(
    name: &'a str,
    elapsed: Duration,
    metrics: &[(&str, u64, Option<u64>)],
) -> StepNow<'a> {
    let reached = metrics.iter().map(|(name, value, announced)| Reached {
        name: (*name).to_owned(),
        value: *value,
        announced: *announced,
    });
    StepNow {
        name,
        running: Some((elapsed, reached.collect::<Vec<_>>().leak())),
    }
}

fn within(left: Option<Left>) -> Interval {
    match left {
        Some(Left::Within(it)) => it,
        other => panic!("no interval: {other:?}"),
    }
}

fn middle(left: Option<Left>) -> u64 {
    within(left).middle.as_secs_f64().round() as u64
}

/// How often intervals held the truth: of builds of three steps with lengths of this spread,
/// from `known` builds before, before the start and at parts of the whole.
fn coverage(known: usize, spread: f64, part: f64, seed: u64) -> f64 {
    let mut dice = Dice(seed);
    let (mut held, all) = (0, 1000);
    for _ in 0..all {
        let mut build = || {
            ["get", "make", "test"]
                .into_iter()
                .zip([4.0, 60.0, 30.0])
                .map(|(name, middle)| lap(name, Some(dice.length(middle, spread))))
                .collect::<Vec<_>>()
        };
        let runs = (0..known).map(|_| PastRun {
            slave: "a".into(),
            laps: build(),
        });
        let history = History::new(runs.collect());
        let truth = build();
        let total: Duration = truth.iter().filter_map(|it| it.took).sum();
        let mut gone = total.mul_f64(part);
        let left = total - gone;
        let mut steps = Vec::new();
        for lap in &truth {
            let took = lap.took.expect("it ran");
            if steps.is_empty() && gone >= took && part > 0.0 {
                gone -= took;
            } else if steps.is_empty() && part > 0.0 {
                steps.push(running(&lap.name, gone, 0));
            } else {
                steps.push(ahead(&lap.name));
            }
        }
        if let Some(Left::Within(it)) = history.left(&"a".into(), &steps) {
            held += usize::from(it.low <= left && left <= it.high);
        }
    }
    f64::from(u32::try_from(held).expect("few")) / f64::from(all)
}

#[test]
fn an_interval_holds_the_truth_about_four_times_in_five() {
    for (known, spread) in [(5, 0.3), (12, 0.3), (32, 0.05), (32, 0.6)] {
        for part in [0.0, 0.25, 0.5, 0.75] {
            let held = coverage(known, spread, part, 7);
            assert!(
                (0.70..0.87).contains(&held),
                "{held} with {known} builds of spread {spread} at {part}"
            );
        }
    }
}

#[test]
fn one_build_before_is_enough_for_a_wide_interval() {
    let history = History::new(vec![run("a", &[("make", Some(100))])]);
    let it = within(history.left(&"a".into(), &[ahead("make")]));
    assert_eq!(it.middle.as_secs_f64().round() as u64, 100);
    assert!(it.low < secs(70) && it.high > secs(140), "{it:?}");
}

#[test]
fn nothing_is_said_where_nothing_is_known() {
    let history = History::new(vec![run("a", &[("make", Some(10))])]);
    let slave = SlaveName::from("a");
    assert_eq!(history.left(&slave, &[ahead("make"), ahead("new")]), None);
    assert_eq!(History::default().left(&slave, &[ahead("make")]), None);
    assert_eq!(history.usual(&slave, "new", OUTPUT), None);
    // A build that is through has nothing left.
    assert_eq!(within(history.left(&slave, &[])), Interval::default());
}

#[test]
fn a_slave_that_is_known_is_gone_by_alone_and_a_new_one_by_all() {
    let fast = || run("fast", &[("make", Some(10))]);
    let slow = || run("slow", &[("make", Some(100))]);
    let runs = vec![fast(), slow(), fast(), slow(), fast(), slow(), slow()];
    let history = History::new(runs);
    let left = |slave: &str| within(history.left(&slave.into(), &[ahead("make")]));
    assert!(left("fast").high < secs(20) && left("slow").low > secs(70));
    let new = left("new");
    assert!(new.low < secs(20) && new.high > secs(90), "{new:?}");
}

#[test]
fn what_is_skipped_now_and_then_counts_as_often_as_it_is_not() {
    let runs = (0..20).map(|it| {
        let docs = (it % 4 == 0).then_some(300);
        run("a", &[("make", Some(10)), ("docs", docs)])
    });
    let history = History::new(runs.collect());
    let it = within(history.left(&"a".into(), &[ahead("make"), ahead("docs")]));
    assert!(it.middle < secs(20) && it.high > secs(250), "{it:?}");
    // It runs: the builds that skipped it say nothing any more.
    let it = within(history.left(&"a".into(), &[running("docs", secs(1), 0)]));
    assert!(it.low > secs(200), "{it:?}");
}

#[test]
fn what_outlasts_everything_before_is_overdue() {
    let runs = (0..10).map(|it| run("a", &[("make", Some(100 + it % 3))]));
    let history = History::new(runs.collect());
    let at = |elapsed| history.left(&"a".into(), &[running("make", secs(elapsed), 0)]);
    assert_eq!(middle(at(60)), 41);
    match at(400) {
        Some(Left::Overdue(by)) => assert!((295..=301).contains(&by.as_secs()), "{by:?}"),
        other => panic!("it is overdue: {other:?}"),
    }
}

/// A step that says as much in each second.
fn even_run(took: u64) -> PastRun {
    PastRun {
        slave: "a".into(),
        laps: vec![Lap {
            metrics: vec![even(OUTPUT, 80_000)],
            ..lap("make", Some(secs(took)))
        }],
    }
}

fn even(name: &str, value: u64) -> Metric {
    Metric {
        name: name.to_owned(),
        value,
        pace: Some(Pace([32, 64, 96, 128, 159, 191, 223])),
    }
}

#[test]
fn a_log_that_grows_with_the_step_tells_how_far_it_is() {
    let history = History::new((0..8).map(|it| even_run(100 + it)).collect());
    let left = |elapsed, said| {
        let left = history.left(&"a".into(), &[running("make", secs(elapsed), said)]);
        middle(left)
    };
    assert!(
        (48..=56).contains(&left(50, 40_000)),
        "{}",
        left(50, 40_000)
    );
    // Twice as fast, and half as fast.
    assert!(left(30, 50_000) < 45, "{}", left(30, 50_000));
    assert!(left(120, 50_000) > 35, "{}", left(120, 50_000));
    assert_eq!(history.usual(&"a".into(), "make", OUTPUT), Some(80_000));
}

#[test]
fn tests_that_are_counted_tell_more_than_a_log_that_does_not() {
    let mut runs: Vec<_> = (0..8).map(|it| even_run(100 + it)).collect();
    for run in &mut runs {
        run.laps[0].metrics[0].pace = Some(Pace([0; 7]));
        run.laps[0].metrics.push(even("tests", 400));
    }
    let history = History::new(runs);
    let left = |metrics: &[(&str, u64, Option<u64>)]| {
        middle(history.left(&"a".into(), &[counting("make", secs(30), metrics)]))
    };
    // It has come to the middle in 30 seconds.
    let counted = left(&[(OUTPUT, 79_000, None), ("tests", 205, None)]);
    assert!((25..=48).contains(&counted), "{counted}");
    assert!(left(&[(OUTPUT, 79_000, None)]) > 60);
    // Twice as many tests as usual were announced.
    let announced = left(&[("tests", 410, Some(800))]);
    assert!((25..=48).contains(&announced), "{announced}");
    assert_eq!(history.usual(&"a".into(), "make", "tests"), Some(400));
}

#[test]
fn metrics_that_say_the_same_say_it_once() {
    let mut runs: Vec<_> = (0..8).map(|it| even_run(100 + it)).collect();
    let alone = History::new(runs.clone());
    for run in &mut runs {
        let same = (0..4).map(|it| even(&format!("m{it}"), 80_000));
        run.laps[0].metrics.extend(same);
    }
    let together = History::new(runs);
    let all = [OUTPUT, "m0", "m1", "m2", "m3"].map(|it| (it, 50_000, None));
    let now = [counting("make", secs(30), &all)];
    assert_eq!(
        alone.left(&"a".into(), &now),
        together.left(&"a".into(), &now)
    );
}

#[test]
fn a_log_that_is_there_at_once_tells_nothing() {
    let mut runs: Vec<_> = (0..8).map(|it| even_run(100 + it)).collect();
    for run in &mut runs {
        run.laps[0].metrics[0].pace = Some(Pace([0; 7]));
    }
    let history = History::new(runs);
    let left = |said| middle(history.left(&"a".into(), &[running("make", secs(50), said)]));
    assert_eq!(left(79_000), left(0));
}

#[test]
fn hostile_numbers_give_some_answer() {
    let mut runs = vec![even_run(0), even_run(u64::from(u32::MAX))];
    runs[1].laps[0].metrics[0].value = u64::MAX;
    let history = History::new(runs);
    for (elapsed, said) in [(0, 0), (0, u64::MAX), (1 << 40, 0), (1 << 40, u64::MAX)] {
        let left = history.left(&"a".into(), &[running("make", secs(elapsed), said)]);
        assert!(left.is_some_and(|it| it.secs().is_finite()));
    }
}

// --- the line -------------------------------------------------------------

fn about(middle: u64) -> Interval {
    Interval {
        low: secs(middle * 8 / 10),
        middle: secs(middle),
        high: secs(middle * 12 / 10),
    }
}

fn seat(slave: &str, running: &[(&str, Option<u64>)], max_builds: Option<u32>) -> Seat {
    let running = running.iter().map(|(builder, left)| {
        let left = left.map(|it| Left::Within(about(it)));
        (BuilderName::from(*builder), left)
    });
    Seat {
        slave: slave.into(),
        running: running.collect(),
        max_builds,
    }
}

fn waits(request: i64, builder: &str, slaves: &[&str]) -> Waiting {
    Waiting {
        requests: vec![RequestId(request)],
        builder: builder.into(),
        slaves: slaves.iter().map(|it| (*it).into()).collect(),
    }
}

/// Each request with the middle of its beginning and its end. A build of `b100` takes 100 s;
/// how long one of `new` takes is not known.
fn lined_up(seats: &[Seat], waiting: &[Waiting]) -> String {
    let takes = |builder: &BuilderName, _: &SlaveName| {
        Some(about(builder.as_str().strip_prefix('b')?.parse().ok()?))
    };
    let lines = line_up(seats, waiting, &takes).into_iter().map(|(id, it)| {
        let end = it
            .end
            .map_or("-".into(), |it| it.middle.as_secs().to_string());
        format!("{id}: {} {end}", it.begin.middle.as_secs())
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn places_that_become_free_go_to_the_next_in_line() {
    let seats = [
        seat("one", &[("b100", Some(30))], Some(1)),
        seat("two", &[("b60", Some(50))], Some(1)),
    ];
    let waiting = [
        waits(1, "b100", &["one", "two"]),
        waits(2, "b100", &["one", "two"]),
        waits(3, "b60", &["one", "two"]),
        waits(4, "b60", &["two"]),
    ];
    insta::assert_snapshot!(lined_up(&seats, &waiting), @r"
    1: 30 130
    2: 50 150
    3: 130 190
    4: 150 210
    ");
    let sure = |at: usize| {
        let takes = |_: &BuilderName, _: &SlaveName| Some(about(100));
        let all = line_up(&seats, &waiting, &takes);
        let it = all[&RequestId(i64::try_from(at).expect("small"))].begin;
        it.high - it.low
    };
    assert!(sure(3) > sure(1), "what is far away is less sure");
}

#[test]
fn a_slave_builds_several_builders_at_once_but_none_twice() {
    let seats = [seat("one", &[("b100", Some(30))], None)];
    let waiting = [
        waits(1, "b100", &["one"]),
        waits(2, "b60", &["one"]),
        waits(3, "b60", &["one"]),
    ];
    insta::assert_snapshot!(lined_up(&seats, &waiting), @r"
    1: 30 130
    2: 0 60
    3: 60 120
    ");
}

#[test]
fn behind_what_nobody_knows_nothing_is_known() {
    let seats = [
        seat("one", &[("b100", None)], Some(1)),
        seat("two", &[("b60", Some(50))], Some(1)),
    ];
    let waiting = [
        // Slave one may be free before two.
        waits(1, "b100", &["one", "two"]),
        waits(2, "new", &["two"]),
        waits(3, "b60", &["two"]),
        waits(4, "b60", &["gone"]),
    ];
    insta::assert_snapshot!(lined_up(&seats, &waiting), @"2: 50 -");
}
