//! `generate = ./script`: a program prints a part of the configuration as
//! TOML. It is the only escape: nothing else in a configuration runs code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::process;
use crate::process::Output;
use crate::process::RunError;
use crate::syntax::Begins;
use crate::syntax::Code;
use crate::syntax::CommandText;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Source;
use crate::syntax::Value;

/// A configuration is waited for by a person.
const LIMIT: Duration = Duration::from_secs(60);

/// Longer than any farm's description.
const MOST: usize = 64 << 20;

/// Runs the program that stands at `node`, in `dir`, and gives what it printed.
pub(super) fn run(node: &Node, dir: &Path) -> Result<Arc<Source>, Box<Problem>> {
    let wrong = |what: String| Problem::error(Code::BadGenerator, what).at(&node.place);
    let line = CommandText::read(node).map_err(|_| {
        wrong("bad value for `generate`".to_owned())
            .label(format!("expected {}", CommandText::EXPECTED))
    })?;
    let (program, args, shown) = match line.render(&crate::model::Properties::new()) {
        Ok(crate::model::ShellLine::Argv(mut words)) => {
            let program = words.remove(0);
            let shown = program.clone();
            (program, words, shown)
        }
        Ok(crate::model::ShellLine::Script(line)) => (
            "/bin/sh".to_owned(),
            vec!["-c".to_owned(), line.clone()],
            line,
        ),
        Err(error) => {
            return Err(wrong("bad value for `generate`".to_owned())
                .label(error.to_string())
                .into());
        }
    };
    let said = on_a_thread(&program, &args, dir)
        .map_err(|why| wrong(format!("`{shown}` gave no configuration")).label(why))?;
    if said.code != 0 {
        let why = match said.code {
            -1 => "a signal ended it".to_owned(),
            code => format!("it ended with exit status {code}"),
        };
        let mut problem = wrong(format!("`{shown}` failed")).label(why);
        let stderr = String::from_utf8_lossy(&said.stderr);
        for line in stderr
            .lines()
            .rev()
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            problem = problem.help(format!("it said: {line}"));
        }
        return Err(problem.into());
    }
    let text = String::from_utf8(said.stdout)
        .map_err(|_| wrong(format!("what `{shown}` prints is not written in UTF-8")))?;
    Ok(Arc::new(Source {
        name: format!("(printed by {shown}).toml"),
        included: Some(Place::clone(&node.place)),
        dir: dir.to_owned(),
        text,
        begins: Begins::default(),
    }))
}

/// The configuration is read where an executor may run already, which cannot
/// wait for another.
fn on_a_thread(program: &str, args: &[String], dir: &Path) -> Result<Output, String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let run = process::run(program, &args, &[], dir, LIMIT, MOST);
        runtime.block_on(run).map_err(|error: RunError| {
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                text = format!("{text}: {cause}");
            }
            text
        })
    };
    std::thread::scope(|scope| {
        scope
            .spawn(work)
            .join()
            .unwrap_or_else(|_| Err("it could not be run".to_owned()))
    })
}
