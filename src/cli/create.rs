//! `create-autobot` and its relatives: asks what is missing if somebody is
//! there to answer, and has the scaffold write it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anstream::print;
use anstream::println;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::exit::Done;
use super::exit::Failure;
use super::old_options::RotationArgs;
use super::place::Base;
use super::place::Kind;
use super::place::default_dir;
use super::rooms;
use super::terminal;
use crate::factories::Known;
use crate::scaffold;
use crate::scaffold::FactoryChoice;
use crate::scaffold::MasterVariables;
use crate::scaffold::Plan;
use crate::scaffold::Project;
use crate::scaffold::Report;
use crate::scaffold::SlaveVariables;
use crate::tls::Trust;

/// What a master and a slave have to agree on.
#[derive(Clone, Debug, Args)]
struct SharedArgs {
    /// Name of the slave
    #[arg(long, value_name = "NAME", default_value = "slave")]
    slave: String,
    /// Password of the slave
    #[arg(long, default_value = "passwd")]
    passwd: String,
    /// A file that holds the password, so that no list of processes shows it
    #[arg(long, value_name = "FILE", conflicts_with = "passwd")]
    passwd_file: Option<PathBuf>,
    /// Port where the master waits for slaves
    #[arg(long, value_name = "PORT", default_value_t = 9010, value_parser = port)]
    slaveport: u16,
}

#[derive(Clone, Debug, Args)]
struct MasterOnlyArgs {
    /// What the slave runs
    #[arg(long, default_value = "linux", value_parser = PossibleValuesParser::new(["linux", "mac", "win"]))]
    os: String,
    /// Port of the pages
    #[arg(long, value_name = "PORT", default_value_t = 8010, value_parser = port)]
    htmlport: u16,
    /// Port of the public pages, which have no buttons
    #[arg(long, value_name = "PORT", default_value_t = 8011, value_parser = port)]
    publichtmlport: u16,
    /// Nick of the IRC bot
    #[arg(long, value_name = "NICK", default_value = "autobot")]
    botname: String,
    /// IRC server
    #[arg(
        long = "ircHost",
        alias = "irc-host",
        value_name = "HOST",
        default_value = ""
    )]
    irc_host: String,
    /// IRC channels, white space between them; - is none
    #[arg(
        long = "ircChannels",
        alias = "irc-channels",
        value_name = "CHANNELS",
        default_value = "-",
        allow_hyphen_values = true
    )]
    irc_channels: String,
    /// Domain of mail addresses that have none
    #[arg(long, default_value = "localhost")]
    domain: String,
    /// Who gets mail about every project
    #[arg(long, value_name = "ADDRESSES", default_value = "")]
    recipients: String,
    /// A factory that the slave builds, as often as wanted; - is all
    #[arg(short, long, value_name = "NAME", allow_hyphen_values = true)]
    factory: Vec<String>,
    /// List the factories that there are
    #[arg(long)]
    list_factories: bool,
    #[command(flatten)]
    rotation: RotationArgs,
}

