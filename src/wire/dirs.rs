//! Which directories of a slave may be a builder's: both sides look, and neither trusts the
//! other with more.

use std::path::{Component, Path};

/// What the slave itself has in its base directory.
const OWN: [&str; 4] = ["info", "spool", "mirrors", ".gone"];
const LONGEST: usize = 1024;

/// Whether `dir` is below the base directory, and nothing that is the slave's own.
pub(crate) fn is_builder_dir(dir: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    let first = Path::new(dir).components().next();
    dir.len() <= LONGEST
        && !dir.contains(['\0', '\\'])
        && dir.split('/').all(is_plain)
        && matches!(first, Some(Component::Normal(name)) if OWN.iter().all(|own| name != *own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builder_has_a_directory_below_the_base_that_is_not_the_slaves_own() {
        for good in ["a", "a/b", "..a", "inform", "a/spool", "a b", "ä"] {
            assert!(is_builder_dir(good), "{good}");
        }
        let long = "x".repeat(LONGEST + 1);
        for bad in [
            "",
            "/",
            ".",
            "..",
            "/a",
            "a/",
            "a//b",
            "a/..",
            "a/../b",
            "../a",
            "./a",
            "a/.",
            "a\0",
            "\0",
            "a\\b",
            "info",
            "spool",
            "spool/m-x",
            "mirrors/x",
            ".gone",
            &long,
        ] {
            assert!(!is_builder_dir(bad), "{bad:?}");
        }
    }
}
