//! A connection that a program makes: its standard input and output are one
//! end of a socket pair, the other end is ours.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::net::UnixStream;
use std::process::Child;

use rustix::fs::MemfdFlags;
use rustix::process::Pid;

use crate::process;

/// What is told of what the program complains about.
const SAID: u64 = 2000;

/// The program; it is killed when this is dropped.
pub(super) struct Proxy {
    child: Child,
    said: File,
}

impl Proxy {
    /// Starts the line; gives our end of the connection.
    pub(super) fn start(line: &str) -> io::Result<(Self, UnixStream)> {
        let (near, far) = UnixStream::pair()?;
        let said = File::from(rustix::fs::memfd_create("proxy", MemfdFlags::CLOEXEC)?);
        let child = process::spawn_proxy(line, far.into(), said.try_clone()?)?;
        Ok((Self { child, said }, near))
    }

    /// The end of its complaints, as `: …`.
    pub(super) fn said(&mut self) -> String {
        let mut bytes = Vec::new();
        let length = self.said.metadata().map_or(0, |it| it.len());
        let from = SeekFrom::Start(length.saturating_sub(SAID));
        let read = self.said.seek(from);
        drop(read.and_then(|_| self.said.by_ref().take(SAID).read_to_end(&mut bytes)));
        match String::from_utf8_lossy(&bytes).trim() {
            "" => String::new(),
            text => format!("; its proxy_command says: {}", text.replace('\n', " | ")),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            process::tree::kill_tree(pid);
        }
        // It has just been killed.
        drop(self.child.wait());
    }
}

/// Fills in `%h`, `%p` and `%r`, as ssh does.
pub(super) fn filled(line: &str, host: &str, port: u16, user: &str) -> String {
    let mut out = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('h') => out.push_str(host),
            Some('p') => out.push_str(&port.to_string()),
            Some('r') => out.push_str(user),
            Some('%') => out.push('%'),
            other => {
                out.push('%');
                out.extend(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_places_that_ssh_fills_in() {
        assert_eq!(
            filled("ssh -W %h:%p %r@gate 100%% %x%", "h", 22, "me"),
            "ssh -W h:22 me@gate 100% %x%"
        );
    }
}
