//! Whole files in, whole plans out, with factories that only show what
//! reached them.

mod arbitrary;
mod clients;
mod convert;
mod examples;
mod habits;
mod language;
mod large;
mod mistakes;
mod original;
mod schema;
mod secrets;
pub(crate) mod sections;
mod slaves;
mod tries;
mod triggers;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::expr::Fillings;
use crate::factories::Reading;
use crate::factories::Repository;
use crate::factories::Vcs;
use crate::model::Platform;
use crate::steps::StepPlan;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;
use crate::syntax::Section;
use crate::syntax::Source;

/// A factory whose steps are an error that shows its parameters.
#[derive(Debug)]
struct Probe {
    sources: Vec<Repository>,
    shown: String,
}

impl Factory for Probe {
    fn sources(&self) -> &[Repository] {
        &self.sources
    }

    fn steps(&self, platform: &Platform) -> Result<Vec<StepPlan>, String> {
        Err(format!("{} on {}", self.shown, platform.os))
    }
}

/// `foo` takes `bar` and `baz`, `vcs` takes repositories, `mine` an `env` of its own.
struct Fake;

impl Catalogue for Fake {
    fn names(&self) -> Vec<String> {
        ["foo", "vcs", "mine"].map(str::to_owned).to_vec()
    }

    fn recipes(&self) -> Vec<String> {
        vec!["vcs".to_owned()]
    }

    fn read(&self, section: &Section, axes: &Fillings, problems: &mut Problems) -> Reading {
        let mut keys = Keys::of(section, problems);
        let Some(name) = keys.or("type", section.own_name.clone()) else {
            return Reading::default();
        };
        let factory = match name.as_str() {
            "foo" => foo(&mut keys, axes),
            "vcs" => vcs(&mut keys),
            "mine" => mine(&mut keys),
            _ => {
                let place = match keys.has("type") {
                    true => keys.place("type"),
                    false => section.place.clone(),
                };
                let problem =
                    Problem::error(Code::UnknownFactory, format!("unknown factory `{name}`"))
                        .at(&place);
                keys.note(problem.did_you_mean(&name, self.names()));
                return Reading::default();
            }
        };
        let references = keys.references();
        let (left, asked) = keys.leftover();
        Reading {
            factory: factory.map(|it| Arc::new(it) as Arc<dyn Factory>),
            steps: Vec::new(),
            left,
            asked,
            references,
            is_lasting: true,
        }
    }
}

fn foo(keys: &mut Keys<'_>, axes: &Fillings) -> Option<Probe> {
    let bar = keys.required::<Text>("bar");
    let baz = keys.or("baz", String::new());
    let axes = match axes.map.len() {
        0 => String::new(),
        _ => format!(" {}", serde_json::Value::from(axes.map.clone())),
    };
    Some(Probe {
        sources: Vec::new(),
        shown: format!("bar={} baz={}{axes}", bar?, baz?),
    })
}

fn vcs(keys: &mut Keys<'_>) -> Option<Probe> {
    let mut sources = Vec::new();
    for (key, vcs) in [("git", Vcs::Git), ("hg", Vcs::Hg), ("svn", Vcs::Svn)] {
        for word in keys.or(key, Vec::<String>::new())? {
            let (url, branch) = match word.rsplit_once('#') {
                Some((url, branch)) => (url.to_owned(), Some(branch.to_owned())),
                None => (word, None),
            };
            sources.push(Repository { vcs, url, branch });
        }
    }
    Some(Probe {
        sources,
        shown: "vcs".to_owned(),
    })
}

fn mine(keys: &mut Keys<'_>) -> Option<Probe> {
    let env = keys.map::<String>("env")?;
    Some(Probe {
        sources: Vec::new(),
        shown: format!("{env:?}"),
    })
}

fn try_read(text: &str) -> Result<Plan, Problems> {
    read(&Source::new("master.ini", "/base", text), &Fake)
}

