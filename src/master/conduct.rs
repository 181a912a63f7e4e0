//! What a slave that has logged in may say. It was let in, so the line is
//! its own: who says what no slave says is broken or is not what it seems,
//! and is cut off and named. Decides, and keeps a bounded memory of what the
//! slave was given.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::model::CommandId;
use crate::wire::{CommandState, FromSlave};

/// More commands than any spool holds.
const MOST_COMMANDS: usize = 10_000;
/// Commands that are remembered after they were given: far more than can be under way.
const REMEMBERED: usize = 4096;
/// Logs of one command.
const MOST_LOGS: usize = 1000;
/// No disk has a longer trouble.
const LONGEST_WHY: usize = 500;
/// No log has a longer name.
const LONGEST_NAME: usize = 255;

/// What one session of a slave was given, and what it said of that.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// For each command, how many ends of it may still come: one for each time it was asked
    /// for, and one for what was in the spool.
    ends: HashMap<CommandId, u32>,
    /// Those that were asked for, the oldest first.
    asked: VecDeque<CommandId>,
    /// Answers that it owes about its programs.
    questions: u32,
}

impl Conduct {
    /// Takes note of what the slave brings along.
    ///
    /// # Errors
    /// It cannot be so much.
    pub(super) fn of(commands: &[CommandState]) -> Result<Self, String> {
        let count = commands.len();
        if count > MOST_COMMANDS {
            return Err(format!("it has {count} commands, which no slave has"));
        }
        let ends: HashMap<_, _> = commands.iter().map(|it| (it.id, 1)).collect();
        if ends.len() < count {
            return Err("it has one command twice".into());
        }
        Ok(Self {
            ends,
            asked: VecDeque::new(),
            questions: 0,
        })
    }

    /// Takes over what the slave brought along; what it was asked for meanwhile stays.
    pub(super) fn take_up(&mut self, brought: Self) {
        for (id, count) in brought.ends {
            *self.ends.entry(id).or_insert(0) += count;
        }
    }

    /// The command was asked for.
    pub(super) fn asked(&mut self, id: CommandId) {
        let left = self.ends.entry(id).or_insert(0);
        *left = left.saturating_add(1);
        self.asked.push_back(id);
        if self.asked.len() > REMEMBERED
            && let Some(oldest) = self.asked.pop_front()
            && !self.asked.contains(&oldest)
        {
            self.ends.remove(&oldest);
        }
    }

    /// The slave was asked about its programs.
    pub(super) fn asked_about_programs(&mut self) {
        self.questions = self.questions.saturating_add(1);
    }

    /// Looks at a message. `is_awaited` says that a build listens for what this command says.
    ///
    /// # Errors
    /// No slave says such a thing.
    pub(super) fn judge(&mut self, message: &FromSlave, is_awaited: bool) -> Result<(), String> {
        match message {
            FromSlave::Ping | FromSlave::Pong | FromSlave::GracefulShutdown => Ok(()),
            FromSlave::Troubled { why, commands } => {
                let length = why.as_ref().map_or(0, String::len);
                match length > LONGEST_WHY || commands.len() > MOST_COMMANDS {
                    true => Err("it says too much of its disk".into()),
                    false => Ok(()),
                }
            }
            FromSlave::Hello { .. } | FromSlave::Login { .. } => Err("it logs in again".into()),
            FromSlave::Capabilities { .. } => match self.questions.checked_sub(1) {
                Some(left) => {
                    self.questions = left;
                    Ok(())
                }
                None => Err("it answers what it was not asked".into()),
            },
            FromSlave::Attached { .. } => Err("it says again what it is".into()),
            FromSlave::Started { id } | FromSlave::Refused { id, .. } => {
                self.knows(*id, is_awaited)
            }
            FromSlave::Output {
                id,
                log,
                offset,
                bytes,
            } => {
                self.knows(*id, is_awaited)?;
                check_log(log)?;
                if offset.checked_add(bytes.len() as u64).is_none() {
                    return Err(format!("it says byte {offset} of a log of command {id}"));
                }
                Ok(())
            }
            FromSlave::Finished { id, logs, .. } => {
                self.knows(*id, is_awaited)?;
                if logs.len() > MOST_LOGS {
                    let count = logs.len();
                    return Err(format!("command {id} has {count} logs"));
                }
                logs.keys().try_for_each(|name| check_log(name))?;
                match self.ends.get_mut(id) {
                    Some(0) => Err(format!("command {id} ended twice")),
                    Some(left) => {
                        *left -= 1;
                        Ok(())
                    }
                    // Given so long ago that it is not counted any more.
                    None => Ok(()),
                }
            }
        }
    }

    fn knows(&self, id: CommandId, is_awaited: bool) -> Result<(), String> {
        if is_awaited || self.ends.contains_key(&id) {
            return Ok(());
        }
        Err(format!(
            "it speaks of command {id}, which it was never given"
        ))
    }
}

