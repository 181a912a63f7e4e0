//! What the arguments of the address ask the waterfall for.

use crate::config::WebPlan;
use crate::model::Timestamp;

use super::super::builder;
use super::super::choice;
use super::super::choice::Query;
use super::super::failure::Failure;
use super::strips::Bounds;

/// Strips unless `num_events` says otherwise, and the most it may say.
const STRIPS: i64 = 200;
const MOST_STRIPS: i64 = 1000;

/// A page ends with the strip that has so many boxes above it: the next one goes on there.
const BOXES: usize = 300;
/// The same for who asks for a number of strips.
const MOST_BOXES: usize = 3000;

/// Builders of a page.
pub(super) const COLUMNS: usize = 40;

/// How far back it is looked for branches or people where the address does not say.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What is shown of the past.
pub(super) struct Wanted {
    builders: Vec<String>,
    categories: Vec<String>,
    /// `trunk` means the default branch.
    branches: Vec<String>,
    committers: Vec<String>,
    pub(super) failures_only: bool,
    pub(super) show_events: bool,
    /// How many builders are left out before the first column.
    pub(super) skip: usize,
    pub(super) bounds: Bounds,
}

impl Wanted {
    pub(super) fn new(query: &Query, web: &WebPlan, now: Timestamp) -> Result<Self, Failure> {
        let branches = choice::all(query, &["branch"]);
        let committers = choice::all(query, &["committer"]);
        let last = time(query, "last_time")?.unwrap_or(now);
        let back = |ms: i64| Timestamp(last.0.saturating_sub(ms));
        let first = match time(query, "show_time")? {
            Some(length) => Some(back(length.0)),
            None => time(query, "first_time")?,
        };
        let is_search = !branches.is_empty() || !committers.is_empty();
        let usual = web.num_events.map_or(STRIPS, i64::from);
        let most = web.num_events_max.map_or(MOST_STRIPS.max(usual), i64::from);
        let asked = builder::number(query, "num_events")?;
        let strips = asked.unwrap_or(usual).clamp(1, most);
        let from = builder::number(query, "from")?.unwrap_or(1).max(1);
        Ok(Self {
            builders: choice::all(query, &["builder", "show"]),
            categories: choice::all(query, &["category"]),
            branches,
            committers,
            failures_only: says_true(query, "failures_only"),
            show_events: says_true(query, "show_events"),
            skip: usize::try_from(from - 1).unwrap_or(usize::MAX),
            bounds: Bounds {
                now,
                last,
                first: first.or_else(|| is_search.then(|| back(DAY_MS))),
                strips: usize::try_from(strips).expect("at least one"),
                boxes: if asked.is_some() { MOST_BOXES } else { BOXES },
                merge: builder::number(query, "nobubble")?.is_none_or(|it| it == 0),
            },
        })
    }

    pub(super) fn takes_builder(&self, name: &str, category: Option<&str>) -> bool {
        let named = self.builders.is_empty() || self.builders.iter().any(|it| it == name);
        named && self.takes_category(category)
    }

    pub(super) fn takes_category(&self, category: Option<&str>) -> bool {
        self.categories.is_empty()
            || self
                .categories
                .iter()
                .any(|it| Some(it.as_str()) == category)
    }

    pub(super) fn takes_branch(&self, branch: Option<&str>) -> bool {
        self.branches.is_empty() || self.branches.iter().any(|it| choice::is_branch(it, branch))
    }

    /// Whether only what some people did is shown.
    pub(super) fn asks_for_people(&self) -> bool {
        !self.committers.is_empty()
    }

    pub(super) fn takes_author(&self, author: &str) -> bool {
        self.committers.is_empty() || self.committers.iter().any(|it| it == author)
    }

    /// Whether the page begins further back than now.
    pub(super) fn looks_back(&self) -> bool {
        self.bounds.last < self.bounds.now
    }
}

pub(super) fn says_true(query: &Query, name: &str) -> bool {
    let mut values = query.iter().filter(|(it, _)| it == name);
    values.any(|(_, value)| value.eq_ignore_ascii_case("true"))
}