#[derive(Clone, Debug, Args)]
pub(super) struct CreatePair {
    #[command(flatten)]
    shared: SharedArgs,
    #[command(flatten)]
    only: MasterOnlyArgs,
    /// Host where the slave finds the master
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    master: String,
    /// A new directory for both
    #[arg(required_unless_present = "list_factories")]
    output: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct CreateMaster {
    #[command(flatten)]
    shared: SharedArgs,
    #[command(flatten)]
    only: MasterOnlyArgs,
    /// A new directory
    #[arg(required_unless_present = "list_factories")]
    output: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct CreateSlave {
    #[command(flatten)]
    shared: SharedArgs,
    /// Host where the slave finds the master
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    master: String,
    #[command(flatten)]
    tls: SlaveTlsArgs,
    /// A new directory
    output: PathBuf,
}

/// Who else can read what the slave and its master say.
#[derive(Clone, Debug, Default, Args)]
struct SlaveTlsArgs {
    /// Dial the master with TLS, and believe whom this system trusts
    #[arg(long)]
    tls: bool,
    /// Dial the master with TLS, and believe the authority whose certificate this is
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What the master's certificate is for, where it is dialled by another name
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct CreateProject {
    /// What it is, in a sentence
    #[arg(long)]
    description: Option<String>,
    /// Where its source is: URL or URL#branch
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// The project; its factory has the same name in lower case, letters only
    pub(super) project: Option<String>,
    /// A directory or a new file [default: factories/NAME.toml of the master here]
    output: Option<PathBuf>,
}

/// Makes `OUTPUT/master` and `OUTPUT/slave`.
pub(super) fn pair(args: &CreatePair) -> Done {
    if args.only.list_factories {
        return list_factories();
    }
    let output = the_output(args.output.as_deref())?;
    let master = master_variables(&args.shared, &args.only)?;
    let slave = slave_variables(&args.shared, &args.master, &SlaveTlsArgs::default())?;
    master.check()?;
    slave.check()?;
    write(&Plan::pair(&master, &slave), output)?;
    say_next(output, &master.password);
    Ok(())
}

/// Makes a master.
pub(super) fn master(args: &CreateMaster) -> Done {
    if args.only.list_factories {
        return list_factories();
    }
    let output = the_output(args.output.as_deref())?;
    let variables = master_variables(&args.shared, &args.only)?;
    master_of(&variables, output, false)
}

/// Makes a master from variables that came from elsewhere.
pub(super) fn master_of(variables: &MasterVariables, output: &Path, is_quiet: bool) -> Done {
    variables.check()?;
    let report = make(&variables.plan(), output)?;
    if !is_quiet {
        tell(&report);
        say_next(output, &variables.password);
    }
    Ok(())
}

/// Makes a slave.
pub(super) fn slave(args: &CreateSlave) -> Done {
    let variables = slave_variables(&args.shared, &args.master, &args.tls)?;
    slave_of(&variables, &args.output, false)
}

/// Makes a slave from variables that came from elsewhere.
pub(super) fn slave_of(variables: &SlaveVariables, output: &Path, is_quiet: bool) -> Done {
    variables.check()?;
    let report = make(&variables.plan(), output)?;
    if is_quiet {
        return Ok(());
    }
    tell(&report);
    println!(
        "Say who looks after it in {}, then: autobot start {}",
        output.join("info/admin").display(),
        output.display()
    );
    Ok(())
}

/// Writes the stub of a factory.
pub(super) fn project(args: &CreateProject) -> Done {
    let given = args.project.as_deref().unwrap_or_default();
    let name = scaffold::clean_name(given).ok_or_else(|| {
        Failure::usage(format!(
            "`{given}` has no letter in it, so it names nothing"
        ))
    })?;
    let path = project_file(&name, args.output.as_deref());
    let (Some(dir), Some(file)) = (path.parent(), path.file_name().and_then(|it| it.to_str()))
    else {
        return Err(Failure::usage(format!(
            "`{}` is not a file name",
            path.display()
        )));
    };
    if path.exists() {
        return Err(Failure::new(format!(
            "`{}` is there already",
            path.display()
        )));
    }
    let known = rooms::known_factories(&rooms::share_factories());
    if known.iter().any(|it| it.name == name) {
        return Err(Failure::new(format!("there is a factory `{name}` already"))
            .hint("give the project another name"));
    }
    let project = Project {
        description: answer(args.description.as_deref(), "description", "Description")?,
        repository: answer(
            args.repo.as_deref(),
            "repo",
            "Repository (URL or URL#branch)",
        )?,
        name,
    };
    write(&project.plan(file), dir)?;
    println!(
        "Fill it in, name it in the `factories` of a slave in master.ini, then: autobot reconfig"
    );
    Ok(())
}

/// `factories/NAME.toml` of the master in, or below, the directory, or a file of that name.
fn project_file(name: &str, output: Option<&Path>) -> PathBuf {
    let file = format!("{name}.toml");
    let in_master = |dir: &Path| {
        let master = Base::master_of(dir).ok()?;
        Some(master.dir.join("factories").join(&file))
    };
    match output {
        None => in_master(&default_dir()).unwrap_or_else(|| Path::new("factories").join(&file)),
        Some(output) if output.is_dir() => in_master(output).unwrap_or_else(|| output.join(&file)),
        Some(output) => output.to_owned(),
    }
}

fn answer(given: Option<&str>, option: &str, question: &str) -> Result<String, Failure> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None if terminal::somebody_is_there() => terminal::ask(question),
        None => Err(Failure::usage(format!("`--{option}` is missing"))),
    }
}

fn list_factories() -> Done {
    print!(
        "{}",
        listing(&rooms::known_factories(&rooms::share_factories()))
    );
    Ok(())
}

/// The list in the form that scripts know: a heading, then a block for each.
fn listing(known: &[Known]) -> String {
    let mut listing = "Factories::\n\n".to_owned();
    for it in known {
        let Known { name, summary, .. } = it;
        writeln!(listing, "{name}:\n{summary}").expect("a String takes every text");
        let words: Vec<_> = it.params.iter().map(|it| it.name.as_str()).collect();
        let more = it.extends.as_ref().map(|it| format!("those of `{it}`"));
        let words = words.into_iter().chain(more.as_deref());
        let words = words.collect::<Vec<_>>().join(", ");
        if !words.is_empty() {
            writeln!(listing, "parameters: {words}").expect("a String takes every text");
        }
        listing.push('\n');
    }
    listing
}

fn master_variables(
    shared: &SharedArgs,
    only: &MasterOnlyArgs,
) -> Result<MasterVariables, Failure> {
    let known = rooms::known_factories(&rooms::share_factories());
    let factories = if only.factory.is_empty() && terminal::somebody_is_there() {
        print!("{}", listing(&known));
        choose(&[terminal::ask("Enter factory")?], &known)?
    } else {
        choose(&only.factory, &known)?
    };
    let mut variables = MasterVariables {
        slave: shared.slave.clone(),
        os: only.os.clone(),
        password: shared.password()?,
        slaveport: shared.slaveport,
        htmlport: only.htmlport,
        publichtmlport: Some(only.publichtmlport),
        botname: only.botname.clone(),
        irc_host: only.irc_host.clone(),
        irc_channels: only.irc_channels.clone(),
        domain: only.domain.clone(),
        recipients: only.recipients.clone(),
        factories,
        ..MasterVariables::default()
    };
    only.rotation.put_into(&mut variables);
    Ok(variables)
}

/// The factories that were asked for, each once; `-` is all.
fn choose(wanted: &[String], known: &[Known]) -> Result<Vec<FactoryChoice>, Failure> {
    let wanted: Vec<&str> = wanted.iter().flat_map(|it| it.split_whitespace()).collect();
    let names: Vec<_> = known.iter().map(|it| it.name.as_str()).collect();
    let list = names.join(", ");
    if wanted.is_empty() {
        return Err(Failure::usage("no factory is named")
            .hint(format!("name one with `--factory=NAME`; there are {list}"))
            .hint("`-f -` is all that can be built without further parameters"));
    }
    let mut chosen: Vec<&Known> = Vec::new();
    if wanted == ["-"] {
        // Others build whatever one tells them to; projects are what can be built as it is.
        chosen.extend(known.iter().filter(|it| it.is_project()));
    } else {
        for name in wanted {
            let Some(found) = known.iter().find(|it| it.name == name) else {
                return Err(Failure::usage(format!("there is no factory `{name}`"))
                    .hint(format!("there are {list}")));
            };
            if !chosen.iter().any(|it| it.name == name) {
                chosen.push(found);
            }
        }
    }
    let choice = |it: &Known| FactoryChoice {
        lines: section_lines(&it.example),
        name: it.name.clone(),
    };
    Ok(chosen.into_iter().map(choice).collect())
}

/// The example of a factory as comments; a project needs nothing.
fn section_lines(example: &str) -> Vec<String> {
    let lines = example.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("# {line}")).collect()
}

