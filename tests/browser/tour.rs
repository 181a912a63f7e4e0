//! A tour of all pages of one master: each is valid, can be used by everybody in both themes and on small and large
//! screens, and runs nothing of what strangers named. The pictures that are taken on the way are kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::axe::{self, Rules};
use crate::chromium::{Browser, Tab, Theme};
use crate::farm::Farm;
use crate::pages::{self, Page};
use crate::sample::{self, ENDS, HOSTILE, quote};
use crate::validity::{self, Nu};

const DESK: u32 = 1400;
const PHONE: u32 = 390;

/// The narrowest screen that pages fit on, and one that is too wide to read along.
const NARROW: u32 = 360;
const WIDE: u32 = 3840;

/// How a page is looked at, in the order that costs least, and which rules are then checked: its
/// colours do not depend on its width.
const LOOKS: [(Theme, u32, Option<Rules>); 4] = [
    (Theme::Light, DESK, Some(Rules::All)),
    (Theme::Dark, DESK, Some(Rules::OfColours)),
    (Theme::Dark, PHONE, None),
    (Theme::Light, PHONE, Some(Rules::All)),
];

/// Where the pictures are kept; `scripts/test.sh` says so.
fn pictures() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    drop(fs::remove_dir_all(&dir));
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

struct Tour {
    browser: Browser,
    tab: Tab,
    axe: String,
    pictures: PathBuf,
    /// What is wrong, and where.
    problems: BTreeMap<String, Vec<String>>,
}

impl Tour {
    fn start(profile: &Path, pictures: &Path) -> Self {
        let mut browser = Browser::start(profile);
        let tab = browser.tab();
        Self {
            browser,
            tab,
            axe: axe::source(),
            pictures: pictures.to_owned(),
            problems: BTreeMap::new(),
        }
    }

    fn note(&mut self, page: &str, problem: &str) {
        let pages = self.problems.entry(problem.to_owned()).or_default();
        pages.push(page.to_owned());
    }

    fn visit(&mut self, base: &str, page: &Page) {
        let name = &page.name;
        for (at, (theme, width, rules)) in LOOKS.into_iter().enumerate() {
            self.browser.wear(&self.tab, theme, width);
            if at == 0 {
                self.browser.go(&self.tab, &format!("{base}{}", page.path));
            }
            let look = format!("{name}-{theme}-{width}");
            if let Some(rules) = rules {
                let found = axe::violations(&mut self.browser, &self.tab, &self.axe, rules);
                for it in found {
                    self.note(&look, &it);
                }
            }
            let path = self.pictures.join(format!("{look}.jpg"));
            self.browser.picture(&self.tab, &path);
        }
        self.browser.wear(&self.tab, Theme::Light, NARROW);
        let wide = self.browser.evaluate(&self.tab, SIDEWAYS);
        if !wide.is_null() {
            self.note(name, &format!("does not fit on {NARROW} pixels: {wide}"));
        }
        let hidden = self.browser.evaluate(&self.tab, OVERLAPS);
        if !hidden.is_null() {
            self.note(
                name,
                &format!("has a result over a name on {NARROW} pixels: {hidden}"),
            );
        }
        self.browser.wear(&self.tab, Theme::Light, WIDE);
        let long = self.browser.evaluate(&self.tab, LONG_LINES);
        if !long.is_null() {
            self.note(
                name,
                &format!("has lines too long to read on {WIDE} pixels: {long}"),
            );
        }
        for it in self.browser.complaints() {
            // That a page is not there is what the browser says of an error page, too.
            if page.status == 200 || !it.contains("Failed to load resource") {
                self.note(name, &format!("complains: {it}"));
            }
        }
    }
}

/// What sticks out of the window, if the page goes sideways.
const SIDEWAYS: &str = r"(() => {
    const page = document.scrollingElement;
    if (page.scrollWidth <= page.clientWidth) return null;
    const out = [...document.querySelectorAll('body *')]
        .filter((it) => it.getBoundingClientRect().right > page.clientWidth + 1 && !it.closest('.scroll, .log'));
    return `${page.scrollWidth}: ${out.slice(0, 3).map((it) => it.outerHTML.slice(0, 120)).join(' ')}`;
})()";

/// A name in a list over which the result of the same row lies.
const OVERLAPS: &str = r"(() => {
    const boxes = (row, what) => [...row.querySelectorAll(what)].flatMap((it) => [...it.getClientRects()]);
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const row = [...document.querySelectorAll('main .rows tbody tr')]
        .find((it) => boxes(it, '.badge').some((a) => boxes(it, '.strong').some((b) => meet(a, b))));
    return row ? row.innerText.slice(0, 200) : null;
})()";

