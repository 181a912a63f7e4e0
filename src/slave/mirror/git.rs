//! A mirror of a git repository: bare, with its branches and tags under their own names.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::say;
use super::wish::Fetched;
use super::words;
use crate::process;

/// What a mirror follows.
const REFS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// Where the repository's first branch is, whichever that is.
const HEAD: &str = "+HEAD:refs/autobot/head";

/// Git does not clear up by itself: that is done when nobody uses the mirror.
const IN_PEACE: [&str; 4] = ["-c", "gc.auto=0", "-c", "maintenance.auto=false"];

fn line<'a>(repository: &'a Path, more: &[&'a str]) -> Vec<&'a OsStr> {
    let mut line = words(&["git"]);
    line.extend(words(&IN_PEACE));
    line.extend([OsStr::new("--git-dir"), repository.as_os_str()]);
    line.extend(words(more));
    line
}

fn does(repository: &Path, more: &[&str]) -> bool {
    process::run_aside(&line(repository, more)).is_ok_and(|it| it.success())
}

fn tells(repository: &Path, more: &[&str]) -> Option<String> {
    process::answer(&line(repository, more))
}

/// How much git says of what it does.
const fn voice(talks: bool) -> &'static str {
    if talks { "--progress" } else { "--quiet" }
}

/// Makes a mirror. Nothing of the URL stays in it.
pub(super) fn build(to: &Path, url: &str, branch: Option<&str>, talks: bool) -> bool {
    let mut clone = words(&["git"]);
    clone.extend(words(&IN_PEACE));
    clone.extend(words(&[
        "clone",
        voice(talks),
        "--bare",
        "--template=",
        url,
    ]));
    clone.push(to.as_os_str());
    let is_cloned = process::run_aside(&clone).is_ok_and(|it| it.success());
    is_cloned
        && does(to, &["config", "--remove-section", "remote.origin"])
        && (branch.and_then(place_of).is_none() || update(to, url, branch, talks) == Fetched::All)
}

/// Where a mirror keeps what is neither a branch nor a tag, such as `refs/changes/1/2/3`: where
/// the repository has it.
fn place_of(branch: &str) -> Option<String> {
    let is_followed = ["refs/heads/", "refs/tags/"]
        .iter()
        .any(|it| branch.starts_with(it));
    let is_elsewhere = branch.starts_with("refs/") && !is_followed;
    is_elsewhere.then(|| format!("+{branch}:{branch}"))
}

pub(super) fn update(repository: &Path, url: &str, branch: Option<&str>, talks: bool) -> Fetched {
    let special = branch.and_then(place_of);
    let special = special.as_deref();
    let fetch = |more: &[Option<&str>]| {
        let mut argv = vec!["fetch", voice(talks), "--prune", "--no-tags", url];
        argv.extend(REFS);
        argv.extend(more.iter().flatten());
        does(repository, &argv)
    };
    if fetch(&[Some(HEAD), special]) {
        turn_head_if_moved(repository, url);
        return Fetched::All;
    }
    if !answers(url) {
        return Fetched::Nobody;
    }
    // It may have no first branch, and not what is looked for.
    say("that is not there; fetches the branches without it");
    let less = special.is_some() && fetch(&[special]);
    match less || fetch(&[]) {
        true => Fetched::All,
        false => Fetched::Nothing,
    }
}

/// Asks which branch is the repository's first, if it cannot be the one that was.
fn turn_head_if_moved(repository: &Path, url: &str) {
    let tips = tells(
        repository,
        &["rev-parse", "--quiet", "HEAD", "refs/autobot/head"],
    );
    let is_there = tips.is_some_and(|it| {
        let mut tips = it.lines();
        tips.next() == tips.next()
    });
    if !is_there {
        turn_head(repository, url);
    }
}

/// Whether what came is in so many pieces that git would pack it by itself.
pub(super) fn is_untidy(repository: &Path) -> bool {
    let count = |dir: &str| fs::read_dir(repository.join(dir)).map_or(0, Iterator::count);
    // A pack has an index. Of the objects outside of packs, one in 256 is in this directory.
    count("objects/pack") > 2 * 50 || count("objects/17") > 6700 / 256
}

pub(super) fn tidy(repository: &Path) -> bool {
    does(repository, &["gc", "--quiet"])
}

fn answers(url: &str) -> bool {
    process::answer(&words(&["git", "ls-remote", "--quiet", url, "HEAD"])).is_some()
}

