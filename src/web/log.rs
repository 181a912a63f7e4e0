//! A log as a page: its last lines in colour, and the chunks that a browser
//! asks for while the log grows.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use minijinja::Value;
use serde::Serialize;

use crate::model::BuildRecord;
use crate::model::Channel;
use crate::model::LogRecord;
use crate::model::StepRecord;

use super::ansi::Painter;
use super::ansi::Pens;
use super::app::App;
use super::app::Shared;
use super::build;
use super::failure::Failure;
use super::links;
use super::log_file::Cutter;
use super::log_file::Place;
use super::log_file::Records;
use super::log_file::Window;
use super::log_file::window;
use super::log_text;
use super::rows;
use super::rows::Link;
use super::step;
use super::words::Badge;

/// How much of a log is shown: the whole log is one link away.
#[derive(Clone, Copy)]
pub(super) struct Most {
    lines: usize,
    /// Of output.
    bytes: u64,
}

/// On a page of its own.
const PAGE: Most = Most {
    lines: 5000,
    bytes: 2 * 1024 * 1024,
};

/// Below a step.
pub(super) const GLANCE: Most = Most {
    lines: 20,
    bytes: 16 * 1024,
};

/// Bytes of output in a chunk.
const CHUNK: u64 = 256 * 1024;

/// What an address of a log names.
pub(super) struct Found {
    pub(super) build: BuildRecord,
    pub(super) step: StepRecord,
    pub(super) log: LogRecord,
    pub(super) path: PathBuf,
}

impl Found {
    pub(super) fn new(app: &App, build: &BuildRecord, step: &StepRecord, log: &LogRecord) -> Self {
        let mut log = log.clone();
        // A build that was ended from outside writes no more, whatever its logs say.
        log.complete |= build.finished.is_some();
        Self {
            path: app.desk.basedir().join("builds").join(&log.file),
            build: build.clone(),
            step: step.clone(),
            log,
        }
    }
}

/// Where to go on in a log: a place at the start of a line, its number, the pens there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    place: Place,
    line: u64,
    pens: Pens,
}

impl Mark {
    fn to_token(self) -> String {
        let Place { record, skip } = self.place;
        format!("{record}.{skip}.{}.{}", self.line, self.pens.to_token())
    }

    /// Reads a token; a bare number is the offset of a record.
    fn from_token(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let record = parts.next()?.parse().ok()?;
        let mut mark = Self {
            place: Place { record, skip: 0 },
            line: 1,
            pens: Pens::default(),
        };
        if let Some(skip) = parts.next() {
            mark.place.skip = skip.parse().ok()?;
            mark.line = parts.next()?.parse().ok()?;
            mark.pens = Pens::from_token(parts.next()?)?;
        }
        parts.next().is_none().then_some(mark)
    }
}

/// Lines as HTML, and where to go on.
#[derive(Serialize)]
pub(super) struct Painted {
    /// Lines that ended.
    pub(super) html: String,
    /// The line that has not ended; the next chunk has it again.
    pub(super) unfinished: Option<String>,
    /// What the next chunk is asked with.
    pub(super) next: String,
    /// The first line that is more than talk about the command.
    #[serde(skip)]
    pub(super) output: Option<u64>,
    /// Whether there is more already.
    pub(super) more: bool,
    /// Whether the log is complete and this was the last of it.
    pub(super) done: bool,
}

/// The last lines of a log, and how a browser goes on from there.
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
    /// Whether there is no file (yet or any more).
    pub(super) missing: bool,
    /// Bytes of output in the whole log.
    pub(super) total: u64,
    /// Lines that the page keeps while the log grows.
    pub(super) most: usize,
}

#[derive(Serialize)]
pub(super) struct LogView {
    pub(super) trail: Vec<Link>,
    pub(super) key: String,
    pub(super) badge: Badge,
    pub(super) size: String,
    pub(super) tail: Tail,
}

