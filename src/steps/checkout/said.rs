//! What programs say of a checkout.

use crate::model::Channel;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::steps::Ended;

/// A commit's full name, 40 hexadecimal digits or 64 with SHA-256.
pub(in crate::steps) fn commit(said: &str) -> Option<&str> {
    let word = said.trim().trim_end_matches('+');
    let is_commit = matches!(word.len(), 40 | 64) && word.bytes().all(|it| it.is_ascii_hexdigit());
    is_commit.then_some(word)
}

/// Whether the command said `what` on its error channel, in any case.
pub(in crate::steps) fn complained(ended: &Ended<'_>, what: &[&str]) -> bool {
    let mut found = false;
    ended.output.lines(&mut |channel, line| {
        if channel == Channel::Stderr && !found {
            let line = line.to_lowercase();
            found = what.iter().all(|it| line.contains(it));
        }
    });
    found
}

/// Whether the command was cut short, so that trying again would only take as long.
pub(in crate::steps) fn was_cut_short(exit: &Exit) -> bool {
    match exit.cause {
        ExitCause::Silence | ExitCause::Overtime | ExitCause::Interrupted | ExitCause::Lost(_) => {
            true
        }
        ExitCause::Exited | ExitCause::Signal(_) | ExitCause::NotStarted(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_name_is_a_commit() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(commit(&format!("{full}+\n")), Some(full));
        assert_eq!(commit("0123456789ab"), None);
        assert_eq!(commit("fatal: not a git repository (xxxxxxxxxxxx"), None);
    }
}
