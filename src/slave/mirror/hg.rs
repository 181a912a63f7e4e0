//! A mirror of a Mercurial repository: all of it, with nothing checked out.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use super::wish::Fetched;
use super::words;
use crate::process;

fn line<'a>(repository: &'a Path, more: &[&'a str]) -> Vec<&'a OsStr> {
    let mut line = words(&["hg"]);
    line.extend([OsStr::new("--repository"), repository.as_os_str()]);
    line.extend(words(more));
    line
}

/// Makes a mirror. Nothing of the URL stays in it.
pub(super) fn build(to: &Path, url: &str) -> bool {
    let mut clone = words(&["hg", "clone", "--quiet", "--noupdate", url]);
    clone.push(to.as_os_str());
    process::run_aside(&clone).is_ok_and(|it| it.success())
        && fs::write(to.join(".hg/hgrc"), "").is_ok()
}

/// Bookmarks are to be those of the repository, which older versions of hg leave alone.
pub(super) fn update(repository: &Path, url: &str) -> Fetched {
    let from = format!("paths.default={url}");
    let pull = [
        "pull",
        "--quiet",
        "--config",
        &from,
        "--config",
        "paths.default:bookmarks.mode=mirror",
    ];
    let ended = process::run_aside(&line(repository, &pull));
    // Old versions end a pull that brought nothing with 1.
    match ended.is_ok_and(|it| matches!(it.code(), Some(0 | 1))) {
        true => Fetched::All,
        false if answers(url) => Fetched::Nothing,
        false => Fetched::Nobody,
    }
}

fn answers(url: &str) -> bool {
    process::answer(&words(&["hg", "identify", url])).is_some()
}

/// Whether all of it is there and as it should be.
pub(super) fn is_whole(repository: &Path) -> bool {
    process::run_aside(&line(repository, &["verify"])).is_ok_and(|it| it.success())
}

pub(super) fn has(repository: &Path, revision: &str) -> bool {
    let argv = ["log", "--rev", revision, "--template", "{node}"];
    process::answer(&line(repository, &argv)).is_some_and(|it| it == revision)
}

/// Lets a clone in the current directory be one of the repository itself. Hg keeps no
/// password there.
pub(super) fn follow(argv: &[OsString], url: &str) -> bool {
    if !argv.iter().any(|it| it == "clone") {
        return true;
    }
    let url = without_password(url);
    fs::write(".hg/hgrc", format!("[paths]\ndefault = {url}\n")).is_ok()
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((who, host)) = authority.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = who.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}@{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_no_password() {
        let check = |url, expected| assert_eq!(without_password(url), expected);
        check("https://u:p@host/x@y", "https://u@host/x@y");
        check("https://u@host/x", "https://u@host/x");
        check("ssh://host/x", "ssh://host/x");
        check("host:x", "host:x");
    }
}
