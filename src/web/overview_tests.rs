//! The pages that show many builders at once, asked through the router.

use crate::clock;
use crate::config::tests::sections::web_of;
use crate::master::Access;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::store::BuildEnd;
use crate::store::NewBuild;

use super::app::router;
use super::links;
use super::sample;
use super::sample::HOSTILE;
use super::sample_desk::SampleDesk;
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
        "title=\"5f0c1e7ab92d44bb0c\">5f0c1e7ab92d...</span>",
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

#[tokio::test]
async fn the_console_says_which_change_broke_which_builder() {
    let (_desk, router) = full().await;
    let page = get(&router, "/console").await.body;
    for expected in [
        // Change 1 is of no branch and may be in builds of any; change 2 is of another branch.
        "aria-label=\"Change 2 by bo&quot;",
        "title=\"never built: not started\"",
        // Without a build there is nothing to show over the page.
        "<a class=\"square notstarted\" href=\"./waterfall?show=never%20built\" title",
        "<a class=\"square success\" href=\"./builders/hello/builds/0\" data-popup=\"./buildstatus?builder=hello&amp;number=0\" title=\"hello: build successful (#0, success)\">",
        "<span class=\"faint small\">&lt;cat&gt;</span>",
        "<span class=\"faint small\">default</span>",
        "reword &lt;intro&gt; &amp; &quot;more&quot;\n\nfixes the rest</pre>",
        "</span> failed again</li>",
        "content=\"60\"",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let one = get(&router, "/console?name=bo%22%3Cs%3E&builder=hello&reload=0")
        .await
        .body;
    assert!(one.contains("aria-label=\"Change 2") && !one.contains("aria-label=\"Change 1"));
    assert!(one.contains("<input type=\"hidden\" name=\"builder\" value=\"hello\">"));
    assert!(one.contains("value=\"bo&quot;&lt;s&gt;\"") && !one.contains("http-equiv"));
    for (asked, has) in [
        ("project=otter", true),
        ("project=x", false),
        ("repository=https://git.test/otter.git", true),
        ("branch=trunk", false),
        ("branch=", true),
    ] {
        let page = get(&router, &format!("/console?{asked}")).await.body;
        assert_eq!(page.contains("<article"), has, "{asked}: {page}");
    }
    assert_eq!(get(&router, "/console?revs=x").await.status, 400);
}

#[tokio::test]
async fn a_failure_of_a_change_has_its_step_and_its_logs_below() {
    let desk = SampleDesk::new().await;
    let change = NewChange {
        revision: Some("6a".into()),
        ..NewChange::by("<ann>")
    };
    let wish = |change| NewBuildset {
        reason: "it".into(),
        stamp: SourceStamp {
            revision: Some("6a".into()),
            changes: vec![change],
            ..SourceStamp::default()
        },
        properties: Properties::new(),
        builders: vec!["never built".into()],
        priority: None,
    };
    let now = clock::now();
    desk.store
        .write(move |store| {
            let id = store.add_change(&change, now)?.expect("it is new");
            let wish = wish(id);
            let requests = store.add_buildset(&wish, now)?.1;
            let new = NewBuild {
                builder: "never built".into(),
                slave: "otter".into(),
                requests,
                stamp: wish.stamp,
                reason: wish.reason,
                config: None,
                locks: Vec::new(),
            };
            let begun = store.start_build(&new, now)?.expect("it waits");
            let record = sample::build("x", 0, Some(Outcome::Failure), now, 60);
            store.plan_build(begun.id, "", &Properties::new(), &sample::steps(&record))?;
            let end = BuildEnd {
                outcome: Outcome::Failure,
                text: vec!["failed".into()],
                properties: Properties::new(),
            };
            store.finish_build(begun.id, &end, now)
        })
        .await
        .expect("written");
    let router = router(desk, Access::Full);
    let page = get(&router, "/console?name=%3Cann%3E").await.body;
    let told = "<li><a class=\"strong\" href=\"./builders/never%20built/builds/0\">✗ never built/0</a> \
                test failure <a class=\"small\" href=\"./builders/never%20built/builds/0/steps/test/logs/stdio\">stdio</a></li>";
    assert!(page.contains(told), "{page}");
}

#[tokio::test]
async fn lines_of_all_builders_go_by_when_their_builds_ended() {
    let desk = SampleDesk::with(|plan| plan.web = web_of("num_builds = 3")).await;
    let router = router(desk, Access::Full);
    let numbers = async |path: &str| {
        let page = get(&router, path).await.body;
        let lines = page.matches("<a class=\"strong\" href=\"./builders/");
        let nested = page.matches("<a class=\"strong\" href=\"../builders/");
        (lines.count() + nested.count(), page)
    };
    assert_eq!(numbers("/one_line_per_build").await.0, 3);
    let (count, page) = numbers("/one_line_per_build?numbuilds=500").await;
    // All that have ended, but those of the builder that left.
    assert_eq!(count, 6 + 6 + 4, "{page}");
    let (count, page) = numbers("/one_line_per_build?builder=docs&branch=trunk").await;
    assert_eq!(count, 2, "{page}");
    assert_eq!(numbers("/one_line_per_build/left").await.0, 1);
    assert_eq!(numbers("/one_line_per_build/hello?numbuilds=2").await.0, 2);
    let (_, page) = numbers("/one_line_per_build?branch=nothing").await;
    assert!(page.contains("No build that has ended fits."), "{page}");
    assert_eq!(get(&router, "/one_line_per_build/x").await.status, 404);
    assert_eq!(
        get(&router, "/one_line_per_build?numbuilds=x").await.status,
        400
    );
}

#[tokio::test]
async fn one_box_per_builder_is_the_list_of_builders() {
    let (_desk, router) = full().await;
    let answer = get(&router, "/one_box_per_builder?category=quick").await;
    let to = (answer.status, answer.header("location"));
    assert_eq!(to, (302, "builders?category=quick"));
}

#[tokio::test]
async fn a_build_is_shown_as_in_the_waterfall_with_the_newest_step_on_top() {
    let (_desk, router) = full().await;
    let hostile = links::builder(HOSTILE);
    let hostile = hostile.strip_prefix("builders/").expect("a path");
    let page = get(&router, &format!("/buildstatus?builder={hostile}&number=1"))
        .await
        .body;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(at("steps/test\"") < at("steps/checkout\""));
    assert!(at("steps/checkout\"") < at(">Build 1</a>"));
    assert!(at("<base target=\"_blank\">") < at("<td class=\"step failure\">"));
    assert!(
        !page.contains("<script") && !page.contains("<nav"),
        "{page}"
    );
    for (asked, status) in [
        ("", 400),
        ("?builder=hello", 400),
        ("?number=1", 400),
        ("?builder=hello&number=99", 404),
        ("?builder=hello&number=x", 400),
        ("?builder=x&number=1", 404),
        ("?builder=hello&number=-1", 200),
    ] {
        let answer = get(&router, &format!("/buildstatus{asked}")).await;
        assert_eq!(answer.status, status, "{asked}");
    }
}
