//! A log as plain text, sent as it is and followed while it grows.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Buf;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time;

use crate::clock;
use crate::logs::place::LogPlace;
use crate::logs::times::Moment;
use crate::logs::times::Times;
use crate::model::BuildKey;
use crate::model::Channel;
use crate::model::Status;
use crate::model::Timestamp;

use super::app::Shared;
use super::build;
use super::choice;
use super::failure::Failure;
use super::files;
use super::files::range;
use super::log;
use super::log::Address;
use super::log::Found;
use super::log_file::Piece;
use super::log_file::Place;
use super::log_file::Records;
use super::log_view;
use super::unchanged::made_as_sent;
use super::visits::Live;

/// Read at once; the client's own speed decides when the next follows.
const PART: usize = 64 * 1024;

/// Events are hints: without one the file is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Output,
    Everything,
}

impl Wanted {
    fn takes(self, channel: Channel) -> bool {
        channel != Channel::Header || self == Self::Everything
    }
}

struct Follower {
    app: Shared,
    found: Found,
    events: broadcast::Receiver<Arc<Status>>,
    /// `None` until the file is there.
    records: Option<Records<File>>,
    wanted: Wanted,
    follow: bool,
    /// What is wanted that is to be passed over, and to be sent at most.
    skip: u64,
    left: u64,
    /// Writes before each line when it came, if that is asked for.
    stamp: Option<Stamp>,
}

/// Writes before each line when it came.
#[derive(Clone, Copy)]
struct Stamp {
    /// Whether the next byte begins a line.
    at_start: bool,
}

impl Stamp {
    fn write(&mut self, times: &Times, piece: &Piece<'_>, to: &mut Vec<u8>) -> io::Result<()> {
        let mut moment: Option<(Moment, String)> = None;
        let mut place = piece.place;
        for line in piece.bytes.split_inclusive(|it| *it == b'\n') {
            if self.at_start {
                let byte = place.byte();
                if !moment.as_ref().is_some_and(|it| it.0.bytes.contains(&byte)) {
                    let at = times.at(byte)?;
                    let text = clock::iso(at.at);
                    moment = Some((at, text));
                }
                let said = moment.as_ref().map_or("", |it| it.1.as_str());
                to.extend_from_slice(said.as_bytes());
                to.push(b' ');
            }
            to.extend_from_slice(line);
            self.at_start = line.ends_with(b"\n");
            place.skip += u32::try_from(line.len()).expect("a block is small");
        }
        Ok(())
    }
}

pub(super) async fn text(
    State(app): State<Shared>,
    method: Method,
    headers: HeaderMap,
    Path(address): Path<Address>,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let found = log::find(&app, address).await?;
    send(app, found, &method, &headers, &query).await
}

