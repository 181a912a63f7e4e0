//! Writes a plan: looks first, then makes everything or takes back what it made.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use super::plan::Content;
use super::plan::Plan;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) written: Vec<PathBuf>,
    /// Was there already, just as it would have been written.
    pub(crate) kept: Vec<PathBuf>,
}

/// Nothing was written, or what was written was taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("{} there already, and not what would be written", list(.0))]
    InTheWay(Vec<PathBuf>),
    #[error("failed to write `{}`", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to make the database `{}`: {why}", .path.display())]
    Database { path: PathBuf, why: String },
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

/// Writes `plan` into `root`. `make_database` makes the master's database at a path
/// where nothing is.
///
/// # Errors
/// Something else is in the way, or the system refuses: then nothing has changed.
pub(crate) fn write(
    plan: &Plan,
    root: &Path,
    make_database: &dyn Fn(&Path) -> Result<(), String>,
) -> Result<Report, WriteError> {
    let mut report = Report::default();
    let mut missing = Vec::new();
    let mut in_the_way: Vec<PathBuf> = Vec::new();
    for item in &plan.items {
        let path = whole(root, &item.path);
        match look(&path, &item.content)? {
            Found::Nothing => missing.push((path, &item.content)),
            Found::Same => report.kept.push(path),
            // A file where a directory should be is told once, not for all that would be in it.
            Found::Other if in_the_way.iter().any(|it| path.starts_with(it)) => {}
            Found::Other => in_the_way.push(path),
        }
    }
    if !in_the_way.is_empty() {
        return Err(WriteError::InTheWay(in_the_way));
    }
    let mut undo = Undo(Vec::new());
    for (path, content) in missing {
        make(&path, content, make_database, &mut undo)?;
        report.written.push(path);
    }
    undo.0.clear();
    Ok(report)
}

/// `root` itself for the empty path, without a trailing `/`.
fn whole(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(path)
    }
}

enum Found {
    Nothing,
    Same,
    Other,
}

fn look(path: &Path, content: &Content) -> Result<Found, WriteError> {
    let failed = |source: io::Error| WriteError::Io {
        path: path.to_owned(),
        source,
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A dangling link is in the way too.
            return Ok(match fs::symlink_metadata(path) {
                Ok(_) => Found::Other,
                Err(_) => Found::Nothing,
            });
        }
        // The parent is a file; that is told where the parent is looked at.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Found::Other),
        Err(error) => return Err(failed(error)),
    };
    let same = match content {
        Content::Directory => metadata.is_dir(),
        Content::Database => metadata.is_file(),
        Content::Text(text) | Content::Private(text) => {
            metadata.is_file()
                && metadata.len() == text.len() as u64
                && fs::read(path).map_err(failed)? == text.as_bytes()
        }
    };
    Ok(if same { Found::Same } else { Found::Other })
}

fn make(
    path: &Path,
    content: &Content,
    make_database: &dyn Fn(&Path) -> Result<(), String>,
    undo: &mut Undo,
) -> Result<(), WriteError> {
    let failed = |source: io::Error| WriteError::Io {
        path: path.to_owned(),
        source,
    };
    match content {
        Content::Directory => make_directory(path, undo).map_err(failed),
        Content::Text(text) => make_file(path, 0o666, text, undo).map_err(failed),
        Content::Private(text) => make_file(path, 0o600, text, undo).map_err(failed),
        Content::Database => {
            undo.0.push(path.to_owned());
            for suffix in ["-wal", "-shm", "-journal"] {
                let mut beside = path.as_os_str().to_owned();
                beside.push(suffix);
                undo.0.push(beside.into());
            }
            make_database(path).map_err(|why| WriteError::Database {
                path: path.to_owned(),
                why,
            })
        }
    }
}

fn make_directory(path: &Path, undo: &mut Undo) -> io::Result<()> {
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
        && !parent.exists()
    {
        make_directory(parent, undo)?;
    }
    fs::create_dir(path)?;
    undo.0.push(path.to_owned());
    Ok(())
}

fn make_file(path: &Path, mode: u32, text: &str, undo: &mut Undo) -> io::Result<()> {
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
        && !parent.exists()
    {
        make_directory(parent, undo)?;
    }
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    undo.0.push(path.to_owned());
    file.write_all(text.as_bytes())
}

/// Removes what was made, newest first, unless the list was cleared. What
/// somebody else put into a new directory stays, and so does the directory.
struct Undo(Vec<PathBuf>);

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            let _ = if path.is_dir() {
                fs::remove_dir(path)
            } else {
                fs::remove_file(path)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::scaffold::MasterVariables;
    use crate::scaffold::SlaveVariables;

    fn pair() -> Plan {
        Plan::pair(&MasterVariables::default(), &SlaveVariables::default())
    }

    fn empty_database(path: &Path) -> Result<(), String> {
        fs::write(path, "").map_err(|error| error.to_string())
    }

    #[test]
    fn a_pair_is_written_once_and_kept_the_second_time() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("new/bot");

        let report = write(&pair(), &root, &empty_database).unwrap();
        assert_eq!(report.written.len(), pair().items.len());
        let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("master/master.ini"), 0o600);
        assert_eq!(mode("slave/slave.ini"), 0o600);

        let report = write(&pair(), &root, &empty_database).unwrap();
        assert_eq!(report.written, Vec::<PathBuf>::new());
        assert_eq!(report.kept.len(), pair().items.len());
    }

    #[test]
    fn a_file_that_says_something_else_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("master")).unwrap();
        let mine = root.join("master/master.ini");
        fs::write(&mine, "[:master:]\n").unwrap();

        let error = write(&pair(), root, &empty_database).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`{}` is there already, and not what would be written",
                mine.display()
            )
        );
        assert_eq!(fs::read_to_string(&mine).unwrap(), "[:master:]\n");
        assert!(!root.join("slave").exists(), "nothing else was written");
    }

    #[test]
    fn a_failure_in_the_middle_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("new/bot");
        let half_made = |path: &Path| {
            fs::write(path, "half").unwrap();
            Err("the disk is full".to_owned())
        };

        let error = write(&pair(), &root, &half_made).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "failed to make the database `{}`: the disk is full",
                root.join("master/state.sqlite").display()
            )
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_output_that_is_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("bot");
        fs::write(&root, "").unwrap();
        let error = write(&pair(), &root, &empty_database).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`{}` is there already, and not what would be written",
                root.display()
            )
        );
    }
}
