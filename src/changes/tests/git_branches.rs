//! Several branches of real git.

use super::super::Followed;
use super::super::Settings;
use super::super::branches::Patterns;
use super::super::git_branches::GitBranches;
use super::*;

fn poller(bench: &Bench, patterns: &[&str]) -> GitBranches {
    let patterns = patterns.iter().map(|it| (*it).to_owned()).collect();
    GitBranches::new(bench.settings(None), Patterns::new(patterns))
}

impl Bench {
    async fn on_branch(&self, branch: &str, message: &str) -> String {
        self.run("git", &["checkout", "-q", branch]).await;
        self.git_commit(message).await
    }

    async fn told<P: Poll>(&self, poller: &P) -> Vec<String> {
        poller.poll_once(self.store.as_ref()).await.unwrap();
        let told = |it: NewChange| format!("{}: {}", it.branch.unwrap_or_default(), it.comments);
        self.taken().into_iter().map(told).collect()
    }
}

#[tokio::test]
async fn each_branch_tells_its_own_commits() {
    let bench = Bench::git().await;
    let poller = poller(&bench, &["master", "release/*"]);
    assert_eq!(bench.told(&poller).await, NOTHING, "it is empty");
    bench.git_commit("first").await;
    assert_eq!(bench.told(&poller).await, ["master: first"], "it is new");
    assert_eq!(bench.told(&poller).await, NOTHING);

    for branch in ["release/1.0", "feature"] {
        bench.run("git", &["branch", branch]).await;
    }
    assert_eq!(bench.told(&poller).await, ["release/1.0: first"]);
    bench.on_branch("release/1.0", "fix").await;
    bench.on_branch("feature", "aside").await;
    bench.on_branch("master", "two").await;
    bench.git_commit("three").await;
    let expected = ["master: two", "master: three", "release/1.0: fix"];
    assert_eq!(bench.told(&poller).await, expected);
    assert_eq!(bench.told(&poller).await, NOTHING);

    // What is merged is news of the branch that it is merged into.
    bench.run("git", &["checkout", "-q", "release/1.0"]).await;
    bench
        .run(
            "git",
            &["merge", "-q", "-X", "ours", "-m", "merge", "master"],
        )
        .await;
    let told = bench.told(&poller).await;
    assert_eq!(told.last().map(String::as_str), Some("release/1.0: merge"));
    assert_eq!(told.len(), 3, "{told:?}");
}

#[tokio::test]
async fn the_first_look_only_notes_where_the_branches_are() {
    let bench = Bench::git().await;
    bench.git_commit("before").await;
    bench.run("git", &["branch", "other"]).await;
    assert_eq!(bench.told(&poller(&bench, &["*"])).await, NOTHING);
    bench.on_branch("other", "after").await;
    assert_eq!(bench.told(&poller(&bench, &["*"])).await, ["other: after"]);
}

#[tokio::test]
async fn a_branch_goes_and_comes_back_as_another_kind_of_name() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = poller(&bench, &["*"]);
    bench.told(&poller).await;
    bench.run("git", &["branch", "a"]).await;
    assert_eq!(bench.told(&poller).await, ["a: base"]);
    bench.run("git", &["branch", "-q", "-D", "a"]).await;
    bench.run("git", &["branch", "a/b"]).await;
    assert_eq!(bench.told(&poller).await, ["a/b: base"]);
    let known = bench.state()["branches"].clone();
    let known: Vec<_> = known.as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, ["a/b", "master"]);
}

#[tokio::test]
async fn what_is_not_kept_is_told_again_and_what_is_kept_is_not() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = poller(&bench, &["*"]);
    bench.told(&poller).await;
    bench.run("git", &["branch", "b"]).await;
    bench.on_branch("b", "of b").await;
    bench.on_branch("master", "of master").await;
    // `b` is kept, `master` is not.
    bench.fail_after(Some(1));
    assert_eq!(
        bench.fails(&poller).await,
        "failed to keep changes: disk full"
    );
    assert_eq!(bench.news(), ["of b"]);
    bench.fail_after(None);
    assert_eq!(bench.told(&poller).await, ["master: of master"]);

    // A rewritten branch, and no clone to know what it was.
    bench
        .run("git", &["commit", "-q", "--amend", "-m", "rewritten"])
        .await;
    bench.on_branch("b", "more of b").await;
    std::fs::remove_dir_all(bench.clone_dir()).unwrap();
    let expected = ["b: more of b", "master: rewritten"];
    assert_eq!(bench.told(&poller).await, expected);
}

#[tokio::test]
async fn what_is_configured_is_what_runs() {
    let mut bench = Bench::git().await;
    bench.git_commit("base").await;
    bench.run("git", &["branch", "release/1"]).await;
    let followed = Followed {
        branches: Some(Patterns::new(vec!["release/*".into()])),
        poll_interval: Some(Duration::from_hours(1)),
        revlink: Some("http://x/%s".into()),
        ..Followed::new(bench.settings(None).url, None)
    };
    let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
    let (store, nudge, end) = (bench.store.clone(), wake.clone(), stop.clone());
    let dir = bench.clone_dir();
    let task = tokio::spawn(async move {
        let settings = Settings::Git(followed);
        super::super::run("source", &settings, dir, store, end, nudge).await;
    });
    assert_eq!(bench.reports.recv().await, Some(Ok(())));
    bench.on_branch("master", "aside").await;
    let revision = bench.on_branch("release/1", "ours").await;
    wake.notify_one();
    assert_eq!(bench.reports.recv().await, Some(Ok(())));
    let told: Vec<_> = bench.taken().into_iter().map(|it| it.revlink).collect();
    assert_eq!(told, [format!("http://x/{revision}")]);
    stop.cancel();
    task.await.unwrap();
}
