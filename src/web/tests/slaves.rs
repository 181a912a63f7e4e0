//! Slaves are paused and shut down, and their pages say how they are.

use super::*;

#[tokio::test]
async fn a_slave_is_paused_and_the_page_says_since_when_by_whom_and_why() {
    let (desk, router) = full().await;
    let answer = post(&router, "/buildslaves/newt/pause", &[], "comments=new+disk").await;
    let to = answer.header("location").to_owned();
    assert_eq!((answer.status, &*to), (302, "../newt"));
    let form = "username=ann&comments=";
    let answer = post(&router, "/buildslaves/newt/pause", &[JSON], form).await;
    assert_eq!(answer.status, 200);
    let paused = r#"{"slave":"newt","pause":"is paused since 1970-01-01T"#;
    assert!(answer.body.starts_with(paused), "{}", answer.body);
    let answer = post(&router, "/buildslaves/%3Ceel%3E/unpause", &[JSON], "").await;
    assert_eq!(answer.body, r#"{"slave":"<eel>","pause":null}"#);
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert_eq!(
        asked,
        [
            r#"pause newt None Some("new disk")"#,
            r#"pause newt Some("ann") None"#,
            "unpause <eel>"
        ]
    );

    for (path, status, error) in [
        ("newt/unpause", 409, "slave newt is not paused"),
        ("x/pause", 404, "there is no slave `x`"),
    ] {
        let answer = post(&router, &format!("/buildslaves/{path}"), &[JSON], "").await;
        assert_eq!(
            (answer.status, told(&answer.body)),
            (status, error.to_owned())
        );
    }

    for path in ["/buildslaves", "/buildslaves/%3Ceel%3E"] {
        let page = get(&router, path).await.body;
        assert!(
            page.contains("by &lt;ann&gt;: a &lt;new&gt; disk"),
            "{page}"
        );
    }
    let page = get(&router, "/buildslaves/%3Ceel%3E").await.body;
    assert!(page.contains("/unpause\"") && !page.contains("/pause\""));
    for told in [
        "linux 6.12 &lt;rc1&gt;",
        "<dt>Machine</dt><dd>8 cores</dd>",
        "<dt>&lt;git&gt;</dt><dd>git version &lt;2&gt;</dd>",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let page = get(&router, "/buildslaves/newt").await.body;
    assert!(page.contains("/pause\"") && !page.contains("/unpause\""));
    let known = get(&router, "/json/slaves/%3Ceel%3E").await.body;
    let known: serde_json::Value = serde_json::from_str(&known).expect("JSON");
    let paused = &known["paused"];
    assert_eq!(
        (&paused["by"], &paused["reason"]),
        (&json!("<ann>"), &json!("a <new> disk"))
    );
    assert!(paused["since"].is_number(), "{paused}");
}

#[tokio::test]
async fn a_slave_that_is_missing_or_has_a_planned_downtime_says_so() {
    let (_, router) = full().await;
    for path in ["/buildslaves", "/buildslaves/newt"] {
        let page = get(&router, path).await.body;
        for told in [
            ", told ",
            "a mail about it could not be sent: &lt;bo@test&gt; is unknown",
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
    }
    let page = get(&router, "/buildslaves/otter").await.body;
    let told = "planned downtime until &lt;noon&gt;; planned: &lt;sun&gt; 02:00-04:00";
    assert!(page.contains(told), "{page}");
    let known = async |name: &str| {
        let known = get(&router, &format!("/json/slaves/{name}")).await.body;
        serde_json::from_str::<serde_json::Value>(&known).expect("JSON")
    };
    let newt = known("newt").await;
    assert!(newt["missing"]["since"].is_number(), "{newt}");
    assert!(newt["missing"]["told"].is_number(), "{newt}");
    let otter = known("otter").await;
    assert!(otter["missing"].is_null() && otter["downtime"].is_number());
    assert_eq!(otter["machine"]["cores"], 8);
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains("has a planned downtime until <noon>"),
        "{status}"
    );
}

#[tokio::test]
async fn a_slave_is_shut_down_once_and_the_page_says_so() {
    let (desk, router) = full().await;
    let answer = post(&router, "/buildslaves/otter/shutdown", &[], "").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "../otter")
    );
    assert_eq!(
        *desk.asked.lock().expect("not poisoned"),
        ["shut down otter"]
    );
    let answer = post(&router, "/buildslaves/newt/shutdown", &[JSON], "").await;
    assert_eq!(
        (answer.status, &*answer.body),
        (409, r#"{"error":"slave newt is not connected"}"#)
    );
    for (slave, has_form, has_note) in [
        ("otter", true, false),
        ("newt", false, false),
        ("%3Ceel%3E", false, true),
    ] {
        let page = get(&router, &format!("/buildslaves/{slave}")).await.body;
        assert_eq!(page.contains("/shutdown\""), has_form, "{slave}");
        assert_eq!(page.contains("It shuts down when"), has_note, "{slave}");
    }
}

#[tokio::test]
async fn the_page_of_a_slave_says_how_it_is_connected_and_why_it_was_cut_off() {
    let (_desk, router) = full().await;
    let page = get(&router, "/buildslaves/%3Ceel%3E").await.body;
    assert!(
        page.contains("because it talked nonsense: a log named `&lt;b&gt;`"),
        "{page}"
    );
    let page = get(&router, "/buildslaves/otter").await.body;
    assert!(!page.contains("nonsense"), "{page}");
    assert!(page.contains("10.0.0.5:4711, TLS"), "{page}");
}
