//! What cannot be undercut: the least that the system takes for the same work.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::{ms, timed};

/// Milliseconds for starting and waiting for the smallest of programs.
pub(crate) fn fork_exec() -> f64 {
    ms(timed(run_true))
}

fn run_true() {
    drop(Command::new("true").stdin(Stdio::null()).status());
}

/// How many of the smallest of programs four at a time start and end per second.
pub(crate) fn spawn_rate() -> f64 {
    const EACH: u32 = 250;
    let took = timed(|| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..EACH).for_each(|_| run_true()));
            }
        });
    });
    f64::from(4 * EACH) / took.as_secs_f64()
}

/// How long a shell takes to print the file into another file through a pipe.
pub(crate) fn through_a_pipe(source: &Path, to: &Path) -> Duration {
    let line = format!("cat {} | cat > {}", source.display(), to.display());
    let took = timed(|| {
        let status = Command::new("sh").args(["-c", &line]).status();
        assert!(status.expect("run").success());
    });
    drop(std::fs::remove_file(to));
    took
}

/// Writes `length` bytes of lines of 80.
pub(crate) fn write_lines(path: &Path, length: usize) {
    const LINE: &[u8; 80] =
        b"[ 57%] Building CXX object src/CMakeFiles/core.dir/parser/expression_tree.cc.o\n\0";
    let line = [&LINE[..78], b" \n"].concat();
    let block = line.repeat(10_000);
    let mut file = File::create(path).expect("a file");
    let mut left = length;
    while left > 0 {
        let size = left.min(block.len());
        file.write_all(&block[..size]).expect("written");
        left -= size;
    }
}
