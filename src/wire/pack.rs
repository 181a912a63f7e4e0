//! A directory as one stream of bytes: for each entry a head, and behind it the
//! content of the file or the target of the link. Whoever reads it believes
//! nothing of it before it is checked: `Head` is what was said, not what is true.

use std::io;
use std::io::Read;

/// What a stream begins with.
pub(crate) const MAGIC: &[u8; 8] = b"abpack1\n";

/// The longest name that is said.
pub(crate) const LONGEST_NAME: usize = 4096;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Link,
    /// Nothing follows.
    End,
}

/// What is said of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    /// Of what follows.
    pub(crate) size: u64,
    /// Relative to the directory, with `/` between its parts.
    pub(crate) name: Vec<u8>,
}

const FIXED: usize = 15;

impl Head {
    pub(crate) const END: Self = Self {
        kind: Kind::End,
        mode: 0,
        size: 0,
        name: Vec::new(),
    };

    /// `None` if the name is too long.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let length = u16::try_from(self.name.len()).ok();
        let length = length.filter(|it| usize::from(*it) <= LONGEST_NAME)?;
        let kind = match self.kind {
            Kind::Directory => b'd',
            Kind::File => b'f',
            Kind::Link => b'l',
            Kind::End => b'e',
        };
        let mut bytes = vec![kind];
        bytes.extend(self.mode.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.name);
        Some(bytes)
    }

    /// Reads the next head.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut fixed = [0; FIXED];
        from.read_exact(&mut fixed)?;
        let [kind, mode @ .., _, _, _, _, _, _, _, _, _, _] = fixed;
        let kind = match kind {
            b'd' => Kind::Directory,
            b'f' => Kind::File,
            b'l' => Kind::Link,
            b'e' => Kind::End,
            _ => return Err(invalid("an entry of an unknown kind")),
        };
        let mut size = [0; 8];
        size.copy_from_slice(&fixed[5..13]);
        let length = usize::from(u16::from_be_bytes([fixed[13], fixed[14]]));
        if length > LONGEST_NAME {
            return Err(invalid("a name that is too long"));
        }
        let mut name = vec![0; length];
        from.read_exact(&mut name)?;
        Ok(Self {
            kind,
            mode: u32::from_be_bytes(mode),
            size: u64::from_be_bytes(size),
            name,
        })
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_and_garbage_does_not() {
        let head = Head {
            kind: Kind::File,
            mode: 0o644,
            size: u64::MAX,
            name: b"a/\xff".to_vec(),
        };
        let bytes = head.to_bytes().unwrap();
        assert_eq!(Head::read(&mut &bytes[..]).unwrap(), head);
        for cut in 0..bytes.len() {
            assert!(Head::read(&mut &bytes[..cut]).is_err(), "{cut}");
        }
        let end = Head::END.to_bytes().unwrap();
        assert_eq!(Head::read(&mut &end[..]).unwrap(), Head::END);
        let mut other = bytes.clone();
        other[0] = b'x';
        assert!(Head::read(&mut &other[..]).is_err());
        let mut long = bytes;
        long[13] = 0xff;
        assert!(Head::read(&mut &long[..]).is_err());
        let name = vec![b'n'; LONGEST_NAME + 1];
        assert_eq!(Head { name, ..head }.to_bytes(), None);
    }
}
