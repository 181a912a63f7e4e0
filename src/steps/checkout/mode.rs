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
        Some(Self::read_with_words(keys, methods)?.0)
    }

    /// As [`Mode::read`], with what a checkout of the mode is called.
    pub(super) fn read_with_words(
        keys: &mut Keys<'_>,
        methods: &[(&str, Self)],
    ) -> Option<(Self, Words)> {
        let mode = keys.optional::<String>("mode");
        let method = keys.optional::<String>("method");
        let (mode, method) = (mode?, method?);
        let is_method = |mode: Self| methods.iter().any(|(_, it)| *it == mode);
        let is_full = match mode.as_deref() {
            None | Some("incremental") => false,
            Some("full") => true,
            Some(word) => {
                // The modes of Buildbot's older steps, which had no methods.
                let older = OLDER.iter().find(|(name, ..)| *name == word);
                let known =
                    older.filter(|(_, mode, _)| *mode == Self::Incremental || is_method(*mode));
                let Some((_, mode, words)) = known else {
                    let mut names = vec!["`incremental`", "`full`", "`update`"];
                    for (mode, name) in [
                        (Self::Clobber, "`clobber`"),
                        (Self::Copy, "`copy`"),
                        (Self::Export, "`export`"),
                    ] {
                        names.extend(Some(name).filter(|_| is_method(mode)));
                    }
                    let label = format!("expected {}", names.join(", "));
                    note(
                        keys,
                        "mode",
                        format!("`{word}` is no checkout mode"),
                        &label,
                    );
                    return None;
                };
                if method.is_some() {
                    let what = format!("`mode = {word}` has no `method`");
                    let problem = Problem::error(Code::Contradiction, what);
                    let place = keys.place("method");
                    keys.note(problem.at(&place).label("this belongs to `mode = full`"));
                    return None;
                }
                return Some((*mode, *words));
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
                    let label = format!("expected {}", names.join(", "));
                    note(keys, "method", what, &label);
                    return None;
                }
            },
        };
        let mode = if is_full { method } else { Self::Incremental };
        Some((mode, Words::UPDATE))
    }
}

/// What Buildbot's older steps called the modes, and themselves in them.
const OLDER: [(&str, Mode, Words); 4] = [
    ("update", Mode::Incremental, Words::UPDATE),
    ("copy", Mode::Copy, Words::UPDATE),
    ("clobber", Mode::Clobber, Words::CHECKOUT),
    ("export", Mode::Export, Words::EXPORT),
];

/// What a checkout is called while it runs, and when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(super) running: &'static str,
    pub(super) done: &'static str,
}

impl Words {
    pub(crate) const UPDATE: Self = Self::new("updating", "update");
    const CHECKOUT: Self = Self::new("checkout", "checkout");
    const EXPORT: Self = Self::new("exporting", "export");

    const fn new(running: &'static str, done: &'static str) -> Self {
        Self { running, done }
    }
}

fn note(keys: &mut Keys<'_>, key: &str, what: String, label: &str) {
    let place = keys.place(key);
    keys.note(Problem::error(Code::BadValue, what).at(&place).label(label));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::StepKind;
    use crate::steps::bench::Bench;
    use crate::steps::git;
    use crate::steps::mercurial;
    use crate::steps::read::tests::problems_of;
    use crate::steps::read::tests::read_kind;
    use crate::steps::svn;

    #[test]
    fn the_modes_of_older_steps_are_what_they_were() {
        let check = |kind: &StepKind, word: &str, second: &str, running: &str| {
            let url = "repourl = \"http://x/trunk\"";
            let step = read_kind(kind, &format!("{url}\nmode = \"{word}\""));
            let mut bench = Bench::new(step.as_ref(), kind);
            assert_eq!(bench.running_text(), [running], "{word}");
            bench.begin();
            assert_eq!(bench.ends(0, &[]), second, "{word}");
        };
        check(&git::KIND, "update", "stat hello/build/.git", "updating");
        check(&git::KIND, "copy", "rmdir hello/build", "updating");
        check(&git::KIND, "clobber", "rmdir hello/build", "checkout");
        check(&mercurial::KIND, "copy", "rmdir hello/build", "updating");
        check(&mercurial::KIND, "clobber", "rmdir hello/build", "checkout");
        check(&svn::KIND, "export", "rmdir hello/build", "exporting");
        check(&svn::KIND, "update", "stat hello/build/.svn", "updating");
    }

    #[test]
    fn a_mode_that_a_type_does_not_have_is_told() {
        let told = |kind, lines| problems_of(kind, lines);
        insta::assert_snapshot!(told(&git::KIND, "mode = 'export'"), @"factories/x.toml:2:8: `export` is no checkout mode");
        insta::assert_snapshot!(told(&svn::KIND, "mode = 'newest'"), @"factories/x.toml:2:8: `newest` is no checkout mode");
        insta::assert_snapshot!(told(&git::KIND, "mode = 'update'\nmethod = 'fresh'"), @"factories/x.toml:3:10: `mode = update` has no `method`");
        assert_eq!(Mode::default(), Mode::Incremental);
    }
}
