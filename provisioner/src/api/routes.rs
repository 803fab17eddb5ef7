// SPDX-License-Identifier: Apache-2.0
//! Routes with their rows: what has no row in [`Route::ALL`] does not compile here.

use crate::provisioner::Provisioner;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use prov_core::Route;

/// Routes of the API, each with its row.
pub(crate) struct Routes {
    router: Router<Provisioner>,
    rows: Vec<&'static Route>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            rows: Vec::new(),
        }
    }

    /// Serves a row. [`routes!`] finds it at compile time.
    pub(crate) fn on<H, T>(mut self, row: &'static Route, handler: H) -> Self
    where
        H: Handler<T, Provisioner>,
        T: 'static,
    {
        let filter = match row.method {
            "GET" => MethodFilter::GET,
            "PUT" => MethodFilter::PUT,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::POST,
        };
        self.router = self.router.route(row.path, on(filter, handler));
        self.rows.push(row);
        self
    }

    /// Both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.rows.extend(other.rows);
        self
    }

    /// The rows that are served.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> &[&'static Route] {
        &self.rows
    }

    pub(crate) fn into_router(self) -> Router<Provisioner> {
        self.router
    }
}

/// `routes![POST paths::DRAIN => drain, GET paths::BRAKE => brake]`.
macro_rules! routes {
    ($($method:ident $path:expr => $handler:expr),* $(,)?) => {{
        let served = $crate::api::routes::Routes::new();
        $(
            let served = {
                const ROW: &::prov_core::Route = ::prov_core::Route::row(stringify!($method), $path);
                served.on(ROW, $handler)
            };
        )*
        served
    }};
}
pub(crate) use routes;
