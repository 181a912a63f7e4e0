//! `autobot factories`, `autobot steps` and `autobot schedulers`: what a configuration may name,
//! from the tables that its reader uses.

use anstream::println;
use clap::Args;

use super::exit::Done;
use super::exit::Failure;
use super::rooms;
use crate::factories::Known;
use crate::schedulers;
use crate::steps;

#[derive(Debug, Args)]
pub(super) struct KindsArgs {
    /// The one to tell more of
    name: Option<String>,
}

/// A kind as it is listed: its name, what it is, and lines of a file.
struct Kind {
    name: String,
    summary: String,
    /// What there is to know besides.
    more: String,
    example: String,
}

/// Lists the factory types and recipes, or tells more of one.
pub(super) fn factories(args: &KindsArgs) -> Done {
    let known = rooms::known_factories(&rooms::share_factories());
    let kinds = known.into_iter().map(|it| Kind {
        more: params(&it),
        example: it.example,
        name: it.name,
        summary: it.summary,
    });
    tell("factory", kinds.collect(), args.name.as_deref())
}

/// The parameters of a recipe, a line each.
fn params(factory: &Known) -> String {
    let told: Vec<_> = factory.params.iter().map(|it| &it.name).collect();
    let width = told.iter().map(|it| it.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = Vec::new();
    for it in factory.params.iter().filter(|_| factory.is_recipe) {
        let default = match it.default.as_deref() {
            None => " (required)".to_owned(),
            Some("") => String::new(),
            Some(default) => format!(" [{default}]"),
        };
        lines.push(format!("{:width$}  {}{default}", it.name, it.help));
    }
    if let Some(base) = &factory.extends {
        lines.push(format!("Further parameters are those of `{base}`."));
    }
    lines.join("\n")
}

/// Lists the step types, or tells more of one.
pub(super) fn steps(args: &KindsArgs) -> Done {
    let kinds = steps::KINDS.iter().map(|kind| Kind {
        name: kind.name.to_owned(),
        summary: kind.summary.to_owned(),
        more: String::new(),
        example: kind.example.to_owned(),
    });
    tell("step type", kinds.collect(), args.name.as_deref())
}

/// Lists the kinds of schedulers, or tells more of one.
pub(super) fn schedulers(args: &KindsArgs) -> Done {
    let kinds = schedulers::KINDS.iter().map(|kind| Kind {
        name: kind.name.to_owned(),
        summary: kind.summary.to_owned(),
        more: String::new(),
        example: kind.example.to_owned(),
    });
    tell("scheduler type", kinds.collect(), args.name.as_deref())
}

fn tell(noun: &str, kinds: Vec<Kind>, wanted: Option<&str>) -> Done {
    let Some(wanted) = wanted else {
        let width = kinds.iter().map(|it| it.name.len()).max().unwrap_or(0);
        for kind in &kinds {
            println!("{:width$}  {}", kind.name, kind.summary);
        }
        return Ok(());
    };
    let Some(kind) = kinds.iter().find(|it| it.name == wanted) else {
        let names: Vec<&str> = kinds.iter().map(|it| it.name.as_str()).collect();
        return Err(Failure::new(format!("there is no {noun} `{wanted}`"))
            .hint(format!("there are {}", names.join(", "))));
    };
    println!("{}", kind.summary);
    if !kind.more.is_empty() {
        println!("\n{}", kind.more);
    }
    if !kind.example.is_empty() {
        println!("\n{}", kind.example.trim());
    }
    Ok(())
}
