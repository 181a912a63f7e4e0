//! Tokens: what they are good for, and when they end.

use std::sync::Arc;

use serde_json::Value;

use crate::config::Plan;
use crate::config::tests::sections::authz_of;
use crate::logins;
use crate::master::Access;

use super::JSON;
use super::RULES;
use super::Site;
use super::basic;
use crate::web::app::router;

#[tokio::test]
async fn a_token_is_good_for_its_scopes_and_for_what_its_user_may() {
    let site = Site::new(RULES).await;
    let ann = basic("ann:otter");
    let ann = [("authorization", ann.as_str()), JSON];
    let make = async |form: &str| {
        let answer = site.post("/api/tokens", &ann, form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let told: Value = serde_json::from_str(&answer.body).expect("a document");
        format!("Bearer {}", told["token"].as_str().expect("a token"))
    };
    let nightly = make("name=nightly&user=ann&scope=force_build&days=30").await;
    let reader = make("name=reader&user=ann&scope=read").await;
    let of_bo = make("name=of-bo&user=bo&scope=force_build,stop_build").await;
    let robot = make("name=robot&user=robot&scope=stop_build").await;
    let stop = "/builders/hello/builds/6/stop";
    let act = async |path: &str, token: &str| {
        let answer = site.post(path, &[("authorization", token), JSON], "").await;
        (answer.status, answer.body)
    };
    let force = "/builders/hello/force";
    assert_eq!(act(force, &nightly).await.0, 200);
    assert!(
        site.asked()[0].contains("pressed by 'ann'"),
        "{:?}",
        site.asked()
    );
    let (status, why) = act(stop, &nightly).await;
    assert_eq!(status, 403);
    assert!(why.contains("has no scope `stop_build`"), "{why}");
    assert_eq!(act(force, &reader).await.0, 403);
    assert_eq!(act(force, &of_bo).await.0, 403, "bo may not");
    assert_eq!(act(stop, &of_bo).await.0, 200);
    assert_eq!(
        act(stop, &robot).await.0,
        200,
        "who logs in nowhere has one, too"
    );
    let (status, _) = act("/api/tokens", &nightly).await;
    assert_eq!(status, 403, "a token makes no token");
    let again = site
        .post("/api/tokens", &ann, "name=nightly&user=ann&scope=read")
        .await;
    assert_eq!(again.status, 409);

    let listed = site.get("/api/tokens", &ann).await.body;
    assert!(!listed.contains("autobot_"), "{listed}");
    let listed: Value = serde_json::from_str(&listed).expect("a document");
    assert_eq!(listed[0]["name"], "nightly");
    assert!(listed[0]["used"].is_string(), "{listed}");
    assert_eq!(listed[0]["place"], "192.0.2.2");

    let removed = site.post("/api/tokens/nightly/remove", &ann, "").await;
    assert_eq!(removed.status, 200);
    assert_eq!(act(force, &nightly).await.0, 401);
    for forged in ["Bearer", "Bearer ", "Bearer autobot_", "Bearer autobot_0"] {
        let (status, _) = act(force, forged).await;
        assert_eq!(status, 401, "{forged}");
    }
    for bad in [
        "user=ann&scope=read",
        "name=x&scope=read",
        "name=x&user=ann",
        "name=x&user=ann&scope=root",
        "name=x&user=ann&scope=read&days=0",
        "name=x%0ay&user=ann&scope=read",
    ] {
        assert_eq!(
            site.post("/api/tokens", &ann, bad).await.status,
            400,
            "{bad}"
        );
    }
    let audited = site.audit().await;
    let by_token = audited.iter().find(|it| it.entry.way == "token nightly");
    assert_eq!(
        by_token.and_then(|it| it.entry.user.as_deref()),
        Some("ann")
    );
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_the_account_of_its_user() {
    let site = Site::new(RULES).await;
    let ann = basic("ann:otter");
    let ann = [("authorization", ann.as_str()), JSON];
    let form = "name=t&user=bo&scope=stop_build&days=1";
    let answer = site.post("/api/tokens", &ann, form).await;
    let told: Value = serde_json::from_str(&answer.body).expect("a document");
    let shown = told["token"].as_str().expect("a token");
    let token = format!("Bearer {shown}");
    let mut plan = Plan::clone(&site.desk.plan);
    plan.authz = authz_of(&RULES.replace(" bo:newt", ""));
    let without = Site {
        desk: Arc::clone(&site.desk),
        router: router(site.desk.again(plan) as Arc<_>, Access::Full),
    };
    let headers = [("authorization", token.as_str()), JSON];
    let answer = without
        .post("/builders/hello/builds/6/stop", &headers, "")
        .await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.body.contains("is of `bo`, who is gone"),
        "{}",
        answer.body
    );

    let digest = logins::digest("autobot_", shown).expect("one");
    let expired = site.desk.store.write(move |verbs| {
        verbs.remove_token("t")?;
        let new = crate::store::NewToken {
            name: "t".into(),
            digest,
            user: "bo".into(),
            scopes: vec!["stop_build".into()],
            bound: true,
            expires: Some(crate::model::Timestamp(1)),
        };
        verbs.add_token(&new, crate::model::Timestamp(0))
    });
    assert!(expired.await.expect("written"));
    let answer = site
        .post("/builders/hello/builds/6/stop", &headers, "")
        .await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("has expired"), "{}", answer.body);
}
