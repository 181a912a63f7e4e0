//! A slave as a child of the master: its pipes are the line.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::master::crew::Crew;
use crate::master::slaves;
use crate::model::SlaveName;
use crate::model::hex;
use crate::process::spawn_line;
use crate::wire::native::{FrameReader, FrameWriter};
use crate::wire::{PASSWORD_VARIABLE, STDIO_VERB};

/// Starts the slave and serves its line; says how it ended.
pub(super) async fn line(crew: &Arc<Crew>, slave: &SlaveName, basedir: &Path) -> String {
    if let Err(error) = std::fs::create_dir_all(basedir.join("info")) {
        return format!(
            "failed to make its base directory `{}`: {error}",
            basedir.display()
        );
    }
    let program = match crate::process::own_program() {
        Ok(program) => program,
        Err(error) => return format!("failed to find the program of this process: {error}"),
    };
    let password = match password() {
        Ok(password) => password,
        Err(why) => return why,
    };
    let args = [STDIO_VERB, slave.as_str()].map(OsStr::new);
    let args = [args[0], basedir.as_os_str(), args[1]];
    let env = [(PASSWORD_VARIABLE, password.as_str())];
    // Commands inherit what the slave has, and a log may list it.
    let without = crew.plan().secrets.variables();
    let child = spawn_line(&program, &args, &env, &without);
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return format!("failed to start `{}`: {error}", program.display()),
    };
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return "it was started without pipes".into();
    };
    let (reader, writer) = (FrameReader::new(stdout), FrameWriter::new(stdin));
    let password_of = |name: &str| (name == slave.as_str()).then(|| password.clone());
    slaves::serve(crew, "its own child", reader, writer, password_of).await;
    match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Good for one line only, which nobody else can speak on.
pub(super) fn password() -> Result<String, String> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(hex(&random))
}
