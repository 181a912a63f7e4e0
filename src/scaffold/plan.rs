//! What would be written: the files of a master, a slave or both, as values.

use std::path::Path;
use std::path::PathBuf;

use super::master_ini;
use super::slave_ini;

/// Files and directories below a directory that need not exist yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Relative; empty for the directory itself.
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Directory,
    Text(String),
    /// A text with a password in it: only its owner may read it.
    Private(String),
    /// The master's database, empty.
    Database,
}

/// What a master is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MasterVariables {
    /// The name of its slave.
    pub(crate) slave: String,
    /// What the slave runs: `linux`, `mac` or `win`.
    pub(crate) os: String,
    pub(crate) password: String,
    pub(crate) slaveport: u16,
    pub(crate) htmlport: u16,
    /// Listen on this machine only.
    pub(crate) is_local: bool,
    /// `None`: no public pages.
    pub(crate) publichtmlport: Option<u16>,
    /// The nick on IRC.
    pub(crate) botname: String,
    /// Empty: no IRC.
    pub(crate) irc_host: String,
    /// White space between them; empty or `-`: none.
    pub(crate) irc_channels: String,
    pub(crate) domain: String,
    /// Mail addresses; empty: no mail.
    pub(crate) recipients: String,
    pub(crate) poll_interval: u32,
    pub(crate) tree_stable: u32,
    /// Bytes after which the master's log starts anew; `None`: as usual.
    pub(crate) log_rotate_length: Option<u64>,
    /// How many old ones are kept; `None`: as usual.
    pub(crate) max_rotated_files: Option<u32>,
    pub(crate) factories: Vec<FactoryChoice>,
}

/// A factory that the slave builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FactoryChoice {
    pub(crate) name: String,
    /// Lines of its section, or none for an example as a comment.
    pub(crate) lines: Vec<String>,
}

/// What a slave is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlaveVariables {
    /// Where its master is.
    pub(crate) master: String,
    pub(crate) slaveport: u16,
    pub(crate) name: String,
    pub(crate) password: String,
    /// Seconds.
    pub(crate) max_delay: u32,
    pub(crate) keepalive: u32,
    /// Octal, such as `022`.
    pub(crate) umask: Option<String>,
    /// Whether the master is dialled with TLS.
    pub(crate) has_tls: bool,
    /// The certificate of the master's authority, as PEM; `None`: those that the system trusts.
    pub(crate) authority: Option<String>,
    /// What the master's certificate is for, where it is dialled by another name.
    pub(crate) tls_name: Option<String>,
    /// A sentence about this machine.
    pub(crate) host: String,
}

/// A variable that cannot stand in a configuration file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VariableError {
    #[error("`{name}` is empty")]
    Empty { name: &'static str },
    #[error("`{name}` must be one line")]
    NotOneLine { name: &'static str },
    #[error(
        "the {kind} name `{name}` has `{character}` in it; letters, digits, `-`, `_` and `.` are good"
    )]
    Name {
        kind: &'static str,
        name: String,
        character: char,
    },
    #[error("`{a}` and `{b}` are both port {port}")]
    SamePort {
        a: &'static str,
        b: &'static str,
        port: u16,
    },
    #[error("`umask` should be octal such as 022, and is `{0}`")]
    Umask(String),
}

impl Default for MasterVariables {
    fn default() -> Self {
        Self {
            slave: "slave".to_owned(),
            os: "linux".to_owned(),
            password: "passwd".to_owned(),
            slaveport: 9010,
            htmlport: 8010,
            is_local: false,
            publichtmlport: Some(8011),
            botname: "autobot".to_owned(),
            irc_host: String::new(),
            irc_channels: "-".to_owned(),
            domain: "localhost".to_owned(),
            recipients: String::new(),
            poll_interval: 60,
            tree_stable: 60,
            log_rotate_length: None,
            max_rotated_files: None,
            factories: Vec::new(),
        }
    }
}

