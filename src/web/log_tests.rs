//! The pages of logs, asked through the router: large ones, hostile ones, and
//! what programs ask of them.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::http::Request;

use crate::clock;
use crate::logs::pack;
use crate::logs::pack::Packed;
use crate::logs::record;
use crate::logs::times;
use crate::model::Channel;
use crate::model::LogRecord;
use crate::model::Timestamp;

use super::sample_desk::SampleDesk;
use super::tests::Answer;
use super::tests::ask;
use super::tests::full;
use super::tests::get;

const LOG: &str = "/builders/docs/builds/0/steps/test/logs/stdio";

/// Makes the log of the sample another one; gives its file.
async fn set(desk: &SampleDesk, parts: &[(Channel, &[u8])]) -> PathBuf {
    let file = log_record(desk, |_| {}).await;
    let path = desk.dir.path().join("builds").join(file.file);
    let mut bytes = Vec::new();
    for (channel, text) in parts {
        record::push(*channel, text, &mut bytes);
    }
    fs::write(&path, bytes).expect("written");
    path
}

/// Changes what the store says of the log, and gives that.
async fn log_record(
    desk: &SampleDesk,
    change: impl FnOnce(&mut LogRecord) + Send + 'static,
) -> LogRecord {
    let changed = desk.store.write(|store| {
        let build = store.build(&"docs".into(), 0)?.expect("it is there");
        let mut step = store.steps(build.id)?.swap_remove(2);
        change(&mut step.logs[0]);
        store.put_step(build.id, &step)?;
        Ok(step.logs[0].clone())
    });
    changed.await.expect("kept")
}

fn numbered(count: u64) -> String {
    (1..=count).fold(String::new(), |mut all, number| {
        writeln!(all, "line {number} of many").expect("a string takes all");
        all
    })
}

async fn with_headers(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    ask(router, request.body(Body::empty()).expect(path)).await
}

/// The numbers of the first and the last line of a page.
fn span(page: &str) -> (u64, u64) {
    let numbers = page.split("data-n=\"").skip(1);
    let numbers: Vec<u64> = numbers
        .filter_map(|it| it.split('"').next()?.parse().ok())
        .collect();
    let first = *numbers.first().expect("a line");
    (first, *numbers.last().expect("a line"))
}

#[tokio::test]
async fn a_large_log_is_shown_in_small_pages_that_lead_to_each_other() {
    let (desk, router) = full().await;
    set(&desk, &[(Channel::Stdout, numbered(20_000).as_bytes())]).await;
    let page = |query: &'static str| {
        let router = router.clone();
        async move { get(&router, &format!("{LOG}{query}")).await.body }
    };
    let end = page("").await;
    assert_eq!(span(&end), (19_401, 20_000));
    assert!(end.len() < 200_000, "{}", end.len());
    assert!(end.contains("Lines 19401 to 20000 of 20000."));
    assert!(end.contains("logs/stdio?from=18801\">← before"));
    assert!(!end.contains("after →") && end.contains("The log is complete."));
    let first = page("?from=1").await;
    assert_eq!(span(&first).0, 1);
    let (_, last) = span(&first);
    assert!(first.contains(&format!("logs/stdio?from={}\">after →", last + 1)));
    assert!(first.contains("logs/stdio?from=end\">last"));
    assert!(!first.contains("← before") && !first.contains("data-chunk"));
    let middle = page("?from=7000").await;
    assert_eq!(span(&middle).0, 7000);
    assert!(middle.contains("line 7000 of many</span>"));
    assert_eq!(span(&page("?from=end").await), (19_401, 20_000));
    let behind = page("?from=20001").await;
    assert!(!behind.contains("data-n="), "{behind}");
    assert_eq!(get(&router, &format!("{LOG}?from=0")).await.status, 400);
}

#[tokio::test]
async fn an_address_marks_a_line_or_a_range_and_shows_what_is_around_it() {
    let (desk, router) = full().await;
    set(&desk, &[(Channel::Stdout, numbered(5000).as_bytes())]).await;
    let page = get(&router, &format!("{LOG}?line=2000-2002")).await.body;
    assert_eq!(span(&page).0, 1990);
    let here: Vec<_> = page
        .split("class=\"line here\" id=\"L")
        .skip(1)
        .map(|it| it.split('"').next().expect("a number"))
        .collect();
    assert_eq!(here, ["2000", "2001", "2002"]);
    let page = get(&router, &format!("{LOG}?line=3")).await.body;
    assert_eq!(span(&page).0, 1);
    assert_eq!(get(&router, &format!("{LOG}?line=x")).await.status, 400);
}

