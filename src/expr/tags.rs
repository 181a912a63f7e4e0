//! Selection by tags: `stable and not refleak`. The bare words are tags.

use std::ops::Range;

use super::ExprError;
use super::Kind;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Tags joined by `and`, `or`, `not` and brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagExpression {
    text: String,
    root: Term,
    /// Every tag that it names, and where.
    named: Vec<(String, Range<usize>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Tag(String),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// Words of one selection, and brackets and `not`s within each other.
const LONGEST: usize = 500;
const DEEPEST: usize = 50;

impl TagExpression {
    pub(crate) fn parse(text: &str) -> Result<Self, ExprError> {
        let words = words(text)?;
        if words.is_empty() {
            return Err(ExprError::bad("there is no tag"));
        }
        if words.len() > LONGEST {
            return Err(ExprError::bad("this selection is too long"));
        }
        let mut reader = Reader {
            words: &words,
            end: text.len(),
            depth: 0,
            named: Vec::new(),
        };
        let root = reader.any()?;
        if let Some((word, at)) = reader.words.first() {
            let what = match word {
                Word::Close => "this `)` closes nothing".into(),
                _ => "`and` or `or` is missing before this".to_owned(),
            };
            return Err(ExprError::bad(what).at(at.clone()));
        }
        Ok(Self {
            text: text.to_owned(),
            root,
            named: reader.named,
        })
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether something with these tags is selected.
    pub(crate) fn matches<S: AsRef<str>>(&self, tags: &[S]) -> bool {
        self.root
            .holds(&|tag| tags.iter().any(|it| it.as_ref() == tag))
    }

    /// The tags that it names and that nothing has, with their places.
    pub(crate) fn unknown<S: AsRef<str>>(&self, known: &[S]) -> Vec<(&str, Range<usize>)> {
        let is_known = |tag: &str| known.iter().any(|it| it.as_ref() == tag);
        self.named
            .iter()
            .filter(|(tag, _)| !is_known(tag))
            .map(|(tag, at)| (tag.as_str(), at.clone()))
            .collect()
    }
}

impl Value for TagExpression {
    const EXPECTED: &'static str = "tags such as `stable and not refleak`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        Self::parse(text).map_err(|error| error.in_node(node, text))
    }
}

impl Term {
    fn holds(&self, has: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Tag(tag) => has(tag),
            Self::Not(term) => !term.holds(has),
            Self::All(terms) => terms.iter().all(|it| it.holds(has)),
            Self::Any(terms) => terms.iter().any(|it| it.holds(has)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Tag(String),
    And,
    Or,
    Not,
    Open,
    Close,
}

fn words(text: &str) -> Result<Vec<(Word, Range<usize>)>, ExprError> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let is_tag = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.');
        let (word, length) = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '(' => (Word::Open, 1),
            ')' => (Word::Close, 1),
            '\'' | '"' => {
                let Some(end) = rest[1..].find(first) else {
                    let what = format!("this `{first}` is not closed");
                    return Err(ExprError::bad(what).at(at..at + 1));
                };
                (Word::Tag(rest[1..=end].to_owned()), end + 2)
            }
            _ if is_tag(first) => {
                let end = rest.find(|it| !is_tag(it)).unwrap_or(rest.len());
                let word = match &rest[..end] {
                    "and" => Word::And,
                    "or" => Word::Or,
                    "not" => Word::Not,
                    tag => Word::Tag(tag.to_owned()),
                };
                (word, end)
            }
            _ => {
                let end = at + first.len_utf8();
                let instead = match first {
                    '&' => "write `and`".into(),
                    '|' | ',' => "write `or`".into(),
                    '!' => "write `not`".into(),
                    _ => format!("a tag with `{}` is quoted: `'…'`", first.escape_debug()),
                };
                return Err(ExprError::bad(instead).at(at..end));
            }
        };
        words.push((word, at..at + length));
        at += length;
    }
    Ok(words)
}

struct Reader<'a> {
    words: &'a [(Word, Range<usize>)],
    end: usize,
    depth: usize,
    named: Vec<(String, Range<usize>)>,
}

