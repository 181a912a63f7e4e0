//! Feeds and badges as their readers see them.

use std::collections::BTreeSet;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use crate::config::tests::sections::web_of;
use crate::logs::record;
use crate::master::Access;
use crate::model::Channel;
use crate::web::app::router;
use crate::web::links;
use crate::web::sample::HOSTILE;
use crate::web::sample_desk::SampleDesk;
use crate::web::tests::full;
use crate::web::tests::get;

use super::base;

/// The elements of a document with their own text: `rss/channel/title`, or `…/link@href`.
fn parse(text: &str) -> Vec<(String, String)> {
    let odd = |it: char| it < ' ' && it != '\n';
    assert!(!text.contains(odd), "{text:?}");
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut path: Vec<(String, String)> = Vec::new();
    let mut all = Vec::new();
    loop {
        let event = reader.read_event().expect("well-formed");
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let name = tag.name().into_inner().to_owned();
                path.push((name, String::new()));
                let at = path
                    .iter()
                    .map(|it| it.0.as_str())
                    .collect::<Vec<_>>()
                    .join("/");
                for attribute in tag.attributes() {
                    let attribute = attribute.expect("an attribute");
                    let key = attribute.key.into_inner().to_owned();
                    let value = attribute
                        .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                        .expect("a value");
                    all.push((format!("{at}@{key}"), value.into_owned()));
                }
                if matches!(event, Event::Empty(_)) {
                    path.pop();
                }
            }
            Event::End(_) => {
                let at = path
                    .iter()
                    .map(|it| it.0.as_str())
                    .collect::<Vec<_>>()
                    .join("/");
                all.push((at, path.pop().expect("it is open").1));
            }
            Event::Text(text) => {
                let text = text.xml10_content();
                if let Some(open) = path.last_mut() {
                    open.1.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                let char = reference.resolve_char_ref().expect("a reference");
                let known = resolve_predefined_entity(reference);
                let text = char.map(String::from).or(known.map(str::to_owned));
                let open = path.last_mut().expect("in an element");
                open.1.push_str(&text.expect("an entity of XML"));
            }
            Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(path.is_empty());
    all
}

fn of<'a>(all: &'a [(String, String)], path: &str) -> Vec<&'a str> {
    let fit = all.iter().filter(|it| it.0 == path);
    fit.map(|it| it.1.as_str()).collect()
}

async fn rss(router: &Router, asked: &str) -> Vec<(String, String)> {
    let answer = get(router, &format!("/rss{asked}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "text/xml; charset=UTF-8");
    parse(&answer.body)
}

#[tokio::test]
async fn rss_has_what_readers_require() {
    let (_desk, router) = full().await;
    let all = rss(&router, "").await;
    let one = |name: &str| {
        let found = of(&all, &format!("rss/channel/{name}"));
        assert_eq!(found.len(), 1, "{name}: {all:?}");
        found[0].to_owned()
    };
    assert_eq!(of(&all, "rss@version"), ["2.0"]);
    assert_eq!(one("title"), "Build status of Otter & Newt");
    assert_eq!(one("link"), "http://ci.test/");
    assert_eq!(one("language"), "en-us");
    assert_eq!(one("atom:link@href"), "http://ci.test/rss");
    assert!(!one("description").is_empty());
    // The builds of three builders that have ended.
    let count = 6 + 6 + 4;
    for name in ["title", "link", "description", "guid", "pubDate"] {
        let path = format!("rss/channel/item/{name}");
        assert_eq!(of(&all, &path).len(), count, "{name}");
    }
    let ids = of(&all, "rss/channel/item/guid");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), count);
    assert!(
        ids.iter().all(|it| it.starts_with("tag:ci.test,2")),
        "{ids:?}"
    );
    let form = jiff::fmt::rfc2822::DateTimeParser::new();
    let mut dates = of(&all, "rss/channel/item/pubDate");
    dates.extend(of(&all, "rss/channel/lastBuildDate"));
    for date in dates {
        form.parse_timestamp(date).expect(date);
        assert!(date.ends_with(" GMT"), "{date}");
    }
    let links = of(&all, "rss/channel/item/link");
    let hostile = format!("http://ci.test/{}/builds/5", links::builder(HOSTILE));
    assert!(links.contains(&hostile.as_str()), "{links:?}");
}

#[tokio::test]
async fn atom_has_what_readers_require() {
    let (_desk, router) = full().await;
    let all = parse(&get(&router, "/atom?builder=hello&x=%22%3C").await.body);
    assert_eq!(of(&all, "feed@xmlns"), ["http://www.w3.org/2005/Atom"]);
    for name in ["id", "title", "updated", "author/name"] {
        let found = of(&all, &format!("feed/{name}"));
        assert!(found.len() == 1 && !found[0].is_empty(), "{name}: {all:?}");
    }
    assert_eq!(
        of(&all, "feed/link@href"),
        [
            "http://ci.test/atom?builder=hello&x=%22%3C",
            "http://ci.test/"
        ]
    );
    for name in ["id", "title", "updated", "content", "link@href"] {
        assert_eq!(of(&all, &format!("feed/entry/{name}")).len(), 6, "{name}");
    }
    for date in of(&all, "feed/entry/updated") {
        date.parse::<jiff::Timestamp>().expect(date);
    }
    assert_eq!(of(&all, "feed/entry/content@type"), ["html"; 6]);
    // What a feed without entries must have.
    let none = parse(&get(&router, "/atom?category=x").await.body);
    assert_eq!(of(&none, "feed/updated").len(), 1);
    assert!(of(&none, "feed/entry/id").is_empty());
}

