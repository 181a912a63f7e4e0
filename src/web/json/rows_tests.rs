//! The tree against a table of what clients of Buildbot 0.8.5 rely on: keys and their types,
//! written down from its documents and not from our code.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::tests::ask;
use super::tests::document;
use crate::config::MetricsPlan;
use crate::master::Access;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Properties;
use crate::model::Timestamp;
use crate::web::app::router;
use crate::web::sample_desk::SampleDesk;
use crate::web::tests::get;

/// A key and what its value may be: types with `|` between them.
type Row = (&'static str, &'static str);

const PROJECT: &[Row] = &[
    ("title", "str|null"),
    ("titleURL", "str|null"),
    ("buildbotURL", "str|null"),
];
const BUILDER: &[Row] = &[
    ("basedir", "str"),
    ("category", "str|null"),
    ("slaves", "[str]"),
    ("state", "str"),
    ("currentBuilds", "[int]"),
    ("cachedBuilds", "[int]"),
    ("pendingBuilds", "int"),
];
const SLAVE: &[Row] = &[
    ("name", "str"),
    ("connected", "bool"),
    ("host", "str|null"),
    ("admin", "str|null"),
    ("access_uri", "str|null"),
    ("version", "str|null"),
    ("runningBuilds", "[Build]"),
    ("builders", "{[int]}"),
];
const BUILD: &[Row] = &[
    ("builderName", "str"),
    ("number", "int"),
    ("reason", "str"),
    ("results", "int|null"),
    ("text", "[str]"),
    ("times", "[num|null]"),
    ("eta", "num|null"),
    ("slave", "str"),
    ("blame", "[str]"),
    ("properties", "[Triple]"),
    ("sourceStamp", "SourceStamp"),
    ("steps", "[Step]"),
    ("currentStep", "Step|null"),
    ("logs", "[Pair]"),
];
const STEP: &[Row] = &[
    ("name", "str"),
    ("step_number", "int"),
    ("isStarted", "bool"),
    ("isFinished", "bool"),
    ("results", "Result"),
    ("text", "[str]"),
    ("times", "[num|null]"),
    ("eta", "num|null"),
    ("expectations", "[Expectation]"),
    ("statistics", "{any}"),
    ("urls", "{str}"),
    ("logs", "[Pair]"),
];
const SOURCE_STAMP: &[Row] = &[
    ("branch", "str|null"),
    ("revision", "str|null"),
    ("repository", "str"),
    ("project", "str"),
    ("hasPatch", "bool"),
    ("changes", "[Change]"),
];
const CHANGE: &[Row] = &[
    ("number", "int"),
    ("who", "str"),
    ("comments", "str"),
    ("when", "int"),
    ("at", "str"),
    ("branch", "str|null"),
    ("category", "str|null"),
    ("revision", "str|null"),
    ("rev", "str|null"),
    ("revlink", "str|null"),
    ("repository", "str"),
    ("project", "str"),
    ("files", "[File]"),
    ("properties", "[Triple]"),
];
const FILE: &[Row] = &[("name", "str"), ("url", "str|null")];
const REQUEST: &[Row] = &[
    ("builderName", "str"),
    ("source", "SourceStamp"),
    ("submittedAt", "int"),
    ("builds", "[Build]"),
];

/// Keys that are ours: each is explained in the manual.
const OURS: &[(&str, &[&str])] = &[
    ("Builder", &["failing"]),
    (
        "Slave",
        &[
            "paused",
            "missing",
            "shuts_down",
            "on_demand",
            "phase",
            "machine",
            "capabilities",
            "downtime",
        ],
    ),
    ("Build", &["failing_since"]),
    ("Step", &["usage", "ended"]),
    ("BuildRequest", &["brid"]),
];

fn rows(kind: &str) -> Option<&'static [Row]> {
    Some(match kind {
        "Project" => PROJECT,
        "Builder" => BUILDER,
        "Slave" => SLAVE,
        "Build" => BUILD,
        "Step" => STEP,
        "SourceStamp" => SOURCE_STAMP,
        "Change" => CHANGE,
        "File" => FILE,
        "BuildRequest" => REQUEST,
        _ => return None,
    })
}

