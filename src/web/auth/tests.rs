//! Who comes and what they may do, asked through the router.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::clock;
use crate::config::Plan;
use crate::config::TrustedProxies;
use crate::config::tests::sections::authz_of;
use crate::logins;
use crate::master::Access;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::secrets;
use crate::store::AuditQuery;
use crate::store::AuditRecord;
use crate::store::StoreHandle;

use super::super::app::router;
use super::super::client_address::Peer;
use super::super::sample_desk::SampleDesk;
use super::super::tests::Answer;
use super::super::tests::ask;

const JSON: (&str, &str) = ("accept", "application/json");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

/// `ann` is in the team and `bo` is not; both have a password.
const RULES: &str = "users = ann:otter bo:newt\nteam.releng = ann\n\
    force_build = user in team.releng or builder.name == 'left'\n\
    stop_build = authenticated\nmanage_users = user == 'ann'\nshow_audit = user == 'ann'";

struct Site {
    desk: Arc<SampleDesk>,
    router: Router,
}

impl Site {
    async fn new(rules: &str) -> Self {
        let rules = rules.to_owned();
        Self::with(move |plan| plan.authz = authz_of(&rules)).await
    }

    async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let desk = SampleDesk::with(change).await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
        Self { desk, router }
    }

    /// Sends a form, from the second address of a network.
    async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        self.send("POST", "192.0.2.2", (path, headers, form)).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", "192.0.2.2", (path, headers, "")).await
    }

    async fn send(
        &self,
        method: &str,
        from: &str,
        (path, headers, form): (&str, &[(&str, &str)], &str),
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "ci.test")
            .extension(Peer {
                address: Some(from.parse::<IpAddr>().expect("an address")),
                secure: false,
            });
        if method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(form.to_owned())).expect(path);
        ask(&self.router, request).await
    }

    /// Logs in, and gives the cookie as a browser sends it.
    async fn log_in(&self, name: &str, password: &str) -> String {
        let form = format!("username={name}&passwd={password}");
        let answer = self.post("/login", &[], &form).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        cookie(&answer)
    }

    async fn force(&self, headers: &[(&str, &str)]) -> Answer {
        self.post("/builders/hello/force", headers, "").await
    }

    async fn audit(&self) -> Vec<AuditRecord> {
        audit(&self.desk.store).await
    }

    fn asked(&self) -> Vec<String> {
        self.desk.asked.lock().expect("not poisoned").clone()
    }
}

async fn audit(store: &StoreHandle) -> Vec<AuditRecord> {
    let query = AuditQuery {
        limit: 1000,
        ..AuditQuery::default()
    };
    // What was written behind goes down with it.
    store.write(|_| Ok(())).await.expect("written");
    store
        .read(move |verbs| verbs.audit(&query))
        .await
        .expect("read")
}

/// `NAME=VALUE` of the cookie that is set.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

fn basic(login: &str) -> String {
    use std::fmt::Write as _;
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for chunk in login.as_bytes().chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = (bits << 8) | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..=chunk.len() {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            write!(text, "{}", char::from(letter)).expect("a String takes every text");
        }
    }
    assert!(secrets::Login::of_header(&text).is_some());
    text
}

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
async fn a_rule_is_computed_over_who_it_is_and_the_builder() {
    let site = Site::new(RULES).await;
    let bo = site.log_in("bo", "newt").await;
    let headers = [("cookie", bo.as_str()), JSON];
    let refused = site.force(&headers).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.body,
        r#"{"error":"`force_build` in `[:authz:]` does not let `bo` do this"}"#
    );
    let page = site.get("/builders/hello", &headers[..1]).await.body;
    assert!(!page.contains("/force\""), "{page}");
    let left = site.post("/builders/left/force", &headers, "").await;
    assert_ne!(left.status, 403, "{}", left.body);
    let stopped = site
        .post("/builders/hello/builds/6/stop", &headers, "")
        .await;
    assert_eq!(stopped.status, 200, "{}", stopped.body);
}

