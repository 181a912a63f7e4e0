//! What a person is asked for who forces a build: a question with a type, and
//! whether an answer is one. Pages draw it, the command line and scripts
//! answer it; whoever answers, the rules are the same.

use serde_json::Value as Json;
use serde_json::json;

use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Op;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::WholePattern;
use crate::syntax::json as read_json;
use crate::syntax::plain;

/// What is asked, and what may be answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    pub(crate) kind: Kind,
    /// What stands beside it; its name if there is nothing better.
    pub(crate) label: Option<String>,
    /// A sentence under it.
    pub(crate) help: Option<String>,
    /// What is answered if nobody does, as a person would type it.
    pub(crate) default: Vec<String>,
    pub(crate) required: bool,
    /// A text must fit it from its start to its end.
    pub(crate) regex: Option<WholePattern>,
}

/// The type of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A line.
    String,
    /// Several lines.
    Text,
    /// What a person is called: a line.
    Username,
    Int {
        min: Option<i64>,
        max: Option<i64>,
    },
    Bool,
    Choice {
        choices: Vec<String>,
        /// Any number of them.
        multiple: bool,
    },
    /// Nobody is asked: it is the default.
    Fixed,
}

/// A question as a page draws it.
pub(crate) struct Asking<'a> {
    /// The word for its type.
    pub(crate) kind: &'static str,
    pub(crate) label: Option<&'a str>,
    pub(crate) help: Option<&'a str>,
    pub(crate) default: &'a [String],
    pub(crate) required: bool,
    pub(crate) choices: &'a [String],
    pub(crate) multiple: bool,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
}

/// The words for types, and Buildbot's classes.
const TYPES: [(&str, &[&str]); 7] = [
    ("string", &["string_parameter"]),
    ("text", &["text_parameter"]),
    ("username", &["user_name_parameter"]),
    ("int", &["int_parameter"]),
    ("bool", &["boolean_parameter", "boolean"]),
    ("choice", &["choice_string_parameter"]),
    ("fixed", &["fixed_parameter"]),
];

/// Longer lines are nobody's.
const LONGEST_LINE: usize = 4096;
const LONGEST_NAME: usize = 128;

/// The options of a question, by which `parameter.NAME.OPTION` is known from a name with a dot.
const OPTIONS: [&str; 10] = [
    "type", "label", "help", "default", "required", "choices", "regex", "multiple", "min", "max",
];

