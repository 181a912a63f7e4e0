//! Arbitrary bytes as what a client says after its login, in each role.

use futures_util::FutureExt as _;

use super::Office as _;
use super::Role;
use super::TryCall;
use super::listener::BuilderSeen;
use super::scene::Fake;
use super::scene::Scene;
use super::scene::key;
use crate::model::Channel;
use crate::model::LogRecord;
use crate::model::Outcome;
use crate::model::Status;

const ROLES: [Role; 5] = [
    Role::Changes,
    Role::Tries,
    Role::Users,
    Role::Debug,
    Role::Status,
];

/// The builders that there are; recorded clients ask for the first.
const BUILDERS: [&str; 2] = ["b1", "b5"];

/// Listens to `bytes` as a client's of each role, and has a build begin and end meanwhile.
///
/// # Panics
/// If something is said to the client that is no word, or its role does not let it do what it did.
pub(in crate::buildbot) fn clients(bytes: &[u8]) {
    for role in ROLES {
        let office = office();
        let mut scene = Scene::new(role, office.clone());
        scene.client.broker.hear(bytes);
        if !hear_all(&mut scene) {
            continue;
        }
        build(&mut scene, &office);
        scene.said();
        check(role, &office);
    }
}

/// Whether the line goes on when everything is heard.
fn hear_all(scene: &mut Scene) -> bool {
    while !scene.client.is_over {
        match scene.client.broker.next() {
            Ok(Some(heard)) => at_once(scene.client.heard(heard)),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// Nothing waits for anything here.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the office answers at once")
}

/// An office with builders; of the first a build is asked for, and nothing else has happened.
fn office() -> Fake {
    let office = Fake::offering(&BUILDERS);
    at_once(office.try_job(TryCall::default())).expect("a job");
    let mut books = office.books();
    books.jobs.clear();
    let seen = |name: &&str| BuilderSeen {
        name: (*name).into(),
        category: None,
        state: "idle",
        running: Vec::new(),
        slaves: vec!["s".into()],
    };
    books.seen = BUILDERS.iter().map(seen).collect();
    let said = vec![(Channel::Stdout, b"one\n".to_vec())];
    books.logs.insert("f".to_owned(), said);
    drop(books);
    office
}

/// A build of the first request runs from its begin to its end.
fn build(scene: &mut Scene, office: &Fake) {
    let build = key(BUILDERS[0], 0);
    let begun = Status::BuildStarted {
        build: build.clone(),
        slave: "s".into(),
    };
    let step = Status::StepStarted {
        build: build.clone(),
        step: 0,
    };
    let ended = Status::BuildFinished {
        build: build.clone(),
        slave: "s".into(),
        outcome: Outcome::Success,
    };
    office.books().begin(1, 0);
    at_once(scene.news(begun));
    {
        let mut books = office.books();
        books.begin_step(&build, "shell");
        let steps = &mut books.builds.get_mut(&build).expect("it runs").1;
        steps[0].logs.push(LogRecord {
            name: "stdio".to_owned(),
            file: "f".to_owned(),
            complete: false,
        });
    }
    at_once(scene.news(step));
    at_once(scene.client.tell_times());
    {
        let mut books = office.books();
        books.end_step(&build, Outcome::Success);
        books.end(&build, Outcome::Success, &["build successful"]);
    }
    at_once(scene.news(ended));
}

/// Looks whether nothing was done that the role does not let a client do.
fn check(role: Role, office: &Fake) {
    let books = office.books();
    let debugs = !books.forced.is_empty() || !books.pinged.is_empty() || books.reloads > 0;
    let sends = !books.changes.is_empty();
    assert!(
        !sends || matches!(role, Role::Changes | Role::Debug),
        "{role:?} sends changes"
    );
    assert!(
        books.jobs.is_empty() || role == Role::Tries,
        "{role:?} tries"
    );
    assert!(
        books.users.is_empty() || role == Role::Users,
        "{role:?} has users"
    );
    assert!(!debugs || role == Role::Debug, "{role:?} debugs");
}
