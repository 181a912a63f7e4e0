//! Finds out who comes, before anything is answered.

use axum::Form;
use axum::body::Body;
use axum::extract::FromRequest as _;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;
use http_body_util::BodyExt as _;
use http_body_util::Limited;

use crate::clock;
use crate::config::Action;
use crate::config::Person;
use crate::logins;
use crate::master::Access;
use crate::secrets::Login;

use super::super::access_log::LoggedIn;
use super::super::app::App;
use super::super::app::FORM;
use super::super::app::Shared;
use super::super::client_address::Client;
use super::super::client_address::Peer;
use super::super::failure::Failure;
use super::accounts;
use super::audit;
use super::gate;
use super::session;
use super::tokens;
use super::visitor;
use super::visitor::Visitor;
use super::visitor::Way;

/// Pages that everybody sees, whoever may see the others.
const OPEN: [&str; 6] = [
    "/login",
    "/logout",
    "/authfail",
    "/robots.txt",
    "/favicon.ico",
    "/healthz",
];

/// Finds out who comes. What is wrong with what was shown is told by [`enter`], where it is drawn.
pub(in crate::web) async fn meet(
    State(app): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let client = request.extensions().get::<Client>();
    let peer = client.map(Client::peer).unwrap_or_default();
    let mut visitor = Visitor::nobody(app.access, peer);
    let mut request = request;
    let is_for_all = request.uri().path().starts_with("/static/");
    if app.access == Access::Full
        && !is_for_all
        && let Err(refusal) = recognise(&app, &mut visitor, &mut request).await
    {
        visitor.refusal = Some(refusal);
    }
    request.extensions_mut().insert(visitor.clone());
    let is_known = visitor.person.is_some();
    let name = visitor.name().map(LoggedIn::from);
    let mut response = visitor::scope(visitor, next.run(request)).await;
    if let Some(name) = name {
        response.extensions_mut().insert(name);
    }
    if is_known {
        // What somebody sees who has logged in is for nobody else's cache.
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("private, no-cache"));
    }
    response
}

/// Lets in who may come in at all, and writes down what became of what was permitted.
pub(in crate::web) async fn enter(
    State(app): State<Shared>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if app.access == Access::ReadOnly && !reads {
        return Failure::ReadOnly.into_response();
    }
    if let Some(refusal) = &visitor.refusal {
        return refusal.clone().into_response();
    }
    let path = request.uri().path();
    let is_open = OPEN.contains(&path) || path.starts_with("/static/");
    if !is_open && let Err(refusal) = app.see(&visitor, Action::View).await {
        return refusal.into_response();
    }
    let response = next.run(request).await;
    let result = audit::result(&response);
    app.note_ends(&visitor, result);
    response
}

async fn recognise(app: &App, visitor: &mut Visitor, request: &mut Request) -> Result<(), Failure> {
    let has_accounts = !app.desk.plan().authz.accounts.is_none();
    if let Some(said) = authorization(request.headers()) {
        if let Some(token) = strip_way(&said, "bearer") {
            (visitor.way, visitor.person) = of_token(app, visitor, token).await?;
            return Ok(());
        }
        // A proxy that asks for a password itself may hand it on: where nobody can log in here,
        // it is not ours.
        if has_accounts && strip_way(&said, "basic").is_some() {
            let login = Login::of_header(&said).ok_or(Failure::BadLogin)?;
            let person = by_password(app, visitor, &login.user, &login.password).await?;
            (visitor.way, visitor.person) = (Way::Password, Some(person));
            return Ok(());
        }
    }
    if !has_accounts {
        return Ok(());
    }
    if let Some((name, password)) = of_form(request).await? {
        let person = by_password(app, visitor, &name, password.as_bytes()).await?;
        (visitor.way, visitor.person) = (Way::Password, Some(person));
        return Ok(());
    }
    if let Some(person) = session::find(app, request.headers()).await? {
        (visitor.way, visitor.person) = (Way::Session, Some(person));
    }
    Ok(())
}