/// The log as the program wrote it: a page of its own where it is one. Nothing in it gets at
/// the site.
pub(super) async fn raw(
    State(app): State<Shared>,
    method: Method,
    headers: HeaderMap,
    Path(address): Path<Address>,
    Query(query): Query<choice::Query>,
) -> Result<Response, Failure> {
    let found = log::find(&app, address).await?;
    let is_document = log_view::is_document(&found.log.name);
    let mut response = send(app, found, &method, &headers, &query).await?;
    response.extensions_mut().insert(files::SANDBOX);
    if is_document && response.status().is_success() {
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}

/// A log: its length, and what names this content of it.
struct Whole {
    length: u64,
    tag: String,
    changed: String,
}

/// Looks how long a log is; `None` if nothing was written yet.
async fn whole(found: &Found, wanted: Wanted) -> Result<Option<Whole>, Failure> {
    let (place, shelf) = (found.place.clone(), Arc::clone(&found.shelf));
    let ended = found.build.finished;
    let known = log::blocking(found.log.file.clone(), move || {
        let Some(known) = shelf.look(&place, None)? else {
            return Ok(None);
        };
        let since = match (place, ended) {
            (LogPlace::Packed(_), Some(ended)) => ended.since(Timestamp(0)),
            _ => {
                let written = known.file.metadata()?.modified()?;
                written.duration_since(UNIX_EPOCH).unwrap_or_default()
            }
        };
        let reached = known.index.reached();
        Ok(Some((
            match wanted {
                Wanted::Output => reached.output,
                Wanted::Everything => reached.bytes,
            },
            since,
        )))
    });
    let Some((length, since)) = known.await? else {
        return match found.log.complete {
            true => Err(log_view::gone(found)),
            false => Ok(None),
        };
    };
    let letter = match wanted {
        Wanted::Output => 'o',
        Wanted::Everything => 'e',
    };
    let millis = i64::try_from(since.as_millis()).unwrap_or_default();
    Ok(Some(Whole {
        length,
        tag: format!("\"{letter}{length:x}-{:x}\"", since.as_nanos()),
        changed: clock::http(Timestamp(millis)),
    }))
}

/// Sends the output, with `headers=1` the headers too, with `times=1` each line behind the time
/// when it came; with `follow=0` only what is there. Of a complete log parts can be had.
pub(super) async fn send(
    app: Shared,
    found: Found,
    method: &Method,
    headers: &HeaderMap,
    query: &choice::Query,
) -> Result<Response, Failure> {
    let asked =
        |name: &str, word: &str| query.iter().any(|(it, value)| it == name && value == word);
    let wanted = if asked("headers", "1") {
        Wanted::Everything
    } else {
        Wanted::Output
    };
    let mut response = ().into_response();
    let head = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    head.insert(header::CONTENT_TYPE, kind);
    if asked("download", "1") {
        head.insert(header::CONTENT_DISPOSITION, disposition(&found));
    }
    let is_head = method == Method::HEAD;
    let stamp = log::shows_times(query).then_some(Stamp { at_start: true });
    // How long it is with its times is not known before it is written.
    let mut whole = match stamp.is_none() && (found.log.complete || is_head) {
        true => whole(&found, wanted).await?,
        false => None,
    };
    if !found.log.complete {
        // How much there is of it, and nothing that would hold in a moment.
        let length = whole.take().map_or(0, |it| it.length);
        if is_head && stamp.is_none() {
            head.insert(header::CONTENT_LENGTH, length.into());
        }
    }
    let (mut skip, mut left) = (0, u64::MAX);
    if let Some(it) = &whole {
        let text = |text: String| HeaderValue::from_str(&text).expect("digits and dates");
        head.insert(header::ETAG, text(it.tag.clone()));
        head.insert(header::LAST_MODIFIED, text(it.changed.clone()));
        head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let part = range::wanted(headers, it.length, &it.tag, &it.changed);
        let (status, range) = match part {
            range::Wanted::Whole => (StatusCode::OK, 0..it.length),
            range::Wanted::Nothing => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok(response);
            }
            range::Wanted::Beyond => {
                let said = text(format!("bytes */{}", it.length));
                head.insert(header::CONTENT_RANGE, said);
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                return Ok(response);
            }
            range::Wanted::Part(range) => {
                let said = format!("bytes {}-{}/{}", range.start, range.end - 1, it.length);
                head.insert(header::CONTENT_RANGE, text(said));
                (StatusCode::PARTIAL_CONTENT, range)
            }
        };
        (skip, left) = (range.start, range.end - range.start);
        head.insert(header::CONTENT_LENGTH, left.into());
        *response.status_mut() = status;
    }
    if is_head {
        return Ok(response);
    }
    // Before the file is opened: what is written from here on is heard of.
    let events = app.desk.subscribe();
    let (place, shelf) = (found.place.clone(), Arc::clone(&found.shelf));
    let opened = log::blocking(found.log.file.clone(), move || {
        if skip == 0 {
            return Ok(log::open(&place, Place::default())?.map(|it| (it, 0)));
        }
        let Some(known) = shelf.look(&place, None)? else {
            return Ok(None);
        };
        let (spot, before) = match wanted {
            Wanted::Output => {
                let spot = known.index.before_output(skip);
                (spot, spot.output)
            }
            Wanted::Everything => {
                let spot = known.index.before_byte(skip);
                (spot, spot.bytes)
            }
        };
        Ok(Some((known.records(spot)?, before)))
    })
    .await?;
    if opened.is_none() && found.log.complete {
        return Err(log_view::gone(&found));
    }
    let follow = !asked("follow", "0");
    let stays = follow && !found.log.complete;
    let (records, before) = opened.map_or((None, 0), |it| (Some(it.0), it.1));
    let follower = Follower {
        app,
        found,
        events,
        records,
        wanted,
        follow,
        skip: skip - before,
        left,
        stamp,
    };
    let body = stream::unfold(follower, |mut follower| async {
        let part = follower.next().await?;
        Some((Ok::<_, Infallible>(part), follower))
    });
    *response.body_mut() = made_as_sent(body);
    if stays {
        response.extensions_mut().insert(Live);
    }
    Ok(response)
}

