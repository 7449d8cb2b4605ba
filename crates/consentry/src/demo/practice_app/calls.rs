//! The buttons of the practice app: calls of the practice APIs.

use axum::http::Method;

pub(super) struct ApiCall {
    pub(super) label: &'static str,
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// JSON; none for GET.
    pub(super) body: &'static str,
}

const fn post(label: &'static str, path: &'static str, body: &'static str) -> ApiCall {
    ApiCall { label, method: Method::POST, path, body }
}

const fn fetch(label: &'static str, path: &'static str) -> ApiCall {
    ApiCall { label, method: Method::GET, path, body: "" }
}

static EXCHANGE: [ApiCall; 6] = [
    post("See balances", "/api/v4/trade-account/balance", "{}"),
    post("See open orders", "/api/v4/orders", r#"{"market":"BTC_USDT"}"#),
    post(
        "Buy 0.01 BTC at 20000",
        "/api/v4/order/new",
        r#"{"market":"BTC_USDT","side":"buy","amount":"0.01","price":"20000"}"#,
    ),
    post("Cancel all orders", "/api/v4/order/cancel/all", r#"{"market":"BTC_USDT"}"#),
    post("See trades", "/api/v4/trade-account/executed-history", r#"{"market":"BTC_USDT"}"#),
    fetch("See the market (needs no token)", "/api/v4/public/ticker"),
];

static DRIVE: [ApiCall; 3] = [
    fetch("See the account", "/v2/me"),
    fetch("List files", "/v2/cloud"),
    fetch("Search for “a”", "/v2/search/a"),
];

pub(super) fn of(provider: &str) -> &'static [ApiCall] {
    if provider == "exchange" { &EXCHANGE } else { &DRIVE }
}
