//! A log as plain text, sent as it is and followed while it grows.

use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time;

use crate::model::BuildKey;
use crate::model::Channel;
use crate::model::Status;

use super::app::Shared;
use super::build;
use super::failure::Failure;
use super::log;
use super::log::Address;
use super::log::Found;
use super::log_file::Place;
use super::log_file::Records;
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
}

pub(super) async fn text(
    State(app): State<Shared>,
    Path(address): Path<Address>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let found = log::find(&app, address).await?;
    send(app, found, &query).await
}

/// Sends the output, with `headers=1` the headers too; with `follow=0` only what is there.
pub(super) async fn send(
    app: Shared,
    found: Found,
    query: &[(String, String)],
) -> Result<Response, Failure> {
    let asked =
        |name: &str, word: &str| query.iter().any(|(it, value)| it == name && value == word);
    let wanted = if asked("headers", "1") {
        Wanted::Everything
    } else {
        Wanted::Output
    };
    // Before the file is opened: what is written from here on is heard of.
    let events = app.desk.subscribe();
    let path = found.path.clone();
    let records = log::blocking(found.log.file.clone(), move || {
        log::open(&path, Place::default())
    })
    .await?;
    if records.is_none() && found.log.complete {
        let what = format!("file of the log `{}` any more", found.log.name);
        return Err(Failure::NotFound(what));
    }
    let follow = !asked("follow", "0");
    let stays = follow && !found.log.complete;
    let follower = Follower {
        app,
        found,
        events,
        records,
        wanted,
        follow,
    };
    let body = stream::unfold(follower, |mut follower| async {
        let part = follower.next().await?;
        Some((Ok::<_, Infallible>(part), follower))
    });
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let mut response = (kind, Body::from_stream(body)).into_response();
    if stays {
        response.extensions_mut().insert(Live);
    }
    Ok(response)
}

impl Follower {
    /// The next part; waits while the log grows, `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Asked before reading: what is complete now is complete in the file.
            let complete = self.found.log.complete;
            let part = self.read().await?;
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
        let path = self.found.path.clone();
        let wanted = self.wanted;
        let work = move || {
            let mut records = match records {
                Some(records) => records,
                None => match log::open(&path, Place::default())? {
                    Some(records) => records,
                    None => return Ok((Bytes::new(), None)),
                },
            };
            let mut part = Vec::new();
            while part.len() < PART
                && let Some(piece) = records.next()?
            {
                if wanted.takes(piece.channel) {
                    part.extend_from_slice(piece.bytes);
                }
            }
            Ok((Bytes::from(part), Some(records)))
        };
        match log::blocking(self.found.log.file.clone(), work).await {
            Ok((part, records)) => {
                self.records = records;
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
