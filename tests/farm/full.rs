//! Disks that are full, on either side and at any moment: everything waits,
//! says so, and goes on when there is room.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::farm::{AUTOBOT, Farm, text};

const MIB: u64 = 1 << 20;

/// A small file system of its own.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// `None` where nobody may mount: then there is nothing to test with.
    pub(crate) fn mount(at: &Path, size: u64) -> Option<Self> {
        fs::create_dir_all(at).expect("a directory");
        let size = format!("size={size},mode=0755");
        let mount = ["-t", "tmpfs", "-o", &size, "none"];
        let mounted = Command::new("mount").args(mount).arg(at).output();
        if mounted.is_ok_and(|it| it.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("skipped: no file system can be mounted here (it takes root)");
        None
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves so many bytes free.
    pub(crate) fn fill(&self, leave: u64) {
        let mut ballast = File::options()
            .append(true)
            .create(true)
            .open(self.ballast())
            .expect("a file");
        while ballast.write_all(&[b'x'; 4096]).is_ok() {}
        let length = ballast.metadata().expect("a file").len();
        ballast
            .set_len(length.saturating_sub(leave))
            .expect("cut off");
    }

    pub(crate) fn free(&self) {
        // A file that could not even be made is as good as one that is gone.
        drop(fs::remove_file(self.ballast()));
    }

    fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        let done = Command::new("mount")
            .args(["-o", &how])
            .arg(&self.0)
            .output();
        let done = done.expect("run");
        assert!(done.status.success(), "{}", text(&done));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has it open ends soon.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

const SLAVE: &str = "[slave:linux]\npassword = secret\nfactories = it\n\n[it]\n";

fn write_recipe(farm: &Farm, recipe: &str) {
    farm.write_ini(SLAVE);
    let dir = farm.master_dir().join("factories");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(
        dir.join("it.toml"),
        format!("extends = \"source\"\n{recipe}"),
    )
    .expect("written");
}

fn start(farm: &mut Farm) {
    farm.start_master();
    farm.start_slave("linux");
    farm.wait("the slave", |farm| {
        farm.json("/json/slaves/linux")
            .filter(|it| it["connected"] == true)
    });
}

fn force(farm: &Farm) -> u16 {
    let forced = farm.post("/builders/it-linux/force", "comments=x");
    forced.expect("an answer").0
}

pub(crate) fn troubles(farm: &Farm) -> Vec<String> {
    let status = farm.json("/api/status").expect("a status");
    let troubles = status["troubles"].as_array().expect("a list");
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    troubles.iter().map(text).collect()
}

fn output(farm: &Farm, number: usize, step: &str, log: &str) -> String {
    let path = format!("/builders/it-linux/builds/{number}/steps/{step}/logs/{log}/text");
    farm.get(&path).expect("a log").1
}

fn is_whole(farm: &Farm) {
    let database = farm.master_dir().join("state.sqlite");
    let database = rusqlite::Connection::open(database).expect("a database");
    let check: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("checked");
    assert_eq!(check, "ok");
}

fn seq(last: u32) -> String {
    (1..=last).map(|it| format!("{it}\n")).collect()
}

#[test]
fn a_command_waits_for_the_slaves_disk_and_is_neither_cut_nor_killed() {
    let mut farm = Farm::new(SLAVE);
    let Some(disk) = Disk::mount(&farm.path("linux"), 16 * MIB) else {
        return;
    };
    // It would be killed for its silence long before there is room.
    write_recipe(
        &farm,
        "[[steps]]\ntype = \"shell\"\ntimeout = 2\ncommand = \"seq 1 600000\"\n",
    );
    start(&mut farm);
    disk.fill(MIB);
    assert_eq!(force(&farm), 200);
    let words = "slave linux cannot write to its disk";
    let said = farm.wait("the trouble", |farm| {
        troubles(farm).into_iter().find(|it| it.contains(words))
    });
    assert!(said.contains("is full; build it-linux/0 waits"), "{said}");
    for page in [
        "/",
        "/buildslaves/linux",
        "/builders/it-linux",
        "/builders/it-linux/builds/0",
    ] {
        let page = farm.get(page).expect("a page").1;
        assert!(page.contains(words), "{page}");
    }
    let status = farm.autobot(&["status"]);
    assert_eq!(status.status.code(), Some(1), "{}", text(&status));
    assert!(text(&status).contains(words), "{}", text(&status));
    // Longer than it may be silent: only time can show that it is not killed.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(troubles(&farm).len(), 1);
    disk.free();
    let build = farm.wait_builds("it-linux", 1);

    assert_eq!(build["results"], 0, "{build:#}");
    assert!(output(&farm, 0, "shell", "stdio") == seq(600_000));
    farm.wait("the end of the trouble", |farm| {
        troubles(farm).is_empty().then_some(())
    });
    assert_eq!(farm.autobot(&["status"]).status.code(), Some(0));
    let log = farm.slave_output("linux");
    assert_eq!(log.matches("commands wait").count(), 1, "{log}");
    assert_eq!(log.matches("takes everything again").count(), 1, "{log}");
    let log = farm.master_output();
    assert_eq!(log.matches(words).count(), 2, "begun and over: {log}");
}

#[test]
fn a_master_whose_disk_is_full_takes_nothing_in_by_half() {
    let mut farm = Farm::new(SLAVE);
    let Some(disk) = Disk::mount(&farm.master_dir(), 16 * MIB) else {
        return;
    };
    write_recipe(
        &farm,
        "[[steps]]\ntype = \"shell\"\ncommand = \"seq 1 200000; while [ ! -e go ]; do sleep 0.01; \
         done; seq 1 200000\"\n",
    );
    start(&mut farm);
    assert_eq!(force(&farm), 200);
    farm.wait("half of the log", |farm| {
        let path = "/builders/it-linux/builds/0/steps/shell/logs/stdio/text?follow=0";
        let (_, log) = farm.get(path)?;
        log.ends_with("\n200000\n").then_some(())
    });
    disk.fill(0);
    // What is written goes to the log of the database as long as that has room.
    let refused = farm.wait("a refusal", |farm| {
        let (status, body) = farm.post("/builders/it-linux/force", "comments=x")?;
        (status != 200).then_some((status, body))
    });
    assert_eq!(refused.0, 503, "{refused:?}");
    assert!(refused.1.contains("free some space"), "{refused:?}");
    let paused = farm.post("/buildslaves/linux/pause", "comments=x");
    assert_eq!(paused.expect("an answer").0, 503);
    let slave = farm.json("/json/slaves/linux").expect("a slave");
    assert_ne!(slave["paused"], true, "{slave:#}");
    farm.wait("the trouble", |farm| {
        let troubles = troubles(farm);
        troubles
            .iter()
            .any(|it| it.contains("the database cannot be written"))
            .then_some(())
    });
    let before = farm.json("/api/status").expect("a status")["waiting"].clone();
    fs::write(farm.path("linux/it-linux/build/go"), "").expect("written");
    farm.wait("the other trouble", |farm| {
        let troubles = troubles(farm);
        troubles
            .iter()
            .any(|it| it.contains("logs cannot be written") && it.contains("it-linux/0 waits"))
            .then_some(())
    });
    // Even dying is no way to lose something.
    farm.kill_master();
    disk.free();
    farm.start_master();
    let build = farm.wait_builds("it-linux", 1);

    assert_eq!(build["results"], 0, "{build:#}");
    assert!(output(&farm, 0, "shell", "stdio") == seq(200_000).repeat(2));
    assert_eq!(build["slave"], "linux");
    let known = farm.json("/api/builds?builder=it-linux").expect("builds");
    let waiting = before.as_u64().expect("a number");
    assert!(known.as_array().expect("a list").len() as u64 <= waiting + 1);
    is_whole(&farm);
}

/// Steps of every kind that writes: commands with logs of their own and on terms, files in both
/// directions, logs that a step gives as a whole. What the commands write themselves is `ELSEWHERE`:
/// a full disk is theirs to complain about.
const EVERYTHING: &str = r#"
[[steps]]
type = "shell"
name = "count"
command = "rm -f ELSEWHERE/count.log; seq 1 30000 | tee ELSEWHERE/count.log; echo once >> ELSEWHERE/ran"
logfiles = { own = "ELSEWHERE/count.log" }

[[steps]]
type = "shell"
name = "nice"
nice = 1
command = "seq 1 3000"

[[steps]]
type = "string_download"
name = "send"
s = "a text"
slavedest = "new/sent"

[[steps]]
type = "file_upload"
name = "fetch"
slavesrc = "ELSEWHERE/count.log"
masterdest = "public/count.log"

[[steps]]
type = "compile"
name = "warn"
command = "cat new/sent; for i in $(seq 1 200); do echo file.c:$i: warning: x; done"
"#;

/// Numbers that look random and can be had again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % most
    }
}

