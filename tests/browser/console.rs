//! The boxes of the console: each shows its build over the page, to the mouse and to the keyboard, and the visitor
//! is where he was when he has seen enough.

use crate::axe::{self, Rules};
use crate::chromium::{Browser, Tab};
use crate::farm::{Farm, text};
use crate::live::{open, url};

const INI: &str = "[slave:linux]\npassword = secret\nlaunch = local\n\n\
    [hi]\ntype = shell\ncommand = echo hi; exit 3\n\n\
    [builder:hi]\nslaves = linux\n\n[builder:never]\nfactory = hi\nslaves = linux\n\n\
    [scheduler:all]\ntype = any_branch\nbuilders = hi\ntree_stable = 0\n";

/// The box of the first change, wherever it stands.
const BOX: &str = "document.querySelector('a[data-popup$=\"number=0\"]')";

fn push(farm: &mut Farm, revision: &str) {
    let sent = farm.autobot(&["sendchange", "--who", "bo", "--revision", revision, "x"]);
    assert!(sent.status.success(), "{}", text(&sent));
}

/// The build is shown, and the page behind it is the same.
fn assert_shown(browser: &mut Browser, tab: &Tab) {
    browser.until(tab, "document.querySelector('dialog').open");
    browser.until_read(tab, "hi/0");
    browser.assert_marked(tab);
    assert_eq!(browser.evaluate(tab, "location.pathname"), "/console");
}

/// It is gone, and the keyboard is where it was.
fn assert_closed(browser: &mut Browser, tab: &Tab) {
    browser.until(
        tab,
        &format!("!document.querySelector('dialog').open && document.activeElement === {BOX}"),
    );
}

#[test]
fn a_box_shows_its_build_over_the_page_by_click_and_by_key_and_gives_the_focus_back() {
    let (mut farm, mut browser, tab) = open(INI);
    push(&mut farm, "7");
    farm.wait_builds("hi", 1);
    browser.go(&tab, &url(&farm, "/console"));
    browser.mark(&tab);

    browser.click(&tab, "✗hi: failed");
    assert_shown(&mut browser, &tab);
    let wrong = axe::violations(&mut browser, &tab, &axe::source(), Rules::All);
    assert_eq!(wrong, [""; 0]);
    browser.press(&tab, "Escape");
    assert_closed(&mut browser, &tab);

    // The page is kept fresh behind it: the box that was left has a twin then.
    browser.press(&tab, "Enter");
    assert_shown(&mut browser, &tab);
    push(&mut farm, "8");
    browser.until(&tab, "document.querySelectorAll('article').length === 2");
    browser.press(&tab, "Escape");
    assert_closed(&mut browser, &tab);

    browser.press(&tab, "Enter");
    assert_shown(&mut browser, &tab);
    browser.click(&tab, "Close");
    assert_closed(&mut browser, &tab);

    browser.press(&tab, "Enter");
    assert_shown(&mut browser, &tab);
    browser.click(&tab, "hi/0");
    browser.until(&tab, "location.pathname === '/builders/hi/builds/0'");
    assert_eq!(browser.complaints(), [""; 0]);
}
