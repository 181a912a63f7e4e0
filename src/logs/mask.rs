//! Masking what a command says, before it is written down: each value of a
//! secret becomes its name, wherever the pieces of output are cut. What may
//! still become a value is held back, which is never more than the longest of
//! them.

use crate::model::Mask;

/// Texts and what is shown instead.
#[derive(Clone)]
pub(crate) struct Masks {
    /// The longest first: one may be the beginning of another.
    all: Vec<Mask>,
    /// Whether a byte begins one of them.
    begins: Vec<bool>,
}

/// What stands at a place of the output.
enum Found<'a> {
    Nothing,
    /// A text, and it can be no longer one.
    Mask(&'a Mask),
    /// The beginning of a text, as far as the output goes.
    Beginning,
}

impl Masks {
    pub(crate) fn new(masks: &[Mask]) -> Self {
        let mut all: Vec<_> = masks.to_vec();
        all.retain(|it| !it.text.is_empty());
        all.sort_by_key(|it| std::cmp::Reverse(it.text.len()));
        let mut begins = vec![false; 256];
        for mask in &all {
            begins[usize::from(mask.text.as_bytes()[0])] = true;
        }
        Self { all, begins }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Masks a whole text.
    pub(crate) fn hide(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        let mut out = Vec::new();
        self.mask(text.as_bytes(), true, &mut out);
        // Only whole texts are replaced, so what was UTF-8 still is.
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Adds what of `bytes` may be seen to `out`; gives how many bytes were taken. The
    /// rest may be the beginning of a text, unless this `is_all`.
    fn mask(&self, bytes: &[u8], is_all: bool, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let plain = bytes[at..]
                .iter()
                .position(|byte| self.begins[usize::from(*byte)])
                .unwrap_or(bytes.len() - at);
            out.extend_from_slice(&bytes[at..at + plain]);
            at += plain;
            if at == bytes.len() {
                break;
            }
            match self.look(&bytes[at..], is_all) {
                Found::Mask(mask) => {
                    out.extend_from_slice(mask.shown.as_bytes());
                    at += mask.text.len();
                }
                Found::Beginning => break,
                Found::Nothing => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        at
    }

    fn look(&self, bytes: &[u8], is_all: bool) -> Found<'_> {
        for mask in &self.all {
            let text = mask.text.as_bytes();
            if bytes.starts_with(text) {
                return Found::Mask(mask);
            }
            if !is_all && text.starts_with(bytes) {
                return Found::Beginning;
            }
        }
        Found::Nothing
    }
}

/// One channel of output on its way to the log.
#[derive(Default)]
pub(crate) struct Stream {
    held: Vec<u8>,
}

impl Stream {
    /// Takes a piece in; gives what may be seen by now.
    pub(crate) fn push(&mut self, piece: &[u8], masks: &Masks) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let mut out = Vec::with_capacity(self.held.len());
        let taken = masks.mask(&self.held, false, &mut out);
        self.held.drain(..taken);
        out
    }

    /// Gives what was held back: nothing comes any more.
    pub(crate) fn finish(&mut self, masks: &Masks) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let mut out = Vec::new();
        masks.mask(&held, true, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(all: &[(&str, &str)]) -> Masks {
        let mask = |&(text, shown): &(&str, &str)| Mask {
            text: text.to_owned(),
            shown: shown.to_owned(),
        };
        Masks::new(&all.iter().map(mask).collect::<Vec<_>>())
    }

    /// The same output comes of `said` wherever it is cut, once and twice, and bytewise.
    fn check(all: &[(&str, &str)], said: &[u8], expected: &str) {
        let masks = masks(all);
        let longest = all.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
        let through = |pieces: &[&[u8]]| {
            let mut stream = Stream::default();
            let mut seen = Vec::new();
            for piece in pieces {
                seen.extend(stream.push(piece, &masks));
                assert!(stream.held.len() < longest.max(1), "held too much");
            }
            seen.extend(stream.finish(&masks));
            String::from_utf8_lossy(&seen).into_owned()
        };
        for first in 0..=said.len() {
            for second in first..=said.len() {
                let pieces = [&said[..first], &said[first..second], &said[second..]];
                assert_eq!(through(&pieces), expected, "cut at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = said.chunks(1).collect();
        assert_eq!(through(&bytes), expected, "byte by byte");
    }

    #[test]
    fn a_secret_is_masked_wherever_the_output_is_cut() {
        let all = [("hunter2", "<db>")];
        check(
            &all,
            b"a hunter2, hunter2hunter2 hunter\n",
            "a <db>, <db><db> hunter\n",
        );
        check(&all, b"huhunter2 hunter1", "hu<db> hunter1");
        check(&all, b"hunter", "hunter");
        check(&all, b"", "");
    }

    #[test]
    fn of_secrets_that_overlap_the_longest_is_masked() {
        let all = [("abc", "<short>"), ("abcdef", "<long>"), ("bcd", "<b>")];
        check(
            &all,
            b"abcdef abcde abc bcd abcabcdef",
            "<long> <short>de <short> <b> <short><long>",
        );
        // One that begins inside another is gone with it.
        check(&all, b"abcd", "<short>d");
    }

    #[test]
    fn secrets_of_repeated_letters_and_many_bytes_are_found() {
        check(&[("aab", "<x>")], b"aaab aaaab aa", "a<x> aa<x> aa");
        check(&[("pässwörd", "<x>")], "a pässwörd ä".as_bytes(), "a <x> ä");
        check(
            &[("line one\nline two", "<x>")],
            b"line one\nline two\nline one",
            "<x>\nline one",
        );
    }

    #[test]
    fn without_secrets_every_byte_is_as_it_was() {
        let said: Vec<u8> = (0..=255).collect();
        let none = masks(&[("", "<empty>")]);
        assert!(none.is_empty());
        let mut stream = Stream::default();
        assert_eq!(stream.push(&said, &none), said);
        assert_eq!(stream.finish(&none), b"");
        // Nor is anything else touched when there are some.
        let some = masks(&[("hunter2", "<db>")]);
        assert_eq!(stream.push(&said, &some), said);
        assert_eq!(some.hide("é hunter2"), "é <db>");
    }
}
