//! Failures between any two commands of a poll, and histories that come all at once: what is told
//! is what happened, nothing is left out and nothing told twice. The store here takes whatever it
//! is given, so that a change told twice shows.

use super::super::branches::Patterns;
use super::super::branches::Wanted;
use super::super::bzr_poller::BranchName;
use super::super::bzr_poller::BzrPoller;
use super::super::bzr_poller::BzrSettings;
use super::super::git_refs::GitRefs;
use super::super::split::Split;
use super::super::svn_poller::SvnPoller;
use super::super::svn_poller::SvnSettings;
use super::super::yard::Yard;
use super::*;
use crate::tests;

/// How a program fails: before it has done its work or behind it, and with or without a word.
const WAYS: [&str; 4] = ["refuse", "refuse_late", "die", "die_late"];

/// So many calls no poll needs.
const MANY: usize = 200;

/// A program that fails at one of its calls.
struct StandIn {
    program: String,
    count: PathBuf,
    plan: PathBuf,
}

impl StandIn {
    fn of(bench: &Bench, program: &str) -> Self {
        let dir = bench.dir.path();
        let (count, plan) = (dir.join("count"), dir.join("plan"));
        std::fs::write(&plan, "0 none\n").unwrap();
        let script = bench.script(
            "stand-in",
            &format!(
                "n=0; [ -e {count} ] && read n < {count}; n=$((n+1)); echo $n > {count}\n\
                 read at way < {plan}\n\
                 if [ $n -eq $at ]; then\n\
                 case $way in *_late) {program} \"$@\" > /dev/null 2>&1 < /dev/null;; esac\n\
                 case $way in die*) kill -9 $$;; esac\n\
                 echo 'out of order' >&2; exit 1\n\
                 fi\n\
                 exec {program} \"$@\"",
                count = count.display(),
                plan = plan.display()
            ),
        );
        Self {
            program: script,
            count,
            plan,
        }
    }

    /// From now on the call `at` fails; 0 is none.
    fn fail_at(&self, at: usize, way: &str) {
        drop(std::fs::remove_file(&self.count));
        std::fs::write(&self.plan, format!("{at} {way}\n")).unwrap();
    }

    fn calls(&self) -> usize {
        let said = std::fs::read_to_string(&self.count).unwrap_or_default();
        said.trim().parse().unwrap_or(0)
    }
}

/// `BRANCH: COMMENTS` of what was delivered, as it came.
fn told(bench: &Bench) -> Vec<String> {
    let told = |it: NewChange| {
        let branch = it.branch.unwrap_or_else(|| "-".into());
        format!("{branch}: {}", it.comments.trim_end())
    };
    bench.taken().into_iter().map(told).collect()
}

/// Polls with a failure, then without one; gives what both told, and whether the failure was.
async fn poll_twice<P: Poll>(
    bench: &Bench,
    poller: &P,
    program: &StandIn,
    (at, way): (usize, &str),
) -> (Vec<String>, bool) {
    program.fail_at(at, way);
    // What is only clearing up may fail unseen.
    drop(poller.poll_once(bench.store.as_ref()).await);
    let has_failed = program.calls() >= at;
    program.fail_at(0, "none");
    let polled = poller.poll_once(bench.store.as_ref()).await;
    polled.unwrap_or_else(|error| panic!("{at} {way}: {}", poller.explain(&error)));
    (told(bench), has_failed)
}

/// The same with one refusal of the store.
async fn poll_refused<P: Poll>(bench: &Bench, poller: &P, after: usize) -> (Vec<String>, bool) {
    bench.store.kept.lock().unwrap().refuse_after = Some(after);
    let is_refused = poller.poll_once(bench.store.as_ref()).await.is_err();
    bench.store.kept.lock().unwrap().refuse_after = None;
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    (told(bench), is_refused)
}

