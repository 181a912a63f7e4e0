//! Pseudo terminals for programs that want one.

use std::io;

use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};

/// The size that terminals always had.
const SIZE: Winsize = Winsize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// Ends the input, at the beginning of a line.
const END: u8 = 0x04;
/// Takes the next character as it is.
const LITERALLY: u8 = 0x16;

/// Both ends of a terminal.
#[derive(Debug)]
pub(crate) struct Pty {
    /// Where what the program says is read and its input written.
    pub(crate) ours: OwnedFd,
    /// The program's.
    pub(crate) theirs: OwnedFd,
}

/// Opens a terminal that shows no input and leaves ends of lines as they are:
/// nobody types, and a log is no screen.
pub(crate) fn open() -> io::Result<Pty> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    let mut modes = tcgetattr(&theirs)?;
    modes.local_modes.remove(LocalModes::ECHO);
    modes.output_modes.remove(OutputModes::ONLCR);
    tcsetattr(&theirs, OptionalActions::Now, &modes)?;
    tcsetwinsize(&theirs, SIZE)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok(Pty { ours, theirs })
}

/// What is to be typed so that a program reads `input` and then its end.
pub(crate) fn typed(input: &[u8]) -> Vec<u8> {
    let mut typed = Vec::with_capacity(input.len() + 2);
    for byte in input {
        if byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t') {
            typed.push(LITERALLY);
        }
        typed.push(*byte);
    }
    if input.last().is_some_and(|it| *it != b'\n') {
        // The first one only hands over the line that has no end.
        typed.push(END);
    }
    typed.push(END);
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_the_input_control_nothing() {
        assert_eq!(typed(b""), [END]);
        assert_eq!(typed(b"a\tb\n"), b"a\tb\n\x04");
        assert_eq!(typed(b"a\x03\x04"), b"a\x16\x03\x16\x04\x04\x04");
    }
}
