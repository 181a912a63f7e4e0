//! Sessions: whose they are, what they outlive, and where they lead back to.

use std::sync::Arc;

use crate::config::Plan;
use crate::config::TrustedProxies;
use crate::config::tests::sections::authz_of;
use crate::logins;
use crate::master::Access;

use super::HTML;
use super::RULES;
use super::Site;
use super::cookie;
use crate::model::hex;
use crate::web::app::router;
use crate::web::tests::Answer;

#[tokio::test]
async fn who_logs_in_has_a_session_and_what_they_do_carries_their_name() {
    let site = Site::new(RULES).await;
    let page = site.get("/builders/hello", &[HTML]).await.body;
    assert!(page.contains("login?to=builders/hello"), "{page}");
    assert!(!page.contains("/force\""), "{page}");
    let page = site.get("/login?to=builders/hello", &[HTML]).await.body;
    assert!(
        page.contains("name=\"to\" value=\"builders/hello\""),
        "{page}"
    );

    let form = "username=ann&passwd=otter&to=builders/hello";
    let answer = site.post("/login", &[], form).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "./builders/hello")
    );
    let set = answer.header("set-cookie").to_owned();
    assert!(set.contains("; HttpOnly; SameSite=Lax"), "{set}");
    assert!(!set.contains("Secure") && !set.contains("Path"), "{set}");
    let cookie = cookie(&answer);

    let headers = [("cookie", cookie.as_str())];
    let page = site.get("/builders/hello", &headers).await;
    assert_eq!(page.header("cache-control"), "private, no-cache");
    let page = page.body;
    assert!(
        page.contains("/force\"") && page.contains("Log out"),
        "{page}"
    );
    assert!(!page.contains("Your name"), "{page}");
    let forced = site
        .post(
            "/builders/hello/force",
            &headers,
            "username=bo&comments=try",
        )
        .await;
    assert_eq!(forced.status, 302, "{}", forced.body);
    assert_eq!(
        site.asked(),
        ["force hello None The 'force build' button was pressed by 'ann': try"]
    );

    let left = site.post("/logout", &headers, "").await;
    assert_eq!(left.status, 302);
    assert!(left.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(
        site.force(&headers).await.status,
        401,
        "the session is over"
    );
    let done: Vec<_> = site
        .audit()
        .await
        .into_iter()
        .map(|it| {
            let entry = it.entry;
            let user = entry.user.unwrap_or_default();
            format!(
                "{user} {} {} {}: {}",
                entry.way, entry.action, entry.target, entry.result
            )
        })
        .collect();
    assert_eq!(
        done,
        [
            " nobody force_build builder hello: refused: `force_build` in `[:authz:]` asks for a login",
            "ann session logout : done",
            "ann session force_build builder hello: done",
            "ann password login : done",
        ]
    );
}

#[tokio::test]
async fn a_session_cannot_be_brought_along_forged_or_kept_after_another_password() {
    let site = Site::new(RULES).await;
    let first = site.log_in("ann", "otter").await;
    let (name, value) = first.split_once('=').expect("a pair");
    // Who logs in with a session of somebody's making gets another.
    let planted = format!("{name}={}", "a".repeat(64));
    let form = "username=ann&passwd=otter";
    let answer = site.post("/login", &[("cookie", &planted)], form).await;
    assert_ne!(cookie(&answer), planted);
    let answer = site.post("/login", &[("cookie", &first)], form).await;
    let second = cookie(&answer);
    assert_ne!(second, first);
    assert_eq!(site.force(&[("cookie", &first)]).await.status, 401);
    assert_eq!(site.force(&[("cookie", &second)]).await.status, 302);

    let flood: String = (0..500).map(|it| format!("{name}={it:064}; ")).collect();
    for forged in [
        format!("{name}="),
        format!("{name}={}", "0".repeat(64)),
        format!("{name}={}", value.to_uppercase()),
        format!("{name}={value}0"),
        format!("{name}x={value}"),
        format!("{name}=' OR 1=1 --"),
        flood,
    ] {
        let status = site.force(&[("cookie", &forged)]).await.status;
        assert_eq!(status, 401, "{}", &forged[..forged.len().min(80)]);
    }
    // The store holds nothing that opens a session.
    let digest = logins::digest("", second.split_once('=').expect("a pair").1).expect("one");
    let kept = format!("{name}={}", hex(&digest));
    assert_eq!(site.force(&[("cookie", &kept)]).await.status, 401);

    // The same store, under a master whose `ann` has another password.
    let mut plan = Plan::clone(&site.desk.plan);
    plan.authz = authz_of(&RULES.replace("ann:otter", "ann:another"));
    let changed = site.desk.again(plan);
    let router = router(changed as Arc<_>, Access::Full);
    let changed = Site {
        desk: Arc::clone(&site.desk),
        router,
    };
    assert_eq!(changed.force(&[("cookie", &second)]).await.status, 401);
}

#[tokio::test]
async fn the_cookie_is_for_private_lines_only_where_there_is_one() {
    let site = Site::with(|plan| {
        plan.authz = authz_of(RULES);
        plan.master.base_url = Some("https://ci.test/bots/".into());
    })
    .await;
    let form = "username=ann&passwd=otter";
    let set = |answer: &Answer| answer.header("set-cookie").ends_with("; Secure");
    assert!(set(&site.post("/login", &[], form).await));
    let by_hand = Site::new(RULES).await;
    assert!(!set(&by_hand.post("/login", &[], form).await));
    let proxy = [("x-forwarded-proto", "https")];
    let answer = by_hand.post("/login", &proxy, form).await;
    assert!(!set(&answer), "anybody can write that");
    let behind = Site::with(|plan| {
        plan.authz = authz_of(RULES);
        plan.web.server.trusted_proxies = TrustedProxies::of("0.0.0.0/0");
    })
    .await;
    assert!(set(&behind.post("/login", &proxy, form).await));
}

#[tokio::test]
async fn a_form_of_another_site_neither_logs_in_nor_acts() {
    let site = Site::new(RULES).await;
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.test"),
    ];
    let form = "username=ann&passwd=otter";
    let answer = site.post("/login", &foreign, form).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("set-cookie"), "");
    let cookie = site.log_in("ann", "otter").await;
    let with_session = [foreign[0], foreign[1], ("cookie", &cookie)];
    assert_eq!(site.force(&with_session).await.status, 403);
    assert_eq!(site.post("/logout", &with_session, "").await.status, 403);
    assert!(site.asked().is_empty());
    assert_eq!(site.force(&[("cookie", &cookie)]).await.status, 302);
}

#[tokio::test]
async fn a_login_leads_back_to_this_site_only() {
    let site = Site::new(RULES).await;
    for foreign in [
        "//evil.test",
        "https://evil.test",
        "/%5Cevil.test",
        "a%2F..%2F..%2Fb",
        "%0d%0aSet-Cookie:%20x=y",
    ] {
        let form = format!("username=ann&passwd=otter&to={foreign}");
        let answer = site.post("/login", &[], &form).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, "./"),
            "{foreign}"
        );
        let page = site
            .get(&format!("/login?to={foreign}"), &[HTML])
            .await
            .body;
        assert!(page.contains("name=\"to\" value=\"\""), "{page}");
    }
}