pub(super) fn plan(text: &str) -> Plan {
    try_read(text).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

/// Everything that is wrong with `text`, as it is shown.
fn problems(text: &str) -> String {
    match try_read(text) {
        Ok(plan) => plan.warnings.render(false),
        Err(problems) => problems.render(false),
    }
}

fn shown(plan: &Plan) -> String {
    let mut out = String::new();
    for slave in &plan.slaves {
        let (name, os, launch) = (&slave.name, &slave.os, &slave.launch);
        out.push_str(&format!(
            "slave {name} {} {os:?} {launch:?} {:?}\n",
            slave.password.reveal(&plan.secrets).expect("a password"),
            slave.max_builds
        ));
    }
    for builder in &plan.builders {
        let slaves: Vec<_> = builder.slaves.iter().map(|it| it.as_str()).collect();
        out.push_str(&format!(
            "builder {} in {} on {} by {}\n",
            builder.name,
            builder.builddir,
            slaves.join(" "),
            builder.factory_name
        ));
    }
    for source in &plan.sources {
        out.push_str(&format!(
            "{} every {:?}\n",
            source.name,
            source.settings.poll_interval().unwrap_or_default()
        ));
    }
    for scheduler in &plan.schedulers {
        let builders: Vec<_> = scheduler.builders.iter().map(|it| it.as_str()).collect();
        let settings = &scheduler.settings;
        let follows = settings.filter().map_or(&[][..], |it| &it.on);
        let follows: Vec<_> = follows
            .iter()
            .map(|it| format!("{}#{}", it.repository, it.branch.as_deref().unwrap_or("-")))
            .collect();
        out.push_str(&format!(
            "scheduler {} {}: {} -> {}\n",
            scheduler.name,
            settings.describe(),
            follows.join(" "),
            builders.join(" ")
        ));
    }
    out
}

#[test]
fn the_first_example_reaches_its_factory() {
    let text = "[:master:]\n\n[slave:x]\npassword = secret\nfactories = foo\nos = linux\n\n[foo]\nbar = fleem\nbaz = another parameter\n";
    let plan = plan(text);
    insta::assert_snapshot!(shown(&plan), @r#"
    slave x secret Some("linux") None None
    builder foo-x in foo-x on x by foo
    "#);
    let platform = Platform {
        os: "linux".into(),
        ..Platform::default()
    };
    let seen = plan.builders[0].factory.steps(&platform);
    let expected = "bar=fleem baz=another parameter on linux";
    assert_eq!(seen.expect_err("the probe shows itself"), expected);
    let any = |port| Some(SocketAddr::from(([0, 0, 0, 0], port)));
    assert_eq!(plan.master.title, "autobot");
    assert_eq!(plan.master.slaveport, any(9010));
    assert_eq!(plan.master.htmlport, any(8010));
    assert_eq!(plan.master.publichtmlport, None);
    assert_eq!(plan.master.lost_timeout, Duration::from_mins(10));
    assert!(plan.warnings.is_empty());
}

#[test]
fn the_master_section_holds_defaults_for_every_slave() {
    let text = "[:master:]\npassword = shared\nfactories = *\nmaxBuilds = 2\nlaunch = local\nslaveport =\nhtmlport = 127.0.0.1:8080\npublichtmlport = 8011\nbuildbotURL = https://ci.example.org/bot\nproperty.site = here\nproperty.list = [1, 2]\ndomain = localhost\nbotname = autobot\nrecipients =\nchannels = -\n[slave:a]\n[worker:b]\npassword = own\nlaunch = none\nos = mac\nproperty.memory = 4\n[factory:one]\ntype = foo\nbar = 1\ncategory = quick\nmerge_requests = no\nenv.PATH = /opt/bin:${PATH}\nproperty.site = there\n[two]\ntype = mine\nenv.A = 1\n";
    let plan = plan(text);
    insta::assert_snapshot!(shown(&plan), @r#"
    slave a shared None Local { basedir: "/base/slaves/a" } Some(2)
    slave b own Some("mac") None Some(2)
    builder one-a in one-a on a by one
    builder two-a in two-a on a by two
    builder one-b in one-b on b by one
    builder two-b in two-b on b by two
    "#);
    assert_eq!(
        plan.master.slaveport,
        Some(SocketAddr::from(([0, 0, 0, 0], 9010)))
    );
    assert_eq!(
        plan.master.base_url.as_deref(),
        Some("https://ci.example.org/bot/")
    );
    assert_eq!(plan.master.properties.text("site"), Some("here"));
    assert_eq!(plan.slaves[1].properties.text("memory"), Some("4"));
    assert_eq!(plan.slaves[0].properties, Properties::new());
    let one = &plan.builders[0];
    assert_eq!(one.category.as_deref(), Some("quick"));
    assert_eq!(one.merge_requests, MergeRequests::No);
    assert_eq!(one.properties.text("site"), Some("there"));
    assert!(one.env.contains_key("PATH"));
    assert!(plan.builders[1].env.is_empty());
    assert_eq!(plan.builders[1].merge_requests, MergeRequests::Yes);
    assert_eq!(plan.warnings.render(false), "");
}

const TWO_SOURCES: &str = "[:master:]\npassword = p\nfactories = *\npollInterval = 5m\ntreeStable = 10\n[slave:a]\nos = linux\n[slave:b]\nos = linux\n[slave:c]\nos = win\n[x]\ntype = vcs\ngit = https://example.org/a.git#main https://example.org/b.git\n[y]\ntype = vcs\ngit = https://example.org/b.git\nhg = https://example.org/c\n";

#[test]
fn pollers_and_schedulers_follow_from_sources() {
    insta::assert_snapshot!(shown(&plan(TWO_SOURCES)), @r#"
    slave a p Some("linux") None None
    slave b p Some("linux") None None
    slave c p Some("win") None None
    builder x-a in x-a on a by x
    builder y-a in y-a on a by y
    builder x-b in x-b on b by x
    builder y-b in y-b on b by y
    builder x-c in x-c on c by x
    builder y-c in y-c on c by y
    GitPoller: https://example.org/a.git#main every 300s
    GitPoller: https://example.org/b.git every 300s
    HgPoller: https://example.org/c every 300s
    scheduler x builds when its source was stable for 10 s: https://example.org/a.git#main -> x-a x-b x-c
    scheduler x https://example.org/b.git builds when its source was stable for 10 s: https://example.org/b.git#- https://example.org/b.git#master -> x-a x-b x-c
    scheduler y builds when its source was stable for 10 s: https://example.org/b.git#- https://example.org/b.git#master -> y-a y-b y-c
    scheduler y https://example.org/c builds when its source was stable for 10 s: https://example.org/c#- https://example.org/c#default -> y-a y-b y-c
    "#);
    let alone = plan(&TWO_SOURCES.replace("[:master:]", "[:master:]\nderive = no"));
    assert!(alone.sources.is_empty() && alone.schedulers.is_empty());
    assert_eq!(alone.builders.len(), 6);
}

#[test]
fn builders_are_grouped_as_the_master_says() {
    let names = |grouping: &str| {
        let text = TWO_SOURCES.replace("[:master:]", &format!("[:master:]\nbuilders = {grouping}"));
        let plan = plan(&text);
        let names = plan.builders.iter().map(|it| {
            let slaves: Vec<_> = it.slaves.iter().map(|it| it.as_str()).collect();
            format!("{}({})", it.name, slaves.join(" "))
        });
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("slave"), "x-a(a) y-a(a) x-b(b) y-b(b) x-c(c) y-c(c)");
    assert_eq!(
        names("platform"),
        "x-linux(a b) y-linux(a b) x-win(c) y-win(c)"
    );
    assert_eq!(names("factory"), "x(a b c) y(a b c)");
}

#[test]
fn without_factory_sections_a_star_is_every_recipe() {
    let plan = plan(
        "[slave:a]\npassword = p\nfactories = *\n[slave:b]\npassword = p\nfactories = vcs vcs\n",
    );
    let names: Vec<_> = plan.builders.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["vcs-a", "vcs-b"]);
}

#[test]
fn a_reload_says_what_it_changes() {
    let old = plan(TWO_SOURCES);
    let new = TWO_SOURCES
        .replace(
            "[:master:]",
            "[:master:]\npublichtmlport = 8011\nhtmlport = none\nslaveport = 9011\ntitle = T",
        )
        .replace("[slave:c]", "[slave:d]")
        .replace("https://example.org/c", "https://example.org/d");
    let lines = |new: &Plan| Difference::between(&old, new).lines();
    insta::assert_snapshot!(lines(&plan(&new)).join("\n"), @"
    changed slaveport 0.0.0.0:9010 to 0.0.0.0:9011
    removed htmlport 0.0.0.0:8010
    added publichtmlport 0.0.0.0:8011
    changed title
    added slave `d`
    removed slave `c`
    added builder `x-d`
    added builder `y-d`
    changed builder `y-a`: factory
    changed builder `y-b`: factory
    removed builder `x-c`
    removed builder `y-c`
    added source `HgPoller: https://example.org/d`
    removed source `HgPoller: https://example.org/c`
    added scheduler `y https://example.org/d`
    changed scheduler `x`: builders
    changed scheduler `x https://example.org/b.git`: builders
    changed scheduler `y`: builders
    removed scheduler `y https://example.org/c`
    kept 2 slaves, 2 builders, 2 sources
    ");
    assert_eq!(
        lines(&old),
        ["kept 3 slaves, 6 builders, 3 sources, 4 schedulers"]
    );
}

/// What `load` makes of `ini` in a directory of its own, with a recipe beside it.
fn loaded(ini: &str, recipe: (&str, &str)) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("a file");
    };
    std::fs::create_dir(dir.path().join("factories")).expect("a directory");
    write("master.ini", ini);
    write(&format!("factories/{}.toml", recipe.0), recipe.1);
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(dir.path().join("master.ini"), mode).expect("a mode");
    let shown = match load(dir.path()) {
        Ok(plan) => shown(&plan) + &plan.warnings.render(false),
        Err(problems) => problems.render(false),
    };
    shown.replace(&dir.path().display().to_string(), "DIR")
}

const RECIPE: (&str, &str) = (
    "greet",
    "extends = \"shell\"\ncommands = [\"echo {{ name }}\"]\n\n[params]\nname = { type = \"string\" }\n",
);

#[test]
fn a_recipe_beside_the_file_is_a_factory() {
    let ini = "[slave:a]\npassword = p\nfactories = *\n[greet]\nname = World\ngit = https://example.org/hello.git\ncategory = small\n";
    insta::assert_snapshot!(loaded(ini, RECIPE), @"
    slave a p None None None
    builder greet-a in greet-a on a by greet
    GitPoller: https://example.org/hello.git every 60s
    scheduler greet builds when its source was stable for 60 s: https://example.org/hello.git#- https://example.org/hello.git#master -> greet-a
    ");
    let ini =
        "[slave:a]\npassword = p\nfactories = greet gret\n[greet]\nname = World\ncatgory = x\n";
    insta::assert_snapshot!(loaded(ini, RECIPE), @"
    error[unknown-factory]: unknown factory `gret`
     --> master.ini:3:19
      |
    3 | factories = greet gret
      |                   ^^^^ did you mean `greet`?

    error[unknown-key]: unknown key `catgory` in [greet]
     --> master.ini:6:1
      |
    6 | catgory = x
      | ^^^^^^^ did you mean `category`?
    ");
}

#[test]
fn every_example_of_a_factory_loads() {
    for kind in crate::factories::KINDS {
        let ini = format!(
            "[slave:a]\npassword = p\nfactories = {0}\n[{0}]\n{1}\n",
            kind.name, kind.example
        );
        let shown = loaded(&ini, RECIPE);
        let builder = format!("builder {0}-a in {0}-a on a by {0}", kind.name);
        assert!(shown.contains(&builder), "{shown}");
    }
}

/// Two builders of `foo` and one of `vcs`, and what follows.
const THREE_BUILDERS: &str = "[slave:a]\npassword = p\nfactories = foo vcs\n[slave:b]\npassword = p\nfactories = foo\n[foo]\nbar = 1\n[vcs]\ngit = https://example.org/a.git#main\n";

fn schedulers(sections: &str) -> String {
    let plan = plan(&format!("{THREE_BUILDERS}{sections}"));
    let all = shown(&plan);
    let lines = all.lines().filter(|it| it.starts_with("scheduler "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn scheduler_sections_name_their_builders_and_replace_derived_ones() {
    let shown = schedulers(
        "[scheduler:vcs]\ntype = periodic\nevery = 1h\nbuilders = vcs-a\n[scheduler:all]\nbranch = main\nbuilders = foo-* vcs-a foo-b\n[scheduler:after]\ntype = Dependent\nupstream = vcs\nbuilders = foo-?\n",
    );
    insta::assert_snapshot!(shown, @r"
    scheduler vcs builds every 3600 s:  -> vcs-a
    scheduler all builds every important change alone and at once:  -> foo-a vcs-a foo-b
    scheduler after builds what all builds of `vcs` went well with:  -> foo-a foo-b
    ");
}

#[test]
fn a_scheduler_that_is_only_moved_is_the_same_and_each_of_its_settings_counts() {
    let one = |section: &str| {
        let plan = plan(&format!("{THREE_BUILDERS}{section}"));
        plan.schedulers.last().expect("the section").clone()
    };
    let text = "[scheduler:q]\nbranch = main\ntree_stable = 60\nfile_is_important = file != 'x'\nbuilders = foo-a\n";
    let first = one(text);
    assert_eq!(first, one(&format!("\n# moved\n{text}")));
    for (from, to) in [
        ("60", "30"),
        ("'x'", "'y'"),
        ("foo-a", "foo-*"),
        ("branch = main", "branch = main\nproperty.a = 1"),
        ("branch = main", "type = any_branch\nbranches = main"),
    ] {
        assert_ne!(first, one(&text.replace(from, to)), "{to}");
    }
}
