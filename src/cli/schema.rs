//! `autobot schema`: what a master.toml or a recipe may say, for editors.

use anstream::println;

use super::args::SchemaArgs;
use super::exit::Done;
use crate::config;

/// Prints the JSON Schema.
pub(super) fn run(args: &SchemaArgs) -> Done {
    let schema = match args.recipe {
        true => config::recipe_schema(),
        false => config::schema(),
    };
    println!("{schema:#}");
    Ok(())
}
