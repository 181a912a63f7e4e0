//! Which factories there are. The reader asks a [`Catalogue`], so that it can
//! be tried without any.

use std::path::Path;
use std::sync::Arc;

use crate::expr::Fillings;
use crate::factories;
use crate::factories::Library;
use crate::factories::Reading;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Source;

/// Where factories are looked up by name, by several threads at once.
pub(crate) trait Catalogue: Sync {
    /// Every name, for suggestions and messages.
    fn names(&self) -> Vec<String>;

    /// Those that `factories = *` means in a file without factory sections.
    fn recipes(&self) -> Vec<String>;

    /// Reads a section as the factory that its `type` or its own name says;
    /// what is wrong is noted, keys that the factory does not take are left.
    /// `axes` are values that the `{{ … }}` of its recipe know.
    fn read(&self, section: &Section, axes: &Fillings, problems: &mut Problems) -> Reading;
}

/// What the program brings along and what lies beside the file.
pub(super) struct Installed {
    library: Library,
}

impl Installed {
    /// As the master in `dir` sees it.
    pub(super) fn of(dir: &Path) -> Self {
        let mut dirs = vec![dir.join("factories")];
        // `PREFIX/bin/autobot` has its share in `PREFIX/share/autobot`.
        let program = crate::process::own_program().ok();
        let prefix = program
            .as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent);
        dirs.extend(prefix.map(|it| it.join("share/autobot/factories")));
        Self {
            library: Library::new(dirs),
        }
    }

    /// With recipes from these directories, the nearest first.
    pub(super) fn with(dirs: Vec<std::path::PathBuf>) -> Self {
        Self {
            library: Library::new(dirs),
        }
    }

    /// The recipes that were read from files.
    pub(super) fn files(&self) -> Vec<Arc<Source>> {
        self.library.files()
    }
}

impl Catalogue for Installed {
    fn names(&self) -> Vec<String> {
        let known = self.library.known();
        known.into_iter().map(|it| it.name).collect()
    }

    fn recipes(&self) -> Vec<String> {
        let known = self.library.known().into_iter();
        let projects = known.filter(factories::Known::is_project);
        projects.map(|it| it.name).collect()
    }

    fn read(&self, section: &Section, axes: &Fillings, problems: &mut Problems) -> Reading {
        self.library.read(section, axes, problems)
    }
}
