//! Why a request cannot be answered: one type, drawn in one place as a page
//! or as JSON. The visitor reads what a visitor can use; the log reads all.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;

use crate::config::Action;
use crate::master::forcing::FormErrors;
use crate::master::handle::Denied;
use crate::store::StoreError;

use super::app::App;
use super::app::Shared;
use super::auth;
use super::auth::ReturnPath;

/// Why a request cannot be answered.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// What there is none of: ``builder `x` ``.
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0}")]
    BadRequest(String),
    /// Fields of a form that hold what they may not.
    #[error(transparent)]
    BadForm(FormErrors),
    #[error("{0}")]
    Conflict(String),
    #[error("this port only shows: builds are started and stopped elsewhere")]
    ReadOnly,
    #[error(
        "the configuration lets nobody do this here: `{}` in `[:authz:]` says who may",
        .0.as_str()
    )]
    Refused(Action),
    #[error("`{action}` in `[:authz:]` does not let `{name}` do this", action = .0.as_str(), name = .1)]
    RefusedTo(Action, String),
    #[error("`{}` in `[:authz:]` asks for a login", .0.as_str())]
    NeedsLogin(Action),
    #[error("`{}` in `[:authz:]` asks for a login, and nobody can log in here", .0.as_str())]
    NobodyLogsIn(Action),
    #[error("the token `{name}` is not for this: it has no scope `{action}`", action = .0.as_str(), name = .1)]
    LacksScope(Action, String),
    #[error("{0}")]
    BadToken(String),
    #[error("the name or the password is wrong")]
    BadLogin,
    /// A login that has to wait.
    #[error("there were too many logins that failed; try again in {} s", secs(*.0))]
    TooOften(Duration),
    #[error("nobody can log in here")]
    NoLogins,
    #[error("who can log in cannot be read now; the log of the master says why")]
    NoAccounts,
    #[error("failed to draw `{template}`: {what}")]
    Template { template: String, what: String },
    #[error("the store cannot be used: {0}")]
    Store(StoreError),
    #[error("failed to read the log `{file}`")]
    Log {
        file: String,
        #[source]
        source: Arc<std::io::Error>,
    },
    #[error("a reader stopped in the middle of its work")]
    Lost,
}

impl Failure {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::BadRequest(_) | Self::BadForm(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::ReadOnly
            | Self::Refused(_)
            | Self::RefusedTo(..)
            | Self::NobodyLogsIn(_)
            | Self::LacksScope(..)
            | Self::NoLogins => StatusCode::FORBIDDEN,
            Self::NeedsLogin(_) | Self::BadToken(_) | Self::BadLogin => StatusCode::UNAUTHORIZED,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoAccounts => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.is_disk => StatusCode::SERVICE_UNAVAILABLE,
            Self::Template { .. } | Self::Store(_) | Self::Log { .. } | Self::Lost => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

impl Failure {
    /// What can be done about it, for programs.
    fn next(&self) -> Option<&'static str> {
        match self {
            Self::NotFound(_) => Some(
                "names and numbers are spelled as the pages spell them; an old build may have been \
                 removed; `GET /api` has all calls",
            ),
            Self::ReadOnly => Some("`htmlport` is where actions are sent to"),
            Self::Store(error) if error.is_disk => {
                Some("it works again when there is room on the master's disk")
            }
            _ => None,
        }
    }

    /// Whether a login would help, or another one than what was shown.
    const fn asks_for_login(&self) -> bool {
        matches!(self, Self::NeedsLogin(_) | Self::BadLogin)
    }

    /// What a program does about it stands in headers.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        match self {
            Self::TooOften(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(secs(*wait)));
            }
            Self::NeedsLogin(_) | Self::BadLogin => {
                for way in ["Basic realm=\"autobot\", charset=\"UTF-8\"", "Bearer"] {
                    headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
                }
            }
            Self::BadToken(_) => {
                let way = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, way);
            }
            _ => {}
        }
    }
}

/// Whole seconds, and never none.
fn secs(time: Duration) -> u64 {
    (time + Duration::from_millis(999)).as_secs().max(1)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NoBuilder(name) => Self::NotFound(format!("builder `{name}`")),
            Denied::NoSlave(name) => Self::NotFound(format!("slave `{name}`")),
            Denied::NoBuild(build) => Self::NotFound(format!("build `{build}`")),
            Denied::BadInput(what) => Self::BadRequest(what),
            Denied::BadForm(wrong) => Self::BadForm(wrong),
            Denied::Finished(_)
            | Denied::NotWaiting(_)
            | Denied::Running(_)
            | Denied::Full(..)
            | Denied::NotPaused(_)
            | Denied::Pinging(_)
            | Denied::NotConnected(_)
            | Denied::NotForUsers(_)
            | Denied::Kept(_) => Self::Conflict(denied.to_string()),
            Denied::Store(error) => Self::Store(error),
        }
    }
}

