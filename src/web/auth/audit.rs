//! The audit log: who did what, from where, and what became of it. What is permitted stands in it
//! before it is begun; of refusals only so many are written that nobody can fill the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use axum::Json;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::clock;
use crate::config::Action;
use crate::model::Timestamp;
use crate::store::Act;
use crate::store::AuditId;
use crate::store::AuditQuery;
use crate::store::AuditRecord;
use crate::store::NewAudit;
use crate::store::Store;

use super::super::app::App;
use super::super::app::Shared;
use super::super::builder;
use super::super::failure::Failure;
use super::super::words::Moment;
use super::visitor::Visitor;
use super::visitor::Way;

/// Entries on one page.
const PAGE: usize = 100;
/// Most that a document has.
const MOST: usize = 1000;
/// Letters of a name, a target or a result that are kept.
const LETTERS: usize = 300;
/// Refusals of one kind: one in this time is written down.
const EACH: Duration = Duration::from_mins(1);
/// Refusals of all kinds within that time.
const TOGETHER: u64 = 30;
/// Kinds that are remembered.
const KINDS: usize = 1024;

/// What keeps refusals from filling the disk.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    written: HashMap<(String, String), Instant>,
    since: Option<Instant>,
    count: u64,
    left_out: u64,
}

impl Quiet {
    /// Whether this one is written down; with how many before it were not.
    fn admits(&mut self, who: &str, action: &str, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|it| now - it >= EACH) {
            self.since = Some(now);
            self.count = 0;
            self.written.retain(|_, at| now - *at < EACH);
        }
        let kind = (who.to_owned(), action.to_owned());
        if self.count >= TOGETHER || self.written.len() >= KINDS || self.written.contains_key(&kind)
        {
            self.left_out += 1;
            return None;
        }
        self.count += 1;
        self.written.insert(kind, now);
        Some(std::mem::take(&mut self.left_out))
    }
}

/// What is about to be written down.
fn entry(visitor: &Visitor, action: &str, target: &str, result: &str) -> NewAudit {
    NewAudit {
        user: visitor.name().map(cut),
        way: cut(&visitor.way.to_string()),
        place: visitor.peer.address.map(|it| it.to_string()),
        action: action.to_owned(),
        target: cut(target),
        result: cut(result),
        left_out: 0,
    }
}

fn cut(text: &str) -> String {
    let plain = |it: char| if it.is_control() { ' ' } else { it };
    text.chars().take(LETTERS).map(plain).collect()
}

impl App {
    /// Writes an entry down in a transaction of its own.
    pub(super) async fn write_down(&self, act: &Arc<Act>) -> Result<(), Failure> {
        let written = Arc::clone(act);
        let noted = self.write(move |store| written.begin(store, clock::now()));
        match noted.await {
            Ok(id) => act.stand(id),
            Err(failure) if act.is_needed() => return Err(failure),
            Err(_) => {}
        }
        Ok(())
    }

    /// What is permitted, as an entry that has to be written down before it is done. What cannot
    /// be written down is not done, but for the owner, who may be about to make room on the disk.
    pub(super) fn act(&self, visitor: &Visitor, action: &str, target: &str) -> Arc<Act> {
        let entry = entry(visitor, action, target, "begun");
        let act = self.entry(entry, visitor.way != Way::Socket);
        visitor.acts(Arc::clone(&act));
        act
    }

    fn entry(&self, entry: NewAudit, is_needed: bool) -> Arc<Act> {
        let plan = self.desk.plan();
        let (horizon, newest) = (plan.authz.audit_horizon, plan.authz.audit_entries);
        Arc::new(Act::new(entry, horizon, newest, is_needed))
    }

    /// Writes down what has been done already, such as a login.
    pub(in crate::web) async fn note_done(&self, visitor: &Visitor, action: &str, target: &str) {
        // It is done, whether it can be written down or not.
        let _ = self.note(entry(visitor, action, target, "done")).await;
    }

    /// Writes down what was refused, if it is not one of too many.
    pub(in crate::web) async fn note_refused(
        &self,
        visitor: &Visitor,
        action: &str,
        target: &str,
        why: &str,
    ) {
        let mut new = entry(visitor, action, target, &format!("refused: {why}"));
        // Who has logged in is not left out because of somebody beside them.
        let who = [&new.place, &new.user].map(|it| it.as_deref().unwrap_or_default());
        let who = who.join(" ");
        let admitted = {
            let quiet = self.gate.quiet.lock();
            let mut quiet = quiet.unwrap_or_else(PoisonError::into_inner);
            quiet.admits(&who, action, Instant::now())
        };
        if let Some(left_out) = admitted {
            new.left_out = left_out;
            // Whoever was refused is refused, whether it can be written down or not.
            let _ = self.note(new).await;
        }
    }

