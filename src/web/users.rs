//! Who changes are made by: all users, and one with what it is called and its changes.

use axum::Json;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::config::Action;
use crate::config::WebPlan;
use crate::master::users::UserOrder;
use crate::master::users::Written;
use crate::model::Change;
use crate::model::Timestamp;
use crate::model::User;
use crate::model::UserId;

use super::app::App;
use super::app::Shared;
use super::auth::Target;
use super::auth::Visitor;
use super::builder;
use super::calls::Posted;
use super::failure::Failure;
use super::rows::ChangeView;
use super::rows::Link;

/// Users on one page, and in one document.
const PAGE: usize = 500;
/// Changes of a user that its page shows.
const CHANGES: usize = 20;

#[derive(Serialize)]
struct UsersView {
    users: Vec<UserLine>,
    /// Where the next page starts.
    after: Option<i64>,
}

/// A user in a table.
#[derive(Serialize)]
struct UserLine {
    id: i64,
    link: Link,
}

#[derive(Serialize)]
struct UserView {
    id: i64,
    identifier: String,
    section: Option<String>,
    /// Kind and value.
    attributes: Vec<(String, String)>,
    changes: Vec<ChangeView>,
}

impl UserLine {
    fn new(user: &User) -> Self {
        Self {
            id: user.id.0,
            link: link(user),
        }
    }
}

/// A user's name with its page.
pub(super) fn link(user: &User) -> Link {
    Link {
        name: user.identifier.clone(),
        url: format!("users/{}", user.id),
    }
}

fn view(user: &User, changes: &[Change], web: &WebPlan, now: Timestamp) -> UserView {
    let mut attributes: Vec<_> = user.attributes.clone().into_iter().collect();
    let login = user.username.iter();
    attributes.extend(login.map(|it| ("bb_username".to_owned(), it.clone())));
    let changes = changes.iter();
    UserView {
        id: user.id.0,
        identifier: user.identifier.clone(),
        section: user.section.clone(),
        attributes,
        changes: changes.map(|it| ChangeView::new(it, web, now)).collect(),
    }
}

pub(super) async fn list(
    State(app): State<Shared>,
    visitor: Visitor,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let users = some(&app, &visitor, &query).await?;
    let view = UsersView {
        after: (users.len() == PAGE)
            .then(|| users.last().map(|it| it.id.0))
            .flatten(),
        users: users.iter().map(UserLine::new).collect(),
    };
    app.draw("users.html", &uri, view)
}

pub(super) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    uri: Uri,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let (user, changes) = one(&app, &visitor, &id).await?;
    let view = view(&user, &changes, &app.desk.plan().web, clock::now());
    app.draw("user.html", &uri, view)
}

/// Users in the order of their numbers, from the one on that the query says.
async fn some(
    app: &App,
    visitor: &Visitor,
    query: &[(String, String)],
) -> Result<Vec<User>, Failure> {
    app.see(visitor, Action::ShowUsersPage).await?;
    let after = UserId(builder::number(query, "after")?.unwrap_or(0));
    app.read(move |store| store.users(after, PAGE)).await
}

async fn one(app: &App, visitor: &Visitor, id: &str) -> Result<(User, Vec<Change>), Failure> {
    app.see(visitor, Action::ShowUsersPage).await?;
    let missing = || Failure::NotFound(format!("user {id}"));
    let id = UserId(id.parse().map_err(|_| missing())?);
    let found = app.read(move |store| {
        let Some(user) = store.user(id)? else {
            return Ok(None);
        };
        let changes = store.changes_of_user(id, CHANGES)?;
        Ok(Some((user, changes)))
    });
    found.await?.ok_or_else(missing)
}

/// All that anybody may see of a user: the password is not among it.
fn document(user: &User) -> Value {
    json!({
        "uid": user.id,
        "identifier": user.identifier,
        "bb_username": user.username,
        "section": user.section,
        "attributes": user.attributes,
    })
}

