//! Commands on terms of their own, from the configuration to the page.

use std::fs;

use crate::farm::Farm;

const RECIPE: &str = r#"
[[steps]]
type = "shell"
name = "tests"
command = """
tty; stty size; umask; ulimit -n
for i in $(seq 20000); do echo line $i; done > test.log
while test ! -e go; do sleep 0.01; done
echo last >> test.log; echo done; kill -11 $$
"""
usePTY = true
umask = "027"
rlimit.nofile = 128
memory_max = "1G"
logfiles.test = "test.log"
logfiles.never = "%(never:-never)s.log"
lazy_logfiles = true

[[steps]]
type = "shell"
name = "plain"
command = "exit 3"
logfiles.empty = "empty.log"
"#;

#[test]
fn a_terminal_log_files_and_limits_outlive_master_and_slave() {
    let mut farm = Farm::new("[slave:linux]\npassword = secret\nfactories = terms\n\n[terms]\n");
    fs::create_dir(farm.master_dir().join("factories")).expect("a directory");
    fs::write(farm.master_dir().join("factories/terms.toml"), RECIPE).expect("written");
    farm.start_master();
    farm.start_slave("linux");
    farm.wait("the slave", |farm| {
        farm.json("/json/slaves/linux")
            .filter(|it| it["connected"] == true)
    });
    let forced = farm.autobot(&["force", "terms-linux"]);
    assert!(forced.status.success(), "{forced:?}");
    let log = "/builders/terms-linux/builds/0/steps/tests/logs/test/text";
    farm.wait("a part of the log file", |farm| {
        let (status, body) = farm.get(&format!("{log}?follow=0"))?;
        (status == 200 && body.contains("line 100\n")).then_some(())
    });
    farm.kill_slave();
    farm.kill_master();
    farm.start_master();
    farm.start_slave("linux");
    fs::write(farm.path("linux/terms-linux/build/go"), "").expect("written");
    let build = farm.wait_builds("terms-linux", 1);

    let said = farm.log("terms-linux", 0, "tests");
    for line in [
        "/dev/pts/",
        "24 80\n0027\n128\n",
        "`memory_max`, `cpu_max` and `pids_max` are not applied: ",
        "watching logfiles {'never': 'never.log', 'test': 'test.log'}",
        "using PTY: True",
        "process killed by signal 11 (SIGSEGV)\nusage: ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let mut expected: String = (1..=20_000).map(|it| format!("line {it}\n")).collect();
    expected.push_str("last\n");
    assert!(
        farm.get(log).expect("a log").1 == expected,
        "the log file is whole"
    );
    let [tests, plain] = &build["steps"].as_array().expect("steps")[..] else {
        panic!("two steps: {build:#}")
    };
    assert_eq!(tests["ended"], "signal 11 (SIGSEGV)");
    assert_eq!(plain["ended"], "exit code 3");
    let usage = &tests["usage"];
    assert!(
        usage["peakMemory"].as_u64().is_some_and(|it| it > 1 << 16),
        "{usage}"
    );
    assert!(
        usage["bytesWritten"]
            .as_u64()
            .is_some_and(|it| it > 100_000),
        "{usage}"
    );
    let logs = |name: &str| {
        let dir = farm.master_dir().join("builds/terms-linux");
        let all = fs::read_dir(dir).expect("a directory");
        let has = |it: fs::DirEntry| it.file_name().to_string_lossy().ends_with(name);
        all.flatten().any(has)
    };
    assert!(!logs("-never"), "nothing was written to it");
    assert!(logs("-empty"), "it is not lazy");
    let page = farm
        .get("/builders/terms-linux/builds/0/steps/tests")
        .expect("a page")
        .1;
    for word in [
        "Ended by",
        "signal 11 (SIGSEGV)",
        "Memory at most",
        "logs/test",
    ] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(!page.contains("logs/never"), "{page}");
}
