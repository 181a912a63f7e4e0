//! The file of host keys that are known, as OpenSSH has it: names, patterns
//! and hashed names, `@revoked` keys. Certificate authorities are passed over:
//! nothing is trusted because of them.

use std::fmt;

use sha2::{Digest, Sha256};
use ssh2::{CheckResult, KnownHostFileKind, KnownHosts};

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The key of a host, as people compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShownKey {
    /// Such as `ssh-ed25519`.
    pub(crate) kind: String,
    /// In base64, as it stands in files.
    pub(crate) key: String,
    /// `SHA256:…`.
    pub(crate) fingerprint: String,
}

impl fmt::Display for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.fingerprint)
    }
}

impl ShownKey {
    /// `None` if the bytes are no key.
    pub(crate) fn of(blob: &[u8]) -> Option<Self> {
        let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?);
        let kind = blob.get(4..)?.get(..usize::try_from(length).ok()?)?;
        let fingerprint = base64(&Sha256::digest(blob));
        Some(Self {
            kind: std::str::from_utf8(kind).ok()?.to_owned(),
            key: base64(blob),
            fingerprint: format!("SHA256:{}", fingerprint.trim_end_matches('=')),
        })
    }

    /// The line of a file that makes it known.
    pub(crate) fn line(&self, host: &str, port: u16) -> String {
        format!("{} {} {}", token(host, port), self.kind, self.key)
    }
}

/// What a file says of a host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Each with the number of its line.
    pub(super) keys: Vec<(usize, ShownKey)>,
    pub(super) revoked: Vec<(usize, String)>,
}

/// What is to be thought of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    Unknown,
    Revoked { line: usize },
    Other { line: usize, known: ShownKey },
}

impl Known {
    /// Reads what stands in `text` of the host. A line that cannot be read says nothing.
    pub(super) fn read(text: &str, host: &str, port: u16, hashes: &Hashes<'_>) -> Self {
        let mut known = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            let mut words = line.split_ascii_whitespace();
            let Some(first) = words.next().filter(|it| !it.starts_with('#')) else {
                continue;
            };
            let (marker, names) = match first.starts_with('@') {
                true => (Some(first), words.next().unwrap_or_default()),
                false => (None, first),
            };
            let (Some(_), Some(key)) = (words.next(), words.next()) else {
                continue;
            };
            match marker {
                // For whatever host: a key that was stolen is good for none.
                Some("@revoked") => known.revoked.push((number, key.to_owned())),
                Some(_) => {}
                None if is_named(names, host, port, hashes, line) => {
                    let shown = decoded(key).and_then(|it| ShownKey::of(&it));
                    known.keys.extend(shown.map(|it| (number, it)));
                }
                None => {}
            }
        }
        known
    }

    pub(super) fn judge(&self, shown: &ShownKey) -> Verdict {
        if let Some((line, _)) = self.revoked.iter().find(|it| it.1 == shown.key) {
            return Verdict::Revoked { line: *line };
        }
        if self.keys.iter().any(|it| it.1 == *shown) {
            return Verdict::Known;
        }
        // The one of the same kind says most.
        let same = self.keys.iter().find(|it| it.1.kind == shown.kind);
        match same.or(self.keys.first()) {
            Some((line, known)) => Verdict::Other {
                line: *line,
                known: known.clone(),
            },
            None => Verdict::Unknown,
        }
    }
}

/// Asks libssh2 whether a line with a hashed name is about a host.
pub(super) type Hashes<'a> = dyn Fn(&str) -> bool + 'a;

/// See [`Hashes`].
pub(super) fn hashes<'a>(
    files: impl Fn() -> Option<KnownHosts> + 'a,
    host: &'a str,
    port: u16,
) -> impl Fn(&str) -> bool + 'a {
    move |line| {
        let Some(mut file) = files() else {
            return false;
        };
        let read = file.read_str(line, KnownHostFileKind::OpenSSH);
        // No key is empty, so a host that is found is found with another one.
        read.is_ok() && matches!(file.check_port(host, port, &[0]), CheckResult::Mismatch)
    }
}

fn is_named(names: &str, host: &str, port: u16, hashes: &Hashes<'_>, line: &str) -> bool {
    if names.starts_with("|1|") {
        return hashes(line);
    }
    let token = token(host, port).to_lowercase();
    let mut is_named = false;
    for name in names.split(',') {
        let name = name.to_lowercase();
        match name.strip_prefix('!') {
            Some(name) if fits(name.as_bytes(), token.as_bytes()) => return false,
            Some(_) => {}
            None => is_named |= fits(name.as_bytes(), token.as_bytes()),
        }
    }
    is_named
}

/// How a file names a host.
fn token(host: &str, port: u16) -> String {
    match port {
        22 => host.to_owned(),
        _ => format!("[{host}]:{port}"),
    }
}

