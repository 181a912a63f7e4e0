//! How many instructions the hot pure parts take, counted by callgrind: the same on a busy machine
//! as on an idle one. `cargo test --bench instructions` counts, prints a table and says what has
//! changed since `benches/instructions.json`; more than 10 % more fails. With `--update` it writes
//! that file anew. The programs of the tests are counted, so that nothing is built for it alone.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program that prints a table"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use autobot::{Configuration, QueueBench, WireBench, fill_in, index_log, paint_log, store_log};
use serde_json::{Value, json};

/// A part that is counted: what it is, and what does it once. What it prepares is not counted,
/// because a run that does it three times is compared with one that does it once.
struct Part {
    name: &'static str,
    what: &'static str,
    prepare: fn(&Path) -> Box<dyn FnMut()>,
}

const PARTS: &[Part] = &[
    Part {
        name: "dispatch",
        what: "a decision while 500 requests for 50 builders wait",
        prepare: dispatch,
    },
    Part {
        name: "interpolation",
        what: "1,000 texts with six properties",
        prepare: interpolation,
    },
    Part {
        name: "ini",
        what: "reading a `master.ini` of 40 builders",
        prepare: |dir| configuration(dir, "master.ini", &ini()),
    },
    Part {
        name: "toml",
        what: "reading a `master.toml` of 40 builders",
        prepare: |dir| configuration(dir, "master.toml", &toml()),
    },
    Part {
        name: "paint",
        what: "1,000 coloured log lines into HTML",
        prepare: paint,
    },
    Part {
        name: "index",
        what: "finding 10,000 lines in a log",
        prepare: index,
    },
    Part {
        name: "frames",
        what: "100 pieces of output, said and heard as a slave of autobot does",
        prepare: |_| frames(WireBench::Native),
    },
    Part {
        name: "calls",
        what: "the same as a slave of Buildbot does",
        prepare: |_| frames(WireBench::Calls),
    },
    Part {
        name: "packed",
        what: "the same as one that speaks MessagePack",
        prepare: |_| frames(WireBench::Packed),
    },
];

fn frames(language: WireBench) -> Box<dyn FnMut()> {
    let text = "[ 57%] Building CXX object src/CMakeFiles/core.dir/parser.cc.o\n".repeat(8);
    Box::new(move || {
        for _ in 0..100 {
            language.hear(&black_box(language).say(black_box(&text)));
        }
    })
}

/// A part may take so much more than it did.
const MORE: f64 = 0.10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["run", name, times] = words.as_slice() {
        let part = PARTS.iter().find(|it| it.name == *name);
        let part = part.expect("a part's name");
        let dir = tempfile::tempdir().expect("a directory");
        let mut act = (part.prepare)(dir.path());
        for _ in 0..times.parse::<u32>().expect("a number") {
            act();
        }
        return ExitCode::SUCCESS;
    }
    let mut counts = BTreeMap::new();
    for part in PARTS {
        let Some((once, thrice)) = counted(part.name, 1).zip(counted(part.name, 3)) else {
            eprintln!("callgrind cannot be run: install valgrind");
            return ExitCode::FAILURE;
        };
        counts.insert(part.name, (thrice - once) / 2.0);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json");
    let compiler = compiler();
    if words.contains(&"--update") {
        let text = json!({ "compiler": compiler, "instructions": counts });
        let text = serde_json::to_string_pretty(&text).expect("JSON");
        fs::write(path, text + "\n").expect("written");
        return ExitCode::SUCCESS;
    }
    let baseline = fs::read(&path).ok();
    let baseline = baseline.and_then(|it| serde_json::from_slice::<Value>(&it).ok());
    report(&counts, &baseline.unwrap_or_default(), &compiler)
}

