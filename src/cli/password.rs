//! A password is made into a hash before it leaves this process, and need not be an argument,
//! which every user of the machine could read.

use std::io;
use std::io::BufRead as _;

use anstream::eprint;
use anstream::eprintln;
use rustix::termios;
use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;

use super::exit::Failure;
use crate::logins;

/// What stands in place of a password that is to be read from the standard input.
const INPUT: &str = "-";

/// What the password becomes; `-` is read from the standard input.
pub(super) fn hash(said: &str) -> Result<String, Failure> {
    let hash = logins::make(&self::said(said)?).map_err(Failure::new)?;
    Ok(hash.as_str().to_owned())
}

/// The password itself; `-` is read from the standard input.
pub(super) fn said(said: &str) -> Result<String, Failure> {
    match said {
        INPUT => typed_in(),
        said => Ok(said.to_owned()),
    }
}

/// The first line of the standard input, which a terminal does not show.
fn typed_in() -> Result<String, Failure> {
    let input = io::stdin();
    let shown = termios::tcgetattr(&input).ok();
    if let Some(shown) = &shown {
        eprint!("Password: ");
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // Where it cannot be hidden it is typed all the same.
        let _ = termios::tcsetattr(&input, OptionalActions::Now, &hidden);
    }
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    if let Some(shown) = &shown {
        let _ = termios::tcsetattr(&input, OptionalActions::Now, shown);
        eprintln!();
    }
    read.map_err(|error| Failure::new(format!("the password cannot be read: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
