//! Real Subversion.

use super::super::split::Prefix;
use super::super::split::Split;
use super::super::svn_poller::SvnPoller;
use super::super::svn_poller::SvnSettings;
use super::*;

impl Bench {
    /// A repository, and a working copy of it in `remote`.
    async fn svn() -> Self {
        let bench = Self::empty();
        bench.run("svnadmin", &["create", "../repository"]).await;
        let url = bench.svn_url();
        bench.run("svn", &["checkout", "-q", &url, "."]).await;
        bench
    }

    fn svn_url(&self) -> String {
        format!("file://{}/repository", self.dir.path().display())
    }

    fn svn_settings(&self, split: Split) -> SvnSettings {
        SvnSettings {
            url: self.svn_url(),
            split,
            user: None,
            password: None,
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            hist_max: 100,
            program: None,
            use_timestamps: false,
            revlink: Some("http://trac/changeset/%s".into()),
            project: "hello".into(),
            category: Some("nightly".into()),
        }
    }

    fn svn_poller(&self, settings: SvnSettings) -> SvnPoller {
        let interval = Duration::from_hours(1);
        SvnPoller::new("source".into(), settings, interval, self.clone_dir())
    }

    /// Adds and changes files, whose directories are made, and commits.
    async fn svn_commit(&self, message: &str, files: &[&str]) {
        for file in files {
            let path = self.remote().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, message).unwrap();
        }
        self.run("svn", &["add", "-q", "--force", "."]).await;
        self.commit_all(message).await;
    }

    async fn commit_all(&self, message: &str) {
        let line = ["commit", "-q", "--username=ann", "-m", message];
        // Directories that moved are committed as they are now.
        self.svn_utf8(&line).await;
        self.run("svn", &["update", "-q"]).await;
    }

    async fn svn_utf8(&self, line: &[&str]) {
        let line: Vec<_> = ["LC_ALL=C.UTF-8", "svn"]
            .iter()
            .chain(line)
            .copied()
            .collect();
        self.run("env", &line).await;
    }

    /// `REVISION BRANCH: FILES` of what is new.
    async fn split(&self, poller: &SvnPoller) -> Vec<String> {
        poller.poll_once(self.store.as_ref()).await.unwrap();
        let told = |mut it: NewChange| {
            it.files.sort();
            let branch = it.branch.unwrap_or_else(|| "-".into());
            format!("{} {branch}: {}", it.revision.unwrap(), it.files.join(" "))
        };
        self.taken().into_iter().map(told).collect()
    }
}

fn map(all: &[(&str, &str)]) -> Split {
    let all = all.iter().map(|(name, it)| Prefix::new(name, it).unwrap());
    Split::Map(all.collect())
}

#[tokio::test]
async fn svn_revisions_come_oldest_first_and_once() {
    let bench = Bench::svn().await;
    let settings = SvnSettings {
        hist_max: 2,
        ..bench.svn_settings(Split::None)
    };
    let poller = bench.svn_poller(settings.clone());
    assert_eq!(bench.split(&poller).await, NOTHING, "it is empty");
    for message in ["one", "two", "three"] {
        bench.svn_commit(message, &["trunk/a"]).await;
    }
    // The second delivery fails: two of three are kept, by hist_max.
    bench.fail_after(Some(1));
    assert_eq!(
        bench.fails(&poller).await,
        "failed to keep changes: disk full"
    );
    assert_eq!(bench.news(), ["one", "two"]);
    bench.fail_after(None);
    let again = bench.svn_poller(settings.clone());
    assert_eq!(bench.poll(&again).await, ["three"]);
    assert_eq!(bench.poll(&again).await, NOTHING);

    // A first look at what has a history says nothing of it.
    let state = std::mem::take(&mut bench.store.kept.lock().unwrap().state);
    assert_eq!(bench.poll(&again).await, NOTHING);
    assert_eq!(bench.state(), state);
}

#[tokio::test]
async fn an_svn_change_says_what_people_know_it_by() {
    let bench = Bench::svn().await;
    let settings = SvnSettings {
        use_timestamps: true,
        ..bench.svn_settings(Split::None)
    };
    let poller = bench.svn_poller(settings);
    bench.poll(&poller).await;
    let hostile = "ü <b>&amp; \"x\" ]]>";
    bench
        .svn_commit(&format!("subject {hostile}\n\nbody\n"), &[hostile, "a@1"])
        .await;
    poller.poll_once(bench.store.as_ref()).await.unwrap();

    let mut changes = bench.taken();
    let url = bench.svn_url();
    let change = &mut changes[0];
    change.files.sort();
    assert!(change.when.take().is_some());
    let origin = change.origin.take().unwrap();
    assert!(origin.starts_with(&format!("svn {url} ")), "{origin}");
    assert_eq!(
        changes,
        [NewChange {
            files: vec!["a@1".into(), hostile.into()],
            comments: format!("subject {hostile}\n\nbody"),
            revision: Some("1".into()),
            category: Some("nightly".into()),
            revlink: "http://trac/changeset/1".into(),
            repository: url,
            project: "hello".into(),
            vc: Some(Vc::Svn),
            ..NewChange::by("ann")
        }]
    );
}

