//! What a password was made into: our own argon2id, and the forms that others left behind.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use sha_crypt::PasswordHashRef;
use sha_crypt::ShaCrypt;
use sha1::Digest as _;
use sha1::Sha1;

use super::apr1;
use super::des_crypt;
use super::pbkdf2;
use crate::secrets::base64;
use crate::secrets::is_same;

/// Bytes of a password that anybody may show.
pub(crate) const LONGEST: usize = 1024;

/// KiB that one check may take: what a hash asks for comes from a file.
const MOST_MEMORY: u32 = 256 * 1024;
/// Passes over that memory.
const MOST_PASSES: u32 = 16;
/// Rounds of the forms that count them.
const MOST_ROUNDS: u32 = 5_000_000;
/// The cost of bcrypt, each of which doubles the time.
const MOST_COST: u32 = 16;

/// What a password was made into. Its `Debug` form shows the kind only.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hash {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `$argon2id$…`: what `autobot user` makes.
    Argon2,
    /// `$2y$…`, also with `a` and `b`.
    Bcrypt,
    /// `$5$…` and `$6$…`.
    ShaCrypt,
    /// `$apr1$…`: Apache's own.
    Apr1,
    /// `{SHA}…`.
    Sha1,
    /// `pbkdf2-sha256$…`.
    Pbkdf2,
    /// 16 digits of salt and a SHA-1, as Buildbot has it.
    Buildbot,
    /// Two letters of salt and eleven of the old `crypt`.
    DesCrypt,
}

/// A text that is no hash of a form that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    #[error("this hash asks for more time or memory than a login may take")]
    TooDear,
    #[error("this is not a hash of argon2, bcrypt, SHA-crypt, apr1 or SHA-1")]
    Unknown,
}

impl Hash {
    /// Reads a hash, and whether it can be checked at all.
    ///
    /// # Errors
    /// It is of no known form, or too dear.
    pub(crate) fn read(text: &str) -> Result<Self, HashError> {
        let kind = kind(text)?;
        Ok(Self {
            kind,
            text: text.to_owned(),
        })
    }

    /// Reads a hash of the old `crypt`, which a password of thirteen letters looks like: only for
    /// where nothing but hashes stand.
    pub(super) fn of_old_crypt(text: &str) -> Option<Self> {
        des_crypt::parts(text)?;
        Some(Self {
            kind: Kind::DesCrypt,
            text: text.to_owned(),
        })
    }

    /// Whether no more than the first eight letters of the password count.
    pub(super) fn is_short(&self) -> bool {
        self.kind == Kind::DesCrypt
    }

    /// Whether a text says by its first letters that it is a hash, good or not.
    pub(crate) fn is_marked(text: &str) -> bool {
        const MARKS: [&str; 8] = [
            "$argon2", "$2y$", "$2a$", "$2b$", "$5$", "$6$", "$apr1$", "{SHA}",
        ];
        MARKS.iter().any(|it| text.starts_with(it))
    }

