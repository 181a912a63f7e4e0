//! What Buildbot's `create-master` and `create-slave` take besides what autobot asks for: what
//! means something here does it, and of the rest it is said that it does nothing.

use std::fmt;

use anstream::eprintln;
use clap::Args;

use super::exit::Done;
use super::exit::Failure;
use crate::scaffold::MasterVariables;

/// When `autobot.log` starts anew.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct RotationArgs {
    /// Bytes after which autobot.log starts anew; 0 is never [default: 10000000]
    #[arg(short = 's', long, value_name = "BYTES")]
    log_size: Option<u64>,
    /// How many old ones are kept, or `None` for all [default: 10]
    #[arg(short = 'l', long, value_name = "N", value_parser = count)]
    log_count: Option<u32>,
    /// autobot.log never starts anew
    #[arg(short, long, conflicts_with_all = ["log_size", "log_count"])]
    no_logrotate: bool,
}

/// A log of so many bytes fits on no disk.
const NEVER: u64 = 1_000_000_000_000_000;

fn count(text: &str) -> Result<u32, String> {
    match text {
        "None" => Ok(u32::MAX),
        text => text
            .parse()
            .map_err(|_| "it should be a number, or `None` for all".to_owned()),
    }
}

impl RotationArgs {
    /// Has the new configuration say it.
    pub(super) fn put_into(&self, variables: &mut MasterVariables) {
        variables.log_rotate_length = match (self.log_size, self.no_logrotate) {
            (Some(0), _) | (_, true) => Some(NEVER),
            (size, false) => size,
        };
        variables.max_rotated_files = self.log_count;
    }
}

/// What Buildbot knows of both, and autobot has no use for.
#[derive(Clone, Debug, Args)]
pub(super) struct IdleArgs {
    /// Say nothing of what is made
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Has no effect: what is in the directory is never written over
    #[arg(short, long)]
    force: bool,
    /// Has no effect: every directory can be moved while nothing runs in it
    #[arg(short, long)]
    relocatable: bool,
}

impl IdleArgs {
    /// Says what has no effect.
    pub(super) fn tell(&self) {
        if self.force {
            idle("--force", "what is in the directory is never written over");
        }
        if self.relocatable {
            let why = "every directory can be moved while nothing runs in it";
            idle("--relocatable", why);
        }
    }
}

/// What Buildbot's `create-master` alone takes.
#[derive(Clone, Debug, Args)]
pub(super) struct OldMasterArgs {
    /// Has no effect: the configuration is master.ini
    #[arg(short, long, value_name = "FILE")]
    config: Option<String>,
    /// The database; there is only `sqlite:///state.sqlite`
    #[arg(long, value_name = "URL")]
    db: Option<String>,
}

impl OldMasterArgs {
    /// Refuses another database, and says what has no effect.
    pub(super) fn check(&self) -> Done {
        const DATABASE: &str = "sqlite:///state.sqlite";
        if let Some(url) = self.db.as_deref().filter(|it| *it != DATABASE) {
            let what = format!("there is no database `{url}` for a master");
            return Err(Failure::usage(what).hint(format!(
                "a master keeps what it knows in its directory: `{DATABASE}`, or leave `--db` out"
            )));
        }
        if self.config.as_deref().is_some_and(|it| it != "master.ini") {
            idle("--config", "the configuration is `master.ini`");
        }
        Ok(())
    }
}

/// What Buildbot's `create-slave` alone takes.
#[derive(Clone, Debug, Args)]
pub(super) struct OldSlaveArgs {
    /// Has no effect: a command says itself whether it wants a terminal
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(..=1))]
    usepty: Option<u8>,
    /// Has no effect: autobot.log of a slave starts anew after 10000000 bytes
    #[arg(short = 's', long, value_name = "BYTES")]
    log_size: Option<u64>,
    /// Has no effect: ten old ones are kept
    #[arg(short = 'l', long, value_name = "N", value_parser = count)]
    log_count: Option<u32>,
    /// Has no effect: autobot.log of a slave starts anew after 10000000 bytes
    #[arg(short, long)]
    no_logrotate: bool,
}

impl OldSlaveArgs {
    /// Says what has no effect.
    pub(super) fn tell(&self) {
        if self.usepty.is_some() {
            idle("--usepty", "a step says itself whether it wants a terminal");
        }
        let why = "`autobot.log` of a slave starts anew after 10000000 bytes, and ten are kept";
        for (option, is_said) in [
            ("--log-size", self.log_size.is_some()),
            ("--log-count", self.log_count.is_some()),
            ("--no-logrotate", self.no_logrotate),
        ] {
            if is_said {
                idle(option, why);
            }
        }
    }
}

fn idle(option: &str, why: impl fmt::Display) {
    eprintln!("note: `{option}` has no effect: {why}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        rotation: RotationArgs,
        #[command(flatten)]
        old: OldMasterArgs,
    }

    fn said(line: &str) -> Result<(Option<u64>, Option<u32>), String> {
        let words = ["x"].into_iter().chain(line.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|it| it.to_string())?;
        line.old.check().map_err(|it| it.text())?;
        let mut variables = MasterVariables::default();
        line.rotation.put_into(&mut variables);
        Ok((variables.log_rotate_length, variables.max_rotated_files))
    }

    #[test]
    fn the_rotation_of_the_log_is_what_was_asked_for() {
        assert_eq!(said(""), Ok((None, None)));
        assert_eq!(said("-s 5000 -l 3"), Ok((Some(5000), Some(3))));
        assert_eq!(said("--log-count=None"), Ok((None, Some(u32::MAX))));
        assert_eq!(said("--log-size=0"), Ok((Some(NEVER), None)));
        assert_eq!(said("-n"), Ok((Some(NEVER), None)));
        for wrong in ["-s 5k", "-l -1", "-l all", "-n -s 5"] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn another_database_is_refused() {
        assert!(said("--db=sqlite:///state.sqlite --config master.cfg").is_ok());
        let refused = said("--db=mysql://host/db").expect_err("there is none");
        assert!(
            refused.contains("no database `mysql://host/db`"),
            "{refused}"
        );
    }
}