#[tokio::test]
async fn a_program_logs_in_for_one_request_by_header_or_in_the_form() {
    let site = Site::new(RULES).await;
    let ann = basic("ann:otter");
    let answer = site.force(&[("authorization", &ann)]).await;
    assert_eq!(answer.status, 302, "{}", answer.body);
    assert_eq!(answer.header("set-cookie"), "", "no session is begun");
    let form = "username=ann&passwd=otter&comments=x";
    let answer = site.post("/builders/hello/force", &[], form).await;
    assert_eq!(answer.status, 302, "{}", answer.body);
    assert_eq!(site.asked().len(), 2);
    for wrong in ["ann:newt", "eve:otter", ":", "ann:", ":otter"] {
        let answer = site.force(&[("authorization", &basic(wrong)), JSON]).await;
        assert_eq!(answer.status, 401, "{wrong}: {}", answer.body);
        assert_eq!(
            answer.body,
            r#"{"error":"the name or the password is wrong"}"#
        );
        assert!(answer.header("www-authenticate").starts_with("Basic"));
    }
    let form = "username=ann&passwd=newt";
    let answer = site.post("/builders/hello/force", &[HTML], form).await;
    assert_eq!(answer.status, 403, "a browser is shown the login page");
    assert_eq!(answer.header("www-authenticate"), "");
    assert!(answer.body.contains("name=\"passwd\""), "{}", answer.body);
    assert!(
        answer.body.contains("value=\"builders/hello\""),
        "{}",
        answer.body
    );
    assert_eq!(site.asked().len(), 2);
}

#[tokio::test]
async fn who_may_nothing_is_asked_to_log_in_and_a_program_is_told_what_is_missing() {
    let site = Site::new(RULES).await;
    let answer = site.force(&[JSON]).await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.body,
        r#"{"error":"`force_build` in `[:authz:]` asks for a login"}"#
    );
    let page = site.force(&[HTML]).await;
    assert_eq!(page.status, 403);
    assert!(page.body.contains("name=\"passwd\""), "{}", page.body);
    let fail = site.get("/authfail", &[HTML]).await;
    assert_eq!(fail.status, 200);
    assert!(fail.body.contains("Not allowed"), "{}", fail.body);
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn who_guesses_waits_and_others_do_not() {
    let site = Site::new(RULES).await;
    let wrong = basic("ann:guess");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(site.force(&[("authorization", &wrong)]).await.status);
    }
    assert_eq!(statuses, [vec![401; 10], vec![429; 2]].concat());
    let waits = site
        .post("/login", &[HTML], "username=ann&passwd=otter")
        .await;
    assert_eq!(
        waits.status, 429,
        "not even with the right one: {}",
        waits.body
    );
    assert!(
        waits
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|it| it > 0)
    );
    let right = basic("ann:otter");
    let headers = [("authorization", right.as_str())];
    let from = async |address| {
        let asked = ("/builders/hello/force", &headers[..], "");
        site.send("POST", address, asked).await.status
    };
    assert_eq!(
        from("198.51.100.7").await,
        302,
        "from elsewhere it is let in"
    );
    // A program that was let in lately is not held up by who guesses beside it.
    assert_eq!(from("192.0.2.2").await, 302);
    // Of one network of IPv6 every address is the same.
    for at in 0..10 {
        let asked = ("/", &[("authorization", wrong.as_str())][..], "");
        let status = site
            .send("GET", &format!("2001:db8::{at}"), asked)
            .await
            .status;
        assert_eq!(status, 401, "{at}");
    }
    let asked = ("/", &[("authorization", wrong.as_str())][..], "");
    assert_eq!(site.send("GET", "2001:db8::ffff", asked).await.status, 429);
    // What is written of it fits on a page.
    let logins = site.audit().await;
    let logins = logins.iter().filter(|it| it.entry.action == "login");
    assert!(logins.count() <= 12);
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
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