#[tokio::test]
async fn what_is_looked_for_is_listed_and_leads_from_hit_to_hit() {
    let (desk, router) = full().await;
    let mut text = numbered(3000);
    text = text.replace("line 70 of", "line 70 FAILED <b> of");
    text = text.replace("line 2500 of", "line 2500 \u{1b}[31mfai\u{1b}[0mled of");
    set(&desk, &[(Channel::Stdout, text.as_bytes())]).await;
    let page = get(&router, &format!("{LOG}?q=failed")).await.body;
    assert!(page.contains("2 lines with “failed”"), "{page}");
    assert!(page.contains("line 70 FAILED &lt;b&gt; of many</span>"));
    assert!(page.contains("logs/stdio?q=failed&amp;line=2500#L2500\">"));
    assert!(page.contains("All was looked through."));

    let hit = get(&router, &format!("{LOG}?q=failed&line=70")).await.body;
    assert!(hit.contains("class=\"line hit here\" id=\"L70\""), "{hit}");
    assert!(hit.contains("logs/stdio?q=failed&amp;next=70\">next hit"));
    let to = |query: &'static str| {
        let router = router.clone();
        async move {
            let answer = get(&router, &format!("{LOG}?{query}")).await;
            (answer.status, answer.header("location").to_owned())
        }
    };
    let found = |line: u64| (302, format!("stdio?q=failed&line={line}#L{line}"));
    assert_eq!(to("q=failed&next=1").await, found(70));
    assert_eq!(to("q=failed&next=70").await, found(2500));
    assert_eq!(to("q=failed&prev=2500").await, found(70));
    let last = get(&router, &format!("{LOG}?q=failed&next=2500")).await;
    assert!(last.body.contains("There is no hit behind this line."));
    let none = get(&router, &format!("{LOG}?q=failed&prev=70")).await;
    assert!(none.body.contains("There is no hit before this line."));

    let many = get(&router, &format!("{LOG}?q=of%20many")).await.body;
    assert!(many.contains("100 lines with"), "{many}");
    assert!(many.contains("?q=of%20many&amp;after=101\">look on from there"));
    let more = get(&router, &format!("{LOG}?q=of%20many&after=101")).await;
    assert!(more.body.contains("?q=of%20many&amp;line=101#L101\">"));
}

#[tokio::test]
async fn a_hostile_question_is_only_text_and_a_bad_expression_is_refused() {
    let (_desk, router) = full().await;
    let page = get(&router, &format!("{LOG}?q=%22%3E%3Cscript%3E")).await;
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("\"><script>"), "{}", page.body);
    assert!(page.body.contains("Nothing found"));
    let bad = get(&router, &format!("{LOG}?q=(&re=1")).await;
    assert_eq!(bad.status, 400);
    assert!(
        bad.body.contains("is no regular expression"),
        "{}",
        bad.body
    );
    let large = get(&router, &format!("{LOG}?re=1&q=(a%7B999%7D)%7B999%7D")).await;
    assert_eq!(large.status, 400);
    // Linear, whatever the expression.
    let slow = get(&router, &format!("{LOG}?re=1&q=(x%2Bx%2B)%2By")).await;
    assert_eq!(slow.status, 200);
}