    async fn note(&self, new: NewAudit) -> Result<(), Failure> {
        self.write_down(&self.entry(new, true)).await
    }

    /// Writes down what became of what was permitted; nobody waits for that. Where it cannot
    /// be written down, it stands there as begun.
    pub(super) fn note_ends(&self, visitor: &Visitor, result: String) {
        let acts = visitor.acts_so_far();
        if !acts.is_empty() {
            let end = move |store: &mut dyn Store| {
                let now = clock::now();
                acts.iter().try_for_each(|it| it.end(store, &result, now))
            };
            self.desk.write_behind(Box::new(end));
        }
    }

    /// What was written down, with what became of it by now.
    async fn entries(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>, Failure> {
        // A full disk does not keep anybody from reading.
        let _ = self.write(|_| Ok(())).await;
        let query = query.clone();
        self.read(move |store| store.audit(&query)).await
    }
}

/// What became of what was permitted, by its answer.
pub(super) fn result(response: &Response) -> String {
    let status = response.status();
    match response.extensions().get::<Failure>() {
        Some(failure) => cut(&format!("failed: {failure}")),
        None if status.as_u16() >= 400 => format!("failed: {status}"),
        None => "done".to_owned(),
    }
}

#[derive(Serialize)]
struct AuditView {
    entries: Vec<EntryView>,
    /// Where the next page starts.
    before: Option<i64>,
    user: Option<String>,
    action: Option<String>,
}

#[derive(Serialize)]
struct EntryView {
    at: Moment,
    user: Option<String>,
    way: String,
    place: Option<String>,
    action: String,
    target: String,
    result: String,
    /// Whether it was done: a colour never stands alone.
    is_done: bool,
    left_out: u64,
}

fn view(all: &[AuditRecord], query: &AuditQuery, now: Timestamp) -> AuditView {
    let entries = all.iter().map(|it| EntryView {
        at: Moment::new(it.at, now),
        user: it.entry.user.clone(),
        way: it.entry.way.clone(),
        place: it.entry.place.clone(),
        action: it.entry.action.clone(),
        target: it.entry.target.clone(),
        result: it.entry.result.clone(),
        is_done: it.entry.result == "done",
        left_out: it.entry.left_out,
    });
    let last = all.last().filter(|_| all.len() == query.limit);
    AuditView {
        entries: entries.collect(),
        before: last.map(|it| it.id.0),
        user: query.user.clone(),
        action: query.action.clone(),
    }
}

fn query(all: &[(String, String)], usual: usize) -> Result<AuditQuery, Failure> {
    let text = |name: &str| {
        let found = all.iter().find(|it| it.0 == name && !it.1.is_empty());
        found.map(|it| it.1.clone())
    };
    let limit = builder::number(all, "limit")?;
    let limit = limit.map_or(usual, |it| usize::try_from(it).unwrap_or(0));
    Ok(AuditQuery {
        before: builder::number(all, "before")?.map(AuditId),
        user: text("user"),
        action: text("action"),
        limit: limit.clamp(1, MOST),
    })
}

pub(in crate::web) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    uri: Uri,
    Query(args): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    app.see(&visitor, Action::ShowAudit).await?;
    let query = query(&args, PAGE)?;
    let all = app.entries(&query).await?;
    app.draw("audit.html", &uri, view(&all, &query, clock::now()))
}

pub(in crate::web) async fn document(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(args): Query<Vec<(String, String)>>,
) -> Result<Json<Vec<Value>>, Failure> {
    app.see(&visitor, Action::ShowAudit).await?;
    let query = query(&args, PAGE)?;
    let all = app.entries(&query).await?;
    let entry = |it: &AuditRecord| {
        json!({
            "id": it.id.0,
            "at": clock::iso(it.at),
            "user": it.entry.user,
            "way": it.entry.way,
            "place": it.entry.place,
            "action": it.entry.action,
            "target": it.entry.target,
            "result": it.entry.result,
            "left_out": it.entry.left_out,
        })
    };
    Ok(Json(all.iter().map(entry).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_written_once_a_minute_and_counted_between() {
        let mut quiet = Quiet::default();
        let start = Instant::now();
        assert_eq!(quiet.admits("192.0.2.1", "login", start), Some(0));
        for _ in 0..1000 {
            assert_eq!(quiet.admits("192.0.2.1", "login", start), None);
        }
        assert_eq!(quiet.admits("192.0.2.1", "force_build", start), Some(1000));
        let later = start + EACH;
        assert_eq!(quiet.admits("192.0.2.1", "login", later), Some(0));
        let written = (0..100_000_u32)
            .filter(|it| quiet.admits(&it.to_string(), "login", later).is_some())
            .count();
        assert_eq!(written as u64, TOGETHER - 1);
        assert!(quiet.written.len() <= KINDS);
    }
}
