//! What the master orders, in the words of a slave of Buildbot.

use std::time::Duration;

use crate::model::Upload;
use crate::model::UploadKind;
use crate::model::signal_name;
use crate::wire::WireFile;
use crate::wire::WireLine;
use crate::wire::WireShell;
use crate::wire::pb::jelly::Value;

use super::facts::Program;

/// Blocks of files: the protocol has room for ten times as much in one message.
pub(super) const BLOCK: i64 = 64 << 10;

/// A command of Buildbot's.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    /// The builder's directory below the slave's base directory.
    pub(super) dir: String,
    pub(super) name: &'static str,
    pub(super) arguments: Value,
}

/// The builder's directory that a path is in, and the path there. A slave has its commands by
/// builder; what lies elsewhere is asked of any.
fn within(path: &str) -> (String, String) {
    if path.starts_with(['/', '~']) || path.contains(':') {
        return (String::new(), path.to_owned());
    }
    match path.split_once('/') {
        Some((dir, rest)) if !rest.is_empty() => (dir.to_owned(), rest.to_owned()),
        _ => (path.trim_end_matches('/').to_owned(), ".".to_owned()),
    }
}

fn refused(what: &str, program: &Program) -> String {
    format!(
        "{what} needs autobot's own slave; this one is {}",
        program.name()
    )
}

/// The order of a command line.
///
/// # Errors
/// What the slave's program cannot do, for people.
pub(super) fn shell(shell: &WireShell, program: &Program) -> Result<Order, String> {
    let terms = &shell.terms;
    let lacks = [
        ("`umask`", terms.umask.is_some()),
        ("`nice`", terms.nice.is_some()),
        ("`ionice`", terms.ionice.is_some()),
        ("`rlimits`", !terms.rlimits.is_empty()),
        (
            "a limit of memory, processors or processes",
            terms.group.is_limited() && terms.group.required,
        ),
    ];
    if let Some((what, _)) = lacks.into_iter().find(|it| it.1) {
        return Err(refused(what, program));
    }
    let (dir, workdir) = within(&shell.workdir);
    let line = match &shell.line {
        WireLine::Script(script) => Value::text(script),
        WireLine::Argv(words) => {
            let hides = program.has("shell", (2, 16));
            let word = |it: &String| match shown(it, shell) {
                // In the log of the slave itself; here it is in none anyway.
                Some(shown) if hides => Value::Tuple(vec![
                    Value::text("obfuscated"),
                    Value::text(it),
                    Value::text(shown),
                ]),
                _ => Value::text(it),
            };
            Value::List(words.iter().map(word).collect())
        }
    };
    let variable = |(name, value): (&String, &Option<String>)| {
        let value = value.as_ref().map_or(Value::None, Value::text);
        (Value::text(name), value)
    };
    let logfile = |(name, file): (&String, &crate::model::Logfile)| {
        let file = Value::dict([
            ("filename", Value::text(&file.path)),
            ("follow", Value::Bool(file.follow)),
        ]);
        (Value::text(name), file)
    };
    let stdin = match shell.initial_stdin.as_slice() {
        [] => Value::None,
        bytes => String::from_utf8(bytes.to_vec())
            .map_or_else(|it| Value::Bytes(it.into_bytes()), Value::Text),
    };
    let Value::Dict(mut arguments) = Value::dict([
        ("command", line),
        ("workdir", Value::text(workdir)),
        ("env", Value::Dict(shell.env.iter().map(variable).collect())),
        ("want_stdout", Value::Bool(shell.want_stdout)),
        ("want_stderr", Value::Bool(shell.want_stderr)),
        (
            "logfiles",
            Value::Dict(shell.logfiles.iter().map(logfile).collect()),
        ),
        ("timeout", seconds(shell.timeout_ms)),
        ("maxTime", seconds(shell.max_time_ms)),
        ("usePTY", Value::Bool(terms.use_pty)),
        ("logEnviron", Value::Bool(shell.log_environ)),
        ("initial_stdin", stdin),
    ]) else {
        return Err("its arguments are no dictionary".to_owned());
    };
    if program.has("shell", (2, 15))
        && let Some(signal) = terms.signal.and_then(signal_name)
    {
        let signal = Value::text(signal.trim_start_matches("SIG"));
        arguments.push((Value::text("interruptSignal"), signal));
    }
    if program.has("shell", (2, 16)) && terms.kill_after_ms.is_some() {
        let after = seconds(terms.kill_after_ms);
        arguments.push((Value::text("sigtermTime"), after));
    }
    Ok(Order {
        dir,
        name: "shell",
        arguments: Value::Dict(arguments),
    })
}

/// What is shown instead of a word of the command line, if something in it must not be seen.
fn shown(word: &str, shell: &WireShell) -> Option<String> {
    let hidden = shell.mask.iter().map(|it| (it.as_str(), "XXXX"));
    let secrets = shell.secrets.iter();
    let secrets = secrets.map(|it| (it.text.as_str(), it.shown.as_str()));
    let all = secrets.chain(hidden).filter(|it| !it.0.is_empty());
    let shown = all.fold(word.to_owned(), |word, (text, shown)| {
        word.replace(text, shown)
    });
    (shown != word).then_some(shown)
}

