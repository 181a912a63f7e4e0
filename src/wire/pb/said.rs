//! What the two sides say to each other once they have agreed on a dialect: calls of methods,
//! answers, errors, and that a reference is given up.

use super::banana::Element;
use super::banana::Nonsense;
use super::failure::Failure;
use super::failure::Kind;
use super::jelly;
use super::jelly::Refused;
use super::jelly::Value;

/// The only version that there ever was.
pub(crate) const VERSION: i128 = 6;

/// Whose method is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Receiver {
    /// What there is before anybody has logged in.
    Root,
    /// What was handed out under this number.
    Object(u64),
}

/// What a method is called with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) places: Vec<Value>,
    pub(crate) names: Vec<(String, Value)>,
}

impl Arguments {
    pub(crate) fn places(places: impl Into<Vec<Value>>) -> Self {
        Self {
            places: places.into(),
            names: Vec::new(),
        }
    }

    pub(crate) fn named(name: &str, value: Value) -> Self {
        Self {
            places: Vec::new(),
            names: vec![(name.to_owned(), value)],
        }
    }

    /// The argument at a place, or by its name: callers differ.
    pub(crate) fn get(&self, place: usize, name: &str) -> Option<&Value> {
        let named = || self.names.iter().find(|(it, _)| it == name);
        self.places.get(place).or_else(|| named().map(|it| &it.1))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Version(i128),
    Call {
        request: i128,
        receiver: Receiver,
        method: String,
        wants_answer: bool,
        arguments: Result<Arguments, Refused>,
    },
    Answer {
        request: i128,
        value: Result<Value, Refused>,
    },
    Error {
        request: i128,
        failure: Failure,
    },
    /// The other side gives up one reference to an object of this one.
    Decref(u64),
    /// Of objects that are kept on both sides, which no slave and no client has; and what the other side did not
    /// understand.
    Ignored,
    /// A word that is none of the protocol's.
    Unknown(Vec<u8>),
}

/// What cannot be a message: the line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Garbled {
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("what was said does not begin with a word")]
    Wordless,
    #[error("a `{0}` has another form")]
    Form(&'static str),
    #[error("the protocol has version {0}; this side has {VERSION}")]
    Version(i128),
}

pub(crate) fn read(element: Element) -> Result<Said, Garbled> {
    let Element::List(items) = element else {
        return Err(Garbled::Wordless);
    };
    let mut items = items.into_iter();
    let Some(Element::Bytes(verb)) = items.next() else {
        return Err(Garbled::Wordless);
    };
    let items: Vec<Element> = items.collect();
    match verb.as_slice() {
        b"version" => match items.as_slice() {
            [Element::Int(version)] => Ok(Said::Version(*version)),
            _ => Err(Garbled::Form("version")),
        },
        b"message" => call(items).ok_or(Garbled::Form("message")),
        b"answer" => match <[Element; 2]>::try_from(items) {
            Ok([Element::Int(request), value]) => Ok(Said::Answer {
                request,
                value: jelly::read(value),
            }),
            _ => Err(Garbled::Form("answer")),
        },
        b"error" => match <[Element; 2]>::try_from(items) {
            Ok([Element::Int(request), failure]) => Ok(Said::Error {
                request,
                failure: failure_of(jelly::read(failure)),
            }),
            _ => Err(Garbled::Form("error")),
        },
        b"decref" => match items.as_slice() {
            [Element::Int(number)] => match u64::try_from(*number) {
                Ok(number) => Ok(Said::Decref(number)),
                Err(_) => Err(Garbled::Form("decref")),
            },
            _ => Err(Garbled::Form("decref")),
        },
        b"cachemessage" | b"decache" | b"uncache" | b"didNotUnderstand" => Ok(Said::Ignored),
        _ => Ok(Said::Unknown(verb)),
    }
}

fn call(items: Vec<Element>) -> Option<Said> {
    let items = <[Element; 6]>::try_from(items).ok()?;
    let [request, receiver, method, wants, places, names] = items;
    let (Element::Int(request), Element::Bytes(method), Element::Int(wants)) =
        (request, method, wants)
    else {
        return None;
    };
    let receiver = match receiver {
        Element::Int(number) => Receiver::Object(u64::try_from(number).ok()?),
        Element::Bytes(word) if word == b"root" => Receiver::Root,
        _ => return None,
    };
    Some(Said::Call {
        request,
        receiver,
        method: String::from_utf8(method).ok()?,
        wants_answer: wants != 0,
        arguments: arguments(places, names),
    })
}

fn arguments(places: Element, names: Element) -> Result<Arguments, Refused> {
    let Value::Tuple(places) = jelly::read(places)? else {
        return Err(Refused::Form("tuple".to_owned()));
    };
    let Value::Dict(names) = jelly::read(names)? else {
        return Err(Refused::Form("dictionary".to_owned()));
    };
    let named = |(key, value): (Value, Value)| {
        let key = key
            .as_text()
            .ok_or_else(|| Refused::Form("dictionary".to_owned()))?;
        Ok((key, value))
    };
    Ok(Arguments {
        places,
        names: names.into_iter().map(named).collect::<Result<_, _>>()?,
    })
}

/// Whatever stands where a failure should: the call went wrong.
fn failure_of(read: Result<Value, Refused>) -> Failure {
    match read {
        Ok(Value::Failure(failure)) => *failure,
        Ok(other) => {
            let why = other.as_text();
            let why = why.unwrap_or_else(|| format!("the other side gave {other} for a reason"));
            Failure::new(Kind::Runtime, why)
        }
        Err(refused) => Failure::new(Kind::Runtime, refused.to_string()),
    }
}

/// The expression of what this side says.
pub(crate) fn write(said: &Said) -> Element {
    let list = |items: Vec<Element>| Element::List(items);
    let word = Element::word;
    match said {
        Said::Version(version) => list(vec![word("version"), Element::Int(*version)]),
        Said::Call {
            request,
            receiver,
            method,
            wants_answer,
            arguments,
        } => {
            let nothing = Arguments::default();
            let arguments = arguments.as_ref().unwrap_or(&nothing);
            let named = |(name, value): &(String, Value)| {
                Element::List(vec![jelly::write(&Value::text(name)), jelly::write(value)])
            };
            let mut names = vec![word("dictionary")];
            names.extend(arguments.names.iter().map(named));
            let mut places = vec![word("tuple")];
            places.extend(arguments.places.iter().map(jelly::write));
            list(vec![
                word("message"),
                Element::Int(*request),
                match receiver {
                    Receiver::Root => word("root"),
                    Receiver::Object(number) => Element::Int((*number).into()),
                },
                word(method),
                Element::Int(i128::from(*wants_answer)),
                list(places),
                list(names),
            ])
        }
        Said::Answer { request, value } => {
            let value = match value {
                Ok(value) => jelly::write(value),
                Err(refused) => jelly::write(&Value::Opaque(refused.to_string())),
            };
            list(vec![word("answer"), Element::Int(*request), value])
        }
        Said::Error { request, failure } => {
            let failure = jelly::write(&Value::Failure(Box::new(failure.clone())));
            list(vec![word("error"), Element::Int(*request), failure])
        }
        Said::Decref(number) => list(vec![word("decref"), Element::Int((*number).into())]),
        Said::Ignored => list(vec![word("didNotUnderstand"), word("")]),
        Said::Unknown(verb) => list(vec![word("didNotUnderstand"), Element::Bytes(verb.clone())]),
    }
}
