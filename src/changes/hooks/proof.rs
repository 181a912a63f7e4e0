//! Whether a knock comes from who has the secret: each forge shows it in its own way. Nothing
//! is compared in a time that tells how much of it was right.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

use super::Dialect;
use super::Knock;
use super::Refused;

const NO_SIGNATURE: Refused =
    Refused::Forged("the request is not signed with the secret of this hook");
const WRONG_SIGNATURE: Refused =
    Refused::Forged("the signature is not that of the secret of this hook");
const NO_TOKEN: Refused = Refused::Forged("the request does not show the secret of this hook");

/// Headers that may hold the HMAC of the body with SHA-256, as hexadecimal digits.
const SIGNATURES: [&str; 4] = [
    "x-hub-signature-256",
    "x-hub-signature",
    "x-forgejo-signature",
    "x-gitea-signature",
];

pub(super) fn check(dialect: &Dialect, secret: &str, knock: &Knock) -> Result<(), Refused> {
    match dialect {
        Dialect::GitHub | Dialect::Gitea | Dialect::Bitbucket => signature(secret, knock),
        Dialect::GitLab => match knock.header("x-gitlab-token") {
            Some(token) if is_same(secret, token.as_bytes()) => Ok(()),
            _ => Err(NO_TOKEN),
        },
        // A script sends what it can: it signs, or has the secret in `Authorization`.
        Dialect::Base | Dialect::Poller { .. } => match knock.header("authorization") {
            Some(said) if is_token(secret, said) => Ok(()),
            Some(_) => Err(NO_TOKEN),
            None => signature(secret, knock),
        },
    }
}

fn signature(secret: &str, knock: &Knock) -> Result<(), Refused> {
    let mut said = SIGNATURES.iter().filter_map(|it| knock.header(it));
    let said = said.next().ok_or(NO_SIGNATURE)?;
    let digits = said.strip_prefix("sha256=").unwrap_or(said);
    let sum = digits_of(digits).ok_or(WRONG_SIGNATURE)?;
    let mut own = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    own.update(&knock.body);
    own.verify_slice(&sum).map_err(|_| WRONG_SIGNATURE)
}

fn digits_of(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

/// `Bearer SECRET`, or `Basic` with it as the password of anybody.
fn is_token(secret: &str, said: &str) -> bool {
    let Some((way, rest)) = said.split_once(' ') else {
        return false;
    };
    if way.eq_ignore_ascii_case("bearer") {
        return is_same(secret, rest.trim().as_bytes());
    }
    let login = way
        .eq_ignore_ascii_case("basic")
        .then(|| base64(rest.trim()));
    let Some(login) = login.flatten() else {
        return false;
    };
    let mut halves = login.splitn(2, |it| *it == b':').skip(1);
    halves.next().is_some_and(|it| is_same(secret, it))
}

fn is_same(secret: &str, said: &[u8]) -> bool {
    // Of sums of equal length: where they differ says nothing of where the texts do.
    let sum = |text: &[u8]| {
        let mut sum = Hmac::<Sha256>::new_from_slice(b"compare").expect("a key of any length");
        sum.update(text);
        sum
    };
    let own = sum(secret.as_bytes()).finalize().into_bytes();
    sum(said).verify_slice(&own).is_ok()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).expect("eight bits"));
        }
    }
    Some(bytes)
}
