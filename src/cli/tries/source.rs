//! What is tried: the patch, and what it is for.

use std::env;
use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use anstream::eprintln;

use super::args::Untracked;
use super::fits;
use super::part::part;
use super::settings::Source;
use super::vc;
use super::vc::Base;
use super::vc::KINDS;
use super::vc::Tree;
use super::vc::Vc;
use crate::cli::exit::Failure;
use crate::cli::terminal;

/// Further up nobody looks for a file that says where the top is.
const DEEPEST: usize = 20;
/// It lies at the top where nothing else does.
const TOP_FILE: &str = ".buildbot-top";
/// So many untracked files are named.
const NAMED: usize = 10;

/// A patch and what it is for.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) branch: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) level: u32,
    pub(super) patch: Vec<u8>,
}

/// Finds out what is tried.
pub(super) fn find(wanted: &Source) -> Result<Found, Failure> {
    let here =
        env::current_dir().map_err(|error| Failure::because("there is no directory", &error))?;
    match &wanted.diff {
        Some((file, level)) => given(wanted, &here, file, *level),
        None => changed(wanted, &here),
    }
}

/// A patch that was made before.
fn given(wanted: &Source, here: &Path, file: &Path, level: u32) -> Result<Found, Failure> {
    let patch = read(file)?;
    fits::is_a_patch(&patch, level)?;
    // Where nobody says what it is for, no tree can tell.
    if let Some(revision) = &wanted.base
        && let Some((vc, top)) = tree_of(wanted, here)?
    {
        fits::fits(vc, &Tree { top }, revision, level, &patch)?;
    }
    Ok(Found {
        branch: wanted.branch.clone(),
        revision: wanted.base.clone(),
        level,
        patch,
    })
}

/// What was changed in the tree that this is in.
fn changed(wanted: &Source, here: &Path) -> Result<Found, Failure> {
    let Some((vc, top)) = tree_of(wanted, here)? else {
        return Err(
            Failure::new("there is no tree of a known version control here or above")
                .hint("`--vc` and `--topdir` name one; `--diff FILE` tries a patch without a tree"),
        );
    };
    let tree = Tree { top };
    let base = match &wanted.base {
        Some(revision) => Base {
            revision: revision.clone(),
            branch: wanted.branch.clone(),
        },
        None => vc.base(&tree, wanted.branch.as_deref())?,
    };
    // Asked before anything takes long.
    let unknown = tree.files(vc.unknown(&tree)?)?;
    let includes = includes(&unknown, wanted.untracked)?;
    let mut patch = vc::changes(vc, &tree, &base)?;
    if includes {
        for path in &unknown {
            let new = tree.now(path)?;
            vc::append(&mut patch, &part(path, vc.level(), None, new.as_ref()));
        }
    }
    fits::is_a_patch(&patch, vc.level())?;
    Ok(Found {
        branch: base.branch,
        revision: Some(base.revision),
        level: vc.level(),
        patch,
    })
}

/// Whether files that are not tracked belong to what is tried.
fn includes(unknown: &[PathBuf], said: Option<Untracked>) -> Result<bool, Failure> {
    if unknown.is_empty() {
        return Ok(false);
    }
    if let Some(said) = said {
        return Ok(said == Untracked::Include);
    }
    let named = listed(unknown);
    if !terminal::somebody_is_there() {
        return Err(
            Failure::new(format!("these files are not tracked: {named}"))
                .hint("`--untracked=include` tries them too, `--untracked=ignore` does not"),
        );
    }
    eprintln!("These files are not tracked: {named}");
    let answer = terminal::ask("Do they belong to what is tried (y/n)")?;
    Ok(answer.starts_with(['y', 'Y']))
}

fn listed(all: &[PathBuf]) -> String {
    let named = all.iter().take(NAMED);
    let mut named: Vec<_> = named
        .map(|it| format!("`{}`", it.display().to_string().escape_debug()))
        .collect();
    if all.len() > NAMED {
        named.push(format!("and {} more", all.len() - NAMED));
    }
    named.join(", ")
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match file.to_str() {
        Some("-") => io::stdin().lock().read_to_end(&mut bytes).map(drop),
        _ => fs::read(file).map(|it| bytes = it),
    };
    read.map_err(|error| Failure::because(format!("failed to read `{}`", file.display()), &error))?;
    Ok(bytes)
}