/// The word for a type.
struct Word(&'static str);

impl Value for Word {
    const EXPECTED: &'static str =
        "`string`, `text`, `username`, `int`, `bool`, `choice` or `fixed`";
    const SHAPE: Shape = Shape::Word(&[
        "string", "text", "username", "int", "bool", "choice", "fixed",
    ]);

    fn read(node: &Node) -> Result<Self, Misread> {
        let word = plain(node.as_text()?);
        let is_it = |(name, others): &&(&str, &[&str])| {
            *name == word || others.iter().any(|it| plain(it) == word)
        };
        let found = TYPES.iter().find(is_it);
        found
            .map(|(name, _)| Self(name))
            .ok_or_else(Misread::default)
    }
}

/// A question of a section before it is read: its name, where it stands, and its options.
struct Raw {
    name: String,
    place: Place,
    entries: Vec<Entry>,
}

impl Question {
    /// Reads `KEY.NAME = TYPE`, `KEY.NAME.OPTION = …` and `KEY.NAME = {…}`, in the order of the
    /// file.
    pub(super) fn read_all(keys: &mut Keys<'_>, key: &str) -> Option<Vec<(String, Self)>> {
        let mut raw: Vec<Raw> = Vec::new();
        let mut is_good = true;
        for (name, (place, node)) in keys.placed_map::<Node>(key)? {
            let option = name
                .rsplit_once('.')
                .filter(|(_, option)| OPTIONS.iter().any(|it| plain(it) == plain(option)));
            let (name, entries) = match option {
                Some((name, option)) => (name.to_owned(), vec![entry(option, node)]),
                None => match table(&node) {
                    Ok(entries) => (name, entries),
                    Err(misread) => {
                        complain(keys, &format!("{key}.{name}"), &place, misread);
                        is_good = false;
                        continue;
                    }
                },
            };
            match raw.iter_mut().find(|it| it.name == name) {
                Some(known) => known.entries.extend(entries),
                None => raw.push(Raw {
                    name,
                    place,
                    entries,
                }),
            }
        }
        raw.sort_by(|a, b| {
            let at = |it: &Raw| (it.place.source.name.clone(), it.place.offset());
            at(a).cmp(&at(b))
        });
        let mut all = Vec::new();
        for it in &raw {
            let title = format!("`{key}.{}`", it.name);
            if it.name.is_empty() || it.name.contains(char::is_control) {
                let what = format!("{title} has no usable name");
                keys.note(Problem::error(Code::BadName, what).at(&it.place));
                is_good = false;
                continue;
            }
            match Self::read(&mut keys.within(&title, &it.place, &it.entries)) {
                Some(question) => all.push((it.name.clone(), question)),
                None => is_good = false,
            }
        }
        is_good.then_some(all)
    }

    /// Reads `KEY.OPTION = …` and `KEY = {…}`; `None` inside if the section does not say.
    pub(super) fn read_one(keys: &mut Keys<'_>, key: &str) -> Option<Option<Self>> {
        let options = keys.placed_map::<Node>(key)?;
        let Some((place, _)) = options.values().next().cloned() else {
            return Some(None);
        };
        let entries: Vec<_> = options
            .into_iter()
            .map(|(option, (_, node))| entry(&option, node))
            .collect();
        let title = format!("`{key}`");
        let question = Self::read(&mut keys.within(&title, &place, &entries))?;
        let is_a_line = matches!(
            question.kind,
            Kind::String
                | Kind::Fixed
                | Kind::Choice {
                    multiple: false,
                    ..
                }
        );
        if !is_a_line {
            let what = format!("bad value for `type` in {title}");
            let problem = Problem::error(Code::BadValue, what).at(&place);
            keys.note(problem.label("expected `string`, `choice` of one, or `fixed`"));
            return None;
        }
        Some(Some(question))
    }

    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let word = keys.or("type", Word("string"));
        let label = keys.optional::<String>("label");
        let help = keys.optional::<String>("help");
        let required = keys.or("required", false);
        let regex = keys.optional::<WholePattern>("regex");
        let choices = keys.optional::<Vec<String>>("choices");
        let multiple = keys.or("multiple", false);
        let min = keys.optional::<i64>("min");
        let max = keys.optional::<i64>("max");
        let (word, multiple) = (word?.0, multiple?);
        let default = default(keys, word, multiple);
        keys_left(keys);
        for (option, types) in [
            ("regex", &["string", "text", "username"][..]),
            ("choices", &["choice"]),
            ("multiple", &["choice"]),
            ("min", &["int"]),
            ("max", &["int"]),
            ("required", &["string", "text", "username", "int", "choice"]),
        ] {
            if !types.contains(&word) {
                keys.without_effect(option, &format!("a question of type `{word}` has none"));
            }
        }
        let kind = match word {
            "text" => Kind::Text,
            "username" => Kind::Username,
            "int" => {
                let (min, max) = (min?, max?);
                if min.zip(max).is_some_and(|(min, max)| min > max) {
                    keys.wrong("max", "this is less than `min`");
                    return None;
                }
                Kind::Int { min, max }
            }
            "bool" => Kind::Bool,
            "choice" => {
                let choices = choices?.unwrap_or_default();
                if choices.is_empty() || choices.iter().any(String::is_empty) {
                    keys.wrong("choices", "expected what there is to choose from");
                    return None;
                }
                Kind::Choice { choices, multiple }
            }
            "fixed" => Kind::Fixed,
            _ => Kind::String,
        };
        let question = Self {
            kind,
            label: label?,
            help: help?,
            default: default?,
            required: required?,
            regex: regex?,
        };
        if question.kind == Kind::Fixed && question.default.is_empty() {
            keys.wrong("default", "expected what it always is");
            return None;
        }
        let said: Vec<&str> = question.default.iter().map(String::as_str).collect();
        if !said.is_empty()
            && let Err(why) = question.answer(&said)
        {
            keys.wrong("default", why);
            return None;
        }
        Some(question)
    }

    /// What an answer is worth; `None` if there is none and none is needed. `said` is what was
    /// sent under its name, in order; nothing if it was not asked at all.
    ///
    /// # Errors
    /// It is no answer, and why: such as `expected a whole number`.
    pub(crate) fn answer(&self, said: &[&str]) -> Result<Option<Json>, String> {
        let default: Vec<&str> = self.default.iter().map(String::as_str).collect();
        let said = match said {
            [] => default.as_slice(),
            said => said,
        };
        let Some(last) = said.last() else {
            return match &self.kind {
                Kind::Bool => Ok(Some(json!(false))),
                _ if self.required => Err("an answer is needed".into()),
                _ => Ok(None),
            };
        };
        match &self.kind {
            Kind::Fixed => match default == said {
                true => Ok(Some(json!(last))),
                false => Err(format!("it is always `{}`", self.default.join(" "))),
            },
            Kind::String => self.line(last.trim(), LONGEST_LINE),
            Kind::Username => self.line(last.trim(), LONGEST_NAME),
            Kind::Text => self.text(&last.replace("\r\n", "\n")),
            Kind::Int { min, max } => self.number(last.trim(), *min, *max),
            Kind::Bool => match last.trim().to_lowercase().as_str() {
                "yes" | "true" | "on" | "1" => Ok(Some(json!(true))),
                "" | "no" | "false" | "off" | "0" => Ok(Some(json!(false))),
                _ => Err("expected `yes` or `no`".into()),
            },
            Kind::Choice { choices, multiple } => self.choice(said, choices, *multiple),
        }
    }

    /// Whether it says by itself what may be answered: then nobody else has to.
    pub(crate) const fn is_closed(&self) -> bool {
        !matches!(self.kind, Kind::String) || self.regex.is_some()
    }

    /// What a page needs to draw it.
    pub(crate) fn asked(&self) -> Asking<'_> {
        let (mut choices, mut is_multiple, mut range): (&[String], _, _) =
            (&[], false, (None, None));
        let kind = match &self.kind {
            Kind::String => "string",
            Kind::Text => "text",
            Kind::Username => "username",
            Kind::Int { min, max } => {
                range = (*min, *max);
                "int"
            }
            Kind::Bool => "bool",
            Kind::Choice {
                choices: all,
                multiple,
            } => {
                (choices, is_multiple) = (all, *multiple);
                "choice"
            }
            Kind::Fixed => "fixed",
        };
        Asking {
            kind,
            label: self.label.as_deref(),
            help: self.help.as_deref(),
            default: &self.default,
            required: self.required,
            choices,
            multiple: is_multiple,
            min: range.0,
            max: range.1,
        }
    }

    fn line(&self, text: &str, longest: usize) -> Result<Option<Json>, String> {
        if text.contains(char::is_control) {
            return Err("expected one line".into());
        }
        if text.len() > longest {
            return Err(format!("expected at most {longest} bytes"));
        }
        self.fitting(text)
    }

    fn text(&self, text: &str) -> Result<Option<Json>, String> {
        let is_bad = |it: char| it.is_control() && it != '\n' && it != '\t';
        match text.contains(is_bad) {
            true => Err("expected a text without control characters".into()),
            false => self.fitting(text),
        }
    }

    fn fitting(&self, text: &str) -> Result<Option<Json>, String> {
        if text.is_empty() && self.required {
            return Err("an answer is needed".into());
        }
        match &self.regex {
            Some(regex) if !regex.lets_in(text) => Err(format!(
                "expected what fits `{}` from start to end",
                regex.as_str()
            )),
            _ => Ok(Some(json!(text))),
        }
    }

    fn number(
        &self,
        text: &str,
        min: Option<i64>,
        max: Option<i64>,
    ) -> Result<Option<Json>, String> {
        if text.is_empty() {
            return match self.required {
                true => Err("an answer is needed".into()),
                false => Ok(None),
            };
        }
        let range = match (min, max) {
            (Some(min), Some(max)) => format!("expected a whole number from {min} to {max}"),
            (Some(min), None) => format!("expected a whole number from {min}"),
            (None, Some(max)) => format!("expected a whole number up to {max}"),
            (None, None) => "expected a whole number".to_owned(),
        };
        let is_in = |it: &i64| min.is_none_or(|min| *it >= min) && max.is_none_or(|max| *it <= max);
        let number = text.parse::<i64>().ok().filter(is_in);
        number.map(|it| Some(json!(it))).ok_or(range)
    }

    fn choice(
        &self,
        said: &[&str],
        choices: &[String],
        multiple: bool,
    ) -> Result<Option<Json>, String> {
        let said = said.iter().filter(|it| !it.is_empty());
        let said: Vec<&str> = said.copied().collect();
        if let Some(strange) = said
            .iter()
            .find(|it| !choices.iter().any(|choice| choice == **it))
        {
            let choices: Vec<_> = choices.iter().map(|it| format!("`{it}`")).collect();
            let strange: String = strange.escape_debug().take(100).collect();
            return Err(format!(
                "expected one of {}, not `{strange}`",
                choices.join(", ")
            ));
        }
        if said.is_empty() && self.required {
            return Err("an answer is needed".into());
        }
        if multiple {
            let chosen = choices.iter().filter(|it| said.contains(&it.as_str()));
            return Ok(Some(json!(chosen.collect::<Vec<_>>())));
        }
        match said.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(json!(one))),
            _ => Err("expected one of them".into()),
        }
    }
}

