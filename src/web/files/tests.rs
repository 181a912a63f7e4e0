//! Files beside the pages, asked for through the router.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::Request;

use crate::master::Access;
use crate::web::app::router;
use crate::web::sample::HOSTILE;
use crate::web::sample_desk::SampleDesk;
use crate::web::tests::Answer;
use crate::web::tests::ask;
use crate::web::tests::get;
use crate::web::tests::get_packed;

fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join("public_html").join(name);
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(path, text).expect("written");
}

async fn site() -> (std::sync::Arc<SampleDesk>, Router) {
    let desk = SampleDesk::new().await;
    let dir = desk.dir.path();
    put(dir, "docs/index.html", "<script>alert(1)</script>");
    put(dir, "docs/x.js", "alert(1)");
    put(dir, "docs/paper.PDF", "%PDF");
    put(dir, "logs/a <b>.txt", "0123456789");
    put(dir, "logs/.secret", "x");
    put(dir, "logs/deep/y.tar.gz", "x");
    put(dir, "about", "not this");
    put(dir, "index.html", "not this");
    let router = router(desk.clone(), Access::ReadOnly);
    (desk, router)
}

async fn send(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(router, request.body(Body::empty()).expect(path)).await
}

#[tokio::test]
async fn files_are_sent_with_their_types_and_scripts_in_them_are_not_run() {
    let (_desk, router) = site().await;
    for (path, kind) in [
        ("/docs/", "text/html; charset=utf-8"),
        ("/docs/index.html", "text/html; charset=utf-8"),
        ("/docs/x.js", "text/javascript; charset=utf-8"),
        ("/logs/a%20%3Cb%3E.txt", "text/plain; charset=utf-8"),
        ("/logs/deep/y.tar.gz", "application/gzip"),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), kind, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("sandbox; default-src 'none';"),
            "{policy}"
        );
        assert!(!policy.contains("script-src") && !policy.contains("allow-scripts"));
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string()
        );
    }
    let paper = get(&router, "/docs/paper.PDF").await;
    assert_eq!(paper.header("content-type"), "application/pdf");
    let policy = paper.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
}

#[tokio::test]
async fn what_is_not_below_the_directory_is_not_there() {
    let (desk, router) = site().await;
    let dir = desk.dir.path();
    fs::write(dir.join("master.ini"), "password = x").expect("written");
    symlink("../master.ini", dir.join("public_html/up")).expect("a link");
    symlink(dir.join("master.ini"), dir.join("public_html/whole")).expect("a link");
    for path in [
        "/up",
        "/whole",
        "/../master.ini",
        "/%2e%2e/master.ini",
        "/..%2fmaster.ini",
        "/docs/../../master.ini",
        "/docs%2F..%2F..%2Fmaster.ini",
        "/logs/.secret",
        "/docs//x.js",
        "/docs/x.js%00.txt",
        "/public_html/docs/x.js",
        "/none/",
    ] {
        let answer = get(&router, path).await;
        assert!(
            [302, 404].contains(&answer.status),
            "{path}: {}",
            answer.body
        );
        assert!(!answer.body.contains("password"), "{path}");
    }
    let page = get(&router, "/docs/x.js/").await;
    assert_eq!((page.status, page.header("location")), (302, "../x.js"));
}

#[tokio::test]
async fn a_directory_that_holds_the_master_is_not_shown() {
    let desk = SampleDesk::with(|plan| plan.web.public_html = Some("/".into())).await;
    let file = desk.dir.path().join("x.txt");
    fs::write(&file, "x").expect("written");
    let router = router(desk, Access::Full);
    let path = file.to_str().expect("text");
    assert_eq!(get(&router, path).await.status, 404);
}

#[tokio::test]
async fn a_directory_leads_to_its_list_which_escapes_names() {
    let (desk, router) = site().await;
    let hostile = HOSTILE.replace('/', "_");
    put(desk.dir.path(), &format!("logs/{hostile}"), "x");
    let answer = get(&router, "/logs").await;
    assert_eq!((answer.status, answer.header("location")), (302, "logs/"));
    let page = get(&router, "/logs/").await;
    assert_eq!(page.status, 200);
    for expected in [
        "<h1>/logs/</h1>",
        "<a href=\"../logs/a%20%3Cb%3E.txt\">a &lt;b&gt;.txt</a>",
        "<a href=\"../logs/deep/\">deep/</a>",
        "10 bytes",
    ] {
        assert!(page.body.contains(expected), "{expected}\n{}", page.body);
    }
    assert!(!page.body.contains("<script>") && !page.body.contains(".secret"));
    assert!(
        page.header("content-security-policy")
            .contains("script-src 'self'")
    );
    let deep = get(&router, "/logs/deep/").await.body;
    assert!(deep.contains("<a href=\"../../logs/\">above</a>"), "{deep}");
}

#[tokio::test]
async fn a_page_wins_over_a_file_of_its_name() {
    let (_desk, router) = site().await;
    for path in ["/", "/about"] {
        assert!(
            !get(&router, path).await.body.contains("not this"),
            "{path}"
        );
    }
    assert_eq!(get(&router, "/index.html").await.body, "not this");
}

