//! What every page is like, whoever looks at it.

use super::*;

#[tokio::test]
async fn every_page_is_drawn_and_escapes_hostile_names() {
    let (_desk, router) = full().await;
    for path in pages() {
        let answer = get(&router, &path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(
            answer.header("content-type").starts_with("text/html"),
            "{path}"
        );
        for bad in [
            "<script>",
            "'x')",
            "lint/\"",
            "<b>",
            "<x>",
            "<i>",
            "<ines",
            "<eel>",
            "javascript:",
            " style=",
            "onclick",
        ] {
            assert!(!answer.body.contains(bad), "{path} holds {bad}");
        }
        assert!(
            answer
                .header("content-security-policy")
                .contains("script-src 'self';")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
    }
}

#[tokio::test]
async fn every_link_of_every_page_leads_to_a_page() {
    let (_desk, router) = full().await;
    let mut seen = std::collections::BTreeSet::new();
    for path in pages() {
        let answer = get(&router, &path).await;
        let depth = path.matches('/').count();
        let root = if depth <= 1 {
            "./".into()
        } else {
            "../".repeat(depth - 1)
        };
        for (at, _) in answer.body.match_indices("href=\"") {
            let rest = &answer.body[at + 6..];
            let link = rest
                .split('"')
                .next()
                .expect("an end")
                .replace("&amp;", "&");
            if link.starts_with("http")
                || link.starts_with('#')
                || link.starts_with('?')
                || link.starts_with("ssh")
            {
                continue;
            }
            if path == "/json/help" && !link.starts_with(&root) {
                continue;
            }
            let target = link
                .strip_prefix(&root)
                .unwrap_or_else(|| panic!("{path}: {link}"));
            assert!(!target.starts_with('.'), "{path}: {link}");
            if seen.insert(target.to_owned()) {
                let answer = get(&router, &format!("/{target}")).await;
                assert_eq!(answer.status, 200, "{path} leads to {target}");
            }
        }
    }
    assert!(seen.len() > 40, "{seen:?}");
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let (_desk, router) = full().await;
    for path in [
        "/x",
        "/builders/x",
        "/builders/hello/builds/99",
        "/builders/hello/builds/x",
        "/builders/hello/builds/0/steps/x",
        "/builders/hello/builds/0/steps/test/logs/x",
        "/builders/hello/builds/0/steps/test/logs/x.txt",
        "/buildslaves/x",
        "/changes/99",
        "/changes/x",
        "/static/../Cargo.toml",
        "/builders/%3Cscript%3E/builds/0",
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("Not found"), "{path}");
        assert!(!answer.body.contains("<script>"), "{path}");
    }
    for path in [
        "/waterfall?num_events=x",
        "/builders/hello?numbuilds=x",
        "/events?build=x",
    ] {
        assert_eq!(get(&router, path).await.status, 400, "{path}");
    }
    let answer = get(&router, "/api/builders/hello/builds/99").await;
    assert_eq!(answer.status, 404);
    assert_eq!(told(&answer.body), "there is no build 99 of `hello`");
}

#[tokio::test]
async fn a_slash_too_many_leads_to_the_page() {
    let (_desk, router) = full().await;
    let answer = get(&router, "/builders/web%20lint%2Fx/?numbuilds=3").await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), "../web%20lint%2Fx?numbuilds=3");
    for (path, to) in [
        ("/builders/a%2Fb/builds", "../a%2Fb"),
        ("/builders/a/builds/0/steps", "../0"),
        ("/builders/a/builds/0/steps/x/logs", "../x"),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, to),
            "{path}"
        );
    }
}

#[tokio::test]
async fn no_page_and_no_feed_tells_an_address_in_one_piece() {
    let (_desk, router) = full().await;
    let documents = |it: &str| it.starts_with("/json") || it.starts_with("/api");
    let mut shown = 0;
    for path in pages().into_iter().filter(|it| !documents(it)) {
        let answer = get(&router, &path).await;
        let place = answer.body.find("@test");
        let before = place.map(|at| &answer.body[at.saturating_sub(200)..at]);
        let is_whole = before.is_some_and(|it| !it.ends_with("</span>"));
        assert!(!is_whole, "{path}: {before:?}");
        shown += usize::from(place.is_some());
    }
    assert!(shown > 5, "{shown}");
}

#[tokio::test]
async fn changes_link_to_what_the_configuration_names() {
    let desk = SampleDesk::with(|plan| {
        plan.web = web_of(
            "change_comment_link = (<intro>|\"more\") https://t.test/?q=\\1 <b>'\\1\n\
             revlink = https://r.test/%s\n\
             projects.otter = https://otter.test/\n\
             repositories = {\"https://git.test/otter.git\": \"https://git.test/otter?\"}",
        );
    })
    .await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    let page = get(&router, "/changes/1").await.body;
    for expected in [
        "reword <a class=\"external\" rel=\"noreferrer nofollow\" href=\"https://t.test/?q=%3Cintro%3E\" \
         title=\"&lt;b&gt;&#39;&lt;intro&gt;\">&lt;intro&gt;</a> &amp; <a",
        "href=\"https://t.test/?q=%22more%22\"",
        "<a href=\"https://otter.test/\">otter</a>",
        "<a href=\"https://git.test/otter?\">https://git.test/otter.git</a>",
        // The change has a link of its own.
        "href=\"https://git.test/c/5f0c1e7ab92d44bb0c\"",
    ] {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    for bad in ["<intro>", "<b>"] {
        assert!(!page.contains(bad), "{bad}: {page}");
    }
    let page = get(&router, "/builders/hello/builds/-1").await.body;
    let link = "href=\"https://r.test/5f0c1e7ab92d44bb0c\"";
    assert!(page.contains(link), "{page}");
    let page = get(&router, "/builders/hello").await.body;
    assert!(
        page.contains("waits") || page.contains("https://r.test/"),
        "{page}"
    );
}

#[tokio::test]
async fn a_change_without_links_is_its_comment() {
    let (_desk, router) = full().await;
    let page = get(&router, "/changes/1").await.body;
    let comment = "<pre class=\"comments\">reword &lt;intro&gt; &amp; &quot;more&quot;\n\nfixes the rest</pre>";
    assert!(page.contains(comment), "{page}");
}

#[tokio::test]
async fn a_file_is_sent_once_per_version() {
    let (_desk, router) = full().await;
    let answer = get(&router, "/static/autobot.css").await;
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    let request = Request::get("/static/autobot.css")
        .header("if-none-match", answer.header("etag"))
        .body(Body::empty())
        .expect("a request");
    assert_eq!(ask(&router, request).await.status, 304);
}

#[tokio::test]
async fn a_broken_template_is_told_on_the_page() {
    let (desk, router) = full().await;
    let own = desk.dir.path().join("templates");
    std::fs::create_dir(&own).expect("a directory");
    std::fs::write(own.join("about.html"), "{% for").expect("written");
    let answer = get(&router, "/about").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("`about.html`"), "{}", answer.body);
    assert!(!get(&router, "/").await.body.contains("about.html"));
}
