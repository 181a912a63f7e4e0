//! The types that a value can be read as. Nothing is guessed from how a value
//! looks: the type that was asked for reads it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use super::Code;
use super::Content;
use super::Misread;
use super::Node;
use super::Op;
use super::Shape;
use super::Value;
use super::words;
use crate::model::HoleIn;
use crate::model::OPENING;
use crate::model::Properties;
use crate::model::RenderError;
use crate::model::SecretHole;
use crate::model::ShellLine;
use crate::model::Text;

impl Node {
    /// The text, if it is one.
    pub(crate) fn as_text(&self) -> Result<&str, Misread> {
        match &self.content {
            Content::Text(text) => Ok(text),
            _ => Err(Misread::default()),
        }
    }
}

/// The value as it stands, for who knows better what to do with it.
impl Value for Node {
    const EXPECTED: &'static str = "a value";
    const SHAPE: Shape = Shape::Any;

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(node.clone())
    }
}

impl Value for String {
    const EXPECTED: &'static str = "a text";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        no_secret(node, text)?;
        Ok(text.to_owned())
    }
}

/// Refuses a reference to a secret where a value is stored or shown: the name
/// would stand there, and the value if it were replaced.
fn no_secret(node: &Node, text: &str) -> Result<(), Misread> {
    let Some(start) = text.find(OPENING) else {
        return Ok(());
    };
    let end = text[start..]
        .find('}')
        .map_or(text.len(), |it| start + it + 1);
    Err(Misread {
        code: Some(Code::BadSecret),
        ..node.misread(
            text,
            start..end,
            "no secret can stand here: this value is stored or shown",
        )
    })
}

impl Value for bool {
    const EXPECTED: &'static str = "`yes` or `no`";
    const SHAPE: Shape = Shape::Bool;

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Bool(it) => Ok(*it),
            Content::Int(0) => Ok(false),
            Content::Int(1) => Ok(true),
            Content::Text(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "true" | "on" | "1" => Ok(true),
                "no" | "false" | "off" | "0" => Ok(false),
                _ => Err(Misread::default()),
            },
            _ => Err(Misread::default()),
        }
    }
}

impl Value for i64 {
    const EXPECTED: &'static str = "a whole number";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Int(it) => Ok(*it),
            Content::Text(text) => text.parse().map_err(|_| Misread::default()),
            _ => Err(Misread::default()),
        }
    }
}

impl Value for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        Self::try_from(i64::read(node)?).map_err(|_| Misread::default())
    }
}

impl Value for u64 {
    const EXPECTED: &'static str = "a whole number from 0";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        Self::try_from(i64::read(node)?).map_err(|_| Misread::default())
    }
}

impl Value for f64 {
    const EXPECTED: &'static str = "a number";
    const SHAPE: Shape = Shape::Number;

    fn read(node: &Node) -> Result<Self, Misread> {
        let number = match &node.content {
            Content::Int(it) => *it as Self,
            Content::Float(it) => *it,
            Content::Text(text) => text.parse().map_err(|_| Misread::default())?,
            _ => return Err(Misread::default()),
        };
        Some(number).filter(|it| it.is_finite()).ok_or_default()
    }
}

/// `ok_or` for the plain complaint.
trait OrMisread<T> {
    fn ok_or_default(self) -> Result<T, Misread>;
}

impl<T> OrMisread<T> for Option<T> {
    fn ok_or_default(self) -> Result<T, Misread> {
        self.ok_or_else(Misread::default)
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a duration such as `90s` or `5m`";
    const SHAPE: Shape = Shape::Duration;

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Int(secs) => {
                let secs = u64::try_from(*secs).ok().ok_or_default()?;
                bounded(Some(Self::from_secs(secs)))
            }
            Content::Float(secs) => bounded(Self::try_from_secs_f64(*secs).ok()),
            Content::Text(text) => bounded(duration(text)),
            _ => Err(Misread::default()),
        }
    }
}

