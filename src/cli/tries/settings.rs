//! What a try is to do: the command line, and behind it the file of options.

use std::path::PathBuf;

use super::args::Connect;
use super::args::TryArgs;
use super::args::Untracked;
use super::vc::KINDS;
use super::vc::Vc;
use crate::cli::args::MasterArgs;
use crate::cli::exit::Failure;
use crate::cli::options_file::Options;
use crate::cli::tryserver;

/// Everything that was said, wherever.
pub(super) struct Settings {
    pub(super) way: Way,
    pub(super) master: MasterArgs,
    pub(super) who: String,
    pub(super) comment: String,
    pub(super) builders: Vec<String>,
    pub(super) properties: Vec<(String, String)>,
    pub(super) source: Source,
    pub(super) waits: bool,
    pub(super) is_rehearsal: bool,
    pub(super) is_quiet: bool,
}

/// How the job gets to the master.
pub(super) enum Way {
    Http(Login),
    Ssh(Host),
}

/// Who tries it, and with whom.
#[derive(Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) scheduler: Option<String>,
}

/// The master's machine.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) user: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) jobdir: String,
    /// The program, and what it is told.
    pub(super) ssh: Vec<String>,
    pub(super) program: String,
}

/// What the patch is of.
pub(super) struct Source {
    pub(super) diff: Option<(PathBuf, u32)>,
    pub(super) base: Option<String>,
    pub(super) vc: Option<&'static dyn Vc>,
    pub(super) branch: Option<String>,
    pub(super) repository: String,
    pub(super) project: String,
    pub(super) topfile: Option<String>,
    pub(super) topdir: Option<PathBuf>,
    pub(super) untracked: Option<Untracked>,
}

impl Settings {
    pub(super) fn of(args: &TryArgs, file: &Options) -> Result<Self, Failure> {
        let or = |said: &Option<String>, names: &[&str]| -> Result<Option<String>, Failure> {
            match said {
                Some(said) => Ok(Some(said.clone())),
                None => file.text(names),
            }
        };
        let host = or(&args.host, &["try_host"])?;
        let connect = match (args.connect, file.text(&["try_connect"])?) {
            (Some(connect), _) => connect,
            (None, Some(word)) => word_of(&word, "try_connect", "`http` and `ssh`")?,
            (None, None) if host.is_some() => Connect::Ssh,
            (None, None) => Connect::Http,
        };
        let user = or(&args.username, &["try_username"])?;
        let master = MasterArgs {
            dir: args.master.dir.clone(),
            master: match args.master.dir {
                // What is named on the command line is nearer than a file.
                Some(_) => args.master.master.clone(),
                None => or(
                    &args.master.master,
                    &["masterstatus", "try_master", "try_masterstatus"],
                )?,
            },
            ca: match &args.master.ca {
                Some(ca) => Some(ca.clone()),
                None => file.text(&["ca"])?.map(|it| tryserver::home(it.as_ref())),
            },
        };
        let mut properties = args.property.clone();
        properties.extend(args.properties.clone());
        let way = match connect {
            Connect::Http => Way::Http(Login {
                user,
                password: or(&args.passwd, &["try_passwd", "try_password"])?,
                scheduler: or(&args.scheduler, &["try_scheduler"])?,
            }),
            Connect::Ssh => {
                if !properties.is_empty() {
                    return Err(
                        Failure::usage("a job that comes over ssh has no properties")
                            .hint("`--connect=http` takes them"),
                    );
                }
                if args.get_builder_names {
                    return Err(
                        Failure::usage("over ssh nobody says which builders there are")
                            .hint("`--connect=http` does"),
                    );
                }
                Way::Ssh(host_of(args, file, host, user)?)
            }
        };
        let builders = match args.builders.is_empty() {
            true => file.list("try_builders")?,
            false => args.builders.clone(),
        };
        let vc = or(&args.vc, &["try_vc"])?.map(|name| {
            let found = KINDS.into_iter().find(|it| it.name() == name);
            found.ok_or_else(|| {
                let known: Vec<_> = KINDS.iter().map(|it| it.name()).collect();
                let known = known.join(", ");
                Failure::usage(format!(
                    "there is no version control `{name}`; there are {known}"
                ))
            })
        });
        let untracked = match (args.untracked, file.text(&["try_untracked"])?) {
            (Some(untracked), _) => Some(untracked),
            (None, Some(word)) => Some(word_of(&word, "try_untracked", "`include` and `ignore`")?),
            (None, None) => None,
        };
        let topdir = match &args.topdir {
            Some(dir) => Some(dir.clone()),
            None if args.topfile.is_some() => None,
            None => file.text(&["try_topdir"])?.map(PathBuf::from),
        };
        Ok(Self {
            way,
            master,
            who: or(&args.who, &["try_who"])?.unwrap_or_default(),
            comment: or(&args.comment, &["try_comment"])?.unwrap_or_default(),
            builders,
            properties,
            source: Source {
                diff: args.diff.clone().map(|it| (it, args.patchlevel)),
                base: args.baserev.clone(),
                vc: vc.transpose()?,
                branch: or(&args.branch, &["try_branch"])?,
                repository: or(&args.repository, &["try_repository"])?.unwrap_or_default(),
                project: or(&args.project, &["try_project"])?.unwrap_or_default(),
                topfile: or(&args.topfile, &["try_topfile"])?,
                topdir: topdir.map(|it| tryserver::home(&it)),
                untracked,
            },
            waits: args.wait || file.truth("try_wait")?,
            is_rehearsal: args.dry_run,
            is_quiet: args.quiet || file.truth("try_quiet")?,
        })
    }
}