impl IntoResponse for Failure {
    /// A bare status that carries the failure; [`draw`] gives it a body.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What the error page shows.
#[derive(Serialize)]
pub(super) struct ErrorView {
    pub(super) status: u16,
    pub(super) title: &'static str,
    pub(super) what: String,
    pub(super) hint: &'static str,
    /// Names the line in the master's log.
    pub(super) id: Option<u64>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl ErrorView {
    fn new(status: StatusCode, failure: Option<&Failure>) -> Self {
        let (title, generic, hint) = words(status);
        let mut what = failure.map_or_else(|| generic.to_owned(), ToString::to_string);
        let mut id = None;
        if let Some(failure) = failure
            && status.is_server_error()
        {
            let number = NEXT_ID.fetch_add(1, Ordering::Relaxed);
            id = Some(number);
            let mut chain = failure.to_string();
            let mut cause = failure.source();
            while let Some(error) = cause {
                chain = format!("{chain}: {error}");
                cause = error.source();
            }
            tracing::error!(request = number, "{chain}");
            // The names of templates help who edits them; a database's words help nobody.
            if !matches!(failure, Failure::Template { .. }) {
                what = failure.to_string();
            }
        }
        Self {
            status: status.as_u16(),
            title,
            what,
            hint,
            id,
        }
    }
}

fn words(status: StatusCode) -> (&'static str, &'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => (
            "Not found",
            "there is nothing at this address",
            "Names and numbers are spelled as the pages spell them; an old build may have been removed.",
        ),
        StatusCode::UNAUTHORIZED => (
            "Log in",
            "this is for who has logged in",
            "Nothing was changed. Programs show a name and a password, or a token.",
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            "Too often",
            "there were too many of these",
            "Nothing was changed. Who waits is let in.",
        ),
        StatusCode::FORBIDDEN => (
            "Not allowed",
            "this form was sent from another site",
            "Nothing was changed.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "Not this way",
            "this address does not answer this method",
            "Actions are sent with POST, from their form or by `autobot`; pages are read with GET.",
        ),
        StatusCode::CONFLICT => ("Too late", "the state has changed", "Nothing was changed."),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "Too large",
            "a form may have 64 KiB",
            "Nothing was changed.",
        ),
        it if it.is_client_error() => (
            "Not understood",
            "the request cannot be read",
            "Nothing was changed.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "Not now",
            "the master cannot write to its disk",
            "Nothing was changed. It works again when there is room; what runs goes on then, too.",
        ),
        _ => (
            "Something is broken",
            "autobot could not make this page",
            "Builds are not affected. The master's log says more under the number below.",
        ),
    }
}

/// Gives every failed response a body: a page, or JSON for who asked for that.
pub(super) async fn draw(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let is_post = request.method() == axum::http::Method::POST;
    let wants_json = wants_json(request.headers()) || uri.path().starts_with("/api/");
    let is_browser = wants_page(request.headers());
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    // A form that is shown again says by itself what is wrong.
    if is_page(&response) {
        return response;
    }
    let failure = response.extensions_mut().remove::<Failure>();
    if let Some(failure) = failure.as_ref().filter(|it| it.asks_for_login())
        && is_browser
        && !wants_json
    {
        return ask_to_log_in(&app, &uri, is_post, failure);
    }
    let view = ErrorView::new(status, failure.as_ref());
    let kept = [header::ALLOW, header::CONTENT_RANGE];
    let kept = kept.map(|name| (response.headers_mut().remove(&name), name));
    let mut response = if wants_json {
        let mut body = serde_json::json!({ "error": view.what });
        if let Some(next) = failure.as_ref().and_then(Failure::next) {
            body["next"] = next.into();
        }
        if let Some(Failure::BadForm(wrong)) = &failure {
            for it in &wrong.0 {
                body["fields"][&it.field] = it.why.as_str().into();
            }
        }
        (status, axum::Json(body)).into_response()
    } else {
        (status, app.draw_error(&uri, &view)).into_response()
    };
    if let Some(failure) = &failure {
        failure.add_headers(response.headers_mut());
    }
    for (value, name) in kept {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The login page, in place of what was asked for. A browser that is answered 401 would ask with
/// a window of its own, and keep the password as long as it lives; so it is 403.
fn ask_to_log_in(app: &App, uri: &Uri, is_post: bool, failure: &Failure) -> Response {
    let to = match (is_post, uri.path_and_query()) {
        (true, _) => ReturnPath::of_action(uri.path()),
        (false, page) => ReturnPath::of_page(page.map_or("", |it| it.as_str())),
    };
    let view = auth::login_view(app, Some(failure.to_string()), &to);
    match app.draw("login.html", uri, view) {
        Ok(page) => (StatusCode::FORBIDDEN, page).into_response(),
        Err(broken) => {
            let view = ErrorView::new(broken.status(), Some(&broken));
            (broken.status(), app.draw_error(uri, &view)).into_response()
        }
    }
}

pub(super) fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|it| it.to_str().ok());
    kind.is_some_and(|it| it.starts_with("text/html"))
}

/// Whether the client is one that shows pages to somebody.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|it| it.to_str().ok())
        .is_some_and(|it| it.contains("text/html"))
}

/// Whether the client prefers JSON to a page.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|it| it.to_str().ok())
        .is_some_and(|it| it.contains("application/json"))
}
