//! The demo's project: C sources in a git repository of their own, and the
//! two changes to them.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::cli::exit::Failure;

/// The branch that is followed.
pub(super) const BRANCH: &str = "main";

/// Relative path and content.
type File = (&'static str, &'static str);

/// A commit to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) comment: &'static str,
    files: &'static [File],
}

const FIRST: Change = Change {
    comment: "Count the words of a text",
    files: &[
        ("README", include_str!("../../../share/demo/project/README")),
        (
            "configure",
            include_str!("../../../share/demo/project/configure"),
        ),
        (
            "Makefile.in",
            include_str!("../../../share/demo/project/Makefile.in"),
        ),
        (
            "src/words.h",
            include_str!("../../../share/demo/project/src/words.h"),
        ),
        (
            "src/words.c",
            include_str!("../../../share/demo/project/src/words.c"),
        ),
        (
            "src/main.c",
            include_str!("../../../share/demo/project/src/main.c"),
        ),
        (
            "tests/check_words.c",
            include_str!("../../../share/demo/project/tests/check_words.c"),
        ),
    ],
};

/// It passes.
pub(super) const GREEN: Change = Change {
    comment: "Find the longest word",
    files: &[
        (
            "src/words.h",
            include_str!("../../../share/demo/green/src/words.h"),
        ),
        (
            "src/words.c",
            include_str!("../../../share/demo/green/src/words.c"),
        ),
        (
            "tests/check_words.c",
            include_str!("../../../share/demo/green/tests/check_words.c"),
        ),
    ],
};

/// It breaks a test.
pub(super) const RED: Change = Change {
    comment: "Count words faster",
    files: &[(
        "src/words.c",
        include_str!("../../../share/demo/red/src/words.c"),
    )],
};

/// Refuses early if a program is missing that the demo cannot do without.
pub(super) fn look_for_programs() -> Result<(), Failure> {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let compilers = ["cc", "gcc", "clang"];
    let mut missing: Vec<&str> = ["git", "make", "sed"]
        .into_iter()
        .filter(|program| !has(program))
        .collect();
    if !compilers.iter().any(|program| has(program)) {
        missing.push("a C compiler");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("the demo's project needs {}", missing.join(", "));
    Err(Failure::new(what).hint("on Debian: apt-get install git make gcc libc6-dev"))
}

/// The project's repository, with a tree to work in.
#[derive(Debug)]
pub(super) struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// Makes it, with a first commit in it.
    pub(super) fn create(dir: PathBuf) -> Result<Self, Failure> {
        let repository = Self { dir };
        let failed = |error| {
            Failure::because(
                format!("failed to make `{}`", repository.dir.display()),
                &error,
            )
        };
        fs::create_dir(&repository.dir).map_err(failed)?;
        repository.git(&["init", "--quiet"])?;
        repository.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{BRANCH}")])?;
        repository.commit(&FIRST)?;
        Ok(repository)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Commits a change and returns its revision.
    pub(super) fn commit(&self, change: &Change) -> Result<String, Failure> {
        for (name, text) in change.files {
            let path = self.dir.join(name);
            write(&path, text).map_err(|error| {
                Failure::because(format!("failed to write `{}`", path.display()), &error)
            })?;
        }
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", change.comment])?;
        let revision = self.git(&["rev-parse", "HEAD"])?;
        if revision.len() < 40 {
            return Err(Failure::new(format!("git says that HEAD is `{revision}`")));
        }
        Ok(revision)
    }

    /// Runs git on this repository alone, whatever the person's own settings are.
    #[expect(
        clippy::disallowed_methods,
        reason = "the demo plays the person who commits; no build depends on it"
    )]
    fn git(&self, args: &[&str]) -> Result<String, Failure> {
        let doing = || format!("failed to run `git {}`", args.join(" "));
        let output = Command::new("git")
            .args(args)
            .current_dir(&self.dir)
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", "Ines Demo")
            .env("GIT_AUTHOR_EMAIL", "ines@example.org")
            .env("GIT_COMMITTER_NAME", "Ines Demo")
            .env("GIT_COMMITTER_EMAIL", "ines@example.org")
            .output()
            .map_err(|error| Failure::because(doing(), &error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("{}: {}", doing(), said.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, text)?;
    if text.starts_with("#!") {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "the test builds as a slave would"
    )]
    fn check(dir: &Path) -> (bool, String) {
        let output = Command::new("sh")
            .args(["-c", "./configure && make && make check"])
            .current_dir(dir)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said)
    }

    #[test]
    fn one_change_passes_and_the_other_breaks_one_test() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::create(dir.path().join("words")).unwrap();

        let first = repository.git(&["rev-parse", BRANCH]).unwrap();
        let green = repository.commit(&GREEN).unwrap();
        assert_ne!(first, green);
        let (passed, said) = check(repository.dir());
        assert!(passed && !said.contains("FAIL"), "{said}");

        repository.git(&["clean", "-fdxq"]).unwrap();
        repository.commit(&RED).unwrap();
        let (passed, said) = check(repository.dir());
        assert!(!passed, "{said}");
        assert_eq!(said.matches("FAIL: ").count(), 1, "{said}");
    }
}
