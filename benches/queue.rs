//! How long it takes to decide what is built next while very much waits, beside sorting the same
//! list: `cargo bench --bench queue`. Prints a table; asserts nothing but that builds begin. With
//! one of the words `changes`, `waiting`, `rules`, `locks` and `one`, only those rows. Decisions and
//! readings are what they compute: who else uses the machine does not count.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "real time is what is measured"
)]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use autobot::QueueBench;
use nix::time::{ClockId, clock_gettime};

const BUILDERS: usize = 1000;
const SLAVES: usize = 60;
/// Of each builder.
const REQUESTS: [usize; 2] = [10, 100];
const CHANGES: usize = 10_000;
const DECISIONS: usize = 1000;

fn main() {
    let only = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let has = |name: &str| only.as_ref().is_none_or(|it| name.contains(it.as_str()));
    println!("| what | autobot | floor | ratio |\n|---|---|---|---|");
    if has("changes") {
        changes();
    }
    if has("waiting") {
        for each in REQUESTS {
            waiting(each, "", "");
        }
    }
    if has("rules") {
        waiting(
            REQUESTS[1],
            "prioritize_builders = builder.oldest\n",
            "next_build = request.submitted\nmerge_requests = b.agrees and a.reason == b.reason\n",
        );
    }
    if has("locks") {
        locks();
    }
    if has("one") {
        one_builder();
    }
}

fn row(what: &str, ours: Duration, floor: Option<(&str, Duration)>) {
    let ms = |it: Duration| it.as_secs_f64() * 1000.0;
    match floor {
        Some((name, floor)) => println!(
            "| {what} | {:.3} ms | {:.3} ms ({name}) | {:.2} |",
            ms(ours),
            ms(floor),
            ms(ours) / ms(floor)
        ),
        None => println!("| {what} | {:.3} ms | – | – |", ms(ours)),
    }
}

fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let done = act();
    (begun.elapsed(), done)
}

/// How long this thread, or all threads together, were on a processor: others who compute
/// meanwhile are not in it.
fn computed<T>(who: ClockId, act: impl FnOnce() -> T) -> (Duration, T) {
    let used = || Duration::from(clock_gettime(who).expect("always known"));
    let before = used();
    let done = act();
    (used().saturating_sub(before), done)
}

/// All threads together.
const ALL: ClockId = ClockId::CLOCK_PROCESS_CPUTIME_ID;

/// A directory with a configuration of so many builders on all slaves.
fn farm(builders: usize, slaves: usize, master: &str, keys: &str) -> tempfile::TempDir {
    crowded(1, builders, slaves, master, keys)
}

/// The same with so many builds at once on each slave.
fn crowded(
    max_builds: usize,
    builders: usize,
    slaves: usize,
    master: &str,
    keys: &str,
) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let mut text = format!("[:master:]\nslaveport = none\nhtmlport = none\n{master}");
    for slave in 0..slaves {
        let _ = write!(
            text,
            "[slave:s{slave}]\npassword = x\nmax_builds = {max_builds}\n"
        );
    }
    text.push_str("[echo]\ntype = shell\ncommands = true\n");
    for builder in 0..builders {
        let _ = write!(
            text,
            "[builder:b{builder}]\nfactory = echo\nslaves = *\n{keys}"
        );
    }
    let path = dir.path().join("master.ini");
    fs::write(&path, text).expect("written");
    private(&path);
    dir
}

/// A file with passwords is its owner's.
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
}

/// Sorting what waits by age.
fn sorting(count: usize) -> Duration {
    let mut seed = 1_u64;
    let mut all: Vec<(u64, u64)> = (0..count as u64)
        .map(|it| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33, it)
        })
        .collect();
    timed(|| {
        all.sort_unstable();
        black_box(&all);
    })
    .0
}

/// Resident megabytes.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kb = kb.and_then(|it| it.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}

/// Storing rows of a change's size, each in a transaction of its own.
fn inserts(count: usize) -> Duration {
    let dir = tempfile::tempdir().expect("a directory");
    let db = rusqlite::Connection::open(dir.path().join("floor.sqlite")).expect("a database");
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT);",
    )
    .expect("made");
    let row = "x".repeat(100);
    timed(|| {
        for _ in 0..count {
            db.execute("INSERT INTO t (a, b) VALUES (?1, ?1)", [&row])
                .expect("written");
        }
    })
    .0
}

