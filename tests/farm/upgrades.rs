//! The program is replaced while builds run: their commands go on, byte for byte.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::farm::{AUTOBOT, Farm, text};

/// Prints numbered lines until the file `go` is in the work directory.
const COUNTING: &str = "n=0; while [ ! -e go ]; do n=$((n+1)); echo line $n; sleep 0.01; done";

fn ini(launch: &str) -> String {
    format!(
        "[slave:linux]\npassword = secret\nfactories = count\n{launch}\n\
         [count]\ntype = shell\ncommands = {COUNTING}\n"
    )
}

/// Puts another program of the same behaviour at `path`: it ends with other bytes.
fn put(path: &Path, mark: &str) {
    let fresh = path.with_extension("new");
    fs::copy(AUTOBOT, &fresh).expect("copied");
    let mut file = File::options().append(true).open(&fresh).expect("opened");
    file.write_all(mark.as_bytes()).expect("written");
    drop(file);
    fs::rename(fresh, path).expect("in its place");
}

/// The last bytes of the file that a process runs, also if that has been removed.
fn mark_of(pid: u32) -> String {
    let program = fs::read(format!("/proc/{pid}/exe")).unwrap_or_default();
    let start = program.len().saturating_sub(8);
    String::from_utf8_lossy(&program[start..]).into_owned()
}

fn wait_for_line(farm: &mut Farm, number: usize) {
    let path = "/builders/count-linux/builds/0/steps/shell/logs/stdio/text?follow=0";
    let words = format!("line {number}\n");
    farm.wait(&words.clone(), |farm| {
        farm.get(path).filter(|it| it.1.contains(&words))
    });
}

fn begin(farm: &mut Farm) {
    let forced = farm.autobot(&["force", "count-linux"]);
    assert!(forced.status.success(), "{}", text(&forced));
    wait_for_line(farm, 20);
}

fn end(farm: &mut Farm, workdir: &Path) {
    fs::write(workdir.join("go"), "").expect("written");
    let build = farm.wait_builds("count-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    let path = "/builders/count-linux/builds/0/steps/shell/logs/stdio/text";
    let log = farm.get(path).expect("a log").1;
    let lines = log.lines().count();
    let expected: String = (1..=lines).map(|it| format!("line {it}\n")).collect();
    assert!(lines >= 20 && log == expected, "{log}");
    assert!(
        farm.json("/json/builders/count-linux/builds/1").is_none(),
        "there was one build"
    );
}

fn own_program(farm: &mut Farm) -> PathBuf {
    let program = farm.path("program");
    put(&program, "-the-old");
    farm.program.clone_from(&program);
    program
}

#[test]
fn a_slave_whose_program_is_replaced_goes_on_as_the_new_one() {
    let mut farm = Farm::new(&ini(""));
    farm.start_master();
    let program = own_program(&mut farm);
    farm.start_slave("linux");
    begin(&mut farm);
    let pid = farm.slave_pid();
    assert_eq!(mark_of(pid), "-the-old");

    // One that does not run takes nobody's place.
    let broken = program.with_extension("new");
    fs::write(&broken, "#!/bin/sh\nexit 1\n").expect("written");
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).expect("set");
    fs::rename(&broken, &program).expect("in its place");
    farm.wait("a complaint", |farm| {
        let said = farm.slave_output("linux");
        said.contains("by one that does not run").then_some(())
    });
    assert_eq!(mark_of(pid), "-the-old");

    put(&program, "-the-new");
    farm.wait("the new program", |_| {
        (mark_of(pid) == "-the-new").then_some(())
    });
    wait_for_line(&mut farm, 300);
    let workdir = farm.path("linux/count-linux/build");
    end(&mut farm, &workdir);
    let said = farm.slave_output("linux");
    assert_eq!(said.matches("goes on as the new one").count(), 1, "{said}");
    // The runner was started by the old program; the same process buries it.
    farm.wait("the runner's burial", |_| {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        children.is_ok_and(|it| it.trim().is_empty()).then_some(())
    });
}

#[test]
fn a_slave_that_is_not_to_follow_stays_until_it_is_restarted() {
    let mut farm = Farm::new(&ini(""));
    farm.start_master();
    let program = own_program(&mut farm);
    let master = format!("127.0.0.1:{}", farm.slaveport);
    farm.start_slave_at(
        "linux",
        &master,
        "password = secret\nfollow_upgrades = no\n",
    );
    begin(&mut farm);
    put(&program, "-the-new");
    wait_for_line(&mut farm, 300);
    assert_eq!(mark_of(farm.slave_pid()), "-the-old");
    farm.kill_slave();
    farm.start_slave_in("linux");
    let pid = farm.slave_pid();
    farm.wait("the new program", |_| {
        (mark_of(pid) == "-the-new").then_some(())
    });
    let workdir = farm.path("linux/count-linux/build");
    end(&mut farm, &workdir);
}

#[test]
fn a_master_and_the_slave_that_it_starts_are_replaced_while_a_build_runs() {
    let mut farm = Farm::new(&ini("launch = local\n"));
    let program = own_program(&mut farm);
    farm.start_master();
    begin(&mut farm);
    put(&program, "-the-new");
    farm.kill_master();
    farm.start_master();
    wait_for_line(&mut farm, 300);
    let workdir = farm.master_dir().join("slaves/linux/count-linux/build");
    end(&mut farm, &workdir);
}

#[test]
fn a_master_whose_program_was_replaced_still_starts_its_slaves() {
    let mut farm = Farm::new(&ini("launch = local\n"));
    let program = own_program(&mut farm);
    farm.start_master();
    farm.wait("the slave", |farm| {
        farm.json("/json/slaves/linux")
            .filter(|it| it["connected"] == true)
    });
    put(&program, "-the-new");
    let mark = farm.master_dir().join("slaves/linux");
    let slave = find(&mark).expect("a slave");
    assert_eq!(mark_of(slave), "-the-old");
    crate::farm::sh(Path::new("/"), "kill", &["-9", &slave.to_string()]);
    farm.wait("another slave", |_| {
        find(&mark).filter(|it| *it != slave && mark_of(*it) == "-the-new")
    });
    begin(&mut farm);
    let workdir = farm.master_dir().join("slaves/linux/count-linux/build");
    end(&mut farm, &workdir);
}

/// The process of the slave in this directory.
fn find(basedir: &Path) -> Option<u32> {
    let basedir = basedir.to_string_lossy().into_owned();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let is_it = line.contains("__slave") && line.contains(&basedir);
        is_it.then(|| entry.file_name().to_str()?.parse().ok())?
    })
}

#[test]
fn a_spool_of_a_later_program_is_refused_and_left_alone() {
    let mut farm = Farm::new(&ini(""));
    let spool = farm.path("linux/spool");
    fs::create_dir_all(spool.join("m-x/1-0-0-0")).expect("made");
    fs::write(spool.join("form"), "99\n").expect("written");
    farm.start_slave("linux");
    farm.wait("the refusal", |farm| {
        let said = farm.slave_output("linux");
        said.contains("it was written by a newer autobot")
            .then_some(())
    });
    assert!(spool.join("m-x/1-0-0-0").is_dir());
    assert_eq!(
        fs::read_to_string(spool.join("form")).expect("there"),
        "99\n"
    );
}
