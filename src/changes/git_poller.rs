//! Follows a branch of a git repository: a bare clone of that one branch,
//! fetched by force, so a rewritten history is news like any other.

use std::path::Path;

use sha2::Digest;
use sha2::Sha256;

use super::mirror;
use super::mirror::Detail;
use super::mirror::Mirror;
use super::mirror::PollError;
use super::mirror::Revision;
use super::mirror::Tips;
use super::poll::Poller;
use super::program::Program;
use super::program::ProgramError;
use super::record;
use super::record::Record;
use super::settings::SourceSettings;

/// What the fetched branch is called in the clone, whatever it is called there.
/// One of several has a name of its own, see [`head_of`].
const HEAD: &str = "refs/autobot/head";

/// What Buildbot follows when no branch is named.
const USUAL_BRANCH: &str = "master";

const ENV: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C.UTF-8"),
    // A master that was started by a git hook must not look or write into that
    // hook's repository: everything is where it usually is below the clone,
    // which `--git-dir=.` names.
    ("GIT_COMMON_DIR", "."),
    ("GIT_OBJECT_DIRECTORY", "objects"),
    ("GIT_ALTERNATE_OBJECT_DIRECTORIES", ""),
    ("GIT_NAMESPACE", ""),
];

/// A poller of a git repository.
pub(crate) type GitPoller = Poller<GitMirror>;

/// A bare clone of one branch.
#[derive(Debug)]
pub(crate) struct GitMirror {
    git: Program,
    url: String,
    branch: Option<String>,
    /// What the branch is called in the clone.
    head: String,
}

/// The program that the settings name.
pub(super) fn git(settings: &SourceSettings) -> Program {
    Program {
        name: settings.program.clone().unwrap_or_else(|| "git".to_owned()),
        env: ENV,
    }
}

/// What `branch` is called in a clone of several. Neither `a` beside `a/b` nor
/// `a` beside `A` is a matter of course for names of files, which these are.
pub(super) fn head_of(branch: &str) -> String {
    let digest = Sha256::digest(branch.as_bytes());
    let name: String = digest[..16].iter().map(|it| format!("{it:02x}")).collect();
    format!("refs/autobot/heads/{name}")
}

impl GitPoller {
    pub(crate) fn new(settings: SourceSettings) -> Self {
        let clone = GitMirror {
            git: git(&settings),
            url: settings.url.clone(),
            branch: settings.branch.clone(),
            head: HEAD.to_owned(),
        };
        Self {
            settings,
            mirror: clone,
        }
    }

    /// Follows the branch of `settings` in a clone that has others too.
    pub(super) fn one_of_several(settings: SourceSettings) -> Self {
        let head = head_of(settings.branch.as_deref().unwrap_or(USUAL_BRANCH));
        let mut poller = Self::new(settings);
        poller.mirror.head = head;
        poller
    }
}

/// The branch as the remote has it.
struct Remote {
    /// Such as `refs/heads/master`.
    name: String,
    revision: String,
    branch: Option<String>,
}

impl GitMirror {
    /// Git on the clone in `dir`, and on no repository around it.
    async fn git(&self, dir: &Path, args: &[&str]) -> Result<String, PollError> {
        let mut line = vec!["--git-dir=."];
        line.extend_from_slice(args);
        let said = self.git.text(dir, &line).await;
        said.map_err(|source| clone_error(dir, source))
    }

    /// Asks the remote where the branch is.
    async fn look(&self, dir: &Path) -> Result<Remote, PollError> {
        let branch = self.branch.as_deref().unwrap_or(USUAL_BRANCH);
        let name = format!("refs/heads/{branch}");
        // Nothing that passes can be a pattern or end a refspec.
        if let Err(source) = self.git.run(dir, &["check-ref-format", &name]).await {
            return Err(match source.is_refusal() {
                true => PollError::Refused {
                    what: "branch",
                    value: branch.to_owned(),
                    why: "git knows no such names",
                },
                false => clone_error(dir, source),
            });
        }
        let ask = [
            "--git-dir=.",
            "ls-remote",
            "--symref",
            "--",
            &self.url,
            "HEAD",
            &name,
        ];
        let said = self.git.text(dir, &ask).await;
        let said = said.map_err(|source| PollError::Remote {
            url: self.url.clone(),
            source,
        })?;
        let answers = || said.lines().filter_map(|it| it.split_once('\t'));
        let revision_of = |wanted: &str| {
            let answer = answers().find(|(value, name)| *name == wanted && !value.contains(' '));
            answer.map(|(revision, _)| revision.to_owned())
        };
        if let Some(revision) = revision_of(&name) {
            return Ok(Remote {
                name,
                revision,
                branch: Some(branch.to_owned()),
            });
        }
        // Nobody named a branch and there is no `master`: what the remote itself
        // checks out is its default branch, and that is what `None` means.
        let target = answers().find_map(|(value, name)| {
            let target = value.strip_prefix("ref: ")?;
            (name == "HEAD").then_some(target)
        });
        match (&self.branch, target, revision_of("HEAD")) {
            (None, Some(target), Some(revision)) => Ok(Remote {
                name: target.to_owned(),
                revision,
                branch: None,
            }),
            _ => Err(PollError::NoBranch {
                url: self.url.clone(),
                branch: branch.to_owned(),
            }),
        }
    }
}