/// Prints the table; fails if a part takes too much more than it did with the same compiler.
fn report(counts: &BTreeMap<&str, f64>, baseline: &Value, compiler: &str) -> ExitCode {
    let is_same_compiler = baseline["compiler"] == compiler;
    let mut worse = Vec::new();
    println!("| part | instructions | before | change |\n|---|---|---|---|");
    for part in PARTS {
        let count = counts[part.name];
        let before = baseline["instructions"][part.name].as_f64();
        let change = before.map(|it| count / it - 1.0);
        if change.is_some_and(|it| it > MORE) {
            worse.push(part.name);
        }
        println!(
            "| {} | {count:.0} | {} | {} |",
            part.what,
            before.map_or("–".into(), |it| format!("{it:.0}")),
            change.map_or("–".into(), |it| format!("{:+.1} %", it * 100.0)),
        );
    }
    if worse.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "{} took over 10 % more instructions than benches/instructions.json says; if that is \
         right, `cargo test --bench instructions -- --update` writes it anew",
        worse.join(", ")
    );
    if is_same_compiler {
        return ExitCode::FAILURE;
    }
    eprintln!("the file was written with another compiler, so this does not fail");
    ExitCode::SUCCESS
}

/// The instructions of a run of this program that does the part so often.
fn counted(name: &str, times: u32) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["run", name, &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|it| it.contains("Collected : "));
    let count = line.and_then(|it| it.split_whitespace().last()?.parse().ok());
    if count.is_none() {
        eprintln!("{said}");
    }
    count
}

fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output();
    let said = said.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    format!("{} {}", said.unwrap_or_default(), std::env::consts::ARCH)
}

fn dispatch(dir: &Path) -> Box<dyn FnMut()> {
    let mut text = String::new();
    for slave in 0..10 {
        let _ = write!(text, "[slave:s{slave}]\npassword = x\nmax_builds = 1\n");
    }
    text.push_str("[echo]\ntype = shell\ncommands = true\n");
    for builder in 0..50 {
        let _ = write!(text, "[builder:b{builder}]\nfactory = echo\nslaves = *\n");
    }
    fs::write(dir.join("master.ini"), text).expect("written");
    let mut queue = QueueBench::new(dir).expect("good");
    queue.fill(10);
    queue.decide();
    Box::new(move || {
        black_box(queue.tick());
    })
}

fn interpolation(_: &Path) -> Box<dyn FnMut()> {
    const TEXT: &str = "make -C %(builddir)s/%(branch:-trunk)s REV=%(got_revision)s \
                        %(branch:+--branch)s -j%(cores)s %(slavename)s";
    let properties = [
        ("builddir", "full-linux"),
        ("branch", "feature/better"),
        ("got_revision", "0123456789abcdef"),
        ("cores", "4"),
        ("slavename", "linux-1"),
    ];
    Box::new(move || {
        for _ in 0..1000 {
            black_box(fill_in(black_box(TEXT), &properties).expect("good"));
        }
    })
}

fn configuration(dir: &Path, name: &str, text: &str) -> Box<dyn FnMut()> {
    fs::write(dir.join(name), text).expect("written");
    let dir = dir.to_owned();
    Box::new(move || drop(black_box(Configuration::load(&dir).expect("good"))))
}

fn ini() -> String {
    let mut text = String::from("[slave:s]\npassword = x\n");
    for it in 0..40 {
        let _ = write!(
            text,
            "[f{it}]\ntype = shell\ncommands = make target{it}\n  make check\n\
             [builder:b{it}]\nfactory = f{it}\nslaves = s\n"
        );
    }
    text
}

fn toml() -> String {
    let mut text = String::from("[slave.s]\npassword = \"x\"\n");
    for it in 0..40 {
        let _ = write!(
            text,
            "[factory.f{it}]\n[[factory.f{it}.steps]]\ntype = \"shell\"\ncommand = \"make target{it}\"\n\
             [builder.b{it}]\nfactory = \"f{it}\"\nslaves = [\"s\"]\n"
        );
    }
    text
}

fn paint(_: &Path) -> Box<dyn FnMut()> {
    let mut text = String::new();
    for it in 0..1000 {
        let _ = writeln!(
            text,
            "[{it:3}] \u{1b}[1;32mCompiling\u{1b}[0m <core> src/parser/tree.cc \u{1b}[33mwarning\u{1b}[0m"
        );
    }
    Box::new(move || {
        black_box(paint_log(black_box(&text)));
    })
}

fn index(dir: &Path) -> Box<dyn FnMut()> {
    let path = dir.join("log");
    let mut text = String::new();
    for it in 0..10_000 {
        let _ = writeln!(
            text,
            "[{it:5}] Building CXX object src/parser/expression_tree.cc.o"
        );
    }
    store_log(&path, &text).expect("written");
    Box::new(move || assert_eq!(index_log(&path).expect("a log"), 10_000))
}
