//! The pages that show many builders at once, asked through the router.

use super::tests::full;
use super::tests::get;

#[tokio::test]
async fn the_grid_says_what_came_of_each_source_at_each_builder() {
    let (_desk, router) = full().await;
    let page = get(&router, "/grid?category=quick&branch=trunk&reload=20")
        .await
        .body;
    for expected in [
        "<span class=\"faint\">Category:</span> quick",
        "<span class=\"faint\">Branch:</span> trunk",
        "hello</a> <span class=\"faint\">(building, plus 1)</span>",
        "title=\"5f0c1e7ab92d44bb0c\">5f0c1e7ab92d</span>",
        "<td class=\"cell running\"><a href=\"./builders/hello/builds/6\"",
        "<a href=\"./tgrid?category=quick&amp;branch=trunk&amp;reload=20\">",
        "<noscript><meta http-equiv=\"refresh\" content=\"20\"></noscript>",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    assert!(!page.contains("builders/docs"), "{page}");
    let both = get(&router, "/tgrid?category=quick&category=%3Ccat%3E").await;
    let heads = "<span class=\"faint\">Categories:</span> quick, &lt;cat&gt;";
    assert!(both.body.contains(heads), "{}", both.body);
    assert!(
        get(&router, "/grid?category=x")
            .await
            .body
            .contains("No builder fits.")
    );
    for path in ["/grid?width=x", "/tgrid?length=x"] {
        assert_eq!(get(&router, path).await.status, 400, "{path}");
    }
}
