//! Perforce: what is tried is what is open in the client's tree.

use std::path::Path;
use std::path::PathBuf;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::printed;
use crate::cli::exit::Failure;

pub(super) struct Perforce;

impl Vc for Perforce {
    fn name(&self) -> &'static str {
        "p4"
    }

    fn marker(&self) -> Option<&'static str> {
        None
    }

    fn level(&self) -> u32 {
        0
    }

    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        let Some(branch) = branch else {
            return Err(Failure::usage("a try with Perforce needs `--branch`")
                .hint("the part of //depot/BRANCH/FILE that stands for the branch"));
        };
        let said = tree.must(&["p4", "changes", "-m1", "..."])?;
        Ok(Base {
            revision: change(&said.text())?,
            branch: Some(branch.to_owned()),
        })
    }

    fn diff(&self, tree: &Tree, base: &Base) -> Result<Diff, Failure> {
        let said = tree.must(&["p4", "diff", "-du"])?;
        let branch = base.branch.as_deref().unwrap_or_default();
        Ok(Diff {
            text: with_names(&said.stdout, branch)?,
            left_out: Vec::new(),
        })
    }

    /// Whoever adds a file opens it.
    fn unknown(&self, _tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        Ok(Vec::new())
    }

    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let path = format!("{}@{revision}", path.display());
        Ok(printed(tree.ask(&["p4", "print", "-q", &path])?))
    }
}

/// The number in `Change 812 on …`.
fn change(said: &str) -> Result<String, Failure> {
    let number = said
        .strip_prefix("Change ")
        .and_then(|it| it.split(' ').next());
    number
        .filter(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("`p4 changes -m1 ...` names no change"))
}

/// A diff with names in it: `==== //depot/BRANCH/FILE#N - …` stands for two lines.
fn with_names(diff: &[u8], branch: &str) -> Result<Vec<u8>, Failure> {
    let mut named = Vec::new();
    let mut count = 0;
    for line in diff.split_inclusive(|it| *it == b'\n') {
        let text = str::from_utf8(line).ok();
        let file = text.and_then(|it| file_of(it, branch));
        match file {
            Some((file, number)) => {
                count += 1;
                named.extend(format!("--- {file}#{number}\n+++ {file}\n").bytes());
            }
            None => named.extend(line),
        }
    }
    match count == 0 && !diff.trim_ascii().is_empty() {
        true => Err(Failure::new(format!(
            "`p4 diff -du` names no file of the branch `{branch}`"
        ))
        .hint("`--branch` is the part of //depot/BRANCH/FILE between the depot and the file")),
        false => Ok(named),
    }
}

/// The file below the branch, and its number.
fn file_of<'a>(line: &'a str, branch: &str) -> Option<(&'a str, &'a str)> {
    let rest = line.strip_prefix("==== //")?;
    let (file, rest) = rest.split_once('#')?;
    let number = rest.split(' ').next()?;
    let (_, file) = file.split_once('/')?;
    let file = file.strip_prefix(branch.trim_matches('/'))?;
    Some((file.strip_prefix('/')?, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_change_has_a_number() {
        let said = "Change 812 on 2012/01/02 by ines@otter 'reword'\n";
        assert_eq!(change(said), Ok("812".to_owned()));
        assert!(change("no such area\n").is_err());
    }

    #[test]
    fn a_diff_names_files_below_the_branch() {
        let diff =
            "==== //depot/trunk/src/a b.c#3 - /home/ines/src/a b.c ====\n@@ -1 +1 @@\n-x\n+y\n";
        let named = with_names(diff.as_bytes(), "trunk").unwrap();
        assert_eq!(
            String::from_utf8(named).unwrap(),
            "--- src/a b.c#3\n+++ src/a b.c\n@@ -1 +1 @@\n-x\n+y\n"
        );
        let told = with_names(diff.as_bytes(), "stable").unwrap_err().text();
        assert!(
            told.starts_with("`p4 diff -du` names no file of the branch `stable`"),
            "{told}"
        );
        assert_eq!(with_names(b"", "trunk"), Ok(Vec::new()));
    }
}