/// Reads what is answered if nobody does, as a person would type it.
fn default(keys: &mut Keys<'_>, word: &str, multiple: bool) -> Option<Vec<String>> {
    Some(match word {
        "int" => {
            let number = keys.optional::<i64>("default")?;
            number.map(|it| it.to_string()).into_iter().collect()
        }
        "bool" => {
            let flag = keys.optional::<bool>("default")?;
            let word = |it| if it { "yes" } else { "no" };
            flag.map(|it| word(it).to_owned()).into_iter().collect()
        }
        "choice" if multiple => keys.or("default", Vec::<String>::new())?,
        _ => keys.optional::<String>("default")?.into_iter().collect(),
    })
}

/// Notes the options that no question has.
fn keys_left(keys: &mut Keys<'_>) {
    let asked = keys.asked();
    for entry in keys.rest() {
        let what = format!("unknown key `{}` in {}", entry.key, keys.title());
        let problem = Problem::error(Code::UnknownKey, what).at(&entry.key_place);
        let names = asked.iter().map(|it| it.name.as_str());
        let problem = problem.did_you_mean(&entry.key, names);
        keys.note(match problem.label {
            None => problem.help(format!(
                "the options of a question are `{}`",
                OPTIONS.join("`, `")
            )),
            Some(_) => problem,
        });
    }
}

