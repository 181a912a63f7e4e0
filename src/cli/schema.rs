//! `autobot schema`: what a master.toml or a recipe may say, for editors.

use anstream::println;
use clap::Args;

use super::exit::Done;
use crate::config;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of recipes, factories/NAME.toml
    #[arg(long)]
    recipe: bool,
}

/// Prints the JSON Schema.
pub(super) fn run(args: &SchemaArgs) -> Done {
    let schema = match args.recipe {
        true => config::recipe_schema(),
        false => config::schema(),
    };
    println!("{schema:#}");
    Ok(())
}