/// `none` is no limit.
impl Value for Option<Duration> {
    const EXPECTED: &'static str = "a duration such as `90s` or `5m`, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Duration);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(None),
            Content::Null => Ok(None),
            _ => Duration::read(node).map(Some),
        }
    }
}

/// Longer than anybody waits: keeps sums with clocks from overflowing.
pub(crate) const LONGEST_DURATION: Duration = Duration::from_secs(100 * 365 * 86400);

fn bounded(read: Option<Duration>) -> Result<Duration, Misread> {
    let duration = read.ok_or_default()?;
    if duration > LONGEST_DURATION {
        return Err(Misread {
            what: Some("expected at most 36500 days".into()),
            ..Misread::default()
        });
    }
    Ok(duration)
}

/// `90`, `1.5s`, `1h30m`: numbers with falling units; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 6] = [
        ("w", 604_800.0),
        ("d", 86400.0),
        ("h", 3600.0),
        ("m", 60.0),
        ("s", 1.0),
        ("ms", 0.001),
    ];
    let mut rest = text.trim();
    let mut total = 0.0;
    let mut smaller_than = 0;
    let mut first = true;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.');
        let (number, behind) = rest.split_at(digits.unwrap_or(rest.len()));
        let number: f64 = number.parse().ok()?;
        let letters = behind.find(|it: char| !it.is_ascii_alphabetic());
        let (unit, behind) = behind.split_at(letters.unwrap_or(behind.len()));
        let unit = unit.to_ascii_lowercase();
        if unit.is_empty() {
            return (first && behind.is_empty())
                .then(|| Duration::try_from_secs_f64(number).ok())?;
        }
        let index = UNITS.iter().position(|(name, _)| *name == unit)?;
        if index < smaller_than {
            return None;
        }
        smaller_than = index + 1;
        total += number * UNITS[index].1;
        rest = behind.trim_start();
        first = false;
    }
    if first {
        return None;
    }
    Duration::try_from_secs_f64(total).ok()
}

impl Value for SocketAddr {
    const EXPECTED: &'static str = "a port such as `8010` or `127.0.0.1:8010`";
    const SHAPE: Shape = Shape::Port;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = match &node.content {
            Content::Int(port) => return bare_port(u16::try_from(*port).ok()),
            Content::Text(text) => text.trim(),
            _ => return Err(Misread::default()),
        };
        // Twisted's spelling, which Buildbot's files have.
        let text = text.strip_prefix("tcp:").unwrap_or(text);
        if text.bytes().all(|it| it.is_ascii_digit()) {
            return bare_port(text.parse().ok());
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = port.parse().map_err(|_| Misread::default())?;
            return Ok(Self::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        }
        text.parse().map_err(|_| Misread::default())
    }
}

/// A bare port listens on every address.
fn bare_port(port: Option<u16>) -> Result<SocketAddr, Misread> {
    let port = port.filter(|it| *it > 0).ok_or_default()?;
    Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
}

/// `none` and nothing at all switch the listener off.
impl Value for Option<SocketAddr> {
    const EXPECTED: &'static str = "a port such as `8010` or `127.0.0.1:8010`, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Port);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Text(text) if text.is_empty() || text.eq_ignore_ascii_case("none") => Ok(None),
            _ => SocketAddr::read(node).map(Some),
        }
    }
}

impl Value for Vec<String> {
    const EXPECTED: &'static str = "words, or a list such as `[\"a\", \"b\"]`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(items(node)?.into_iter().map(|(item, _)| item).collect())
    }
}

/// A list whose items know their places: for names that are looked up later.
impl Value for Vec<(String, super::Place)> {
    const EXPECTED: &'static str = Vec::<String>::EXPECTED;
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        items(node)
    }
}

