//! Git: what is tried is what the branch that is followed does not have.

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::complaint;
use super::nul_ended;
use super::printed;
use crate::cli::exit::Failure;
use crate::cli::tries::draft::Draft;

pub(super) struct Git;

const REMOTES: &str = "refs/remotes/";

impl Vc for Git {
    fn name(&self) -> &'static str {
        "git"
    }

    fn marker(&self) -> Option<&'static str> {
        Some(".git")
    }

    fn level(&self) -> u32 {
        1
    }

    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        if !tree
            .ask(&["git", "rev-parse", "--verify", "--quiet", "HEAD"])?
            .is_good
        {
            return Err(Failure::new("there is no commit in this repository yet")
                .hint("a try is a change of something that the master can get"));
        }
        match branch {
            Some(branch) => of_branch(tree, branch),
            None => match upstream(tree)? {
                Some(reference) => Ok(Base {
                    revision: meeting(tree, &reference)?,
                    branch: Some(in_remote(tree, &reference)?),
                }),
                None => nearest(tree),
            },
        }
    }

    fn diff(&self, tree: &Tree, base: &Base) -> Result<Diff, Failure> {
        let said = tree.must(&[
            "git",
            "-c",
            "core.quotePath=true",
            "diff",
            "--binary",
            "--full-index",
            "--find-renames",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--ignore-submodules=dirty",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            &base.revision,
            "--",
        ])?;
        if let Some(name) = submodule(&said.text()) {
            return Err(Failure::new(format!(
                "the submodule `{name}` is at another commit than in {}, which no patch can carry",
                base.revision
            ))
            .hint("`git submodule update` brings it back; or name a patch with `--diff FILE`"));
        }
        Ok(Diff {
            text: said.stdout,
            left_out: Vec::new(),
        })
    }

    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        let argv = ["git", "ls-files", "--others", "--exclude-standard", "-z"];
        Ok(nul_ended(&tree.must(&argv)?.stdout))
    }

    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let name = format!("{revision}:{}", path.display());
        Ok(printed(tree.ask(&["git", "cat-file", "blob", &name])?))
    }

    fn refuses(
        &self,
        tree: &Tree,
        revision: &str,
        level: u32,
        patch: &[u8],
    ) -> Option<Result<(), Failure>> {
        Some(check(tree, revision, level, patch))
    }
}

/// Lays the patch over an index that nobody uses.
fn check(tree: &Tree, revision: &str, level: u32, patch: &[u8]) -> Result<(), Failure> {
    let draft = Draft::new()?;
    let index = draft.path("index");
    let env = [("GIT_INDEX_FILE", index.as_os_str())];
    let read = ["git", "read-tree", revision];
    let said = tree.ask_with(&read, &env, None)?;
    if !said.is_good {
        return Err(complaint(&read, &said).hint("`git fetch` may bring the revision"));
    }
    let level = format!("-p{level}");
    let apply = ["git", "apply", "--check", "--cached", &level, "-"].map(OsStr::new);
    let said = tree.ask_with(&apply, &env, Some(patch))?;
    match said.is_good {
        true => Ok(()),
        false => Err(super::super::fits::refused(revision, &said.stderr)),
    }
}

/// The branch that is followed, as `refs/remotes/origin/main`; nothing if there is none.
fn upstream(tree: &Tree) -> Result<Option<String>, Failure> {
    let argv = ["git", "rev-parse", "--symbolic-full-name", "@{upstream}"];
    let said = tree.ask(&argv)?;
    let reference = said.text().trim().to_owned();
    Ok(Some(reference).filter(|it| said.is_good && !it.is_empty()))
}

/// The commit that the tree has in common with a branch.
fn meeting(tree: &Tree, reference: &str) -> Result<String, Failure> {
    let said = tree.ask(&["git", "merge-base", "HEAD", reference])?;
    let commit = said.text().trim().to_owned();
    match said.is_good && !commit.is_empty() {
        true => Ok(commit),
        false => Err(Failure::new(format!(
            "this tree has no commit in common with `{reference}`"
        ))
        .hint("`git fetch` may bring more of it; or `--branch B` names another")),
    }
}

/// What was told to be the branch: one of this repository, or of the one that it is from.
fn of_branch(tree: &Tree, branch: &str) -> Result<Base, Failure> {
    for name in [branch.to_owned(), format!("origin/{branch}")] {
        let argv = [
            "git",
            "rev-parse",
            "--symbolic-full-name",
            "--verify",
            "--quiet",
            &name,
        ];
        let said = tree.ask(&argv)?;
        if said.is_good {
            let reference = said.text().trim().to_owned();
            let (reference, branch) = match reference.is_empty() {
                // A commit that is no branch.
                true => (name, branch.to_owned()),
                false => {
                    let branch = in_remote(tree, &reference)?;
                    (reference, branch)
                }
            };
            return Ok(Base {
                revision: meeting(tree, &reference)?,
                branch: Some(branch),
            });
        }
    }
    Err(Failure::new(format!("there is no branch `{branch}` here"))
        .hint("`git branch --all` lists them; `git fetch` may bring it"))
}

