//! Which address is which page, and what holds for all of them.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::middleware;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::any;
use axum::routing::get;
use axum::routing::post;
use serde::Serialize;
use tokio::sync::oneshot;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tracing::error;

use crate::clock;
use crate::config::Feed;
use crate::config::Permission;
use crate::master::Access;
use crate::store::Store;
use crate::store::StoreError;

use super::about;
use super::actions;
use super::api;
use super::artifacts;
use super::auth;
use super::badge;
use super::build;
use super::builder;
use super::builder_list;
use super::changes;
use super::console;
use super::desk::Desk;
use super::desk::Verbs;
use super::events;
use super::failure;
use super::failure::ErrorView;
use super::failure::Failure;
use super::feeds;
use super::files;
use super::frame;
use super::frame::Frame;
use super::frame::ShutdownLine;
use super::frame::TroubleLine;
use super::grid;
use super::health;
use super::home;
use super::hooks;
use super::journal::Journal;
use super::json;
use super::lines;
use super::locks;
use super::log;
use super::log_index::Shelf;
use super::log_text;
use super::methods;
use super::metrics;
use super::notice;
use super::ping;
use super::queue_actions;
use super::slaves;
use super::sources;
use super::step;
use super::templates::Templates;
use super::test_list;
use super::test_page;
use super::tries;
use super::twice;
use super::unchanged;
use super::users;
use super::visits;
use super::visits::House;
use super::waterfall;

/// What every handler gets.
pub(super) struct App {
    pub(super) desk: Arc<dyn Desk>,
    pub(super) access: Access,
    pub(super) house: Arc<House>,
    pub(super) journal: Journal,
    pub(super) gate: auth::Gate,
    /// Large documents that were made lately.
    pub(super) trees: json::Kept,
    templates: Templates,
    /// What is known of the lines of logs.
    pub(super) shelf: Arc<Shelf>,
    /// What was wrong with the master's own templates the last time, so that the log says it once.
    template_problem: Mutex<Option<String>>,
}

pub(super) type Shared = Arc<App>;

impl App {
    fn new(desk: Arc<dyn Desk>, access: Access, house: Arc<House>) -> Self {
        let templates = Templates::new(desk.basedir());
        Self {
            journal: Journal::new(desk.subscribe()),
            desk,
            access,
            house,
            gate: auth::Gate::new(),
            trees: json::Kept::default(),
            templates,
            shelf: Arc::default(),
            template_problem: Mutex::default(),
        }
    }

    /// Runs reading verbs on one snapshot of the store.
    pub(super) async fn read<T, F>(&self, verbs: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = answering(verbs);
        self.desk.read(job).await?;
        answer.await.map_err(|_| Failure::Lost)
    }

    /// Runs writing verbs as one transaction.
    pub(super) async fn write<T, F>(&self, verbs: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = answering(verbs);
        self.desk.write(job).await?;
        answer.await.map_err(|_| Failure::Lost)
    }

    pub(super) fn draw(
        &self,
        template: &str,
        uri: &Uri,
        view: impl Serialize,
    ) -> Result<Response, Failure> {
        let page = self.draw_text(template, uri, view)?;
        Ok(Html(page).into_response())
    }

    /// Draws what is no page: a feed, or what stands in one.
    pub(super) fn draw_text(
        &self,
        template: &str,
        uri: &Uri,
        view: impl Serialize,
    ) -> Result<String, Failure> {
        let mut frame = Frame {
            reload: frame::reload(uri.query()),
            ..self.frame(uri)
        };
        let page = match self.templates.draw(template, &frame, &view) {
            Err(error) if self.templates.has_own() => {
                let problem = error.to_string();
                self.tell_template_problem(&problem);
                frame.template_problem = Some(problem);
                self.templates.draw_built_in(template, &frame, &view)?
            }
            drawn => drawn?,
        };
        Ok(page)
    }

    /// Puts a mistake in a template into the log, once and not for every page.
    fn tell_template_problem(&self, problem: &str) {
        let told = self.template_problem.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        if told.as_deref() != Some(problem) {
            error!(
                reason = problem,
                "a template is broken; the built-in one is shown"
            );
            *told = Some(problem.to_owned());
        }
    }

