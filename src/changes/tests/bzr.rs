//! Real Bazaar, as Breezy has it.

use super::super::bzr_poller::BranchName;
use super::super::bzr_poller::BzrPoller;
use super::super::bzr_poller::BzrSettings;
use super::*;

impl Bench {
    async fn bzr() -> Self {
        let bench = Self::empty();
        bench.brz(&["init", "-q", "."]).await;
        bench.brz(&["nick", "trunk"]).await;
        bench
    }

    async fn brz(&self, line: &[&str]) {
        let env = ["LC_ALL=C.UTF-8", "BRZ_EMAIL=Ann <ann@test>", "bzr"];
        let line: Vec<&str> = env.iter().chain(line).copied().collect();
        self.run("env", &line).await;
    }

    async fn bzr_commit(&self, message: &str, files: &[&str]) {
        for file in files {
            std::fs::write(self.remote().join(file), message).unwrap();
        }
        self.brz(&["add", "-q"]).await;
        self.brz(&["commit", "-q", "--unchanged", "-m", message])
            .await;
    }

    pub(super) fn bzr_poller(&self, change: impl FnOnce(&mut BzrSettings)) -> BzrPoller {
        let mut settings = BzrSettings {
            url: self.remote().to_string_lossy().into_owned(),
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            blame_merge_author: false,
            branch_name: BranchName::Nick,
            program: None,
            use_timestamps: true,
            revlink: Some("http://x/%s".into()),
            project: "hello".into(),
            category: Some("nightly".into()),
        };
        change(&mut settings);
        let interval = Duration::from_hours(1);
        BzrPoller::new("source".into(), settings, interval, self.clone_dir())
    }

    /// `REVISION AUTHOR COMMENT: FILES` of what is new.
    pub(super) async fn bzr_news(&self, poller: &BzrPoller) -> Vec<String> {
        poller.poll_once(self.store.as_ref()).await.unwrap();
        let told = |it: NewChange| {
            let files = it.files.join(", ");
            format!(
                "{} {} {}: {files}",
                it.revision.unwrap(),
                it.author,
                it.comments.trim_end()
            )
        };
        self.taken().into_iter().map(told).collect()
    }
}

#[tokio::test]
async fn the_newest_revision_is_told_first_then_each_that_follows_once() {
    let bench = Bench::bzr().await;
    let poller = bench.bzr_poller(|_| {});
    assert_eq!(
        bench.bzr_news(&poller).await,
        [""; 0],
        "nothing was committed"
    );
    bench.bzr_commit("before", &["x"]).await;
    bench.bzr_commit("first", &["a b"]).await;
    assert_eq!(
        bench.bzr_news(&poller).await,
        ["2 Ann <ann@test> first: a b file ADDED"]
    );
    assert_eq!(bench.bzr_news(&poller).await, [""; 0]);

    bench.brz(&["mv", "-q", "a b", "c"]).await;
    bench.bzr_commit("second\n\nadded:\n  fake", &["c"]).await;
    bench.brz(&["rm", "-q", "c"]).await;
    std::fs::create_dir(bench.remote().join("ä")).unwrap();
    bench.bzr_commit("third", &[]).await;
    assert_eq!(
        bench.bzr_news(&poller).await,
        [
            "3 Ann <ann@test> second\n\nadded:\n  fake: a b file RENAMED c, c file MODIFIED",
            "4 Ann <ann@test> third: c file REMOVED, ä directory ADDED",
        ]
    );
}

#[tokio::test]
async fn a_change_names_its_branch_as_it_is_told_to() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let poller = bench.bzr_poller(|_| {});
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let change = bench.taken().remove(0);
    assert_eq!(change.branch.as_deref(), Some("trunk"));
    assert_eq!(
        (change.project.as_str(), change.category.as_deref()),
        ("hello", Some("nightly"))
    );
    assert_eq!(
        (change.revlink.as_str(), change.when.is_some()),
        ("http://x/1", true)
    );
}

#[tokio::test]
async fn a_merge_is_of_who_made_what_it_merges_if_it_is_asked_for() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let asks = bench.bzr_poller(|it| it.blame_merge_author = true);
    bench.bzr_news(&asks).await;
    bench.brz(&["branch", "-q", ".", "../topic"]).await;
    let line = [
        "commit",
        "-q",
        "--unchanged",
        "--author=Bo <bo@test>",
        "-m",
        "topic",
        "../topic",
    ];
    bench.brz(&line).await;
    bench.brz(&["merge", "-q", "../topic"]).await;
    bench.bzr_commit("merged", &[]).await;
    assert_eq!(bench.bzr_news(&asks).await, ["2 Bo <bo@test> merged: "]);
}

#[tokio::test]
async fn an_overwritten_branch_goes_on_where_both_were_the_same() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let poller = bench.bzr_poller(|_| {});
    bench.bzr_news(&poller).await;
    bench.bzr_commit("second", &["b"]).await;
    bench.bzr_commit("third", &["c"]).await;
    assert_eq!(bench.bzr_news(&poller).await.len(), 2);
    bench.brz(&["uncommit", "-q", "--force"]).await;
    bench.bzr_commit("instead", &["c"]).await;
    bench.bzr_commit("after", &["d"]).await;
    let news = bench.bzr_news(&poller).await;
    let revisions: Vec<&str> = news.iter().map(|it| &it[..1]).collect();
    assert_eq!(revisions, ["3", "4"], "{news:?}");
}

#[tokio::test]
async fn a_branch_that_is_not_there_loses_nothing() {
    let bench = Bench::bzr().await;
    bench.bzr_commit("first", &["a"]).await;
    let poller = bench.bzr_poller(|_| {});
    bench.bzr_news(&poller).await;
    bench.bzr_commit("second", &["b"]).await;
    let (here, away) = (bench.remote(), bench.remote().with_extension("away"));
    std::fs::rename(&here, &away).unwrap();
    let failed = poller.poll_once(bench.store.as_ref()).await;
    assert!(failed.is_err());
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(bench.bzr_news(&poller).await.len(), 1);
}