impl Mirror for GitMirror {
    const VCS: &'static str = "git";

    async fn pull(&self, dir: &Path) -> Result<Tips, PollError> {
        let remote = self.look(dir).await?;
        if !dir.join("HEAD").exists() {
            let format = match remote.revision.len() {
                64 => "--object-format=sha256",
                _ => "--object-format=sha1",
            };
            let init = ["init", "--quiet", "--bare", "--template=", format, "."];
            let made = self.git.run(dir, &init).await;
            made.map_err(|source| clone_error(dir, source))?;
        }
        let head = format!("{}^{{commit}}", self.head);
        let ask = ["rev-parse", "--verify", "--quiet", &head];
        let is_there = self.git(dir, &ask).await;
        if is_there.is_ok_and(|it| it.trim() == remote.revision) {
            return Ok(Tips {
                heads: vec![remote.revision],
                branch: remote.branch,
            });
        }
        let refspec = format!("+{}:{}", remote.name, self.head);
        // Without clearing up: what a rewritten branch left behind is still
        // needed to tell what is new.
        let fetch = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-auto-maintenance",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--",
            &self.url,
            &refspec,
        ];
        self.git(dir, &fetch).await?;
        let head = self.git(dir, &ask).await?;
        Ok(Tips {
            heads: vec![head.trim().to_owned()],
            branch: remote.branch,
        })
    }

    async fn known(&self, dir: &Path, revisions: &[String]) -> Result<Vec<String>, PollError> {
        let mut known = Vec::new();
        for revision in revisions {
            match self.git(dir, &["cat-file", "-e", revision]).await {
                Ok(_) => known.push(revision.clone()),
                Err(PollError::Clone { source, .. }) if source.is_refusal() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    async fn since(
        &self,
        dir: &Path,
        tips: &Tips,
        seen: &[String],
    ) -> Result<Vec<Revision>, PollError> {
        let mut line = vec!["rev-list", "--reverse", "--topo-order", "--parents"];
        line.extend(tips.heads.iter().map(String::as_str));
        line.push("--not");
        line.extend(seen.iter().map(String::as_str));
        line.push("--");
        let said = self.git(dir, &line).await?;
        Ok(mirror::revisions(&said))
    }

    async fn describe(
        &self,
        dir: &Path,
        revisions: &[Revision],
        detail: Detail,
    ) -> Result<Vec<Record>, PollError> {
        let mailmap = format!("mailmap.blob={}:.mailmap", self.head);
        let mut line = vec![
            "-c",
            &mailmap,
            "log",
            "--no-walk=unsorted",
            "-z",
            "--encoding=UTF-8",
            "--no-color",
            "--no-notes",
            "--no-show-signature",
            // Both names of a moved file are news.
            "--no-renames",
            "--no-ext-diff",
            // A merge has no files of its own: those of its parents are told with them.
            "--no-diff-merges",
            "--format=tformat:%x00%H%x00%aE%x00%ct%x00%s%n%b%x00",
        ];
        line.push(match detail {
            Detail::Full => "--name-only",
            Detail::NoFiles => "--no-patch",
        });
        line.extend(revisions.iter().map(|it| it.id.as_str()));
        line.push("--");
        let said = self.git(dir, &line).await?;
        record::read(&said).ok_or_else(|| PollError::Unreadable {
            program: self.git.name.clone(),
        })
    }

    async fn tidy(&self, dir: &Path) -> Result<(), PollError> {
        // In the foreground: nothing may run on when a poll is over.
        let line = ["-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"];
        self.git(dir, &line).await?;
        Ok(())
    }
}

fn clone_error(dir: &Path, source: ProgramError) -> PollError {
    PollError::Clone {
        dir: dir.to_owned(),
        source,
    }
}
