//! What Buildbot's clients said once (`tests/wire`), said again to this side: it answers what a
//! master of Buildbot answered, byte for byte where it says the same.

use std::fs;
use std::path::Path;

use super::Client;
use super::Role;
use super::UserCall;
use super::UsersFound;
use super::scene::Fake;
use super::scene::shown;
use crate::buildbot::login::Login;
use crate::model::BuildKey;
use crate::model::Outcome;
use crate::model::Status;
use crate::model::User;
use crate::model::UserId;
use crate::wire::pb::banana::Decoder;
use crate::wire::pb::banana::Limits;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said;
use crate::wire::pb::said::Said;

/// Who spoke, and the bytes of an element.
fn recorded(name: &str) -> Vec<(char, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let text = fs::read_to_string(dir.join(format!("{name}.hex"))).expect(name);
    let line = |line: &str| {
        let (who, hex) = line.split_once(' ').expect("a line");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        let bytes = (0..hex.len()).step_by(2).map(byte).collect();
        (who.chars().next().expect("who"), bytes)
    };
    text.lines().map(line).collect()
}

/// What the master said, element by element.
fn read(all: &[u8]) -> Vec<Said> {
    let mut decoder = Decoder::new(Limits::KNOWN);
    decoder.push(all);
    decoder.next().expect("dialects");
    decoder.use_words();
    let mut read = Vec::new();
    while let Some(element) = decoder.next().expect("words") {
        read.push(said::read(element).expect("words"));
    }
    read
}

/// Has the client of a session speak to a master with this office; what that one says, and what the
/// recorded one said.
async fn replay(name: &str, password: &str, role: Role, office: &Fake) -> (Vec<u8>, Vec<u8>) {
    let session = recorded(name);
    let theirs: Vec<u8> = session
        .iter()
        .filter(|it| it.0 == 'S')
        .flat_map(|it| it.1.clone())
        .collect();
    let challenge = read(&theirs).into_iter().find_map(|it| match it {
        Said::Answer {
            request: 1,
            value: Ok(Value::Tuple(items)),
        } => items[0].clone().into_bytes(),
        _ => None,
    });
    let challenge = challenge.expect("a challenge");
    let mut login = Login::new(challenge.try_into().expect("16 bytes"));
    let mut broker = Some(Broker::new());
    let mut client: Option<Client<Fake>> = None;
    let mut expected = Decoder::new(Limits::KNOWN);
    for (place, (who, bytes)) in session.iter().enumerate() {
        if *who == 'S' {
            expected.push(bytes);
            let element = expected.next().expect("words").expect("one");
            match place {
                0 => expected.use_words(),
                _ => {
                    if let Some(client) = &mut client {
                        happen(client, office, &said::read(element).expect("words")).await;
                    }
                }
            }
            continue;
        }
        if let Some(client) = &mut client {
            client.broker.hear(bytes);
            while let Some(heard) = client.broker.next().expect("words") {
                client.heard(heard).await;
            }
            continue;
        }
        let mut asked = broker.take().expect("a broker");
        asked.hear(bytes);
        match login.go_on(&mut asked).expect("words") {
            None => broker = Some(asked),
            Some(claim) => {
                assert!(claim.proves(password), "{name}");
                asked.trust();
                client = Some(Client::new(asked, claim.owed, role, office.clone()));
            }
        }
    }
    (client.expect("it logged in").broker.out, theirs)
}

/// Has happen what the recorded master said that happened.
async fn happen(client: &mut Client<Fake>, office: &Fake, said: &Said) {
    let build = || -> BuildKey { super::scene::key("b1", 0) };
    let step = || Status::StepStarted {
        build: build(),
        step: 0,
    };
    let status = match said {
        Said::Call {
            method, arguments, ..
        } => {
            let places = &arguments.as_ref().expect("arguments").places;
            let mut books = office.books();
            match method.as_str() {
                "newbuild" => {
                    let build = books.begin(1, 0);
                    books.begin_step(&build, "worker_preparation");
                    Status::BuildStarted {
                        build,
                        slave: "s".into(),
                    }
                }
                "stepStarted" => {
                    books.begin_step(&build(), &places[2].as_text().expect("a name"));
                    step()
                }
                "stepFinished" => {
                    books.end_step(&build(), Outcome::Success);
                    step()
                }
                _ => return,
            }
        }
        Said::Answer { request: 7, .. } => {
            office
                .books()
                .end(&build(), Outcome::Success, &["build successful"]);
            Status::BuildFinished {
                build: build(),
                slave: "s".into(),
                outcome: Outcome::Success,
            }
        }
        _ => return,
    };
    client.watch.heard(&status);
    client.look_around().await;
}

