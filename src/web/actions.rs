//! What a visitor can do: ask for a build, stop one, cancel a request, pause a slave, end it or the master. A
//! browser is sent on to the page about it; who asked for JSON gets JSON.

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::config::Action;
use crate::master::forcing::FORM_SOURCE;
use crate::master::handle::Denied;
use crate::master::handle::Force;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::Properties;
use crate::model::RequestRecord;
use crate::model::SlaveName;
use crate::store::Store;
use crate::store::StoreError;

use super::app::App;
use super::app::Shared;
use super::app::redirect;
use super::auth::Target;
use super::auth::Visitor;
use super::build;
use super::builder;
use super::failure;
use super::failure::Failure;
use super::links;
use super::notice;
use super::notice::Notice;

pub(super) type Fields = Vec<(String, String)>;
pub(super) use super::calls::Posted;

pub(super) async fn force(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
    Path(builder): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = read(posted)?;
    let plan = app.desk.plan();
    let name = BuilderName::from(builder.as_str());
    let target = Target::builder(&plan, &name, field(&fields, "branch"));
    let act = app
        .permit_act(&visitor, Action::ForceBuild, &target)
        .await?;
    let forcing = plan.forcing(&name);
    let usual = forcing.and_then(|it| it.settings.as_force()?.reason.as_deref());
    let mut wish = wish(&visitor, &builder, &fields, usual);
    wish.priority = priority(&fields)?;
    wish.act = Some(act);
    let (buildset, request) = match app.desk.force(wish).await {
        // A person sees what is wrong beside what was typed.
        Err(Denied::BadForm(wrong)) if !failure::wants_json(&headers) => {
            let page = builder::draw(&app, &uri, builder, &[], &fields, Some(&wrong)).await?;
            return Ok((StatusCode::BAD_REQUEST, page).into_response());
        }
        forced => forced?,
    };
    let done = json!({ "builder": builder, "buildset": buildset, "request": request });
    Ok(answer(&headers, &done, || {
        format!("../{}", links::quote(&builder))
    }))
}

pub(super) async fn cancel(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(builder): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = read(posted)?;
    let page = format!("../{}", links::quote(&builder));
    let wanted: Option<i64> = match field(&fields, "id") {
        Some("all") => None,
        id => match id.and_then(|it| it.parse().ok()) {
            Some(number) => Some(number),
            None => {
                let id = id.unwrap_or_default();
                let what = format!("`id` should be a request's number or `all`, not `{id}`");
                return Notice::NoSuchRequest.or(Failure::BadRequest(what), &headers, &page);
            }
        },
    };
    let name = BuilderName::from(builder.as_str());
    let why = reason(&visitor, "cancel", &fields, None);
    let wanted_of = name.clone();
    let waiting = app.read(move |store| {
        let mut open = store.open_requests(&wanted_of)?;
        open.retain(|it| !it.claimed && wanted.is_none_or(|id| it.id.0 == id));
        let mut all = Vec::new();
        for request in open {
            let authors = authors(store, &request)?;
            all.push((request, authors));
        }
        Ok(all)
    });
    let waiting = waiting.await?;
    let plan = app.desk.plan();
    if waiting.is_empty() {
        let target = Target::builder(&plan, &name, None);
        app.permit(&visitor, Action::CancelPendingBuild, &target)
            .await?;
    }
    let mut ids = Vec::new();
    let mut refused = None;
    for (request, authors) in waiting {
        let target = Target::request(&plan, &request, authors);
        match app
            .permit(&visitor, Action::CancelPendingBuild, &target)
            .await
        {
            Ok(()) => ids.push(request.id),
            Err(failure) => refused = Some(failure),
        }
    }
    // With `all` those are cancelled that may be.
    if let (Some(refused), []) = (refused, ids.as_slice()) {
        return Err(refused);
    }
    if let (Some(id), []) = (wanted, ids.as_slice()) {
        let what = format!("request {id} does not wait for `{builder}`");
        return Notice::NoLongerWaits.or(Failure::Conflict(what), &headers, &page);
    }
    let mut cancelled = Vec::new();
    for id in ids {
        match app.desk.cancel_request(id, &why).await {
            Ok(()) => cancelled.push(id.0),
            // With `all`, one that began in the meantime is not in the way of the others.
            Err(Denied::NotWaiting(_)) if wanted.is_none() => {}
            Err(denied) => return notice::of_denied(denied, &headers, &page),
        }
    }
    let done = json!({ "cancelled": cancelled });
    Ok(answer(&headers, &done, || page))
}

