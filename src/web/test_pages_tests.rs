//! The pages and documents of single tests.

use serde_json::Value;

use super::links;
use super::sample::HOSTILE;
use super::tests::Answer;
use super::tests::full;
use super::tests::get;
use super::tests::told;

const BAD: &str = "words.test.test_intro.Intro.test_counts";

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

/// The names on a list of tests, in their order.
fn listed(body: &str) -> Vec<&str> {
    let names = body.split("<a class=\"mono\" href=\"").skip(1);
    names
        .filter_map(|it| it.split_once("\">")?.1.split("</a>").next())
        .collect()
}

#[tokio::test]
async fn a_test_result_has_its_result_word_its_text_and_its_logs_inline() {
    let (_desk, router) = full().await;
    let page = get(&router, &format!("/builders/hello/builds/1/tests/{BAD}")).await;
    assert_eq!(page.status, 200);
    for expected in [
        BAD,
        "</span> failure</span>",
        "<pre class=\"comments\">Traceback &lt;x&gt;:\n  assert 1 == 2</pre>",
        "/steps/test/logs/stdio\">stdio</a>",
    ] {
        assert!(page.body.contains(expected), "{expected}: {}", page.body);
    }
    let odd = "words.test.test_web.Pages.test_odd";
    let page = get(&router, &format!("/builders/hello/builds/1/tests/{odd}")).await;
    assert!(
        page.body
            .contains("</span> warning</span> <span class=\"faint\">fly away")
    );
    assert!(page.body.contains("Nothing is kept of what it said."));
}

#[tokio::test]
async fn a_build_that_has_test_results_links_to_them_and_another_does_not() {
    let (_desk, router) = full().await;
    let page = get(&router, "/builders/hello/builds/1").await.body;
    assert!(page.contains("href=\"../../../builders/hello/builds/1/tests\">Tests</a>"));
    assert!(page.contains("builds/1/tests?end=failure\""));
    let page = get(&router, "/builders/docs/builds/1").await.body;
    assert!(!page.contains("/tests"), "{page}");
    let page = get(&router, "/builders/docs/builds/1/tests").await;
    assert_eq!(page.status, 200);
    assert!(
        page.body
            .contains("No step of this build has told of single tests")
    );
}

#[tokio::test]
async fn the_list_has_what_went_wrong_first_and_is_searched_without_a_script() {
    let (_desk, router) = full().await;
    let page = get(&router, "/builders/hello/builds/1/tests").await.body;
    let names = listed(&page);
    assert_eq!(names.len(), 9);
    assert_eq!(names[0], BAD);
    assert_eq!(names[8], "words.test.test_intro.Intro.test_reads");
    assert!(names.contains(&"(no name)"));
    assert!(page.contains("Went wrong in <a") && page.contains("Went well in <a"));
    assert!(page.contains("method=\"get\""), "it is a form");
    let search = |query: &str| format!("/builders/hello/builds/1/tests?{query}");
    let found = get(&router, &search("q=INTRO.&end=success")).await.body;
    assert_eq!(listed(&found), ["words.test.test_intro.Intro.test_reads"]);
    assert!(found.contains("value=\"INTRO.\"") && found.contains("<option selected>success"));
    let found = get(&router, &search("q=%25&end=")).await.body;
    assert!(found.contains("No test that is kept fits."));
    let found = get(&router, &search("skip=8")).await.body;
    assert_eq!(listed(&found).len(), 1);
    assert!(found.contains("9 to 9"));
    let answer = get(&router, &search("end=green")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(get(&router, &search("skip=x")).await.status, 400);
    assert_eq!(get(&router, &search("skip=-5")).await.status, 200);
}

#[tokio::test]
async fn the_page_says_since_which_build_a_test_fails() {
    let (_desk, router) = full().await;
    let page = |number: u32| format!("/builders/hello/builds/{number}/tests/{BAD}");
    let body = get(&router, &page(1)).await.body;
    assert!(body.contains("It fails for the first time in this build."));
    let body = get(&router, &page(4)).await.body;
    assert!(
        body.contains("It fails since <a href=\"../../../../../builders/hello/builds/1\">#1</a>")
    );
    assert_eq!(body.matches("class=\"square").count(), 5);
    let body = get(&router, &page(5)).await.body;
    assert!(!body.contains("It fails"), "it passes there");
    let odd = "/builders/hello/builds/3/tests/words.test.test_web.Pages.test_odd";
    let body = get(&router, odd).await.body;
    assert!(
        body.contains("since <a href=\"../../../../../builders/hello/builds/0\">#0</a> at least")
    );
}

#[tokio::test]
async fn names_that_no_path_can_end_with_have_an_address_too() {
    let (_desk, router) = full().await;
    let page = get(&router, "/builders/hello/builds/1/tests").await.body;
    for link in ["tests?name=\"", "tests?name=..\"", "tests/a%2F..%2Fb\""] {
        assert!(page.contains(link), "{link}");
    }
    for (path, heading) in [
        ("tests?name=", "(no name)"),
        ("tests?name=..", ".."),
        ("tests/a%2F..%2Fb", "a/../b"),
    ] {
        let answer = get(&router, &format!("/builders/hello/builds/1/{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        let heading = format!("<h1><span class=\"mono\">{heading}</span>");
        assert!(answer.body.contains(&heading), "{path}");
        let answer = get(&router, &format!("/api/builders/hello/builds/1/{path}")).await;
        assert_eq!(json(&answer)["results"][0]["result"], "unexpected success");
    }
    // Of 10 kB, of which 1000 bytes are kept.
    let long = links::quote(&format!("{}<…", "<b>".repeat(333)));
    let answer = get(&router, &format!("/builders/hello/builds/1/tests/{long}")).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("<b>"));
    let whole = links::quote(&"<b>".repeat(3400));
    let answer = get(&router, &format!("/builders/hello/builds/1/tests/{whole}")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.len() < 20_000 && !answer.body.contains("<b>"));
}

#[tokio::test]
async fn programs_are_told_the_same_of_tests() {
    let (_desk, router) = full().await;
    let hostile = links::builder(HOSTILE);
    let all = json(&get(&router, &format!("/api/{hostile}/builds/1/tests?limit=2")).await);
    assert_eq!(
        all["counts"].to_string(),
        r#"{"failure":1,"unexpected success":5,"warning":1,"skipped":1,"success":1}"#
    );
    assert_eq!(all["left_out"], 0);
    assert_eq!(all["tests"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        all["tests"][0].to_string(),
        format!(
            r#"{{"step":"test","result":"failure","outcome":"failure","text":"failure","name":"{BAD}"}}"#
        )
    );
    let one = json(
        &get(
            &router,
            &format!("/api/builders/hello/builds/2/tests/{BAD}"),
        )
        .await,
    );
    assert_eq!(
        one["path"].to_string(),
        r#"["words","test","test_intro","Intro","test_counts"]"#
    );
    assert_eq!(one["fails_since"], 1);
    assert_eq!(one["results"][0]["log"], "Traceback <x>:\n  assert 1 == 2");
    let answer = get(&router, "/api/builders/hello/builds/2/tests/x").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        told(&answer.body),
        "there is no result of a test `x` in this build"
    );
}
