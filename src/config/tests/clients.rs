//! Accounts of Buildbot's clients.

use super::plan as plan_of;
use super::problems as told;
use crate::config::ClientsPlan;

const SLAVE: &str = "[slave:hooks]\npassword = secret\nfactories = foo\n[foo]\nbar = 1\n";

#[test]
fn nobody_is_let_in_whom_the_file_does_not_name() {
    let plan = plan_of(SLAVE);
    assert_eq!(plan.master.clients, ClientsPlan::default());
    assert!(plan.master.clients.debug_password.is_none());
    assert_eq!(plan.master.pb_port, None);
    let plan = plan_of(&format!(
        "[:master:]\ndebugPassword = none\nuser_manager.ann = x\npb_port = 9989\n{SLAVE}"
    ));
    assert!(plan.master.clients.debug_password.is_none());
    assert_eq!(plan.master.clients.user_managers.len(), 1);
    assert_eq!(plan.master.pb_port.map(|it| it.port()), Some(9989));
}

#[test]
fn a_password_that_the_world_knows_is_told() {
    insta::assert_snapshot!(told(&format!(
        "[source:scripts]\ntype = PBChangeSource\npasswd = changepw\n\
         [status:PBListener]\npassword = clientpw\n\
         [source:pb]\nuser = other\npasswd = mine\n{SLAVE}"
    )), @"
    warning[known-password]: the password in [source:scripts] is known to everybody
     --> master.ini:3:10
      |
    3 | passwd = changepw
      |          ^^^^^^^^ Buildbot had this one where nobody said another
      |
      = help: take another, and give it to who sends changes: `buildbot sendchange --auth USER:PASSWORD`

    warning[known-password]: the password in [status:PBListener] is known to everybody
     --> master.ini:5:12
      |
    5 | password = clientpw
      |            ^^^^^^^^ Buildbot had this one where nobody said another
      |
      = help: take another, and give it to who listens: `buildbot statuslog --passwd PASSWORD`
    ");
}

#[test]
fn a_name_in_buildbots_protocol_is_one_account() {
    insta::assert_snapshot!(told(&format!(
        "[:master:]\ndebug_password = x\nuser_manager.watcher = x\nuser_manager.ann = x\npb_port = 9010\n\
         [source:scripts]\ntype = pb\nuser = hooks\npasswd = x\n\
         [source:more]\ntype = pb\nuser = debug\npasswd = x\n\
         [status:watch]\ntype = pb_listener\nuser = watcher\npasswd = x\n\
         [scheduler:try]\ntype = try_userpass\nuserpass.ann = y\nbuilders = *\n{SLAVE}"
    )), @"
    error[duplicate]: `watcher` is a name in Buildbot's protocol of [status:watch] and of `user_manager.watcher` of [:master:]
      --> master.ini:14:2
       |
    14 | [status:watch]
       |  ^^^^^^^^^^^^ the first one
       |
       = help: each needs a name of its own: who logs in says nothing else

    error[duplicate]: `debug` is a name in Buildbot's protocol of [source:more] and of `debug_password` of [:master:]
      --> master.ini:2:18
       |
     2 | debug_password = x
       |                  ^ the second one
    ...
    10 | [source:more]
       |  ----------- the first one
       |
       = help: each needs a name of its own: who logs in says nothing else

    error[port]: `pb_port` and `slaveport` are both port 9010
     --> master.ini:5:11
      |
    5 | pb_port = 9010
      |           ^^^^ this is taken
      |
      = help: `slaveport` is 9010 where the file says nothing else

    error[duplicate]: `hooks` is a name in Buildbot's protocol of [slave:hooks] and of [source:scripts]
     --> master.ini:6:2
      |
    6 | [source:scripts]
      |  ^^^^^^^^^^^^^^ the second one
      |
      = help: each needs a name of its own: who logs in says nothing else
    ");
    insta::assert_snapshot!(told(&format!("[source:pb]\nuser = u\n[status:pb]\n{SLAVE}")), @"
    error[missing-key]: `passwd` is missing in [source:pb]
     --> master.ini:1:2
      |
    1 | [source:pb]
      |  ^^^^^^^^^ expected a password, or `${secret:NAME}`

    error[missing-key]: `passwd` is missing in [status:pb]
     --> master.ini:3:2
      |
    3 | [status:pb]
      |  ^^^^^^^^^ expected a password, or `${secret:NAME}`
    ");
}

#[test]
fn clients_may_have_a_port_of_their_own_which_several_share() {
    let plan = plan_of(&format!(
        "[:master:]\npb_port = 9989\n\
         [source:one]\ntype = pb\nuser = hooks\npasswd = x\nport = 9031\n\
         [source:two]\ntype = pb\nuser = change\npasswd = x\nport = 9989\n\
         [scheduler:try]\ntype = try_userpass\nuserpass.ann = y\nbuilders = *\nport = 9031\n\
         [status:watch]\ntype = pb_listener\nuser = change\npasswd = x\nport = tcp:127.0.0.1:9988\n{SLAVE}"
    ));
    let listeners = plan.listeners().into_iter();
    let listeners = listeners.map(|it| format!("{} {}", it.key, it.endpoint));
    assert_eq!(
        listeners.collect::<Vec<_>>(),
        [
            "slaveport 0.0.0.0:9010",
            "htmlport 0.0.0.0:8010",
            "pb_port 0.0.0.0:9989",
            "port 0.0.0.0:9031",
            "port 127.0.0.1:9988",
        ]
    );
    let slaves_at = [9010, 9989, 9031, 8010].map(|it| plan.master.has_slaves_at(it));
    assert_eq!(slaves_at, [true, true, false, false]);
}

#[test]
fn a_port_of_clients_is_no_other_port_and_has_each_name_once() {
    insta::assert_snapshot!(told(&format!(
        "[source:one]\ntype = pb\nuser = u\npasswd = x\nport = 9031\n\
         [source:two]\ntype = pb\nuser = u\npasswd = x\nport = 9031\n\
         [source:pages]\ntype = pb\nuser = u\npasswd = x\nport = 8010\n\
         [source:slaves]\ntype = pb\nuser = hooks\npasswd = x\nport = 9010\n{SLAVE}"
    )), @"
    error[duplicate]: `u` is a name in Buildbot's protocol of [source:one] and of [source:two]
     --> master.ini:6:2
      |
    1 | [source:one]
      |  ---------- the first one
    ...
    6 | [source:two]
      |  ^^^^^^^^^^ the second one
      |
      = help: each needs a name of its own: who logs in says nothing else

    error[port]: `port` and `htmlport` are both port 8010
      --> master.ini:11:2
       |
    11 | [source:pages]
       |  ^^^^^^^^^^^^ this is taken
       |
       = help: `htmlport` is 0.0.0.0:8010 where the file says nothing else

    error[duplicate]: `hooks` is a name in Buildbot's protocol of [slave:hooks] and of [source:slaves]
      --> master.ini:16:2
       |
    16 | [source:slaves]
       |  ^^^^^^^^^^^^^ the second one
       |
       = help: each needs a name of its own: who logs in says nothing else
    ");
}
