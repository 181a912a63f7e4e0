//! Sessions: a cookie stands for somebody who has logged in. The store keeps what cannot be made
//! into the cookie, so sessions survive a restart and a stolen store opens nothing.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Uri;
use axum::http::header;
use sha2::Digest as _;
use sha2::Sha256;

use crate::clock;
use crate::config::Person;
use crate::config::Plan;
use crate::logins;
use crate::logins::Ticket;
use crate::model::Timestamp;
use crate::model::hex;
use crate::store::NewSession;
use crate::store::SessionLimits;

use super::super::app::App;
use super::super::client_address::Peer;
use super::super::failure::Failure;
use super::accounts;

/// Cookies of our name that are looked at: a neighbour may have planted some.
const COOKIES: usize = 4;
/// How exactly it is known when somebody came the last time; each time is a write.
const SEEN_SECS: i64 = 60;

fn limits(plan: &Plan) -> SessionLimits {
    SessionLimits {
        idle: plan.authz.session_idle,
        life: plan.authz.session_life,
    }
}

/// The name of the cookie: a browser sends those of one host to every port of it, so each master
/// has its own.
fn cookie_name(app: &App) -> String {
    let digest = Sha256::digest(app.desk.basedir().as_os_str().as_encoded_bytes());
    let digits = hex(&digest[..4]);
    format!("autobot_{digits}")
}

/// What the visitor shows as a session.
fn shown(app: &App, headers: &HeaderMap) -> Vec<String> {
    let name = cookie_name(app);
    let all = headers.get_all(header::COOKIE).iter();
    let pairs = all
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(';'));
    let ours = pairs.filter_map(|it| it.trim().strip_prefix(name.as_str())?.strip_prefix('='));
    ours.take(COOKIES).map(str::to_owned).collect()
}

/// Who comes with a session. The account must be there still, with the same password.
pub(super) async fn find(app: &App, headers: &HeaderMap) -> Result<Option<Person>, Failure> {
    let plan = app.desk.plan();
    if plan.authz.accounts.is_none() {
        return Ok(None);
    }
    for ticket in shown(app, headers) {
        let Some(digest) = logins::digest("", &ticket) else {
            continue;
        };
        let (limits, now) = (limits(&plan), clock::now());
        let found = app
            .read(move |store| store.session(&digest, limits, now))
            .await?;
        let Some(session) = found else { continue };
        let Some(account) = accounts::find(app, &session.user).await? else {
            continue;
        };
        // Both are of a key that is not kept: how far they are the same tells nothing.
        if logins::bind(&ticket, account.proof()) != session.proof {
            continue;
        }
        if is_worth_writing(session.seen, now) {
            // Where the disk is full it counts as not seen.
            let _ = app
                .write(move |store| store.see_session(&digest, now))
                .await;
        }
        return Ok(Some(account.person));
    }
    Ok(None)
}

fn is_worth_writing(seen: Timestamp, now: Timestamp) -> bool {
    now.0 - seen.0 >= SEEN_SECS * 1000
}

/// Begins a session, always a new one, and gives the cookie of it.
pub(super) async fn begin(
    app: &App,
    person: &Person,
    proof: &str,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<HeaderValue, Failure> {
    end(app, headers).await?;
    let ticket = Ticket::new("").map_err(|reason| {
        tracing::error!(%reason, "nobody can log in");
        Failure::Lost
    })?;
    let plan = app.desk.plan();
    let new = NewSession {
        digest: ticket.digest(),
        user: person.name().to_owned(),
        proof: logins::bind(ticket.expose(), proof),
    };
    let (limits, now) = (limits(&plan), clock::now());
    app.write(move |store| store.add_session(&new, limits, now))
        .await?;
    let life = plan.authz.session_life.as_secs();
    let text = cookie(app, ticket.expose(), life, is_private(headers, peer, &plan));
    Ok(text)
}

/// Ends what the visitor shows as a session. The cookie that is given takes it from the browser.
pub(super) async fn end(app: &App, headers: &HeaderMap) -> Result<HeaderValue, Failure> {
    for ticket in shown(app, headers) {
        if let Some(digest) = logins::digest("", &ticket) {
            app.write(move |store| store.remove_session(&digest))
                .await?;
        }
    }
    Ok(cookie(app, "", 0, false))
}

/// Without a path of its own the cookie is for everything beside `login` and `logout`, which are
/// right below the root: that holds behind a proxy under any prefix.
fn cookie(app: &App, value: &str, life: u64, is_private: bool) -> HeaderValue {
    let name = cookie_name(app);
    let secure = if is_private { "; Secure" } else { "" };
    let text = format!("{name}={value}; Max-Age={life}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).expect("hexadecimal digits")
}

/// Whether nobody between the browser and here can read along, as far as that can be told. What
/// a visitor says wrongly about that is about their own cookie.
fn is_private(headers: &HeaderMap, peer: Peer, plan: &Plan) -> bool {
    let says = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let base = plan.master.base_url.as_deref();
    let base: Option<Uri> = base.and_then(|it| it.parse().ok());
    let is_base = base.is_some_and(|it| {
        it.scheme_str() == Some("https") && it.authority().map(|it| it.as_str()) == says("host")
    });
    peer.secure || is_base
}
