//! What the pages are listened on: port specifications, in Twisted's spelling or shorter.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Origin;
use super::Plan;
use super::web_server::PlacedPort;

/// Something that can be listened on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    /// A socket in the file system, and its mode.
    Unix {
        path: PathBuf,
        mode: u32,
    },
}

impl Endpoint {
    /// Whether only one of them can be listened on.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => {
                one.port() != 0
                    && one.port() == other.port()
                    && (one.ip() == other.ip()
                        || one.ip().is_unspecified()
                        || other.ip().is_unspecified())
            }
            (Self::Unix { path: one, .. }, Self::Unix { path: other, .. }) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who may read what goes through a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    /// TLS if there is a certificate, which a bare number leaves open.
    Usual,
    Plain,
    Tls,
}

/// A port specification: where, and whether over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortSpec {
    pub(crate) endpoint: Endpoint,
    pub(crate) scheme: Scheme,
}

/// A mode for who is in the group of the master, such as a server in front.
const MODE: u32 = 0o660;

/// How a port specification is spelt.
pub(super) const SPELT: &str = "a port such as `8010`, `127.0.0.1:8010`, `tcp:8010:interface=127.0.0.1`, `https:8443` or \
     `unix:web.sock`";

impl PortSpec {
    /// Reads one; paths start in the directory of the file.
    fn parse(text: &str, node: &Node) -> Result<Self, &'static str> {
        let tls = text
            .strip_prefix("https:")
            .or_else(|| text.strip_prefix("ssl:"));
        if let Some(rest) = text.strip_prefix("unix:") {
            return Self::unix(rest, node);
        }
        if text.starts_with(['/', '.', '~']) {
            return Self::unix(text, node);
        }
        let (rest, scheme) = match (tls, text.strip_prefix("tcp:")) {
            (Some(rest), _) => (rest, Scheme::Tls),
            (None, Some(rest)) => (rest, Scheme::Plain),
            (None, None) => (text, Scheme::Usual),
        };
        let endpoint = Endpoint::Tcp(tcp(rest)?);
        Ok(Self { endpoint, scheme })
    }

    fn unix(text: &str, node: &Node) -> Result<Self, &'static str> {
        let (path, mode) = match text.split_once(":mode=") {
            Some((path, mode)) => (path, u32::from_str_radix(mode, 8).ok()),
            None => (text, Some(MODE)),
        };
        let mode = mode
            .filter(|it| *it <= 0o777)
            .ok_or("a mode is octal, such as `mode=660`")?;
        if path.is_empty() || path.ends_with('/') {
            return Err("the path of a socket is missing");
        }
        let path = match path.strip_prefix("~/") {
            Some(_) => return Err("write the whole path; `~` is not looked up"),
            None => node.place.source.dir.join(path),
        };
        let endpoint = Endpoint::Unix { path, mode };
        Ok(Self {
            endpoint,
            scheme: Scheme::Plain,
        })
    }
}

/// `8010`, `127.0.0.1:8010`, `8010:interface=127.0.0.1`.
fn tcp(text: &str) -> Result<SocketAddr, &'static str> {
    let any = IpAddr::from([0, 0, 0, 0]);
    let port = |text: &str| {
        let port = text.parse::<u16>().ok().filter(|it| *it > 0);
        port.ok_or("a port is a number from 1 to 65535")
    };
    if text.bytes().all(|it| it.is_ascii_digit()) {
        return Ok(SocketAddr::new(any, port(text)?));
    }
    if let Some((number, more)) = text.split_once(':')
        && number.bytes().all(|it| it.is_ascii_digit())
    {
        let Some(interface) = more.strip_prefix("interface=") else {
            return Err(match more.contains("Key=") {
                true => "`tls_certificate` and `tls_key` say which certificate is shown",
                false => "only `interface=ADDRESS` may follow a port",
            });
        };
        // Twisted has a `\` before colons of its own.
        let interface = interface.replace("\\:", ":");
        let interface = match interface.as_str() {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            address => address
                .trim_matches(['[', ']'])
                .parse()
                .map_err(|_| "an interface is an address such as `127.0.0.1`")?,
        };
        return Ok(SocketAddr::new(interface, port(number)?));
    }
    if let Some(number) = text.strip_prefix("localhost:") {
        return Ok(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port(number)?));
    }
    text.parse().map_err(|_| "no such port can be listened on")
}

/// Ports, each with its place; `none` is none.
#[derive(Clone, Debug, Default)]
pub(super) struct PortSpecs(pub(super) Vec<(PortSpec, Place)>);