fn items(node: &Node) -> Result<Vec<(String, super::Place)>, Misread> {
    match &node.content {
        Content::Text(text) if text.starts_with('[') => items(&words::json(node, text)?),
        Content::Text(text) => {
            let words =
                words::split(text).map_err(|error| node.misread(text, error.at, error.what))?;
            let placed = words.into_iter().map(|(word, at)| {
                let place = node.part(text, at);
                (word, place)
            });
            Ok(placed.collect())
        }
        Content::List(all) => all.iter().map(text_item).collect(),
        Content::Edited(edited) => {
            let mut all = edited.base.as_ref().map_or(Ok(Vec::new()), items)?;
            for (op, node) in &edited.edits {
                edit(&mut all, *op, items(node)?)?;
            }
            Ok(all)
        }
        _ => Err(Misread::default()),
    }
}

/// Does to a list what `+=` and `-=` say. What is removed must be there.
fn edit(
    all: &mut Vec<(String, super::Place)>,
    op: Op,
    items: Vec<(String, super::Place)>,
) -> Result<(), Misread> {
    match op {
        Op::Set => *all = items,
        Op::Append => all.extend(items),
        Op::Remove => {
            for (item, place) in items {
                let before = all.len();
                all.retain(|(it, _)| *it != item);
                if all.len() == before {
                    return Err(Misread {
                        what: Some("the list has no such item to remove".into()),
                        place: Some(place),
                        ..Misread::default()
                    });
                }
            }
        }
    }
    Ok(())
}

fn text_item(item: &Node) -> Result<(String, super::Place), Misread> {
    match &item.content {
        Content::Text(text) => Ok((text.clone(), item.place.clone())),
        _ => Err(Misread {
            what: Some("expected a list of texts".into()),
            place: Some(item.place.clone()),
            ..Misread::default()
        }),
    }
}

/// A text without secrets: a directory, a branch, a name.
impl Value for Text {
    const EXPECTED: &'static str = "a text, which may have properties such as `%(branch)s`";
    const SHAPE: Shape = Shape::Template;

    fn read(node: &Node) -> Result<Self, Misread> {
        no_secret(node, node.as_text()?)?;
        text_with_secrets(node)
    }
}

/// A text that is given to a command, or shown with the names of its secrets.
pub(crate) fn text_with_secrets(node: &Node) -> Result<Text, Misread> {
    let text = node.as_text()?;
    Text::parse(text).map_err(|error| node.misread(text, error.at, error.what))
}

/// A variable's value; `null` in JSON and `false` in TOML remove the variable.
impl Value for Option<Text> {
    const EXPECTED: &'static str = Text::EXPECTED;
    const SHAPE: Shape = Shape::OrNone(&Shape::Template);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Null | Content::Bool(false) => Ok(None),
            _ => text_with_secrets(node).map(Some),
        }
    }
}

/// A command as a file says it, with property references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandText {
    /// A list: a program and its arguments.
    Argv(Vec<Text>),
    /// A text: a line for the shell.
    Script(Text),
}

impl CommandText {
    /// Fills in the properties. Of secrets it has the names, and may be shown.
    pub(crate) fn render(&self, properties: &Properties) -> Result<ShellLine, RenderError> {
        Ok(self.render_with_holes(properties)?.0)
    }

    /// As [`CommandText::render`], and where the values of secrets go.
    pub(crate) fn render_with_holes(
        &self,
        properties: &Properties,
    ) -> Result<(ShellLine, Vec<SecretHole>), RenderError> {
        let hole = |within: &HoleIn, (at, secret)| SecretHole {
            within: within.clone(),
            at,
            secret,
        };
        match self {
            Self::Argv(all) => {
                let mut words = Vec::new();
                let mut holes = Vec::new();
                for (place, text) in all.iter().enumerate() {
                    let (word, found) = text.render_with_holes(properties)?;
                    let within = HoleIn::Word(place);
                    holes.extend(found.into_iter().map(|it| hole(&within, it)));
                    words.push(word);
                }
                Ok((ShellLine::Argv(words), holes))
            }
            Self::Script(line) => {
                let (script, found) = line.render_with_holes(properties)?;
                let within = HoleIn::Script;
                let holes = found.into_iter().map(|it| hole(&within, it)).collect();
                Ok((ShellLine::Script(script), holes))
            }
        }
    }
}

