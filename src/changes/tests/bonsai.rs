//! A Bonsai that answers what it is told to.

use super::super::bonsai_poller::BonsaiPoller;
use super::super::bonsai_poller::BonsaiSettings;
use super::site::Site;
use super::*;

/// The hour at which all is asked.
fn now() -> Timestamp {
    Timestamp::from_secs(2000)
}

impl Bench {
    fn bonsai_poller(&self, site: &Site) -> BonsaiPoller {
        let settings = BonsaiSettings {
            url: format!("http://127.0.0.1:{}/bonsai", site.port),
            module: "All Files".into(),
            branch: "HEAD".into(),
            tree: "default".into(),
            cvsroot: "/cvsroot".into(),
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            authority: None,
            use_timestamps: true,
            project: "hello".into(),
            category: Some("nightly".into()),
        };
        let interval = Duration::from_secs(30);
        BonsaiPoller::new("source".into(), settings, interval, now)
    }
}

impl Site {
    fn checked_in(&self, all: &[(i64, &str)]) {
        let ci = |(date, file): &(i64, &str)| {
            format!(
                "<ci who='ann' date='{date}'><log>{file}</log><files><f rev='1.1'>{file}</f></files></ci>"
            )
        };
        let all: String = all.iter().map(ci).collect();
        self.says("", format!("<queryResults>{all}</queryResults>"));
    }
}

#[tokio::test]
async fn each_question_begins_at_the_newest_check_in_and_tells_none_twice() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.bonsai_poller(&site);
    assert_eq!(bench.poll(&poller).await, NOTHING);
    assert!(site.asked().is_empty(), "what was before is not asked for");
    let question = |since: i64| {
        format!(
            "GET /bonsai/cvsquery.cgi?treeid=default&module=All%20Files&branch=HEAD&branchtype=match\
             &sortby=Date&date=explicit&mindate={since}&maxdate=2000&cvsroot=/cvsroot&xml=1 HTTP/1.1"
        )
    };
    let line = |asked: Vec<String>| asked[0].lines().next().unwrap_or_default().to_owned();
    bench.store.kept.lock().unwrap().state["since"] = json!(1000);
    site.checked_in(&[]);
    assert_eq!(bench.poll(&poller).await, NOTHING);
    assert_eq!(line(site.asked()), question(1000));
    site.checked_in(&[(1002, "b"), (1001, "a")]);
    assert_eq!(bench.poll(&poller).await, ["a", "b"]);
    assert_eq!(line(site.asked()), question(1000));
    // The second was not over when it was asked for.
    site.checked_in(&[(1002, "b"), (1002, "c")]);
    assert_eq!(bench.poll(&poller).await, ["c"]);
    assert_eq!(line(site.asked()), question(1002));
    site.checked_in(&[(1002, "b"), (1002, "c")]);
    assert_eq!(bench.poll(&poller).await, NOTHING);
}

#[tokio::test]
async fn a_check_in_is_a_change_with_its_branch_and_project() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.bonsai_poller(&site);
    bench.poll(&poller).await;
    // Without UTF-8, as CVS has it.
    site.says("", b"<queryResults><ci who='j\xfcrgen' date='2001'><log>gr\xfc\xdfe</log><files><f rev='1.2'>a b</f></files></ci></queryResults>");
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let mut change = bench.taken().remove(0);
    assert!(change.origin.take().is_some());
    let expected = NewChange {
        files: vec!["a b (revision 1.2)".into()],
        comments: "grüße".into(),
        branch: Some("HEAD".into()),
        category: Some("nightly".into()),
        repository: "/cvsroot".into(),
        project: "hello".into(),
        when: Some(Timestamp::from_secs(2001)),
        ..NewChange::by("jürgen")
    };
    assert_eq!(change, expected);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_loses_nothing() {
    let (bench, site) = (Bench::empty(), Site::plain().await);
    let poller = bench.bonsai_poller(&site);
    bench.poll(&poller).await;
    site.says(
        "",
        "<queryResults><ci who='ann' date='2001'><files/></ci></queryResults>",
    );
    let said = bench.fails(&poller).await;
    assert!(
        said.ends_with("says cannot be used: a check-in has no log"),
        "{said}"
    );
    site.checked_in(&[(2001, "a")]);
    bench.fail_after(Some(0));
    assert_eq!(
        bench.fails(&poller).await,
        "failed to keep changes: disk full"
    );
    bench.fail_after(None);
    site.checked_in(&[(2001, "a")]);
    assert_eq!(bench.poll(&poller).await, ["a"]);
}
