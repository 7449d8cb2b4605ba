//! What the config says, in a form that can be kept and compared: so that the trail tells when the
//! rules changed, and which scopes and routes with them. No secret is in it.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::policy::{Policy, Resource, RouteAccess, RouteRule};

/// Names of one kind, each with what holds for it.
type Named = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySummary {
    pub scopes: Named,
    /// As `https://api.example GET /orders/{id}`, with the scopes that it takes.
    pub routes: Named,
    pub settings: Named,
}

impl PolicySummary {
    pub fn of(policy: &Policy) -> Self {
        let scopes = policy.scopes.values().map(|scope| {
            (scope.name.to_string(), format!("{:?} {:?}: {}", scope.tier, scope.kind, scope.text))
        });
        Self {
            scopes: scopes.collect(),
            routes: policy.resources.iter().flat_map(routes).collect(),
            settings: settings(policy),
        }
    }

    /// 64 hexadecimal digits over all of it.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        digest(&SHA256, &text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the audit trail says of the step from `before` to this.
    pub fn difference(&self, before: &Self) -> Value {
        json!({
            "scopes": changes(&before.scopes, &self.scopes),
            "routes": changes(&before.routes, &self.routes),
            "settings": changes(&before.settings, &self.settings),
        })
    }
}

fn routes(resource: &Resource) -> Vec<(String, String)> {
    let one = |method: &str, route: &RouteRule| {
        let takes = match &route.access {
            RouteAccess::Public => "public".to_owned(),
            RouteAccess::AnyOf(sets) => {
                sets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
            }
        };
        (format!("{} {method} {}", resource.identifier, route.pattern), takes)
    };
    let mut all = Vec::new();
    resource.routes.each(&mut |method, route| all.push(one(method, route)));
    all
}

fn settings(policy: &Policy) -> Named {
    let dialects: Vec<_> = policy.dialects.iter().map(|dialect| dialect.name.as_str()).collect();
    let reviewed: Vec<_> = policy.reviewed.iter().map(|field| field.name()).collect();
    let review = &policy.review;
    let mut named = vec![
        ("registration", format!("{:?}", policy.registration)),
        ("accounts", format!("{:?}", policy.accounts)),
        ("high_tier", format!("{:?}", policy.high_tier)),
        ("lifetimes", format!("{:?}", policy.lifetimes)),
        ("dialects", dialects.join(" ")),
        ("review.fields", reviewed.join(" ")),
        ("review.tiers", format!("{:?}", review.tiers)),
        ("review.again_after", format!("{:?}", review.again_after)),
        ("review.unused_after", format!("{:?}", review.unused_after)),
        ("partner_keys", policy.partner_keys.is_some().to_string()),
    ];
    named.sort();
    let resource = |resource: &Resource| {
        let upstream = resource.upstream.as_ref().map_or("none", |upstream| upstream.url.as_str());
        let text = format!(
            "{} at {}{}, upstream {upstream}, tokens {:?}, rates {:?} {:?}",
            resource.name,
            resource.host.as_deref().unwrap_or_default(),
            resource.path_prefix,
            resource.token_format,
            resource.rate_per_app,
            resource.rate_per_user,
        );
        (format!("resource {}", resource.identifier), text)
    };
    let named = named.into_iter().map(|(name, value)| (name.to_owned(), value));
    named.chain(policy.resources.iter().map(resource)).collect()
}

fn changes(before: &Named, after: &Named) -> Value {
    let missing_in = |from: &Named, other: &Named| -> Vec<String> {
        from.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    let is_changed =
        |(name, value): &(&String, &String)| before.get(*name).is_some_and(|old| old != *value);
    let changed = after.iter().filter(is_changed).map(|(name, value)| {
        let old = before.get(name).cloned().unwrap_or_default();
        (name.clone(), json!({ "before": old, "after": value }))
    });
    json!({
        "added": missing_in(after, before),
        "removed": missing_in(before, after),
        "changed": changed.collect::<serde_json::Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pairs: &[(&str, &str)]) -> Named {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_difference_names_what_came_what_went_and_what_changed() {
        let before = PolicySummary {
            scopes: named(&[("read", "Low"), ("trade", "High")]),
            ..PolicySummary::default()
        };
        let after = PolicySummary {
            scopes: named(&[("trade", "Sensitive"), ("withdraw", "High")]),
            ..PolicySummary::default()
        };
        assert_ne!(before.hash(), after.hash());
        assert_eq!(before.hash(), before.clone().hash());
        assert_eq!(
            after.difference(&before)["scopes"],
            json!({
                "added": ["withdraw"],
                "removed": ["read"],
                "changed": { "trade": { "before": "High", "after": "Sensitive" } },
            })
        );
    }
}