/// Paints at most about `limit` bytes from a mark on.
pub(super) fn paint<R: std::io::Read>(
    records: &mut Records<R>,
    mark: Mark,
    limit: u64,
    complete: bool,
) -> std::io::Result<Painted> {
    let mut painter = Painter::new(mark.line, mark.pens);
    let mut cutter = Cutter::default();
    let mut place = mark.place;
    let mut painted = 0;
    let mut more = false;
    let mut output = None;
    'log: while let Some(piece) = records.next()? {
        let mut rest = piece.bytes;
        let mut here = piece.place;
        if piece.channel != Channel::Header {
            output = output.or(Some(painter.at().0));
        }
        while !rest.is_empty() {
            if painted >= limit {
                more = true;
                break 'log;
            }
            let (length, ends) = cutter.cut(rest);
            let part = &rest[..length];
            painter.feed(piece.channel, part.strip_suffix(b"\n").unwrap_or(part));
            here.skip += u32::try_from(length).expect("a line is short");
            painted += length as u64;
            rest = &rest[length..];
            if ends {
                painter.end_line();
                place = here;
            }
        }
    }
    let (line, pens) = painter.at();
    let next = Mark { place, line, pens };
    Ok(Painted {
        html: painter.html().to_owned(),
        unfinished: painter.unfinished(),
        next: next.to_token(),
        output,
        more,
        done: complete && !more,
    })
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

pub(super) fn view(found: &Found, tail: Tail) -> LogView {
    let key = &found.build.key;
    let step = &found.step.name;
    let mut trail = rows::trail(key);
    trail.push(Link {
        name: step.clone(),
        url: links::step(key, step),
    });
    LogView {
        trail,
        key: key.to_string(),
        badge: match found.step.started {
            Some(_) => Badge::of(found.step.outcome),
            None => Badge::NOT_STARTED,
        },
        size: size(tail.total),
        tail,
    }
}

/// Reads the end of a log.
pub(super) async fn tail(found: &Found, most: Most) -> Result<Tail, Failure> {
    let path = found.path.clone();
    let complete = found.log.complete;
    let painted = blocking(found.log.file.clone(), move || {
        let Some((window, painted)) = end_of(&path, most, complete)? else {
            return Ok(None);
        };
        // At a glance, what was said of the command before it said something is in the way.
        let before = painted
            .output
            .map_or(0, |it| it.saturating_sub(window.first_line));
        let before = usize::try_from(before).unwrap_or(usize::MAX);
        if most.lines == GLANCE.lines && (1..most.lines).contains(&before) {
            let lines = most.lines - before;
            return end_of(&path, Most { lines, ..most }, complete);
        }
        Ok(Some((window, painted)))
    })
    .await?;
    let missing = painted.is_none();
    let (window, painted) = painted.unwrap_or_else(|| {
        let nothing = Painted {
            html: String::new(),
            unfinished: None,
            next: "0".into(),
            output: None,
            more: false,
            done: complete,
        };
        (Window::default(), nothing)
    });
    Ok(Tail {
        name: found.log.name.clone(),
        url: links::log(&found.build.key, &found.step.name, &found.log.name),
        step_number: found.step.number,
        first_line: window.first_line,
        lines: Value::from_safe_string(painted.html),
        unfinished: Value::from_safe_string(painted.unfinished.unwrap_or_default()),
        next: painted.next,
        output: painted.output.filter(|it| *it > window.first_line + 5),
        done: painted.done,
        missing,
        total: window.total,
        most: most.lines,
    })
}

