//! The audit log: who sees it, and that nothing is done that it does not have.

use std::sync::Arc;

use serde_json::Value;

use crate::master::Access;
use crate::web::tests::{get, post};

use super::RULES;
use super::Site;
use crate::web::app::router;

#[tokio::test]
async fn the_audit_log_is_for_who_may_see_it_and_says_what_became_of_each_action() {
    let site = Site::new(RULES).await;
    let ann = site.log_in("ann", "otter").await;
    let headers = [("cookie", ann.as_str())];
    let nothing = site.post("/builders/none%3Cb%3E/force", &headers, "").await;
    assert_eq!(nothing.status, 404);
    site.force(&headers).await;
    site.force(&[]).await;
    assert_eq!(site.get("/audit", &[]).await.status, 401);
    let bo = site.log_in("bo", "newt").await;
    assert_eq!(site.get("/audit", &[("cookie", &bo)]).await.status, 403);
    let page = site.get("/audit", &headers).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for expected in [
        "force_build",
        "builder hello",
        "failed: there is no builder `none&lt;b&gt;`",
        "192.0.2.2",
    ] {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
    let document = site
        .get("/api/audit?action=force_build&user=ann", &headers)
        .await
        .body;
    let document: Value = serde_json::from_str(&document).expect("a document");
    let results: Vec<_> = document
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["result"].as_str().expect("a text"))
        .collect();
    assert_eq!(results, ["done", "failed: there is no builder `none<b>`"]);
    let owner = router(Arc::clone(&site.desk) as Arc<_>, Access::Owner);
    let answer = get(&owner, "/api/audit").await;
    assert_eq!(answer.status, 200);
    post(&owner, "/builders/hello/force", &[], "").await;
    let newest = site.audit().await.swap_remove(0).entry;
    assert_eq!(
        (newest.way.as_str(), newest.result.as_str()),
        ("socket", "done")
    );
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let site = Site::new(RULES).await;
    let ann = site.log_in("ann", "otter").await;
    let path = site.desk.dir.path().join("state.sqlite");
    let db = rusqlite::Connection::open(path).expect("the store");
    db.execute_batch("DROP TABLE audit").expect("dropped");
    let answer = site.force(&[("cookie", &ann)]).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert!(site.asked().is_empty());
    // The owner may be about to mend it.
    let owner = router(Arc::clone(&site.desk) as Arc<_>, Access::Owner);
    let answer = post(&owner, "/builders/hello/force", &[], "").await;
    assert_eq!(answer.status, 302);
    assert_eq!(site.asked().len(), 1);
}
