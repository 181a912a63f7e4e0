//! One line's books: which objects each side has handed out, and which calls wait for an answer.
//! Bytes in, events out; what is to be sent is collected in [`Broker::out`].
//!
//! Objects are resolved when a message is read, before the next one is: a client gives up a
//! reference directly behind the call that uses it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::banana;
use super::banana::Decoder;
use super::banana::Element;
use super::banana::Limits;
use super::failure::Failure;
use super::failure::Kind;
use super::jelly::Value;
use super::said;
use super::said::Arguments;
use super::said::Garbled;
use super::said::Receiver;
use super::said::Said;
use super::said::VERSION;

/// The dialect that both sides choose; `none` is offered because clients expect a list.
const DIALECT: &[u8] = b"pb";

/// Distinct objects that one side may hold of the other. A slave has one for each of its builders.
const MOST_OBJECTS: usize = 1 << 14;

/// An answer that is owed.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the other side waits"]
pub(crate) struct Owed(Option<i128>);

impl Owed {
    /// To the request of this number.
    pub(crate) const fn to(request: i64) -> Self {
        Self(Some(request as i128))
    }

    /// The number of the request, if it wants an answer.
    pub(crate) fn request(self) -> Option<i64> {
        self.0.and_then(|it| i64::try_from(it).ok())
    }
}

/// A call of this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(i128);

impl CallId {
    pub(crate) const fn of(request: i64) -> Self {
        Self(request as i128)
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Heard<T> {
    /// `None` is what there is before anybody has logged in.
    Called {
        on: Option<T>,
        method: String,
        arguments: Arguments,
        owed: Owed,
    },
    Answered {
        call: CallId,
        result: Result<Value, Failure>,
    },
    /// The other side holds this object no longer.
    Released(T),
}

/// Why the line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Garbled(#[from] Garbled),
    #[error("the other side speaks none of the dialects that were offered")]
    Dialect,
    #[error("the other side handed out more than {MOST_OBJECTS} objects")]
    Objects,
}

impl From<banana::Nonsense> for Broken {
    fn from(nonsense: banana::Nonsense) -> Self {
        Self::Garbled(nonsense.into())
    }
}

/// The books of the side that was dialled. `T` is what an object of this side stands for.
#[derive(Debug)]
pub(crate) struct Broker<T> {
    decoder: Decoder,
    has_dialect: bool,
    /// Bytes that are to be sent.
    pub(crate) out: Vec<u8>,
    ours: BTreeMap<u64, Held<T>>,
    last_object: u64,
    /// How often the other side sent each of its objects.
    theirs: BTreeMap<u64, u64>,
    last_call: i128,
    waiting: BTreeSet<i128>,
    /// Whether the other side is of Python 2, and prints failures only if their texts are bytes.
    speaks_bytes: bool,
}

#[derive(Debug)]
struct Held<T> {
    what: T,
    /// References that were sent and not given up.
    count: u64,
}

impl<T: Clone + PartialEq> Broker<T> {
    /// Begins by offering the dialects.
    pub(crate) fn new() -> Self {
        let mut out = vec![2, 0x80];
        banana::encode_bytes(DIALECT, &mut out);
        banana::encode_bytes(b"none", &mut out);
        Self {
            decoder: Decoder::new(Limits::STRANGER),
            has_dialect: false,
            out,
            ours: BTreeMap::new(),
            last_object: 0,
            theirs: BTreeMap::new(),
            last_call: 0,
            waiting: BTreeSet::new(),
            speaks_bytes: false,
        }
    }

    /// From here on the other side is no stranger.
    pub(crate) const fn trust(&mut self) {
        self.decoder.limit(Limits::KNOWN);
    }

    /// The same line, with objects of another kind. What was handed out is forgotten; numbers are
    /// not given twice.
    pub(crate) fn handing_out<U>(self) -> Broker<U> {
        Broker {
            decoder: self.decoder,
            has_dialect: self.has_dialect,
            out: self.out,
            ours: BTreeMap::new(),
            last_object: self.last_object,
            theirs: self.theirs,
            last_call: self.last_call,
            waiting: self.waiting,
            speaks_bytes: self.speaks_bytes,
        }
    }

    /// From here on failures are told in bytes.
    pub(crate) const fn speak_bytes(&mut self) {
        self.speaks_bytes = true;
    }

    /// How many objects of this side the other one holds.
    pub(crate) fn held(&self) -> usize {
        self.ours.len()
    }

    /// How many calls of this side wait for their answers.
    pub(crate) fn unanswered(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
    }