#[tokio::test]
async fn a_complete_log_has_a_length_and_parts_of_it_can_be_had() {
    let (desk, router) = full().await;
    set(
        &desk,
        &[
            (Channel::Header, b"make\n"),
            (Channel::Stdout, b"0123456"),
            (Channel::Header, b"between\n"),
            (Channel::Stderr, b"789abcdef"),
        ],
    )
    .await;
    let text = format!("{LOG}/text");
    let whole = with_headers(&router, "HEAD", &text, &[]).await;
    assert_eq!((whole.status, whole.body.as_str()), (200, ""));
    assert_eq!(whole.header("content-length"), "16");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let tag = whole.header("etag").to_owned();
    let said = get(&router, &text).await;
    assert_eq!(
        (said.body.as_str(), said.header("content-length")),
        ("0123456789abcdef", "16")
    );
    for (range, status, body, told) in [
        ("bytes=0-3", 206, "0123", "bytes 0-3/16"),
        ("bytes=5-9", 206, "56789", "bytes 5-9/16"),
        ("bytes=12-", 206, "cdef", "bytes 12-15/16"),
        ("bytes=-2", 206, "ef", "bytes 14-15/16"),
        ("bytes=9-99", 206, "9abcdef", "bytes 9-15/16"),
        ("lines=1-2", 200, "0123456789abcdef", ""),
    ] {
        let answer = with_headers(&router, "GET", &text, &[("range", range)]).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), told);
        assert_eq!(answer.header("content-length"), body.len().to_string());
    }
    let beyond = with_headers(&router, "GET", &text, &[("range", "bytes=16-")]).await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */16")
    );
    let known = with_headers(&router, "GET", &text, &[("if-none-match", &tag)]).await;
    assert_eq!(known.status, 304);
    let other = [("range", "bytes=1-2"), ("if-range", "\"other\"")];
    assert_eq!(
        with_headers(&router, "GET", &text, &other).await.status,
        200
    );
    let all = format!("{text}?headers=1");
    let part = with_headers(&router, "GET", &all, &[("range", "bytes=3-6")]).await;
    assert_eq!(
        (part.body.as_str(), part.header("content-range")),
        ("e\n01", "bytes 3-6/29")
    );
    let answer = get(&router, &format!("{text}?download=1")).await;
    let name = "attachment; filename=\"docs-0-test-stdio.txt\"";
    assert_eq!(answer.header("content-disposition"), name);
    let answer = with_headers(&router, "POST", &text, &[("host", "ci.test")]).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn parts_of_a_large_log_begin_where_they_are_asked_for() {
    let (desk, router) = full().await;
    let text = numbered(60_000);
    let parts: Vec<_> = text
        .as_bytes()
        .chunks(7777)
        .map(|it| (Channel::Stdout, it))
        .collect();
    set(&desk, &parts).await;
    for start in [0, 1, 262_143, 262_144, 700_001, text.len() - 1] {
        let range = format!("bytes={start}-{}", start + 99);
        let path = format!("{LOG}/text");
        let answer = with_headers(&router, "GET", &path, &[("range", &range)]).await;
        let end = (start + 100).min(text.len());
        assert_eq!(answer.body, text[start..end], "{range}");
    }
}

#[tokio::test]
async fn who_asks_for_the_head_of_a_log_that_grows_is_told_its_length_so_far() {
    let (_desk, router) = full().await;
    let path = "/builders/hello/builds/6/steps/test/logs/stdio/text";
    let head = with_headers(&router, "HEAD", path, &[]).await;
    let now = get(&router, &format!("{path}?follow=0")).await;
    assert_eq!((head.status, now.header("content-length")), (200, ""));
    // What there is of it, though it will be more.
    assert_eq!(head.header("content-length"), now.body.len().to_string());
    assert_eq!(head.header("etag"), "");
    assert!(now.body.starts_with("compiling <script>"));
}

