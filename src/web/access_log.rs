//! `http.log`: a line for each answer, in the combined form, and how long it took in milliseconds
//! behind it. Whoever answers waits for no disk: lines that do not fit are counted, and the log
//! says so. What may be secret in an address is not written down.

use std::fmt::Write as _;
use std::io;
use std::io::Write as _;
use std::iter;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use axum::http::Method;
use axum::http::Uri;
use axum::http::Version;

use crate::clock;
use crate::logs::rotating::LogFile;
use crate::logs::rotating::Rotation;
use crate::model::Timestamp;

/// The log in the base directory.
const NAME: &str = "http.log";

/// Lines that may wait for the disk; each is a few hundred bytes.
const WAITING: usize = 4096;

/// How long the log rests after it was written: far too short for so many lines to wait.
const REST: Duration = Duration::from_millis(20);

/// The longest of a part of a line that a visitor has written.
const LONGEST: usize = 2048;

/// Who has logged in: put among the extensions of an answer, it stands in the log.
#[derive(Clone, Debug)]
pub(super) struct LoggedIn(pub(super) Arc<str>);

impl From<&str> for LoggedIn {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// An answer, as the log has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) from: Option<IpAddr>,
    pub(super) user: Option<Arc<str>>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) sent: u64,
    pub(super) referer: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) took: Duration,
}

/// The log, of which the file is a thread's of its own.
#[derive(Debug)]
pub(super) struct AccessLog {
    lines: SyncSender<(String, Rotation)>,
    lost: Arc<AtomicU64>,
}

impl AccessLog {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let file = LogFile::with_rotation(&dir.join(NAME), Rotation::default())?;
        let (lines, waiting) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let left_out = Arc::clone(&lost);
        thread::Builder::new()
            .name(NAME.into())
            .spawn(move || write(file, &waiting, &left_out))?;
        Ok(Self { lines, lost })
    }

    /// Has a line written when there is time.
    pub(super) fn note(&self, entry: &Entry, rotation: Rotation) {
        if self.lines.try_send((line(entry), rotation)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes what comes, until nobody says anything any more: what comes alone at once, and of many
/// lines some together, so that not each of them wakes this thread.
fn write(mut file: LogFile, lines: &Receiver<(String, Rotation)>, lost: &AtomicU64) {
    while let Ok(first) = lines.recv() {
        for (line, rotation) in iter::once(first).chain(lines.try_iter()) {
            file.set_rotation(rotation);
            let missing = lost.swap(0, Ordering::Relaxed);
            if missing > 0 {
                let words = format!("({missing} lines are missing here: there were too many)\n");
                drop(file.write_all(words.as_bytes()));
            }
            drop(file.write_all(line.as_bytes()));
        }
        thread::sleep(REST);
    }
}

fn line(it: &Entry) -> String {
    let from = it.from.map_or_else(|| "-".into(), |it| it.to_string());
    let user = it.user.as_deref().map_or_else(|| "-".into(), word);
    let at = clock::of_logs(it.at);
    let target = it.uri.path_and_query().map_or("/", |it| it.as_str());
    let asked = format!("{} {} {:?}", it.method, without_secrets(target), it.version);
    let mut line = format!("{from} - {user} [{at}] \"");
    quote(&mut line, &asked);
    let _ = write!(line, "\" {} {} \"", it.status, it.sent);
    let referer = it.referer.as_deref().unwrap_or("-");
    quote(&mut line, &without_secrets(referer));
    line.push_str("\" \"");
    quote(&mut line, it.agent.as_deref().unwrap_or("-"));
    let _ = writeln!(line, "\" {}", it.took.as_millis());
    line
}

/// A name without anything that could end it.
fn word(name: &str) -> String {
    let mut text = String::new();
    quote(&mut text, name);
    match text.is_empty() {
        true => "-".into(),
        false => text.replace(' ', "\\x20"),
    }
}

/// What no line and no terminal minds.
fn quote(line: &mut String, text: &str) {
    for (count, character) in text.chars().enumerate() {
        if count >= LONGEST {
            line.push_str("...");
            return;
        }
        match character {
            '"' | '\\' => {
                line.push('\\');
                line.push(character);
            }
            ' '..='~' => line.push(character),
            other => {
                let mut bytes = [0; 4];
                for byte in other.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(line, "\\x{byte:02x}");
                }
            }
        }
    }
}

/// Parts of names of what a visitor does not want to have read by others.
const SECRET: [&str; 9] = [
    "token", "passw", "secret", "key", "auth", "code", "state", "session", "sign",
];

/// An address of which the values of such names are left out.
pub(super) fn without_secrets(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let (query, fragment) = match query.split_once('#') {
        Some((query, _)) => (query, "#"),
        None => (query, ""),
    };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=..."),
        _ => pair.to_owned(),
    });
    let pairs: Vec<_> = pairs.collect();
    format!("{path}?{}{fragment}", pairs.join("&"))
}