#[tokio::test]
async fn hostile_logins_let_nobody_in_and_break_nothing() {
    let site = Site::new(RULES).await;
    let huge = format!("username=ann&passwd={}", "x".repeat(60_000));
    let larger = format!("username=ann&passwd={}", "x".repeat(70_000));
    let long_name = format!("username={}&passwd=otter", "a".repeat(5000));
    for (form, expected) in [
        (huge.as_str(), 403),
        (&larger, 400),
        (&long_name, 403),
        ("username=ann&passwd=otter%00", 403),
        ("username=ann%00&passwd=otter", 403),
        ("username=%ff%fe&passwd=%ff", 403),
        ("username=ann", 403),
        ("passwd=otter", 403),
        ("", 403),
    ] {
        let answer = site.post("/login", &[HTML], form).await;
        let shown = &form[..form.len().min(60)];
        assert_eq!(answer.status, expected, "{shown}: {}", answer.body);
        assert_eq!(answer.header("set-cookie"), "", "{shown}");
    }
    let site = Site::new(RULES).await;
    let larger_action = site.post("/builders/hello/force", &[], &larger).await;
    assert_eq!(larger_action.status, 400);
    for said in ["Basic", "Basic ", "Basic !!!!", "Basic YW5u", "Basic /w=="] {
        let answer = site.force(&[("authorization", said)]).await;
        assert_eq!(answer.status, 401, "{said}");
    }
    // Bytes that are no text, and ways that are none.
    let request = Request::post("/builders/hello/force")
        .header("host", "ci.test")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", &b"Basic \xff\xfe"[..])
        .header("cookie", &b"autobot_00000000=\xff"[..])
        .body(Body::empty())
        .expect("a request");
    assert_eq!(ask(&site.router, request).await.status, 401);
    assert!(site.asked().is_empty());
}

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

#[tokio::test]
async fn accounts_are_found_in_the_file_the_sections_and_the_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("staff");
    let sha = "{SHA}zMYenyk23AIi9HVOvrfzLh8+0CI=";
    fs::write(&path, format!("cy:{sha}\ndee:{sha}\n")).expect("written");
    let rules = format!(
        "htpasswd = {}\nuser_sections = yes\ndatabase_users = yes\n\
         users = ann:$5$abcdefgh$3gOiAu3f/iMVpPLdMzXDc2yuV8i0xpYlSi9moNqEGA6\n\
         force_build = authenticated",
        path.display()
    );
    let site = Site::with(|plan| {
        plan.authz = authz_of(&rules);
        let section = crate::config::plan_of(
            "[slave:s]\npassword = x\nfactories = hi\n[hi]\ntype = shell\ncommand = true\n\
             [:authz:]\nuser_sections = yes\n[user:eve]\nemail = eve@example.org\n\
             username = evelyn\npassword = newt\n",
        );
        plan.users = section.users;
    })
    .await;
    let bo = logins::make("from-the-store").expect("a hash");
    let bo = bo.as_str().to_owned();
    let added = site.desk.store.write(move |verbs| {
        let id = verbs.add_user("Bo B")?;
        verbs.set_login(id, "bo", &bo)?;
        let old = verbs.add_user("Fay")?;
        // As Buildbot has kept it.
        let hash = "0123456789abcdefc52fe310e002e64145e62f2df384d3f6b46a0394";
        verbs.set_login(old, "fay", hash)
    });
    assert!(added.await.expect("added"));
    let is_let_in = async |login: &str| {
        let said = basic(login);
        let from = (
            "/builders/hello/force",
            &[("authorization", said.as_str())][..],
            "",
        );
        // From an address of its own, so that wrong ones do not add up.
        let at = format!("198.51.100.{}", login.len());
        site.send("POST", &at, from).await.status == 302
    };
    for good in [
        "ann:otter pw",
        "cy:otter pw",
        "evelyn:newt",
        "bo:from-the-store",
        "fay:otter pw",
    ] {
        assert!(is_let_in(good).await, "{good}");
    }
    for bad in [
        "ann:newt",
        "cy:newt",
        "eve:newt",
        "bo:otter pw",
        "fay:x",
        "gus:otter pw",
    ] {
        assert!(!is_let_in(bad).await, "{bad}");
    }
    // The file is read again when it has changed.
    fs::write(&path, format!("gus:{sha}\n")).expect("written");
    assert!(is_let_in("gus:otter pw").await);
    assert!(!is_let_in("cy:otter pw").await);
    fs::remove_file(&path).expect("removed");
    let said = basic("gus:otter pw");
    let answer = site.force(&[("authorization", &said), JSON]).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        is_let_in("bo:from-the-store").await,
        "others are found all the same"
    );
}

