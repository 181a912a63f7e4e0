//! Commands on another host.

use std::io::{self, Read, Write};

use ssh2::Channel;

use super::{Connection, SshError};

/// More is not read of what a command says.
const MOST: u64 = 64 << 10;

/// A word that any shell takes for what it is.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl Connection {
    /// Runs a script with the host's `sh`; gives what it says on standard output.
    ///
    /// # Errors
    /// It fails; `what` it is is told, with the end of what it said.
    pub(crate) fn script(&self, what: &'static str, script: &str) -> Result<String, SshError> {
        self.command(what, "exec sh -s", &mut script.as_bytes())
    }

    /// Runs a command line and gives it `input`.
    ///
    /// # Errors
    /// It fails.
    pub(crate) fn command(
        &self,
        what: &'static str,
        line: &str,
        input: &mut dyn Read,
    ) -> Result<String, SshError> {
        let mut channel = self.session.channel_session()?;
        channel.exec(line)?;
        let given = give(&mut channel, input);
        let (mut said, mut complaint) = (Vec::new(), Vec::new());
        Read::by_ref(&mut channel)
            .take(MOST)
            .read_to_end(&mut said)?;
        channel.stderr().take(MOST).read_to_end(&mut complaint)?;
        channel.close()?;
        channel.wait_close()?;
        let code = channel.exit_status()?;
        if code != 0 {
            return Err(SshError::Failed {
                what,
                code,
                said: last_words(&complaint),
            });
        }
        given?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

fn give(channel: &mut Channel, input: &mut dyn Read) -> io::Result<()> {
    let mut piece = vec![0; 32 << 10];
    loop {
        match input.read(&mut piece)? {
            0 => break,
            size => channel.write_all(&piece[..size])?,
        }
    }
    channel.send_eof()?;
    Ok(())
}

/// The end of a complaint, as `: …`.
pub(super) fn last_words(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    match lines.as_slice() {
        [] => String::new(),
        lines => format!(": {}", lines[lines.len().saturating_sub(5)..].join(" | ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_stays_one() {
        assert_eq!(quoted("/home/me/a b"), "'/home/me/a b'");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(last_words(b"  \n"), "");
        assert_eq!(last_words(b"a\nb\n"), ": a | b");
    }
}