#[track_caller]
fn assert_told(said: Vec<String>, expected: &[String], when: &str) {
    let mut sorted = said.clone();
    sorted.sort();
    let mut all = expected.to_vec();
    all.sort();
    assert_eq!(sorted, all, "{when}");
    // What is expected is in the order of each branch.
    let branch = |it: &String| it.split(": ").next().unwrap().to_owned();
    for one in &all {
        let of = |list: &[String]| -> Vec<String> {
            let own = list.iter().filter(|it| branch(it) == branch(one));
            own.cloned().collect()
        };
        assert_eq!(of(&said), of(expected), "{when}");
    }
}

impl Bench {
    /// Has git make what the stream says, and take away a ref.
    async fn import(&self, stream: &str, gone: Option<&str>) {
        std::fs::write(self.remote().join(".git/stream"), stream).unwrap();
        let gone = gone.map_or(String::new(), |it| format!("; git update-ref -d {it}"));
        let alias = format!("alias.im=!git fast-import --force --quiet < .git/stream{gone}");
        self.run("git", &["-c", &alias, "im"]).await;
    }
}

fn commit(branch: &str, message: &str, from: &str, merge: &str) -> String {
    let merge = match merge {
        "" => String::new(),
        it => format!("merge {it}\n"),
    };
    // Where the stream itself has put the branch it needs no word.
    let from = match from == branch {
        true => String::new(),
        false => format!("from {from}\n"),
    };
    format!(
        "commit {branch}\ncommitter Ann <ann@example.org> 1300000000 +0000\ndata {}\n{message}\n\
         {from}{merge}M 644 inline file\ndata {}\n{message}\n\n",
        message.len(),
        message.len()
    )
}

/// What happens between two polls of round `k`: commits, a merge, a branch that is pushed by
/// force, a new branch, a new tag, and the branch of the round before is renamed.
fn round(k: usize) -> (String, Option<String>, Vec<String>) {
    let (master, side) = ("refs/heads/master", "refs/heads/side");
    let mut stream = String::new();
    stream += &commit(master, &format!("{k} first"), "refs/heads/master^0", "");
    stream += &commit(side, &format!("{k} side"), "refs/heads/side^0", "");
    stream += &commit(master, &format!("{k} merge"), master, side);
    stream += "reset refs/heads/forced\nfrom refs/heads/base^0\n\n";
    stream += &commit(
        "refs/heads/forced",
        &format!("{k} forced"),
        "refs/heads/forced",
        "",
    );
    for name in [format!("refs/heads/new-{k}"), format!("refs/tags/t-{k}")] {
        stream += &format!("reset {name}\nfrom {master}\n\n");
    }
    let gone = (k > 0).then(|| format!("refs/heads/new-{}", k - 1));
    let expected = [
        "forced: K forced",
        "master: K first",
        "master: K side",
        "master: K merge",
        "new-K: K merge",
        "refs/tags/t-K: K merge",
        "side: K side",
    ];
    let expected = expected.map(|it| it.replace('K', &k.to_string()));
    (stream, gone, expected.into())
}

/// A repository with the branches of the rounds.
async fn rounds() -> Bench {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    for name in ["base", "side", "forced"] {
        bench.run("git", &["branch", name]).await;
    }
    bench.run("git", &["checkout", "-q", "--detach"]).await;
    bench
}

fn all_refs(bench: &Bench, program: Option<String>) -> GitRefs {
    let any = || Some(Patterns::new(vec!["*".to_owned()]));
    let wanted = Wanted {
        branches: any(),
        tags: any(),
        refs: None,
    };
    let settings = SourceSettings {
        program,
        ..bench.settings(None)
    };
    GitRefs::new(settings, wanted, &Yard::at(bench.clone_dir()))
}

