//! One test of a build: how it ended in each step that ran it, what it said,
//! and since when it fails.

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::model::BuildKey;
use crate::model::PastTest;
use crate::model::TestEnd;
use crate::model::TestResult;
use crate::store::KeptTest;

use super::app::App;
use super::app::Shared;
use super::build;
use super::build::Facts;
use super::failure::Failure;
use super::links;
use super::rows;
use super::rows::BuildLine;
use super::rows::Link;
use super::test_list;
use super::words::Badge;

/// Results of one name on a page.
const MOST: usize = 100;
/// So many builds are looked at for when it began to fail.
const PAST: usize = 500;
/// So many of them are shown.
const SQUARES: usize = 40;

#[derive(Serialize)]
struct ResultView {
    trail: Vec<Link>,
    key: String,
    build: BuildLine,
    name: String,
    badge: Badge,
    results: Vec<ResultLine>,
    since: Option<SinceLine>,
    /// The builds before and this one, the oldest first.
    squares: Vec<Square>,
}

#[derive(Serialize)]
struct ResultLine {
    step: Link,
    badge: Badge,
    text: String,
    log: String,
    logs: Vec<Link>,
}

#[derive(Serialize)]
struct SinceLine {
    build: Link,
    is_this: bool,
    /// Whether it may have failed before that, too.
    at_least: bool,
}

#[derive(Serialize)]
struct Square {
    number: i64,
    url: String,
    badge: Badge,
}

/// The build since which a test fails without a good end in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    number: i64,
    /// Whether nothing is known of a build before it in which it was good.
    at_least: bool,
}

/// Looks back from the newest; `None` if the test is not bad there.
fn since(past: &[PastTest]) -> Option<Since> {
    let mut first = None;
    for it in past {
        match (it.end, it.is_whole) {
            (Some(end), _) if !end.is_good() => first = Some(it.number),
            // What is skipped or did not run tells nothing.
            (Some(TestEnd::Skipped), _) | (None, true) if first.is_some() => {}
            // Those that fail are always kept: what is left out was good, if it ran.
            (Some(_) | None, _) => {
                return first.map(|number| Since {
                    number,
                    at_least: false,
                });
            }
        }
    }
    first.map(|number| Since {
        number,
        at_least: true,
    })
}

/// What a page has for a name.
pub(super) fn shown(name: &str) -> String {
    match name.trim() {
        "" => "(no name)".to_owned(),
        _ => name.to_owned(),
    }
}

/// A result without the name of the test.
pub(super) fn document_of(result: &TestResult, step: &str) -> Map<String, Value> {
    let text = match result.text.as_str() {
        "" => result.end.as_str(),
        text => text,
    };
    let mut document = Map::new();
    for (key, value) in [
        ("step", step),
        ("result", result.end.as_str()),
        ("outcome", result.end.outcome().as_str()),
        ("text", text),
    ] {
        document.insert(key.to_owned(), value.into());
    }
    document
}

/// The results of a name, of which there is one at least, and the past of the test.
async fn find(
    app: &App,
    facts: &Facts,
    name: &str,
) -> Result<(Vec<KeptTest>, Vec<PastTest>), Failure> {
    let (id, key, wanted) = (facts.build.id, facts.build.key.clone(), name.to_owned());
    let found = app.read(move |store| {
        let found = store.tests_named(id, &wanted, MOST)?;
        let past = match found.is_empty() {
            true => Vec::new(),
            false => store.past_tests(&key.builder, &wanted, key.number, PAST)?,
        };
        Ok((found, past))
    });
    let (found, past) = found.await?;
    if found.is_empty() {
        let end = name.floor_char_boundary(200);
        let what = format!("result of a test `{}` in this build", &name[..end]);
        return Err(Failure::NotFound(what));
    }
    Ok((found, past))
}

