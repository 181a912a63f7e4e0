//! `autobot templates`: which templates a master can put its own in the place of, and a copy of
//! one to begin with.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anstream::print;
use anstream::println;
use clap::Args;
use clap::Subcommand;

use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::default_dir;
use super::terminal::STRONG;
use super::terminal::table;
use crate::syntax::nearest;
use crate::web::templates::BUILT_IN;
use crate::web::templates::BuiltIn;
use crate::web::templates::DIRECTORY;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct TemplatesArgs {
    #[command(subcommand)]
    verb: Option<TemplatesVerb>,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum TemplatesVerb {
    /// Copy one into the directory `templates` of a master, where it takes the built-in one's place
    Copy(TemplatesCopyArgs),
}

#[derive(Debug, Args)]
pub(super) struct TemplatesCopyArgs {
    /// Its name, such as `about.html`
    name: String,
    /// The master's directory [default: $AUTOBOT_DIR or the current directory]
    dir: Option<PathBuf>,
    /// Write over what is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &TemplatesArgs) -> Done {
    match &args.verb {
        Some(TemplatesVerb::Copy(args)) => copy(args),
        None => list(args.dir.as_deref()),
    }
}

/// Lists them; those of a master only where there is one.
fn list(dir: Option<&Path>) -> Done {
    let own = match dir {
        Some(dir) => Some(own_of(dir)?),
        None => own_of(&default_dir()).ok(),
    };
    let rows: Vec<_> = BUILT_IN.iter().map(|it| row(it, own.as_deref())).collect();
    print!("{}", table(&rows, &vec![STRONG; rows.len()]));
    Ok(())
}

fn row(template: &BuiltIn, own: Option<&Path>) -> Vec<String> {
    let is_own = own.is_some_and(|it| it.join(template.name).is_file());
    vec![
        template.name.to_owned(),
        if is_own { "your own" } else { "" }.to_owned(),
        template.page.to_owned(),
    ]
}

/// Where the master in a directory keeps its own.
fn own_of(dir: &Path) -> Result<PathBuf, Failure> {
    Ok(Base::master_of(dir)?.dir.join(DIRECTORY))
}

fn copy(args: &TemplatesCopyArgs) -> Done {
    let template = find(&args.name)?;
    let own = own_of(&args.dir.clone().unwrap_or_else(default_dir))?;
    let path = own.join(template.name);
    if path.exists() && !args.force {
        let what = format!("`{}` is there already", path.display());
        return Err(Failure::new(what).hint("`--force` writes over it"));
    }
    fs::create_dir_all(&own)
        .and_then(|()| fs::write(&path, template.text))
        .map_err(|error| {
            Failure::because(format!("failed to write `{}`", path.display()), &error)
        })?;
    println!("made {}", path.display());
    Ok(())
}

fn find(name: &str) -> Result<&'static BuiltIn, Failure> {
    let found = BUILT_IN.iter().find(|it| it.name == name);
    found.ok_or_else(|| {
        let failure = Failure::usage(format!("there is no template `{name}`"));
        match nearest(name, BUILT_IN.iter().map(|it| it.name)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`autobot templates` lists them"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copying(name: &str, dir: &Path, force: bool) -> Result<(), String> {
        let args = TemplatesCopyArgs {
            name: name.to_owned(),
            dir: Some(dir.to_owned()),
            force,
        };
        copy(&args).map_err(|it| it.text())
    }

    #[test]
    fn a_copy_is_the_masters_own_and_is_not_written_over_unasked() {
        let dir = tempfile::tempdir().expect("a directory");
        copying("about.html", dir.path(), false).expect_err("no master is there");
        fs::write(dir.path().join("master.ini"), "[:master:]\n").expect("written");
        copying("about.html", dir.path(), false).expect("copied");
        let path = dir.path().join("templates/about.html");
        let about = find("about.html").expect("it is there");
        assert_eq!(fs::read_to_string(&path).expect("there"), about.text);

        fs::write(&path, "mine").expect("written");
        let refused = copying("about.html", dir.path(), false).expect_err("it is there");
        assert!(refused.contains("is there already"), "{refused}");
        assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
        copying("about.html", dir.path(), true).expect("copied");
        assert_eq!(fs::read_to_string(&path).expect("there"), about.text);

        let own = own_of(dir.path()).expect("a master");
        assert_eq!(row(about, Some(&own))[1], "your own");
        assert_eq!(row(find("log.html").expect("there"), Some(&own))[1], "");
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_the_nearest() {
        let refused = find("abuot.html").expect_err("none").text();
        assert!(refused.contains("did you mean `about.html`?"), "{refused}");
        assert!(find("../master.ini").is_err());
    }
}
