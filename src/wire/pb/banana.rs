//! Banana: elements as bytes. An element says its own end, so a stream of them needs no frames.
//! Bytes in, elements out; nothing here waits or knows what an element means.

use super::words;

const LIST: u8 = 0x80;
const INT: u8 = 0x81;
const STRING: u8 = 0x82;
const NEG: u8 = 0x83;
const FLOAT: u8 = 0x84;
const LONGINT: u8 = 0x85;
const LONGNEG: u8 = 0x86;
const VOCAB: u8 = 0x87;

/// The longest string and the longest list that either side of the protocol takes.
pub(crate) const MOST: usize = 640 * 1024;

/// The digits that may stand before a type.
const LONGEST_PREFIX: usize = 64;

/// Lists in lists. No message of a slave or a client needs half of it.
const DEEPEST: usize = 32;

/// What arrives. Text is bytes here; what is text is said a layer above.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Element {
    /// Of any of the four kinds of integers.
    Int(i128),
    Float(f64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
}

impl Element {
    pub(super) fn word(word: &str) -> Self {
        Self::Bytes(word.as_bytes().to_vec())
    }
}

/// What no peer may say. The line cannot go on: where the next element begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    #[error("a type byte 0x{0:02x} does not exist")]
    Kind(u8),
    #[error("a number has more than {LONGEST_PREFIX} digits")]
    Prefix,
    #[error("a number is too big for what it counts")]
    Number,
    #[error("a string of {0} bytes is too long; the most is {MOST}")]
    LongString(u64),
    #[error("a list of {0} items is too long; the most is {MOST}")]
    LongList(u64),
    #[error("lists are nested more than {DEEPEST} deep")]
    Deep,
    #[error("the word {0} does not exist")]
    Word(u64),
    #[error("one expression has more than {0} bytes")]
    Large(usize),
    #[error("one expression has more than {0} elements")]
    Many(usize),
}

/// What one expression may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes on the line.
    pub(crate) bytes: usize,
    /// Elements, which cost more memory than their bytes.
    pub(crate) elements: usize,
}

impl Limits {
    /// Of somebody who has not logged in.
    pub(crate) const STRANGER: Self = Self {
        bytes: 16 << 10,
        elements: 256,
    };
    /// A block of a file, a patch, a change with many files.
    pub(crate) const KNOWN: Self = Self {
        bytes: 4 << 20,
        elements: 1 << 18,
    };
}

/// Takes bytes as they come and gives whole expressions. What has been looked at is not looked at
/// again, however small the pieces.
#[derive(Debug)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    /// How many of `bytes` are read.
    read: usize,
    /// Lists that have begun, the outermost first.
    open: Vec<Open>,
    /// What the expression under way has cost.
    taken: Limits,
    limits: Limits,
    has_words: bool,
}

#[derive(Debug)]
struct Open {
    left: usize,
    items: Vec<Element>,
}

/// What stands before the payload of an element.
enum Head {
    List(usize),
    String(usize),
    Float,
    Whole(Element),
}

impl Decoder {
    /// Before the dialect is chosen.
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            bytes: Vec::new(),
            read: 0,
            open: Vec::new(),
            taken: NOTHING,
            limits,
            has_words: false,
        }
    }

    /// From here on words may travel as numbers.
    pub(crate) const fn use_words(&mut self) {
        self.has_words = true;
    }

    pub(crate) const fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole expression; `None` until more bytes have come.
    pub(crate) fn next(&mut self) -> Result<Option<Element>, Nonsense> {
        loop {
            let Some(mut element) = self.element()? else {
                return Ok(None);
            };
            // It may be the last item of its list, and that of the list around it.
            loop {
                let Some(open) = self.open.last_mut() else {
                    self.taken = NOTHING;
                    return Ok(Some(element));
                };
                open.items.push(element);
                open.left -= 1;
                if open.left > 0 {
                    break;
                }
                let done = self.open.pop().map(|it| it.items);
                element = Element::List(done.unwrap_or_default());
            }
        }
    }

    /// The next element that is whole by itself; lists with items are opened on the way.
    fn element(&mut self) -> Result<Option<Element>, Nonsense> {
        loop {
            let Some((head, length)) = self.head()? else {
                return Ok(None);
            };
            let payload = match head {
                Head::Float => 8,
                Head::String(size) => size,
                Head::List(_) | Head::Whole(_) => 0,
            };
            let bytes = self.taken.bytes + length + payload;
            if bytes > self.limits.bytes {
                return Err(Nonsense::Large(self.limits.bytes));
            }
            let start = self.read + length;
            let Some(behind) = self.bytes.get(start..start + payload) else {
                return Ok(None);
            };
            let element = match head {
                Head::Whole(element) => Some(element),
                Head::String(_) => Some(Element::Bytes(behind.to_vec())),
                Head::Float => Some(Element::Float(float(behind))),
                Head::List(0) => Some(Element::List(Vec::new())),
                Head::List(left) => {
                    if self.open.len() == DEEPEST {
                        return Err(Nonsense::Deep);
                    }
                    // Grows with what comes, not with what was announced.
                    let items = Vec::with_capacity(left.min(16));
                    self.open.push(Open { left, items });
                    None
                }
            };
            self.read = start + payload;
            self.taken.bytes = bytes;
            self.taken.elements += 1;
            if self.taken.elements > self.limits.elements {
                return Err(Nonsense::Many(self.limits.elements));
            }
            if element.is_some() {
                return Ok(element);
            }
        }
    }

    /// Prefix and type, and how many bytes they are.
    fn head(&self) -> Result<Option<(Head, usize)>, Nonsense> {
        let bytes = &self.bytes[self.read..];
        let digits = bytes.iter().take_while(|it| **it < LIST).count();
        if digits > LONGEST_PREFIX {
            return Err(Nonsense::Prefix);
        }
        let Some(kind) = bytes.get(digits) else {
            return Ok(None);
        };
        let prefix = &bytes[..digits];
        let head = match *kind {
            LIST => Head::List(count(prefix, Nonsense::LongList)?),
            STRING => Head::String(count(prefix, Nonsense::LongString)?),
            INT | LONGINT => Head::Whole(Element::Int(number(prefix)?)),
            NEG | LONGNEG => Head::Whole(Element::Int(-number(prefix)?)),
            FLOAT => Head::Float,
            VOCAB => {
                let number = u64::try_from(number(prefix)?).map_err(|_| Nonsense::Number)?;
                let word = words::word(number).filter(|_| self.has_words);
                let word = word.ok_or(Nonsense::Word(number))?;
                Head::Whole(Element::Bytes(word.to_vec()))
            }
            kind => return Err(Nonsense::Kind(kind)),
        };
        Ok(Some((head, digits + 1)))
    }
}

