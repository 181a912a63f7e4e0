//! JUnit's XML, one document after another, as many programs write it into files.

use std::mem;

use crate::model::TestEnd;

use super::Found;
use super::Reader;

/// Reads on from line to line: no document is in memory as a whole, and one that is
/// none is read as far as it goes.
#[derive(Default)]
pub(super) struct Junit {
    place: Place,
    /// The element that is being read, without its `<`.
    tag: String,
    /// The quotation mark that an attribute is in.
    quote: Option<char>,
    test: Option<Test>,
    /// Whether text belongs to what is told of the test.
    is_told: bool,
}

/// What the text is part of.
#[derive(Default, PartialEq)]
enum Place {
    #[default]
    Text,
    Tag,
    Cdata,
    Comment,
}

struct Test {
    name: String,
    end: TestEnd,
    story: String,
}

/// A longer element is read as far as this.
const LONGEST_TAG: usize = 64 << 10;

impl Junit {
    fn close(&mut self, found: &mut Found) {
        self.is_told = false;
        if let Some(it) = self.test.take() {
            found.add_as(&it.name, it.end, "", it.story.trim_matches('\n'));
        }
    }

    fn text(&mut self, text: &str, is_markup: bool) {
        if !self.is_told || text.is_empty() {
            return;
        }
        if let Some(test) = &mut self.test
            && test.story.len() < super::LONGEST_STORY
        {
            match is_markup {
                true => test.story.push_str(&plain(text)),
                false => test.story.push_str(text),
            }
        }
    }

    /// Takes in an element: its name, its attributes, and whether it ends there.
    fn element(&mut self, found: &mut Found) {
        let tag = mem::take(&mut self.tag);
        let (tag, is_empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag.as_str(), false),
        };
        let name_ends = tag.find(char::is_whitespace).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(name_ends);
        match (name, &mut self.test) {
            ("testcase", _) => {
                self.close(found);
                let class = attribute(attributes, "classname").unwrap_or_default();
                let test = attribute(attributes, "name").unwrap_or_default();
                let name = match (class.is_empty(), test.is_empty()) {
                    (false, false) => format!("{class}.{test}"),
                    _ => class + &test,
                };
                self.test = Some(Test {
                    name,
                    end: TestEnd::Success,
                    story: String::new(),
                });
                if is_empty {
                    self.close(found);
                }
            }
            ("failure" | "error" | "skipped", Some(test)) => {
                let end = match name {
                    "failure" => TestEnd::Failure,
                    "error" => TestEnd::Error,
                    _ => TestEnd::Skipped,
                };
                test.end = test.end.min(end);
                if let Some(message) = attribute(attributes, "message") {
                    super::push(&mut test.story, &message);
                }
                self.is_told = !is_empty;
            }
            ("/failure" | "/error" | "/skipped", _) => self.is_told = false,
            ("/testcase", _) => self.close(found),
            _ => {}
        }
    }
}

impl Reader for Junit {
    fn see(&mut self, line: &str, found: &mut Found) {
        let mut rest = line;
        loop {
            match self.place {
                Place::Text => {
                    let Some((text, behind)) = rest.split_once('<') else {
                        self.text(rest, true);
                        break;
                    };
                    self.text(text, true);
                    if let Some(inside) = behind.strip_prefix("![CDATA[") {
                        (self.place, rest) = (Place::Cdata, inside);
                    } else if let Some(inside) = behind.strip_prefix("!--") {
                        (self.place, rest) = (Place::Comment, inside);
                    } else {
                        (self.place, rest) = (Place::Tag, behind);
                        (self.tag, self.quote) = (String::new(), None);
                    }
                }
                Place::Tag => {
                    let mut ends = None;
                    for (at, it) in rest.char_indices() {
                        match (self.quote, it) {
                            (Some(quote), _) if quote == it => self.quote = None,
                            (Some(_), _) => {}
                            (None, '"' | '\'') => self.quote = Some(it),
                            (None, '>') => {
                                ends = Some(at);
                                break;
                            }
                            // It was no element.
                            (None, '<') => {
                                ends = Some(at);
                                self.tag.clear();
                                break;
                            }
                            (None, _) => {}
                        }
                    }
                    let piece = &rest[..ends.unwrap_or(rest.len())];
                    if self.tag.len() < LONGEST_TAG {
                        let room = piece.floor_char_boundary(LONGEST_TAG - self.tag.len());
                        self.tag.push_str(&piece[..room]);
                    }
                    let Some(at) = ends else {
                        self.tag.push('\n');
                        return;
                    };
                    self.place = Place::Text;
                    if let Some(behind) = rest[at..].strip_prefix('>') {
                        self.element(found);
                        rest = behind;
                    } else {
                        rest = &rest[at..];
                    }
                }
                Place::Cdata | Place::Comment => {
                    let is_told = self.place == Place::Cdata;
                    let end = if is_told { "]]>" } else { "-->" };
                    let (text, behind) = match rest.split_once(end) {
                        Some((text, behind)) => (text, Some(behind)),
                        None => (rest, None),
                    };
                    if is_told {
                        self.text(text, false);
                    }
                    let Some(behind) = behind else { break };
                    (self.place, rest) = (Place::Text, behind);
                }
            }
        }
        self.text("\n", false);
    }

    fn end(&mut self, found: &mut Found) {
        self.close(found);
    }
}

/// The value of an attribute, among those of an element.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        let (key, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let quote = behind
            .chars()
            .next()
            .filter(|it| ['"', '\''].contains(it))?;
        let (value, behind) = behind[1..].split_once(quote)?;
        if key.trim() == name {
            return Some(plain(value));
        }
        rest = behind;
    }
}

/// The text without its entities.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        let entity = behind.split_once(';').filter(|it| it.0.len() < 10);
        let found = entity.and_then(|(name, behind)| Some((character(name)?, behind)));
        match found {
            Some((it, behind)) => {
                plain.push(it);
                rest = behind;
            }
            None => {
                plain.push('&');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::told;
    use super::*;

    #[test]
    fn tests_are_named_by_class_and_name_and_tell_what_went_wrong() {
        let said = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="HelloTest" tests="3" skipped="1" failures="1" errors="0">
  <testcase classname="org.HelloTest" name="bad" time="0"><failure message="1 &lt;&gt; 2" type="x">at <![CDATA[ <testcase/>
    there ]]>&amp; here</failure><system-out><![CDATA[<testcase/>]]></system-out></testcase><testcase name="good > bad"/>
  <testcase
     classname='a'
     name="later"><skipped/></testcase>
  <!-- <testcase name="of
       <testcase/> a comment"/> -->
  <testcase classname="only"><error/><failure/></testcase>
</testsuite>
<testsuites><testcase name="é&#233;&#xe9;&bogus;&#x110000;"><error message='m'>
one

two
</error>"#;
        assert_eq!(
            told(&mut Junit::default(), said),
            [
                "org.HelloTest.bad: failure: 1 <> 2|at  <testcase/>|    there & here",
                "good > bad: success",
                "a.later: skipped",
                "only: error",
                "ééé&bogus;&#x110000;: error: m||one||two",
            ]
        );
    }
}
