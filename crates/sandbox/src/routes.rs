//! A route is a value: path, method, handler. One list per API makes both the router and the test
//! that compares it with the API's OpenAPI document.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post};

pub(crate) struct Route<S> {
    pub(crate) path: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the completeness tests"))]
    pub(crate) method: Method,
    handler: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    pub(crate) fn get<T: 'static>(path: &'static str, handler: impl Handler<T, S>) -> Self {
        Self { path, method: Method::GET, handler: get(handler) }
    }

    pub(crate) fn post<T: 'static>(path: &'static str, handler: impl Handler<T, S>) -> Self {
        Self { path, method: Method::POST, handler: post(handler) }
    }

    pub(crate) fn delete<T: 'static>(path: &'static str, handler: impl Handler<T, S>) -> Self {
        Self { path, method: Method::DELETE, handler: delete(handler) }
    }
}

/// Routes with the same path and different methods are one entry of the router.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(routes: Vec<Route<S>>) -> Router<S> {
    routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler))
}
