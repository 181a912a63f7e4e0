//! The line to slaves that dial in: who can read it, who may knock how often,
//! and when it counts as dead.

use std::path::PathBuf;
use std::time::Duration;

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Value;

/// The keys whose places are looked for when the files behind them cannot be used.
pub(super) const PLACED: [&str; 2] = ["tls_certificate", "tls_key"];

/// How slaves that dial in are received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinePlan {
    pub(crate) tls: TlsUse,
    /// There are both unless `tls` is off.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// After so much silence a line counts as dead.
    pub(crate) heartbeat: Duration,
    /// Who has not logged in by then is not going to.
    pub(crate) login_timeout: Duration,
    /// Callers at once who have not logged in yet.
    pub(crate) max_strangers: u32,
    /// The same from one address.
    pub(crate) max_strangers_per_address: u32,
    /// Logins of one address that may fail within a minute.
    pub(crate) max_failed_logins: u32,
}

impl Default for LinePlan {
    fn default() -> Self {
        Self {
            tls: TlsUse::Off,
            certificate: None,
            key: None,
            heartbeat: Duration::from_mins(1),
            login_timeout: Duration::from_secs(30),
            max_strangers: 2000,
            max_strangers_per_address: 1000,
            max_failed_logins: 20,
        }
    }
}

/// Whether a line can be read by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsUse {
    /// Every line is plain.
    Off,
    /// The slave chooses.
    Offered,
    /// A plain line is refused.
    Required,
}

impl Value for TlsUse {
    const EXPECTED: &'static str = "`off`, `offered` or `required`";
    const SHAPE: Shape = Shape::Word(&["off", "offered", "required"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "off" => Ok(Self::Off),
            "offered" => Ok(Self::Offered),
            "required" => Ok(Self::Required),
            _ => Err(Misread::default()),
        }
    }
}

pub(super) fn read(keys: &mut Keys<'_>) -> Option<LinePlan> {
    let usual = LinePlan::default();
    let certificate = keys.optional::<PathBuf>("tls_certificate");
    let key = keys.optional::<PathBuf>("tls_key");
    let has_both = matches!((&certificate, &key), (Some(Some(_)), Some(Some(_))));
    let tls = keys.or(
        "tls",
        match has_both {
            true => TlsUse::Offered,
            false => TlsUse::Off,
        },
    );
    let heartbeat = length(keys, "heartbeat", usual.heartbeat);
    let login_timeout = length(keys, "login_timeout", usual.login_timeout);
    let max_strangers = count(keys, "max_strangers", usual.max_strangers);
    let max_strangers_per_address = count(
        keys,
        "max_strangers_per_address",
        usual.max_strangers_per_address,
    );
    let max_failed_logins = count(keys, "max_failed_logins", usual.max_failed_logins);
    let (certificate, key, tls) = (certificate?, key?, tls?);
    check_files(keys, tls, certificate.is_some(), key.is_some())?;
    Some(LinePlan {
        tls,
        certificate,
        key,
        heartbeat: heartbeat?,
        login_timeout: login_timeout?,
        max_strangers: max_strangers?,
        max_strangers_per_address: max_strangers_per_address?,
        max_failed_logins: max_failed_logins?,
    })
}

/// A certificate is nothing without its key, and TLS nothing without both.
fn check_files(
    keys: &mut Keys<'_>,
    tls: TlsUse,
    has_certificate: bool,
    has_key: bool,
) -> Option<()> {
    let (there, missing) = match (has_certificate, has_key) {
        (true, true) => return Some(()),
        (false, false) if tls == TlsUse::Off => return Some(()),
        (false, false) => ("tls", "`tls_certificate` and `tls_key` are"),
        (true, false) => ("tls_certificate", "`tls_key` is"),
        (false, true) => ("tls_key", "`tls_certificate` is"),
    };
    let problem = Problem::error(Code::MissingKey, format!("{missing} missing in {}", keys.title()))
        .at(&keys.place(there))
        .label("this needs a certificate and its key")
        .help("`autobot tls init tls --name HOST` makes both, for `tls_certificate = tls/server.pem` and `tls_key = tls/server.key`");
    keys.note(problem);
    None
}

