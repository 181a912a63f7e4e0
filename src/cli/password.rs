//! A password is made into a hash before it leaves this process.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::exit::Failure;
use crate::master::users::HASHED;

/// How often it is gone through: what makes guessing slow.
const ROUNDS: u32 = 600_000;

/// `pbkdf2-sha256$ROUNDS$SALT$HASH`, with a salt of its own.
pub(super) fn hash(password: &str) -> Result<String, Failure> {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| Failure::new(format!("there are no random numbers: {error}")))?;
    Ok(hash_with(password, &salt, ROUNDS))
}

fn hash_with(password: &str, salt: &[u8], rounds: u32) -> String {
    let hash = pbkdf2(password.as_bytes(), salt, rounds);
    format!("{HASHED}{rounds}${}${}", hex(salt), hex(&hash))
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
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
    }

    #[test]
    fn two_hashes_of_one_password_differ_and_hold_nothing_of_it() {
        let hashes = [[1; 16], [2; 16]].map(|salt| hash_with("otter", &salt, 2));
        assert_ne!(hashes[0], hashes[1]);
        assert!(hashes[0].starts_with("pbkdf2-sha256$2$0101"));
        assert!(!hashes[0].contains("otter"));
    }
}
