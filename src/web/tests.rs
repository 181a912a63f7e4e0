//! The pages, asked through the router, of a master that does not exist.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::tests::sections::authz_of;
use crate::config::tests::sections::web_of;
use crate::logs::record;
use crate::model::Channel;
use crate::model::Status;

use super::app::router;
use super::client_address::Peer;
use super::desk::Desk;
use super::links;
use super::sample::HOSTILE;
use super::sample_desk::SampleDesk;
use crate::master::Access;
use crate::master::troubles::{Place, Trouble};

#[path = "form_tests.rs"]
mod forms;
#[path = "happened_tests.rs"]
mod happened;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default()
    }
}

pub(super) async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.expect("a body");
    let body = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    Answer {
        status,
        headers,
        body,
    }
}

pub(super) async fn get(router: &Router, path: &str) -> Answer {
    ask(router, Request::get(path).body(Body::empty()).expect(path)).await
}

pub(super) async fn post(
    router: &Router,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::post(path)
        .header("host", "ci.test")
        .header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(
        router,
        request.body(Body::from(body.to_owned())).expect(path),
    )
    .await
}

pub(super) async fn full() -> (Arc<SampleDesk>, Router) {
    let desk = SampleDesk::new().await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    (desk, router)
}

/// Tests of every build of the sample.
const TESTS: [&str; 3] = [
    "words.test.test_intro.Intro.test_counts",
    "a/../b",
    "<script>alert(1)</script>",
];

fn pages() -> Vec<String> {
    let hostile = links::builder(HOSTILE);
    let step = links::quote("compile \"<all>\"/x");
    let mut pages: Vec<String> = [
        "",
        "builders",
        "builders/hello",
        "builders/never%20built",
        "builders/left",
        "builders/hello/builds/-1",
        "builders/hello/builds/6",
        "waterfall",
        "waterfall/help?branch=%22%3Cx%3E",
        "waterfall?show_events=true&failures_only=true&committer=%3Cb%3E",
        "console",
        "console?name=bo%22%3Cs%3E&revs=3&branch=feature%2F%3Cx%3E&reload=0",
        "console?category=nothing",
        "one_line_per_build",
        "one_line_per_build?builder=hello&branch=trunk&numbuilds=2",
        "one_line_per_build/left",
        "grid",
        "grid?width=9&branch=trunk&category=quick&category=%3Ccat%3E&reload=60",
        "tgrid",
        "tgrid?length=2&rev_order=desc&branch=feature%2F%3Cx%3E%26y",
        "grid?category=nothing",
        "waterfall?show_time=300&num_events=3&branch=trunk",
        "changes",
        "changes/2",
        "buildslaves",
        "buildslaves/otter",
        "buildslaves/%3Ceel%3E",
        "locks",
        "sources",
        "about",
        "json/help",
    ]
    .map(|it| format!("/{it}"))
    .into();
    pages.push(format!("/{hostile}"));
    for number in 0..6 {
        pages.push(format!("/{hostile}/builds/{number}"));
        pages.push(format!("/{hostile}/builds/{number}/tests"));
    }
    for test in TESTS {
        let test = links::quote(test);
        pages.push(format!("/{hostile}/builds/0/tests/{test}"));
    }
    pages.push(format!("/{hostile}/builds/0/tests?name=.."));
    pages.push(format!("/{hostile}/builds/0/tests?name="));
    pages.push(format!(
        "/{hostile}/builds/0/tests?q=%3Cscript%3E&end=unexpected%20success"
    ));
    pages.push(format!("/{hostile}/builds/0/steps/{step}"));
    pages.push(format!("/{hostile}/builds/0/steps/{step}/logs/stdio"));
    pages
}

/// What an answer for programs says went wrong.
pub(super) fn told(body: &str) -> String {
    let document: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    document["error"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn every_page_is_drawn_and_escapes_hostile_names() {
    let (_desk, router) = full().await;
    for path in pages() {
        let answer = get(&router, &path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(
            answer.header("content-type").starts_with("text/html"),
            "{path}"
        );
        for bad in [
            "<script>",
            "'x')",
            "lint/\"",
            "<b>",
            "<x>",
            "<i>",
            "<ines",
            "<eel>",
            "javascript:",
            " style=",
            "onclick",
        ] {
            assert!(!answer.body.contains(bad), "{path} holds {bad}");
        }
        assert!(
            answer
                .header("content-security-policy")
                .contains("script-src 'self';")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
    }
}

#[tokio::test]
async fn every_link_of_every_page_leads_to_a_page() {
    let (_desk, router) = full().await;
    let mut seen = std::collections::BTreeSet::new();
    for path in pages() {
        let answer = get(&router, &path).await;
        let depth = path.matches('/').count();
        let root = if depth <= 1 {
            "./".into()
        } else {
            "../".repeat(depth - 1)
        };
        for (at, _) in answer.body.match_indices("href=\"") {
            let rest = &answer.body[at + 6..];
            let link = rest
                .split('"')
                .next()
                .expect("an end")
                .replace("&amp;", "&");
            if link.starts_with("http")
                || link.starts_with('#')
                || link.starts_with('?')
                || link.starts_with("ssh")
            {
                continue;
            }
            if path == "/json/help" && !link.starts_with(&root) {
                continue;
            }
            let target = link
                .strip_prefix(&root)
                .unwrap_or_else(|| panic!("{path}: {link}"));
            assert!(!target.starts_with('.'), "{path}: {link}");
            if seen.insert(target.to_owned()) {
                let answer = get(&router, &format!("/{target}")).await;
                assert_eq!(answer.status, 200, "{path} leads to {target}");
            }
        }
    }
    assert!(seen.len() > 40, "{seen:?}");
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let (_desk, router) = full().await;
    for path in [
        "/x",
        "/builders/x",
        "/builders/hello/builds/99",
        "/builders/hello/builds/x",
        "/builders/hello/builds/0/steps/x",
        "/builders/hello/builds/0/steps/test/logs/x",
        "/builders/hello/builds/0/steps/test/logs/x.txt",
        "/buildslaves/x",
        "/changes/99",
        "/changes/x",
        "/static/../Cargo.toml",
        "/builders/%3Cscript%3E/builds/0",
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("Not found"), "{path}");
        assert!(!answer.body.contains("<script>"), "{path}");
    }
    for path in [
        "/waterfall?num_events=x",
        "/builders/hello?numbuilds=x",
        "/events?build=x",
    ] {
        assert_eq!(get(&router, path).await.status, 400, "{path}");
    }
    let answer = get(&router, "/api/builders/hello/builds/99").await;
    assert_eq!(answer.status, 404);
    assert_eq!(told(&answer.body), "there is no build 99 of `hello`");
}

#[tokio::test]
async fn a_slash_too_many_leads_to_the_page() {
    let (_desk, router) = full().await;
    let answer = get(&router, "/builders/web%20lint%2Fx/?numbuilds=3").await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), "../web%20lint%2Fx?numbuilds=3");
    for (path, to) in [
        ("/builders/a%2Fb/builds", "../a%2Fb"),
        ("/builders/a/builds/0/steps", "../0"),
        ("/builders/a/builds/0/steps/x/logs", "../x"),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, to),
            "{path}"
        );
    }
}