    /// Draws the error page; with the built-in template if the master's own is the trouble.
    pub(super) fn draw_error(&self, uri: &Uri, view: &ErrorView) -> Html<String> {
        let frame = self.frame(uri);
        let drawn = self
            .templates
            .draw("error.html", &frame, view)
            .or_else(|_| self.templates.draw_built_in("error.html", &frame, view))
            .unwrap_or_else(|error| format!("{}: {error}", view.status));
        Html(drawn)
    }

    fn frame(&self, uri: &Uri) -> Frame {
        let plan = self.desk.plan();
        let page = auth::of_page();
        let offers = |action| match &page {
            Some((visitor, about)) => self.offers(&plan, visitor, action, about.as_ref()),
            None => Permission::Refused,
        };
        let visitor = page.as_ref().map(|it| &it.0);
        let shutdown = self.desk.shutdown();
        let now = clock::now();
        Frame {
            has_locks: !plan.locks.is_empty(),
            feeds: plan.web.provided().map(Feed::as_str).collect(),
            config_bad_since: self.desk.config_bad_since().map(clock::iso),
            troubles: self.desk.troubles().iter().map(TroubleLine::new).collect(),
            shutdown: shutdown.map(|it| ShutdownLine::new(&it, now)),
            visitor: visitor.and_then(|it| it.name()).map(str::to_owned),
            can_log_in: self.access == Access::Full && !plan.authz.accounts.is_none(),
            here: here(uri),
            notice: notice::said(uri.query()),
            ..Frame::new(uri.path(), &plan.master, offers, self.access, now)
        }
    }
}

/// Verbs as the desk takes them, and where their answer comes.
fn answering<T, F>(verbs: F) -> (Verbs, oneshot::Receiver<T>)
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
{
    let (tell, answer) = oneshot::channel();
    let job = move |store: &mut dyn Store| {
        // A visitor who left in the meantime needs no answer.
        let _ = tell.send(verbs(store)?);
        Ok(())
    };
    (Box::new(job), answer)
}

/// The page that is asked for, from the root of the site on: where a login leads back to.
fn here(uri: &Uri) -> String {
    let page = uri.path_and_query().map_or("", |it| it.as_str());
    auth::ReturnPath::of_page(page).as_str().to_owned()
}

/// The largest form that is read.
pub(super) const FORM: usize = 64 * 1024;

const STEP: &str = "/builders/{builder}/builds/{number}/steps/{step}";

const ARTIFACTS: &str = "/builders/{builder}/builds/{number}/artifacts";

const TESTS: &str = "/builders/{builder}/builds/{number}/tests";

/// The site in a house of its own.
#[cfg(test)]
pub(super) fn router(desk: Arc<dyn Desk>, access: Access) -> Router {
    router_in(desk, access, Arc::default())
}