#[tokio::test]
async fn a_log_that_is_a_document_is_shown_as_one_where_it_can_do_nothing() {
    let (desk, router) = full().await;
    let text = b"<h1>Lint</h1><script>alert(1)</script>";
    set(&desk, &[(Channel::Stdout, text)]).await;
    log_record(&desk, |it| it.name = "lint.html".into()).await;
    let log = LOG.replace("/stdio", "/lint.html");
    let page = get(&router, &log).await.body;
    assert!(
        page.contains("/logs/lint.html/raw\">as a page</a>"),
        "{page}"
    );
    let raw = get(&router, &format!("{log}/raw")).await;
    assert_eq!(raw.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(raw.body.as_bytes(), text);
    let policy = raw.header("content-security-policy");
    assert!(
        policy.starts_with("sandbox; default-src 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("allow-scripts") && !policy.contains("script-src"));
    assert_eq!(raw.header("x-content-type-options"), "nosniff");
    // Any other is text there too.
    log_record(&desk, |it| it.name = "lint".into()).await;
    let raw = get(&router, &format!("{}/raw", LOG.replace("/stdio", "/lint"))).await;
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
}

#[tokio::test]
async fn huge_lines_broken_text_and_markup_are_shown_and_do_no_harm() {
    let (desk, router) = full().await;
    let huge = vec![b'"'; 3_000_000];
    set(
        &desk,
        &[
            (
                Channel::Stdout,
                b"\xff\xfe broken \xc3\n\0\x07bell</pre></span><script>x</script>\n",
            ),
            (Channel::Stdout, &huge),
            (Channel::Stderr, b"\nlast\n"),
        ],
    )
    .await;
    for query in ["", "?from=1", "?line=3", "?q=last&line=190"] {
        let page = get(&router, &format!("{LOG}{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        assert!(page.body.len() < 500_000, "{query}: {}", page.body.len());
        assert!(!page.body.contains("<script>x"), "{query}");
    }
    let page = get(&router, &format!("{LOG}?from=1")).await.body;
    let line = page.lines().find(|it| it.contains("broken"));
    assert!(
        line.is_some_and(|it| it.contains("\u{fffd} broken")),
        "{line:?}"
    );
    assert!(page.contains("bell&lt;/pre&gt;&lt;/span&gt;&lt;script&gt;"));
    let found = get(&router, &format!("{LOG}?q=last")).await.body;
    assert!(found.contains("1 line with “last”"), "{found}");
}

#[tokio::test]
async fn lines_are_had_by_number_with_the_colours_that_hold_there() {
    let (desk, router) = full().await;
    let text = format!("\u{1b}[32m{}", numbered(900));
    set(&desk, &[(Channel::Stdout, text.as_bytes())]).await;
    let chunk = get(&router, &format!("{LOG}/chunk?line=500&count=2&ids=s2-")).await;
    let chunk: serde_json::Value = serde_json::from_str(&chunk.body).expect("JSON");
    let html = chunk["html"].as_str().expect("HTML");
    assert_eq!(html.lines().count(), 2, "{html}");
    assert!(html.contains("id=\"s2-L500\"") && html.contains("stdout f2\">line 501"));
    assert_eq!(
        (&chunk["next_line"], &chunk["more"]),
        (&502.into(), &true.into())
    );
    let past = get(&router, &format!("{LOG}/chunk?line=9999")).await;
    assert!(past.body.starts_with("{\"html\":\"\""), "{}", past.body);
    let hostile = get(
        &router,
        &format!("{LOG}/chunk?line=1&ids=%22%3E%3Cscript%3E"),
    )
    .await;
    assert!(!hostile.body.contains("script"), "{}", hostile.body);
    assert_eq!(
        get(&router, &format!("{LOG}/chunk?line=0")).await.status,
        400
    );
}

#[tokio::test]
async fn a_log_whose_file_is_gone_says_so() {
    let (desk, router) = full().await;
    fs::remove_file(set(&desk, &[]).await).expect("removed");
    let page = get(&router, LOG).await;
    assert_eq!(page.status, 200);
    assert!(
        page.body
            .contains("The contents of this log are not there any more.")
    );
    for rest in ["/text", ".txt", "/raw", "?q=x"] {
        let answer = get(&router, &format!("{LOG}{rest}")).await;
        assert_eq!(answer.status, 404, "{rest}");
        assert!(
            answer.body.contains("file of the log `stdio` any more"),
            "{rest}"
        );
    }
    // What there never was is called by its name.
    let none = get(&router, &LOG.replace("stdio", "x%3Cy")).await;
    assert_eq!(none.status, 404);
    assert!(none.body.contains("there is no log `x&lt;y` in this step"));
}

#[tokio::test]
async fn a_log_that_went_into_a_pack_is_read_as_before() {
    let (desk, router) = full().await;
    let text = numbered(30);
    let path = set(&desk, &[(Channel::Stdout, text.as_bytes())]).await;
    let later = began(&desk).await.0 + 4000;
    let came = [0_u64.to_be_bytes(), later.to_be_bytes()].concat();
    fs::write(times::path_of(&path), came).expect("written");
    let asked = [
        "",
        "?times=1",
        "/text?times=1",
        "/text",
        "/text?headers=1",
        ".txt",
        "?q=line%207",
        "?line=9",
        "/chunk?line=4&count=2",
    ];
    let mut before = Vec::new();
    for rest in asked {
        let answer = get(&router, &format!("{LOG}{rest}")).await;
        assert_eq!(answer.status, 200, "{rest}: {}", answer.body);
        before.push(answer.body);
    }
    let file = log_record(&desk, |_| {}).await.file;
    let logs = [Packed {
        file,
        bytes: fs::read(&path).expect("a log"),
        times: fs::read(times::path_of(&path)).ok(),
    }];
    let packed = desk.store.write(move |store| {
        let pack = pack::pack(&logs);
        store.pack_logs(&"docs".into(), 0, 0, Some(&pack))
    });
    packed.await.expect("packed");
    times::remove(&path).expect("removed");
    fs::remove_file(path).expect("removed");

    for (rest, before) in asked.iter().zip(before) {
        let answer = get(&router, &format!("{LOG}{rest}")).await;
        let drawn = |page: &str| page.split("<footer>").next().map(str::to_owned);
        assert_eq!(answer.status, 200, "{rest}: {}", answer.body);
        assert_eq!(drawn(&answer.body), drawn(&before), "{rest}");
    }
    let path = format!("{LOG}/text");
    let range = with_headers(&router, "GET", &path, &[("range", "bytes=5-9")]).await;
    assert_eq!((range.status, range.body.as_str()), (206, &text[5..10]));
    let tag = range.header("etag").to_owned();
    let again = with_headers(&router, "GET", &path, &[("if-none-match", &tag)]).await;
    assert_eq!(again.status, 304, "it is the same while it is in the pack");
}

/// When the step of the log began.
async fn began(desk: &SampleDesk) -> Timestamp {
    let read = desk.store.read(|store| {
        let build = store.build(&"docs".into(), 0)?.expect("it is there");
        Ok(store.steps(build.id)?[2].started)
    });
    read.await.expect("readable").expect("it has begun")
}

#[tokio::test]
async fn lines_say_when_they_came_where_that_is_asked_for_and_known() {
    let (desk, router) = full().await;
    let parts: [(Channel, &[u8]); 3] = [
        (Channel::Stdout, b"one\ntwo\nth"),
        (Channel::Stdout, b"ree\nfour\n"),
        (Channel::Header, b"ended\n"),
    ];
    let path = set(&desk, &parts).await;
    let unknown = get(&router, &format!("{LOG}?times=1")).await.body;
    assert!(unknown.contains("When the lines of this log came was not kept."));
    assert!(!unknown.contains("data-times") && !unknown.contains("</time> <span"));
    let plain = get(&router, &format!("{LOG}/text?times=1")).await.body;
    assert_eq!(plain, "one\ntwo\nthree\nfour\n");

    // The second record came four seconds after the beginning.
    let began = began(&desk).await;
    let later = Timestamp(began.0 + 4000);
    let second = (record::HEAD + parts[0].1.len()) as u64;
    let entry = [second.to_be_bytes(), later.0.to_be_bytes()].concat();
    fs::write(times::path_of(&path), entry).expect("written");
    let at = |it: Timestamp| {
        let (iso, time) = (clock::iso(it), clock::time_of_day(it));
        format!("<time datetime=\"{iso}\" title=\"{iso}\">{time}</time> <span class=")
    };
    let page = get(&router, &format!("{LOG}?times=1")).await.body;
    let line = |text: &str| {
        let mut lines = page.lines();
        lines.find(|it| it.contains(text)).expect(text).to_owned()
    };
    for text in [">one<", ">two<", ">three<"] {
        assert!(line(text).contains(&at(began)), "{}", line(text));
    }
    for text in [">four<", ">ended<"] {
        assert!(line(text).contains(&at(later)), "{}", line(text));
    }
    assert!(page.contains("data-times=\"1\"") && page.contains("logs/stdio\">without times"));
    let without = get(&router, LOG).await.body;
    assert!(without.contains("logs/stdio?times=1\">with times"));
    assert!(!without.contains("</time> <span"));

    let chunk = get(&router, &format!("{LOG}/chunk?line=4&times=1"))
        .await
        .body;
    assert!(chunk.contains(&clock::iso(later)) && !chunk.contains(&clock::iso(began)));
    let text = get(&router, &format!("{LOG}/text?times=1")).await.body;
    let (began, later) = (clock::iso(began), clock::iso(later));
    let expected = format!("{began} one\n{began} two\n{began} three\n{later} four\n");
    assert_eq!(text, expected);
}

#[tokio::test]
async fn who_sees_times_sees_them_on_the_other_pages_of_the_log_too() {
    let (desk, router) = full().await;
    set(&desk, &[(Channel::Stdout, numbered(5000).as_bytes())]).await;
    let page = get(&router, &format!("{LOG}?from=2000&times=1")).await.body;
    assert!(page.contains("&amp;times=1\">← before") && page.contains("&amp;times=1\">after →"));
    assert!(page.contains("logs/stdio?from=2000\">without times"));
    let hits = get(&router, &format!("{LOG}?q=line+77&times=1")).await.body;
    assert!(
        hits.contains("?q=line%2077&amp;times=1&amp;line=77#L77"),
        "{hits}"
    );
    let next = get(&router, &format!("{LOG}?q=line+77&times=1&next=80")).await;
    assert_eq!(
        next.header("location"),
        "stdio?q=line%2077&times=1&line=770#L770"
    );
}
