//! `autobot builds`: a table of builds, the newest first.

use anstream::eprintln;
use anstream::print;
use anstream::println;
use clap::Args;
use serde_json::Value;

use super::args::MasterArgs;
use super::exit::Done;
use super::follow::elapsed;
use super::reach::client;
use super::terminal::style;
use super::terminal::table;
use super::terminal::word;
use crate::client::BuildView;
use crate::client::encode;

/// Enough to know a revision by.
const SHORT: usize = 12;

#[derive(Debug, Args)]
pub(super) struct BuildsArgs {
    /// Only builds of this builder
    builder: Option<String>,
    /// How many at most
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    master: MasterArgs,
}

/// Prints the builds.
pub(super) async fn run(args: &BuildsArgs) -> Done {
    let client = client(&args.master)?;
    let path = path(args.builder.as_deref(), args.limit);
    if args.json {
        let list: Value = client.get(&path).await?;
        println!("{list:#}");
        return Ok(());
    }
    let builds: Vec<BuildView> = client.get(&path).await?;
    if builds.is_empty() {
        match &args.builder {
            Some(builder) => eprintln!("no build of {builder} yet"),
            None => eprintln!("no build yet"),
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = builds.iter().map(row).collect();
    let styles: Vec<_> = builds.iter().map(|build| style(build.outcome)).collect();
    print!("{}", table(&rows, &styles));
    Ok(())
}

/// The address of the list.
pub(super) fn path(builder: Option<&str>, limit: u32) -> String {
    match builder {
        Some(builder) => format!("/api/builds?builder={}&limit={limit}", encode(builder)),
        None => format!("/api/builds?limit={limit}"),
    }
}

fn row(build: &BuildView) -> Vec<String> {
    let revision = build.got_revision.as_ref().or(build.revision.as_ref());
    let revision = revision.map_or("-", |text| {
        let end = text
            .char_indices()
            .nth(SHORT)
            .map_or(text.len(), |(at, _)| at);
        &text[..end]
    });
    let mut took = elapsed(build.elapsed_secs);
    if let Some(left) = &build.left {
        took = format!("{took}, {left}");
    }
    vec![
        build.key(),
        word(build.outcome).to_owned(),
        build.started.clone().unwrap_or_default(),
        took,
        revision.to_owned(),
        build.slave.clone(),
        build.reason.lines().next().unwrap_or_default().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_a_row() {
        let document = serde_json::json!({
            "builder": "hello-linux", "number": 7, "outcome": "failure", "reason": "scheduler",
            "slave": "linux-1", "branch": "main", "revision": null,
            "got_revision": "0123456789abcdef0123", "started": "2026-03-01T12:00:00+01:00",
            "finished": null, "elapsed_secs": 62.4, "text": ["failed"],
        });
        let build: BuildView = serde_json::from_value(document).unwrap();
        assert_eq!(
            row(&build).join(" | "),
            "hello-linux/7 | failure | 2026-03-01T12:00:00+01:00 | 1 min 02 s | 0123456789ab \
             | linux-1 | scheduler"
        );
        let running = BuildView {
            left: Some("about 4 min left (3–6 min)".into()),
            ..build
        };
        assert_eq!(row(&running)[3], "1 min 02 s, about 4 min left (3–6 min)");
    }

    #[test]
    fn a_builders_name_is_one_value_of_the_address() {
        assert_eq!(path(Some("a&b"), 5), "/api/builds?builder=a%26b&limit=5");
        assert_eq!(path(None, 5), "/api/builds?limit=5");
    }
}
