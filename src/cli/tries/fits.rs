//! Whether a patch that was made elsewhere fits to the revision that it is for, and whether a
//! build would lay it over its tree at all: found out before anything is sent.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use super::draft::Draft;
use super::vc::Tree;
use super::vc::Vc;
use crate::cli::exit::Failure;
use crate::steps;

/// Refuses a patch that no build would use.
pub(super) fn is_a_patch(patch: &[u8], level: u32) -> Result<(), Failure> {
    if patch.trim_ascii().is_empty() {
        return Ok(());
    }
    steps::check_patch(patch, level)
        .map_err(|why| Failure::new(format!("no build would use this patch: {why}")))
}

/// Refuses a patch that does not fit to a revision, as far as the tree knows that.
pub(super) fn fits(
    vc: &dyn Vc,
    tree: &Tree,
    revision: &str,
    level: u32,
    patch: &[u8],
) -> Result<(), Failure> {
    if patch.trim_ascii().is_empty() {
        return Ok(());
    }
    if let Some(checked) = vc.refuses(tree, revision, level, patch) {
        return checked;
    }
    // The files that it is about, as they are there.
    let draft = Draft::new()?;
    for name in named(&String::from_utf8_lossy(patch), level) {
        let Some(side) = vc.content(tree, revision, &name)? else {
            continue;
        };
        let place = draft.path(&name);
        let written = place
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&place, &side.bytes));
        written.map_err(|error| {
            Failure::because(format!("failed to write `{}`", place.display()), &error)
        })?;
    }
    let level = format!("-p{level}");
    let by_git = [
        "git",
        "--git-dir=/dev/null",
        "apply",
        "--check",
        &level,
        "-",
    ];
    let by_patch = [
        "patch",
        &level,
        "--dry-run",
        "--force",
        "--forward",
        "--unified",
    ];
    let argv: &[&str] = match steps::needs_git(patch) {
        true => &by_git,
        false => &by_patch,
    };
    let scratch = Tree {
        top: draft.dir().to_owned(),
    };
    let said = scratch.ask_with(argv, &[], Some(patch))?;
    match said.is_good {
        true => Ok(()),
        false => Err(refused(
            revision,
            &format!("{}{}", said.text(), said.stderr),
        )),
    }
}

/// A patch that does not fit, and what was said of it.
pub(super) fn refused(revision: &str, said: &str) -> Failure {
    let revision = match revision.contains('\n') {
        // A context is as long as the history.
        true => "its base".to_owned(),
        false => format!("`{revision}`"),
    };
    let what = format!("the patch does not apply to {revision}, so nothing was sent");
    Failure::because(what, &io::Error::other(said.trim().to_owned()))
        .hint("`--baserev` is the revision that it was made for, and `--patchlevel` how many leading parts its names have too many")
}

/// The files that a diff names, without the parts that are taken off.
fn named(diff: &str, level: u32) -> BTreeSet<PathBuf> {
    const LEADS: [&str; 6] = [
        "--- ",
        "+++ ",
        "rename from ",
        "rename to ",
        "copy from ",
        "copy to ",
    ];
    let level = usize::try_from(level).unwrap_or(usize::MAX);
    let mut names = BTreeSet::new();
    for line in diff.lines() {
        let found = LEADS
            .iter()
            .find_map(|it| Some((it, line.strip_prefix(it)?)));
        let Some((lead, name)) = found else { continue };
        let name = name
            .split('\t')
            .next()
            .unwrap_or_default()
            .trim_matches('"');
        // These have nothing in front.
        let level = match lead.starts_with(['-', '+']) {
            true => level,
            false => level.saturating_sub(1),
        };
        let parts: PathBuf = Path::new(name).components().skip(level).collect();
        let is_inside = parts
            .components()
            .all(|it| matches!(it, Component::Normal(_)));
        if is_inside && name != "/dev/null" && !parts.as_os_str().is_empty() {
            names.insert(parts);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_diff_are_named_and_nothing_outside() {
        let diff = "--- a/src/a b.c\t2012\n+++ b/src/a b.c\t2012\n@@ -1 +1 @@\n--- no\n+++ ../up\n\
                    --- /dev/null\n+++ b/../x\n+++ /etc/passwd\nrename from r\nrename to d/s\n";
        let names: Vec<_> = named(diff, 1).into_iter().collect();
        assert_eq!(
            names,
            ["d/s", "etc/passwd", "r", "src/a b.c", "up"].map(PathBuf::from)
        );
        assert!(named("--- /etc/passwd\n+++ ../x\n", 0).is_empty());
    }

    #[test]
    fn a_patch_that_no_build_would_use_is_refused() {
        assert_eq!(is_a_patch(b"\n", 0), Ok(()));
        let told = is_a_patch(b"hello\n", 0).unwrap_err().text();
        assert_eq!(
            told,
            "no build would use this patch: the patch holds no unified diff, which `diff -u` makes"
        );
    }
}
