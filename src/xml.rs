//! XML as programs print it, told element by element. Entities of the
//! document's own are refused, so nothing can grow, and so is what nests too deep.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::BytesStart;
use quick_xml::events::Event;

/// No program that is asked here nests as deep.
const DEEPEST: usize = 32;

/// What stands next in a document.
pub(crate) enum Part<'a> {
    Open(&'a Tag<'a>),
    /// An element ends; the text is its own, without that of elements in it.
    Close {
        name: &'a str,
        text: &'a str,
    },
}

/// The beginning of an element.
pub(crate) struct Tag<'a>(BytesStart<'a>);

impl Tag<'_> {
    pub(crate) fn name(&self) -> &str {
        let name = self.0.name().into_inner();
        // The borrow is the tag's, not the iterator's.
        &self.0[..name.len()]
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let found = self.0.try_get_attribute(name).ok()??;
        let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?;
        Some(value.into_owned())
    }
}

/// A document that is none, or not one that is taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the XML that was asked for: {0}")]
pub(crate) struct XmlError(String);

/// Shows every element of the document in order.
pub(crate) fn walk(text: &str, mut see: impl FnMut(Part<'_>)) -> Result<(), XmlError> {
    let refuse = |what: &str| Err(XmlError(what.to_owned()));
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut has_begun = false;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| XmlError(error.to_string()))?;
        match event {
            Event::Start(tag) => {
                if open.len() >= DEEPEST || (has_begun && open.is_empty()) {
                    return refuse("its elements are not nested as they should be");
                }
                has_begun = true;
                see(Part::Open(&Tag(tag)));
                open.push(String::new());
            }
            Event::Empty(tag) => {
                if has_begun && open.is_empty() {
                    return refuse("it has more than one element");
                }
                has_begun = true;
                let tag = Tag(tag);
                see(Part::Open(&tag));
                let name = tag.name();
                see(Part::Close { name, text: "" });
            }
            Event::End(tag) => {
                let text = open.pop().unwrap_or_default();
                let name = tag.name().into_inner();
                see(Part::Close { name, text: &text });
            }
            Event::Text(text) => push(&mut open, text.xml10_content()),
            Event::CData(text) => push(&mut open, text.xml10_content()),
            Event::GeneralRef(reference) => {
                let known = reference.resolve_char_ref();
                let known = known.map_err(|error| XmlError(error.to_string()))?;
                match (known, resolve_predefined_entity(&reference)) {
                    (Some(char), _) => push(&mut open, char.to_string().into()),
                    (None, Some(text)) => push(&mut open, text.into()),
                    (None, None) => return refuse("it has entities of its own"),
                }
            }
            Event::DocType(_) => return refuse("it has a document type"),
            Event::Eof if has_begun && open.is_empty() => return Ok(()),
            Event::Eof => return refuse("it ends too early"),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn push(open: &mut [String], text: Cow<'_, str>) {
    if let Some(element) = open.last_mut() {
        element.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let mut told = String::new();
        let walked = walk(text, |part| match part {
            Part::Open(tag) => {
                let value = tag.attribute("a").map(|it| format!(" {it}"));
                told.push_str(&format!("<{}{}>", tag.name(), value.unwrap_or_default()));
            }
            Part::Close { name, text } => told.push_str(&format!("{text}</{name}>")),
        });
        match walked {
            Ok(()) => told,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn elements_have_their_text_and_their_attributes() {
        let text = "<?xml version=\"1.0\"?>\n<x><y  a=\"1 &lt; 2\">ü &amp; &#233;<![CDATA[<z>]]></y><w a='q'/></x>\n";
        assert_eq!(check(text), "<x><y 1 < 2>ü & é<z></y><w q></w></x>");
    }

    #[test]
    fn hostile_documents_are_refused() {
        for text in [
            "",
            "text",
            "<x>",
            "<x></y>",
            "<x/><y></y>",
            "<x>&me;</x>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
            "<x>&#0;</x>",
            &"<x>".repeat(100_000),
        ] {
            let said = check(text);
            assert!(
                said.starts_with("not the XML that was asked for: "),
                "{said}"
            );
        }
    }
}
