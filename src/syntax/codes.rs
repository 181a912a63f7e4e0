//! The stable words of problems, shown as `error[unknown-key]`. Each has an
//! explanation, which `autobot help WORD` prints.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $word:literal $text:literal)*) => {
        /// What kind of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of the manual.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word itself: it never changes its meaning.
            pub(crate) const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What it means and what to do about it.
            pub(crate) const fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

codes! {
    /// The file cannot be opened or decoded.
    NoFile "no-file"
        "A file that the configuration needs is not there, may not be read, or is not written in UTF-8. The message names the file and the reason. A file is looked for relative to the one that names it."
    /// A line that is neither a section nor a key.
    BadLine "bad-line"
        "The line cannot be read. In INI a section is `[NAME]` on a line of its own, a key is `KEY = VALUE`, and an indented line continues the value above it. In TOML the message says what the parser expected at that place."
    /// A section or an item that stands twice.
    Duplicate "duplicate"
        "Two sections, keys or names are the same, so that one of them would be lost. Key names are compared without case, `_` and `-`, and older names of a key are the same key. A section stands in one file only, included files among them."
    /// A section whose kind nobody knows.
    UnknownSection "unknown-section"
        "The name of a section says what it is: `[:master:]` and other singletons stand between colons, `[slave:NAME]`, `[builder:NAME]` and so on name their kind before the colon, and a name alone is a factory."
    /// A name that cannot be used.
    BadName "bad-name"
        "Names become directories, addresses and words on pages, so some characters are not for them. The message says which rule the name breaks."
    /// A key that nobody asked for.
    UnknownKey "unknown-key"
        "The section has no such key. The nearest known key is suggested; without a near one, all keys of the section are listed. In Buildbot an unknown parameter was an exception without a place, or nothing at all."
    /// A key that must be there.
    MissingKey "missing-key"
        "The section cannot do without this key. The message says what kind of value is expected."
    /// A value that its key's type cannot read.
    BadValue "bad-value"
        "The value is not what its key takes. Values are read by the key's type and never guessed from how they look: a duration is `90`, `90s`, `5m` or `1h30m`; a bool is `yes` or `no`; a list is words or a JSON array; a map is dotted keys or a JSON object."
    /// `+=` or `-=` where there is no list.
    NoList "no-list"
        "`+=` appends to a list and `-=` removes from it. This key is no list: write `=`."
    /// `extends` names nothing, or itself.
    BadExtends "bad-extends"
        "`extends` names another section of the same kind. The section takes over its keys: scalars are replaced by `=`, lists are replaced by `=`, appended to by `+=` and shortened by `-=`, maps are merged key by key. Sections cannot extend each other in a circle."
    /// `include` cannot be followed.
    BadInclude "bad-include"
        "`include` in [:master:] names files and patterns such as `conf.d/*.ini`, relative to the file. A name without a pattern must exist. Included files hold sections, but no second [:master:] and no `include` of their own."
    /// A factory that nobody knows.
    UnknownFactory "unknown-factory"
        "There is no factory section, no registered factory type and no recipe `factories/NAME.toml` of this name. `autobot factories` lists what there is."
    /// A recipe that cannot be used.
    BadRecipe "bad-recipe"
        "A file `factories/NAME.toml` cannot be used: the message points into it."
    /// A slave that no section describes.
    UnknownSlave "unknown-slave"
        "No section `[slave:NAME]` has this name, and no slave has it as a tag."
    /// A builder that nobody describes.
    UnknownBuilder "unknown-builder"
        "No builder has this name: neither a `[builder:NAME]` section, nor one that is derived from slaves and factories. `autobot checkconfig --show` lists all builders."
    /// A scheduler that nobody describes.
    UnknownScheduler "unknown-scheduler"
        "No section `[scheduler:NAME]` has this name, or the scheduler is of a type that cannot be used here: a trigger step needs a `triggerable` one."
    /// A lock that nobody describes.
    UnknownLock "unknown-lock"
        "No section `[lock:NAME]` has this name."
    /// A type that nobody registered.
    UnknownType "unknown-type"
        "The section or step names a type that does not exist. The nearest known type is suggested."
    /// An expression that cannot be compiled.
    BadExpression "bad-expression"
        "The expression cannot be read. Expressions compare with `==`, `!=`, `<` and so on, join with `and`, `or` and `not`, test with `is`, and use the filters and tests of the manual, nothing else."
    /// A name that does not exist where the expression stands.
    UnknownName "unknown-name"
        "The expression or text uses a name that does not exist in this place. Which names exist depends on the key: the manual lists them for each context."
    /// A property that no build has.
    UnknownProperty "unknown-property"
        "A text refers to a property that nothing sets: no section, no scheduler, no earlier step, and it is not one of the properties that every build has. `%(NAME:-VALUE)s` gives a value for the case that it is not set."
    /// Something is in a circle.
    Circle "circle"
        "Things wait for each other in a circle, so that none of them would ever begin. The message tells the road."
    /// A builder that no slave can build.
    NoSlave "no-slave"
        "The builder has no slave, so its requests would wait for ever."
    /// A scheduler or status target without a builder.
    NoBuilder "no-builder"
        "The section selects builders, and none is selected."
    /// A matrix without combinations.
    EmptyMatrix "empty-matrix"
        "Every combination of the matrix is excluded or cannot be built by any slave."
    /// Two things would use one directory.
    SharedDirectory "shared-directory"
        "Two builders or slaves would work in the same directory and destroy each other's files. Another name, `builddir` or `basedir` keeps them apart."
    /// A port that is used twice, or cannot be had.
    Port "port"
        "A port is named twice, or cannot be listened on. `ss -ltnp` shows what listens on it now."
    /// A lock that cannot be taken as asked.
    LockUse "lock-use"
        "A lock is used in a way that cannot work: twice in one list, or by a step whose builder holds it already."
    /// A secret that cannot be read.
    BadSecret "bad-secret"
        "`${secret:NAME}` takes a value from the places that `[:secrets:]` names: a file with mode 0600, a directory of files, or the environment. This one is in none of them, or its file may be read by others."
    /// Values that contradict each other.
    Contradiction "contradiction"
        "Two settings cannot both hold. The message names both."
    /// What cannot change while the master runs.
    NeedsRestart "needs-restart"
        "This setting is used from the start of the master to its end. Stop and start the master to change it, or set it back."
    /// A program that prints a part of the configuration failed.
    BadGenerator "bad-generator"
        "The program of `generate` could not be run, took too long, or ended with a failure. Nothing was changed."
    /// A `[test:NAME]` that found something else.
    TestFailed "test-failed"
        "A `[test:NAME]` section of the configuration expects something else than what the rest of it does. The message says what was expected and what came out."
    /// A setting that this version does not act on.
    NoEffect "no-effect"
        "The setting is read and checked, but this version does nothing with it."
    /// Something that is there and does nothing.
    Idle "idle"
        "The item is complete, but nothing uses it: a slave without factories, a factory that no slave builds, a builder that no scheduler drives."
    /// What the other spelling has no words for.
    CannotConvert "cannot-convert"
        "INI and TOML can say the same configurations, but for a few corners: TOML has no null, and appends and removes once for each list; a name in INI has no `]`, and a key no `=`, no `:` and no `[` or `#` in front. Another name or another way to say the value helps."
    /// Something that this machine lacks.
    Environment "environment"
        "The files are good, but this machine lacks something that they need: a program in `PATH`, or a directory that can be written. `checkconfig --offline` does not look at the machine."
    /// A file that others may read.
    OpenFile "open-file"
        "The file holds passwords, and users who are not meant to know them can read it."
    /// An action that everybody may do, and that gives more than itself.
    OpenAction "open-action"
        "Whoever reaches the port of the pages may do this, and with it give themselves every other right. A rule such as `user in role.admin` names who may."
    /// A password that stands in the documentation of a program.
    KnownPassword "known-password"
        "The password is one that Buildbot had where nobody said another. Whoever reaches the port and knows Buildbot knows it, so it keeps nobody out. Take another, and give it to those who are to use it."
    /// A setting in an old spelling.
    OldName "old-name"
        "The setting still works under this name; the message tells today's name."
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_one_word_of_its_own_with_an_explanation() {
        let mut seen = BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.word()), "`{code}` stands twice");
            let is_word = |it: char| it.is_ascii_lowercase() || it == '-';
            assert!(code.word().chars().all(is_word), "{code}");
            assert!(code.explanation().ends_with('.'), "{code}");
        }
    }
}
