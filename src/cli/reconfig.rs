//! `autobot reconfig`: has running masters read their configuration again.

use anstream::eprintln;
use anstream::print;

use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::Kind;
use super::reach;
use super::reach::ReachArgs;
use crate::client::Client;
use crate::client::ClientError;

/// Answers of a master that mean: there are problems, and nothing changed.
const REFUSED: u16 = 409;

/// Reloads every master among the directories, or one elsewhere, and prints what changed.
pub(super) async fn run(args: &ReachArgs) -> Done {
    if let Some(far) = args.far.master(&args.dirs) {
        let (client, name) = reach::far(&far)?;
        return tell(&client, &name, args.dirs.quiet)
            .await
            .map_err(Failure::from);
    }
    let args = &args.dirs;
    let bases = Base::of_all(&args.dirs)?;
    let masters: Vec<&Base> = bases
        .iter()
        .filter(|base| base.kind == Kind::Master)
        .collect();
    if masters.is_empty() {
        return Err(
            Failure::new("there is no master, and a slave does not change while it runs")
                .hint("`autobot restart` puts a changed slave.ini into force"),
        );
    }
    let mut done = Ok(());
    for base in masters {
        if let Err(why) = reload(base, args.quiet).await {
            Failure::from(why).print();
            done = Err(Failure::told());
        }
    }
    done
}

/// Why a master has not reloaded.
pub(super) enum NotReloaded {
    /// There are problems, and nothing changed.
    Refused(Failure),
    Other(Failure),
}

impl From<NotReloaded> for Failure {
    fn from(why: NotReloaded) -> Self {
        match why {
            NotReloaded::Refused(failure) | NotReloaded::Other(failure) => failure,
        }
    }
}

/// Reloads the master and prints what it says.
pub(super) async fn reload(base: &Base, quiet: bool) -> Result<(), NotReloaded> {
    if daemon::running(&base.dir)
        .map_err(|error| NotReloaded::Other(error.into()))?
        .is_none()
    {
        let failure = Failure::new(format!("{base} is not running"))
            .hint(format!("autobot start {}", base.dir.display()));
        return Err(NotReloaded::Other(failure));
    }
    tell(&base.client(), &base.to_string(), quiet).await
}

/// Has a master reload.
async fn tell(client: &Client, name: &str, quiet: bool) -> Result<(), NotReloaded> {
    match client.order("/api/reload").await {
        Ok(_) if quiet => Ok(()),
        Ok(changes) => {
            print!("{}", with_line_end(&changes));
            Ok(())
        }
        Err(ClientError::Refused {
            status: REFUSED,
            what,
        }) => {
            eprintln!("{}", what.trim_end());
            Err(NotReloaded::Refused(Failure::new(format!(
                "{name} goes on with the configuration it had"
            ))))
        }
        Err(error) => Err(NotReloaded::Other(error.into())),
    }
}

fn with_line_end(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() {
        "nothing changed\n".to_owned()
    } else {
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_its_line() {
        assert_eq!(
            with_line_end("changed builder a\n\n"),
            "changed builder a\n"
        );
        assert_eq!(with_line_end("\n"), "nothing changed\n");
    }
}