#[tokio::test]
async fn a_part_of_a_file_is_sent_and_a_known_one_is_not_sent_again() {
    let (_desk, router) = site().await;
    let path = "/logs/a%20%3Cb%3E.txt";
    let part = send(&router, "GET", path, &[("range", "bytes=2-4")]).await;
    let said = (
        part.status,
        part.header("content-range"),
        part.body.as_str(),
    );
    assert_eq!(said, (206, "bytes 2-4/10", "234"));
    let beyond = send(&router, "GET", path, &[("range", "bytes=10-")]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), "bytes */10");
    let whole = get(&router, path).await;
    for (name, value) in [
        ("if-none-match", whole.header("etag")),
        ("if-modified-since", whole.header("last-modified")),
    ] {
        let known = send(&router, "GET", path, &[(name, value)]).await;
        assert_eq!((known.status, known.body.as_str()), (304, ""), "{name}");
    }
    let head = send(&router, "HEAD", path, &[]).await;
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    assert_eq!(head.body, "");
}

#[tokio::test]
async fn a_file_comes_whole_to_who_can_unpack_it() {
    let (desk, router) = site().await;
    let text = "a line\n".repeat(100_000);
    put(desk.dir.path(), "long.txt", &text);
    assert!(get_packed(&router, "/long.txt").await == text);
}

#[tokio::test]
async fn files_are_only_read() {
    let desk = SampleDesk::new().await;
    put(desk.dir.path(), "x.txt", "x");
    let router = router(desk, Access::Full);
    let answer = send(&router, "DELETE", "/x.txt", &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    let answer = send(&router, "DELETE", "/y.txt", &[]).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn robots_and_the_icon_are_the_masters_own_if_it_has_them() {
    let (desk, router) = site().await;
    let robots = get(&router, "/robots.txt").await;
    for page in ["/waterfall", "/console", "/grid", "/rss", "/builders"] {
        assert!(
            robots.body.contains(&format!("Disallow: {page}\n")),
            "{page}"
        );
    }
    let icon = get(&router, "/favicon.ico").await;
    assert!(icon.header("content-type").starts_with("image/svg+xml"));
    put(desk.dir.path(), "robots.txt", "User-agent: *\n");
    put(desk.dir.path(), "favicon.ico", "icon");
    assert_eq!(get(&router, "/robots.txt").await.body, "User-agent: *\n");
    let icon = get(&router, "/favicon.ico").await;
    assert_eq!(
        (icon.body.as_str(), icon.header("content-type")),
        ("icon", "image/x-icon")
    );
}

#[tokio::test]
async fn a_style_that_lies_there_changes_no_page_unless_a_template_of_the_master_asks_for_it() {
    let (desk, router) = site().await;
    put(desk.dir.path(), "default.css", "button { opacity: 0 }");
    let page = get(&router, "/builders/hello").await.body;
    assert!(!page.contains("default.css"), "{page}");
    let layout = include_str!("../../../share/templates/layout.html");
    let link = "<link rel=\"stylesheet\" href=\"{{ root }}default.css\">";
    let own = layout.replace("</head>", &format!("{link}</head>"));
    fs::create_dir(desk.dir.path().join("templates")).expect("made");
    fs::write(desk.dir.path().join("templates/layout.html"), own).expect("written");
    let page = get(&router, "/builders/hello").await.body;
    assert!(page.contains("href=\"../default.css\"></head>"), "{page}");
    let style = get(&router, "/default.css").await;
    assert!(style.header("content-type").starts_with("text/css"));
}

#[tokio::test]
async fn a_mounted_directory_is_shown_at_its_name_and_nothing_beside_it() {
    let place = tempfile::tempdir().expect("a directory");
    let book = place.path().join("book");
    fs::create_dir_all(book.join("deep")).expect("made");
    fs::write(book.join("deep/a.txt"), "of the book").expect("written");
    fs::write(place.path().join("secret"), "x").expect("written");
    symlink("../secret", book.join("out")).expect("linked");
    let base = place.path().join("base");
    let desk = SampleDesk::with(|plan| {
        let all = [("book", &book), ("builders", &book), ("gone", &base)];
        let all = all.map(|(name, path)| (name.to_owned(), path.clone()));
        plan.web.mounts = all.into();
        plan.web.mounts.insert("own".into(), ".".into());
    })
    .await;
    put(desk.dir.path(), "book/b.txt", "below public_html");
    put(desk.dir.path(), "other.txt", "below public_html");
    let router = router(desk.clone(), Access::ReadOnly);
    let text = get(&router, "/book/deep/a.txt").await;
    assert_eq!((text.status, text.body.as_str()), (200, "of the book"));
    assert_eq!(get(&router, "/book").await.header("location"), "book/");
    let list = get(&router, "/book/").await.body;
    assert!(list.contains("href=\"../book/deep/\""), "{list}");
    assert!(!list.contains("book/out"), "{list}");
    let deep = get(&router, "/book/deep/").await.body;
    assert!(deep.contains("href=\"../../book/\""), "{deep}");
    for missing in [
        "/book/b.txt",
        "/book/out",
        "/book/../secret",
        "/gone",
        "/own",
        "/own/state.sqlite",
    ] {
        assert_eq!(get(&router, missing).await.status, 404, "{missing}");
    }
    assert_eq!(get(&router, "/other.txt").await.status, 200);
    // A page wins.
    let page = get(&router, "/builders").await.body;
    assert!(page.contains("<h1>Builders</h1>"), "{page}");
}