/// A paragraph whose lines are longer than eyes find back from.
const LONG_LINES: &str = r"(() => {
    const long = [...document.querySelectorAll('main p, main li, main dd, main pre.comments')]
        .find((it) => it.getClientRects()[0]?.width > 1400);
    return long ? long.outerHTML.slice(0, 200) : null;
})()";

/// Looks at what pages are made of; the checker of HTML is still at work then.
fn check_documents(farm: &Farm, pages: &[Page], tour: &mut Tour) -> Nu {
    let dir = farm.path("html");
    fs::create_dir(&dir).expect("a directory");
    for page in pages {
        let (status, body) = farm.get(&page.path).expect("an answer");
        assert_eq!(status, page.status, "{}: {body}", page.path);
        fs::write(dir.join(format!("{}.html", page.name)), body).expect("written");
    }
    for (at, name) in HOSTILE.iter().chain(&[ENDS, "never built"]).enumerate() {
        let (status, svg) = farm
            .get(&format!("/badges/{}.svg", quote(name)))
            .expect("an answer");
        assert_eq!(status, 200, "{name}: {svg}");
        fs::write(dir.join(format!("badge-{at}.svg")), svg).expect("written");
    }
    for (path, schema) in [("/atom", validity::ATOM), ("/rss", validity::RSS)] {
        let (_, feed) = farm.get(path).expect("an answer");
        assert!(feed.contains("alert("), "{path} is about hostile names");
        let wrong = validity::of_feed(&feed, schema, &farm.path(""));
        if !wrong.is_empty() {
            tour.note(path, &wrong);
        }
    }
    Nu::check(&dir)
}

#[test]
fn every_page_is_valid_for_everybody_and_runs_nothing_of_strangers() {
    let farm = sample::start();
    let base = format!("http://127.0.0.1:{}", farm.htmlport);
    let pages = pages::all();
    let pictures = pictures();
    let mut tour = Tour::start(&farm.path("browser"), &pictures);
    let nu = check_documents(&farm, &pages, &mut tour);
    // Two browsers are done sooner than one.
    let (some, others) = pages.split_at(pages.len() / 2);
    let elsewhere = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut tour = Tour::start(&farm.path("other-browser"), &pictures);
            for page in others {
                tour.visit(&base, page);
            }
            tour.problems
        });
        for page in some {
            tour.visit(&base, page);
        }
        other.join().expect("the other browser went round")
    });
    for (problem, pages) in elsewhere {
        tour.problems.entry(problem).or_default().extend(pages);
    }

    // The same with everything that a page may have to say of its master.
    farm.write_ini("nonsense = 1\n");
    assert!(
        !farm.autobot(&["reconfig"]).status.success(),
        "a mistake is told"
    );
    assert_eq!(
        farm.post("/shutdown", "username=<b>ann")
            .expect("an answer")
            .0,
        200
    );
    tour.visit(
        &base,
        &Page {
            name: "home-in-trouble".into(),
            path: "/".into(),
            status: 200,
        },
    );

    for it in nu.told() {
        tour.note("HTML", &it);
    }
    eprintln!("pictures of all pages are in {}", pictures.display());
    let told = tour
        .problems
        .iter()
        .map(|(it, pages)| format!("{it}\n  on {}", pages.join(", ")));
    let told: Vec<String> = told.collect();
    assert!(
        told.is_empty(),
        "{} things are wrong with the pages:\n{}",
        told.len(),
        told.join("\n")
    );
}

#[test]
fn what_a_page_must_not_do_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut browser = Browser::start(dir.path());
    let tab = browser.tab();
    let policy = "<meta http-equiv=Content-Security-Policy content=\"script-src 'self'\">";
    for (bad, noticed) in [
        ("<script>alert('dialog')</script>".to_owned(), "dialog"),
        ("<script>throw Error('thrown')</script>".into(), "thrown"),
        (
            "<script>console.error('printed')</script>".into(),
            "printed",
        ),
        (
            format!("{policy}<img src=x onerror=alert(1)>"),
            "Content Security Policy",
        ),
    ] {
        let page = dir.path().join("page.html");
        fs::write(&page, format!("<!doctype html><title>x</title>{bad}")).expect("written");
        browser.go(&tab, &format!("file://{}", page.display()));
        browser.until(&tab, "document.readyState === 'complete'");
        let complaints = browser.complaints();
        assert!(
            complaints.iter().any(|it| it.contains(noticed)),
            "{bad}: {complaints:?}"
        );
    }
}