const NOTHING: Limits = Limits {
    bytes: 0,
    elements: 0,
};

/// Digits to the base 128, the least first. Without any it is zero.
fn number(prefix: &[u8]) -> Result<i128, Nonsense> {
    let mut number: i128 = 0;
    for digit in prefix.iter().rev() {
        // Integers of a slave are sizes, times and numbers of files: 126 bits are plenty.
        if number >> 119 != 0 {
            return Err(Nonsense::Number);
        }
        number = (number << 7) | i128::from(*digit);
    }
    Ok(number)
}

fn count(prefix: &[u8], too_long: fn(u64) -> Nonsense) -> Result<usize, Nonsense> {
    let number = u64::try_from(number(prefix)?).map_err(|_| Nonsense::Number)?;
    let count = usize::try_from(number).ok().filter(|it| *it <= MOST);
    count.ok_or_else(|| too_long(number))
}

fn float(bytes: &[u8]) -> f64 {
    bytes
        .first_chunk()
        .map_or(0.0, |it| f64::from_be_bytes(*it))
}

/// Puts an element behind `to`, in the dialect with numbers for words.
pub(crate) fn encode(element: &Element, to: &mut Vec<u8>) {
    match element {
        Element::Int(number) => encode_int(*number, to),
        Element::Float(number) => {
            to.push(FLOAT);
            to.extend_from_slice(&number.to_be_bytes());
        }
        Element::Bytes(bytes) => match words::number(bytes) {
            Some(number) => to.extend_from_slice(&[number, VOCAB]),
            None => encode_bytes(bytes, to),
        },
        Element::List(items) => {
            prefix(items.len() as u128, to);
            to.push(LIST);
            for item in items {
                encode(item, to);
            }
        }
    }
}

/// A string as it is before a dialect is chosen.
pub(crate) fn encode_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    prefix(bytes.len() as u128, to);
    to.push(STRING);
    to.extend_from_slice(bytes);
}

fn encode_int(number: i128, to: &mut Vec<u8>) {
    let most = i128::from(i32::MAX);
    let kind = match number {
        _ if number > most => LONGINT,
        _ if number >= 0 => INT,
        _ if number >= -most - 1 => NEG,
        _ => LONGNEG,
    };
    prefix(number.unsigned_abs(), to);
    to.push(kind);
}