impl Value for CommandText {
    const EXPECTED: &'static str = "a command line, or a list such as `[\"make\", \"check\"]`";
    const SHAPE: Shape = Shape::Command;

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            // `[ -f x ] && make` is a shell line that only looks like a list.
            Content::Text(text) if text.starts_with('[') && text.ends_with(']') => {
                match words::json(node, text) {
                    Ok(list) => Self::read(&list),
                    Err(misread) if text[1..].trim_start().starts_with('"') => Err(misread),
                    Err(_) => text_with_secrets(node).map(Self::Script),
                }
            }
            Content::Text(text) if text.is_empty() => Err(Misread::default()),
            Content::Text(_) => text_with_secrets(node).map(Self::Script),
            Content::List(all) if all.is_empty() => Err(Misread::default()),
            Content::List(all) => {
                let mut argv = Vec::new();
                for item in all.iter() {
                    text_item(item)?;
                    argv.push(text_with_secrets(item)?);
                }
                Ok(Self::Argv(argv))
            }
            _ => Err(Misread::default()),
        }
    }
}

/// A regular expression that is equal to another of the same text.
#[derive(Clone)]
pub(crate) struct Pattern(pub(crate) regex::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.0.as_str())
    }
}

/// Patterns that are remembered: the steps of a large farm say the same few.
const MOST_PATTERNS: usize = 64;

thread_local! {
    static PATTERNS: RefCell<HashMap<String, regex::Regex>> = RefCell::default();
}

fn compiled(text: &str) -> Result<regex::Regex, regex::Error> {
    PATTERNS.with_borrow_mut(|known| {
        if let Some(it) = known.get(text) {
            return Ok(it.clone());
        }
        let it = regex::Regex::new(text)?;
        if known.len() >= MOST_PATTERNS {
            known.clear();
        }
        known.insert(text.to_owned(), it.clone());
        Ok(it)
    })
}

impl Value for Pattern {
    const EXPECTED: &'static str = "a regular expression";
    const SHAPE: Shape = Shape::Pattern;

    fn read(node: &Node) -> Result<Self, Misread> {
        compiled(node.as_text()?).map(Self).map_err(|error| {
            // The last line of several says what is wrong; the rest draws the pattern.
            let what = error.to_string();
            let what = what.lines().last().unwrap_or_default();
            let what = what.trim_start_matches("error: ");
            Misread {
                what: Some(format!("expected a regular expression: {what}")),
                ..Misread::default()
            }
        })
    }
}

/// TOML as it is; in INI a text, unless it begins like a JSON list or map.
impl Value for Json {
    const EXPECTED: &'static str = "a text, or JSON";
    const SHAPE: Shape = Shape::Json;

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(match &node.content {
            Content::Text(text) if text.starts_with(['{', '[']) => {
                serde_json::from_str(text).unwrap_or_else(|_| Self::from(text.as_str()))
            }
            Content::Text(text) => Self::from(text.as_str()),
            Content::Int(it) => Self::from(*it),
            Content::Float(it) => Self::from(*it),
            Content::Bool(it) => Self::from(*it),
            Content::Null => Self::Null,
            Content::Edited(_) => Self::from(Vec::<String>::read(node)?),
            Content::List(all) => all.iter().map(Self::read).collect::<Result<_, _>>()?,
            Content::Table(all) => {
                let mut map = serde_json::Map::new();
                for entry in all {
                    map.insert(entry.key.clone(), Self::read(&entry.value)?);
                }
                Self::Object(map)
            }
        })
    }
}

