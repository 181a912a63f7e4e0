//! What holds for every address: its headers, and what the port does that only shows. The
//! addresses are read from the router's own text, so that a new one is looked at too.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;

use super::app::router;
use super::desk::Desk;
use super::sample::HOSTILE;
use super::sample_desk::SampleDesk;
use super::tests::Answer;
use super::tests::ask;
use super::tests::full;
use super::tests::get;
use super::tests::post;
use crate::config::tests::sections::web_of;
use crate::master::Access;

/// Every address of the router with something of the sample in the place of its parts, and
/// whether it can be posted to.
fn routes() -> Vec<(String, bool)> {
    let mut all = Vec::new();
    for (text, prefix) in [
        (include_str!("app.rs"), ""),
        (include_str!("api.rs"), "/api"),
    ] {
        let consts = [
            ("STEP", "/builders/{builder}/builds/{number}/steps/{step}"),
            ("TESTS", "/builders/{builder}/builds/{number}/tests"),
            ("ARTIFACTS", "/builders/{builder}/builds/{number}/artifacts"),
        ];
        for piece in text.split(".route(").skip(1) {
            let piece = piece.trim_start();
            let first = piece.split([',', '\n']).next().expect("a word");
            let path = match piece.split('"').nth(1) {
                Some(path) if !first.starts_with(|it: char| it.is_ascii_uppercase()) => path,
                _ => first,
            };
            let mut path = path.replace("{{", "{").replace("}}", "}");
            for (name, stands_for) in consts {
                path = path.replace(&format!("{{{name}}}"), stands_for);
                if path == name {
                    path = stands_for.to_owned();
                }
            }
            let rest = &piece[..piece.find(".route(").unwrap_or(piece.len()).min(200)];
            let is_post = rest
                .split(".route(")
                .next()
                .is_some_and(|it| it.contains("post("));
            for (part, value) in [
                ("{builder}", "hello"),
                ("{number}", "1"),
                ("{step}", "test"),
                ("{log}", "stdio"),
                ("{test}", "x"),
                ("{id}", "1"),
                ("{slave}", "otter"),
                ("{name}", "x"),
                ("{file}", "hello.svg"),
                ("{*path}", "builders"),
            ] {
                path = path.replace(part, value);
            }
            assert!(path.starts_with('/') && !path.contains('{'), "{path}");
            all.push((format!("{prefix}{path}"), is_post));
        }
    }
    assert!(all.len() > 60, "{}", all.len());
    all
}

async fn twin() -> (Arc<SampleDesk>, Router) {
    let desk = SampleDesk::new().await;
    let router = router(Arc::clone(&desk) as Arc<dyn Desk>, Access::ReadOnly);
    (desk, router)
}

/// The head of an answer; bodies that go on are not waited for.
async fn head(router: &Router, path: &str) -> Answer {
    let request = Request::head(path).body(Body::empty()).expect(path);
    ask(router, request).await
}