fn get<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut all = fields.iter().filter(|it| it.0 == name);
    all.next().map(|it| it.1.as_str())
}

#[tokio::test]
async fn sendchange_hears_what_it_heard_from_a_master_of_buildbot() {
    for name in ["pb-sendchange43-full", "pb-sendchange43-min"] {
        let office = Fake::default();
        let (ours, theirs) = replay(name, "chgpw", Role::Changes, &office).await;
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(office.books().changes.len(), 1, "{name}");
    }
    let office = Fake::default();
    replay("pb-sendchange43-full", "chgpw", Role::Changes, &office).await;
    let change = office.books().changes.remove(0);
    for (name, value) in [
        ("who", "Zoë <z@example.org>"),
        ("files", r#"["src/a.c","src/b é.c"]"#),
        ("comments", "Fix the café"),
        ("branch", "none"),
        ("when", "1700000000"),
        ("properties", r#"{"a":"b","n":"1"}"#),
        ("src", "git"),
    ] {
        assert_eq!(get(&change, name), Some(value), "{name}");
    }
    // The codebase is nothing here.
    assert_eq!(get(&change, "codebase"), None);
}

#[tokio::test]
async fn sendchange_of_old_speaks_in_bytes() {
    let office = Fake::default();
    let (ours, theirs) = replay("pb-sendchange085", "chgpw", Role::Changes, &office).await;
    let (ours, theirs) = (read(&ours), read(&theirs));
    // Its own master sent what it could not put into words.
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(ours.last().map(shown), Some("3 = None".to_owned()));
    assert_eq!(ours[..ours.len() - 1], theirs[..theirs.len() - 1]);
    let change = office.books().changes.remove(0);
    assert!(get(&change, "who").is_some(), "{change:?}");
}

#[tokio::test]
async fn try_asks_who_builds_and_is_told_of_its_builds_until_they_are_over() {
    let all = ["b1", "b2"];
    let names = |name: &str| shown(read(&names_of(name)).last().expect("an answer"));
    for (name, job) in [
        ("pb-try43-names", false),
        ("pb-try43-nobuilder", false),
        ("pb-try43-nowait", true),
    ] {
        let office = Fake::offering(&all);
        let offered: Vec<String> = match names(name).strip_prefix("3 = [") {
            Some(names) => names
                .trim_end_matches(']')
                .split(", ")
                .map(str::to_owned)
                .collect(),
            None => vec!["b1".to_owned()],
        };
        office.books().offered = offered.iter().map(|it| it.as_str().into()).collect();
        let (ours, theirs) = replay(name, "bobpw", Role::Tries, &office).await;
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(office.books().jobs.len(), usize::from(job), "{name}");
    }

    let office = Fake::offering(&["b1"]);
    let (ours, theirs) = replay("pb-try43-wait", "bobpw", Role::Tries, &office).await;
    let unnumbered = |said: Vec<Said>| -> Vec<Said> {
        said.into_iter()
            .map(|it| match it {
                Said::Call {
                    receiver,
                    method,
                    wants_answer,
                    arguments,
                    ..
                } => Said::Call {
                    request: 0,
                    receiver,
                    method,
                    wants_answer,
                    arguments,
                },
                other => other,
            })
            .collect()
    };
    let mut ours = unnumbered(read(&ours));
    // Who comes in the middle of a step hears that it runs; the other master kept that to itself.
    let early = ours
        .iter()
        .position(|it| shown(it) == "1.stepStarted(b1, <5>, worker_preparation, None)");
    ours.remove(early.expect("the step that runs"));
    assert_eq!(ours, unnumbered(read(&theirs)));
    let job = office.books().jobs.remove(0);
    assert_eq!(job.branch.as_deref(), Some("main"));
    assert_eq!(job.revision.as_deref(), Some("deadbeef"));
    let (level, diff) = job.patch.expect("a patch");
    assert_eq!(level, 1);
    assert!(diff.ends_with("-old é\n+new\n".as_bytes()));
    assert_eq!((job.who.as_str(), job.comment.as_str()), ("Zoë", "try it"));
    assert_eq!(job.properties.len(), 2);
}

fn names_of(name: &str) -> Vec<u8> {
    let session = recorded(name).into_iter();
    session
        .filter(|it| it.0 == 'S')
        .flat_map(|it| it.1)
        .collect()
}

#[tokio::test]
async fn try_of_old_asks_the_same_questions() {
    let office = Fake::offering(&["b5"]);
    let (ours, _) = replay("pb-try085-names", "bobpw", Role::Tries, &office).await;
    assert_eq!(shown(read(&ours).last().expect("an answer")), "3 = [b5]");
    // Its patch, its properties and its words are bytes.
    let office = Fake::offering(&["b5"]);
    replay_first("pb-try085-wait", &office).await;
    let job = office.books().jobs.remove(0);
    assert_eq!((job.who.as_str(), job.comment.as_str()), ("me", "c"));
    assert_eq!(job.builders, ["b5"]);
}

/// Only until the job is there: its builds have other names.
async fn replay_first(name: &str, office: &Fake) {
    let mut scene = super::scene::Scene::new(Role::Tries, office.clone());
    let mut decoder = Decoder::new(Limits::KNOWN);
    for (place, (_, bytes)) in recorded(name).iter().filter(|it| it.0 == 'C').enumerate() {
        decoder.push(bytes);
        let element = decoder.next().expect("words").expect("one");
        match place {
            0 => decoder.use_words(),
            _ => {
                let said = said::read(element).expect("words");
                if matches!(&said, Said::Call { method, .. } if method == "try") {
                    scene.say(&said).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn user_hears_the_words_that_it_prints() {
    let bob = User {
        id: UserId(2),
        identifier: "Bob <bob@example.org>".into(),
        attributes: [("git", "Bob <bob@example.org>")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into(),
        username: None,
        section: None,
    };
    for (name, missing) in [
        ("pb-user43-update", None),
        ("pb-user43-remove", None),
        ("pb-user43-get", Some("nobody")),
    ] {
        let office = Fake::default();
        let mut bob = bob.clone();
        if missing.is_some() {
            bob.attributes
                .insert("email".into(), "bob@example.org".into());
        }
        office.books().found = UsersFound {
            users: vec![bob],
            missing: missing.into_iter().map(str::to_owned).collect(),
        };
        let (ours, theirs) = replay(name, "useradmpw", Role::Users, &office).await;
        let last = |all: &[u8]| shown(read(all).last().expect("an answer"));
        let sorted = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(last(&ours)), sorted(last(&theirs)), "{name}");
    }
    let office = Fake::default();
    replay("pb-user43-update", "useradmpw", Role::Users, &office).await;
    let call = office.books().users.remove(0);
    let UserCall {
        op,
        username,
        password,
        infos,
        ..
    } = call;
    assert_eq!((op.as_str(), username.as_deref()), ("update", Some("bob")));
    assert_eq!(password.map(|it| it.len()), Some(56));
    assert_eq!(infos[0].len(), 2, "{infos:?}");
    let office = Fake::default();
    office.books().found.users = vec![bob];
    for name in ["pb-user43-add", "pb-user085-add"] {
        let (ours, _) = replay(name, "useradmpw", Role::Users, &office).await;
        assert_eq!(
            shown(read(&ours).last().expect("an answer")),
            "3 = user(s) added:\nidentifier: Bob <bob@example.org>\nuid: 2\n\n",
        );
    }
}