/// Relative to the directory of the file; `~` is the home directory.
impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";
    const SHAPE: Shape = Shape::Path;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        if text.is_empty() || text.contains('\0') {
            return Err(Misread::default());
        }
        let home = text
            .strip_prefix('~')
            .filter(|it| it.is_empty() || it.starts_with('/'));
        if let Some(rest) = home {
            let Some(home) = std::env::home_dir() else {
                return Err(Misread {
                    what: Some("`~` stands for a home directory, and there is none".into()),
                    ..Misread::default()
                });
            };
            return Ok(home.join(rest.trim_start_matches('/')));
        }
        Ok(node.place.source.dir.join(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Keys;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::ini;
    use crate::syntax::toml;

    /// What `text` is as a value of INI: its `Debug` form, or the problem with the excerpt.
    fn check<T: Value + fmt::Debug>(text: &str) -> String {
        let source = Source::new("m.ini", "/base", format!("[a]\nk = {text}"));
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        shown::<T>(Keys::of(&tree.sections[0], &mut problems))
            .unwrap_or_else(|| complaint(&problems))
    }

    fn check_toml<T: Value + fmt::Debug>(text: &str) -> String {
        let source = Source::new("m.toml", "/base", format!("k = {text}"));
        let mut problems = Problems::default();
        let tree = toml::tree(&source, &mut problems);
        shown::<T>(Keys::of(&tree.sections[0], &mut problems))
            .unwrap_or_else(|| complaint(&problems))
    }

    fn shown<T: Value + fmt::Debug>(mut keys: Keys<'_>) -> Option<String> {
        keys.required::<T>("k").map(|it| format!("{it:?}"))
    }

    fn complaint(problems: &Problems) -> String {
        let problem = &problems.0[0];
        let place = problem.place.as_ref().expect("a place");
        let label = problem.label.as_deref().unwrap_or_default();
        format!("{} @ {}", label, place.text())
    }

    #[test]
    fn truth_is_said_in_eight_ways() {
        for text in ["yes", "true", "on", "1", "Yes"] {
            assert_eq!(check::<bool>(text), "true");
        }
        for text in ["no", "false", "off", "0"] {
            assert_eq!(check::<bool>(text), "false");
        }
        assert_eq!(check::<bool>("maybe"), "expected `yes` or `no` @ maybe");
        assert_eq!(check_toml::<bool>("true"), "true");
    }

    #[test]
    fn numbers_are_whole_and_within_their_bounds() {
        assert_eq!(check::<i64>("-3"), "-3");
        assert_eq!(check::<i64>("3.5"), "expected a whole number @ 3.5");
        let expected = "expected a whole number from 0 to 4294967295 @ -1";
        assert_eq!(check::<u32>("-1"), expected);
        assert_eq!(check::<u64>("7"), "7");
        assert_eq!(check::<f64>("0.5"), "0.5");
        assert_eq!(check::<f64>("inf"), "expected a number @ inf");
    }

    #[test]
    fn durations_have_units() {
        for (text, expected) in [
            ("90", "90s"),
            ("90s", "90s"),
            ("5m", "300s"),
            ("1h30m", "5400s"),
            ("1h 30m", "5400s"),
            ("2d", "172800s"),
            ("1w", "604800s"),
            ("1.5", "1.5s"),
            ("250ms", "250ms"),
            ("0", "0ns"),
        ] {
            assert_eq!(check::<Duration>(text), expected, "{text}");
        }
        for text in [
            "x", "5 apples", "1m1h", "1m1m", "5m30", "-1", "1e99", "..", "none",
        ] {
            let expected = format!("expected a duration such as `90s` or `5m` @ {text}");
            assert_eq!(check::<Duration>(text), expected);
        }
        assert_eq!(
            check::<Duration>("99999999d"),
            "expected at most 36500 days @ 99999999d"
        );
        assert_eq!(check::<Option<Duration>>("none"), "None");
        assert_eq!(check::<Option<Duration>>("3s"), "Some(3s)");
        assert_eq!(check_toml::<Duration>("90"), "90s");
    }

    #[test]
    fn sizes_count_bytes() {}

    #[test]
    fn a_port_may_have_an_address() {
        assert_eq!(check::<SocketAddr>("8010"), "0.0.0.0:8010");
        assert_eq!(check::<SocketAddr>("127.0.0.1:8010"), "127.0.0.1:8010");
        assert_eq!(check::<SocketAddr>("localhost:0"), "127.0.0.1:0");
        assert_eq!(check::<SocketAddr>("[::1]:8010"), "[::1]:8010");
        assert_eq!(check::<Option<SocketAddr>>("none"), "None");
        assert_eq!(check::<Option<SocketAddr>>(""), "None");
        let expected = "expected a port such as `8010` or `127.0.0.1:8010` @ 99999";
        assert_eq!(check::<SocketAddr>("99999"), expected);
        assert!(check::<SocketAddr>("0").starts_with("expected a port"));
        assert!(check::<SocketAddr>("web").starts_with("expected a port"));
    }

    #[test]
    fn a_list_is_words_or_json() {
        assert_eq!(check::<Vec<String>>("a 'b c'\n  d"), r#"["a", "b c", "d"]"#);
        assert_eq!(check::<Vec<String>>(r#"["a b", "c"]"#), r#"["a b", "c"]"#);
        assert_eq!(
            check_toml::<Vec<String>>(r#"["a b", "c"]"#),
            r#"["a b", "c"]"#
        );
        assert_eq!(
            check::<Vec<String>>("a 'b c"),
            "this `'` is not closed @ 'b c"
        );
        assert_eq!(
            check_toml::<Vec<String>>("[1]"),
            "expected a list of texts @ 1"
        );
        assert!(check::<Vec<String>>(r#"["a",]"#).starts_with("not JSON: trailing comma @ "));
    }

    #[test]
    fn a_text_with_a_stray_percent_points_at_it() {
        assert_eq!(check::<String>("50% # x"), "\"50% # x\"");
        let expected = "a `%` here starts no property reference; write `%%` for a percent sign @ %";
        assert_eq!(check::<Text>("one\n  50% of"), expected);
        let expected = "a property reference ends in `)s`, as in `%(branch)s` @ %(b)";
        assert_eq!(check_toml::<Text>(r#""tab \t %(b)d""#), expected);
    }

    #[test]
    fn a_command_is_a_line_or_a_list() {
        let rendered = |text: &str| {
            let source = Source::new("m.ini", "/base", format!("[a]\nk = {text}"));
            let mut problems = Problems::default();
            let tree = ini::read(&source, &mut problems);
            let command = Keys::of(&tree.sections[0], &mut problems).required::<CommandText>("k");
            let mut properties = Properties::new();
            properties.set("p", "v", "test");
            command.expect(text).render(&properties).expect(text)
        };
        assert_eq!(rendered("make %(p)s"), ShellLine::Script("make v".into()));
        assert_eq!(rendered("[ -f x ]"), ShellLine::Script("[ -f x ]".into()));
        let argv = ShellLine::Argv(vec!["make".into(), "v".into()]);
        assert_eq!(rendered(r#"["make", "%(p)s"]"#), argv);
        assert!(check::<CommandText>(r#"["make" "x"]"#).starts_with("not JSON: "));
        assert!(check::<CommandText>("[]").starts_with("expected a command line"));
        assert!(check::<CommandText>("").starts_with("expected a command line"));
        assert_eq!(
            check_toml::<CommandText>("[\"a\", 1]"),
            "expected a list of texts @ 1"
        );
    }

    #[test]
    fn patterns_paths_and_json_read_as_what_they_are() {
        assert_eq!(check::<Pattern>("a+"), "Pattern(\"a+\")");
        let expected = "expected a regular expression: unclosed group @ a(";
        assert_eq!(check::<Pattern>("a("), expected);
        assert_eq!(check::<PathBuf>("x/y"), "\"/base/x/y\"");
        assert_eq!(check::<PathBuf>("/x"), "\"/x\"");
        assert_eq!(check::<PathBuf>(""), "expected a path @ ");
        assert_eq!(check::<Json>("5"), "String(\"5\")");
        assert_eq!(check_toml::<Json>("5"), "Number(5)");
        assert_eq!(check::<Json>("[1]"), "Array [Number(1)]");
        assert_eq!(check::<Json>("[x"), "String(\"[x\")");
        assert_eq!(check_toml::<Option<Text>>("false"), "None");
    }
}
