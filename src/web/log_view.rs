//! The page of a log: which window of it is asked for, what is looked for in
//! it, and the links that lead on. It works without a script.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use axum::response::Response;
use regex::Regex;
use serde::Serialize;
use tokio::time::Instant;

use super::ansi::Look;
use super::app::App;
use super::app::Shared;
use super::app::redirect;
use super::choice;
use super::choice::Query;
use super::failure::Failure;
use super::links;
use super::log;
use super::log::Found;
use super::log::PAGE;
use super::log::Tail;
use super::log_find;
use super::log_find::Hits;
use super::log_find::Question;
use super::log_index::Known;
use super::log_paint;
use super::rows;
use super::rows::Link;
use super::words::Badge;

/// How long a page waits until the lines of a log that nobody has looked at are counted.
const PATIENCE: Duration = Duration::from_millis(120);

/// How long is looked for something before the page says how far that got.
const SEARCH: Duration = Duration::from_secs(2);

/// Hits on a page.
const HITS: usize = 100;

/// Lines shown before the one that is asked for.
const CONTEXT: u64 = 10;

#[derive(Serialize)]
pub(super) struct LogView {
    pub(super) trail: Vec<Link>,
    pub(super) key: String,
    pub(super) badge: Badge,
    pub(super) size: String,
    /// Lines of the whole log; `None` while they are counted.
    pub(super) lines: Option<u64>,
    /// The last line that is shown.
    pub(super) last_line: u64,
    pub(super) tail: Tail,
    pub(super) pager: Pager,
    pub(super) find: FindView,
    pub(super) times: TimesView,
    /// Where the log is a page of its own, made by a program.
    pub(super) document: Option<String>,
}

/// Where else in the log one can go; all behind the address of the log.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Pager {
    pub(super) first: Option<String>,
    pub(super) older: Option<String>,
    pub(super) newer: Option<String>,
    pub(super) last: Option<String>,
}

/// Whether lines say when they came.
#[derive(Default, Serialize)]
pub(super) struct TimesView {
    /// It is asked for, and known.
    pub(super) shown: bool,
    /// It is asked for, and nothing is known of it.
    pub(super) unknown: bool,
    /// What other addresses of the log need so that it stays as it is.
    pub(super) keep: &'static str,
    /// The arguments of this page with the times, or without them.
    pub(super) other: String,
}

impl TimesView {
    fn new(query: &Query, shown: bool) -> Self {
        let keep = kept(query);
        Self {
            shown,
            unknown: !shown && !keep.is_empty(),
            keep,
            other: match keep {
                "" => choice::with(query, "times", "1", &[]),
                _ => choice::written(query, &["times"]),
            },
        }
    }
}

/// What stands behind other addresses of the log, so that times are shown there too.
fn kept(query: &Query) -> &'static str {
    match log::shows_times(query) {
        true => "&times=1",
        false => "",
    }
}

/// What is looked for.
#[derive(Default, Serialize)]
pub(super) struct FindView {
    pub(super) text: String,
    pub(super) is_regex: bool,
    pub(super) minds_case: bool,
    /// `None` where a window is shown instead.
    pub(super) hits: Option<Vec<HitLine>>,
    /// Where to look on, and from which line.
    pub(super) rest: Option<(u64, String)>,
    /// The hits around the line that is shown.
    pub(super) next: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) list: Option<String>,
    /// What came of a step to another hit.
    pub(super) said: Option<String>,
}

#[derive(Serialize)]
pub(super) struct HitLine {
    pub(super) line: u64,
    pub(super) text: String,
    pub(super) url: String,
}

/// A number from 1 in the address.
pub(super) fn number(query: &Query, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = choice::first(query, name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => {
            let what = format!("`{name}` should be a number from 1: `{text}`");
            Err(Failure::BadRequest(what))
        }
    }
}

/// The lines of `line=120` or `line=120-140`.
fn lines(query: &Query) -> Result<Option<RangeInclusive<u64>>, Failure> {
    let Some(text) = choice::first(query, "line") else {
        return Ok(None);
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > 0 && last > 0 => {
            Ok(Some(first.min(last)..=first.max(last)))
        }
        _ => {
            let what = format!("`line` should be a line such as `120`, or `120-140`: `{text}`");
            Err(Failure::BadRequest(what))
        }
    }
}