/// A time in which something must have happened.
fn length(keys: &mut Keys<'_>, name: &str, usual: Duration) -> Option<Duration> {
    let read = keys.or(name, usual)?;
    if read < Duration::from_secs(1) {
        refuse(keys, name, "expected at least one second");
        return None;
    }
    Some(read)
}

/// A number of callers, who cannot be none.
fn count(keys: &mut Keys<'_>, name: &str, usual: u32) -> Option<u32> {
    let read = keys.or(name, usual)?;
    if read == 0 {
        refuse(
            keys,
            name,
            "expected at least 1, or no slave could ever log in",
        );
        return None;
    }
    Some(read)
}

fn refuse(keys: &mut Keys<'_>, name: &str, label: &str) {
    let what = format!("bad value for `{name}` in {}", keys.title());
    let problem = Problem::error(Code::BadValue, what);
    keys.note(problem.at(&keys.place(name)).label(label));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::ini;

    fn check(text: &str) -> (Option<LinePlan>, String) {
        let source = Source::new("master.ini", "/base", format!("[:master:]\n{text}"));
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        let plan = read(&mut keys);
        keys.finish();
        (plan, problems.render(false))
    }

    fn tls(text: &str) -> TlsUse {
        let (plan, problems) = check(text);
        assert_eq!(problems, "");
        plan.expect("a plan").tls
    }

    #[test]
    fn who_has_a_certificate_offers_tls() {
        const FILES: &str = "tls_certificate = tls/server.pem\ntls_key = tls/server.key\n";
        assert_eq!(check("").0, Some(LinePlan::default()));
        assert_eq!(tls(""), TlsUse::Off);
        assert_eq!(tls(FILES), TlsUse::Offered);
        assert_eq!(tls(&format!("{FILES}tls = off\n")), TlsUse::Off);
        assert_eq!(tls(&format!("{FILES}tls = required\n")), TlsUse::Required);
        let files = check(FILES).0.expect("a plan");
        assert_eq!(files.key, Some(PathBuf::from("/base/tls/server.key")));
    }

    #[test]
    fn half_of_what_tls_needs_is_a_mistake() {
        insta::assert_snapshot!(check("tls = required\n").1, @"
        error[missing-key]: `tls_certificate` and `tls_key` are missing in [:master:]
         --> master.ini:2:7
          |
        2 | tls = required
          |       ^^^^^^^^ this needs a certificate and its key
          |
          = help: `autobot tls init tls --name HOST` makes both, for `tls_certificate = tls/server.pem` and `tls_key = tls/server.key`
        ");
        insta::assert_snapshot!(check("tls_key = tls/server.key\n").1, @"
        error[missing-key]: `tls_certificate` is missing in [:master:]
         --> master.ini:2:11
          |
        2 | tls_key = tls/server.key
          |           ^^^^^^^^^^^^^^ this needs a certificate and its key
          |
          = help: `autobot tls init tls --name HOST` makes both, for `tls_certificate = tls/server.pem` and `tls_key = tls/server.key`
        ");
        let other = check("tls_certificate = tls/server.pem\ntls = off\n").1;
        assert!(other.contains("`tls_key` is missing"), "{other}");
    }

    #[test]
    fn nobody_could_log_in_where_nobody_may_knock() {
        insta::assert_snapshot!(check("tls = maybe\nheartbeat = 0\nmax_strangers = 0\n").1, @"
        error[bad-value]: bad value for `tls` in [:master:]
         --> master.ini:2:7
          |
        2 | tls = maybe
          |       ^^^^^ expected `off`, `offered` or `required`

        error[bad-value]: bad value for `heartbeat` in [:master:]
         --> master.ini:3:13
          |
        3 | heartbeat = 0
          |             ^ expected at least one second

        error[bad-value]: bad value for `max_strangers` in [:master:]
         --> master.ini:4:17
          |
        4 | max_strangers = 0
          |                 ^ expected at least 1, or no slave could ever log in
        ");
        for key in [
            "login_timeout",
            "max_strangers_per_address",
            "max_failed_logins",
        ] {
            let (plan, told) = check(&format!("{key} = 0\n"));
            assert!(
                plan.is_none() && told.contains(&format!("bad value for `{key}`")),
                "{told}"
            );
        }
    }
}
