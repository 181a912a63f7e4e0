//! Login by challenge: the password does not cross the line, only proof of it.

use md5::Digest;
use md5::Md5;

/// What the right password makes of a challenge. It is the protocol's: the digest of the digest of
/// the password and the challenge.
fn response(password: &[u8], challenge: &[u8]) -> [u8; 16] {
    let password = Md5::digest(password);
    let both = Md5::new().chain_update(password).chain_update(challenge);
    both.finalize().into()
}

/// The response of a caller, for tests that play one.
#[cfg(test)]
pub(crate) fn answer(password: &str, challenge: &[u8]) -> [u8; 16] {
    response(password.as_bytes(), challenge)
}

/// Whether a response proves the password. It takes as long for a wrong one.
pub(crate) fn proves(password: &[u8], challenge: &[u8], said: &[u8]) -> bool {
    let right = response(password, challenge);
    let differ = |(a, b): (&u8, &u8)| a ^ b;
    said.len() == right.len()
        && right
            .iter()
            .zip(said)
            .map(differ)
            .fold(0, |all, it| all | it)
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_proves_one_password_for_one_challenge() {
        let challenge: Vec<u8> = (0..16).collect();
        let said = [
            0x53, 0x79, 0x92, 0x77, 0x02, 0x46, 0xd1, 0x51, 0xc8, 0xdb, 0xa2, 0xe9, 0xfa, 0xa4,
            0x65, 0xc1,
        ];
        assert!(proves(b"pw1", &challenge, &said));
        assert!(!proves(b"pw2", &challenge, &said));
        assert!(!proves(b"pw1", &challenge[1..], &said));
        assert!(!proves(b"pw1", &challenge, &said[1..]));
        assert!(!proves(b"pw1", &challenge, b""));
    }
}
