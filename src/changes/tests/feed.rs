//! Feeds of a server on this machine, over HTTP and TLS.

use super::super::feed::FeedPoller;
use super::super::feed::FeedSettings;
use super::site::Site;
use super::*;
use crate::clock;
use crate::tls::Authority;
use crate::tls::Identity;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

impl Bench {
    fn feed_poller(&self, url: &str, change: impl FnOnce(&mut FeedSettings)) -> FeedPoller {
        let mut settings = FeedSettings {
            url: url.to_owned(),
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            authority: None,
            branch: Some("main".into()),
            repository: "https://h/r.git".into(),
            use_timestamps: true,
            revlink: None,
            project: "hello".into(),
            category: Some("nightly".into()),
        };
        change(&mut settings);
        let (name, interval) = ("source".to_owned(), Duration::from_hours(1));
        FeedPoller::new(name, settings, interval)
    }

    async fn feed_fails(&self, poller: &FeedPoller) -> String {
        let error = poller.poll_once(self.store.as_ref()).await.unwrap_err();
        poller.explain(&error)
    }
}

impl Site {
    fn feed(&self) -> String {
        format!("http://127.0.0.1:{}/feed", self.port)
    }

    /// Answers with a feed of these entries.
    fn tells(&self, ids: &[&str]) {
        self.says("", atom(ids));
    }
}

fn atom(ids: &[&str]) -> String {
    let entry = |id: &&str| {
        format!(
            "<entry><id>urn:{id}</id><title>{id}</title><author><name>ann</name></author></entry>"
        )
    };
    let entries: Vec<String> = ids.iter().map(entry).collect();
    format!("<feed>{}</feed>", entries.concat())
}

#[tokio::test]
async fn a_commit_of_a_forge_is_a_change_with_what_the_entry_says() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.feed_poller(&site.feed(), |_| {});
    site.tells(&[]);
    bench.poll(&poller).await;
    let entry = format!(
        "<feed><entry><id>tag:github.com,2008:Grit::Commit/{SHA}</id>\
         <link type='text/html' rel='alternate' href='https://h/r/commit/{SHA}'/>\
         <title>Fix the ...</title><updated>2026-03-04T05:06:07Z</updated>\
         <author><name>ann</name><uri>https://h/ann</uri></author>\
         <content type='html'>&lt;pre&gt;Fix the &amp;lt;b&amp;gt;\n\nfor good&lt;/pre&gt;</content>\
         </entry></feed>"
    );
    site.says("", entry);
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let mut change = bench.taken().remove(0);
    let origin = change.origin.take().unwrap();
    assert!(origin.starts_with("feed "), "{origin}");
    let expected = NewChange {
        comments: "Fix the <b>\n\nfor good".into(),
        revision: Some(SHA.into()),
        branch: Some("main".into()),
        category: Some("nightly".into()),
        revlink: format!("https://h/r/commit/{SHA}"),
        repository: "https://h/r.git".into(),
        project: "hello".into(),
        when: Some(Timestamp::from_secs(1_772_600_767)),
        ..NewChange::by("ann")
    };
    assert_eq!(change, expected);
}

#[tokio::test]
async fn the_first_look_tells_nothing_and_later_ones_each_new_entry_once_oldest_first() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.feed_poller(&site.feed(), |_| {});
    for (entries, news) in [
        (&["b", "a"][..], &[][..]),
        (&["b", "a"], &[]),
        (&["d", "c", "b"], &["c", "d"]),
        // A merge brings an old one in between.
        (&["m", "d", "old", "c"], &["old", "m"]),
        // The newest are taken back, and what was too old is shown again.
        (&["c", "b", "a", "z"], &[]),
        (&[], &[]),
        (&["e", "c"], &["e"]),
    ] {
        site.tells(entries);
        assert_eq!(bench.poll(&poller).await, news, "{entries:?}");
    }
    // What was told is known to another poller of the feed.
    let again = bench.feed_poller(&site.feed(), |_| {});
    site.tells(&["f", "e"]);
    assert_eq!(bench.poll(&again).await, ["f"]);
    let renewed = bench.feed_poller(&format!("{}?feed_token=new", site.feed()), |_| {});
    site.tells(&["g", "f"]);
    assert_eq!(
        bench.poll(&renewed).await,
        ["g"],
        "a token is no other feed"
    );
    let other = bench.feed_poller(&format!("{}?h=other", site.feed()), |_| {});
    site.tells(&["h", "g"]);
    assert_eq!(
        bench.poll(&other).await,
        NOTHING,
        "another feed starts afresh"
    );
}