fn check_log(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
        let shown: String = name.chars().take(20).collect();
        let (shown, length) = (shown.escape_debug(), name.len());
        return Err(format!("it has a log named `{shown}`, {length} bytes long"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;
    use crate::model::BuildId;
    use crate::model::Exit;
    use crate::model::ExitCause;

    fn id(build: i64) -> CommandId {
        CommandId {
            build: BuildId(build),
            step: 1,
            index: 0,
            attempt: 0,
        }
    }

    fn state(build: i64) -> CommandState {
        CommandState {
            id: id(build),
            lease: 1,
            finished: true,
        }
    }

    fn output(build: i64, log: &str, offset: u64) -> FromSlave {
        FromSlave::Output {
            id: id(build),
            log: log.to_owned(),
            offset,
            bytes: Bytes::from_static(b"xy"),
        }
    }

    fn finished(build: i64, logs: &[String]) -> FromSlave {
        let exit = Exit::new(0, ExitCause::Exited, 0);
        let logs: BTreeMap<_, _> = logs.iter().map(|it| (it.clone(), 0)).collect();
        FromSlave::Finished {
            id: id(build),
            exit,
            logs,
        }
    }

    fn check(conduct: &mut Conduct, message: &FromSlave, expected: Result<(), &str>) {
        let judged = conduct.judge(message, false);
        assert_eq!(judged, expected.map_err(str::to_owned), "{message:?}");
    }

    #[test]
    fn a_slave_speaks_of_what_it_was_given_or_brought_along() {
        let mut conduct = Conduct::of(&[state(7)]).expect("one is few");
        conduct.asked(id(8));
        for build in [7, 8] {
            check(&mut conduct, &FromSlave::Started { id: id(build) }, Ok(()));
            check(&mut conduct, &output(build, "stdio", 0), Ok(()));
            check(&mut conduct, &finished(build, &["stdio".into()]), Ok(()));
        }
        let unknown = "it speaks of command 9-1-0-0, which it was never given";
        check(&mut conduct, &output(9, "stdio", 0), Err(unknown));
        check(&mut conduct, &finished(9, &[]), Err(unknown));
        check(
            &mut conduct,
            &FromSlave::Started { id: id(9) },
            Err(unknown),
        );
        let why = String::new();
        let refused = FromSlave::Refused { id: id(9), why };
        check(&mut conduct, &refused, Err(unknown));
        assert_eq!(conduct.judge(&output(9, "stdio", 0), true), Ok(()));
    }

    #[test]
    fn a_command_ends_once_for_each_time_it_was_asked_for() {
        let mut conduct = Conduct::of(&[state(7)]).expect("one is few");
        check(&mut conduct, &finished(7, &[]), Ok(()));
        check(
            &mut conduct,
            &finished(7, &[]),
            Err("command 7-1-0-0 ended twice"),
        );
        conduct.asked(id(7));
        check(&mut conduct, &finished(7, &[]), Ok(()));
        check(
            &mut conduct,
            &finished(7, &[]),
            Err("command 7-1-0-0 ended twice"),
        );
    }

    #[test]
    fn a_slave_answers_as_often_as_it_is_asked_about_its_programs() {
        let mut conduct = Conduct::default();
        let told = BTreeMap::new();
        let answer = FromSlave::Capabilities { told };
        let unasked = Err("it answers what it was not asked");
        check(&mut conduct, &answer, unasked);
        conduct.asked_about_programs();
        conduct.take_up(Conduct::of(&[state(7)]).expect("one is few"));
        check(&mut conduct, &answer, Ok(()));
        check(&mut conduct, &answer, unasked);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let mut conduct = Conduct::of(&[state(7)]).expect("one is few");
        check(
            &mut conduct,
            &output(7, "stdio", u64::MAX - 1),
            Err("it says byte 18446744073709551614 of a log of command 7-1-0-0"),
        );
        check(
            &mut conduct,
            &output(7, "", 0),
            Err("it has a log named ``, 0 bytes long"),
        );
        check(
            &mut conduct,
            &output(7, "a\nb", 0),
            Err("it has a log named `a\\nb`, 3 bytes long"),
        );
        check(
            &mut conduct,
            &output(7, &"x".repeat(1 << 20), 0),
            Err("it has a log named `xxxxxxxxxxxxxxxxxxxx`, 1048576 bytes long"),
        );
        let logs: Vec<String> = (0..1001).map(|it| it.to_string()).collect();
        check(
            &mut conduct,
            &finished(7, &logs),
            Err("command 7-1-0-0 has 1001 logs"),
        );
        let proof = Vec::new();
        check(
            &mut conduct,
            &FromSlave::Login { proof },
            Err("it logs in again"),
        );
        assert_eq!(
            Conduct::of(&[state(7), state(7)]).map(|_| ()),
            Err("it has one command twice".to_owned())
        );
        let many: Vec<_> = (0..10_001).map(state).collect();
        assert_eq!(
            Conduct::of(&many).map(|_| ()),
            Err("it has 10001 commands, which no slave has".to_owned())
        );
    }

    #[test]
    fn what_was_given_long_ago_is_forgotten() {
        let mut conduct = Conduct::default();
        for build in 0..20_000 {
            conduct.asked(id(build));
        }
        assert_eq!(conduct.ends.len(), REMEMBERED);
        assert!(conduct.judge(&output(0, "stdio", 0), false).is_err());
        // One that still runs is listened to.
        assert_eq!(conduct.judge(&finished(0, &[]), true), Ok(()));
    }
}
