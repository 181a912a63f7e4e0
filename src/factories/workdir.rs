//! The `workdir` of a factory: a directory of the builder's own, or one for each
//! repository or branch.

use crate::expr::StampText;
use crate::model::SourceStamp;
use crate::syntax::Keys;

use super::WORKDIR;

/// Relative to the builder's directory.
#[derive(Clone, Debug)]
pub(super) struct Workdir(StampText);

impl Default for Workdir {
    fn default() -> Self {
        Self(StampText::plain(WORKDIR))
    }
}

impl Workdir {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let text = keys.or("workdir", StampText::plain(WORKDIR))?;
        if let Some(plain) = text.as_plain()
            && let Err(what) = checked(plain)
        {
            keys.wrong("workdir", what);
            return None;
        }
        Some(Self(text))
    }

    /// What it is for every build, if it depends on nothing.
    pub(super) fn as_plain(&self) -> Option<&str> {
        self.0.as_plain()
    }

    pub(super) fn over(&self, stamp: &SourceStamp) -> Result<String, String> {
        let told = |what: String| format!("`workdir` cannot be computed: {what}");
        let dir = self
            .0
            .over(stamp)
            .map_err(|error| told(error.to_string()))?;
        checked(&dir).map_err(|what| told(format!("`{}`: {what}", dir.escape_debug())))?;
        Ok(dir)
    }
}

/// A checkout may remove what is in its way: it stays in the builder's directory,
/// whatever a branch is called, and leaves alone what is kept there.
fn checked(dir: &str) -> Result<(), &'static str> {
    let is_part = |it: &str| !matches!(it, "" | "." | "..");
    let is_plain = !dir.contains(|it: char| it == '\\' || it == ':' || it.is_control());
    match is_plain && dir.split('/').all(is_part) {
        true if dir.split('/').next() == Some(CACHE) => {
            Err("expected a directory other than `cache`, which is for what builds keep")
        }
        true => Ok(()),
        false => Err("expected a directory in the builder's own, without `..`"),
    }
}

/// Where recipes keep what they fetched and compiled.
const CACHE: &str = "cache";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_branch_leads_out_of_the_builders_directory() {
        for bad in [
            "", ".", "..", "a/../..", "/etc", "a//b", "a\\b", "C:x", "a\nb", "cache", "cache/x",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
        for good in ["build", "feature/x", "src-1.2", "..a", "cached"] {
            assert_eq!(checked(good), Ok(()), "{good}");
        }
    }
}
