//! Texts over what a build is of: `src-%(repository | hash(8))s`. They are
//! computed when the build begins, and stay what they are while it runs.

use super::ExprError;
use super::Expression;
use super::Values;
use super::names::STAMP;
use super::tokens;
use crate::model::SourceStamp;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// A text with expressions between `%(` and `)s`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StampText(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Plain(String),
    Expression(Expression),
}

impl StampText {
    /// The text itself, without anything to be computed.
    pub(crate) fn plain(text: &str) -> Self {
        Self(vec![Part::Plain(text.to_owned())])
    }

    /// What it is for every build, if it depends on nothing.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Plain(text)] => Some(text),
            _ => None,
        }
    }

    /// What it is for a build of this stamp.
    pub(crate) fn over(&self, stamp: &SourceStamp) -> Result<String, ExprError> {
        let values = Values::new()
            .with("branch", stamp.branch.clone())
            .with("revision", stamp.revision.clone())
            .with("repository", stamp.repository.as_str())
            .with("project", stamp.project.as_str());
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(text) => out.push_str(text),
                Part::Expression(it) => out.push_str(&it.text(&values)?),
            }
        }
        Ok(out)
    }
}

impl Value for StampText {
    const EXPECTED: &'static str = "a text such as `build` or `src-%(repository | hash(8))s`";
    const SHAPE: Shape = Shape::Text;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find('%') {
            let start = at + found;
            plain.push_str(&text[at..start]);
            let rest = &text[start + 1..];
            if rest.starts_with('%') {
                plain.push('%');
                at = start + 2;
                continue;
            }
            let inside = rest.strip_prefix('(').ok_or_else(|| {
                let what = "a `%` here starts no `%(…)s`; write `%%` for a percent sign";
                node.misread(text, start..start + 1, what.to_owned())
            })?;
            let length = tokens::until_reference_closed(inside).ok_or_else(|| {
                let what = "this `%(` is not closed by `)s`".to_owned();
                node.misread(text, start..start + 2, what)
            })?;
            let expression = Expression::compile(&inside[..length], &STAMP)
                .map_err(|error| error.moved(start + 2, length).in_node(node, text))?;
            if !plain.is_empty() {
                parts.push(Part::Plain(std::mem::take(&mut plain)));
            }
            parts.push(Part::Expression(expression));
            at = start + 2 + length + 2;
        }
        plain.push_str(&text[at..]);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Plain(plain));
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Content;
    use crate::syntax::Place;
    use crate::syntax::Source;

    fn read(text: &str) -> Result<StampText, Misread> {
        let source = Source::new("master.ini", "/", text);
        StampText::read(&Node {
            place: Place::new(&source, 0..text.len()),
            content: Content::Text(text.to_owned()),
        })
    }

    #[test]
    fn a_text_is_computed_over_the_stamp() {
        let stamp = SourceStamp {
            branch: Some("main".into()),
            repository: "https://example.org/hello.git".into(),
            ..SourceStamp::default()
        };
        let check = |text: &str, expected: &str| {
            let read = read(text).expect(text);
            assert_eq!(read.over(&stamp).as_deref(), Ok(expected), "{text}");
        };
        check("build", "build");
        check("100%%", "100%");
        check("%(branch)s-%(revision)s", "main-");
        check("src-%(repository | hash(8))s", "src-309602f4");
        check("%('a)s' if (branch == 'main') else 'b')s", "a)s");
        assert_eq!(read("build").expect("a text").as_plain(), Some("build"));
        assert_eq!(read("%(branch)s").expect("a text").as_plain(), None);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let check = |text: &str, expected: &str| {
            let misread = read(text).expect_err(text);
            assert_eq!(misread.what.as_deref(), Some(expected), "{text}");
        };
        check(
            "50% of",
            "a `%` here starts no `%(…)s`; write `%%` for a percent sign",
        );
        check("a %(branch", "this `%(` is not closed by `)s`");
        check("%(branch)d", "this `%(` is not closed by `)s`");
        check(
            "%(brnch)s",
            "there is no name `brnch`; did you mean `branch`?",
        );
        check(
            "%(branch | hsh)s",
            "there is no filter `hsh`; did you mean `hash`?",
        );
    }
}
