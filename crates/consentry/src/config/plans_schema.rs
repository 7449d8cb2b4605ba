//! The keys of `[[plans]]` and `[[perks]]`.

use super::schema::{Kind, REQUIRED, Shape, key};

pub(super) static PLAN: Shape = Shape {
    keys: &[
        key("name", Kind::Text, REQUIRED, "Kept in the database: small letters, digits, `-`, `_`."),
        key("title", Kind::Text, REQUIRED, "What developers call it."),
        key("text", Kind::Text, REQUIRED, "What developers read about it."),
        key(
            "default",
            Kind::Switch,
            "`false`",
            "Apps that were given no plan have this one. Exactly one plan is the default.",
        ),
        key(
            "rate",
            Kind::Rate,
            "none",
            "`600/1m`: calls of one app through all APIs, on each node, besides the limits of each \
             API.",
        ),
        key(
            "calls_per_day",
            Kind::Number,
            "none",
            "Calls of one app that reach an API on one day (UTC): see [plans](plans.md).",
        ),
        key("calls_per_month", Kind::Number, "none", "The same in a month (UTC)."),
        key(
            "users_max",
            Kind::Number,
            "none",
            "Users who have let the app in. Those who have keep it.",
        ),
    ],
};

pub(super) static PERK: Shape = Shape {
    keys: &[
        key("name", Kind::Text, REQUIRED, "Kept in the database: small letters, digits, `-`, `_`."),
        key("title", Kind::Text, REQUIRED, "What developers call it."),
        key("text", Kind::Text, REQUIRED, "What developers read about it."),
    ],
};
