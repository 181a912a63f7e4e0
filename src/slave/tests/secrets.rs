//! Values of secrets reach the command, and nothing that stays.

use std::path::Path;

use super::*;
use crate::model::Mask;

const VALUE: &str = "it's\\a $ecret";

fn masks(all: &[(&str, &str)]) -> Vec<Mask> {
    let mask = |&(text, shown): &(&str, &str)| Mask {
        text: text.to_owned(),
        shown: shown.to_owned(),
    };
    all.iter().map(mask).collect()
}

/// Files below `dir` that hold `value`.
fn files_with(dir: &Path, value: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_with(&path, value, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes.windows(value.len()).any(|it| it == value.as_bytes()) {
                found.push(path);
            }
        }
    }
}

fn holding(bench: &Bench) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_with(bench.base.path(), VALUE, &mut found);
    found
}

#[tokio::test]
async fn what_a_command_says_of_a_secret_is_masked_however_it_is_said() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    // Piece by piece, with a wait for the log between, so that none come together.
    let line = "printf '%s' \"${KEY%ecret}\"; while test ! -e ../go; do :; done; \
                printf 'ecret\\n'; printf '%s\\n' \"$KEY\" >&2; \
                printf '%s\\n%s' \"$KEY$KEY\" \"${KEY%t}\"";
    let words = ["/bin/sh", "-c", line, VALUE].map(str::to_owned);
    let mut shell = Shell::new(ShellLine::Argv(words.into()), "b");
    shell.env = [("KEY".to_owned(), Some(VALUE.to_owned()))].into();
    shell.secrets = masks(&[(VALUE, "<key>")]);
    let command = Command::Shell(shell);
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    while master.header(id(0)).is_empty() {
        master.keep_one().await;
    }
    // What the command is to do is known to who does it, and is nowhere else by now.
    assert_eq!(holding(&bench), Vec::<PathBuf>::new());

    let kept = master.kill_slave().await;
    let mut master = bench.attach().await;
    master.logs = kept;
    master.start(id(0), 2, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    fs::write(bench.path("go"), "").unwrap();
    let exit = master.end_of(id(0)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    let stdout = master.stdout(id(0));
    assert_eq!(stdout, "<key>\n<key><key>\nit's\\a $ecre");
    assert_eq!(master.said(id(0), Channel::Stderr), b"<key>\n");
    let header = master.header(id(0));
    assert!(header.contains("\n  KEY=<key>\n"), "{header}");
    assert!(header.contains(", '<key>']\n"), "{header}");
    assert!(!header.contains(VALUE), "{header}");
    assert_eq!(holding(&bench), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_command_that_cannot_be_started_does_not_tell_its_secret_either() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let words = vec![format!("/nowhere/{VALUE}")];
    let mut shell = Shell::new(ShellLine::Argv(words), "b");
    shell.secrets = masks(&[(VALUE, "<key>")]);
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    let why = "`/nowhere/<key>` is not there, or the interpreter that it names is not";
    assert_eq!(exited(&exit), (127, ExitCause::NotStarted(why.to_owned())));
    assert_eq!(holding(&bench), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_command_whose_runner_never_began_leaves_no_secret_behind() {
    let bench = Bench::new();
    let mut settings = bench.settings();
    settings.program = "/nowhere/autobot".into();
    let mut master = bench.attach_as(settings, 60).await;
    let mut shell = Bench::script("true");
    shell.initial_stdin = VALUE.as_bytes().to_vec();
    shell.secrets = masks(&[(VALUE, "<key>")]);
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert!(matches!(exit.cause, ExitCause::Lost(_)), "{exit:?}");
    assert_eq!(holding(&bench), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_secret_is_held_back_no_longer_than_the_command_runs() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell = Bench::script("printf 'it'; exec >&-; printf \"it's\" >&2; kill -9 $$");
    shell.secrets = masks(&[(VALUE, "<key>")]);
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (-1, ExitCause::Signal(9)));
    assert_eq!(master.stdout(id(0)), "it");
    assert_eq!(master.said(id(0), Channel::Stderr), b"it's");
}

#[tokio::test]
async fn a_megabyte_with_secrets_in_it_comes_whole_but_for_them() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let line = "yes \"0123456789 $KEY\" | head -c 1048572";
    let mut shell = Bench::script(line);
    shell.env = [("KEY".to_owned(), Some("hunter2".to_owned()))].into();
    shell.secrets = masks(&[("hunter2", "<a-rather-long-name>"), ("hunt", "<h>")]);
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    let whole = "0123456789 hunter2\n".len();
    let mut expected = "0123456789 <a-rather-long-name>\n".repeat(1_048_572 / whole);
    let rest = &"0123456789 hunter2\n"[..1_048_572 % whole];
    expected.push_str(&rest.replace("hunt", "<h>"));
    assert!(master.stdout(id(0)) == expected);
}
