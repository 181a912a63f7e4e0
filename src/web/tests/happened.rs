//! Events, pings and the form of the waterfall, asked through the router.

use super::*;
use crate::model::EventKind;
use crate::model::NewEvent;
use crate::model::Subject;

/// A slave of the sample that came, with a hostile note, and a builder that was stopped.
async fn happened(desk: &SampleDesk) {
    let now = crate::clock::now();
    let written = desk.store.write(move |verbs| {
        let slave = Subject::Slave("otter".into());
        verbs.add_event(&NewEvent {
            note: "from <b>".into(),
            ..NewEvent::new(now, slave, EventKind::Connected)
        })?;
        let builder = Subject::Builder("hello".into());
        verbs.add_event(&NewEvent::new(now, builder, EventKind::Interrupted))
    });
    written.await.expect("written");
}

#[tokio::test]
async fn a_ping_is_posted_and_leads_back_to_the_builder() {
    let (desk, router) = full().await;
    let answer = post(&router, "/builders/hello/ping", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../hello")
    );
    assert_eq!(*desk.asked.lock().expect("not poisoned"), ["ping hello"]);
    assert_eq!(get(&router, "/builders/hello/ping").await.status, 405);
    let missing = post(&router, "/builders/none/ping", &[], "").await;
    assert_eq!(missing.status, 404);
    let page = get(&router, "/builders/hello").await.body;
    assert!(page.contains("action=\"../builders/hello/ping\""), "{page}");
}

#[tokio::test]
async fn a_program_is_told_what_each_slave_answered() {
    let (_desk, router) = full().await;
    let answer = post(&router, "/builders/hello/ping", &[JSON], "").await;
    let told: serde_json::Value = serde_json::from_str(&answer.body).expect("a document");
    assert_eq!(told["result"], "ping failed");
    assert_eq!(told["slaves"][0]["answer"], "silent");
    assert_eq!(told["slaves"][1]["ms"], 12);
}

#[tokio::test]
async fn events_stand_on_the_pages_of_their_builder_and_slave_and_in_a_document() {
    let (desk, router) = full().await;
    happened(&desk).await;
    let slave = get(&router, "/buildslaves/otter").await.body;
    assert!(
        slave.contains("connect <span class=\"faint\">from &lt;b&gt;"),
        "{slave}"
    );
    assert!(
        get(&router, "/builders/hello")
            .await
            .body
            .contains("interrupt")
    );
    let told = async |query: &str| -> Vec<String> {
        let answer = get(&router, &format!("/api/events{query}")).await;
        let all: serde_json::Value = serde_json::from_str(&answer.body).expect("a document");
        let all = all.as_array().expect("a list").iter();
        all.map(|it| it["text"].as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(told("").await, ["interrupt", "connect otter"]);
    assert_eq!(told("?limit=1").await, ["interrupt"]);
    assert_eq!(told("?slave=otter").await, ["connect otter"]);
    assert_eq!(told("?builder=hello").await, ["interrupt"]);
    assert!(told("?builder=nobody").await.is_empty());
    assert_eq!(get(&router, "/api/events?limit=x").await.status, 400);
}

#[tokio::test]
async fn the_form_of_the_waterfall_is_filled_in_from_its_own_address() {
    let (_desk, router) = full().await;
    let query = "builder=hello&branch=%3Cx%3E&committer=bo&show_events=true&reload=90";
    let page = get(&router, &format!("/waterfall/help?{query}")).await.body;
    for part in [
        "name=\"branch\" value=\"&lt;x&gt;\"",
        "name=\"committer\" value=\"bo\"",
        "name=\"builder\" value=\"hello\" checked",
        "name=\"show_events\" value=\"true\" checked",
        "name=\"reload\" value=\"90\" checked",
        "action=\"../waterfall\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("name=\"failures_only\" value=\"true\" checked"));
}

#[tokio::test]
async fn the_waterfall_leads_to_its_form_its_next_page_and_out_of_reloading() {
    let (_desk, router) = full().await;
    let page = get(&router, "/waterfall?show=hello&reload=60").await.body;
    for part in [
        "href=\"./waterfall/help?show=hello&amp;reload=60\"",
        "href=\"?show=hello\">Stop Reloading",
        "rel=\"next\" href=\"?show=hello&amp;reload=60&amp;last_time=",
        "last build",
        "current activity",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let unknown = get(&router, "/waterfall?builder=nobody").await;
    assert_eq!(unknown.status, 200);
}
