//! From a verb to the file that does it.

use std::future::Future;
use std::pin::Pin;

use clap::CommandFactory as _;

use super::args::Autobot;
use super::args::Verb;
use super::audit;
use super::builds;
use super::checkconfig;
use super::completions;
use super::config;
use super::convert;
use super::create;
use super::demo;
use super::exit::Done;
use super::exit::Failure;
use super::explain;
use super::force;
use super::help;
use super::kinds;
use super::log;
use super::ping;
use super::prune;
use super::queue;
use super::reconfig;
use super::run as run_here;
use super::schema;
use super::sendchange;
use super::slaves;
use super::ssh;
use super::start;
use super::status;
use super::statuslog;
use super::stop_clean;
use super::templates;
use super::tls;
use super::token;
use super::tries;
use super::tryserver;
use super::user;
use super::why;

/// Does what was asked.
pub(super) fn run(verb: Verb) -> Done {
    match verb {
        Verb::Demo(args) => wait_for(demo::run(&args)),
        Verb::CreateAutobot(args) => create::pair(&args),
        Verb::CreateAutobotMaster(args) => create::master(&args),
        Verb::CreateAutobotSlave(args) => create::slave(&args),
        Verb::CreateAutobotProject(args) if args.project.is_none() => {
            usage_of("create-autobot-project")
        }
        Verb::CreateAutobotProject(args) => create::project(&args),
        // It makes its own threads, after it has left the session.
        Verb::Start(args) if args.nodaemon => start::in_foreground(&args),
        Verb::Start(args) => wait_for(start::start(&args.dirs)),
        Verb::Stop(args) if args.clean => wait_for(stop_clean::stop(&args)),
        Verb::Stop(args) if args.cancel => wait_for(stop_clean::cancel(&args)),
        Verb::Stop(args) if args.far.is_named() => Err(Failure::usage(
            "a master is stopped at once only on its own machine",
        )
        .hint("`--clean` stops it from here when its builds are done")),
        Verb::Stop(args) => wait_for(start::stop(&args.dirs)),
        Verb::Restart(args) => wait_for(start::restart(&args)),
        Verb::Reconfig(args) => wait_for(reconfig::run(&args)),
        Verb::Config(args) => wait_for(config::run(&args)),
        Verb::Status(args) => wait_for(status::run(&args)),
        Verb::Statuslog(args) => wait_for(statuslog::run(&args)),
        Verb::Slave(args) => wait_for(slaves::run(&args)),
        Verb::SshTrust(args) => ssh::trust(&args),
        Verb::Checkconfig(args) => checkconfig::check(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Convert(args) => convert::run(&args),
        Verb::Schema(args) => schema::run(&args),
        Verb::ParseAutobotConfig(args) => checkconfig::parse(&args.file),
        Verb::Tls(args) => tls::run(&args),
        Verb::Why(args) => wait_for(why::run(&args)),
        Verb::Rebuild(args) => wait_for(queue::rebuild(&args)),
        Verb::Cancel(args) => wait_for(queue::cancel(&args)),
        Verb::StopBuild(args) => wait_for(queue::stop_build(&args)),
        Verb::Factories(args) => kinds::factories(&args),
        Verb::Steps(args) => kinds::steps(&args),
        Verb::Schedulers(args) => kinds::schedulers(&args),
        Verb::Run(args) => wait_for(run_here::run(&args)),
        Verb::Force(args) => wait_for(force::run(&args)),
        Verb::Ping(args) => wait_for(ping::run(&args)),
        Verb::Sendchange(args) => wait_for(sendchange::run(args)),
        Verb::Try(args) => wait_for(tries::run(&args)),
        Verb::Tryserver(args) => tryserver::run(&args),
        Verb::Builds(args) => wait_for(builds::run(&args)),
        Verb::Log(args) => wait_for(log::run(&args)),
        Verb::User(args) => wait_for(user::run(&args)),
        Verb::Token(args) => wait_for(token::run(&args)),
        Verb::Audit(args) => wait_for(audit::run(&args)),
        Verb::Prune(args) => wait_for(prune::run(&args)),
        Verb::Templates(args) => templates::run(&args),
        Verb::Completions(args) => completions::completions(args.shell),
        Verb::Man(args) => completions::man(&args.dir),
        Verb::Help(args) => help::run(args.word.as_deref()),
    }
}

/// Prints how a verb is used; that somebody asked is no failure.
fn usage_of(verb: &str) -> Done {
    let mut program = Autobot::command();
    program.build();
    let verb = program
        .find_subcommand_mut(verb)
        .expect("the verb is one of ours");
    verb.print_help()
        .map_err(|error| Failure::because("failed to print", &error))
}

/// Runs what waits for others, on this thread.
pub(super) fn wait_for(work: impl Future<Output = Done>) -> Done {
    wait_for_any(Box::pin(work))
}

/// The same for all verbs: an event loop of its own for each would be a hundredth of the program.
fn wait_for_any(work: Pin<Box<dyn Future<Output = Done> + '_>>) -> Done {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because("failed to start the event loop", &error))?
        .block_on(work)
}
