//! `statuslog` hears what it heard from a master of Buildbot, in the same order.

use super::BuildLeft;
use super::Role;
use super::StepLeft;
use super::listener::BuilderSeen;
use super::scene::AVATAR;
use super::scene::Books;
use super::scene::Fake;
use super::scene::Scene;
use super::scene::key;
use super::scene::left;
use super::scene::shown;
use super::scene::word;
use crate::model::Channel;
use crate::model::LogRecord;
use crate::model::Outcome;
use crate::model::Status;
use crate::wire::pb::jelly::Value;

fn builder(name: &str, state: &'static str) -> BuilderSeen {
    BuilderSeen {
        name: name.into(),
        category: None,
        state,
        running: Vec::new(),
        slaves: vec!["s".into()],
    }
}

/// An office with builders, of the first of which a build has been asked for.
async fn office(names: &[&str]) -> Fake {
    let office = Fake::offering(names);
    let call = super::TryCall::default();
    super::Office::try_job(&office, call).await.expect("a job");
    office.books().seen = names.iter().map(|it| builder(it, "idle")).collect();
    office
}

async fn subscribe(office: &Fake, mode: &str) -> (Scene, Vec<String>) {
    let mut scene = Scene::new(Role::Status, office.clone());
    let places = vec![Value::text(mode), Value::Int(5), Value::Ours(1)];
    let (answer, more) = scene.ask(AVATAR, "subscribe", places).await;
    assert_eq!(answer, Some(Ok(Value::None)));
    let more = more.iter().map(shown).collect();
    (scene, more)
}

async fn told(scene: &mut Scene, status: Status) -> Vec<String> {
    scene.news(status).await;
    scene.said().iter().map(shown).collect()
}

fn started() -> Status {
    Status::BuildStarted {
        build: key("b5", 0),
        slave: "s".into(),
    }
}

fn step() -> Status {
    Status::StepStarted {
        build: key("b5", 0),
        step: 0,
    }
}

fn finished(outcome: Outcome) -> Status {
    Status::BuildFinished {
        build: key("b5", 0),
        slave: "s".into(),
        outcome,
    }
}

fn set_state(books: &mut Books, state: &'static str) {
    books.seen[0].state = state;
}

#[tokio::test]
async fn who_subscribes_to_steps_hears_of_builders_builds_and_steps() {
    let office = office(&["b5"]).await;
    let (mut scene, first) = subscribe(&office, "steps").await;
    assert_eq!(
        first,
        [
            "1.builderAdded(b5, <3>)",
            "1.builderChangedState(b5, idle, None)"
        ]
    );
    let build = {
        let mut books = office.books();
        set_state(&mut books, "building");
        books.begin(1, 0)
    };
    let all = told(&mut scene, started()).await;
    assert_eq!(
        all,
        [
            "1.builderChangedState(b5, building, None)",
            "1.buildStarted(b5, <4>)"
        ]
    );
    office.books().begin_step(&build, "shell");
    assert_eq!(
        told(&mut scene, step()).await,
        ["1.stepStarted(b5, <4>, shell, <5>)"]
    );
    {
        let mut books = office.books();
        books.end_step(&build, Outcome::Success);
        books.begin_step(&build, "git");
        books.end_step(&build, Outcome::Failure);
        books.left = vec![(build.clone(), left(7.0))];
    }
    let all = told(&mut scene, step()).await;
    assert_eq!(
        all,
        [
            "1.stepFinished(b5, <4>, shell, <5>, (0, []))",
            "1.stepStarted(b5, <4>, git, <6>)",
            "1.stepFinished(b5, <4>, git, <6>, (2, []))",
        ]
    );
    scene.client.tell_times().await;
    let eta: Vec<_> = scene.said().iter().map(shown).collect();
    assert_eq!(eta, ["1.buildETAUpdate(b5, <4>, 7.0)"]);
    {
        let mut books = office.books();
        books.end(&build, Outcome::Failure, &["failed", "git"]);
        set_state(&mut books, "idle");
    }
    let all = told(&mut scene, finished(Outcome::Failure)).await;
    assert_eq!(
        all,
        [
            "1.buildFinished(b5, <4>, 2)",
            "1.builderChangedState(b5, idle, None)"
        ]
    );
    {
        let mut books = office.books();
        books.seen = vec![builder("new", "offline")];
    }
    let all = told(&mut scene, Status::Reloaded).await;
    assert_eq!(
        all,
        [
            "1.builderRemoved(b5)",
            "1.builderAdded(new, <7>)",
            "1.builderChangedState(new, offline, None)",
        ]
    );
    // Nobody hears more who does not want to.
    assert_eq!(
        scene.ask(AVATAR, "unsubscribe", vec![]).await.0,
        Some(Ok(Value::None))
    );
    office.books().seen = vec![];
    assert!(told(&mut scene, Status::Reloaded).await.is_empty());
}