impl Value for PortSpecs {
    const EXPECTED: &'static str = SPELT;
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let words = match &node.content {
            Content::Int(port) => vec![(port.to_string(), node.place.clone())],
            _ => Vec::<(String, Place)>::read(node)?,
        };
        let words = words
            .into_iter()
            .filter(|(word, _)| !word.eq_ignore_ascii_case("none"));
        let specs = words.map(|(word, place)| match PortSpec::parse(&word, node) {
            Ok(spec) => Ok((spec, place)),
            Err(why) => Err(Misread {
                what: Some(format!("expected {SPELT}: {why}")),
                place: Some(place),
                ..Misread::default()
            }),
        });
        specs.collect::<Result<_, _>>().map(Self)
    }
}

/// The keys of ports, and who may do what there. `slaveport` is not of the pages.
const KEYS: [&str; 3] = ["http_port", "public_http_port", "distrib_port"];

/// Ports of `[:web:]`.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<Vec<PlacedPort>> {
    let read = KEYS.map(|key| (key, keys.or(key, PortSpecs::default())));
    let mut all = Vec::new();
    for (key, specs) in read {
        let specs = specs?.0.into_iter();
        all.extend(specs.map(|(spec, place)| PlacedPort {
            key,
            spec,
            origin: Origin::at_place(place),
        }));
    }
    Some(all)
}

/// The key of a port that clients of Buildbot have for themselves, in whatever section.
pub(crate) const CLIENT_PORT: &str = "port";

/// What the master listens on, by the key that sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) key: &'static str,
    pub(crate) endpoint: Endpoint,
    /// Whether visitors come over TLS. Slaves have their own rule.
    pub(crate) tls: bool,
}

impl Plan {
    /// Everything that the master listens on.
    pub(crate) fn listeners(&self) -> Vec<Listener> {
        let has_certificate = self.web.server.tls.is_some();
        let own = self.master.ports().into_iter();
        let own = own.filter_map(|(key, address)| {
            let tls = has_certificate && !matches!(key, "slaveport" | "pb_port");
            let endpoint = Endpoint::Tcp(address?);
            Some(Listener { key, endpoint, tls })
        });
        let more = self.web.server.ports.iter().map(|it| Listener {
            key: it.key,
            endpoint: it.spec.endpoint.clone(),
            tls: match it.spec.scheme {
                Scheme::Usual => has_certificate,
                Scheme::Plain => false,
                Scheme::Tls => true,
            },
        });
        let clients = self.client_ports().into_iter();
        let clients: BTreeSet<_> = clients
            .map(|(address, _)| address)
            .filter(|it| !self.master.has_slaves_at(it.port()))
            .collect();
        let clients = clients.into_iter().map(|address| Listener {
            key: CLIENT_PORT,
            endpoint: Endpoint::Tcp(address),
            tls: false,
        });
        own.chain(more).chain(clients).collect()
    }
}

/// Two listeners cannot share a port. Those of `[:master:]` have been looked at. Clients of Buildbot
/// may come where slaves do, or share one.
pub(super) fn check(plan: &Plan, problems: &mut Problems) {
    let own = plan.master.ports().into_iter();
    let own = own.filter_map(|(key, address)| {
        Some((key, Endpoint::Tcp(address?), plan.port_places.get(key)))
    });
    let mut all: Vec<_> = own.collect();
    let clients = plan.client_ports().into_iter();
    let clients = clients.filter(|(it, _)| !plan.master.has_slaves_at(it.port()));
    let clients = clients.map(|(it, origin)| (CLIENT_PORT, Endpoint::Tcp(it), origin));
    let pages = plan.web.server.ports.iter();
    let pages = pages.map(|it| (it.key, it.spec.endpoint.clone(), &it.origin));
    for (key, wanted, origin) in clients.chain(pages) {
        let mut known = all.iter();
        if key == CLIENT_PORT && known.any(|it| it.0 == CLIENT_PORT && it.1 == wanted) {
            continue;
        }
        let overlaps = |it: &&(&str, Endpoint, _)| it.1.overlaps(&wanted);
        if let Some((first, endpoint, at)) = all.iter().find(overlaps) {
            let what = match &wanted {
                Endpoint::Tcp(it) if key == *first => {
                    format!("`{key}` has port {} twice", it.port())
                }
                Endpoint::Tcp(it) => format!("`{key}` and `{first}` are both port {}", it.port()),
                Endpoint::Unix { .. } => format!("`{endpoint}` is listened on twice"),
            };
            let problem = Problem::error(Code::Port, what)
                .at(&origin.place)
                .label("this is taken");
            problems.note(match at {
                Some(at) => problem.also(at, "by this"),
                None => problem.help(format!(
                    "`{first}` is {endpoint} where the file says nothing else"
                )),
            });
        }
        all.push((key, wanted, Some(&origin.place)));
    }
}
