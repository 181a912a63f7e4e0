//! `autobot completions` and `autobot man`: what the installer puts beside the program.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::Command;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Autobot;
use super::exit::Done;
use super::exit::Failure;
use super::programs::VERB_NAMES;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where; made if it is not there
    pub(super) dir: PathBuf,
}

/// Prints the script that completes `autobot` in a shell.
pub(super) fn completions(shell: Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Autobot::command(), "autobot", &mut script);
    match io::Write::write_all(&mut io::stdout(), &script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because("failed to print", &error))
        }
        _ => Ok(()),
    }
}

/// Writes a page for `autobot`, one for each verb and one for each other name.
pub(super) fn man(dir: &Path) -> Done {
    let failed = |error: io::Error| {
        Failure::because(
            format!("failed to write manual pages into `{}`", dir.display()),
            &error,
        )
    };
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Autobot::command(), dir).map_err(failed)?;
    for program in other_programs() {
        clap_mangen::generate_to(program, dir).map_err(failed)?;
    }
    Ok(())
}

/// The verbs that are programs of their own, under their own name.
fn other_programs() -> Vec<Command> {
    let autobot = Autobot::command();
    let own = |name: &&'static str| {
        let verb = autobot.find_subcommand(name).expect("each name is a verb");
        verb.clone()
            .name(*name)
            .display_name(*name)
            .bin_name(*name)
            .version(env!("CARGO_PKG_VERSION"))
    };
    VERB_NAMES.iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_and_verb_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        man(dir.path()).unwrap();
        for name in [
            "autobot",
            "autobot-start",
            "create-autobot",
            "parse-autobot-config",
        ] {
            let page = fs::read_to_string(dir.path().join(format!("{name}.1"))).expect(name);
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
        }
        assert!(!dir.path().join("autobot-__slave.1").exists());
    }
}
