//! Jelly: values as expressions that say their types. Only the types of a fixed list are taken;
//! nothing that arrives names code.

use std::collections::BTreeMap;
use std::fmt;

use super::banana::Element;
use super::failure;
use super::failure::Failure;

/// What is given to a method, or comes back from it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Text of peers with Python 2, content of files, patches.
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Self>),
    /// A list that the peer tells from a list.
    Tuple(Vec<Self>),
    Dict(Vec<(Self, Self)>),
    /// An object of this side, by its number.
    Ours(u64),
    /// An object of the other side, by its number.
    Theirs(u64),
    Failure(Box<Failure>),
    /// What the peer could not put into words, and why; or what means nothing here.
    Opaque(String),
}

/// Why an expression is none that is taken. Whoever called hears it; the line goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("values of type `{0}` are not taken")]
    Type(String),
    #[error("a value of type `{0}` has another form")]
    Form(String),
    #[error("an expression does not say its type")]
    Typeless,
    #[error("an integer does not fit into 64 bits")]
    Integer,
    #[error("value {0} is used before it is given")]
    Unknown(i128),
    #[error("values that are used again and again come to more than {MOST} parts")]
    Large,
}

/// Values that one expression may come to, those counted each time that are said once and used
/// again.
const MOST: usize = 1 << 18;

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Text of peers of either generation; what is no UTF-8 is replaced.
    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// The bytes of text, too.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A number, or a truth, which older peers take for one.
    pub(crate) const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(*truth as i64),
            _ => None,
        }
    }

    /// Numbers with and without a point.
    #[expect(clippy::cast_precision_loss, reason = "times and sizes")]
    pub(crate) const fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The items of a list or a tuple.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// What a dictionary has under a key, which is text of either kind.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(pairs) = self else { return None };
        let found = pairs.iter().find(|(it, _)| match it {
            Self::Text(text) => text == key,
            Self::Bytes(bytes) => bytes == key.as_bytes(),
            _ => false,
        });
        found.map(|(_, value)| value)
    }

    /// A dictionary with keys of text.
    pub(crate) fn dict<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        let pairs = pairs.into_iter();
        Self::Dict(pairs.map(|(key, value)| (Self::text(key), value)).collect())
    }

    /// How many values it is.
    fn size(&self) -> usize {
        1 + match self {
            Self::List(items) | Self::Tuple(items) => items.iter().map(Self::size).sum(),
            Self::Dict(pairs) => pairs.iter().map(|(a, b)| a.size() + b.size()).sum(),
            Self::Failure(_) => 8,
            _ => 0,
        }
    }
}

/// In an error's text: what it is, not what is in it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::None => "nothing",
            Self::Bool(_) => "a truth",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Bytes(_) | Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Ours(_) | Self::Theirs(_) => "an object",
            Self::Failure(_) => "a failure",
            Self::Opaque(_) => "something else",
        };
        f.write_str(what)
    }
}

/// Reads one expression: the arguments of a call, or its result.
pub(crate) fn read(element: Element) -> Result<Value, Refused> {
    Reader::default().value(element)
}

#[derive(Default)]
struct Reader {
    /// Values that were given a number in this expression.
    known: BTreeMap<i128, Value>,
    parts: usize,
}

impl Reader {
    fn count(&mut self, parts: usize) -> Result<(), Refused> {
        self.parts += parts;
        if self.parts > MOST {
            return Err(Refused::Large);
        }
        Ok(())
    }

    fn value(&mut self, element: Element) -> Result<Value, Refused> {
        self.count(1)?;
        match element {
            Element::Int(number) => {
                let number = i64::try_from(number).map_err(|_| Refused::Integer)?;
                Ok(Value::Int(number))
            }
            Element::Float(number) => Ok(Value::Float(number)),
            Element::Bytes(bytes) => Ok(Value::Bytes(bytes)),
            Element::List(items) => self.typed(items),
        }
    }

