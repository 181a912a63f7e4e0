//! What a page of a log costs, for benchmarks: colours into HTML, and where its lines begin.

use std::path::Path;

use super::ansi::{Painter, Pens};
use super::log_index::Shelf;
use crate::logs::place::LogPlace;
use crate::model::Channel;

/// Makes HTML of a log's text; says how long that is.
#[doc(hidden)]
#[must_use]
pub fn paint_log(text: &str) -> usize {
    let mut painter = Painter::new(1, Pens::default());
    for line in text.lines() {
        painter.feed(Channel::Stdout, line.as_bytes());
        painter.end_line();
    }
    painter.html().len()
}

/// Finds where the lines of a stored log begin; says how many there are.
///
/// # Errors
/// If the file is not there, or is no log.
#[doc(hidden)]
pub fn index_log(path: &Path) -> std::io::Result<u64> {
    let known = Shelf::default().look(&LogPlace::File(path.to_owned()), None)?;
    Ok(known.map_or(0, |it| it.index.reached().last_line()))
}