#[tokio::test]
async fn git_tells_all_of_many_branches_once_whichever_command_of_a_poll_fails() {
    let bench = rounds().await;
    let git = StandIn::of(&bench, "git");
    let poller = all_refs(&bench, Some(git.program.clone()));
    bench.poll(&poller).await;
    for k in 0..MANY {
        let (stream, gone, expected) = round(k);
        bench.import(&stream, gone.as_deref()).await;
        let failure = (k + 1, WAYS[k % WAYS.len()]);
        let (said, has_failed) = poll_twice(&bench, &poller, &git, failure).await;
        // Sides of a merge have no order of their own.
        let mut said = said;
        let (first, side) = (format!("master: {k} first"), format!("master: {k} side"));
        let at = |it: &str| said.iter().position(|told| told == it);
        if let (Some(one), Some(other)) = (at(&first), at(&side))
            && other < one
        {
            said.swap(one, other);
        }
        assert_told(said, &expected, &format!("{failure:?}"));
        if !has_failed {
            assert!(k > 15, "a poll of so much has more than {k} commands");
            return;
        }
    }
    panic!("a poll without end");
}

#[tokio::test]
async fn git_tells_all_of_one_branch_once_however_and_whenever_a_command_fails() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let git = StandIn::of(&bench, "git");
    let poller = GitPoller::new(SourceSettings {
        program: Some(git.program.clone()),
        ..bench.settings(None)
    });
    bench.poll(&poller).await;
    // Each command fails in one of the ways, or in all of them.
    let ways = match tests::is_full() {
        true => 0..WAYS.len(),
        false => 0..1,
    };
    for first in ways {
        for at in 1..MANY {
            let way = WAYS[(at + first) % WAYS.len()];
            let master = "refs/heads/master";
            let mut stream = String::new();
            let messages = ["one", "two", "three"].map(|it| format!("{first} {at} {it}"));
            for (index, message) in messages.iter().enumerate() {
                let from = ["refs/heads/master^0", master, master][index];
                stream += &commit(master, message, from, "");
            }
            bench.import(&stream, None).await;
            let (said, has_failed) = poll_twice(&bench, &poller, &git, (at, way)).await;
            let expected = messages.map(|it| format!("master: {it}"));
            assert_eq!(said, expected, "{way} {at}");
            if !has_failed {
                assert!(at > 5, "a poll has more than {at} commands");
                break;
            }
        }
    }
}

#[tokio::test]
async fn git_tells_all_once_whichever_question_or_delivery_the_store_refuses() {
    let bench = rounds().await;
    let poller = all_refs(&bench, None);
    bench.poll(&poller).await;
    for k in 0..MANY {
        let (stream, gone, mut expected) = round(k);
        bench.import(&stream, gone.as_deref()).await;
        let (mut said, is_refused) = poll_refused(&bench, &poller, k).await;
        said.sort();
        expected.sort();
        assert_eq!(said, expected, "refused after {k}");
        if !is_refused {
            assert!(
                k > 4,
                "a poll of so much asks and delivers more than {k} times"
            );
            return;
        }
    }
    panic!("a poll without end");
}

#[tokio::test]
async fn hg_tells_all_once_whichever_command_of_a_poll_fails() {
    const ROUNDS: usize = 12;
    let bench = Bench::hg().await;
    // In each round two heads that are merged, made by one program for all rounds.
    let mut history = "+1:t0".to_owned();
    for k in 0..ROUNDS {
        history += &format!(" +1 *t{k} /2:t{}", k + 1);
    }
    let all = bench.dir.path().join("all");
    let all = all.to_str().unwrap();
    bench.run("hg", &["init", all]).await;
    let line = ["-R", all, "debugbuilddag", "--new-file", &history];
    bench.run("hg", &line).await;
    let pull = async |k: usize| {
        let revision = (3 * k).to_string();
        bench.run("hg", &["pull", "-q", "-r", &revision, all]).await;
    };
    pull(0).await;
    let hg = StandIn::of(&bench, "hg");
    let poller = HgPoller::new(SourceSettings {
        program: Some(hg.program.clone()),
        ..bench.settings(None)
    });
    bench.poll(&poller).await;
    for k in 0..ROUNDS {
        pull(k + 1).await;
        let failure = (k + 1, WAYS[k % WAYS.len()]);
        let (said, has_failed) = poll_twice(&bench, &poller, &hg, failure).await;
        let expected = [1, 2, 3].map(|it| format!("default: r{}", 3 * k + it));
        assert_eq!(said, expected, "{failure:?}");
        if !has_failed {
            assert!(k > 3, "a poll has more than {k} commands");
            return;
        }
    }
    panic!("a poll without end");
}

