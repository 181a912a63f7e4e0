//! `/api/try/NAME`: who may try something asks which builders there are for it (`GET`), or sends
//! a job (`POST`), with a name and a password (`Authorization: Basic`), or with a token that is
//! good for `force_build`.
//!
//! A job is the document `{"branch", "revision", "repository", "project", "patch": {"level",
//! "text" or "base64"}, "builders", "who", "comment", "properties"}`, of which nothing has to be
//! there, or what would be its file in a job directory. The answer names the buildset and its
//! requests. Nothing of a body is read before its sender is known.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;
use tokio::time;

use crate::master::tries::TryError;
use crate::master::tries::TryPass;

use super::app::Shared;
use super::auth;
use super::auth::Visitor;
use super::client_address::Client;
use super::failure::Failure;
use super::hooks;
use crate::config::Action;
use crate::config::Person;
use crate::master::Access;
use crate::secrets::Login;

pub(super) async fn builders(
    State(app): State<Shared>,
    Path(name): Path<String>,
    client: Client,
    headers: HeaderMap,
) -> Response {
    let pass = match enter(&app, &name, &headers, &client).await {
        Ok((pass, _)) => pass,
        Err(refused) => return refused,
    };
    match app.desk.trying(&pass) {
        Ok(builders) => {
            Json(json!({ "scheduler": name, "builders": names(&builders) })).into_response()
        }
        Err(error) => refusal(&error),
    }
}

pub(super) async fn send(
    State(app): State<Shared>,
    Path(name): Path<String>,
    client: Client,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, visitor) = match enter(&app, &name, &headers, &client).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let read = time::timeout(hooks::PATIENCE, hooks::read(body)).await;
    let (bytes, _room) = match read {
        Ok(Ok(read)) => read,
        Ok(Err((status, why))) => return line(status, why),
        Err(_) => return line(StatusCode::REQUEST_TIMEOUT, "the body takes too long"),
    };
    match app.desk.try_job(pass, bytes).await {
        Ok(tried) => {
            let requests = tried.requests.iter();
            let requests =
                requests.map(|(id, builder)| json!({ "request": id, "builder": builder.as_str() }));
            let requests: Vec<_> = requests.collect();
            app.note_done(&visitor, "try", &format!("scheduler {name}"))
                .await;
            Json(json!({ "buildset": tried.buildset, "requests": requests })).into_response()
        }
        Err(error) => refusal(&error),
    }
}

fn login(headers: &HeaderMap) -> Option<Login> {
    let said = headers.get(header::AUTHORIZATION)?;
    Login::of_header(said.to_str().ok()?)
}

/// Lets in who has a password for it. Who is wrong too often waits, as at the other doors.
async fn enter(
    app: &Shared,
    name: &str,
    headers: &HeaderMap,
    client: &Client,
) -> Result<(TryPass, Visitor), Response> {
    let peer = client.peer();
    // The owner needs none.
    if app.access != Access::Owner
        && let Some(visitor) = auth::by_token(app, peer, headers, Action::ForceBuild).await
    {
        let visitor = visitor.map_err(|failure| told(&failure))?;
        let user = visitor.name().unwrap_or_default();
        let pass = app.desk.let_known_try(name, user, app.access);
        return match pass {
            Ok(pass) => Ok((pass, visitor)),
            Err(error) => Err(refusal(&error)),
        };
    }
    let said = headers.get(header::AUTHORIZATION);
    let said = said.and_then(|it| it.to_str().ok());
    let user = login(headers).map(|it| format!("try {name}/{}", it.user));
    let user = user.unwrap_or_default();
    if app.access == Access::Full
        && let Some(wait) = app.gate.wait(peer.address, &user)
    {
        return Err(told(&Failure::TooOften(wait)));
    }
    let entered = app.desk.let_try(name, said, app.access);
    if let Err(TryError::Login) = &entered
        && !user.is_empty()
    {
        app.gate.was_wrong(peer.address, &user);
        let visitor = Visitor::nobody(app.access, peer);
        let why = TryError::Login.to_string();
        let target = user.escape_debug().to_string();
        app.note_refused(&visitor, "login", &target, &why).await;
    }
    let visitor = Visitor::nobody(app.access, peer);
    let visitor = match login(headers) {
        Some(login) => visitor.known_as(Person::new(login.user, BTreeMap::new())),
        None => visitor,
    };
    match entered {
        Ok(pass) => Ok((pass, visitor)),
        Err(error) => Err(refusal(&error)),
    }
}

fn names(all: &[crate::model::BuilderName]) -> Vec<&str> {
    all.iter().map(|it| it.as_str()).collect()
}

fn refusal(error: &TryError) -> Response {
    let status = match error {
        TryError::NoScheduler(_) => StatusCode::NOT_FOUND,
        TryError::ReadOnly | TryError::Stranger(_) => StatusCode::FORBIDDEN,
        TryError::Login => StatusCode::UNAUTHORIZED,
        TryError::Job(_) => StatusCode::BAD_REQUEST,
        TryError::Full(_) => StatusCode::CONFLICT,
        TryError::NoSecret | TryError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = line(status, &error.to_string());
    if status == StatusCode::UNAUTHORIZED {
        let way = header::HeaderValue::from_static("Basic realm=\"try\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, way);
    }
    response
}

/// A failure without a page around it.
fn told(failure: &Failure) -> Response {
    let mut response = line(failure.status(), &failure.to_string());
    failure.add_headers(response.headers_mut());
    response
}

fn line(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({ "error": what }))).into_response()
}
