//! Pages without a script, and without a screen: all that can be done can be done.

use std::fs;
use std::process::{Command, Stdio};

use crate::chromium::{Browser, Tab};
use crate::farm::Farm;
use crate::live::{open, url};

const INI: &str = "[slave:linux]\npassword = secret\nfactories = slow\nlaunch = local\n\n\
    [slow]\ntype = shell\ncommand = echo begun; until [ -e stop ]; do sleep 0.05; done; echo last words\n";

const BUILDER: &str = "/builders/slow-linux";

/// Loads the page again and again, as a visitor without scripts does, until the words are on it.
fn reload_until(farm: &Farm, browser: &mut Browser, tab: &Tab, path: &str, words: &str) {
    for _ in 0..2000 {
        browser.go(tab, &url(farm, path));
        if browser.reads(tab).contains(words) {
            return;
        }
    }
    panic!("`{words}` does not come:\n{}", browser.reads(tab));
}

#[test]
fn without_scripts_a_build_is_forced_and_stopped_and_its_log_is_read() {
    let (mut farm, mut browser, tab) = open(INI);
    browser.allow_scripts(&tab, false);
    browser.go(&tab, &url(&farm, BUILDER));
    browser.fill(&tab, "Reason", "by hand");
    browser.submit(&tab, "Force build");
    reload_until(&farm, &mut browser, &tab, BUILDER, "#0");
    let build = format!("{BUILDER}/builds/0");
    reload_until(&farm, &mut browser, &tab, &build, "begun");
    browser.click(&tab, "stdio");
    browser.until_read(&tab, "begun");
    browser.until(&tab, "location.pathname.endsWith('/logs/stdio')");
    browser.go(&tab, &url(&farm, &build));
    browser.submit(&tab, "Stop");
    farm.wait_builds("slow-linux", 1);
    reload_until(&farm, &mut browser, &tab, &build, "exception");
    browser.until_read(&tab, "by hand");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Presses keys in Lynx, one after the other.
fn lynx(farm: &Farm, path: &str, keys: &[&str]) {
    let script = farm.path("keys");
    let lines: String = keys.iter().map(|it| format!("key {it}\n")).collect();
    fs::write(&script, lines).expect("written");
    let output = Command::new("lynx")
        .arg("-cfg=/dev/null")
        .arg(format!("-cmd_script={}", script.display()))
        .arg(url(farm, path))
        .env("TERM", "vt100")
        .env("HOME", farm.path(""))
        .stdin(Stdio::null())
        .output()
        .expect("lynx runs: scripts/test.sh installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn in_lynx_a_build_is_forced_and_read() {
    let mut farm = Farm::new(INI);
    farm.start_master();
    // Finds the button by its words and presses it.
    let mut keys = vec!["/"];
    keys.extend([
        "F", "o", "r", "c", "e", "<space>", "b", "u", "i", "l", "d", "^J",
    ]);
    keys.extend(["^J", "Q"]);
    lynx(&farm, BUILDER, &keys);
    farm.wait("the build", |farm| {
        let page = farm.get(&format!("{BUILDER}/builds/0"))?.1;
        page.contains(">begun</span>").then_some(())
    });
    fs::write(farm.path("master/slaves/linux/slow-linux/build/stop"), "").expect("written");
    assert_eq!(farm.wait_builds("slow-linux", 1)["results"], 0);
    let read = Command::new("lynx")
        .args(["-cfg=/dev/null", "-dump", "-nolist"])
        .arg(url(
            &farm,
            &format!("{BUILDER}/builds/0/steps/shell/logs/stdio"),
        ))
        .env("HOME", farm.path(""))
        .output()
        .expect("lynx runs");
    let read = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(
        read.contains("begun") && read.contains("last words"),
        "{read}"
    );
}
