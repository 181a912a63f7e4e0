//! The lines that the runner adds to a log: what is run, where, how it ended.
//! Their words are Buildbot's, because people and scripts look for them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::environment::Environment;
use crate::model::Usage;
use crate::model::signal_name;
use crate::wire::WireLine;
use crate::wire::WireShell;

/// The program and arguments that a line stands for.
pub(super) fn argv(line: &WireLine) -> Vec<String> {
    match line {
        WireLine::Argv(words) => words.clone(),
        WireLine::Script(script) => ["/bin/sh", "-c", script].map(str::to_owned).into(),
    }
}

/// What the log says before the command starts. Texts are hidden before they
/// are quoted: a secret with a quote in it would not be known after that.
pub(super) fn before(
    shell: &WireShell,
    workdir: &Path,
    env: &Environment,
    hide: &dyn Fn(&str) -> String,
) -> String {
    let line = match &shell.line {
        WireLine::Argv(words) => WireLine::Argv(words.iter().map(|it| hide(it)).collect()),
        WireLine::Script(script) => WireLine::Script(hide(script)),
    };
    let mut text = match &line {
        WireLine::Argv(words) => quoted(words),
        WireLine::Script(script) => script.clone(),
    };
    let _ = write!(text, "\n in dir {}", workdir.display());
    for (what, limit) in [
        ("timeout", shell.timeout_ms),
        ("maxTime", shell.max_time_ms),
    ] {
        if let Some(limit) = limit {
            let unit = if limit == 1000 { "sec" } else { "secs" };
            let _ = write!(text, " ({what} {} {unit})", secs(limit));
        }
    }
    text.push_str("\n watching logfiles {");
    for (place, (name, logfile)) in shell.logfiles.iter().enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}'{}': '{}'", hide(name), hide(&logfile.path));
    }
    text.push_str("}\n argv: ");
    listed(&argv(&line), &mut text);
    text.push('\n');
    if shell.log_environ {
        text.push_str(" environment:\n");
        for (name, value) in env {
            let value = hide(&value.display().to_string());
            let _ = writeln!(text, "  {}={value}", name.display());
        }
    }
    if !shell.initial_stdin.is_empty() {
        let _ = writeln!(
            text,
            " writing {} bytes to stdin",
            shell.initial_stdin.len()
        );
    }
    text.push_str(match shell.terms.use_pty {
        true => " using PTY: True\n",
        false => " using PTY: False\n",
    });
    text
}

pub(super) fn silent(limit: Duration) -> String {
    let secs = secs(millis(limit));
    format!("command timed out: {secs} seconds without output, attempting to kill\n")
}

pub(super) fn overtime(limit: Duration) -> String {
    let secs = secs(millis(limit));
    format!("command timed out: {secs} seconds elapsed, attempting to kill\n")
}

pub(super) const INTERRUPTED: &str = "command interrupted, attempting to kill\n";

pub(super) const UNKILLABLE: &str = "SIGKILL failed to kill process\nusing fake rc=-1\n";

pub(super) const LEFTOVERS: &str =
    "the command has ended, but what it started keeps its output open: it is killed\n";

/// What the log says when the command has ended.
pub(super) fn after(signal: Option<i32>, usage: &Usage, elapsed: Duration) -> String {
    let mut text = String::new();
    if let Some(signal) = signal {
        let _ = match signal_name(signal) {
            Some(name) => writeln!(text, "process killed by signal {signal} ({name})"),
            None => writeln!(text, "process killed by signal {signal}"),
        };
    }
    if usage.out_of_memory {
        text.push_str("the system was out of memory and killed it\n");
    }
    let _ = writeln!(text, "usage: {usage}");
    let _ = writeln!(text, "elapsedTime={:.6}", elapsed.as_secs_f64());
    text
}

/// Shows each of `secrets` as `XXXX`.
pub(super) fn masked(mut text: String, secrets: &[String]) -> String {
    // The longest first: one may be a part of another.
    let mut secrets: Vec<_> = secrets.iter().filter(|it| !it.is_empty()).collect();
    secrets.sort_by_key(|it| std::cmp::Reverse(it.len()));
    for secret in secrets {
        text = text.replace(secret.as_str(), "XXXX");
    }
    text
}

fn millis(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

/// `1200`, or `0.5`.
fn secs(millis: u64) -> String {
    if millis.is_multiple_of(1000) {
        (millis / 1000).to_string()
    } else {
        Duration::from_millis(millis).as_secs_f64().to_string()
    }
}

/// As one would type it into a shell.
fn quoted(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|it| quoted_word(it)).collect();
    words.join(" ")
}