fn entry(key: &str, value: Node) -> Entry {
    Entry {
        key: key.to_owned(),
        key_place: value.place.clone(),
        op: Op::Set,
        value,
    }
}

/// The options of a question: a map, or its type alone.
fn table(node: &Node) -> Result<Vec<Entry>, Misread> {
    match &node.content {
        Content::Table(entries) => Ok(entries.clone()),
        Content::Text(text) if text.starts_with('{') => match read_json(node, text)?.content {
            Content::Table(entries) => Ok(entries),
            _ => Err(Misread::default()),
        },
        Content::Text(_) => Ok(vec![entry("type", node.clone())]),
        _ => Err(Misread::default()),
    }
}

fn complain(keys: &mut Keys<'_>, name: &str, place: &Place, misread: Misread) {
    let what = format!("bad value for `{name}` in {}", keys.title());
    let problem = Problem::error(misread.code.unwrap_or(Code::BadValue), what);
    let place = misread.place.as_ref().unwrap_or(place);
    let expected = "expected a type such as `choice`, or a map such as `{\"type\": \"int\"}`";
    keys.note(
        problem
            .at(place)
            .label(misread.what.unwrap_or_else(|| expected.into())),
    );
}

#[cfg(test)]
#[path = "question_tests.rs"]
mod tests;
