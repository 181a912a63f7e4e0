//! Arbitrary bytes against every reader of texts: for the fuzz target and for
//! property tests. Nothing is read from the disk, nothing is run.

use std::path::Path;
use std::sync::Arc;

use super::catalogue::Installed;
use super::convert::Spelling;
use super::convert::convert;
use super::read;
use crate::expr;
use crate::model::Text;
use crate::syntax::Place;
use crate::syntax::Problems;
use crate::syntax::Source;

/// More than this is only more of the same.
const LONGEST: usize = 1 << 16;

/// Reads `bytes` as a configuration in both spellings, as a text with
/// properties, as a condition and as a load-time text.
///
/// # Panics
/// If a place that is told does not lie in its file, or a conversion changes
/// what a file means.
pub fn fuzz_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // What it includes or runs would be real.
    let lower = text.to_lowercase();
    if text.len() > LONGEST || lower.contains("include") || lower.contains("generate") {
        return;
    }
    for spelling in [Spelling::Ini, Spelling::Toml] {
        configuration(text, spelling);
    }
    if let Err(error) = Text::parse(text) {
        assert!(text.get(error.at.clone()).is_some(), "{:?}", error.at);
    }
    let values = serde_json::Map::new();
    let conditions = [
        expr::Condition::parse(text).err(),
        expr::fill(text, &values).err(),
    ];
    for at in conditions.into_iter().flatten().filter_map(|it| it.at) {
        assert!(text.get(at.clone()).is_some(), "{at:?}");
    }
}

fn configuration(text: &str, spelling: Spelling) {
    let catalogue = Installed::of(Path::new("/nonexistent"));
    let name = format!("master.{}", spelling.ending());
    let source = Source::new(name, "/nonexistent", text);
    match read(&source, &catalogue) {
        Ok(plan) => check(&plan.warnings),
        Err(problems) => check(&problems),
    }
    let there = match convert(&source, spelling.other(), &catalogue) {
        Ok(there) => there,
        Err(problems) => return check(&problems),
    };
    let name = format!("master.{}", spelling.other().ending());
    let there: Arc<Source> = Source::new(name, "/nonexistent", there);
    if let Err(problems) = convert(&there, spelling, &catalogue) {
        // The other spelling may say a little more than this one.
        check(&problems);
    }
}

fn check(problems: &Problems) {
    for problem in &problems.0 {
        assert!(!problem.what.contains("be read back"), "{}", problem.what);
        let mut places: Vec<Place> = problem.place.iter().cloned().collect();
        places.extend(problem.also.iter().map(|it| it.0.clone()));
        let roads = places.iter().flat_map(Place::road);
        let roads: Vec<_> = roads.map(|it| it.0).collect();
        for place in places.iter().chain(&roads) {
            let text = &place.source.text;
            let is_ours = place.source.name.starts_with("converted.");
            assert!(!is_ours, "{} in what was written:\n{text}", problem.what);
            assert!(
                text.get(place.span()).is_some(),
                "{:?} of {} bytes: {}",
                place.span(),
                text.len(),
                problem.what
            );
        }
    }
    // What is shown is made of them.
    drop(problems.render(false));
    drop(problems.to_json());
}
