//! The table of calls against the router, the page of the reference, and the description.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use regex::Regex;
use serde_json::Value;
use tower::ServiceExt;

use super::calls::CALLS;
use super::calls::Call;
use super::events;
use super::openapi;
use crate::master::Access;
use crate::syntax::WholePattern;
use crate::web::app::router;
use crate::web::sample_desk::SampleDesk;

async fn site() -> Router {
    let desk = SampleDesk::new().await;
    router(desk as Arc<_>, Access::Owner)
}

async fn send(router: &Router, method: &str, address: &str, form: &str) -> Response {
    let mut request = Request::builder()
        .method(method)
        .uri(address)
        .header("accept", "application/json");
    if method == "POST" {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    let request = request
        .body(Body::from(form.replace(' ', "+")))
        .expect("a request");
    router.clone().oneshot(request).await.expect("an answer")
}

async fn body(response: Response) -> String {
    let body = response.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}

async fn json(response: Response) -> Value {
    let body = body(response).await;
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The routes that stand in the text of a router: what is posted to, and all of programs' own.
fn routed(text: &str, prefix: &str, is_api: bool) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for piece in text.split(".route(").skip(1) {
        let piece = piece.split("\n}").next().unwrap_or_default();
        let Some((path, handlers)) = piece
            .trim_start()
            .strip_prefix('"')
            .and_then(|it| it.split_once('"'))
        else {
            continue;
        };
        let path = format!("{prefix}{path}").trim_end_matches('/').to_owned();
        if handlers.contains("post(") {
            all.insert(("POST".to_owned(), path.clone()));
        }
        if is_api && handlers.contains("get(") {
            all.insert(("GET".to_owned(), path));
        }
    }
    all
}

#[test]
fn every_call_of_the_router_has_its_row() {
    // Programs knock at these, with words of their own: the manual has them.
    let others = [
        "/change_hook",
        "/change_hook/{name}",
        "/api/try/{name}",
        // People log in and out here, and Buildbot's scripts see users.
        "/login",
        "/logout",
        "/users/table",
        "/users/table/{id}",
    ];
    let mut there = routed(include_str!("api.rs"), "/api", true);
    there.extend(routed(include_str!("app.rs"), "", false));
    there.retain(|(_, path)| !others.contains(&path.as_str()));
    let rows: BTreeSet<_> = CALLS
        .iter()
        .map(|it| (it.method.to_owned(), it.path.to_owned()))
        .collect();
    assert!(there.len() > 30, "{there:?}");
    let missing: Vec<_> = there.difference(&rows).collect();
    assert!(missing.is_empty(), "no row in `CALLS`: {missing:?}");
    let gone: Vec<_> = rows.difference(&there).collect();
    assert!(gone.is_empty(), "no route: {gone:?}");
    assert_eq!(rows.len(), CALLS.len(), "a row is there twice");
}

#[tokio::test]
async fn every_example_is_answered_with_what_its_row_says() {
    for call in CALLS {
        let (address, form) = call.example;
        if address.is_empty() {
            continue;
        }
        let router = site().await;
        let response = send(&router, call.method, address, form).await;
        assert_eq!(
            response.status(),
            200,
            "{address}: {}",
            body(response).await
        );
        if call.path == "/api/reload" {
            continue;
        }
        let mut answer = json(response).await;
        if let Value::Array(all) = answer {
            answer = all.into_iter().next().unwrap_or(Value::Null);
        }
        // What the row calls by name is there; of a list that is empty nothing is.
        if let Value::Object(answer) = &answer {
            let shown: Vec<_> = answer.keys().collect();
            for name in named(call) {
                assert!(
                    answer.contains_key(name) || answer.values().any(|it| has(it, name)),
                    "{address}: `{name}` is not in {shown:?}"
                );
            }
        }
    }
}

fn has(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(all) => all.contains_key(name) || all.values().any(|it| has(it, name)),
        Value::Array(all) => all.is_empty() || all.iter().any(|it| has(it, name)),
        _ => false,
    }
}

/// The keys that the words of a row name: those before what stands in brackets.
fn named(call: &Call) -> Vec<&str> {
    if call.answer.contains("as above") || call.answer.starts_with("ends the master") {
        return Vec::new();
    }
    let words = Regex::new(r"\([^)]*\)|`[^`]*/[^`]*`|`GET [^`]*`|`autobot[^`]*`|`config_problem`")
        .expect("a pattern");
    let masked: Vec<_> = words.find_iter(call.answer).map(|it| it.range()).collect();
    let names = Regex::new("`([a-z_]+)`").expect("a pattern");
    names
        .captures_iter(call.answer)
        .filter_map(|it| it.get(1))
        .filter(|it| !masked.iter().any(|range| range.contains(&it.start())))
        .map(|it| it.as_str())
        .collect()
}

