//! Journeys through open pages, with the mouse and then with the keyboard alone: what is asked for happens before
//! the visitor's eyes, and nothing is loaded twice.

use std::fs;
use std::io::Write;

use serde_json::Value;

use crate::chromium::{Browser, Tab, Theme};
use crate::farm::{Farm, text};

/// A builder whose builds say what is written into the file `feed`, until there is a file `stop`.
const SLOW: &str = "[slave:linux]\npassword = secret\nfactories = slow\nlaunch = local\n\n\
    [slow]\ntype = shell\ncommand = rm -f feed stop; touch feed; echo begun; tail -f feed & \
    until [ -e stop ]; do sleep 0.05; done; sleep 0.1; kill $!; printf 'last \\033[32mwords\\033[0m\\n'; exit 3\n\n\
    [slave:away]\npassword = secret\nfactories = slow\n";

const BUILDER: &str = "/builders/slow-linux";

/// What the running build is to say; a file in its directory.
fn say(farm: &Farm, lines: &str) {
    let path = farm.path("master/slaves/linux/slow-linux/build/feed");
    let mut feed = fs::File::options()
        .append(true)
        .open(path)
        .expect("the build has begun");
    feed.write_all(lines.as_bytes()).expect("written");
}

fn end(farm: &Farm) {
    fs::write(farm.path("master/slaves/linux/slow-linux/build/stop"), "").expect("written");
}

/// A master at work, a browser, and one empty tab.
pub(crate) fn open(ini: &str) -> (Farm, Browser, Tab) {
    let mut farm = Farm::new(ini);
    farm.start_master();
    let mut browser = Browser::start(&farm.path("browser"));
    let tab = browser.tab();
    (farm, browser, tab)
}

pub(crate) fn url(farm: &Farm, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", farm.htmlport)
}

fn force(farm: &Farm, builder: &str) {
    let forced = farm.autobot(&["force", builder]);
    assert!(forced.status.success(), "{}", text(&forced));
}

/// Waits until the build says that it has begun.
pub(crate) fn wait_begun(farm: &mut Farm, number: i64) {
    farm.wait("the first line of the build", |farm| {
        let page = farm.get(&format!("{BUILDER}/builds/{number}"))?.1;
        page.contains(">begun</span>").then_some(())
    });
}