/// Which part of the log is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Usual,
    End,
    From(u64),
    /// These, and what is around them.
    Lines(RangeInclusive<u64>),
}

impl Wish {
    fn read(query: &Query) -> Result<Self, Failure> {
        if let Some(lines) = lines(query)? {
            return Ok(Self::Lines(lines));
        }
        if choice::first(query, "from") == Some("end") {
            return Ok(Self::End);
        }
        Ok(match number(query, "from")? {
            Some(line) => Self::From(line),
            None => Self::Usual,
        })
    }
}

/// The question as it stands behind other addresses of the log.
fn asked(question: &Question, query: &Query) -> String {
    let re = if question.is_regex { "&re=1" } else { "" };
    let case = if question.minds_case { "&case=1" } else { "" };
    let times = kept(query);
    format!("q={}{re}{case}{times}", links::quote(&question.text))
}

/// The lines around which hits are marked.
struct Looked<'a> {
    around: RangeInclusive<u64>,
    question: &'a Question,
    find: FindView,
    asked: String,
}

/// What is to be seen at the lines of a window.
struct Wanted {
    find: Option<Regex>,
    times: bool,
}

impl Wanted {
    fn new(query: &Query, question: Option<&Question>) -> Self {
        Self {
            find: question.map(|it| it.regex.clone()),
            times: log::shows_times(query),
        }
    }

    fn look(self, found: &Found) -> Look {
        let times = if self.times { found.times() } else { None };
        Look {
            find: self.find,
            times: times.map(Arc::new),
            ..Look::default()
        }
    }
}

/// The window of a log that was asked for.
struct Shown {
    tail: Tail,
    lines: Option<u64>,
    next_line: u64,
    more: bool,
}

pub(super) async fn page(
    app: Shared,
    uri: Uri,
    found: Found,
    query: &Query,
) -> Result<Response, Failure> {
    let question = Question::read(query)?;
    let wish = Wish::read(query)?;
    let found = Arc::new(found);
    let mut find = FindView::default();
    if let Some(question) = &question {
        let asked = asked(question, query);
        find.text.clone_from(&question.text);
        (find.is_regex, find.minds_case) = (question.is_regex, question.minds_case);
        let next = number(query, "next")?.map(|it| (true, it));
        let previous = number(query, "prev")?.map(|it| (false, it));
        if let Some((is_next, line)) = next.or(previous) {
            match step(&found, question, is_next, line).await? {
                Ok(hit) => return Ok(to_hit(&uri, &asked, hit)),
                Err(said) => find.said = Some(said),
            }
            let around = line..=line;
            let looked = Looked {
                around,
                question,
                find,
                asked,
            };
            return draw(&app, &uri, &found, looked, query).await;
        }
        if let Wish::Lines(around) = wish {
            let looked = Looked {
                around,
                question,
                find,
                asked,
            };
            return draw(&app, &uri, &found, looked, query).await;
        }
        let after = number(query, "after")?.unwrap_or(1);
        let hits = hits(&found, question, after).await?;
        find.rest = hits.rest.map(|it| (it, format!("{asked}&after={it}")));
        let lines = hits.hits.into_iter();
        find.hits = Some(
            lines
                .map(|it| HitLine {
                    url: format!("{asked}&line={0}#L{0}", it.line),
                    line: it.line,
                    text: it.text,
                })
                .collect(),
        );
        // A list of hits is a page of its own; of the log it has nothing but its facts.
        let facts = Wish::Lines(after..=after);
        let shown = show(&found, facts, Wanted::new(query, None), 1).await?;
        return app.draw("log.html", &uri, view(&found, shown, find, query));
    }
    let shown = show(&found, wish, Wanted::new(query, None), PAGE.lines).await?;
    app.draw("log.html", &uri, view(&found, shown, find, query))
}

