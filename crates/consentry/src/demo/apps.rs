//! The demo's apps: one for each use case of the product.

use domain::app::AppKind;

#[derive(Debug)]
pub(super) struct AppScript {
    /// In `demo.json` and in the practice app's addresses.
    pub(super) key: &'static str,
    pub(super) client_id: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: AppKind,
    pub(super) publisher: &'static str,
    pub(super) description: &'static str,
    pub(super) scopes: &'static [AppScope],
    pub(super) service_scopes: &'static [&'static str],
    pub(super) addresses: &'static [&'static str],
    pub(super) callback: Callback,
    pub(super) is_reviewed: bool,
    pub(super) wire: Wire,
    /// It runs where there is no browser.
    pub(super) without_browser: Option<WithoutBrowser>,
}

/// Where its provider's dialect shows user codes, and trades them.
#[derive(Clone, Copy, Debug)]
pub(super) struct WithoutBrowser {
    pub(super) code_page: &'static str,
    pub(super) token_path: &'static str,
}

/// Which wire formats it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Standard,
    Dialect(&'static str),
    /// The dialect, and the standard since.
    Both(&'static str),
}

impl Wire {
    pub(super) fn dialect(self) -> Option<&'static str> {
        match self {
            Self::Standard => None,
            Self::Dialect(name) | Self::Both(name) => Some(name),
        }
    }
}

