//! Asks the slaves of a builder whether they are there. A browser goes back to the builder, whose
//! page shows what comes of it; a program waits for it.

use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

use crate::config::Action;
use crate::master::ping::PingAnswer;
use crate::master::ping::Pinged;
use crate::model::BuilderName;
use crate::model::SlaveName;

use super::actions::answer;
use super::app::Shared;
use super::auth::Target;
use super::auth::Visitor;
use super::failure;
use super::failure::Failure;
use super::links;

pub(super) async fn ping(
    State(app): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(builder): Path<String>,
) -> Result<Response, Failure> {
    let name = BuilderName::from(builder.as_str());
    let target = Target::builder(&app.desk.plan(), &name, None);
    app.permit(&visitor, Action::PingBuilder, &target).await?;
    let told = app.desk.ping(&name)?;
    let done = match failure::wants_json(&headers) {
        true => document(&builder, &told.await.map_err(|_| Failure::Lost)?),
        false => Value::Null,
    };
    Ok(answer(&headers, &done, || {
        format!("../{}", links::quote(&builder))
    }))
}

fn document(builder: &str, pinged: &Pinged) -> Value {
    let slave = |(name, answer): &(SlaveName, PingAnswer)| {
        let (word, ms) = match answer {
            PingAnswer::Answered(after) => ("answered", Some(after.as_millis())),
            PingAnswer::Silent => ("silent", None),
            PingAnswer::Latent => ("latent", None),
        };
        json!({ "name": name.as_str(), "answer": word, "ms": ms })
    };
    let slaves: Vec<_> = pinged.slaves.iter().map(slave).collect();
    json!({ "builder": builder, "result": pinged.end.word(), "slaves": slaves })
}