impl Bench {
    fn svn_at(&self) -> String {
        format!("file://{}/repository", self.dir.path().display())
    }

    fn svn_follower(&self, program: Option<String>) -> SvnPoller {
        let settings = SvnSettings {
            split: Split::Branches,
            program,
            ..SvnSettings::new(&self.svn_at(), None)
        };
        let interval = Duration::from_hours(1);
        SvnPoller::new("source".into(), settings, interval, self.clone_dir())
    }

    async fn mucc(&self, message: &str, acts: &[&str]) {
        let url = self.svn_at();
        let mut line = vec!["-U", &url, "-m", message];
        line.extend_from_slice(acts);
        self.run("svnmucc", &line).await;
    }
}

#[tokio::test]
async fn svn_tells_all_once_however_and_whenever_a_command_or_the_store_fails() {
    let bench = Bench::empty();
    bench.run("svnadmin", &["create", "../repository"]).await;
    bench.write("x", "x");
    bench
        .mucc(
            "base",
            &["mkdir", "trunk", "mkdir", "branches", "put", "x", "trunk/x"],
        )
        .await;
    let svn = StandIn::of(&bench, "svn");
    let poller = bench.svn_follower(Some(svn.program.clone()));
    bench.poll(&poller).await;
    let mut failures: Vec<(usize, Option<&str>)> = Vec::new();
    for at in 1..=4 {
        failures.extend(WAYS.map(|way| (at, Some(way))));
        failures.push((at, None));
    }
    let mut seen = 0;
    for (k, (at, way)) in failures.into_iter().enumerate() {
        let message = |it: &str| format!("{k} {it}");
        bench.write("x", &message("text"));
        bench.mucc(&message("edit"), &["put", "x", "trunk/x"]).await;
        let branch = format!("branches/b{k}");
        bench
            .mucc(&message("branch"), &["cp", "HEAD", "trunk", &branch])
            .await;
        bench
            .mucc(
                &message("edit there"),
                &["put", "x", &format!("{branch}/y")],
            )
            .await;
        let to = format!("branches/c{k}");
        bench.mucc(&message("rename"), &["mv", &branch, &to]).await;
        bench
            .mucc(
                &message("merge"),
                &["put", "x", "trunk/y", "put", "x", &format!("{to}/x")],
            )
            .await;
        bench.mucc(&message("delete"), &["rm", &to]).await;
        let expected = [
            "-: K edit".to_owned(),
            "branches/bK: K branch".to_owned(),
            "branches/bK: K edit there".to_owned(),
            "branches/cK: K rename".to_owned(),
            "-: K merge".to_owned(),
            "branches/cK: K merge".to_owned(),
        ];
        let expected = expected.map(|it| it.replace('K', &k.to_string()));
        let (said, has_failed) = match way {
            Some(way) => poll_twice(&bench, &poller, &svn, (at, way)).await,
            None => poll_refused(&bench, &poller, at - 1).await,
        };
        assert_eq!(said, expected, "{at} {way:?}");
        seen += usize::from(has_failed);
    }
    // Two commands, each in every way, and a question and a delivery.
    assert!(seen >= 10, "{seen}");
}

