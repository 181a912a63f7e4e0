//! Builds are forced, stopped and built again, and what waits is cancelled.

use super::*;

#[tokio::test]
async fn actions_are_only_posted() {
    let (_desk, router) = full().await;
    for path in ["force", "cancelbuild", "builds/6/stop"] {
        let answer = get(&router, &format!("/builders/hello/{path}")).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.header("allow"), "POST", "{path}");
        assert!(answer.body.contains("<h1>"), "{path}");
    }
}

#[tokio::test]
async fn a_forced_build_is_asked_for_once() {
    let (desk, router) = full().await;
    let path = format!("/{}/force", links::builder(HOSTILE));
    let form = "username=ann&comments=try+it&branch=a%2Fb&property1name=x&property1value=1";
    let answer = post(&router, &path, &[("sec-fetch-site", "same-origin")], form).await;
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
        format!("../{}", links::quote(HOSTILE))
    );
    let answer = post(&router, "/builders/hello/force", &[JSON], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        r#"{"builder":"hello","buildset":9,"request":99}"#
    );
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0],
        format!(
            "force {HOSTILE} Some(\"a/b\") The 'force build' button was pressed by 'ann': try it"
        )
    );
    let answer = post(&router, "/builders/x/force", &[JSON], "").await;
    assert_eq!(
        (answer.status, told(&answer.body)),
        (404, "there is no builder `x`".to_owned())
    );
    let answer = post(&router, "/builders/hello/force", &[JSON], "branch=a%3Bb").await;
    assert_eq!(answer.status, 400);
    insta::assert_snapshot!(answer.body, @r#"{"error":"branch: `a;b` is not let in: it does not fit `[A-Za-z0-9_.+/~-]*` from start to end, which is `branch` in [:validation:]","fields":{"branch":"`a;b` is not let in: it does not fit `[A-Za-z0-9_.+/~-]*` from start to end, which is `branch` in [:validation:]"}}"#);
    let large = format!("comments={}", "x".repeat(70_000));
    let answer = post(&router, "/builders/hello/force", &[], &large).await;
    assert_eq!(answer.status, 400);
    assert_eq!(desk.asked.lock().expect("not poisoned").len(), 2);
}