fn seconds(millis: Option<u64>) -> Value {
    match millis.map(Duration::from_millis) {
        None => Value::None,
        Some(it) if it.subsec_millis() == 0 => {
            Value::Int(i64::try_from(it.as_secs()).unwrap_or(i64::MAX))
        }
        Some(it) => Value::Float(it.as_secs_f64()),
    }
}

/// The order of a command over files that is said in one call.
///
/// # Errors
/// What the slave's program cannot do, for people.
pub(super) fn file(command: &WireFile, program: &Program) -> Result<Order, String> {
    let order = |path: &str, name, key| {
        let (dir, rest) = within(path);
        let arguments = Value::dict([(key, Value::text(rest))]);
        Order {
            dir,
            name,
            arguments,
        }
    };
    let order = match command {
        WireFile::Mkdir { dir } => order(dir, "mkdir", "dir"),
        WireFile::Rmdir { dir, .. } => order(dir, "rmdir", "dir"),
        WireFile::Listdir { dir } => order(dir, "listdir", "dir"),
        WireFile::Rmfile { path } => order(path, "rmfile", "path"),
        WireFile::Glob { pattern } => order(pattern, "glob", "path"),
        WireFile::Stat { path } => {
            let (dir, rest) = within(path);
            let arguments =
                Value::dict([("file", Value::text(rest)), ("workdir", Value::text("."))]);
            Order {
                dir,
                name: "stat",
                arguments,
            }
        }
        WireFile::Cpdir { from, to } => {
            let (dir, fromdir) = within(from);
            let (other, todir) = within(to);
            let todir = match other == dir || other.is_empty() {
                true => todir,
                false => format!("../{other}/{todir}"),
            };
            let arguments = Value::dict([
                ("fromdir", Value::text(fromdir)),
                ("todir", Value::text(todir)),
            ]);
            Order {
                dir,
                name: "cpdir",
                arguments,
            }
        }
        WireFile::Write(_) | WireFile::Upload(_) => {
            return Err("it is carried over in pieces".to_owned());
        }
    };
    if !program.commands.is_empty() && !program.commands.contains_key(order.name) {
        let (name, since) = (order.name, since(order.name));
        let who = program.name();
        return Err(format!(
            "the command `{name}` needs {since}, or autobot's own slave; this one is {who}"
        ));
    }
    Ok(order)
}

/// The first program that is known to have a command.
const fn since(command: &str) -> &'static str {
    match command.as_bytes() {
        b"glob" | b"listdir" => "buildbot-slave 0.8.9 or later",
        b"rmfile" => "buildbot-worker 0.9.15 or later",
        _ => "a later version",
    }
}

/// The order of an upload, but for the object that takes it in.
pub(super) fn upload(upload: &Upload, program: &Program, writer: Value) -> Order {
    let (dir, rest) = within(&upload.path);
    let source = if program.is_old {
        "slavesrc"
    } else {
        "workersrc"
    };
    let most = upload.max_size.and_then(|it| i64::try_from(it).ok());
    let piece = upload.piece.and_then(|it| i64::try_from(it).ok());
    let (name, last) = match upload.kind {
        UploadKind::File => ("uploadFile", ("keepstamp", Value::Bool(true))),
        UploadKind::Directory => ("uploadDirectory", ("compress", Value::None)),
    };
    let arguments = Value::dict([
        ("workdir", Value::text(".")),
        (source, Value::text(rest)),
        ("writer", writer),
        // A directory is measured here: its archive is longer than what is in it.
        (
            "maxsize",
            match upload.kind {
                UploadKind::File => most.map_or(Value::None, Value::Int),
                UploadKind::Directory => Value::None,
            },
        ),
        (
            "blocksize",
            Value::Int(piece.unwrap_or(BLOCK).clamp(1, BLOCK)),
        ),
        last,
    ]);
    Order {
        dir,
        name,
        arguments,
    }
}