#[tokio::test]
async fn a_field_that_a_call_does_not_know_is_refused_and_nothing_is_done() {
    let desk = SampleDesk::new().await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Owner);
    for (address, form, expected) in [
        (
            "/builders/hello/force",
            "comment=x",
            "`comment` is no field of this call; did you mean `comments`?",
        ),
        (
            "/builders/hello/force",
            "propertyname=x",
            "`propertyname` is no field of this call; did you mean `property*name`?",
        ),
        (
            "/builders/hello/builds/6/stop",
            "<b>=1",
            "`<b>` is no field of this call: `username`, `comments`, `reason`",
        ),
        (
            "/api/users",
            "password=x",
            "`password` is no field of this call; did you mean `bb_password`?",
        ),
    ] {
        let response = send(&router, "POST", address, form).await;
        assert_eq!(response.status(), 400, "{address}");
        assert_eq!(json(response).await["error"], expected);
    }
    let response = send(&router, "GET", "/api/builds?limt=3", "").await;
    assert_eq!(response.status(), 400);
    assert_eq!(
        json(response).await["error"],
        "`limt` is no field of this call; did you mean `limit`?"
    );
    let response = send(&router, "GET", "/api/status?x=1", "").await;
    assert_eq!(
        json(response).await["error"],
        "`x` is no field of this call, which takes none"
    );
    assert!(desk.asked.lock().expect("not poisoned").is_empty());
}

/// What no pattern of `[:validation:]` lets in, in the form of a call that takes such a field.
fn bad_word(field: &str) -> Option<(&'static str, &'static str)> {
    match field {
        "branch" => Some(("branch=a;b", "branch")),
        "revision" => Some(("revision=$(reboot)", "revision")),
        "property*name" => Some(("property7name=a b&property7value=c", "property.a b")),
        "property*value" => Some(("property7name=a&property7value=b;c", "property.a")),
        _ => None,
    }
}

#[tokio::test]
async fn what_the_patterns_of_the_configuration_do_not_let_in_is_refused_by_every_call() {
    let mut refused = 0;
    for call in CALLS.iter().filter(|it| it.method == "POST") {
        for (form, field) in call.fields.iter().filter_map(|it| bad_word(it.0)) {
            let desk = SampleDesk::new().await;
            let router = router(Arc::clone(&desk) as Arc<_>, Access::Owner);
            let (address, example) = call.example;
            assert!(!address.is_empty(), "{}: no example", call.path);
            let form = format!("{example}&{form}").replace(';', "%3B");
            let response = send(&router, "POST", address, &form).await;
            assert_eq!(response.status(), 400, "{address} {form}");
            let answer = json(response).await;
            let why = answer["fields"][field]
                .as_str()
                .expect("the field is named");
            assert!(why.contains("is not let in"), "{address} {form}: {why}");
            let asked = desk.asked.lock().expect("not poisoned");
            assert!(asked.is_empty(), "{address} {form}: {asked:?}");
            refused += 1;
        }
    }
    // Three forms of a force, and a rebuild, which has properties only.
    assert_eq!(refused, 3 * 4 + 2);
}

