//! A log as a page: a window of it in colour, the rest behind links; and the
//! chunks that a browser asks for while the log grows or somebody scrolls.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use minijinja::Value;
use serde::Serialize;
use tokio::time::Instant;

use crate::logs::place::LogPlace;
use crate::logs::times::Times;
use crate::model::BuildRecord;
use crate::model::LogRecord;
use crate::model::StepRecord;

use super::ansi::Look;
use super::app::App;
use super::app::Shared;
use super::build;
use super::choice;
use super::failure::Failure;
use super::links;
use super::log_file::Place;
use super::log_file::Records;
use super::log_file::window;
use super::log_index::Known;
use super::log_index::Shelf;
use super::log_paint;
use super::log_paint::Limits;
use super::log_paint::Mark;
use super::log_paint::Painted;
use super::log_text;
use super::log_view;
use super::step;

/// How much of a log is shown: the rest is one link away.
#[derive(Clone, Copy)]
pub(super) struct Most {
    pub(super) lines: usize,
    /// Of output.
    pub(super) bytes: u64,
}

/// On a page of its own.
pub(super) const PAGE: Most = Most {
    lines: 600,
    bytes: 64 * 1024,
};

/// Below a step.
pub(super) const GLANCE: Most = Most {
    lines: 20,
    bytes: 16 * 1024,
};

/// Bytes of output in a chunk, and lines.
const CHUNK: u64 = 128 * 1024;
const CHUNK_LINES: u64 = 1000;

/// Bytes of HTML, so that a page of nothing but markup stays small too.
const HTML: usize = 150 * 1024;

/// How long a page waits until the lines of a log that nobody has looked at are counted.
const PATIENCE: Duration = Duration::from_millis(120);

impl Most {
    pub(super) fn limits(self) -> Limits {
        Limits {
            // A log that grows meanwhile is painted a little further; the rest comes in chunks.
            bytes: 2 * self.bytes,
            lines: 2 * self.lines as u64,
            html: HTML,
        }
    }
}

/// What an address of a log names.
pub(super) struct Found {
    pub(super) build: BuildRecord,
    pub(super) step: StepRecord,
    pub(super) log: LogRecord,
    pub(super) place: LogPlace,
    pub(super) shelf: Arc<Shelf>,
}

/// Why it is not known where a log is.
enum Unread {
    Store(Failure),
    Pack(std::io::Error),
}

impl From<std::io::Error> for Unread {
    fn from(error: std::io::Error) -> Self {
        Self::Pack(error)
    }
}

impl Unread {
    fn failure(self, file: &str) -> Failure {
        match self {
            Self::Store(failure) => failure,
            Self::Pack(error) => Failure::Log {
                file: file.to_owned(),
                source: Arc::new(error),
            },
        }
    }
}

impl Found {
    pub(super) async fn locate(
        app: &App,
        build: &BuildRecord,
        step: &StepRecord,
        log: &LogRecord,
    ) -> Result<Self, Failure> {
        let mut log = log.clone();
        // A build that was ended from outside writes no more, whatever its logs say.
        log.complete |= build.finished.is_some();
        let path = app.desk.basedir().join("builds").join(&log.file);
        let key = build.key.clone();
        let pack = async {
            let read = app.read(move |store| store.pack_of(&key));
            read.await.map_err(Unread::Store)
        };
        let place = LogPlace::of(path, &log.file, pack);
        Ok(Self {
            place: place.await.map_err(|it| it.failure(&log.file))?,
            shelf: Arc::clone(&app.shelf),
            build: build.clone(),
            step: step.clone(),
            log,
        })
    }

    /// When its lines came, if that is known.
    pub(super) fn times(&self) -> Option<Times> {
        let began = self.step.started?;
        let took = self.step.finished.map(|it| it.0.abs_diff(began.0));
        Times::open(&self.place, began, took)
    }

    pub(super) fn url(&self) -> String {
        links::log(&self.build.key, &self.step.name, &self.log.name)
    }
}

