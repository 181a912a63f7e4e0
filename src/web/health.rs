//! `/healthz` and `/readyz`: whether the process answers, and whether it does its work. A line for
//! programs; nothing in it is secret, so it stands on every port.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;

use super::app::Shared;

/// Whoever answers is alive.
pub(super) async fn is_alive() -> &'static str {
    "ok\n"
}

/// 200, or 503 with a reason a line.
pub(super) async fn is_ready(State(app): State<Shared>) -> Response {
    let reasons = app.desk.reasons_not_ready().await;
    if reasons.is_empty() {
        return "ready\n".into_response();
    }
    let text = reasons.join("\n") + "\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
