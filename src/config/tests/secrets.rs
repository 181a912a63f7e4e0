//! Whole directories with secrets in them.

use std::fs;

use super::*;
use crate::syntax::Severity;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(ini: &str) -> Self {
        let dir = Self(tempfile::tempdir().expect("a directory"));
        dir.write("master.ini", ini, 0o640);
        dir
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
    }

    fn plan(&self) -> Plan {
        load(self.0.path()).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
    }

    /// What is wrong with it, as it is shown.
    fn problems(&self) -> String {
        let problems = match load(self.0.path()) {
            Ok(plan) => plan.warnings,
            Err(problems) => problems,
        };
        let dir = self.0.path().display().to_string();
        problems.render(false).replace(&dir, "DIR")
    }
}

const FARM: &str = "[:secrets:]\nfile = secrets.json\n\
                    [:master:]\npassword = ${secret:slaves.passwords.any}\n\
                    [slave:one]\npassword = ${secret:slaves.passwords.one}\nfactories = up\n\
                    [slave:two]\nfactories = up\n[up]\ntype = shell\ncommand = upload ${secret:up}\n";

#[test]
fn passwords_come_from_a_file_with_a_default_for_every_slave() {
    let dir = Dir::new(FARM);
    let json = r#"{"slaves": {"passwords": {"one": "hunter1", "*": "hunter2"}}, "up": "hunter3"}"#;
    dir.write("secrets.json", json, 0o600);
    assert_eq!(dir.problems(), "");
    let plan = dir.plan();
    let password = |name: &str| {
        let slave = plan.slaves.iter().find(|it| it.name.as_str() == name);
        let password = &slave.expect("a slave").password;
        password.reveal(&plan.secrets).expect("readable")
    };
    assert_eq!(
        (password("one"), password("two")),
        ("hunter1".into(), "hunter2".into())
    );
    let shown = format!("{plan:?}");
    assert!(
        shown.contains("${secret:up}") && !shown.contains("hunter"),
        "{shown}"
    );

    // A secret is no part of the plan: another value is no change.
    dir.write("secrets.json", &json.replace("hunter", "other"), 0o600);
    let lines = Difference::between(&plan, &dir.plan()).lines().join("\n");
    assert!(!lines.contains("changed"), "{lines}");
    assert_eq!(password("one"), "other1");
    dir.write(
        "master.ini",
        &FARM.replace("passwords.one", "passwords.two"),
        0o640,
    );
    let lines = Difference::between(&plan, &dir.plan()).lines().join("\n");
    assert!(lines.contains("changed slave `one`"), "{lines}");
}

