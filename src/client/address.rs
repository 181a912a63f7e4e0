//! Where a master listens, and how names are written into a path.

use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Where a master can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// The socket in a master's base directory; who may open it may do everything.
    Socket(PathBuf),
    /// `http://host:port/prefix`.
    Tcp {
        host: String,
        port: u16,
        /// Empty, or begins with `/` and does not end in one.
        prefix: String,
    },
}

/// A text that is not the address of a master.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("`{0}` speaks TLS, which this command does not; use the plain address or `--dir`")]
    Tls(String),
    #[error("`{0}` is not an address such as `http://ci.example.org:8010`")]
    Malformed(String),
}

impl Address {
    /// Reads `http://host:port/prefix`; `http://` and `:80` may be left out.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.to_owned());
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(AddressError::Tls(text.to_owned()));
            }
            Some(_) => return Err(malformed()),
            None => text,
        };
        let (authority, path) = rest
            .find('/')
            .map_or((rest, ""), |slash| rest.split_at(slash));
        let (host, port) = split_port(authority).ok_or_else(malformed)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]%".contains(c);
        if host.is_empty()
            || !host.chars().all(plain)
            || !path.chars().all(|c| c.is_ascii_graphic())
        {
            return Err(malformed());
        }
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
            prefix: path.trim_end_matches('/').to_owned(),
        })
    }

    /// What stands before every path.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Socket(_) => "",
            Self::Tcp { prefix, .. } => prefix,
        }
    }

    /// The `Host` header.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Socket(_) => "localhost".to_owned(),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp { host, port, prefix } => write!(f, "http://{host}:{port}{prefix}"),
        }
    }
}

/// Splits `host:port`, `host` and `[v6]:port`.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_bracket..].find(':') else {
        return Some((authority, 80));
    };
    let (host, port) = authority.split_at(after_bracket + colon);
    Some((host, port[1..].parse().ok().filter(|port| *port != 0)?))
}

/// Percent-encodes a name, so that it is one segment of a path or one value of a form.
pub(crate) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes every text");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, prefix: &str) -> Address {
        Address::Tcp {
            host: host.to_owned(),
            port,
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn addresses_are_read_with_and_without_scheme_port_and_path() {
        for (text, expected) in [
            ("http://ci.test:8010", tcp("ci.test", 8010, "")),
            ("HTTP://ci.test:8010/", tcp("ci.test", 8010, "")),
            ("ci.test:8010/bot/", tcp("ci.test", 8010, "/bot")),
            ("http://ci.test", tcp("ci.test", 80, "")),
            ("http://[::1]:8010", tcp("[::1]", 8010, "")),
            ("http://[::1]", tcp("[::1]", 80, "")),
        ] {
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in [
            "",
            "http://",
            "ftp://ci.test",
            "ci.test:http",
            "ci.test:0",
            "ci.test:99999",
            "ci test:80",
            "ci.test:80/a b",
            "a@b",
        ] {
            let error = Address::parse(text).expect_err(text);
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not an address such as `http://ci.example.org:8010`")
            );
        }
        assert_eq!(
            Address::parse("https://ci.test"),
            Err(AddressError::Tls("https://ci.test".to_owned()))
        );
    }

    #[test]
    fn a_name_becomes_one_segment() {
        assert_eq!(encode("hello-linux_1.2~"), "hello-linux_1.2~");
        assert_eq!(encode("a/b c?d%é"), "a%2Fb%20c%3Fd%25%C3%A9");
    }
}
