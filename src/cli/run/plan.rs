//! From the words of the command line to what is built: a configuration of
//! one factory, one builder and one slave, and which of its steps are run.

use std::fmt::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::chosen::Chosen;
use super::chosen::Wish;
use crate::cli::exit::Done;
use crate::cli::exit::Failure;
use crate::cli::rooms;
use crate::cli::run::RunArgs;
use crate::config;
use crate::config::BuilderPlan;
use crate::config::Launch;
use crate::config::Plan;
use crate::config::SlavePlan;
use crate::model::BuilderName;
use crate::model::Platform;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::steps::StepPlan;
use crate::syntax::Source;

/// What the only slave is called.
pub(super) const SLAVE: &str = "here";

/// How problems name what was given on the command line.
const SOURCE: &str = "the command line";

/// A factory that is to be run here.
pub(super) struct Order {
    pub(super) builder: BuilderName,
    pub(super) plan: Plan,
    /// Where steps find the files that they send.
    pub(super) files: PathBuf,
}

/// Where a factory is looked for.
struct Found {
    name: String,
    recipes: Vec<PathBuf>,
    files: PathBuf,
}

impl Order {
    /// Reads what is asked for; `here` is the current directory.
    ///
    /// # Errors
    /// Problems of the parameters and the recipe, as a configuration shows them, or words that
    /// make no sense.
    pub(super) fn read(args: &RunArgs, here: &Path) -> Result<Self, Failure> {
        let found = find(&args.factory, here)?;
        let text = text(&found.name, args)?;
        let source = Source::new(SOURCE, here, text);
        let mut plan = config::load_text(&source, found.recipes)
            .map_err(|problems| Failure::usage(problems.render(false)))?;
        // What it would follow and wait for is nobody's business here.
        plan.sources.clear();
        plan.schedulers.clear();
        plan.status.clear();
        Ok(Self {
            builder: found.name.as_str().into(),
            plan,
            files: found.files,
        })
    }

    fn builder_plan(&self) -> &BuilderPlan {
        let own = self.plan.builders.first();
        own.expect("one factory on one slave")
    }

    /// The steps, before any is left out.
    ///
    /// # Errors
    /// The factory has none for this platform.
    pub(super) fn steps(&self, platform: &Platform) -> Result<Vec<StepPlan>, Failure> {
        let platform = self.platform(platform);
        let steps = self.builder_plan().factory.steps(&platform);
        steps.map_err(|why| Failure::usage(format!("the factory gives no steps: {why}")))
    }

    /// Where the tree is, in the builder's directory.
    ///
    /// # Errors
    /// The factory says none.
    pub(super) fn workdir(&self) -> Result<String, Failure> {
        let workdir = self.builder_plan().factory.workdir(&SourceStamp::default());
        workdir.map_err(|why| Failure::usage(format!("the factory has no work directory: {why}")))
    }

    /// The properties that were given.
    pub(super) const fn properties(&self) -> &Properties {
        &self.plan.master.properties
    }

    /// What it is to be built on.
    pub(super) fn platform(&self, here: &Platform) -> Platform {
        let mut platform = here.clone();
        if let Some(os) = self.plan.slaves.first().and_then(|it| it.os.clone()) {
            platform.os = os;
        }
        platform
    }

    /// Has the builder work in `dir` and the slave be one that is here already; leaves out the
    /// steps that nobody wishes.
    pub(super) fn settle(&mut self, dir: &Path, wish: Wish) {
        let own = self.builder_plan();
        let settled = BuilderPlan {
            name: self.builder.clone(),
            slavebuilddir: dir.display().to_string(),
            factory: Arc::new(Chosen::new(Arc::clone(&own.factory), wish)),
            ..own.clone()
        };
        self.plan.builders = vec![Arc::new(settled)];
        let slaves = self.plan.slaves.iter().map(|slave| {
            Arc::new(SlavePlan {
                launch: Launch::None,
                mirrors: false,
                ..slave.as_ref().clone()
            })
        });
        self.plan.slaves = slaves.collect();
    }
}

/// The factory that `word` names: a file, or one that a configuration here could name.
fn find(word: &str, here: &Path) -> Result<Found, Failure> {
    if !word.ends_with(".toml") && !word.contains('/') {
        let mut recipes = vec![here.join("factories")];
        recipes.extend(rooms::share_factories());
        return named(word, recipes, here.to_owned());
    }
    let path = here.join(word);
    let (Some(dir), Some(stem)) = (path.parent(), path.file_stem()) else {
        return Err(Failure::usage(format!("`{word}` names no recipe")));
    };
    if path.extension().is_none_or(|it| it != "toml") || !path.is_file() {
        return Err(Failure::usage(format!("there is no recipe `{word}`")).hint(
            "a recipe is a file `NAME.toml`; `autobot factories` lists what is there by name",
        ));
    }
    let mut recipes = vec![dir.to_owned()];
    recipes.extend(rooms::share_factories());
    // Beside `factories/` lies what the recipes of a master send.
    let files = match dir.file_name() {
        Some(name) if name == "factories" => dir.parent().unwrap_or(dir),
        _ => dir,
    };
    named(&stem.to_string_lossy(), recipes, files.to_owned())
}

fn named(name: &str, recipes: Vec<PathBuf>, files: PathBuf) -> Result<Found, Failure> {
    let is_word = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_word) {
        let shown = name.escape_debug();
        return Err(Failure::usage(format!("`{shown}` is no name of a factory")));
    }
    Ok(Found {
        name: name.to_owned(),
        recipes,
        files,
    })
}

/// The configuration. What the user wrote stands first, a line each.
fn text(name: &str, args: &RunArgs) -> Result<String, Failure> {
    let mut text = format!("[factory:{name}]\ntype = {name}\n");
    for param in &args.params {
        line("--param", param, &mut text)?;
    }
    let os = args.slave_os.as_ref().map(|it| format!("os = {it}\n"));
    let _ = write!(
        text,
        "\n[slave:{SLAVE}]\nlaunch = local\npassword = {SLAVE}\nfactories = {name}\n{}\n\
         [:master:]\nslaveport = none\nhtmlport = none\n\n[:properties:]\n",
        os.unwrap_or_default(),
    );
    for property in &args.properties {
        line("--property", property, &mut text)?;
    }
    Ok(text)
}

/// Adds `KEY = VALUE`.
fn line(option: &str, word: &str, text: &mut String) -> Done {
    let pair = word.split_once('=');
    let pair = pair.map(|(key, value)| (key.trim(), value.trim()));
    let pair = pair.filter(|(key, _)| {
        !key.is_empty() && !key.contains(['\n', '[', ']']) && !key.starts_with(['#', ';'])
    });
    let Some((key, value)) = pair else {
        let what = format!("`{option} {word}` should be `{option} NAME=VALUE`");
        return Err(Failure::usage(what));
    };
    // A line that goes on is indented.
    let value = value.replace('\n', "\n    ");
    let _ = writeln!(text, "{key} = {value}");
    Ok(())
}
