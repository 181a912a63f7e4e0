//! A slave whose program file is replaced goes on as the new program, between
//! two messages and with all of its commands: they have processes of their
//! own, and the spool says where they are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::process;
use crate::process::ProgramFile;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long a new program may take to say its version: one that does not is none.
const PATIENCE: Duration = Duration::from_secs(20);

/// A version is shorter.
const MOST: usize = 4 << 10;

/// Cancels `replaced`, and then `stop`, when another program has taken the place of this one and
/// runs on this machine.
pub(super) async fn watch(program: PathBuf, replaced: CancellationToken, stop: CancellationToken) {
    let mut file = ProgramFile::new(program);
    let mut look = time::interval(LOOK);
    loop {
        look.tick().await;
        if !file.is_replaced() {
            continue;
        }
        let path = file.path();
        match version(path).await {
            Ok(version) => {
                let program = path.display();
                info!(%program, version, "the program was replaced; the slave goes on as the new one");
                replaced.cancel();
                stop.cancel();
                return;
            }
            Err(why) => {
                let program = path.display();
                warn!(%program, why, "the program was replaced by one that does not run; the old one goes on");
            }
        }
    }
}

/// What a program says of itself, if it runs.
async fn version(program: &Path) -> Result<String, String> {
    let name = program.to_string_lossy();
    let root = Path::new("/");
    let said = process::run(&name, &["--version"], &[], root, PATIENCE, MOST).await;
    let said = said.map_err(|error| error.to_string())?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    match said.code == 0 && version.starts_with("autobot ") {
        true => Ok(version),
        false => Err(format!(
            "`{name} --version` does not say that it is autobot"
        )),
    }
}