#[tokio::test]
async fn a_pattern_of_the_configuration_stands_in_the_place_of_the_usual_one() {
    let own = WholePattern::new("main;[0-9]").expect("a pattern");
    let desk = SampleDesk::with(|plan| plan.master.validation.branch = own).await;
    let router = router(desk as Arc<_>, Access::Owner);
    for (branch, status) in [("main%3B1", 200), ("", 200), ("main", 400)] {
        let form = format!("branch={branch}");
        let response = send(&router, "POST", "/builders/hello/force", &form).await;
        assert_eq!(response.status(), status, "{branch}");
    }
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_what_can_be_done() {
    let router = site().await;
    for (method, address, status) in [
        ("GET", "/api/builders/nobody/builds/1", 404),
        ("GET", "/api/builds?builder=nobody", 404),
        ("GET", "/api/builds?after=hello/99", 404),
        ("GET", "/api/builds?after=hello", 400),
        ("GET", "/api/builds?limit=0", 400),
        ("GET", "/api/changes?after=x", 400),
        ("GET", "/api/builders?after=nobody", 404),
        ("GET", "/api/nothing", 404),
        ("POST", "/api/status", 405),
        ("POST", "/builders/nobody/force", 404),
        ("POST", "/requests/999/cancel", 404),
    ] {
        let response = send(&router, method, address, "").await;
        assert_eq!(response.status(), status, "{method} {address}");
        let error = json(response).await;
        let keys: Vec<_> = error.as_object().expect("a map").keys().collect();
        let is_known = |it: &&&String| matches!(it.as_str(), "error" | "next" | "fields");
        assert!(keys.iter().all(|it| is_known(&it)), "{address}: {error}");
        assert!(error["error"].is_string(), "{address}: {error}");
        assert_eq!(
            status == 404,
            error["next"].is_string(),
            "{address}: {error}"
        );
    }
}

#[tokio::test]
async fn a_list_leads_to_its_next_part_until_its_end() {
    let router = site().await;
    for (list, key, count) in [
        ("/api/builds?limit=4", "number", 18),
        ("/api/builds?builder=hello&limit=3", "number", 7),
        ("/api/builders?limit=3", "name", 4),
        ("/api/changes?limit=1", "number", 2),
    ] {
        let path = list.split('?').next().expect("a path");
        let all = format!("{}limit=100", list.split("limit").next().expect("a start"));
        let whole = json(send(&router, "GET", &all, "").await).await;
        let whole = whole.as_array().expect("a list").clone();
        assert_eq!(whole.len(), count, "{list}");
        let mut parts = Vec::new();
        let mut address = list.to_owned();
        loop {
            let response = send(&router, "GET", &address, "").await;
            assert_eq!(response.status(), 200, "{address}");
            let link = response.headers().get("link").cloned();
            parts.extend(json(response).await.as_array().expect("a list").clone());
            let Some(link) = link else { break };
            let link = link.to_str().expect("text").to_owned();
            let next = link
                .strip_prefix('<')
                .and_then(|it| it.strip_suffix(">; rel=\"next\""));
            address = format!("{path}{}", next.expect("a link"));
        }
        let keys = |all: &[Value]| -> Vec<Value> { all.iter().map(|it| it[key].clone()).collect() };
        assert_eq!(keys(&parts), keys(&whole), "{list}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let router = site().await;
    for address in [
        "/api/builders/docs/builds/3",
        "/json/builders/docs/builds/3",
    ] {
        let response = send(&router, "GET", address, "").await;
        let tag = response.headers()["etag"].clone();
        assert!(!body(response).await.is_empty());
        let request = Request::get(address).header("if-none-match", &tag);
        let request = request.body(Body::empty()).expect("a request");
        let again = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(
            (again.status().as_u16(), &again.headers()["etag"]),
            (304, &tag)
        );
        assert_eq!(body(again).await, "");
        let request = Request::get(address).header("if-none-match", "\"other\"");
        let request = request.body(Body::empty()).expect("a request");
        let other = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(other.status(), 200);
    }
}

#[tokio::test]
async fn the_description_is_of_the_same_calls() {
    let router = site().await;
    let told = json(send(&router, "GET", "/api", "").await).await;
    assert_eq!(told, openapi::description());
    assert_eq!(told["openapi"], "3.1.0");
    let named = Regex::new(r"\{([a-z]+)\}").expect("a pattern");
    let mut names = BTreeSet::new();
    for call in CALLS {
        let operation = &told["paths"][call.path][call.method.to_ascii_lowercase()];
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name), "{name} is there twice");
        // Every part of the path that has a name is a parameter, and nothing else is.
        let parameters = operation["parameters"].as_array().expect("a list");
        let in_path = parameters.iter().filter(|it| it["in"] == "path");
        let in_path: Vec<_> = in_path.filter_map(|it| it["name"].as_str()).collect();
        let parts = named.captures_iter(call.path).filter_map(|it| it.get(1));
        assert_eq!(in_path, parts.map(|it| it.as_str()).collect::<Vec<_>>());
        let reference =
            &operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"];
        let place = reference
            .as_str()
            .and_then(|it| it.strip_prefix('#'))
            .expect("a place");
        assert!(told.pointer(place).is_some(), "{place}");
    }
}

/// The page of the reference.
fn page() -> String {
    let mut out = "# The calls of the web\n\nWritten from the table that the master answers by. \
        `GET /api` has the same for programs (OpenAPI 3.1). Every example is run by a test.\n\n\
        Names in an address are percent-encoded. A POST sends a form \
        (`application/x-www-form-urlencoded`) and is answered with JSON if it says `Accept: \
        application/json`; a browser is sent on to the page about it. A field that a call does not \
        know is refused with 400, and nothing is done. The right is the key of `[:authz:]` that says \
        who may.\n\n\
        An error is `{\"error\": TEXT}`, with `next` where something can be done about it and \
        `fields` where fields of a form are wrong: 400 for what cannot be read, 403 for what is not \
        allowed, 404 for what is not there, 409 for what is too late, 503 while the disk is full.\n\n\
        A list takes `limit` and `after`. If there are more, the head `Link` of the answer has where \
        they are, relative to the address: `<?limit=20&after=hello/12>; rel=\"next\"`. Every document \
        has an `ETag`: who polls with `If-None-Match` gets 304 while nothing has changed.\n"
        .to_owned();
    for call in CALLS {
        out.push_str(&format!("\n## `{} {}`\n\n", call.method, call.path));
        let mut letters = call.answer.chars();
        let first = letters.next().map(|it| it.to_uppercase().to_string());
        out.push_str(&format!(
            "{}{}.\n",
            first.unwrap_or_default(),
            letters.as_str()
        ));
        if let Some(right) = call.right {
            out.push_str(&format!("\nRight: `{}`.\n", right.as_str()));
        }
        if !call.fields.is_empty() {
            out.push_str("\n| field | meaning |\n|---|---|\n");
            for (name, says) in call.fields {
                out.push_str(&format!("| `{name}` | {says} |\n"));
            }
        }
        let (address, form) = call.example;
        if address.is_empty() {
            continue;
        }
        let quoted = format!("\"http://localhost:8010{address}\"");
        out.push_str("\n```text\n");
        match (call.method, form) {
            ("GET", _) => out.push_str(&format!("curl -fsS {quoted}\n")),
            (_, "") => out.push_str(&format!(
                "curl -fsS -X POST -H \"Accept: application/json\" {quoted}\n"
            )),
            (_, form) => out.push_str(&format!(
                "curl -fsS -H \"Accept: application/json\" -d \"{form}\" {quoted}\n"
            )),
        }
        out.push_str("```\n");
    }
    out.push_str(
        "\n## `GET /events`\n\nServer-sent events; [the manual](../manual.md#events) says how to read \
         them. `builder`, `build`, `slave` and `kind` choose, each as often as wanted; `after` is the id \
         to come back with.\n\n| event | data | when |\n|---|---|---|\n",
    );
    for (kind, data, when) in events::KINDS {
        out.push_str(&format!("| `{kind}` | {data} | {when} |\n"));
    }
    out
}

#[test]
fn the_page_of_the_reference_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/api.md");
    if env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, page()).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page(),
        "docs/reference/api.md is not what the table says; \
         `UPDATE_REFERENCE=1 cargo nextest run reference` writes it anew"
    );
}