fn quoted_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r#"'"'"'"#))
}

/// `['make', '-j4']`.
fn listed(words: &[String], to: &mut String) {
    to.push('[');
    for (place, word) in words.iter().enumerate() {
        if place > 0 {
            to.push_str(", ");
        }
        let quote = if word.contains('\'') && !word.contains('"') {
            '"'
        } else {
            '\''
        };
        to.push(quote);
        for c in word.chars() {
            match c {
                '\\' => to.push_str(r"\\"),
                '\n' => to.push_str(r"\n"),
                '\r' => to.push_str(r"\r"),
                '\t' => to.push_str(r"\t"),
                c if c == quote => {
                    to.push('\\');
                    to.push(c);
                }
                c => to.push(c),
            }
        }
        to.push(quote);
    }
    to.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shell;
    use crate::model::ShellLine;

    fn env() -> Environment {
        [("LANG", "C"), ("A", "1")]
            .map(|(name, value)| (name.into(), value.into()))
            .into()
    }

    #[test]
    fn a_list_is_shown_as_one_would_type_it() {
        let words = ["make", "-j4", "it's", ""].map(str::to_owned).to_vec();
        let mut shell = Shell::new(ShellLine::Argv(words), "b");
        shell.max_time = Some(Duration::from_secs(1));
        shell.initial_stdin = vec![0; 12];
        insta::assert_snapshot!(before(&(&shell).into(), Path::new("/s/b"), &env(), &str::to_owned), @r#"
        make -j4 'it'"'"'s' ''
         in dir /s/b (timeout 1200 secs) (maxTime 1 sec)
         watching logfiles {}
         argv: ['make', '-j4', "it's", '']
         environment:
          A=1
          LANG=C
         writing 12 bytes to stdin
         using PTY: False
        "#);
    }

    #[test]
    fn a_line_is_shown_as_it_is() {
        let line = ShellLine::Script("echo 'a' && true".to_owned());
        let mut shell = Shell::new(line, "b");
        shell.timeout = None;
        shell.log_environ = false;
        insta::assert_snapshot!(before(&(&shell).into(), Path::new("/s/b"), &env(), &str::to_owned), @r#"
        echo 'a' && true
         in dir /s/b
         watching logfiles {}
         argv: ['/bin/sh', '-c', "echo 'a' && true"]
         using PTY: False
        "#);
    }

    #[test]
    fn what_is_hidden_is_hidden_before_it_is_quoted() {
        let words = ["login", "it's\n2"].map(str::to_owned).to_vec();
        let shell = Shell::new(ShellLine::Argv(words), "b");
        let env = [("A", "it's\n2!")].map(|(name, value)| (name.into(), value.into()));
        let hide = |text: &str| text.replace("it's\n2", "<db>");
        let shown = before(&(&shell).into(), Path::new("/s/b"), &env.into(), &hide);
        insta::assert_snapshot!(shown, @r"
        login '<db>'
         in dir /s/b (timeout 1200 secs)
         watching logfiles {}
         argv: ['login', '<db>']
         environment:
          A=<db>!
         using PTY: False
        ");
    }

    #[test]
    fn ends_are_told_in_the_known_words() {
        assert_eq!(
            silent(Duration::from_secs(1200)),
            "command timed out: 1200 seconds without output, attempting to kill\n"
        );
        assert_eq!(
            overtime(Duration::from_millis(500)),
            "command timed out: 0.5 seconds elapsed, attempting to kill\n"
        );
        let usage = Usage {
            out_of_memory: true,
            ..Usage::default()
        };
        insta::assert_snapshot!(after(Some(9), &usage, Duration::from_micros(1_234_567)), @"
        process killed by signal 9 (SIGKILL)
        the system was out of memory and killed it
        usage: 0.000 s user, 0.000 s system, 0 bytes memory
        elapsedTime=1.234567
        ");
        assert_eq!(
            after(None, &Usage::default(), Duration::ZERO),
            "usage: 0.000 s user, 0.000 s system, 0 bytes memory\nelapsedTime=0.000000\n"
        );
    }

    #[test]
    fn a_secret_that_holds_another_is_hidden_whole() {
        let secrets = ["ab", "", "abc"].map(str::to_owned);
        assert_eq!(masked("abc ab c".to_owned(), &secrets), "XXXX XXXX c");
    }
}
