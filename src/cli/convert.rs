//! `autobot convert`: a configuration in its other spelling, printed or written.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use anstream::eprint;
use anstream::eprintln;
use anstream::print;
use clap::Args;

use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::default_dir;
use crate::config;
use crate::config::Spelling;
use crate::syntax::Source;

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// A file, or the directory of a master [default: $AUTOBOT_DIR or the current directory]
    #[arg(value_name = "FILE|DIR")]
    path: Option<PathBuf>,
    /// The spelling to write [default: the one that the file is not written in]
    #[arg(long, value_enum)]
    to: Option<SpellingArg>,
    /// Where to write it [default: it is printed]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "output")]
    force: bool,
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SpellingArg {
    Ini,
    Toml,
}

impl From<SpellingArg> for Spelling {
    fn from(it: SpellingArg) -> Self {
        match it {
            SpellingArg::Ini => Self::Ini,
            SpellingArg::Toml => Self::Toml,
        }
    }
}

/// Converts one file.
pub(super) fn run(args: &ConvertArgs) -> Done {
    let path = file(args.path.as_deref())?;
    let shown = path.display().to_string();
    let is_recipe = path.parent().is_some_and(|it| it.ends_with("factories"));
    let from = Spelling::of(&shown);
    let to = args.to.map_or(from.other(), Spelling::from);
    if is_recipe && from == Spelling::Toml {
        let what = format!("`{shown}` is a recipe, which is always TOML");
        return Err(Failure::usage(what));
    }
    let failed = |error: io::Error| Failure::because(format!("failed to read `{shown}`"), &error);
    let text = fs::read_to_string(&path).map_err(failed)?;
    let mode = fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o777;
    let dir = path.parent().unwrap_or(Path::new(""));
    let source = Source::new(shown.as_str(), dir, text);
    let written = config::convert(&source, to).map_err(|problems| {
        eprint!("{}", problems.render(true));
        Failure::told()
    })?;
    let Some(output) = &args.output else {
        print!("{written}");
        return Ok(());
    };
    write(output, &written, mode, args.force)?;
    if source.text.lines().any(is_comment) {
        eprintln!(
            "The comments of `{shown}` are not in `{}`.",
            output.display()
        );
    }
    if config::NAMES.iter().all(|it| dir.join(it).is_file()) {
        eprintln!(
            "A master has one of {}: move the other away.",
            config::NAMES.map(|it| format!("`{it}`")).join(" and ")
        );
    }
    Ok(())
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// The file itself, or the first of the master in a directory.
fn file(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = given.map_or_else(default_dir, Path::to_owned);
    if !path.is_dir() {
        return Ok(path);
    }
    let dir = Base::master_of(&path)?.dir;
    let mut all = config::NAMES.map(|it| dir.join(it)).into_iter();
    let there = all.find(|it| it.is_file());
    there.ok_or_else(|| Failure::new(format!("there is no master in `{}`", dir.display())))
}

/// Writes a file that may hold passwords; one that is there stays, unless it
/// is to be replaced, which happens at once or not at all.
fn write(path: &Path, text: &str, mode: u32, replaces: bool) -> Done {
    let failed = |error: io::Error| {
        Failure::because(format!("failed to write `{}`", path.display()), &error)
    };
    if path.exists() && !replaces {
        let what = format!("`{}` is there already", path.display());
        return Err(Failure::new(what).hint("`--force` replaces it"));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let target = if replaces { Path::new(&beside) } else { path };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(target).map_err(failed)?;
    let done = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match replaces {
            true => fs::rename(target, path),
            false => Ok(()),
        });
    done.map_err(|error| {
        drop(fs::remove_file(target));
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_passwords_stay_secret() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("master.ini"), dir.path().join("x.toml"));
        fs::write(&from, "# mine\n[slave:a]\npassword = p\n").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o600)).unwrap();
        let mut args = ConvertArgs {
            path: Some(dir.path().to_owned()),
            to: None,
            output: Some(to.clone()),
            force: false,
        };
        run(&args).unwrap();
        let written = "[slave.a]\npassword = \"p\"\n";
        assert_eq!(fs::read_to_string(&to).unwrap(), written);
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o600
        );

        fs::write(&to, "old").unwrap();
        let refused = run(&args).unwrap_err().text();
        assert!(
            refused.contains("is there already\nhint: `--force`"),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        args.force = true;
        run(&args).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), written);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_recipe_and_a_missing_file_are_told() {
        let run = |path: &str| {
            let args = ConvertArgs {
                path: Some(path.into()),
                to: None,
                output: None,
                force: false,
            };
            run(&args).unwrap_err().text()
        };
        assert_eq!(
            run("factories/hello.toml"),
            "`factories/hello.toml` is a recipe, which is always TOML"
        );
        assert!(run("/nonexistent.ini").starts_with("failed to read `/nonexistent.ini`"));
    }
}