#[tokio::test]
async fn an_entry_has_the_ends_of_the_logs_of_steps_that_failed_and_cannot_break_out() {
    let (desk, router) = full().await;
    let mut bytes = Vec::new();
    let said = b"\0\x1b[31m<script>alert(1)</script>]]>&amp;\xff\n";
    record::push(Channel::Stdout, said, &mut bytes);
    let file = desk.dir.path().join("builds/5002-2-stdio");
    assert!(file.exists());
    std::fs::write(file, bytes).expect("written");
    let all = rss(&router, "?builder=hello&failures_only=true").await;
    let titles = of(&all, "rss/channel/item/title");
    assert_eq!(
        titles,
        [
            "Branch feature/<x>&y Revision 5f0c1e7ab92d44bb0c (Got Revision: 5f0c1e7ab92d44bb0c) \
             broke off on \"hello\"",
            "Branch feature/<x>&y Revision 5f0c1e7ab92d44bb0c (Got Revision: 5f0c1e7ab92d44bb0c) \
             failed on \"hello\""
        ]
    );
    let said = of(&all, "rss/channel/item/description")[1];
    for expected in [
        "<a href=\"http://ci.test/builders/hello/builds/1\">hello/1</a>",
        "<li>failed: test</li>",
        "<li>reason: scheduler `nightly` &lt;b&gt;</li>",
        "<a href=\"http://ci.test/builders/hello/builds/1/steps/test/logs/stdio\">stdio</a>",
        "<pre>\u{fffd}&lt;script&gt;alert(1)&lt;/script&gt;]]&gt;&amp;amp;\u{fffd}</pre>",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(!said.contains("<script>"), "{said}");
    for (asked, count) in [
        ("?failures_only=false&show=hello", 6),
        ("?category=quick&category=%3Ccat%3E", 10),
        ("?builder=hello&show=docs", 10),
        ("?builder=unknown", 0),
    ] {
        let all = rss(&router, asked).await;
        assert_eq!(of(&all, "rss/channel/item/guid").len(), count, "{asked}");
    }
}

#[tokio::test]
async fn what_provide_feeds_does_not_name_is_not_there_and_no_page_leads_to_it() {
    for (feeds, expected) in [
        ("", [200, 200, 200]),
        ("provide_feeds = atom", [404, 200, 404]),
        ("provide_feeds = rss json", [200, 404, 200]),
        ("provide_feeds = []", [404, 404, 404]),
    ] {
        let desk = SampleDesk::with(|plan| plan.web = web_of(feeds)).await;
        let router = router(desk, Access::Full);
        let mut answers = Vec::new();
        for path in ["/rss", "/atom", "/json/builders"] {
            answers.push(get(&router, path).await.status);
        }
        assert_eq!(answers, expected, "{feeds}");
        for path in ["/builders/hello", "/waterfall/help"] {
            let page = get(&router, path).await.body;
            let linked = ["rss", "atom", "json/help"].map(|it| {
                let is_linked = page.contains(&format!("href=\"../{it}"));
                if is_linked { 200 } else { 404 }
            });
            assert_eq!(linked, expected, "{feeds}: {path}");
        }
        let about = get(&router, "/about").await.body;
        let is_linked = about.contains("json/help");
        assert_eq!(is_linked, expected[2] == 200, "{feeds}");
    }
}

#[tokio::test]
async fn a_badge_says_what_came_of_the_last_build_in_a_word() {
    let (_desk, router) = full().await;
    let hostile = links::quote(HOSTILE);
    for (path, word) in [
        // The last one runs.
        ("hello.svg".to_owned(), "✓ success"),
        ("hello.svg?branch=trunk".to_owned(), "! warnings"),
        ("docs.svg".to_owned(), "‼ exception"),
        ("never%20built.svg".to_owned(), "no build"),
        ("left.svg".to_owned(), "✓ success"),
        (format!("{hostile}.svg"), "✓ success"),
    ] {
        let answer = get(&router, &format!("/badges/{path}")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with("image/svg+xml"));
        assert_eq!(answer.header("cache-control"), "no-cache");
        let all = parse(&answer.body);
        assert_eq!(of(&all, "svg/g/text")[1], word, "{path}");
        assert_eq!(of(&all, "svg/title"), of(&all, "svg@aria-label"));
        assert!(!answer.body.contains("<script"), "{}", answer.body);
    }
    for path in ["/badges/x.svg", "/badges/hello", "/badges/hello.png"] {
        assert_eq!(get(&router, path).await.status, 404, "{path}");
    }
}

#[test]
fn links_begin_with_what_the_configuration_says_or_where_the_client_found_the_site() {
    let mut headers = HeaderMap::new();
    assert_eq!(base(None, &headers), "http://localhost/");
    headers.insert(header::HOST, "[::1]:8010".parse().expect("a host"));
    assert_eq!(base(None, &headers), "http://[::1]:8010/");
    assert_eq!(base(Some("https://x/ci"), &headers), "https://x/ci/");
    headers.insert(header::HOST, "x/\"<y>".parse().expect("a header"));
    assert_eq!(base(None, &headers), "http://localhost/");
}
