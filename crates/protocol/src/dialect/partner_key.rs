//! Partner keys in a dialect: where its clients ask about a key, and how they are answered.

use http::StatusCode;

use crate::partner_key::{KeyFailure, KeyInfo, KeyPermission};
use crate::template::{Placeholder, Slot, Template};

use super::answer::RenderedAnswer;

/// Stands for the id of a key in the path of an endpoint.
pub const KEY_ID: &str = "{id}";

#[derive(Debug, Clone)]
pub struct PartnerKeys {
    /// The parameter of the standard by which a request that names no scopes asks for a key.
    /// `None`: there is none, so the scope that makes a key has to be named.
    pub asked_by: Option<String>,
    /// The parameter in which the redirect carries the public key.
    pub redirect_parameter: String,
    pub info: KeyEndpoint,
    pub secret: KeyEndpoint,
    pub delete: KeyEndpoint,
    /// One permission group of `{{permissions}}`.
    pub permission: Template<PermissionWord>,
    /// One endpoint of `{{urls}}`.
    pub url: Template<UrlWord>,
    /// The first rule that fits; the last one fits everything.
    pub errors: Vec<KeyErrorRule>,
}

#[derive(Debug, Clone)]
pub struct KeyEndpoint {
    /// With [`KEY_ID`] where the key is named.
    pub path: String,
    pub template: Template<KeyWord>,
}

/// Placeholders of an answer about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWord {
    Exists,
    IsEnabled,
    ExternalId,
    PublicKey,
    Permissions,
    Secret,
}

impl Placeholder for KeyWord {
    const ALL: &'static [(&'static str, Self)] = &[
        ("exists", Self::Exists),
        ("is_enabled", Self::IsEnabled),
        ("external_id", Self::ExternalId),
        ("public_key", Self::PublicKey),
        ("permissions", Self::Permissions),
        ("secret", Self::Secret),
    ];
}

/// Placeholders of one permission group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionWord {
    Name,
    Title,
    Urls,
}

impl Placeholder for PermissionWord {
    const ALL: &'static [(&'static str, Self)] =
        &[("name", Self::Name), ("title", Self::Title), ("urls", Self::Urls)];
}

/// Placeholders of one endpoint of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlWord {
    Url,
    Enable,
}

impl Placeholder for UrlWord {
    const ALL: &'static [(&'static str, Self)] = &[("url", Self::Url), ("enable", Self::Enable)];
}

/// How some refusals are answered.
#[derive(Debug, Clone)]
pub struct KeyErrorRule {
    /// Empty: all of them.
    pub when: Vec<KeyFailure>,
    /// `None`: HTTP's own for the failure.
    pub status: Option<StatusCode>,
    pub template: Template<KeyErrorWord>,
}

/// Placeholders of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyErrorWord {
    Error,
    Description,
    Status,
}

impl Placeholder for KeyErrorWord {
    const ALL: &'static [(&'static str, Self)] =
        &[("error", Self::Error), ("description", Self::Description), ("status", Self::Status)];
}

impl PartnerKeys {
    /// The addresses of the three endpoints, with [`KEY_ID`] in them.
    pub fn paths(&self) -> [&str; 3] {
        [&self.info.path, &self.secret.path, &self.delete.path]
    }

    /// Whether one of them answers under `path`.
    pub fn owns(&self, path: &str) -> bool {
        self.paths().into_iter().any(|pattern| match pattern.split_once(KEY_ID) {
            None => pattern == path,
            Some((before, after)) => path
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|id| !id.is_empty() && !id.contains('/')),
        })
    }

    pub fn tell_info(&self, info: &KeyInfo) -> RenderedAnswer {
        let text = |text: &'_ Option<String>| match text {
            Some(text) => Slot::Text(text.clone().into()),
            None => Slot::json("null"),
        };
        let body = self.info.template.render(|word| {
            Some(match word {
                KeyWord::Exists => Slot::from(info.exists),
                KeyWord::IsEnabled => Slot::from(info.is_enabled),
                KeyWord::ExternalId => text(&info.external_id),
                KeyWord::PublicKey => text(&info.public_key),
                KeyWord::Permissions => {
                    let groups = info.permissions.iter().map(|group| self.permission(group));
                    Slot::json_list(groups)
                }
                KeyWord::Secret => return None,
            })
        });
        good(body)
    }

    fn permission(&self, group: &KeyPermission) -> String {
        self.permission.render(|word| {
            Some(match word {
                PermissionWord::Name => Slot::Text(group.name.as_str().into()),
                PermissionWord::Title => Slot::Text(group.title.as_str().into()),
                PermissionWord::Urls => Slot::json_list(group.urls.iter().map(|one| {
                    self.url.render(|word| {
                        Some(match word {
                            UrlWord::Url => Slot::Text(one.url.as_str().into()),
                            UrlWord::Enable => Slot::from(one.enable),
                        })
                    })
                })),
            })
        })
    }

    /// `quoted` is the secret as a JSON string, which is copied into the answer and nowhere else.
    pub fn tell_secret(&self, external_id: &str, quoted: &str) -> RenderedAnswer {
        let body = self.secret.template.render(|word| match word {
            KeyWord::Secret => Some(Slot::json(quoted)),
            KeyWord::ExternalId => Some(Slot::Text(external_id.into())),
            _ => None,
        });
        good(body)
    }

    pub fn tell_deleted(&self, external_id: &str) -> RenderedAnswer {
        let body = self.delete.template.render(|word| match word {
            KeyWord::ExternalId => Some(Slot::Text(external_id.into())),
            _ => None,
        });
        good(body)
    }

    pub fn refuse(&self, failure: KeyFailure) -> RenderedAnswer {
        let fits = |rule: &&KeyErrorRule| rule.when.is_empty() || rule.when.contains(&failure);
        let rule = self.errors.iter().find(fits);
        let status = rule.and_then(|rule| rule.status).unwrap_or_else(|| failure.status());
        let render = |rule: &KeyErrorRule| {
            rule.template.render(|word| {
                Some(match word {
                    KeyErrorWord::Error => Slot::Text(failure.as_str().into()),
                    KeyErrorWord::Description => Slot::Text(failure.description().into()),
                    KeyErrorWord::Status => Slot::Number(status.as_u16().into()),
                })
            })
        };
        RenderedAnswer {
            status,
            // A checked dialect has a rule for everything.
            body: rule.map_or_else(|| failure.to_json(), render),
            retry_after_seconds: failure.retry_after_seconds(),
        }
    }
}

