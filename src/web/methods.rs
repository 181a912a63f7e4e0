//! Pages answer POST as they answer GET: a form of Buildbot's, or a script that knows those,
//! may send one where it only reads. What acts, and what is no page, has its own methods.

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use super::failure;

/// What a page allows.
const PAGE: &str = "GET,HEAD,POST";

pub(super) async fn settle(request: Request, next: Next) -> Response {
    let reading = [Method::GET, Method::HEAD, Method::OPTIONS];
    if reading.contains(request.method()) {
        return next.run(request).await;
    }
    let is_post = *request.method() == Method::POST;
    // Who asks otherwise is told what is allowed: for that, the page is only looked at.
    let look = if is_post { Method::GET } else { Method::HEAD };
    let mut again = Request::new(Body::empty());
    *again.method_mut() = look;
    *again.uri_mut() = request.uri().clone();
    again.headers_mut().clone_from(request.headers());
    again.extensions_mut().clone_from(request.extensions());
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE] {
        again.headers_mut().remove(name);
    }

    let mut response = next.clone().run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED || !allows_get(&response) {
        return response;
    }
    let page = next.run(again).await;
    if !failure::is_page(&page) {
        return response;
    }
    if is_post {
        return page;
    }
    if !page.status().is_success() {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(PAGE));
    response
}

fn allows_get(response: &Response) -> bool {
    let allowed = response.headers().get(header::ALLOW);
    let allowed = allowed.and_then(|it| it.to_str().ok()).unwrap_or_default();
    allowed.split(',').any(|it| it.trim() == "GET")
}
