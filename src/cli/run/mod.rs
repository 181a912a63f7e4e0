//! `autobot run`: a factory's steps are run here, in this directory, as a
//! slave of a master would: a master without doors and a slave live in this
//! process for as long as the build takes.

mod chosen;
mod list;
mod plan;
mod show;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anstream::AutoStream;
use anstream::eprintln;
use anstream::print;
use clap::Args;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::chosen::Wish;
use self::plan::Order;
use self::plan::SLAVE;
use self::show::Show;
use super::exit::Done;
use super::exit::Failure;
use super::rooms;
use crate::clock;
use crate::master::rehearsal::Piece;
use crate::master::rehearsal::Rehearsal;
use crate::master::rehearsal::password;
use crate::model::BuildRecord;
use crate::model::Outcome;
use crate::slave;
use crate::steps::StepPlan;

/// Between two looks at what the build says; it also tells when there is more.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes on the way between master and slave.
const LINE: usize = 256 << 10;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A factory type, a recipe of ./factories or of the program, or the file of a recipe
    factory: String,
    /// A parameter of the factory, as in its section: `--param git=https://…`, as often as wanted
    #[arg(long = "param", value_name = "KEY=VALUE")]
    params: Vec<String>,
    /// A property of the build, as often as wanted
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// Run only this step, as often as wanted
    #[arg(long = "step", value_name = "NAME", conflicts_with = "from")]
    steps: Vec<String>,
    /// Begin with this step
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Run the steps that check sources out, too, in a directory of their own
    #[arg(long)]
    checkout: bool,
    /// That directory [default: one under the temporary directory, removed at the end]
    #[arg(long, requires = "checkout")]
    dir: Option<PathBuf>,
    /// Where files go that steps upload to the master
    #[arg(long, value_name = "DIR")]
    uploads: Option<PathBuf>,
    /// What the factory is told of the system: `linux`, `win` or `mac` [default: this one]
    #[arg(long, value_name = "OS")]
    slave_os: Option<String>,
    /// Print the steps and their commands, and run nothing
    #[arg(long)]
    list: bool,
    /// Print all that the log has of each command: its directory, limits and environment
    #[arg(short, long)]
    verbose: bool,
}

/// Runs the steps, and says how that ended with the exit code.
pub(super) async fn run(args: &RunArgs) -> Done {
    let here = env::current_dir()
        .map_err(|error| Failure::because("failed to find the current directory", &error))?;
    let mut order = Order::read(args, &here)?;
    let wish = Wish {
        only: args.steps.clone(),
        from: args.from.clone(),
        checkout: args.checkout,
    };
    let steps = order.steps(&slave::platform(&here))?;
    check(&wish, &steps)?;
    if args.list {
        let reasons = wish.reasons(&steps);
        print!("{}", list::listed(&steps, &reasons, order.properties()));
        return Ok(());
    }
    let base = Base::make(args, &here, &order.workdir()?)?;
    order.settle(&base.builder(), wish);
    let build = base.build(order, args.verbose).await;
    base.clear();
    match build?.outcome {
        Some(Outcome::Success | Outcome::Warnings | Outcome::Skipped) => Ok(()),
        Some(Outcome::Failure) => Err(Failure::told()),
        Some(Outcome::Exception | Outcome::Retry) | None => Err(Failure::usage("")),
    }
}

/// Every step that is named is there.
fn check(wish: &Wish, steps: &[StepPlan]) -> Done {
    let names: Vec<&str> = steps.iter().map(|it| it.name.as_str()).collect();
    for wanted in wish.only.iter().chain(&wish.from) {
        if !names.contains(&wanted.as_str()) {
            return Err(Failure::usage(format!("there is no step `{wanted}`"))
                .hint(format!("there are {}", names.join(", "))));
        }
    }
    Ok(())
}

/// The directory of the master and the slave of one build.
struct Base {
    dir: PathBuf,
    /// Where files go that steps upload, if that was said.
    uploads: Option<PathBuf>,
}

impl Base {
    /// Makes it, with the tree in its place: the current directory, or a new one.
    fn make(args: &RunArgs, here: &Path, workdir: &str) -> Result<Self, Failure> {
        let dir = fresh()?;
        let failed = |what: &Path| {
            let what = format!("failed to make `{}`", what.display());
            move |error: std::io::Error| Failure::because(what.clone(), &error)
        };
        let base = Self {
            uploads: args.uploads.as_ref().map(|it| here.join(it)),
            dir,
        };
        let builder = base.builder();
        let place: PathBuf = builder.join(workdir).components().collect();
        let above = place.parent().unwrap_or(&builder);
        for dir in [above, &base.slave().join("info"), &base.received()] {
            fs::create_dir_all(dir).map_err(failed(dir))?;
        }
        let tree = match (args.checkout, &args.dir) {
            (false, _) => here.to_owned(),
            (true, Some(dir)) => here.join(dir),
            (true, None) => place.clone(),
        };
        fs::create_dir_all(&tree).map_err(failed(&tree))?;
        // A tree that has a place of its own stays there.
        if place.starts_with(&base.dir) && place != tree {
            symlink(&tree, &place).map_err(failed(&place))?;
        }
        Ok(base)
    }