fn prefix(mut number: u128, to: &mut Vec<u8>) {
    loop {
        // The mask leaves seven bits.
        to.push((number & 0x7f) as u8);
        number >>= 7;
        if number == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Vec<Element>, Nonsense> {
        let mut decoder = Decoder::new(Limits::KNOWN);
        decoder.use_words();
        decoder.push(bytes);
        let mut all = Vec::new();
        while let Some(element) = decoder.next()? {
            all.push(element);
        }
        Ok(all)
    }

    fn encoded(element: &Element) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(element, &mut bytes);
        bytes
    }

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    }

    fn list(items: Vec<Element>) -> Element {
        Element::List(items)
    }

    #[test]
    fn elements_have_the_bytes_that_the_protocol_gives_them() {
        let word = Element::word;
        for (element, bytes) in [
            (list(vec![word("version"), Element::Int(6)]), "028013870681"),
            (Element::Int(0), "0081"),
            (Element::Int(127), "7f81"),
            (Element::Int(128), "000181"),
            (Element::Int(2_147_483_647), "7f7f7f7f0781"),
            (Element::Int(2_147_483_648), "000000000885"),
            (Element::Int(-1), "0183"),
            (Element::Int(-2_147_483_648), "000000000883"),
            (Element::Int(-2_147_483_649), "010000000886"),
            (Element::Int(1 << 64), "0000000000000000000285"),
            (Element::Float(0.0), "840000000000000000"),
            (Element::Float(1.5), "843ff8000000000000"),
            (Element::Float(f64::NEG_INFINITY), "84fff0000000000000"),
            (word(""), "0082"),
            (word("abc"), "0382616263"),
            (word("message"), "1a87"),
            (word("Message"), "07824d657373616765"),
            (list(vec![]), "0080"),
        ] {
            assert_eq!(encoded(&element), hex(bytes), "{element:?}");
            assert_eq!(decoded(&hex(bytes)).unwrap(), [element]);
        }
    }

    #[test]
    fn a_missing_number_is_zero_and_every_kind_of_integer_has_every_size() {
        assert_eq!(decoded(&[INT]).unwrap(), [Element::Int(0)]);
        assert_eq!(decoded(&[5, LONGINT]).unwrap(), [Element::Int(5)]);
        assert_eq!(decoded(&[5, LONGNEG]).unwrap(), [Element::Int(-5)]);
        let big = [0, 0, 0, 0, 0, 0, 1, NEG];
        assert_eq!(decoded(&big).unwrap(), [Element::Int(-(1 << 42))]);
    }

    #[test]
    fn what_no_peer_may_say_ends_the_line_before_it_costs_anything() {
        assert_eq!(decoded(&[0x88]), Err(Nonsense::Kind(0x88)));
        assert_eq!(decoded(&[1; 65]), Err(Nonsense::Prefix));
        assert_eq!(decoded(&[32, VOCAB]), Err(Nonsense::Word(32)));
        let mut plain = Decoder::new(Limits::KNOWN);
        plain.push(&[26, VOCAB]);
        assert_eq!(plain.next(), Err(Nonsense::Word(26)));

        let mut long = Vec::new();
        prefix(MOST as u128 + 1, &mut long);
        let said = MOST as u64 + 1;
        for (kind, nonsense) in [
            (STRING, Nonsense::LongString(said)),
            (LIST, Nonsense::LongList(said)),
        ] {
            let mut bytes = long.clone();
            bytes.push(kind);
            assert_eq!(decoded(&bytes), Err(nonsense));
        }
        let mut digits = vec![0x7f; 64];
        for kind in [INT, LONGNEG, STRING, LIST, VOCAB] {
            digits.push(kind);
            assert_eq!(decoded(&digits), Err(Nonsense::Number));
            digits.pop();
        }
        let deep = [1, LIST].repeat(DEEPEST + 1);
        assert_eq!(decoded(&deep), Err(Nonsense::Deep));
    }

    #[test]
    fn a_stranger_gets_little_room() {
        let mut decoder = Decoder::new(Limits::STRANGER);
        let mut long = Vec::new();
        prefix(20_000, &mut long);
        long.push(STRING);
        decoder.push(&long);
        assert_eq!(decoder.next(), Err(Nonsense::Large(16 << 10)));

        let mut decoder = Decoder::new(Limits::STRANGER);
        let mut many = Vec::new();
        prefix(1000, &mut many);
        many.push(LIST);
        many.extend([0, LIST].repeat(1000));
        decoder.push(&many);
        assert_eq!(decoder.next(), Err(Nonsense::Many(256)));
    }

    fn any_element() -> impl Strategy<Value = Element> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|it| Element::Int(it.into())),
            any::<i32>().prop_map(|it| Element::Int(i128::from(it) << 60)),
            prop::num::f64::NORMAL.prop_map(Element::Float),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Element::Bytes),
            (0..40_u64).prop_map(|it| Element::Bytes(words::word(it).unwrap_or(b"x").to_vec())),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop::collection::vec(inner, 0..6).prop_map(Element::List)
        })
    }

    proptest! {
        #[test]
        fn what_is_put_into_bytes_comes_out_again_however_they_are_cut(
            elements in prop::collection::vec(any_element(), 1..5),
            piece in 1..9_usize,
        ) {
            let mut bytes = Vec::new();
            for element in &elements {
                encode(element, &mut bytes);
            }
            let mut decoder = Decoder::new(Limits::KNOWN);
            decoder.use_words();
            let mut come = Vec::new();
            for piece in bytes.chunks(piece) {
                decoder.push(piece);
                while let Some(element) = decoder.next().unwrap() {
                    come.push(element);
                }
            }
            prop_assert_eq!(come, elements);
        }

        #[test]
        fn any_bytes_are_elements_or_nonsense(bytes: Vec<u8>) {
            if let Ok(elements) = decoded(&bytes) {
                for element in elements {
                    let again = decoded(&encoded(&element)).unwrap();
                    // A number that is none is equal to nothing.
                    prop_assert_eq!(format!("{again:?}"), format!("{:?}", [element]));
                }
            }
        }
    }
}
