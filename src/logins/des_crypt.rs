//! The old `crypt`: DES (FIPS 46-3) twenty-five times over zeros, with the password for a key and a
//! salt that swaps bits of its expansion. Files of it are about, so it is read; nothing makes new
//! ones, since no more than seven bits of each of the first eight bytes of a password count.

use super::apr1::LETTERS;

/// Letters of the salt, and of the sum behind it.
const SALT: usize = 2;
const SUM: usize = 11;

const TIMES: usize = 25;

/// Where the bits of a permuted value come from, counted from 1 on the left, as the standard
/// prints it.
type Permutation = [u8];

const INITIAL: &Permutation = &[
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, //
    62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8, //
    57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, //
    61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];
const FINAL: &Permutation = &[
    40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, //
    38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21, 61, 29, //
    36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, //
    34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
];
const EXPANSION: &Permutation = &[
    32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17, //
    16, 17, 18, 19, 20, 21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
];
const MIX: &Permutation = &[
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, //
    2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
const KEY_HALVES: &Permutation = &[
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, //
    10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, //
    63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, //
    14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];
const ROUND_KEY: &Permutation = &[
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, //
    26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30, 40, //
    51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

/// How far the halves of the key turn before each round.
const TURNS: [u32; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];

/// The boxes: four rows of each, a hexadecimal digit for each place.
const BOXES: [[u64; 4]; 8] = [
    [
        0xe4d1_2fb8_3a6c_5907,
        0x0f74_e2d1_a6cb_9538,
        0x41e8_d62b_fc97_3a50,
        0xfc82_4917_5b3e_a06d,
    ],
    [
        0xf18e_6b34_972d_c05a,
        0x3d47_f28e_c01a_69b5,
        0x0e7b_a4d1_58c6_932f,
        0xd8a1_3f42_b67c_05e9,
    ],
    [
        0xa09e_63f5_1dc7_b428,
        0xd709_346a_285e_cbf1,
        0xd649_8f30_b12c_5ae7,
        0x1ad0_6987_4fe3_b52c,
    ],
    [
        0x7de3_069a_1285_bc4f,
        0xd8b5_6f03_472c_1ae9,
        0xa690_cb7d_f13e_5284,
        0x3f06_a1d8_945b_c72e,
    ],
    [
        0x2c41_7ab6_853f_d0e9,
        0xeb2c_47d1_50fa_3986,
        0x421b_ad78_f9c5_630e,
        0xb8c7_1e2d_6f09_a453,
    ],
    [
        0xc1af_9268_0d34_e75b,
        0xaf42_7c95_61de_0b38,
        0x9ef5_28c3_704a_1db6,
        0x432c_95fa_be17_608d,
    ],
    [
        0x4b2e_f08d_3c97_5a61,
        0xd0b7_491a_e35c_2f86,
        0x14bd_c37e_af68_0592,
        0x6bd8_14a7_950f_e23c,
    ],
    [
        0xd284_6fb1_a93e_50c7,
        0x1fd8_a374_c56b_0e92,
        0x7b41_9ce2_06ad_f358,
        0x21e7_4a8d_fc90_356b,
    ],
];

/// Salt and sum of a hash.
pub(super) fn parts(text: &str) -> Option<(&str, &str)> {
    let is_hash = text.len() == SALT + SUM && text.bytes().all(|it| LETTERS.contains(&it));
    is_hash.then(|| text.split_at(SALT))
}

/// What a password becomes.
pub(super) fn sum(password: &[u8], salt: &str) -> String {
    let keys = keys(key(password));
    let expansion = expansion(salt);
    let block = (0..TIMES).fold(0, |block, _| encipher(block, &keys, &expansion));
    // Sixty-four bits are ten letters and four bits; two zeros fill up the last.
    let bits = u128::from(block) << 2;
    let letter = |at: usize| LETTERS[(bits >> (6 * (SUM - 1 - at))) as usize & 63];
    (0..SUM).map(|at| char::from(letter(at))).collect()
}

/// Seven bits of each of the first eight bytes; the eighth would be for parity.
fn key(password: &[u8]) -> u64 {
    let mut key = [0; 8];
    for (to, from) in key.iter_mut().zip(password) {
        *to = from << 1;
    }
    u64::from_be_bytes(key)
}

fn permuted(value: u64, width: u32, by: &Permutation) -> u64 {
    by.iter().fold(0, |permuted, place| {
        permuted << 1 | (value >> (width - u32::from(*place)) & 1)
    })
}

/// The keys of the rounds.
fn keys(key: u64) -> [u64; 16] {
    const HALF: u64 = (1 << 28) - 1;
    let turned = |half: u64, by: u32| (half << by | half >> (28 - by)) & HALF;
    let halves = permuted(key, 64, KEY_HALVES);
    let (mut left, mut right) = (halves >> 28, halves & HALF);
    TURNS.map(|by| {
        (left, right) = (turned(left, by), turned(right, by));
        permuted(left << 28 | right, 56, ROUND_KEY)
    })
}

/// The expansion, with a bit of each half changed for the other where the salt has a one.
fn expansion(salt: &str) -> Vec<u8> {
    let digit = |letter: u8| {
        LETTERS
            .iter()
            .position(|it| *it == letter)
            .unwrap_or_default()
    };
    let bits = salt.bytes().rev().fold(0, |bits, it| bits << 6 | digit(it));
    let mut expansion = EXPANSION.to_vec();
    for at in (0..6 * SALT).filter(|at| bits >> at & 1 == 1) {
        expansion.swap(at, at + 24);
    }
    expansion
}

fn encipher(block: u64, keys: &[u64; 16], expansion: &Permutation) -> u64 {
    const HALF: u64 = u32::MAX as u64;
    let block = permuted(block, 64, INITIAL);
    let (mut left, mut right) = (block >> 32, block & HALF);
    for key in keys {
        (left, right) = (right, left ^ scrambled(right, *key, expansion));
    }
    permuted(right << 32 | left, 64, FINAL)
}

fn scrambled(half: u64, key: u64, expansion: &Permutation) -> u64 {
    let wide = permuted(half, 32, expansion) ^ key;
    let narrow = BOXES.iter().enumerate().fold(0, |narrow, (at, rows)| {
        let six = wide >> (42 - 6 * at) & 63;
        let (row, column) = (six >> 4 & 2 | six & 1, six >> 1 & 15);
        narrow << 4 | rows[row as usize] >> (60 - 4 * column) & 15
    });
    permuted(narrow, 32, MIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn des_enciphers_as_the_standard_says() {
        // Worked examples that were published with it.
        for (key, plain, sealed) in [
            (
                0x1334_5779_9bbc_dff1,
                0x0123_4567_89ab_cdef,
                0x85e8_1354_0f0a_b405,
            ),
            (0x0e32_9232_ea6d_0d73, 0x8787_8787_8787_8787, 0),
        ] {
            assert_eq!(encipher(plain, &keys(key), EXPANSION), sealed, "{key:x}");
        }
    }

    #[test]
    fn what_other_programs_made_is_made_again() {
        for (hash, password) in [
            ("abmF1QH4PEr.E", ""),
            ("abxxB7HlIeckU", "a"),
            ("ab3KdlXGmp2GQ", "otter pw"),
            ("zZXZH0aP5Ef7I", "é§ü"),
            ("./YIwmTZf0dH2", "otter pw"),
            ("A9NZpyS0xfoh6", "a"),
            ("rl.3StKT.4T8M", "rasmuslerdorf"),
        ] {
            let (salt, known) = parts(hash).expect("a hash");
            assert_eq!(sum(password.as_bytes(), salt), known, "{password}");
        }
        // Neither the ninth letter nor an eighth bit counts.
        assert_eq!(sum(b"otter pw", "ab"), sum(b"otter pwelve", "ab"));
        assert_eq!(sum(b"\xe1", "ab"), sum(b"a", "ab"));
    }

    /// Passwords of any bytes in hexadecimal digits, with a salt and what `crypt` made of them.
    const OF_PERL: &str = r#"
        my @letters = (".", "/", 0 .. 9, "A" .. "Z", "a" .. "z");
        for (1 .. 300) {
            my $password = join "", map { chr(1 + int rand 255) } 1 .. int rand 13;
            my $salt = join "", map { $letters[rand 64] } 1 .. 2;
            print unpack("H*", $password), " ", crypt($password, $salt), "\n";
        }"#;

    #[test]
    fn random_passwords_become_what_the_crypt_of_perl_makes_of_them() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a program that says what is right"
        )]
        let perl = std::process::Command::new("perl")
            .args(["-e", OF_PERL])
            .output()
            .expect("perl");
        let told = String::from_utf8(perl.stdout).expect("text");
        assert_eq!(told.lines().count(), 300, "{told}");
        for line in told.lines() {
            let (password, hash) = line.split_once(' ').expect("both");
            let digits = password.as_bytes().chunks(2);
            let bytes = digits.map(|it| u8::from_str_radix(&String::from_utf8_lossy(it), 16));
            let password: Vec<u8> = bytes.collect::<Result<_, _>>().expect("digits");
            let (salt, known) = parts(hash).expect("a hash");
            assert_eq!(sum(&password, salt), known, "{line}");
        }
    }

    #[test]
    fn no_other_text_is_taken_for_a_hash() {
        for other in [
            "",
            "ab",
            "ab3KdlXGmp2G",
            "ab3KdlXGmp2GQx",
            "ab3KdlXGmp2G!",
            "é3KdlXGmp2G",
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
