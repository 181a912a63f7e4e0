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

pub(super) fn is_keyword(name: &str) -> bool {
    matches!(name, "and" | "or" | "not" | "in" | "is" | "if" | "else")
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
        _ if first.is_ascii_digit() => (Some(Token::Number), until(|it| it.is_alphanumeric())),
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

/// Where the variable `name` stands first.
pub(super) fn find_name(text: &str, name: &str) -> Option<Range<usize>> {
    let all = of(text);
    let mut before = "";
    for (token, at) in all {
        let word = &text[at.clone()];
        if token == Token::Name && word == name && before != "." {
            return Some(at);
        }
        before = word;
    }
    None
}
