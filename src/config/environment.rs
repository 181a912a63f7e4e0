//! What only the machine can tell: whether a port can be listened on, a program
//! is there, a secret has a value, a directory can be written, a certificate is good.
//!
//! What keeps a master from starting is an error; what will stop its work later,
//! such as a program that is missing, is a warning.

use std::env;
use std::error::Error as _;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Access;
use rustix::fs::access;

use super::Launch;
use super::Plan;
use super::SlavePlan;
use super::SshLaunch;
use super::TlsUse;
use super::accounts;
use super::web_ports::CLIENT_PORT;
use super::web_ports::Endpoint;
use super::web_ports::Listener;
use crate::syntax::Code;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::tls::Identity;
use crate::tls::IdentityError;

/// Looks at this machine for everything that the plan needs of it. `is_running` says that
/// the master of this directory runs: then its ports are taken, as they should be.
pub(crate) fn check(plan: &Plan, is_running: bool) -> Problems {
    let mut problems = Problems::default();
    for it in plan.listeners() {
        let Endpoint::Tcp(address) = it.endpoint else {
            continue;
        };
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if !is_running {
                    problems.note(is_taken(plan, &it, &error));
                }
            }
            Err(error) => problems.note(cannot_listen(plan, &it, &error)),
        }
    }
    plan.secrets.check(&plan.secret_names, &mut problems);
    check_programs(plan, &mut problems);
    check_directories(plan, &mut problems);
    check_jobdirs(plan, &mut problems);
    accounts::check_file(plan, &mut problems);
    check_certificate(plan, &mut problems);
    check_web_certificate(plan, &mut problems);
    problems.sort();
    problems
}

/// Try jobs come into directories that somebody has made for those who may write there: without
/// one nothing would ever come.
pub(super) fn check_jobdirs(plan: &Plan, problems: &mut Problems) {
    for scheduler in &plan.schedulers {
        let Some(dir) = scheduler.settings.jobdir() else {
            continue;
        };
        let Some(missing) = ["new", "cur"].iter().find(|it| !dir.join(it).is_dir()) else {
            continue;
        };
        let dir = dir.display();
        let what = format!(
            "the `jobdir` of scheduler `{}` has no directory `{missing}`",
            scheduler.name
        );
        let problem = Problem::error(Code::Environment, what).at(&scheduler.origin.place);
        problems.note(problem.help(format!(
            "mkdir -p {dir}/tmp {dir}/new {dir}/cur, and let those write into tmp and new who may try"
        )));
    }
}

/// Sources run a program on the master.
fn check_programs(plan: &Plan, problems: &mut Problems) {
    let mut seen: Vec<&str> = Vec::new();
    for source in &plan.sources {
        let Some(program) = source.settings.program() else {
            continue;
        };
        if seen.contains(&program) || find_program(program).is_some() {
            continue;
        }
        seen.push(program);
        let what = format!(
            "source `{}` needs `{program}`, which is not here",
            source.name
        );
        let problem = Problem::warning(Code::Environment, what).at(&source.origin.place);
        problems.note(problem.help(match program.contains('/') {
            true => format!("there is no program `{program}`; install it or name another"),
            false => format!(
                "install `{program}`, or have its directory in `PATH` where the master starts"
            ),
        }));
    }
}

/// Where a program is, if it can be run.
fn find_program(name: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|it| is_program(it));
    }
    let path = env::var_os("PATH")?;
    let mut all = env::split_paths(&path).map(|it| it.join(name));
    all.find(|it| is_program(it))
}

/// The master writes below its own directory, and makes those of the slaves that it starts.
fn check_directories(plan: &Plan, problems: &mut Problems) {
    if let Some(main) = plan.files.first() {
        let database = main.dir.join(&plan.master.database);
        if let Some(dir) = database.parent()
            && let Err(why) = can_write(dir)
        {
            let what = format!(
                "the database `{}` cannot be written: {why}",
                database.display()
            );
            let problem = Problem::error(Code::Environment, what);
            let problem = match plan.port_places.get("db_url") {
                Some(place) => problem.at(place),
                None => problem,
            };
            problems.note(problem.help("the user who starts the master has to own its directory"));
        }
    }
    for slave in &plan.slaves {
        let basedir = match &slave.launch {
            Launch::Local { basedir } => basedir,
            Launch::Ssh(launch) => {
                check_key(plan, slave, launch, problems);
                continue;
            }
            Launch::None | Launch::Command(_) => continue,
        };
        if let Err(why) = can_write(basedir) {
            let what = format!(
                "slave `{}` cannot work in `{}`: {why}",
                slave.name,
                basedir.display()
            );
            let problem = Problem::warning(Code::Environment, what);
            let problem = match plan.origins.slaves.get(slave.name.as_str()) {
                Some(origin) => problem.at(&origin.place),
                None => problem,
            };
            problems.note(problem.help("`basedir = …` names another directory"));
        }
    }
}