/// Has a browser keep it as a file, under a name that says whose it is.
fn disposition(found: &Found) -> HeaderValue {
    let key = &found.build.key;
    let name = format!(
        "{}-{}-{}-{}.txt",
        key.builder, key.number, found.step.name, found.log.name
    );
    let plain: String = name
        .chars()
        .map(|it| match it {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => it,
            _ => '_',
        })
        .collect();
    let said = format!("attachment; filename=\"{plain}\"");
    HeaderValue::from_str(&said).expect("letters and digits")
}

impl Follower {
    /// The next part; waits while the log grows, `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Asked before reading: what is complete now is complete in the file.
            let complete = self.found.log.complete;
            let mut part = self.read().await?;
            // Of a part of the log, what lies before and behind is left out.
            let passed = self.skip.min(part.len() as u64);
            self.skip -= passed;
            part.advance(usize::try_from(passed).unwrap_or(usize::MAX));
            let had = !part.is_empty() || passed > 0;
            part.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= part.len() as u64;
            if had && part.is_empty() && self.left > 0 {
                continue;
            }
            if !part.is_empty() {
                return Some(part);
            }
            if complete || !self.follow {
                return None;
            }
            self.wait().await;
            self.refresh().await?;
        }
    }

    async fn read(&mut self) -> Option<Bytes> {
        let records = self.records.take();
        let place = self.found.place.clone();
        let wanted = self.wanted;
        let mut stamp = self.stamp;
        let times = stamp.and_then(|_| self.found.times());
        let work = move || {
            let mut records = match records {
                Some(records) => records,
                None => match log::open(&place, Place::default())? {
                    Some(records) => records,
                    None => return Ok((Bytes::new(), None, stamp)),
                },
            };
            let mut part = Vec::new();
            while part.len() < PART
                && let Some(piece) = records.next()?
            {
                if !wanted.takes(piece.channel) {
                    continue;
                }
                match (&mut stamp, &times) {
                    (Some(stamp), Some(times)) => stamp.write(times, &piece, &mut part)?,
                    _ => part.extend_from_slice(piece.bytes),
                }
            }
            Ok((Bytes::from(part), Some(records), stamp))
        };
        match log::blocking(self.found.log.file.clone(), work).await {
            Ok((part, records, stamp)) => {
                self.records = records;
                self.stamp = stamp;
                Some(part)
            }
            Err(error) => {
                tracing::error!(log = %self.found.log.file, "the text ends early: {error}");
                None
            }
        }
    }

    /// Waits until something may have been written.
    async fn wait(&mut self) {
        let key = self.found.build.key.clone();
        let events = &mut self.events;
        let heard = async move {
            loop {
                match events.recv().await {
                    Ok(status) if is_about(&status, &key) => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let _ = time::timeout(LOOK_AGAIN, heard).await;
    }

    /// Asks the store whether the log is complete by now.
    async fn refresh(&mut self) -> Option<()> {
        let key = self.found.build.key.clone();
        let facts = self
            .app
            .read(move |store| build::read(store, &key.builder, key.number))
            .await
            .ok()??;
        let step = facts
            .steps
            .iter()
            .find(|it| it.number == self.found.step.number)?;
        let log = step.logs.iter().find(|it| it.name == self.found.log.name)?;
        // A build that was ended from outside writes no more, whatever its logs say.
        self.found.log.complete = log.complete || facts.build.finished.is_some();
        Some(())
    }
}

fn is_about(status: &Status, key: &BuildKey) -> bool {
    match status {
        Status::LogGrew { build, .. }
        | Status::StepFinished { build, .. }
        | Status::BuildFinished { build, .. } => build == key,
        _ => false,
    }
}
