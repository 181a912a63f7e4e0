//! Whether a knock comes from who has the secret: each forge shows it in its own way. Nothing
//! is compared in a time that tells how much of it was right.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

use super::Dialect;
use super::Knock;
use super::Refused;
use crate::secrets::Login;
use crate::secrets::is_same;

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
    match said.split_once(' ') {
        Some((way, rest)) if way.eq_ignore_ascii_case("bearer") => {
            is_same(secret, rest.trim().as_bytes())
        }
        _ => Login::of_header(said).is_some_and(|it| is_same(secret, &it.password)),
    }
}
