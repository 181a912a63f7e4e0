//! `pbkdf2-sha256$ROUNDS$SALT$HASH`: what `autobot user` made for a time. It is read, and no
//! longer made.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

use super::hash::hex;
use crate::secrets::is_same;

pub(super) const PREFIX: &str = "pbkdf2-sha256$";

/// Rounds of a hash that is whole.
pub(super) fn rounds(text: &str) -> Option<u32> {
    parts(text).map(|it| it.0)
}

pub(super) fn is_of(text: &str, password: &[u8]) -> bool {
    let Some((rounds, salt, known)) = parts(text) else {
        return false;
    };
    is_same(known, hex(&pbkdf2(password, &salt, rounds)).as_bytes())
}

fn parts(text: &str) -> Option<(u32, Vec<u8>, &str)> {
    let mut parts = text.strip_prefix(PREFIX)?.split('$');
    let (rounds, salt, known) = (parts.next()?, parts.next()?, parts.next()?);
    let salt: Option<Vec<u8>> = salt
        .as_bytes()
        .chunks(2)
        .map(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok())
        .collect();
    let is_whole = parts.next().is_none() && !known.is_empty();
    let read = (rounds.parse().ok()?, salt?, known);
    is_whole.then_some(read)
}

/// The first block of PBKDF2 with HMAC-SHA-256 (RFC 8018), which is all that is kept.
fn pbkdf2(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let keyed = Hmac::<Sha256>::new_from_slice(password).expect("a key of any length");
    let mac = |parts: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        parts.iter().for_each(|it| mac.update(it));
        mac.finalize().into_bytes().into()
    };
    let mut last = mac(&[salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..rounds {
        last = mac(&[&last]);
        for (to, from) in sum.iter_mut().zip(last) {
            *to ^= from;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_becomes_what_others_make_of_it_too() {
        // RFC 7914, section 11.
        let known = pbkdf2(b"passwd", b"salt", 1);
        assert!(hex(&known).starts_with("55ac046e56e3089fec1691c22544b605"));
        let known = pbkdf2(b"Password", b"NaCl", 80_000);
        assert!(hex(&known).starts_with("4ddcd8f60b98be21830cee5ef22701f9"));
        let hash = format!("{PREFIX}1$73616c74${}", hex(&pbkdf2(b"passwd", b"salt", 1)));
        assert!(is_of(&hash, b"passwd") && !is_of(&hash, b"Passwd"));
    }
}
