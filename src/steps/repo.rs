//! `repo`: brings the projects of a manifest to their newest commits, with
//! changes of Gerrit over them.

use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::Channel;
use crate::model::Command;
use crate::model::FileCommand;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Role;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::RepoUrl;
use super::checkout::Wanted;
use super::paths;
use super::repo_downloads;
use super::repo_downloads::Download;
use super::vcs;
use super::vcs::Site;
use super::vcs::Steps;
use super::vcs::Vcs;

pub(super) const KIND: StepKind = StepKind {
    name: "repo",
    aliases: &[],
    step_name: "repo",
    summary: "Checks out the projects of a manifest of Repo.",
    example: r#"manifest_url = "https://example.org/manifest.git"
manifest_branch = "stable"
tarball = "/srv/cache/hello.tgz""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Repo::read(keys)?)),
};

const METHODS: &[(&str, Mode)] = &[("clobber", Mode::Clobber), ("copy", Mode::Copy)];

#[derive(Clone, Debug)]
struct Repo {
    checkout: Checkout,
    branch: Text,
    file: Text,
    /// What a first checkout begins with.
    tarball: Option<Text>,
}

impl Repo {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = vcs::read(keys, METHODS);
        let url = RepoUrl::key(keys, &["manifest_url", "repourl"]);
        let branch = keys.or("manifest_branch", Text::literal("master"));
        let file = keys.or("manifest_file", Text::literal("default.xml"));
        let tarball = keys.optional("tarball");
        Some(Self {
            checkout: Checkout {
                repourl: url?,
                ..checkout?
            },
            branch: branch?,
            file: file?,
            tarball: tarball?,
        })
    }

    fn url(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        let url = match &self.checkout.repourl {
            Some(url) => url.render(cx)?,
            None => cx.stamp.repository.clone(),
        };
        if url.is_empty() {
            let what = "the checkout has no `manifest_url`, and the build names no repository";
            return Err(StepError::Other(what.into()));
        }
        Ok(url)
    }

    fn begun(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let url = self.url(cx)?;
        // The build's branch and revision are those of one project.
        let wanted = Wanted {
            url,
            branch: Some(self.branch.render(cx.properties)?),
            revision: None,
        };
        wanted.check()?;
        let file = self.file.render(cx.properties)?;
        checkout::check_word("manifest", &file).map_err(StepError::Other)?;
        let tarball = match &self.tarball {
            Some(text) => {
                let path = text.render(cx.properties)?;
                let is_anchored = text.head().starts_with('/');
                Some(paths::file(cx.builder_dir, ".", &path, false, is_anchored)?)
            }
            None => None,
        };
        // It is told all the same what the build is of.
        let _ = vcs::revision(&self.checkout, cx, vcs::last);
        let downloads = repo_downloads::of(cx.properties, cx.changes)?;
        if !downloads.is_empty() {
            let all: Vec<_> = downloads.iter().map(Download::to_string).collect();
            cx.properties
                .set_runtime("repo_downloads", all, checkout::SOURCE);
        }
        Ok(Begun {
            wanted,
            file,
            tarball,
            downloads,
            downloaded: Vec::new(),
        })
    }
}

impl Steps for Repo {
    type Vcs = Begun;

    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        // The build's repository is that of one project, whichever.
        Ok(self.checkout.is_first || cx.stamp.repository == self.url(cx)?)
    }

    fn of(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        self.begun(cx)
    }
}

impl Step for Repo {
    fn begin(&self) -> Box<dyn Run> {
        vcs::begin(self)
    }

