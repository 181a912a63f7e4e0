//! `autobot help`: the overview, a verb, or the code of a problem.

use anstream::print;
use anstream::println;
use clap::Args;
use clap::CommandFactory as _;

use super::args::Autobot;
use super::exit::Done;
use super::exit::Failure;
use crate::syntax::Code;
use crate::syntax::nearest;

#[derive(Debug, Args)]
pub(super) struct HelpArgs {
    /// A verb, a code such as `unknown-key`, or `codes` for all of them
    pub(super) word: Option<String>,
}

/// Explains a word.
pub(super) fn run(word: Option<&str>) -> Done {
    match word {
        None => print!("{}", overview().ansi()),
        Some("codes") => print!("{}", codes()),
        Some(word) => println!("{}", about(word)?.trim_end()),
    }
    Ok(())
}

fn overview() -> clap::builder::StyledStr {
    Autobot::command().render_help()
}

/// Every code with the first sentence about it.
fn codes() -> String {
    let width = Code::ALL.iter().map(|it| it.word().len()).max();
    let width = width.unwrap_or_default();
    let line = |code: &Code| {
        let first = code.explanation().split_inclusive(". ").next();
        let first = first.unwrap_or_default().trim_end();
        format!("{:width$}  {first}\n", code.word())
    };
    Code::ALL.iter().map(line).collect()
}

fn about(word: &str) -> Result<String, Failure> {
    let mut program = Autobot::command();
    program.build();
    if let Some(verb) = program.find_subcommand_mut(word) {
        return Ok(verb.render_long_help().ansi().to_string());
    }
    // As it is shown, `error[unknown-key]`, or the bare word.
    let code = word
        .trim_start_matches("error")
        .trim_start_matches("warning");
    let code = code.trim_matches(['[', ']']);
    if let Some(code) = Code::ALL.iter().find(|it| it.word() == code) {
        return Ok(format!("{code}\n\n{}", wrapped(code.explanation())));
    }
    let verbs = program.get_subcommands().map(|it| it.get_name().to_owned());
    let codes = Code::ALL.iter().map(|it| it.word().to_owned());
    let failure = Failure::usage(format!("there is no verb and no code `{word}`"));
    Err(match nearest(word, verbs.chain(codes)) {
        Some(near) => failure.hint(format!("did you mean `autobot help {near}`?")),
        None => failure.hint("`autobot help` lists the verbs, `autobot help codes` the codes"),
    })
}

/// In lines that a terminal has room for.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let count = word.chars().count();
        if length > 0 && length + 1 + count > 80 {
            out.push('\n');
            length = 0;
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += count;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_codes_are_explained() {
        assert!(about("start").unwrap().contains("--nodaemon"));
        assert!(about("sighup").unwrap().contains("changed configuration"));
        let shown = about("error[no-list]").unwrap();
        assert_eq!(shown, about("no-list").unwrap());
        assert_eq!(
            shown,
            "no-list\n\n`+=` appends to a list and `-=` removes from it. This key is no list: write `=`."
        );
        for code in Code::ALL {
            assert!(codes().contains(&format!("{code} ")), "{code}");
        }
    }

    #[test]
    fn no_code_is_called_like_a_verb() {
        let program = Autobot::command();
        for code in Code::ALL {
            assert!(program.find_subcommand(code.word()).is_none(), "{code}");
        }
    }

    #[test]
    fn the_nearest_word_is_suggested() {
        let told = |word| about(word).unwrap_err().text();
        assert_eq!(
            told("unknwon-key"),
            "there is no verb and no code `unknwon-key`\nhint: did you mean `autobot help unknown-key`?"
        );
        assert!(told("xyzzy").ends_with("`autobot help codes` the codes"));
        assert_eq!(
            format!("{:?}", about("x").unwrap_err().code()),
            format!("{:?}", std::process::ExitCode::from(2))
        );
    }
}
