//! Names of files by a pattern, as shells have them: `*` and `?` stay within a
//! name and do not find what begins with a dot, `[a-z]` and `[!a-z]` are one
//! character.

use std::fs;
use std::path::Path;

use super::files::{Doing, FileError, MOST_NAMES, below, is_below};

/// What fits `pattern` below `basedir`, sorted; relative to it.
pub(super) fn glob(pattern: &str, basedir: &Path) -> Result<Vec<String>, FileError> {
    let pattern = below(basedir, pattern);
    if !is_below(pattern) {
        return Err(FileError::Outside(pattern.to_owned()));
    }
    let base = fs::canonicalize(basedir).doing("look at", basedir)?;
    let parts: Vec<&str> = pattern
        .split('/')
        .filter(|it| !matches!(*it, "" | "."))
        .collect();
    let mut found = vec![String::new()];
    for part in parts {
        let mut next = Vec::new();
        for dir in found {
            // A link may lead out of the base directory: nobody looks there.
            let Ok(place) = fs::canonicalize(base.join(&dir)) else {
                continue;
            };
            if !place.starts_with(&base) {
                continue;
            }
            for name in names(&place, part) {
                next.push(if dir.is_empty() {
                    name
                } else {
                    format!("{dir}/{name}")
                });
            }
            if next.len() > MOST_NAMES {
                return Err(FileError::TooMany(pattern.to_owned()));
            }
        }
        found = next;
    }
    found.retain(|it| !it.is_empty());
    found.sort();
    Ok(found)
}

/// The names in `dir` that fit one part of a pattern.
fn names(dir: &Path, part: &str) -> Vec<String> {
    if !part.contains(['*', '?', '[']) {
        let is_there = fs::symlink_metadata(dir.join(part)).is_ok();
        return is_there.then(|| part.to_owned()).into_iter().collect();
    }
    let pattern: Vec<char> = part.chars().collect();
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') && !part.starts_with('.') {
            continue;
        }
        let letters: Vec<char> = name.chars().collect();
        if fits(&pattern, &letters) {
            names.push(name);
        }
    }
    names
}

/// Whether a name fits. A star that has to take more is taken up again, the last one
/// only: that is enough, and keeps the work within bounds.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some((at + 1, place));
                at += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => match class(&pattern[at..], name[place]) {
                Some((length, true)) => Some(length),
                Some((_, false)) => None,
                // A bracket that is not closed is itself.
                None => (name[place] == '[').then_some(1),
            },
            Some(letter) => (*letter == name[place]).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(length), _) => (at, place) = (at + length, place + 1),
            (None, Some((after, from))) => {
                star = Some((after, from + 1));
                (at, place) = (after, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|it| *it == '*')
}

/// How long the class at the beginning of `pattern` is, and whether it has the letter.
fn class(pattern: &[char], letter: char) -> Option<(usize, bool)> {
    let is_negative = pattern.get(1) == Some(&'!');
    let start = if is_negative { 2 } else { 1 };
    // The first one may be `]` itself.
    let end = pattern.iter().skip(start + 1).position(|it| *it == ']')? + start + 1;
    let letters = &pattern[start..end];
    let mut has = false;
    let mut at = 0;
    while at < letters.len() {
        if at + 2 < letters.len() && letters[at + 1] == '-' {
            has |= (letters[at]..=letters[at + 2]).contains(&letter);
            at += 3;
        } else {
            has |= letters[at] == letter;
            at += 1;
        }
    }
    Some((end + 1, has != is_negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_in_a_shell() {
        let check = |pattern: &str, name: &str| {
            let letters = |it: &str| it.chars().collect::<Vec<_>>();
            fits(&letters(pattern), &letters(name))
        };
        for (pattern, name) in [
            ("*", "a"),
            ("*", ""),
            ("a*b*c", "aXbXbc"),
            ("?x", "äx"),
            ("[a-c]*[!0-9]", "bx"),
            ("[]a]", "]"),
            ("a[", "a["),
            ("*.tar.gz", "x.tar.tar.gz"),
        ] {
            assert!(check(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("?", ""), ("a*b", "abc"), ("[!a]", "a"), ("[a-c]", "d")] {
            assert!(!check(pattern, name), "{pattern} {name}");
        }
        let stars = "*a".repeat(50);
        assert!(!check(&stars, &"a".repeat(40)), "and it ends soon");
    }

    #[test]
    fn files_are_found_below_the_base_directory_and_nowhere_else() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("base");
        for dir in ["b/x1", "b/x2", "b/.hidden"] {
            fs::create_dir_all(base.join(dir)).unwrap();
            fs::write(base.join(dir).join("log"), "").unwrap();
        }
        std::os::unix::fs::symlink(home.path(), base.join("b/x3")).unwrap();
        let found = |pattern: &str| glob(pattern, &base).unwrap();
        assert_eq!(found("b/*/log"), ["b/x1/log", "b/x2/log"]);
        assert_eq!(found("b/x[12]"), ["b/x1", "b/x2"]);
        assert_eq!(found("b/x3/*"), Vec::<String>::new());
        assert_eq!(found("b/.hid*/l?g"), ["b/.hidden/log"]);
        assert_eq!(found("none/*"), Vec::<String>::new());
        assert!(glob("../*", &base).is_err());
    }
}
