//! An expression as minijinja is to compute it: what compares and calculates
//! becomes calls of our own functions, which know versions and limits, and
//! numbers lose their units. Every byte remembers where it came from.

use std::ops::Range;

use super::parts;
use super::parts::Part;
use super::parts::Rank;
use super::parts::Role;
use super::units;

/// A text for minijinja and its origin.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Where a piece stands here, where it stood, and its length.
    pieces: Vec<(usize, usize, usize)>,
}

impl Rewritten {
    /// The bytes of the expression that the bytes `at` of the text came from.
    pub(super) fn origin(&self, at: &Range<usize>) -> Option<Range<usize>> {
        let mut found: Option<Range<usize>> = None;
        for (here, there, length) in &self.pieces {
            let start = at.start.max(*here);
            let end = at.end.min(here + length);
            if start < end {
                let (start, end) = (there + (start - here), there + (end - here));
                found = Some(found.map_or(start, |it| it.start)..end);
            }
        }
        found
    }

    fn copy(&mut self, source: &str, at: Range<usize>) {
        let length = at.len();
        self.replace(&source[at.clone()], at.start, length);
    }

    /// Writes `text` for what stood at `there`; only `length` bytes of it point there.
    fn replace(&mut self, text: &str, there: usize, length: usize) {
        self.text.push(' ');
        self.pieces
            .push((self.text.len(), there, length.min(text.len())));
        self.text.push_str(text);
    }
}

/// Rewrites an expression that was checked and that minijinja can read. Names that `is_called`
/// stand for their `name` where nothing stands behind them.
pub(super) fn rewrite(source: &str, all: &[Part], is_called: &dyn Fn(&str) -> bool) -> Rewritten {
    let mut writer = Writer {
        source,
        is_called,
        out: Rewritten::default(),
    };
    writer.expression(all);
    writer.out
}

/// From the weakest rank to the strongest.
const RANKS: [Rank; 4] = [Rank::Compare, Rank::Add, Rank::Concat, Rank::Multiply];

struct Writer<'a> {
    source: &'a str,
    is_called: &'a dyn Fn(&str) -> bool,
    out: Rewritten,
}

impl Writer<'_> {
    /// What stands between brackets: runs of values and operators, and what delimits them.
    fn expression(&mut self, parts: &[Part]) {
        let mut start = 0;
        let mut at = 0;
        while at < parts.len() {
            if parts[at].role == Role::Open {
                at = parts::closing(parts, at) + 1;
                continue;
            }
            if self.is_delimiter(parts, at) {
                self.run(&parts[start..at], &RANKS);
                self.verbatim(&parts[at]);
                start = at + 1;
            }
            at += 1;
        }
        self.run(&parts[start..], &RANKS);
    }

    fn is_delimiter(&self, parts: &[Part], at: usize) -> bool {
        match parts[at].role {
            Role::Joiner => true,
            Role::Not => {
                let behind_is = at > 0 && parts[at - 1].role == Role::Is;
                let before_in = parts
                    .get(at + 1)
                    .is_some_and(|it| it.role == Role::Operator(Rank::Compare));
                !behind_is && !before_in
            }
            Role::Sign => matches!(parts[at].text(self.source), "," | ":"),
            _ => false,
        }
    }

    /// Values and operators of these ranks.
    fn run(&mut self, parts: &[Part], ranks: &[Rank]) {
        let [rank, stronger @ ..] = ranks else {
            return self.value(parts);
        };
        let operators = operators(parts, *rank);
        if operators.is_empty() {
            return self.run(parts, stronger);
        }
        self.out.text.push_str(match rank {
            Rank::Compare => " __compared(",
            _ => " __computed(",
        });
        let mut start = 0;
        for at in operators {
            let is_denied = at > 0 && parts[at - 1].role == Role::Not;
            self.run(&parts[start..at - usize::from(is_denied)], stronger);
            let word = parts[at].text(self.source);
            self.out.text.push_str(", '");
            self.out
                .text
                .push_str(if is_denied { "not in" } else { word });
            self.out.text.push_str("',");
            start = at + 1;
        }
        self.run(&parts[start..], stronger);
        self.out.text.push(')');
    }

    /// One value with its brackets, filters and tests.
    fn value(&mut self, parts: &[Part]) {
        let mut at = 0;
        while let Some(part) = parts.get(at) {
            if self.stands_for_its_name(part, parts.get(at + 1)) {
                let text = format!("{}.name", part.text(self.source));
                self.out.replace(&text, part.at.start, part.at.len());
            } else {
                self.verbatim(part);
            }
            if part.role == Role::Open {
                let close = parts::closing(parts, at);
                self.expression(&parts[at + 1..close]);
                if let Some(close) = parts.get(close) {
                    self.verbatim(close);
                }
                at = close.min(parts.len() - 1);
            }
            at += 1;
        }
    }

    fn stands_for_its_name(&self, part: &Part, after: Option<&Part>) -> bool {
        let goes_on = after.is_some_and(|it| matches!(it.text(self.source), "." | "["));
        part.role == Role::Name && !goes_on && (self.is_called)(part.text(self.source))
    }

    fn verbatim(&mut self, part: &Part) {
        let text = part.text(self.source);
        let replaced = match part.role {
            Role::Number => units::number(text).unwrap_or_else(|_| text.to_owned()),
            // A property may have the name of a function.
            Role::Function => format!("__{text}"),
            _ => return self.out.copy(self.source, part.at.clone()),
        };
        self.out.replace(&replaced, part.at.start, part.at.len());
    }
}