fn word_of<T: clap::ValueEnum>(word: &str, name: &str, known: &str) -> Result<T, Failure> {
    T::from_str(word, false).map_err(|_| {
        Failure::new(format!(
            "the option `{name}` knows {known}, and not `{word}`"
        ))
    })
}

fn host_of(
    args: &TryArgs,
    file: &Options,
    host: Option<String>,
    user: Option<String>,
) -> Result<Host, Failure> {
    let missing = |what: &str, option: &str, name: &str| {
        Failure::usage(format!("{what} is missing")).hint(format!(
            "`{option}`, or `{name} = '…'` in the file of options"
        ))
    };
    let jobdir = match &args.jobdir {
        Some(dir) => Some(dir.clone()),
        None => file.text(&["try_jobdir", "try_dir"])?,
    };
    let ssh = match &args.ssh {
        Some(ssh) => Some(ssh.clone()),
        None => file.text(&["try_ssh"])?,
    };
    let port = match (args.port, file.text(&["try_port"])?) {
        (Some(port), _) => Some(port),
        (None, Some(text)) => Some(text.parse().map_err(|_| {
            Failure::new(format!("the option `try_port` is a port, and not `{text}`"))
        })?),
        (None, None) => None,
    };
    let program = match &args.autobotbin {
        Some(program) => Some(program.clone()),
        None => file.text(&["try_buildbotbin", "try_autobotbin"])?,
    };
    let name = host.ok_or_else(|| missing("the master's machine", "--host", "try_host"))?;
    if name.starts_with('-') {
        return Err(Failure::usage(format!("`{name}` is no host")));
    }
    let ssh = ssh.unwrap_or_else(|| "ssh".to_owned());
    Ok(Host {
        name,
        user,
        port,
        jobdir: jobdir
            .ok_or_else(|| missing("the directory of the jobs", "--jobdir", "try_jobdir"))?,
        ssh: ssh.split_whitespace().map(str::to_owned).collect(),
        program: program.unwrap_or_else(|| "autobot".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Autobot;
    use crate::cli::args::Verb;

    fn settings(line: &[&str], file: &str) -> Result<Settings, Failure> {
        let line = ["autobot", "try"].iter().chain(line);
        let Verb::Try(args) = Autobot::try_parse_from(line).expect("understood").verb else {
            panic!("try is a verb");
        };
        Settings::of(&args, &Options::of_text(file))
    }

    fn told(line: &[&str], file: &str) -> String {
        settings(line, file)
            .map(|_| ())
            .expect_err("refused")
            .text()
    }

    #[test]
    fn the_command_line_is_nearer_than_the_file() {
        let file = "try_connect = 'pb'\ntry_master = 'ci.test:8010'\ntry_username = 'ines'\n\
                    try_password = 'old'\ntry_builders = ['a', 'b']\ntry_wait = True\ntry_vc = 'hg'\n";
        let it = settings(&[], file).unwrap();
        assert_eq!(it.master.master.as_deref(), Some("ci.test:8010"));
        assert_eq!(it.builders, ["a", "b"]);
        assert!(it.waits && !it.is_quiet);
        assert_eq!(it.source.vc.map(Vc::name), Some("hg"));
        let Way::Http(login) = it.way else {
            panic!("pb is http here");
        };
        assert_eq!(login.user.as_deref(), Some("ines"));
        assert_eq!(login.password.as_deref(), Some("old"));

        let line = [
            "-b",
            "c",
            "-u",
            "ann",
            "--vc",
            "git",
            "-m",
            "https://x",
            "-q",
        ];
        let it = settings(&line, file).unwrap();
        assert_eq!(it.master.master.as_deref(), Some("https://x"));
        assert_eq!(it.builders, ["c"]);
        assert!(it.is_quiet);
        assert_eq!(it.source.vc.map(Vc::name), Some("git"));
    }

    #[test]
    fn properties_come_one_by_one_or_together() {
        let line = [
            "--property",
            "a=1,2",
            "--properties",
            "b=x=y,c=",
            "--properties",
            "d=3",
        ];
        let it = settings(&line, "").unwrap();
        let given: Vec<_> = it
            .properties
            .iter()
            .map(|it| format!("{}:{}", it.0, it.1))
            .collect();
        assert_eq!(given, ["a:1,2", "b:x=y", "c:", "d:3"]);
    }

    #[test]
    fn a_host_makes_it_ssh_and_needs_a_directory() {
        let it = settings(
            &["--host", "ci", "--jobdir", "~/t", "--ssh", "ssh -i k"],
            "",
        )
        .unwrap();
        let Way::Ssh(host) = it.way else {
            panic!("it is ssh");
        };
        assert_eq!((host.name.as_str(), host.jobdir.as_str()), ("ci", "~/t"));
        assert_eq!(host.ssh, ["ssh", "-i", "k"]);
        assert_eq!(
            told(&["--connect=ssh", "--host=ci"], ""),
            "the directory of the jobs is missing\n\
             hint: `--jobdir`, or `try_jobdir = '…'` in the file of options"
        );
        let told_of_properties = told(&["--host=ci", "--jobdir=t", "--property=a=b"], "");
        assert!(told_of_properties.starts_with("a job that comes over ssh has no properties"));
        assert!(told(&["--host=-oProxyCommand=x", "--jobdir=t"], "").contains("is no host"));
    }

    #[test]
    fn words_that_are_none_are_told() {
        assert_eq!(
            told(&[], "try_connect = 'irc'"),
            "the option `try_connect` knows `http` and `ssh`, and not `irc`"
        );
        assert_eq!(
            told(&[], "try_vc = 'sccs'"),
            "there is no version control `sccs`; there are git, hg, svn, bzr, darcs, mtn, cvs, p4"
        );
    }
}