#[tokio::test]
async fn nothing_is_lost_when_the_changes_cannot_be_kept() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.feed_poller(&site.feed(), |_| {});
    site.says("etag: \"1\"\r\n", atom(&["a"]));
    bench.poll(&poller).await;
    site.says("etag: \"2\"\r\n", atom(&["b", "a"]));
    bench.fail_after(Some(0));
    assert_eq!(
        bench.fails(&poller).await,
        "failed to keep changes: disk full"
    );
    bench.fail_after(None);
    site.asked();
    site.says("etag: \"2\"\r\n", atom(&["b", "a"]));
    assert_eq!(bench.poll(&poller).await, ["b"]);
    let asked = site.asked().remove(0);
    assert!(asked.contains("if-none-match: \"1\"\r\n"), "{asked}");
}

#[tokio::test]
async fn a_feed_that_did_not_change_is_not_sent_again() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.feed_poller(&site.feed(), |_| {});
    let date = "Wed, 04 Mar 2026 05:06:07 GMT";
    let headers = format!("ETag: W/\"x\"\r\nLast-Modified: {date}\r\n");
    site.says(&headers, atom(&["a"]));
    bench.poll(&poller).await;
    let first = site.asked().remove(0);
    assert!(!first.contains("if-"), "{first}");
    site.raw("304 Not Modified", "", "");
    let before = bench.sizes().len();
    assert_eq!((before, bench.poll(&poller).await), (1, Vec::new()));
    assert_eq!(bench.sizes().len(), 0, "nothing is written");
    let asked = site.asked().remove(0);
    assert!(asked.contains("if-none-match: W/\"x\"\r\n"), "{asked}");
    assert!(
        asked.contains(&format!("if-modified-since: {date}\r\n")),
        "{asked}"
    );
}

#[tokio::test]
async fn a_google_code_feed_names_its_files_and_its_revision() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let url = format!(
        "http://127.0.0.1:{}/feeds/p/hello/svnchanges/basic",
        site.port
    );
    let poller = bench.feed_poller(&url, |it| it.branch = None);
    site.tells(&[]);
    bench.poll(&poller).await;
    let entry = "<feed><entry><updated>2011-10-05T14:48:00Z</updated>\
        <id>http://code.google.com/feeds/p/hello/svnchanges/basic/812</id>\
        <link rel='alternate' type='text/html' href='http://code.google.com/p/hello/source/detail?r=812'/>\
        <title>Revision 812: fixes</title><author><name>ann@ü.example</name></author>\
        <content type='html'>Changed Paths:&lt;br/&gt;\n&amp;nbsp; Modify &amp;nbsp;/trunk/ü.py&lt;br/&gt;\n \
        &lt;br/&gt;\n fixes</content></entry></feed>";
    site.says("", entry);
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let change = bench.taken().remove(0);
    assert_eq!(
        (change.author.as_str(), change.comments.as_str()),
        ("ann@ü.example", "fixes")
    );
    assert_eq!(change.files, ["/trunk/ü.py"]);
    assert_eq!(
        (change.revision.as_deref(), change.branch),
        (Some("812"), None)
    );
    assert_eq!(change.when, Some(Timestamp::from_secs(1_317_826_080)));
}