#[tokio::test]
async fn builds_are_stopped_and_requests_cancelled() {
    let (desk, router) = full().await;
    let answer = post(
        &router,
        "/builders/hello/builds/-1/stop",
        &[],
        "comments=enough",
    )
    .await;
    assert_eq!((answer.status, answer.header("location")), (302, "../6"));
    let answer = post(&router, "/builders/hello/builds/0/stop", &[JSON], "").await;
    assert_eq!(
        (answer.status, &*answer.body),
        (409, r#"{"error":"build hello/0 is finished"}"#)
    );
    let [own, other] = desk.waiting;
    let form = format!("id={own}");
    let answer = post(&router, "/builders/hello/cancelbuild", &[JSON], &form).await;
    assert_eq!(
        (answer.status, answer.body),
        (200, format!(r#"{{"cancelled":[{own}]}}"#))
    );
    // It waits for another builder.
    let form = format!("id={other}");
    let answer = post(&router, "/builders/hello/cancelbuild", &[JSON], &form).await;
    assert_eq!(answer.status, 409);
    let answer = post(&router, "/builders/docs/cancelbuild", &[JSON], "id=all").await;
    assert_eq!(answer.body, r#"{"cancelled":[]}"#);
    for bad in ["", "id=x"] {
        assert_eq!(
            post(&router, "/builders/docs/cancelbuild", &[], bad)
                .await
                .status,
            400
        );
    }
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert_eq!(
        asked,
        [
            "stop hello/6 The 'stop build' button was pressed by '<unknown>': enough",
            &format!(
                "cancel {own} The 'cancel' button was pressed by '<unknown>': <no reason \
                 specified>"
            )
        ]
    );
}

#[tokio::test]
async fn finished_builds_are_built_again_with_the_properties_of_the_form() {
    let (desk, router) = full().await;
    let form = "username=ann&comments=once+more&priority=5&property1name=colour&property1value=red";
    let answer = post(&router, "/builders/hello/builds/0/rebuild", &[], form).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../../hello")
    );
    let answer = post(&router, "/builders/hello/builds/0/rebuild", &[JSON], "").await;
    let known = r#"{"builder":"hello","rebuilt":0,"buildset":8,"request":9}"#;
    assert_eq!(json_of(&answer.body), json_of(known));
    let answer = post(&router, "/builders/hello/builds/6/rebuild", &[JSON], "").await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    let answer = post(
        &router,
        "/builders/hello/builds/0/rebuild",
        &[],
        "priority=soon",
    )
    .await;
    assert_eq!(answer.status, 400);
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert!(
        asked[0].contains("The 'rebuild' button was pressed by 'ann': once more")
            && asked[0].contains("colour")
            && asked[0].contains("priority: Some(5)"),
        "{asked:?}"
    );
    let page = get(&router, "/builders/hello/builds/0").await.body;
    assert!(page.contains("builds/0/rebuild\""), "a button");
    let page = get(&router, "/builders/hello/builds/6").await.body;
    assert!(!page.contains("/rebuild\""), "not while it runs");
}

#[tokio::test]
async fn what_waits_of_a_change_is_cancelled_for_one_builder_or_for_all() {
    let (desk, router) = full().await;
    let answer = post(&router, "/builders/hello/stopchange", &[], "change=1").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../hello")
    );
    let answer = post(&router, "/builders/_all/stopchangeall", &[], "change=1").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../changes/1")
    );
    for (form, status) in [("", 400), ("change=x", 400), ("change=999", 404)] {
        let answer = post(&router, "/builders/_all/stopchangeall", &[], form).await;
        assert_eq!(answer.status, status, "{form}");
    }
    let asked = desk.asked.lock().expect("not poisoned").clone();
    let why = "The 'stop change' button was pressed by '<unknown>': <no reason specified>";
    assert_eq!(
        asked,
        [
            format!("cancel change 1 of Some(BuilderName(\"hello\")) {why}"),
            format!("cancel change 1 of None {why}"),
        ]
    );
}

#[tokio::test]
async fn a_request_is_cancelled_by_its_number_and_all_or_some_builds_are_stopped() {
    let (desk, router) = full().await;
    let id = desk.waiting[0];
    let path = format!("/requests/{id}/cancel");
    let answer = post(&router, &path, &[JSON], "comments=not+now").await;
    assert_eq!(
        json_of(&answer.body),
        serde_json::json!({"builder": "hello", "cancelled": [id]})
    );
    assert_eq!(
        post(&router, "/requests/999/cancel", &[], "").await.status,
        404
    );
    let answer = post(&router, "/builders/_all/stopall", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../builders")
    );
    let form = "selected=hello&selected=docs&comments=enough";
    post(&router, "/builders/_selected/stopselected", &[], form).await;
    let asked = desk.asked.lock().expect("not poisoned").clone();
    let said = |button: &str, why: &str| {
        format!("The '{button}' button was pressed by '<unknown>': {why}")
    };
    assert_eq!(
        asked,
        [
            format!("cancel {id} {}", said("cancel", "not now")),
            format!(
                "stop builds of None {}",
                said("stop build", "<no reason specified>")
            ),
            format!(
                "stop builds of Some([BuilderName(\"hello\"), BuilderName(\"docs\")]) {}",
                said("stop build", "enough")
            ),
        ]
    );
    let page = get(&router, "/builders").await.body;
    assert!(
        page.contains("stopall\"") && page.contains("form=\"selected\""),
        "{page}"
    );
}

#[tokio::test]
async fn all_builders_or_those_that_are_selected_are_forced_at_once() {
    let (desk, router) = full().await;
    let form = "selected=hello&selected=docs&selected=hello&username=ann&comments=now&branch=main";
    let path = "/builders/_selected/forceselected";
    let answer = post(&router, path, &[JSON], form).await;
    let done = json_of(&answer.body);
    let forced = done["forced"].as_array().expect("a list").iter();
    let forced: Vec<_> = forced.map(|it| it["builder"].as_str()).collect();
    assert_eq!(forced, [Some("hello"), Some("docs")], "{}", answer.body);
    assert_eq!(done["forced"][0]["request"], 99);
    assert_eq!(done["refused"], serde_json::json!([]));
    let asked = std::mem::take(&mut *desk.asked.lock().expect("not poisoned"));
    assert_eq!(
        asked[0],
        "force hello Some(\"main\") The 'force build' button was pressed by 'ann': now"
    );

    let answer = post(&router, "/builders/_all/forceall", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../../builders")
    );
    let asked = std::mem::take(&mut *desk.asked.lock().expect("not poisoned"));
    assert_eq!(asked.len(), desk.plan().builders.len());

    // One that is not there does not keep the others from being built; alone it is an error.
    let form = "selected=hello&selected=strange";
    let answer = post(&router, path, &[JSON], form).await;
    let refused = &json_of(&answer.body)["refused"];
    assert_eq!(refused[0]["builder"], "strange");
    assert_eq!(refused[0]["why"], "there is no builder `strange`");
    let answer = post(&router, path, &[JSON], "selected=strange").await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let answer = post(&router, path, &[JSON], "selected=hello&priority=high").await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}