#[tokio::test]
async fn where_pages_are_for_who_has_logged_in_nothing_else_is_shown() {
    let rules = format!("{RULES}\nview = authenticated");
    let site = Site::new(&rules).await;
    for path in [
        "/",
        "/builders",
        "/api/status",
        "/json",
        "/events",
        "/rss",
        "/about",
    ] {
        let answer = site.get(path, &[]).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("hello"), "{path}: {}", answer.body);
    }
    let page = site.get("/builders/hello?numbuilds=3", &[HTML]).await;
    assert_eq!(page.status, 403);
    let to = "name=\"to\" value=\"builders/hello?numbuilds=3\"";
    assert!(page.body.contains(to), "{}", page.body);
    for path in ["/login", "/static/autobot.css", "/authfail", "/robots.txt"] {
        assert_eq!(site.get(path, &[]).await.status, 200, "{path}");
    }
    let cookie = site.log_in("bo", "newt").await;
    let headers = [("cookie", cookie.as_str())];
    assert_eq!(site.get("/builders", &headers).await.status, 200);
    // Who opens a port for reading means everybody.
    let public = router(Arc::clone(&site.desk) as Arc<_>, Access::ReadOnly);
    let answer = super::super::tests::get(&public, "/builders").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_port_for_reading_asks_nobody_and_lets_nobody_in() {
    let site = Site::new(RULES).await;
    let public = Site {
        desk: Arc::clone(&site.desk),
        router: router(Arc::clone(&site.desk) as Arc<_>, Access::ReadOnly),
    };
    let cookie = site.log_in("ann", "otter").await;
    let said = basic("ann:otter");
    for headers in [
        [("cookie", cookie.as_str()), JSON],
        [("authorization", said.as_str()), JSON],
    ] {
        assert_eq!(public.force(&headers).await.status, 403);
        assert_eq!(public.get("/audit", &headers).await.status, 403);
        assert_eq!(public.get("/api/tokens", &headers).await.status, 403);
    }
    let login = public
        .post("/login", &[], "username=ann&passwd=otter")
        .await;
    assert_eq!(login.status, 403);
    let page = public.get("/builders", &[HTML]).await.body;
    assert!(!page.contains("Log in"), "{page}");
}

#[tokio::test]
async fn the_audit_log_is_for_who_may_see_it_and_says_what_became_of_each_action() {
    let site = Site::new(RULES).await;
    let ann = site.log_in("ann", "otter").await;
    let headers = [("cookie", ann.as_str())];
    let nothing = site.post("/builders/none%3Cb%3E/force", &headers, "").await;
    assert_eq!(nothing.status, 404);
    site.force(&headers).await;
    site.force(&[]).await;
    assert_eq!(site.get("/audit", &[]).await.status, 401);
    let bo = site.log_in("bo", "newt").await;
    assert_eq!(site.get("/audit", &[("cookie", &bo)]).await.status, 403);
    let page = site.get("/audit", &headers).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for expected in [
        "force_build",
        "builder hello",
        "failed: there is no builder `none&lt;b&gt;`",
        "192.0.2.2",
    ] {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
    let document = site
        .get("/api/audit?action=force_build&user=ann", &headers)
        .await
        .body;
    let document: Value = serde_json::from_str(&document).expect("a document");
    let results: Vec<_> = document
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["result"].as_str().expect("a text"))
        .collect();
    assert_eq!(results, ["done", "failed: there is no builder `none<b>`"]);
    let owner = router(Arc::clone(&site.desk) as Arc<_>, Access::Owner);
    let answer = super::super::tests::get(&owner, "/api/audit").await;
    assert_eq!(answer.status, 200);
    super::super::tests::post(&owner, "/builders/hello/force", &[], "").await;
    let newest = site.audit().await.swap_remove(0).entry;
    assert_eq!(
        (newest.way.as_str(), newest.result.as_str()),
        ("socket", "done")
    );
}