fn good(body: String) -> RenderedAnswer {
    RenderedAnswer { status: StatusCode::OK, body, retry_after_seconds: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner_key::KeyUrl;

    fn endpoint(path: &str, template: &str) -> KeyEndpoint {
        KeyEndpoint { path: path.to_owned(), template: Template::parse(template).unwrap() }
    }

    fn keys() -> PartnerKeys {
        let rule = |when: &[KeyFailure], status: Option<u16>, template: &str| KeyErrorRule {
            when: when.to_vec(),
            status: status.and_then(|status| StatusCode::from_u16(status).ok()),
            template: Template::parse(template).unwrap(),
        };
        PartnerKeys {
            asked_by: Some("code_challenge".to_owned()),
            redirect_parameter: "key".to_owned(),
            info: endpoint(
                "/key/info",
                r#"{"there":"{{exists}}","id":"{{external_id}}","may":"{{permissions}}"}"#,
            ),
            secret: endpoint("/key/{id}/secret", r#"{"s":"{{secret}}"}"#),
            delete: endpoint("/key/{id}", r#"{"gone":[]}"#),
            permission: Template::parse(r#"{"t":"{{title}}","u":"{{urls}}"}"#).unwrap(),
            url: Template::parse(r#"{"p":"{{url}}","on":"{{enable}}"}"#).unwrap(),
            errors: vec![
                rule(&[KeyFailure::InsufficientScope], Some(401), r#"{"e":"No."}"#),
                rule(&[], None, r#"{"e":"{{error}}","s":"{{status}}"}"#),
            ],
        }
    }

    #[test]
    fn an_answer_has_the_shape_that_the_dialect_says() {
        let url = |url: &str, enable| KeyUrl { url: url.to_owned(), enable };
        let info = KeyInfo {
            exists: true,
            is_enabled: true,
            external_id: Some("k\"1".to_owned()),
            public_key: None,
            permissions: vec![KeyPermission {
                name: "trading".to_owned(),
                title: "Handel".to_owned(),
                urls: vec![url("/new", true), url("/old", false)],
            }],
        };
        assert_eq!(
            keys().tell_info(&info).body,
            r#"{"there":true,"id":"k\"1","may":[{"t":"Handel","u":[{"p":"/new","on":true},{"p":"/old","on":false}]}]}"#
        );
        assert_eq!(keys().tell_info(&KeyInfo::NONE).body, r#"{"there":false,"id":null,"may":[]}"#);
        assert_eq!(keys().tell_secret("k", "\"abc\"").body, r#"{"s":"abc"}"#);
        assert_eq!(keys().tell_deleted("k").body, r#"{"gone":[]}"#);
    }

    #[test]
    fn a_refusal_takes_the_first_rule_that_fits() {
        let told = |failure| {
            let answer = keys().refuse(failure);
            (answer.status.as_u16(), answer.body)
        };
        assert_eq!(told(KeyFailure::InsufficientScope), (401, r#"{"e":"No."}"#.to_owned()));
        assert_eq!(told(KeyFailure::Locked), (423, r#"{"e":"locked","s":423}"#.to_owned()));
    }

    #[test]
    fn a_path_with_a_key_in_it_is_recognised() {
        let keys = keys();
        for path in ["/key/info", "/key/abc", "/key/abc/secret"] {
            assert!(keys.owns(path), "{path}");
        }
        for path in ["/key/", "/key", "/key//secret", "/key/a/b", "/key/a/b/secret", "/other"] {
            assert!(!keys.owns(path), "{path}");
        }
    }
}
