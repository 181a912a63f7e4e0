//! A program in the foreground: it belongs to who waits at the terminal, may ask there, and ends
//! with Ctrl-C as this one does.

use std::ffi::OsStr;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

/// Runs a program to its end, feeds it, and brings back what it said. `env` is added to the
/// environment of this process.
#[expect(clippy::disallowed_methods, reason = "this room starts programs")]
pub(crate) fn run_beside<S: AsRef<OsStr>>(
    argv: &[S],
    env: &[(&str, &OsStr)],
    dir: &Path,
    input: Option<&[u8]>,
) -> io::Result<Output> {
    let empty = || io::Error::new(io::ErrorKind::InvalidInput, "the command line is empty");
    let (name, args) = argv.split_first().ok_or_else(empty)?;
    let mut child = Command::new(name)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(dir)
        .stdin(match input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    thread::scope(|threads| {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // One that does not read to the end says by its exit whether that was well.
            threads.spawn(move || drop(stdin.write_all(input)));
        }
        child.wait_with_output()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_fed_and_heard() {
        let fed = "x".repeat(300_000);
        let env = [("MARK", OsStr::new("here"))];
        let argv = ["/bin/sh", "-c", "wc -c; echo $MARK >&2; pwd; exit 3"];
        let dir = Path::new("/");
        let output = run_beside(&argv, &env, dir, Some(fed.as_bytes())).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "300000\n/\n");
        assert_eq!(output.stderr, b"here\n");
        assert_eq!(output.status.code(), Some(3));
        // Who hears nothing of it is not waited for.
        let output = run_beside(&["true"], &[], dir, Some(fed.as_bytes())).unwrap();
        assert!(output.status.success());
        assert!(run_beside::<&str>(&[], &[], dir, None).is_err());
    }
}
