//! What a certificate is for: host names and addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls::pki_types::DnsName;

/// A host name or an address that stands in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Host(String),
    Address(IpAddr),
}

impl FromStr for Name {
    type Err = String;

    /// Reads `ci.example.org`, `*.example.org`, `10.0.0.5`, `fd00::5` or `[fd00::5]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let host = text.to_ascii_lowercase();
        let checked = host.strip_prefix("*.").unwrap_or(&host);
        match DnsName::try_from(checked) {
            Ok(_) if !host.ends_with('.') => Ok(Self::Host(host)),
            _ => Err(format!(
                "`{text}` is neither a host name such as `ci.example.org` nor an address such as \
                 `10.0.0.5`"
            )),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_or_an_address() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let read = text.parse::<Name>().map(|name| match name {
                Name::Host(host) => format!("host {host}"),
                Name::Address(address) => format!("address {address}"),
            });
            match (read, expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected),
                (Err(read), Err(expected)) => assert!(read.contains(expected), "{read}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        };
        check("CI.example.org", Ok("host ci.example.org"));
        check("*.example.org", Ok("host *.example.org"));
        check("10.0.0.5", Ok("address 10.0.0.5"));
        check("[fd00::5]", Ok("address fd00::5"));
        check("localhost", Ok("host localhost"));
        for wrong in [
            "",
            "a b",
            "ci_.",
            "https://ci.example.org",
            "ci..org",
            "ci:9010",
        ] {
            check(wrong, Err("is neither a host name"));
        }
    }
}