/// Who shows a token that is good for this, where no visitor is met; `None` if none is shown.
pub(in crate::web) async fn by_token(
    app: &App,
    peer: Peer,
    headers: &HeaderMap,
    action: Action,
) -> Option<Result<Visitor, Failure>> {
    let said = authorization(headers)?;
    let token = strip_way(&said, "bearer")?;
    let mut visitor = Visitor::nobody(app.access, peer);
    (visitor.way, visitor.person) = match of_token(app, &visitor, token).await {
        Ok(found) => found,
        Err(refused) => return Some(Err(refused)),
    };
    let lacks = visitor.lacks_scope(action).map(str::to_owned);
    Some(match lacks {
        Some(token) => Err(Failure::LacksScope(action, token)),
        None => Ok(visitor),
    })
}

fn authorization(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(header::AUTHORIZATION)?;
    said.to_str().ok().map(str::to_owned)
}

fn strip_way<'a>(said: &'a str, wanted: &str) -> Option<&'a str> {
    let (way, rest) = said.split_once(' ')?;
    way.eq_ignore_ascii_case(wanted).then(|| rest.trim())
}

async fn by_password(
    app: &App,
    visitor: &Visitor,
    name: &str,
    password: &[u8],
) -> Result<Person, Failure> {
    match gate::check(app, name, password, visitor.peer.address).await {
        Ok((person, _)) => Ok(person),
        Err(error) => {
            let failure = Failure::from(error);
            let why = failure.to_string();
            let target = format!("user {}", name.escape_debug());
            app.note_refused(visitor, "login", &target, &why).await;
            Err(failure)
        }
    }
}

/// The name and the password of a form that is sent with both, as Buildbot's forms were. The form
/// is as it was when this is over.
async fn of_form(request: &mut Request) -> Result<Option<(String, String)>, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let is_form = kind.as_ref().is_some_and(|it| {
        it.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    // That one asks by itself.
    let is_login = request.uri().path() == "/login";
    if *request.method() != Method::POST || !is_form || is_login {
        return Ok(None);
    }
    let body = std::mem::take(request.body_mut());
    let Ok(read) = Limited::new(body, FORM).collect().await else {
        return Err(Failure::BadRequest("the form is larger than 64 KiB".into()));
    };
    let bytes = read.to_bytes();
    let mut copy = Request::new(Body::from(bytes.clone()));
    *copy.method_mut() = Method::POST;
    copy.headers_mut()
        .extend(kind.map(|it| (header::CONTENT_TYPE, it)));
    *request.body_mut() = Body::from(bytes);
    // What is wrong with the form is told by who reads it.
    let Ok(Form(fields)) = Form::<Vec<(String, String)>>::from_request(copy, &()).await else {
        return Ok(None);
    };
    let field = |name: &str| {
        let found = fields.iter().find(|it| it.0 == name);
        found.map(|it| it.1.clone()).filter(|it| !it.is_empty())
    };
    Ok(field("username").zip(field("passwd")))
}

async fn of_token(
    app: &App,
    visitor: &Visitor,
    shown: &str,
) -> Result<(Way, Option<Person>), Failure> {
    let address = visitor.peer.address;
    if let Some(wait) = app.gate.wait(address, "") {
        return Err(Failure::TooOften(wait));
    }
    let found = match logins::digest(tokens::PREFIX, shown) {
        Some(digest) => app.read(move |store| store.token(&digest)).await?,
        None => None,
    };
    let Some(token) = found else {
        app.gate.was_wrong(address, "");
        app.note_refused(visitor, "login", "token", "there is no such token")
            .await;
        return Err(Failure::BadToken("this token is not known".into()));
    };
    let now = clock::now();
    let name = &token.name;
    let ended = |why: String| Err(Failure::BadToken(why));
    if let Some(expired) = token.expires.filter(|it| *it <= now) {
        let day = clock::iso(expired);
        return ended(format!("the token `{name}` has expired at {day}"));
    }
    let account = accounts::find(app, &token.user).await?;
    if token.bound && account.is_none() {
        let user = &token.user;
        return ended(format!("the token `{name}` is of `{user}`, who is gone"));
    }
    // A token of a program whose user logs in nowhere.
    let person = account.map_or_else(
        || {
            let plan = app.desk.plan();
            Person::new(&*token.user, accounts::attributes(&plan, &token.user))
        },
        |it| it.person,
    );
    tokens::was_used(app, &token, address).await;
    let way = Way::Token {
        name: token.name,
        scopes: token.scopes,
    };
    Ok((way, Some(person)))
}