#[derive(Debug)]
pub(super) struct AppScope {
    pub(super) name: &'static str,
    pub(super) purpose: &'static str,
    pub(super) is_required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callback {
    /// A path of the demo's practice app.
    PracticeApp,
    /// The user's own device, on any port.
    Loopback,
}

const fn required(name: &'static str, purpose: &'static str) -> AppScope {
    AppScope { name, purpose, is_required: true }
}

const fn optional(name: &'static str, purpose: &'static str) -> AppScope {
    AppScope { name, purpose, is_required: false }
}

const NOWHERE_ELSE: &[&str] = &["127.0.0.1/32", "::1/128"];

pub(super) static EXCHANGE: [AppScript; 6] = [
    AppScript {
        key: "trading-bot",
        client_id: "tradingbot",
        name: "Trading Bot",
        kind: AppKind::Web,
        publisher: "Nightshift Trading",
        description: "Trades for you while you sleep, within the limits that you set.",
        scopes: &[
            required("orders.read", "To know which of your orders are still open."),
            optional("orders.create", "To place the orders that your strategy decides on."),
            optional("orders.delete", "To cancel orders when the market moves against you."),
        ],
        service_scopes: &[],
        addresses: &[],
        callback: Callback::PracticeApp,
        is_reviewed: true,
        wire: Wire::Standard,
        without_browser: None,
    },
    AppScript {
        key: "portfolio-tracker",
        client_id: "portfoliotracker",
        name: "Portfolio Tracker",
        kind: AppKind::Web,
        publisher: "Ledgerline",
        description: "All your balances and trades in one chart. Reads, never trades.",
        scopes: &[
            required("balances.read", "To add up what you own."),
            optional("orders.read", "To show what is tied up in open orders."),
            optional("orders_history.read", "To draw how your portfolio came about."),
            optional("deals.read", "To work out profit and loss of each trade."),
        ],
        service_scopes: &[],
        addresses: &[],
        callback: Callback::PracticeApp,
        is_reviewed: true,
        wire: Wire::Standard,
        without_browser: None,
    },
    AppScript {
        key: "mobile",
        client_id: "pocketexchange",
        name: "Pocket Exchange",
        kind: AppKind::Native,
        publisher: "Small Screen Studio",
        description: "Your exchange account on the phone.",
        scopes: &[
            required("balances.read", "To show your balances."),
            optional("orders.read", "To show your open orders."),
            optional("orders.create", "To place orders from the phone."),
            optional("orders.delete", "To cancel orders from the phone."),
        ],
        service_scopes: &[],
        addresses: &[],
        callback: Callback::Loopback,
        is_reviewed: false,
        wire: Wire::Standard,
        without_browser: None,
    },
    AppScript {
        key: "enterprise",
        client_id: "enterprisetreasury",
        name: "Treasury Connect",
        kind: AppKind::Web,
        publisher: "Harbour Treasury AG",
        description: "Brings your company's trades into its books, from our own servers only.",
        scopes: &[
            required("balances.read", "To reconcile your balances every day."),
            optional("orders.read", "To report what is tied up in open orders."),
            optional("orders_history.read", "To book carried-out orders."),
            optional("deals.read", "To book every trade."),
            optional("orders.create", "To hedge when your treasurer confirms it."),
        ],
        service_scopes: &["balances.read", "orders.read", "orders_history.read", "deals.read"],
        addresses: NOWHERE_ELSE,
        callback: Callback::PracticeApp,
        is_reviewed: true,
        wire: Wire::Standard,
        without_browser: None,
    },
    AppScript {
        key: "whitebit-partner",
        client_id: "whitebitpartner",
        name: "Partner Desk",
        kind: AppKind::Web,
        publisher: "Partner Desk Ltd",
        description: "Built for the WhiteBIT API, and still speaks to it as it always did.",
        scopes: &[
            required("general", "To know that you have an account."),
            optional("users.balances.read", "To show your balances."),
            optional("users.orders.read", "To list your orders."),
            optional("users.deals.read", "To list your trades."),
            optional("users.transactions.read", "To list what came in and went out."),
            optional("users.converts.read", "To list your conversions."),
            optional("balances.read", "To size the orders it proposes."),
            optional("orders.read", "To follow your open orders."),
            optional("orders.create", "To place the orders you confirm."),
            optional("orders.delete", "To cancel them again."),
        ],
        service_scopes: &[],
        addresses: NOWHERE_ELSE,
        callback: Callback::PracticeApp,
        is_reviewed: true,
        wire: Wire::Dialect("whitebit"),
        without_browser: None,
    },
    AppScript {
        key: "key-partner",
        client_id: "keypartner",
        name: "Signal Desk",
        kind: AppKind::Web,
        publisher: "Signal Desk OU",
        description: "Trades for you around the clock with a key that you give it.",
        scopes: &[
            required("apikeys.create", "To sign its orders with a key of yours."),
            required("apikeys.read", "To see what you let the key do."),
            optional("apikeys.delete", "To give the key back when you leave."),
            optional("balances.read", "To size the orders it places."),
            optional("orders.read", "To follow your open orders."),
            optional("orders_history.read", "To work out what its orders earned."),
            optional("deals.read", "To list your trades."),
            optional("orders.create", "To place orders and move what they need."),
            optional("orders.delete", "To cancel orders again."),
        ],
        service_scopes: &[],
        addresses: NOWHERE_ELSE,
        callback: Callback::PracticeApp,
        is_reviewed: true,
        wire: Wire::Dialect("whitebit"),
        without_browser: None,
    },
];

/// Numeric ids, as Bitport's are.
pub(super) static DRIVE: [AppScript; 2] = [
    AppScript {
        key: "web",
        client_id: "43764",
        name: "Video Shelf",
        kind: AppKind::Web,
        publisher: "Shelf & Sons",
        description: "Your films as a shelf of covers, playable in the browser.",
        scopes: &[
            required("files.read", "To list your films and play them."),
            optional("account.read", "To show how much space is left."),
            optional("files.write", "To delete films that you have seen."),
        ],
        service_scopes: &[],
        addresses: &[],
        callback: Callback::PracticeApp,
        is_reviewed: true,
        wire: Wire::Both("bitport"),
        without_browser: None,
    },
    AppScript {
        key: "device",
        client_id: "998344708",
        name: "Living Room Player",
        kind: AppKind::Web,
        publisher: "Couch Devices",
        description: "A box under the television that plays what is on your drive.",
        scopes: &[
            required("files.read", "To play your files on the television."),
            optional("account.read", "To greet you by your address."),
            optional("files.write", "To fetch new films, and to delete those you have seen."),
        ],
        service_scopes: &[],
        addresses: &[],
        callback: Callback::PracticeApp,
        is_reviewed: false,
        wire: Wire::Both("bitport"),
        without_browser: Some(WithoutBrowser {
            code_page: "/get-access",
            token_path: "/v2/oauth2/access-token",
        }),
    },
];
