//! Commands as they travel, from and to the noun.

use std::time::Duration;

use super::{WireCommand, WireFile, WireLine, WireMask, WireShell, WireWrite};
use crate::model::Command;
use crate::model::FileCommand;
use crate::model::FileWrite;
use crate::model::Mask;
use crate::model::Shell;
use crate::model::ShellLine;

impl From<&Command> for WireCommand {
    fn from(command: &Command) -> Self {
        match command {
            Command::Shell(shell) => Self::Shell(shell.into()),
            Command::File(file) => Self::File(file.into()),
        }
    }
}

impl From<WireCommand> for Command {
    fn from(command: WireCommand) -> Self {
        match command {
            WireCommand::Shell(shell) => Self::Shell(shell.into()),
            WireCommand::File(file) => Self::File(file.into()),
        }
    }
}

impl WireCommand {
    /// Where it works, as it says it.
    pub(crate) fn places(&self) -> Vec<&str> {
        match self {
            Self::Shell(shell) => vec![&shell.workdir],
            Self::File(
                WireFile::Mkdir { dir } | WireFile::Rmdir { dir, .. } | WireFile::Listdir { dir },
            ) => vec![dir],
            Self::File(WireFile::Cpdir { from, to }) => vec![from, to],
            Self::File(WireFile::Stat { path } | WireFile::Rmfile { path }) => vec![path],
            Self::File(WireFile::Write(piece)) => vec![&piece.path],
            Self::File(WireFile::Glob { pattern }) => vec![pattern],
            Self::File(WireFile::Upload(upload)) => vec![&upload.path],
        }
    }
}

impl From<&Shell> for WireShell {
    fn from(shell: &Shell) -> Self {
        Self {
            line: match &shell.line {
                ShellLine::Argv(words) => WireLine::Argv(words.clone()),
                ShellLine::Script(script) => WireLine::Script(script.clone()),
            },
            workdir: shell.workdir.clone(),
            env: shell.env.clone(),
            timeout_ms: shell.timeout.map(to_millis),
            max_time_ms: shell.max_time.map(to_millis),
            want_stdout: shell.want_stdout,
            want_stderr: shell.want_stderr,
            log_environ: shell.log_environ,
            initial_stdin: shell.initial_stdin.clone(),
            mask: shell.mask.clone(),
            secrets: shell.secrets.iter().map(WireMask::from).collect(),
            logfiles: shell.logfiles.clone(),
            terms: shell.terms.clone(),
            mirror: shell.mirror.clone(),
        }
    }
}

impl From<WireShell> for Shell {
    fn from(shell: WireShell) -> Self {
        Self {
            line: match shell.line {
                WireLine::Argv(words) => ShellLine::Argv(words),
                WireLine::Script(script) => ShellLine::Script(script),
            },
            workdir: shell.workdir,
            env: shell.env,
            timeout: shell.timeout_ms.map(Duration::from_millis),
            max_time: shell.max_time_ms.map(Duration::from_millis),
            want_stdout: shell.want_stdout,
            want_stderr: shell.want_stderr,
            log_environ: shell.log_environ,
            initial_stdin: shell.initial_stdin,
            mask: shell.mask,
            // They were filled in before the journey.
            holes: Vec::new(),
            secrets: shell.secrets.into_iter().map(Mask::from).collect(),
            logfiles: shell.logfiles,
            terms: shell.terms,
            mirror: shell.mirror,
        }
    }
}

impl From<&Mask> for WireMask {
    fn from(mask: &Mask) -> Self {
        Self {
            text: mask.text.clone(),
            shown: mask.shown.clone(),
        }
    }
}

impl From<WireMask> for Mask {
    fn from(mask: WireMask) -> Self {
        Self {
            text: mask.text,
            shown: mask.shown,
        }
    }
}

impl From<&FileCommand> for WireFile {
    fn from(command: &FileCommand) -> Self {
        match command.clone() {
            FileCommand::Mkdir { dir } => Self::Mkdir { dir },
            FileCommand::Rmdir { dir, why } => Self::Rmdir { dir, why },
            FileCommand::Cpdir { from, to } => Self::Cpdir { from, to },
            FileCommand::Stat { path } => Self::Stat { path },
            FileCommand::Glob { pattern } => Self::Glob { pattern },
            FileCommand::Listdir { dir } => Self::Listdir { dir },
            FileCommand::Rmfile { path } => Self::Rmfile { path },
            FileCommand::Upload(it) => Self::Upload(it),
            FileCommand::Write(it) => Self::Write(WireWrite {
                path: it.path,
                offset: it.offset,
                bytes: it.bytes,
                size: it.size,
                is_last: it.is_last,
                version: it.version,
                sha256: it.sha256,
                mode: it.mode,
            }),
        }
    }
}

