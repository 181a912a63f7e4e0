//! Where on the slave a step works. All of it is text: the slave's own
//! path rules apply only there.

use super::StepError;

/// `dir` of the builder as the slave is told it. An absolute one stays itself.
pub(super) fn of_builder(builder_dir: &str, dir: &str) -> String {
    let dir = dir.trim_end_matches('/').trim_start_matches("./");
    if dir.is_empty() || dir == "." {
        builder_dir.to_owned()
    } else if is_absolute(dir) {
        dir.to_owned()
    } else {
        format!("{builder_dir}/{dir}")
    }
}

/// Whether `dir` is, or may be, outside of the builder's directory.
pub(super) fn leaves(dir: &str) -> bool {
    is_absolute(dir) || dir.split(['/', '\\']).any(|part| part == "..")
}

/// Like [`of_builder`], for what is made or removed: it must lie in the builder's directory.
pub(super) fn inside_builder(builder_dir: &str, dir: &str) -> Result<String, StepError> {
    let is_all = dir
        .split(['/', '\\'])
        .all(|part| part.is_empty() || part == ".");
    if leaves(dir) || is_all || dir.contains('\0') {
        let what = format!("`{dir}` is not a directory below the builder's own");
        return Err(StepError::Other(what));
    }
    Ok(of_builder(builder_dir, dir))
}

/// Where a file goes: `dest` in `workdir`, both as the step's texts came out.
/// An absolute path, or one below `~`, is the slave's to open; it is meant only
/// where the configuration itself begins it so (`is_anchored`). What properties
/// say (unless `is_free` of them) leads out of no directory.
pub(super) fn file(
    builder_dir: &str,
    workdir: &str,
    dest: &str,
    is_free: bool,
    is_anchored: bool,
) -> Result<String, StepError> {
    let outside = || {
        let shown = dest.escape_debug();
        StepError::Other(format!(
            "`{shown}` is not a file below the builder's directory"
        ))
    };
    let last = dest.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") || dest.contains('\0') {
        return Err(outside());
    }
    if is_absolute(dest) || dest.starts_with('~') {
        let climbs = dest.split('/').any(|part| part == "..");
        if !is_anchored || (climbs && !is_free) {
            return Err(outside());
        }
        return Ok(dest.to_owned());
    }
    let (base, inner) = match is_absolute(workdir) {
        true => (workdir.trim_end_matches('/'), dest.to_owned()),
        false => (builder_dir, format!("{workdir}/{dest}")),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in inner.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(outside)?;
            }
            part => parts.push(part),
        }
    }
    Ok(format!("{base}/{}", parts.join("/")))
}

fn is_absolute(dir: &str) -> bool {
    let bytes = dir.as_bytes();
    let has_drive = bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    dir.starts_with(['/', '\\']) || has_drive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_meant_below_the_builders() {
        assert_eq!(of_builder("hello", "build"), "hello/build");
        assert_eq!(of_builder("hello", "./build/"), "hello/build");
        assert_eq!(of_builder("hello", "."), "hello");
        assert_eq!(of_builder("hello", ""), "hello");
        assert_eq!(of_builder("hello", "/srv/x"), "/srv/x");
        assert_eq!(of_builder("hello", r"C:\x"), r"C:\x");
    }

    #[test]
    fn a_file_stays_with_its_builder_unless_the_configuration_says_otherwise() {
        let check = |workdir: &str, dest: &str, expected: Option<&str>| {
            let is_anchored = dest.starts_with(['/', '~']);
            let path = file("b", workdir, dest, true, is_anchored);
            assert_eq!(path.ok().as_deref(), expected, "{workdir} {dest}");
        };
        check("build", "x", Some("b/build/x"));
        check("build", "./a//x", Some("b/build/a/x"));
        check("build", "../venv/x", Some("b/venv/x"));
        check("build", "../../x", None);
        check(".", "../x", None);
        check("..", "x", None);
        check("build", "/srv/x", Some("/srv/x"));
        check("build", "~/x", Some("~/x"));
        check("/srv/w/", "x", Some("/srv/w/x"));
        check("/srv/w", "../x", None);
        for dest in ["", "a/", "..", "a/.", "a\0"] {
            check("build", dest, None);
        }
    }

    #[test]
    fn what_is_removed_must_lie_in_the_builders_directory() {
        assert_eq!(
            inside_builder("b", "build/x").ok().as_deref(),
            Some("b/build/x")
        );
        for dir in ["", ".", "/", "/etc", "..", "build/../..", r"C:\x", "./."] {
            assert!(inside_builder("b", dir).is_err(), "{dir}");
        }
    }
}
