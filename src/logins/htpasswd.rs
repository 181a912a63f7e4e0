//! Files that `htpasswd` writes: a line `NAME:HASH` for each user.

use std::collections::BTreeMap;

use super::Hash;
use super::hash::HashError;

/// Bytes of a file that is read.
pub(crate) const LARGEST: u64 = 4 << 20;

/// Who can log in by a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Htpasswd {
    all: BTreeMap<String, Hash>,
}

/// A line of a file that lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) number: usize,
    /// Whose it is, if that can be read.
    pub(crate) name: Option<String>,
    pub(crate) why: HashError,
}

impl Htpasswd {
    /// Reads a file. Of several lines of one user the first counts, good or not.
    pub(crate) fn read(text: &str) -> (Self, Vec<BadLine>) {
        let mut all: BTreeMap<&str, Option<Hash>> = BTreeMap::new();
        let mut bad = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, rest)) = line.split_once(':').filter(|it| !it.0.is_empty()) else {
                bad.push(BadLine {
                    number,
                    name: None,
                    why: HashError::Unknown,
                });
                continue;
            };
            if all.contains_key(name) {
                continue;
            }
            // Some programs write more behind the hash.
            let text = rest.split(':').next().unwrap_or_default();
            let hash = Hash::read(text).or_else(|why| Hash::of_old_crypt(text).ok_or(why));
            if let Err(why) = hash {
                bad.push(BadLine {
                    number,
                    name: Some(name.to_owned()),
                    why,
                });
            }
            all.insert(name, hash.ok());
        }
        let all = all.into_iter();
        let good = all.filter_map(|(name, hash)| Some((name.to_owned(), hash?)));
        (
            Self {
                all: good.collect(),
            },
            bad,
        )
    }

    /// Of whose password no more than the first eight letters count.
    pub(crate) fn short(&self) -> impl Iterator<Item = &str> {
        let short = self.all.iter().filter(|(_, hash)| hash.is_short());
        short.map(|(name, _)| name.as_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Hash> {
        self.all.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_user_counts_and_bad_lines_are_told() {
        let sha = "{SHA}4o6ARFHTuVRU7x/iYIsF2bXNpyM=";
        let text = format!(
            "# users\n\nann:{sha}\nbo:no-hash\nbo:{sha}\nann:{{SHA}}AAAA\nno colon\n:{sha}\n\
             cy:{sha}:Cy, the cat\r\ndi:ab3KdlXGmp2GQ\n"
        );
        let (read, bad) = Htpasswd::read(&text);
        assert!(read.get("ann").is_some() && read.get("cy").is_some());
        assert_eq!(read.get("bo"), None, "its first line is none");
        let old = read.get("di").expect("the old crypt");
        assert!(old.is_of(b"otter pwelve") && !old.is_of(b"otter p") && !old.is_of(b""));
        assert_eq!(read.short().collect::<Vec<_>>(), ["di"]);
        let bad: Vec<_> = bad
            .into_iter()
            .map(|it| (it.number, it.name.unwrap_or_default(), it.why))
            .collect();
        assert_eq!(
            bad,
            [
                (4, "bo".to_owned(), HashError::Unknown),
                (7, String::new(), HashError::Unknown),
                (8, String::new(), HashError::Unknown),
            ]
        );
    }

    #[test]
    fn garbage_lets_nobody_in() {
        let garbage: String = (0..4000_u32)
            .filter_map(|it| char::from_u32(it.wrapping_mul(2_654_435_761) % 0x3000))
            .collect();
        let (read, _) = Htpasswd::read(&garbage);
        assert_eq!(read, Htpasswd::default());
    }
}