/// A window in which hits are marked, with the ways to those around it.
async fn draw(
    app: &App,
    uri: &Uri,
    found: &Arc<Found>,
    looked: Looked<'_>,
    query: &Query,
) -> Result<Response, Failure> {
    let Looked {
        around,
        question,
        mut find,
        asked,
    } = looked;
    find.next = Some(format!("{asked}&next={}", around.end()));
    find.previous = Some(format!("{asked}&prev={}", around.start()));
    find.list = Some(asked);
    let wanted = Wanted::new(query, Some(question));
    let shown = show(found, Wish::Lines(around), wanted, PAGE.lines).await?;
    app.draw("log.html", uri, view(found, shown, find, query))
}

/// Leads to a hit.
fn to_hit(uri: &Uri, asked: &str, line: u64) -> Response {
    let here = uri.path().rsplit('/').next().unwrap_or_default();
    redirect(&format!("{here}?{asked}&line={line}#L{line}"))
}

async fn with_known<T: Send + 'static>(
    found: &Arc<Found>,
    work: impl FnOnce(&Known) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let log = Arc::clone(found);
    let done = log::blocking(found.log.file.clone(), move || {
        let known = log.shelf.look(&log.place, None)?;
        known.map(|it| work(&it)).transpose()
    });
    done.await?.ok_or_else(|| gone(found))
}

pub(super) fn gone(found: &Found) -> Failure {
    Failure::NotFound(format!("file of the log `{}` any more", found.log.name))
}

/// Goes to the next or the previous hit; the error says why there is none.
async fn step(
    found: &Arc<Found>,
    question: &Question,
    is_next: bool,
    line: u64,
) -> Result<Result<u64, String>, Failure> {
    let regex = question.regex.clone();
    with_known(found, move |known| {
        let until = Instant::now() + SEARCH;
        if !is_next {
            let hit = log_find::backwards(known, &regex, line, until)?;
            return Ok(match hit {
                Ok(Some(hit)) => Ok(hit.line),
                Ok(None) => Err("There is no hit before this line.".to_owned()),
                Err(line) => Err(format!(
                    "There was time to look back to line {line}, and nothing was found."
                )),
            });
        }
        let behind = (line.saturating_add(1), u64::MAX);
        let found = log_find::forwards(known, &regex, behind, 1, until)?;
        Ok(match (found.hits.first(), found.rest) {
            (Some(hit), _) => Ok(hit.line),
            (None, None) => Err("There is no hit behind this line.".to_owned()),
            (None, Some(line)) => Err(format!(
                "There was time to look up to line {line}, and nothing was found."
            )),
        })
    })
    .await
}

async fn hits(found: &Arc<Found>, question: &Question, first: u64) -> Result<Hits, Failure> {
    let regex = question.regex.clone();
    with_known(found, move |known| {
        let until = Instant::now() + SEARCH;
        log_find::forwards(known, &regex, (first, u64::MAX), HITS, until)
    })
    .await
}

/// Paints the window that is asked for.
async fn show(
    found: &Arc<Found>,
    wish: Wish,
    wanted: Wanted,
    lines: usize,
) -> Result<Shown, Failure> {
    let log = Arc::clone(found);
    let shown = log::blocking(found.log.file.clone(), move || {
        let until = match wish {
            // It is shown from its beginning until its lines are counted.
            Wish::Usual => Some(Instant::now() + PATIENCE),
            _ => None,
        };
        let Some(known) = log.shelf.look(&log.place, until)? else {
            return Ok(None);
        };
        let complete = log.log.complete;
        let mut look = wanted.look(&log);
        let times = look.times.is_some();
        let most = log::Most { lines, ..PAGE };
        let (first, painted) = match wish {
            Wish::Usual | Wish::End if known.is_whole => log::end_of(&known, most, complete, look)?,
            _ => {
                let first = match &wish {
                    Wish::Lines(lines) => lines.start().saturating_sub(CONTEXT).max(1),
                    Wish::From(first) => *first,
                    Wish::Usual | Wish::End => 1,
                };
                if let Wish::Lines(lines) = wish {
                    look.here = Some(lines);
                }
                let limits = log_paint::Limits {
                    lines: lines as u64,
                    ..most.limits()
                };
                let painted = log_paint::paint_lines(&known, first, limits, complete, look)?;
                (first, painted)
            }
        };
        let reached = known.index.reached();
        let (total, last) = (reached.bytes, reached.last_line());
        Ok(Some((
            first,
            painted,
            total,
            known.is_whole.then_some(last),
            times,
        )))
    })
    .await?;
    Ok(match shown {
        None => Shown {
            tail: Tail::missing(found),
            lines: Some(0),
            next_line: 1,
            more: false,
        },
        Some((first, painted, total, lines, times)) => {
            let (next_line, more) = (painted.next_line, painted.more);
            let tail = Tail::new(found, first, total, painted);
            Shown {
                tail: Tail {
                    follows: !tail.done && !more,
                    most: PAGE.lines,
                    times,
                    ..tail
                },
                lines,
                next_line,
                more,
            }
        }
    })
}