pub(super) async fn stop(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path((builder, number)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Failure> {
    let fields = read(posted)?;
    let found = match build::find(&app, builder, &number).await {
        Ok(found) => found,
        Err(missing) => {
            // Who may stop nothing is told that, and not what there is.
            let target = Target::called("build");
            app.permit(&visitor, Action::StopBuild, &target).await?;
            return Err(missing);
        }
    };
    let target = Target::build(&app.desk.plan(), &found.build);
    app.permit(&visitor, Action::StopBuild, &target).await?;
    let key: BuildKey = found.build.key;
    let page = format!("../{}", key.number);
    let why = reason(&visitor, "stop build", &fields, None);
    if let Err(denied) = app.desk.stop_build(&key, &why).await {
        return notice::of_denied(denied, &headers, &page);
    }
    let done = json!({ "stopped": key.to_string() });
    Ok(answer(&headers, &done, || page))
}

pub(super) async fn pause(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(slave): Path<String>,
    posted: Posted,
) -> Result<Response, Failure> {
    let name = SlaveName::from(slave.as_str());
    app.permit(&visitor, Action::PauseSlave, &Target::slave(&name))
        .await?;
    let fields = read(posted)?;
    let why = field(&fields, "comments").or_else(|| field(&fields, "reason"));
    let by = visitor.called(field(&fields, "username"));
    let pause = app.desk.pause(&name, by, why).await?;
    let done = json!({ "slave": slave, "pause": pause.to_string() });
    Ok(answer(&headers, &done, || {
        format!("../{}", links::quote(&slave))
    }))
}

pub(super) async fn unpause(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(slave): Path<String>,
) -> Result<Response, Failure> {
    let name = SlaveName::from(slave.as_str());
    app.permit(&visitor, Action::PauseSlave, &Target::slave(&name))
        .await?;
    let page = format!("../{}", links::quote(&slave));
    if let Err(denied) = app.desk.unpause(&name).await {
        return notice::of_denied(denied, &headers, &page);
    }
    let done = json!({ "slave": slave, "pause": null });
    Ok(answer(&headers, &done, || page))
}

pub(super) async fn shut_down(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(slave): Path<String>,
) -> Result<Response, Failure> {
    let name = SlaveName::from(slave.as_str());
    app.permit(&visitor, Action::GracefulShutdown, &Target::slave(&name))
        .await?;
    let page = format!("../{}", links::quote(&slave));
    if let Err(denied) = app.desk.shut_down(&name).await {
        return notice::of_denied(denied, &headers, &page);
    }
    let done = json!({ "slave": slave, "shuts_down": true });
    Ok(answer(&headers, &done, || page))
}

/// What somebody looks for below a slave, and is not there: its page is.
pub(super) async fn of_no_kind(
    headers: HeaderMap,
    Path((slave, _)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let page = format!("../{}", links::quote(&slave));
    let missing = Failure::NotFound("page at this address".into());
    Notice::NothingThere.or(missing, &headers, &page)
}

pub(super) async fn begin_shutdown(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failure> {
    app.permit(&visitor, Action::CleanShutdown, &Target::master())
        .await?;
    let fields = read(posted)?;
    let by = visitor.called(field(&fields, "username"));
    app.desk.begin_shutdown(by).await?;
    Ok(answer(&headers, &shutdown(&app), || "./".to_owned()))
}

pub(super) async fn cancel_shutdown(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    app.permit(&visitor, Action::CleanShutdown, &Target::master())
        .await?;
    let cancelled = app.desk.cancel_shutdown().await;
    let done = json!({ "cancelled": cancelled });
    Ok(answer(&headers, &done, || "./".to_owned()))
}

/// The clean shutdown that is under way, for programs.
pub(super) fn shutdown(app: &App) -> Value {
    let Some(it) = app.desk.shutdown() else {
        return json!({ "shutdown": null, "builds": [] });
    };
    let builds: Vec<_> = it.builds.iter().map(ToString::to_string).collect();
    json!({ "shutdown": it.wish.to_string(), "builds": builds })
}

pub(super) fn read(posted: Posted) -> Result<Fields, Failure> {
    posted.0
}

pub(super) fn answer(headers: &HeaderMap, done: &Value, page: impl FnOnce() -> String) -> Response {
    if failure::wants_json(headers) {
        Json(done).into_response()
    } else {
        redirect(&page())
    }
}

/// A field that was filled in.
pub(super) fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(it, _)| it == name)
        .map(|(_, value)| value.trim())
        .filter(|it| !it.is_empty())
}

/// Why something is done: which button, who, and what that person says.
/// `usual` stands for what that person does not say. Who has logged in goes by no other name.
pub(super) fn reason(
    visitor: &Visitor,
    button: &str,
    fields: &Fields,
    usual: Option<&str>,
) -> String {
    let typed = field(fields, "username");
    let user = visitor.called(typed).unwrap_or("<unknown>");
    let comment = field(fields, "comments")
        .or_else(|| field(fields, "reason"))
        .or(usual)
        .unwrap_or("<no reason specified>");
    format!("The '{button}' button was pressed by '{user}': {comment}")
}

/// How urgent it is, if that is said.
pub(super) fn priority(fields: &Fields) -> Result<Option<i64>, Failure> {
    let Some(text) = field(fields, "priority") else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        Failure::BadRequest(format!("`priority` should be a whole number, not `{text}`"))
    })
}

