//! What lies in a cell of the waterfall: a change, a step, a build, an event.

use serde::Serialize;

use crate::model::BuildRecord;
use crate::model::Change;
use crate::model::EventRecord;
use crate::model::StepRecord;
use crate::model::Timestamp;

use super::super::links;
use super::super::rows::Link;
use super::super::rows::StepLine;
use super::super::words;
use super::super::words::Badge;
use super::strips::Item;

/// What lies in a cell.
#[derive(Clone, Debug, Serialize)]
pub(in crate::web) struct Tile {
    kind: &'static str,
    pub(super) class: &'static str,
    sign: &'static str,
    word: &'static str,
    url: String,
    pub(super) name: String,
    text: String,
    title: String,
    logs: Vec<Link>,
    /// Links that lead elsewhere.
    urls: Vec<Link>,
}

impl Tile {
    fn plain(kind: &'static str, name: String) -> Self {
        Self {
            kind,
            class: "",
            sign: "",
            word: "",
            url: String::new(),
            name,
            text: String::new(),
            title: String::new(),
            logs: Vec::new(),
            urls: Vec::new(),
        }
    }

    pub(super) fn change(change: &Change) -> Self {
        let revision = change.revision.as_deref().map(words::short);
        let headline = words::headline(&change.comments);
        Self {
            url: links::change(change.id.0),
            text: format!("{} {headline}", revision.unwrap_or_default())
                .trim()
                .to_owned(),
            title: change.comments.clone(),
            ..Self::plain("change", words::person(&change.author))
        }
    }

    fn build(build: &BuildRecord, has_steps: bool) -> Self {
        let badge = Badge::of(build.outcome);
        Self {
            // Without its steps nothing else shows how it ended.
            class: if has_steps { "start" } else { badge.class },
            sign: badge.sign,
            word: badge.word,
            url: links::build(&build.key),
            title: format!("Reason: {}", build.reason.trim()),
            ..Self::plain("build", format!("Build {}", build.key.number))
        }
    }

    fn step(build: &BuildRecord, step: &StepRecord, now: Timestamp) -> Self {
        let line = StepLine::new(&build.key, step, now);
        let mut urls = line.urls;
        urls.retain(|it| !it.url.is_empty());
        Self {
            class: line.badge.class,
            sign: line.badge.sign,
            word: line.badge.word,
            url: line.url,
            text: if line.text == line.name {
                String::new()
            } else {
                line.text
            },
            title: line.length.unwrap_or_default(),
            logs: line.logs,
            urls,
            ..Self::plain("step", line.name)
        }
    }

    pub(super) fn event(event: &EventRecord) -> Self {
        Self {
            text: event.event.note.clone(),
            ..Self::plain("event", event.text())
        }
    }
}

/// A build's items, newest first: its steps, then itself.
pub(super) fn items(build: &BuildRecord, steps: &[StepRecord], now: Timestamp) -> Vec<Item<Tile>> {
    let mut items: Vec<_> = steps
        .iter()
        .rev()
        .filter(|it| !it.hidden)
        .filter_map(|step| {
            Some(Item {
                start: step.started?,
                end: step.finished,
                what: Tile::step(build, step, now),
            })
        })
        .collect();
    items.push(Item {
        start: build.started,
        end: build.finished,
        what: Tile::build(build, !steps.is_empty()),
    });
    items
}