    /// What was heard next; `None` until more bytes have come.
    pub(crate) fn next(&mut self) -> Result<Option<Heard<T>>, Broken> {
        while let Some(element) = self.decoder.next()? {
            if !self.has_dialect {
                self.choose(&element)?;
                continue;
            }
            if let Some(heard) = self.take(said::read(element)?)? {
                return Ok(Some(heard));
            }
        }
        Ok(None)
    }

    fn choose(&mut self, element: &Element) -> Result<(), Broken> {
        if *element != Element::Bytes(DIALECT.to_vec()) {
            return Err(Broken::Dialect);
        }
        self.has_dialect = true;
        self.decoder.use_words();
        self.say(&Said::Version(VERSION));
        Ok(())
    }

    fn take(&mut self, said: Said) -> Result<Option<Heard<T>>, Broken> {
        match said {
            Said::Version(VERSION) | Said::Ignored => Ok(None),
            Said::Version(other) => Err(Garbled::Version(other).into()),
            Said::Unknown(verb) => {
                self.say(&Said::Unknown(verb));
                Ok(None)
            }
            Said::Decref(number) => Ok(self.decref(number).map(Heard::Released)),
            Said::Answer { request, value } => {
                let result = value.map_err(|it| Failure::new(Kind::Insecure, it.to_string()));
                if let Ok(value) = &result {
                    self.meet(value)?;
                }
                Ok(self.answered(request, result))
            }
            Said::Error { request, failure } => Ok(self.answered(request, Err(failure))),
            Said::Call {
                request,
                receiver,
                method,
                wants_answer,
                arguments,
            } => {
                let owed = Owed(wants_answer.then_some(request));
                let on = match receiver {
                    Receiver::Root => Ok(None),
                    Receiver::Object(number) => match self.ours.get(&number) {
                        Some(held) => Ok(Some(held.what.clone())),
                        None => Err(Failure::new(Kind::NoObject, "Invalid Object ID")),
                    },
                };
                let arguments =
                    arguments.map_err(|it| Failure::new(Kind::Insecure, it.to_string()));
                match on.and_then(|on| Ok((on, arguments?))) {
                    Ok((on, arguments)) => {
                        let named = arguments.names.iter().map(|(_, value)| value);
                        for value in arguments.places.iter().chain(named) {
                            self.meet(value)?;
                        }
                        Ok(Some(Heard::Called {
                            on,
                            method,
                            arguments,
                            owed,
                        }))
                    }
                    Err(failure) => {
                        self.answer(owed, Err(failure));
                        Ok(None)
                    }
                }
            }
        }
    }

    fn answered(&mut self, request: i128, result: Result<Value, Failure>) -> Option<Heard<T>> {
        // An answer to what was never asked means nothing.
        let call = CallId(request);
        self.waiting
            .remove(&request)
            .then_some(Heard::Answered { call, result })
    }

    /// Counts the objects of the other side in a value that it sent.
    fn meet(&mut self, value: &Value) -> Result<(), Broken> {
        let mut numbers = Vec::new();
        each_object(value, &mut |it| {
            if let Value::Theirs(number) = it {
                numbers.push(*number);
            }
        });
        for number in numbers {
            *self.theirs.entry(number).or_default() += 1;
        }
        if self.theirs.len() > MOST_OBJECTS {
            return Err(Broken::Objects);
        }
        Ok(())
    }

    fn decref(&mut self, number: u64) -> Option<T> {
        let held = self.ours.get_mut(&number)?;
        held.count = held.count.saturating_sub(1);
        if held.count > 0 {
            return None;
        }
        self.ours.remove(&number).map(|it| it.what)
    }

    /// The number of an object, which is one as long as the other side holds it.
    pub(crate) fn object(&mut self, what: &T) -> Value {
        let known = self.ours.iter().find(|(_, held)| held.what == *what);
        if let Some((number, _)) = known {
            return Value::Ours(*number);
        }
        self.last_object += 1;
        let what = what.clone();
        let held = Held { what, count: 0 };
        self.ours.insert(self.last_object, held);
        Value::Ours(self.last_object)
    }

    /// Calls of this object are answered with an error from here on.
    pub(crate) fn withdraw(&mut self, what: &T) {
        self.ours.retain(|_, held| held.what != *what);
    }

    /// Gives up all references to an object of the other side.
    pub(crate) fn release(&mut self, number: u64) {
        let count = self.theirs.remove(&number).unwrap_or_default();
        for _ in 0..count {
            self.say(&Said::Decref(number));
        }
    }

    /// Calls a method of an object of the other side.
    pub(crate) fn call(&mut self, object: u64, method: &str, arguments: Arguments) -> CallId {
        self.last_call += 1;
        self.waiting.insert(self.last_call);
        self.say(&Said::Call {
            request: self.last_call,
            receiver: Receiver::Object(object),
            method: method.to_owned(),
            wants_answer: true,
            arguments: Ok(arguments),
        });
        CallId(self.last_call)
    }

