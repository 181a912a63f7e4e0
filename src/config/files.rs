//! The files of a configuration: `master.ini` or `master.toml`, what it
//! includes, and who else may read them.

use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::generate;
use super::sections;
use super::sections::Kind;
use crate::model::hex;
use crate::syntax::Begins;
use crate::syntax::Code;
use crate::syntax::Glob;
use crate::syntax::Node;
use crate::syntax::Pieces;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Source;
use crate::syntax::Value;
use crate::syntax::ini;
use crate::syntax::same;
use crate::syntax::toml;

/// The names that a configuration's first file may have.
pub(crate) const NAMES: [&str; 2] = ["master.ini", "master.toml"];

/// Longer than any configuration that a person or a program writes.
const LONGEST: u64 = 64 << 20;

/// The first file of the master in `dir`.
pub(super) fn main_file(dir: &Path) -> Result<Arc<Source>, Problems> {
    let there: Vec<_> = NAMES
        .into_iter()
        .filter(|name| dir.join(name).exists())
        .collect();
    if let [ini, toml] = there.as_slice() {
        let what = format!("there are both `{ini}` and `{toml}` in `{}`", dir.display());
        let problem = Problem::error(Code::Duplicate, what)
            .help("a master has one of them; it can `include` the other");
        return Err(Problems(vec![problem]));
    }
    let name = there.first().copied().unwrap_or(NAMES[0]);
    open(dir, name).map_err(|wrong| {
        let mut problem = *wrong.problem;
        if wrong.is_missing {
            problem = problem.help(format!(
                "`create-autobot-master {}` makes a master",
                dir.display()
            ));
        }
        Problems(vec![problem])
    })
}

struct Unreadable {
    problem: Box<Problem>,
    is_missing: bool,
}

/// Opens `name` in `dir`.
fn open(dir: &Path, name: &str) -> Result<Arc<Source>, Unreadable> {
    let path = dir.join(name);
    let shown = path.display();
    let bytes = std::fs::metadata(&path).and_then(|it| {
        if !it.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        if it.len() > LONGEST {
            return Err(std::io::Error::other("it is longer than 64 MiB"));
        }
        std::fs::read(&path)
    });
    let bytes = bytes.map_err(|error| {
        let problem = match error.kind() {
            ErrorKind::NotFound => {
                Problem::error(Code::NoFile, format!("there is no file `{shown}`"))
            }
            ErrorKind::PermissionDenied => {
                let what = format!("the file `{shown}` may not be read");
                Problem::error(Code::NoFile, what).help(
                    "the user who runs the master must own it, or be in a group that may read it",
                )
            }
            _ => {
                let what = format!("the file `{shown}` cannot be read: {error}");
                Problem::error(Code::NoFile, what)
            }
        };
        Unreadable {
            problem: problem.into(),
            is_missing: error.kind() == ErrorKind::NotFound,
        }
    })?;
    let (text, wrong) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some((at, "this is no UTF-8")))
        }
    };
    let wrong = wrong.or_else(|| text.find('\0').map(|at| (at, "this is a NUL byte")));
    let folder = path.parent().unwrap_or(dir).to_owned();
    let source = Source::new(name, folder, text);
    match wrong {
        None => Ok(source),
        Some((at, label)) => {
            let length = source.text[at..].chars().next().map_or(0, char::len_utf8);
            let problem = Problem::error(Code::NoFile, "the file is not written in UTF-8")
                .at(&Place::new(&source, at..at + length))
                .label(label)
                .help("an editor can save it with the encoding UTF-8");
            Err(Unreadable {
                problem: problem.into(),
                is_missing: false,
            })
        }
    }
}

/// All files of a configuration, read into sections.
#[derive(Default)]
pub(super) struct Files {
    pub(super) sources: Vec<Arc<Source>>,
    pub(super) sections: Vec<(Kind, Section)>,
    /// Whether a file could not be followed, so that nothing of it is known.
    pub(super) is_torn: bool,
    /// Pieces of the files that were read before.
    known: Pieces,
    /// Pieces of these files.
    pub(super) pieces: Pieces,
}

impl Files {
    /// Reads the first file and those that it includes.
    pub(super) fn read(main: &Arc<Source>, known: &Pieces, problems: &mut Problems) -> Self {
        let mut files = Self {
            known: known.clone(),
            ..Self::default()
        };
        files.add(main, problems);
        let master = files
            .sections
            .iter()
            .find(|(kind, _)| *kind == Kind::Master);
        let said = |key: &str| {
            let (_, section) = master?;
            let mut entries = section.entries.iter();
            Some(entries.find(|it| same(&it.key, key))?.value.clone())
        };
        let (include, generate) = (said("include"), said("generate"));
        if let Some(patterns) = include {
            files.include(main, &patterns, problems);
        }
        if let Some(program) = generate {
            match generate::run(&program, &main.dir) {
                Ok(source) => files.add(&source, problems),
                Err(problem) => problems.note(*problem),
            }
        }
        files
    }

    /// Adds the sections of a text that is there already.
    pub(super) fn add(&mut self, source: &Arc<Source>, problems: &mut Problems) {
        let is_toml = Path::new(&source.name)
            .extension()
            .is_some_and(|it| it == "toml");
        if is_toml {
            let told = problems.0.len();
            let (entries, pieces) = toml::read_again(source, &self.known, problems);
            self.pieces.extend(pieces);
            self.is_torn |= entries.is_empty() && problems.0.len() > told;
            self.sections.extend(sections::of_toml(entries, problems));
        } else {
            let tree = ini::read(source, problems);
            let sections = tree.sections.into_iter();
            let known = sections.filter_map(|it| sections::of_ini(it, problems));
            self.sections.extend(known.collect::<Vec<_>>());
        }
        self.sources.push(Arc::clone(source));
    }