#[test]
fn any_moment_is_a_good_moment_to_run_out_of_space() {
    const RUNS: usize = 30;
    let seed = u64::from(std::process::id());
    let mut dice = Dice(seed);
    let mut farm = Farm::new(SLAVE);
    let (Some(ours), Some(theirs)) = (
        Disk::mount(&farm.master_dir(), 32 * MIB),
        Disk::mount(&farm.path("linux"), 32 * MIB),
    ) else {
        return;
    };
    let elsewhere = farm.path("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    let recipe = EVERYTHING.replace("ELSEWHERE", &elsewhere.to_string_lossy());
    write_recipe(&farm, &recipe);
    start(&mut farm);
    for run in 0..RUNS {
        assert_eq!(force(&farm), 200, "seed {seed}, run {run}");
        // The moment and the space are what is tested, so they are drawn.
        std::thread::sleep(Duration::from_millis(dice.below(120)));
        let (on_master, on_slave) = match dice.below(3) {
            0 => (true, false),
            1 => (false, true),
            _ => (true, true),
        };
        if on_master {
            ours.fill(dice.below(100) * 4096);
        }
        if on_slave {
            theirs.fill(dice.below(100) * 4096);
        }
        // Until something waits, or all went well in spite of it.
        farm.wait(&format!("seed {seed}, run {run}: a halt"), |farm| {
            let path = format!("/json/builders/it-linux/builds/{run}");
            let ended = farm.json(&path).is_some_and(|it| !it["results"].is_null());
            (ended || !troubles(farm).is_empty()).then_some(())
        });
        match dice.below(4) {
            0 => {
                farm.kill_slave();
                farm.start_slave_in("linux");
            }
            1 => {
                farm.kill_master();
                ours.free();
                farm.start_master();
            }
            _ => {}
        }
        ours.free();
        theirs.free();
        let build = farm.wait_builds("it-linux", run + 1);
        assert_eq!(build["results"], 0, "seed {seed}, run {run}: {build:#}");
        let count = seq(30_000);
        assert!(
            output(&farm, run, "count", "stdio") == count,
            "seed {seed}, run {run}"
        );
        assert!(
            output(&farm, run, "count", "own") == count,
            "seed {seed}, run {run}"
        );
        assert!(
            output(&farm, run, "nice", "stdio") == seq(3000),
            "seed {seed}, run {run}"
        );
        let warned = output(&farm, run, "warn", "stdio");
        assert!(
            warned.starts_with("a text"),
            "seed {seed}, run {run}: {warned}"
        );
        let warnings = output(&farm, run, "warn", "warnings%20(200)");
        assert_eq!(warnings.lines().count(), 200, "seed {seed}, run {run}");
        let headers = farm.log("it-linux", i64::try_from(run).expect("few"), "count");
        let ends = headers.matches("program finished with exit code 0").count();
        assert_eq!(ends, 1, "seed {seed}, run {run}: {headers}");
        let fetched = fs::read_to_string(farm.master_dir().join("public/count.log"));
        assert!(fetched.expect("fetched") == count, "seed {seed}, run {run}");
    }
    let ran = fs::read_to_string(elsewhere.join("ran")).expect("it ran");
    assert_eq!(ran.lines().count(), RUNS, "seed {seed}: each ran once");
    farm.wait("no trouble", |farm| troubles(farm).is_empty().then_some(()));
    is_whole(&farm);
}

#[test]
fn a_command_that_waits_for_room_says_so_wherever_in_its_beginning_that_is() {
    let mut farm = Farm::new(SLAVE);
    let Some(disk) = Disk::mount(&farm.path("linux"), 8 * MIB) else {
        return;
    };
    // With a launcher, which writes what its runner waits for.
    write_recipe(
        &farm,
        "[[steps]]\ntype = \"shell\"\nnice = 1\ncommand = \"true\"\n",
    );
    start(&mut farm);
    assert_eq!(force(&farm), 200);
    farm.wait_builds("it-linux", 1);
    let mut waited = 0;
    for pages in 0..10 {
        disk.fill(pages * 4096);
        assert_eq!(force(&farm), 200);
        let number = usize::try_from(pages).expect("few") + 1;
        let path = format!("/json/builders/it-linux/builds/{number}");
        waited += farm.wait(&format!("a halt with {pages} pages left"), |farm| {
            let build = farm.json(&path).filter(|it| !it["results"].is_null());
            let halted = (!troubles(farm).is_empty()).then_some(1);
            build.map(|_| 0).or(halted)
        });
        disk.free();
        let build = farm.wait_builds("it-linux", number + 1);
        assert_eq!(build["results"], 0, "{pages} pages: {build:#}");
        farm.wait("no trouble", |farm| troubles(farm).is_empty().then_some(()));
    }
    assert!((3..10).contains(&waited), "{waited} of them waited");
}

#[test]
fn a_program_that_meets_a_full_disk_fails_by_itself() {
    let mut farm = Farm::new(SLAVE);
    let Some(_disk) = Disk::mount(&farm.path("linux"), 8 * MIB) else {
        return;
    };
    write_recipe(
        &farm,
        "[[steps]]\ntype = \"shell\"\n\
         command = \"dd if=/dev/zero of=big bs=1M 2>said; code=$?; rm big; cat said; exit $code\"\n",
    );
    start(&mut farm);
    assert_eq!(force(&farm), 200);
    let build = farm.wait_builds("it-linux", 1);
    assert_eq!(
        build["results"], 2,
        "a failure, and nothing else: {build:#}"
    );
}

#[test]
fn a_held_build_can_be_stopped_when_the_slaves_disk_is_full() {
    let mut farm = Farm::new(SLAVE);
    let Some(disk) = Disk::mount(&farm.path("linux"), 8 * MIB) else {
        return;
    };
    write_recipe(
        &farm,
        "[[steps]]\ntype = \"shell\"\ncommand = \"echo never\"\n",
    );
    start(&mut farm);
    disk.fill(0);
    assert_eq!(force(&farm), 200);
    farm.wait("the trouble", |farm| {
        (!troubles(farm).is_empty()).then_some(())
    });
    let stopped = farm.post("/builders/it-linux/builds/0/stop", "comments=enough");
    assert_eq!(stopped.expect("an answer").0, 200);
    let build = farm.wait_builds("it-linux", 1);
    assert_eq!(build["results"], 4, "{build:#}");
    farm.wait("no trouble", |farm| troubles(farm).is_empty().then_some(()));
}

#[test]
fn a_stop_is_not_forgotten_while_the_disk_is_full() {
    let mut farm = Farm::new(SLAVE);
    let Some(disk) = Disk::mount(&farm.path("linux"), 16 * MIB) else {
        return;
    };
    write_recipe(
        &farm,
        "[[steps]]\ntype = \"shell\"\ncommand = \"seq 1 600000; sleep 1000\"\n",
    );
    start(&mut farm);
    disk.fill(MIB);
    assert_eq!(force(&farm), 200);
    farm.wait("the trouble", |farm| {
        (!troubles(farm).is_empty()).then_some(())
    });
    disk.fill(0);
    let stopped = farm.post("/builders/it-linux/builds/0/stop", "comments=enough");
    assert_eq!(stopped.expect("an answer").0, 200);
    disk.free();
    let build = farm.wait_builds("it-linux", 1);
    assert_eq!(build["results"], 4, "{build:#}");
    let said = output(&farm, 0, "shell", "stdio");
    assert!(seq(600_000).starts_with(&said), "nothing of it is garbled");
}

#[test]
fn on_a_read_only_file_system_nothing_starts_and_the_reason_is_said() {
    let mut farm = Farm::new(SLAVE);
    let (Some(ours), Some(theirs)) = (
        Disk::mount(&farm.master_dir(), 16 * MIB),
        Disk::mount(&farm.path("linux"), 16 * MIB),
    ) else {
        return;
    };
    write_recipe(
        &farm,
        "[[steps]]\ntype = \"shell\"\ncommand = \"seq 1 50000\"\n",
    );
    start(&mut farm);
    assert_eq!(force(&farm), 200);
    farm.wait_builds("it-linux", 1);
    farm.kill_master();
    farm.kill_slave();
    for (disk, dir) in [(&ours, farm.master_dir()), (&theirs, farm.path("linux"))] {
        disk.remount("ro");
        let started = Command::new(AUTOBOT)
            .args(["start", "--nodaemon"])
            .arg(&dir)
            .output()
            .expect("run");
        assert_eq!(started.status.code(), Some(1), "{}", text(&started));
        let said = text(&started).to_lowercase();
        assert!(
            said.contains("read-only") || said.contains("readonly"),
            "{said}"
        );
        disk.remount("rw");
    }
    farm.start_slave_in("linux");
    farm.start_master();
    assert!(output(&farm, 0, "shell", "stdio") == seq(50_000));
    assert_eq!(farm.force("it-linux", &[])["results"], json!(0));
    is_whole(&farm);
}

#[test]
fn a_broken_template_is_said_and_the_page_is_shown_all_the_same() {
    let mut farm = Farm::new(SLAVE);
    write_recipe(&farm, "");
    let own = farm.master_dir().join("templates");
    fs::create_dir(&own).expect("a directory");
    fs::write(own.join("builders.html"), "one\n{% if %}\n").expect("written");
    farm.start_master();
    for _ in 0..3 {
        let (status, page) = farm.get("/builders").expect("a page");
        assert_eq!(status, 200);
        assert!(page.contains("it-linux"), "{page}");
        assert!(
            page.contains("A template of this master is broken"),
            "{page}"
        );
        assert!(page.contains("`builders.html`: line 2"), "{page}");
    }
    let log = farm.master_output();
    assert_eq!(log.matches("a template is broken").count(), 1, "{log}");
    fs::write(own.join("builders.html"), "mended").expect("written");
    assert_eq!(farm.get("/builders").expect("a page").1, "mended");
}
