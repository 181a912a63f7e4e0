//! Every call that programs make, as data: who answers a call looks up here which fields it
//! takes, `GET /api` and `docs/reference/api.md` are drawn from it, and the tests hold it against
//! the router. A new call is a row.

use axum::Form;
use axum::extract::FromRequest;
use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::config::Action;

use super::choice;
use super::failure::Failure;

/// A call.
pub(super) struct Call {
    pub(super) method: &'static str,
    /// As the router has it.
    pub(super) path: &'static str,
    /// What must be allowed; `None`: whoever sees the pages.
    pub(super) right: Option<Action>,
    /// Of the address for GET, of the form for POST.
    pub(super) fields: &'static [Field],
    pub(super) answer: &'static str,
    /// An address and a form that the tests send.
    pub(super) example: (&'static str, &'static str),
}

/// A field: its name, in which `*` stands for what the sender chooses, and what it says.
pub(super) type Field = (&'static str, &'static str);

const WHO: Field = (
    "username",
    "who does it, if nobody is logged in; stands in the reason. With `passwd`, a password, it is who logs in for this call",
);
const WHY: Field = ("comments", "why; stands in the reason");
const REASON: Field = ("reason", "the same as `comments`");
const PRIORITY: Field = (
    "priority",
    "how urgent it is: a whole number; the builder's own without it",
);
const PROPERTY: Field = (
    "property*name",
    "the name of a property of the build; `*` is a number",
);
const VALUE: Field = ("property*value", "its value");
const LIMIT: Field = ("limit", "how many; 20 without it, 1000 at the most");
const CHANGE: Field = ("change", "the number of the change");

const fn get(
    path: &'static str,
    fields: &'static [Field],
    answer: &'static str,
    example: &'static str,
) -> Call {
    Call {
        method: "GET",
        path,
        right: None,
        fields,
        answer,
        example: (example, ""),
    }
}

const fn post(
    path: &'static str,
    right: Action,
    fields: &'static [Field],
    answer: &'static str,
    example: (&'static str, &'static str),
) -> Call {
    Call {
        method: "POST",
        path,
        right: Some(right),
        fields,
        answer,
        example,
    }
}

/// What is said of a build that is asked for.
const FORCE: &[Field] = &[
    WHO,
    WHY,
    REASON,
    ("branch", "the builder's own without it"),
    ("revision", "the newest without it"),
    ("repository", "the builder's own without it"),
    ("project", "the builder's own without it"),
    PRIORITY,
    PROPERTY,
    VALUE,
    (
        "param.*",
        "an answer to a question of the builder's `force` scheduler",
    ),
    (
        "forcescheduler",
        "read for old scripts' sake; a builder has one",
    ),
];

/// The same of several builders at once.
const FORCE_MANY: &[Field] = &[
    ("selected", "a builder, as often as wanted"),
    WHO,
    WHY,
    REASON,
    ("branch", "the builder's own without it"),
    ("revision", "the newest without it"),
    ("repository", "the builder's own without it"),
    ("project", "the builder's own without it"),
    PRIORITY,
    PROPERTY,
    VALUE,
    (
        "param.*",
        "an answer to a question of the builder's `force` scheduler",
    ),
    (
        "forcescheduler",
        "read for old scripts' sake; a builder has one",
    ),
];

