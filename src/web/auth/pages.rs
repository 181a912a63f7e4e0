//! `/login`, `/logout` and `/authfail`.

use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use crate::master::Access;

use super::super::actions;
use super::super::actions::Fields;
use super::super::actions::Posted;
use super::super::actions::answer;
use super::super::app::App;
use super::super::app::Shared;
use super::super::failure;
use super::super::failure::Failure;
use super::gate;
use super::return_path::ReturnPath;
use super::session;
use super::visitor::Visitor;

/// What the login page shows.
#[derive(Clone, Debug, Serialize)]
pub(in crate::web) struct LoginView {
    /// Why it is shown, if nobody asked for it.
    what: Option<String>,
    /// Where it goes on.
    to: String,
    /// What was typed.
    username: String,
    /// Whether anybody can log in.
    is_there: bool,
}

pub(in crate::web) fn login_view(app: &App, what: Option<String>, to: &ReturnPath) -> LoginView {
    LoginView {
        what,
        to: to.as_str().to_owned(),
        username: String::new(),
        is_there: app.access == Access::Full && !app.desk.plan().authz.accounts.is_none(),
    }
}

fn to(fields: &Fields) -> ReturnPath {
    let to = fields.iter().find(|it| it.0 == "to");
    to.map(|it| ReturnPath::read(&it.1)).unwrap_or_default()
}

pub(in crate::web) async fn login_page(
    State(app): State<Shared>,
    uri: Uri,
    Query(query): Query<Fields>,
) -> Result<Response, Failure> {
    app.draw("login.html", &uri, login_view(&app, None, &to(&query)))
}

pub(in crate::web) async fn log_in(
    State(app): State<Shared>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = actions::read(posted)?;
    let to = to(&fields);
    // A password is taken as it is, blanks and all.
    let field = |name: &str| {
        fields
            .iter()
            .find(|it| it.0 == name)
            .map(|it| it.1.as_str())
    };
    let name = field("username").unwrap_or_default().trim();
    let password = field("passwd").unwrap_or_default();
    if app.access != Access::Full || app.desk.plan().authz.accounts.is_none() {
        return Err(Failure::NoLogins);
    }
    let address = visitor.peer.address;
    match gate::check(&app, name, password.as_bytes(), address).await {
        Ok((person, proof)) => {
            let cookie = session::begin(&app, &person, &proof, &headers, visitor.peer).await?;
            let done = json!({ "user": person.name() });
            app.note_done(&visitor.known_as(person), "login", "").await;
            let mut response = answer(&headers, &done, || to.location());
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(error) => {
            let failure = Failure::from(error);
            let why = failure.to_string();
            let target = format!("user {}", name.escape_debug());
            app.note_refused(&visitor, "login", &target, &why).await;
            let is_again = matches!(failure, Failure::BadLogin | Failure::TooOften(_));
            if failure::wants_json(&headers) || !is_again {
                return Err(failure);
            }
            let view = LoginView {
                username: name.chars().take(256).collect(),
                ..login_view(&app, Some(why), &to)
            };
            let page = app.draw("login.html", &uri, view)?;
            let status = match &failure {
                Failure::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::FORBIDDEN,
            };
            let mut response = (status, page).into_response();
            failure.add_headers(response.headers_mut());
            Ok(response)
        }
    }
}

pub(in crate::web) async fn logout_page(
    State(app): State<Shared>,
    uri: Uri,
) -> Result<Response, Failure> {
    app.draw("logout.html", &uri, json!({}))
}

pub(in crate::web) async fn log_out(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let cookie = session::end(&app, &headers).await?;
    if visitor.name().is_some() {
        app.note_done(&visitor, "logout", "").await;
    }
    let done = json!({ "user": null });
    let mut response = answer(&headers, &done, || "./".to_owned());
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Where Buildbot sent who was refused: old links lead to it.
pub(in crate::web) async fn authfail(
    State(app): State<Shared>,
    uri: Uri,
) -> Result<Response, Failure> {
    app.draw("authfail.html", &uri, json!({}))
}