/// Seconds, with a fraction if need be: a moment or a length.
fn time(query: &Query, name: &str) -> Result<Option<Timestamp>, Failure> {
    let Some((_, value)) = query.iter().find(|(it, _)| it == name) else {
        return Ok(None);
    };
    let wrong = || Failure::BadRequest(format!("`{name}` should be seconds, not `{value}`"));
    let secs: f64 = value.trim().parse().map_err(|_| wrong())?;
    // Far beyond every clock, and still a number that can be reckoned with.
    if !secs.is_finite() || secs.abs() > 1e12 {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was looked at")]
    let ms = (secs * 1000.0).round() as i64;
    Ok(Some(Timestamp(ms)))
}

/// A moment as the arguments say it.
pub(super) fn seconds(at: Timestamp) -> String {
    match at.0.rem_euclid(1000) {
        0 => (at.0 / 1000).to_string(),
        ms => format!("{}.{ms:03}", at.0.div_euclid(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_325_500_000_000);

    fn wanted(query: &str) -> Wanted {
        read(query).unwrap_or_else(|_| panic!("{query}"))
    }

    fn read(query: &str) -> Result<Wanted, Failure> {
        let web = WebPlan {
            num_events_max: Some(500),
            ..WebPlan::default()
        };
        let pairs = query.split('&').filter_map(|it| it.split_once('='));
        let query = pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        Wanted::new(&query, &web, NOW)
    }

    #[test]
    fn show_time_beats_first_time_and_a_search_looks_back_a_day() {
        let first = |query: &str| wanted(query).bounds.first.map(|it| (NOW.0 - it.0) / 1000);
        assert_eq!(first(""), None);
        assert_eq!(first("show_time=850"), Some(850));
        assert_eq!(first("show_time=850&first_time=5"), Some(850));
        assert_eq!(first("first_time=1325499000"), Some(1000));
        assert_eq!(first("branch=x"), Some(86400));
        assert_eq!(first("branch="), None, "an empty one is none");
        assert_eq!(first("committer=ann&show_time=5"), Some(5));
        assert_eq!(first("last_time=1325499990&show_time=5"), Some(15));
    }

    #[test]
    fn num_events_is_held_between_one_and_the_most() {
        let strips = |query: &str| wanted(query).bounds.strips;
        assert_eq!(strips(""), 200);
        assert_eq!(strips("num_events=0"), 1);
        assert_eq!(strips("num_events=7"), 7);
        assert_eq!(strips("num_events=501"), 500);
    }

    #[test]
    fn flags_are_true_in_any_case_and_events_are_hidden_unless_asked_for() {
        assert!(!wanted("").show_events);
        assert!(wanted("show_events=true").show_events);
        assert!(wanted("failures_only=TRUE").failures_only);
        assert!(!wanted("failures_only=no").failures_only);
        assert!(wanted("nobubble=0").bounds.merge);
        assert!(!wanted("nobubble=1").bounds.merge);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for name in [
            "last_time",
            "first_time",
            "show_time",
            "num_events",
            "nobubble",
            "from",
        ] {
            for value in ["x", "", "nan", "1e300", "0x10"] {
                let query = format!("{name}={value}");
                assert!(read(&query).is_err(), "{query}");
            }
        }
    }

    #[test]
    fn trunk_is_the_branch_without_a_name_too() {
        let wanted = wanted("branch=trunk&branch=");
        assert!(wanted.takes_branch(None) && wanted.takes_branch(Some("trunk")));
        assert!(!wanted.takes_branch(Some("x")));
    }

    #[test]
    fn moments_are_written_as_they_are_read() {
        assert_eq!(seconds(NOW), "1325500000");
        assert_eq!(seconds(Timestamp(NOW.0 - 1)), "1325499999.999");
        let read = wanted("last_time=1325499999.999").bounds.last;
        assert_eq!(read, Timestamp(NOW.0 - 1));
    }
}