    fn typed(&mut self, items: Vec<Element>) -> Result<Value, Refused> {
        let mut items = items.into_iter();
        let Some(Element::Bytes(head)) = items.next() else {
            return Err(Refused::Typeless);
        };
        let rest = items.as_slice();
        match (head.as_slice(), rest) {
            (b"None", []) => Ok(Value::None),
            (b"boolean", [Element::Bytes(word)]) => match word.as_slice() {
                b"true" => Ok(Value::Bool(true)),
                b"false" => Ok(Value::Bool(false)),
                _ => Err(form(&head)),
            },
            (b"unicode", [Element::Bytes(_)]) => {
                let text = items.next().map(bytes).unwrap_or_default();
                let text = String::from_utf8(text);
                // A peer may have text that cannot be put into UTF-8, such as a lone surrogate.
                let text =
                    text.unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
                Ok(Value::Text(text))
            }
            (b"list" | b"set" | b"frozenset", _) => self.all(items).map(Value::List),
            (b"tuple", _) => self.all(items).map(Value::Tuple),
            (b"dictionary", _) => {
                let pairs = items.map(|it| self.pair(it, &head));
                pairs.collect::<Result<_, _>>().map(Value::Dict)
            }
            (b"remote", [Element::Int(number)]) => {
                object(*number).map(Value::Theirs).ok_or(Refused::Integer)
            }
            (b"local", [Element::Int(number)]) => {
                object(*number).map(Value::Ours).ok_or(Refused::Integer)
            }
            (b"reference", [Element::Int(number), _]) => {
                let number = *number;
                let Some(given) = items.nth(1) else {
                    return Err(form(&head));
                };
                let value = self.value(given)?;
                self.count(value.size())?;
                self.known.insert(number, value.clone());
                Ok(value)
            }
            (b"dereference", [Element::Int(number)]) => {
                let known = self.known.get(number);
                let value = known.cloned().ok_or(Refused::Unknown(*number))?;
                self.count(value.size())?;
                Ok(value)
            }
            (b"unpersistable", [Element::Bytes(_)]) => {
                let why = items.next().map(bytes).unwrap_or_default();
                Ok(Value::Opaque(String::from_utf8_lossy(&why).into_owned()))
            }
            // Dates and the like: no client says any; they are no reason to refuse what has one.
            (b"datetime" | b"date" | b"time" | b"timedelta" | b"decimal", _) => {
                Ok(Value::Opaque(String::from_utf8_lossy(&head).into_owned()))
            }
            (failure::CLASS, [_]) => {
                let Some(state) = items.next() else {
                    return Err(form(&head));
                };
                let state = self.value(state)?;
                let failure = Failure::read(&state).ok_or_else(|| form(&head))?;
                Ok(Value::Failure(Box::new(failure)))
            }
            (
                b"None"
                | b"boolean"
                | b"unicode"
                | b"remote"
                | b"local"
                | b"reference"
                | b"dereference"
                | b"unpersistable"
                | failure::CLASS,
                _,
            ) => Err(form(&head)),
            _ => Err(Refused::Type(shown(&head))),
        }
    }

    fn all(&mut self, items: impl Iterator<Item = Element>) -> Result<Vec<Value>, Refused> {
        items.map(|it| self.value(it)).collect()
    }

    fn pair(&mut self, element: Element, head: &[u8]) -> Result<(Value, Value), Refused> {
        // By place: a key may well be a word that elsewhere says a type.
        let Element::List(pair) = element else {
            return Err(form(head));
        };
        let Ok([key, value]) = <[Element; 2]>::try_from(pair) else {
            return Err(form(head));
        };
        Ok((self.value(key)?, self.value(value)?))
    }
}

fn bytes(element: Element) -> Vec<u8> {
    match element {
        Element::Bytes(bytes) => bytes,
        _ => Vec::new(),
    }
}

fn object(number: i128) -> Option<u64> {
    u64::try_from(number).ok()
}

fn form(head: &[u8]) -> Refused {
    Refused::Form(shown(head))
}

/// A type's name as it may be shown: it came from outside.
fn shown(head: &[u8]) -> String {
    let head = &head[..head.len().min(100)];
    let text = String::from_utf8_lossy(head);
    text.chars().filter(|it| !it.is_control()).collect()
}

/// The expression of a value. Values that occur twice are written twice.
pub(crate) fn write(value: &Value) -> Element {
    match value {
        Value::None => typed("None", []),
        Value::Bool(truth) => typed(
            "boolean",
            [Element::word(if *truth { "true" } else { "false" })],
        ),
        Value::Int(number) => Element::Int((*number).into()),
        Value::Float(number) => Element::Float(*number),
        Value::Bytes(bytes) => Element::Bytes(bytes.clone()),
        Value::Text(text) => typed("unicode", [Element::word(text)]),
        Value::List(items) => typed("list", items.iter().map(write)),
        Value::Tuple(items) => typed("tuple", items.iter().map(write)),
        Value::Dict(pairs) => {
            let pair = |(key, value)| Element::List(vec![write(key), write(value)]);
            typed(
                "dictionary",
                pairs.iter().map(|(key, value)| pair((key, value))),
            )
        }
        Value::Ours(number) => typed("remote", [Element::Int((*number).into())]),
        Value::Theirs(number) => typed("local", [Element::Int((*number).into())]),
        Value::Failure(failure) => Element::List(vec![
            Element::Bytes(failure::CLASS.to_vec()),
            write(&failure.state()),
        ]),
        Value::Opaque(why) => typed("unpersistable", [Element::word(why)]),
    }
}

