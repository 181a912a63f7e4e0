//! A builder's last result as a small picture, for pages elsewhere: the name
//! and a word, on colours on which both can be read.

use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use crate::model::BuildRecord;
use crate::model::Outcome;

use super::app::Shared;
use super::choice;
use super::choice::Choice;
use super::failure::Failure;
use super::feeds;
use super::lines;
use super::past::FARTHEST;
use super::past::Past;
use super::words::Badge;

/// A longer name is cut.
const LONGEST: usize = 40;

/// On both sides of a text.
const MARGIN: u32 = 6;

/// Behind the name.
const NAME: &str = "#22303e";

/// Of all texts.
const TEXT: &str = "#ffffff";

#[derive(Debug, Serialize)]
struct BadgeView {
    name: String,
    word: String,
    /// For those who hear it.
    title: String,
    colour: &'static str,
    name_colour: &'static str,
    text_colour: &'static str,
    /// Where things begin, and how long they are.
    name_at: u32,
    name_length: u32,
    word_at: u32,
    word_length: u32,
    split: u32,
    rest: u32,
    width: u32,
}

/// Behind the word.
fn colour(class: &str) -> &'static str {
    match class {
        "success" => "#1d7a3e",
        "warnings" => "#8a5a00",
        "failure" => "#b3261e",
        "skipped" => "#46687f",
        "exception" => "#7a2f9c",
        _ => "#5d6b7a",
    }
}

/// About as long as a text is in the usual font; the picture says it, so that the text has to fit.
fn length(text: &str) -> u32 {
    let width = |char: char| match char {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '!' | '|' => 4,
        'm' | 'w' | 'M' | 'W' => 10,
        ' '..='\u{10ff}' => 7,
        _ => 12,
    };
    text.chars().map(width).sum()
}

impl BadgeView {
    fn new(builder: &str, last: Option<&BuildRecord>) -> Self {
        let mut name: String = builder.chars().take(LONGEST).collect();
        if name.len() < builder.len() {
            name.push('…');
        }
        let badge = last.map(|it| Badge::of(it.outcome));
        let (class, word) = match badge {
            Some(badge) => (badge.class, format!("{} {}", badge.sign, badge.word)),
            None => ("", "no build".to_owned()),
        };
        let said = badge.map_or("no build", |it| it.word);
        let (name_length, word_length) = (length(&name), length(&word));
        let split = name_length + 2 * MARGIN;
        let rest = word_length + 2 * MARGIN;
        Self {
            title: format!("{name}: {said}"),
            name,
            word,
            colour: colour(class),
            name_colour: NAME,
            text_colour: TEXT,
            name_at: MARGIN,
            name_length,
            word_at: split + MARGIN,
            word_length,
            split,
            rest,
            width: split + rest,
        }
    }
}

pub(super) async fn picture(
    State(app): State<Shared>,
    uri: Uri,
    Path(file): Path<String>,
    Query(query): Query<choice::Query>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some(name) = file.strip_suffix(".svg") else {
        return Err(Failure::NotFound(format!("badge `{file}`")));
    };
    let facts = lines::find(&app, name).await?;
    let choice = Choice::new(&query);
    let last = app
        .read(move |store| {
            // What is tried again has not ended for who looks from afar.
            let fits = |it: &BuildRecord| {
                it.finished.is_some()
                    && it.outcome != Some(Outcome::Retry)
                    && choice.takes_branch(it.stamp.branch.as_deref())
            };
            Past::new(&facts, FARTHEST).newest(store, 1, fits)
        })
        .await?;
    let view = BadgeView::new(name, last.first());
    let text = feeds::clean(app.draw_text("badge.xml", &uri, &view)?);
    Ok(feeds::once(&headers, "image/svg+xml; charset=utf-8", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much lighter one colour is than another, as people see it: WCAG 2.1.
    fn contrast(one: &str, other: &str) -> f64 {
        let light = |colour: &str| {
            let part = |at: usize| {
                let byte = u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour");
                let part = f64::from(byte) / 255.0;
                match part <= 0.03928 {
                    true => part / 12.92,
                    false => ((part + 0.055) / 1.055).powf(2.4),
                }
            };
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        let (one, other) = (light(one), light(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_word_can_be_read_on_its_colour() {
        assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 0.01);
        for class in ["success", "warnings", "failure", "skipped", "exception", ""] {
            let contrast = contrast(TEXT, colour(class));
            assert!(contrast >= 4.5, "{class}: {contrast}");
        }
        assert!(contrast(TEXT, NAME) >= 4.5);
    }

    #[test]
    fn a_long_name_is_cut_and_a_builder_without_builds_says_so() {
        let view = BadgeView::new(&"🦦".repeat(5000), None);
        assert_eq!(view.name.chars().count(), LONGEST + 1);
        assert_eq!((view.word.as_str(), view.colour), ("no build", "#5d6b7a"));
        assert_eq!(view.width, view.split + view.rest);
    }
}
