//! Who may act, and what is shown to those who may not.

use super::*;
use crate::config::tests::sections::authz_of;

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
    let router = crate::web::app::router(Arc::clone(&desk) as Arc<_>, Access::ReadOnly);
    let answer = post(&router, "/builders/hello/force", &[], "").await;
    assert!(answer.body.contains("only shows"), "{}", answer.body);
}