pub(super) fn router_in(desk: Arc<dyn Desk>, access: Access, house: Arc<House>) -> Router {
    let app = Arc::new(App::new(desk, access, house));
    let all = Router::new()
        .route("/", get(home::page))
        .route("/shutdown", post(actions::begin_shutdown))
        .route("/cancel_shutdown", post(actions::cancel_shutdown))
        .route("/builders", get(builder_list::page))
        .route("/builders/{builder}", get(builder::page))
        .route("/builders/{builder}/force", post(actions::force))
        .route("/builders/{builder}/ping", post(ping::ping))
        .route("/builders/{builder}/cancelbuild", post(actions::cancel))
        .route("/builders/{builder}/builds/{number}", get(build::page))
        .route(
            "/builders/{builder}/builds/{number}/stop",
            post(actions::stop),
        )
        .route(
            "/builders/{builder}/builds/{number}/rebuild",
            post(queue_actions::rebuild),
        )
        .route(
            "/builders/{builder}/stopchange",
            post(queue_actions::stop_change),
        )
        .route(
            "/builders/_all/stopchangeall",
            post(queue_actions::stop_change_everywhere),
        )
        .route("/builders/_all/forceall", post(queue_actions::force_all))
        .route(
            "/builders/_selected/forceselected",
            post(queue_actions::force_selected),
        )
        .route("/builders/_all/stopall", post(queue_actions::stop_all))
        .route(
            "/builders/_selected/stopselected",
            post(queue_actions::stop_selected),
        )
        .route("/requests/{id}/cancel", post(queue_actions::cancel_request))
        .route(STEP, get(step::page))
        .route(&format!("{STEP}/logs/{{log}}"), get(log::page))
        .route(&format!("{STEP}/logs/{{log}}/chunk"), get(log::chunk))
        .route(&format!("{STEP}/logs/{{log}}/text"), get(log_text::text))
        .route(&format!("{STEP}/logs/{{log}}/raw"), get(log_text::raw))
        .route(ARTIFACTS, get(artifacts::page))
        .route(&format!("{ARTIFACTS}/{{*path}}"), get(artifacts::file))
        .route("/builders/{builder}/latest", get(artifacts::latest_build))
        .route(
            "/builders/{builder}/latest/artifacts",
            get(artifacts::latest),
        )
        .route(
            "/builders/{builder}/latest/artifacts/{*path}",
            get(artifacts::latest),
        )
        .route(TESTS, get(test_list::page))
        .route(&format!("{TESTS}/{{test}}"), get(test_page::page))
        .route("/builders/{builder}/builds", get(parent))
        .route("/builders/{builder}/builds/{number}/steps", get(parent))
        .route(&format!("{STEP}/logs"), get(parent))
        .route("/waterfall", get(waterfall::page))
        .route("/waterfall/help", get(waterfall::help::page))
        .route("/buildstatus", get(waterfall::status::page))
        .route("/console", get(console::page))
        .route("/one_line_per_build", get(lines::page))
        .route("/one_line_per_build/{builder}", get(lines::of_builder))
        .route("/one_box_per_builder", get(lines::boxes))
        .route("/grid", get(grid::page))
        .route("/tgrid", get(grid::transposed))
        .route("/changes", get(changes::list))
        .route("/changes/{id}", get(changes::page))
        .route("/buildslaves", get(slaves::list))
        .route("/buildslaves/{slave}", get(slaves::page))
        .route("/buildslaves/{slave}/pause", post(actions::pause))
        .route("/buildslaves/{slave}/unpause", post(actions::unpause))
        .route("/buildslaves/{slave}/shutdown", post(actions::shut_down))
        .route("/buildslaves/{slave}/{name}", any(actions::of_no_kind))
        .route("/locks", get(locks::page))
        .route("/users", get(users::list))
        .route("/users/{id}", get(users::page))
        // As Buildbot calls them.
        .route("/users/table", get(parent).post(users::list))
        .route("/users/table/{id}", get(user_of_table).post(users::page))
        .route("/login", get(auth::login_page).post(auth::log_in))
        .route("/logout", get(auth::logout_page).post(auth::log_out))
        .route("/authfail", get(auth::authfail))
        .route("/audit", get(auth::audit_page))
        .route("/sources", get(sources::page))
        .route("/about", get(about::page))
        .route("/events", get(events::stream))
        .merge(
            Router::new()
                .route("/json", get(json::root))
                .route("/json/", get(json::root))
                .route("/json/{*path}", get(json::at))
                .route_layer(middleware::from_fn_with_state(
                    Arc::clone(&app),
                    feeds::json,
                )),
        )
        .route("/rss", get(feeds::rss))
        .route("/atom", get(feeds::atom))
        .route("/badges/{file}", get(badge::picture))
        .nest("/api", api::routes())
        .route("/robots.txt", get(robots))
        .route("/favicon.ico", get(favicon))
        .route(
            "/static/autobot.css",
            get(|headers: HeaderMap| async move { file(&headers, "text/css", CSS) }),
        )
        .route(
            "/static/log.js",
            get(|headers: HeaderMap| async move { file(&headers, "text/javascript", LOG_JS) }),
        )
        .route(
            "/static/console.js",
            get(|headers: HeaderMap| async move { file(&headers, "text/javascript", CONSOLE_JS) }),
        )
        .route(
            "/static/autobot.js",
            get(|headers: HeaderMap| async move { file(&headers, "text/javascript", JS) }),
        )
        .route(
            "/static/favicon.svg",
            get(|headers: HeaderMap| async move { file(&headers, "image/svg+xml", ICON) }),
        )
        .fallback(elsewhere)
        .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
        .layer(DefaultBodyLimit::max(FORM))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            auth::enter,
        ))
        .layer(CsrfLayer::new())
        .layer(middleware::from_fn(unchanged::layer))
        .layer(CatchPanicLayer::custom(|_| Failure::Lost.into_response()))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            failure::draw,
        ))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), auth::meet))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            twice::layer,
        ))
        // Programs knock here, from anywhere: they show a secret, and get no pages.
        .merge(knocks())
        .merge(probes())
        .layer(unchanged::packing())
        .layer(middleware::map_response(unchanged::weaken))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            visits::attend,
        ))
        .layer(middleware::map_response(harden))
        .with_state(app);
    // It asks a page twice, so it stands around all of them.
    Router::new()
        .fallback_service(all)
        .layer(middleware::from_fn(methods::settle))
}

