//! Logging in and out: what is not allowed is not offered, what is tried all the same is refused, and who is who
//! he says he is comes back to where he was.

use crate::chromium::{Browser, Tab};
use crate::live::{open, url};

const INI: &str = "[:authz:]\nusers = ann:let-me-in\ndefault_action = authenticated\n\n\
    [slave:linux]\npassword = secret\nfactories = hi\nlaunch = local\n\n\
    [hi]\ntype = shell\ncommand = echo hi\n";

const BUILDER: &str = "/builders/hi-linux";

/// Types both into the form that is open, and sends it.
fn log_in(browser: &mut Browser, tab: &Tab, name: &str, password: &str) {
    browser.fill(tab, "Name", name);
    browser.fill(tab, "Password", password);
    // The link to the form stands on its page, too.
    browser.mark(tab);
    browser.press(tab, "Enter");
    browser.until(
        tab,
        "!window.openedOnce && document.readyState === 'complete'",
    );
}

#[test]
fn who_logs_in_is_back_where_he_was_and_may_act_until_he_logs_out() {
    let (mut farm, mut browser, tab) = open(INI);
    let asked = farm.post(&format!("{BUILDER}/force"), "comments=no");
    assert_eq!(asked.expect("an answer").0, 401);
    browser.go(&tab, &url(&farm, BUILDER));
    assert_eq!(browser.evaluate(&tab, "!button('Force build')"), true);
    browser.submit(&tab, "Log in");
    log_in(&mut browser, &tab, "ann", "wrong");
    browser.until(
        &tab,
        "field('Password') && document.querySelector('[role=alert]')",
    );
    // That a password was wrong is an answer with a status of its own.
    browser.complaints();
    log_in(&mut browser, &tab, "ann", "let-me-in");
    browser.until(&tab, &format!("location.pathname === '{BUILDER}'"));
    browser.until_read(&tab, "ann");
    browser.fill(&tab, "Reason", "as ann");
    browser.submit(&tab, "Force build");
    let build = farm.wait_builds("hi-linux", 1);
    let reason = build["reason"].as_str().expect("a reason");
    assert!(reason.contains("'ann'"), "{reason}");
    browser.submit(&tab, "Log out");
    browser.go(&tab, &url(&farm, BUILDER));
    assert_eq!(browser.evaluate(&tab, "!button('Force build')"), true);
    assert_eq!(browser.complaints(), [""; 0]);
}
