//! The live stream, asked through the router.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::master::Access;
use crate::model::BuildKey;
use crate::model::ChangeId;
use crate::model::Outcome;
use crate::model::Status;
use crate::web::app::router;
use crate::web::sample_desk::SampleDesk;

/// Somebody who listens.
struct Ear {
    body: Body,
    heard: String,
}

impl Ear {
    async fn new(router: &Router, address: &str, came_back_with: Option<&str>) -> Self {
        let mut request = Request::get(address);
        if let Some(id) = came_back_with {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), 200);
        let kind = &response.headers()["content-type"];
        assert_eq!(kind, "text/event-stream");
        Self {
            body: response.into_body(),
            heard: String::new(),
        }
    }

    /// Listens until it hears this.
    async fn hear(&mut self, what: &str) -> &str {
        while !self.heard.contains(what) {
            let frame = self.body.frame().await.expect("more").expect("readable");
            let data = frame.into_data().expect("data");
            self.heard.push_str(&String::from_utf8_lossy(&data));
        }
        &self.heard
    }

    fn last_id(&self) -> String {
        let mut ids = self.heard.lines().filter_map(|it| it.strip_prefix("id: "));
        ids.next_back().expect("an id").to_owned()
    }

    /// The data of all that was heard.
    fn data(&self) -> Vec<&str> {
        let data = self.heard.lines();
        data.filter_map(|it| it.strip_prefix("data: ")).collect()
    }
}

fn tell(desk: &SampleDesk, change: i64) {
    let status = Status::ChangeAdded {
        change: ChangeId(change),
    };
    desk.events.send(Arc::new(status)).expect("somebody hears");
}

async fn site() -> (Arc<SampleDesk>, Router) {
    let desk = SampleDesk::new().await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    (desk, router)
}

#[tokio::test]
async fn who_comes_back_with_the_last_id_hears_what_was_missed_and_nothing_twice() {
    let (desk, router) = site().await;
    let mut ear = Ear::new(&router, "/events", None).await;
    tell(&desk, 1);
    tell(&desk, 2);
    ear.hear(r#"{"change":2}"#).await;
    let id = ear.last_id();
    drop(ear);
    tell(&desk, 3);
    tell(&desk, 4);

    let mut ear = Ear::new(&router, "/events", Some(&id)).await;
    ear.hear(r#"{"change":4}"#).await;
    assert_eq!(ear.data(), [r#"{"change":3}"#, r#"{"change":4}"#]);

    let mut ear = Ear::new(&router, &format!("/events?after={id}"), None).await;
    ear.hear(r#"{"change":3}"#).await;
    assert!(!ear.heard.contains("resync"), "{}", ear.heard);
}

#[tokio::test]
async fn who_comes_back_to_another_master_is_told_to_read_again() {
    let (_, first) = site().await;
    let mut ear = Ear::new(&first, "/events", None).await;
    ear.hear("id: ").await;
    let id = ear.last_id();

    let (desk, second) = site().await;
    for id in [id.as_str(), "nonsense", ""] {
        let mut ear = Ear::new(&second, "/events", Some(id)).await;
        ear.hear("event: resync").await;
        tell(&desk, 7);
        ear.hear(r#"{"change":7}"#).await;
        assert_eq!(ear.data(), ["{}", r#"{"change":7}"#]);
    }
}

#[tokio::test]
async fn a_reader_who_is_too_slow_is_told_so_and_goes_on() {
    let (desk, router) = site().await;
    let mut ear = Ear::new(&router, "/events", None).await;
    ear.hear("id: ").await;
    // The channel of this desk holds sixteen.
    for change in 0..40 {
        tell(&desk, change);
    }
    ear.hear(r#"{"change":39}"#).await;
    let data = ear.data();
    assert_eq!(data[0], "{}");
    assert_eq!(data[1], r#"{"change":24}"#);
    assert_eq!(data.len(), 17);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_carries_the_place_of_who_hears_nothing() {
    let (desk, router) = site().await;
    let address = "/events?kind=build_finished";
    let mut ear = Ear::new(&router, address, None).await;
    ear.hear("id: ").await;
    let begin = ear.last_id();
    for change in 0..5 {
        tell(&desk, change);
    }
    ear.hear(": still here").await;
    assert!(ear.data().is_empty(), "{}", ear.heard);
    ear.hear(&format!("id: {}5", begin.trim_end_matches('0')))
        .await;

    let finished = Status::BuildFinished {
        build: BuildKey {
            builder: "hello".into(),
            number: 6,
        },
        slave: "otter".into(),
        outcome: Outcome::Success,
    };
    desk.events.send(Arc::new(finished)).expect("heard");
    let heard = ear.hear("build_finished").await;
    assert!(heard.contains("retry: 2000"), "{heard}");
}

#[tokio::test]
async fn pages_ask_for_the_kinds_that_change_them() {
    let script = include_str!("../../share/static/autobot.js");
    for (kind, _, _) in super::events::KINDS {
        assert!(script.contains(kind), "{kind} changes no page");
    }
    assert!(script.contains("kind="));
}