/// The version control and the top of the tree that this directory is in.
fn tree_of(wanted: &Source, here: &Path) -> Result<Option<(&'static dyn Vc, PathBuf)>, Failure> {
    let named_top = match (&wanted.topdir, &wanted.topfile) {
        (Some(dir), _) => Some(here.join(dir)),
        (None, Some(file)) => Some(with_file(here, file).ok_or_else(|| {
            Failure::new(format!("there is no `{file}` here or in a directory above"))
                .hint("`--topfile` lies at the top of the tree; `--topdir` names the top itself")
        })?),
        (None, None) => None,
    };
    if let Some(top) = &named_top
        && !top.is_dir()
    {
        return Err(Failure::new(format!(
            "there is no directory `{}`",
            top.display()
        )));
    }
    let from = named_top.as_deref().unwrap_or(here);
    let found = match wanted.vc {
        Some(vc) => Some((vc, top_of(vc, from))),
        None => nearest(from),
    };
    Ok(found.map(|(vc, top)| (vc, named_top.unwrap_or(top))))
}

/// The top of a tree of this kind; this directory itself if nothing says otherwise.
fn top_of(vc: &dyn Vc, from: &Path) -> PathBuf {
    let by_marker = vc.marker().and_then(|it| with_marker(from, it));
    let found = by_marker.or_else(|| with_file(from, TOP_FILE));
    found.unwrap_or_else(|| from.to_owned())
}

/// The nearest tree of any kind.
fn nearest(from: &Path) -> Option<(&'static dyn Vc, PathBuf)> {
    from.ancestors().find_map(|dir| {
        KINDS.into_iter().find_map(|vc| {
            let is_here = vc.marker().is_some_and(|it| dir.join(it).exists());
            is_here.then(|| (vc, top_of(vc, dir)))
        })
    })
}

/// The directory with a marker: of those that have one each, as of CVS and old trees of
/// Subversion, the uppermost.
fn with_marker(from: &Path, marker: &str) -> Option<PathBuf> {
    let has = |dir: &&Path| dir.join(marker).exists();
    let lowest = from.ancestors().find(has)?;
    let has_many = matches!(marker, "CVS" | ".svn");
    let top = match has_many {
        true => lowest.ancestors().take_while(has).last()?,
        false => lowest,
    };
    Some(top.to_owned())
}

fn with_file(from: &Path, name: &str) -> Option<PathBuf> {
    let mut above = from.ancestors().take(DEEPEST);
    above.find(|it| it.join(name).exists()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source {
            diff: None,
            base: None,
            vc: None,
            branch: None,
            repository: String::new(),
            project: String::new(),
            topfile: None,
            topdir: None,
            untracked: None,
        }
    }

    #[test]
    fn the_nearest_tree_is_found_and_its_top() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [
            "g/.git",
            "g/a/b",
            "g/s/.svn",
            "g/s/t/.svn",
            "g/c/CVS",
            "g/c/d/CVS",
            "p/q",
        ] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("p/top"), "").unwrap();
        let check = |from: &str, kind: &str, top: &str| {
            let (vc, found) = tree_of(&source(), &at(from)).unwrap().expect(from);
            assert_eq!((vc.name(), found), (kind, at(top)), "{from}");
        };
        check("g/a/b", "git", "g");
        check("g/s/t", "svn", "g/s");
        check("g/c/d", "cvs", "g/c");
        // A kind that is named is looked for over others.
        let git = Source {
            vc: KINDS.into_iter().find(|it| it.name() == "git"),
            ..source()
        };
        assert_eq!(tree_of(&git, &at("g/s/t")).unwrap().unwrap().1, at("g"));
        let topfile = |name: &str| Source {
            vc: KINDS.into_iter().find(|it| it.name() == "p4"),
            topfile: Some(name.to_owned()),
            ..source()
        };
        assert_eq!(
            tree_of(&topfile("top"), &at("p/q")).unwrap().unwrap().1,
            at("p")
        );
        assert!(tree_of(&topfile("none"), &at("p/q")).is_err());
        let topdir = Source {
            topdir: Some("gone".into()),
            ..topfile("top")
        };
        assert!(tree_of(&topdir, &at("p/q")).is_err());
    }

    #[test]
    fn untracked_files_are_never_left_to_chance() {
        let one = [PathBuf::from("a\nb")];
        assert_eq!(includes(&[], None), Ok(false));
        assert_eq!(includes(&one, Some(Untracked::Include)), Ok(true));
        assert_eq!(includes(&one, Some(Untracked::Ignore)), Ok(false));
        let many: Vec<_> = (0..12).map(|it| PathBuf::from(it.to_string())).collect();
        assert!(listed(&many).ends_with("`9`, and 2 more"));
        assert_eq!(listed(&one), "`a\\nb`");
    }
}