    /// The text of it, to tell whether it is another one than before.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is the password. It takes as long as the hash wants it to.
    pub(crate) fn is_of(&self, password: &[u8]) -> bool {
        if !is_password(password) {
            return false;
        }
        let text = self.text.as_str();
        match self.kind {
            Kind::Argon2 => Argon2::default().verify_password(password, text).is_ok(),
            Kind::Bcrypt => bcrypt::verify(password, text).unwrap_or(false),
            Kind::ShaCrypt => PasswordHashRef::new(text)
                .is_ok_and(|it| ShaCrypt::default().verify_password(password, it).is_ok()),
            Kind::Apr1 => apr1::parts(text)
                .is_some_and(|(salt, sum)| is_same(sum, apr1::sum(password, salt).as_bytes())),
            Kind::Sha1 => {
                let sum = hex(&Sha1::digest(password));
                let known = text.get(5..).and_then(base64).unwrap_or_default();
                is_same(&hex(&known), sum.as_bytes())
            }
            Kind::Pbkdf2 => pbkdf2::is_of(text, password),
            Kind::Buildbot => {
                let (salt, known) = text.split_at(16);
                let sum = Sha1::new().chain_update(password).chain_update(salt);
                is_same(&known.to_ascii_lowercase(), hex(&sum.finalize()).as_bytes())
            }
            Kind::DesCrypt => des_crypt::parts(text)
                .is_some_and(|(salt, sum)| is_same(sum, des_crypt::sum(password, salt).as_bytes())),
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({:?})", self.kind)
    }
}

/// Whether somebody may show this as a password: it is not empty, and no form of hash stops
/// at a NUL in it.
pub(crate) fn is_password(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.contains(&0)
}

/// Makes a password into a hash, with a salt of its own.
///
/// # Errors
/// It is empty or longer than a password may be, or there are no random numbers.
pub(crate) fn make(password: &str) -> Result<Hash, String> {
    if !is_password(password.as_bytes()) {
        return Err(format!(
            "a password has from 1 to {LONGEST} bytes, and no NUL among them"
        ));
    }
    let made = Argon2::default().hash_password(password.as_bytes());
    let made = made.map_err(|error| format!("the password cannot be hashed: {error}"))?;
    Ok(Hash {
        kind: Kind::Argon2,
        text: made.to_string(),
    })
}

fn kind(text: &str) -> Result<Kind, HashError> {
    let starts = |all: &[&str]| all.iter().any(|it| text.starts_with(it));
    let limited = |number: Option<u32>, most: u32| match number {
        None => Err(HashError::Unknown),
        Some(it) if it > most => Err(HashError::TooDear),
        Some(_) => Ok(()),
    };
    if starts(&["$argon2"]) {
        let hash = PasswordHash::new(text).map_err(|_| HashError::Unknown)?;
        let number = |name| hash.params.get_decimal(name);
        limited(number("m"), MOST_MEMORY)?;
        limited(number("t"), MOST_PASSES)?;
        return Ok(Kind::Argon2);
    }
    if starts(&["$2y$", "$2b$", "$2a$"]) {
        limited(text.get(4..6).and_then(|it| it.parse().ok()), MOST_COST)?;
        return match text.len() == 60 && text.is_ascii() {
            true => Ok(Kind::Bcrypt),
            false => Err(HashError::Unknown),
        };
    }
    if starts(&["$5$", "$6$"]) {
        if let Some(rounds) = text[3..].strip_prefix("rounds=") {
            let rounds = rounds.split('$').next();
            limited(rounds.and_then(|it| it.parse().ok()), MOST_ROUNDS)?;
        }
        let is_whole = PasswordHashRef::new(text).is_ok() && text.split('$').count() >= 4;
        return match is_whole {
            true => Ok(Kind::ShaCrypt),
            false => Err(HashError::Unknown),
        };
    }
    if starts(&["$apr1$"]) {
        return apr1::parts(text)
            .map(|_| Kind::Apr1)
            .ok_or(HashError::Unknown);
    }
    if starts(&["{SHA}"]) {
        let sum = base64(&text[5..]).filter(|it| it.len() == 20);
        return sum.map(|_| Kind::Sha1).ok_or(HashError::Unknown);
    }
    if starts(&[pbkdf2::PREFIX]) {
        limited(pbkdf2::rounds(text), MOST_ROUNDS)?;
        return Ok(Kind::Pbkdf2);
    }
    if text.len() == 56 && text.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Ok(Kind::Buildbot);
    }
    Err(HashError::Unknown)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is of `otter pw` (or what stands there), as another program made it.
    const KNOWN: [(&str, &str); 13] = [
        (
            "$2y$05$epK8zUMD0PTMSbZtCqzz1Ot18rADe9CCd3EU5ZI2GXnVQ2x/mQ8Ny",
            "otter pw",
        ),
        (
            "$2b$05$epK8zUMD0PTMSbZtCqzz1Ot18rADe9CCd3EU5ZI2GXnVQ2x/mQ8Ny",
            "otter pw",
        ),
        (
            "$5$6oGb7rKaHpJ37vpR$sxD/zl4zGUDhlMxeNE6km9HYqLKTly1PG7Dc2fTttr2",
            "otter pw",
        ),
        (
            "$5$abcdefgh$3gOiAu3f/iMVpPLdMzXDc2yuV8i0xpYlSi9moNqEGA6",
            "otter pw",
        ),
        (
            "$6$N7EEJ86ZnpwLe3Jp$8INauF43PETbtfH4sGIxItZrkoDxZ79ODHZSiz6FPl3HkIX8f0SGOfj3dw/qVXWOhUc4QGyy9OTSEA4yTvL/a0",
            "otter pw",
        ),
        (
            "$6$abcdefgh$TY73.Ytzp.2BxsY19SbrYaYYpH2UoOlWAdO5DxYpZAx7qVb7Dgv4BqGNOK6Pmjm1k8E53.f/GtOggKxRWJOF5.",
            "otter pw",
        ),
        (
            "$6$rounds=1500$saltsalt$S0XrxdgDq/ehEfnVEt2og4OD4uslG7yWD0iTJO/b9jBr309sQ4ZRHkir4nqHPPC3ZSdh07HkyoGmmh448x/bL/",
            "otter pw",
        ),
        ("$apr1$Hu1SkbD7$6uM6JxulnpvOgCq/OQBjF1", "otter pw"),
        ("$apr1$x$Q9fsRXLjLuvBkphI5PYHi1", "otter pw"),
        (
            "$apr1$abcdefgh$iIr1R/NwhfCuuLvO5Mqjb.",
            "a much longer password, of more than sixteen bytes",
        ),
        ("{SHA}zMYenyk23AIi9HVOvrfzLh8+0CI=", "otter pw"),
        // As Buildbot keeps it.
        (
            "0123456789abcdefc52fe310e002e64145e62f2df384d3f6b46a0394",
            "otter pw",
        ),
        (
            "pbkdf2-sha256$1000$73616c74$c4062a81edb301d699bde6d87e7cefb3eb3c33e0d49b2142905d0a03c5f9294c",
            "otter pw",
        ),
    ];