/// Reads what slaves are shown; `None` if no TLS is wanted.
///
/// # Errors
/// One of the files cannot be used, or they do not belong together.
pub(crate) fn tls_identity(plan: &Plan) -> Result<Option<Identity>, Problems> {
    let line = &plan.master.line;
    let (Some(certificate), Some(key)) = (&line.certificate, &line.key) else {
        return Ok(None);
    };
    if line.tls == TlsUse::Off || plan.master.slaveport.is_none() {
        return Ok(None);
    }
    Identity::read(certificate, key).map(Some).map_err(|error| {
        let name = match error.is_of_key() {
            true => "tls_key",
            false => "tls_certificate",
        };
        unusable(&error, plan.port_places.get(name))
    })
}

/// Reads what visitors of the pages are shown; `None` if there is no certificate for them.
///
/// # Errors
/// One of the files cannot be used, or they do not belong together.
pub(crate) fn web_identity(plan: &Plan) -> Result<Option<Identity>, Problems> {
    let Some(tls) = &plan.web.server.tls else {
        return Ok(None);
    };
    let read = Identity::read_for_pages(&tls.certificate, &tls.key);
    read.map(Some).map_err(|error| {
        let origin = match error.is_of_key() {
            true => &tls.key_origin,
            false => &tls.certificate_origin,
        };
        unusable(&error, Some(&origin.place))
    })
}

fn unusable(error: &IdentityError, place: Option<&Place>) -> Problems {
    let mut what = error.to_string();
    if let Some(cause) = error.source() {
        what = format!("{what}: {cause}");
    }
    let problem = Problem::error(Code::Environment, what);
    let problem = match place {
        Some(place) => problem.at(place),
        None => problem,
    };
    let help = "`autobot tls init DIR --name HOST` makes a certificate and its key";
    Problems(vec![problem.help(help)])
}

/// What visitors will have against the certificate of the pages, and who can read its key.
fn check_web_certificate(plan: &Plan, problems: &mut Problems) {
    let Some(tls) = &plan.web.server.tls else {
        return;
    };
    let identity = match web_identity(plan) {
        Ok(Some(identity)) => identity,
        Ok(None) => return,
        Err(found) => return problems.append(found),
    };
    for finding in identity.findings() {
        let path = tls.certificate.display();
        let what = format!("the certificate `{path}` {}", finding.what());
        let problem = Problem::warning(Code::Environment, what);
        let problem = problem.at(&tls.certificate_origin.place);
        problems.note(problem.help(finding.help()));
    }
    let found = tls.key.metadata();
    if found.is_ok_and(|it| it.permissions().mode() & 0o077 != 0) {
        let what = format!("the key `{}` may be read by others", tls.key.display());
        let problem = Problem::warning(Code::Environment, what).at(&tls.key_origin.place);
        problems.note(problem.help("`chmod 600` keeps it to its owner"));
    }
}

/// What slaves will have against the certificate, and who can read its key.
fn check_certificate(plan: &Plan, problems: &mut Problems) {
    let identity = match tls_identity(plan) {
        Ok(Some(identity)) => identity,
        Ok(None) => return,
        Err(found) => return problems.append(found),
    };
    let warn = |key: &str, what: String, help: &str| {
        let problem = Problem::warning(Code::Environment, what);
        match plan.port_places.get(key) {
            Some(place) => problem.at(place),
            None => problem,
        }
        .help(help)
    };
    let line = &plan.master.line;
    if let Some(path) = &line.certificate {
        for finding in identity.findings() {
            let what = format!("the certificate `{}` {}", path.display(), finding.what());
            problems.note(warn("tls_certificate", what, finding.help()));
        }
    }
    if let Some(path) = &line.key
        && let Ok(found) = path.metadata()
        && found.permissions().mode() & 0o077 != 0
    {
        let what = format!("the key `{}` may be read by others", path.display());
        problems.note(warn("tls_key", what, "`chmod 600` keeps it to its owner"));
    }
}

/// The key that logs the master in to another host is there, and nobody else's to read.
fn check_key(plan: &Plan, slave: &SlavePlan, launch: &SshLaunch, problems: &mut Problems) {
    let Some(key) = &launch.key_file else { return };
    let (why, help) = match File::open(key).and_then(|it| it.metadata()) {
        Ok(file) if !file.is_file() => ("it is no file".to_owned(), None),
        Ok(file) if file.mode() & 0o077 != 0 => (
            format!(
                "others may read it, its mode is {:04o}",
                file.mode() & 0o7777
            ),
            Some(format!("`chmod 600 {}` keeps it secret", key.display())),
        ),
        Ok(_) => return,
        Err(error) => (error.to_string(), None),
    };
    let (name, key) = (&slave.name, key.display());
    let what = format!("the key `{key}` of slave `{name}` cannot be used: {why}");
    let problem = Problem::warning(Code::Environment, what);
    let problem = match plan.origins.slaves.get(name.as_str()) {
        Some(origin) => problem.at(&origin.place),
        None => problem,
    };
    let help = help.unwrap_or_else(|| {
        "`key_file = …` names a private key; without it the keys of the ssh agent are used".into()
    });
    problems.note(problem.help(help));
}