#[test]
fn a_secret_that_cannot_be_read_is_told_where_it_is_used() {
    let dir = Dir::new(FARM);
    dir.write(
        "secrets.json",
        r#"{"slaves": {"passwords": {"*": "hunter2"}}}"#,
        0o600,
    );
    insta::assert_snapshot!(dir.problems(), @"
    error[bad-secret]: there is no secret `up` in `DIR/secrets.json`
      --> master.ini:12:18
       |
    12 | command = upload ${secret:up}
       |                  ^^^^^^^^^^^^
    ");
    dir.write("secrets.json", "{}", 0o644);
    let problems = load(dir.0.path()).expect_err("others may read it");
    let is_error = |it: &Problem| it.severity == Severity::Error && it.code == Code::BadSecret;
    assert!(problems.0.iter().all(is_error), "{}", dir.problems());
    assert!(
        dir.problems().contains("`chmod 600 DIR/secrets.json`"),
        "{}",
        dir.problems()
    );
}

#[test]
fn a_recipe_may_take_a_secret_and_says_where_it_uses_one() {
    let dir = Dir::new(
        "[:secrets:]\ndirectory = secrets\n[slave:a]\npassword = x\nfactories = up\n\
         [up]\ntype = upload\ntoken = ${secret:up/token}\n",
    );
    dir.write(
        "factories/upload.toml",
        "extends = 'shell'\ncommand = 'true'\n[params]\ntoken = { type = 'string' }\nplace = 'here'\n\
         [[steps]]\ntype = 'shell'\ncommand = ['up', '{{ token }}', '{{ platform.hostname }}']\n\
         env.KEY = '${secret:key}'\n\
         env.PLACE = '${secret:deploy.{{ place }}}'\n",
        0o644,
    );
    dir.write("secrets/up/token", "hunter2\n", 0o600);
    insta::assert_snapshot!(dir.problems(), @"
    error[bad-secret]: there is no secret `key` in the directory `DIR/secrets`
     --> DIR/factories/upload.toml:9:12
      |
    9 | env.KEY = '${secret:key}'
      |            ^^^^^^^^^^^^^

    error[bad-secret]: there is no secret `deploy.here` in the directory `DIR/secrets`
      --> DIR/factories/upload.toml:10:13
       |
    10 | env.PLACE = '${secret:deploy.{{ place }}}'
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
    dir.write("secrets/key", "hunter3", 0o600);
    dir.write("secrets/deploy.here", "hunter4", 0o600);
    let plan = dir.plan();
    let platform = |hostname: &str| Platform {
        hostname: hostname.into(),
        ..Platform::default()
    };
    let steps = |hostname| format!("{:?}", plan.builders[0].factory.steps(&platform(hostname)));
    assert!(
        steps("host").contains("Secret(${secret:up/token})"),
        "{}",
        steps("host")
    );
    // A slave must not be given what it asks for.
    let asked = steps("${secret:key2}");
    assert!(
        asked.contains("{secret:key2}") && !asked.contains("${secret:key2}"),
        "{asked}"
    );
}

#[test]
fn a_secret_is_refused_where_its_value_would_be_stored_or_shown() {
    let dir = Dir::new(
        "[:master:]\ntitle = ${secret:a}\nproperty.p = {\"x\": \"${secret:b}\"}\n\
         [:secrets:]\nfile = s.json\n[:secrets:]\nfile = t.json\n\
         [slave:a]\npassword = x${secret:slaves/../a}\nfactories = up\n\
         [up]\ntype = shell\ncommand = up ${secret:c\nproperty.q = ${secret:c}\n\
         git = https://x:${secret:token}@example.org/r.git\n",
    );
    insta::assert_snapshot!(dir.problems(), @r#"
    error[bad-secret]: bad value for `title` in [:master:]
     --> master.ini:2:9
      |
    2 | title = ${secret:a}
      |         ^^^^^^^^^^^ no secret can stand here: this value is stored or shown

    error[bad-secret]: a secret in `property.p` of [:master:]
     --> master.ini:3:21
      |
    3 | property.p = {"x": "${secret:b}"}
      |                     ^^^^^^^^^^^ properties are stored and shown
      |
      = help: a command and `env.NAME` of a step may have secrets

    error[duplicate]: section `[:secrets:]` stands twice
     --> master.ini:6:2
      |
    4 | [:secrets:]
      |  --------- the first one
    5 | file = s.json
    6 | [:secrets:]
      |  ^^^^^^^^^ the second one

    error[bad-secret]: bad value for `password` in [slave:a]
     --> master.ini:9:13
      |
    9 | password = x${secret:slaves/../a}
      |             ^^^^^^^^^^^^^^^^^^^^^ no part of a secret's name is empty or begins with `.`

    error[bad-value]: bad value for `command` in [up]
      --> master.ini:13:14
       |
    13 | command = up ${secret:c
       |              ^^^^^^^^^^ this reference to a secret has no closing `}`

    error[bad-secret]: a secret in `property.q` of [up]
      --> master.ini:14:14
       |
    14 | property.q = ${secret:c}
       |              ^^^^^^^^^^^ properties are stored and shown
       |
       = help: a command and `env.NAME` of a step may have secrets

    error[bad-secret]: a secret in `git` of [up]
      --> master.ini:15:7
       |
    15 | git = https://x:${secret:token}@example.org/r.git
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the names of repositories are stored and shown
       |
       = help: a credential helper or an ssh key of the slave's user keeps it secret
    "#);
    let dir = Dir::new("[slave:a]\npassword = x\nfactories = up\n[up]\ntype = upload\n");
    dir.write(
        "factories/upload.toml",
        "extends = 'shell'\ncommand = 'true'\n[[steps]]\ntype = 'shell'\n\
         command = 'x'\nworkdir = 'a/${secret:key}'\ndescription = 'with ${secret:shown:-}'\n",
        0o644,
    );
    insta::assert_snapshot!(dir.problems(), @"
    error[bad-secret]: bad value for `workdir` in [[steps]]
     --> DIR/factories/upload.toml:6:14
      |
    6 | workdir = 'a/${secret:key}'
      |              ^^^^^^^^^^^^^ no secret can stand here: this value is stored or shown
    ");
}
