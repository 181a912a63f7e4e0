//! What builds brought to the master, asked for through the router.

use std::fs;
use std::sync::Arc;

use axum::Router;

use crate::master::Access;
use crate::model::Artifact;
use crate::model::Timestamp;

use super::app::router;
use super::sample_desk::SampleDesk;
use super::tests::full;
use super::tests::get;

const BUILD: &str = "/builders/hello/builds/5";

fn artifact(path: &str, size: u64, is_directory: bool, made: i64) -> Artifact {
    Artifact {
        step: 1,
        path: path.into(),
        is_directory,
        size,
        sha256: if is_directory {
            String::new()
        } else {
            "0a1b".repeat(16)
        },
        made: Timestamp(made),
    }
}

/// A file and a directory of build 5, of which build 2 brought the file too; and one elsewhere.
async fn brought() -> (Arc<SampleDesk>, Router) {
    let (desk, router) = full().await;
    let public = desk.dir.path().join("public_html");
    fs::create_dir_all(public.join("docs/deep")).expect("directories");
    fs::write(public.join("words.tgz"), "0123456789").expect("written");
    fs::write(public.join("docs/a <b>.html"), "<script>alert(1)</script>").expect("written");
    fs::write(public.join("docs/deep/x.txt"), "deep").expect("written");
    fs::write(desk.dir.path().join("private"), "secret").expect("written");
    std::os::unix::fs::symlink("../../private", public.join("docs/out")).expect("a link");
    let kept = desk.store.write(|store| {
        let new = store.build(&"hello".into(), 5)?.expect("it is there");
        let old = store.build(&"hello".into(), 2)?.expect("it is there");
        store.put_artifacts(
            old.id,
            1,
            &[artifact("public_html/words.tgz", 3, false, 1000)],
        )?;
        store.put_artifacts(
            new.id,
            1,
            &[
                artifact("public_html/words.tgz", 10, false, 2000),
                artifact("public_html/docs", 512, true, 2000),
                artifact("private", 6, false, 2000),
                artifact("public_html/gone", 1, false, 2000),
            ],
        )
    });
    kept.await.expect("kept");
    (desk, router)
}

#[tokio::test]
async fn what_a_build_brought_is_listed_with_where_it_is() {
    let (_desk, router) = brought().await;
    for page in [
        BUILD.to_owned(),
        format!("{BUILD}/artifacts"),
        format!("{BUILD}/steps/1"),
    ] {
        let body = get(&router, &page).await.body;
        assert!(
            body.contains("builds/5/artifacts/words.tgz\">words.tgz</a>"),
            "{page}\n{body}"
        );
        assert!(
            body.contains("builds/5/artifacts/docs/\">docs/</a>"),
            "{page}"
        );
        assert!(body.contains(&"0a1b".repeat(16)), "{page}");
        assert!(body.contains("not below `public_html`: <span class=\"mono\">private</span>"));
        assert!(body.contains("not there any more: <span class=\"mono\">public_html/gone</span>"));
        assert!(!body.contains("artifacts/private") && !body.contains("artifacts/gone"));
    }
    let old = get(&router, "/builders/hello/builds/2/artifacts")
        .await
        .body;
    assert!(
        old.contains("replaced by <a href=\"../../../../builders/hello/builds/5\">hello/5</a>"),
        "{old}"
    );
    let none = get(&router, "/builders/hello/builds/1/artifacts")
        .await
        .body;
    assert!(none.contains("No step of this build brought anything"));
}

