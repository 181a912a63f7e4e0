//! What is wrong with the sections of slaves, shown whole.

use super::problems;

#[test]
fn a_slave_whose_name_is_taken_is_not_said_to_be_missing() {
    let text = "[slave:debug]\npassword = x\nfactories = foo\n[foo]\nbar = 1\n";
    insta::assert_snapshot!(problems(text), @"
    error[bad-name]: `[slave:debug]` has no usable name
     --> master.ini:1:2
      |
    1 | [slave:debug]
      |  ^^^^^^^^^^^ this name is taken: it is one of the master's own users
    ");
}

#[test]
fn a_slave_is_not_asked_for_more_than_it_can_answer_at_once() {
    let lines: String = (0..51)
        .map(|it| format!("capability.c{it} = true\n"))
        .collect();
    let text = format!("[slave:a]\npassword = x\nfactories = foo\n{lines}[foo]\nbar = 1\n");
    insta::assert_snapshot!(problems(&text), @"
    error[bad-value]: 51 capabilities are more than 50
      --> master.ini:13:17
       |
    13 | capability.c9 = true
       |                 ^^^^
       |
       = help: each is a command that runs whenever the slave comes
    ");
}

#[test]
fn directories_are_not_cleaned_up_at_once() {
    let read = |time: &str| {
        problems(&format!(
            "[slave:a]\npassword = x\nfactories = foo\nclean_up = {time}\n[foo]\nbar = 1\n"
        ))
    };
    for good in ["7d", "1s", "none"] {
        assert_eq!(read(good), "", "{good}");
    }
    insta::assert_snapshot!(read("0"), @"
    error[bad-value]: bad value for `clean_up` in [slave:a]
     --> master.ini:4:12
      |
    4 | clean_up = 0
      |            ^ it should be longer than nothing, such as `7d`; `none` is for ever
    ");
}

#[test]
fn maps_of_the_master_hold_for_every_slave_key_by_key() {
    let text = "[:master:]\npassword = x\nfactories = foo\nhas.python = 3.11\ncapability.git = git --version\n\
        [slave:a]\nhas.java = 21\ncapability.git = git version\ncapability.place = pwd\n\
        [slave:b]\n[foo]\nbar = 1\n";
    let plan = crate::config::tests::try_read(text).expect("no mistakes");
    let told = plan
        .slaves
        .iter()
        .map(|it| format!("{} {:?} {:?}", it.name, it.has, it.capabilities));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r#"
    a {"java": ["21"], "python": ["3.11"]} {"git": "git version", "place": "pwd"}
    b {"python": ["3.11"]} {"git": "git --version"}
    "#);
}

#[test]
fn two_slaves_of_the_masters_own_do_not_share_a_directory() {
    let text = "[:master:]\npassword = x\nfactories = foo\nlaunch = local\n[slave:a]\nbasedir = work\n[slave:b]\nbasedir = work\n[foo]\nbar = 1\n";
    let shown = problems(text);
    assert!(
        shown.contains("slave `b` would work in the base directory of slave `a`"),
        "{shown}"
    );
}

#[test]
fn what_contradicts_how_a_slave_is_launched_is_told() {
    let text = "[:master:]\nhtmlport = none\npassword = x\nfactories = a\nuser = ci\n\
                [slave:dials]\non_demand = yes\nhost = far\nmissing_timeout = 5\nbasedir = x\n\
                [slave:local]\nlaunch = local\nbuild_wait_timeout = 5\nstart_command = true\n\
                [slave:cloud]\nlaunch = command\nstop_command = true\nbasedir = x\n\
                [slave:batch]\nlaunch = command\nstart_command = run %(slavname)s %(memory)s %(x:-y)s\n\
                property.memory = 4\n\
                [slave:far]\nlaunch = ssh\nkey_file = k\nstatus_command = true\n\
                [slave:odd]\nlaunch = ssh\nhost = -oProxyCommand=x\nport = 0\nbasedir = ~other\n\
                [slave:one]\nlaunch = ssh\nhost = far\nbasedir = b\n\
                [slave:two]\nlaunch = ssh\nhost = far\nbasedir = b\n\
                [a]\ntype = foo\nbar = 1\n";
    insta::assert_snapshot!(problems(text), @"
    error[bad-value]: bad value for `on_demand` in [slave:dials]
     --> master.ini:7:13
      |
    7 | on_demand = yes
      |             ^^^ the slave dials in by itself; `launch = …` says how the master starts it

    error[bad-value]: bad value for `host` in [slave:dials]
     --> master.ini:8:8
      |
    8 | host = far
      |        ^^^ only `launch = ssh` reads it

    error[bad-value]: bad value for `basedir` in [slave:dials]
      --> master.ini:10:11
       |
    10 | basedir = x
       |           ^ the slave says itself where it works, unless `launch` is `local` or `ssh`

    error[bad-value]: bad value for `build_wait_timeout` in [slave:local]
      --> master.ini:13:22
       |
    13 | build_wait_timeout = 5
       |                      ^ only a slave with `on_demand = yes` is stopped when it has nothing to do

    error[bad-value]: bad value for `start_command` in [slave:local]
      --> master.ini:14:17
       |
    14 | start_command = true
       |                 ^^^^ only `launch = command` reads it

    error[missing-key]: `start_command` is missing in [slave:cloud]
      --> master.ini:16:10
       |
    16 | launch = command
       |          ^^^^^^^ `launch = command` needs it

    error[bad-value]: bad value for `basedir` in [slave:cloud]
      --> master.ini:18:11
       |
    18 | basedir = x
       |           ^ the slave says itself where it works, unless `launch` is `local` or `ssh`

    error[unknown-name]: nothing sets the property `slavname`
      --> master.ini:21:23
       |
    21 | start_command = run %(slavname)s %(memory)s %(x:-y)s
       |                       ^^^^^^^^ did you mean `slavename`?

    error[missing-key]: `host` is missing in [slave:far]
      --> master.ini:24:10
       |
    24 | launch = ssh
       |          ^^^ `launch = ssh` needs it

    error[bad-value]: bad value for `status_command` in [slave:far]
      --> master.ini:26:18
       |
    26 | status_command = true
       |                  ^^^^ only `launch = command` reads it

    error[bad-value]: bad value for `host` in [slave:odd]
      --> master.ini:29:8
       |
    29 | host = -oProxyCommand=x
       |        ^^^^^^^^^^^^^^^^ expected a name or address, without spaces

    error[bad-value]: bad value for `port` in [slave:odd]
      --> master.ini:30:8
       |
    30 | port = 0
       |        ^ expected a port, from 1 to 65535

    error[bad-value]: bad value for `basedir` in [slave:odd]
      --> master.ini:31:11
       |
    31 | basedir = ~other
       |           ^^^^^^ expected a directory on that host, absolute or relative to its home

    error[shared-directory]: slave `two` would work in the base directory of slave `one`
      --> master.ini:36:2
       |
    32 | [slave:one]
       |  --------- by this
    ...
    36 | [slave:two]
       |  ^^^^^^^^^ `ci@far:22/b` is taken
    ");
}

#[test]
fn a_slave_that_nobody_hears_of_and_one_that_cannot_dial_in_are_told() {
    let text = "[:master:]\nhtmlport = none\nslaveport = none\n\
                notify_on_missing = ann@example.org\npassword = x\nfactories = hello\n\
                [slave:a]\n[slave:b]\n\
                [slave:c]\nlaunch = command\nstart_command = true\n\
                [slave:d]\nmissing_timeout = 0\nnotify_on_missing = bo@example.org bo\n\
                [slave:e]\nmissing_timeout = 0\nnotify_on_missing = bo@example.org\ntime_zone = UTC\n\
                [slave:f]\ndowntime = sun 02:00-04:00, son 02:00-04:00\ntime_zone = Mars\n";
    insta::assert_snapshot!(problems(text), @"
    warning[no-effect]: nobody is told when a slave is missing
     --> master.ini:4:21
      |
    4 | notify_on_missing = ann@example.org
      |                     ^^^^^^^^^^^^^^^ no status target sends mails
      |
     ::: master.ini:7:2
      |
    7 | [slave:a]
      |  ^^^^^^^ [slave:a] takes it from here
      |
      = help: `[status:mail]` with `fromaddr` and `relayhost` says how they are sent

    error[unknown-factory]: unknown factory `hello`
     --> master.ini:6:13
      |
    6 | factories = hello
      |             ^^^^^
      |
     ::: master.ini:7:2
      |
    7 | [slave:a]
      |  ^^^^^^^ [slave:a] takes it from here
      |
      = help: there are `foo`, `mine`, `vcs`

    warning[no-effect]: slave `c` cannot dial in when it is started
      --> master.ini:10:10
       |
    10 | launch = command
       |          ^^^^^^^ `slaveport = none` in [:master:] lets nobody in
       |
       = help: with `launch = local` or `ssh` no port is needed

    error[bad-value]: bad value for `notify_on_missing` in [slave:d]
      --> master.ini:14:36
       |
    14 | notify_on_missing = bo@example.org bo
       |                                    ^^ expected a mail address such as `ann@example.org` or `Ann <ann@example.org>`; one with blanks stands in quotes

    warning[no-effect]: `notify_on_missing` has no effect
      --> master.ini:17:21
       |
    17 | notify_on_missing = bo@example.org
       |                     ^^^^^^^^^^^^^^ `missing_timeout` says that the slave may be away for ever

    warning[no-effect]: nobody is told when a slave is missing
      --> master.ini:17:21
       |
    17 | notify_on_missing = bo@example.org
       |                     ^^^^^^^^^^^^^^ no status target sends mails
       |
       = help: `[status:mail]` with `fromaddr` and `relayhost` says how they are sent

    warning[no-effect]: `time_zone` has no effect
      --> master.ini:18:13
       |
    18 | time_zone = UTC
       |             ^^^ only `downtime` is of a time zone

    error[bad-value]: bad value for `downtime` in [slave:f]
      --> master.ini:20:29
       |
    20 | downtime = sun 02:00-04:00, son 02:00-04:00
       |                             ^^^ expected a day: `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`

    error[bad-value]: bad value for `time_zone` in [slave:f]
      --> master.ini:21:13
       |
    21 | time_zone = Mars
       |             ^^^^ expected a time zone such as `Europe/Berlin` or `UTC`
    ");
}