fn is_secret(name: &str) -> bool {
    // A name may be quoted so that it looks like another.
    let plain = super::links::unquote(name).unwrap_or_default();
    let plain = plain.to_ascii_lowercase();
    SECRET.iter().any(|it| plain.contains(it)) || plain == "sid"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uri: &str, user: Option<&str>, agent: &str) -> Entry {
        Entry {
            at: Timestamp(1_767_400_000_000),
            from: "192.0.2.7".parse().ok(),
            user: user.map(Into::into),
            method: Method::GET,
            uri: uri.parse().expect("an address"),
            version: Version::HTTP_11,
            status: 200,
            sent: 1234,
            referer: None,
            agent: Some(agent.into()),
            took: Duration::from_millis(7),
        }
    }

    fn shown(entry: &Entry) -> String {
        let line = line(entry);
        let (before, rest) = line.split_once('[').expect("a time");
        let (_, after) = rest.split_once(']').expect("its end");
        format!("{before}[TIME]{after}")
    }

    #[test]
    fn a_line_has_the_combined_form_and_how_long_it_took() {
        insta::assert_snapshot!(shown(&entry("/builders?branch=a%0Ab", Some("ann"), "curl/8")),
            @r#"192.0.2.7 - ann [TIME] "GET /builders?branch=a%0Ab HTTP/1.1" 200 1234 "-" "curl/8" 7"#);
    }

    #[test]
    fn what_a_visitor_writes_neither_ends_a_line_nor_moves_a_terminal() {
        let line = shown(&entry(
            "/",
            Some("a b\n127.0.0.1 - root"),
            "x\" 200 \u{1b}[2J\r\n\\ü",
        ));
        assert_eq!(line.lines().count(), 1);
        insta::assert_snapshot!(line,
            @r#"192.0.2.7 - a\x20b\x0a127.0.0.1\x20-\x20root [TIME] "GET / HTTP/1.1" 200 1234 "-" "x\" 200 \x1b[2J\x0d\x0a\\\xc3\xbc" 7"#);
        let long = shown(&entry("/", None, &"x".repeat(100_000)));
        assert!(
            long.len() < 3000 && long.contains("...\""),
            "{}",
            long.len()
        );
    }

    #[test]
    fn secrets_in_addresses_are_not_written_down() {
        let check = |target: &str, expected: &str| assert_eq!(without_secrets(target), expected);
        check("/a?token=abc&x=1", "/a?token=...&x=1");
        check("/a?access_token=abc", "/a?access_token=...");
        check("/a?Passwd=abc&username=ann", "/a?Passwd=...&username=ann");
        check("/a?%74oken=abc", "/a?%74oken=...");
        check("https://x/a?code=abc#token=y", "https://x/a?code=...#");
        check("/a?branch=token", "/a?branch=token");
        check("/a", "/a");
    }

    #[test]
    fn lines_are_written_in_order_and_the_log_rotates() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = AccessLog::open(dir.path()).expect("opened");
        let rotation = Rotation {
            largest: 400,
            kept: 1,
        };
        for number in 0..10 {
            log.note(&entry(&format!("/{number}"), None, "x"), rotation);
        }
        let path = dir.path().join("http.log");
        let last = || std::fs::read_to_string(&path).is_ok_and(|it| it.contains("GET /9 "));
        while !last() {
            thread::yield_now();
        }
        let old = std::fs::read_to_string(dir.path().join("http.log.1")).expect("an old one");
        assert!(
            old.len() <= 400 && old.contains(" HTTP/1.1\" 200 1234 "),
            "{old}"
        );
    }
}
