//! Long lists of `/api`, the same for all: `limit` says how many, `after` behind which one, and
//! the head `Link` of an answer where the next ones are.

use axum::Json;
use axum::http::HeaderValue;
use axum::http::Uri;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;

use super::builder;
use super::choice;
use super::failure::Failure;

/// How many are wanted: `usual` if nobody says, `most` at the most.
pub(super) fn limit(query: &choice::Query, usual: usize, most: usize) -> Result<usize, Failure> {
    match builder::number(query, "limit")? {
        None => Ok(usual),
        Some(asked) if asked < 1 => Err(Failure::BadRequest(format!(
            "`limit` should be 1 or more, not `{asked}`"
        ))),
        Some(asked) => Ok(usize::try_from(asked).unwrap_or(most).min(most)),
    }
}

/// Behind which one.
pub(super) fn after(query: &choice::Query) -> Option<&str> {
    choice::first(query, "after")
}

/// The number behind which the list goes on.
pub(super) fn after_number(query: &choice::Query) -> Result<Option<i64>, Failure> {
    let after = after(query).map(|it| {
        it.parse().map_err(|_| {
            Failure::BadRequest(format!("`after` should be a whole number, not `{it}`"))
        })
    });
    after.transpose()
}

/// A part of a list; `next` is the last of it, if there are more.
pub(super) fn page<T: Serialize>(part: Vec<T>, uri: &Uri, next: Option<String>) -> Response {
    let mut response = Json(part).into_response();
    if let Some(next) = next {
        let mut query = match axum::extract::Query::<choice::Query>::try_from_uri(uri) {
            Ok(query) => query.0,
            Err(_) => Vec::new(),
        };
        query.retain(|it| it.0 != "after");
        query.push(("after".to_owned(), next));
        // Relative to the request: it holds behind a proxy under any prefix.
        let link = format!("<?{}>; rel=\"next\"", choice::written(&query, &[]));
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_from_one_to_the_most() {
        let ask = |value: &str| limit(&vec![("limit".into(), value.into())], 20, 1000);
        assert_eq!(limit(&Vec::new(), 20, 1000).expect("usual"), 20);
        assert_eq!(ask("7").expect("a number"), 7);
        assert_eq!(ask("99999").expect("a number"), 1000);
        for bad in ["0", "-1", "x", ""] {
            assert!(ask(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_next_part_is_linked_whatever_its_first_is_called() {
        let uri: Uri = "/api/builds?limit=2&after=a%2F1&builder=x%26y"
            .parse()
            .expect("an address");
        let response = page(vec![1, 2], &uri, Some("web lint/<3>".into()));
        assert_eq!(
            response.headers()[header::LINK],
            "<?limit=2&builder=x%26y&after=web%20lint%2F%3C3%3E>; rel=\"next\""
        );
        let last = page(vec![1], &uri, None);
        assert!(!last.headers().contains_key(header::LINK));
    }
}
