//! Texts of several lines with conditions and loops: the subject and the body
//! of a message. They are checked when they are loaded and filled in when
//! there is something to say.

use std::ops::Range;

use super::ExprError;
use super::Kind;
use super::room;
use super::tokens;
use super::tokens::Token;
use super::vocabulary;
use super::vocabulary::FILTERS;
use super::vocabulary::TESTS;

/// Statements that a template may use: none that reads another file.
const STATEMENTS: &[&str] = &["if", "elif", "else", "endif", "for", "endfor", "set"];

/// A longer text is no message.
const LONGEST: usize = 64 * 1024;

/// Words of one block: compiling is recursive.
const LONGEST_BLOCK: usize = 500;

/// Conditions and loops within each other: compiling is recursive.
const DEEPEST: usize = 20;

/// A checked template: `{{ name }}`, `{% if … %}`, `{% for … %}`, `{# … #}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(String);

impl Template {
    /// Checks a template that may ask for `names`.
    pub(crate) fn parse(text: &str, names: &[&str]) -> Result<Self, ExprError> {
        if text.len() > LONGEST {
            return Err(ExprError {
                what: "this template is longer than 64 KiB".into(),
                at: None,
                kind: Kind::BadExpression,
            });
        }
        check_blocks(text)?;
        let mut unknown: Vec<_> = room::template_names(text)?
            .into_iter()
            .filter(|it| !names.contains(&it.as_str()))
            .collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            return Err(ExprError {
                what: vocabulary::unknown(&format!("there is no name `{name}`"), name, names),
                at: find_in_blocks(text, name),
                kind: Kind::UnknownName,
            });
        }
        Ok(Self(text.to_owned()))
    }
}

/// What stands between braces: a statement, or else an expression.
struct Block {
    is_statement: bool,
    at: Range<usize>,
}

/// Finds every block; one that is not closed is an error.
fn blocks(text: &str) -> Result<Vec<Block>, ExprError> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('{') {
        let open = at + found;
        let inside = open + 2;
        let unclosed = |close: &str| ExprError {
            what: format!("this `{}` is not closed by `{close}`", &text[open..inside]),
            at: Some(open..inside),
            kind: Kind::BadExpression,
        };
        let (length, is_statement) = match text.as_bytes().get(open + 1) {
            Some(b'{') => {
                let length = tokens::until_closed(&text[inside..]);
                (length.ok_or_else(|| unclosed("}}"))?, false)
            }
            Some(b'%') => {
                let length = tokens::until_statement_closed(&text[inside..]);
                (length.ok_or_else(|| unclosed("%}"))?, true)
            }
            Some(b'#') => {
                let length = text[inside..].find("#}").ok_or_else(|| unclosed("#}"))?;
                at = inside + length + 2;
                continue;
            }
            _ => {
                at = open + 1;
                continue;
            }
        };
        all.push(Block {
            is_statement,
            at: inside..inside + length,
        });
        at = inside + length + 2;
    }
    Ok(all)
}

/// Finds what minijinja would notice only when the text is filled in.
fn check_blocks(text: &str) -> Result<(), ExprError> {
    let mut depth = 0_usize;
    for block in blocks(text)? {
        check_block(text, &block)?;
        let inside = text[block.at.clone()].trim_start_matches(['-', '+']);
        match inside.split_whitespace().next() {
            Some("if" | "for") if block.is_statement => depth += 1,
            Some("endif" | "endfor") if block.is_statement => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(ExprError {
                what: format!("more than {DEEPEST} statements within each other"),
                at: Some(block.at),
                kind: Kind::BadExpression,
            });
        }
    }
    Ok(())
}