/// The order of a file that comes in pieces, but for the object that gives them.
pub(super) fn download(path: &str, mode: Option<u32>, program: &Program, reader: Value) -> Order {
    let (dir, rest) = within(path);
    let target = if program.is_old {
        "slavedest"
    } else {
        "workerdest"
    };
    let arguments = Value::dict([
        ("workdir", Value::text(".")),
        (target, Value::text(rest)),
        ("reader", reader),
        ("maxsize", Value::None),
        ("blocksize", Value::Int(BLOCK)),
        ("mode", mode.map_or(Value::None, |it| Value::Int(it.into()))),
    ]);
    Order {
        dir,
        name: "downloadFile",
        arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shell;
    use crate::model::ShellLine;

    fn program(version: &str) -> Program {
        let commands = ["shell", "mkdir", "cpdir", "stat"];
        Program {
            version: "4.3.0".to_owned(),
            commands: commands
                .map(|it| (it.to_owned(), version.to_owned()))
                .into(),
            is_old: version.starts_with('2'),
            basedir: "/srv".to_owned(),
        }
    }

    fn line(workdir: &str) -> WireShell {
        let words = ["make", "hunter2"].map(str::to_owned).to_vec();
        WireShell::from(&Shell::new(ShellLine::Argv(words), workdir))
    }

    #[test]
    fn a_command_line_is_asked_of_its_builder() {
        for (workdir, dir, there) in [
            ("hello/build", "hello", "build"),
            ("hello/build/sub", "hello", "build/sub"),
            ("hello", "hello", "."),
            ("hello/", "hello", "."),
            ("/tmp/x", "", "/tmp/x"),
            ("C:/x", "", "C:/x"),
        ] {
            let order = shell(&line(workdir), &program("3.3")).unwrap();
            let said = order.arguments.get("workdir").unwrap().as_text().unwrap();
            assert_eq!(
                (order.dir.as_str(), said.as_str()),
                (dir, there),
                "{workdir}"
            );
        }
    }

    #[test]
    fn what_the_program_cannot_do_is_told_with_its_name() {
        let mut nice = line("a/b");
        nice.terms.nice = Some(5);
        let why = shell(&nice, &program("3.3")).unwrap_err();
        assert_eq!(
            why,
            "`nice` needs autobot's own slave; this one is buildbot-worker 4.3.0"
        );
        let pattern = "a/*".to_owned();
        let why = file(&WireFile::Glob { pattern }, &program("2.14")).unwrap_err();
        assert_eq!(
            why,
            "the command `glob` needs buildbot-slave 0.8.9 or later, or autobot's own slave; \
             this one is buildbot-slave 4.3.0"
        );
        let path = "a/x".to_owned();
        let why = file(&WireFile::Rmfile { path }, &program("2.16")).unwrap_err();
        assert!(
            why.contains("`rmfile` needs buildbot-worker 0.9.15"),
            "{why}"
        );
        let mut secret = line("a/b");
        secret.mask = vec!["hunter2".to_owned()];
        let plain = shell(&secret, &program("2.14")).unwrap();
        let Some(Value::List(words)) = plain.arguments.get("command") else {
            panic!("{plain:?}")
        };
        assert_eq!(words[1], Value::text("hunter2"));
        let order = shell(&secret, &program("2.16")).unwrap();
        let Some(Value::List(words)) = order.arguments.get("command") else {
            panic!("{order:?}")
        };
        assert!(matches!(&words[1], Value::Tuple(it) if it[2] == Value::text("XXXX")));
    }

    #[test]
    fn older_programs_are_not_sent_what_they_do_not_know() {
        let mut asked = line("a/b");
        asked.terms.signal = Some(2);
        asked.terms.kill_after_ms = Some(1500);
        let of = |version| shell(&asked, &program(version)).unwrap().arguments;
        assert_eq!(of("3.3").get("interruptSignal"), Some(&Value::text("INT")));
        assert_eq!(of("3.3").get("sigtermTime"), Some(&Value::Float(1.5)));
        assert_eq!(of("2.15").get("sigtermTime"), None);
        assert_eq!(of("2.14").get("interruptSignal"), None);
    }

    #[test]
    fn a_file_that_travels_has_the_names_of_the_slaves_age_and_every_key_that_must_be_there() {
        let keys = |order: Order| {
            let Value::Dict(pairs) = order.arguments else {
                panic!()
            };
            let keys = pairs.iter().map(|(key, _)| key.as_text().unwrap());
            (order.name, keys.collect::<Vec<_>>().join(" "))
        };
        let sent = |kind, version| {
            let path = "a/build/f".to_owned();
            let asked = Upload {
                path,
                kind,
                max_size: None,
                piece: Some(1 << 30),
            };
            let order = upload(&asked, &program(version), Value::Ours(1));
            // More does not fit into one message.
            assert_eq!(order.arguments.get("blocksize"), Some(&Value::Int(BLOCK)));
            keys(order)
        };
        let rest = "writer maxsize blocksize";
        for (version, source, target) in [
            ("3.0", "workersrc", "workerdest"),
            ("2.16", "slavesrc", "slavedest"),
        ] {
            let (name, all) = sent(UploadKind::File, version);
            let expected = format!("workdir {source} {rest} keepstamp");
            assert_eq!((name, all), ("uploadFile", expected));
            let (name, all) = sent(UploadKind::Directory, version);
            let expected = format!("workdir {source} {rest} compress");
            assert_eq!((name, all), ("uploadDirectory", expected));
            let order = download("a/build/f", None, &program(version), Value::Ours(1));
            let expected = format!("workdir {target} reader maxsize blocksize mode");
            assert_eq!(keys(order), ("downloadFile", expected));
        }
    }

    #[test]
    fn a_tree_is_copied_from_one_builder_to_another() {
        let (from, to) = ("a/build".to_owned(), "b/copy".to_owned());
        let order = file(&WireFile::Cpdir { from, to }, &program("3.3")).unwrap();
        assert_eq!(order.dir, "a");
        assert_eq!(
            order.arguments.get("todir"),
            Some(&Value::text("../b/copy"))
        );
    }
}