/// Whether a value is of a type; notes at which place it is not.
fn check(value: &Value, kind: &str, at: &str, wrong: &mut Vec<String>) {
    if let Some(rows) = rows(kind) {
        let Some(all) = value.as_object() else {
            return wrong.push(format!("{at}: no {kind}: {value}"));
        };
        for (key, kinds) in rows {
            match all.get(*key) {
                Some(value) => check(value, kinds, &format!("{at}.{key}"), wrong),
                None => wrong.push(format!("{at}: `{key}` is missing")),
            }
        }
        let ours = OURS.iter().find(|it| it.0 == kind);
        for key in all.keys() {
            let is_ours = ours.is_some_and(|it| it.1.contains(&key.as_str()));
            if !is_ours && !rows.iter().any(|it| it.0 == key) {
                wrong.push(format!("{at}: `{key}` is in no table"));
            }
        }
        return;
    }
    if let Some(inner) = kind.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        match value.as_array() {
            Some(all) => {
                for (number, value) in all.iter().enumerate() {
                    check(value, inner, &format!("{at}[{number}]"), wrong);
                }
            }
            None => wrong.push(format!("{at}: no list: {value}")),
        }
        return;
    }
    if let Some(inner) = kind.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        match value.as_object() {
            Some(all) => {
                for (key, value) in all {
                    check(value, inner, &format!("{at}.{key}"), wrong);
                }
            }
            None => wrong.push(format!("{at}: no map: {value}")),
        }
        return;
    }
    let parts = |of: &[&str], wrong: &mut Vec<String>| match value.as_array() {
        Some(all) if all.len() == of.len() => {
            for (value, kind) in all.iter().zip(of) {
                check(value, kind, at, wrong);
            }
        }
        _ => wrong.push(format!("{at}: no list of {}: {value}", of.len())),
    };
    match kind {
        "Triple" => return parts(&["str", "any", "str"], wrong),
        "Pair" => return parts(&["str", "str|null"], wrong),
        "Result" => return parts(&["int|null", "[str]"], wrong),
        "Expectation" => return parts(&["str", "num", "num|null"], wrong),
        _ => {}
    }
    let fits = kind.split('|').any(|kind| match kind {
        "any" => true,
        "null" => value.is_null(),
        "str" => value.is_string(),
        "bool" => value.is_boolean(),
        "int" => value.is_i64() || value.is_u64(),
        "num" => value.is_number(),
        kind if rows(kind).is_some() && !value.is_null() => {
            check(value, kind, at, wrong);
            true
        }
        _ => false,
    });
    if !fits {
        wrong.push(format!("{at}: `{value}` is no {kind}"));
    }
}