pub(super) async fn documents(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Vec<Value>>, Failure> {
    let users = some(&app, &visitor, &query).await?;
    Ok(Json(users.iter().map(document).collect()))
}

pub(super) async fn one_document(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let (user, changes) = one(&app, &visitor, &id).await?;
    let mut told = document(&user);
    told["changes"] = changes.iter().map(|it| json!(it.id)).collect();
    Ok(Json(told))
}

/// Carries out what `autobot user` asks for.
pub(super) async fn order(
    State(app): State<Shared>,
    visitor: Visitor,
    posted: Posted,
) -> Result<Json<Value>, Failure> {
    let fields = posted.0?;
    let all = |name: &'static str| {
        let named = fields.iter().filter(move |(it, _)| it == name);
        named.map(|(_, value)| value.as_str())
    };
    let written = Written {
        op: all("op").next().unwrap_or_default(),
        ids: all("ids").collect(),
        infos: all("info").collect(),
        username: all("bb_username").next(),
        password: all("bb_password").next(),
    };
    let whom: Vec<_> = all("ids").chain(all("info")).collect();
    let target = format!("users: {} {}", written.op, whom.join(" "));
    app.permit(&visitor, Action::ManageUsers, &Target::called(target))
        .await?;
    let order = UserOrder::read(&written).map_err(Failure::BadRequest)?;
    let reply = app.desk.users(order).await?;
    Ok(Json(json!({
        "users": reply.users.iter().map(document).collect::<Vec<_>>(),
        "missing": reply.missing,
    })))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::app::router;
    use super::super::sample_desk::SampleDesk;
    use super::super::tests::get;
    use super::super::tests::post;
    use super::*;
    use crate::config::tests::sections::authz_of;
    use crate::master::Access;

    async fn desk(authz: &str) -> Arc<SampleDesk> {
        let desk = SampleDesk::with(|plan| {
            if !authz.is_empty() {
                plan.authz = authz_of(authz);
            }
        })
        .await;
        let bo = desk.store.write(|verbs| {
            let bo = verbs.add_user("bo\"<script>")?;
            verbs.set_attribute(bo, "svn", "bo")?;
            assert!(verbs.set_login(bo, "bob", "hash-of-bob")?);
            Ok(())
        });
        bo.await.expect("added");
        desk
    }

    #[tokio::test]
    async fn users_have_a_page_each_with_what_they_are_called_and_their_changes() {
        let desk = desk("").await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
        let all = get(&router, "/users").await.body;
        assert!(
            all.contains("href=\"./users/1\"><span class=\"user\">Ines Íñigo <span class=\"email\">&lt;ines<span hidden>no spam</span>@test&gt;</span></span></a>"),
            "{all}"
        );
        let bo = ">bo&quot; <span class=\"email\">&lt;script&gt;</span>";
        assert!(all.contains(bo), "{all}");
        let ines = get(&router, "/users/1").await.body;
        assert!(ines.contains("<dt>git</dt>"), "{ines}");
        assert!(ines.contains("href=\"../changes/1\""), "{ines}");
        let change = get(&router, "/changes/1").await.body;
        assert!(change.contains("href=\"../users/1\""), "{change}");
        let bo = get(&router, "/users/2").await.body;
        assert!(
            bo.contains("<dt>bb_username</dt><dd class=\"mono\">bob</dd>"),
            "{bo}"
        );
        assert!(!bo.contains("hash-of-bob"), "{bo}");
        for missing in ["/users/99", "/users/x", "/api/users/99"] {
            assert_eq!(get(&router, missing).await.status, 404, "{missing}");
        }
        assert_eq!(
            get(&router, "/users/table").await.header("location"),
            "../users"
        );
        assert_eq!(
            get(&router, "/users/table/2").await.header("location"),
            "../../users/2"
        );

        let document = get(&router, "/api/users/2").await.body;
        assert!(!document.contains("hash-of-bob"), "{document}");
        let document: Value = serde_json::from_str(&document).expect("a document");
        assert_eq!(
            document,
            json!({
                "uid": 2, "identifier": "bo\"<script>", "bb_username": "bob", "section": null,
                "attributes": {"svn": "bo"}, "changes": [],
            })
        );
    }

    #[tokio::test]
    async fn who_may_see_users_and_who_may_change_them_says_the_configuration() {
        let form = "op=add&info=svn%3Dzoe";
        let check = async |authz: &str, access, expected: (u16, u16)| {
            let desk = desk(authz).await;
            let router = router(Arc::clone(&desk) as Arc<_>, access);
            let seen = get(&router, "/users").await.status;
            assert_eq!(get(&router, "/users/1").await.status, seen);
            assert_eq!(get(&router, "/api/users").await.status, seen);
            let done = post(&router, "/api/users", &[], form).await.status;
            assert_eq!((seen, done), expected, "{authz}");
        };
        check("", Access::Full, (200, 403)).await;
        check("", Access::Owner, (200, 200)).await;
        check("", Access::ReadOnly, (403, 403)).await;
        check("manage_users = yes", Access::Full, (403, 200)).await;
        check("default_action = yes", Access::Full, (200, 403)).await;
        check("show_users_page = yes", Access::Full, (200, 403)).await;
    }

    #[tokio::test]
    async fn an_order_is_answered_with_the_users_it_is_about() {
        let desk = desk("").await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Owner);
        let answer = post(&router, "/api/users", &[], "op=get&ids=zz").await;
        let told: Value = serde_json::from_str(&answer.body).expect("a document");
        assert_eq!(told, json!({ "users": [], "missing": ["zz"] }));
        let answer = post(&router, "/api/users", &[], "op=add&info=svn%3Dzoe").await;
        let told: Value = serde_json::from_str(&answer.body).expect("a document");
        assert_eq!(told["users"][0]["uid"], 3);
        let answer = post(&router, "/api/users", &[], "op=add&info=irc%3Dzoe").await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        let answer = post(&router, "/api/users", &[], "op=update&info=zoe%3Asvn%3Dbo").await;
        assert_eq!(answer.status, 409, "{}", answer.body);
    }
}