/// A window of a log, and how a browser goes on from there.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Tail {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) step_number: u32,
    pub(super) first_line: u64,
    pub(super) lines: Value,
    pub(super) unfinished: Value,
    pub(super) next: String,
    /// The line to go to over what is told of the command, if there is much of it.
    pub(super) output: Option<u64>,
    pub(super) done: bool,
    /// Whether it is the end of the log, and more may come.
    pub(super) follows: bool,
    /// Whether there is no file (yet or any more).
    pub(super) missing: bool,
    /// Bytes of output in the whole log.
    pub(super) total: u64,
    /// Lines that the page keeps while the log grows.
    pub(super) most: usize,
    /// What stands before `L` in the ids of its lines.
    pub(super) ids: String,
    /// Whether lines say when they came.
    pub(super) times: bool,
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{:.1} KiB", bytes as f64 / KIB as f64),
        _ => format!("{:.1} MiB", bytes as f64 / MIB as f64),
    }
}

impl Tail {
    /// What was painted of a log.
    pub(super) fn new(found: &Found, first_line: u64, total: u64, painted: Painted) -> Self {
        Self {
            name: found.log.name.clone(),
            url: found.url(),
            step_number: found.step.number,
            first_line,
            lines: Value::from_safe_string(painted.html),
            unfinished: Value::from_safe_string(painted.unfinished.unwrap_or_default()),
            next: painted.next,
            output: painted.output.filter(|it| *it > first_line + 5),
            done: painted.done,
            follows: false,
            missing: false,
            total,
            most: GLANCE.lines,
            ids: String::new(),
            times: false,
        }
    }

    /// Of a log that has no file.
    pub(super) fn missing(found: &Found) -> Self {
        let painted = Painted::nothing(Mark::default(), found.log.complete);
        Self {
            follows: !found.log.complete,
            missing: true,
            next: "0".into(),
            ..Self::new(found, 0, 0, painted)
        }
    }
}

/// Reads the end of a log, for a page on which it is one of many. `None` if its lines are
/// still to be counted.
pub(super) async fn glance(found: &Found) -> Result<Option<Tail>, Failure> {
    let (place, shelf) = (found.place.clone(), Arc::clone(&found.shelf));
    let complete = found.log.complete;
    let look = Look {
        ids: format!("s{}-", found.step.number),
        ..Look::default()
    };
    let ids = look.ids.clone();
    let read = blocking(found.log.file.clone(), move || {
        let Some(known) = shelf.look(&place, Some(Instant::now() + PATIENCE))? else {
            return Ok(Some(None));
        };
        if !known.is_whole {
            return Ok(None);
        }
        let (first, painted) = end_of(&known, GLANCE, complete, look.clone())?;
        // At a glance, what was said of the command before it said something is in the way.
        let before = painted.output.map_or(0, |it| it.saturating_sub(first));
        let before = usize::try_from(before).unwrap_or(usize::MAX);
        let total = known.index.reached().bytes;
        if (1..GLANCE.lines).contains(&before) {
            let lines = GLANCE.lines - before;
            let (first, painted) = end_of(&known, Most { lines, ..GLANCE }, complete, look)?;
            return Ok(Some(Some((first, total, painted))));
        }
        Ok(Some(Some((first, total, painted))))
    })
    .await?;
    Ok(read.map(|read| match read {
        None => Tail::missing(found),
        Some((first, total, painted)) => {
            let tail = Tail::new(found, first, total, painted);
            let follows = !tail.done;
            Tail {
                follows,
                ids,
                ..tail
            }
        }
    }))
}

/// The last lines of a log whose lines are counted: the number of the first of them, and all of
/// them painted.
pub(super) fn end_of(
    known: &Known,
    most: Most,
    complete: bool,
    look: Look,
) -> std::io::Result<(u64, Painted)> {
    let reached = known.index.reached();
    let lines = u64::try_from(most.lines).unwrap_or(u64::MAX);
    let by_line = known
        .index
        .before_line(reached.last_line().saturating_sub(lines));
    let by_byte = known
        .index
        .before_byte(reached.bytes.saturating_sub(most.bytes));
    let spot = if by_line.line < by_byte.line {
        by_byte
    } else {
        by_line
    };
    let window = window(&mut known.records(spot)?, spot, most.lines, most.bytes)?;
    let limits = most.limits();
    let painted = log_paint::paint_lines(known, window.first_line, limits, complete, look)?;
    Ok((window.first_line, painted))
}