#[tokio::test]
async fn bzr_tells_all_once_whichever_command_of_a_poll_fails() {
    let bench = Bench::empty();
    // Two in each round, so that who tells only the newest is found out.
    const ROUNDS: u32 = 9;
    bench.write("stream", &bzr_stream(1..=2 * ROUNDS + 1));
    let line = ["fast-import", "--quiet", "stream", "../all"];
    bench.run("brz", &line).await;
    bench.run("brz", &["init", "-q", "."]).await;
    let pull = async |k: u32| {
        let revision = (2 * k + 1).to_string();
        bench
            .run("brz", &["pull", "-q", "-r", &revision, "../all/trunk"])
            .await;
    };
    pull(0).await;
    let bzr = StandIn::of(&bench, "bzr");
    let settings = BzrSettings {
        url: bench.remote().to_string_lossy().into_owned(),
        poll_interval: None,
        poll_jitter: Duration::ZERO,
        blame_merge_author: false,
        branch_name: BranchName::None,
        program: Some(bzr.program.clone()),
        use_timestamps: true,
        revlink: None,
        project: String::new(),
        category: None,
    };
    let interval = Duration::from_hours(1);
    let poller = BzrPoller::new("source".into(), settings, interval, bench.clone_dir());
    bench.poll(&poller).await;
    for k in 0..ROUNDS {
        pull(k + 1).await;
        let failure = (k as usize + 1, ["refuse", "die_late"][k as usize % 2]);
        let (said, has_failed) = poll_twice(&bench, &poller, &bzr, failure).await;
        let expected = [2, 3].map(|it| format!("-: {}", 2 * k + it));
        assert_eq!(said, expected, "{failure:?}");
        if !has_failed {
            assert!(k > 2, "a poll has more than {k} commands");
            return;
        }
    }
    panic!("a poll without end");
}

/// How many commits come at once where it is the other program that takes its time: three times
/// as many as are asked for at a time, and some.
fn so_many() -> u32 {
    match tests::is_full() {
        true => 10_000,
        false => 3_100,
    }
}

/// Polls until nothing fails, with refusals on the way; gives how many changes there were, all
/// of them different.
async fn many<P: Poll>(bench: &Bench, poller: &P) -> Vec<String> {
    bench.fail_after(Some(7));
    bench.fails(poller).await;
    bench.fail_after(None);
    poller.poll_once(bench.store.as_ref()).await.unwrap();
    let told: Vec<_> = bench
        .taken()
        .into_iter()
        .filter_map(|it| it.revision)
        .collect();
    let different: std::collections::BTreeSet<_> = told.iter().collect();
    assert_eq!(different.len(), told.len(), "none is told twice");
    assert_eq!(bench.poll(poller).await, NOTHING);
    told
}

