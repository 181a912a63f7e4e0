//! Tokens: what a program shows instead of a name and a password. Each is somebody's, and is good
//! for a few actions. It is shown once; nobody can read it here again.

use std::net::IpAddr;

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::config::Action;
use crate::logins::Ticket;
use crate::model::Timestamp;
use crate::store::NewToken;
use crate::store::Token;

use super::super::actions;
use super::super::actions::Posted;
use super::super::actions::field;
use super::super::app::App;
use super::super::app::Shared;
use super::super::failure::Failure;
use super::accounts;
use super::target::Target;
use super::visitor::Visitor;

/// What every token begins with, so that who finds one knows what it is.
pub(super) const PREFIX: &str = "autobot_";
/// The scope of a token that only sees.
const READ: &str = "read";
/// How exactly it is known when a token was used; each time is a write.
const USED_SECS: i64 = 60;
/// Bytes of a name.
const NAME: usize = 64;
/// Bytes of a user's name.
const USER: usize = 256;
const DAY_SECS: i64 = 86_400;
/// About a hundred years.
const MOST_DAYS: i64 = 36_500;

pub(in crate::web) async fn list(
    State(app): State<Shared>,
    visitor: Visitor,
) -> Result<Json<Vec<Value>>, Failure> {
    app.see(&visitor, Action::ManageUsers).await?;
    let all = app.read(|store| store.tokens()).await?;
    Ok(Json(all.iter().map(document).collect()))
}

fn document(token: &Token) -> Value {
    let moment = |it: Option<Timestamp>| it.map(clock::iso);
    json!({
        "name": token.name,
        "user": token.user,
        "scopes": token.scopes,
        "made": clock::iso(token.made),
        "expires": moment(token.expires),
        "is_expired": token.expires.is_some_and(|it| it <= clock::now()),
        "used": moment(token.used),
        "place": token.place,
    })
}

pub(in crate::web) async fn add(
    State(app): State<Shared>,
    visitor: Visitor,
    posted: Posted,
) -> Result<Json<Value>, Failure> {
    let fields = actions::read(posted)?;
    let name = field(&fields, "name").unwrap_or_default();
    let target = Target::called(format!("token {name}"));
    app.permit(&visitor, Action::ManageUsers, &target).await?;
    let bad = |what: String| Failure::BadRequest(what);
    let is_name = |it: &str| it.len() <= NAME && !it.contains(char::is_control);
    if name.is_empty() || !is_name(name) {
        return Err(bad(format!(
            "`name` should be one line of at most {NAME} bytes"
        )));
    }
    let user = field(&fields, "user").unwrap_or_default();
    if user.is_empty() || user.len() > USER || user.contains(char::is_control) {
        return Err(bad("`user` should say for whom the token acts".into()));
    }
    let scopes = scopes(field(&fields, "scope").unwrap_or_default()).map_err(bad)?;
    let days = match field(&fields, "days") {
        None => None,
        Some(text) => {
            let days = text.parse().ok().filter(|it| (1..=MOST_DAYS).contains(it));
            Some(days.ok_or_else(|| bad(format!("`days` should be from 1 to {MOST_DAYS}")))?)
        }
    };
    let ticket = Ticket::new(PREFIX).map_err(|reason| {
        tracing::error!(%reason, "a token cannot be made");
        Failure::Lost
    })?;
    let now = clock::now();
    let new = NewToken {
        name: name.to_owned(),
        digest: ticket.digest(),
        user: user.to_owned(),
        scopes,
        bound: accounts::find(&app, user).await?.is_some(),
        expires: days.map(|it: i64| Timestamp(now.0 + it * DAY_SECS * 1000)),
    };
    let (made, bound) = (new.clone(), new.bound);
    if !app.write(move |store| store.add_token(&new, now)).await? {
        return Err(Failure::Conflict(format!(
            "there is a token `{name}` already; remove it, or give this one another name"
        )));
    }
    Ok(Json(json!({
        "name": made.name,
        "user": made.user,
        "scopes": made.scopes,
        "expires": made.expires.map(clock::iso),
        "bound": bound,
        "token": ticket.expose(),
    })))
}

/// The actions that a token is for.
fn scopes(text: &str) -> Result<Vec<String>, String> {
    let is_end = |it: char| it == ',' || it.is_whitespace();
    let mut all: Vec<String> = Vec::new();
    for scope in text.split(is_end).filter(|it| !it.is_empty()) {
        // As the keys of the configuration are read.
        let scope = scope.replace('-', "_").to_ascii_lowercase();
        if scope != READ && Action::of(&scope).is_none_or(|it| it == Action::View) {
            let known: Vec<_> = Action::ALL
                .into_iter()
                .filter(|it| *it != Action::View)
                .map(Action::as_str)
                .collect();
            return Err(format!(
                "there is no scope `{}`; there are `read` and the actions: {}",
                scope.escape_debug(),
                known.join(", ")
            ));
        }
        if !all.contains(&scope) {
            all.push(scope);
        }
    }
    match all.is_empty() {
        true => Err(
            "`scope` should say what the token is for: `read`, or actions such as \
                     `force_build,stop_build`"
                .into(),
        ),
        false => Ok(all),
    }
}

pub(in crate::web) async fn remove(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let target = Target::called(format!("token {name}"));
    app.permit(&visitor, Action::ManageUsers, &target).await?;
    let wanted = name.clone();
    match app.write(move |store| store.remove_token(&wanted)).await? {
        true => Ok(Json(json!({ "removed": name }))),
        false => Err(Failure::NotFound(format!("token `{name}`"))),
    }
}

/// Writes down when a token was used the last time, and from where.
pub(super) async fn was_used(app: &App, token: &Token, address: Option<IpAddr>) {
    let now = clock::now();
    let place = address.map(|it| it.to_string());
    let is_lately = token.used.is_some_and(|it| now.0 - it.0 < USED_SECS * 1000);
    if is_lately && token.place == place {
        return;
    }
    let name = token.name.clone();
    // Where the disk is full it is not known; that is no reason to refuse.
    let _ = app
        .write(move |store| store.use_token(&name, place.as_deref(), now))
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_actions_or_reading() {
        assert_eq!(
            scopes("force_build, stop-build force_build").as_deref(),
            Ok(&["force_build".to_owned(), "stop_build".to_owned()][..])
        );
        assert_eq!(scopes("read").as_deref(), Ok(&["read".to_owned()][..]));
        for bad in ["", " , ", "everything", "force_build root", "view"] {
            assert!(scopes(bad).is_err(), "{bad}");
        }
    }
}
