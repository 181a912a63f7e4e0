//! `autobot run --list`: the steps of a factory, and what each runs first, as
//! far as that is known before anything is run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cli::terminal::DIM;
use crate::cli::terminal::STRONG;
use crate::expr::Values;
use crate::model::Command;
use crate::model::Properties;
use crate::model::ShellLine;
use crate::model::SourceStamp;
use crate::steps::Cx;
use crate::steps::Move;
use crate::steps::StepPlan;

/// The steps, those that are left out with the reason.
pub(super) fn listed(
    steps: &[StepPlan],
    reasons: &[Option<String>],
    properties: &Properties,
) -> String {
    let width = steps.iter().map(|it| it.name.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for (step, reason) in steps.iter().zip(reasons) {
        let name = &step.name;
        let what = match reason {
            Some(why) => format!("{DIM}skipped: {why}{DIM:#}"),
            None => first(step, properties),
        };
        let indent = format!("\n{:width$}  ", "");
        let what = what.trim_end().replace('\n', &indent);
        let _ = writeln!(text, "{STRONG}{name:width$}{STRONG:#}  {what}");
    }
    text
}

/// What a step runs first.
fn first(step: &StepPlan, properties: &Properties) -> String {
    let mut properties = properties.clone();
    let mut cx = Cx {
        name: &step.name,
        flags: step.flags,
        properties: &mut properties,
        seen: &Values::new(),
        stamp: &SourceStamp::default(),
        changes: &[],
        submitted: None,
        builder_dir: "",
        workdir: "build",
        env: &BTreeMap::new(),
    };
    match step.body.begin().advance(&mut cx, None) {
        Ok(Move::Run(Command::Shell(shell))) => match shell.line {
            ShellLine::Script(script) => script,
            ShellLine::Argv(words) => quoted(&words),
        },
        Ok(Move::Send(piece)) => format!("{DIM}sends{DIM:#} {}", piece.file),
        Ok(Move::Receive(receipt)) => {
            format!("{DIM}fetches{DIM:#} {}", receipt.upload.path)
        }
        Ok(_) => format!("{DIM}runs no program first{DIM:#}"),
        Err(error) => format!("{DIM}known only when it is run: {error}{DIM:#}"),
    }
}

/// Words as a shell takes them.
fn quoted(words: &[String]) -> String {
    let plain = |it: char| it.is_alphanumeric() || "-_./=:,+@%^".contains(it);
    let words = words
        .iter()
        .map(|word| match !word.is_empty() && word.chars().all(plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', r#"'"'"'"#)),
        });
    words.collect::<Vec<_>>().join(" ")
}
