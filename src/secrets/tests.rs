//! Values from real files with real modes, and what they do in a command.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::read::Variables;
use super::*;
use crate::model::Command;
use crate::model::HoleIn;
use crate::model::SecretHole;
use crate::model::SecretRef;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::syntax::Content;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::Value as _;

struct Desk {
    dir: TempDir,
    settings: Settings,
}

impl Desk {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            settings: Settings::default(),
        }
    }

    fn write(&self, name: &str, text: &[u8], mode: u32) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Adds a file of secrets.
    fn file(mut self, name: &str, text: &str, mode: u32) -> Self {
        self.write(name, text.as_bytes(), mode);
        self.settings.files.push(self.dir.path().join(name));
        self
    }

    fn directory(mut self) -> Self {
        self.settings.directory = Some(self.dir.path().join("dir"));
        self
    }

    fn secrets(&self) -> Secrets {
        Secrets::of(self.settings.clone())
    }

    fn get(&self, name: &str) -> String {
        let name = SecretName::parse(name).unwrap();
        match self.secrets().get(&name) {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => self.told(&error.to_string()),
        }
    }

    fn told(&self, text: &str) -> String {
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
}

fn reference(text: &str) -> SecretRef {
    SecretRef::find(text).unwrap().unwrap().0
}

fn text(text: &str) -> SecretText {
    let source = Source::new("m.ini", "/", text);
    SecretText::read(&Node {
        place: Place::new(&source, 0..text.len()),
        content: Content::Text(text.to_owned()),
    })
    .unwrap()
}