/// All of them.
pub(super) const CALLS: &[Call] = &[
    get(
        "/api",
        &[],
        "these calls, for programs: OpenAPI 3.1",
        "/api",
    ),
    get(
        "/api/status",
        &[],
        "what runs and waits; `builders`, `slaves` and `sources`; `config`, the number of the configuration in force, and `config_problem` if the files on the disk have mistakes",
        "/api/status",
    ),
    get(
        "/api/builders",
        &[
            ("limit", "how many; 100 without it, 1000 at the most"),
            ("after", "the name of the builder that they follow"),
        ],
        "builders in the order of the configuration: `name`, `state`, `category`, `slaves`, `connected`, `pending`, `running`, `last`, and `failing`: since which build",
        "/api/builders?limit=2",
    ),
    get(
        "/api/builds",
        &[
            ("builder", "only its builds"),
            LIMIT,
            ("after", "the build that they follow, as `NAME/N`"),
        ],
        "the newest builds, newest first, without steps; what is `left` of one that runs, in words",
        "/api/builds?builder=hello&limit=2&after=hello/5",
    ),
    get(
        "/api/builders/{builder}/builds/{number}",
        &[],
        "one build with its `steps` and the number of its `config`; a negative number counts back from the newest",
        "/api/builders/hello/builds/-1",
    ),
    get(
        "/api/builders/{builder}/builds/{number}/why",
        &[],
        "its `facts`: what led to it and what happened to it, each with `time`, `about` and `what`",
        "/api/builders/hello/builds/5/why",
    ),
    get(
        "/api/builders/{builder}/builds/{number}/tests",
        &[
            ("q", "a part of their names"),
            ("end", "how they ended, such as `failure`"),
            ("name", "one test, as at its own address"),
            ("skip", "so many are passed over"),
            ("limit", "how many; 10000 at the most"),
        ],
        "`counts` of its tests by result, how many are `left_out`, and the `tests` that fit, those first that went wrong: each with `step`, `result`, `outcome`, `text` and `name`",
        "/api/builders/hello/builds/1/tests?end=failure&limit=2",
    ),
    get(
        "/api/builders/{builder}/builds/{number}/tests/{test}",
        &[],
        "one test: its `name` and `path`, the build since which it `fails_since` if it does, and its `results` with `log`",
        "/api/builders/hello/builds/1/tests/words.test.test_intro.Intro.test_counts",
    ),
    get(
        "/api/changes",
        &[
            LIMIT,
            ("after", "the number of the change that they follow"),
        ],
        "the newest changes, newest first, as `/json` has them",
        "/api/changes?limit=1&after=2",
    ),
    get(
        "/api/requests/{id}",
        &[],
        "`state` (`waiting`, `building`, `complete`), `outcome`, `builds`, `priority`, `why` it waits, what is `expected`, and why it was `cancelled`, in words",
        "/api/requests/1",
    ),
    get(
        "/api/jobs/{id}",
        &[],
        "the requests of the try job with this id, as above",
        "",
    ),
    get(
        "/api/schedulers",
        &[],
        "all schedulers: `name`, `kind`, when it `builds` in words, its `builders`, and the `next` time that it has planned, or null",
        "/api/schedulers",
    ),
    get(
        "/api/sources",
        &[],
        "each source: what it `follows`, its `state`, `problem`, `failures` in a row, `last_poll`, `last_error` (`at`, `reason`), `next_poll`",
        "/api/sources",
    ),
    get(
        "/api/locks",
        &[],
        "each lock with its `holders` and who is `waiting`, the next one first; `number` is null for who has not begun",
        "/api/locks",
    ),
    get(
        "/api/why/requests/{id}",
        &[],
        "`about` and its `facts`: why it waits or what led to it, each with `time`, `about` and `what`",
        "/api/why/requests/1",
    ),
    get(
        "/api/why/builders/{builder}",
        &[],
        "the same of everything that waits for a builder",
        "/api/why/builders/hello",
    ),
    get(
        "/api/why/builds/{builder}/{number}",
        &[],
        "the same of a build",
        "/api/why/builds/hello/5",
    ),
    get(
        "/api/why/changes/{id}",
        &[],
        "the same of a change",
        "/api/why/changes/1",
    ),
    get(
        "/api/users",
        &[("after", "the number of the user that they follow")],
        "users by number: `uid`, `identifier`, `bb_username`, `attributes`, `section`",
        "/api/users?after=0",
    ),
    get(
        "/api/users/{id}",
        &[],
        "one, with the numbers of its newest `changes`",
        "/api/users/1",
    ),
    post(
        "/api/users",
        Action::ManageUsers,
        &[
            ("op", "`add`, `update`, `remove` or `get`"),
            ("ids", "users, as often as wanted"),
            ("info", "what is set, as often as wanted"),
            ("bb_username", "a name to log in with"),
            ("bb_password", "its password"),
        ],
        "what `autobot user` does; the answer has the `users` and the `missing`",
        ("/api/users", "op=get&ids=nobody"),
    ),
    Call {
        right: Some(Action::ManageUsers),
        ..get(
            "/api/tokens",
            &[],
            "all tokens: `name`, `user`, `scopes`, when each `expires` and was `used`",
            "/api/tokens",
        )
    },
    post(
        "/api/tokens",
        Action::ManageUsers,
        &[
            ("name", "what the token is called"),
            ("user", "for whom it acts"),
            (
                "scope",
                "`read`, or actions such as `force_build,stop_build`",
            ),
            ("days", "how long it is good; for ever without it"),
        ],
        "makes one; its `token` is shown this once, with `name`, `user`, `scopes` and when it `expires`",
        ("/api/tokens", "name=ci&user=ann&scope=read"),
    ),
    post(
        "/api/tokens/{name}/remove",
        Action::ManageUsers,
        &[],
        "`removed`",
        ("", ""),
    ),
    Call {
        right: Some(Action::ShowAudit),
        ..get(
            "/api/audit",
            &[
                ("user", "only what this user did"),
                ("action", "only this action"),
                ("before", "only what came before the entry of this number"),
                ("limit", "how many"),
            ],
            "who did what, the newest first: `id`, `at`, `user`, `way`, `place`, `action`, `target`, `result`",
            "/api/audit?limit=5",
        )
    },
    get(
        "/api/events",
        &[
            ("builder", "only what happened to it"),
            ("slave", "only what happened to it"),
            LIMIT,
        ],
        "what happened besides changes and builds, newest first: `time`, `event`, `slave` or `builder`, a `note`; without a builder or slave, to all",
        "/api/events?limit=5",
    ),
    get(
        "/api/shutdown",
        &[],
        "the clean `shutdown` of the master that is under way, in words, and the `builds` that are left",
        "/api/shutdown",
    ),
    Call {
        right: Some(Action::Prune),
        ..get(
            "/api/prune",
            &[],
            "what would be forgotten now: `builders` with `builds`, `logs` and `bytes`, `changes`; bytes of logs that are `left`",
            "",
        )
    },
    post(
        "/api/prune",
        Action::Prune,
        &[],
        "forgets it, for a while; `more` if there is more",
        ("", ""),
    ),
    post(
        "/api/reload",
        Action::Reload,
        &[],
        "reads the configuration again; the answer is text. One that fails answers 409 and changes nothing",
        ("/api/reload", ""),
    ),
    post(
        "/builders/{builder}/force",
        Action::ForceBuild,
        FORCE,
        "`builder`, and the numbers of the `buildset` and its `request`",
        (
            "/builders/hello/force",
            "comments=from a script&property1name=kind&property1value=quick",
        ),
    ),
    post(
        "/builders/{builder}/cancelbuild",
        Action::CancelPendingBuild,
        &[("id", "a request's number, or `all`"), WHO, WHY, REASON],
        "`cancelled`: the requests",
        ("/builders/hello/cancelbuild", "id=all"),
    ),
    post(
        "/builders/{builder}/stopchange",
        Action::StopChange,
        &[CHANGE, WHO, WHY, REASON],
        "cancels what waits of the change for the builder: `change`, `cancelled`",
        ("/builders/hello/stopchange", "change=1"),
    ),
    post(
        "/builders/_all/stopchangeall",
        Action::StopChange,
        &[CHANGE, WHO, WHY, REASON],
        "the same for all builders",
        ("/builders/_all/stopchangeall", "change=1"),
    ),
    post(
        "/builders/_all/forceall",
        Action::ForceAllBuilds,
        FORCE_MANY,
        "asks for a build of every builder: `forced` and `refused`",
        ("/builders/_all/forceall", "comments=new compiler"),
    ),
    post(
        "/builders/_selected/forceselected",
        Action::ForceAllBuilds,
        FORCE_MANY,
        "asks for a build of each of these builders: `forced` and `refused`, with `why`",
        (
            "/builders/_selected/forceselected",
            "selected=hello&comments=new compiler",
        ),
    ),
    post(
        "/builders/{builder}/ping",
        Action::PingBuilder,
        &[],
        "asks its slaves whether they are there, and waits for their answers: `builder`, `result`, and what each of the `slaves` says",
        ("", ""),
    ),
    post(
        "/builders/_all/stopall",
        Action::StopAllBuilds,
        &[WHO, WHY, REASON],
        "stops every build that runs: `stopped`",
        ("/builders/_all/stopall", "comments=power cut"),
    ),
    post(
        "/builders/_selected/stopselected",
        Action::StopAllBuilds,
        &[
            ("selected", "a builder, as often as wanted"),
            WHO,
            WHY,
            REASON,
        ],
        "stops the builds of these builders: `stopped`",
        (
            "/builders/_selected/stopselected",
            "selected=hello&selected=docs",
        ),
    ),
    post(
        "/requests/{id}/cancel",
        Action::CancelPendingBuild,
        &[WHO, WHY, REASON],
        "`builder`, `cancelled`",
        ("", ""),
    ),
    post(
        "/builders/{builder}/builds/{number}/stop",
        Action::StopBuild,
        &[WHO, WHY, REASON],
        "`stopped`",
        ("/builders/hello/builds/6/stop", "comments=wrong branch"),
    ),
    post(
        "/builders/{builder}/builds/{number}/rebuild",
        Action::ForceBuild,
        &[WHO, WHY, REASON, PRIORITY, PROPERTY, VALUE],
        "`builder`, `rebuilt`, and the numbers of the `buildset` and its `request`",
        ("/builders/hello/builds/5/rebuild", "priority=5"),
    ),
    post(
        "/buildslaves/{slave}/pause",
        Action::PauseSlave,
        &[WHO, WHY, REASON],
        "`slave`, and its `pause` in words",
        ("/buildslaves/otter/pause", "comments=a new disk"),
    ),
    post(
        "/buildslaves/{slave}/unpause",
        Action::PauseSlave,
        &[],
        "`slave`",
        ("/buildslaves/otter/unpause", ""),
    ),
    post(
        "/buildslaves/{slave}/shutdown",
        Action::GracefulShutdown,
        &[],
        "`slave`, `shuts_down`",
        ("/buildslaves/otter/shutdown", ""),
    ),
    post(
        "/shutdown",
        Action::CleanShutdown,
        &[WHO],
        "ends the master when its builds have: as `GET /api/shutdown`",
        ("/shutdown", "username=ann"),
    ),
    post(
        "/cancel_shutdown",
        Action::CleanShutdown,
        &[],
        "`cancelled`: whether there was one",
        ("/cancel_shutdown", ""),
    ),
];

