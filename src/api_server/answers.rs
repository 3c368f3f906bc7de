//! Answers as the API server gives them.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

pub(super) fn answer(code: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub(super) fn refused(code: u16) -> Response<Body> {
    refused_because(code, "refused")
}

pub(super) fn refused_because(code: u16, message: &str) -> Response<Body> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code,
    });
    answer(code, &status)
}
