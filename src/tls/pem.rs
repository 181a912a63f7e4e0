//! Files of certificates and keys.

use std::fs;
use std::io;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::Error;
use rustls::pki_types::pem::PemObject;
use sha2::Digest;
use sha2::Sha256;

/// No certificate is so long; a device or a disk image is.
const LONGEST: u64 = 1 << 20;

/// Why a file gives nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PemError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("it is longer than {LONGEST} bytes, which no certificate is")]
    Long,
    #[error("it holds no {0}; a PEM file has `-----BEGIN {1}-----` in it")]
    Nothing(&'static str, &'static str),
    #[error("its PEM text is damaged: {0}")]
    Damaged(String),
}

/// Every certificate of a file, in order.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| PemError::Damaged(error.to_string()))?;
    if all.is_empty() {
        return Err(PemError::Nothing("certificate", "CERTIFICATE"));
    }
    Ok(all)
}

/// The first private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        Error::NoItemsFound => PemError::Nothing("private key", "PRIVATE KEY"),
        other => PemError::Damaged(other.to_string()),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    if found.len() > LONGEST {
        return Err(PemError::Long);
    }
    Ok(fs::read(path)?)
}

/// The SHA-256 of a certificate as `openssl x509 -fingerprint -sha256` writes it.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    let digest = Sha256::digest(certificate);
    let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
