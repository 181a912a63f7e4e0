//! How versions are ordered: `3.9` before `3.12`, `1.0rc1` before `1.0`,
//! `1.2.7` before `1.2.X`, and a name such as `main` behind every number.

use std::cmp::Ordering;
use std::fmt;

/// A text as a version: numbers and words, compared one by one.
///
/// Runs of digits are numbers and runs of letters words; everything else only
/// keeps them apart, and a `v` before the first number is left out. A missing
/// part is 0, so `1.0` and `1.0.0` are equal. A word comes behind every number,
/// without regard to case; but behind a number, a word for what is not yet a
/// version (`dev`, `alpha`, `beta`, `rc`, `pre`) and Debian's `~` come before it,
/// and what was added to it (`post`, `p`, `patch`) before the next number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version(Vec<Part>);

/// In the order in which they are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Before(Stage),
    Zero,
    After,
    Number(Digits),
    Word(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Tilde,
    Dev,
    Alpha,
    Beta,
    Candidate,
}

/// Digits without leading zeros: the longer is the larger.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Digits(String);

impl Version {
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_part: fn(char) -> bool = match first {
                _ if first.is_ascii_digit() => |it| it.is_ascii_digit(),
                _ if first.is_alphabetic() => char::is_alphabetic,
                _ => {
                    if first == '~' {
                        parts.push(Part::Before(Stage::Tilde));
                    }
                    rest = &rest[first.len_utf8()..];
                    continue;
                }
            };
            let end = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(end);
            rest = behind;
            if first.is_ascii_digit() {
                parts.push(Part::number(part));
                continue;
            }
            let word = part.to_lowercase();
            let then_number = behind.starts_with(|it: char| it.is_ascii_digit() || it == '.');
            if word == "v" && parts.is_empty() && then_number {
                continue;
            }
            let is_behind_number = matches!(parts.last(), Some(Part::Zero | Part::Number(_)));
            parts.push(match Stage::named(&word, then_number) {
                Some(stage) if is_behind_number => Part::Before(stage),
                None if is_behind_number && matches!(&*word, "post" | "p" | "patch") => Part::After,
                _ => Part::Word(word),
            });
        }
        Self(parts)
    }

    /// The text that all equal versions share.
    pub(super) fn canonical(&self) -> String {
        let zeros = self.0.iter().rev().take_while(|it| **it == Part::Zero);
        let zeros = zeros.count();
        // One number is left, so that `0` is not nothing.
        let length = (self.0.len() - zeros).max(1).min(self.0.len());
        let parts: Vec<_> = self.0[..length].iter().map(Part::to_string).collect();
        parts.join(".")
    }
}

impl Stage {
    fn named(word: &str, then_number: bool) -> Option<Self> {
        Some(match word {
            "dev" => Self::Dev,
            "alpha" => Self::Alpha,
            "beta" => Self::Beta,
            "rc" | "pre" | "preview" => Self::Candidate,
            // Alone, a letter counts on: `1.0.2a` is behind `1.0.2`.
            "a" if then_number => Self::Alpha,
            "b" if then_number => Self::Beta,
            "c" if then_number => Self::Candidate,
            _ => return None,
        })
    }
}

impl Part {
    fn number(digits: &str) -> Self {
        match digits.trim_start_matches('0') {
            "" => Self::Zero,
            digits => Self::Number(Digits(digits.to_owned())),
        }
    }
}

impl Ord for Digits {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for Digits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before(Stage::Tilde) => "~",
            Self::Before(Stage::Dev) => "dev",
            Self::Before(Stage::Alpha) => "alpha",
            Self::Before(Stage::Beta) => "beta",
            Self::Before(Stage::Candidate) => "rc",
            Self::Zero => "0",
            Self::After => "post",
            Self::Number(digits) => &digits.0,
            Self::Word(word) => word,
        })
    }
}

/// Orders two texts as versions.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Version::parse(left), Version::parse(right));
    let length = left.0.len().max(right.0.len());
    (0..length)
        .map(|index| {
            let left = left.0.get(index).unwrap_or(&Part::Zero);
            left.cmp(right.0.get(index).unwrap_or(&Part::Zero))
        })
        .find(|it| it.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_expect() {
        let rising = [
            "0.9",
            "1.0~rc1",
            "1.0.dev3",
            "1.0a2",
            "1.0-beta",
            "1.0rc1",
            "1.0",
            "1.0.post1",
            "1.0p2",
            "1.0.2",
            "1.0.2a",
            "1.0.2b",
            "1.2.7",
            "1.2.10",
            "1.2.X",
            "v1.3",
            "3.9",
            "3.12",
            "3.12.1",
            "3.100000000000000000000000000",
            "3.X",
            "alpha",
            "main",
            "mysql5.1.41",
            "postgresql8.4.5",
            "postgresql8.10",
            "trunk",
        ];
        for (index, left) in rising.iter().enumerate() {
            for (other, right) in rising.iter().enumerate() {
                assert_eq!(
                    compare(left, right),
                    index.cmp(&other),
                    "{left} and {right}"
                );
            }
        }
    }

    #[test]
    fn equal_versions_have_one_canonical_text() {
        for (text, other, canonical) in [
            ("1.0", "1", "1"),
            ("v3.012", "3.12.0.0", "3.12"),
            ("1.0RC1", "1.0-pre-1", "1.0.rc.1"),
            ("0.0", "0", "0"),
            ("", "-", ""),
            ("Main", "main", "main"),
        ] {
            assert_eq!(compare(text, other), Ordering::Equal, "{text}");
            for it in [text, other, canonical] {
                assert_eq!(Version::parse(it).canonical(), canonical, "{it}");
            }
        }
    }
}
