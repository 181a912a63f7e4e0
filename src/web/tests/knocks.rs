//! What knocks at hooks, and how often it may.

use super::*;
use crate::web::client_address::Peer;

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
