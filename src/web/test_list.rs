//! The tests of a build: how many there were, and the results that fit what is
//! looked for, those first that went wrong.

use axum::Json;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::model::BuildKey;
use crate::model::StepRecord;
use crate::model::TestEnd;
use crate::store::KeptTest;
use crate::store::TestCounts;
use crate::store::TestQuery;

use super::app::App;
use super::app::Shared;
use super::build;
use super::build::Facts;
use super::builder;
use super::failure::Failure;
use super::links;
use super::rows;
use super::rows::BuildLine;
use super::rows::Link;
use super::test_page;
use super::words::Badge;

/// Results on a page.
const PAGE: usize = 500;
/// Results in a document, unless it is asked for more or less.
const DOCUMENT: i64 = 1000;
const MOST: i64 = 10_000;
/// Nobody looks for more than this.
const LONGEST_PART: usize = 1000;

/// How many there were of one end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CountLine {
    pub(super) badge: Badge,
    pub(super) count: u64,
    pub(super) url: String,
}

impl CountLine {
    /// The sums over all steps, the worst end first.
    pub(super) fn all(key: &BuildKey, counts: &[TestCounts]) -> Vec<Self> {
        let line = |(end, count): (TestEnd, u64)| Self {
            badge: Badge::of_test(end),
            count,
            url: format!("{}?end={}", links::tests(key), links::quote(end.as_str())),
        };
        sums(counts).into_iter().map(line).collect()
    }
}

fn sums(counts: &[TestCounts]) -> Vec<(TestEnd, u64)> {
    let of = |end| {
        let all = counts.iter().flat_map(|it| &it.counts);
        let sum = all.filter(|it| it.0 == end).map(|it| it.1).sum();
        (end, sum)
    };
    let all = TestEnd::ALL.into_iter().map(of);
    all.filter(|it| it.1 > 0).collect()
}

#[derive(Serialize)]
pub(super) struct ListView {
    trail: Vec<Link>,
    key: String,
    build: BuildLine,
    url: String,
    counts: Vec<CountLine>,
    left_out: u64,
    part: String,
    /// What the form offers, and whether it is chosen.
    ends: Vec<(&'static str, bool)>,
    groups: Vec<Group>,
    /// How many are shown, and how many were passed over.
    shown: usize,
    skipped: usize,
    older: Option<String>,
    newer: Option<String>,
}

/// Tests of one step that are shown together.
#[derive(Serialize)]
struct Group {
    step: Link,
    is_bad: bool,
    tests: Vec<TestLine>,
}

#[derive(Serialize)]
struct TestLine {
    test: Link,
    badge: Badge,
    text: String,
}

/// What an address asks for.
struct Asked {
    part: String,
    end: Option<TestEnd>,
    skip: usize,
}

impl Asked {
    fn read(query: &[(String, String)]) -> Result<Self, Failure> {
        let of = |name: &str| {
            let found = query.iter().find(|(it, _)| it == name);
            found.map_or("", |it| it.1.trim())
        };
        let part = of("q");
        let end = match of("end") {
            "" => None,
            word => Some(TestEnd::from_word(word).ok_or_else(|| {
                let words = TestEnd::ALL.map(TestEnd::as_str).join("`, `");
                Failure::BadRequest(format!("`end` is one of `{words}`"))
            })?),
        };
        let skip = builder::number(query, "skip")?.unwrap_or(0);
        Ok(Self {
            part: part[..part.floor_char_boundary(LONGEST_PART)].to_owned(),
            end,
            skip: usize::try_from(skip).unwrap_or(0),
        })
    }

    fn query(&self, limit: usize) -> TestQuery {
        TestQuery {
            part: (!self.part.is_empty()).then(|| self.part.clone()),
            end: self.end,
            skip: self.skip,
            limit,
        }
    }

