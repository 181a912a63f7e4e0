//! The words that have numbers in the dialect `pb`. The numbers are the protocol's: gaps stay gaps.

/// Number and word, by number.
const WORDS: &[(u8, &[u8])] = &[
    (1, b"None"),
    (2, b"class"),
    (3, b"dereference"),
    (4, b"reference"),
    (5, b"dictionary"),
    (6, b"function"),
    (7, b"instance"),
    (8, b"list"),
    (9, b"module"),
    (10, b"persistent"),
    (11, b"tuple"),
    (12, b"unpersistable"),
    (13, b"copy"),
    (14, b"cache"),
    (15, b"cached"),
    (16, b"remote"),
    (17, b"local"),
    (18, b"lcache"),
    (19, b"version"),
    (20, b"login"),
    (21, b"password"),
    (22, b"challenge"),
    (23, b"logged_in"),
    (24, b"not_logged_in"),
    (25, b"cachemessage"),
    (26, b"message"),
    (27, b"answer"),
    (28, b"error"),
    (29, b"decref"),
    (30, b"decache"),
    (31, b"uncache"),
];

/// The longest of them.
const LONGEST: usize = 13;

pub(super) fn word(number: u64) -> Option<&'static [u8]> {
    let place = WORDS.binary_search_by_key(&number, |(it, _)| u64::from(*it));
    place.ok().map(|it| WORDS[it].1)
}

/// The number of what is such a word, whatever it means where it stands.
pub(super) fn number(text: &[u8]) -> Option<u8> {
    if text.len() > LONGEST {
        return None;
    }
    let found = WORDS.iter().find(|(_, word)| *word == text);
    found.map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_its_number_and_each_number_its_word() {
        for (number, word) in WORDS {
            assert_eq!(super::word(u64::from(*number)), Some(*word));
            assert_eq!(super::number(word), Some(*number));
            assert!(word.len() <= LONGEST);
        }
        for gap in [0, 32, u64::MAX] {
            assert_eq!(word(gap), None);
        }
        assert_eq!(number(b"Message"), None);
        assert_eq!(number(b"unicode"), None);
    }
}
