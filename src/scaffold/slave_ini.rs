//! The text of a new `slave.ini`, commented for somebody who never saw one.

use super::plan::SlaveVariables;

/// The copy of the certificate of the master's authority.
pub(super) const AUTHORITY: &str = "ca.pem";

/// Writes the file.
pub(super) fn text(variables: &SlaveVariables) -> String {
    let SlaveVariables {
        master,
        slaveport,
        name,
        password,
        max_delay,
        keepalive,
        ..
    } = variables;
    let umask = match &variables.umask {
        Some(umask) => format!("umask = {umask}"),
        None => "# umask = 022".to_owned(),
    };
    let address = address(master, *slaveport);
    let tls = tls(variables);
    format!(
        "\
# The configuration of this build slave. `autobot restart` puts changes into force.
# Who looks after it stands in info/admin, what machine it is in info/host.

[:slave:]
# Where the master waits for slaves.
master = {address}
# The name and password that the master's master.ini has for this slave.
name = {name}
password = {password}
{tls}
# The longest wait between two attempts to reach the master.
max_delay = {max_delay}
# How often to make sure that the connection still works.
keepalive = {keepalive}
# The file mode mask of what is built, in octal.
{umask}
"
    )
}

/// Nothing where the line is plain, so that a file without TLS does not speak of it.
fn tls(variables: &SlaveVariables) -> String {
    if !variables.has_tls {
        return String::new();
    }
    let mut text = String::from("\n# Nobody else can read the line: whom the slave believes.\n");
    text.push_str(&match variables.authority {
        Some(_) => format!("tls_ca = {AUTHORITY}\n"),
        None => "tls = yes\n".to_owned(),
    });
    if let Some(name) = &variables.tls_name {
        text.push_str(&format!("tls_name = {name}\n"));
    }
    text
}

/// Host and port; a master that was named with its port keeps that.
fn address(master: &str, port: u16) -> String {
    let has_port = master.rsplit_once(':').is_some_and(|(host, port)| {
        (!host.contains(':') || host.ends_with(']')) && port.parse::<u16>().is_ok()
    });
    if has_port {
        master.to_owned()
    } else if master.contains(':') && !master.starts_with('[') {
        format!("[{master}]:{port}")
    } else {
        format!("{master}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_a_file_that_explains_itself() {
        insta::assert_snapshot!(text(&SlaveVariables::default()), @r"
        # The configuration of this build slave. `autobot restart` puts changes into force.
        # Who looks after it stands in info/admin, what machine it is in info/host.

        [:slave:]
        # Where the master waits for slaves.
        master = localhost:9010
        # The name and password that the master's master.ini has for this slave.
        name = slave
        password = passwd

        # The longest wait between two attempts to reach the master.
        max_delay = 300
        # How often to make sure that the connection still works.
        keepalive = 600
        # The file mode mask of what is built, in octal.
        # umask = 022
        ");
    }

    #[test]
    fn a_slave_with_tls_says_whom_it_believes() {
        let mut variables = SlaveVariables {
            has_tls: true,
            ..SlaveVariables::default()
        };
        let lines = |variables: &SlaveVariables| {
            let text = text(variables);
            let tls = text.lines().filter(|it| it.starts_with("tls"));
            tls.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(&variables), ["tls = yes"]);
        variables.authority = Some("PEM".to_owned());
        variables.tls_name = Some("ci.test".to_owned());
        assert_eq!(lines(&variables), ["tls_ca = ca.pem", "tls_name = ci.test"]);
        let plan = variables.plan();
        assert!(plan.items.iter().any(|it| it.path.ends_with(AUTHORITY)));
    }

    #[test]
    fn a_master_may_be_named_with_its_port_or_be_an_ipv6_address() {
        assert_eq!(address("ci.test", 9010), "ci.test:9010");
        assert_eq!(address("ci.test:9011", 9010), "ci.test:9011");
        assert_eq!(address("::1", 9010), "[::1]:9010");
        assert_eq!(address("[::1]:9011", 9010), "[::1]:9011");
    }
}