/// The call that a route answers.
fn call(method: &Method, route: &str) -> Option<&'static Call> {
    let mut all = CALLS.iter();
    all.find(|it| it.method == method.as_str() && it.path == route)
}

/// Whether a name is one that a field may have.
fn is_called(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, behind)) => name
            .strip_prefix(before)
            .and_then(|it| it.strip_suffix(behind))
            .is_some_and(|it| !it.is_empty()),
    }
}

/// Refuses a field that the call does not know: a word that is misspelled would be ignored, and
/// something else be done than was meant.
pub(super) fn check(
    method: &Method,
    route: &str,
    fields: &[(String, String)],
) -> Result<(), Failure> {
    let Some(call) = call(method, route) else {
        return Ok(());
    };
    for (name, _) in fields {
        // Whoever has no session says who it is in the form, as with Buildbot.
        let is_login = call.right.is_some() && matches!(name.as_str(), "username" | "passwd");
        if !is_login && !call.fields.iter().any(|it| is_called(it.0, name)) {
            return Err(Failure::BadRequest(unknown(call, name)));
        }
    }
    Ok(())
}

fn unknown(call: &Call, name: &str) -> String {
    let shown = name.escape_debug();
    let known = call.fields.iter().map(|it| it.0);
    let near = known
        .clone()
        .map(|it| (strsim::jaro_winkler(it, name), it))
        .filter(|it| it.0 > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    if let Some((_, near)) = near {
        return format!("`{shown}` is no field of this call; did you mean `{near}`?");
    }
    let known: Vec<_> = known.map(|it| format!("`{it}`")).collect();
    match known.is_empty() {
        true => format!("`{shown}` is no field of this call, which takes none"),
        false => format!("`{shown}` is no field of this call: {}", known.join(", ")),
    }
}

/// What was posted, if the call takes it.
pub(super) struct Posted(pub(super) Result<Vec<(String, String)>, Failure>);

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
        Ok(Self(match form {
            Ok(Form(fields)) => {
                let route = route.as_ref().map_or("", MatchedPath::as_str);
                check(&method, route, &fields).map(|()| fields)
            }
            Err(rejection) if rejection.status().as_u16() == 413 => {
                Err(Failure::BadRequest("the form is larger than 64 KiB".into()))
            }
            Err(rejection) => Err(Failure::BadRequest(rejection.body_text())),
        }))
    }
}

/// Looks at the arguments of a question.
pub(super) async fn check_query(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let query = axum::extract::Query::<choice::Query>::try_from_uri(request.uri());
    if let (Some(route), Ok(query)) = (route, query)
        && request.method() != Method::POST
        && let Err(refused) = check(&Method::GET, route.as_str(), &query.0)
    {
        return refused.into_response();
    }
    next.run(request).await
}
