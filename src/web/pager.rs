//! Ways to the next and the last part of a long list.

use serde::Serialize;

use super::builder;
use super::choice;
use super::failure::Failure;

/// Which part of a list is shown, and the arguments of the parts beside it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pager {
    first: usize,
    last: usize,
    of: usize,
    back: Option<String>,
    on: Option<String>,
}

/// How many an address leaves out at the top.
pub(super) fn skip(query: &choice::Query) -> Result<usize, Failure> {
    let asked = builder::number(query, "skip")?.unwrap_or(0);
    Ok(usize::try_from(asked).unwrap_or(0))
}

impl Pager {
    pub(super) fn new(query: &choice::Query, skip: usize, page: usize, of: usize) -> Self {
        let at = |skip: usize| match skip {
            0 => choice::written(query, &["skip"]),
            _ => choice::with(query, "skip", &skip.to_string(), &[]),
        };
        let skip = skip.min(of);
        let last = skip.saturating_add(page).min(of);
        Self {
            first: (skip + 1).min(of),
            last,
            of,
            back: (skip > 0).then(|| at(skip.saturating_sub(page))),
            on: (last < of).then(|| at(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_list_leads_to_those_beside_it() {
        let query = vec![
            ("q".to_owned(), "a b".to_owned()),
            ("skip".into(), "x".into()),
        ];
        let check = |skip, expected: (usize, usize, Option<&str>, Option<&str>)| {
            let it = Pager::new(&query, skip, 10, 25);
            let told = (it.first, it.last, it.back.as_deref(), it.on.as_deref());
            assert_eq!(told, expected, "{skip}");
        };
        check(0, (1, 10, None, Some("q=a%20b&skip=10")));
        check(10, (11, 20, Some("q=a%20b"), Some("q=a%20b&skip=20")));
        check(20, (21, 25, Some("q=a%20b&skip=10"), None));
        check(999, (25, 25, Some("q=a%20b&skip=15"), None));
        let none = Pager::new(&query, 0, 10, 0);
        assert_eq!(
            (none.first, none.last, none.on, none.back),
            (0, 0, None, None)
        );
    }
}