/// The hooks, at which others knock, and where others try what they have.
fn knocks() -> Router<Shared> {
    Router::new()
        .route("/change_hook", get(hooks::usual).post(hooks::usual))
        .route("/change_hook/{name}", get(hooks::named).post(hooks::named))
        .route("/api/try/{name}", get(tries::builders).post(tries::send))
        .layer(CatchPanicLayer::new())
}

/// What looks after this master asks here: lines for programs, not pages.
fn probes() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(health::is_alive))
        .route("/readyz", get(health::is_ready))
        .route("/metrics", get(metrics::page))
        .layer(CatchPanicLayer::new())
}

/// Addresses that have no page of their own lead to the page above.
async fn parent(uri: Uri) -> Response {
    let above = uri.path().rsplit('/').nth(1).unwrap_or_default();
    redirect(&format!("../{above}"))
}

async fn user_of_table(uri: Uri) -> Response {
    let id = uri.path().rsplit('/').next().unwrap_or_default();
    redirect(&format!("../../users/{id}"))
}

/// Files that a master may have of its own, below `public_html`.
async fn robots(
    State(app): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let own = files::find(&app, &method, &uri, &headers).await?;
    Ok(own.unwrap_or_else(|| ROBOTS.into_response()))
}

async fn favicon(
    State(app): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let own = files::find(&app, &method, &uri, &headers).await?;
    Ok(own.unwrap_or_else(|| file(&headers, "image/svg+xml", ICON)))
}

/// A file below `public_html`, or an address with a slash too many, which leads to the page
/// without; others lead nowhere.
async fn elsewhere(
    State(app): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some(answer) = files::find(&app, &method, &uri, &headers).await? {
        return Ok(answer);
    }
    let path = uri.path().trim_end_matches('/');
    if path.len() < uri.path().len() && !path.is_empty() && method != Method::POST {
        let slashes = uri.path().len() - path.len();
        let last = path.rsplit('/').next().unwrap_or_default();
        let query = uri.query().map(|it| format!("?{it}")).unwrap_or_default();
        return Ok(redirect(&format!("{}{last}{query}", "../".repeat(slashes))));
    }
    Err(Failure::NotFound("page at this address".into()))
}

/// Sends a browser on; `to` is relative, so it holds behind a proxy under any prefix.
pub(super) fn redirect(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Err(_) => Failure::BadRequest("the address cannot be quoted".into()).into_response(),
    }
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Marks a reply that calls a function: it is of type JSON by tradition, and
/// a browser that may not guess would not run it.
#[derive(Clone, Copy)]
pub(super) struct Jsonp;

/// The policy of a reply that is no page of ours.
#[derive(Clone, Copy)]
pub(super) struct Policy(pub(super) &'static str);

async fn harden(mut response: Response) -> Response {
    let calls_back = response.extensions().get::<Jsonp>().is_some();
    let policy = response.extensions().get().copied();
    let Policy(policy) = policy.unwrap_or(Policy(POLICY));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !calls_back {
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}

/// A crawler that follows every build and log would be the busiest visitor.
const ROBOTS: &str = "User-agent: *\nDisallow: /builders\nDisallow: /waterfall\nDisallow: /grid\n\
    Disallow: /tgrid\nDisallow: /console\nDisallow: /one_line_per_build\nDisallow: /rss\nDisallow: /atom\n\
    Disallow: /changes\nDisallow: /buildslaves\nDisallow: /users\nDisallow: /json\nDisallow: /api\n\
    Disallow: /events\nDisallow: /metrics\n";

const CSS: &str = include_str!("../../share/static/autobot.css");
const JS: &str = include_str!("../../share/static/autobot.js");
const CONSOLE_JS: &str = include_str!("../../share/static/console.js");
const LOG_JS: &str = include_str!("../../share/static/log.js");
const ICON: &str = include_str!("../../share/static/favicon.svg");

/// A built-in file, sent once per version of it.
fn file(headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|it| unchanged::names(it, &tag))
    {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let kind = format!("{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), (header::ETAG, tag)], text).into_response()
}