    fn sets(&self) -> Vec<String> {
        vec!["repo_downloads".into(), "repo_downloaded".into()]
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

struct Begun {
    wanted: Wanted,
    file: String,
    /// As the slave is told it.
    tarball: Option<String>,
    downloads: Vec<Download>,
    /// Each with the commit that it became.
    downloaded: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Version,
    Mkdir,
    /// Is there a tarball? Unpacks it.
    FindTarball,
    Unpack,
    /// What a broken tarball left.
    RemoveUnpacked,
    ForgetProjects,
    Init,
    CleanProjects,
    ResetProjects,
    CleanManifests,
    Sync,
    /// Is there a tarball? Packs one where none is.
    LackTarball,
    Pack,
    RemoveTarball,
    Download(usize),
    /// Shows what could not be merged.
    Diff,
}

impl Begun {
    /// The tarball as seen from the builder's directory.
    fn tarball(&self, cx: &Cx<'_>) -> String {
        let path = self.tarball.as_deref().unwrap_or_default();
        let inner = path
            .strip_prefix(cx.builder_dir)
            .and_then(|it| it.strip_prefix('/'));
        inner.unwrap_or(path).to_owned()
    }

    fn packed(&self, job: Job) -> Option<Job> {
        self.tarball.is_some().then_some(job)
    }
}

impl Vcs for Begun {
    type Job = Job;

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn identity(&self) -> Vec<String> {
        let branch = self.wanted.branch.clone().unwrap_or_default();
        vec![branch, self.file.clone()]
    }

    fn own_dir(&self) -> &'static str {
        ".repo"
    }

    fn prepare(&self) -> Vec<Job> {
        vec![Job::Version]
    }

    fn update(&self) -> Vec<Job> {
        let mut jobs = vec![
            Job::CleanProjects,
            Job::ResetProjects,
            Job::CleanManifests,
            Job::Sync,
        ];
        jobs.extend(self.packed(Job::LackTarball));
        jobs.extend((0..self.downloads.len()).map(Job::Download));
        jobs
    }

    fn full(&self) -> Vec<Job> {
        let mut jobs = vec![Job::Mkdir];
        jobs.extend(self.packed(Job::FindTarball));
        jobs.push(Job::Init);
        jobs.extend(self.update());
        jobs
    }

    fn conclude(&self) -> Vec<Job> {
        Vec::new()
    }

    fn command(&self, job: &Job, site: &Site<'_>) -> Result<Command, StepError> {
        let branch = self.wanted.branch.as_deref().unwrap_or_default();
        let tarball = || self.tarball.clone().unwrap_or_default();
        let file = Command::File;
        let shell = match job {
            Job::Version => site.beside(&["repo", "--version"])?,
            Job::Mkdir => {
                let dir = paths::inside_builder(site.cx.builder_dir, site.work)?;
                return Ok(file(FileCommand::Mkdir { dir }));
            }
            Job::FindTarball | Job::LackTarball => {
                return Ok(file(FileCommand::Stat { path: tarball() }));
            }
            Job::RemoveTarball => return Ok(file(FileCommand::Rmfile { path: tarball() })),
            Job::Unpack => {
                let tarball = self.tarball(site.cx);
                site.beside(&["tar", "-xvzf", &tarball, "-C", site.work])?
            }
            Job::Pack => {
                let tarball = self.tarball(site.cx);
                site.beside(&["tar", "-cvzf", &tarball, "-C", site.work, ".repo"])?
            }
            Job::RemoveUnpacked => {
                return checkout::rmdir(site.cx, &format!("{}/.repo", site.work));
            }
            Job::ForgetProjects => {
                let path = site.path(".repo/project.list");
                return Ok(file(FileCommand::Rmfile { path }));
            }
            Job::Init => {
                let (url, file) = (&self.wanted.url, &self.file);
                site.inside(&["repo", "init", "-u", url, "-b", branch, "-m", file])?
            }
            Job::CleanProjects => {
                site.inside(&["repo", "forall", "-c", "git", "clean", "-f", "-d", "-x"])?
            }
            Job::ResetProjects => {
                site.inside(&["repo", "forall", "-c", "git", "reset", "--hard", "HEAD"])?
            }
            Job::CleanManifests => {
                site.below(".repo/manifests", &["git", "clean", "-f", "-d", "-x"])?
            }
            Job::Sync => site.inside(&["repo", "sync"])?,
            Job::Download(place) => {
                let download = &self.downloads[*place];
                let (project, change) = (&download.project, &download.change);
                site.inside(&["repo", "download", project, change])?
            }
            Job::Diff => site.inside(&["repo", "forall", "-c", "git", "diff", "HEAD"])?,
        };
        Ok(Command::Shell(shell))
    }

    fn ended(&mut self, job: &Job, ended: &Ended<'_>, cx: &mut Cx<'_>) -> Next<Job> {
        let is_good = ended.exit.is_success();
        let then = |jobs: &[Job]| Next::First(jobs.to_vec());
        match job {
            Job::FindTarball if is_good => then(&[Job::Unpack, Job::ForgetProjects]),
            // It was broken; `LackTarball` makes another.
            Job::Unpack if !is_good && !checkout::was_cut_short(ended.exit) => {
                then(&[Job::RemoveUnpacked, Job::RemoveTarball])
            }
            Job::LackTarball if !is_good => then(&[Job::Pack]),
            // It only saves time.
            Job::Pack if !is_good => then(&[Job::RemoveTarball]),
            Job::FindTarball
            | Job::LackTarball
            | Job::RemoveTarball
            | Job::ForgetProjects
            // Of a project that was never checked out, and there may be none.
            | Job::CleanProjects
            | Job::ResetProjects => then(&[]),
            Job::Download(_) if checkout::complained(ended, &["automatic cherry-pick failed"]) => {
                then(&[Job::Diff])
            }
            Job::Diff => Next::GiveUp,
            _ if !is_good && checkout::complained(ended, &["couldn't find remote ref"]) => {
                Next::GiveUp
            }
            Job::Init => {
                self.downloaded.clear();
                vcs::by_exit(ended)
            }
            Job::Download(_) if is_good => {
                self.downloaded.extend(downloaded(ended));
                let all = self.downloaded.join(" ");
                cx.properties
                    .set_runtime("repo_downloaded", all, checkout::SOURCE);
                then(&[])
            }
            Job::Version
            | Job::Mkdir
            | Job::Unpack
            | Job::RemoveUnpacked
            | Job::CleanManifests
            | Job::Sync
            | Job::Pack
            | Job::Download(_) => vcs::by_exit(ended),
        }
    }
}

/// The change that was downloaded and the commit that it became: `5/1 0123abc`.
fn downloaded(ended: &Ended<'_>) -> Option<String> {
    static FETCHED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"refs/changes/\d+/(\d+/\d+)\s+-> FETCH_HEAD").expect("a pattern")
    });
    static HEAD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"HEAD is now at ([0-9a-f]+)").expect("a pattern"));
    let (mut change, mut commit) = (None, None);
    ended.output.lines(&mut |channel, line| {
        if channel == Channel::Header {
            return;
        }
        if let Some(found) = FETCHED.captures(line) {
            change = Some(found[1].to_owned());
        }
        if let Some(found) = HEAD.captures(line) {
            commit = Some(found[1].to_owned());
        }
    });
    Some(format!("{} {}", change?, commit?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;
    use super::super::vcs::tests::plays;
    use super::*;

    const MARK: &str = ".repo/autobot-a9a9ec44982f2719";
    const INIT: &str = "hello/build: repo init -u https://x/m -b master -m default.xml";
    const UPDATE: [&str; 4] = [
        "hello/build: repo forall -c git clean -f -d -x",
        "hello/build: repo forall -c git reset --hard HEAD",
        "hello/build/.repo/manifests: git clean -f -d -x",
        "hello/build: repo sync",
    ];

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, &format!("manifest_url = \"https://x/m\"\n{lines}"));
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn projects_are_cleaned_and_synced_also_where_cleaning_fails() {
        let mut bench = bench("");
        bench.stamp.branch = Some("a-project-s".into());
        let look = format!("stat hello/build/{MARK}");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: repo --version", 0, &[]),
            (&look, 0, &[]),
            (UPDATE[0], 1, &[]),
            (UPDATE[1], 1, &[]),
            (UPDATE[2], 0, &[]),
            (UPDATE[3], 0, &[]),
        ];
        plays(&mut bench, script, "success: update");
    }

    #[test]
    fn a_first_checkout_begins_with_the_tarball_and_leaves_one() {
        let mark = format!("write hello/build/{MARK}: ");
        let script = |has_tarball: bool, packs: i32| {
            let mut bench = bench("tarball = \"cache/x.tgz\"\nmode = \"full\"");
            let mut told = vec![begin(&mut bench)];
            let end = |told: &mut Vec<String>, bench: &mut Bench, code| {
                told.push(bench.ends(code, &[]));
            };
            for _ in 0..3 {
                end(&mut told, &mut bench, 0);
            }
            // The first look for the tarball; the second follows the update.
            end(&mut told, &mut bench, i32::from(!has_tarball));
            while told.last().is_some_and(|it| it != "success: update") {
                let code = match told.last().map(String::as_str) {
                    Some("stat hello/cache/x.tgz") => i32::from(!has_tarball),
                    Some(it) if it.contains("tar -c") => packs,
                    _ => 0,
                };
                end(&mut told, &mut bench, code);
            }
            told
        };
        let first = script(false, 0);
        let mut expected = vec![
            "hello: repo --version",
            "rmdir hello/build",
            "mkdir hello/build",
            "stat hello/cache/x.tgz",
            INIT,
        ];
        expected.extend(UPDATE);
        expected.extend([
            "stat hello/cache/x.tgz",
            "hello: tar -cvzf cache/x.tgz -C build .repo",
            &mark,
            "success: update",
        ]);
        assert_eq!(first, expected);
        let broken = script(false, 1);
        assert!(broken.contains(&"rmfile hello/cache/x.tgz".to_owned()));
        let second = script(true, 0);
        let unpacked = [
            "hello: tar -xvzf cache/x.tgz -C build",
            "rmfile hello/build/.repo/project.list",
            INIT,
        ];
        assert_eq!(second[4..7], unpacked);
        assert!(!second.iter().any(|it| it.contains("tar -c")));
    }

    #[test]
    fn a_broken_tarball_is_removed_and_another_is_made() {
        let mut bench = bench("tarball = \"/srv/x.tgz\"\nmode = \"full\"");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: repo --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            ("mkdir hello/build", 0, &[]),
            ("stat /srv/x.tgz", 0, &[]),
            ("hello: tar -xvzf /srv/x.tgz -C build", 2, &[]),
            ("rmdir hello/build/.repo", 0, &[]),
            ("rmfile /srv/x.tgz", 0, &[]),
            ("rmfile hello/build/.repo/project.list", 1, &[]),
        ];
        plays(&mut bench, script, INIT);
    }

    fn until_downloads(bench: &mut Bench) -> String {
        begin(bench);
        for _ in 0..5 {
            bench.ends(0, &[]);
        }
        bench.ends(0, &[])
    }

    #[test]
    fn changes_are_downloaded_over_it() {
        let mut bench = bench("");
        bench.properties.set("repo_d", "p 564/12 q 5/1", "test");
        let first = "hello/build: repo download p 564/12";
        assert_eq!(until_downloads(&mut bench), first);
        let all = json!(["p 564/12", "q 5/1"]);
        assert_eq!(bench.properties.get("repo_downloads"), Some(&all));
        let fetched = " * branch            refs/changes/64/564/12 -> FETCH_HEAD";
        let told = bench.ends(0, &[err(fetched), err("HEAD is now at 0123abc a change")]);
        assert_eq!(told, "hello/build: repo download q 5/1");
        let fetched = " * branch            refs/changes/05/5/1 -> FETCH_HEAD";
        let told = bench.ends(0, &[err(fetched), err("HEAD is now at 9876fed another")]);
        assert_eq!(told, "success: update");
        assert_eq!(
            bench.properties.text("repo_downloaded"),
            Some("564/12 0123abc 5/1 9876fed")
        );
    }

    #[test]
    fn what_cannot_be_merged_is_shown_and_removes_nothing() {
        let failed = "failure: update failed; build: repo";
        let mut conflicting = bench("");
        conflicting.properties.set("repo_d", "p 564/12", "test");
        until_downloads(&mut conflicting);
        let told = conflicting.ends(1, &[err("error: Automatic cherry-pick failed.")]);
        assert_eq!(told, "hello/build: repo forall -c git diff HEAD");
        assert_eq!(conflicting.ends(0, &[]), failed);

        let mut missing = bench("");
        missing.properties.set("repo_d", "p 564/12", "test");
        until_downloads(&mut missing);
        let told = missing.ends(1, &[err("fatal: Couldn't find remote ref refs/changes/x")]);
        assert_eq!(told, failed);

        let mut other = bench("");
        other.properties.set("repo_d", "p 564/12", "test");
        until_downloads(&mut other);
        assert_eq!(other.ends(1, &[]), "rmdir hello/build");
    }

    #[test]
    fn a_tarball_is_where_the_configuration_says() {
        let mut bench = bench("tarball = \"%(dir)s\"");
        bench.properties.set("dir", "/etc/x", "test");
        assert!(begin(&mut bench).starts_with("error: `/etc/x`"));
    }
}
