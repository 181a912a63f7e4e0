//! Version control as a try sees it: what a tree was made from, and what was changed in it since.
//! A kind is one file and one row of [`KINDS`].

mod bazaar;
mod concurrent;
mod darcs;
mod git;
mod mercurial;
mod monotone;
mod perforce;
mod subversion;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use super::part::Mode;
use super::part::Side;
use super::part::part;
use crate::cli::exit::Failure;
use crate::process::run_beside;

/// All that are known, the usual ones first.
pub(super) const KINDS: [&dyn Vc; 8] = [
    &git::Git,
    &mercurial::Mercurial,
    &subversion::Subversion,
    &bazaar::Bazaar,
    &darcs::Darcs,
    &monotone::Monotone,
    &concurrent::Cvs,
    &perforce::Perforce,
];

/// What a try asks of version control.
pub(super) trait Vc: Sync {
    /// As the option has it.
    fn name(&self) -> &'static str;

    /// What lies at the top of a tree of it.
    fn marker(&self) -> Option<&'static str>;

    /// How many leading parts its diffs have too many.
    fn level(&self) -> u32;

    /// What the tree was made from, as far as others have it.
    fn base(&self, tree: &Tree, branch: Option<&str>) -> Result<Base, Failure>;

    /// What was changed since.
    fn diff(&self, tree: &Tree, base: &Base) -> Result<Diff, Failure>;

    /// Files that it does not know and was not told to ignore; directories stand for all in them.
    fn unknown(&self, tree: &Tree) -> Result<Vec<PathBuf>, Failure>;

    /// A file as it is in a revision; `None` if it is not there.
    fn content(&self, tree: &Tree, revision: &str, path: &Path) -> Result<Option<Side>, Failure>;

    /// Says why a patch does not fit to a revision. `None`: compare [`Vc::content`].
    fn refuses(
        &self,
        _tree: &Tree,
        _revision: &str,
        _level: u32,
        _patch: &[u8],
    ) -> Option<Result<(), Failure>> {
        None
    }
}

/// What is tried is a change of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) revision: String,
    /// As the master's side calls it, if that is another than the repository's own.
    pub(super) branch: Option<String>,
}

/// A diff, and the files that it says nothing of though they were changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Diff {
    pub(super) text: Vec<u8>,
    pub(super) left_out: Vec<PathBuf>,
}

/// A tree that is worked in.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) top: PathBuf,
}