impl Default for SlaveVariables {
    fn default() -> Self {
        Self {
            master: "localhost".to_owned(),
            slaveport: 9010,
            name: "slave".to_owned(),
            password: "passwd".to_owned(),
            max_delay: 300,
            keepalive: 600,
            umask: None,
            has_tls: false,
            authority: None,
            tls_name: None,
            host: "a build slave".to_owned(),
        }
    }
}

impl MasterVariables {
    /// Refuses what would make a file that does not say what was meant.
    pub(crate) fn check(&self) -> Result<(), VariableError> {
        check_name("slave", &self.slave)?;
        for factory in &self.factories {
            check_name("factory", &factory.name)?;
        }
        not_empty("os", &self.os)?;
        not_empty("passwd", &self.password)?;
        for (name, value) in [
            ("os", &self.os),
            ("passwd", &self.password),
            ("botname", &self.botname),
            ("ircHost", &self.irc_host),
            ("ircChannels", &self.irc_channels),
            ("domain", &self.domain),
            ("recipients", &self.recipients),
        ] {
            one_line(name, value)?;
        }
        let mut ports = vec![("slaveport", self.slaveport), ("htmlport", self.htmlport)];
        ports.extend(self.publichtmlport.map(|port| ("publichtmlport", port)));
        for (at, &(a, port)) in ports.iter().enumerate() {
            if let Some(&(b, _)) = ports[at + 1..].iter().find(|other| other.1 == port) {
                return Err(VariableError::SamePort { a, b, port });
            }
        }
        Ok(())
    }

    /// The files of a master's base directory.
    pub(crate) fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        plan.directory("");
        plan.add("master.ini", Content::Private(master_ini::text(self)));
        plan.directory("factories");
        plan.text(
            "factories/README",
            "A file NAME.toml in here is a factory: the steps of a project.\n\
             `autobot create-autobot-project NAME` writes one to begin with.\n",
        );
        plan.directory("templates");
        plan.text(
            "templates/README",
            "A page template in here takes the place of autobot's own of the same name.\n\
             `autobot templates` lists them, `autobot templates copy NAME` puts one here.\n",
        );
        plan.directory("public_html");
        plan.text("public_html/robots.txt", "User-agent: *\nDisallow: /\n");
        plan.add("state.sqlite", Content::Database);
        plan
    }
}

impl SlaveVariables {
    /// Refuses what would make a file that does not say what was meant.
    pub(crate) fn check(&self) -> Result<(), VariableError> {
        check_name("slave", &self.name)?;
        not_empty("master", &self.master)?;
        not_empty("passwd", &self.password)?;
        one_line("master", &self.master)?;
        one_line("passwd", &self.password)?;
        if let Some(name) = &self.tls_name {
            not_empty("tls-name", name)?;
            one_line("tls-name", name)?;
        }
        if let Some(umask) = &self.umask {
            let digits = umask.strip_prefix("0o").unwrap_or(umask);
            let value = u32::from_str_radix(digits, 8);
            if !value.is_ok_and(|value| value <= 0o777) || digits.starts_with('+') {
                return Err(VariableError::Umask(umask.clone()));
            }
        }
        Ok(())
    }

    /// The files of a slave's base directory.
    pub(crate) fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        plan.directory("");
        plan.add("slave.ini", Content::Private(slave_ini::text(self)));
        if let Some(authority) = &self.authority {
            plan.text(slave_ini::AUTHORITY, authority);
        }
        plan.directory("info");
        plan.text("info/admin", "Your Name Here <admin@youraddress.invalid>\n");
        plan.text("info/host", &format!("{}\n", self.host));
        plan
    }
}

impl Plan {
    /// A master and its slave, in `master/` and `slave/`.
    pub(crate) fn pair(master: &MasterVariables, slave: &SlaveVariables) -> Self {
        let mut plan = Self::default();
        plan.directory("");
        for (dir, part) in [("master", master.plan()), ("slave", slave.plan())] {
            plan.items.extend(part.items.into_iter().map(|item| Item {
                // `join` with an empty path would leave a trailing slash.
                path: Path::new(dir).join(item.path).components().collect(),
                content: item.content,
            }));
        }
        plan
    }