/// Whether all of it is there and as it should be.
pub(super) fn is_whole(repository: &Path) -> bool {
    does(
        repository,
        &["fsck", "--full", "--no-dangling", "--progress"],
    )
}

/// The names under which git looks for a branch.
fn names(branch: &str) -> Vec<String> {
    match branch.starts_with("refs/") {
        true => vec![branch.to_owned()],
        false => vec![
            format!("refs/heads/{branch}"),
            format!("refs/tags/{branch}"),
        ],
    }
}

pub(super) fn has_branch(repository: &Path, branch: &str) -> bool {
    names(branch).iter().any(|it| {
        let commit = format!("{it}^{{commit}}");
        tells(repository, &["rev-parse", "--verify", "--quiet", &commit]).is_some()
    })
}

/// Whether the revision belongs to the branch: only with that it comes along.
pub(super) fn has(repository: &Path, revision: &str, branch: Option<&str>) -> bool {
    let names = branch.map_or(vec!["HEAD".to_owned()], names);
    names.iter().any(|it| {
        let argv = ["merge-base", "--is-ancestor", revision, it];
        tells(repository, &argv).is_some()
    })
}

/// Lets the mirror's first branch be the repository's, and says whether it is where that one is.
/// `None`: there is no such thing.
pub(super) fn turn_head(repository: &Path, url: &str) -> Option<bool> {
    let said = process::answer(&words(&["git", "ls-remote", "--symref", url, "HEAD"]))?;
    let mut lines = said.lines().filter_map(|it| it.strip_suffix("\tHEAD"));
    let branch = lines.next()?.strip_prefix("ref: ")?;
    let tip = lines.next()?;
    if !branch.starts_with("refs/heads/") || !does(repository, &["symbolic-ref", "HEAD", branch]) {
        return None;
    }
    let here = tells(repository, &["rev-parse", "--verify", "--quiet", "HEAD"]);
    Some(here.is_some_and(|it| it.trim() == tip))
}

/// Whether every pack is as long as its index has it. Git looks there only when it needs to.
pub(super) fn has_whole_packs(repository: &Path) -> bool {
    let packs = fs::read_dir(repository.join("objects/pack"));
    let mut paths = packs.into_iter().flatten().flatten().map(|it| it.path());
    paths.all(|pack| {
        let is_pack = pack.extension().is_some_and(|it| it == "pack");
        // The sum at the end of a pack stands before the one at the end of its index, and has 20
        // bytes, or 32 with SHA-256.
        let ends = || {
            let (pack, index) = (end_of(&pack)?, end_of(&pack.with_extension("idx"))?);
            let is_same = |size: usize| pack[64 - size..] == index[64 - 2 * size..64 - size];
            Some(is_same(20) || is_same(32))
        };
        // Where one of them is missing, somebody fetches or puts in order just now.
        !is_pack || ends().unwrap_or(true)
    })
}

/// The last 64 bytes of a file; the shortest index has more.
fn end_of(path: &Path) -> Option<[u8; 64]> {
    let mut file = fs::File::open(path).ok()?;
    let mut end = [0; 64];
    let length = file.metadata().ok()?.len();
    // The pack of one small commit is shorter: what is missing is before it.
    let taken = length.min(64);
    file.seek(SeekFrom::End(-i64::try_from(taken).ok()?)).ok()?;
    let start = 64 - usize::try_from(taken).ok()?;
    file.read_exact(&mut end[start..]).ok()?;
    Some(end)
}

/// Removes the locks of a git that was killed.
pub(super) fn remove_locks(repository: &Path) {
    for entry in fs::read_dir(repository).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|it| it.is_dir());
        if is_dir && entry.file_name() != "objects" {
            remove_locks(&path);
        } else if path.extension().is_some_and(|it| it == "lock") {
            let _ = fs::remove_file(path);
        }
    }
    let packs = fs::read_dir(repository.join("objects/pack"));
    for entry in packs.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("tmp_") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Lets a checkout in the current directory be one of the repository itself: a clone is, from
/// its first moment on, one of where it came from.
pub(super) fn follow(argv: &[OsString], mirrors: &Path, url: &str) -> bool {
    let is_clone = argv.iter().any(|it| it == "clone");
    // A clone that was cut off may have left its mirror there.
    let is_of_mirror = || {
        let config = fs::read_to_string(".git/config").unwrap_or_default();
        config.contains(&*mirrors.to_string_lossy())
    };
    if !is_clone && !is_of_mirror() {
        return true;
    }
    let line = words(&["git", "remote", "set-url", "origin", url]);
    process::run_aside(&line).is_ok_and(|it| it.success())
}