fn typed(head: &str, items: impl IntoIterator<Item = Element>) -> Element {
    let mut all = vec![Element::word(head)];
    all.extend(items);
    Element::List(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(word: &str) -> Element {
        Element::word(word)
    }

    fn of(head: &str, items: Vec<Element>) -> Element {
        typed(head, items)
    }

    #[test]
    fn a_key_is_no_type_even_if_it_sounds_like_one() {
        let pair = Element::List(vec![word("reference"), of("None", vec![])]);
        let read = read(of("dictionary", vec![pair])).unwrap();
        assert_eq!(read.get("reference"), Some(&Value::None));
    }

    #[test]
    fn what_is_said_once_and_used_again_is_there_twice() {
        let shared = of("reference", vec![Element::Int(1), of("tuple", vec![])]);
        let again = of("dereference", vec![Element::Int(1)]);
        let both = read(of("list", vec![shared, again.clone()])).unwrap();
        assert_eq!(both, Value::List(vec![Value::Tuple(vec![]); 2]));
        assert_eq!(read(again), Err(Refused::Unknown(1)));
    }

    #[test]
    fn a_few_bytes_that_stand_for_millions_of_values_are_refused() {
        let mut items = vec![of("reference", vec![Element::Int(0), of("list", vec![])])];
        for n in 1..40 {
            let twice = of("dereference", vec![Element::Int(n - 1)]);
            let list = of("list", vec![twice; 2]);
            items.push(of("reference", vec![Element::Int(n), list]));
        }
        assert_eq!(read(of("list", items)), Err(Refused::Large));
    }

    #[test]
    fn nothing_that_arrives_names_code() {
        for head in [
            "class",
            "module",
            "function",
            "method",
            "instance",
            "persistent",
            "os.system",
        ] {
            let said = of(head, vec![word("os.system")]);
            assert_eq!(read(said), Err(Refused::Type(head.to_owned())), "{head}");
        }
        assert_eq!(read(Element::List(vec![])), Err(Refused::Typeless));
        assert_eq!(
            read(Element::List(vec![Element::Int(1)])),
            Err(Refused::Typeless)
        );
        let shown = read(of("\u{1b}[2Jx", vec![])).unwrap_err().to_string();
        assert_eq!(shown, "values of type `[2Jx` are not taken");
        for (head, items) in [
            ("boolean", vec![word("maybe")]),
            ("unicode", vec![Element::Int(1)]),
            ("remote", vec![word("1")]),
            ("dictionary", vec![word("x")]),
            ("dictionary", vec![Element::List(vec![word("x")])]),
            ("reference", vec![Element::Int(1)]),
        ] {
            assert_eq!(
                read(of(head, items)),
                Err(Refused::Form(head.to_owned())),
                "{head}"
            );
        }
        assert_eq!(
            read(of("remote", vec![Element::Int(-1)])),
            Err(Refused::Integer)
        );
        assert_eq!(read(Element::Int(1 << 64)), Err(Refused::Integer));
    }

    #[test]
    fn text_of_either_generation_is_text() {
        let old = read(word("é")).unwrap();
        let new = read(of("unicode", vec![word("é")])).unwrap();
        assert_eq!(old.as_text(), new.as_text());
        let broken = of("unicode", vec![Element::Bytes(b"a\xffb".to_vec())]);
        assert_eq!(read(broken).unwrap().as_text().unwrap(), "a\u{fffd}b");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::None),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            prop::num::f64::NORMAL.prop_map(Value::Float),
            prop::collection::vec(any::<u8>(), 0..10).prop_map(Value::Bytes),
            ".{0,10}".prop_map(Value::Text),
            any::<u64>().prop_map(|it| Value::Ours(it >> 1)),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let pair = (inner.clone(), inner.clone());
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::vec(inner, 0..5).prop_map(Value::Tuple),
                prop::collection::vec(pair, 0..4).prop_map(Value::Dict),
            ]
        })
    }

    /// An object of one side is the other's when it arrives.
    fn seen_from_there(value: Value) -> Value {
        let all = |items: Vec<Value>| items.into_iter().map(seen_from_there).collect();
        match value {
            Value::Ours(number) => Value::Theirs(number),
            Value::List(items) => Value::List(all(items)),
            Value::Tuple(items) => Value::Tuple(all(items)),
            Value::Dict(pairs) => {
                let there = |(key, value)| (seen_from_there(key), seen_from_there(value));
                Value::Dict(pairs.into_iter().map(there).collect())
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_on_the_other_side(value in any_value()) {
            let read = read(write(&value)).unwrap();
            prop_assert_eq!(read, seen_from_there(value));
        }
    }
}