#[tokio::test]
async fn files_and_directories_can_be_had_and_documents_do_no_harm() {
    let (_desk, router) = brought().await;
    let file = get(&router, &format!("{BUILD}/artifacts/words.tgz")).await;
    assert_eq!((file.status, file.body.as_str()), (200, "0123456789"));
    assert_eq!(file.header("accept-ranges"), "bytes");
    let slash = get(&router, &format!("{BUILD}/artifacts/docs")).await;
    assert_eq!((slash.status, slash.header("location")), (302, "docs/"));
    let list = get(&router, &format!("{BUILD}/artifacts/docs/")).await.body;
    let link = "builders/hello/builds/5/artifacts/docs/a%20%3Cb%3E.html\">a &lt;b&gt;.html</a>";
    assert!(list.contains(link), "{list}");
    assert!(list.contains("artifacts/docs/deep/\">"), "{list}");
    let deep = get(&router, &format!("{BUILD}/artifacts/docs/deep/x.txt")).await;
    assert_eq!(deep.body, "deep");
    let page = get(&router, &format!("{BUILD}/artifacts/docs/a%20%3Cb%3E.html")).await;
    assert!(
        page.header("content-security-policy")
            .starts_with("sandbox;")
    );
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn nothing_else_can_be_had_under_the_name_of_an_artifact() {
    let (_desk, router) = brought().await;
    for rest in [
        "private",
        "gone",
        "docs/out",
        "docs/../../private",
        "docs/%2e%2e/%2e%2e/private",
        "..%2f..%2fprivate",
        "words.tgz/x",
        "docs2",
        "docs/none",
        "docs/.hidden",
        "docs//deep/x.txt",
    ] {
        let answer = get(&router, &format!("{BUILD}/artifacts/{rest}")).await;
        assert_eq!(answer.status, 404, "{rest}: {}", answer.body);
        assert!(!answer.body.contains("secret"), "{rest}");
    }
    let old = get(&router, "/builders/hello/builds/2/artifacts/words.tgz").await;
    assert_eq!(old.status, 404);
    assert!(
        old.body.contains("any more: hello/5 brought another one"),
        "{}",
        old.body
    );
}

#[tokio::test]
async fn the_newest_good_build_that_brought_something_has_an_address_that_stays() {
    let (_desk, router) = brought().await;
    for (path, to) in [
        ("/builders/hello/latest", "builds/6"),
        ("/builders/hello/latest/artifacts", "../builds/5/artifacts"),
        (
            "/builders/hello/latest/artifacts/words.tgz",
            "../../builds/5/artifacts/words.tgz",
        ),
        (
            "/builders/hello/latest/artifacts/docs/deep/x%20y",
            "../../../../builds/5/artifacts/docs/deep/x%20y",
        ),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, to),
            "{path}"
        );
    }
    for path in ["/builders/docs/latest/artifacts", "/builders/none/latest"] {
        assert_eq!(get(&router, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn numbers_may_count_back_from_the_newest_and_what_is_not_there_is_named() {
    let (_desk, router) = full().await;
    let title = |number: &'static str| {
        let router = router.clone();
        async move { get(&router, &format!("/builders/hello/builds/{number}")).await }
    };
    for newest in ["-1", "latest", "6"] {
        assert!(
            title(newest)
                .await
                .body
                .contains("<title>Buildbot: hello Build #6:"),
            "{newest}"
        );
    }
    assert!(
        title("-7")
            .await
            .body
            .contains("<title>Buildbot: hello Build #0:")
    );
    for missing in ["-8", "7", "x", "1x", "99999999999999999999"] {
        let answer = title(missing).await;
        assert_eq!(answer.status, 404, "{missing}");
        let what = format!("there is no build {missing} of `hello`");
        assert!(answer.body.contains(&what), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_build_leads_to_the_builds_around_it_that_there_are() {
    let (_desk, router) = full().await;
    let links = |number: u32| {
        let router = router.clone();
        async move {
            let page = get(&router, &format!("/builders/hello/builds/{number}"))
                .await
                .body;
            (page.contains("rel=\"prev\""), page.contains("rel=\"next\""))
        }
    };
    assert_eq!(links(0).await, (false, true));
    assert_eq!(links(3).await, (true, true));
    assert_eq!(links(6).await, (true, false));
}

#[tokio::test]
async fn the_description_of_a_builder_is_markdown_without_markup() {
    let desk = SampleDesk::with(|plan| {
        let builder = Arc::make_mut(&mut plan.builders[0]);
        let text = "Builds **words**, see [docs](https://d.test/).\n\n<script>alert(1)</script>";
        builder.description = Some(text.into());
    })
    .await;
    let router = router(desk as Arc<_>, Access::Full);
    let page = get(&router, "/builders/hello").await.body;
    assert!(page.contains("<strong>words</strong>, see <a href=\"https://d.test/\">docs</a>."));
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script>a"),
        "{page}"
    );
}

#[tokio::test]
async fn the_address_of_who_made_a_change_is_not_in_the_page() {
    let (_desk, router) = full().await;
    for page in [
        "/changes/1",
        "/changes/2",
        "/builders/hello/builds/0",
        BUILD,
    ] {
        let body = get(&router, page).await.body;
        let plain = body
            .split("<span hidden>no spam</span>@")
            .collect::<String>();
        assert!(
            !plain.contains("@x") && !plain.contains("@test"),
            "{page}\n{body}"
        );
    }
}
