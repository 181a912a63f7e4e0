//! Logs as text, in colour, and while they grow.

use super::*;
use crate::logs::record;
use crate::model::Channel;

const LOG: &str = "/builders/docs/builds/0/steps/test/logs/stdio";

#[tokio::test]
async fn a_log_is_text_with_and_without_its_headers() {
    let (_desk, router) = full().await;
    for path in [format!("{LOG}/text"), format!("{LOG}.txt")] {
        let answer = get(&router, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert!(answer.body.starts_with("compiling <script>"), "{path}");
        assert!(
            answer
                .body
                .contains("warning: `x` is never used\n\u{1b}[31mtest")
        );
        let answer = get(&router, &format!("{path}?headers=1")).await;
        assert!(answer.body.starts_with("make -j4 check\n"));
        assert!(answer.body.ends_with("process ended with exit code 2\n"));
    }
}

#[tokio::test]
async fn a_log_comes_whole_to_who_can_unpack_it() {
    let (_desk, router) = full().await;
    let path = format!("{LOG}/text?headers=1");
    let plain = get(&router, &path).await.body;
    assert_eq!(get_packed(&router, &path).await, plain);
}

#[tokio::test]
async fn a_log_is_drawn_in_colour_and_in_chunks() {
    let (_desk, router) = full().await;
    let page = get(&router, LOG).await.body;
    assert!(page.contains(r#"<span class="stdout f2 bold">✓ passed</span>"#));
    assert!(page.contains(r#"<span class="stderr">warning: `x` is never used</span>"#));
    assert!(page.contains(r#"<span class="stdout">100% done</span>"#) && !page.contains("50%"));
    assert!(page.contains(r##"id="L3"><a href="#L3""##));
    assert!(page.contains("The log is complete."));
    let chunk = get(&router, &format!("{LOG}/chunk?offset=0")).await;
    let chunk: serde_json::Value = serde_json::from_str(&chunk.body).expect("JSON");
    assert!(page.contains(chunk["html"].as_str().expect("HTML")));
    assert_eq!(chunk["done"], true);
    let next = chunk["next"].as_str().expect("a token");
    let rest = get(&router, &format!("{LOG}/chunk?offset={next}")).await;
    assert!(rest.body.starts_with(r#"{"html":"","#), "{}", rest.body);
    assert_eq!(
        get(&router, &format!("{LOG}/chunk?offset=x")).await.status,
        400
    );
    // Between records nothing can be read, and the client is told.
    let answer = get(&router, &format!("{LOG}/chunk?offset=3")).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_growing_log_is_followed_to_its_end() {
    let (desk, router) = full().await;
    let path = "/builders/hello/builds/6/steps/test/logs/stdio/text";
    let request = Request::get(path).body(Body::empty()).expect(path);
    let response = router.clone().oneshot(request).await.expect("infallible");
    let mut body = response.into_body();
    let first = body.frame().await.expect("a part").expect("a part");
    assert!(first.into_data().expect("data").starts_with(b"compiling"));

    let file = desk
        .store
        .write(|store| {
            let build = store.build(&"hello".into(), 6)?.expect("it runs");
            let mut step = store.steps(build.id)?.swap_remove(2);
            step.logs[0].complete = true;
            store.put_step(build.id, &step)?;
            Ok(step.logs[0].file.clone())
        })
        .await
        .expect("written");
    let file = desk.dir.path().join("builds").join(file);
    let mut bytes = std::fs::read(&file).expect("readable");
    record::push(Channel::Stderr, b"last\n", &mut bytes);
    std::fs::write(&file, bytes).expect("written");
    let grew = Status::LogGrew {
        build: crate::model::BuildKey {
            builder: "hello".into(),
            number: 6,
        },
        step: 2,
        log: "stdio".into(),
    };
    desk.events.send(Arc::new(grew)).expect("somebody hears");

    let rest = body.collect().await.expect("the rest").to_bytes();
    assert_eq!(rest, "last\n");
}
