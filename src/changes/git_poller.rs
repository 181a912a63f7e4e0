//! Follows a branch, or any other ref, of a git repository: a bare clone of what is asked for,
//! fetched by force, so a rewritten history is news like any other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

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
use super::yard::Seen;
use super::yard::Yard;
use crate::model::hex;
use crate::syntax::Glob;

/// What Buildbot follows when no branch is named.
const USUAL_BRANCH: &str = "master";

/// What the remote itself checks out.
const REMOTE_HEAD: &str = "HEAD";

/// Where branches are.
pub(super) const HEADS: &str = "refs/heads/";

/// Refs that are fetched by one command: its line has an end.
const REFS_AT_ONCE: usize = 200;

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

/// One ref in a bare clone.
#[derive(Debug)]
pub(crate) struct GitMirror {
    git: Program,
    url: String,
    wants: BTreeSet<String>,
    /// The ref, such as `refs/heads/main`; `None` is the usual branch.
    name: Option<String>,
    /// The branch that its changes name; of the usual one it is told apart there.
    branch: Option<String>,
}

/// The program that the settings name.
fn git(settings: &SourceSettings) -> Program {
    Program {
        name: settings.program.clone().unwrap_or_else(|| "git".to_owned()),
        env: ENV,
    }
}

/// What a ref of the remote is called in the clone. Neither `a` beside `a/b` nor
/// `a` beside `A` is a matter of course for names of files, which these are.
fn kept_as(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let name = hex(&digest[..16]);
    format!("refs/autobot/{name}")
}

/// Whether git takes it for the full name of a ref: nothing that passes can be a pattern or end
/// a refspec.
fn is_ref(name: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let is_bad = |letter: char| letter.is_ascii_control() || " ~^:?*[\\".contains(letter);
    name.split('/').all(is_part)
        && !name.contains(is_bad)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
}

impl GitPoller {
    #[cfg(test)]
    pub(crate) fn new(settings: SourceSettings) -> Self {
        let yard = Yard::at(settings.workdir.clone());
        Self::sharing(settings, &yard)
    }

    /// Follows the branch of `settings` in the clone of `yard`.
    pub(crate) fn sharing(settings: SourceSettings, yard: &Arc<Yard>) -> Self {
        let branch = settings.branch.clone();
        let name = branch.as_ref().map(|it| format!("{HEADS}{it}"));
        let mirror = GitMirror::new(&settings, name, branch);
        Self::in_yard(settings, mirror, yard)
    }
}

impl GitMirror {
    pub(super) fn new(
        settings: &SourceSettings,
        name: Option<String>,
        branch: Option<String>,
    ) -> Self {
        let wants = match &name {
            Some(name) => [name.clone()].into(),
            None => [format!("{HEADS}{USUAL_BRANCH}"), REMOTE_HEAD.to_owned()].into(),
        };
        Self {
            git: git(settings),
            url: settings.url.clone(),
            wants,
            name,
            branch,
        }
    }

    /// What stands for all that these patterns fit; it follows none itself.
    pub(super) fn of_patterns(settings: &SourceSettings, wants: BTreeSet<String>) -> Self {
        Self {
            wants,
            ..Self::new(settings, None, None)
        }
    }

    /// Git on the clone in `dir`, and on no repository around it.
    async fn git(&self, dir: &Path, args: &[&str]) -> Result<String, PollError> {
        let mut line = vec!["--git-dir=."];
        line.extend_from_slice(args);
        let said = self.git.text(dir, &line).await;
        said.map_err(|source| clone_error(dir, source))
    }

