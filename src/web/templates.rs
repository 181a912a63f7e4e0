//! The templates: compiled into the binary; a file of the same name in
//! `BASEDIR/templates` wins, one by one, and is read anew for every page.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use minijinja::AutoEscape;
use minijinja::Environment;
use minijinja::Error;
use minijinja::Output;
use minijinja::State;
use minijinja::UndefinedBehavior;
use minijinja::Value;
use minijinja::context;
use minijinja::escape_formatter;
use minijinja::value::Serde;
use serde::Serialize;

use super::failure::Failure;
use super::frame::Frame;
use super::people;

/// A template that is compiled into the program.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub(crate) name: &'static str,
    /// What it draws: the address of a page, or what the page is about.
    pub(crate) page: &'static str,
    pub(crate) text: &'static str,
}

/// Where a master keeps its own, below its base directory.
pub(crate) const DIRECTORY: &str = "templates";

macro_rules! built_in {
    ($($name:literal $page:literal)*) => {
        /// All of them; every one can be replaced.
        pub(crate) const BUILT_IN: &[BuiltIn] = &[
            $(BuiltIn {
                name: $name,
                page: $page,
                text: include_str!(concat!("../../share/templates/", $name)),
            }),*
        ];
    };
}

built_in! {
    "layout.html" "what stands around every page: head, menu, foot"
    "macros.html" "parts of pages: tables of builds, results, times, links"
    "forms.html" "forms that several pages have"
    "home.html" "`/`"
    "builders.html" "`/builders`"
    "builder.html" "a builder"
    "build.html" "a build"
    "step.html" "a step of a build"
    "log.html" "a log of a step"
    "artifacts.html" "what the steps of a build brought to the master"
    "waterfall.html" "`/waterfall`"
    "waterfallhelp.html" "`/waterfall/help`"
    "happened.html" "something that happened, of the waterfall"
    "ping.html" "what came of a ping"
    "box_macros.html" "the boxes of the waterfall"
    "buildstatus.html" "`/buildstatus`"
    "grid.html" "`/grid`"
    "grid_transposed.html" "`/tgrid`"
    "grid_macros.html" "the boxes of the grids"
    "window.html" "the form that narrows a waterfall, a grid or a console"
    "console.html" "`/console`"
    "onelineperbuild.html" "`/one_line_per_build`"
    "feed_rss20.xml" "`/rss`"
    "feed_atom10.xml" "`/atom`"
    "feed_description.html" "a build in a feed"
    "badge.xml" "`/badges/NAME.svg`"
    "directory.html" "the list of a directory below `public_html`"
    "changes.html" "`/changes`"
    "change.html" "a change"
    "sources.html" "`/sources`"
    "buildslaves.html" "`/buildslaves`"
    "buildslave.html" "a slave"
    "locks.html" "`/locks`"
    "tests.html" "the tests of a build"
    "testresult.html" "a test of a build"
    "users.html" "`/users`"
    "user.html" "a user"
    "about.html" "`/about`"
    "jsonhelp.html" "`help` at the end of an address below `/json`"
    "error.html" "what went wrong"
    "login.html" "`/login`"
    "logout.html" "what is seen after a logout"
    "authfail.html" "what is seen after a login that failed"
    "audit.html" "`/audit`"
}

/// Draws pages.
pub(super) struct Templates {
    built_in: Environment<'static>,
    /// Where a master keeps its own.
    own: PathBuf,
}

impl Templates {
    pub(super) fn new(basedir: &Path) -> Self {
        let mut built_in = environment();
        // Read when a page needs it: an idle master has no use for forty of them in its memory.
        built_in.set_loader(|name| Ok(source(name).map(str::to_owned)));
        Self {
            built_in,
            own: basedir.join(DIRECTORY),
        }
    }

    /// Draws `view` with the template `name`.
    pub(super) fn draw(
        &self,
        name: &str,
        frame: &Frame,
        view: impl Serialize,
    ) -> Result<String, Failure> {
        if self.has_own() {
            let own = self.own.clone();
            let mut mixed = environment();
            mixed.set_loader(move |name| Ok(find(&own, name)));
            render(&mixed, name, frame, view)
        } else {
            render(&self.built_in, name, frame, view)
        }
    }