#[tokio::test]
async fn long_texts_go_packed_to_who_can_unpack_them_and_are_known_again() {
    let router = site().await;
    let ask = async |address: &str, more: (&str, &str)| {
        let request = Request::get(address).header("accept-encoding", "gzip");
        let request = request.header(more.0, more.1).body(Body::empty());
        let request = request.expect("a request");
        router.clone().oneshot(request).await.expect("an answer")
    };
    for address in ["/changes", "/json", "/api", "/static/autobot.css", "/rss"] {
        let plain = send(&router, "GET", address, "").await;
        assert!(!plain.headers().contains_key("content-encoding"));
        let long = body(plain).await.len();
        let packed = ask(address, ("accept", "*/*")).await;
        assert_eq!(packed.status(), 200, "{address}: {:?}", packed.headers());
        let head = packed.headers().clone();
        let packed_as = head.get("content-encoding").map(HeaderValue::as_bytes);
        assert_eq!(packed_as, Some(&b"gzip"[..]), "{address}: {head:?}");
        assert_eq!(head["vary"], "accept-encoding", "{address}");
        let bytes = packed.into_body().collect().await.expect("a body");
        let bytes = bytes.to_bytes();
        assert_eq!(bytes[..2], [0x1f, 0x8b], "{address}");
        assert!(bytes.len() < long / 2, "{address}");
        let mark = head["etag"].to_str().expect("text");
        assert!(mark.starts_with("W/"), "{address}: {mark}");
        let again = ask(address, ("if-none-match", mark)).await;
        assert_eq!(again.status(), 304, "{address}");
    }
    for address in ["/healthz", "/badges/hello.svg", "/events"] {
        let short = ask(address, ("accept", "*/*")).await;
        assert!(!short.headers().contains_key("content-encoding"));
    }
}