pub(super) type Address = (String, String, String, String);

/// Finds the log that an address names.
pub(super) async fn find(app: &App, address: Address) -> Result<Found, Failure> {
    let (builder, number, step, name) = address;
    let facts = build::find(app, builder, &number).await?;
    let step = step::find(&facts.steps, &step)
        .ok_or_else(|| Failure::NotFound(format!("step `{step}` in this build")))?;
    let log = step
        .logs
        .iter()
        .find(|it| it.name == name)
        .ok_or_else(|| Failure::NotFound(format!("log `{name}` in this step")))?;
    Found::locate(app, &facts.build, step, log).await
}

/// Does file work on a thread that may block.
pub(super) async fn blocking<T, F>(file: String, work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> std::io::Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure::Log {
            file,
            source: Arc::new(error),
        }),
        Err(_) => Err(Failure::Lost),
    }
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
    Path(address): Path<Address>,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let found = match find(&app, address.clone()).await {
        Ok(found) => found,
        // `stdio.txt` is the text of `stdio`, unless a log has that very name.
        Err(failure) => match address.3.strip_suffix(".txt") {
            Some(name) => {
                let (builder, number, step, _) = address.clone();
                let found = find(&app, (builder, number, step, name.to_owned()))
                    .await
                    .map_err(|_| failure)?;
                return log_text::send(app, found, &method, &headers, &query).await;
            }
            None => return Err(failure),
        },
    };
    log_view::page(app, uri, found, &query).await
}

/// Lines for a page that is open: behind a token that an earlier answer gave, or by number.
pub(super) async fn chunk(
    State(app): State<Shared>,
    Path(address): Path<Address>,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let token = choice::first(&query, "offset").unwrap_or("0");
    let mark = Mark::from_token(token)
        .ok_or_else(|| Failure::BadRequest(format!("`offset` is no place in a log: `{token}`")))?;
    let line = log_view::number(&query, "line")?;
    let count = log_view::number(&query, "count")?.unwrap_or(CHUNK_LINES);
    let mut look = Look {
        ids: match choice::first(&query, "ids") {
            Some(ids) if is_id(ids) => ids.to_owned(),
            _ => String::new(),
        },
        ..Look::default()
    };
    let with_times = shows_times(&query);
    let limits = Limits {
        bytes: CHUNK,
        lines: count.min(CHUNK_LINES),
        html: usize::MAX,
    };
    let found = find(&app, address).await?;
    let complete = found.log.complete;
    let painted = blocking(found.log.file.clone(), move || {
        if with_times {
            look.times = found.times().map(Arc::new);
        }
        if let Some(line) = line {
            let Some(known) = found.shelf.look(&found.place, None)? else {
                return Ok(Painted::nothing(mark, complete));
            };
            return log_paint::paint_lines(&known, line, limits, complete, look);
        }
        match open(&found.place, mark.place)? {
            Some(mut records) => log_paint::paint(&mut records, mark, limits, complete, look),
            None => Ok(Painted::nothing(mark, complete)),
        }
    })
    .await
    .map_err(|failure| match failure {
        // The place is the client's word: between records nothing can be read.
        Failure::Log { source, .. } if source.kind() == std::io::ErrorKind::InvalidData => {
            Failure::BadRequest(format!("`offset` is no place in this log: {source}"))
        }
        other => other,
    })?;
    Ok(Json(painted).into_response())
}

/// Whether an address asks when the lines came.
pub(super) fn shows_times(query: &choice::Query) -> bool {
    choice::first(query, "times") == Some("1")
}

/// Whether it may stand before `L` in an id.
fn is_id(text: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
    text.len() <= 16 && text.bytes().all(is_plain)
}

/// Opens a log; `None` if nothing was written yet, or the file is gone.
pub(super) fn open(log: &LogPlace, from: Place) -> std::io::Result<Option<Records<File>>> {
    log.open()?.map(|it| Records::open(it, from)).transpose()
}
