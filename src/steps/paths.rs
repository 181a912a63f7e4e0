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

/// Like [`of_builder`], for what is made or removed: it must lie in the builder's directory.
pub(super) fn inside_builder(builder_dir: &str, dir: &str) -> Result<String, StepError> {
    let leaves = is_absolute(dir) || dir.split(['/', '\\']).any(|part| part == "..");
    let is_all = dir
        .split(['/', '\\'])
        .all(|part| part.is_empty() || part == ".");
    if leaves || is_all || dir.contains('\0') {
        let what = format!("`{dir}` is not a directory below the builder's own");
        return Err(StepError::Other(what));
    }
    Ok(of_builder(builder_dir, dir))
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