/// The build says something in the log of its last step.
fn say(books: &mut Books, text: &str, is_complete: bool) {
    let steps = &mut books.builds.get_mut(&key("b5", 0)).expect("a build").1;
    let step = steps.last_mut().expect("a step");
    step.logs = vec![LogRecord {
        name: "stdio".into(),
        file: "f".into(),
        complete: is_complete,
    }];
    let chunk = (Channel::Stdout, text.as_bytes().to_vec());
    books.logs.entry("f".into()).or_default().push(chunk);
}

#[tokio::test]
async fn who_subscribes_to_everything_hears_what_logs_say() {
    let office = office(&["b5"]).await;
    let (mut scene, _) = subscribe(&office, "full").await;
    let build = office.books().begin(1, 0);
    told(&mut scene, started()).await;
    {
        let mut books = office.books();
        books.begin_step(&build, "shell");
        say(&mut books, "one\n", false);
        say(&mut books, "two\n", false);
    }
    let grew = || Status::LogGrew {
        build: key("b5", 0),
        step: 0,
        log: "stdio".into(),
    };
    let log = "b5, <4>, shell, <5>, stdio, <6>";
    assert_eq!(
        told(&mut scene, grew()).await,
        [
            "1.stepStarted(b5, <4>, shell, <5>)".to_owned(),
            format!("1.logStarted({log})"),
            format!("1.logChunk({log}, 0, one\n)"),
            format!("1.logChunk({log}, 0, two\n)"),
        ]
    );
    {
        let mut books = office.books();
        say(&mut books, "three\n", true);
        books.end_step(&build, Outcome::Success);
        books.end(&build, Outcome::Success, &["build successful"]);
    }
    assert_eq!(
        told(&mut scene, finished(Outcome::Success)).await,
        [
            format!("1.logChunk({log}, 0, three\n)"),
            format!("1.logFinished({log})"),
            "1.stepFinished(b5, <4>, shell, <5>, (0, []))".to_owned(),
            "1.buildFinished(b5, <4>, 0)".to_owned(),
            "1.builderChangedState(b5, idle, None)".to_owned(),
        ]
    );
}

#[tokio::test]
async fn who_listens_to_logs_hears_how_long_a_step_still_takes_and_how_far_it_is() {
    let office = office(&["b5"]).await;
    for (mode, hears) in [("steps", false), ("logs", true), ("full", true)] {
        let (mut scene, _) = subscribe(&office, mode).await;
        let build = {
            let mut books = office.books();
            let build = books.begin(1, 0);
            books.begin_step(&build, "git");
            books.end_step(&build, Outcome::Success);
            books.begin_step(&build, "shell");
            let over = StepLeft::default();
            let runs = StepLeft {
                seconds: Some(3.5),
                metrics: vec![("output".into(), 10, 40)],
            };
            books.left = vec![(
                build.clone(),
                BuildLeft {
                    seconds: None,
                    steps: vec![over, runs],
                },
            )];
            build
        };
        told(&mut scene, started()).await;
        scene.client.tell_times().await;
        let all: Vec<_> = scene.said().iter().map(shown).collect();
        let expected = "1.stepETAUpdate(b5, <4>, shell, <6>, 3.5, [(output, 10, 40)])";
        assert_eq!(all, if hears { vec![expected] } else { vec![] }, "{mode}");
        // The step says the same to who asks.
        assert_eq!(said(&mut scene, 6, "getETA", vec![]).await, "3.5");
        let metrics = said(&mut scene, 6, "getExpectations", vec![]).await;
        assert_eq!(metrics, "[(output, 10, 40)]");
        assert_eq!(said(&mut scene, 5, "getETA", vec![]).await, "None");
        assert_eq!(said(&mut scene, 5, "getExpectations", vec![]).await, "[]");
        // One that nothing is known of is not spoken of, and neither is one that is over.
        office.books().left[0].1.steps[1] = StepLeft::default();
        scene.client.tell_times().await;
        assert!(scene.said().is_empty());
        office.books().builds.remove(&build);
    }
}

