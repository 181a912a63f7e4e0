//! `autobot tryserver`: puts a try job that comes on the standard input into the directory of a
//! `try_jobdir` scheduler, whole or not at all. Who tries something over SSH has it run on the
//! master's machine.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use sha2::Digest;
use sha2::Sha256;

use super::exit::Done;
use super::exit::Failure;
use crate::clock;
use crate::model::hex;

#[derive(Debug, Args)]
pub(super) struct TryserverArgs {
    /// The `jobdir` of a scheduler of type `try_jobdir`
    #[arg(long, value_name = "DIR")]
    jobdir: PathBuf,
}

/// Takes the job in; when this returns, it will be built.
pub(super) fn run(args: &TryserverArgs) -> Done {
    put(&home(&args.jobdir), &mut io::stdin().lock()).map(drop)
}

/// Writes a job into `tmp` and moves it to `new`; gives its name.
fn put(jobdir: &Path, job: &mut dyn Read) -> Result<String, Failure> {
    let (tmp, new) = (jobdir.join("tmp"), jobdir.join("new"));
    for dir in [&tmp, &new] {
        if !dir.is_dir() {
            let what = format!("there is no directory `{}`", dir.display());
            return Err(Failure::new(what)
                .hint("--jobdir DIR is the `jobdir` of a scheduler of type `try_jobdir`"));
        }
    }
    let seconds = clock::now().0 / 1000;
    let draft = tmp.join(format!("{seconds}-{}", std::process::id()));
    let written = write(&draft, job);
    let failed = |doing: &str, path: &Path, error: &io::Error| {
        // Nobody would look at a half of it.
        let _ = fs::remove_file(&draft);
        Failure::because(format!("failed to {doing} `{}`", path.display()), error)
    };
    let sum = written.map_err(|error| failed("write", &draft, &error))?;
    let name = format!("{seconds}-{sum}");
    let place = new.join(&name);
    fs::rename(&draft, &place).map_err(|error| failed("write", &place, &error))?;
    File::open(&new)
        .and_then(|it| it.sync_all())
        .map_err(|error| failed("write", &place, &error))?;
    Ok(name)
}

/// Writes all that comes; gives the digits of its sum.
fn write(path: &Path, job: &mut dyn Read) -> io::Result<String> {
    let mut file = File::create_new(path)?;
    let mut sum = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = match job.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sum.update(&piece[..length]);
        file.write_all(&piece[..length])?;
    }
    file.sync_all()?;
    let sum = sum.finalize();
    Ok(hex(&sum[..16]))
}

/// What a shell would make of `~`, which no shell has seen where SSH ran this.
pub(super) fn home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).expect("a directory");
        let names = names.map(|it| it.expect("an entry").file_name());
        names.map(|it| it.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_job_is_written_to_tmp_and_moved_to_new_under_its_time_and_its_sum() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["tmp", "new"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        let job = vec![0xff; 200_000];
        let name = put(dir.path(), &mut &*job).expect("written");
        let (seconds, sum) = name.split_once('-').expect("both");
        assert!(seconds.parse::<i64>().expect("a time") > 1_700_000_000);
        assert!(sum.len() == 32 && sum.bytes().all(|it| it.is_ascii_hexdigit()));
        let new = dir.path().join("new");
        assert_eq!(fs::read(new.join(&name)).expect("readable"), job);
        assert_eq!(names(&new), [name]);
        assert!(names(&dir.path().join("tmp")).is_empty());
    }

    #[test]
    fn a_job_that_breaks_off_leaves_nothing_behind() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
                piece[0] = b'x';
                match std::mem::replace(&mut self.0, true) {
                    true => Err(io::ErrorKind::ConnectionReset.into()),
                    false => Ok(1),
                }
            }
        }
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["tmp", "new"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        let failure = put(dir.path(), &mut Broken(false)).expect_err("broken");
        assert!(
            format!("{failure:?}").contains("failed to write"),
            "{failure:?}"
        );
        for name in ["tmp", "new"] {
            assert!(names(&dir.path().join(name)).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_directory_that_takes_no_jobs_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("tmp")).expect("made");
        let failure = put(dir.path(), &mut &b""[..]).expect_err("no directory");
        let missing = dir.path().join("new");
        let what = format!("there is no directory `{}`", missing.display());
        let hint = "--jobdir DIR is the `jobdir` of a scheduler of type `try_jobdir`";
        assert_eq!(failure, Failure::new(what).hint(hint));
    }

    #[test]
    fn a_home_is_understood_where_no_shell_was() {
        let own = std::env::home_dir().expect("a home");
        assert_eq!(home(Path::new("~/tries")), own.join("tries"));
        assert_eq!(home(Path::new("/srv/~x")), Path::new("/srv/~x"));
    }
}
