//! Sessions between Buildbot's own programs, recorded byte for byte (`tests/wire`): each line is
//! who spoke (`C`, who dialled; `S`, who was dialled) and one element.

use std::fs;
use std::path::Path;

use super::banana;
use super::banana::Decoder;
use super::banana::Element;
use super::banana::Limits;
use super::jelly::Value;
use super::password;
use super::said;
use super::said::Said;

struct Session {
    name: String,
    /// Who spoke, and the element's bytes.
    said: Vec<(char, Vec<u8>)>,
}

fn sessions() -> Vec<Session> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "hex"));
    paths.sort();
    assert!(paths.len() > 20, "{paths:?}");
    let session = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let line = |line: &str| {
            let (who, hex) = line.split_once(' ').unwrap();
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (
                who.chars().next().unwrap(),
                (0..hex.len()).step_by(2).map(byte).collect(),
            )
        };
        Session {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            said: text.lines().map(line).collect(),
        }
    };
    paths.iter().map(session).collect()
}

/// The elements of one side of a session; those before the dialect is chosen are left out.
fn elements(session: &Session) -> Vec<(char, Vec<u8>, Element)> {
    let mut all = Vec::new();
    for who in ['C', 'S'] {
        let mut decoder = Decoder::new(Limits::KNOWN);
        for (place, (_, bytes)) in session.said.iter().filter(|it| it.0 == who).enumerate() {
            decoder.push(bytes);
            let element = decoder.next().unwrap();
            let element = element.unwrap_or_else(|| panic!("{}: {bytes:x?}", session.name));
            assert_eq!(decoder.next(), Ok(None), "{}", session.name);
            if place == 0 {
                decoder.use_words();
            } else {
                all.push((who, bytes.clone(), element));
            }
        }
    }
    all
}

#[test]
fn each_recorded_element_is_put_into_the_same_bytes_again() {
    let mut count = 0;
    for session in sessions() {
        for (_, bytes, element) in elements(&session) {
            let mut again = Vec::new();
            banana::encode(&element, &mut again);
            assert_eq!(again, bytes, "{}: {element:?}", session.name);
            count += 1;
        }
    }
    assert!(count > 3000, "{count}");
}

#[test]
fn each_recorded_message_is_understood_and_said_in_the_same_bytes_again() {
    for session in sessions() {
        for (who, bytes, element) in elements(&session) {
            let message = said::read(element).unwrap();
            match &message {
                Said::Ignored | Said::Unknown(_) => panic!("{}: {message:?}", session.name),
                Said::Call {
                    arguments: Err(it), ..
                }
                | Said::Answer { value: Err(it), .. } => {
                    panic!("{}: {it}", session.name)
                }
                _ => {}
            }
            // Failures have entries that mean nothing, and older peers share values.
            let shares = bytes
                .windows(2)
                .any(|it| it == [4, 0x87] || it == [3, 0x87]);
            let fails = has_failure(&message);
            if shares || fails {
                continue;
            }
            let mut again = Vec::new();
            banana::encode(&said::write(&from_there(message)), &mut again);
            assert_eq!(again, bytes, "{} {who}", session.name);
        }
    }
}

fn has_failure(said: &Said) -> bool {
    let fails = |value: &Value| matches!(value, Value::Failure(_));
    match said {
        Said::Error { .. } => true,
        Said::Call {
            arguments: Ok(it), ..
        } => it.places.iter().any(fails),
        _ => false,
    }
}

/// As it was for who said it: an object of one side is the other's for the other.
fn from_there(said: Said) -> Said {
    match said {
        Said::Call {
            request,
            receiver,
            method,
            wants_answer,
            arguments,
        } => Said::Call {
            request,
            receiver,
            method,
            wants_answer,
            arguments: arguments.map(|mut it| {
                it.places = it.places.into_iter().map(turned).collect();
                it
            }),
        },
        Said::Answer { request, value } => {
            let value = value.map(turned);
            Said::Answer { request, value }
        }
        other => other,
    }
}

fn turned(value: Value) -> Value {
    let all = |items: Vec<Value>| items.into_iter().map(turned).collect();
    match value {
        Value::Theirs(number) => Value::Ours(number),
        Value::Ours(number) => Value::Theirs(number),
        Value::List(items) => Value::List(all(items)),
        Value::Tuple(items) => Value::Tuple(all(items)),
        Value::Dict(pairs) => {
            let both = |(key, value)| (turned(key), turned(value));
            Value::Dict(pairs.into_iter().map(both).collect())
        }
        other => other,
    }
}

#[test]
fn each_recorded_login_proves_its_password() {
    let passwords = [
        ("w1", "pw1"),
        ("old5", "pw5"),
        ("old14", "pw14"),
        ("chg", "chgpw"),
        ("bob", "bobpw"),
        ("useradm", "useradmpw"),
        ("statusClient", "clientpw"),
    ];
    let mut proved = 0;
    for session in sessions() {
        let mut user = None;
        let mut challenge = None;
        let mut response = None;
        for (_, _, element) in elements(&session) {
            match said::read(element).unwrap() {
                Said::Call {
                    method, arguments, ..
                } if method == "login" => {
                    user = arguments.unwrap().places[0].as_text();
                }
                Said::Call {
                    method, arguments, ..
                } if method == "respond" => {
                    response = arguments.unwrap().places[0].clone().into_bytes();
                }
                Said::Answer {
                    request: 1,
                    value: Ok(Value::Tuple(items)),
                } if challenge.is_none() => {
                    challenge = items[0].clone().into_bytes();
                }
                _ => {}
            }
        }
        let (Some(user), Some(challenge), Some(response)) = (user, challenge, response) else {
            continue;
        };
        let known = passwords.iter().find(|it| it.0 == user);
        let right =
            known.is_some_and(|it| password::proves(it.1.as_bytes(), &challenge, &response));
        let wrong = session.name.contains("badpw") || session.name.contains("baduser");
        assert_eq!(right, !wrong, "{}: {user}", session.name);
        proved += usize::from(right);
    }
    assert!(proved > 15, "{proved}");
}
