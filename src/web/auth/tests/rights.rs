//! Who may do what, and what others are told instead.

use std::sync::Arc;

use crate::clock;
use crate::master::Access;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::web::links;
use crate::web::tests::get;

use super::HTML;
use super::JSON;
use super::RULES;
use super::Site;
use super::basic;
use crate::web::app::router;

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
    let answer = get(&public, "/builders").await;
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
        links::builder(key.builder.as_str()),
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
    assert!(!page.contains("Stop This Build"), "{page}");
    let page = site.get(&path, &[("cookie", &bo)]).await.body;
    assert!(page.contains("Stop This Build"), "{page}");
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
    // The form in its place has the button of Buildbot's.
    let form = site.get("/users", &[HTML]).await.body;
    assert!(form.contains(">Show Users</button>"), "{form}");
    let ann = site.log_in("ann", "otter").await;
    let headers = [("cookie", ann.as_str())];
    assert_eq!(site.get("/users/1", &headers).await.status, 200);
    assert_eq!(site.get("/users/99", &headers).await.status, 404);
    let page = site.get("/changes/1", &[]).await.body;
    assert!(!page.contains("users/1"), "{page}");
}