    /// Asks the remote where the refs are.
    async fn ask(&self, dir: &Path, wanted: &BTreeSet<String>) -> Result<Seen, PollError> {
        let mut line = vec!["--git-dir=.", "ls-remote", "--symref", "--", &self.url];
        let asked: BTreeSet<String> = wanted.iter().map(|it| asked(it)).collect();
        line.extend(asked.iter().map(String::as_str));
        let said = self.git.text(dir, &line).await;
        let said = said.map_err(|source| PollError::Remote {
            url: self.url.clone(),
            source,
        })?;
        let mut seen = Seen::default();
        for (value, name) in said.lines().filter_map(|it| it.split_once('\t')) {
            if let Some(target) = value.strip_prefix("ref: ") {
                if name == REMOTE_HEAD {
                    seen.head = Some(target.to_owned());
                }
            // What a tag points at comes along with it.
            } else if !name.ends_with("^{}") && (name == REMOTE_HEAD || is_ref(name)) {
                seen.refs.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(seen)
    }

    /// Has the clone have all that is wanted of what was seen.
    async fn fetch(
        &self,
        dir: &Path,
        wanted: &BTreeSet<String>,
        seen: &Seen,
    ) -> Result<(), PollError> {
        let ask = [
            "for-each-ref",
            "--format=%(refname) %(objectname)",
            "refs/autobot/",
        ];
        let said = self.git(dir, &ask).await?;
        let kept: BTreeMap<&str, &str> = said.lines().filter_map(|it| it.split_once(' ')).collect();
        let is_wanted = |name: &str| wanted.iter().any(|it| fits(it, name));
        let usual = format!("{HEADS}{USUAL_BRANCH}");
        let wants_head = wanted.contains(REMOTE_HEAD) && !seen.refs.contains_key(&usual);
        let mut refspecs = Vec::new();
        for (name, revision) in &seen.refs {
            // The remote's own branch is fetched as what it is.
            let name = match (name.as_str(), &seen.head) {
                (REMOTE_HEAD, Some(target)) if wants_head => target,
                (REMOTE_HEAD, _) => continue,
                (name, _) if is_wanted(name) => name,
                _ => continue,
            };
            let keep = kept_as(name);
            if kept.get(keep.as_str()) != Some(&revision.as_str()) {
                refspecs.push(format!("+{name}:{keep}"));
            }
        }
        for refspecs in refspecs.chunks(REFS_AT_ONCE) {
            // Without clearing up: what a rewritten branch left behind is still
            // needed to tell what is new.
            let mut fetch = vec![
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-auto-maintenance",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--",
                &self.url,
            ];
            fetch.extend(refspecs.iter().map(String::as_str));
            self.git(dir, &fetch).await?;
        }
        Ok(())
    }

    /// The commit that a ref is at in the clone; `None` if it is at something else.
    async fn commit(&self, dir: &Path, name: &str) -> Result<Option<String>, PollError> {
        let kept = kept_as(name);
        let commit = format!("{kept}^{{commit}}");
        let ask = ["rev-parse", "--verify", "--quiet", &commit];
        match self.git(dir, &ask).await {
            Ok(said) => Ok(Some(said.trim().to_owned())),
            Err(error) => match self.git(dir, &["cat-file", "-t", &kept]).await {
                // A tag may name a file, or a directory.
                Ok(kind) if kind.trim() == "tag" => self.of_tag(dir, &kept, error).await,
                Ok(kind) if kind.trim() != "commit" => Ok(None),
                Ok(_) | Err(_) => Err(error),
            },
        }
    }

    /// Whether what could not be a commit is a tag of something else.
    async fn of_tag(
        &self,
        dir: &Path,
        kept: &str,
        error: PollError,
    ) -> Result<Option<String>, PollError> {
        let peeled = format!("{kept}^{{}}");
        match self.git(dir, &["cat-file", "-t", &peeled]).await {
            Ok(kind) if kind.trim() != "commit" => Ok(None),
            Ok(_) | Err(_) => Err(error),
        }
    }

    /// Lets go what is kept of a ref that is no more.
    pub(super) async fn forget(&self, dir: &Path, name: &str) -> Result<(), PollError> {
        if dir.join("HEAD").exists() {
            let kept = kept_as(name);
            self.git(dir, &["update-ref", "-d", &kept]).await?;
        }
        Ok(())
    }

    fn no_branch(&self) -> PollError {
        let name = self.branch.as_deref().or(self.name.as_deref());
        PollError::NoBranch {
            url: self.url.clone(),
            branch: name.unwrap_or(USUAL_BRANCH).to_owned(),
        }
    }
}

/// What the remote is asked for a name or a pattern: its patterns are not ours.
fn asked(pattern: &str) -> String {
    match pattern.find(['*', '?', '[']) {
        Some(at) => format!("{}*", &pattern[..at]),
        None => pattern.to_owned(),
    }
}

/// Whether a full name of a ref is what is asked for.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match Glob::is_one(pattern) {
        true => Glob::new(pattern).matches(name),
        false => pattern == name,
    }
}