#[tokio::test]
async fn every_address_forbids_scripts_frames_and_guesses() {
    let (_desk, full) = full().await;
    let (_other, twin) = twin().await;
    let mut paths: Vec<_> = routes().into_iter().map(|it| it.0).collect();
    paths.extend(
        [
            "/nowhere",
            "/static/nothing",
            "/builders/%2e%2e",
            "/builders//",
        ]
        .map(str::to_owned),
    );
    for router in [&full, &twin] {
        for path in &paths {
            let answer = head(router, path).await;
            let policy = answer.header("content-security-policy");
            assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
            assert!(
                policy.contains("frame-ancestors 'none'"),
                "{path}: {policy}"
            );
            // A page of others may have styles in it: nobody's session is within its reach.
            let is_apart = policy.starts_with("sandbox;");
            assert!(is_apart || !policy.contains("unsafe"), "{path}: {policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
            assert!(!answer.header("cache-control").is_empty(), "{path}");
            assert_eq!(answer.header("server"), "", "{path}");
            assert_ne!(answer.status, 500, "{path}");
            let kind = answer.header("content-type");
            let is_text = kind.starts_with("text/") && kind != "text/event-stream";
            let is_text = is_text || kind.contains("xml");
            assert!(
                !is_text || kind.to_lowercase().contains("charset=utf-8"),
                "{path}: {kind}"
            );
        }
    }
}

#[tokio::test]
async fn the_port_that_only_shows_refuses_every_action_and_does_nothing() {
    let (desk, router) = twin().await;
    let mut refused = 0;
    for (path, is_post) in routes() {
        for kind in ["text/html", "application/json"] {
            let answer = post(
                &router,
                &path,
                &[("accept", kind)],
                "reason=x&id=1&change=1",
            )
            .await;
            let knocks = path.starts_with("/change_hook") || path.starts_with("/api/try");
            match knocks {
                // They ask for a secret of their own.
                true => assert!(answer.status >= 400, "{path}: {}", answer.status),
                false if is_post => {
                    assert_eq!(answer.status, 403, "{path}");
                    refused += 1;
                }
                false => assert!(
                    [403, 405].contains(&answer.status),
                    "{path}: {}",
                    answer.status
                ),
            }
        }
    }
    assert!(refused > 30, "{refused}");
    let asked = desk.asked.lock().expect("nobody panicked");
    let done: Vec<_> = asked.iter().filter(|it| !it.starts_with("knock")).collect();
    assert!(done.is_empty(), "{done:?}");
}

#[tokio::test]
async fn the_port_that_only_shows_draws_every_page_and_no_form_that_changes_anything() {
    let (_desk, router) = twin().await;
    let mut pages = 0;
    for (path, is_post) in routes() {
        if is_post || path == "/events" {
            continue;
        }
        let answer = get(&router, &path).await;
        if !answer.header("content-type").starts_with("text/html") || answer.status != 200 {
            continue;
        }
        pages += 1;
        let body = answer.body.to_lowercase();
        assert!(!body.contains("method=\"post\""), "{path}");
        assert!(body.contains("read-only"), "{path}");
        assert!(
            !body.contains("href=\"users\"") && !body.contains("/users\""),
            "{path}"
        );
    }
    assert!(pages >= 18, "{pages}");
}

#[tokio::test]
async fn what_is_private_is_not_shown_where_everybody_may_look() {
    let (_desk, twin) = twin().await;
    let (_other, full) = full().await;
    for path in ["/users", "/users/1", "/api/users", "/metrics"] {
        let answer = get(&twin, path).await;
        assert!(
            [403, 404].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
    }
    assert_eq!(get(&full, "/metrics").await.status, 200);
    assert_eq!(get(&twin, "/healthz").await.body, "ok\n");
    assert_eq!(get(&twin, "/readyz").await.body, "ready\n");
}

#[tokio::test]
async fn a_redirect_leads_to_this_site_whatever_the_address_says() {
    let (desk, router) = full().await;
    let public = desk.dir.path().join("public_html");
    for name in ["evil.test", "javascript:alert(1)", "a\\b"] {
        std::fs::create_dir_all(public.join(name)).expect("a directory");
    }
    for path in [
        "//evil.test/",
        "//evil.test//",
        "/%2f%2fevil.test/",
        "/\\evil.test/",
        "/evil.test",
        "/javascript:alert(1)",
        "/a%5Cb",
        "/builders//evil.test/builds",
        "/builders/evil%0d%0aset-cookie:x/builds",
        "/users/table//evil.test",
        "/https:%2f%2fevil.test/",
        "/builders/hello/?x=//evil.test",
    ] {
        let Ok(request) = Request::get(path).body(Body::empty()) else {
            continue;
        };
        let answer = ask(&router, request).await;
        let to = answer.header("location");
        assert!(answer.headers.get("set-cookie").is_none(), "{path}");
        if to.is_empty() {
            continue;
        }
        let leads_out = to.starts_with("//")
            || to.starts_with('\\')
            || to.starts_with("/\\")
            || to
                .split(['/', '?'])
                .next()
                .is_some_and(|it| it.contains(':'));
        assert!(!leads_out, "{path} leads to {to}");
    }
}

#[tokio::test]
async fn no_address_leads_out_of_the_directories_that_are_shown() {
    let (desk, router) = full().await;
    let base = desk.dir.path();
    std::fs::create_dir_all(base.join("public_html/sub")).expect("a directory");
    std::fs::write(base.join("master.ini"), "password = hidden-word").expect("written");
    std::os::unix::fs::symlink(base.join("master.ini"), base.join("public_html/link"))
        .expect("a link");
    for path in [
        "/../master.ini",
        "/..%2fmaster.ini",
        "/%2e%2e/master.ini",
        "/sub/..%2f..%2fmaster.ini",
        "/sub/%2e%2e/%2e%2e/master.ini",
        "/..%5cmaster.ini",
        "/link",
        "/%00/../master.ini",
        "/builders/hello/builds/1/steps/test/logs/..%2f..%2f..%2fmaster.ini",
        "/builders/..%2f..%2f/builds/1",
        "/badges/..%2fmaster.ini",
        "/static/..%2f..%2fmaster.ini",
    ] {
        let answer = get(&router, path).await;
        assert_ne!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("hidden-word"), "{path}");
    }
}

#[tokio::test]
async fn a_hostile_log_and_a_file_of_others_run_nothing() {
    let (desk, router) = full().await;
    let public = desk.dir.path().join("public_html");
    std::fs::create_dir_all(&public).expect("a directory");
    std::fs::write(public.join("x.html"), "<script>alert(1)</script>").expect("written");
    let file = get(&router, "/x.html").await;
    assert!(
        file.header("content-security-policy").contains("sandbox"),
        "{:?}",
        file.headers
    );
    let log = get(
        &router,
        "/builders/docs/builds/0/steps/test/logs/stdio/text?follow=0",
    )
    .await;
    assert_eq!(log.status, 200);
    assert_eq!(log.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(log.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_request_is_of_this_site_by_the_host_that_the_visitor_asked() {
    let desk = SampleDesk::with(|plan| {
        plan.web.server = web_of("trusted_proxies = unix").server;
    })
    .await;
    let router = router(Arc::clone(&desk) as Arc<dyn Desk>, Access::Full);
    let headers = [
        ("host", "127.0.0.1:8010"),
        ("origin", "https://ci.example.org"),
        ("x-forwarded-host", "ci.example.org"),
        ("x-forwarded-proto", "https"),
        ("accept", "application/json"),
    ];
    let send = async |headers: &[(&str, &str)]| {
        let mut request = Request::post("/builders/hello/force")
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        ask(
            &router,
            request.body(Body::from("reason=x")).expect("a request"),
        )
        .await
    };
    let answer = send(&headers).await;
    assert!(answer.status < 400, "{}: {}", answer.status, answer.body);
    assert!(
        answer
            .header("strict-transport-security")
            .starts_with("max-age=")
    );
    let mut evil = headers;
    evil[1].1 = "https://evil.test";
    assert_eq!(send(&evil).await.status, 403);
    // Nothing in front says it: the host that was asked is another.
    assert_eq!(send(&headers[..2]).await.status, 403);
}

#[tokio::test]
async fn figures_have_the_form_of_prometheus_and_only_so_many_builders() {
    let desk = SampleDesk::with(|plan| {
        let usual = crate::config::MetricsPlan::default();
        plan.metrics = Some(crate::config::MetricsPlan {
            max_builders: 1,
            ..usual
        });
    })
    .await;
    let router = router(Arc::clone(&desk) as Arc<dyn Desk>, Access::Full);
    get(&router, "/builders/hello").await;
    get(&router, "/no/such/page").await;
    let answer = get(&router, "/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let body = answer.body;
    let first = desk.plan.builders[0].name.as_str();
    for line in [
        &format!("autobot_builds_total{{builder=\"{first}\",result=\"success\"}} 2"),
        "autobot_builds_total{builder=\"(others)\",result=\"failure\"} 4",
        "autobot_pending_requests{builder=\"(others)\"} 1",
        "autobot_slaves{state=\"connected\"} 1",
        "autobot_http_requests_total{route=\"/builders/{builder}\",status=\"2xx\"} 1",
        "autobot_http_requests_total{route=\"other\",status=\"4xx\"} 1",
        "autobot_dispatch_seconds_count 1",
        "autobot_alarm{name=\"disk\"} 2",
        "autobot_log_bytes 12345",
    ] {
        assert!(body.lines().any(|it| it == line), "{line}\n{body}");
    }
    assert!(!body.contains(HOSTILE));
    let mut seen = std::collections::BTreeSet::new();
    for line in body.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(figure) => assert!(seen.insert(figure.to_owned()), "twice: {figure}"),
            None if line.starts_with('#') => {}
            None => {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert!(seen.insert(name.to_owned()), "twice: {name}");
            }
        }
    }
}

#[tokio::test]
async fn who_is_not_ready_says_why() {
    let (desk, router) = full().await;
    assert_eq!(get(&router, "/readyz").await.status, 200);
    desk.troubles
        .lock()
        .expect("nobody panicked")
        .push(crate::master::troubles::Trouble {
            place: crate::master::troubles::Place::Database,
            since: crate::model::Timestamp(0),
            why: "full".into(),
            builds: Default::default(),
        });
    let answer = get(&router, "/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "the database cannot be written\n");
    assert_eq!(get(&router, "/healthz").await.status, 200);
}
