//! A line that nobody else can read: certificates read, looked at and made,
//! and the two ends of TLS. It does not know what is said over the line.
//!
//! - [`Identity`] is a certificate with its key, for who is dialled.
//! - [`Trust`] says whom the dialling side believes, and explains a refusal.
//! - [`Authority`] makes both for a farm that has no other.
//!
//! TLS 1.3 only, over `ring`, which is named wherever it is used: no other
//! crate can change the choice by being there.

mod authority;
mod identity;
mod names;
mod pem;
#[cfg(test)]
mod tests;
mod trust;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;

pub(crate) use authority::Authority;
pub(crate) use authority::Issued;
pub(crate) use identity::Acceptor;
pub(crate) use identity::Identity;
pub(crate) use identity::IdentityError;
pub(crate) use identity::no_tls_here;
pub(crate) use identity::refusal;
pub(crate) use names::Name;
pub(crate) use trust::Refused;
pub(crate) use trust::Trust;
pub(crate) use trust::TrustError;

/// The first byte of a TLS line: a handshake record.
pub(crate) const FIRST_BYTE: u8 = 0x16;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