#[tokio::test]
async fn a_branch_map_makes_a_change_for_each_branch() {
    let bench = Bench::svn().await;
    let split = map(&[
        ("trunk", "django/trunk"),
        ("1.2.X", "django/branches/releases/1.2.X"),
    ]);
    let poller = bench.svn_poller(bench.svn_settings(split));
    bench.split(&poller).await;
    let files = [
        "django/trunk/a",
        "django/branches/releases/1.2.X/b/c",
        "djangoproject.com/index",
    ];
    bench.svn_commit("all", &files).await;
    bench.svn_commit("site", &["djangoproject.com/index"]).await;
    bench
        .svn_commit("like trunk", &["django/trunk-old/a"])
        .await;
    bench.svn_commit("both", &files).await;
    let expected = [
        "1 1.2.X: . b b/c",
        "1 trunk: . a",
        "4 1.2.X: b/c",
        "4 trunk: a",
    ];
    assert_eq!(bench.split(&poller).await, expected);

    // What was left out is not asked for again either.
    assert_eq!(bench.state()["revision"], 4);
    bench.svn_commit("site", &["djangoproject.com/index"]).await;
    assert_eq!(bench.split(&poller).await, NOTHING);
    assert_eq!(bench.state()["revision"], 5);
}

#[tokio::test]
async fn a_branch_that_goes_away_is_no_change() {
    let bench = Bench::svn().await;
    let below = |dir: &str| format!("{}/{dir}", bench.svn_url());
    bench
        .svn_commit("begin", &["p/trunk/a", "p/branches/x"])
        .await;
    let settings = SvnSettings {
        url: below("p"),
        ..bench.svn_settings(Split::Branches)
    };
    let poller = bench.svn_poller(settings);
    bench.split(&poller).await;
    let line = [
        "copy",
        "-q",
        "-m",
        "branch",
        &below("p/trunk"),
        &below("p/branches/1.5"),
    ];
    bench.run("svn", &line).await;
    assert_eq!(bench.split(&poller).await, ["2 branches/1.5: ."]);
    let line = ["delete", "-q", "-m", "done", &below("p/branches/1.5")];
    bench.run("svn", &line).await;
    assert_eq!(bench.split(&poller).await, NOTHING);
    // What lies beside the URL is somebody else's.
    bench.run("svn", &["update", "-q"]).await;
    bench
        .svn_commit("aside", &["p2/trunk/a", "p/trunk/a"])
        .await;
    assert_eq!(bench.split(&poller).await, ["4 -: a"]);
}

#[tokio::test]
async fn a_repository_that_was_set_back_or_replaced_is_followed_all_the_same() {
    let bench = Bench::svn().await;
    let poller = bench.svn_poller(bench.svn_settings(Split::None));
    bench.split(&poller).await;
    bench.svn_commit("one", &["a"]).await;
    let backup = ["hotcopy", "../repository", "../backup"];
    bench.run("svnadmin", &backup).await;
    bench.svn_commit("two", &["a"]).await;
    assert_eq!(bench.split(&poller).await.len(), 2);

    let repository = bench.dir.path().join("repository");
    std::fs::remove_dir_all(&repository).unwrap();
    std::fs::rename(bench.dir.path().join("backup"), &repository).unwrap();
    assert_eq!(bench.split(&poller).await, NOTHING);
    let line = [
        "mkdir",
        "-q",
        "-m",
        "new",
        &format!("{}/d", bench.svn_url()),
    ];
    bench.run("svn", &line).await;
    assert_eq!(bench.split(&poller).await, ["2 -: d"]);

    std::fs::remove_dir_all(&repository).unwrap();
    let gone = bench.fails(&poller).await;
    assert_eq!(gone, "failed to reach `file://DIR/repository`");
    bench.run("svnadmin", &["create", "../repository"]).await;
    bench.run("svn", &line).await;
    assert_eq!(bench.split(&poller).await, NOTHING, "it is another one");
    assert_eq!(bench.state()["revision"], 1);
}

#[tokio::test]
async fn hostile_svn_urls_reach_no_program_and_passwords_no_page() {
    let bench = Bench::svn().await;
    for url in ["--config-option=x", "", "a\nb"] {
        let settings = SvnSettings {
            url: url.into(),
            ..bench.svn_settings(Split::None)
        };
        let said = bench.fails(&bench.svn_poller(settings)).await;
        assert!(said.starts_with("repository `"), "{said}");
    }
    // A program that says what it was called with.
    let settings = SvnSettings {
        url: "http://ann:secret@127.0.0.1:1/x".into(),
        user: Some("ann".into()),
        password: Some("hush".into()),
        program: Some("./tells".into()),
        ..bench.svn_settings(Split::None)
    };
    let poller = bench.svn_poller(settings);
    std::fs::create_dir_all(bench.clone_dir()).unwrap();
    let tells = bench.clone_dir().join("tells");
    std::fs::write(&tells, "#!/bin/sh\necho \"$@\" >&2\nexit 1\n").unwrap();
    bench.run("chmod", &["+x", tells.to_str().unwrap()]).await;
    let error = poller.poll_once(bench.store.as_ref()).await.unwrap_err();
    let said = poller.explain(&error);
    let expected = "failed to reach `http://ann:…@127.0.0.1:1/x`: `./tells info` failed with exit code 1: \
        info --xml --non-interactive --no-auth-cache --username=ann --password=… -- http://ann:…@127.0.0.1:1/x@";
    assert_eq!(said, expected);
}
