//! Reads `slave.ini`: where the master is, and how this slave introduces itself.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::place::SLAVE_INI;
use crate::slave::SlaveTls;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::Value;
use crate::syntax::ini;
use crate::tls::Trust;
use crate::tls::TrustError;

/// Its section.
const SECTION: &str = ":slave:";

/// They run at once, before every call.
const MOST_CAPABILITIES: usize = 50;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SlaveIni {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<SlaveTls>,
    pub(super) name: String,
    pub(super) password: String,
    pub(super) max_delay: Duration,
    pub(super) keepalive: Option<Duration>,
    pub(super) umask: Option<u32>,
    /// What asks it to end when its builds have, besides the master.
    pub(super) allow_shutdown: Option<AllowShutdown>,
    /// Whether it goes on as the program that replaces it.
    pub(super) follow_upgrades: bool,
    /// Command lines by the name of what they ask for.
    pub(super) capabilities: BTreeMap<String, String>,
}

/// Reads the file of the slave in `dir`.
pub(super) fn load(dir: &Path) -> Result<SlaveIni, Problems> {
    let path = dir.join(SLAVE_INI);
    let text = fs::read_to_string(&path).map_err(|error| {
        let what = format!("failed to read `{}`: {error}", path.display());
        Problems(vec![Problem::error(Code::NoFile, what)])
    })?;
    read(&text, dir)
}

fn read(text: &str, dir: &Path) -> Result<SlaveIni, Problems> {
    let source = Source::new(SLAVE_INI, dir, text);
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut slave = None;
    let mut places = Vec::new();
    for section in &tree.sections {
        if section.name != SECTION {
            let problem = Problem::error(
                Code::UnknownSection,
                format!("unknown section [{}]", section.name),
            )
            .at(&section.place)
            .help(format!("a slave has one section, [{SECTION}]"));
            problems.note(problem);
            continue;
        }
        let mut keys = Keys::of(section, &mut problems);
        let master = keys.required::<HostAndPort>("master");
        let name = keys.required::<String>("name");
        let password = keys.required::<String>("password");
        let max_delay = keys.or("max_delay", Duration::from_mins(5));
        let keepalive = keys.or("keepalive", Some(Duration::from_mins(10)));
        let umask = keys.optional::<Umask>("umask");
        let allow_shutdown = keys.optional::<AllowShutdown>("allow_shutdown");
        let follow_upgrades = keys.or("follow_upgrades", true);
        let capabilities = keys.placed_map::<String>("capability");
        let tls = keys.optional::<bool>("tls");
        let authority = keys.optional::<PathBuf>("tls_ca");
        let tls_name = keys.optional::<String>("tls_name");
        let placed = ["tls_name", "tls_ca", "tls", "master"].into_iter();
        let placed = placed.filter(|it| keys.has(it));
        places = placed.map(|it| (it, keys.place(it))).collect();
        keys.finish();
        let asked = capabilities.iter().flat_map(BTreeMap::values);
        if let Some((place, _)) = asked.clone().nth(MOST_CAPABILITIES) {
            let count = asked.count();
            let what = format!("{count} capabilities are more than {MOST_CAPABILITIES}");
            let problem = Problem::error(Code::BadValue, what).at(place);
            let help = "each is a command that runs before every call of the master";
            problems.note(problem.help(help));
        }
        slave = (|| {
            let HostAndPort(host, port) = master?;
            let (authority, tls_name) = (authority?, tls_name?);
            // Who names an authority wants its certificates to be looked at.
            let has_tls = tls?.unwrap_or(authority.is_some() || tls_name.is_some());
            let name_there = tls_name.unwrap_or_else(|| host.clone());
            let tls = has_tls.then_some(SlaveTls {
                authority,
                name: name_there,
            });
            Some(SlaveIni {
                host,
                port,
                tls,
                name: name?,
                password: password?,
                max_delay: max_delay?,
                keepalive: keepalive?,
                umask: umask?.map(|Umask(it)| it),
                allow_shutdown: allow_shutdown?,
                follow_upgrades: follow_upgrades?,
                capabilities: capabilities?
                    .into_iter()
                    .map(|(name, (_, line))| (name, line))
                    .collect(),
            })
        })();
    }
    if tree.sections.is_empty() && !problems.has_errors() {
        problems.note(Problem::error(
            Code::MissingKey,
            format!("`{SLAVE_INI}` has no section [{SECTION}]"),
        ));
    }
    let tls = slave.as_ref().and_then(|it| it.tls.as_ref());
    if let Some(Err(error)) = tls.map(|it| Trust::new(it.authority.as_deref(), &it.name)) {
        problems.note(nobody_to_believe(&error, &places));
    }
    match slave {
        Some(slave) if !problems.has_errors() => Ok(slave),
        _ => Err(problems),
    }
}

