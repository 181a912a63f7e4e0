//! `autobot status`: what runs, and where its pages are.

use anstream::println;
use serde_json::Value;

use super::args::MasterArgs;
use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::Kind;
use super::reach;
use super::reach::ReachArgs;
use super::terminal::BAD;
use super::terminal::DIM;
use super::terminal::GOOD;
use crate::client::ClientError;

/// Says for each directory what runs in it; succeeds if everything does, and no disk is in
/// its way.
pub(super) async fn run(args: &ReachArgs) -> Done {
    if let Some(args_of_far) = args.far.master(&args.dirs) {
        return far(&args_of_far, args.dirs.quiet).await;
    }
    let args = &args.dirs;
    let mut is_well = true;
    for base in Base::of_all(&args.dirs)? {
        let Some(running) = daemon::running(&base.dir)? else {
            is_well = false;
            if !args.quiet {
                println!("{base}: {BAD}not running{BAD:#}");
            }
            continue;
        };
        if args.quiet {
            if base.kind == Kind::Master
                && let Ok(status) = base.client().get::<Value>("/api/status").await
            {
                is_well &= troubles(&status).is_empty();
            }
            continue;
        }
        let pid = running
            .pid
            .map_or(String::new(), |pid| format!(" as process {pid}"));
        println!("{base}: {GOOD}running{GOOD:#}{pid}");
        if base.kind == Kind::Master {
            match base.client().get::<Value>("/api/status").await {
                Ok(status) => {
                    details(&status);
                    is_well &= troubles(&status).is_empty();
                }
                // It runs: that it does not answer is worth a line, not a failure.
                Err(error) => println!("  {DIM}{error}{DIM:#}"),
            }
        }
    }
    if is_well {
        Ok(())
    } else {
        Err(Failure::told())
    }
}

/// The same of a master that is not on this machine.
async fn far(args: &MasterArgs, quiet: bool) -> Done {
    let (client, name) = reach::far(args)?;
    let status: Value = match client.get("/api/status").await {
        Ok(status) => status,
        Err(error @ ClientError::Unreachable { .. }) => {
            let not_running = Failure::because(format!("{name} is not running"), &error);
            return Err(if quiet { Failure::told() } else { not_running });
        }
        Err(error) => return Err(error.into()),
    };
    if !quiet {
        println!("{name}: {GOOD}running{GOOD:#}");
        details(&status);
    }
    match troubles(&status).is_empty() {
        true => Ok(()),
        false => Err(Failure::told()),
    }
}

/// Prints what the master says of itself: single values on a line each, lists by their length.
fn details(status: &Value) {
    for line in troubles(status) {
        println!("  {BAD}{line}{BAD:#}");
    }
    for line in detail_lines(status) {
        println!("  {DIM}{line}{DIM:#}");
    }
}

/// The disks that do not take what is to be written.
fn troubles(status: &Value) -> Vec<&str> {
    let troubles = status.get("troubles").and_then(Value::as_array);
    let troubles = troubles.into_iter().flatten();
    troubles.filter_map(Value::as_str).collect()
}

fn detail_lines(status: &Value) -> Vec<String> {
    let Some(status) = status.as_object() else {
        return Vec::new();
    };
    status
        .iter()
        .flat_map(|(key, value)| {
            let told = match (key.as_str(), value) {
                ("slaves", Value::Array(slaves)) => phases(slaves),
                _ => Vec::new(),
            };
            detail_line(key, value).into_iter().chain(told)
        })
        .collect()
}

/// Of the slaves that the master starts and that are not here: how they are doing; of those that
/// are paused: since when, by whom and why; of those that
/// are missing: since when; of those with a planned downtime: until when.
fn phases(slaves: &[Value]) -> Vec<String> {
    let told = slaves.iter().filter_map(|it| {
        let name = it.get("name")?.as_str()?;
        let told = ["phase", "pause", "shutdown", "downtime", "missing"]
            .map(|key| it.get(key).and_then(Value::as_str));
        Some(told.map(|it| it.map(|it| format!("slave {name} {it}"))))
    });
    told.flatten().flatten().collect()
}

fn detail_line(key: &str, value: &Value) -> Option<String> {
    let value = match value {
        // Said before, a line each.
        _ if key == "troubles" => return None,
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Array(items) => items.len().to_string(),
        Value::Null | Value::Object(_) => return None,
    };
    Some(format!("{}: {value}", key.replace('_', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_line_by_line() {
        let status = serde_json::json!({
            "troubles": ["logs cannot be written"], "version": "0.2.0", "started": "2026-03-01T12:00:00+01:00",
            "slaves": [{"name": "a", "phase": null}, {"name": "b", "phase": "is being started", "pause": "is paused since noon by ann"},
                {"name": "c", "pause": "is paused since noon: new disk", "downtime": "has a planned downtime until noon", "shutdown": "shuts down when its builds are done", "missing": "is missing since noon"}], "waiting_requests": 3, "plan": {"a": 1}, "url": null,
        });
        assert_eq!(troubles(&status), ["logs cannot be written"]);
        assert_eq!(
            detail_lines(&status),
            [
                "version: 0.2.0",
                "started: 2026-03-01T12:00:00+01:00",
                "slaves: 3",
                "slave b is being started",
                "slave b is paused since noon by ann",
                "slave c is paused since noon: new disk",
                "slave c shuts down when its builds are done",
                "slave c has a planned downtime until noon",
                "slave c is missing since noon",
                "waiting requests: 3"
            ]
        );
    }
}
