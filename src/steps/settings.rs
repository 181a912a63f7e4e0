//! What every step that runs a program may say about the run: where, with
//! which environment, for how long, and what it is called meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::expr::Amount;
use crate::model::HoleIn;
use crate::model::OUTPUT;
use crate::model::RenderError;
use crate::model::SecretHole;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Gauge;
use super::StepError;
use super::gauge;
use super::line::Line;
use super::line::rendered;
use super::line::shown;
use super::outcomes::Outcomes;
use super::paths;
use super::read;
use super::read::Switch;
use super::terms::RunTerms;

/// The common parameters of the shell family.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Relative to the builder's directory; the factory's where unset.
    pub(crate) workdir: Option<Text>,
    /// `None` as a value removes the variable.
    pub(crate) env: BTreeMap<String, Option<Text>>,
    pub(crate) timeout: Option<Amount>,
    pub(crate) max_time: Option<Amount>,
    pub(crate) want_stdout: Switch,
    pub(crate) want_stderr: Switch,
    pub(crate) log_environ: Switch,
    pub(crate) terms: RunTerms,
    /// What ends and lines count as.
    pub(crate) outcomes: Outcomes,
    /// Shown while it runs.
    pub(crate) description: Option<Vec<Text>>,
    /// Shown when it is done.
    pub(crate) description_done: Option<Vec<Text>>,
}

/// 20 minutes of silence end a command, as in Buildbot.
pub(super) const TIMEOUT: Duration = Duration::from_mins(20);

impl Default for Settings {
    fn default() -> Self {
        Self {
            workdir: None,
            env: BTreeMap::new(),
            timeout: Some(TIMEOUT.into()),
            max_time: None,
            want_stdout: Switch::Fixed(true),
            want_stderr: Switch::Fixed(true),
            log_environ: Switch::Fixed(true),
            terms: RunTerms::default(),
            outcomes: Outcomes::default(),
            description: None,
            description_done: None,
        }
    }
}

impl Settings {
    /// The defaults, in a directory of the builder.
    pub(crate) fn at(workdir: Text) -> Self {
        Self {
            workdir: Some(workdir),
            ..Self::default()
        }
    }

    /// The names of what tells how far a step is: what it says, what `gauge` counts, and the
    /// lengths of its further logs.
    pub(super) fn metrics(&self, gauge: Option<Box<dyn Gauge>>) -> Vec<String> {
        let mut names = vec![OUTPUT.to_owned()];
        names.extend(gauge::names(gauge));
        names.extend(self.terms.logfile_names().map(str::to_owned));
        names
    }

    /// Reads the common parameters.
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let workdir = keys.optional("workdir");
        let env = read::env(keys, "env");
        let timeout = read::limit(keys, "timeout", Some(TIMEOUT));
        let max_time = read::limit(keys, "max_time", None);
        let want_stdout = keys.or("want_stdout", Switch::Fixed(true));
        let want_stderr = keys.or("want_stderr", Switch::Fixed(true));
        let log_environ = keys.or("log_environ", Switch::Fixed(true));
        let terms = RunTerms::read(keys);
        let outcomes = Outcomes::read(keys);
        let description = read::words(keys, "description");
        let description_done = read::words(keys, "description_done");
        Some(Self {
            workdir: workdir?,
            env: env?,
            timeout: timeout?,
            max_time: max_time?,
            want_stdout: want_stdout?,
            want_stderr: want_stderr?,
            log_environ: log_environ?,
            terms: terms?,
            outcomes: outcomes?,
            description: description?,
            description_done: description_done?,
        })
    }

    /// The command that runs `line` under these settings.
    pub(super) fn command(&self, line: &Line, cx: &Cx<'_>) -> Result<Shell, StepError> {
        let (line, holes) = line.render_with_holes(cx.properties)?;
        if matches!(&line, ShellLine::Argv(words) if words.is_empty()) {
            return Err(StepError::Other("the command is empty".into()));
        }
        let mut shell = Shell::new(line, self.directory(cx)?);
        shell.holes = holes;
        environment(cx, &self.env, &mut shell)?;
        shell.timeout = read::length("timeout", self.timeout.as_ref(), cx)?;
        shell.max_time = read::length("max_time", self.max_time.as_ref(), cx)?;
        shell.want_stdout = self.want_stdout.is_on("want_stdout", cx)?;
        shell.want_stderr = self.want_stderr.is_on("want_stderr", cx)?;
        shell.log_environ = self.log_environ.is_on("log_environ", cx)?;
        self.terms.apply(&mut shell, cx)?;
        Ok(shell)
    }

    fn directory(&self, cx: &Cx<'_>) -> Result<String, RenderError> {
        let workdir = match &self.workdir {
            Some(text) => text.render(cx.properties)?,
            None => cx.workdir.to_owned(),
        };
        Ok(paths::of_builder(cx.builder_dir, &workdir))
    }

    /// The text while it runs: its description, the type's, or words of the command.
    pub(super) fn running_text(
        &self,
        line: &Line,
        cx: &Cx<'_>,
        usual: Option<&str>,
    ) -> Vec<String> {
        text(cx, self.description.as_deref())
            .or_else(|| usual.map(words_of))
            .unwrap_or_else(|| shown(line, cx.properties))
    }

    /// The text when it is done, before `failed` and the like.
    pub(super) fn done_text(&self, line: &Line, cx: &Cx<'_>, usual: Option<&str>) -> Vec<String> {
        text(cx, self.description_done.as_deref())
            .or_else(|| usual.map(words_of))
            .or_else(|| text(cx, self.description.as_deref()))
            .unwrap_or_else(|| shown(line, cx.properties))
    }
}

/// Gives the command the builder's environment with the step's own over it.
pub(super) fn environment(
    cx: &Cx<'_>,
    own: &BTreeMap<String, Option<Text>>,
    shell: &mut Shell,
) -> Result<(), RenderError> {
    let theirs = cx.env.iter().filter(|(name, _)| !own.contains_key(*name));
    let all: Vec<_> = theirs.chain(own).collect();
    // Most have no lists, and then nobody needs to know where it runs.
    let has_lists = all
        .iter()
        .any(|(_, it)| it.as_ref().is_some_and(Text::is_list));
    let joint = match has_lists && cx.is_on_windows() {
        true => ";",
        false => ":",
    };
    render_env(all, joint, cx, shell)
}

/// Gives the command these variables, with `joint` between the entries of lists.
pub(super) fn render_env<'a>(
    env: impl IntoIterator<Item = (&'a String, &'a Option<Text>)>,
    joint: &str,
    cx: &Cx<'_>,
    shell: &mut Shell,
) -> Result<(), RenderError> {
    for (name, value) in env {
        let value = match value {
            Some(text) => {
                let (value, holes) = text.render_joined(cx.properties, joint)?;
                let holes = holes.into_iter().map(|(at, secret)| SecretHole {
                    within: HoleIn::Env(name.clone()),
                    at,
                    secret,
                });
                shell.holes.extend(holes);
                Some(value)
            }
            None => None,
        };
        shell.env.insert(name.clone(), value);
    }
    Ok(())
}

fn words_of(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A description names no more than its build knows: an unset property leaves the usual text.
fn text(cx: &Cx<'_>, texts: Option<&[Text]>) -> Option<Vec<String>> {
    rendered(texts?, cx.properties).ok()
}
