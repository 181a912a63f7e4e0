//! The words of an expression with their places: enough to find names and
//! strings in it, not to understand it.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Name,
    Number,
    Text,
    /// A text without its closing quote.
    Open,
    Sign,
}

/// The tokens of `text`, with their bytes.
pub(super) fn of(text: &str) -> Vec<(Token, Range<usize>)> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some((token, length)) = next(&text[at..]) {
        if let Some(token) = token {
            all.push((token, at..at + length));
        }
        at += length;
    }
    all
}

/// The token at the start of `text` (`None` for white space) and its length.
fn next(text: &str) -> Option<(Option<Token>, usize)> {
    let first = text.chars().next()?;
    let until = |is_part: fn(char) -> bool| text.find(|it| !is_part(it)).unwrap_or(text.len());
    Some(match first {
        _ if first.is_whitespace() => (None, until(char::is_whitespace)),
        '\'' | '"' => match closing_quote(text, first) {
            Some(end) => (Some(Token::Text), end),
            None => (Some(Token::Open), text.len()),
        },
        _ if first.is_ascii_digit() => (Some(Token::Number), number(text)),
        _ if first.is_alphabetic() || first == '_' => (
            Some(Token::Name),
            until(|it| it.is_alphanumeric() || it == '_'),
        ),
        _ => {
            let double = ["==", "!=", "<=", ">=", "&&", "||", "**", "//"];
            let is_double = double.iter().any(|it| text.starts_with(it));
            let length = if is_double { 2 } else { first.len_utf8() };
            (Some(Token::Sign), length)
        }
    })
}

/// The length of the number that `text` begins with, its units among it.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        let goes_on = match byte {
            b'.' => is_digit(end + 1),
            // `1e-5`, but not `5e - 1` of something that is no number anyway.
            b'+' | b'-' => {
                let before = &text[..end];
                let mantissa = before.trim_end_matches(['e', 'E']);
                mantissa.len() + 1 == before.len()
                    && mantissa.bytes().all(|it| it.is_ascii_digit() || it == b'.')
                    && is_digit(end + 1)
            }
            _ => byte.is_ascii_alphanumeric() || *byte == b'_',
        };
        if !goes_on {
            break;
        }
        end += 1;
    }
    end
}

/// The length of the text literal that `text` begins with.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            chars.next();
        } else if char == quote {
            return Some(at + 1);
        }
    }
    None
}

/// The bytes before the `}}` that closes an expression: not one in a text or
/// at the end of two nested maps.
pub(super) fn until_closed(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some((token, length)) = next(&text[at..]) {
        if token == Some(Token::Sign) {
            match &text[at..at + length] {
                "{" => depth += 1,
                "}" if depth > 0 => depth -= 1,
                "}" if text[at..].starts_with("}}") => return Some(at),
                _ => {}
            }
        }
        at += length;
    }
    None
}

/// The bytes before the `)s` that closes a reference.
pub(super) fn until_reference_closed(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some((token, length)) = next(&text[at..]) {
        if token == Some(Token::Sign) {
            match &text[at..at + length] {
                "(" => depth += 1,
                ")" if depth > 0 => depth -= 1,
                ")" => return text[at..].starts_with(")s").then_some(at),
                _ => {}
            }
        }
        at += length;
    }
    None
}

/// The bytes before the `%}` that closes a statement.
pub(super) fn until_statement_closed(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some((token, length)) = next(&text[at..]) {
        if token == Some(Token::Sign) && text[at..].starts_with("%}") {
            return Some(at);
        }
        at += length;
    }
    None
}

/// Where the variable `name` stands first.
pub(super) fn find_name(text: &str, name: &str) -> Option<Range<usize>> {
    let mut before = "";
    for (token, at) in of(text) {
        let word = &text[at.clone()];
        if token == Token::Name && word == name && before != "." {
            return Some(at);
        }
        before = word;
    }
    None
}

pub(super) fn is_keyword(name: &str) -> bool {
    matches!(name, "and" | "or" | "not" | "in" | "is" | "if" | "else")
}
