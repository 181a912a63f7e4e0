//! Which servers in front of the pages are believed when they say who is behind them.

use std::net::IpAddr;

use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    fn holds(self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let drop = width - self.bits;
            one.checked_shr(drop).unwrap_or(0) == other.checked_shr(drop).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                same(u32::from(one).into(), u32::from(other).into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
            _ => false,
        }
    }
}

/// Who is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrustedProxies {
    networks: Vec<Network>,
    /// Whoever can open a socket in the file system.
    unix: bool,
}

impl TrustedProxies {
    /// Whether who calls from there is; `None` is a socket in the file system.
    pub(crate) fn holds(&self, address: Option<IpAddr>) -> bool {
        match address {
            // A listener for both kinds of addresses tells of an old one in the new form.
            Some(address) => {
                let address = address.to_canonical();
                self.networks.iter().any(|it| it.holds(address))
            }
            None => self.unix,
        }
    }

    #[cfg(test)]
    pub(crate) fn of(words: &str) -> Self {
        let words = words.split_whitespace();
        let mut all = Self::default();
        for word in words {
            match word {
                "unix" => all.unix = true,
                word => all.networks.push(Network::parse(word).expect(word)),
            }
        }
        all
    }
}

impl Value for TrustedProxies {
    const EXPECTED: &'static str =
        "addresses and networks such as `127.0.0.1` or `10.0.0.0/8`, or `unix`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all = Self::default();
        for (word, place) in Vec::<(String, Place)>::read(node)? {
            match (word.as_str(), Network::parse(&word)) {
                ("unix", _) => all.unix = true,
                (_, Some(network)) => all.networks.push(network),
                _ => {
                    return Err(Misread {
                        what: Some(format!("expected {}", Self::EXPECTED)),
                        place: Some(place),
                        ..Misread::default()
                    });
                }
            }
        }
        Ok(all)
    }
}

/// Which headers a trusted server writes. Only one kind is read: the other passes through it as
/// the visitor wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProxyHeaders {
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`.
    #[default]
    XForwarded,
    /// `Forwarded`, as RFC 7239 has it.
    Forwarded,
}

impl Value for ProxyHeaders {
    const EXPECTED: &'static str = "`x-forwarded` or `forwarded`";
    const SHAPE: Shape = Shape::Word(&["x-forwarded", "forwarded"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "x-forwarded" => Ok(Self::XForwarded),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(Misread::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_as_it_does() {
        let trusted = TrustedProxies::of("10.1.0.0/16 192.0.2.7 2001:db8::/33 ::1");
        let holds = |text: &str| trusted.holds(Some(text.parse().expect(text)));
        for good in [
            "10.1.2.3",
            "192.0.2.7",
            "2001:db8:7fff::1",
            "::1",
            "::ffff:10.1.2.3",
        ] {
            assert!(holds(good), "{good}");
        }
        for bad in [
            "10.2.0.1",
            "192.0.2.8",
            "2001:db8:8000::1",
            "::2",
            "127.0.0.1",
        ] {
            assert!(!holds(bad), "{bad}");
        }
        assert!(!trusted.holds(None));
        assert!(TrustedProxies::of("unix").holds(None));
        let all = TrustedProxies::of("0.0.0.0/0");
        assert!(all.holds(Some("203.0.113.9".parse().expect("an address"))));
        assert!(!all.holds(Some("::1".parse().expect("an address"))));
        for bad in ["10.0.0.0/33", "::/129", "10.0.0", "a.test", "10.0.0.1/x"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
