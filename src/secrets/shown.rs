//! What somebody shows to be let in: the header `Authorization`, and whether it is what it should
//! be. Nothing is compared in a time that tells how much of it was right.

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;

/// The name and the password of `Basic`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Vec<u8>,
}

impl Login {
    /// Reads what stands in `Authorization`, if it is of this way.
    pub(crate) fn of_header(said: &str) -> Option<Self> {
        let (way, rest) = said.split_once(' ')?;
        if !way.eq_ignore_ascii_case("basic") {
            return None;
        }
        let login = base64(rest.trim())?;
        let colon = login.iter().position(|it| *it == b':')?;
        let user = String::from_utf8(login[..colon].to_vec()).ok()?;
        Some(Self {
            user,
            password: login[colon + 1..].to_vec(),
        })
    }
}

/// Whether `said` is the secret.
pub(crate) fn is_same(secret: &str, said: &[u8]) -> bool {
    // Of sums of equal length: where they differ says nothing of where the texts do.
    let sum = |text: &[u8]| {
        let mut sum = Hmac::<Sha256>::new_from_slice(b"compare").expect("a key of any length");
        sum.update(text);
        sum
    };
    let own = sum(secret.as_bytes()).finalize().into_bytes();
    sum(said).verify_slice(&own).is_ok()
}

/// Bytes as letters and digits.
pub(crate) fn in_base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut bits = [0; 3];
        bits[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            match place <= three.len() {
                true => out.push(char::from(LETTERS[index as usize])),
                false => out.push('='),
            }
        }
    }
    out
}

/// The bytes that a text in base64 stands for.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.trim_ascii_end().trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // Programs break its lines.
            b'\r' | b'\n' => continue,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_a_name_and_whatever_stands_behind_the_first_colon() {
        let login = |said: &str| Login::of_header(said).map(|it| (it.user, it.password));
        // ann:a:b
        let both = Some(("ann".to_owned(), b"a:b".to_vec()));
        assert_eq!(login("Basic YW5uOmE6Yg=="), both);
        assert_eq!(login("basic  YW5uOmE6Yg"), both);
        for bad in [
            "",
            "Basic",
            "Basic YW5u",
            "Bearer YW5uOmE6Yg==",
            "Basic !",
            "Basic /zo=",
        ] {
            assert_eq!(login(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_secret_itself_is_the_same() {
        assert!(is_same("quiet", b"quiet"));
        for said in [&b""[..], b"quie", b"quiet ", b"QUIET"] {
            assert!(!is_same("quiet", said), "{said:?}");
        }
    }

    #[test]
    fn what_is_written_in_base64_is_read_as_it_was() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"a", "YQ=="),
            (b"ab", "YWI="),
            (b"ann:pw", "YW5uOnB3"),
            (&[0, 255, 62, 63], "AP8+Pw=="),
        ] {
            assert_eq!(in_base64(bytes), text);
            assert_eq!(base64(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn base64_is_read_with_and_without_breaks() {
        assert_eq!(base64("AP8+Pw==").as_deref(), Some(&[0, 255, 62, 63][..]));
        assert_eq!(
            base64("AP8+\r\nPw==\n").as_deref(),
            Some(&[0, 255, 62, 63][..])
        );
        assert_eq!(base64(""), Some(Vec::new()));
        assert_eq!(base64("AP8-"), None);
    }
}
