//! How the tree of the last build is treated: `mode` and `method`.

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

/// How the tree of the last build is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Kept, and brought to the revision.
    #[default]
    Incremental,
    /// Cleaned of files that the repository does not know, but for ignored ones.
    Clean,
    /// Cleaned of every file that the repository does not know.
    Fresh,
    /// Removed, and cloned anew.
    Clobber,
    /// Removed, and copied from a checkout that is kept in `source`.
    Copy,
    /// Removed, and written anew without what the repository's program needs (svn only).
    Export,
}

impl Mode {
    /// Whether the tree of the last build is still there when this one begins.
    pub(in crate::steps) const fn keeps_tree(self) -> bool {
        matches!(self, Self::Incremental | Self::Clean | Self::Fresh)
    }

    /// Reads `mode` and `method`. A method belongs to the mode `full`.
    pub(crate) fn read(keys: &mut Keys<'_>, methods: &[(&str, Self)]) -> Option<Self> {
        let mode = keys.optional::<String>("mode");
        let method = keys.optional::<String>("method");
        let (mode, method) = (mode?, method?);
        let is_full = match mode.as_deref() {
            None | Some("incremental") => false,
            Some("full") => true,
            Some(other) => {
                let what = format!("`{other}` is no checkout mode");
                note(keys, "mode", what, "expected `incremental` or `full`");
                return None;
            }
        };
        let method = match method {
            None => Self::Fresh,
            Some(word) => match methods.iter().find(|(name, _)| *name == word) {
                Some((_, method)) => *method,
                None => {
                    let what = format!("`{word}` is no checkout method");
                    let names: Vec<_> = methods
                        .iter()
                        .map(|(name, _)| format!("`{name}`"))
                        .collect();
                    note(
                        keys,
                        "method",
                        what,
                        &format!("expected {}", names.join(", ")),
                    );
                    return None;
                }
            },
        };
        Some(if is_full { method } else { Self::Incremental })
    }
}

fn note(keys: &mut Keys<'_>, key: &str, what: String, label: &str) {
    let place = keys.place(key);
    keys.note(Problem::error(Code::BadValue, what).at(&place).label(label));
}
