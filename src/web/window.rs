//! A part of a long list of builders: pages with a column or a box for each show so many at a
//! time, and lead to the others.

use serde::Serialize;

use super::builder;
use super::choice;
use super::failure::Failure;

/// Which part is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    skip: usize,
    most: usize,
}

/// Where the other parts are; arguments of the same address.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(super) struct Ways {
    first: usize,
    last: usize,
    all: usize,
    before: Option<String>,
    after: Option<String>,
}

impl Window {
    pub(super) fn new(query: &choice::Query, most: usize) -> Result<Self, Failure> {
        let skip = builder::number(query, "skip")?.unwrap_or(0);
        Ok(Self {
            skip: usize::try_from(skip).unwrap_or(0),
            most,
        })
    }

    /// Leaves the part in `all`; says where the others are, if there are any.
    pub(super) fn cut<T>(self, all: &mut Vec<T>, query: &choice::Query) -> Option<Ways> {
        let count = all.len();
        // Who asks for what is behind the end sees the end.
        let skip = self.skip.min(count.saturating_sub(1));
        let last = (skip + self.most).min(count);
        *all = all.drain(skip..last).collect();
        let way = |skip: usize| {
            let others = choice::written(query, &["skip"]);
            match others.as_str() {
                "" => format!("skip={skip}"),
                others => format!("{others}&skip={skip}"),
            }
        };
        (all.len() < count).then(|| Ways {
            first: skip + 1,
            last,
            all: count,
            before: (skip > 0).then(|| way(skip.saturating_sub(self.most))),
            after: (last < count).then(|| way(last)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(skip: &str, count: u32) -> (Vec<u32>, Option<Ways>) {
        let query = vec![("a".into(), "<".into()), ("skip".into(), skip.into())];
        let mut all: Vec<u32> = (1..=count).collect();
        let ways = Window::new(&query, 3)
            .expect("a number")
            .cut(&mut all, &query);
        (all, ways)
    }

    #[test]
    fn a_long_list_is_shown_in_parts_that_lead_to_each_other() {
        let (all, ways) = cut("3", 8);
        let ways = ways.expect("there is more");
        assert_eq!(all, [4, 5, 6]);
        assert_eq!((ways.first, ways.last, ways.all), (4, 6, 8));
        assert_eq!(ways.before.as_deref(), Some("a=%3C&skip=0"));
        assert_eq!(ways.after.as_deref(), Some("a=%3C&skip=6"));
        let (all, ways) = cut("6", 8);
        assert_eq!(all, [7, 8]);
        assert_eq!(ways.expect("more").after, None);
    }

    #[test]
    fn a_short_list_is_shown_whole_and_nothing_is_behind_the_end() {
        assert_eq!(cut("0", 3), (vec![1, 2, 3], None));
        assert_eq!(cut("0", 0), (vec![], None));
        assert_eq!(cut("99", 5).0, [5]);
        assert_eq!(cut("-4", 5).0, [1, 2, 3]);
    }
}
