//! Who dials: name, challenge, and proof of a password. No object but the challenge is handed out
//! before.

use crate::wire::pb::broker::Broken;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::broker::Heard;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::password;

/// The longest name that is looked at.
const LONGEST_NAME: usize = 200;

/// What a caller answers to show that it knows its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Challenge;

/// A caller on its way in.
#[derive(Debug)]
pub(super) struct Login {
    challenge: [u8; 16],
    name: Option<String>,
}

/// Who has said its name and a response.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) name: String,
    response: Vec<u8>,
    challenge: [u8; 16],
    /// The object of a slave by which it is told what to do; clients have none.
    pub(super) mind: Option<u64>,
    pub(super) owed: Owed,
}

impl Claim {
    pub(super) fn proves(&self, password: &str) -> bool {
        password::proves(password.as_bytes(), &self.challenge, &self.response)
    }
}

impl Login {
    pub(super) const fn new(challenge: [u8; 16]) -> Self {
        Self {
            challenge,
            name: None,
        }
    }

    /// Goes on with what has come; the claim, when there is one.
    pub(super) fn go_on(
        &mut self,
        broker: &mut Broker<Challenge>,
    ) -> Result<Option<Claim>, Broken> {
        while let Some(heard) = broker.next()? {
            let Heard::Called {
                on,
                method,
                arguments,
                owed,
            } = heard
            else {
                continue;
            };
            let refused = match (on, method.as_str()) {
                (None, "login") => {
                    let name = arguments.get(0, "username").and_then(Value::as_text);
                    match name.filter(|it| it.len() <= LONGEST_NAME) {
                        Some(name) => {
                            self.name = Some(name);
                            let challenger = broker.object(&Challenge);
                            let challenge = Value::Bytes(self.challenge.to_vec());
                            broker.answer(owed, Ok(Value::Tuple(vec![challenge, challenger])));
                            continue;
                        }
                        None => Failure::new(Kind::Unauthorized, "the name is none"),
                    }
                }
                (Some(Challenge), "respond") => {
                    let response = arguments.get(0, "response").cloned();
                    let response = response.and_then(Value::into_bytes).unwrap_or_default();
                    let mind = match arguments.get(1, "mind") {
                        Some(Value::Theirs(number)) => Some(*number),
                        _ => None,
                    };
                    // A challenge is good for one response.
                    broker.withdraw(&Challenge);
                    return Ok(Some(Claim {
                        name: self.name.take().unwrap_or_default(),
                        response,
                        challenge: self.challenge,
                        mind,
                        owed,
                    }));
                }
                (None, "loginAnonymous") => {
                    Failure::new(Kind::Unauthorized, "nobody is let in without a name")
                }
                (_, method) => {
                    let what = format!("No such method: remote_{method}");
                    Failure::new(Kind::NoMethod, what)
                }
            };
            broker.answer(owed, Err(refused));
        }
        Ok(None)
    }
}
