//! What a starting daemon tells whoever started it, in the words of
//! sd_notify(3): systemd or our own `start` listens.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

use sd_notify::NotifyState;
use tokio::net::UnixDatagram;

/// Beyond sd_notify's own words: why it does not start, with its line ends as `\n`.
const FAILED: &str = "X_AUTOBOT_FAILED=";
/// A datagram must stay well below the kernel's limit.
const LONGEST: usize = 32 * 1024;

/// Something that a daemon said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Ready,
    Status(String),
    Failed(String),
}

/// Tells that the daemon does its work. An error is not worth stopping for.
pub(super) fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Tells what the daemon is doing.
pub(super) fn status(text: &str) {
    let _ = sd_notify::notify(&[NotifyState::Status(&text.replace('\n', " "))]);
}

/// Tells that the daemon is going to end.
pub(super) fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}

/// Tells why the daemon ends before it was ready.
pub(super) fn failed(why: &str) {
    let first_line = why.lines().next().unwrap_or_default();
    let states = [
        NotifyState::Status(first_line),
        NotifyState::Custom(&escaped(why)),
    ];
    let _ = sd_notify::notify(&states);
}

fn escaped(why: &str) -> String {
    let end = why.floor_char_boundary(LONGEST);
    let text = why[..end].replace('\\', "\\\\").replace('\n', "\\n");
    format!("{FAILED}{text}")
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.as_str().starts_with('n') => {
                characters.next();
                plain.push('\n');
            }
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

/// Reads one datagram. What is not for us is left alone.
fn read(datagram: &str) -> Vec<Notice> {
    let notice = |line: &str| {
        if line == "READY=1" {
            return Some(Notice::Ready);
        }
        if let Some(text) = line.strip_prefix(FAILED) {
            return Some(Notice::Failed(unescaped(text)));
        }
        let status = line.strip_prefix("STATUS=")?;
        Some(Notice::Status(status.to_owned()))
    };
    datagram.lines().filter_map(notice).collect()
}

/// Where a daemon's words arrive, in a directory that only we may enter.
#[derive(Debug)]
pub(super) struct Ear {
    dir: PathBuf,
    socket: UnixDatagram,
}

impl Ear {
    /// Opens a socket under the temporary directory: the path of a base
    /// directory may be longer than a socket's may.
    pub(super) fn open() -> io::Result<Self> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let name = u64::from_ne_bytes(name);
        let dir = std::env::temp_dir().join(format!("autobot-start-{name:016x}"));
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let socket = UnixDatagram::bind(dir.join("notify")).inspect_err(|_| {
            let _ = fs::remove_dir(&dir);
        })?;
        Ok(Self { dir, socket })
    }

    /// For the daemon's `NOTIFY_SOCKET`.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.join("notify")
    }

    /// Waits for words.
    pub(super) async fn hear(&self) -> io::Result<Vec<Notice>> {
        let mut datagram = vec![0; 4 * LONGEST];
        let length = self.socket.recv(&mut datagram).await?;
        Ok(read(&String::from_utf8_lossy(&datagram[..length])))
    }

    /// The words that have arrived and were not heard yet.
    pub(super) fn rest(&self) -> Vec<Notice> {
        let mut rest = Vec::new();
        let mut datagram = vec![0; 4 * LONGEST];
        while let Ok(length) = self.socket.try_recv(&mut datagram) {
            rest.extend(read(&String::from_utf8_lossy(&datagram[..length])));
        }
        rest
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

fn remove(dir: &Path) {
    let _ = fs::remove_file(dir.join("notify"));
    let _ = fs::remove_dir(dir);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_others_words_left_alone() {
        assert_eq!(
            read("STATUS=opening the store\nMAINPID=12\nREADY=1\n"),
            [
                Notice::Status("opening the store".to_owned()),
                Notice::Ready
            ]
        );
        assert_eq!(read("READY=0\ngarbage\n"), []);
    }

    #[test]
    fn a_failure_of_several_lines_arrives_whole() {
        for why in ["one\ntwo", "a \\n b\\", "", "x\\\ny"] {
            assert_eq!(read(&escaped(why)), [Notice::Failed(why.to_owned())]);
        }
        let long = "é".repeat(LONGEST);
        assert!(escaped(&long).len() <= LONGEST + FAILED.len());
    }

    #[tokio::test]
    async fn an_ear_hears_and_leaves_nothing_behind() {
        let ear = Ear::open().unwrap();
        let dir = ear.dir.clone();
        let mouth = UnixDatagram::unbound().unwrap();
        mouth.connect(ear.path()).unwrap();
        mouth.send(b"STATUS=up\n").await.unwrap();
        mouth.send(b"READY=1\n").await.unwrap();
        assert_eq!(ear.hear().await.unwrap(), [Notice::Status("up".to_owned())]);
        assert_eq!(ear.rest(), [Notice::Ready]);
        drop(ear);
        assert!(!dir.exists());
    }
}