#[tokio::test]
async fn what_is_no_feed_is_told_and_loses_nothing() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.feed_poller(&format!("{}?token=s3cret", site.feed()), |_| {});
    site.tells(&["a"]);
    bench.poll(&poller).await;
    let url = site.feed();
    let bomb = "<!DOCTYPE feed [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><feed>&b;</feed>";
    site.says("", bomb);
    assert_eq!(
        bench.feed_fails(&poller).await,
        format!(
            "what `{url}` says cannot be used: not the XML that was asked for: it has a document type"
        )
    );
    site.says("", "<html><body/></html>");
    assert_eq!(
        bench.feed_fails(&poller).await,
        format!("what `{url}` says cannot be used: `<html>` is neither Atom nor RSS")
    );
    site.raw("404 Not Found", "", "");
    let said = bench.feed_fails(&poller).await;
    assert_eq!(
        said,
        format!("failed to fetch `{url}`: the server answered 404 Not Found")
    );
    site.says("", vec![b' '; (8 << 20) + 1]);
    let said = bench.feed_fails(&poller).await;
    assert!(
        said.ends_with("the document has more than 8388608 bytes"),
        "{said}"
    );
    assert!(
        bench.feed_fails(&poller).await.contains("the line to"),
        "it hung up"
    );
    site.tells(&["b", "a"]);
    assert_eq!(bench.poll(&poller).await, ["b"]);
}

#[tokio::test]
async fn what_moved_is_followed_but_never_out_of_tls_or_in_a_circle() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.feed_poller(&site.feed(), |_| {});
    site.raw("301 Moved Permanently", "Location: /elsewhere?x=y\r\n", "");
    site.tells(&["a"]);
    bench.poll(&poller).await;
    let asked = site.asked();
    assert!(
        asked[1].starts_with("GET /elsewhere?x=y HTTP/1.1\r\n"),
        "{asked:?}"
    );
    for _ in 0..6 {
        site.raw("302 Found", "Location: feed\r\n", "");
    }
    let said = bench.feed_fails(&poller).await;
    assert!(
        said.ends_with("it was redirected more than 5 times"),
        "{said}"
    );
}

#[tokio::test]
async fn a_feed_behind_tls_needs_a_certificate_that_is_believed() {
    let bench = Bench::empty();
    let authority = Authority::make().unwrap();
    let issued = authority.issued(clock::now()).unwrap();
    bench.write("ca.pem", &issued.certificate);
    let names = ["localhost".parse().unwrap()];
    let server = authority.sign(&names, clock::now(), 10).unwrap();
    bench.write("server.pem", &server.certificate);
    bench.write("server.key", &server.key);
    let dir = bench.remote();
    let file = dir.join("ca.pem");
    let identity = Identity::read(&dir.join("server.pem"), &dir.join("server.key")).unwrap();
    let site = Site::secure(identity).await;
    let url = |host: &str| format!("https://{host}:{}/feed", site.port);

    let good = bench.feed_poller(&url("ann:pass@localhost"), |it| {
        it.authority = Some(file.clone())
    });
    site.tells(&["a"]);
    bench.poll(&good).await;
    let asked = site.asked().remove(0);
    assert!(
        asked.contains("authorization: Basic YW5uOnBhc3M=\r\n"),
        "{asked}"
    );
    site.raw("302 Found", "Location: http://localhost/feed?t\r\n", "");
    let said = bench.feed_fails(&good).await;
    assert!(
        said.ends_with("it was redirected to `http://localhost/feed`, which nobody could trust"),
        "{said}"
    );
    let named = bench.feed_poller(&url("127.0.0.1"), |it| it.authority = Some(file.clone()));
    let said = bench.feed_fails(&named).await;
    assert!(
        said.contains("failed to agree on TLS with `127.0.0.1:"),
        "{said}"
    );
    assert!(
        site.asked().is_empty() || said.contains("certificate"),
        "{said}"
    );
    let missing = bench.feed_poller(&url("localhost"), |it| {
        it.authority = Some("none.pem".into())
    });
    let said = bench.feed_fails(&missing).await;
    assert!(said.contains("the authority's certificate"), "{said}");
}
