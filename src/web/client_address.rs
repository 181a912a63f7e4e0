//! Who asks: the address behind servers in front that are trusted, and how the visitor sees this
//! site. What others write into the same headers counts for nothing.

use std::convert::Infallible;
use std::net::IpAddr;
use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header;
use axum::http::request::Parts;
use axum::http::uri::Authority;

use crate::config::ProxyHeaders;
use crate::config::WebServerPlan;

/// Servers in front of each other are few; a longer list is somebody's joke.
const MOST_HOPS: usize = 32;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// `None`: a socket in the file system.
    pub(super) address: Option<IpAddr>,
    /// Whether the connection is over TLS.
    pub(super) secure: bool,
}

/// Who asks, as every handler may have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Client {
    /// `None` if it came through a socket in the file system and nobody says more.
    pub(super) address: Option<IpAddr>,
    /// Whether nobody could read along, up to the trusted server in front.
    pub(super) secure: bool,
    /// The host that the visitor asked, with its port, if a trusted server says so.
    pub(super) host: Option<Authority>,
    /// Where the visitor sees the root of this site, `/ci`, if a trusted server says so.
    pub(super) prefix: Option<String>,
}

impl Client {
    /// Finds out who asks.
    pub(super) fn of(peer: Peer, headers: &HeaderMap, plan: &WebServerPlan) -> Self {
        let direct = Self {
            address: peer.address,
            secure: peer.secure,
            ..Self::default()
        };
        if !plan.trusted_proxies.holds(peer.address) {
            return direct;
        }
        let said = match plan.proxy_headers {
            ProxyHeaders::XForwarded => x_forwarded(headers),
            ProxyHeaders::Forwarded => forwarded(headers),
        };
        let mut client = Self {
            secure: said.proto.map_or(direct.secure, |it| it == "https"),
            host: said.host.and_then(|it| it.parse().ok()),
            prefix: said.prefix.and_then(|it| prefix(&it)),
            ..direct
        };
        // Each server adds whom it heard from; only what trusted ones have added is true.
        for hop in said.hops.into_iter().rev() {
            let Some(address) = hop.as_deref().and_then(address) else {
                break;
            };
            client.address = Some(address);
            if !plan.trusted_proxies.holds(Some(address)) {
                break;
            }
        }
        client
    }

    /// As if nothing stood in between.
    pub(super) const fn peer(&self) -> Peer {
        Peer {
            address: self.address,
            secure: self.secure,
        }
    }

    /// Has everything behind see the host that the visitor asked.
    pub(super) fn put_host(&self, headers: &mut HeaderMap) {
        let host = self.host.as_ref();
        if let Some(host) = host.and_then(|it| HeaderValue::from_str(it.as_str()).ok()) {
            headers.insert(header::HOST, host);
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// What servers in front say.
#[derive(Default)]
struct Said {
    /// Whom each has heard from, the nearest last; `None` where it does not say.
    hops: Vec<Option<String>>,
    proto: Option<String>,
    host: Option<String>,
    prefix: Option<String>,
}

fn x_forwarded(headers: &HeaderMap) -> Said {
    Said {
        hops: items(headers, "x-forwarded-for").map(Some).collect(),
        proto: last(headers, "x-forwarded-proto").map(|it| it.to_ascii_lowercase()),
        host: last(headers, "x-forwarded-host"),
        prefix: last(headers, "x-forwarded-prefix"),
    }
}

/// `for=192.0.2.60;proto=http;host=ci.test, for="[2001:db8::1]:4711"`.
fn forwarded(headers: &HeaderMap) -> Said {
    let mut said = Said::default();
    for hop in items(headers, "forwarded") {
        let mut from = None;
        for pair in hop.split(';') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"').to_owned();
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => from = Some(value),
                // The last word is the nearest server's.
                "proto" => said.proto = Some(value.to_ascii_lowercase()),
                "host" => said.host = Some(value),
                _ => {}
            }
        }
        said.hops.push(from);
    }
    said
}

/// The items of a list that may stand in several headers: the last ones, if there are too many.
fn items(headers: &HeaderMap, name: &str) -> impl Iterator<Item = String> {
    let all = headers.get_all(name).iter();
    let all: Vec<_> = all
        .map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
        .collect();
    let items: Vec<_> = all
        .iter()
        .flat_map(|it| it.split(','))
        .map(|it| it.trim().to_owned())
        .collect();
    let skipped = items.len().saturating_sub(MOST_HOPS);
    items.into_iter().skip(skipped)
}

fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    items(headers, name).last().filter(|it| !it.is_empty())
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

/// A path that begins with one slash and leads nowhere else.
fn prefix(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let is_good = text.starts_with('/')
        && !text.starts_with("//")
        && !text.split('/').any(|it| it == "." || it == "..")
        && text
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || b"/-._~%".contains(&it));
    is_good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrustedProxies;