/// The newest commit of this tree that another repository is known to have.
fn nearest(tree: &Tree) -> Result<Base, Failure> {
    let list = [
        "git",
        "rev-list",
        "HEAD",
        "--boundary",
        "--not",
        "--remotes",
    ];
    let commits = tree.must(&list)?.text();
    let revision = match first_boundary(&commits) {
        Some(commit) => commit.to_owned(),
        // All that there is is there already, or nobody is known who could have it.
        None => tree
            .must(&["git", "rev-parse", "HEAD"])?
            .text()
            .trim()
            .to_owned(),
    };
    let holders = [
        "git",
        "for-each-ref",
        "--contains",
        &revision,
        "--format=%(symref)%(refname)",
        REMOTES,
    ];
    let holders = tree.must(&holders)?.text();
    let branch = match holder(&holders) {
        Some(reference) => Some(in_remote(tree, reference)?),
        None => None,
    };
    Ok(Base { revision, branch })
}

/// The first commit of a list that is outside of it.
fn first_boundary(commits: &str) -> Option<&str> {
    commits.lines().find_map(|it| it.strip_prefix('-'))
}

/// Of the branches that have a commit the one that is the repository's own, or the first. `HEAD`
/// of another repository is shown with what it stands for in front.
fn holder(references: &str) -> Option<&str> {
    let own = references.lines().find(|it| it.ends_with("/HEAD"));
    let own = own.and_then(|it| {
        let at = it.rfind(REMOTES).filter(|at| *at > 0)?;
        Some(&it[..at])
    });
    own.or_else(|| references.lines().find(|it| !it.ends_with("/HEAD")))
}

/// What a branch is called in the repository that it is from.
fn in_remote(tree: &Tree, reference: &str) -> Result<String, Failure> {
    let Some(name) = reference.strip_prefix(REMOTES) else {
        let name = reference.strip_prefix("refs/heads/");
        return Ok(name.unwrap_or(reference).to_owned());
    };
    let remotes = tree.must(&["git", "remote"])?.text();
    Ok(without_remote(name, &remotes).to_owned())
}

/// `origin/feature/x` without the name of the repository, which may have a slash in it too.
fn without_remote<'a>(name: &'a str, remotes: &str) -> &'a str {
    let of = |remote: &str| name.strip_prefix(remote)?.strip_prefix('/');
    let shortest = remotes.lines().filter_map(of).min_by_key(|it| it.len());
    shortest.unwrap_or(name)
}

/// A submodule of which the commit is changed.
fn submodule(diff: &str) -> Option<&str> {
    let mut name = None;
    for line in diff.lines() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            name = names.split(" b/").last();
        }
        let is_one = line.starts_with("index ") && line.ends_with(" 160000")
            || line == "new file mode 160000"
            || line == "deleted file mode 160000";
        if is_one {
            return name;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_loses_the_name_of_its_repository_and_nothing_else() {
        let remotes = "origin\nann/fork\nann\n";
        for (name, branch) in [
            ("origin/main", "main"),
            ("origin/feature/x", "feature/x"),
            ("ann/fork/x", "x"),
            ("ann/y", "y"),
            ("other/main", "other/main"),
        ] {
            assert_eq!(without_remote(name, remotes), branch);
        }
    }

    #[test]
    fn the_nearest_commit_that_others_have_is_at_the_boundary() {
        assert_eq!(first_boundary("aaa\nbbb\n-ccc\n-ddd\n"), Some("ccc"));
        assert_eq!(first_boundary("aaa\n"), None);
    }

    #[test]
    fn the_branch_of_a_commit_is_the_one_that_the_repository_calls_its_own() {
        let all = "refs/remotes/origin/a\nrefs/remotes/origin/mainrefs/remotes/origin/HEAD\n\
                   refs/remotes/origin/main\n";
        assert_eq!(holder(all), Some("refs/remotes/origin/main"));
        assert_eq!(
            holder("refs/remotes/origin/a\nrefs/remotes/origin/b\n"),
            Some("refs/remotes/origin/a")
        );
        assert_eq!(holder(""), None);
    }

    #[test]
    fn a_submodule_is_seen_in_a_diff() {
        let diff = "diff --git a/x b/x\nindex 1..2 100644\n-a\n+b\n\
                    diff --git a/lib b/lib\nindex 1..2 160000\n";
        assert_eq!(submodule(diff), Some("lib"));
        assert_eq!(submodule("diff --git a/x b/x\nindex 1..2 100644\n"), None);
    }
}
