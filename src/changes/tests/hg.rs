//! Real Mercurial.

use super::*;

#[tokio::test]
async fn hg_commits_come_oldest_first_and_once() {
    let bench = Bench::hg().await;
    let poller = bench.hg_poller();
    let missing = "`DIR/remote` has no branch `default` yet";
    assert_eq!(bench.fails(&poller).await, missing);
    bench.hg_commit("first").await;
    assert_eq!(bench.poll(&poller).await, ["first"]);

    bench.hg_commit("one").await;
    bench.hg_commit("two").await;
    bench.fail_after(Some(0));
    bench.fails(&poller).await;
    bench.fail_after(None);
    assert_eq!(bench.poll(&poller).await, ["one", "two"]);

    // Another branch is not ours, and other heads of ours are.
    bench.run("hg", &["branch", "-q", "dev"]).await;
    bench.hg_commit("aside").await;
    assert_eq!(bench.poll(&poller).await, NOTHING);
    bench.run("hg", &["update", "-q", "-r", "0"]).await;
    bench.hg_commit("other head").await;
    assert_eq!(bench.poll(&bench.hg_poller()).await, ["other head"]);
    bench.run("hg", &["update", "-q", "-r", "2"]).await;
    bench.hg_commit("main head").await;
    assert_eq!(bench.poll(&bench.hg_poller()).await, ["main head"]);
    assert_eq!(bench.poll(&poller).await, NOTHING);
}

#[tokio::test]
async fn an_hg_change_says_what_people_know_it_by() {
    let bench = Bench::hg().await;
    bench.hg_commit("before").await;
    let poller = bench.hg_poller();
    assert_eq!(bench.poll(&poller).await, NOTHING);

    bench.write("a b", "x");
    bench.write("ü \"x\"", "x");
    let revision = bench.hg_commit("subject\n\nbody ü\n").await;
    poller.poll_once(bench.store.as_ref()).await.unwrap();

    let url = bench.settings(None).url;
    assert_eq!(
        bench.taken(),
        [NewChange {
            files: vec!["a b".into(), "file".into(), "ü \"x\"".into()],
            comments: "subject\n\nbody ü".into(),
            revision: Some(revision.clone()),
            branch: Some("default".into()),
            category: Some("nightly".into()),
            repository: url.clone(),
            project: "hello".into(),
            when: Some(Timestamp::from_secs(1_200_000_000)),
            vc: Some(Vc::Hg),
            origin: Some(format!("hg {url} default {revision}")),
            ..NewChange::by("Ann <ann@example.org>")
        }]
    );
}

#[tokio::test]
async fn a_damaged_hg_clone_is_made_afresh() {
    let bench = Bench::hg().await;
    bench.hg_commit("before").await;
    let poller = bench.hg_poller();
    bench.poll(&poller).await;
    for (message, damaged) in [
        ("one", ".hg/store/00changelog.i"),
        ("two", ".hg/requires"),
        ("three", ".hg/store/journal"),
    ] {
        bench.hg_commit(message).await;
        write_garbage(&bench.clone_dir().join(damaged));
        assert_eq!(bench.poll(&poller).await, [message], "{damaged}");
    }
}

fn write_garbage(file: &Path) {
    std::fs::write(file, "garbage").unwrap();
}

#[tokio::test]
async fn a_rewritten_hg_history_tells_only_what_is_new() {
    let bench = Bench::hg().await;
    bench.hg_commit("base").await;
    let poller = bench.hg_poller();
    bench.poll(&poller).await;
    bench.hg_commit("old").await;
    assert_eq!(bench.poll(&poller).await, ["old"]);

    let strip = [
        "--config",
        "extensions.strip=",
        "strip",
        "-q",
        "--no-backup",
        "-r",
        ".",
    ];
    bench.run("hg", &strip).await;
    bench.hg_commit("new").await;
    assert_eq!(bench.poll(&poller).await, ["new"]);

    // Even without the clone: the base is not news again.
    std::fs::remove_dir_all(bench.clone_dir()).unwrap();
    bench.hg_commit("newer").await;
    assert_eq!(bench.poll(&poller).await, ["newer"]);
}

#[tokio::test]
async fn hostile_hg_names_reach_no_program() {
    let bench = Bench::hg().await;
    bench.hg_commit("before").await;
    for name in [
        "a\") or all() or (\"",
        "re:.*",
        "literal:default",
        "all()",
        "0",
        "tip",
        "a\\",
    ] {
        let poller = HgPoller::new(bench.settings(Some(name)));
        let expected = format!("`DIR/remote` has no branch `{name}` yet");
        assert_eq!(bench.fails(&poller).await, expected);
    }
    for name in ["--config=x.y=z", "-x", "", "a\0b"] {
        let poller = HgPoller::new(bench.settings(Some(name)));
        assert!(bench.fails(&poller).await.starts_with("branch `"));
    }
}
