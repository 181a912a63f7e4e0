//! What every token of an expression is for: which are names, which are
//! operators and of what rank. This finds mistakes, it does not compute.

use std::ops::Range;

use super::tokens;
use super::tokens::Token;

/// A token with its place and its part in the expression.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) role: Role,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A name that the context knows.
    Name,
    /// What stands behind a dot.
    Attribute,
    Filter,
    Test,
    /// A name before `(`.
    Function,
    /// `true`, `false`, `none`.
    Constant,
    Number,
    Text,
    /// A text without its closing quote.
    Unclosed,
    /// `and`, `or`, `if`, `else`.
    Joiner,
    /// Before what it denies, or between `is` and a test, or before `in`.
    Not,
    Is,
    Operator(Rank),
    /// `-` before what it negates.
    Minus,
    Open,
    Close,
    /// `.` `|` `,` `:` and what does not belong here.
    Sign,
}

/// What binds weakest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Compare,
    Add,
    Concat,
    Multiply,
    Power,
}

impl Part {
    pub(super) fn text<'a>(&self, source: &'a str) -> &'a str {
        &source[self.at.clone()]
    }

    /// Whether a value may end with it.
    pub(super) const fn ends_value(&self) -> bool {
        matches!(
            self.role,
            Role::Name
                | Role::Attribute
                | Role::Filter
                | Role::Test
                | Role::Constant
                | Role::Number
                | Role::Text
                | Role::Close
        )
    }

    /// Whether a value may begin with it.
    pub(super) const fn begins_value(&self) -> bool {
        matches!(
            self.role,
            Role::Name
                | Role::Function
                | Role::Constant
                | Role::Number
                | Role::Text
                | Role::Not
                | Role::Minus
                | Role::Open
        )
    }
}

/// The parts of `source`.
pub(super) fn of(source: &str) -> Vec<Part> {
    let all = tokens::of(source);
    let word = |index: usize| all.get(index).map_or("", |(_, at)| &source[at.clone()]);
    let mut parts: Vec<Part> = Vec::with_capacity(all.len());
    for (index, (token, at)) in all.iter().enumerate() {
        let before = parts.last();
        let role = match token {
            Token::Number => Role::Number,
            Token::Text => Role::Text,
            Token::Open => Role::Unclosed,
            Token::Sign => sign(word(index), before.is_some_and(Part::ends_value)),
            Token::Name => {
                let before = before.map_or("", |it| it.text(source));
                let is_denied = before == "not"
                    && parts
                        .iter()
                        .rev()
                        .nth(1)
                        .is_some_and(|it| it.role == Role::Is);
                name(word(index), before, is_denied, word(index + 1))
            }
        };
        parts.push(Part {
            role,
            at: at.clone(),
        });
    }
    parts
}

fn name(word: &str, before: &str, is_denied: bool, after: &str) -> Role {
    match (word, before) {
        (_, ".") => Role::Attribute,
        (_, "|") => Role::Filter,
        ("not", "is") => Role::Not,
        (_, "is") => Role::Test,
        _ if is_denied => Role::Test,
        ("and" | "or" | "if" | "else", _) => Role::Joiner,
        ("not", _) => Role::Not,
        ("is", _) => Role::Is,
        ("in", _) => Role::Operator(Rank::Compare),
        _ if after == "(" => Role::Function,
        ("true" | "True" | "false" | "False" | "none" | "None", _) => Role::Constant,
        _ => Role::Name,
    }
}

fn sign(sign: &str, is_behind_value: bool) -> Role {
    match sign {
        "(" | "[" | "{" => Role::Open,
        ")" | "]" | "}" => Role::Close,
        "==" | "!=" | "<" | "<=" | ">" | ">=" => Role::Operator(Rank::Compare),
        "-" if !is_behind_value => Role::Minus,
        "+" | "-" => Role::Operator(Rank::Add),
        "~" => Role::Operator(Rank::Concat),
        "*" | "/" | "//" | "%" => Role::Operator(Rank::Multiply),
        "**" => Role::Operator(Rank::Power),
        _ => Role::Sign,
    }
}

/// The index of the bracket that closes the one at `open`, or of the end.
pub(super) fn closing(parts: &[Part], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, part) in parts.iter().enumerate().skip(open) {
        match part.role {
            Role::Open => depth += 1,
            Role::Close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    parts.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(source: &str) -> String {
        let all = of(source);
        let shown = all.iter().map(|it| format!("{:?}", it.role));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_token_has_its_part() {
        insta::assert_snapshot!(roles("a.in - -b | int not in [1] and x is not in c"), @"Name Sign Attribute Operator(Add) Minus Name Sign Filter Not Operator(Compare) Open Number Close Joiner Name Is Not Test Name");
        insta::assert_snapshot!(roles("min(a, 'x') if not true else 1e-5 - 3"), @"Function Open Name Sign Text Close Joiner Not Constant Joiner Number Operator(Add) Number");
    }
}