fn check_block(text: &str, block: &Block) -> Result<(), ExprError> {
    let inside = &text[block.at.clone()];
    let all = tokens::of(inside);
    if all.len() > LONGEST_BLOCK {
        return Err(ExprError {
            what: "this expression is too long".into(),
            at: Some(block.at.clone()),
            kind: Kind::BadExpression,
        });
    }
    let word = |index: Option<usize>| {
        index
            .and_then(|it| all.get(it))
            .map_or("", |(_, at)| &inside[at.clone()])
    };
    // `{%-` takes away the white space before it.
    let first = usize::from(matches!(word(Some(0)), "-" | "+"));
    for (index, (token, at)) in all.iter().enumerate() {
        let error = |what: String| {
            Err(ExprError {
                what,
                at: Some(block.at.start + at.start..block.at.start + at.end),
                kind: Kind::BadExpression,
            })
        };
        let name = &inside[at.clone()];
        if block.is_statement && index == first {
            if !STATEMENTS.contains(&name) {
                return error(vocabulary::unknown(
                    &format!("there is no statement `{name}`"),
                    name,
                    STATEMENTS,
                ));
            }
            continue;
        }
        if *token != Token::Name {
            continue;
        }
        let before = word(index.checked_sub(1));
        let is_test = before == "is" && name != "not"
            || before == "not" && word(index.checked_sub(2)) == "is";
        if before == "|" {
            if let Err(what) = vocabulary::check("filter", FILTERS, name) {
                return error(what);
            }
        } else if is_test {
            if let Err(what) = vocabulary::check("test", TESTS, name) {
                return error(what);
            }
        } else if word(index.checked_add(1)) == "(" && !tokens::is_keyword(name) {
            return error(vocabulary::no_function(name));
        }
    }
    Ok(())
}

fn find_in_blocks(text: &str, name: &str) -> Option<Range<usize>> {
    let all = blocks(text).ok()?;
    all.into_iter().find_map(|block| {
        let found = tokens::find_name(&text[block.at.clone()], name)?;
        Some(block.at.start + found.start..block.at.start + found.end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["builder", "result", "changes"];

    #[test]
    fn a_template_may_have_conditions_loops_and_comments() {
        for text in [
            "",
            "no braces: { } %( 100 %",
            "{{ builder | upper }} {{ result }}",
            "{%- if result == 'success' and changes is defined -%}well{%- else %}{# why? #}{% endif %}",
            "{% for it in changes %}{{ loop.index }} {{ it.who }}: {{ '}} %}' }}{% endfor %}",
            "{% set count = changes | length %}{{ count }}",
        ] {
            Template::parse(text, NAMES).expect(text);
        }
    }

    #[test]
    fn a_template_that_cannot_be_filled_in_says_where() {
        let check = |text: &str, what: &str, at: &str| {
            let error = Template::parse(text, NAMES).expect_err(text);
            let pointed = error.at.clone().unwrap_or(0..0);
            assert_eq!((error.what.as_str(), &text[pointed]), (what, at), "{text}");
        };
        let known = "there is no name `bulder`; did you mean `builder`?";
        check("é {{ bulder }}", known, "bulder");
        check("a {{ b", "this `{{` is not closed by `}}`", "{{");
        check("a {% if b", "this `{%` is not closed by `%}`", "{%");
        check("{# b", "this `{#` is not closed by `#}`", "{#");
        check(
            "{{ builder | uper }}",
            "there is no filter `uper`; did you mean `upper`?",
            "uper",
        );
        check(
            "{% include 'x' %}",
            "there is no statement `include`; there are `if`, `elif`, `else`, `endif`, `for`, `endfor`, `set`",
            "include",
        );
        let known = "there is no function `range`; there are `max`, `min`";
        check("{{ range(9) }}", known, "range");
        let long = "x".repeat(LONGEST + 1);
        Template::parse(&long, NAMES).expect_err("too long");
        let deep = "{% if builder %}".repeat(30_000);
        Template::parse(&deep, NAMES).expect_err("too long");
        let deep = "{% if builder %}".repeat(1000);
        let deep = Template::parse(&deep, NAMES).expect_err("too deep");
        assert_eq!(deep.what, "more than 20 statements within each other");
        let long = format!("{{{{ {}1 }}}}", "(".repeat(9000));
        Template::parse(&long, NAMES).expect_err("too long");
        let unclosed = Template::parse("{% if builder %}", NAMES).expect_err("no endif");
        assert!(unclosed.what.contains("unexpected end"), "{unclosed}");
    }

    #[test]
    fn arbitrary_text_never_panics() {
        let pieces = [
            "{{", "}}", "{%", "%}", "{#", "#}", "'", "if ", "for ", "é", "{", "%", "-", "a",
        ];
        let mut seed = 1_u32;
        for _ in 0..5000 {
            let mut text = String::new();
            for _ in 0..10 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
            }
            if let Err(error) = Template::parse(&text, NAMES)
                && let Some(at) = error.at
            {
                assert!(text.get(at).is_some(), "{text}");
            }
        }
    }
}
