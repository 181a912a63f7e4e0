//! What a terminal shows: colours for outcomes, tables, and questions. Colours
//! vanish in a pipe and with `NO_COLOR`; every meaning is in the words.

use std::io;
use std::io::BufRead as _;
use std::io::IsTerminal as _;
use std::io::Write as _;

use anstyle::AnsiColor;
use anstyle::Style;

use super::exit::Failure;
use crate::model::Outcome;

pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

/// The colour of an outcome; something that runs is bright.
pub(super) fn style(outcome: Option<Outcome>) -> Style {
    match outcome {
        None => STRONG,
        Some(Outcome::Success) => GOOD,
        Some(Outcome::Warnings) => AnsiColor::Yellow.on_default(),
        Some(Outcome::Failure) => BAD,
        Some(Outcome::Exception) => AnsiColor::Magenta.on_default().bold(),
        Some(Outcome::Skipped) => DIM,
        Some(Outcome::Retry) => AnsiColor::Cyan.on_default(),
    }
}

/// The word for an outcome.
pub(super) fn word(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or("running", Outcome::as_str)
}

/// Lines with aligned columns. A column is as wide as its widest cell; the
/// last one ends where its text ends.
pub(super) fn table(rows: &[Vec<String>], styles: &[Style]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (row, style) in rows.iter().zip(styles) {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[at] - cell.chars().count());
            // The second column is the outcome.
            if at == 1 {
                line.push_str(&format!("{style}{cell}{style:#}{padding}  "));
            } else {
                line.push_str(&format!("{cell}{padding}  "));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Whether somebody is there to answer.
pub(super) fn somebody_is_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks, and reads one line. Call it only if [`somebody_is_there`].
pub(super) fn ask(question: &str) -> Result<String, Failure> {
    let mut stderr = io::stderr();
    let failed = |error: io::Error| Failure::because("failed to ask", &error);
    write!(stderr, "{question}: ").map_err(failed)?;
    stderr.flush().map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    let answer = answer.trim();
    if answer.is_empty() {
        return Err(Failure::new("there was no answer, so nothing was written"));
    }
    Ok(answer.to_owned())
}

/// Writes a piece of a log as it is. `false` once nobody reads any more.
pub(super) fn pour(piece: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(piece).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::because("failed to print", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_only_the_outcome_is_coloured() {
        let rows = [
            vec![
                "hello/9".to_owned(),
                "success".to_owned(),
                "1.0 s".to_owned(),
            ],
            vec!["hello/10".to_owned(), "failure".to_owned(), "é".to_owned()],
        ];
        let plain = [Style::new(), Style::new()];
        assert_eq!(
            table(&rows, &plain),
            "hello/9   success  1.0 s\nhello/10  failure  é\n"
        );
        let coloured = table(&rows, &[GOOD, BAD]);
        assert!(
            coloured.contains(&format!("{BAD}failure{BAD:#}  é")),
            "{coloured:?}"
        );
    }
}
