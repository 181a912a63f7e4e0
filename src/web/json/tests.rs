//! The tree, asked through the router.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::master::Access;
use crate::web::app::router;
use crate::web::sample::HOSTILE;
use crate::web::sample_desk::SampleDesk;
use crate::web::tests::Answer;
use crate::web::tests::get;

pub(super) async fn ask(path: &str) -> Answer {
    let desk = SampleDesk::new().await;
    get(&router(Arc::clone(&desk) as Arc<_>, Access::Full), path).await
}

pub(super) async fn document(path: &str) -> Value {
    let answer = ask(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

#[tokio::test]
async fn the_root_holds_everything() {
    let root = document("/json").await;
    let keys: Vec<_> = root.as_object().expect("a map").keys().collect();
    let expected = ["builders", "change_sources", "metrics", "project", "slaves"];
    assert_eq!(keys, expected);
    assert_eq!(
        root["project"],
        json!({"buildbotURL": "http://ci.test/", "title": "Otter & Newt", "titleURL": "https://ci.test/"})
    );
    assert_eq!(root["builders"][HOSTILE]["state"], "idle");
}

#[tokio::test]
async fn a_builder_says_what_it_is() {
    assert_eq!(
        document("/json/builders/hello/").await,
        json!({
            "basedir": "dir", "cachedBuilds": [0, 1, 2, 3, 4, 5, 6], "category": "quick",
            "currentBuilds": [6], "failing": [],
            "pendingBuilds": 1, "slaves": ["otter", "newt"], "state": "building"
        })
    );
    let answer = ask("/json/builders/never%20built?as_text=1").await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("content-disposition"), "");
    assert_eq!(
        answer.body,
        "{\n  \"basedir\": \"dir\",\n  \"slaves\": [\n    \"otter\",\n    \"newt\"\n  ],\n  \"state\": \"idle\"\n}"
    );
}

#[tokio::test]
async fn a_build_that_is_asked_for_alone_says_what_it_says_among_others() {
    let app = router(SampleDesk::new().await, Access::Full);
    let document = async |which: &str| -> Value {
        let answer = get(&app, &format!("/json/builders/hello/builds/{which}")).await;
        serde_json::from_str(&answer.body).expect("JSON")
    };
    let all = document("_all").await;
    let all = all.as_object().expect("a map");
    assert_eq!(all.len(), 7, "{all:#?}");
    for (number, among) in all {
        let mut alone = document(number).await;
        assert_eq!(alone["eta"].is_null(), among["eta"].is_null(), "{number}");
        // What is left of one that runs is less by now.
        let mut among = among.clone();
        for build in [&mut alone, &mut among] {
            build["eta"].take();
            for step in build["steps"].as_array_mut().expect("steps") {
                step["eta"].take();
            }
            if build["currentStep"].is_object() {
                build["currentStep"]["eta"].take();
            }
        }
        assert_eq!(alone, among, "{number}");
    }
}

#[tokio::test]
async fn builds_are_found_by_number_from_either_end() {
    let builds = document("/json/builders/docs/builds").await;
    assert_eq!(builds, json!({"0": null, "1": null, "2": null, "3": null}));
    let all = document("/json/builders/docs/builds/_all?max=2").await;
    let keys: Vec<_> = all.as_object().expect("a map").keys().collect();
    assert_eq!(keys, ["2", "3"]);
    let newest = document("/json/builders/docs/builds/-1").await;
    assert_eq!(newest["number"], 3);
    assert_eq!(newest["results"], 4);
    assert_eq!(newest["currentStep"], Value::Null);
    assert_eq!(
        newest["logs"][1],
        json!([
            "stdio",
            "http://ci.test/builders/docs/builds/3/steps/compile%20%22%3Call%3E%22%2Fx/logs/stdio"
        ])
    );
    let running = document("/json/builders/hello/builds/6").await;
    assert_eq!(running["currentStep"]["name"], "test");
    assert_eq!(running["steps"][3]["isStarted"], false);
    let eta = running["eta"].as_f64().expect("a number");
    assert!(
        (5.0..20.0).contains(&eta) && running["times"][1].is_null(),
        "{eta}"
    );
    let step = &running["currentStep"];
    assert!(step["eta"].is_number());
    assert_eq!(step["expectations"][0][0], "output");
    assert!(step["expectations"][0][1].as_u64().expect("bytes") > 100);
    assert_eq!(running["steps"][3]["eta"], Value::Null);
    assert_eq!(newest["steps"][0]["expectations"], json!([]));
}

#[tokio::test]
async fn steps_are_found_by_index_and_by_name() {
    for which in ["test", "-1", "2"] {
        let step = document(&format!("/json/builders/docs/builds/0/steps/{which}")).await;
        assert_eq!(
            (&step["name"], &step["step_number"]),
            (&json!("test"), &json!(2)),
            "{which}"
        );
    }
    let changes = document("/json/builders/docs/builds/0/source_stamp/changes").await;
    assert_eq!(
        changes["1"]["files"][0],
        json!({"name": "<b>.rs", "url": null})
    );
}

#[tokio::test]
async fn what_is_not_there_is_a_page() {
    for path in [
        "/json/x",
        "/json/json",
        "/json/json/project",
        "/json/builders/x",
        "/json/builders/hello/builds/99",
        "/json/builders/hello/builds/-99",
        "/json/builders/hello/builds/x",
        "/json/builders/hello/builds/0/steps/9",
        "/json/builders/hello/builds/0/steps/-9",
        "/json/slaves/x",
        "/json/changes",
    ] {
        let answer = ask(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(
            answer.header("content-type").starts_with("text/html"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn selections_lie_under_their_paths() {
    let some =
        document("/json?select=project/&select=slaves/newt&select=slaves/otter&select=x/y").await;
    let keys: Vec<_> = some.as_object().expect("a map").keys().collect();
    assert_eq!(keys, ["project", "slaves", "x"]);
    assert_eq!(
        some["slaves"].as_object().map(serde_json::Map::len),
        Some(2)
    );
    assert_eq!(some["x"]["y"], json!({"error": "Not available"}));
    let builds =
        document("/json/builders/docs/builds?select=-1&select=-2/source_stamp&filter=1").await;
    assert_eq!(builds["-1"]["number"], 3);
    assert_eq!(builds["-2"]["source_stamp"]["project"], "otter");
    let slaves = document("/json/builders/hello?select=&select=slaves").await;
    assert!(slaves["slaves"]["otter"].is_object());
    let names = document("/json/builders/hello?select=slaves&select=").await;
    assert_eq!(names["slaves"], json!(["otter", "newt"]));
}

#[tokio::test]
async fn replies_carry_their_heads() {
    let answer = ask("/json/project?callback=show").await;
    assert!(answer.body.starts_with("show({\"buildbotURL\":") && answer.body.ends_with("});"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("pragma"), "no-cache");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"/json/project.json\""
    );
    assert!(answer.header("expires").ends_with(" GMT"));
    let root = ask("/json").await;
    assert_eq!(
        root.header("content-disposition"),
        "attachment; filename=\"buildbot.json\""
    );
}

#[tokio::test]
async fn help_is_a_page() {
    let answer = ask("/json/builders/help").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(!answer.body.contains("<script>alert"));
}