#[test]
fn the_first_place_that_has_it_counts() {
    let mut desk = Desk::new()
        .file("a.json", r#"{"x": "from a", "db": {"*": "any"}}"#, 0o600)
        .file("b.toml", "x = 'from b'\ny = 'from b'\n", 0o400)
        .directory();
    desk.write("dir/y", b"from dir\n", 0o600);
    desk.write("dir/sub/z", b"from dir\n\n", 0o600);
    desk.settings.environment = vec![
        Variables::Named("PATH".into()),
        Variables::Prefix("PA".into()),
    ];
    assert_eq!(desk.get("x"), "from a");
    assert_eq!(desk.get("y"), "from b");
    assert_eq!(desk.get("sub/z"), "from dir\n", "one line end is dropped");
    assert_eq!(desk.get("db.main"), "any");
    let path = env::var("PATH").unwrap();
    assert_eq!(desk.get("PATH"), path);
    assert_eq!(desk.get("th"), path, "a prefix and the name in capitals");
    assert_eq!(
        desk.get("none"),
        "there is no secret `none` in `DIR/a.json`, `DIR/b.toml`, \
         the directory `DIR/dir`, the variable `PATH`, the variables `PA…`"
    );
    let variables = desk.secrets().variables();
    assert!(variables.contains(&OsString::from("PATH")));
    assert!(!variables.contains(&OsString::from("HOME")));
}

#[test]
fn a_secret_that_is_replaced_is_seen_at_its_next_use() {
    let desk = Desk::new().directory();
    desk.write("dir/x", b"old", 0o600);
    assert_eq!(desk.get("x"), "old");
    desk.write("dir/x", b"new", 0o600);
    assert_eq!(desk.get("x"), "new");
}

#[test]
fn what_others_may_read_and_what_is_no_file_is_refused() {
    let desk = Desk::new().file("a.json", r#"{"x": "hunter2"}"#, 0o640);
    let expected = "the secret `x` cannot be read: `DIR/a.json`: \
                    others may read it, its mode is 0640";
    assert_eq!(desk.get("x"), expected);
    // Even one that may be read elsewhere: who opened this file may have others open too.
    assert_eq!(desk.get("y"), expected.replace("`x`", "`y`"));

    let desk = Desk::new().directory();
    desk.write("dir/open", b"hunter2", 0o604);
    desk.write("dir/bytes", b"\xff\xfe", 0o600);
    desk.write("dir/empty", b"\n", 0o600);
    desk.write("dir/nul", b"hunter2\0", 0o600);
    desk.write("dir/large", &vec![b'x'; (1 << 20) + 1], 0o600);
    let fifo = desk.dir.path().join("dir/fifo");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fs::create_dir(desk.dir.path().join("dir/inner")).unwrap();
    for (name, expected) in [
        ("open", "others may read it, its mode is 0604"),
        ("bytes", "it is not written in UTF-8"),
        ("large", "it is larger than 1 MiB"),
        ("fifo", "it is no file"),
        ("inner", "it is no file"),
    ] {
        let expected = format!("the secret `{name}` cannot be read: `DIR/dir/{name}`: {expected}");
        assert_eq!(desk.get(name), expected);
    }
    assert_eq!(desk.get("empty"), "the secret `empty` is empty");
    assert_eq!(desk.get("nul"), "the secret `nul` holds a NUL character");

    let desk = Desk::new().file("gone.toml", "x = [1]\n", 0o600);
    assert_eq!(
        desk.get("x"),
        "the secret `x` is a list in `DIR/gone.toml`, and no text"
    );
    fs::remove_file(desk.dir.path().join("gone.toml")).unwrap();
    assert!(desk.get("x").contains("No such file"), "{}", desk.get("x"));
}

#[test]
fn a_default_is_for_a_secret_that_is_nowhere_and_not_for_one_that_cannot_be_read() {
    let desk = Desk::new().file("a.json", r#"{"x": "hunter2"}"#, 0o600);
    let reveal = |text: SecretText, desk: &Desk| match text.reveal(&desk.secrets()) {
        Ok(value) => value,
        Err(error) => desk.told(&error.to_string()),
    };
    let both = text("a-${secret:x:-no}-${secret:y:-fallback}");
    assert_eq!(reveal(both.clone(), &desk), "a-hunter2-fallback");
    desk.write("a.json", b"{}", 0o644);
    assert!(reveal(both.clone(), &desk).contains("others may read it"));
    assert_eq!(reveal(both, &Desk::new()), "a-no-fallback");
    assert_eq!(
        reveal(text("${secret:y}"), &Desk::new()),
        "there is no secret `y`: no section [:secrets:] says where secrets come from"
    );
}

#[test]
fn neither_a_secret_nor_a_text_with_one_has_a_debug_form_that_tells_it() {
    let desk = Desk::new().file("a.json", r#"{"x": "hunter2"}"#, 0o600);
    let secret = desk
        .secrets()
        .get(&SecretName::parse("x").unwrap())
        .unwrap();
    assert_eq!(format!("{secret:?}"), "…");
    assert_eq!(format!("{:?}", text("hunter2 ${secret:x}")), "…");
    assert_eq!(format!("{:?}", SecretText::plain("hunter2")), "…");
    assert_ne!(text("hunter2"), text("hunter3"));
    assert_eq!(text("hunter2"), SecretText::plain("hunter2"));
}

fn hole(within: HoleIn, at: usize, name: &str) -> SecretHole {
    let secret = reference(name);
    SecretHole { within, at, secret }
}

#[test]
fn a_command_gets_its_secrets_and_only_where_they_were_asked_for() {
    let desk = Desk::new().file("a.json", r#"{"x": "hunter2", "y": "tr0ub4dor"}"#, 0o600);
    let words = ["login", "<x>:<y>@<x>", "<y> ${secret:y}"].map(str::to_owned);
    let mut shell = Shell::new(ShellLine::Argv(words.into()), "b");
    shell.env.insert("A".into(), Some("k=<x>".into()));
    shell.env.insert("B".into(), Some("<x>".into()));
    shell.initial_stdin = b"<x> <y>\n".to_vec();
    shell.holes = vec![
        hole(HoleIn::Stdin, 4, "${secret:y}"),
        hole(HoleIn::Word(1), 0, "${secret:x}"),
        hole(HoleIn::Word(1), 4, "${secret:y}"),
        hole(HoleIn::Env("A".into()), 2, "${secret:x}"),
        hole(HoleIn::Word(1), 8, "${secret:none:-x}"),
    ];
    // The last hole is not what was rendered there: nothing is filled in at all.
    let command = Command::Shell(shell.clone());
    let error = desk.secrets().reveal(&command).err().unwrap().to_string();
    assert_eq!(error, "the secret `none` has lost its place in the command");

    shell.holes.pop();
    let revealed = desk.secrets().reveal(&Command::Shell(shell)).unwrap();
    let Command::Shell(shell) = revealed.command else {
        panic!("no shell");
    };
    let words = ["login", "hunter2:tr0ub4dor@<x>", "<y> ${secret:y}"].map(str::to_owned);
    assert_eq!(shell.line, ShellLine::Argv(words.into()));
    assert_eq!(shell.env["A"].as_deref(), Some("k=hunter2"));
    assert_eq!(shell.env["B"].as_deref(), Some("<x>"), "a property said so");
    assert_eq!(shell.initial_stdin, b"<x> tr0ub4dor\n");
    assert!(shell.holes.is_empty());
    assert_eq!(
        format!("{:?}", revealed.masks),
        "[… as <y>, … as <y>, … as <x>, … as <x>]"
    );
}

#[test]
fn a_default_is_filled_in_and_not_masked_and_a_value_that_would_expand_is_refused() {
    let desk = Desk::new().file(
        "a.json",
        r#"{"v": "pa${HOME}ss", "w": "pa${ HOME}$ss", "h": "HOME}abc"}"#,
        0o600,
    );
    let command = |name: &str| {
        let shown = reference(name).name.shown();
        let mut shell = Shell::new(ShellLine::Script(format!("echo {shown}")), "b");
        shell.env.insert("A".into(), Some(shown));
        shell.holes = vec![
            hole(HoleIn::Script, 5, name),
            hole(HoleIn::Env("A".into()), 0, name),
        ];
        desk.secrets().reveal(&Command::Shell(shell))
    };
    let revealed = command("${secret:none:-dev}").unwrap();
    assert!(revealed.masks.is_empty());
    let Command::Shell(shell) = revealed.command else {
        panic!("no shell");
    };
    assert_eq!(shell.line, ShellLine::Script("echo dev".into()));
    let error = command("${secret:v}").err().unwrap().to_string();
    assert!(
        error.starts_with("the secret `v` cannot be in the value of a variable"),
        "{error}"
    );
    assert!(command("${secret:w}").is_ok());
    // What a property says before it must not make a variable of its beginning.
    let mut shell = Shell::new(ShellLine::Script("true".into()), "b");
    shell.env.insert("A".into(), Some("${<h>".into()));
    shell.holes = vec![hole(HoleIn::Env("A".into()), 2, "${secret:h}")];
    assert!(desk.secrets().reveal(&Command::Shell(shell)).is_err());
}

#[test]
fn checkconfig_tells_every_secret_that_has_no_value_and_how_to_mend_it() {
    let desk = Desk::new()
        .file("a.json", r#"{"x": "hunter2", "pin": "42"}"#, 0o600)
        .directory();
    desk.write("dir/open", b"hunter2", 0o644);
    let line = "k = ${secret:x} ${secret:gone} ${secret:pin} ${secret:open} ${secret:no:-dev}\n";
    let source = Source::new("m.ini", "/", line);
    let names: Vec<_> = SecretRef::all(line)
        .into_iter()
        .map(|(it, at)| (it, Place::new(&source, at)))
        .collect();
    let mut problems = Problems::default();
    desk.secrets().check(&names, &mut problems);
    insta::assert_snapshot!(desk.told(&problems.render(false)), @"
    error[bad-secret]: there is no secret `gone` in `DIR/a.json`, the directory `DIR/dir`
     --> m.ini:1:17
      |
    1 | k = ${secret:x} ${secret:gone} ${secret:pin} ${secret:open} ${secret:no:-dev}
      |                 ^^^^^^^^^^^^^^

    warning[bad-secret]: the secret `pin` is too short to be masked
     --> m.ini:1:32
      |
    1 | k = ${secret:x} ${secret:gone} ${secret:pin} ${secret:open} ${secret:no:-dev}
      |                                ^^^^^^^^^^^^^ a log shows a value of less than 3 characters

    error[bad-secret]: the secret `open` cannot be read: `DIR/dir/open`: others may read it, its mode is 0644
     --> m.ini:1:46
      |
    1 | k = ${secret:x} ${secret:gone} ${secret:pin} ${secret:open} ${secret:no:-dev}
      |                                              ^^^^^^^^^^^^^^
      |
      = help: `chmod 600 DIR/dir/open` keeps it secret
    ");
}
