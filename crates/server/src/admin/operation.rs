//! One row of the table of routes: where it is, what it takes and answers, which scope it needs and
//! which handler runs. The router and the OpenAPI document are both made from it.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use domain::admin_token::AdminScope;
use http::Method;
use serde_json::Value;

use super::gate::{self, Gate};
use super::schema::{Components, Schema};
use crate::provider::Shared;

/// Of one request, where the route says nothing else.
const BODY_BYTES_MAX: usize = 256 << 10;

type Describe = fn(&mut Components) -> Value;

/// A route.
pub struct Operation {
    pub method: Method,
    /// Behind `/admin/v1`.
    pub path: &'static str,
    /// `None`: any token will do.
    pub scope: Option<AdminScope>,
    pub summary: &'static str,
    /// The name that clients made from the document give it.
    pub id: &'static str,
    pub status: u16,
    pub query: Option<Describe>,
    pub body: Option<Describe>,
    pub answer: Option<Describe>,
    /// `If-Match` is needed.
    pub needs_match: bool,
    body_max: usize,
    handler: MethodRouter<Shared>,
}

fn operation<H: Handler<T, Shared>, T: 'static>(
    (method, filter): (Method, MethodFilter),
    path: &'static str,
    handler: H,
) -> Operation {
    Operation {
        needs_match: [Method::PATCH, Method::DELETE].contains(&method),
        method,
        path,
        scope: None,
        summary: "",
        id: "",
        status: 200,
        query: None,
        body: None,
        answer: None,
        body_max: BODY_BYTES_MAX,
        handler: on(filter, handler),
    }
}

macro_rules! methods {
    ($($name:ident = $method:ident)+) => {$(
        pub(super) fn $name<H: Handler<T, Shared>, T: 'static>(
            path: &'static str,
            handler: H,
        ) -> Operation {
            operation((Method::$method, MethodFilter::$method), path, handler)
        }
    )+};
}

methods! { get = GET post = POST put = PUT patch = PATCH delete = DELETE }

impl Operation {
    pub(super) fn needs(self, scope: AdminScope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    pub(super) fn says(self, id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, ..self }
    }

    pub(super) fn query<T: Schema>(self) -> Self {
        Self { query: Some(T::schema), ..self }
    }

    pub(super) fn takes<T: Schema>(self) -> Self {
        Self { body: Some(T::schema), ..self }
    }

    pub(super) fn answers<T: Schema>(self) -> Self {
        Self { answer: Some(T::schema), ..self }
    }

    pub(super) fn creates<T: Schema>(self) -> Self {
        Self { status: 201, ..self.answers::<T>() }
    }

    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(super) fn decides_what_was_read(self) -> Self {
        Self { needs_match: true, ..self }
    }

    pub(super) fn body_max(self, body_max: usize) -> Self {
        Self { body_max, ..self }
    }

    pub(super) fn route(self, router: Router<Shared>, provider: &Shared) -> Router<Shared> {
        let gate = Gate {
            provider: provider.clone(),
            path: self.path,
            scope: self.scope,
            body_max: self.body_max,
            needs_match: self.needs_match,
        };
        router.route(self.path, self.handler.layer(from_fn_with_state(gate, gate::admit)))
    }
}
