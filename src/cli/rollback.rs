//! `autobot config rollback`: the files of an earlier configuration take the
//! place of those that are there, and a running master reads them. It is done
//! whole or not at all.

use std::fs;
use std::fs::OpenOptions;
use std::fs::Permissions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use anstream::println;
use clap::Args;

use super::config::find;
use super::config::master;
use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::reconfig;
use super::rooms;
use crate::config;
use crate::store::ConfigFile;

/// What the names of files that had to make room end in.
const ASIDE: &str = "before-rollback";

#[derive(Debug, Args)]
pub(super) struct ConfigRollbackArgs {
    /// Its number in the history
    #[arg(value_name = "N")]
    number: i64,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    dir: Option<PathBuf>,
    /// Overwrite files that changed since the last configuration was applied
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &ConfigRollbackArgs) -> Done {
    let base = master(args.dir.as_deref())?;
    let number = args.number;
    let (_, mut wanted) = find(&base, number)?;
    let newest = rooms::configs(&base.dir, 1)?;
    let newest = newest.first().map_or(number, |it| it.id.0);
    let (_, mut last) = find(&base, newest)?;
    // What a program printed is no file: it prints it again.
    for files in [&mut wanted, &mut last] {
        files.retain(|it| !config::is_printed(&it.name));
    }
    let mut files = Files::new(&base.dir, &wanted, &last)?;
    if !files.edited.is_empty() && !args.force {
        let names = listed(&files.edited);
        let what = format!("{names} changed since configuration {newest} was applied");
        return Err(Failure::new(what)
            .hint("`autobot reconfig` applies the change, so that it is kept too")
            .hint(format!(
                "`--force` overwrites it and keeps it beside, as `NAME.{ASIDE}`"
            )));
    }
    files.put_back(&wanted)?;
    if let Err(problems) = rooms::check(&base) {
        files.undo()?;
        return Err(Failure::new(problems).hint(format!(
            "configuration {number} is no longer good; nothing changed"
        )));
    }
    if daemon::running(&base.dir)?.is_none() {
        println!("{base} will start with the files of configuration {number}");
        return Ok(());
    }
    match reconfig::reload(&base, false).await {
        Ok(()) => {
            println!("{base} has the files of configuration {number}");
            Ok(())
        }
        Err(reconfig::NotReloaded::Refused(failure)) => {
            files.undo()?;
            Err(failure.hint("the files are as they were"))
        }
        // What became of it nobody knows, so the files stay.
        Err(reconfig::NotReloaded::Other(failure)) => Err(failure.hint(format!(
            "the files are those of configuration {number}; `autobot reconfig` applies them"
        ))),
    }
}

/// The files of a master, and what was done to them.
struct Files {
    dir: PathBuf,
    /// Those that are not as they were applied, and would be overwritten.
    edited: Vec<String>,
    /// Those that the wanted configuration does not have.
    surplus: Vec<String>,
    done: Vec<Undo>,
}

enum Undo {
    /// The file held this.
    Write(PathBuf, Vec<u8>),
    /// There was no file.
    Remove(PathBuf),
    /// The file was called otherwise.
    Rename { now: PathBuf, before: PathBuf },
}

impl Files {
    fn new(dir: &Path, wanted: &[ConfigFile], last: &[ConfigFile]) -> Result<Self, Failure> {
        let find = |all: &[ConfigFile], name: &str| {
            let found = all.iter().find(|it| it.name == name);
            found.map(|it| it.text.clone().into_bytes())
        };
        let mut files = Self {
            dir: dir.to_owned(),
            edited: Vec::new(),
            surplus: Vec::new(),
            done: Vec::new(),
        };
        for file in last {
            if find(wanted, &file.name).is_none() {
                files.surplus.push(file.name.clone());
            }
        }
        for name in wanted.iter().map(|it| &it.name).chain(&files.surplus) {
            let there = read(&dir.join(name))?;
            // What is there already is in nobody's way, and neither is a file that is missing.
            let is_edited =
                there.is_some() && there != find(last, name) && there != find(wanted, name);
            if is_edited {
                files.edited.push(name.clone());
            }
        }
        Ok(files)
    }

    /// Makes the files those that are wanted; what fails is undone.
    fn put_back(&mut self, wanted: &[ConfigFile]) -> Done {
        let done = self.try_put_back(wanted);
        if let Err((name, error)) = done {
            self.undo()?;
            return Err(
                Failure::because(format!("failed to write `{name}`"), &error)
                    .hint("the files are as they were"),
            );
        }
        Ok(())
    }