/// Says why no master could be believed, at the key that makes it so.
fn nobody_to_believe(error: &TrustError, places: &[(&str, Place)]) -> Problem {
    let mut what = error.to_string();
    if let Some(cause) = error.source() {
        what = format!("{what}: {cause}");
    }
    let (keys, help) = match error {
        TrustError::Name(_) => (
            ["tls_name", "master"],
            "`tls_name` is what the master's certificate is for, where the slave dials another name",
        ),
        TrustError::File(..) | TrustError::NoAuthority(_) | TrustError::NoSystem => (
            ["tls_ca", "tls"],
            "`tls_ca` is a copy of `ca.pem`, which `autobot tls init` makes on the master",
        ),
    };
    let problem = Problem::error(Code::Environment, what);
    let place = keys
        .iter()
        .find_map(|key| places.iter().find(|(name, _)| name == key));
    match place {
        Some((_, place)) => problem.at(place),
        None => problem,
    }
    .help(help)
}

/// `host:port`, or a host whose master waits at the usual port.
struct HostAndPort(String, u16);

impl Value for HostAndPort {
    const EXPECTED: &'static str = "a host and port such as `ci.example.org:9010`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?.trim();
        let (host, port) = match text.rsplit_once(':') {
            None => (text, "9010"),
            // A bare IPv6 address has colons, but no port.
            Some((host, _)) if host.contains(':') && !host.ends_with(']') => (text, "9010"),
            Some(parts) => parts,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port: u16 = port.parse().map_err(|_| Misread::default())?;
        let is_plain = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || port == 0 || !host.chars().all(is_plain) {
            return Err(Misread::default());
        }
        Ok(Self(host.to_owned(), port))
    }
}

/// What asks a slave to end when its builds have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllowShutdown {
    /// SIGHUP.
    Signal,
    /// A newer `shutdown.stamp` in its base directory.
    File,
}

impl Value for AllowShutdown {
    const EXPECTED: &'static str = "`signal` or `file`";

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()?.trim() {
            "signal" => Ok(Self::Signal),
            "file" => Ok(Self::File),
            _ => Err(Misread::default()),
        }
    }
}

/// A file mode mask.
struct Umask(u32);