    fn of(peer: &str, trusted: &str, headers: &[(&'static str, &str)]) -> Client {
        let mut plan = WebServerPlan {
            trusted_proxies: TrustedProxies::of(trusted),
            ..WebServerPlan::default()
        };
        if headers.iter().any(|it| it.0 == "forwarded") && !trusted.contains("192.0.2.99") {
            plan.proxy_headers = ProxyHeaders::Forwarded;
        }
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        let peer = Peer {
            address: peer.parse().ok(),
            secure: false,
        };
        Client::of(peer, &map, &plan)
    }

    fn address_of(peer: &str, trusted: &str, headers: &[(&'static str, &str)]) -> String {
        let client = of(peer, trusted, headers);
        client.address.map_or("none".into(), |it| it.to_string())
    }

    #[test]
    fn only_a_trusted_server_is_believed_who_is_behind_it() {
        let said = [("x-forwarded-for", "203.0.113.5")];
        assert_eq!(address_of("10.0.0.1", "10.0.0.0/8", &said), "203.0.113.5");
        assert_eq!(
            address_of("198.51.100.1", "10.0.0.0/8", &said),
            "198.51.100.1"
        );
        assert_eq!(address_of("unix", "unix", &said), "203.0.113.5");
        assert_eq!(address_of("unix", "10.0.0.0/8", &said), "none");
        let secure = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "ci.test"),
        ];
        assert!(of("10.0.0.1", "10.0.0.0/8", &secure).secure);
        let stranger = of("198.51.100.1", "10.0.0.0/8", &secure);
        assert!(!stranger.secure && stranger.host.is_none());
    }

    #[test]
    fn what_a_visitor_has_written_before_a_trusted_server_counts_for_nothing() {
        let said = [("x-forwarded-for", "1.1.1.1, 203.0.113.5, 10.0.0.2")];
        assert_eq!(address_of("10.0.0.1", "10.0.0.0/8", &said), "203.0.113.5");
        // In several headers it is the same list.
        let said = [
            ("x-forwarded-for", "10.9.9.9, 203.0.113.5"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(address_of("10.0.0.1", "10.0.0.0/8", &said), "203.0.113.5");
        // What is no address ends the walk at who was sure last.
        let said = [("x-forwarded-for", "203.0.113.5, unknown, 10.0.0.2")];
        assert_eq!(address_of("10.0.0.1", "10.0.0.0/8", &said), "10.0.0.2");
        let many = format!("6.6.6.6{}", ", 10.0.0.2".repeat(1000));
        let said = [("x-forwarded-for", many.as_str())];
        assert_eq!(address_of("10.0.0.1", "10.0.0.0/8", &said), "10.0.0.2");
    }

    #[test]
    fn the_standard_header_is_read_where_the_file_says_so_and_only_there() {
        let said = [(
            "forwarded",
            r#"for=6.6.6.6, For="[2001:db8::7]:4711";Proto=HTTPS;host=ci.test"#,
        )];
        let client = of("10.0.0.1", "10.0.0.0/8", &said);
        assert_eq!(client.address, "2001:db8::7".parse().ok());
        assert!(client.secure);
        assert_eq!(client.host.expect("a host").as_str(), "ci.test");
        // A server that writes the other headers hands this one on as the visitor wrote it.
        let both = [
            ("forwarded", "for=6.6.6.6"),
            ("x-forwarded-for", "203.0.113.5"),
        ];
        let trusted = "10.0.0.0/8 192.0.2.99";
        assert_eq!(address_of("10.0.0.1", trusted, &both), "203.0.113.5");
        let hidden = [("forwarded", "for=_hidden, for=203.0.113.5")];
        assert_eq!(address_of("10.0.0.1", "10.0.0.0/8", &hidden), "203.0.113.5");
    }

    #[test]
    fn hosts_and_prefixes_that_lead_elsewhere_are_left_out() {
        let host = |text: &str| of("10.0.0.1", "10.0.0.1", &[("x-forwarded-host", text)]).host;
        assert!(host("ci.test:8443").is_some());
        assert!(host("ci.test/evil").is_none() && host("a b").is_none());
        let prefix =
            |text: &str| of("10.0.0.1", "10.0.0.1", &[("x-forwarded-prefix", text)]).prefix;
        assert_eq!(prefix("/ci/"), Some("/ci".into()));
        for bad in ["//evil.test", "ci", "/a/../b", "/a;Path=/", "/a\"b", ""] {
            assert_eq!(prefix(bad), None, "{bad}");
        }
    }
}
