//! Clients that ask for what they may not have, for too much, or in a way that nobody understands;
//! and the corners of a job.

use super::Role;
use super::scene::AVATAR;
use super::scene::Fake;
use super::scene::Scene;
use super::scene::key;
use super::scene::left;
use super::scene::shown;
use super::scene::word;
use super::watch;
use crate::model::Outcome;
use crate::model::Status;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Said;

fn text(text: &str) -> Value {
    Value::text(text)
}

/// The arguments of `try` as the newest client gives them.
fn job() -> Vec<Value> {
    vec![
        text("main"),
        Value::None,
        Value::Tuple(vec![Value::Int(1), Value::Bytes(b"--- a\n".to_vec())]),
        Value::None,
        text(""),
        Value::List(Vec::new()),
        Value::None,
        Value::None,
        Value::Dict(Vec::new()),
    ]
}

/// What is answered, in a line.
async fn said(scene: &mut Scene, object: u64, method: &str, places: Vec<Value>) -> String {
    match scene.ask(object, method, places).await.0 {
        None => "nothing".to_owned(),
        Some(Ok(value)) => word(&value),
        Some(Err(failure)) => format!("! {}", failure.value),
    }
}

#[tokio::test]
async fn an_account_has_the_methods_of_its_role_and_no_other() {
    let all = [
        (Role::Changes, "addChange"),
        (Role::Tries, "getAvailableBuilderNames"),
        (Role::Users, "commandline"),
        (Role::Debug, "reload"),
    ];
    for (role, _) in all {
        for (owner, method) in all {
            let mut scene = Scene::new(role, Fake::default());
            let answer = said(&mut scene, AVATAR, method, vec![]).await;
            let refused = format!("! this account has no method `{method}`");
            assert_eq!(answer == refused, role != owner, "{role:?}: {answer}");
        }
        let mut scene = Scene::new(role, Fake::default());
        for method in ["__init__", "perspective_addChange", "try\u{0}", "attached"] {
            let answer = said(&mut scene, AVATAR, method, vec![]).await;
            assert!(
                answer.starts_with("! this account has no method"),
                "{answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_of_other_types_is_refused_in_a_sentence() {
    let dict = |key: &str, value: Value| Value::Dict(vec![(text(key), value)]);
    for (change, why) in [
        (text("x"), "! a change is a dictionary"),
        (Value::None, "! a change is a dictionary"),
        (dict("files", text("x")), "! `files` is no list of names"),
        (
            dict("files", Value::List(vec![Value::Theirs(3)])),
            "! `files` is no list of names",
        ),
        (dict("who", Value::List(vec![])), "! `who` is a list"),
        (
            dict("properties", dict("a", Value::Theirs(1))),
            "! `properties` is no dictionary",
        ),
        (
            Value::Dict(vec![(Value::Int(1), text("x"))]),
            "! a key of the change is no text",
        ),
    ] {
        let office = Fake::default();
        let mut scene = Scene::new(Role::Changes, office.clone());
        let answer = said(&mut scene, AVATAR, "addChange", vec![change]).await;
        assert_eq!(answer, why);
        assert!(office.books().changes.is_empty());
    }
    let office = Fake::default();
    let mut scene = Scene::new(Role::Changes, office.clone());
    let answer = said(&mut scene, AVATAR, "addChange", vec![]).await;
    assert_eq!(answer, "! a change is a dictionary");
    // Any of the keys, bytes or text; what nobody knows does no harm.
    let change = Value::Dict(vec![
        (
            Value::Bytes(b"author".to_vec()),
            Value::Bytes(b"ann \xff".to_vec()),
        ),
        (text("revision"), Value::Int(7)),
        (text("files"), Value::None),
        (text("links"), Value::Theirs(9)),
    ]);
    assert_eq!(
        said(&mut scene, AVATAR, "addChange", vec![change]).await,
        "None"
    );
    let fields = office.books().changes.remove(0);
    let expected = [("author", "ann \u{fffd}"), ("revision", "7")];
    assert_eq!(fields, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[tokio::test]
async fn try_is_read_by_the_number_of_its_arguments() {
    let names = |all: &[&str]| Value::List(all.iter().map(|it| text(it)).collect());
    let properties = || Value::Dict(vec![(text("p"), text("q"))]);
    let head = || {
        vec![
            text("b"),
            text("r"),
            Value::Tuple(vec![Value::Int(0), text("diff")]),
        ]
    };
    let where_ = || vec![text("repo"), text("proj")];
    let cases = [
        vec![names(&["one"]), properties()],
        [where_(), vec![names(&["one"]), properties()]].concat(),
        [where_(), vec![names(&["one"]), text("ann"), properties()]].concat(),
        [
            where_(),
            vec![names(&["one"]), text("ann"), text("why"), properties()],
        ]
        .concat(),
        [where_(), vec![names(&["one"])]].concat(),
    ];
    let expected = [
        ("", "", "", 1),
        ("repo", "", "", 1),
        ("repo", "ann", "", 1),
        ("repo", "ann", "why", 1),
        ("repo", "", "", 0),
    ];
    for (tail, (repository, who, comment, properties)) in cases.into_iter().zip(expected) {
        let office = Fake::offering(&["one", "two"]);
        let mut scene = Scene::new(Role::Tries, office.clone());
        let places = [head(), tail].concat();
        let count = places.len();
        scene.object(AVATAR, "try", places).await;
        let job = office.books().jobs.remove(0);
        assert_eq!(job.repository, repository, "{count}");
        assert_eq!(
            (job.who.as_str(), job.comment.as_str()),
            (who, comment),
            "{count}"
        );
        assert_eq!(job.properties.len(), properties, "{count}");
        assert_eq!(job.builders, ["one"]);
        assert_eq!(job.patch, Some((0, b"diff".to_vec())));
    }
}

#[tokio::test]
async fn a_job_that_is_none_is_answered_with_an_error_and_the_line_ends() {
    let wrong = |place: usize, value: Value| {
        let mut all = job();
        all[place] = value;
        all
    };
    for places in [
        vec![],
        vec![Value::Theirs(1)],
        wrong(0, Value::Theirs(1)),
        wrong(1, Value::List(vec![])),
        wrong(2, text("diff")),
        wrong(2, Value::Tuple(vec![Value::Int(-1), text("diff")])),
        wrong(2, Value::Tuple(vec![Value::Int(0), Value::Int(0)])),
        wrong(5, text("one")),
        wrong(5, Value::List(vec![Value::Int(1)])),
        wrong(8, Value::None),
        wrong(8, Value::Dict(vec![(text("p"), Value::Theirs(1))])),
    ] {
        let office = Fake::offering(&["one"]);
        let mut scene = Scene::new(Role::Tries, office.clone());
        let shown = format!("{places:?}");
        let answer = said(&mut scene, AVATAR, "try", places).await;
        assert!(answer.starts_with("! "), "{shown}: {answer}");
        assert!(scene.client.is_over, "{shown}");
        assert!(office.books().jobs.is_empty(), "{shown}");
    }
    let office = Fake::offering(&["one"]);
    office.books().trouble = Some("3 requests wait already".into());
    let mut scene = Scene::new(Role::Tries, office);
    let answer = said(&mut scene, AVATAR, "try", job()).await;
    assert_eq!(answer, "! 3 requests wait already");
    assert!(scene.client.is_over);
}

/// A job that waits for its builds: buildset, and the objects of its requests.
async fn tried(office: &Fake) -> (Scene, Vec<u64>) {
    let mut scene = Scene::new(Role::Tries, office.clone());
    let buildset = scene.object(AVATAR, "try", job()).await;
    let (answer, _) = scene.ask(buildset, "getBuildRequests", vec![]).await;
    let Some(Ok(Value::List(all))) = answer else {
        panic!("{answer:?}")
    };
    let object = |it: &Value| match it.items() {
        Some([_, Value::Theirs(number)]) => *number,
        other => panic!("{other:?}"),
    };
    let requests = all.iter().map(object).collect();
    (scene, requests)
}

/// What the client is told; answers and errors too.
fn told(all: &[Said]) -> Vec<String> {
    all.iter().map(shown).collect()
}

fn finished(builder: &str, number: i64, outcome: Outcome) -> Status {
    Status::BuildFinished {
        build: key(builder, number),
        slave: "s".into(),
        outcome,
    }
}

fn started(builder: &str, number: i64) -> Status {
    Status::BuildStarted {
        build: key(builder, number),
        slave: "s".into(),
    }
}

#[tokio::test]
async fn who_waits_for_a_build_that_is_tried_again_waits_for_the_next_one() {
    let office = Fake::offering(&["one"]);
    let (mut scene, requests) = tried(&office).await;
    let (_, more) = scene
        .ask(requests[0], "subscribe", vec![Value::Ours(1)])
        .await;
    assert!(more.is_empty(), "{more:?}");
    let first = office.books().begin(1, 0);
    scene.news(started("one", 0)).await;
    assert_eq!(told(&scene.said()), ["1.newbuild(<5>, one)"]);
    assert_eq!(scene.ask(5, "waitUntilFinished", vec![]).await.0, None);
    office.books().end(&first, Outcome::Retry, &["retry"]);
    scene.news(finished("one", 0, Outcome::Retry)).await;
    assert!(scene.said().is_empty(), "it goes on");

    let second = office.books().begin(1, 1);
    scene.news(started("one", 1)).await;
    assert_eq!(told(&scene.said()), ["1.newbuild(<6>, one)"]);
    assert_eq!(
        said(&mut scene, 5, "unsubscribe", vec![Value::Ours(1)]).await,
        "None"
    );
    assert_eq!(scene.ask(6, "waitUntilFinished", vec![]).await.0, None);
    office
        .books()
        .end(&second, Outcome::Success, &["build", "successful"]);
    scene.news(finished("one", 1, Outcome::Success)).await;
    // Nobody is left waiting.
    assert_eq!(told(&scene.said()), ["6 = <5>", "8 = <6>"]);
    assert_eq!(said(&mut scene, 6, "getResults", vec![]).await, "0");
    assert_eq!(
        said(&mut scene, 6, "getText", vec![]).await,
        "[build, successful]"
    );
    // What is over already is answered at once.
    assert_eq!(
        said(&mut scene, 6, "waitUntilFinished", vec![]).await,
        "<6>"
    );
}

#[tokio::test]
async fn a_request_that_is_cancelled_has_a_build_that_says_so() {
    let office = Fake::offering(&["one", "two"]);
    let (mut scene, requests) = tried(&office).await;
    for request in &requests {
        scene.ask(*request, "subscribe", vec![Value::Ours(1)]).await;
    }
    office.books().cancel(2);
    scene.news(request_finished(2, "two")).await;
    assert_eq!(told(&scene.said()), ["1.newbuild(<6>, two)"]);
    assert_eq!(
        said(
            &mut scene,
            6,
            "subscribe",
            vec![Value::Ours(1), Value::Int(20)]
        )
        .await,
        "None"
    );
    assert_eq!(
        said(&mut scene, 6, "waitUntilFinished", vec![]).await,
        "<6>"
    );
    assert_eq!(said(&mut scene, 6, "getResults", vec![]).await, "4");
    assert_eq!(said(&mut scene, 6, "getText", vec![]).await, "[cancelled]");
}

fn request_finished(request: i64, builder: &str) -> Status {
    Status::RequestFinished {
        request: crate::model::RequestId(request),
        builder: builder.into(),
    }
}

#[tokio::test]
async fn who_waits_for_a_whole_job_hears_when_its_last_request_is_over() {
    let office = Fake::offering(&["one", "two"]);
    let mut scene = Scene::new(Role::Tries, office.clone());
    let buildset = scene.object(AVATAR, "try", job()).await;
    let wait = "waitUntilFinished";
    assert_eq!(scene.ask(buildset, wait, vec![]).await.0, None);
    let build = office.books().begin(1, 0);
    office.books().end(&build, Outcome::Success, &[]);
    scene.news(request_finished(1, "one")).await;
    assert!(scene.said().is_empty(), "the other one still waits");
    assert_eq!(scene.ask(buildset, wait, vec![]).await.0, None);
    office.books().cancel(2);
    scene.news(request_finished(2, "two")).await;
    let ends = [format!("4 = <{buildset}>"), format!("5 = <{buildset}>")];
    assert_eq!(told(&scene.said()), ends);
    // What is over already is answered at once.
    let again = said(&mut scene, buildset, wait, vec![]).await;
    assert_eq!(again, format!("<{buildset}>"));
}

#[tokio::test]
async fn a_program_of_python_2_is_told_in_bytes_what_went_wrong() {
    let office = Fake::default();
    office.books().trouble = Some("there is no such user".into());
    let text = |it: &str| Value::text(it);
    let bytes = |it: &str| Value::Bytes(it.into());
    let get = |word: &dyn Fn(&str) -> Value| {
        let ids = Value::List(vec![word("x")]);
        let nothing = Value::List(vec![]);
        vec![word("get"), Value::None, Value::None, ids, nothing]
    };
    let change = |word: &dyn Fn(&str) -> Value| vec![Value::Dict(vec![(word("who"), word("x"))])];
    for (role, method, new, old) in [
        (Role::Users, "commandline", get(&text), get(&bytes)),
        (Role::Changes, "addChange", change(&text), change(&bytes)),
        // Its mode is the first that it says.
        (
            Role::Status,
            "subscribe",
            vec![text("all")],
            vec![bytes("all")],
        ),
    ] {
        for (places, in_bytes) in [(new, false), (old, true)] {
            let mut scene = Scene::new(role, office.clone());
            let failure = match scene.ask(AVATAR, method, places).await.0 {
                Some(Err(failure)) => failure,
                other => panic!("{other:?}"),
            };
            assert_eq!(failure.in_bytes, in_bytes, "{method}: {failure:?}");
        }
    }
    // Later workers say in bytes what a version control printed, and what a patch is.
    let mut scene = Scene::new(Role::Tries, office);
    let mut places = job();
    places[1] = bytes("812");
    let answer = scene.ask(AVATAR, "try", places).await.0;
    assert!(matches!(answer, Some(Err(it)) if !it.in_bytes));
}

#[tokio::test]
async fn news_that_were_missed_are_looked_up() {
    let office = Fake::offering(&["one"]);
    let (mut scene, requests) = tried(&office).await;
    scene
        .ask(requests[0], "subscribe", vec![Value::Ours(1)])
        .await;
    let build = office.books().begin(1, 0);
    scene.client.watch.missed();
    scene.client.look_around().await;
    assert_eq!(told(&scene.said()), ["1.newbuild(<5>, one)"]);
    scene.ask(5, "subscribe", vec![Value::Ours(1)]).await;
    {
        let mut books = office.books();
        books.begin_step(&build, "compile");
        books.end_step(&build, Outcome::Failure);
        books.begin_step(&build, "test");
        books.left = vec![(build.clone(), left(12.5))];
    }
    scene.client.watch.missed();
    scene.client.look_around().await;
    assert_eq!(
        told(&scene.said()),
        [
            "1.stepStarted(one, <5>, compile, None)",
            "1.stepFinished(one, <5>, compile, None, 2)",
            "1.stepStarted(one, <5>, test, None)",
        ]
    );
    assert_eq!(said(&mut scene, 5, "getCurrentStep", vec![]).await, "test");
    assert_eq!(said(&mut scene, 5, "getETA", vec![]).await, "12.5");
    scene.client.tell_times().await;
    assert_eq!(told(&scene.said()), ["1.buildETAUpdate(one, <5>, 12.5)"]);
}

#[tokio::test]
async fn objects_that_were_never_given_are_nobodys() {
    let office = Fake::offering(&["one"]);
    let (mut scene, requests) = tried(&office).await;
    for number in [0, 1, 77, u64::MAX] {
        assert_eq!(
            said(&mut scene, number, "getResults", vec![]).await,
            "! Invalid Object ID"
        );
    }
    let no = said(&mut scene, requests[0], "getText", vec![]).await;
    assert_eq!(no, "! No such method: remote_getText");
    for observer in [Value::None, text("me"), Value::Int(1)] {
        let answer = said(&mut scene, requests[0], "subscribe", vec![observer]).await;
        assert!(
            answer.starts_with("! who is to be told is an object"),
            "{answer}"
        );
    }
    let answer = said(&mut scene, requests[0], "subscribe", vec![]).await;
    assert_eq!(answer, "! it is missing who is to be told");
}

#[tokio::test]
async fn thousands_of_subscriptions_are_refused_when_they_are_too_many() {
    let office = Fake::offering(&["one"]);
    let (mut scene, requests) = tried(&office).await;
    let build = office.books().begin(1, 0);
    scene
        .ask(requests[0], "subscribe", vec![Value::Ours(1)])
        .await;
    let mut refused = 0;
    for _ in 0..watch::MOST + 10 {
        match scene.ask(5, "waitUntilFinished", vec![]).await.0 {
            None => {}
            Some(Err(failure)) => {
                assert!(failure.value.contains("at most"), "{}", failure.value);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    // One seat is that of the request.
    assert_eq!(refused, 11);
    office.books().end(&build, Outcome::Success, &[]);
    scene.news(finished("one", 0, Outcome::Success)).await;
    assert_eq!(scene.said().len(), watch::MOST - 1, "and all are answered");
    assert_eq!(
        said(&mut scene, 5, "waitUntilFinished", vec![]).await,
        "<5>"
    );
}

#[tokio::test]
async fn the_debug_client_asks_as_its_window_does() {
    let office = Fake::default();
    let mut scene = Scene::new(Role::Debug, office.clone());
    assert_eq!(
        said(&mut scene, AVATAR, "print", vec![text("hello")]).await,
        "None"
    );
    assert_eq!(said(&mut scene, AVATAR, "reload", vec![]).await, "None");
    assert_eq!(said(&mut scene, AVATAR, "pokeIRC", vec![]).await, "None");
    assert_eq!(
        said(&mut scene, AVATAR, "pingBuilder", vec![text("one")]).await,
        "None"
    );
    let places = vec![
        text("one"),
        text("because"),
        Value::None,
        Value::Int(7),
        Value::Dict(vec![(text("a"), Value::Int(1))]),
    ];
    assert_eq!(
        said(&mut scene, AVATAR, "requestBuild", places).await,
        "None"
    );
    {
        let books = office.books();
        assert_eq!(
            (books.reloads, books.pinged.as_slice()),
            (1, &["one".to_owned()][..])
        );
        assert_eq!(books.notes, ["hello"]);
        let forced = &books.forced[0];
        assert_eq!(
            (forced.builder.as_str(), forced.reason.as_str()),
            ("one", "because")
        );
        assert_eq!(
            (forced.branch.clone(), forced.revision.as_deref()),
            (None, Some("7"))
        );
        assert_eq!(forced.properties.len(), 1);
    }
    office.books().trouble = Some("the file has a mistake".into());
    for (method, places) in [
        ("reload", vec![]),
        ("pingBuilder", vec![text("x")]),
        ("requestBuild", vec![text("x")]),
    ] {
        let answer = said(&mut scene, AVATAR, method, places).await;
        assert_eq!(answer, "! the file has a mistake", "{method}");
    }
    let answer = said(&mut scene, AVATAR, "pingBuilder", vec![Value::Theirs(1)]).await;
    assert!(answer.starts_with("! `buildername` is"), "{answer}");
}