fn view(facts: &Facts, name: &str, found: Vec<KeptTest>, past: &[PastTest]) -> ResultView {
    let key = &facts.build.key;
    let build_of = |number| BuildKey {
        number,
        ..key.clone()
    };
    let since = since(past).map(|it| SinceLine {
        build: Link {
            name: format!("#{}", it.number),
            url: links::build(&build_of(it.number)),
        },
        is_this: it.number == key.number,
        at_least: it.at_least,
    });
    let mut squares: Vec<_> = past
        .iter()
        .filter_map(|it| Some((it.number, it.end?)))
        .take(SQUARES)
        .map(|(number, end)| Square {
            number,
            url: links::test(&build_of(number), name),
            badge: Badge::of_test(end),
        })
        .collect();
    squares.reverse();
    let mut trail = rows::trail(key);
    trail.push(Link {
        name: "tests".to_owned(),
        url: links::tests(key),
    });
    let badge = found.first().map_or(TestEnd::Success, |it| it.result.end);
    let line = |it: KeptTest| {
        let step = facts.steps.iter().find(|step| step.number == it.step);
        let logs = step.map(|step| {
            let link = |log: &crate::model::LogRecord| Link {
                name: log.name.clone(),
                url: links::log(key, &step.name, &log.name),
            };
            step.logs.iter().map(link).collect()
        });
        ResultLine {
            step: test_list::step_link(key, &facts.steps, it.step),
            badge: Badge::of_test(it.result.end),
            text: it.result.text,
            log: it.result.log,
            logs: logs.unwrap_or_default(),
        }
    };
    ResultView {
        trail,
        key: key.to_string(),
        build: BuildLine::new(&facts.build, clock::now()),
        name: shown(name),
        badge: Badge::of_test(badge),
        results: found.into_iter().map(line).collect(),
        since,
        squares,
    }
}

pub(super) async fn draw(
    app: &App,
    uri: &Uri,
    facts: &Facts,
    name: &str,
) -> Result<Response, Failure> {
    let (found, past) = find(app, facts, name).await?;
    app.draw("testresult.html", uri, view(facts, name, found, &past))
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path((builder, number, name)): Path<(String, String, String)>,
) -> Result<Response, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    draw(&app, &uri, &facts, &name).await
}

/// The document of one test.
pub(super) async fn tell(app: &App, facts: &Facts, name: &str) -> Result<Value, Failure> {
    let (found, past) = find(app, facts, name).await?;
    let result = |it: &KeptTest| {
        let step = test_list::step_link(&facts.build.key, &facts.steps, it.step).name;
        let mut document = document_of(&it.result, &step);
        document.insert("log".to_owned(), json!(it.result.log));
        Value::Object(document)
    };
    Ok(json!({
        "name": name,
        "path": name.split('.').collect::<Vec<_>>(),
        "fails_since": since(&past).map(|it| it.number),
        "results": found.iter().map(result).collect::<Vec<_>>(),
    }))
}

pub(super) async fn document(
    State(app): State<Shared>,
    Path((builder, number, name)): Path<(String, String, String)>,
) -> Result<Json<Value>, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    tell(&app, &facts, &name).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_fails_since_the_first_of_its_bad_ends_without_a_good_one_in_between() {
        use TestEnd::{Error, ExpectedFailure, Failure, Skipped, Success};
        let check = |past: &[(i64, Option<TestEnd>, bool)], expected: Option<(i64, bool)>| {
            let past: Vec<_> = past
                .iter()
                .map(|&(number, end, is_whole)| PastTest {
                    number,
                    end,
                    is_whole,
                })
                .collect();
            let found = since(&past).map(|it| (it.number, it.at_least));
            assert_eq!(found, expected, "{past:?}");
        };
        let bad = |number| (number, Some(Failure), true);
        check(&[], None);
        check(&[(9, Some(Success), true), bad(8)], None);
        check(
            &[bad(9), bad(8), (7, Some(Success), true), bad(6)],
            Some((8, false)),
        );
        check(&[bad(9), (8, Some(Error), true)], Some((8, true)));
        // It did not run in between, or was skipped.
        check(
            &[bad(9), (8, None, true), (7, Some(Skipped), true), bad(6)],
            Some((6, true)),
        );
        // It ran and was good, as it would have been kept otherwise.
        check(&[bad(9), (8, None, false), bad(7)], Some((9, false)));
        check(
            &[bad(9), (8, Some(ExpectedFailure), true)],
            Some((9, false)),
        );
        check(&[(9, Some(Skipped), true), bad(8)], None);
    }
}