    /// The builder's directory, in which the tree is `build`.
    fn builder(&self) -> PathBuf {
        self.dir.join("builder")
    }

    fn slave(&self) -> PathBuf {
        self.dir.join("slave")
    }

    fn received(&self) -> PathBuf {
        self.uploads
            .clone()
            .unwrap_or_else(|| self.dir.join("uploads"))
    }

    /// Runs the build to its end.
    async fn build(&self, order: Order, is_verbose: bool) -> Result<BuildRecord, Failure> {
        let password = password().map_err(Failure::new)?;
        let (ours, theirs) = tokio::io::duplex(LINE);
        let settings = slave::SlaveSettings {
            password: password.clone(),
            // The tree is where it is, and not below the base directory.
            grounds: Some(PathBuf::from("/")),
            capabilities: BTreeMap::new(),
            ..rooms::kept_slave(self.slave(), SLAVE.to_owned()).map_err(Failure::new)?
        };
        let slave_stop = CancellationToken::new();
        let (read, write) = tokio::io::split(theirs);
        let slave = tokio::spawn(slave::run_over(settings, read, write, slave_stop.clone()));
        let piece = Piece {
            dir: self.dir.clone(),
            plan: order.plan,
            password,
            builder: order.builder,
            sent: order.files,
            received: self.received(),
        };
        let (read, write) = tokio::io::split(ours);
        let rehearsal = Rehearsal::begin(piece, read, write).await?;
        let build = follow(&rehearsal, is_verbose).await;
        rehearsal.end().await;
        slave_stop.cancel();
        // What it says at its end is of no use any more.
        drop(slave.await);
        build
    }

    /// Removes it, but for files that were uploaded and that nobody has said a place for.
    fn clear(&self) {
        let uploads = self.dir.join("uploads");
        let has_uploads = fs::read_dir(&uploads).is_ok_and(|mut it| it.next().is_some());
        if has_uploads {
            eprintln!("what it uploaded is in `{}`", uploads.display());
            for dir in [self.builder(), self.slave(), self.dir.join("builds")] {
                drop(fs::remove_dir_all(dir));
            }
            return;
        }
        drop(fs::remove_dir_all(&self.dir));
    }
}

/// A new directory that only this user can look into.
fn fresh() -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;

    let above = env::temp_dir();
    let above = fs::canonicalize(&above).unwrap_or(above);
    for number in 0.. {
        let dir = above.join(format!("autobot-run-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                let what = format!("failed to make `{}`", dir.display());
                return Err(Failure::because(what, &error));
            }
        }
    }
    Err(Failure::new("there is no name left for a directory"))
}

/// Shows what the build says until it is over. The first Ctrl-C stops it as a person does on
/// the page; from the second on, whatever runs is ended at once.
async fn follow(rehearsal: &Rehearsal, is_verbose: bool) -> Result<BuildRecord, Failure> {
    let failed = |error| Failure::because("failed to listen for signals", &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut news = rehearsal.subscribe();
    let mut show = Show::new(AutoStream::auto(std::io::stdout()), is_verbose);
    let mut asked = 0;
    loop {
        if let Some((build, steps)) = rehearsal.look().await? {
            let printed = show.look(&steps, |file| rehearsal.log(file));
            if let Err(error) = printed {
                // Nobody reads any more: nothing is left to be done for him.
                rehearsal.interrupt("nobody reads what it says");
                rehearsal.kill("nobody reads what it says").await;
                if error.kind() != ErrorKind::BrokenPipe {
                    return Err(Failure::because("failed to print", &error));
                }
                asked += 2;
            }
            if build.outcome.is_some() {
                let _ = show.end(&build, clock::now());
                return Ok(build);
            }
        }
        if asked > 1 {
            rehearsal.kill("interrupted twice").await;
        }
        tokio::select! {
            _ = interrupt.recv() => asked += 1,
            _ = terminate.recv() => asked += 2,
            _ = news.recv() => continue,
            () = sleep(LOOK) => continue,
        }
        if asked > 2 {
            // What does not listen is left behind; what this process runs itself ends with it.
            return Err(Failure::usage("it was interrupted three times"));
        }
        if asked == 1 {
            eprintln!("stopping; Ctrl-C again ends what still runs");
        }
        rehearsal.interrupt("interrupted");
    }
}