/// Whether files can be made in a directory, or it can be made itself.
fn can_write(dir: &Path) -> Result<(), String> {
    let Some(there) = dir.ancestors().find(|it| it.exists()) else {
        return Ok(());
    };
    let there = match there.as_os_str().is_empty() {
        true => Path::new("."),
        false => there,
    };
    if !there.is_dir() {
        return Err(format!("`{}` is no directory", there.display()));
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("`{}`: {}", there.display(), io::Error::from(error)))
}

/// Says that a port of the plan cannot be had, and what to do about it.
pub(crate) fn cannot_listen(plan: &Plan, listener: &Listener, error: &io::Error) -> Problem {
    let (name, endpoint) = (listener.key, &listener.endpoint);
    let what = format!("`{name}`: cannot listen on `{endpoint}`: {error}");
    of_port(Problem::error(Code::Port, what), plan, listener, error)
}

/// Says that another program has the port now; the files are good all the same.
fn is_taken(plan: &Plan, listener: &Listener, error: &io::Error) -> Problem {
    let (name, endpoint) = (listener.key, &listener.endpoint);
    let what = format!(
        "`{name}`: another program listens on `{endpoint}`; the master could not start now"
    );
    of_port(Problem::warning(Code::Port, what), plan, listener, error)
}

/// The problem with where the port is set, and with what to do about it.
fn of_port(problem: Problem, plan: &Plan, listener: &Listener, error: &io::Error) -> Problem {
    let (name, endpoint) = (listener.key, &listener.endpoint);
    let mut more = plan.web.server.ports.iter();
    let more = more.find(|it| it.key == name && it.spec.endpoint == *endpoint);
    let mut clients = plan.client_ports().into_iter();
    let client = clients.find(|it| name == CLIENT_PORT && Endpoint::Tcp(it.0) == *endpoint);
    let (place, section) = match (more, client) {
        (Some(port), _) => (Some(&port.origin.place), "[:web:]"),
        (None, Some((_, origin))) => (Some(&origin.place), origin.how.as_str()),
        (None, None) => (plan.port_places.get(name), "[:master:]"),
    };
    let problem = match place {
        Some(place) => problem.at(place),
        None => problem,
    };
    if let Endpoint::Unix { .. } = endpoint {
        return problem.help(
            "who runs the master has to own its directory, and nobody else may listen there",
        );
    }
    problem.help(match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "stop what listens there (`ss -ltnp` shows it), or set another `{name}` in {section}"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 are root's; set another `{name}` in {section}")
        }
        _ => format!("set another `{name}` in {section}"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What is said of a master whose file is `text`, without its directory.
    fn said(text: &str, is_running: bool) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("master.ini");
        let text = text.replace("DIR", &dir.path().display().to_string());
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        let plan = super::super::load_offline(dir.path())
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let problems = check(&plan, is_running);
        problems
            .render(false)
            .replace(&dir.path().display().to_string(), "DIR")
    }

    const SLAVE: &str =
        "[slave:s]\npassword = x\nfactories = a\n[a]\ntype = shell\ncommand = true\n";
    const NO_PORTS: &str = "[:master:]\nslaveport = none\nhtmlport = none\n";

    #[test]
    fn a_port_is_taken_by_others_or_by_the_master_itself() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("bound").to_string();
        let text = format!("[:master:]\nhtmlport = {address}\nslaveport = none\n{SLAVE}");
        let told = said(&text, false).replace(&address, "127.0.0.1:12345");
        insta::assert_snapshot!(told, @"
        warning[port]: `htmlport`: another program listens on `127.0.0.1:12345`; the master could not start now
         --> master.ini:2:12
          |
        2 | htmlport = 127.0.0.1:12345
          |            ^^^^^^^^^^^^^^^
          |
          = help: stop what listens there (`ss -ltnp` shows it), or set another `htmlport` in [:master:]
        ");
        assert_eq!(said(&text, true), "");
    }

    #[test]
    fn a_port_that_this_machine_can_never_have_is_an_error() {
        let told = said(
            &format!("[:master:]\nhtmlport = 192.0.2.1:8010\nslaveport = none\n{SLAVE}"),
            true,
        );
        insta::assert_snapshot!(told, @"
        error[port]: `htmlport`: cannot listen on `192.0.2.1:8010`: Cannot assign requested address (os error 99)
         --> master.ini:2:12
          |
        2 | htmlport = 192.0.2.1:8010
          |            ^^^^^^^^^^^^^^
          |
          = help: set another `htmlport` in [:master:]
        ");
    }

    #[test]
    fn a_program_that_is_missing_is_a_warning_and_a_secret_an_error() {
        let source =
            "[source:x]\ntype = svn\nsvnurl = https://svn.test/x\nsvnbin = /nonexistent/svn\n";
        let told = said(&format!("{NO_PORTS}{SLAVE}{source}"), false);
        insta::assert_snapshot!(told, @r#"
        warning[environment]: source `x` needs `/nonexistent/svn`, which is not here
          --> master.ini:10:2
           |
        10 | [source:x]
           |  ^^^^^^^^
           |
           = help: there is no program `/nonexistent/svn`; install it or name another
        "#);
        let secret = SLAVE.replace("password = x", "password = ${secret:s}");
        let told = said(&format!("{NO_PORTS}{secret}"), false);
        insta::assert_snapshot!(told, @r#"
        error[bad-secret]: there is no secret `s`: no section [:secrets:] says where secrets come from
         --> master.ini:5:12
          |
        5 | password = ${secret:s}
          |            ^^^^^^^^^^^
          |
          = help: `[:secrets:]` with `file = secrets.toml` takes them from a file with mode 0600
        "#);
    }

    #[test]
    fn a_directory_of_try_jobs_has_new_and_cur_when_the_master_starts() {
        let text = format!(
            "{NO_PORTS}{SLAVE}[scheduler:try]\ntype = try_jobdir\njobdir = tries\nbuilders = *\n"
        );
        insta::assert_snapshot!(said(&text, false), @"
        error[environment]: the `jobdir` of scheduler `try` has no directory `new`
          --> master.ini:10:2
           |
        10 | [scheduler:try]
           |  ^^^^^^^^^^^^^
           |
           = help: mkdir -p DIR/tries/tmp DIR/tries/new DIR/tries/cur, and let those write into tmp and new who may try
        ");
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("master.ini"), text).expect("written");
        let start = || super::super::load(dir.path()).map_err(|it| it.render(false));
        assert!(
            start()
                .expect_err("an error")
                .contains("no directory `new`")
        );
        fs::create_dir_all(dir.path().join("tries/new")).expect("made");
        assert!(
            start()
                .expect_err("an error")
                .contains("no directory `cur`")
        );
        fs::create_dir_all(dir.path().join("tries/cur")).expect("made");
        start().expect("it starts");
    }

    #[test]
    fn a_directory_of_a_local_slave_must_be_one() {
        let slave = SLAVE.replace(
            "factories",
            "launch = local\nbasedir = DIR/master.ini/x\nfactories",
        );
        let told = said(&format!("{NO_PORTS}{slave}"), false);
        insta::assert_snapshot!(told, @r#"
        warning[environment]: slave `s` cannot work in `DIR/master.ini/x`: `DIR/master.ini` is no directory
         --> master.ini:4:2
          |
        4 | [slave:s]
          |  ^^^^^^^
          |
          = help: `basedir = …` names another directory
        "#);
        let slave = SLAVE.replace("factories", "launch = local\nfactories");
        assert_eq!(said(&format!("{NO_PORTS}{slave}"), false), "");
    }

    #[test]
    fn the_key_of_a_slave_on_another_host_must_be_readable_and_private() {
        let slave = |key: &str| {
            let keys = format!("launch = ssh\nhost = far\nkey_file = {key}\nfactories");
            format!("{NO_PORTS}{}", SLAVE.replace("factories", &keys))
        };
        insta::assert_snapshot!(said(&slave("nowhere/key"), false), @"
        warning[environment]: the key `DIR/nowhere/key` of slave `s` cannot be used: No such file or directory (os error 2)
         --> master.ini:4:2
          |
        4 | [slave:s]
          |  ^^^^^^^
          |
          = help: `key_file = …` names a private key; without it the keys of the ssh agent are used
        ");
        let dir = tempfile::tempdir().expect("a directory");
        let key = dir.path().join("key");
        let text = slave(&key.display().to_string());
        fs::write(&key, "secret").expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
        let told = said(&text, false).replace(&key.display().to_string(), "KEY");
        insta::assert_snapshot!(told, @"
        warning[environment]: the key `KEY` of slave `s` cannot be used: others may read it, its mode is 0644
         --> master.ini:4:2
          |
        4 | [slave:s]
          |  ^^^^^^^
          |
          = help: `chmod 600 KEY` keeps it secret
        ");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
        assert_eq!(said(&text, false), "");
    }
}