/// The operators of a rank outside of brackets.
fn operators(parts: &[Part], rank: Rank) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        match parts[at].role {
            Role::Open => at = parts::closing(parts, at),
            Role::Operator(it) if it == rank => found.push(at),
            _ => {}
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> Rewritten {
        rewrite(source, &parts::of(source), &|it| it == "user")
    }

    #[test]
    fn comparisons_and_calculations_become_calls() {
        let show = |source: &str| rewritten(source).text;
        insta::assert_snapshot!(
            [
                "a == 'x' and not b in c",
                "a >= '3.12' or not (b - 1 < -c * 2)",
                "1 < a + b ~ c <= 3",
                "45m * f + 10m if x is containing 'a' else max(1, [2 * 3][0])",
                "a not in b != c",
                "-1 ** 2 ** 3",
                "user in team.x or user.name == b.user and [user | upper][0] != user['email']",
            ]
            .map(show)
            .join("\n"),
            @"
        __compared( a, '==', 'x') and not __compared( b, 'in', c)
        __compared( a, '>=', '3.12') or not ( __compared( __computed( b, '-', 1), '<', __computed( - c, '*', 2)) )
        __compared( 1, '<', __computed( a, '+', __computed( b, '~', c)), '<=', 3)
        __computed( __computed( 2700, '*', f), '+', 600) if x is containing 'a' else __max ( 1 , [ __computed( 2, '*', 3) ] [ 0 ] )
        __compared( a, 'not in', b, '!=', c)
        - 1 ** 2 ** 3
        __compared( user.name, 'in', team . x) or __compared( user . name, '==', b . user) and __compared( [ user.name | upper ] [ 0 ], '!=', user [ 'email' ])
        "
        );
    }

    #[test]
    fn bytes_of_the_rewritten_text_lead_back() {
        let source = "x < 45m * (a + bc)";
        let rewritten = rewritten(source);
        let check = |part: &str, expected: &str| {
            let start = rewritten.text.find(part).expect(part);
            let at = rewritten.origin(&(start..start + part.len()));
            assert_eq!(at.map(|it| &source[it]), Some(expected), "{part}");
        };
        check("__compared( x, '<', __computed( 2700", "x < 45m");
        check("a, '+', bc", "a + bc");
        check("bc", "bc");
        check("2700", "45m");
    }
}