fn view(found: &Found, shown: Shown, find: FindView, query: &Query) -> LogView {
    let key = &found.build.key;
    let step = &found.step.name;
    let mut trail = rows::trail(key);
    trail.push(Link {
        name: step.clone(),
        url: links::step(key, step),
    });
    let tail = shown.tail;
    LogView {
        trail,
        key: key.to_string(),
        badge: match found.step.started {
            Some(_) => Badge::of(found.step.outcome),
            None => Badge::NOT_STARTED,
        },
        size: log::size(tail.total),
        pager: pager(tail.first_line, shown.next_line, shown.more, shown.lines),
        last_line: shown.next_line.saturating_sub(1).max(tail.first_line),
        lines: shown.lines,
        find,
        times: TimesView::new(query, tail.times),
        document: is_document(&found.log.name).then(|| format!("{}/raw", tail.url)),
        tail,
    }
}

/// Whether a log is a page that a program made.
pub(super) fn is_document(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |it| it.1);
    ["html", "htm"]
        .iter()
        .any(|it| ending.eq_ignore_ascii_case(it))
}

fn pager(first: u64, next: u64, more: bool, lines: Option<u64>) -> Pager {
    let from = |line: u64| format!("from={line}");
    let is_first = first <= 1;
    Pager {
        first: (!is_first).then(|| from(1)),
        older: (!is_first).then(|| from(first.saturating_sub(PAGE.lines as u64).max(1))),
        newer: more.then(|| from(next)),
        last: (more || lines.is_none()).then(|| "from=end".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        let pairs = text.split('&').filter_map(|it| it.split_once('='));
        pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn an_address_names_a_line_a_range_or_the_end() {
        let wish = |text: &str| Wish::read(&query(text)).map_err(|it| it.to_string());
        assert_eq!(wish(""), Ok(Wish::Usual));
        assert_eq!(wish("from=end"), Ok(Wish::End));
        assert_eq!(wish("from=7"), Ok(Wish::From(7)));
        assert_eq!(wish("line=120"), Ok(Wish::Lines(120..=120)));
        assert_eq!(wish("line=140-120&from=1"), Ok(Wish::Lines(120..=140)));
        for (bad, why) in [
            ("from=0", "`from` should be a number from 1: `0`"),
            ("from=x", "`from` should be a number from 1: `x`"),
            (
                "line=1-",
                "`line` should be a line such as `120`, or `120-140`: `1-`",
            ),
            (
                "line=99999999999999999999",
                "`line` should be a line such as `120`, or `120-140`: `99999999999999999999`",
            ),
        ] {
            assert_eq!(wish(bad), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_pages_of_a_log_lead_to_each_other() {
        assert_eq!(pager(1, 40, false, Some(39)), Pager::default());
        let middle = pager(1000, 1600, true, Some(9000));
        let address = |it: &str| Some(it.to_owned());
        assert_eq!(middle.first, address("from=1"));
        assert_eq!(middle.older, address("from=400"));
        assert_eq!(middle.newer, address("from=1600"));
        assert_eq!(middle.last, address("from=end"));
        assert_eq!(pager(300, 900, true, None).older, address("from=1"));
        assert_eq!(pager(1, 900, false, None).last, address("from=end"));
    }

    #[test]
    fn a_log_is_a_document_by_its_name() {
        assert!(is_document("lint.HTML") && is_document("a.htm"));
        assert!(!is_document("html") && !is_document("stdio") && !is_document("x.html.txt"));
    }
}
