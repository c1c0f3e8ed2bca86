//! A request in the making.

use axum::{Router, body::Body};
use http::header;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{ADMIN, answer::Answer, contract};

pub struct Request<'a> {
    router: &'a Router,
    method: String,
    path: String,
    builder: http::request::Builder,
    token: Option<String>,
    body: Body,
}

impl<'a> Request<'a> {
    pub fn new(router: &'a Router, method: &str, path: &str) -> Self {
        let builder = http::Request::builder().method(method).uri(path);
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { router, method, path, builder, token: Some(ADMIN.to_owned()), body: Body::empty() }
    }

    pub fn token(mut self, secret: &str) -> Self {
        self.token = Some(secret.to_owned());
        self
    }

    pub fn anonymous(mut self) -> Self {
        self.token = None;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn json(self, body: Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    pub fn raw(mut self, kind: &str, body: impl Into<Body>) -> Self {
        self.builder = self.builder.header(header::CONTENT_TYPE, kind);
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Answer {
        let mut builder = self.builder;
        if let Some(token) = &self.token {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = builder.body(self.body).unwrap();
        let answer = Answer::read(self.router.clone().oneshot(request).await.unwrap()).await;
        contract::hold(&self.method, &self.path, &answer);
        answer
    }
}