#[tokio::test]
async fn actions_are_only_posted() {
    let (_desk, router) = full().await;
    for path in ["force", "cancelbuild", "builds/6/stop"] {
        let answer = get(&router, &format!("/builders/hello/{path}")).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.header("allow"), "POST", "{path}");
        assert!(answer.body.contains("<h1>"), "{path}");
    }
}

const JSON: (&str, &str) = ("accept", "application/json");

#[tokio::test]
async fn a_forced_build_is_asked_for_once() {
    let (desk, router) = full().await;
    let path = format!("/{}/force", links::builder(HOSTILE));
    let form = "username=ann&comments=try+it&branch=a%2Fb&property1name=x&property1value=1";
    let answer = post(&router, &path, &[("sec-fetch-site", "same-origin")], form).await;
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
        format!("../{}", links::quote(HOSTILE))
    );
    let answer = post(&router, "/builders/hello/force", &[JSON], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        r#"{"builder":"hello","buildset":9,"request":99}"#
    );
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0],
        format!(
            "force {HOSTILE} Some(\"a/b\") The 'force build' button was pressed by 'ann': try it"
        )
    );
    let answer = post(&router, "/builders/x/force", &[JSON], "").await;
    assert_eq!(
        (answer.status, told(&answer.body)),
        (404, "there is no builder `x`".to_owned())
    );
    let answer = post(&router, "/builders/hello/force", &[JSON], "branch=a%3Bb").await;
    assert_eq!(answer.status, 400);
    insta::assert_snapshot!(answer.body, @r#"{"error":"branch: `a;b` is not let in: it does not fit `[A-Za-z0-9_.+/~-]*` from start to end, which is `branch` in [:validation:]","fields":{"branch":"`a;b` is not let in: it does not fit `[A-Za-z0-9_.+/~-]*` from start to end, which is `branch` in [:validation:]"}}"#);
    let large = format!("comments={}", "x".repeat(70_000));
    let answer = post(&router, "/builders/hello/force", &[], &large).await;
    assert_eq!(answer.status, 400);
    assert_eq!(desk.asked.lock().expect("not poisoned").len(), 2);
}