#[tokio::test]
async fn who_owns_a_build_may_stop_it_where_the_rule_says_so() {
    let rules = "users = ann:otter bo:newt\nstop_build = owner\ncancel_pending_build = owner";
    let site = Site::new(rules).await;
    let running = site
        .desk
        .store
        .read(|verbs| verbs.running_builds())
        .await
        .expect("read");
    let build = running.first().expect("one runs").clone();
    let slave = build.slave.clone();
    let stamped = site.desk.store.write(move |verbs| {
        let mut properties = build.properties.clone();
        properties.set("owners", serde_json::json!(["bo"]), "Build");
        verbs.set_build_properties(build.id, &properties)?;
        Ok(build.key)
    });
    let key = stamped.await.expect("written");
    let path = format!(
        "/{}/builds/{}",
        super::super::links::builder(key.builder.as_str()),
        key.number
    );
    let (ann, bo) = (
        site.log_in("ann", "otter").await,
        site.log_in("bo", "newt").await,
    );
    let stop = format!("{path}/stop");
    let button = format!("action=\"{}/stop\"", path.trim_start_matches('/'));
    let builder = path.split("/builds/").next().expect("a part").to_owned();
    let slave = format!("/buildslaves/{slave}");
    for (page, up) in [("/".to_owned(), "./"), (builder, "../"), (slave, "../")] {
        let button = button.replace("action=\"", &format!("action=\"{up}"));
        let of_ann = site.get(&page, &[("cookie", &ann)]).await.body;
        assert!(!of_ann.contains("name=\"stop_build\""), "{of_ann}");
        let of_bo = site.get(&page, &[("cookie", &bo)]).await.body;
        assert!(of_bo.contains(&button), "{of_bo}");
        let buttons = of_bo.matches("name=\"stop_build\"").count();
        assert_eq!(buttons, 1, "{of_bo}");
    }
    let page = site.get(&path, &[("cookie", &ann)]).await.body;
    assert!(!page.contains("Stop this build"), "{page}");
    let page = site.get(&path, &[("cookie", &bo)]).await.body;
    assert!(page.contains("Stop this build"), "{page}");
    assert_eq!(site.post(&stop, &[("cookie", &ann)], "").await.status, 403);
    assert_eq!(site.post(&stop, &[("cookie", &bo)], "").await.status, 302);
}

