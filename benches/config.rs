//! How long a large configuration takes to read and to reload, beside parsing
//! the same bytes with the toml crate, and what a master that runs it takes of
//! memory: `cargo bench --bench config`. Prints a table; asserts nothing but
//! that the configurations are good. With one of the words `toml`,
//! `ini`, `matrix` and `running`, only those rows: for profilers.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "real time is what is measured"
)]

#[path = "../tests/farm/farm.rs"]
#[expect(dead_code, reason = "the farm of the tests, of which a part is used")]
mod farm;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use autobot::Configuration;
use farm::Farm;

const BUILDERS: usize = 1000;
const SLAVES: usize = 60;
const STEPS: usize = 8;
const SCHEDULERS: usize = 16;
/// Of the matrix: factories, and the values of two axes.
const FACTORIES: usize = 50;
const AXES: [usize; 2] = [5, 4];

fn main() {
    let only = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let has = |name: &str| only.as_ref().is_none_or(|it| name.contains(it.as_str()));
    println!("| what | autobot | floor | ratio |\n|---|---|---|---|");
    if has("toml") {
        rows("TOML", "master.toml", &toml(), "timeout = \"20m\"");
    }
    if has("ini") {
        rows("INI", "master.ini", &ini(), "make -j4 target3");
    }
    if has("matrix") {
        rows("matrix", "master.toml", &matrix(), "timeout = \"20m\"");
    }
    if has("running") {
        running();
    }
}

/// Loading the text, and reloading it with another value in the line that has
/// `line` for the 500th time, or for the last time.
fn rows(what: &str, name: &str, text: &str, line: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    fs::write(&path, text).expect("written");
    let count = if cfg!(debug_assertions) { 1 } else { 50 };
    let floor = name.ends_with("toml").then(|| {
        let parse = || toml::de::DeTable::parse(text).expect("TOML");
        quickest(count, || {}, parse)
    });
    let load = || Configuration::load(dir.path()).expect("good");
    assert_eq!(load().builders(), BUILDERS);
    let quickest_load = quickest(count, || {}, load);
    let kb = text.len() / 1024;
    row(
        &format!(
            "{what}: load and check {BUILDERS} builders, {SLAVES} slaves, {SCHEDULERS} schedulers, {} steps, {kb} KB",
            BUILDERS * STEPS
        ),
        quickest_load,
        floor,
    );
    let other = changed(text, line);
    let mut standing = load();
    let mut is_other = false;
    let reload = quickest(
        count,
        || {
            is_other = !is_other;
            fs::write(&path, if is_other { &other } else { text }).expect("written");
        },
        || {
            let (lines, old) = standing.reload(dir.path()).expect("good");
            assert!(lines.len() > 1, "{lines:?}");
            old
        },
    );
    row(
        &format!("{what}: reload after a change of one line"),
        reload,
        floor,
    );
}

/// The text with another value in one line.
fn changed(text: &str, line: &str) -> String {
    let all = text.match_indices(line).map(|(at, _)| at);
    let at = all.take(500).last().expect("there is such a line");
    let digit = line.find(|it: char| it.is_ascii_digit()).expect("a digit");
    let mut text = text.to_owned();
    text.replace_range(at + digit..=at + digit, "1");
    text
}

fn row(what: &str, ours: f64, floor: Option<f64>) {
    match floor {
        Some(floor) => println!(
            "| {what} | {ours:.1} ms | {floor:.1} ms (toml alone) | {:.1} |",
            ours / floor
        ),
        None => println!("| {what} | {ours:.1} ms | – | – |"),
    }
}

/// A real master of the TOML configuration: its memory, and `autobot reconfig`
/// beside a verb that only asks the same master something.
fn running() {
    let mut farm = Farm::new("include = farm.toml\nderive = no\nwatch = no\n");
    let text = toml();
    let text = text
        .split_once("[slave.")
        .map(|(_, rest)| format!("[slave.{rest}"))
        .expect("slaves");
    let path = farm.master_dir().join("farm.toml");
    fs::write(&path, &text).expect("written");
    farm.start_master();
    let dir = farm.master_dir();
    memory("after its start", &dir);
    let name = dir.to_string_lossy().into_owned();
    let other = changed(&text, "timeout = \"20m\"");
    let mut is_other = false;
    let reload = median_after(
        11,
        || {
            is_other = !is_other;
            fs::write(&path, if is_other { &other } else { &text }).expect("written");
        },
        || assert!(farm.autobot(&["reconfig", &name]).status.success()),
    );
    let bare = median_after(
        11,
        || {},
        || assert!(farm.autobot(&["status", &name]).status.success()),
    );
    println!(
        "| `autobot reconfig` of a running master | {reload:.1} ms | {bare:.1} ms (`autobot status`) | {:.1} |",
        reload / bare
    );
    memory("after 11 reloads", &dir);
    farm.kill_master();
}

