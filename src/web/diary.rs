//! What happened besides builds, for the pages of builders and slaves and as a document.

use axum::Json;
use axum::extract::Query;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::model::EventRecord;
use crate::model::Subject;
use crate::model::Timestamp;
use crate::store::EventsBefore;
use crate::store::Store;
use crate::store::StoreError;

use super::app::Shared;
use super::builder;
use super::choice;
use super::failure::Failure;
use super::words::Moment;

/// Events on the page of a builder or slave.
const SHOWN: usize = 10;
/// Events of a document unless it is asked for more, and the most.
const EVENTS: i64 = 50;
const MOST_EVENTS: i64 = 1000;

#[derive(Clone, Serialize)]
pub(super) struct EventLine {
    at: Moment,
    text: String,
    note: String,
}

/// The newest events of a builder or slave.
pub(super) fn newest(
    store: &mut dyn Store,
    of: &Subject,
    now: Timestamp,
) -> Result<Vec<EventLine>, StoreError> {
    let events = store.events(of, EventsBefore::Now, SHOWN)?;
    let line = |it: EventRecord| EventLine {
        at: Moment::new(it.event.at, now),
        text: match it.event.subject {
            // Whose page it is need not be said.
            Subject::Slave(_) => it.event.kind.word().to_owned(),
            Subject::Master | Subject::Builder(_) => it.text(),
        },
        note: it.event.note,
    };
    Ok(events.into_iter().map(line).collect())
}

pub(super) async fn documents(
    State(app): State<Shared>,
    Query(query): Query<choice::Query>,
) -> Result<Json<Vec<Value>>, Failure> {
    let limit = builder::number(&query, "limit")?.unwrap_or(EVENTS);
    let limit = usize::try_from(limit.clamp(1, MOST_EVENTS)).expect("at least one");
    let builder = choice::first(&query, "builder").map(|it| Subject::Builder(it.into()));
    let slave = choice::first(&query, "slave").map(|it| Subject::Slave(it.into()));
    let events = app
        .read(move |store| {
            let before = EventsBefore::Now;
            let mut events = Vec::new();
            for subject in [&builder, &slave].into_iter().flatten() {
                events.extend(store.events(subject, before, limit)?);
            }
            if builder.is_none() && slave.is_none() {
                events = store.all_events(before, limit)?;
            }
            events.sort_by_key(|it| std::cmp::Reverse((it.event.at, it.id)));
            events.truncate(limit);
            Ok(events)
        })
        .await?;
    Ok(Json(events.iter().map(document).collect()))
}

fn document(it: &EventRecord) -> Value {
    let (slave, builder) = match &it.event.subject {
        Subject::Master => (None, None),
        Subject::Slave(name) => (Some(name.as_str()), None),
        Subject::Builder(name) => (None, Some(name.as_str())),
    };
    json!({
        "id": it.id,
        "time": clock::iso(it.event.at),
        "event": it.event.kind.word(),
        "text": it.text(),
        "slave": slave,
        "builder": builder,
        "note": it.event.note,
    })
}
