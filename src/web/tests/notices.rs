//! What stands on every page while something is the matter.

use super::*;
use crate::master::troubles::Place;
use crate::master::troubles::Trouble;

#[tokio::test]
async fn every_page_says_that_the_master_shuts_down_and_what_it_waits_for() {
    let (desk, router) = full().await;
    let told = "The master shuts down when its builds are done";
    for page in pages() {
        let page = get(&router, &page).await.body;
        assert!(!page.contains(told), "{page}");
    }
    assert!(get(&router, "/").await.body.contains("./shutdown\""));
    *desk.shutdown_by.lock().expect("not poisoned") = Some("<ann>");
    for path in pages() {
        let page = get(&router, &path).await.body;
        for expected in [
            told,
            "5 minutes ago</time> by &lt;ann&gt;. 7 are left: <a href",
            "/cancel_shutdown\"><button id=\"cancel-shutdown\">Cancel Shutdown</button>",
            " and 2 more. No other begins.",
        ] {
            assert!(page.contains(expected), "{path}: {expected}\n{page}");
        }
        assert!(!page.contains("<ann>"), "{path}");
    }
    let page = get(&router, "/").await.body;
    assert!(!page.contains("./shutdown\""), "{page}");
    let answer = get(&router, "/api/shutdown").await.body;
    assert!(answer.contains(" by <ann>\""), "{answer}");
    let answer = post(&router, "/shutdown", &[], "username=bob").await;
    assert_eq!((answer.status, answer.header("location")), (302, "./"));
    let answer = post(&router, "/cancel_shutdown", &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (302, "./"));
    assert_eq!(
        *desk.asked.lock().expect("not poisoned"),
        ["begin shutdown Some(\"bob\")", "cancel shutdown"]
    );
}

#[tokio::test]
async fn mistakes_in_the_configuration_are_told_until_they_are_gone() {
    let (desk, router) = full().await;
    let told = "The configuration on the disk has errors since";
    for page in ["/", "/about"] {
        assert!(!get(&router, page).await.body.contains(told), "{page}");
    }
    *desk.bad_since.lock().expect("not poisoned") = Some(desk.started());
    for page in ["/", "/about"] {
        assert!(get(&router, page).await.body.contains(told), "{page}");
    }
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains("the files on the disk have mistakes since"),
        "{status}"
    );
}

#[tokio::test]
async fn a_disk_that_builds_wait_for_is_on_every_page() {
    let (desk, router) = full().await;
    let build = crate::model::BuildKey {
        builder: HOSTILE.into(),
        number: 6,
    };
    *desk.troubles.lock().expect("not poisoned") = vec![Trouble {
        place: Place::Slave("<otter>".into()),
        since: desk.started(),
        why: "it is full".into(),
        builds: [build].into(),
    }];
    for page in ["/", "/builders/hello", "/buildslaves", "/about"] {
        let body = get(&router, page).await.body;
        let told = "slave &lt;otter&gt; cannot write to its disk</strong> since";
        assert!(
            body.contains(told) && body.contains("</a> waits."),
            "{body}"
        );
        assert!(!body.contains("<script>alert"), "{body}");
    }
    let status = get(&router, "/api/status").await.body;
    assert!(
        status.contains("cannot write to its disk since"),
        "{status}"
    );
}