#[tokio::test]
async fn ten_thousand_git_commits_at_once_are_told_one_by_one() {
    let bench = Bench::git().await;
    bench.git_commit("base").await;
    let poller = bench.git_poller();
    bench.poll(&poller).await;
    bench.run("git", &["branch", "base"]).await;
    let lines = ["refs/heads/master", "refs/heads/side"];
    let mut stream = String::new();
    for number in 0..9_998 {
        let line = lines[number % 2];
        let from = match number {
            0 | 1 => "refs/heads/base^0",
            _ => line,
        };
        stream += &commit(line, &number.to_string(), from, "");
    }
    stream += &commit(lines[0], "merge", lines[0], lines[1]);
    stream += &commit(lines[0], "last", lines[0], "");
    bench.import(&stream, None).await;
    let said = many(&bench, &poller).await;
    let line = ["rev-list", "--topo-order", "--reverse", "base..master"];
    let history = bench.run("git", &line).await;
    assert_eq!(said.len(), 10_000);
    assert_eq!(said, history.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn thousands_of_hg_commits_at_once_are_told_one_by_one() {
    let bench = Bench::hg().await;
    // Some are there when it begins: a repository is not made out of nothing.
    bench.run("hg", &["debugbuilddag", "+2"]).await;
    let poller = bench.hg_poller();
    bench.poll(&poller).await;
    let other = bench.dir.path().join("other");
    let other = other.to_str().unwrap();
    bench.run("hg", &["init", other]).await;
    let half = so_many() / 2;
    let history = format!("+2:a +{} *a +{} /2", half - 2, half - 1);
    bench
        .run("hg", &["-R", other, "debugbuilddag", &history])
        .await;
    // It is the same repository, and has more.
    std::fs::remove_dir_all(bench.remote()).unwrap();
    std::fs::rename(other, bench.remote()).unwrap();
    let said = many(&bench, &poller).await;
    let history = bench
        .run("hg", &["log", "-r", "2:", "-T", "{node}\n"])
        .await;
    assert_eq!(said, history.lines().collect::<Vec<_>>());
    assert_eq!(said.len(), 2 * half as usize - 1);
}

#[tokio::test]
async fn ten_thousand_svn_revisions_at_once_are_told_one_by_one() {
    let bench = Bench::in_memory();
    bench.run("svnadmin", &["create", "../repository"]).await;
    let poller = bench.svn_follower(None);
    bench.poll(&poller).await;
    let mut dump = "SVN-fs-dump-format-version: 2\n\n".to_owned();
    for number in 1..=10_000 {
        let properties = format!(
            "K 7\nsvn:log\nV {}\n{number}\nPROPS-END\n",
            number.to_string().len()
        );
        dump += &format!(
            "Revision-number: {number}\nProp-content-length: {}\nContent-length: {}\n\n{properties}\n",
            properties.len(),
            properties.len()
        );
        let path = match number {
            1 => "trunk".to_owned(),
            _ => format!("trunk/d{number}"),
        };
        dump += &format!(
            "Node-path: {path}\nNode-kind: dir\nNode-action: add\nProp-content-length: 10\nContent-length: 10\n\nPROPS-END\n\n\n"
        );
        if number > 2 {
            dump += &format!(
                "Node-path: trunk/d{}\nNode-action: delete\n\n\n",
                number - 1
            );
        }
    }
    bench.write("dump", &dump);
    // It is to be there, not to be safe.
    let load = "sed -i 's/^# *enable-rep-sharing = .*/enable-rep-sharing = false/' \
                ../repository/db/fsfs.conf\n\
                svnadmin load -q --no-flush-to-disk -F dump ../repository";
    bench.run("sh", &["-ec", load]).await;
    let said = many(&bench, &poller).await;
    let history: Vec<String> = (1..=10_000).map(|it| it.to_string()).collect();
    assert_eq!(said, history);
}

/// Commits from one number to another, each upon the one before, as `brz fast-import` reads them.
fn bzr_stream(numbers: std::ops::RangeInclusive<u32>) -> String {
    let commit = |number: u32| {
        let (text, from) = (number.to_string(), number - 1);
        let from = match from {
            0 => String::new(),
            from => format!("from :{from}\n"),
        };
        format!(
            "commit refs/heads/master\nmark :{number}\n\
             committer Ann <ann@test> {} +0000\ndata {}\n{text}\n{from}\
             M 644 inline f\ndata {}\n{text}\n",
            1_000_000_000 + number,
            text.len(),
            text.len()
        )
    };
    numbers.map(commit).collect()
}

#[tokio::test]
async fn thousands_of_bzr_revisions_at_once_are_told_one_by_one() {
    let bench = Bench::in_memory();
    let import = async |stream: &str, marks: &str| {
        bench.write("stream", stream);
        let line = ["fast-import", "--quiet", marks, "stream", "repository"];
        bench.run("brz", &line).await;
    };
    import(&bzr_stream(1..=1), "--export-marks=marks").await;
    let branch = bench.remote().join("repository/trunk");
    let poller = bench.bzr_poller(|it| it.url = branch.to_string_lossy().into_owned());
    assert_eq!(bench.bzr_news(&poller).await.len(), 1);
    let last = so_many() + 1;
    import(&bzr_stream(2..=last), "--import-marks=marks").await;
    let said = many(&bench, &poller).await;
    let history: Vec<String> = (2..=last).map(|it| it.to_string()).collect();
    assert_eq!(said, history);
}
