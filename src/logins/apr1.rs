//! Apache's own form of hash: a thousand rounds of MD5. It is read, since files of it are about;
//! nothing makes new ones.

use md5::Digest as _;
use md5::Md5;

const PREFIX: &str = "$apr1$";
/// Digits of base 64, as `crypt` writes them.
pub(super) const LETTERS: &[u8; 64] =
    b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Salt and sum of a hash.
pub(super) fn parts(text: &str) -> Option<(&str, &str)> {
    let (salt, sum) = text.strip_prefix(PREFIX)?.split_once('$')?;
    let is_good = |it: &str| it.bytes().all(|it| LETTERS.contains(&it));
    (salt.len() <= 8 && sum.len() == 22 && is_good(sum) && salt.is_ascii()).then_some((salt, sum))
}

/// What a password becomes.
pub(super) fn sum(password: &[u8], salt: &str) -> String {
    let salt = salt.as_bytes();
    let mixed = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(PREFIX)
        .chain_update(salt);
    for piece in password.chunks(16) {
        first.update(&mixed[..piece.len()]);
    }
    let mut left = password.len();
    while left > 0 {
        first.update(if left & 1 == 1 { &[0] } else { &password[..1] });
        left >>= 1;
    }
    let mut last: [u8; 16] = first.finalize().into();
    for round in 0..1000 {
        let mut next = Md5::new();
        let (start, end) = match round % 2 {
            0 => (&last[..], password),
            _ => (password, &last[..]),
        };
        next.update(start);
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(end);
        last = next.finalize().into();
    }
    let mut text = String::with_capacity(22);
    let mut write = |bytes: [u8; 3], letters: usize| {
        let mut bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        for _ in 0..letters {
            text.push(char::from(LETTERS[(bits & 63) as usize]));
            bits >>= 6;
        }
    };
    for index in 0..5 {
        let third = if index == 4 { 5 } else { index + 12 };
        write([last[index], last[index + 6], last[third]], 4);
    }
    write([0, 0, last[11]], 2);
    text
}