#[tokio::test]
async fn a_builder_is_idle_again_after_the_end_of_its_build_however_short_it_was() {
    let office = office(&["b5"]).await;
    let (mut scene, _) = subscribe(&office, "builds").await;
    // It is over before anybody looks; the builder is seen idle before and after it.
    {
        let mut books = office.books();
        let build = books.begin(1, 0);
        books.end(&build, Outcome::Success, &[]);
    }
    let all = told(&mut scene, started()).await;
    assert_eq!(
        all,
        [
            "1.builderChangedState(b5, building, None)",
            "1.buildStarted(b5, <4>)",
            "1.buildFinished(b5, <4>, 0)",
            "1.builderChangedState(b5, idle, None)",
        ]
    );
    assert!(
        told(&mut scene, finished(Outcome::Success))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_builder_that_has_let_go_of_its_build_is_not_idle_before_the_build_is_over() {
    let office = office(&["b5"]).await;
    let (mut scene, _) = subscribe(&office, "builds").await;
    let build = {
        let mut books = office.books();
        set_state(&mut books, "building");
        books.begin(1, 0)
    };
    told(&mut scene, started()).await;
    set_state(&mut office.books(), "idle");
    let looked_at = Status::SlaveChanged { slave: "s".into() };
    assert!(told(&mut scene, looked_at).await.is_empty());
    office.books().end(&build, Outcome::Success, &[]);
    assert_eq!(
        told(&mut scene, finished(Outcome::Success)).await,
        [
            "1.buildFinished(b5, <4>, 0)",
            "1.builderChangedState(b5, idle, None)",
        ]
    );
}

#[tokio::test]
async fn a_builder_that_still_has_the_build_whose_end_is_seen_is_looked_at_again() {
    let office = office(&["b5"]).await;
    let (mut scene, _) = subscribe(&office, "builds").await;
    {
        let mut books = office.books();
        set_state(&mut books, "building");
        let build = books.begin(1, 0);
        books.end(&build, Outcome::Success, &[]);
    }
    let all = told(&mut scene, started()).await;
    assert_eq!(
        all.last().map(String::as_str),
        Some("1.buildFinished(b5, <4>, 0)")
    );
    set_state(&mut office.books(), "idle");
    assert_eq!(
        told(&mut scene, finished(Outcome::Success)).await,
        ["1.builderChangedState(b5, idle, None)"]
    );
}

#[tokio::test]
async fn less_is_told_to_who_wants_less() {
    for (mode, expected) in [
        ("builders", &["1.builderAdded(b5, <3>)"][..]),
        (
            "builds",
            &[
                "1.builderAdded(b5, <3>)",
                "1.builderChangedState(b5, idle, None)",
                "1.builderChangedState(b5, building, None)",
                "1.buildStarted(b5, <4>)",
                "1.buildFinished(b5, <4>, 0)",
                "1.builderChangedState(b5, idle, None)",
            ],
        ),
    ] {
        let office = office(&["b5"]).await;
        let (mut scene, mut all) = subscribe(&office, mode).await;
        let build = {
            let mut books = office.books();
            set_state(&mut books, "building");
            books.begin(1, 0)
        };
        all.extend(told(&mut scene, started()).await);
        office.books().begin_step(&build, "shell");
        all.extend(told(&mut scene, step()).await);
        {
            let mut books = office.books();
            books.end_step(&build, Outcome::Success);
            books.end(&build, Outcome::Success, &[]);
            set_state(&mut books, "idle");
        }
        all.extend(told(&mut scene, finished(Outcome::Success)).await);
        assert_eq!(all, expected, "{mode}");
    }
}

async fn said(scene: &mut Scene, object: u64, method: &str, places: Vec<Value>) -> String {
    match scene.ask(object, method, places).await.0 {
        Some(Ok(value)) => word(&value),
        Some(Err(failure)) => format!("! {}", failure.value),
        None => "nothing".to_owned(),
    }
}

#[tokio::test]
async fn what_there_is_can_be_asked_for() {
    let office = office(&["b5"]).await;
    let build = {
        let mut books = office.books();
        let build = books.begin(1, 0);
        books.begin_step(&build, "shell");
        say(&mut books, "one\n", true);
        books.end_step(&build, Outcome::Success);
        books.end(&build, Outcome::Success, &["build", "successful"]);
        build
    };
    let mut scene = Scene::new(Role::Status, office.clone());
    let text = |it: &str| vec![Value::text(it)];
    assert_eq!(said(&mut scene, AVATAR, "ping", vec![]).await, "pong");
    assert_eq!(
        said(&mut scene, AVATAR, "getBuilderNames", vec![]).await,
        "[b5]"
    );
    let no = said(&mut scene, AVATAR, "getBuilder", text("other")).await;
    assert_eq!(no, "! there is no builder `other`");
    assert_eq!(
        said(&mut scene, AVATAR, "getBuilder", vec![]).await,
        "! a name is missing"
    );
    let no = said(&mut scene, AVATAR, "getSlave", text("other")).await;
    assert_eq!(no, "! there is no slave `other`");
    let b5 = scene.object(AVATAR, "getBuilder", text("b5")).await;
    assert_eq!(
        said(&mut scene, b5, "getState", vec![]).await,
        "(idle, None, [])"
    );
    assert_eq!(said(&mut scene, b5, "getCategory", vec![]).await, "None");
    let last = scene.object(b5, "getLastFinishedBuild", vec![]).await;
    assert_eq!(
        last,
        scene.object(b5, "getBuild", vec![Value::Int(0)]).await
    );
    assert_eq!(
        said(&mut scene, b5, "getBuild", vec![Value::Int(9)]).await,
        "None"
    );
    assert_eq!(
        said(&mut scene, b5, "getBuild", text("x")).await,
        "! a build has a number"
    );
    assert_eq!(
        said(&mut scene, last, "getText", vec![]).await,
        "[build, successful]"
    );
    assert_eq!(
        said(&mut scene, last, "getTimes", vec![]).await,
        "(1.0, 3.0)"
    );
    let slave = scene.object(AVATAR, "getSlave", text("s")).await;
    assert_eq!(said(&mut scene, slave, "isConnected", vec![]).await, "true");
    let sets = said(&mut scene, AVATAR, "getBuildSets", vec![]).await;
    assert!(sets.ends_with(", job-1)]"), "{sets}");
    // The objects of an event: a step and its log.
    let step = scene
        .client
        .broker
        .object(&super::Thing::Step(build.clone(), 0));
    let log = super::Thing::Log(build, 0, "stdio".into());
    let log = scene.client.broker.object(&log);
    let (Value::Ours(step), Value::Ours(log)) = (step, log) else {
        panic!()
    };
    assert_eq!(
        said(&mut scene, step, "getResults", vec![]).await,
        "(0, [])"
    );
    assert_eq!(said(&mut scene, log, "getText", vec![]).await, "one\n");
    assert_eq!(
        said(&mut scene, log, "getChunks", vec![]).await,
        "[(0, one\n)]"
    );
    let big = vec![(Channel::Stdout, vec![b'x'; 1 << 20])];
    office.books().logs.insert("f".into(), big);
    let long = said(&mut scene, log, "getText", vec![]).await;
    assert!(long.starts_with("! the log is longer than"), "{long}");
}

#[tokio::test]
async fn a_mode_that_there_is_not_and_a_listener_that_is_no_object_are_refused() {
    let office = office(&["b5"]).await;
    let mut scene = Scene::new(Role::Status, office.clone());
    let five = Value::Int(5);
    let places = vec![Value::text("all"), five.clone(), Value::Ours(1)];
    let no = said(&mut scene, AVATAR, "subscribe", places).await;
    assert!(no.starts_with("! there are the modes `builders`"), "{no}");
    let no = said(
        &mut scene,
        AVATAR,
        "subscribe",
        vec![Value::text("full"), five],
    )
    .await;
    assert_eq!(no, "! it is missing who is to be told");
}
