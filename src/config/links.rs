//! What pages make links of: revisions, projects, repositories, and words in
//! the comments of changes. Comments come from anybody, so what they can put
//! into an address is limited: never its host, never a scheme.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Pattern;
use crate::syntax::Place;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Links in one comment; what follows the last is text.
const MOST: usize = 500;

/// Where a revision is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RevLinks {
    /// Of every repository that is not named.
    pub(super) all: Option<RevLink>,
    pub(super) by_repository: BTreeMap<String, RevLink>,
}

impl RevLinks {
    /// The address of `revision` of `repository`, if one is known.
    pub(crate) fn of(&self, repository: &str, revision: &str) -> Option<String> {
        let link = self.by_repository.get(repository).or(self.all.as_ref())?;
        (!revision.is_empty()).then(|| {
            let quoted = quote(revision, |it| {
                it.is_ascii_alphanumeric() || b"-._~/".contains(&it)
            });
            format!("{}{quoted}{}", link.before, link.behind)
        })
    }
}

/// An address with `%s` where the revision belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevLink {
    before: String,
    behind: String,
}

impl Value for RevLink {
    const EXPECTED: &'static str =
        "a web address with one `%s`, such as `https://example.org/commit/%s`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let (before, behind) = text.split_once("%s").ok_or_else(Misread::default)?;
        if behind.contains("%s") {
            return Err(Misread::default());
        }
        check_fixed(before, "`%s`").map_err(complaint)?;
        check_address(text).map_err(complaint)?;
        Ok(Self {
            before: before.to_owned(),
            behind: behind.to_owned(),
        })
    }
}

/// An address that pages link to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FixedLink(pub(super) String);

impl Value for FixedLink {
    const EXPECTED: &'static str = "a web address such as `https://example.org/words`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        check_address(text).map_err(complaint)?;
        Ok(Self(text.to_owned()))
    }
}

/// What becomes a link in the comments of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommentLinks {
    /// Of every project that is not named.
    pub(super) all: Option<CommentLink>,
    pub(super) by_project: BTreeMap<String, CommentLink>,
}

impl CommentLinks {
    /// The comment as pieces of text, some of them links.
    pub(crate) fn pieces<'a>(&self, project: &str, comment: &'a str) -> Vec<Piece<'a>> {
        let plain = |text: &'a str| Piece { text, link: None };
        let Some(link) = self.by_project.get(project).or(self.all.as_ref()) else {
            return vec![plain(comment)];
        };
        let mut pieces = Vec::new();
        let mut at = 0;
        for found in link.pattern.0.captures_iter(comment).take(MOST) {
            let whole = found.get(0).expect("a match has a whole").range();
            if whole.is_empty() {
                continue;
            }
            if at < whole.start {
                pieces.push(plain(&comment[at..whole.start]));
            }
            let title = link.title.as_ref();
            pieces.push(Piece {
                text: &comment[whole.clone()],
                link: Some(PieceLink {
                    url: link.url.fill(&found, |it| quote(it, is_of_address)),
                    title: title.map(|it| it.fill(&found, str::to_owned)),
                }),
            });
            at = whole.end;
        }
        if at < comment.len() {
            pieces.push(plain(&comment[at..]));
        }
        pieces
    }
}

/// A part of a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    pub(crate) link: Option<PieceLink>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PieceLink {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
}

/// An expression and what its matches become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommentLink {
    pattern: Pattern,
    url: Replacement,
    title: Option<Replacement>,
}

/// What a ticket looks like where only the address is said.
const TICKET: &str = r"#(\d+)";

impl Value for CommentLink {
    const EXPECTED: &'static str =
        r"`URL`, `REGEX URL` or `REGEX URL TITLE`, such as `#(\d+) https://example.org/\1`";
    const SHAPE: Shape = Shape::OneOrMore(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let parts = parts(node)?;
        let at = |index: usize, what: String| {
            let place = parts.get(index).and_then(|(_, place)| place.clone());
            Misread {
                place,
                ..complaint(what)
            }
        };
        let (regex, url, title) = match parts.as_slice() {
            [url] => (None, (0, url), None),
            [regex, url] => (Some((0, regex)), (1, url), None),
            [regex, url, title] => (Some((0, regex)), (1, url), Some((2, title))),
            _ => return Err(Misread::default()),
        };
        let text = regex.map_or(TICKET, |(_, (text, _))| text.as_str());
        let regex_at = regex.map_or(0, |(index, _)| index);
        let pattern = Pattern::read(&Node {
            place: node.place.clone(),
            content: Content::Text(text.to_owned()),
        })
        .map_err(|it| at(regex_at, it.what.unwrap_or_default()))?;
        if pattern.0.is_match("") {
            let what = "this fits even where there is nothing".to_owned();
            return Err(at(regex_at, what));
        }
        let replacement = |(index, (text, _)): (usize, &Part)| {
            Replacement::parse(text, &pattern).map_err(|what| at(index, what))
        };
        let read = Self {
            url: replacement(url)?,
            title: title.map(replacement).transpose()?,
            pattern: pattern.clone(),
        };
        let (index, (url, _)) = url;
        check_fixed(read.url.before_groups(), "what a comment says")
            .and_then(|()| check_address(url))
            .map_err(|what| at(index, what))?;
        Ok(read)
    }
}

