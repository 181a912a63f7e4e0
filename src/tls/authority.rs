//! An authority of one's own: a farm that has no other certificates gets all
//! that it needs from here.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::PublicKeyData as _;
use rcgen::SanType;
use sha2::Digest;
use sha2::Sha256;

use super::names::Name;
use super::pem::fingerprint;
use crate::model::Timestamp;
use crate::model::hex;

/// How long the authority is good for.
const AUTHORITY_DAYS: u64 = 20 * 366;
/// Clocks of slaves may go after the master's.
const SLACK: Duration = Duration::from_hours(24);
const DAY: Duration = Duration::from_hours(24);

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    #[error("the authority's key `{}` cannot be used", .0.display())]
    Key(PathBuf, #[source] rcgen::Error),
}

/// Who signs the certificates of a farm.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

/// A certificate and its key, as texts.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) fingerprint: String,
}

impl Authority {
    /// Makes a new one.
    pub(crate) fn make() -> Result<Self, AuthorityError> {
        Ok(Self::with(KeyPair::generate()?))
    }

    /// The one whose key was kept in `file`.
    pub(crate) fn with_key(file: &Path, key: &str) -> Result<Self, AuthorityError> {
        let key =
            KeyPair::from_pem(key).map_err(|error| AuthorityError::Key(file.to_owned(), error))?;
        Ok(Self::with(key))
    }

    /// Its name comes from its key, so that it is the same again, and no two are alike: who
    /// verifies can tell that another authority was asked.
    fn with(key: KeyPair) -> Self {
        let digest = Sha256::digest(key.der_bytes());
        let mark = hex(&digest[..4]);
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("autobot authority {mark}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { params, key }
    }

    /// Its certificate, which every slave gets, and its key, which nobody else gets.
    pub(crate) fn issued(&self, now: Timestamp) -> Result<Issued, AuthorityError> {
        let mut params = self.params.clone();
        limit(&mut params, now, AUTHORITY_DAYS);
        let certificate = params.self_signed(&self.key)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: self.key.serialize_pem(),
            fingerprint: fingerprint(certificate.der()),
        })
    }

    /// A certificate for a server that is reached by these names.
    pub(crate) fn sign(
        &self,
        names: &[Name],
        now: Timestamp,
        days: u32,
    ) -> Result<Issued, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "autobot master");
        for name in names {
            params.subject_alt_names.push(match name {
                Name::Host(host) => SanType::DnsName(host.as_str().try_into()?),
                Name::Address(address) => SanType::IpAddress(*address),
            });
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        limit(&mut params, now, u64::from(days));
        let key = KeyPair::generate()?;
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            fingerprint: fingerprint(certificate.der()),
        })
    }
}

fn limit(params: &mut CertificateParams, now: Timestamp, days: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    params.not_before = epoch + now.saturating_sub(SLACK);
    params.not_after = epoch + now + DAY * u32::try_from(days).unwrap_or(u32::MAX);
}
