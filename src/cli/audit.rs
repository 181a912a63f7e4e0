//! `autobot audit`: who did what, the newest first.

use anstream::eprintln;
use anstream::println;
use clap::Args;
use serde_json::Value;

use super::args::MasterArgs;
use super::exit::Done;
use super::reach::client;
use crate::client::encode;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// What this user did only
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// This action only, such as `force_build` or `login`
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// So many at most
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Print a document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

pub(super) async fn run(args: &AuditArgs) -> Done {
    let mut path = format!("/api/audit?limit={}", args.limit);
    for (name, value) in [("user", &args.user), ("action", &args.action)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    let told: Value = client(&args.master)?.get(&path).await?;
    if args.json {
        println!("{told:#}");
        return Ok(());
    }
    let all = told.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        eprintln!("nothing was done or refused");
    }
    for it in all {
        println!("{}", line(it));
    }
    Ok(())
}

/// An entry in a line.
fn line(it: &Value) -> String {
    let text = |name: &str| it[name].as_str().unwrap_or_default();
    let who = match (text("user"), text("way")) {
        ("", "socket") => "the owner".to_owned(),
        ("", _) => "nobody".to_owned(),
        (user, way) => format!("{user} ({way})"),
    };
    let from = match text("place") {
        "" => String::new(),
        place => format!(" from {place}"),
    };
    let about = match text("target") {
        "" => String::new(),
        target => format!(" {target}"),
    };
    let left_out = match it["left_out"].as_u64() {
        Some(0) | None => String::new(),
        Some(count) => format!(" ({count} more before it were not written down)"),
    };
    let (at, action, result) = (text("at"), text("action"), text("result"));
    format!("{at}  {who}{from}  {action}{about}: {result}{left_out}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_a_line() {
        let told = line(&json!({
            "at": "2026-01-01T00:00:00+00:00", "user": "ann", "way": "token nightly",
            "place": "192.0.2.1", "action": "force_build", "target": "builder hello",
            "result": "done", "left_out": 0,
        }));
        assert_eq!(
            told,
            "2026-01-01T00:00:00+00:00  ann (token nightly) from 192.0.2.1  force_build builder hello: done"
        );
        let told = line(&json!({
            "at": "2026-01-01T00:00:00+00:00", "user": null, "way": "socket", "place": null,
            "action": "reload", "target": "", "result": "done", "left_out": 3,
        }));
        assert_eq!(
            told,
            "2026-01-01T00:00:00+00:00  the owner  reload: done (3 more before it were not written down)"
        );
    }
}
