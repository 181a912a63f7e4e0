//! What the command line and other programs are told, and events as they happen.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::*;

#[tokio::test]
async fn why_it_waits_is_told_of_requests_builders_builds_and_changes() {
    let (desk, router) = full().await;
    let facts = async |path: &str| {
        let answer = get(&router, &format!("/api/why/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let why = json_of(&answer.body);
        let facts = why["facts"].as_array().expect("facts").iter();
        let facts = facts.map(|it| {
            let text = |key: &str| it[key].as_str().unwrap_or("-").to_owned();
            format!("{}: {}", text("about"), text("what"))
        });
        let about = why["about"].as_str().unwrap_or("-").to_owned();
        (about, facts.collect::<Vec<_>>())
    };
    let id = desk.waiting[0];
    let (about, told) = facts(&format!("requests/{id}")).await;
    assert_eq!(about, format!("request {id}"));
    let waits = "it waits: waiting for slave otter, which is building hello/6 <now>";
    assert!(told.contains(&format!("state: {waits}")), "{told:?}");
    let (about, told) = facts("builders/hello").await;
    assert_eq!(about, "builder hello");
    assert_eq!(
        told[..2],
        [
            "slave: slave otter is building hello/6",
            "slave: slave newt can take its next build"
        ]
    );
    assert!(
        told.iter()
            .any(|it| it.starts_with("running: hello/6 on slave")),
        "{told:?}"
    );
    let waits = format!("waiting: request {id}: {waits}; begins in about ");
    assert!(told.iter().any(|it| it.starts_with(&waits)), "{told:?}");
    let (about, told) = facts("builds/hello/0").await;
    assert_eq!(about, "build hello/0");
    assert!(
        told.iter().any(|it| it.starts_with("finished: ")),
        "{told:?}"
    );
    let (about, told) = facts("changes/1").await;
    assert_eq!(about, "change 1");
    assert!(told[0].starts_with("change: 1 by "), "{told:?}");
    for missing in ["requests/999", "requests/x", "builders/gone", "changes/999"] {
        let answer = get(&router, &format!("/api/why/{missing}")).await;
        assert_eq!(answer.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn the_command_line_gets_its_documents() {
    let (desk, router) = full().await;
    let ask = async |path: &str| -> serde_json::Value {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    };
    let request = ask(&format!("/api/requests/{}", desk.waiting[0])).await;
    assert_eq!(request["state"], "waiting");
    assert!(
        request["why"]
            .as_str()
            .expect("a reason")
            .starts_with("waiting for slave otter")
    );
    let builds = ask("/api/builds?builder=hello&limit=2").await;
    assert_eq!(builds.as_array().map(Vec::len), Some(2));
    assert_eq!(builds[0]["outcome"], serde_json::Value::Null);
    assert_eq!(builds[1]["outcome"], "success");
    // Two builds before took a minute.
    let left = builds[0]["left"].as_str().expect("it runs");
    assert!(
        left.contains(" left (") && left.starts_with("about 1"),
        "{left}"
    );
    assert_eq!(builds[1]["left"], serde_json::Value::Null);
    let expected = request["expected"].as_str().expect("it is known");
    assert!(expected.starts_with("begins in about 1"), "{expected}");
    assert!(expected.contains(", ends in about"), "{expected}");
    let build = ask("/api/builders/hello/builds/-2").await;
    assert_eq!(build["number"], 5);
    assert_eq!(build["steps"][1]["logs"][0], "stdio");
    let status = ask("/api/status").await;
    assert_eq!(status["running"], serde_json::json!(["hello/6"]));
    assert_eq!(ask("/api/builders").await[0]["last"]["number"], 5);
    assert_eq!(
        post(&router, "/api/reload", &[], "").await.body,
        "builders: 4 kept\n"
    );
    assert_eq!(get(&router, "/api/builds?builder=x").await.status, 404);
}

#[tokio::test]
async fn a_build_says_which_configuration_it_ran_under() {
    let (_desk, router) = full().await;
    let build = get(&router, "/api/builders/hello/builds/5").await.body;
    assert!(build.contains(r#""config":2"#), "{build}");
    let page = get(&router, "/builders/hello/builds/5").await.body;
    assert!(
        page.contains(r#"<dt>Configuration</dt><dd class="number">2</dd>"#),
        "{page}"
    );
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains(r#""config":3,"config_problem":null"#),
        "{status}"
    );
}

#[tokio::test]
async fn events_come_over_a_socket_and_stop_ends_them() {
    let (desk, router) = full().await;
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("web");
    let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
    let stop = CancellationToken::new();
    let host = crate::web::serve::Host {
        router,
        desk: Arc::clone(&desk) as Arc<_>,
        house: Arc::default(),
        stop: stop.clone(),
    };
    let served = tokio::spawn(host.serve(crate::web::serve::Plain(listener)));
    let mut stream = tokio::net::UnixStream::connect(&socket)
        .await
        .expect("connected");
    stream
        .write_all(b"GET /events?build=hello/6 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sent");
    let mut heard = String::new();
    let mut buffer = [0; 4096];
    let mut told = false;
    while !heard.contains("build_finished") {
        let count = stream.read(&mut buffer).await.expect("readable");
        assert!(count > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if !told {
            told = true;
            for number in [5, 6] {
                let status = Status::BuildFinished {
                    build: crate::model::BuildKey {
                        builder: "hello".into(),
                        number,
                    },
                    slave: "otter".into(),
                    outcome: crate::model::Outcome::Success,
                };
                desk.events.send(Arc::new(status)).expect("somebody hears");
            }
        }
    }
    assert!(
        heard.contains(
            r#"data: {"builder":"hello","number":6,"slave":"otter","outcome":"success"}"#
        )
    );
    assert!(!heard.contains(r#""number":5"#));
    stop.cancel();
    served.await.expect("it ends");
}
