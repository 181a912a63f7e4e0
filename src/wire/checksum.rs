//! The checksum of a file on its way: SHA-256, in hexadecimal digits.

use std::io;
use std::io::{Read, Write};

use sha2::{Digest, Sha256};

use crate::model::hex;

/// A sum over what is written to it.
#[derive(Default)]
pub(crate) struct Checksum(Sha256);

impl Checksum {
    /// Over all that there is to read.
    pub(crate) fn of(from: &mut impl Read) -> io::Result<String> {
        let mut sum = Self::default();
        io::copy(from, &mut sum)?;
        Ok(sum.into_hex())
    }

    pub(crate) fn into_hex(self) -> String {
        let digest = self.0.finalize();
        hex(&digest)
    }
}

impl Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sum_that_everybody_knows() {
        let known = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(Checksum::of(&mut &b"hello"[..]).unwrap(), known);
    }
}
