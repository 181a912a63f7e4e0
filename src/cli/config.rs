//! `autobot config`: the configurations that a master has applied, as its
//! database keeps them. They are read from there whether the master runs or not.

use std::path::Path;
use std::path::PathBuf;

use anstream::eprintln;
use anstream::print;
use anstream::println;
use clap::Args;
use clap::Subcommand;
use serde_json::json;

use super::args::Format;
use super::excerpt;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::Kind;
use super::place::default_dir;
use super::rollback;
use super::rollback::ConfigRollbackArgs;
use super::rooms;
use super::terminal::DIM;
use super::terminal::table;
use crate::clock;
use crate::store::ConfigFile;
use crate::store::ConfigRecord;

/// Enough to tell two configurations apart.
const SHORT: usize = 10;
/// Characters of a line of the history that say what changed.
const WIDTH: usize = 90;

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// List them, the newest first: number, time, hash, and what changed
    History(ConfigHistoryArgs),
    /// Print the files of one as they were, passwords and all
    Show(ConfigShowArgs),
    /// Put the files of one back and have a running master read them
    Rollback(ConfigRollbackArgs),
}

#[derive(Debug, Args)]
pub(super) struct ConfigHistoryArgs {
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    dir: Option<PathBuf>,
    /// How many at most
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// A table for people, or a document
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ConfigShowArgs {
    /// Its number in the history
    #[arg(value_name = "N")]
    number: i64,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    dir: Option<PathBuf>,
    /// Only the sections that make this builder, without passwords
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
}

pub(super) async fn run(args: &ConfigArgs) -> Done {
    match &args.verb {
        ConfigVerb::History(args) => history(args),
        ConfigVerb::Show(args) => show(args),
        ConfigVerb::Rollback(args) => rollback::run(args).await,
    }
}

/// The master of a DIR argument, even if its files are gone: then they are wanted back most.
pub(super) fn master(dir: Option<&Path>) -> Result<Base, Failure> {
    let dir = dir.map_or_else(default_dir, Path::to_owned);
    let at = |dir: PathBuf| {
        rooms::has_store(&dir).then_some(Base {
            kind: Kind::Master,
            dir,
        })
    };
    match at(dir.clone()).or_else(|| at(dir.join("master"))) {
        Some(base) => Ok(base),
        None => Base::master_of(&dir),
    }
}

fn history(args: &ConfigHistoryArgs) -> Done {
    let base = master(args.dir.as_deref())?;
    let configs = rooms::configs(&base.dir, args.limit as usize)?;
    if args.format == Format::Json {
        println!("{:#}", document(&configs));
        return Ok(());
    }
    if configs.is_empty() {
        eprintln!("no configuration was applied yet");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = configs.iter().map(row).collect();
    print!("{}", table(&rows, &vec![DIM; rows.len()]));
    Ok(())
}

fn document(configs: &[ConfigRecord]) -> serde_json::Value {
    configs
        .iter()
        .map(|it| {
            json!({
                "number": it.id,
                "applied": clock::iso(it.applied),
                "hash": it.hash,
                "changes": it.summary,
            })
        })
        .collect()
}

fn row(config: &ConfigRecord) -> Vec<String> {
    vec![
        config.id.to_string(),
        clock::iso(config.applied),
        config.hash.chars().take(SHORT).collect(),
        in_a_line(&config.summary),
    ]
}

/// As many of the changes as fit into a line.
fn in_a_line(changes: &[String]) -> String {
    if changes.is_empty() {
        return "comments or layout only".to_owned();
    }
    let mut line = String::new();
    for (index, change) in changes.iter().enumerate() {
        let is_too_much = line.chars().count() + change.chars().count() > WIDTH;
        if index > 0 && is_too_much {
            return format!("{line}; and {} more", changes.len() - index);
        }
        if index > 0 {
            line.push_str("; ");
        }
        line.push_str(change);
    }
    line
}

fn show(args: &ConfigShowArgs) -> Done {
    let base = master(args.dir.as_deref())?;
    let (_, files) = find(&base, args.number)?;
    if let Some(builder) = &args.builder {
        let found = excerpt::of_builder(&files, builder);
        let found = found.ok_or_else(|| {
            let what = format!(
                "no section of configuration {} tells by its name that it makes `{builder}`",
                args.number
            );
            Failure::new(what).hint(format!(
                "`autobot config show {}` prints all of it",
                args.number
            ))
        })?;
        print!("{found}");
        return Ok(());
    }
    print!("{}", shown(&files));
    Ok(())
}

/// A single file as it was; several under their names.
fn shown(files: &[ConfigFile]) -> String {
    if let [file] = files {
        return file.text.clone();
    }
    let mut text = String::new();
    for file in files {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("==> {} <==\n{}", file.name, file.text));
        if !file.text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

/// A configuration by its number.
pub(super) fn find(base: &Base, number: i64) -> Result<(ConfigRecord, Vec<ConfigFile>), Failure> {
    if let Some(found) = rooms::config(&base.dir, number)? {
        return Ok(found);
    }
    let newest = rooms::configs(&base.dir, 1)?;
    Err(match newest.first() {
        Some(newest) => Failure::new(format!(
            "there is no configuration {number}; the newest is {}",
            newest.id
        ))
        .hint("`autobot config history` lists them"),
        None => Failure::new("no configuration was applied yet"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConfigId;
    use crate::model::Timestamp;

    fn changes(all: &[&str]) -> Vec<String> {
        all.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn the_history_says_in_a_line_what_changed() {
        let config = ConfigRecord {
            id: ConfigId(7),
            hash: "0123456789abcdef".into(),
            applied: Timestamp(0),
            summary: changes(&["changed title", "added slave `s2`"]),
        };
        let row = row(&config);
        assert_eq!(
            [&row[0], &row[2], &row[3]],
            ["7", "0123456789", "changed title; added slave `s2`"]
        );
        assert_eq!(in_a_line(&[]), "comments or layout only");
        let long = "added builder `a-builder-with-a-name-of-quite-some-length`";
        assert_eq!(
            in_a_line(&changes(&[long, long, "changed title"])),
            format!("{long}; and 2 more")
        );
        let document = document(&[config]);
        assert_eq!(document[0]["number"], 7);
        assert_eq!(document[0]["changes"][1], "added slave `s2`");
    }

    #[test]
    fn a_master_is_found_by_its_database_too() {
        let pair = tempfile::tempdir().unwrap();
        let dir = pair.path().join("master");
        std::fs::create_dir(&dir).unwrap();
        assert!(master(Some(&dir)).is_err());
        std::fs::write(dir.join("state.sqlite"), "").unwrap();
        for given in [pair.path(), &dir] {
            assert_eq!(master(Some(given)).unwrap().dir, dir);
        }
    }

    #[test]
    fn one_file_is_printed_as_it_was_and_several_under_their_names() {
        let file = |name: &str, text: &str| ConfigFile {
            name: name.into(),
            text: text.into(),
        };
        assert_eq!(shown(&[file("master.ini", "[:master:]")]), "[:master:]");
        assert_eq!(
            shown(&[
                file("master.ini", "[a]\n"),
                file("factories/b.toml", "x = 1")
            ]),
            "==> master.ini <==\n[a]\n\n==> factories/b.toml <==\nx = 1\n"
        );
    }
}
