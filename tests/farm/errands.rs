//! Commands that the master itself runs: its log, its end, and what becomes of them when it
//! is killed or the build is stopped.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::farm::Farm;

fn farm(recipe: &str) -> Farm {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = errand\nlaunch = local\n\n[errand]\n\n\
         [:secrets:]\nfile = secrets.toml\n",
    );
    let secrets = farm.master_dir().join("secrets.toml");
    fs::write(&secrets, "key = \"hunter22\"\n").expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&secrets, private).expect("private");
    fs::create_dir(farm.master_dir().join("factories")).expect("a directory");
    fs::create_dir(farm.master_dir().join("site")).expect("a directory");
    fs::write(farm.master_dir().join("factories/errand.toml"), recipe).expect("written");
    farm.start_master();
    farm
}

fn text(build: &Value, step: usize) -> &Value {
    &build["steps"][step]["text"]
}

/// The number that a command has written down.
fn pid(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.ends_with('\n').then(|| text.trim().to_owned())
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[test]
fn the_master_runs_commands_of_its_own() {
    let mut farm = farm(
        r#"
[[steps]]
type = "master_shell_command"
command = "pwd; echo oh >&2; echo ${secret:key} | tee key; env | sort; exit 0"
path = "site"
env.ONLY = "%(buildername)s"

[[steps]]
type = "master_shell_command"
name = "terminal"
command = ["/bin/sh", "-c", "test -t 1 && echo yes $HOME"]
use_pty = true

[[steps]]
type = "master_shell_command"
name = "fails"
command = "exit 3"
halt_on_failure = false
flunk_on_failure = false

[[steps]]
type = "master_shell_command"
name = "dies"
command = "kill -11 $$"
halt_on_failure = false
flunk_on_failure = false

[[steps]]
type = "master_shell_command"
name = "nowhere"
command = ["/no/such/program"]
"#,
    );
    let build = farm.force("errand-linux", &[]);
    assert_eq!(text(&build, 0), &json!(["Ran"]), "{build:#}");
    assert_eq!(text(&build, 1), &json!(["Ran"]));
    assert_eq!(text(&build, 2), &json!(["failed (3)"]));
    assert_eq!(text(&build, 3), &json!(["failed (signal 11)"]));
    assert_eq!(text(&build, 4), &json!(["failed (not started)"]));
    assert_eq!(build["results"], 2);
    let said = farm.log("errand-linux", 0, "MasterShellCommand");
    let site = farm.master_dir().join("site");
    let site = site.display();
    for line in [
        "** RUNNING ON BUILDMASTER **\n",
        &format!(" in dir {site}\n argv: ['/bin/sh', '-c', 'pwd; echo oh >&2; echo <key>"),
        &format!("{site}\n"),
        "oh\n",
        "<key>\n",
        "ONLY=errand-linux\n",
        "exit status 0\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(
        !said.contains("hunter22") && !said.contains("HOME="),
        "{said}"
    );
    let key = fs::read_to_string(farm.master_dir().join("site/key")).expect("written");
    assert_eq!(key, "hunter22\n");
    let home = std::env::var("HOME").expect("a home");
    let said = farm.log("errand-linux", 0, "terminal");
    assert!(said.contains(&format!("yes {home}\n")), "{said}");
}

const WAITS: &str = r#"
[[steps]]
type = "master_shell_command"
command = "echo begun; sleep 600 & echo $! > pid.new; mv pid.new pid; wait"

[[steps]]
type = "shell"
command = "true"
"#;

#[test]
fn a_stop_ends_the_command_of_the_master_with_all_that_it_started() {
    let mut farm = farm(WAITS);
    let forced = farm.autobot(&["force", "errand-linux"]);
    assert!(forced.status.success(), "{forced:?}");
    let path = farm.master_dir().join("pid");
    let child = farm.wait("the command", |_| pid(&path));
    farm.post("/builders/errand-linux/builds/0/stop", "comments=enough");
    let build = farm.wait_builds("errand-linux", 1);
    assert_eq!(build["results"], 4, "{build:#}");
    assert_eq!(text(&build, 0), &json!(["Ran", "interrupted"]));
    farm.wait("its end", |_| (!is_alive(&child)).then_some(()));
}

#[test]
fn a_command_of_a_master_that_is_killed_ends_and_its_build_is_given_back() {
    let mut farm = farm(WAITS);
    let forced = farm.autobot(&["force", "errand-linux"]);
    assert!(forced.status.success(), "{forced:?}");
    let path = farm.master_dir().join("pid");
    let child = farm.wait("the command", |_| pid(&path));
    let log = "/builders/errand-linux/builds/0/steps/MasterShellCommand/logs/stdio/text?follow=0";
    farm.wait("what it says", |farm| {
        let (status, body) = farm.get(log)?;
        (status == 200 && body.contains("begun\n")).then_some(())
    });
    farm.kill_master();
    fs::remove_file(&path).expect("removed");
    farm.start_master();
    let build = farm.wait_builds("errand-linux", 1);
    assert_eq!(build["results"], 5, "{build:#}");
    let expected = json!(["Ran", "exception", "master", "restarted"]);
    assert_eq!(text(&build, 0), &expected);
    farm.wait("its end", |_| (!is_alive(&child)).then_some(()));
    // The request is served by a build of its own, which runs the command anew.
    let child = farm.wait("the next command", |_| pid(&path));
    farm.post("/builders/errand-linux/builds/1/stop", "comments=enough");
    let build = farm.wait_builds("errand-linux", 2);
    assert_eq!(build["results"], 4, "{build:#}");
    farm.wait("its end", |_| (!is_alive(&child)).then_some(()));
    let said = farm.log("errand-linux", 0, "MasterShellCommand");
    assert!(
        said.contains("the master was restarted while it ran"),
        "{said}"
    );
    assert!(said.contains("begun\n"), "{said}");
}
