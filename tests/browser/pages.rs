//! The list of all pages: where each is looked at. A route that is neither here nor said to be none fails a test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::sample::{ENDS, HOSTILE, SLAVE, quote};

/// A page, with a short name for its pictures.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) path: String,
    /// What an error page answers with.
    pub(crate) status: u16,
}

/// Answers to GET that are no pages, and what they are instead.
const NO_PAGES: &[(&str, &str)] = &[
    ("/api/*", "documents"),
    ("/json", "documents"),
    ("/json/*", "documents; `help` is looked at as a page"),
    ("/events", "a stream"),
    (
        "/builders/{builder}/builds/{number}/steps/{step}/logs/{log}/chunk",
        "a document",
    ),
    (
        "/builders/{builder}/builds/{number}/steps/{step}/logs/{log}/text",
        "plain text",
    ),
    (
        "/builders/{builder}/builds/{number}/steps/{step}/logs/{log}/raw",
        "a page of a build's own, kept apart",
    ),
    (
        "/builders/{builder}/builds/{number}/artifacts/{*path}",
        "files",
    ),
    ("/builders/{builder}/latest", "leads to the newest build"),
    (
        "/builders/{builder}/latest/artifacts",
        "leads to those of a build",
    ),
    (
        "/builders/{builder}/latest/artifacts/{*path}",
        "leads to one of a build",
    ),
    ("/healthz", "a word"),
    ("/readyz", "a document"),
    ("/metrics", "for Prometheus"),
    ("/builders/{builder}/builds", "leads to the builder"),
    (
        "/builders/{builder}/builds/{number}/steps",
        "leads to the build",
    ),
    (
        "/builders/{builder}/builds/{number}/steps/{step}/logs",
        "leads to the step",
    ),
    ("/one_box_per_builder", "leads to the builders"),
    ("/users/table", "leads to the users"),
    ("/users/table/{id}", "leads to the user"),
    ("/rss", "a feed"),
    ("/atom", "a feed"),
    ("/badges/{file}", "a picture"),
    ("/robots.txt", "plain text"),
    ("/favicon.ico", "a picture"),
    ("/static/*", "what pages are made with"),
    ("/change_hook", "for programs"),
    ("/change_hook/{name}", "for programs"),
];

pub(crate) fn all() -> Vec<Page> {
    let ends = format!("builders/{}", quote(ENDS));
    let step = format!("{ends}/builds/0/steps/prepare%20%3Cb%3E%26");
    let tests = format!("{ends}/builds/6/tests");
    let slave = quote(SLAVE);
    let mut pages: Vec<(String, String)> = [
        ("home", ""),
        ("builders", "builders"),
        ("builders-none", "builders?category=none"),
        ("builder", &ends),
        ("builder-running", "builders/slow"),
        ("builder-waiting", "builders/waits"),
        ("builder-new", "builders/never%20built"),
        ("build-success", &format!("{ends}/builds/0")),
        ("build-warnings", &format!("{ends}/builds/1")),
        ("build-skipped", &format!("{ends}/builds/2")),
        ("build-exception", &format!("{ends}/builds/3")),
        ("build-retry", &format!("{ends}/builds/4")),
        ("build-failure", &format!("{ends}/builds/6")),
        ("build-of-change", &format!("{ends}/builds/9")),
        ("build-running", "builders/slow/builds/0"),
        ("step", &step),
        ("log", &format!("{step}/logs/stdio")),
        ("log-times", &format!("{step}/logs/stdio?times=1")),
        (
            "log-running",
            "builders/slow/builds/0/steps/shell/logs/stdio",
        ),
        ("tests", &tests),
        ("tests-none", &format!("{tests}?q=none")),
        (
            "test",
            &format!("{tests}/test_a.py%3A%3Atest_%3Cscript%3Ealert%283%29%3C%2Fscript%3E"),
        ),
        ("waterfall", "waterfall"),
        ("waterfall-events", "waterfall?show_events=true"),
        ("waterfall-help", "waterfall/help"),
        ("artifacts-none", &format!("{ends}/builds/0/artifacts")),
        ("waterfall-one", &format!("waterfall?show={}", quote(ENDS))),
        (
            "buildstatus",
            &format!("buildstatus?builder={}&number=0", quote(ENDS)),
        ),
        ("console", "console"),
        ("lines", "one_line_per_build"),
        (
            "lines-of-builder",
            &format!("one_line_per_build/{}", quote(ENDS)),
        ),
        ("grid", "grid"),
        ("tgrid", "tgrid"),
        ("changes", "changes"),
        ("change", "changes/1"),
        ("change-long", "changes/2"),
        ("slaves", "buildslaves"),
        ("slave", &format!("buildslaves/{slave}")),
        ("slave-away", "buildslaves/away"),
        ("locks", "locks"),
        ("users", "users"),
        ("user", "users/1"),
        ("sources", "sources"),
        ("about", "about"),
        ("json-help", "json/help"),
        ("files", "docs/"),
        ("login", "login?to=/builders/slow"),
        ("logout", "logout"),
        ("authfail", "authfail"),
        ("audit", "audit"),
        ("404", "builders/nobody"),
    ]
    .map(|(name, path)| (name.to_owned(), path.to_owned()))
    .into();
    for (at, name) in HOSTILE.iter().enumerate() {
        let builder = format!("builders/{}", quote(name));
        pages.push((format!("hostile-{at}-builder"), builder.clone()));
        pages.push((format!("hostile-{at}-build"), format!("{builder}/builds/0")));
    }
    let page = |(name, path): (String, String)| Page {
        status: if name == "404" { 404 } else { 200 },
        path: format!("/{path}"),
        name,
    };
    pages.into_iter().map(page).collect()
}

