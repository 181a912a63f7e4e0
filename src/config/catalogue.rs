//! Which factories there are. The reader asks a [`Catalogue`], so that it can
//! be tried without any.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::factories;
use crate::factories::Factory;
use crate::syntax::Problems;
use crate::syntax::Section;

/// Where factories are looked up by name.
pub(crate) trait Catalogue {
    /// Every name, for suggestions and messages.
    fn names(&self) -> Vec<String>;

    /// Those that `factories = *` means in a file without factory sections.
    fn recipes(&self) -> Vec<String>;

    /// Reads a section as the factory that its `type` or its own name says;
    /// what is wrong, keys that the factory does not take among it, is noted.
    fn read(&self, section: &Section, problems: &mut Problems) -> Option<Arc<dyn Factory>>;
}

/// What the program brings along and what lies beside the file.
pub(super) struct Installed {
    /// Where recipes are looked for, the nearest first.
    dirs: Vec<PathBuf>,
}

impl Installed {
    /// As the master in `dir` sees it.
    pub(super) fn of(dir: &Path) -> Self {
        let mut dirs = vec![dir.join("factories")];
        // `PREFIX/bin/autobot` has its share in `PREFIX/share/autobot`.
        let program = std::env::current_exe().ok();
        let prefix = program
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent);
        dirs.extend(prefix.map(|it| it.join("share/autobot/factories")));
        Self { dirs }
    }
}

impl Catalogue for Installed {
    fn names(&self) -> Vec<String> {
        let known = factories::known(&self.dirs);
        known.into_iter().map(|(name, _)| name).collect()
    }

    fn recipes(&self) -> Vec<String> {
        let is_kind = |name: &String| factories::KINDS.iter().any(|it| it.name == *name);
        self.names().into_iter().filter(|it| !is_kind(it)).collect()
    }

    fn read(&self, section: &Section, problems: &mut Problems) -> Option<Arc<dyn Factory>> {
        factories::read(section, &self.dirs, problems)
    }
}