    #[test]
    fn every_form_of_hash_knows_its_password_and_no_other() {
        for (hash, password) in KNOWN {
            let read = Hash::read(hash).unwrap_or_else(|error| panic!("{hash}: {error}"));
            assert!(read.is_of(password.as_bytes()), "{hash}");
            for other in ["", "otter", "Otter pw", "otter pw ", "otter pw\0"] {
                assert!(!read.is_of(other.as_bytes()), "{hash}: {other:?}");
            }
            assert!(!format!("{read:?}").contains(&hash[7..]), "{read:?}");
        }
    }

    #[test]
    fn our_own_hashes_are_salted_and_hold_nothing_of_the_password() {
        let [one, two] = [make("otter").expect("made"), make("otter").expect("made")];
        assert_ne!(one, two);
        assert!(
            one.as_str().starts_with("$argon2id$v=19$"),
            "{}",
            one.as_str()
        );
        assert!(!one.as_str().contains("otter"));
        assert_eq!(Hash::read(one.as_str()), Ok(one.clone()));
        assert!(one.is_of(b"otter") && two.is_of(b"otter") && !one.is_of(b"Otter"));
        assert!(make("").is_err() && make("a\0b").is_err());
        assert!(make(&"x".repeat(LONGEST + 1)).is_err());
        let longest = "x".repeat(LONGEST);
        assert!(make(&longest).expect("made").is_of(longest.as_bytes()));
        assert!(!one.is_of(&vec![b'x'; 1 << 20]));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_what_is_too_dear_is_never_checked() {
        let check = |text: &str, expected: HashError| {
            assert_eq!(Hash::read(text), Err(expected), "{text}");
        };
        for unknown in [
            "",
            // What may be a password of thirteen letters.
            "rqXexS6ZhobKA",
            "otter",
            "$",
            "$2y$",
            "$2y$05$short",
            "$2y$xx$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$5$",
            "$6$rounds=x$a$b",
            "$apr1$",
            "$apr1$salt",
            "{SHA}",
            "{SHA}AAAA",
            "$argon2id$v=19$garbage",
            "pbkdf2-sha256$",
            "zz345678901234567890123456789012345678901234567890123456",
        ] {
            check(unknown, HashError::Unknown);
        }
        let salt = "c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";
        for dear in [
            "$2y$31$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
            "$6$rounds=999999999$salt$xxxx",
            &format!("$argon2id$v=19$m=4194304,t=2,p=1${salt}"),
            &format!("$argon2id$v=19$m=19456,t=4000000,p=1${salt}"),
            "pbkdf2-sha256$4000000000$00$00",
        ] {
            check(dear, HashError::TooDear);
        }
    }
}