/// The properties that were typed in: as many as the sender likes.
pub(super) fn properties(fields: &Fields) -> Properties {
    let mut properties = Properties::new();
    // Who filled in the third pair only means it too.
    for (key, _) in fields {
        let number = key.strip_prefix("property");
        let number = number.and_then(|it| it.strip_suffix("name"));
        if let Some(number) = number
            && let Some(name) = field(fields, key)
        {
            let value = field(fields, &format!("property{number}value")).unwrap_or_default();
            properties.set(name, value, FORM_SOURCE);
        }
    }
    properties
}

/// Who made the changes of a request.
pub(super) fn authors(
    store: &mut dyn Store,
    request: &RequestRecord,
) -> Result<Vec<String>, StoreError> {
    let mut authors = Vec::new();
    for id in &request.stamp.changes {
        authors.extend(store.change(*id)?.map(|it| it.author));
    }
    Ok(authors)
}

/// What the force form asks for.
pub(super) fn wish(
    visitor: &Visitor,
    builder: &str,
    fields: &Fields,
    usual: Option<&str>,
) -> Force {
    let text = |name| field(fields, name).map(str::to_owned);
    Force {
        builder: BuilderName::from(builder),
        branch: text("branch"),
        revision: text("revision"),
        repository: text("repository").unwrap_or_default(),
        project: text("project").unwrap_or_default(),
        reason: reason(visitor, "force build", fields, usual),
        properties: properties(fields),
        owner: visitor.name().map(str::to_owned),
        parameters: fields
            .iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix("param.")?.to_owned(), value.clone()))
            })
            .collect(),
        priority: None,
        act: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn somebody(name: Option<&str>) -> Visitor {
        Visitor::called_for_tests(name)
    }

    #[test]
    fn what_somebody_asks_for_who_has_logged_in_is_theirs_whatever_was_typed() {
        let typed = fields(&[
            ("username", "bo"),
            ("property1name", "owner"),
            ("property1value", "bo"),
        ]);
        let wish = wish(&somebody(Some("ann")), "a", &typed, Some("x"));
        assert!(wish.reason.contains("pressed by 'ann'"), "{}", wish.reason);
        assert_eq!(wish.owner.as_deref(), Some("ann"));
    }

    #[test]
    fn an_empty_form_asks_for_the_newest_source() {
        let wish = wish(
            &somebody(None),
            "a",
            &fields(&[("branch", ""), ("revision", " ")]),
            None,
        );
        assert_eq!((wish.branch, wish.revision), (None, None));
        assert_eq!(
            wish.reason,
            "The 'force build' button was pressed by '<unknown>': <no reason specified>"
        );
        assert_eq!(wish.properties, Properties::new());
    }

    #[test]
    fn a_gap_between_property_fields_hides_none() {
        let wish = wish(
            &somebody(None),
            "a",
            &fields(&[
                ("username", "<ann>"),
                ("comments", "try"),
                ("property1name", "one"),
                ("property1value", "1"),
                ("property2name", "two"),
                ("property4name", "four"),
            ]),
            Some("by hand"),
        );
        let names: Vec<_> = wish.properties.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["four", "one", "two"]);
        let (_, one) = wish
            .properties
            .iter()
            .find(|it| it.0 == "one")
            .expect("set");
        assert_eq!(
            (one.value.as_str(), one.source.as_str()),
            (Some("1"), "Force Build Form")
        );
        assert!(wish.reason.ends_with("by '<ann>': try"));
    }
}
