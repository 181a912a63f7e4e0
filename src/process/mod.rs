//! Programs, well started and well ended. The only room that starts any:
//! [`run()`] for a program whose output is wanted in one piece, the spawners for
//! a slave's runner and what it runs, [`tree`] for ending all that a program
//! has started, [`account`] for what they took, [`cgroup`] for their limits. It does not know what the programs are for.

pub(crate) mod account;
pub(crate) mod cgroup;
mod line;
pub(crate) mod pty;
mod run;
mod spawn;
pub(crate) mod tree;

pub(crate) use line::spawn_line;
pub(crate) use run::Output;
pub(crate) use run::{RunError, run};
pub(crate) use spawn::{
    Piped, ask, become_program, spawn_detached, spawn_on_terminal, spawn_piped,
};