impl Value for Umask {
    const EXPECTED: &'static str = "a file mode mask in octal such as `022`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?.trim();
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if !digits.bytes().all(|it| it.is_ascii_digit()) {
            return Err(Misread::default());
        }
        match u32::from_str_radix(digits, 8) {
            Ok(mask) if mask <= 0o777 => Ok(Self(mask)),
            _ => Err(Misread::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::scaffold::Content;
    use crate::scaffold::SlaveVariables;
    use crate::tls::Authority;

    fn problems(text: &str) -> String {
        read(text, Path::new("/base")).unwrap_err().render(false)
    }

    #[test]
    fn what_the_scaffold_writes_is_read_back() {
        let variables = SlaveVariables {
            umask: Some("027".to_owned()),
            ..SlaveVariables::default()
        };
        let plan = variables.plan();
        let item = plan
            .items
            .iter()
            .find(|item| item.path.ends_with(SLAVE_INI));
        let Some(Content::Private(text)) = item.map(|item| &item.content) else {
            panic!("a slave has a private slave.ini");
        };
        assert_eq!(
            read(text, Path::new("/base")),
            Ok(SlaveIni {
                host: "localhost".to_owned(),
                port: 9010,
                tls: None,
                name: "slave".to_owned(),
                password: "passwd".to_owned(),
                max_delay: Duration::from_mins(5),
                keepalive: Some(Duration::from_mins(10)),
                umask: Some(0o027),
                allow_shutdown: None,
                follow_upgrades: true,
                capabilities: BTreeMap::new(),
            })
        );
    }

    #[test]
    fn the_shipped_example_is_good() {
        let text = include_str!("../../config/slave.ini");
        let slave = read(text, Path::new("/base")).unwrap();
        assert_eq!((slave.host.as_str(), slave.port), ("ci.example.org", 9010));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let told =
            problems("[:slave:]\nmaster = ci.test:http\nnam = a\npassword = b\numask = 999\n");
        insta::assert_snapshot!(told, @"
        error[bad-value]: bad value for `master` in [:slave:]
         --> slave.ini:2:10
          |
        2 | master = ci.test:http
          |          ^^^^^^^^^^^^ expected a host and port such as `ci.example.org:9010`

        error[unknown-key]: unknown key `nam` in [:slave:]
         --> slave.ini:3:1
          |
        3 | nam = a
          | ^^^ did you mean `name`?

        error[bad-value]: bad value for `umask` in [:slave:]
         --> slave.ini:5:9
          |
        5 | umask = 999
          |         ^^^ expected a file mode mask in octal such as `022`
        ");
    }

    const LINES: &str = "[:slave:]\nmaster = ci.test\nname = a\npassword = b\n";

    #[test]
    fn a_slave_may_be_asked_to_end_by_a_signal_or_a_file() {
        let asked = |more: &str| {
            let slave = read(&format!("{LINES}{more}"), Path::new("/base"));
            slave.map(|it| it.allow_shutdown)
        };
        assert_eq!(asked(""), Ok(None));
        assert_eq!(
            asked("allow_shutdown = signal\n"),
            Ok(Some(AllowShutdown::Signal))
        );
        assert_eq!(
            asked("allow_shutdown = file\n"),
            Ok(Some(AllowShutdown::File))
        );
        let told = problems(&format!("{LINES}allow_shutdown = yes\n"));
        assert!(told.contains("expected `signal` or `file`"), "{told}");
    }

    #[test]
    fn capabilities_are_command_lines_by_name_and_not_too_many() {
        let more = "capability.git = git --version\ncapability.Free Disk = df -h / | tail -1\n";
        let slave = read(&format!("{LINES}{more}"), Path::new("/base")).unwrap();
        let told: Vec<_> = slave.capabilities.into_iter().collect();
        assert_eq!(
            told,
            [
                ("Free Disk".to_owned(), "df -h / | tail -1".to_owned()),
                ("git".to_owned(), "git --version".to_owned())
            ]
        );
        let many = |count: usize| {
            let lines = (0..count).map(|it| format!("capability.c{it} = true\n"));
            read(
                &format!("{LINES}{}", lines.collect::<String>()),
                Path::new("/base"),
            )
        };
        assert!(many(50).is_ok());
        let told = many(51).unwrap_err().render(false);
        assert!(
            told.contains("51 capabilities are more than 50") && told.contains("slave.ini:"),
            "{told}"
        );
    }

    #[test]
    fn who_names_an_authority_wants_tls() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::make().unwrap().issued(clock::now()).unwrap();
        fs::write(dir.path().join("ca.pem"), authority.certificate).unwrap();
        let tls = |more: &str| {
            let slave = read(&format!("{LINES}{more}"), dir.path()).unwrap();
            let tls = slave.tls?;
            let file = tls.authority.map(|it| it.file_name().unwrap().to_owned());
            Some((file.map(|it| it.into_string().unwrap()), tls.name))
        };
        let ca = Some("ca.pem".to_owned());
        assert_eq!(tls(""), None);
        assert_eq!(tls("tls = no\ntls_ca = ca.pem\n"), None);
        assert_eq!(
            tls("tls_ca = ca.pem\n"),
            Some((ca.clone(), "ci.test".to_owned()))
        );
        let named = tls("tls_ca = ca.pem\ntls_name = other.test\n");
        assert_eq!(named, Some((ca, "other.test".to_owned())));
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_told_before_anything_is_dialled() {
        let dir = tempfile::tempdir().unwrap();
        let told = |more: &str| {
            let read = read(&format!("{LINES}{more}"), dir.path());
            let told = read.unwrap_err().render(false);
            told.replace(&dir.path().display().to_string(), "DIR")
        };
        insta::assert_snapshot!(told("tls_ca = ca.pem\n"), @"
        error[environment]: the authority's certificate `DIR/ca.pem` cannot be used: No such file or directory (os error 2)
         --> slave.ini:5:10
          |
        5 | tls_ca = ca.pem
          |          ^^^^^^
          |
          = help: `tls_ca` is a copy of `ca.pem`, which `autobot tls init` makes on the master
        ");
        fs::write(dir.path().join("ca.pem"), "nothing").unwrap();
        insta::assert_snapshot!(told("tls_ca = ca.pem\n"), @"
        error[environment]: the authority's certificate `DIR/ca.pem` cannot be used: it holds no certificate; a PEM file has `-----BEGIN CERTIFICATE-----` in it
         --> slave.ini:5:10
          |
        5 | tls_ca = ca.pem
          |          ^^^^^^
          |
          = help: `tls_ca` is a copy of `ca.pem`, which `autobot tls init` makes on the master
        ");
        let authority = Authority::make().unwrap().issued(clock::now()).unwrap();
        fs::write(dir.path().join("ca.pem"), authority.certificate).unwrap();
        insta::assert_snapshot!(told("tls_ca = ca.pem\ntls_name = a b\n"), @"
        error[environment]: `a b` is neither a host name nor an address
         --> slave.ini:6:12
          |
        6 | tls_name = a b
          |            ^^^
          |
          = help: `tls_name` is what the master's certificate is for, where the slave dials another name
        ");
    }

    #[test]
    fn a_file_without_its_section_is_refused() {
        insta::assert_snapshot!(problems("# nothing\n"), @"error[missing-key]: `slave.ini` has no section [:slave:]");
        assert!(problems("[slave]\nname = a\n").contains("a slave has one section, [:slave:]"));
    }

    #[test]
    fn a_master_may_be_an_ipv6_address() {
        let parse = |text: &str| {
            let text = format!("[:slave:]\nname=a\npassword=b\nmaster = {text}\n");
            let slave = read(&text, Path::new("/base")).unwrap();
            (slave.host, slave.port)
        };
        assert_eq!(parse("::1"), ("::1".to_owned(), 9010));
        assert_eq!(parse("[::1]:9011"), ("::1".to_owned(), 9011));
        assert_eq!(parse("ci.test"), ("ci.test".to_owned(), 9010));
    }
}