fn slave_variables(
    shared: &SharedArgs,
    master: &str,
    tls: &SlaveTlsArgs,
) -> Result<SlaveVariables, Failure> {
    Ok(SlaveVariables {
        has_tls: tls.tls || tls.ca.is_some() || tls.tls_name.is_some(),
        authority: tls.ca.as_deref().map(authority_in).transpose()?,
        tls_name: tls.tls_name.clone(),
        master: master.to_owned(),
        slaveport: shared.slaveport,
        name: shared.slave.clone(),
        password: shared.password()?,
        host: this_machine(),
        ..SlaveVariables::default()
    })
}

/// The text of an authority's certificate, which the slave gets a copy of.
fn authority_in(file: &Path) -> Result<String, Failure> {
    // Any name will do: it is the file that is looked at.
    Trust::new(Some(file), "localhost").map_err(|error| {
        Failure::from(error).hint("`--ca` takes the `ca.pem` that `autobot tls init` made")
    })?;
    fs::read_to_string(file)
        .map_err(|error| Failure::because(format!("failed to read `{}`", file.display()), &error))
}

impl SharedArgs {
    fn password(&self) -> Result<String, Failure> {
        let Some(file) = &self.passwd_file else {
            return Ok(self.passwd.clone());
        };
        let read = fs::read_to_string(file).map_err(|error| {
            Failure::because(format!("failed to read `{}`", file.display()), &error)
        });
        Ok(read?.trim_end_matches('\n').to_owned())
    }
}