#[tokio::test]
async fn every_document_has_the_keys_and_types_of_buildbot() {
    let mut wrong = Vec::new();
    for (path, kind) in [
        ("/json/project", "Project"),
        ("/json/builders", "{Builder}"),
        ("/json/builders/hello", "Builder"),
        ("/json/builders/hello/slaves", "{Slave}"),
        ("/json/builders/hello/slaves/otter", "Slave"),
        ("/json/builders/hello/pendingBuilds", "[BuildRequest]"),
        ("/json/builders/hello/builds", "{null}"),
        ("/json/builders/hello/builds/_all", "{Build}"),
        ("/json/builders/hello/builds/6", "Build"),
        ("/json/builders/docs/builds/-1", "Build"),
        ("/json/builders/docs/builds/0/source_stamp", "SourceStamp"),
        (
            "/json/builders/docs/builds/0/source_stamp/changes",
            "{Change}",
        ),
        (
            "/json/builders/docs/builds/0/source_stamp/changes/1",
            "Change",
        ),
        ("/json/builders/docs/builds/0/steps", "{Step}"),
        ("/json/builders/docs/builds/0/steps/test", "Step"),
        ("/json/slaves", "{Slave}"),
        ("/json/slaves/newt", "Slave"),
        ("/json/change_sources", "{any}"),
    ] {
        check(&document(path).await, kind, path, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let pending = document("/json/builders/hello/pendingBuilds").await;
    assert_eq!(pending.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_check_of_documents_finds_what_is_wrong() {
    let mut wrong = Vec::new();
    let odd = json!({"title": 1, "titleURL": null, "x": 2});
    check(&odd, "Project", "p", &mut wrong);
    assert_eq!(
        wrong,
        [
            "p.title: `1` is no str|null",
            "p: `buildbotURL` is missing",
            "p: `x` is in no table"
        ]
    );
}

#[tokio::test]
async fn a_trailing_slash_is_the_same_resource_and_segments_are_decoded_once() {
    let plain = document("/json/builders/docs").await;
    assert_eq!(document("/json/builders/docs/").await, plain);
    assert_eq!(
        document("/json/?select=project").await["project"]["title"],
        "Otter & Newt"
    );
    let hostile = crate::web::links::quote(crate::web::sample::HOSTILE);
    assert!(hostile.contains("%2F"));
    assert_eq!(
        document(&format!("/json/builders/{hostile}")).await["basedir"],
        "dir"
    );
    let twice = hostile.replace('%', "%25");
    assert_eq!(ask(&format!("/json/builders/{twice}")).await.status, 404);
}

#[tokio::test]
async fn all_gives_the_newest_builds_and_as_many_as_max_says() {
    let keys = |all: &Value| -> Vec<String> {
        let all = all.as_object().expect("a map");
        all.keys().cloned().collect()
    };
    let at = "/json/builders/hello/builds/_all";
    let all = document(at).await;
    assert_eq!(keys(&all), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(keys(&document(&format!("{at}?max=2")).await), ["5", "6"]);
    assert_eq!(keys(&document(&format!("{at}?max=soon")).await), keys(&all));
    assert!(keys(&document(&format!("{at}?max=0")).await).is_empty());
}

#[tokio::test]
async fn boolean_parameters_are_ones_and_trues_and_the_first_counts() {
    let at = "/json/builders/never%20built";
    let dense = ask(at).await.body;
    for same in [
        "?compact=1",
        "?compact=TRUE",
        "?compact=yes",
        "?compact=1&compact=0",
    ] {
        assert_eq!(ask(&format!("{at}{same}")).await.body, dense, "{same}");
    }
    for indented in ["?compact=0", "?compact=False", "?compact=0&compact=1"] {
        let body = ask(&format!("{at}{indented}")).await.body;
        assert!(body.starts_with("{\n  \"basedir\": "), "{indented}: {body}");
        assert!(!body.lines().any(|it| it.ends_with(' ')), "{indented}");
    }
    let filtered = document(&format!("{at}?filter=true")).await;
    let keys: Vec<_> = filtered.as_object().expect("a map").keys().collect();
    assert_eq!(keys, ["basedir", "slaves", "state"]);
}

#[tokio::test]
async fn every_resource_has_a_help_page() {
    for at in [
        "/json",
        "/json/builders",
        "/json/builders/hello",
        "/json/builders/hello/builds",
        "/json/builders/hello/builds/6",
        "/json/builders/hello/builds/6/steps",
        "/json/builders/hello/slaves",
        "/json/slaves",
        "/json/project",
        "/json/change_sources",
        "/json/metrics",
    ] {
        let answer = ask(&format!("{at}/help")).await;
        assert_eq!(answer.status, 200, "{at}");
        assert!(
            answer.header("content-type").starts_with("text/html"),
            "{at}"
        );
        for word in ["select", "as_text", "filter", "compact", "callback"] {
            assert!(answer.body.contains(word), "{at}: {word}");
        }
    }
    assert_eq!(ask("/json/builders/nobody/help").await.status, 404);
    let builders = ask("/json/builders/help").await.body;
    assert!(builders.contains("href=\"hello/help\""), "{builders}");
    assert!(builders.contains("href=\"../help\""), "{builders}");
    let builds = ask("/json/builders/hello/builds/help").await.body;
    assert!(builds.contains("href=\"6/help\"") && builds.contains("href=\"_all\""));
    assert!(!ask("/json/help").await.body.contains("../help"));
}

#[tokio::test]
async fn a_selection_that_is_nothing_says_so_and_filters_apply_to_all() {
    let answer =
        ask("/json/builders/hello?select=nothing&select=builds/-1/source_stamp&filter=1").await;
    assert_eq!(answer.status, 200);
    let told: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(told["nothing"]["error"], "Not available");
    let stamp = &told["builds"]["-1"]["source_stamp"];
    assert!(stamp["repository"].is_string(), "{told}");
    // `false` is empty.
    assert!(stamp.get("hasPatch").is_none(), "{told}");
    let gone = ask("/json/builders/nobody?select=builds").await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn nothing_in_the_tree_is_changed_and_a_head_is_answered() {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    let desk = SampleDesk::new().await;
    let router = router(desk, Access::ReadOnly);
    for (method, status) in [("HEAD", 200), ("GET", 200), ("PUT", 403), ("DELETE", 403)] {
        let request = Request::builder().method(method).uri("/json/project");
        let request = request.body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), status, "{method}");
    }
}

#[tokio::test]
async fn figures_are_there_where_the_configuration_asks_for_them_and_only_on_a_port_for_all() {
    let desk = SampleDesk::with(|plan| plan.metrics = Some(MetricsPlan::default())).await;
    let full = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    let told: Value = serde_json::from_str(&get(&full, "/json/metrics").await.body).expect("JSON");
    for (group, holds) in [
        ("counters", Value::is_number as fn(&Value) -> bool),
        ("timers", Value::is_number),
        ("alarms", Value::is_array),
    ] {
        let group = told[group].as_object().unwrap_or_else(|| panic!("{told}"));
        assert!(group.values().all(holds), "{group:?}");
    }
    assert!(told["counters"]["active_builds"].is_number(), "{told}");
    let one = get(&full, "/json/metrics/counters/active_builds")
        .await
        .body;
    assert_eq!(one, told["counters"]["active_builds"].to_string());
    let twin = router(desk, Access::ReadOnly);
    assert_eq!(get(&twin, "/json/metrics").await.body, "null");
    assert_eq!(document("/json/metrics").await, Value::Null);
}

#[tokio::test]
async fn logs_have_addresses_only_where_the_site_has_one() {
    for (base, url) in [
        (
            Some("http://ci.test/"),
            Value::from("http://ci.test/builders/docs/builds/0/steps/test/logs/stdio"),
        ),
        (None, Value::Null),
    ] {
        let desk = SampleDesk::with(|plan| plan.master.base_url = base.map(str::to_owned)).await;
        let router = router(desk, Access::Full);
        let step = get(&router, "/json/builders/docs/builds/0/steps/test").await;
        let step: Value = serde_json::from_str(&step.body).expect("JSON");
        assert_eq!(step["logs"][0], json!(["stdio", url]));
    }
}

#[tokio::test]
async fn a_slave_lists_the_builds_that_ended_on_it_the_newest_first() {
    let slaves = document("/json/builders/hello/slaves").await;
    for (slave, numbers) in [("otter", vec![5, 4, 2, 1]), ("newt", vec![3, 0])] {
        assert_eq!(slaves[slave]["builders"]["hello"], json!(numbers));
    }
    // The sixth still runs.
    assert_eq!(slaves["newt"]["runningBuilds"][0]["number"], 6);
    let elsewhere = "/json/builders/never%20built/slaves/nobody";
    assert_eq!(ask(elsewhere).await.status, 404);
}

#[tokio::test]
async fn a_change_source_says_what_it_follows_whatever_it_is_called() {
    let all = document("/json/change_sources").await;
    assert_eq!(all.as_object().map(serde_json::Map::len), Some(5));
    let told = json!({"description": "SVNPoller: https://svn.test/eel"});
    assert_eq!(all["3"], told);
    assert_eq!(document("/json/change_sources/3").await, told);
    assert_eq!(ask("/json/change_sources/5").await.status, 404);
}

#[test]
fn a_change_is_told_with_its_files_sorted_and_linked_where_its_link_names_them() {
    let mut properties = Properties::new();
    properties.set("owner", "ines", "Change");
    let change = Change {
        id: ChangeId(31),
        author: "ines".into(),
        files: vec!["src/b.c".into(), "a.txt".into()],
        comments: "reword".into(),
        revision: Some("812".into()),
        branch: None,
        category: Some("doc".into()),
        revlink: "https://d.test/src/b.c?r=812".into(),
        repository: String::new(),
        project: String::new(),
        when: Timestamp(1_325_499_300_900),
        properties,
    };
    let told = super::change(&change);
    assert_eq!(
        told["files"],
        json!([
            {"name": "a.txt", "url": null},
            {"name": "src/b.c", "url": "https://d.test/src/b.c?r=812"},
        ])
    );
    assert_eq!(told["properties"], json!([["owner", "ines", "Change"]]));
    assert_eq!(
        (&told["when"], &told["rev"]),
        (&1_325_499_300.into(), &"812".into())
    );
    let at = told["at"].as_str().expect("a text");
    assert!(
        at.contains(" Jan 2012 ") && at.len() == "Mon 02 Jan 2012 10:15:00".len(),
        "{at}"
    );
}
