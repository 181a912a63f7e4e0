//! The text of a new `slave.ini`, commented for somebody who never saw one.

use super::plan::SlaveVariables;

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

# The longest wait between two attempts to reach the master.
max_delay = {max_delay}
# How often to make sure that the connection still works.
keepalive = {keepalive}
# The file mode mask of what is built, in octal.
{umask}
"
    )
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
    fn a_master_may_be_named_with_its_port_or_be_an_ipv6_address() {
        assert_eq!(address("ci.test", 9010), "ci.test:9010");
        assert_eq!(address("ci.test:9011", 9010), "ci.test:9011");
        assert_eq!(address("::1", 9010), "[::1]:9010");
        assert_eq!(address("[::1]:9011", 9010), "[::1]:9011");
    }
}