    pub(super) fn add(&mut self, path: impl Into<PathBuf>, content: Content) {
        self.items.push(Item {
            path: path.into(),
            content,
        });
    }

    fn directory(&mut self, path: &str) {
        self.add(path, Content::Directory);
    }

    fn text(&mut self, path: &str, text: &str) {
        self.add(path, Content::Text(text.to_owned()));
    }
}

/// A name that is a section, a directory and a part of an address.
fn check_name(kind: &'static str, name: &str) -> Result<(), VariableError> {
    not_empty(kind, name)?;
    let bad = |c: char| !(c.is_alphanumeric() || "-_.".contains(c));
    match name.chars().find(|c| bad(*c)) {
        Some(character) => Err(VariableError::Name {
            kind,
            name: name.to_owned(),
            character,
        }),
        None => Ok(()),
    }
}

fn not_empty(name: &'static str, value: &str) -> Result<(), VariableError> {
    if value.trim().is_empty() {
        return Err(VariableError::Empty { name });
    }
    Ok(())
}

fn one_line(name: &'static str, value: &str) -> Result<(), VariableError> {
    if value.chars().any(char::is_control) {
        return Err(VariableError::NotOneLine { name });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line for each item.
    fn listing(plan: &Plan) -> String {
        plan.items
            .iter()
            .map(|item| match &item.content {
                Content::Directory if item.path.as_os_str().is_empty() => "./\n".to_owned(),
                Content::Directory => format!("{}/\n", item.path.display()),
                _ => format!("{}\n", item.path.display()),
            })
            .collect()
    }

    #[test]
    fn a_pair_is_a_master_and_a_slave_with_all_their_files() {
        let plan = Plan::pair(&MasterVariables::default(), &SlaveVariables::default());
        insta::assert_snapshot!(listing(&plan), @r"
        ./
        master/
        master/master.ini
        master/factories/
        master/factories/README
        master/templates/
        master/templates/README
        master/public_html/
        master/public_html/robots.txt
        master/state.sqlite
        slave/
        slave/slave.ini
        slave/info/
        slave/info/admin
        slave/info/host
        ");
    }

    #[test]
    fn files_with_a_password_are_private() {
        let plan = Plan::pair(&MasterVariables::default(), &SlaveVariables::default());
        for item in plan.items {
            if let Content::Text(text) = item.content {
                assert!(!text.contains("passwd"), "{}", item.path.display());
            }
        }
    }

    #[test]
    fn variables_that_would_break_the_file_are_refused() {
        let check = |change: fn(&mut MasterVariables)| {
            let mut variables = MasterVariables::default();
            change(&mut variables);
            variables.check().expect_err("refused").to_string()
        };
        assert_eq!(
            check(|it| it.slave = "a]b".to_owned()),
            "the slave name `a]b` has `]` in it; letters, digits, `-`, `_` and `.` are good"
        );
        assert_eq!(check(|it| it.slave.clear()), "`slave` is empty");
        assert_eq!(
            check(|it| it.recipients = "a\n[x]".to_owned()),
            "`recipients` must be one line"
        );
        assert_eq!(
            check(|it| it.htmlport = 9010),
            "`slaveport` and `htmlport` are both port 9010"
        );
        assert_eq!(MasterVariables::default().check(), Ok(()));
    }

    #[test]
    fn a_umask_is_octal() {
        let check = |umask: &str| {
            let variables = SlaveVariables {
                umask: Some(umask.to_owned()),
                ..SlaveVariables::default()
            };
            variables.check().is_ok()
        };
        assert!(check("022") && check("0o077") && check("0"));
        assert!(!check("9") && !check("-1") && !check("+22") && !check("7777") && !check(""));
    }
}
