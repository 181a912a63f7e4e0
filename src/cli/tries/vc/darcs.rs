//! Darcs: what is tried is what was not recorded. Its revision is a context: the patches that
//! make up the tree.

use std::path::Path;
use std::path::PathBuf;

use super::Base;
use super::Diff;
use super::Side;
use super::Tree;
use super::Vc;
use super::complaint;
use super::path_of;
use super::printed;
use crate::cli::exit::Failure;

pub(super) struct Darcs;

impl Vc for Darcs {
    fn name(&self) -> &'static str {
        "darcs"
    }

    fn marker(&self) -> Option<&'static str> {
        Some("_darcs")
    }

    fn level(&self) -> u32 {
        1
    }

    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure> {
        Ok(Base {
            revision: tree.must(&["darcs", "changes", "--context"])?.text(),
            branch: branch.map(str::to_owned),
        })
    }

    fn diff(&self, tree: &Tree, _base: &Base) -> Result<Diff, Failure> {
        let argv = ["darcs", "diff", "-u"];
        let said = tree.ask(&argv)?;
        if !said.is_good && said.stdout.is_empty() && !said.stderr.trim().is_empty() {
            return Err(complaint(&argv, &said));
        }
        let mut diff = split(&said.stdout);
        // Files without anything in them are the same to `diff` as none.
        let news = tree.ask(&["darcs", "whatsnew", "--summary"])?;
        let added = listed(&news.stdout, b"A ");
        for path in added {
            if tree.now(&path)?.is_some_and(|it| it.bytes.is_empty()) {
                diff.left_out.push(path);
            }
        }
        Ok(diff)
    }

    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure> {
        // Where nothing is new this is no success.
        let argv = ["darcs", "whatsnew", "--look-for-adds", "--summary"];
        let paths = listed(&tree.ask(&argv)?.stdout, b"a ");
        let is_file = |it: &PathBuf| !tree.top.join(it).is_dir();
        Ok(paths.into_iter().filter(is_file).collect())
    }

    fn content(&self, tree: &Tree, _revision: &str, path: &Path) -> Result<Option<Side>, Failure> {
        let path = path.display().to_string();
        let said = tree.ask(&["darcs", "show", "contents", "--", &path])?;
        Ok(printed(said).filter(|it| !it.bytes.is_empty()))
    }
}

/// The names behind a mark, as `A ./x`.
fn listed(said: &[u8], mark: &[u8]) -> Vec<PathBuf> {
    let lines = said.split(|it| *it == b'\n');
    let named = lines.filter_map(|it| it.strip_prefix(mark)?.strip_prefix(b"./"));
    named
        .map(|it| path_of(it.strip_suffix(b"/").unwrap_or(it)))
        .collect()
}

/// Lines between the parts say of files that are no text that they differ.
fn split(diff: &[u8]) -> Diff {
    let mut split = Diff::default();
    let mut left = 0;
    for line in diff.split_inclusive(|it| *it == b'\n') {
        let is_between = left == 0;
        left = match left {
            0 => super::lines_of_hunk(line),
            _ => left - super::weight(line).min(left),
        };
        match binary(line).filter(|_| is_between) {
            Some(path) => split.left_out.push(path),
            None => split.text.extend(line),
        }
    }
    split
}

/// The file in `Binary files old-tree/x and new-tree/x differ`.
fn binary(line: &[u8]) -> Option<PathBuf> {
    let names = line.trim_ascii_end();
    let names = names
        .strip_prefix(b"Binary files ")?
        .strip_suffix(b" differ")?;
    // Both are as long, whatever is in them.
    let length = names.len().checked_sub(5)? / 2;
    let name = names.get(..length)?;
    let slash = name.iter().position(|it| *it == b'/')?;
    let name = name.get(slash + 1..)?;
    Some(path_of(name.strip_suffix(b"\"").unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_without_a_word_are_left_to_others() {
        let text =
            "diff -rN -u old-d/a new-d/a\n--- old-d/a\t1\n+++ new-d/a\t2\n@@ -1 +1 @@\n-x\n+y\n";
        let diff = format!("Binary files old-d/a b and new-d/a b differ\n{text}");
        let split = split(diff.as_bytes());
        assert_eq!(split.text, text.as_bytes());
        assert_eq!(split.left_out, [Path::new("a b")]);
        // A line of a text that says so is one.
        let line = "@@ -0,0 +1 @@\n+x\n@@ -1 +0,0 @@\n-Binary files old-d/x and new-d/x differ\n";
        assert_eq!(super::split(line.as_bytes()).text, line.as_bytes());
    }

    #[test]
    fn names_stand_behind_their_mark() {
        let said = b" ./d/r -> ./d/s\nM ./a b -1 +1\nA ./none\na ./u/\na ./u/f\n";
        assert_eq!(listed(said, b"A "), [Path::new("none")]);
        assert_eq!(listed(said, b"a "), [Path::new("u"), Path::new("u/f")]);
    }
}