impl From<WireFile> for FileCommand {
    fn from(command: WireFile) -> Self {
        match command {
            WireFile::Mkdir { dir } => Self::Mkdir { dir },
            WireFile::Rmdir { dir, why } => Self::Rmdir { dir, why },
            WireFile::Cpdir { from, to } => Self::Cpdir { from, to },
            WireFile::Stat { path } => Self::Stat { path },
            WireFile::Glob { pattern } => Self::Glob { pattern },
            WireFile::Listdir { dir } => Self::Listdir { dir },
            WireFile::Rmfile { path } => Self::Rmfile { path },
            WireFile::Upload(it) => Self::Upload(it),
            WireFile::Write(it) => Self::Write(FileWrite {
                path: it.path,
                offset: it.offset,
                bytes: it.bytes,
                size: it.size,
                is_last: it.is_last,
                version: it.version,
                sha256: it.sha256,
                mode: it.mode,
            }),
        }
    }
}

fn to_millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::IoClass;
    use crate::model::IoPriority;
    use crate::model::Logfile;
    use crate::model::Mirror;
    use crate::model::MirrorKind;
    use crate::model::Upload;
    use crate::model::UploadKind;

    #[test]
    fn a_command_is_the_same_after_the_journey() {
        let mut shell = Shell::new(ShellLine::Script("make".to_owned()), "hello/build");
        shell.env.insert("CC".to_owned(), Some("cc".to_owned()));
        shell.env.insert("LANG".to_owned(), None);
        shell.max_time = Some(Duration::from_secs(5));
        shell.initial_stdin = vec![0, 255];
        shell.mask = vec!["secret".to_owned()];
        shell.secrets = vec![Mask {
            text: "hunter2".to_owned(),
            shown: "<db>".to_owned(),
        }];
        let mut limited = Shell::new(ShellLine::Script("make".to_owned()), "b");
        limited.terms.rlimits = [("nofile".to_owned(), Some(64)), ("as".to_owned(), None)].into();
        limited.terms.group.cpu_max = Some(1500);
        limited.terms.ionice = Some(IoPriority {
            class: IoClass::BestEffort,
            level: 7,
        });
        let logfile = Logfile {
            path: "out/test.log".to_owned(),
            follow: true,
            lazy: false,
        };
        limited.logfiles = [("test".to_owned(), logfile)].into();
        let mut mirrored = Shell::new(ShellLine::Argv(vec!["git".to_owned()]), "b");
        mirrored.mirror = Some(Box::new(Mirror {
            kind: MirrorKind::Git,
            word: 0,
            branch: None,
            revision: Some("ab".to_owned()),
            is_doubted: true,
            budget: Some(1 << 40),
        }));
        let from = "a".to_owned();
        let commands = [
            Command::Shell(shell),
            Command::Shell(limited),
            Command::Shell(mirrored),
            Command::Shell(Shell::new(ShellLine::Argv(vec!["true".to_owned()]), ".")),
            Command::File(FileCommand::Mkdir { dir: from.clone() }),
            Command::File(FileCommand::Rmdir {
                dir: from.clone(),
                why: None,
            }),
            Command::File(FileCommand::Rmdir {
                dir: from.clone(),
                why: Some("it is old".to_owned()),
            }),
            Command::File(FileCommand::Stat { path: from.clone() }),
            Command::File(FileCommand::Glob {
                pattern: from.clone(),
            }),
            Command::File(FileCommand::Listdir { dir: from.clone() }),
            Command::File(FileCommand::Rmfile { path: from.clone() }),
            Command::File(FileCommand::Upload(Upload {
                path: from.clone(),
                kind: UploadKind::Directory,
                max_size: Some(7),
                piece: None,
            })),
            Command::File(FileCommand::Write(FileWrite {
                path: from.clone(),
                offset: 7,
                bytes: vec![0, 255],
                size: 9,
                is_last: true,
                version: "9-1".to_owned(),
                sha256: Some("ab".to_owned()),
                mode: Some(0o600),
            })),
            Command::File(FileCommand::Cpdir {
                from,
                to: "b".to_owned(),
            }),
        ];
        for command in commands {
            let bytes = rmp_serde::to_vec_named(&WireCommand::from(&command)).unwrap();
            let wire: WireCommand = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!(Command::from(wire), command);
        }
    }

    #[test]
    fn a_command_with_secrets_has_no_debug_form_that_tells_them() {
        let line = ShellLine::Script("login hunter2".to_owned());
        let mut shell = WireShell::from(&Shell::new(line, "b"));
        assert!(format!("{shell:?}").contains("hunter2"));
        shell.secrets = vec![WireMask {
            text: "hunter2".to_owned(),
            shown: "<db>".to_owned(),
        }];
        assert_eq!(format!("{shell:?}"), r#"WireShell { workdir: "b", .. }"#);
    }

    #[test]
    fn a_command_of_a_master_that_knows_no_secrets_is_understood() {
        let line = ShellLine::Script("true".to_owned());
        let shell = Command::Shell(Shell::new(line, "b"));
        let bytes = rmp_serde::to_vec_named(&WireCommand::from(&shell)).unwrap();
        let has = |word: &str| bytes.windows(word.len()).any(|it| it == word.as_bytes());
        let unknown = ["secrets", "terms", "logfiles", "mirror"];
        assert!(!unknown.into_iter().any(has) && has("mask"));
        let wire: WireCommand = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(Command::from(wire), shell);
    }
}