#[tokio::test]
async fn who_asked_for_a_build_or_made_its_change_may_cancel_it_where_the_rule_says_so() {
    let rules = "users = ann:otter bo:newt\ncancel_pending_build = owner\nstop_change = owner";
    let site = Site::new(rules).await;
    let asked = site.desk.store.write(|verbs| {
        let mut properties = Properties::new();
        properties.set("owner", serde_json::json!("bo"), "Force Build Form");
        let wish = NewBuildset {
            priority: None,
            reason: "bo wants it".into(),
            stamp: SourceStamp::default(),
            properties,
            builders: vec!["docs".into()],
        };
        let (_, requests) = verbs.add_buildset(&wish, clock::now())?;
        let change = verbs.add_change(&NewChange::by("ann"), clock::now())?;
        let change = change.expect("it is new");
        let wish = NewBuildset {
            stamp: SourceStamp {
                changes: vec![change],
                ..SourceStamp::default()
            },
            properties: Properties::new(),
            ..wish
        };
        let (_, of_change) = verbs.add_buildset(&wish, clock::now())?;
        Ok((requests[0].0, of_change[0].0, change.0))
    });
    let (of_bo, of_ann, change) = asked.await.expect("written");
    for (who, password, own, other) in [
        ("ann", "otter", of_ann, of_bo),
        ("bo", "newt", of_bo, of_ann),
    ] {
        let cookie = site.log_in(who, password).await;
        let page = site
            .get("/builders/docs", &[("cookie", &cookie)])
            .await
            .body;
        assert!(page.contains(&format!("id=\"cancel-{own}\"")), "{page}");
        assert!(!page.contains(&format!("id=\"cancel-{other}\"")), "{page}");
        let path = format!("/changes/{change}");
        let page = site.get(&path, &[("cookie", &cookie)]).await.body;
        assert_eq!(page.contains("id=\"stop-change\""), who == "ann", "{page}");
        assert_eq!(page.contains("Cancel for docs"), who == "ann", "{page}");
    }
}

#[tokio::test]
async fn the_pages_of_users_ask_for_a_login_each_time_at_every_address_of_them() {
    let rules = "users = ann:otter bo:newt\nshow_users_page = user == 'ann'";
    let site = Site::new(rules).await;
    for path in [
        "/users",
        "/users/1",
        "/users/99",
        "/api/users",
        "/api/users/1",
    ] {
        assert_eq!(site.get(path, &[]).await.status, 401, "{path}");
    }
    let form = "username=ann&passwd=otter";
    let table = site.post("/users/table", &[], form).await;
    assert_eq!(table.status, 200, "{}", table.body);
    assert!(table.body.contains("Ines"), "{}", table.body);
    let one = site.post("/users/table/1", &[], form).await;
    assert!(
        one.status == 200 && one.body.contains("<dt>git</dt>"),
        "{}",
        one.body
    );
    assert!(
        one.body.contains("href=\"../../changes/1\""),
        "{}",
        one.body
    );
    let form = "username=bo&passwd=newt";
    for table in ["/users/table", "/users/table/1"] {
        assert_eq!(site.post(table, &[], form).await.status, 403, "{table}");
    }
    assert_eq!(site.post("/users/table", &[HTML], "").await.status, 403);
    let ann = site.log_in("ann", "otter").await;
    let headers = [("cookie", ann.as_str())];
    assert_eq!(site.get("/users/1", &headers).await.status, 200);
    assert_eq!(site.get("/users/99", &headers).await.status, 404);
    let page = site.get("/changes/1", &[]).await.body;
    assert!(!page.contains("users/1"), "{page}");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let site = Site::new(RULES).await;
    let ann = site.log_in("ann", "otter").await;
    let path = site.desk.dir.path().join("state.sqlite");
    let db = rusqlite::Connection::open(path).expect("the store");
    db.execute_batch("DROP TABLE audit").expect("dropped");
    let answer = site.force(&[("cookie", &ann)]).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(site.asked().is_empty());
    // The owner may be about to mend it.
    let owner = router(Arc::clone(&site.desk) as Arc<_>, Access::Owner);
    let answer = super::super::tests::post(&owner, "/builders/hello/force", &[], "").await;
    assert_eq!(answer.status, 302);
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn who_guesses_the_password_of_a_try_waits_too() {
    let site = Site::new("").await;
    let wrong = basic("ann:guess");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let asked = site.get("/api/try/try", &[("authorization", &wrong)]).await;
        statuses.push(asked.status);
    }
    assert_eq!(statuses, [vec![401; 10], vec![429; 2]].concat());
    let audited = site.audit().await;
    assert_eq!(audited.len(), 1, "{audited:?}");
    assert_eq!(audited[0].entry.target, "try try/ann");
}
