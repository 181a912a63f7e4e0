//! Where a master listens, and how names are written into a path.

use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Where a master can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// The socket in a master's base directory; who may open it may do everything.
    Socket(PathBuf),
    /// `http://host:port/prefix`, or `https://…`.
    Tcp {
        /// Whether nobody else can read what is said.
        tls: bool,
        host: String,
        port: u16,
        /// Empty, or begins with `/` and does not end in one.
        prefix: String,
    },
}

/// A text that is not the address of a master.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("`{0}` is not an address such as `http://ci.example.org:8010`")]
    Malformed(String),
}

impl Address {
    /// Reads `http://host:port/prefix`; `http://` and `:80` may be left out. `https://` is at
    /// port 443 if none is named.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.to_owned());
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return Err(malformed()),
            None => (false, text),
        };
        let usual = if tls { 443 } else { 80 };
        let (authority, path) = rest
            .find('/')
            .map_or((rest, ""), |slash| rest.split_at(slash));
        let (host, port) = split_port(authority, usual).ok_or_else(malformed)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]%".contains(c);
        if host.is_empty()
            || !host.chars().all(plain)
            || !path.chars().all(|c| c.is_ascii_graphic())
        {
            return Err(malformed());
        }
        Ok(Self::Tcp {
            tls,
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

    /// Whether nobody else can read what is said.
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
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
            Self::Tcp {
                tls,
                host,
                port,
                prefix,
            } => {
                let scheme = if *tls { "https" } else { "http" };
                write!(f, "{scheme}://{host}:{port}{prefix}")
            }
        }
    }
}

/// Splits `host:port`, `host` and `[v6]:port`.
fn split_port(authority: &str, usual: u16) -> Option<(&str, u16)> {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after_bracket..].find(':') else {
        return Some((authority, usual));
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
            tls: false,
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
    fn an_address_with_tls_is_at_another_port() {
        for (text, shown) in [
            ("https://ci.test", "https://ci.test:443"),
            ("HTTPS://ci.test:8443/bot/", "https://ci.test:8443/bot"),
            ("http://ci.test/bot", "http://ci.test:80/bot"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
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
    }

    #[test]
    fn a_name_becomes_one_segment() {
        assert_eq!(encode("hello-linux_1.2~"), "hello-linux_1.2~");
        assert_eq!(encode("a/b c?d%é"), "a%2Fb%20c%3Fd%25%C3%A9");
    }
}