fn memory(when: &str, dir: &Path) {
    let dir = dir.to_string_lossy();
    let figure = |name: &str| {
        farm_process(&["--nodaemon", &dir], name)
            .map_or_else(|| "?".into(), |it| format!("{it:.1}"))
    };
    println!(
        "| resident memory of a master that runs it {when} | {} MB, {} MB at most | – | – |",
        figure("VmRSS:"),
        figure("VmHWM:")
    );
}

/// Megabytes of the process whose command line holds all the words.
fn farm_process(words: &[&str], figure: &str) -> Option<f64> {
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains("autobot") && words.iter().all(|it| line.contains(it)) {
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let kb = status.lines().find_map(|it| it.strip_prefix(figure))?;
            return Some(kb.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0);
        }
    }
    None
}

/// Milliseconds, of the middle one of many; what is prepared is not measured.
fn median_after(count: usize, mut prepare: impl FnMut(), mut act: impl FnMut()) -> f64 {
    let mut all: Vec<_> = (0..count)
        .map(|_| {
            prepare();
            let begun = Instant::now();
            act();
            begun.elapsed()
        })
        .collect();
    all.sort();
    all[all.len() / 2].as_secs_f64() * 1000.0
}

/// Milliseconds, of the quickest of many: what else runs only adds to it. What
/// is made or replaced goes when nobody waits any more.
fn quickest<T>(count: u32, mut prepare: impl FnMut(), mut act: impl FnMut() -> T) -> f64 {
    let all = (0..count).map(|_| {
        prepare();
        let begun = Instant::now();
        let made = act();
        let elapsed = begun.elapsed();
        drop(made);
        elapsed
    });
    all.min().unwrap_or_default().as_secs_f64() * 1000.0
}

/// A farm in which every builder has a factory of its own.
fn toml() -> String {
    let mut text = toml_head();
    for builder in 0..BUILDERS {
        let _ = write!(
            text,
            "[builder.b{builder}]\nfactory = \"f{builder}\"\nslaves = [\"t{}\"]\ntags = [\"g{}\"]\n",
            builder % 6,
            builder % SCHEDULERS
        );
        toml_factory(&mut text, builder);
    }
    text
}

/// The same number of builders, as combinations of few factories with two axes.
fn matrix() -> String {
    let mut text = toml_head();
    for factory in 0..FACTORIES {
        let axis = |count: usize| -> String {
            let all: Vec<_> = (0..count).map(|it| format!("\"v{it}\"")).collect();
            all.join(", ")
        };
        let _ = write!(
            text,
            "[builder.\"b{factory}-{{python}}-{{database}}\"]\nfactory = \"f{factory}\"\nslaves = [\"t{}\"]\ntags = [\"g{}\"]\nmatrix.python = [{}]\nmatrix.database = [{}]\n",
            factory % 6,
            factory % SCHEDULERS,
            axis(AXES[0]),
            axis(AXES[1]),
        );
        toml_factory(&mut text, factory);
    }
    text
}

fn toml_head() -> String {
    let mut text = String::from("[master]\nderive = false\n");
    for slave in 0..SLAVES {
        let _ = write!(
            text,
            "[slave.s{slave}]\npassword = \"x\"\ntags = [\"t{}\"]\nmax_builds = 2\n",
            slave % 6
        );
    }
    for it in 0..SCHEDULERS {
        let _ = write!(
            text,
            "[scheduler.n{it}]\ntype = \"single_branch\"\nbranch = \"main\"\ntags = \"g{it}\"\n"
        );
    }
    text
}

fn toml_factory(text: &mut String, number: usize) {
    let _ = write!(
        text,
        "[factory.f{number}]\ngit = \"https://example.org/{number}.git#main\"\n"
    );
    for step in 0..STEPS {
        let _ = write!(
            text,
            "[[factory.f{number}.steps]]\ntype = \"shell\"\nname = \"step {step}\"\ncommand = [\"make\", \"-j4\", \"target{step}\", \"BRANCH=%(branch)s\"]\nenv.LC_ALL = \"C\"\ntimeout = \"20m\"\n"
        );
    }
}

/// The same builders in INI: their steps are `commands`.
fn ini() -> String {
    let mut text = String::from("[:master:]\nderive = no\n");
    for slave in 0..SLAVES {
        let _ = write!(
            text,
            "[slave:s{slave}]\npassword = x\ntags = t{}\nmax_builds = 2\n",
            slave % 6
        );
    }
    for it in 0..SCHEDULERS {
        let _ = write!(
            text,
            "[scheduler:n{it}]\ntype = single_branch\nbranch = main\ntags = g{it}\n"
        );
    }
    for builder in 0..BUILDERS {
        let _ = write!(
            text,
            "[builder:b{builder}]\nfactory = f{builder}\nslaves = t{}\ntags = g{}\n[f{builder}]\ntype = shell\ngit = https://example.org/{builder}.git#main\ncommands =\n",
            builder % 6,
            builder % SCHEDULERS
        );
        for step in 0..STEPS {
            let _ = writeln!(text, "    make -j4 target{step} BRANCH=%(branch)s");
        }
    }
    text
}