/// Every route that answers GET, as the sources name it.
fn routes() -> Vec<String> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
    let mut sources = Vec::new();
    collect(&web, &mut sources);
    let constants: BTreeMap<&str, &str> = sources
        .iter()
        .flat_map(|(_, source)| source.split("const ").skip(1))
        .filter_map(|it| it.split_once(": &str = \""))
        .filter_map(|(name, rest)| Some((name, rest.split_once("\";")?.0)))
        .collect();
    let mut routes = Vec::new();
    for (file, source) in &sources {
        let below = if file.starts_with("api") { "/api" } else { "" };
        for call in source.split(".route(").skip(1) {
            let call = call.trim_start();
            let (address, handler) = match call
                .strip_prefix("&format!(")
                .unwrap_or(call)
                .strip_prefix('"')
            {
                Some(literal) => literal.split_once('"').expect("an end"),
                None => {
                    let (name, handler) = call.split_once(',').expect("a handler");
                    (
                        *constants
                            .get(name)
                            .unwrap_or_else(|| panic!("{file}: `{name}`")),
                        handler,
                    )
                }
            };
            let mut address = address.to_owned();
            if call.starts_with("&format!(") {
                for (name, value) in &constants {
                    address = address.replace(&format!("{{{name}}}"), value);
                }
                address = address.replace("{{", "{").replace("}}", "}");
            }
            let handler = handler.split(".route").next().expect("a part");
            if handler.contains("get(") {
                routes.push(format!("{below}{address}"));
            }
        }
    }
    routes
}

fn collect(dir: &Path, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            let mut below = Vec::new();
            collect(&path, &mut below);
            sources.extend(
                below
                    .into_iter()
                    .map(|(file, source)| (format!("{name}/{file}"), source)),
            );
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let source = fs::read_to_string(&path).expect("text");
            sources.push((name, source));
        }
    }
}

fn fits(route: &str, path: &str) -> bool {
    let path = path.split('?').next().expect("a part");
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with("{*") => return true,
            (Some(part), Some(here)) if part.starts_with('{') || part == here => {}
            _ => return false,
        }
    }
}

#[test]
fn every_route_is_a_page_that_is_looked_at_or_said_to_be_none() {
    let pages = all();
    let routes = routes();
    assert!(routes.len() > 30, "{routes:?}");
    for route in &routes {
        let is_none = NO_PAGES
            .iter()
            .any(|(none, _)| match none.strip_suffix('*') {
                Some(prefix) => route.starts_with(prefix),
                None => none == route,
            });
        assert!(
            is_none || pages.iter().any(|it| fits(route, &it.path)),
            "`{route}` is in no list: if it draws a page, add an address of it to `all` in {}, so that it is \
             looked at; if it does not, say in `NO_PAGES` what it is",
            file!()
        );
    }
    for (none, what) in NO_PAGES {
        let prefix = none.trim_end_matches('*');
        assert!(
            routes.iter().any(|it| it.starts_with(prefix)),
            "{none} ({what}) is not there any more"
        );
    }
}
