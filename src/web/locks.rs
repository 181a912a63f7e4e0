//! Locks: who has which, and who waits for it.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::master::lock_view::LockUserView;
use crate::master::lock_view::LockView;

use super::app::Shared;
use super::failure::Failure;
use super::links;
use super::rows::Link;

#[derive(Serialize)]
struct LocksView {
    locks: Vec<LockLine>,
}

/// A lock in the table.
#[derive(Serialize)]
struct LockLine {
    name: String,
    /// `one for all`, `one for each slave`, `of slave linux`.
    of: String,
    max_count: u32,
    holders: Vec<UserLine>,
    waiting: Vec<UserLine>,
}

#[derive(Serialize)]
struct UserLine {
    /// A build, or the builder of one that has not begun.
    link: Option<Link>,
    access: &'static str,
}

impl LockLine {
    fn new(it: &LockView) -> Self {
        let of = match (&it.slave, it.is_of_slaves) {
            (Some(slave), _) => format!("of slave {slave}"),
            (None, true) => "one for each slave".to_owned(),
            (None, false) => "one for all".to_owned(),
        };
        Self {
            name: it.name.to_string(),
            of,
            max_count: it.max_count,
            holders: it.holders.iter().map(UserLine::new).collect(),
            waiting: it.waiting.iter().map(UserLine::new).collect(),
        }
    }
}

impl UserLine {
    fn new(it: &LockUserView) -> Self {
        let link = match (&it.build, &it.builder) {
            (Some(key), _) => Some(Link::build(key)),
            (None, Some(builder)) => Some(Link {
                name: format!("a build of {builder}"),
                url: links::builder(builder.as_str()),
            }),
            (None, None) => None,
        };
        Self {
            link,
            access: it.access.as_str(),
        }
    }
}

pub(super) async fn page(State(app): State<Shared>, uri: Uri) -> Result<Response, Failure> {
    let locks = app.desk.locks().await;
    let locks = locks.iter().map(LockLine::new).collect();
    app.draw("locks.html", &uri, LocksView { locks })
}

pub(super) async fn document(State(app): State<Shared>) -> Json<Value> {
    let user = |it: &LockUserView| {
        json!({
            "builder": it.builder.as_ref().map(ToString::to_string),
            "number": it.build.as_ref().map(|it| it.number),
            "access": it.access.as_str(),
        })
    };
    let locks = app.desk.locks().await;
    let locks = locks.iter().map(|it| {
        json!({
            "name": it.name.to_string(),
            "type": if it.is_of_slaves { "slave" } else { "master" },
            "slave": it.slave.as_ref().map(ToString::to_string),
            "maxCount": it.max_count,
            "holders": it.holders.iter().map(user).collect::<Vec<_>>(),
            "waiting": it.waiting.iter().map(user).collect::<Vec<_>>(),
        })
    });
    Json(Value::Array(locks.collect()))
}
