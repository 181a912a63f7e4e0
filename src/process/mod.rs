//! Programs, well started and well ended. The only room that starts any:
//! [`run()`] for a program whose output is wanted in one piece, [`Heard`] for one that is listened to, the spawners for
//! a slave's runner and what it runs, [`tree`] for ending all that a program
//! has started, [`account`] for what they took, [`cgroup`] for their limits. It does not know what the programs are for.

pub(crate) mod account;
mod beside;
pub(crate) mod cgroup;
mod heard;
mod line;
mod program;
pub(crate) mod pty;
mod run;
mod spawn;
mod stream;
mod told;
pub(crate) mod tree;

pub(crate) use beside::run_beside;
pub(crate) use heard::{Heard, Said};
pub(crate) use line::spawn_line;
pub(crate) use program::{Inherited, ProgramFile, own_program};
pub(crate) use run::Output;
pub(crate) use run::{RunError, run};
pub(crate) use spawn::{
    Piped, answer, ask, become_program, run_aside, run_here, spawn_detached, spawn_fed,
    spawn_on_terminal, spawn_piped, spawn_proxy,
};
pub(crate) use stream::FdStream;
pub(crate) use told::{Telling, Told};

/// Makes a file anew that only its owner may read.
pub(crate) fn private_file(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::File::options();
    options.read(true).write(true).create(true).truncate(true);
    options.mode(0o600).open(path)
}