    fn try_put_back(&mut self, wanted: &[ConfigFile]) -> Result<(), (String, io::Error)> {
        for file in wanted {
            self.put(file).map_err(|error| (file.name.clone(), error))?;
        }
        for name in self.surplus.clone() {
            let before = self.dir.join(&name);
            let now = aside(&before);
            match fs::rename(&before, &now) {
                Ok(()) => self.done.push(Undo::Rename { now, before }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((name, error)),
            }
        }
        Ok(())
    }

    fn put(&mut self, file: &ConfigFile) -> io::Result<()> {
        let path = self.dir.join(&file.name);
        let there = match fs::read(&path) {
            Ok(there) if there == file.text.as_bytes() => return Ok(()),
            Ok(there) => Some(there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if let Some(there) = &there
            && self.edited.contains(&file.name)
        {
            replace(&aside(&path), there)?;
        }
        replace(&path, file.text.as_bytes())?;
        self.done.push(match there {
            Some(there) => Undo::Write(path, there),
            None => Undo::Remove(path),
        });
        Ok(())
    }

    /// Makes the files what they were.
    fn undo(&mut self) -> Done {
        while let Some(step) = self.done.pop() {
            let (path, undone) = match &step {
                Undo::Write(path, text) => (path, replace(path, text)),
                Undo::Remove(path) => (path, fs::remove_file(path)),
                Undo::Rename { now, before } => (before, fs::rename(now, before)),
            };
            undone.map_err(|error| {
                Failure::because(
                    format!("failed to put `{}` back as it was", path.display()),
                    &error,
                )
            })?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let what = format!("failed to read `{}`", path.display());
            Err(Failure::because(what, &error))
        }
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ASIDE);
    PathBuf::from(name)
}

/// Puts a file in the place of another at once, with the same mode; behind a link, the file
/// that it leads to.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        // Passwords may stand in it.
        Err(_) => 0o600,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    let written = write();
    if written.is_err() {
        drop(fs::remove_file(&fresh));
    }
    written
}

fn listed(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[(&str, &str)]) -> Vec<ConfigFile> {
        let file = |(name, text): &(&str, &str)| ConfigFile {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        };
        files.iter().map(file).collect()
    }

    /// A directory with files in it.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    /// Every file with its text, by name.
    fn files_in(dir: &Path) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(here) = dirs.pop() {
            for entry in fs::read_dir(here).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                all.push((name, fs::read_to_string(path).unwrap()));
            }
        }
        all.sort();
        all
    }

    fn strings(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let pair = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        files.iter().map(pair).collect()
    }

    #[test]
    fn the_files_become_what_they_were_and_can_be_what_they_are_again() {
        let now = [("conf.d/x.ini", "[x]"), ("master.ini", "new")];
        let dir = directory(&now);
        let wanted = config(&[("master.ini", "old"), ("factories/a.toml", "a")]);
        let mut files = Files::new(dir.path(), &wanted, &config(&now)).unwrap();
        assert!(files.edited.is_empty());

        files.put_back(&wanted).unwrap();
        assert_eq!(
            files_in(dir.path()),
            strings(&[
                ("conf.d/x.ini.before-rollback", "[x]"),
                ("factories/a.toml", "a"),
                ("master.ini", "old"),
            ])
        );

        files.undo().unwrap();
        assert_eq!(files_in(dir.path()), strings(&now));
    }

    #[test]
    fn an_edited_file_is_seen_and_kept_beside() {
        let dir = directory(&[("master.ini", "edited")]);
        let last = config(&[("master.ini", "applied")]);
        let wanted = config(&[("master.ini", "old")]);
        let mut files = Files::new(dir.path(), &wanted, &last).unwrap();
        assert_eq!(files.edited, ["master.ini"]);
        files.put_back(&wanted).unwrap();
        assert_eq!(
            files_in(dir.path()),
            strings(&[
                ("master.ini", "old"),
                ("master.ini.before-rollback", "edited")
            ])
        );
        // Edited to what is wanted: nothing is lost.
        let files = Files::new(dir.path(), &wanted, &last).unwrap();
        assert!(files.edited.is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_all_as_they_were() {
        let now = [("factories", "no directory"), ("master.ini", "new")];
        let dir = directory(&now);
        let wanted = config(&[("master.ini", "old"), ("factories/a.toml", "a")]);
        let last = config(&[("master.ini", "new")]);
        // A file stands where a directory should.
        let refused =
            Files::new(dir.path(), &wanted, &last).and_then(|mut files| files.put_back(&wanted));
        assert!(refused.is_err());
        assert_eq!(files_in(dir.path()), strings(&now));
    }

    #[test]
    fn a_link_stays_one_and_a_mode_stays() {
        let dir = directory(&[("elsewhere/real.ini", "new")]);
        let link = dir.path().join("master.ini");
        let real = dir.path().join("elsewhere/real.ini");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        replace(&link, b"old").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "old");
        let mode = fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}