/// `NAME, SYSTEM RELEASE on MACHINE`.
pub(super) fn this_machine() -> String {
    let uname = rustix::system::uname();
    format!(
        "{}, {} {} on {}",
        uname.nodename().to_string_lossy(),
        uname.sysname().to_string_lossy(),
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy()
    )
}

fn write(plan: &Plan, output: &Path) -> Done {
    tell(&make(plan, output)?);
    Ok(())
}

fn make(plan: &Plan, output: &Path) -> Result<Report, Failure> {
    scaffold::write(plan, output, &rooms::create_store).map_err(|error| {
        let in_the_way = matches!(error, scaffold::WriteError::InTheWay(_));
        let failure = Failure::from(error);
        if in_the_way {
            failure.hint("nothing was written; name another directory, or move these away")
        } else {
            failure
        }
    })
}

fn tell(report: &Report) {
    for path in &report.written {
        println!("made {}", path.display());
    }
    for path in &report.kept {
        println!("kept {}, as it was", path.display());
    }
}

fn say_next(output: &Path, password: &str) {
    let master = if output.join("master").is_dir() {
        output.join("master")
    } else {
        output.to_owned()
    };
    if password == MasterVariables::default().password {
        println!(
            "The slave's password is `{password}`; change it before others can reach the port."
        );
    }
    let file = master.join("master.ini");
    let base = Base {
        dir: master,
        kind: Kind::Master,
    };
    // Some factories cannot do without settings that nobody can guess.
    match rooms::check(&base) {
        Ok(()) => println!(
            "Look into {}, then: autobot start {}",
            file.display(),
            output.display()
        ),
        Err(problems) => println!(
            "This is still to be filled in:\n\n{}\n\nEdit {}, then: autobot start {}",
            problems.trim_end(),
            file.display(),
            output.display()
        ),
    }
}

fn the_output(output: Option<&Path>) -> Result<&Path, Failure> {
    output
        .filter(|output| !output.as_os_str().is_empty())
        .ok_or_else(|| Failure::usage("no output directory is named"))
}