impl Mirror for GitMirror {
    const VCS: &'static str = "git";

    /// Refuses what cannot be the name of a ref.
    fn check(&self) -> Result<(), PollError> {
        match &self.name {
            Some(name) if !is_ref(name) => Err(PollError::Refused {
                what: "branch",
                value: self.branch.clone().unwrap_or_default(),
                why: "git knows no such names",
            }),
            _ => Ok(()),
        }
    }

    fn wants(&self) -> BTreeSet<String> {
        self.wants.clone()
    }

    async fn look(&self, dir: &Path, wanted: &BTreeSet<String>) -> Result<Seen, PollError> {
        let seen = self.ask(dir, wanted).await?;
        let Some(revision) = seen.refs.values().next() else {
            return Ok(seen); // An empty repository says nothing of what it will be.
        };
        if !dir.join("HEAD").exists() {
            let format = match revision.len() {
                64 => "--object-format=sha256",
                _ => "--object-format=sha1",
            };
            let init = ["init", "--quiet", "--bare", "--template=", format, "."];
            let made = self.git.run(dir, &init).await;
            made.map_err(|source| clone_error(dir, source))?;
        }
        self.fetch(dir, wanted, &seen).await?;
        Ok(seen)
    }

    async fn tips(&self, dir: &Path, seen: &Seen) -> Result<Tips, PollError> {
        let usual = format!("{HEADS}{USUAL_BRANCH}");
        let (name, branch) = match &self.name {
            Some(name) => (name.as_str(), self.branch.clone()),
            None if seen.refs.contains_key(&usual) => {
                (usual.as_str(), Some(USUAL_BRANCH.to_owned()))
            }
            // Nobody named a branch and there is no `master`: what the remote itself
            // checks out is its default branch, and that is what `None` means.
            None => match &seen.head {
                Some(target) if seen.refs.contains_key(REMOTE_HEAD) => (target.as_str(), None),
                _ => return Err(self.no_branch()),
            },
        };
        if self.name.is_some() && !seen.refs.contains_key(name) {
            return Err(self.no_branch());
        }
        let Some(revision) = self.commit(dir, name).await? else {
            return Err(self.no_branch());
        };
        Ok(Tips {
            heads: vec![revision],
            branch,
        })
    }

    async fn known(&self, dir: &Path, revisions: &[String]) -> Result<Vec<String>, PollError> {
        let mut known = Vec::new();
        for revision in revisions {
            match self.git(dir, &["cat-file", "-e", revision]).await {
                Ok(_) => known.push(revision.clone()),
                // Any other failure is no word about the revision.
                Err(PollError::Clone { source, .. }) if source.is_silent_refusal() => {}
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
        // The newest says who they all are.
        let newest = revisions.last().map_or("HEAD", |it| it.id.as_str());
        let mailmap = format!("mailmap.blob={newest}:.mailmap");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_takes_for_no_ref_is_none() {
        for name in [
            "refs/heads/main",
            "refs/heads/a/b",
            "refs/heads/-x",
            "refs/heads/ü",
            "refs/x/@",
        ] {
            assert!(is_ref(name), "{name}");
        }
        for name in [
            "",
            "refs/heads/",
            "refs//x",
            "/x",
            "refs/heads/a b",
            "a:b",
            "a*",
            "a?",
            "a[",
            "a\\b",
            "^a",
            "a~1",
            "a..b",
            "a@{1}",
            "a.",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a\nb",
            "a\x7f",
        ] {
            assert!(!is_ref(name), "{name:?}");
        }
    }

    #[test]
    fn the_remote_is_asked_for_no_more_than_what_can_fit() {
        assert_eq!(asked("refs/heads/main"), "refs/heads/main");
        assert_eq!(asked("refs/heads/release/*"), "refs/heads/release/*");
        assert_eq!(asked("refs/pull/*/head"), "refs/pull/*");
        assert_eq!(asked("refs/tags/v?.[0]"), "refs/tags/v*");
        assert!(fits("refs/pull/*/head", "refs/pull/7/head"));
        assert!(!fits("refs/pull/*/head", "refs/pull/7/merge"));
    }
}