type Part = (String, Option<Place>);

/// The parts of a link. In INI they are words, in which a backslash is a
/// backslash and quotes keep blanks together; the title is what is left.
fn parts(node: &Node) -> Result<Vec<Part>, Misread> {
    match &node.content {
        Content::Text(text) => {
            let list = serde_json::from_str::<Vec<String>>(text);
            if let Ok(list) = list {
                return Ok(list.into_iter().map(|it| (it, None)).collect());
            }
            let words = words(text).map_err(|at| node.misread(text, at, "this is not closed"))?;
            let placed = words.into_iter();
            Ok(placed
                .map(|(word, at)| (word, Some(node.part(text, at))))
                .collect())
        }
        Content::List(all) => all
            .iter()
            .map(|it| Ok((it.as_text()?.to_owned(), Some(it.place.clone()))))
            .collect(),
        _ => Err(Misread::default()),
    }
}

/// Up to three words with their bytes; the error is an open quote.
fn words(text: &str) -> Result<Vec<(String, Range<usize>)>, Range<usize>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let begin = at + (rest.len() - rest.trim_start().len());
        let rest = text[begin..].trim_end();
        let Some(first) = rest.chars().next() else {
            return Ok(words);
        };
        let (word, length) = if matches!(first, '"' | '\'') {
            let inside = &rest[1..];
            let end = inside.find(first).ok_or(begin..begin + 1)?;
            (&inside[..end], end + 2)
        } else {
            let end = match words.len() {
                2 => rest.len(),
                _ => rest.find(char::is_whitespace).unwrap_or(rest.len()),
            };
            (&rest[..end], end)
        };
        words.push((word.to_owned(), begin..begin + length));
        at = begin + length;
    }
}

/// A text with groups of a match: `\1`, `\g<0>`, `\g<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Replacement(Vec<Filled>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Filled {
    Text(String),
    Group(usize),
}

impl Replacement {
    fn parse(text: &str, pattern: &Pattern) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('\\') {
            literal.push_str(before);
            let (group, length) = if let Some(named) = behind.strip_prefix("g<") {
                let end = named.find('>').ok_or("`\\g<` needs a `>`")?;
                (group(&named[..end], pattern)?, end + 3)
            } else {
                let digits = behind.bytes().take(2).take_while(u8::is_ascii_digit);
                match digits.count() {
                    0 => {
                        // Two backslashes are one; any other stays as it is.
                        literal.push('\\');
                        rest = behind.strip_prefix('\\').unwrap_or(behind);
                        continue;
                    }
                    length => (group(&behind[..length], pattern)?, length),
                }
            };
            if !literal.is_empty() {
                parts.push(Filled::Text(std::mem::take(&mut literal)));
            }
            parts.push(Filled::Group(group));
            rest = &behind[length..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Filled::Text(literal));
        }
        Ok(Self(parts))
    }

    /// What is the same for every match.
    fn before_groups(&self) -> &str {
        match self.0.as_slice() {
            [Filled::Text(text), ..] => text,
            _ => "",
        }
    }

    fn fill(&self, found: &regex::Captures<'_>, quote: impl Fn(&str) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Filled::Text(text) => text.clone(),
            Filled::Group(index) => found
                .get(*index)
                .map(|it| quote(it.as_str()))
                .unwrap_or_default(),
        });
        parts.collect()
    }
}

fn group(name: &str, pattern: &Pattern) -> Result<usize, String> {
    let found = match name.parse::<usize>() {
        Ok(number) => (number < pattern.0.captures_len()).then_some(number),
        Err(_) => pattern.0.capture_names().position(|it| it == Some(name)),
    };
    found.ok_or_else(|| {
        let name = name.escape_debug();
        format!("the expression has no group `{name}`")
    })
}

fn complaint(what: String) -> Misread {
    Misread {
        what: Some(what),
        ..Misread::default()
    }
}

/// The scheme and the host must stand before what comes from elsewhere.
fn check_fixed(before: &str, what: &str) -> Result<(), String> {
    match host(before).and_then(|it| it.find(['/', '?', '#'])) {
        Some(end) if end > 0 => Ok(()),
        _ => Err(format!(
            "expected `http://HOST/` or `https://HOST/` before {what}"
        )),
    }
}

fn host(url: &str) -> Option<&str> {
    url.strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
}

fn check_address(url: &str) -> Result<(), String> {
    let expected = || "expected a web address that begins with `http://` or `https://`".to_owned();
    let rest = host(url).ok_or_else(expected)?;
    if rest.is_empty() || rest.starts_with('/') {
        return Err(expected());
    }
    match rest
        .chars()
        .find(|it| it.is_whitespace() || it.is_control())
    {
        Some(_) => Err("an address has no blanks".to_owned()),
        None => Ok(()),
    }
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"<>\\^`{|}'".contains(&byte)
}

/// Percent-encodes every byte but those that may stay.
fn quote(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stays(byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}