#[tokio::test]
async fn a_slave_is_paused_and_the_page_says_since_when_by_whom_and_why() {
    let (desk, router) = full().await;
    let answer = post(&router, "/buildslaves/newt/pause", &[], "comments=new+disk").await;
    let to = answer.header("location").to_owned();
    assert_eq!((answer.status, &*to), (302, "../newt"));
    let form = "username=ann&comments=";
    let answer = post(&router, "/buildslaves/newt/pause", &[JSON], form).await;
    assert_eq!(answer.status, 200);
    let paused = r#"{"slave":"newt","pause":"is paused since 1970-01-01T"#;
    assert!(answer.body.starts_with(paused), "{}", answer.body);
    let answer = post(&router, "/buildslaves/%3Ceel%3E/unpause", &[JSON], "").await;
    assert_eq!(answer.body, r#"{"slave":"<eel>","pause":null}"#);
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert_eq!(
        asked,
        [
            r#"pause newt None Some("new disk")"#,
            r#"pause newt Some("ann") None"#,
            "unpause <eel>"
        ]
    );

    for (path, status, error) in [
        ("newt/unpause", 409, "slave newt is not paused"),
        ("x/pause", 404, "there is no slave `x`"),
    ] {
        let answer = post(&router, &format!("/buildslaves/{path}"), &[JSON], "").await;
        assert_eq!(
            (answer.status, told(&answer.body)),
            (status, error.to_owned())
        );
    }

    for path in ["/buildslaves", "/buildslaves/%3Ceel%3E"] {
        let page = get(&router, path).await.body;
        assert!(
            page.contains("by &lt;ann&gt;: a &lt;new&gt; disk"),
            "{page}"
        );
    }
    let page = get(&router, "/buildslaves/%3Ceel%3E").await.body;
    assert!(page.contains("/unpause\"") && !page.contains("/pause\""));
    for told in [
        "linux 6.12 &lt;rc1&gt;",
        "<dt>Machine</dt><dd>8 cores</dd>",
        "<dt>&lt;git&gt;</dt><dd>git version &lt;2&gt;</dd>",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let page = get(&router, "/buildslaves/newt").await.body;
    assert!(page.contains("/pause\"") && !page.contains("/unpause\""));
    let known = get(&router, "/json/slaves/%3Ceel%3E").await.body;
    let known: serde_json::Value = serde_json::from_str(&known).expect("JSON");
    let paused = &known["paused"];
    assert_eq!(
        (&paused["by"], &paused["reason"]),
        (&json!("<ann>"), &json!("a <new> disk"))
    );
    assert!(paused["since"].is_number(), "{paused}");
}

#[tokio::test]
async fn a_slave_that_is_missing_or_has_a_planned_downtime_says_so() {
    let (_, router) = full().await;
    for path in ["/buildslaves", "/buildslaves/newt"] {
        let page = get(&router, path).await.body;
        for told in [
            ", told ",
            "a mail about it could not be sent: &lt;bo@test&gt; is unknown",
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
    }
    let page = get(&router, "/buildslaves/otter").await.body;
    let told = "planned downtime until &lt;noon&gt;; planned: &lt;sun&gt; 02:00-04:00";
    assert!(page.contains(told), "{page}");
    let known = async |name: &str| {
        let known = get(&router, &format!("/json/slaves/{name}")).await.body;
        serde_json::from_str::<serde_json::Value>(&known).expect("JSON")
    };
    let newt = known("newt").await;
    assert!(newt["missing"]["since"].is_number(), "{newt}");
    assert!(newt["missing"]["told"].is_number(), "{newt}");
    let otter = known("otter").await;
    assert!(otter["missing"].is_null() && otter["downtime"].is_number());
    assert_eq!(otter["machine"]["cores"], 8);
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains("has a planned downtime until <noon>"),
        "{status}"
    );
}

#[tokio::test]
async fn a_slave_is_shut_down_once_and_the_page_says_so() {
    let (desk, router) = full().await;
    let answer = post(&router, "/buildslaves/otter/shutdown", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../otter")
    );
    assert_eq!(
        *desk.asked.lock().expect("not poisoned"),
        ["shut down otter"]
    );
    let answer = post(&router, "/buildslaves/newt/shutdown", &[JSON], "").await;
    assert_eq!(
        (answer.status, &*answer.body),
        (409, r#"{"error":"slave newt is not connected"}"#)
    );
    for (slave, has_form, has_note) in [
        ("otter", true, false),
        ("newt", false, false),
        ("%3Ceel%3E", false, true),
    ] {
        let page = get(&router, &format!("/buildslaves/{slave}")).await.body;
        assert_eq!(page.contains("/shutdown\""), has_form, "{slave}");
        assert_eq!(page.contains("It shuts down when"), has_note, "{slave}");
    }
}

#[tokio::test]
async fn builds_are_stopped_and_requests_cancelled() {
    let (desk, router) = full().await;
    let answer = post(
        &router,
        "/builders/hello/builds/-1/stop",
        &[],
        "comments=enough",
    )
    .await;
    assert_eq!((answer.status, answer.header("location")), (302, "../6"));
    let answer = post(&router, "/builders/hello/builds/0/stop", &[JSON], "").await;
    assert_eq!(
        (answer.status, &*answer.body),
        (409, r#"{"error":"build hello/0 is finished"}"#)
    );
    let [own, other] = desk.waiting;
    let form = format!("id={own}");
    let answer = post(&router, "/builders/hello/cancelbuild", &[JSON], &form).await;
    assert_eq!(
        (answer.status, answer.body),
        (200, format!(r#"{{"cancelled":[{own}]}}"#))
    );
    // It waits for another builder.
    let form = format!("id={other}");
    let answer = post(&router, "/builders/hello/cancelbuild", &[JSON], &form).await;
    assert_eq!(answer.status, 409);
    let answer = post(&router, "/builders/docs/cancelbuild", &[JSON], "id=all").await;
    assert_eq!(answer.body, r#"{"cancelled":[]}"#);
    for bad in ["", "id=x"] {
        assert_eq!(
            post(&router, "/builders/docs/cancelbuild", &[], bad)
                .await
                .status,
            400
        );
    }
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert_eq!(
        asked,
        [
            "stop hello/6 The 'stop build' button was pressed by '<unknown>': enough",
            &format!(
                "cancel {own} The 'cancel' button was pressed by '<unknown>': <no reason \
                 specified>"
            )
        ]
    );
}

#[tokio::test]
async fn finished_builds_are_built_again_with_the_properties_of_the_form() {
    let (desk, router) = full().await;
    let form = "username=ann&comments=once+more&priority=5&property1name=colour&property1value=red";
    let answer = post(&router, "/builders/hello/builds/0/rebuild", &[], form).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../../hello")
    );
    let answer = post(&router, "/builders/hello/builds/0/rebuild", &[JSON], "").await;
    let known = r#"{"builder":"hello","rebuilt":0,"buildset":8,"request":9}"#;
    assert_eq!(json_of(&answer.body), json_of(known));
    let answer = post(&router, "/builders/hello/builds/6/rebuild", &[JSON], "").await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    let answer = post(
        &router,
        "/builders/hello/builds/0/rebuild",
        &[],
        "priority=soon",
    )
    .await;
    assert_eq!(answer.status, 400);
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert!(
        asked[0].contains("The 'rebuild' button was pressed by 'ann': once more")
            && asked[0].contains("colour")
            && asked[0].contains("priority: Some(5)"),
        "{asked:?}"
    );
    let page = get(&router, "/builders/hello/builds/0").await.body;
    assert!(page.contains("builds/0/rebuild\""), "a button");
    let page = get(&router, "/builders/hello/builds/6").await.body;
    assert!(!page.contains("/rebuild\""), "not while it runs");
}

fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn what_waits_of_a_change_is_cancelled_for_one_builder_or_for_all() {
    let (desk, router) = full().await;
    let answer = post(&router, "/builders/hello/stopchange", &[], "change=1").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../hello")
    );
    let answer = post(&router, "/builders/_all/stopchangeall", &[], "change=1").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../changes/1")
    );
    for (form, status) in [("", 400), ("change=x", 400), ("change=999", 404)] {
        let answer = post(&router, "/builders/_all/stopchangeall", &[], form).await;
        assert_eq!(answer.status, status, "{form}");
    }
    let asked = desk.asked.lock().expect("not poisoned").clone();
    let why = "The 'stop change' button was pressed by '<unknown>': <no reason specified>";
    assert_eq!(
        asked,
        [
            format!("cancel change 1 of Some(BuilderName(\"hello\")) {why}"),
            format!("cancel change 1 of None {why}"),
        ]
    );
}

#[tokio::test]
async fn a_request_is_cancelled_by_its_number_and_all_or_some_builds_are_stopped() {
    let (desk, router) = full().await;
    let id = desk.waiting[0];
    let path = format!("/requests/{id}/cancel");
    let answer = post(&router, &path, &[JSON], "comments=not+now").await;
    assert_eq!(
        json_of(&answer.body),
        serde_json::json!({"builder": "hello", "cancelled": [id]})
    );
    assert_eq!(
        post(&router, "/requests/999/cancel", &[], "").await.status,
        404
    );
    let answer = post(&router, "/builders/_all/stopall", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../builders")
    );
    let form = "selected=hello&selected=docs&comments=enough";
    post(&router, "/builders/_selected/stopselected", &[], form).await;
    let asked = desk.asked.lock().expect("not poisoned").clone();
    let said = |button: &str, why: &str| {
        format!("The '{button}' button was pressed by '<unknown>': {why}")
    };
    assert_eq!(
        asked,
        [
            format!("cancel {id} {}", said("cancel", "not now")),
            format!(
                "stop builds of None {}",
                said("stop build", "<no reason specified>")
            ),
            format!(
                "stop builds of Some([BuilderName(\"hello\"), BuilderName(\"docs\")]) {}",
                said("stop build", "enough")
            ),
        ]
    );
    let page = get(&router, "/builders").await.body;
    assert!(
        page.contains("stopall\"") && page.contains("form=\"selected\""),
        "{page}"
    );
}

#[tokio::test]
async fn all_builders_or_those_that_are_selected_are_forced_at_once() {
    let (desk, router) = full().await;
    let form = "selected=hello&selected=docs&selected=hello&username=ann&comments=now&branch=main";
    let path = "/builders/_selected/forceselected";
    let answer = post(&router, path, &[JSON], form).await;
    let done = json_of(&answer.body);
    let forced = done["forced"].as_array().expect("a list").iter();
    let forced: Vec<_> = forced.map(|it| it["builder"].as_str()).collect();
    assert_eq!(forced, [Some("hello"), Some("docs")], "{}", answer.body);
    assert_eq!(done["forced"][0]["request"], 99);
    assert_eq!(done["refused"], serde_json::json!([]));
    let asked = std::mem::take(&mut *desk.asked.lock().expect("not poisoned"));
    assert_eq!(
        asked[0],
        "force hello Some(\"main\") The 'force build' button was pressed by 'ann': now"
    );

    let answer = post(&router, "/builders/_all/forceall", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../builders")
    );
    let asked = std::mem::take(&mut *desk.asked.lock().expect("not poisoned"));
    assert_eq!(asked.len(), desk.plan().builders.len());

    // One that is not there does not keep the others from being built; alone it is an error.
    let form = "selected=hello&selected=strange";
    let answer = post(&router, path, &[JSON], form).await;
    let refused = &json_of(&answer.body)["refused"];
    assert_eq!(refused[0]["builder"], "strange");
    assert_eq!(refused[0]["why"], "there is no builder `strange`");
    let answer = post(&router, path, &[JSON], "selected=strange").await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let answer = post(&router, path, &[JSON], "selected=hello&priority=high").await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[tokio::test]
async fn why_it_waits_is_told_of_requests_builders_builds_and_changes() {
    let (desk, router) = full().await;
    let facts = async |path: &str| {
        let answer = get(&router, &format!("/api/why/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let why = json_of(&answer.body);
        let facts = why["facts"].as_array().expect("facts").iter();
        let facts = facts.map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or("-").to_owned();
            format!("{}: {}", text("about"), text("what"))
        });
        let about = why["about"].as_str().unwrap_or("-").to_owned();
        (about, facts.collect::<Vec<_>>())
    };
    let id = desk.waiting[0];
    let (about, told) = facts(&format!("requests/{id}")).await;
    assert_eq!(about, format!("request {id}"));
    let waits = "it waits: waiting for slave otter, which is building hello/6 <now>";
    assert!(told.contains(&format!("state: {waits}")), "{told:?}");
    let (about, told) = facts("builders/hello").await;
    assert_eq!(about, "builder hello");
    assert_eq!(
        told[..2],
        [
            "slave: slave otter is building hello/6",
            "slave: slave newt can take its next build"
        ]
    );
    assert!(
        told.iter()
            .any(|it| it.starts_with("running: hello/6 on slave")),
        "{told:?}"
    );
    let waits = format!("waiting: request {id}: {waits}; begins in about ");
    assert!(told.iter().any(|it| it.starts_with(&waits)), "{told:?}");
    let (about, told) = facts("builds/hello/0").await;
    assert_eq!(about, "build hello/0");
    assert!(
        told.iter().any(|it| it.starts_with("finished: ")),
        "{told:?}"
    );
    let (about, told) = facts("changes/1").await;
    assert_eq!(about, "change 1");
    assert!(told[0].starts_with("change: 1 by "), "{told:?}");
    for missing in ["requests/999", "requests/x", "builders/gone", "changes/999"] {
        let answer = get(&router, &format!("/api/why/{missing}")).await;
        assert_eq!(answer.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn who_may_not_act_sees_no_buttons_for_it() {
    let desk = SampleDesk::new().await;
    let router = router(desk as Arc<_>, Access::ReadOnly);
    for (path, form) in [
        ("/builders", "stopall"),
        ("/builders/hello/builds/0", "/rebuild"),
        ("/changes/1", "stopchangeall"),
    ] {
        let page = get(&router, path).await.body;
        assert!(!page.contains(form), "{path}");
    }
    for path in [
        "/builders/hello/builds/0/rebuild",
        "/builders/hello/stopchange",
        "/builders/_all/stopchangeall",
        "/builders/_all/stopall",
        "/builders/_selected/stopselected",
        "/builders/_all/forceall",
        "/builders/_selected/forceselected",
        "/requests/1/cancel",
    ] {
        assert_eq!(post(&router, path, &[], "").await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn other_sites_cannot_act() {
    let (desk, router) = full().await;
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.test"),
    ] {
        let answer = post(&router, "/builders/hello/force", &[header], "").await;
        assert_eq!(answer.status, 403, "{header:?}");
        assert!(answer.body.contains("another site"), "{}", answer.body);
    }
    assert!(desk.asked.lock().expect("not poisoned").is_empty());
    // A browser on plain HTTP says only where the form came from.
    let own = [("origin", "http://ci.test")];
    let answer = post(&router, "/builders/hello/force", &own, "").await;
    assert_eq!(answer.status, 302);
}

#[tokio::test]
async fn who_knocks_gets_a_line_that_says_what_came_of_it() {
    let (_desk, router) = full().await;
    let from_outside = [
        ("origin", "https://forge.test"),
        ("sec-fetch-site", "cross-site"),
    ];
    for (path, body, status, said) in [
        ("/change_hook", "who=ann", 200, "OK\n"),
        ("/change_hook/base", "", 200, "no changes found\n"),
        ("/change_hook/github", "{}", 401, "not signed\n"),
        ("/change_hook/strange", "{}", 415, "a form\n"),
        (
            "/change_hook/gitlab",
            "",
            400,
            "there is no hook `gitlab`; its source would be `[source:gitlab]`\n",
        ),
    ] {
        let answer = post(&router, path, &from_outside, body).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, said),
            "{path}"
        );
        let again = get(&router, path).await;
        assert_eq!(again.status, status, "asking is knocking: {path}");
    }
}

#[tokio::test]
async fn no_page_and_no_feed_tells_an_address_in_one_piece() {
    let (_desk, router) = full().await;
    let documents = |it: &str| it.starts_with("/json") || it.starts_with("/api");
    let mut shown = 0;
    for path in pages().into_iter().filter(|it| !documents(it)) {
        let answer = get(&router, &path).await;
        let place = answer.body.find("@test");
        let before = place.map(|at| &answer.body[at.saturating_sub(200)..at]);
        let is_whole = before.is_some_and(|it| !it.ends_with("</span>"));
        assert!(!is_whole, "{path}: {before:?}");
        shown += usize::from(place.is_some());
    }
    assert!(shown > 5, "{shown}");
}

#[tokio::test]
async fn who_knocks_too_often_is_told_when_to_come_again_and_nothing_is_read() {
    let desk = SampleDesk::with(|plan| {
        plan.web.server.limits.hook_requests = Some(2);
    });
    let router = router(desk.await, Access::Full);
    let knock = |path: &'static str, from: &str| {
        let peer = Peer {
            address: from.parse().ok(),
            secure: false,
        };
        let request = Request::post(path).extension(peer).body(Body::empty());
        let sent = router.clone().oneshot(request.expect("a request"));
        async move {
            let answer = sent.await.expect("an answer");
            let later = answer.headers().get("retry-after").cloned();
            (answer.status().as_u16(), later)
        }
    };
    for _ in 0..2 {
        assert_eq!(knock("/change_hook/github", "192.0.2.1").await.0, 401);
    }
    let (status, later) = knock("/change_hook/github", "192.0.2.1").await;
    assert_eq!(status, 429);
    assert_eq!(later.expect("a time"), "30");
    // A name of one's own is no way around, another address has its own.
    assert_eq!(knock("/change_hook/x1", "192.0.2.1").await.0, 429);
    assert_eq!(knock("/change_hook/github", "192.0.2.2").await.0, 401);
}

/// ann:pw
const ANN: (&str, &str) = ("authorization", "Basic YW5uOnB3");

#[tokio::test]
async fn the_public_port_only_shows() {
    let desk = SampleDesk::new().await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::ReadOnly);
    for path in pages() {
        let answer = get(&router, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("method=\"post\""), "{path}");
    }
    for path in [
        "/builders/hello/force",
        "/builders/hello/builds/6/stop",
        "/api/reload",
    ] {
        let answer = post(&router, path, &[], "").await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(
            answer.body.contains("only shows"),
            "{path}: {}",
            answer.body
        );
    }
    assert!(desk.asked.lock().expect("not poisoned").is_empty());
    let open_hook = post(&router, "/change_hook", &[], "who=ann").await;
    assert_eq!(open_hook.status, 403);
    let tried = post(&router, "/api/try/try", &[ANN], "{}").await;
    assert_eq!(tried.status, 403);
    let with_secret = post(&router, "/change_hook/github", &[], "").await;
    assert_eq!(with_secret.status, 401, "it is asked for its secret");
}

/// Every address that acts, with a form that it would take, and the key that refuses it.
const ACTIONS: [(&str, &str, &str); 8] = [
    ("/builders/hello/force", "", "force_build"),
    (
        "/builders/hello/cancelbuild",
        "id=all",
        "cancel_pending_build",
    ),
    ("/builders/hello/builds/6/stop", "", "stop_build"),
    ("/api/reload", "", "reload"),
    ("/buildslaves/otter/pause", "comments=x", "pause_slave"),
    ("/buildslaves/otter/shutdown", "", "graceful_shutdown"),
    ("/shutdown", "username=x", "clean_shutdown"),
    ("/cancel_shutdown", "", "clean_shutdown"),
];

#[tokio::test]
async fn what_the_configuration_does_not_allow_is_refused() {
    for (authz, why) in [
        ("", "says who may"),
        ("default_action = authenticated", "nobody can log in"),
        ("default_action = user == 'ann'", "nobody can log in"),
    ] {
        let desk = SampleDesk::with(|plan| plan.authz = authz_of(authz)).await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
        for (path, form, key) in ACTIONS {
            let answer = post(&router, path, &[], form).await;
            assert_eq!(answer.status, 403, "{path}");
            let is_page = answer.body.contains("Not allowed");
            assert!(is_page || path.starts_with("/api"), "{}", answer.body);
            let told = format!("`{key}` in `[:authz:]`");
            assert!(
                answer.body.contains(&told) || path.starts_with("/api"),
                "{}",
                answer.body
            );
            assert!(answer.body.contains(why), "{path}: {}", answer.body);
            let json = [("accept", "application/json")];
            let answer = post(&router, path, &json, form).await;
            assert_eq!(answer.status, 403, "{path}");
            assert!(answer.body.starts_with("{\"error\":"), "{}", answer.body);
        }
        for path in pages() {
            let answer = get(&router, &path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(!answer.body.contains("method=\"post\""), "{path}");
        }
        assert!(desk.asked.lock().expect("not poisoned").is_empty());
    }
}

#[tokio::test]
async fn each_action_has_a_rule_of_its_own() {
    for (_, _, key) in ACTIONS {
        let rule = format!("{key} = yes");
        let desk = SampleDesk::with(|plan| plan.authz = authz_of(&rule)).await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
        for (other, other_form, other_key) in ACTIONS {
            let answer = post(&router, other, &[], other_form).await;
            assert_eq!(answer.status == 403, other_key != key, "{rule}: {other}");
        }
    }
    let desk = SampleDesk::with(|plan| plan.authz = authz_of("force_build = yes")).await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    let page = get(&router, "/builders/hello").await.body;
    assert!(
        page.contains("/force\"") && !page.contains("cancelbuild"),
        "{page}"
    );
}

#[tokio::test]
async fn allow_force_no_refuses_and_the_owner_is_never_refused() {
    let desk = SampleDesk::with(|plan| {
        plan.web = web_of("allow_force = no");
        plan.authz = authz_of("default_action = no");
    })
    .await;
    let owner = router(Arc::clone(&desk) as Arc<_>, Access::Owner);
    for (path, form, _) in ACTIONS {
        let answer = post(&owner, path, &[], form).await;
        assert!(answer.status < 400, "{path}: {}", answer.body);
    }
    assert!(!desk.asked.lock().expect("not poisoned").is_empty());

    let desk = SampleDesk::with(|plan| plan.web = web_of("allow_force = no")).await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    for (path, form, _) in ACTIONS {
        let answer = post(&router, path, &[], form).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    let router = super::app::router(Arc::clone(&desk) as Arc<_>, Access::ReadOnly);
    let answer = post(&router, "/builders/hello/force", &[], "").await;
    assert!(answer.body.contains("only shows"), "{}", answer.body);
}

#[tokio::test]
async fn changes_link_to_what_the_configuration_names() {
    let desk = SampleDesk::with(|plan| {
        plan.web = web_of(
            "change_comment_link = (<intro>|\"more\") https://t.test/?q=\\1 <b>'\\1\n\
             revlink = https://r.test/%s\n\
             projects.otter = https://otter.test/\n\
             repositories = {\"https://git.test/otter.git\": \"https://git.test/otter?\"}",
        );
    })
    .await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    let page = get(&router, "/changes/1").await.body;
    for expected in [
        "reword <a class=\"external\" rel=\"noreferrer nofollow\" href=\"https://t.test/?q=%3Cintro%3E\" \
         title=\"&lt;b&gt;&#39;&lt;intro&gt;\">&lt;intro&gt;</a> &amp; <a",
        "href=\"https://t.test/?q=%22more%22\"",
        "<a href=\"https://otter.test/\">otter</a>",
        "<a href=\"https://git.test/otter?\">https://git.test/otter.git</a>",
        // The change has a link of its own.
        "href=\"https://git.test/c/5f0c1e7ab92d44bb0c\"",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    for bad in ["<intro>", "<b>"] {
        assert!(!page.contains(bad), "{bad}: {page}");
    }
    let page = get(&router, "/builders/hello/builds/-1").await.body;
    let link = "href=\"https://r.test/5f0c1e7ab92d44bb0c\"";
    assert!(page.contains(link), "{page}");
    let page = get(&router, "/builders/hello").await.body;
    assert!(
        page.contains("waits") || page.contains("https://r.test/"),
        "{page}"
    );
}

#[tokio::test]
async fn a_change_without_links_is_its_comment() {
    let (_desk, router) = full().await;
    let page = get(&router, "/changes/1").await.body;
    let comment = "<pre class=\"comments\">reword &lt;intro&gt; &amp; &quot;more&quot;\n\nfixes the rest</pre>";
    assert!(page.contains(comment), "{page}");
}

const LOG: &str = "/builders/docs/builds/0/steps/test/logs/stdio";

#[tokio::test]
async fn a_log_is_text_with_and_without_its_headers() {
    let (_desk, router) = full().await;
    for path in [format!("{LOG}/text"), format!("{LOG}.txt")] {
        let answer = get(&router, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert!(answer.body.starts_with("compiling <script>"), "{path}");
        assert!(
            answer
                .body
                .contains("warning: `x` is never used\n\u{1b}[31mtest")
        );
        let answer = get(&router, &format!("{path}?headers=1")).await;
        assert!(answer.body.starts_with("make -j4 check\n"));
        assert!(answer.body.ends_with("process ended with exit code 2\n"));
    }
}

#[tokio::test]
async fn a_log_is_drawn_in_colour_and_in_chunks() {
    let (_desk, router) = full().await;
    let page = get(&router, LOG).await.body;
    assert!(page.contains(r#"<span class="stdout f2 bold">✓ passed</span>"#));
    assert!(page.contains(r#"<span class="stderr">warning: `x` is never used</span>"#));
    assert!(page.contains(r#"<span class="stdout">100% done</span>"#) && !page.contains("50%"));
    assert!(page.contains(r##"id="L3"><a href="#L3""##));
    assert!(page.contains("The log is complete."));
    let chunk = get(&router, &format!("{LOG}/chunk?offset=0")).await;
    let chunk: serde_json::Value = serde_json::from_str(&chunk.body).expect("JSON");
    assert!(page.contains(chunk["html"].as_str().expect("HTML")));
    assert_eq!(chunk["done"], true);
    let next = chunk["next"].as_str().expect("a token");
    let rest = get(&router, &format!("{LOG}/chunk?offset={next}")).await;
    assert!(rest.body.starts_with(r#"{"html":"","#), "{}", rest.body);
    assert_eq!(
        get(&router, &format!("{LOG}/chunk?offset=x")).await.status,
        400
    );
    // Between records nothing can be read, and the client is told.
    let answer = get(&router, &format!("{LOG}/chunk?offset=3")).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_growing_log_is_followed_to_its_end() {
    let (desk, router) = full().await;
    let path = "/builders/hello/builds/6/steps/test/logs/stdio/text";
    let request = Request::get(path).body(Body::empty()).expect(path);
    let response = router.clone().oneshot(request).await.expect("infallible");
    let mut body = response.into_body();
    let first = body.frame().await.expect("a part").expect("a part");
    assert!(first.into_data().expect("data").starts_with(b"compiling"));

    let file = desk
        .store
        .write(|store| {
            let build = store.build(&"hello".into(), 6)?.expect("it runs");
            let mut step = store.steps(build.id)?.swap_remove(2);
            step.logs[0].complete = true;
            store.put_step(build.id, &step)?;
            Ok(step.logs[0].file.clone())
        })
        .await
        .expect("written");
    let file = desk.dir.path().join("builds").join(file);
    let mut bytes = std::fs::read(&file).expect("readable");
    record::push(Channel::Stderr, b"last\n", &mut bytes);
    std::fs::write(&file, bytes).expect("written");
    let grew = Status::LogGrew {
        build: crate::model::BuildKey {
            builder: "hello".into(),
            number: 6,
        },
        step: 2,
        log: "stdio".into(),
    };
    desk.events.send(Arc::new(grew)).expect("somebody hears");

    let rest = body.collect().await.expect("the rest").to_bytes();
    assert_eq!(rest, "last\n");
}

#[tokio::test]
async fn the_page_of_a_slave_says_how_it_is_connected_and_why_it_was_cut_off() {
    let (_desk, router) = full().await;
    let page = get(&router, "/buildslaves/%3Ceel%3E").await.body;
    assert!(
        page.contains("because it talked nonsense: a log named `&lt;b&gt;`"),
        "{page}"
    );
    let page = get(&router, "/buildslaves/otter").await.body;
    assert!(!page.contains("nonsense"), "{page}");
    assert!(page.contains("10.0.0.5:4711, TLS"), "{page}");
}

#[tokio::test]
async fn the_command_line_gets_its_documents() {
    let (desk, router) = full().await;
    let ask = async |path: &str| -> serde_json::Value {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    };
    let request = ask(&format!("/api/requests/{}", desk.waiting[0])).await;
    assert_eq!(request["state"], "waiting");
    assert!(
        request["why"]
            .as_str()
            .expect("a reason")
            .starts_with("waiting for slave otter")
    );
    let builds = ask("/api/builds?builder=hello&limit=2").await;
    assert_eq!(builds.as_array().map(Vec::len), Some(2));
    assert_eq!(builds[0]["outcome"], serde_json::Value::Null);
    assert_eq!(builds[1]["outcome"], "success");
    // Two builds before took a minute.
    let left = builds[0]["left"].as_str().expect("it runs");
    assert!(
        left.contains(" left (") && left.starts_with("about 1"),
        "{left}"
    );
    assert_eq!(builds[1]["left"], serde_json::Value::Null);
    let expected = request["expected"].as_str().expect("it is known");
    assert!(expected.starts_with("begins in about 1"), "{expected}");
    assert!(expected.contains(", ends in about"), "{expected}");
    let build = ask("/api/builders/hello/builds/-2").await;
    assert_eq!(build["number"], 5);
    assert_eq!(build["steps"][1]["logs"][0], "stdio");
    let status = ask("/api/status").await;
    assert_eq!(status["running"], serde_json::json!(["hello/6"]));
    assert_eq!(ask("/api/builders").await[0]["last"]["number"], 5);
    assert_eq!(
        post(&router, "/api/reload", &[], "").await.body,
        "builders: 4 kept\n"
    );
    assert_eq!(get(&router, "/api/builds?builder=x").await.status, 404);
}

#[tokio::test]
async fn a_build_says_which_configuration_it_ran_under() {
    let (_desk, router) = full().await;
    let build = get(&router, "/api/builders/hello/builds/5").await.body;
    assert!(build.contains(r#""config":2"#), "{build}");
    let page = get(&router, "/builders/hello/builds/5").await.body;
    assert!(
        page.contains(r#"<dt>Configuration</dt><dd class="number">2</dd>"#),
        "{page}"
    );
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains(r#""config":3,"config_problem":null"#),
        "{status}"
    );
}

#[tokio::test]
async fn every_page_says_that_the_master_shuts_down_and_what_it_waits_for() {
    let (desk, router) = full().await;
    let told = "The master shuts down when its builds are done";
    for page in pages() {
        let page = get(&router, &page).await.body;
        assert!(!page.contains(told), "{page}");
    }
    assert!(get(&router, "/").await.body.contains("./shutdown\""));
    *desk.shutdown_by.lock().expect("not poisoned") = Some("<ann>");
    for path in pages() {
        let page = get(&router, &path).await.body;
        for expected in [
            told,
            "5 minutes ago</time> by &lt;ann&gt;. 7 are left: <a href",
            "/cancel_shutdown\"><button id=\"cancel-shutdown\">Cancel Shutdown</button>",
            " and 2 more. No other begins.",
        ] {
            assert!(page.contains(expected), "{path}: {expected}\n{page}");
        }
        assert!(!page.contains("<ann>"), "{path}");
    }
    let page = get(&router, "/").await.body;
    assert!(!page.contains("./shutdown\""), "{page}");
    let answer = get(&router, "/api/shutdown").await.body;
    assert!(answer.contains(" by <ann>\""), "{answer}");
    let answer = post(&router, "/shutdown", &[], "username=bob").await;
    assert_eq!((answer.status, answer.header("location")), (302, "./"));
    let answer = post(&router, "/cancel_shutdown", &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (302, "./"));
    assert_eq!(
        *desk.asked.lock().expect("not poisoned"),
        ["begin shutdown Some(\"bob\")", "cancel shutdown"]
    );
}

#[tokio::test]
async fn mistakes_in_the_configuration_are_told_until_they_are_gone() {
    let (desk, router) = full().await;
    let told = "The configuration on the disk has errors since";
    for page in ["/", "/about"] {
        assert!(!get(&router, page).await.body.contains(told), "{page}");
    }
    *desk.bad_since.lock().expect("not poisoned") = Some(desk.started());
    for page in ["/", "/about"] {
        assert!(get(&router, page).await.body.contains(told), "{page}");
    }
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains("the files on the disk have mistakes since"),
        "{status}"
    );
}

#[tokio::test]
async fn a_file_is_sent_once_per_version() {
    let (_desk, router) = full().await;
    let answer = get(&router, "/static/autobot.css").await;
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    let request = Request::get("/static/autobot.css")
        .header("if-none-match", answer.header("etag"))
        .body(Body::empty())
        .expect("a request");
    assert_eq!(ask(&router, request).await.status, 304);
}

#[tokio::test]
async fn a_broken_template_is_told_on_the_page() {
    let (desk, router) = full().await;
    let own = desk.dir.path().join("templates");
    std::fs::create_dir(&own).expect("a directory");
    std::fs::write(own.join("about.html"), "{% for").expect("written");
    let answer = get(&router, "/about").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("`about.html`"), "{}", answer.body);
    assert!(!get(&router, "/").await.body.contains("about.html"));
}

#[tokio::test]
async fn a_disk_that_builds_wait_for_is_on_every_page() {
    let (desk, router) = full().await;
    let build = crate::model::BuildKey {
        builder: HOSTILE.into(),
        number: 6,
    };
    *desk.troubles.lock().expect("not poisoned") = vec![Trouble {
        place: Place::Slave("<otter>".into()),
        since: desk.started(),
        why: "it is full".into(),
        builds: [build].into(),
    }];
    for page in ["/", "/builders/hello", "/buildslaves", "/about"] {
        let body = get(&router, page).await.body;
        let told = "slave &lt;otter&gt; cannot write to its disk</strong> since";
        assert!(
            body.contains(told) && body.contains("</a> waits."),
            "{body}"
        );
        assert!(!body.contains("<script>alert"), "{body}");
    }
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains("cannot write to its disk since"),
        "{status}"
    );
}

#[tokio::test]
async fn events_come_over_a_socket_and_stop_ends_them() {
    let (desk, router) = full().await;
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("web");
    let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
    let stop = CancellationToken::new();
    let host = super::serve::Host {
        router,
        desk: Arc::clone(&desk) as Arc<_>,
        house: Arc::default(),
        stop: stop.clone(),
    };
    let served = tokio::spawn(host.serve(super::serve::Plain(listener)));
    let mut stream = tokio::net::UnixStream::connect(&socket)
        .await
        .expect("connected");
    stream
        .write_all(b"GET /events?build=hello/6 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    let mut heard = String::new();
    let mut buffer = [0; 4096];
    let mut told = false;
    while !heard.contains("build_finished") {
        let count = stream.read(&mut buffer).await.expect("readable");
        assert!(count > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if !told {
            told = true;
            for number in [5, 6] {
                let status = Status::BuildFinished {
                    build: crate::model::BuildKey {
                        builder: "hello".into(),
                        number,
                    },
                    slave: "otter".into(),
                    outcome: crate::model::Outcome::Success,
                };
                desk.events.send(Arc::new(status)).expect("somebody hears");
            }
        }
    }
    assert!(
        heard.contains(
            r#"data: {"builder":"hello","number":6,"slave":"otter","outcome":"success"}"#
        )
    );
    assert!(!heard.contains(r#""number":5"#));
    stop.cancel();
    served.await.expect("it ends");
}