fn changes() {
    let dir = farm(1, 1, "", "");
    let mut queue = QueueBench::new(dir.path()).expect("a queue");
    let floor = inserts(CHANGES);
    let (took, ()) = timed(|| queue.push(CHANGES));
    row(
        &format!("{CHANGES} changes stored and scheduled, each alone"),
        took,
        Some(("as many inserts", floor)),
    );
    let (took, merged) = decided(|| queue.decide());
    assert!(merged > CHANGES - 10, "{merged} became one build");
    row(
        &format!("{merged} requests become one build"),
        took,
        Some(("sorting them", sorting(merged))),
    );
}

fn waiting(each: usize, master: &str, keys: &str) {
    let rules = if keys.is_empty() {
        ""
    } else {
        ", with three rules"
    };
    let all = each * BUILDERS;
    let dir = farm(BUILDERS, SLAVES, master, keys);
    let mut queue = QueueBench::new(dir.path()).expect("a queue");
    queue.fill(each);
    let before = resident();
    let (took, ()) = computed(ALL, || queue.learn());
    let floor = sorting(all);
    row(
        &format!("{all} requests of {BUILDERS} builders are read{rules}"),
        took,
        Some(("sorting them", floor)),
    );
    let (took, begun) = decided(|| queue.look());
    assert!(begun == SLAVES, "{begun} builds began");
    row(
        &format!("the first decision, {begun} builds begin{rules}"),
        took,
        None,
    );
    println!(
        "| memory for them{rules} | {:.1} MB | – | – |",
        resident() - before
    );
    decisions(&mut queue, all, rules, floor);
    let (took, why) = decided(|| queue.why());
    row(
        &format!("why {why} requests of a builder wait, and when they are built{rules}"),
        took,
        None,
    );
    println!(
        "| memory after {DECISIONS} decisions{rules} | {:.1} MB | – | – |",
        resident() - before
    );
    // The builds of the benchmark are not in the store: what they took is not news again.
    queue.learn();
    let (took, ()) = computed(ALL, || queue.learn());
    row(
        &format!("the look every ten seconds, reading{rules}"),
        took,
        Some(("sorting them", floor)),
    );
    let (took, _) = decided(|| queue.look());
    row(
        &format!("the look every ten seconds, the decision{rules}"),
        took,
        None,
    );
}

/// What one decision computes.
fn decided<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    computed(ClockId::CLOCK_THREAD_CPUTIME_ID, act)
}

/// Builds end, and others begin.
fn decisions(queue: &mut QueueBench, all: usize, what: &str, floor: Duration) {
    let mut took: Vec<Duration> = (0..DECISIONS)
        .map(|_| {
            let (took, begun) = decided(|| queue.decide());
            assert!(begun > 0, "a build began");
            took
        })
        .collect();
    took.sort_unstable();
    row(
        &format!("a decision while {all} wait{what}"),
        took[DECISIONS / 2],
        Some(("sorting them", floor)),
    );
    row(
        &format!("the longest of {DECISIONS}{what}"),
        took[DECISIONS - 1],
        None,
    );
}

/// All of it waits for locks, and all slaves have room.
fn locks() {
    for (name, keys) in [
        (", all for one lock", "[lock:db]\nmax_count = 4\n"),
        (", for a lock of each slave", "[lock:db]\ntype = slave\n"),
    ] {
        let all = REQUESTS[0] * BUILDERS;
        let dir = crowded(8, BUILDERS, SLAVES, keys, "locks = db\n");
        let mut queue = QueueBench::new(dir.path()).expect("a queue");
        queue.fill(REQUESTS[0]);
        queue.learn();
        let (took, _) = decided(|| queue.look());
        row(&format!("the first decision{name}"), took, None);
        decisions(&mut queue, all, name, sorting(all));
    }
}

/// All of it waits for one builder, and nothing agrees.
fn one_builder() {
    let all = REQUESTS[1] * BUILDERS;
    let dir = farm(1, 1, "", "");
    let mut queue = QueueBench::new(dir.path()).expect("a queue");
    queue.fill(all);
    queue.tick();
    let mut decisions: Vec<Duration> = (0..51).map(|_| decided(|| queue.decide()).0).collect();
    decisions.sort_unstable();
    row(
        &format!("a decision while {all} wait for one builder"),
        decisions[25],
        Some(("sorting them", sorting(all))),
    );
    row("the longest of 51", decisions[50], None);
    let dir = farm(
        1,
        1,
        "",
        "merge_requests = b.agrees and a.reason == b.reason\n",
    );
    let mut queue = QueueBench::new(dir.path()).expect("a queue");
    queue.fill(all);
    queue.tick();
    let (took, _) = decided(|| queue.decide());
    let what = format!("a decision while {all} wait for one builder that merges by a rule");
    row(&what, took, None);
}