#[test]
fn a_build_that_is_forced_from_the_form_ends_before_the_visitors_eyes() {
    let (mut farm, mut browser, tab) = open(SLOW);
    browser.go(&tab, &url(&farm, BUILDER));
    browser.fill(&tab, "Your name", "Ann");
    browser.fill(&tab, "Reason", "to see <b>it</b>");
    browser.submit(&tab, "Force build");
    browser.until(&tab, "button('#0')");
    browser.mark(&tab);
    wait_begun(&mut farm, 0);
    browser.until_read(&tab, "running");
    end(&farm);
    browser.until_read(&tab, "failure");
    browser.assert_marked(&tab);

    browser.click(&tab, "#0");
    browser.until_read(&tab, "to see <b>it</b>");
    browser.until_read(&tab, "last words");
    browser.submit(&tab, "Rebuild");
    wait_begun(&mut farm, 1);
    browser.go(&tab, &url(&farm, &format!("{BUILDER}/builds/1")));
    browser.mark(&tab);
    browser.fill(&tab, "Reason", "enough");
    browser.click(&tab, "Stop");
    browser.until_read(&tab, "exception");
    let stopped = farm.build("slow-linux", 1);
    assert_eq!(stopped["results"], 4, "{stopped:#}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_log_that_grows_is_followed_until_the_visitor_looks_back() {
    let (mut farm, mut browser, tab) = open(SLOW);
    force(&farm, "slow-linux");
    wait_begun(&mut farm, 0);
    browser.go(
        &tab,
        &url(&farm, &format!("{BUILDER}/builds/0/steps/shell/logs/stdio")),
    );
    browser.mark(&tab);
    browser.until_read(&tab, "begun");
    let lines = |from: u32| -> String {
        (from..from + 200)
            .map(|it| format!("line {it}\n"))
            .collect()
    };
    const LOG: &str = "document.querySelector('.whole > .log')";
    let at_end = format!("{LOG}.scrollHeight - {LOG}.scrollTop - {LOG}.clientHeight < 40");

    say(&farm, &lines(0));
    browser.until_read(&tab, "line 199");
    browser.until(&tab, &at_end);

    // Who looks back is left where he looks.
    browser.evaluate(&tab, &format!("{LOG}.focus()"));
    browser.press(&tab, "Home");
    browser.until(&tab, &format!("{LOG}.scrollTop === 0"));
    say(&farm, &lines(200));
    browser.until_read(&tab, "line 399");
    assert_eq!(browser.evaluate(&tab, &format!("{LOG}.scrollTop")), 0);

    // Who goes to the end again follows again.
    browser.press(&tab, "End");
    browser.until(&tab, &at_end);
    say(&farm, &lines(400));
    browser.until_read(&tab, "line 599");
    browser.until(&tab, &at_end);
    end(&farm);
    browser.until_read(&tab, "last words");
    browser.until_read(&tab, "The log is complete.");
    browser.until_read(&tab, "failure");
    browser.assert_marked(&tab);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn every_open_page_shows_what_happens_without_being_opened_again() {
    let (mut farm, mut browser, first) = open(SLOW);
    force(&farm, "slow-linux");
    wait_begun(&mut farm, 0);
    let mut tabs = vec![first];
    let pages = [
        ("/", "1 of 2 builders is red"),
        ("/builders", "failure"),
        ("/waterfall", "Build 0 ✗ failure"),
        (
            "/builders/slow-linux/builds/0",
            "slow-linux Build #0: failure",
        ),
    ];
    for (at, (path, _)) in pages.iter().enumerate() {
        if at > 0 {
            tabs.push(browser.tab());
        }
        browser.go(&tabs[at], &url(&farm, path));
        browser.mark(&tabs[at]);
    }
    say(&farm, "still here\n");
    browser.until_read(&tabs[3], "still here");
    end(&farm);
    for (tab, (_, words)) in tabs.iter().zip(pages) {
        browser.until_read(tab, words);
        browser.assert_marked(tab);
    }
    browser.until_read(&tabs[3], "last words");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn who_stops_a_build_that_has_just_ended_is_told_so_once() {
    let (mut farm, mut browser, tab) = open(SLOW);
    force(&farm, "slow-linux");
    wait_begun(&mut farm, 0);
    browser.go(&tab, &url(&farm, &format!("{BUILDER}/builds/0")));
    // That it has ended does not come to the page before the click.
    browser.hold_answers(&tab, "*/builds/0");
    end(&farm);
    farm.wait_builds("slow-linux", 1);
    browser.submit(&tab, "Stop This Build");
    browser.release_answers(&tab);
    browser.until_read(&tab, "The build had ended already: nothing was stopped.");
    let here = browser.evaluate(&tab, "location.href");
    assert_eq!(here, url(&farm, &format!("{BUILDER}/builds/0")));
    browser.go(&tab, &url(&farm, &format!("{BUILDER}/builds/0")));
    assert!(!browser.reads(&tab).contains("nothing was stopped"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_slave_is_paused_and_a_request_is_cancelled_with_a_click() {
    let (farm, mut browser, tab) = open(SLOW);
    browser.go(&tab, &url(&farm, "/buildslaves/linux"));
    browser.fill(&tab, "Your name", "Ann");
    browser.fill(&tab, "Reason", "new disks");
    browser.submit(&tab, "Pause");
    browser.until_read(&tab, "by Ann: new disks");
    force(&farm, "slow-linux");
    browser.go(&tab, &url(&farm, BUILDER));
    browser.until_read(&tab, "new disks");
    browser.submit(&tab, "Cancel");
    browser.until_read(&tab, "No request waits.");
    browser.go(&tab, &url(&farm, "/buildslaves/linux"));
    browser.submit(&tab, "Let it take builds again");
    browser.until(
        &tab,
        "!document.body.innerText.includes('new disks') && button('Pause')",
    );
    assert_eq!(
        farm.json("/json/builders/slow-linux/pendingBuilds"),
        Some(Value::Array(Vec::new()))
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Clicks, and when the master has heard of it clicks again. The browser moves no mouse for others
/// while a page is on its way.
const TWICE: &str = r"(async () => {
    const waiting = async () => (await (await fetch('/json/builders/slow-away/pendingBuilds')).json()).length;
    button('Force build').click();
    while (await waiting() === 0);
    button('Force build').click();
    return window.openedOnce;
})()";

#[test]
fn a_form_is_sent_once_however_often_its_button_is_clicked() {
    let (farm, mut browser, tab) = open(SLOW);
    browser.go(&tab, &url(&farm, "/builders/slow-away"));
    browser.mark(&tab);
    browser.hold_answers(&tab, "*/force");
    assert_eq!(browser.evaluate(&tab, TWICE), true, "on the same page");
    browser.release_answers(&tab);
    browser.until(&tab, "!window.openedOnce && button('Cancel')");
    // What is asked for waits for a slave that never comes.
    let waiting = farm.json("/json/builders/slow-away/pendingBuilds");
    let waiting = waiting.as_ref().and_then(Value::as_array).map(Vec::len);
    assert_eq!(waiting, Some(1));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_waterfall_of_many_builds_keeps_its_heads_in_sight_and_leads_to_the_past() {
    let builders: String = (0..6)
        .map(|it| format!("[builder:hi-{it}]\nfactory = hi\nslaves = linux\n\n"))
        .collect();
    let (mut farm, mut browser, tab) = open(&format!(
        "[slave:linux]\npassword = secret\nlaunch = local\n\n[hi]\ntype = shell\ncommand = true\n\n{builders}"
    ));
    for number in 1..4 {
        for it in 0..6 {
            force(&farm, &format!("hi-{it}"));
            farm.wait_builds(&format!("hi-{it}"), number);
        }
    }
    browser.wear(&tab, Theme::Light, 1400);
    browser.go(&tab, &url(&farm, "/waterfall"));
    for it in 0..6 {
        assert_eq!(
            browser.evaluate(&tab, &format!("!!button('hi-{it}')")),
            true
        );
    }
    // The heads stay while time falls under them.
    browser.evaluate(
        &tab,
        "document.querySelector('.fall').scrollTo({ top: 1e6, behavior: 'instant' })",
    );
    browser.until(
        &tab,
        "(() => { const head = button('hi-3').getBoundingClientRect(); \
         return button('hi-3').contains(document.elementFromPoint(head.x + head.width / 2, head.y + head.height / 2)); })()",
    );
    browser.until_read(&tab, "Build 0");

    browser.go(&tab, &url(&farm, "/waterfall?num_events=6"));
    browser.until_read(&tab, "Build 2");
    for _ in 0..20 {
        if browser.reads(&tab).contains("Build 0") {
            break;
        }
        let here = browser.evaluate(&tab, "location.href").to_string();
        browser.click(&tab, "older");
        browser.until(
            &tab,
            &format!("location.href !== {here} && document.readyState === 'complete'"),
        );
    }
    browser.until_read(&tab, "Build 0");
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Where the keyboard is: what is called so, and what is wrong with how it is shown.
const FOCUS: &str = r"(() => {
    const it = document.activeElement;
    const style = getComputedStyle(it);
    const box = it.getClientRects()[0];
    const over = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const name = it.labels?.[0] ? said(it.labels[0]) : said(it);
    let wrong = '';
    if (!it.matches(':focus-visible')) wrong = 'does not know of its focus';
    else if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) wrong = 'has no visible focus';
    else if (!it.contains(over) && !over?.contains(it)) wrong = `lies under ${over?.outerHTML.slice(0, 80)}`;
    return { name, wrong };
})()";

/// Goes from stop to stop until one whose name begins so; each has to be seen.
fn tab_to(browser: &mut Browser, tab: &Tab, words: &str) -> Vec<String> {
    let mut way = Vec::new();
    for _ in 0..100 {
        browser.press(tab, "Tab");
        let focus = browser.evaluate(tab, FOCUS);
        let name = focus["name"].as_str().unwrap_or_default().to_owned();
        assert_eq!(focus["wrong"], "", "`{name}`, on the way {way:?}");
        way.push(name.clone());
        if name.to_lowercase().starts_with(&words.to_lowercase()) {
            return way;
        }
    }
    panic!("no key leads to `{words}`: {way:?}");
}

#[test]
fn with_the_keyboard_alone_a_build_is_forced_and_each_stop_is_seen() {
    let (mut farm, mut browser, tab) = open(SLOW);
    for width in [1400, 390] {
        browser.wear(&tab, Theme::Dark, width);
        browser.go(&tab, &url(&farm, BUILDER));
        let way = tab_to(&mut browser, &tab, "Your name");
        assert_eq!(way[0], "Skip to the content");
    }
    browser.insert(&tab, "Ann");
    let way = tab_to(&mut browser, &tab, "Force build");
    let reason = way.iter().position(|it| it.starts_with("Reason"));
    let branch = way.iter().position(|it| it.starts_with("Branch"));
    assert!(
        reason.is_some() && reason < branch,
        "in the order of the page: {way:?}"
    );
    browser.press(&tab, "Enter");
    wait_begun(&mut farm, 0);
    browser.until_read(&tab, "running");

    // The first stop leads past everything that stands on each page.
    browser.go(&tab, &url(&farm, "/"));
    browser.press(&tab, "Tab");
    browser.press(&tab, "Enter");
    let way = tab_to(&mut browser, &tab, "slow-linux");
    assert!(way.len() <= 4, "{way:?}");
    end(&farm);
    farm.wait_builds("slow-linux", 1);
    assert_eq!(browser.complaints(), [""; 0]);
}