/// `*` is anything, `?` any character.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on if what follows the last `*` does not fit here.
    let (mut at, mut from, mut retry) = (0, 0, None);
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                retry = Some((at, from));
            }
            Some(it) if *it == b'?' || *it == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((after, begun)) = retry else {
                    return false;
                };
                at = after;
                from = begun + 1;
                retry = Some((after, from));
            }
        }
    }
    pattern[at..].iter().all(|it| *it == b'*')
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for piece in bytes.chunks(3) {
        let get = |at: usize| u32::from(piece.get(at).copied().unwrap_or(0));
        let number = get(0) << 16 | get(1) << 8 | get(2);
        for at in 0..4 {
            let digit = usize::try_from(number >> (18 - 6 * at) & 63).expect("six bits");
            out.push(if at <= u32::try_from(piece.len()).expect("at most 3") {
                LETTERS[digit] as char
            } else {
                '='
            });
        }
    }
    out
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::new();
    let (mut number, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let digit = LETTERS.iter().position(|it| *it == letter)?;
        number = (number << 6 | u32::try_from(digit).ok()?) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(number >> bits & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of `kind` that ends in `end`.
    fn key(kind: &str, end: &str) -> ShownKey {
        let mut blob = u32::try_from(kind.len())
            .expect("short")
            .to_be_bytes()
            .to_vec();
        blob.extend_from_slice(kind.as_bytes());
        blob.extend_from_slice(end.as_bytes());
        ShownKey::of(&blob).expect("a key")
    }

    fn judge(text: &str, host: &str, port: u16, shown: &ShownKey) -> Verdict {
        let session = ssh2::Session::new().expect("a session");
        let hashes = hashes(|| session.known_hosts().ok(), host, port);
        Known::read(text, host, port, &hashes).judge(shown)
    }

    #[test]
    fn base64_is_that_of_everybody() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(decoded(text).expect("base64"), bytes.as_bytes());
        }
        assert_eq!(decoded("a b"), None);
    }

    #[test]
    fn a_host_is_known_by_name_pattern_port_and_hash() {
        let ed = key("ssh-ed25519", "one");
        let rsa = key("ssh-rsa", "two");
        let known = |names: &str| {
            format!(
                "# mine\n\nother {rsa_key}\n{names} ssh-ed25519 {}\n",
                ed.key,
                rsa_key = format_args!("ssh-rsa {}", rsa.key)
            )
        };
        for (names, host, port) in [
            ("build.example.org", "build.example.org", 22),
            ("a,BUILD.example.org", "build.EXAMPLE.org", 22),
            ("*.example.org", "build.example.org", 22),
            ("[build]:2222", "build", 2222),
            ("b?ild", "build", 22),
            // `ssh-keygen -H` of `[127.0.0.1]:2222` and of `build`.
            (
                "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=",
                "192.168.1.61",
                22,
            ),
        ] {
            assert_eq!(
                judge(&known(names), host, port, &ed),
                Verdict::Known,
                "{names}"
            );
        }
        for (names, host, port) in [
            ("build", "build", 2222),
            ("[build]:2222", "build", 22),
            ("*,!build", "build", 22),
            ("*.example.org", "example.org", 22),
            (
                "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=",
                "192.168.1.62",
                22,
            ),
        ] {
            assert_eq!(
                judge(&known(names), host, port, &ed),
                Verdict::Unknown,
                "{names}"
            );
        }
    }

    #[test]
    fn another_key_a_revoked_one_and_an_authority_are_not_taken() {
        let (good, bad) = (key("ssh-ed25519", "one"), key("ssh-ed25519", "two"));
        let rsa = key("ssh-rsa", "three");
        let text = format!("h ssh-rsa {}\nh ssh-ed25519 {}\n", rsa.key, good.key);
        let other = Verdict::Other {
            line: 2,
            known: good.clone(),
        };
        assert_eq!(judge(&text, "h", 22, &bad), other);
        assert_eq!(judge(&text, "h", 22, &rsa), Verdict::Known);

        let text = format!("h ssh-ed25519 {0}\n@revoked * ssh-ed25519 {0}\n", good.key);
        assert_eq!(judge(&text, "h", 22, &good), Verdict::Revoked { line: 2 });

        let text = format!("@cert-authority h ssh-ed25519 {}\n", good.key);
        assert_eq!(judge(&text, "h", 22, &good), Verdict::Unknown);
        assert_eq!(judge(&text, "@cert-authority", 22, &good), Verdict::Unknown);
    }

    #[test]
    fn what_is_no_line_says_nothing() {
        let ed = key("ssh-ed25519", "one");
        for text in [
            "h",
            "h ssh-ed25519",
            "h ssh-ed25519 ***",
            "@revoked",
            "|1|x|y ssh-rsa AAAA",
            "\0",
        ] {
            assert_eq!(judge(text, "h", 22, &ed), Verdict::Unknown, "{text}");
        }
        assert_eq!(ShownKey::of(b"\xff\xff\xff\xffx"), None);
        assert_eq!(ShownKey::of(b"x"), None);
    }
}