    /// The same search, from another place on.
    fn url(&self, key: &BuildKey, skip: usize) -> String {
        let mut url = format!("{}?skip={skip}", links::tests(key));
        if !self.part.is_empty() {
            url.push_str(&format!("&q={}", links::quote(&self.part)));
        }
        if let Some(end) = self.end {
            url.push_str(&format!("&end={}", links::quote(end.as_str())));
        }
        url
    }
}

/// The name of a step of this number, or the number.
pub(super) fn step_link(key: &BuildKey, steps: &[StepRecord], number: u32) -> Link {
    let step = steps.iter().find(|it| it.number == number);
    let name = step.map_or_else(|| number.to_string(), |it| it.name.clone());
    Link {
        url: links::step(key, &name),
        name,
    }
}

fn view(facts: &Facts, asked: &Asked, mut found: Vec<KeptTest>) -> ListView {
    let key = &facts.build.key;
    let has_more = found.len() > PAGE;
    found.truncate(PAGE);
    let shown = found.len();
    let mut groups: Vec<(u32, Group)> = Vec::new();
    for KeptTest { step, result } in found {
        let is_bad = !result.end.is_good();
        let is_new = |(number, it): &(u32, Group)| (*number, it.is_bad) != (step, is_bad);
        if groups.last().is_none_or(is_new) {
            let group = Group {
                step: step_link(key, &facts.steps, step),
                is_bad,
                tests: Vec::new(),
            };
            groups.push((step, group));
        }
        if let Some((_, group)) = groups.last_mut() {
            group.tests.push(TestLine {
                test: Link {
                    url: links::test(key, &result.name),
                    name: test_page::shown(&result.name),
                },
                badge: Badge::of_test(result.end),
                text: result.text,
            });
        }
    }
    ListView {
        trail: rows::trail(key),
        key: key.to_string(),
        build: BuildLine::new(&facts.build, clock::now()),
        url: links::tests(key),
        counts: CountLine::all(key, &facts.tests),
        left_out: facts.tests.iter().map(|it| it.left_out).sum(),
        part: asked.part.clone(),
        ends: TestEnd::ALL
            .map(|it| (it.as_str(), asked.end == Some(it)))
            .into(),
        groups: groups.into_iter().map(|it| it.1).collect(),
        shown,
        skipped: asked.skip,
        older: (asked.skip > 0).then(|| asked.url(key, asked.skip.saturating_sub(PAGE))),
        newer: has_more.then(|| asked.url(key, asked.skip + PAGE)),
    }
}

async fn find(app: &App, facts: &Facts, query: TestQuery) -> Result<Vec<KeptTest>, Failure> {
    let id = facts.build.id;
    app.read(move |store| store.tests(id, &query)).await
}

pub(super) async fn page(
    State(app): State<Shared>,
    uri: Uri,
    Path((builder, number)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    // A name that no path can end with.
    if let Some((_, name)) = query.iter().find(|(it, _)| it == "name") {
        return test_page::draw(&app, &uri, &facts, name).await;
    }
    let asked = Asked::read(&query)?;
    let found = find(&app, &facts, asked.query(PAGE + 1)).await?;
    app.draw("tests.html", &uri, view(&facts, &asked, found))
}

pub(super) async fn document(
    State(app): State<Shared>,
    Path((builder, number)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Failure> {
    let facts = build::find(&app, builder, &number).await?;
    if let Some((_, name)) = query.iter().find(|(it, _)| it == "name") {
        return test_page::tell(&app, &facts, name).await.map(Json);
    }
    let asked = Asked::read(&query)?;
    let limit = builder::number(&query, "limit")?.unwrap_or(DOCUMENT);
    let limit = usize::try_from(limit.clamp(0, MOST)).expect("not negative");
    let found = find(&app, &facts, asked.query(limit)).await?;
    let counts: Map<String, Value> = sums(&facts.tests)
        .into_iter()
        .map(|(end, count)| (end.as_str().to_owned(), count.into()))
        .collect();
    let test = |it: &KeptTest| {
        let step = step_link(&facts.build.key, &facts.steps, it.step).name;
        let mut document = test_page::document_of(&it.result, &step);
        document.insert("name".to_owned(), json!(it.result.name));
        Value::Object(document)
    };
    Ok(Json(json!({
        "counts": counts,
        "left_out": facts.tests.iter().map(|it| it.left_out).sum::<u64>(),
        "tests": found.iter().map(test).collect::<Vec<_>>(),
    })))
}
