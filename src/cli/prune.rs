//! `autobot prune`: forgets what the horizons do not keep, or says what that would be. A master
//! that runs is asked for it; for one that does not it is done here.

use std::path::Path;

use anstream::print;
use anstream::println;
use clap::Args;
use serde_json::json;

use super::args::MasterArgs;
use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::reach::client;
use crate::client::Client;
use crate::client::PruneView;
use crate::clock;
use crate::config;
use crate::master::prune::Report;
use crate::master::prune::Round;
use crate::model::Bytes;
use crate::store::StoreHandle;

#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Say what would go, and forget nothing
    #[arg(long)]
    dry_run: bool,
    /// Print a document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

pub(super) async fn run(args: &PruneArgs) -> Done {
    let told = match &args.master.master {
        Some(_) => ask(&client(&args.master)?, args.dry_run).await?,
        None => {
            let dir = args.master.dir.as_deref().unwrap_or(Path::new("."));
            let base = Base::master_of(dir)?;
            match daemon::running(&base.dir)? {
                Some(_) => ask(&base.client(), args.dry_run).await?,
                None => here(&base.dir, args.dry_run).await?,
            }
        }
    };
    if args.json {
        println!("{:#}", document(&told));
    } else {
        print!("{}", text(&told, args.dry_run));
    }
    Ok(())
}

/// Has a running master do it, a while at a time.
async fn ask(client: &Client, dry_run: bool) -> Result<PruneView, Failure> {
    if dry_run {
        return Ok(client.get("/api/prune").await?);
    }
    let mut all = PruneView::default();
    loop {
        let done: PruneView = client.post("/api/prune", &[]).await?;
        let more = done.more;
        all.add(done);
        if !more {
            return Ok(all);
        }
    }
}

/// Does it in the directory of a master that does not run, and cannot be started meanwhile.
async fn here(dir: &Path, dry_run: bool) -> Result<PruneView, Failure> {
    let _lock = daemon::Lock::take(dir)?;
    let plan = config::load(dir).map_err(|problems| Failure::new(problems.render(false)))?;
    let store = StoreHandle::open(&dir.join(&plan.master.database))?;
    let round = Round {
        store,
        dir: dir.to_owned(),
        plan: plan.into(),
        now: clock::now(),
        until: None,
    };
    let report = match dry_run {
        true => round.preview().await?,
        false => round.prune_all().await?,
    };
    round.store.settle().await?;
    Ok(view(&report))
}

fn view(report: &Report) -> PruneView {
    let amounts = report.builders.iter();
    PruneView {
        builders: amounts
            .map(|(name, it)| crate::client::PrunedBuilder {
                name: name.to_string(),
                builds: it.builds,
                logs: it.logs,
                bytes: it.bytes,
            })
            .collect(),
        changes: report.changes as u64,
        requests: report.requests as u64,
        events: report.events as u64,
        left: report.left,
        over: report.over,
        more: report.more,
    }
}

fn document(told: &PruneView) -> serde_json::Value {
    let builders = told.builders.iter().map(|it| {
        json!({
            "name": it.name, "builds": it.builds, "logs": it.logs, "bytes": it.bytes,
        })
    });
    json!({
        "builders": builders.collect::<Vec<_>>(),
        "changes": told.changes,
        "requests": told.requests,
        "events": told.events,
        "left": told.left,
        "over": told.over,
    })
}

/// A line for each builder, one for changes, and the sum.
fn text(told: &PruneView, dry_run: bool) -> String {
    let mut lines = Vec::new();
    let (mut builds, mut logs, mut bytes) = (0, 0, 0);
    for it in &told.builders {
        lines.push(format!(
            "{}: {}",
            it.name,
            amount(it.builds, it.logs, it.bytes)
        ));
        builds += it.builds;
        logs += it.logs;
        bytes += it.bytes;
    }
    let would = if dry_run { "would go" } else { "went" };
    let nothing = (builds, logs, told.changes, told.requests, told.events) == (0, 0, 0, 0, 0);
    let requests = match told.requests {
        0 => String::new(),
        1 => ", 1 request that was never built".to_owned(),
        some => format!(", {some} requests that were never built"),
    };
    lines.push(match nothing {
        true => format!("nothing {would}"),
        false => format!(
            "{}{requests}, {} and {} {would}",
            amount(builds, logs, bytes),
            count(told.changes, "change"),
            count(told.events, "event")
        ),
    });
    let stay = if dry_run { "would stay" } else { "stay" };
    lines.push(format!("logs of {} {stay}", Bytes(told.left)));
    if told.over > 0 {
        lines.push(format!(
            "{} of them are over the budget and needed: builds that run, that wait to be built \
             again, or that began a run of failures",
            Bytes(told.over)
        ));
    }
    lines.join("\n") + "\n"
}

fn amount(builds: u64, logs: u64, bytes: u64) -> String {
    format!(
        "{} and the logs of {} ({})",
        count(builds, "build"),
        count(logs, "build"),
        Bytes(bytes)
    )
}

fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::PrunedBuilder;

    #[test]
    fn what_goes_is_told_by_builder_and_in_sum() {
        let builder = |name: &str, builds, logs| PrunedBuilder {
            name: name.into(),
            builds,
            logs,
            bytes: logs << 20,
        };
        let told = PruneView {
            builders: vec![builder("docs", 0, 1), builder("hello", 20, 52)],
            changes: 3,
            requests: 1,
            events: 1,
            left: 5 << 30,
            over: 0,
            more: false,
        };
        insta::assert_snapshot!(text(&told, true), @"
        docs: 0 builds and the logs of 1 build (1.0 MiB)
        hello: 20 builds and the logs of 52 builds (52.0 MiB)
        20 builds and the logs of 53 builds (53.0 MiB), 1 request that was never built, 3 changes and 1 event would go
        logs of 5.0 GiB would stay
        ");
        let over = PruneView {
            left: 4000,
            over: 3000,
            ..PruneView::default()
        };
        insta::assert_snapshot!(text(&over, false), @"
        nothing went
        logs of 3.9 KiB stay
        2.9 KiB of them are over the budget and needed: builds that run, that wait to be built again, or that began a run of failures
        ");
    }
}