    /// Whether the master keeps templates of its own.
    pub(super) fn has_own(&self) -> bool {
        self.own.is_dir()
    }

    /// Draws with the built-in template, whatever the master keeps.
    pub(super) fn draw_built_in(
        &self,
        name: &str,
        frame: &Frame,
        view: impl Serialize,
    ) -> Result<String, Failure> {
        render(&self.built_in, name, frame, view)
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // A name that a view does not have is a mistake in the template, not an empty place.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(write);
    environment.add_filter("email", |text: &str| {
        Value::from_safe_string(people::email(text))
    });
    environment.add_filter("nickname", people::nickname);
    environment.add_filter("user", |text: &str| {
        Value::from_safe_string(people::user(text))
    });
    environment
}

/// Escapes what means something in HTML. minijinja's own way escapes `/` too, which nothing
/// needs in a quoted attribute, and makes every link and path hard to read.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let escapes = matches!(state.auto_escape(), AutoEscape::Html) && !value.is_safe();
    let Some(mut rest) = value.as_str().filter(|_| escapes) else {
        return escape_formatter(out, state, value);
    };
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        out.write_str(&rest[..at])?;
        out.write_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        })?;
        rest = &rest[at + 1..];
    }
    Ok(out.write_str(rest)?)
}

fn find(own: &Path, name: &str) -> Option<String> {
    let source = source(name)?;
    let own = fs::read_to_string(own.join(name)).ok();
    own.or_else(|| Some(source.to_owned()))
}

/// The text of a built-in template.
fn source(name: &str) -> Option<&'static str> {
    let found = BUILT_IN.iter().find(|it| it.name == name);
    found.map(|it| it.text)
}

fn render(
    environment: &Environment<'_>,
    name: &str,
    frame: &Frame,
    view: impl Serialize,
) -> Result<String, Failure> {
    let context = context! {
        frame => Serde(frame),
        root => frame.root.as_str(),
        view => Serde(view),
    };
    environment
        .get_template(name)
        .and_then(|template| template.render(context))
        .map_err(|error| Failure::Template {
            template: error.name().unwrap_or(name).to_owned(),
            what: match error.line() {
                Some(line) => format!("line {line}: {error}"),
                None => error.to_string(),
            },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_template_can_be_read() {
        let templates = Templates::new(Path::new("/nowhere"));
        for BuiltIn { name, .. } in BUILT_IN {
            if let Err(error) = templates.built_in.get_template(name) {
                panic!("{name}: {error:#}");
            }
        }
        assert!(templates.built_in.get_template("other.html").is_err());
    }

    #[test]
    fn every_template_that_the_manual_names_can_be_replaced() {
        let manual = include_str!("../../docs/manual.md");
        let part = manual.split("### Templates of your own").nth(1);
        let part = part
            .and_then(|it| it.split("\n### ").next())
            .expect("a part");
        let rows = part.lines().filter(|it| it.starts_with("| `"));
        let mut named = 0;
        for row in rows {
            let mut cells = row.trim_matches('|').split(" | ");
            let (theirs, ours) = (cells.next(), cells.next().expect("two cells"));
            let ours = match ours.trim() {
                "the same" => theirs.expect("two cells"),
                ours => ours,
            };
            for name in ours.split('`').skip(1).step_by(2) {
                assert!(BUILT_IN.iter().any(|it| it.name == name), "{name}");
                named += 1;
            }
        }
        assert!(named > 30, "{named}");
    }

    #[test]
    fn a_template_of_the_master_wins_and_its_mistakes_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = dir.path().join("templates");
        fs::create_dir(&own).expect("a directory");
        let templates = Templates::new(dir.path());
        let frame = crate::web::sample_desk::frame("/");

        fs::write(own.join("about.html"), "own {{ view.x }}").expect("written");
        let view = context! { x => "<1>/'&\"" };
        let drawn = templates.draw("about.html", &frame, &view).expect("drawn");
        assert_eq!(drawn, "own &lt;1&gt;/&#39;&amp;&quot;");

        fs::write(own.join("about.html"), "a\n{{ view.y }}").expect("written");
        let error = templates
            .draw("about.html", &frame, &view)
            .expect_err("no y");
        assert!(
            error.to_string().contains("`about.html`: line 2"),
            "{error}"
        );
    }
}