impl Reader<'_> {
    fn takes(&mut self, word: &Word) -> bool {
        match self.words {
            [(first, _), rest @ ..] if first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    fn any(&mut self) -> Result<Term, ExprError> {
        let mut terms = vec![self.all()?];
        while self.takes(&Word::Or) {
            terms.push(self.all()?);
        }
        Ok(Term::Any(terms))
    }

    fn all(&mut self) -> Result<Term, ExprError> {
        let mut terms = vec![self.one()?];
        while self.takes(&Word::And) {
            terms.push(self.one()?);
        }
        Ok(Term::All(terms))
    }

    fn one(&mut self) -> Result<Term, ExprError> {
        let [(word, at), rest @ ..] = self.words else {
            let what = "a tag is missing at the end";
            return Err(ExprError::bad(what).at(self.end..self.end));
        };
        self.depth += 1;
        if self.depth > DEEPEST {
            let what = format!("this is nested more than {DEEPEST} deep");
            return Err(ExprError::bad(what).at(at.clone()));
        }
        self.words = rest;
        let term = match word {
            Word::Tag(tag) => {
                self.named.push((tag.clone(), at.clone()));
                Term::Tag(tag.clone())
            }
            Word::Not => Term::Not(Box::new(self.one()?)),
            Word::Open => {
                let inner = self.any()?;
                if !self.takes(&Word::Close) {
                    return Err(ExprError::bad("this `(` is not closed").at(at.clone()));
                }
                inner
            }
            Word::And | Word::Or | Word::Close => {
                return Err(ExprError::bad("a tag is missing before this").at(at.clone()));
            }
        };
        self.depth -= 1;
        Ok(term)
    }
}

impl ExprError {
    /// For a tag that nothing has.
    pub(crate) fn unknown_tag(tag: &str, at: Range<usize>, known: &[&str]) -> Self {
        let what = format!("nothing has the tag `{}`", tag.escape_debug());
        Self {
            what: super::vocabulary::unknown(&what, tag, known),
            at: Some(at),
            kind: Kind::UnknownName,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_selected() {
        let check = |text: &str, tags: &[&str], expected: bool| {
            let selection = TagExpression::parse(text).expect(text);
            assert_eq!(selection.matches(tags), expected, "{text} over {tags:?}");
        };
        check("stable", &["stable"], true);
        check("stable", &["unstable"], false);
        check("stable and not refleak", &["stable", "x"], true);
        check("stable and not refleak", &["stable", "refleak"], false);
        check("a or b and c", &["a"], true);
        check("(a or b) and c", &["a"], false);
        check("not not a", &["a"], true);
        check("not a or b", &["a", "b"], true);
        check("3.x and x86-64 and 'a b'", &["3.x", "x86-64", "a b"], true);
        check("\"and\" and notable", &["and", "notable"], true);
        check("a\n  or\n  b", &["b"], true);
    }

    #[test]
    fn tags_that_nothing_has_are_listed_with_their_places() {
        let text = "stable and not (reflek or 'x y')";
        let selection = TagExpression::parse(text).expect(text);
        let unknown = selection.unknown(&["stable", "refleak"]);
        let shown: Vec<_> = unknown
            .into_iter()
            .map(|(tag, at)| (tag, &text[at]))
            .collect();
        assert_eq!(shown, [("reflek", "reflek"), ("x y", "'x y'")]);
        let error = ExprError::unknown_tag("reflek", 16..22, &["stable", "refleak"]);
        assert_eq!(
            error.what,
            "nothing has the tag `reflek`; did you mean `refleak`?"
        );
    }

    #[test]
    fn a_selection_that_cannot_be_read_says_where() {
        let texts = [
            "", "a b", "a and", "and a", "a && b", "a, b", "!a", "(a", "a)", "'a", "a or )", "a/b",
        ];
        let say = |text: &str| {
            let error = TagExpression::parse(text).expect_err(text);
            let at = error.at.clone().unwrap_or(0..0);
            format!("{text}: {error} @ {}", &text[at])
        };
        insta::assert_snapshot!(texts.map(say).join("\n"), @"
        : there is no tag @ 
        a b: `and` or `or` is missing before this @ b
        a and: a tag is missing at the end @ 
        and a: a tag is missing before this @ and
        a && b: write `and` @ &
        a, b: write `or` @ ,
        !a: write `not` @ !
        (a: this `(` is not closed @ (
        a): this `)` closes nothing @ )
        'a: this `'` is not closed @ '
        a or ): a tag is missing before this @ )
        a/b: a tag with `/` is quoted: `'…'` @ /
        ");
        assert!(TagExpression::parse(&"not ".repeat(51)).is_err());
        assert!(TagExpression::parse(&"(".repeat(400)).is_err());
        assert!(TagExpression::parse(&"a or ".repeat(400)).is_err());
    }
}