    /// Answers a call; nothing is sent if no answer was wanted.
    pub(crate) fn answer(&mut self, owed: Owed, result: Result<Value, Failure>) {
        let Owed(Some(request)) = owed else { return };
        self.say(&match result {
            Ok(value) => Said::Answer {
                request,
                value: Ok(value),
            },
            Err(failure) => Said::Error {
                request,
                failure: Failure {
                    in_bytes: self.speaks_bytes,
                    ..failure
                },
            },
        });
    }

    fn say(&mut self, said: &Said) {
        match said {
            Said::Call {
                arguments: Ok(arguments),
                ..
            } => {
                let named = arguments.names.iter().map(|(_, value)| value);
                for value in arguments.places.iter().chain(named) {
                    self.hand_out(value);
                }
            }
            Said::Answer {
                value: Ok(value), ..
            } => self.hand_out(value),
            _ => {}
        }
        banana::encode(&said::write(said), &mut self.out);
    }

    /// Counts the objects of this side in what is sent.
    fn hand_out(&mut self, value: &Value) {
        let ours = &mut self.ours;
        each_object(value, &mut |it| {
            if let Value::Ours(number) = it
                && let Some(held) = ours.get_mut(number)
            {
                held.count += 1;
            }
        });
    }
}

fn each_object(value: &Value, act: &mut impl FnMut(&Value)) {
    match value {
        Value::Ours(_) | Value::Theirs(_) => act(value),
        Value::List(items) | Value::Tuple(items) => {
            for item in items {
                each_object(item, act);
            }
        }
        Value::Dict(pairs) => {
            for (key, value) in pairs {
                each_object(key, act);
                each_object(value, act);
            }
        }
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Bytes(_)
        | Value::Text(_)
        | Value::Failure(_)
        | Value::Opaque(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that has agreed on the dialect, with nothing left to send.
    fn broker() -> Broker<&'static str> {
        let mut broker = Broker::new();
        let mut hello = Vec::new();
        banana::encode_bytes(DIALECT, &mut hello);
        banana::encode(&said::write(&Said::Version(VERSION)), &mut hello);
        broker.hear(&hello);
        assert_eq!(broker.next(), Ok(None));
        broker.out.clear();
        broker
    }

    fn hear(broker: &mut Broker<&'static str>, said: &Said) {
        let mut bytes = Vec::new();
        banana::encode(&said::write(said), &mut bytes);
        broker.hear(&bytes);
    }

    /// What this side has said since.
    fn said(broker: &mut Broker<&'static str>) -> Vec<Said> {
        let mut decoder = Decoder::new(Limits::KNOWN);
        decoder.use_words();
        decoder.push(&std::mem::take(&mut broker.out));
        let mut all = Vec::new();
        while let Some(element) = decoder.next().unwrap() {
            all.push(said::read(element).unwrap());
        }
        all
    }

    fn call(object: u64, method: &str, places: Vec<Value>) -> Said {
        Said::Call {
            request: 1,
            receiver: Receiver::Object(object),
            method: method.to_owned(),
            wants_answer: true,
            arguments: Ok(Arguments::places(places)),
        }
    }

    #[test]
    fn the_dialled_side_speaks_first_and_knows_one_dialect() {
        let mut broker = Broker::<()>::new();
        assert_eq!(broker.out, b"\x02\x80\x02\x82pb\x04\x82none");
        broker.out.clear();
        broker.hear(b"\x02\x82pb\x02\x80\x13\x87\x06\x81");
        assert_eq!(broker.next(), Ok(None));
        assert_eq!(broker.out, b"\x02\x80\x13\x87\x06\x81");

        let mut other = Broker::<()>::new();
        other.hear(b"\x04\x82none");
        assert_eq!(other.next(), Err(Broken::Dialect));
        let mut newer = self::broker();
        hear(&mut newer, &Said::Version(7));
        assert_eq!(newer.next(), Err(Garbled::Version(7).into()));
    }

    #[test]
    fn an_object_is_known_when_it_is_called_even_if_it_is_given_up_right_behind() {
        let mut broker = broker();
        let Value::Ours(number) = broker.object(&"challenger") else {
            panic!()
        };
        broker.answer(Owed(Some(1)), Ok(Value::Ours(number)));
        hear(&mut broker, &call(number, "respond", vec![]));
        hear(&mut broker, &Said::Decref(number));
        let heard = broker.next().unwrap().unwrap();
        assert!(
            matches!(
                heard,
                Heard::Called {
                    on: Some("challenger"),
                    ..
                }
            ),
            "{heard:?}"
        );
        assert_eq!(broker.next(), Ok(Some(Heard::Released("challenger"))));
        // And once more: an error, and the line goes on.
        broker.out.clear();
        hear(&mut broker, &call(number, "respond", vec![]));
        assert_eq!(broker.next(), Ok(None));
        let [Said::Error { failure, .. }] = &said(&mut broker)[..] else {
            panic!()
        };
        assert_eq!(failure.value, "Invalid Object ID");
        // Nor does it matter to give up what nobody has.
        hear(&mut broker, &Said::Decref(77));
        assert_eq!(broker.next(), Ok(None));
    }

    #[test]
    fn an_object_that_was_sent_twice_is_given_up_twice() {
        let mut broker = broker();
        let object = broker.object(&"build");
        assert_eq!(broker.object(&"build"), object);
        broker.answer(
            Owed(Some(1)),
            Ok(Value::List(vec![object.clone(), object.clone()])),
        );
        let Value::Ours(number) = object else {
            panic!()
        };
        hear(&mut broker, &Said::Decref(number));
        assert_eq!(broker.next(), Ok(None));
        hear(&mut broker, &Said::Decref(number));
        assert_eq!(broker.next(), Ok(Some(Heard::Released("build"))));
        // A number is not used for something else.
        assert_ne!(broker.object(&"other"), object);
    }

    #[test]
    fn answers_come_in_any_order_and_nobody_else_is_believed() {
        let mut broker = broker();
        let first = broker.call(5, "print", Arguments::named("message", Value::text("x")));
        let second = broker.call(5, "print", Arguments::default());
        for request in [9, 2, 2, 1] {
            let value = Ok(Value::Int(request));
            hear(
                &mut broker,
                &Said::Answer {
                    request: request.into(),
                    value,
                },
            );
        }
        let mut heard = Vec::new();
        while let Some(it) = broker.next().unwrap() {
            heard.push(it);
        }
        assert_eq!(
            heard,
            [(second, 2), (first, 1)].map(|(call, number)| Heard::Answered {
                call,
                result: Ok(Value::Int(number)),
            })
        );
    }

    #[test]
    fn arguments_that_are_not_taken_are_an_error_for_the_caller_and_not_the_end() {
        let mut broker = broker();
        let mut bytes = Vec::new();
        let word = Element::word;
        let class = Element::List(vec![word("class"), word("os.system")]);
        let items = vec![
            word("message"),
            Element::Int(3),
            word("root"),
            word("login"),
            Element::Int(1),
            Element::List(vec![word("tuple"), class]),
            Element::List(vec![word("dictionary")]),
        ];
        banana::encode(&Element::List(items), &mut bytes);
        broker.hear(&bytes);
        assert_eq!(broker.next(), Ok(None));
        let [
            Said::Error {
                request: 3,
                failure,
            },
        ] = &said(&mut broker)[..]
        else {
            panic!()
        };
        assert_eq!(failure.value, "values of type `class` are not taken");
    }

    #[test]
    fn references_of_the_other_side_are_counted_given_up_and_bounded() {
        let mut broker = broker();
        let here = broker.object(&"here");
        broker.answer(Owed(Some(1)), Ok(here));
        // What is local there is this side's own, and what is remote there is theirs.
        hear(
            &mut broker,
            &call(1, "take", vec![Value::Ours(4), Value::Ours(4)]),
        );
        assert!(broker.next().unwrap().is_some());
        broker.out.clear();
        broker.release(4);
        assert_eq!(said(&mut broker), [Said::Decref(4), Said::Decref(4)]);
        broker.release(4);
        assert_eq!(said(&mut broker), []);

        broker.trust();
        let many = (0..=MOST_OBJECTS as u64).map(Value::Ours).collect();
        hear(&mut broker, &call(1, "take", vec![Value::List(many)]));
        assert_eq!(broker.next(), Err(Broken::Objects));
    }

    #[test]
    fn an_unknown_word_is_told_and_passed_over() {
        let mut broker = broker();
        let verb = b"hello".to_vec();
        let mut bytes = Vec::new();
        banana::encode(
            &Element::List(vec![Element::Bytes(verb.clone())]),
            &mut bytes,
        );
        broker.hear(&bytes);
        assert_eq!(broker.next(), Ok(None));
        assert_eq!(said(&mut broker), [Said::Ignored]);
        let mut bare = Vec::new();
        banana::encode(&Element::Int(1), &mut bare);
        broker.hear(&bare);
        assert_eq!(broker.next(), Err(Garbled::Wordless.into()));
    }
}
