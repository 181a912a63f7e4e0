//! How the pages are served, besides what they show: ports, certificate, servers in front, limits
//! and the log of requests.

use std::path::PathBuf;
use std::time::Duration;

use super::Origin;
use super::proxies::ProxyHeaders;
use super::proxies::TrustedProxies;
use super::web_ports;
use super::web_ports::PortSpec;
use super::web_ports::Scheme;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;

/// How the pages are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WebServerPlan {
    /// By the key that sets it, besides those of `[:master:]`.
    pub(crate) ports: Vec<PlacedPort>,
    pub(crate) tls: Option<WebTls>,
    /// For how long a browser that came over TLS does so again.
    pub(crate) hsts: Option<Duration>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) proxy_headers: ProxyHeaders,
    pub(crate) limits: WebLimits,
    pub(crate) log: AccessLogPlan,
}

/// A port with the key that sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlacedPort {
    pub(crate) key: &'static str,
    pub(crate) spec: PortSpec,
    pub(super) origin: Origin,
}

/// What visitors are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebTls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(super) certificate_origin: Origin,
    pub(super) key_origin: Origin,
}

/// How many visitors there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WebLimits {
    /// Connections over which pages are asked for.
    pub(crate) connections: u32,
    /// The same from one address.
    pub(crate) connections_per_address: u32,
    /// Events and logs that are followed.
    pub(crate) live: u32,
    /// The same from one address.
    pub(crate) live_per_address: u32,
    /// Requests a minute from one address at each change hook; `None` is any number.
    pub(crate) hook_requests: Option<u32>,
}

impl Default for WebLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            live: 2000,
            live_per_address: 1000,
            hook_requests: Some(600),
        }
    }
}

/// The log of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessLogPlan {
    pub(crate) is_on: bool,
    /// Bytes after which it starts anew; `None` is as the master's own.
    pub(crate) rotate_length: Option<u64>,
    /// Old ones that are kept; `None` is as the master's own.
    pub(crate) max_rotated_files: Option<u32>,
}

impl Default for AccessLogPlan {
    fn default() -> Self {
        Self {
            is_on: true,
            rotate_length: None,
            max_rotated_files: None,
        }
    }
}

/// Half a year.
const HSTS: Duration = Duration::from_hours(180 * 24);

/// Reads these keys of `[:web:]`.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<WebServerPlan> {
    let usual = WebLimits::default();
    let ports = web_ports::read(keys);
    let certificate = keys.optional::<PathBuf>("tls_certificate");
    let key = keys.optional::<PathBuf>("tls_key");
    let hsts = keys.or("hsts", Some(HSTS));
    let trusted_proxies = keys.or("trusted_proxies", TrustedProxies::default());
    let proxy_headers = keys.or("proxy_headers", ProxyHeaders::default());
    let connections = count(keys, "max_connections", usual.connections);
    let connections_per_address = count(
        keys,
        "max_connections_per_address",
        usual.connections_per_address,
    );
    let live = count(keys, "max_live", usual.live);
    let live_per_address = count(keys, "max_live_per_address", usual.live_per_address);
    let hook_requests = keys.or("max_hook_requests", usual.hook_requests.unwrap_or(0));
    let is_on = keys.or("access_log", true);
    let rotate_length = keys.optional_as::<u64>(&["log_rotate_length", "rotate_length"]);
    let max_rotated_files = keys.optional::<u32>("max_rotated_files");
    let (certificate, key) = (certificate?, key?);
    let ports = ports?;
    let needs_tls = ports.iter().find(|it| it.spec.scheme == Scheme::Tls);
    let (there, what) = match (&certificate, &key, needs_tls) {
        (Some(_), Some(_), _) | (None, None, None) => (None, ""),
        (None, None, Some(port)) => (
            Some(port.origin.place.clone()),
            "`tls_certificate` and `tls_key` are",
        ),
        (Some(_), None, _) => (Some(keys.place("tls_certificate")), "`tls_key` is"),
        (None, Some(_), _) => (Some(keys.place("tls_key")), "`tls_certificate` is"),
    };
    if let Some(place) = there {
        missing(keys, &place, what);
        return None;
    }
    let tls = certificate.zip(key).map(|(certificate, key)| WebTls {
        certificate,
        key,
        certificate_origin: Origin::at_place(keys.place("tls_certificate")),
        key_origin: Origin::at_place(keys.place("tls_key")),
    });
    Some(WebServerPlan {
        ports,
        tls,
        hsts: hsts?.filter(|it| !it.is_zero()),
        trusted_proxies: trusted_proxies?,
        proxy_headers: proxy_headers?,
        limits: WebLimits {
            connections: connections?,
            connections_per_address: connections_per_address?,
            live: live?,
            live_per_address: live_per_address?,
            hook_requests: hook_requests.map(|it| (it > 0).then_some(it))?,
        },
        log: AccessLogPlan {
            is_on: is_on?,
            rotate_length: rotate_length?,
            max_rotated_files: max_rotated_files?,
        },
    })
}

/// A number of visitors, who cannot be none.
fn count(keys: &mut Keys<'_>, name: &str, usual: u32) -> Option<u32> {
    let read = keys.or(name, usual)?;
    if read == 0 {
        keys.wrong(name, "expected at least 1, or nobody could see a page");
        return None;
    }
    Some(read)
}

fn missing(keys: &mut Keys<'_>, place: &Place, what: &str) {
    let what = format!("{what} missing in {}", keys.title());
    let problem = Problem::error(Code::MissingKey, what)
        .at(place)
        .label("this needs a certificate and its key")
        .help(
            "`autobot tls init tls --name HOST` makes both, for `tls_certificate = tls/server.pem` \
             and `tls_key = tls/server.key`",
        );
    keys.note(problem);
}
