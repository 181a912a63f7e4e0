//! Standard input and output as a line: pipes or sockets, whatever the
//! master's launcher made of them.

use std::io;

use crate::process::FdStream;

/// Both directions of the line over which this process was started.
pub(super) fn line() -> io::Result<(FdStream, FdStream)> {
    // Not for runners: one that outlives this process must not hold the line.
    let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    Ok((FdStream::new(stdin)?, FdStream::new(stdout)?))
}