/// What a program said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) is_good: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Said {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Tree {
    /// Runs a program at the top of the tree.
    pub(super) fn ask<S: AsRef<OsStr>>(&self, argv: &[S]) -> Result<Said, Failure> {
        self.ask_with(argv, &[], None)
    }

    pub(super) fn ask_with<S: AsRef<OsStr>>(
        &self,
        argv: &[S],
        env: &[(&str, &OsStr)],
        input: Option<&[u8]>,
    ) -> Result<Said, Failure> {
        let plain = OsStr::new("C");
        let mut all = vec![("LC_ALL", plain), ("HGPLAIN", OsStr::new("1"))];
        all.extend_from_slice(env);
        let program = argv.first().map(AsRef::as_ref).unwrap_or_default();
        let program = program.to_string_lossy();
        let said =
            run_beside(argv, &all, &self.top, input).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound if self.top.is_dir() => {
                    Failure::new(format!("program `{program}` is not found"))
                        .hint("install it, or name a patch with `--diff FILE`")
                }
                _ => Failure::because(format!("failed to run `{program}`"), &error),
            })?;
        Ok(Said {
            is_good: said.status.success(),
            stdout: said.stdout,
            stderr: String::from_utf8_lossy(&said.stderr).into_owned(),
        })
    }

    /// The same of a program that is to succeed.
    pub(super) fn must<S: AsRef<OsStr>>(&self, argv: &[S]) -> Result<Said, Failure> {
        let said = self.ask(argv)?;
        match said.is_good {
            true => Ok(said),
            false => Err(complaint(argv, &said)),
        }
    }

    /// A file of the tree as it is now; `None` if it is not there, or no file.
    pub(super) fn now(&self, path: &Path) -> Result<Option<Side>, Failure> {
        let place = self.top.join(path);
        let failed = |error: &io::Error| {
            Failure::because(format!("failed to read `{}`", place.display()), error)
        };
        let found = match fs::symlink_metadata(&place) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if found.is_symlink() {
            let target = fs::read_link(&place).map_err(|error| failed(&error))?;
            return Ok(Some(Side {
                mode: Mode::Link,
                bytes: target.as_os_str().as_bytes().to_vec(),
            }));
        }
        if !found.is_file() {
            return Ok(None);
        }
        let mode = match found.permissions().mode() & 0o100 {
            0 => Mode::Plain,
            _ => Mode::Program,
        };
        let bytes = fs::read(&place).map_err(|error| failed(&error))?;
        Ok(Some(Side { mode, bytes }))
    }

    /// All files at or below these places, relative to the top.
    pub(super) fn files(&self, places: Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        let mut left = places;
        while let Some(path) = left.pop() {
            let place = self.top.join(&path);
            let is_dir = fs::symlink_metadata(&place).is_ok_and(|it| it.is_dir());
            if !is_dir {
                files.push(path);
                continue;
            }
            let entries = fs::read_dir(&place).map_err(|error| {
                Failure::because(format!("failed to read `{}`", place.display()), &error)
            })?;
            left.extend(entries.flatten().map(|it| path.join(it.file_name())));
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// What a program has against what it was asked.
pub(super) fn complaint<S: AsRef<OsStr>>(argv: &[S], said: &Said) -> Failure {
    let words: Vec<_> = argv
        .iter()
        .map(|it| it.as_ref().to_string_lossy())
        .collect();
    let why = said.stderr.trim();
    let why = if why.is_empty() {
        "it says nothing"
    } else {
        why
    };
    Failure::because(
        format!("`{}` failed", words.join(" ")),
        &io::Error::other(why.to_owned()),
    )
}

/// What was changed in a tree since its base: what its version control says of it, and what that
/// cannot say.
pub(super) fn changes(vc: &dyn Vc, tree: &Tree, base: &Base) -> Result<Vec<u8>, Failure> {
    let diff = vc.diff(tree, base)?;
    let mut patch = diff.text;
    let mut left_out = diff.left_out;
    left_out.sort();
    left_out.dedup();
    for path in left_out {
        let old = vc.content(tree, &base.revision, &path)?;
        let new = tree.now(&path)?;
        // Not every program knows what may be run.
        let old = match (old, &new) {
            (Some(old), Some(new)) if new.mode == Mode::Program => Some(Side {
                mode: new.mode,
                ..old
            }),
            (old, _) => old,
        };
        append(
            &mut patch,
            &part(&path, vc.level(), old.as_ref(), new.as_ref()),
        );
    }
    Ok(patch)
}

/// Puts a part behind a patch.
pub(super) fn append(patch: &mut Vec<u8>, part: &[u8]) {
    if !part.is_empty() && !patch.is_empty() && !patch.ends_with(b"\n") {
        patch.push(b'\n');
    }
    patch.extend_from_slice(part);
}

/// What a diff says of a file, and how that file is called in the line in front.
struct Section<'a> {
    head: &'a str,
    text: &'a [u8],
}

/// Takes a diff apart where lines with this beginning are. What stands before the first is left
/// out.
fn sections<'a>(diff: &'a [u8], begins: &str) -> Vec<Section<'a>> {
    let mut starts = Vec::new();
    let mut at = 0;
    let mut left = 0;
    for line in diff.split_inclusive(|it| *it == b'\n') {
        // Within a hunk everything is text.
        match left {
            0 => {
                if line.starts_with(begins.as_bytes()) {
                    starts.push(at);
                }
                left = lines_of_hunk(line);
            }
            _ => left -= weight(line).min(left),
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([diff.len()]);
    let ranges = starts.iter().zip(ends);
    ranges
        .map(|(start, end)| {
            let text = &diff[*start..end];
            let line = text.split(|it| *it == b'\n').next().unwrap_or_default();
            let head = str::from_utf8(line).unwrap_or_default();
            Section {
                head: head
                    .strip_prefix(begins)
                    .unwrap_or_default()
                    .trim_end_matches('\r'),
                text,
            }
        })
        .collect()
}

/// Takes what a diff says of files behind `Index: NAME`. Parts without a line that is changed are
/// of files that are no text, or empty.
fn indexed(diff: &[u8]) -> Diff {
    let mut split = Diff::default();
    for section in sections(diff, "Index: ") {
        match has_hunk(section.text) {
            true => split.text.extend(section.text),
            false => split.left_out.push(section.head.into()),
        }
    }
    split
}

/// How many lines of the old and of the new file a hunk has that begins with this line.
fn lines_of_hunk(line: &[u8]) -> usize {
    let Some(ranges) = str::from_utf8(line)
        .ok()
        .and_then(|it| it.strip_prefix("@@ -")?.split_once(" @@"))
    else {
        return 0;
    };
    let length = |range: &str| match range.split_once(',') {
        Some((_, length)) => length.parse().unwrap_or(0),
        None => 1,
    };
    ranges
        .0
        .split_once(" +")
        .map_or(0, |(old, new)| length(old) + length(new))
}

/// How many of them a line is.
fn weight(line: &[u8]) -> usize {
    match line.first() {
        Some(b'\\') => 0,
        Some(b'-' | b'+') => 1,
        _ => 2,
    }
}

/// Whether a section changes lines.
fn has_hunk(text: &[u8]) -> bool {
    text.windows(5).any(|it| it == b"\n@@ -")
}

/// A path from bytes as a program prints them.
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Paths that end with NUL each.
fn nul_ended(bytes: &[u8]) -> Vec<PathBuf> {
    let names = bytes.split(|it| *it == 0).filter(|it| !it.is_empty());
    names.map(path_of).collect()
}

/// The file that a program prints when it is asked for one of a revision.
fn printed(said: Said) -> Option<Side> {
    said.is_good.then_some(Side {
        mode: Mode::Plain,
        bytes: said.stdout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_taken_apart_between_its_hunks_and_not_in_them() {
        let diff = b"? junk\nIndex: a b\n===\n--- a b\n+++ a b\n@@ -1,2 +1,2 @@\n-Index: no\n+x\n \
                     same\n\\ No newline at end of file\nIndex: bin\n===\nCannot display\n";
        let found = sections(diff, "Index: ");
        let heads: Vec<_> = found.iter().map(|it| it.head).collect();
        assert_eq!(heads, ["a b", "bin"]);
        assert!(has_hunk(found[0].text) && !has_hunk(found[1].text));
        assert_eq!(found[1].text, b"Index: bin\n===\nCannot display\n");
        assert!(sections(b"nothing\n", "Index: ").is_empty());
    }

    #[test]
    fn names_are_unique_and_each_has_its_marker() {
        let mut names: Vec<_> = KINDS.iter().map(|it| it.name()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["bzr", "cvs", "darcs", "git", "hg", "mtn", "p4", "svn"]
        );
        let without: Vec<_> = KINDS.iter().filter(|it| it.marker().is_none()).collect();
        assert_eq!(without.len(), 1);
        assert_eq!(without[0].name(), "p4");
    }

    #[test]
    fn files_below_a_place_are_found_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree {
            top: dir.path().to_owned(),
        };
        fs::create_dir_all(dir.path().join("d/e")).unwrap();
        for name in ["d/x", "d/e/y", "z"] {
            fs::write(dir.path().join(name), "1").unwrap();
        }
        std::os::unix::fs::symlink("..", dir.path().join("d/up")).unwrap();
        let found = tree.files(vec!["d".into(), "z".into()]).unwrap();
        let expected = ["d/e/y", "d/up", "d/x", "z"].map(PathBuf::from);
        assert_eq!(found, expected);
        let link = tree.now(Path::new("d/up")).unwrap().unwrap();
        assert_eq!((link.mode, link.bytes.as_slice()), (Mode::Link, &b".."[..]));
        assert_eq!(tree.now(Path::new("d")), Ok(None));
        assert_eq!(tree.now(Path::new("none")), Ok(None));
    }
}
