//! The text of a new `master.ini`, commented for somebody who never saw one.

use std::fmt::Write as _;

use super::plan::FactoryChoice;
use super::plan::MasterVariables;

const HEAD: &str = "\
# The configuration of this build master.
#
#   autobot checkconfig    looks for mistakes
#   autobot reconfig       puts changes into force; running builds go on
#
# A length of time is a number of seconds, or 90s, 5m, 1h30m.
";

/// Writes the file.
pub(super) fn text(variables: &MasterVariables) -> String {
    let MasterVariables {
        slave,
        os,
        password,
        htmlport,
        poll_interval,
        tree_stable,
        ..
    } = variables;
    let on = interface(variables);
    let slaveport = variables.slaveport;
    let public = public(variables);
    let log = log(variables);
    let irc = irc(variables);
    let mail = mail(variables);
    let names: Vec<&str> = variables
        .factories
        .iter()
        .map(|factory| factory.name.as_str())
        .collect();
    let names = names.join(" ");
    let factories = if names.is_empty() {
        "# factories = NAME OTHER\n".to_owned()
    } else {
        format!("factories = {names}\n")
    };
    let sections: String = variables.factories.iter().map(section).collect();
    format!(
        "{HEAD}
[:master:]
# Slaves dial in here.
slaveport = {on}{slaveport}
# The pages, with buttons: http://localhost:{htmlport}/
htmlport = {on}{htmlport}
{public}
# How often repositories are asked for changes.
poll_interval = {poll_interval}
# How long a branch must be quiet before it is built.
tree_stable = {tree_stable}
{log}{irc}{mail}
# A machine that builds. The same name and password stand in its slave.ini.
[slave:{slave}]
password = {password}
# linux, mac or win
os = {os}
# What it builds: names of factories, or * for all that have a section here.
{factories}{sections}"
    )
}

/// What stands before a port.
fn interface(variables: &MasterVariables) -> &'static str {
    if variables.is_local { "127.0.0.1:" } else { "" }
}

fn public(variables: &MasterVariables) -> String {
    let on = interface(variables);
    match variables.publichtmlport {
        Some(port) => format!(
            "# The same pages without buttons, for everybody. Without this line there are none.\n\
             publichtmlport = {on}{port}\n"
        ),
        None => String::new(),
    }
}

fn log(variables: &MasterVariables) -> String {
    let length = variables.log_rotate_length.map(|it| {
        format!("\n# Bytes after which autobot.log starts anew.\nlog_rotate_length = {it}\n")
    });
    let kept = variables
        .max_rotated_files
        .map(|it| format!("\n# How many old ones of it are kept.\nmax_rotated_files = {it}\n"));
    length.into_iter().chain(kept).collect()
}

fn irc(variables: &MasterVariables) -> String {
    let MasterVariables {
        botname,
        irc_host,
        irc_channels,
        ..
    } = variables;
    if irc_host.is_empty() {
        return String::new();
    }
    let mut irc = format!(
        "\n# The bot that tells an IRC channel how builds end.\n\
         irc_host = {irc_host}\nbotname = {botname}\n"
    );
    if !matches!(irc_channels.as_str(), "" | "-") {
        writeln!(irc, "channels = {irc_channels}").expect("a String takes every text");
    }
    irc
}

fn mail(variables: &MasterVariables) -> String {
    let MasterVariables {
        domain, recipients, ..
    } = variables;
    if recipients.is_empty() {
        return String::new();
    }
    format!(
        "\n# Who gets mail about every project; a name without @ gets the domain.\n\
         domain = {domain}\nrecipients = {recipients}\n"
    )
}

fn section(factory: &FactoryChoice) -> String {
    let name = &factory.name;
    let lines = if factory.lines.is_empty() {
        "# git = https://example.org/project.git#main\n".to_owned()
    } else {
        factory.lines.join("\n") + "\n"
    };
    format!(
        "\n# Parameters of the factory `{name}`, such as where its source is.\n[{name}]\n{lines}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_a_file_that_explains_itself() {
        let variables = MasterVariables {
            factories: vec![FactoryChoice {
                name: "hello".to_owned(),
                lines: Vec::new(),
            }],
            ..MasterVariables::default()
        };
        insta::assert_snapshot!(text(&variables), @r"
        # The configuration of this build master.
        #
        #   autobot checkconfig    looks for mistakes
        #   autobot reconfig       puts changes into force; running builds go on
        #
        # A length of time is a number of seconds, or 90s, 5m, 1h30m.

        [:master:]
        # Slaves dial in here.
        slaveport = 9010
        # The pages, with buttons: http://localhost:8010/
        htmlport = 8010
        # The same pages without buttons, for everybody. Without this line there are none.
        publichtmlport = 8011

        # How often repositories are asked for changes.
        poll_interval = 60
        # How long a branch must be quiet before it is built.
        tree_stable = 60

        # A machine that builds. The same name and password stand in its slave.ini.
        [slave:slave]
        password = passwd
        # linux, mac or win
        os = linux
        # What it builds: names of factories, or * for all that have a section here.
        factories = hello

        # Parameters of the factory `hello`, such as where its source is.
        [hello]
        # git = https://example.org/project.git#main
        ");
    }

    #[test]
    fn irc_and_mail_are_written_when_they_are_wanted() {
        let variables = MasterVariables {
            irc_host: "irc.example.org".to_owned(),
            irc_channels: "#a #b".to_owned(),
            recipients: "ines@example.org".to_owned(),
            ..MasterVariables::default()
        };
        let text = text(&variables);
        for line in [
            "irc_host = irc.example.org",
            "botname = autobot",
            "channels = #a #b",
            "domain = localhost",
            "recipients = ines@example.org",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }

    #[test]
    fn what_is_to_become_of_the_log_is_written_when_it_was_said() {
        let variables = MasterVariables {
            log_rotate_length: Some(5000),
            max_rotated_files: Some(u32::MAX),
            ..MasterVariables::default()
        };
        let text = text(&variables);
        for line in ["log_rotate_length = 5000", "max_rotated_files = 4294967295"] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_local_master_listens_on_this_machine_only() {
        let variables = MasterVariables {
            is_local: true,
            publichtmlport: None,
            ..MasterVariables::default()
        };
        let text = text(&variables);
        assert!(text.contains("\nslaveport = 127.0.0.1:9010\n"), "{text}");
        assert!(text.contains("\nhtmlport = 127.0.0.1:8010\n"), "{text}");
        assert!(!text.contains("publichtmlport"), "{text}");
    }

    #[test]
    fn several_factories_stand_in_one_value() {
        let factory = |name: &str| FactoryChoice {
            name: name.to_owned(),
            lines: vec![format!("git = /src/{name}")],
        };
        let variables = MasterVariables {
            factories: vec![factory("a"), factory("b")],
            ..MasterVariables::default()
        };
        let text = text(&variables);
        assert!(text.contains("\nfactories = a b\n"), "{text}");
        assert!(text.contains("\n[b]\ngit = /src/b\n"), "{text}");
    }
}