/// A port; 0 is the default in a configuration file, but nowhere on the network.
fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("it should be a number from 1 to 65535".to_owned()),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use clap::Parser;

    use super::*;
    use crate::factories::KnownParam;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: CreatePair,
    }

    fn known() -> Vec<Known> {
        let recipe = |name: &str, summary: &str, example: &str| Known {
            name: name.to_owned(),
            summary: summary.to_owned(),
            example: example.to_owned(),
            is_recipe: true,
            ..Known::default()
        };
        let words = ["features", "cache"].map(|name| KnownParam {
            name: name.to_owned(),
            default: None,
            help: String::new(),
        });
        vec![
            Known {
                params: words.into(),
                extends: Some("source".to_owned()),
                ..recipe("cargo", "Rust.", "git = URL\nclippy = yes\n")
            },
            recipe("hello", "Build hello.", ""),
            recipe("toolbox", "Test the toolbox.", ""),
        ]
    }

    fn choose_names(wanted: &[&str]) -> Result<Vec<String>, String> {
        let wanted: Vec<String> = wanted.iter().map(|&it| it.to_owned()).collect();
        let chosen = choose(&wanted, &known()).map_err(|failure| failure.text())?;
        Ok(chosen.into_iter().map(|it| it.name).collect())
    }

    #[test]
    fn options_have_the_defaults_that_the_scaffold_has() {
        let args = Line::try_parse_from(["create-autobot", "bot"])
            .unwrap()
            .args;
        let master = MasterVariables {
            slave: args.shared.slave.clone(),
            os: args.only.os,
            password: args.shared.passwd.clone(),
            slaveport: args.shared.slaveport,
            htmlport: args.only.htmlport,
            publichtmlport: Some(args.only.publichtmlport),
            botname: args.only.botname,
            irc_host: args.only.irc_host,
            irc_channels: args.only.irc_channels,
            domain: args.only.domain,
            recipients: args.only.recipients,
            ..MasterVariables::default()
        };
        assert_eq!(master, MasterVariables::default());
        let slave = SlaveVariables {
            host: SlaveVariables::default().host,
            ..slave_variables(&args.shared, &args.master, &SlaveTlsArgs::default())
                .expect("no file")
        };
        assert_eq!(slave, SlaveVariables::default());
    }

    #[test]
    fn one_output_is_needed_unless_factories_are_listed() {
        let parse = |line: &[&str]| Line::try_parse_from(line).map(|line| line.args);
        assert!(parse(&["create-autobot"]).is_err());
        assert!(parse(&["create-autobot", "a", "b"]).is_err());
        assert!(parse(&["create-autobot", "--list-factories"]).is_ok());
        assert!(parse(&["create-autobot", "--slaveport", "0", "a"]).is_err());
        let args = parse(&["create-autobot", "-f", "-", "--ircChannels", "", "bot"]).unwrap();
        assert_eq!(args.only.factory, ["-"]);
    }

    #[test]
    fn factories_are_listed_in_the_form_that_scripts_know() {
        assert_eq!(
            listing(&known()),
            "Factories::\n\n\
             cargo:\nRust.\nparameters: features, cache, those of `source`\n\n\
             hello:\nBuild hello.\n\ntoolbox:\nTest the toolbox.\n\n"
        );
    }

    #[test]
    fn factories_are_chosen_by_name_or_all() {
        let names = |names: &[&str]| Ok(names.iter().map(|&it| it.to_owned()).collect());
        assert_eq!(choose_names(&["-"]), names(&["hello", "toolbox"]));
        assert_eq!(choose_names(&["toolbox"]), names(&["toolbox"]));
        assert_eq!(
            choose_names(&["toolbox hello", "toolbox"]),
            names(&["toolbox", "hello"])
        );
    }

    #[test]
    fn what_needs_a_source_has_its_example_as_comments() {
        let chosen = choose(&["cargo".to_owned()], &known()).expect("a factory");
        assert_eq!(chosen[0].lines, ["# git = URL", "# clippy = yes"]);
        let chosen = choose(&["hello".to_owned()], &known()).expect("a factory");
        assert!(chosen[0].lines.is_empty());
    }

    #[test]
    fn a_factory_that_is_not_there_is_refused_with_those_that_are() {
        assert_eq!(
            choose_names(&["helo"]),
            Err("there is no factory `helo`\nhint: there are cargo, hello, toolbox".to_owned())
        );
        assert!(
            choose_names(&[])
                .unwrap_err()
                .starts_with("no factory is named\n")
        );
    }

    #[test]
    fn a_project_goes_where_its_master_looks() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(project_file("a", Some(root)), root.join("a.toml"));
        let named = root.join("new.toml");
        assert_eq!(project_file("a", Some(&named)), named);
        fs::create_dir(root.join("master")).unwrap();
        fs::write(root.join("master/master.ini"), "").unwrap();
        assert_eq!(
            project_file("a", Some(root)),
            root.join("master/factories/a.toml")
        );
    }

    #[derive(Debug, Parser)]
    struct ProjectLine {
        #[command(flatten)]
        args: CreateProject,
    }

    #[test]
    fn a_call_that_makes_no_sense_ends_with_2_and_what_cannot_be_done_with_1() {
        let wrong = choose(&["helo".to_owned()], &known()).expect_err("no such factory");
        assert_eq!(wrong.code(), ExitCode::from(2));
        assert_eq!(
            choose(&[], &known()).expect_err("none").code(),
            ExitCode::from(2)
        );
        let line = ["create-autobot-project", "a", "b", "c"];
        let told = ProjectLine::try_parse_from(line).expect_err("one too many");
        assert_eq!(told.exit_code(), 2);

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new.toml");
        let project_of = |name: &str| {
            let line = ["create-autobot-project", name, file.to_str().unwrap()];
            let args = ProjectLine::try_parse_from(line).unwrap().args;
            project(&args).expect_err(name)
        };
        let nameless = project_of("2-3");
        assert_eq!(
            nameless.text(),
            "`2-3` has no letter in it, so it names nothing"
        );
        assert_eq!(nameless.code(), ExitCode::from(2));
        fs::write(&file, "mine").unwrap();
        let there = project_of("Hello-2");
        assert_eq!(
            there.text(),
            format!("`{}` is there already", file.display())
        );
        assert_eq!(there.code(), ExitCode::from(1));
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }

    #[test]
    fn what_is_not_said_is_an_error_where_nobody_can_be_asked() {
        assert_eq!(answer(Some("x"), "repo", "?").expect("said"), "x");
        if terminal::somebody_is_there() {
            return;
        }
        let missing = answer(None, "repo", "?").expect_err("nobody is there");
        assert_eq!(missing.text(), "`--repo` is missing");
        assert_eq!(missing.code(), ExitCode::from(2));
    }
}