/// The last lines of a log, painted; `None` if it is not there.
fn end_of(
    path: &std::path::Path,
    most: Most,
    complete: bool,
) -> std::io::Result<Option<(Window, Painted)>> {
    let Some(mut records) = open(path, Place::default())? else {
        return Ok(None);
    };
    let window = window(&mut records, most.lines, most.bytes)?;
    let mark = Mark {
        place: window.start,
        line: window.first_line,
        pens: Pens::default(),
    };
    let Some(mut records) = open(path, window.start)? else {
        return Ok(None);
    };
    // A log that grows meanwhile is painted a little further; the rest comes in chunks.
    let painted = paint(&mut records, mark, 2 * most.bytes, complete)?;
    Ok(Some((window, painted)))
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
    Ok(Found::new(app, &facts.build, step, log))
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

/// Opens a log; `None` if nothing was written yet, or the file is gone.
pub(super) fn open(path: &std::path::Path, place: Place) -> std::io::Result<Option<Records<File>>> {
    match File::open(path) {
        Ok(file) => Records::open(file, place).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path(address): Path<Address>,
    Query(query): Query<Vec<(String, String)>>,
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
                return log_text::send(app, found, &query).await;
            }
            None => return Err(failure),
        },
    };
    let tail = tail(&found, PAGE).await?;
    app.draw("log.html", &uri, view(&found, tail))
}

pub(super) async fn chunk(
    State(app): State<Shared>,
    Path(address): Path<Address>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let token = query
        .iter()
        .find(|(name, _)| name == "offset")
        .map_or("0", |(_, value)| value.as_str());
    let mark = Mark::from_token(token)
        .ok_or_else(|| Failure::BadRequest(format!("`offset` is no place in a log: `{token}`")))?;
    let found = find(&app, address).await?;
    let complete = found.log.complete;
    let path = found.path.clone();
    let painted = blocking(found.log.file.clone(), move || {
        match open(&path, mark.place)? {
            Some(mut records) => paint(&mut records, mark, CHUNK, complete).map(Some),
            None => Ok(None),
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
    let painted = painted.unwrap_or(Painted {
        html: String::new(),
        unfinished: None,
        next: mark.to_token(),
        output: None,
        more: false,
        done: complete,
    });
    Ok(Json(painted).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record;

    #[test]
    fn chunks_of_any_size_make_the_page() {
        let mut bytes = Vec::new();
        for (channel, text) in [
            (Channel::Header, "make <all>\n"),
            (Channel::Stdout, "\u{1b}[31mred\nstill red"),
            (Channel::Stderr, " & bad\n\n"),
            (Channel::Stdout, "é last"),
        ] {
            record::push(channel, text.as_bytes(), &mut bytes);
        }
        let at = |mark: Mark, limit| {
            let from = usize::try_from(mark.place.record).expect("short");
            let mut records = Records::new(&bytes[from..], mark.place);
            paint(&mut records, mark, limit, true).expect("readable")
        };
        let start = Mark {
            line: 1,
            ..Mark::default()
        };
        let whole = at(start, u64::MAX);
        assert_eq!(whole.html.lines().count(), 4);
        assert!(
            whole
                .html
                .contains(r#"<span class="stdout f1">still red</span>"#)
        );
        assert!(
            whole
                .unfinished
                .as_deref()
                .expect("a line")
                .contains(">é last<")
        );
        assert_eq!((whole.done, whole.output), (true, Some(2)));
        for limit in [1, 12, 30] {
            let mut html = String::new();
            let mut mark = start;
            loop {
                let part = at(mark, limit);
                html.push_str(&part.html);
                let next = Mark::from_token(&part.next).expect("a token");
                if !part.more {
                    assert_eq!(part.unfinished, whole.unfinished);
                    break;
                }
                if next == mark {
                    // The line is longer than the limit: a real limit is longer than any line.
                    html.clear();
                    break;
                }
                mark = next;
            }
            assert!(html.is_empty() || html == whole.html, "{limit}");
        }
    }

    #[test]
    fn tokens_read_back_and_nonsense_is_refused() {
        let mark = Mark {
            place: Place { record: 7, skip: 3 },
            line: 12,
            pens: Pens::default(),
        };
        assert_eq!(Mark::from_token(&mark.to_token()), Some(mark));
        assert_eq!(Mark::from_token("5").map(|it| it.place.record), Some(5));
        for bad in ["", "-1", "1.2", "1.2.3", "1.2.3.x", "1.2.3.0-0-0.4"] {
            assert_eq!(Mark::from_token(bad), None, "{bad}");
        }
    }
}
