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
    format!(
        "\
# The configuration of this build slave. `autobot restart` puts changes into force.
# Who looks after it stands in info/admin, what machine it is in info/host.

[:slave:]
# Where the master waits for slaves.
master = {master}:{slaveport}
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
}