    fn include(&mut self, main: &Arc<Source>, patterns: &Node, problems: &mut Problems) {
        // What is wrong with the list itself is told where the section is read.
        let Ok(patterns) = Vec::<(String, Place)>::read(patterns) else {
            return;
        };
        let mut done: Vec<PathBuf> = vec![PathBuf::from(&main.name)];
        for (pattern, place) in patterns {
            let names = match matching(&main.dir, &pattern) {
                Ok(names) => names,
                Err(why) => {
                    let what = format!("`{pattern}` cannot be included");
                    let problem = Problem::error(Code::BadInclude, what).at(&place);
                    problems.note(problem.label(why));
                    continue;
                }
            };
            for name in names {
                let path = PathBuf::from(&name);
                if done.contains(&path) {
                    continue;
                }
                done.push(path);
                match open(&main.dir, &name) {
                    Ok(source) => {
                        let source = Source {
                            included: Some(place.clone()),
                            name: source.name.clone(),
                            dir: source.dir.clone(),
                            text: source.text.clone(),
                            begins: Begins::default(),
                        };
                        self.add(&Arc::new(source), problems);
                    }
                    Err(wrong) if wrong.problem.place.is_none() => {
                        let problem = Problem {
                            code: Code::BadInclude,
                            ..*wrong.problem
                        };
                        problems.note(problem.at(&place));
                    }
                    Err(wrong) => problems.note(*wrong.problem),
                }
            }
        }
    }
}

/// The files in `dir` that fit, in the order of their names. A name without a
/// pattern is itself.
fn matching(dir: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let (folder, last) = match pattern.rsplit_once('/') {
        Some((folder, last)) => (Some(folder), last),
        None => (None, pattern),
    };
    if folder.is_some_and(Glob::is_one) {
        return Err("a pattern stands behind the last `/` only".to_owned());
    }
    let is_known = |name: &str| name.ends_with(".ini") || name.ends_with(".toml");
    if !Glob::is_one(last) {
        return match is_known(last) {
            true => Ok(vec![pattern.to_owned()]),
            false => Err("expected a file that ends in `.ini` or `.toml`".to_owned()),
        };
    }
    let glob = Glob::new(last);
    let path = folder.map_or_else(|| dir.to_owned(), |it| dir.join(it));
    let files = match std::fs::read_dir(&path) {
        Ok(files) => files,
        // No directory is like an empty one: nothing fits.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("`{}` cannot be listed: {error}", path.display())),
    };
    let names = files
        .flatten()
        .filter_map(|it| it.file_name().into_string().ok());
    let mut names: Vec<_> = names
        .filter(|name| glob.matches(name) && is_known(name) && !name.starts_with('.'))
        .map(|name| folder.map_or_else(|| name.clone(), |it| format!("{it}/{name}")))
        .collect();
    names.sort();
    Ok(names)
}

/// Warns of files that everybody can read: slave passwords stand in them.
pub(super) fn check_modes(dir: &Path, sources: &[Arc<Source>], warnings: &mut Problems) {
    use std::os::unix::fs::PermissionsExt;
    for source in sources {
        let path = dir.join(&source.name);
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        let has_password = source
            .text
            .lines()
            .any(|line| line.contains('=') && line.contains("assw") && !line.contains("${secret:"));
        if has_password && metadata.permissions().mode() & 0o004 != 0 {
            let what = format!(
                "`{}` holds passwords and everybody can read it",
                source.name
            );
            let help = format!("`chmod o-r {}` keeps them secret", path.display());
            warnings.note(Problem::warning(Code::OpenFile, what).help(help));
        }
    }
}

/// Of the recipes that were read, those that lie beside the configuration: the others belong to
/// the program.
pub(super) fn beside(dir: &Path, recipes: Vec<Arc<Source>>) -> impl Iterator<Item = Arc<Source>> {
    let beside = dir.join("factories");
    recipes.into_iter().filter(move |it| it.dir == beside)
}

/// Whether a program printed it: there is no such file.
pub(crate) fn is_printed(name: &str) -> bool {
    name.starts_with('(')
}

/// Where the file lies.
pub(crate) fn path_of(source: &Source) -> PathBuf {
    match Path::new(&source.name).file_name() {
        Some(name) => source.dir.join(name),
        None => source.dir.join(&source.name),
    }
}

/// The name of a file of the master in `dir` as it is kept: what lies below `dir` may move
/// with it.
pub(crate) fn stored_name(dir: &Path, source: &Source) -> String {
    if is_printed(&source.name) {
        return source.name.clone();
    }
    let path = path_of(source);
    let name = path.strip_prefix(dir).unwrap_or(&path);
    name.to_string_lossy().into_owned()
}

/// Names a set of files by what is in them.
pub(crate) fn hash<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut sum = Sha256::new();
    for part in files.into_iter().flat_map(|(name, text)| [name, text]) {
        // With its length, so that no two sets of parts give the same bytes.
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    let digest = sum.finalize();
    hex(&digest)
}
