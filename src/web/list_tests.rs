//! Lists of builders, slaves and changes, asked through the router.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;

use crate::config::BuilderPlan;
use crate::config::tests::sections::authz_of;
use crate::master::Access;

use super::app::router;
use super::sample::HOSTILE;
use super::sample_desk::SampleDesk;
use super::tests::ask;
use super::tests::full;
use super::tests::get;
use super::tests::post;

/// What stands in the first cells with names, in order.
fn names(page: &str) -> Vec<&str> {
    let rows = page.split("<tr>").skip(2);
    let rows = rows.filter_map(|it| it.split("<a class=\"strong\"").nth(1));
    rows.filter_map(|it| it.split('>').nth(1)?.split('<').next())
        .collect()
}

#[tokio::test]
async fn builders_are_found_by_words_category_tag_and_state_and_sorted() {
    let desk = SampleDesk::with(|plan| {
        let tagged = BuilderPlan {
            tags: vec!["Fast".into(), "arm".into()],
            ..plan.builders[2].as_ref().clone()
        };
        plan.builders[2] = Arc::new(tagged);
    })
    .await;
    let router = router(desk, Access::Full);
    let hostile = "web lint/&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;";
    for (asked, expected) in [
        ("", vec!["hello", hostile, "docs", "never built"]),
        ("q=HELL", vec!["hello"]),
        ("q=fast+doc", vec!["docs"]),
        ("q=fast+hello", vec![]),
        ("category=quick", vec!["hello"]),
        ("tag=arm", vec!["docs"]),
        ("tag=x", vec![]),
        ("builder=docs&builder=not+there", vec!["docs"]),
        ("status=unbuilt", vec!["never built"]),
        ("status=building", vec!["hello"]),
        ("status=red", vec!["docs"]),
        ("sort=name", vec!["docs", "hello", "never built", hostile]),
        ("sort=result&q=e", vec!["hello", hostile, "never built"]),
        ("skip=3", vec!["never built"]),
    ] {
        let page = get(&router, &format!("/builders?{asked}")).await.body;
        assert_eq!(names(&page), expected, "{asked}: {page}");
    }
    for bad in ["status=odd", "sort=odd", "skip=x"] {
        let answer = get(&router, &format!("/builders?{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn the_list_of_builders_has_the_last_build_of_a_branch() {
    let (_desk, router) = full().await;
    let page = get(&router, "/builders?builder=docs").await.body;
    assert!(page.contains("builders/docs/builds/3\">"), "{page}");
    let trunk = get(&router, "/builders?builder=docs&branch=trunk")
        .await
        .body;
    assert!(!trunk.contains("builders/docs/builds/3\""), "{trunk}");
    assert!(trunk.contains("builders/docs/builds/2\""), "{trunk}");
    let none = get(&router, "/builders?builder=docs&branch=none")
        .await
        .body;
    assert!(none.contains("<td class=\"faint\">no build</td>"), "{none}");
}

#[tokio::test]
async fn what_a_builder_does_now_is_said_with_when_it_is_done() {
    let (_desk, router) = full().await;
    let page = get(&router, "/builders?builder=hello").await.body;
    assert!(page.contains("<span class=\"state building\">building</span> <a href=\"./builders/hello/builds/6\">#6</a>"), "{page}");
    assert!(
        page.contains("<div class=\"faint small\">1 waiting</div>"),
        "{page}"
    );
}

#[tokio::test]
async fn many_builders_are_forced_or_stopped_only_where_all_may_be() {
    for (authz, forces, stops) in [
        ("force_build = yes\nstop_build = yes", false, false),
        ("force_all_builds = yes", true, false),
        ("stop_all_builds = yes", false, true),
    ] {
        let desk = SampleDesk::with(|plan| plan.authz = authz_of(authz)).await;
        let router = router(desk, Access::Full);
        for path in ["/builders", "/one_line_per_build?builder=hello"] {
            let page = get(&router, path).await.body;
            let has = |it: &str| page.contains(&format!("builders/_selected/{it}\""));
            assert_eq!(has("forceselected"), forces, "{authz} {path}");
            assert_eq!(has("stopselected"), stops, "{authz} {path}");
            assert_eq!(
                page.contains("name=\"selected\""),
                forces || stops,
                "{authz} {path}"
            );
        }
        let unnamed = get(&router, "/one_line_per_build").await.body;
        assert!(!unnamed.contains("_selected"), "{authz}");
    }
}

#[tokio::test]
async fn a_thousand_builders_make_no_long_page() {
    let desk = SampleDesk::with(|plan| {
        let one = plan.builders[0].as_ref().clone();
        let all = (0..1000).map(|number| BuilderPlan {
            name: format!("branch/{number}/linux-x86_64 with gcc")
                .as_str()
                .into(),
            tags: vec!["linux".into(), "gcc".into()],
            ..one.clone()
        });
        plan.builders.extend(all.map(Arc::new));
    })
    .await;
    let router = router(desk, Access::Full);
    for path in [
        "/",
        "/builders",
        "/grid",
        "/tgrid",
        "/console",
        "/one_line_per_build",
    ] {
        let page = get(&router, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.len() < 200_000, "{path} has {}", page.body.len());
    }
    let page = get(&router, "/builders?skip=100").await.body;
    assert!(page.contains("101 to 200 of 1004"), "{page}");
    let home = get(&router, "/").await.body;
    assert!(
        home.contains("builders?category=quick\">quick</a></td><td class=\"number\" data-of=\"builders\">1001</td>"),
        "{home}"
    );
}

#[tokio::test]
async fn the_first_page_says_first_what_is_wrong_then_what_runs() {
    let (_desk, router) = full().await;
    let page = get(&router, "/").await.body;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(at("1 of 4 builders is red") < at(">newt</a> is missing"));
    assert!(at(">newt</a> is missing") < at("HgPoller: https://hg.test/newt</a> cannot be asked"));
    assert!(at("HgPoller") < at("<h2>Running"));
    assert!(at("<h2>Running") < at("<h2>Builders"));
    for place in [
        "waterfall",
        "grid",
        "tgrid",
        "console",
        "builders",
        "one_line_per_build",
        "buildslaves",
        "changes",
        "about",
    ] {
        assert!(page.contains(&format!("<a href=\"./{place}\">")), "{place}");
    }
    let form = "<form class=\"line command clean_shutdown\" name=\"clean_shutdown\" method=\"post\" action=\"./shutdown\">";
    assert!(page.contains(form) && page.contains("<button>Clean Shutdown</button>"));
}

#[tokio::test]
async fn pages_are_named_in_their_order_and_the_one_that_is_shown_is_marked() {
    let (_desk, router) = full().await;
    let page = get(&router, "/tgrid").await.body;
    let nav = page
        .split("<nav aria-label=\"Pages\">")
        .nth(1)
        .expect("a nav");
    let nav = nav.split("</nav>").next().expect("an end");
    let links: Vec<_> = nav
        .split("href=\"./")
        .skip(1)
        .filter_map(|it| it.split('"').next())
        .collect();
    assert_eq!(
        links,
        [
            "",
            "waterfall",
            "grid",
            "tgrid",
            "console",
            "builders",
            "one_line_per_build",
            "buildslaves",
            "changes",
            "users",
            "json/help",
            "about",
        ]
    );
    assert!(nav.contains("<a href=\"./tgrid\" aria-current=\"true\">"));
    assert_eq!(nav.matches("aria-current").count(), 1);
}

#[tokio::test]
async fn every_page_ends_with_the_version_the_title_and_the_time() {
    let (_desk, router) = full().await;
    let page = get(&router, "/about").await.body;
    let footer = page.split("<footer>").nth(1).expect("a footer");
    let version = env!("CARGO_PKG_VERSION");
    assert!(footer.contains(&format!(
        "autobot {version} · <a href=\"https://ci.test/\">Otter &amp; Newt</a>"
    )));
    assert!(footer.contains("drawn <time datetime=\""));
}

#[tokio::test]
async fn pages_answer_post_as_get_and_say_what_they_allow() {
    let (_desk, router) = full().await;
    let posted = post(&router, "/builders?q=docs", &[], "x=1").await;
    assert_eq!(posted.status, 200);
    assert_eq!(names(&posted.body), ["docs"]);
    assert_eq!(post(&router, "/builders/x", &[], "").await.status, 404);
    for path in [
        "/",
        "/grid",
        "/builders/hello",
        "/buildslaves/otter",
        "/about",
    ] {
        assert_eq!(post(&router, path, &[], "").await.status, 200, "{path}");
        let put = Request::put(path).header("host", "ci.test");
        let put = ask(&router, put.body(Body::empty()).expect("a request")).await;
        assert_eq!(
            (put.status, put.header("allow")),
            (405, "GET,HEAD,POST"),
            "{path}"
        );
        let head = Request::head(path).body(Body::empty()).expect("a request");
        let head = ask(&router, head).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        let length: usize = head.header("content-length").parse().expect("a length");
        assert!(length > 1000, "{path}: {length}");
    }
    for path in [
        "/json",
        "/json/builders",
        "/static/autobot.css",
        "/api/builders",
    ] {
        let answer = post(&router, path, &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "GET,HEAD"),
            "{path}"
        );
    }
    for path in ["/builders/hello/force", "/shutdown"] {
        let put = Request::put(path).header("host", "ci.test");
        let put = ask(&router, put.body(Body::empty()).expect("a request")).await;
        assert_eq!((put.status, put.header("allow")), (405, "POST"), "{path}");
    }
}

#[tokio::test]
async fn every_page_is_found_with_a_slash_behind_it() {
    let (_desk, router) = full().await;
    for path in [
        "waterfall",
        "grid",
        "tgrid",
        "console",
        "builders",
        "builders/hello",
        "buildslaves",
        "changes",
        "about",
        "users",
        "one_line_per_build",
    ] {
        let answer = get(&router, &format!("/{path}/")).await;
        let last = path.rsplit('/').next().expect("a part");
        let to = (answer.status, answer.header("location"));
        assert_eq!(to, (302, format!("../{last}").as_str()), "{path}");
    }
    assert_eq!(get(&router, "/json/builders/").await.status, 200);
}

#[tokio::test]
async fn numbers_that_are_none_are_refused_and_builders_that_are_none_ignored() {
    let (_desk, router) = full().await;
    for path in [
        "/builders/hello?numbuilds=x",
        "/builders/hello?before=x",
        "/buildslaves/otter?numbuilds=x",
        "/buildslaves/otter?before=x",
        "/changes?before=x",
        "/one_line_per_build?numbuilds=x",
        "/grid?width=x",
        "/tgrid?length=x",
        "/console?revs=x",
        "/buildstatus?builder=hello&number=x",
        "/waterfall?num_events=x",
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(
            answer.body.contains("should be a whole number, not `x`"),
            "{path}"
        );
    }
    for name in ["last_time", "first_time", "show_time"] {
        let answer = get(&router, &format!("/waterfall?{name}=x")).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.body.contains("should be seconds, not `x`"), "{name}");
    }
    for path in [
        "grid",
        "console",
        "waterfall",
        "builders",
        "one_line_per_build",
        "rss",
    ] {
        let answer = get(&router, &format!("/{path}?builder=hello&builder=none")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.contains("hello"), "{path}");
    }
}

#[tokio::test]
async fn the_builds_of_a_builder_are_narrowed_and_paged() {
    let (_desk, router) = full().await;
    let hostile = super::links::builder(HOSTILE);
    let numbers = async |asked: &str| -> (Vec<String>, String) {
        let page = get(&router, &format!("/{hostile}?{asked}")).await.body;
        let recent = page.split("<div id=\"recent\"").nth(1).expect("a list");
        let recent = recent
            .split("</section>")
            .next()
            .expect("an end")
            .to_owned();
        let numbers = recent.split("<span class=\"number\">#").skip(1);
        let numbers = numbers.filter_map(|it| it.split('<').next().map(str::to_owned));
        (numbers.collect(), recent)
    };
    assert_eq!(numbers("").await.0, ["5", "4", "3", "2", "1", "0"]);
    assert_eq!(numbers("result=success").await.0, ["5", "0"]);
    assert_eq!(numbers("result=failure&result=retry").await.0, ["4", "1"]);
    assert_eq!(numbers("branch=trunk").await.0, ["4", "2", "0"]);
    let (first, page) = numbers("numbuilds=2").await;
    assert_eq!(first, ["5", "4"]);
    assert!(
        page.contains("href=\"?numbuilds=2&amp;before=4\">older</a>"),
        "{page}"
    );
    assert!(!page.contains("newest"), "{page}");
    let (last, page) = numbers("numbuilds=2&before=2").await;
    assert_eq!(last, ["1", "0"]);
    assert!(
        page.contains(">newest</a>") && !page.contains("older"),
        "{page}"
    );
    let (none, page) = numbers("result=skipped").await;
    assert!(none.is_empty() && page.contains("No build fits."), "{page}");
    let bad = get(&router, &format!("/{hostile}?result=odd")).await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn the_page_of_a_builder_draws_how_long_its_builds_took_and_how_they_went_on_each_slave() {
    let (_desk, router) = full().await;
    let page = get(&router, "/builders/hello").await.body;
    for expected in [
        "<svg viewBox=\"0 0 1200 150\" preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"plot-title plot-desc\">",
        "<desc id=\"plot-desc\">6 builds, #0 to #5: 2 success, 1 retry, 1 exception, 1 warnings, 1 failure. The median took 1 min 01 s, the longest 1 min 01 s.</desc>",
        "<g class=\"bar failure\"><title>#1: failure, 1 min 01 s</title>",
        "<a href=\"../builders/hello/builds/1\">#1</a></td><td>failure</td><td class=\"number\">1 min 01 s</td>",
        "value=\"[![hello](http://ci.test/badges/hello.svg)](http://ci.test/builders/hello)\"",
        "<a class=\"strong\" href=\"../buildslaves/otter\">otter</a></td>",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let never = get(&router, "/builders/never%20built").await.body;
    assert!(!never.contains("<svg"), "{never}");
}

#[tokio::test]
async fn what_waits_says_its_changes_by_revision_and_author_while_they_are_few() {
    let (_desk, router) = full().await;
    let page = get(&router, "/builders/hello").await.body;
    let waiting = page
        .split("<section id=\"waiting\"")
        .nth(1)
        .expect("a section");
    assert!(waiting.contains("waiting for slave otter"), "{waiting}");
    assert!(waiting.contains("name=\"cancel\" method=\"post\" action=\"../builders/hello/cancelbuild\"><input type=\"hidden\" name=\"id\""), "{waiting}");
}

#[tokio::test]
async fn slaves_are_listed_with_what_they_do_and_their_builders_on_demand() {
    let (_desk, router) = full().await;
    let page = get(&router, "/buildslaves").await.body;
    assert_eq!(names(&page), ["&lt;eel&gt;", "newt", "otter"]);
    for expected in [
        "2 of 3 here",
        "<th class=\"text wide\">Builders</th>",
        "buildslaves?no_builders=1\">without their builders</a>",
        "<td class=\"wide number\">0.2.0</td><td class=\"wide\"><span class=\"user\">Ines <span class=\"email\">&lt;ines<span hidden>no spam</span>@test&gt;</span></span></td>",
        "<td class=\"wide number\">–</td>",
        "<td class=\"number wide\">1</td>",
        "<span class=\"number\">1</span> <a href=\"./builders/hello/builds/6\">hello/6</a>",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let bare = get(&router, "/buildslaves?no_builders=1").await.body;
    assert!(
        !bare.contains("Builders</th>") && !bare.contains("builders/docs\""),
        "{bare}"
    );
}

#[tokio::test]
async fn the_page_of_a_slave_stops_what_runs_and_pages_what_ran() {
    let (_desk, router) = full().await;
    let page = get(&router, "/buildslaves/otter?numbuilds=3").await.body;
    assert!(page.contains(">older</a>"), "{page}");
    assert!(
        page.contains("of processor time, 12.3 MiB of memory at most"),
        "{page}"
    );
    let newt = get(&router, "/buildslaves/newt").await.body;
    let running = "<form class=\"command stopbuild\" name=\"stop_build\" method=\"post\" action=\"../builders/hello/builds/6/stop\">";
    assert!(newt.contains(running), "{newt}");
    let desk = SampleDesk::with(|plan| plan.authz = authz_of("")).await;
    let router = router_of(desk);
    let newt = get(&router, "/buildslaves/newt").await.body;
    assert!(!newt.contains("<button"), "{newt}");
}

fn router_of(desk: Arc<SampleDesk>) -> axum::Router {
    router(desk, Access::Full)
}

#[tokio::test]
async fn changes_are_found_and_say_what_became_of_them_at_each_builder() {
    let (_desk, router) = full().await;
    for (asked, ids) in [
        ("", vec!["2", "1"]),
        ("author=ines", vec!["1"]),
        ("branch=trunk", vec!["1"]),
        ("branch=feature%2F%3Cx%3E", vec!["2"]),
        ("q=INTRO.txt", vec!["2", "1"]),
        ("q=nothing", vec![]),
        ("project=otter&category=doc", vec!["2", "1"]),
        ("repository=x", vec![]),
        ("before=2", vec!["1"]),
    ] {
        let page = get(&router, &format!("/changes?{asked}")).await.body;
        let found = page
            .split("<td class=\"number\"><a href=\"./changes/")
            .skip(1);
        let found: Vec<_> = found.filter_map(|it| it.split('"').next()).collect();
        assert_eq!(found, ids, "{asked}: {page}");
    }
    let page = get(&router, "/changes/1").await.body;
    let built = "<a href=\"../builders/docs/builds/2\">docs/2</a> <span class=\"badge warnings\">";
    assert!(page.contains(built), "{page}");
}

#[tokio::test]
async fn forms_are_called_as_those_of_buildbot_and_scripts_that_know_those_send_theirs() {
    let (desk, router) = full().await;
    for (page, kind, name, action) in [
        (
            "/builders/hello",
            "forcebuild",
            "force_build",
            "../builders/hello/force",
        ),
        (
            "/builders/hello",
            "cancelbuild",
            "cancel",
            "../builders/hello/cancelbuild",
        ),
        (
            "/builders/hello",
            "ping_builder",
            "ping_builder",
            "../builders/hello/ping",
        ),
        (
            "/builders/hello/builds/6",
            "stopbuild",
            "stop_build",
            "../../../builders/hello/builds/6/stop",
        ),
        (
            "/builders/docs/builds/0",
            "rebuild",
            "rebuild",
            "../../../builders/docs/builds/0/rebuild",
        ),
        (
            "/buildslaves/otter",
            "graceful_shutdown",
            "graceful_shutdown",
            "../buildslaves/otter/shutdown",
        ),
        ("/", "clean_shutdown", "clean_shutdown", "./shutdown"),
    ] {
        let body = get(&router, page).await.body;
        let named = format!("command {kind}\" name=\"{name}\" method=\"post\" action=\"{action}\"");
        assert!(body.contains(&named), "{page}: {named}\n{body}");
    }
    let who = "username=ann&passwd=&comments=why";
    let source = "&branch=&revision=&repository=&project=&property1name=&property1value=";
    for (path, more, expected) in [
        ("/builders/hello/force", source, 302),
        ("/builders/_all/forceall", source, 302),
        ("/builders/_selected/forceselected", "&selected=hello", 302),
        ("/builders/docs/builds/0/rebuild", "", 302),
        ("/builders/hello/builds/6/stop", "", 302),
        ("/builders/_all/stopall", "", 302),
        ("/builders/_selected/stopselected", "&selected=hello", 302),
        ("/builders/hello/stopchange", "&change=1", 302),
        ("/builders/_all/stopchangeall", "&change=1", 302),
        // What it cannot understand it does not do.
        ("/builders/hello/stopchange", "&change=x", 400),
        ("/builders/hello/cancelbuild", "&id=x", 400),
    ] {
        let form = format!("{who}{more}");
        let answer = post(&router, path, &[], &form).await;
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
    }
    let asked = desk.asked.lock().expect("not poisoned").join("\n");
    assert!(asked.contains("by 'ann': why"), "{asked}");
}
