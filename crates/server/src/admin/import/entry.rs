//! One entry of an import: its fields, read and checked as far as that goes without the database.
//! Everything that is wrong is found at once. No reason repeats a secret or a hash.

use std::net::IpAddr;

use domain::app::{App, AppKind, ScopeRequest};
use domain::entropy::Entropy;
use domain::foreign_hash::ForeignHash;
use domain::policy::Policy;
use domain::time::Timestamp;
use domain::user::User;
use ipnet::IpNet;
use protocol::client_auth::{ID_BYTES_MAX, SECRET_BYTES_MAX};
use protocol::redirect_uri::RedirectUri;
use protocol::scope::{ScopeName, ScopeSet};
use protocol::secret::Secret;
use serde_json::{Map, Value};

use crate::foreign_hash;
use crate::pages::views::{AppForm, AppFormErrors};
use crate::portal::form::{self, About, Draft};
use crate::portal::registration::{self, Standing};

/// The names of all fields: members of a JSON object, or columns of a CSV file.
pub const FIELDS: &[&str] = &[
    "client_id",
    "name",
    "kind",
    "redirect_uris",
    "scopes",
    "service_scopes",
    "owner",
    "publisher",
    "description",
    "homepage",
    "privacy_url",
    "terms_url",
    "addresses",
    "dialect",
    "also_standard",
    "status",
    "client_secret",
    "client_secret_hash",
];

/// How the app proves itself.
pub(super) enum GivenSecret {
    None,
    Text(Secret),
    Hash(ForeignHash),
}

pub(super) struct Entry {
    pub(super) client_id: String,
    /// An e-mail address.
    pub(super) owner: String,
    pub(super) secret: GivenSecret,
    publisher: Option<String>,
    service_scopes: Option<ScopeSet>,
    addresses: Vec<IpNet>,
    also_standard: bool,
    standing: Standing,
    draft: Draft,
}

impl Entry {
    pub(super) fn to_app(&self, owner: &User, entropy: &dyn Entropy, now: Timestamp) -> App {
        let app = registration::new_app(self.draft.clone(), owner, self.standing, entropy, now);
        App {
            client_id: self.client_id.clone(),
            publisher: self.publisher.clone().unwrap_or(app.publisher),
            service_scopes: self.service_scopes.clone().unwrap_or(app.service_scopes),
            addresses: self.addresses.clone(),
            also_standard: self.also_standard,
            ..app
        }
    }

    /// The fields in which an app that is there is not what this entry says (`wanted`). What staff
    /// decided since, and what the entry leaves to us, is no difference.
    pub(super) fn differences(&self, wanted: &App, known: &App) -> Vec<&'static str> {
        let requested = |app: &App| {
            let mut requested = app.requested.clone();
            requested.sort_by(|a, b| a.scope.cmp(&b.scope));
            requested
        };
        let publisher = self.publisher.is_none() || wanted.publisher == known.publisher;
        let service =
            self.service_scopes.is_none() || wanted.service_scopes == known.service_scopes;
        [
            ("name", wanted.name == known.name),
            ("kind", wanted.kind == known.kind),
            ("redirect_uris", wanted.redirect_uris == known.redirect_uris),
            ("scopes", requested(wanted) == requested(known)),
            ("service_scopes", service),
            ("owner", wanted.owner == known.owner),
            ("publisher", publisher),
            ("description", wanted.description == known.description),
            ("homepage", wanted.homepage == known.homepage),
            ("privacy_url", wanted.privacy_url == known.privacy_url),
            ("terms_url", wanted.terms_url == known.terms_url),
            ("addresses", wanted.addresses == known.addresses),
            ("dialect", wanted.dialect == known.dialect),
            ("also_standard", wanted.also_standard == known.also_standard),
        ]
        .into_iter()
        .filter_map(|(field, is_same)| (!is_same).then_some(field))
        .collect()
    }
}

/// The entry, or every reason against it.
pub(super) fn check(entry: &Value, policy: &Policy) -> Result<Entry, Vec<String>> {
    let Some(fields) = entry.as_object() else {
        return Err(vec!["the entry is not an object with fields".to_owned()]);
    };
    let mut reader = Reader { fields, reasons: Vec::new() };
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        reader.reasons.push(format!("{name}: there is no such field"));
    }
    let kind = reader.kind();
    let requested = reader.scopes(policy);
    let dialect = reader.dialect(policy, kind);
    let entry = Entry {
        client_id: reader.client_id(),
        owner: reader.owner(),
        secret: reader.secret(kind),
        publisher: reader.publisher(),
        service_scopes: reader.service_scopes(kind, &requested),
        addresses: reader.addresses(),
        also_standard: reader.also_standard(dialect.is_some()),
        standing: reader.standing(),
        draft: Draft {
            about: reader.about(),
            kind,
            dialect,
            redirect_uris: reader.redirect_uris(kind),
            requested,
        },
    };
    if reader.reasons.is_empty() { Ok(entry) } else { Err(reader.reasons) }
}

/// The fields of one entry. What is wrong with one is noted, and reading goes on.
struct Reader<'e> {
    fields: &'e Map<String, Value>,
    reasons: Vec<String>,
}

impl<'e> Reader<'e> {
    fn refuse(&mut self, field: &str, reason: impl std::fmt::Display) {
        self.reasons.push(format!("{field}: {reason}"));
    }

    /// `None` when absent or empty. The value of a wrong type is not repeated: it may be a secret.
    fn text(&mut self, field: &str) -> Option<&'e str> {
        match self.fields.get(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
            Some(_) => {
                self.refuse(field, "must be a text");
                None
            }
        }
    }

    /// Texts separated by spaces, or an array of texts.
    fn list(&mut self, field: &str) -> Vec<&'e str> {
        match self.fields.get(field) {
            Some(Value::Array(items)) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                texts.unwrap_or_else(|| {
                    self.refuse(field, "must be texts");
                    Vec::new()
                })
            }
            _ => self.text(field).unwrap_or_default().split_whitespace().collect(),
        }
    }

    fn client_id(&mut self) -> String {
        // Some providers' are numbers, and programs that export them write them as such.
        if let Some(Value::Number(number)) = self.fields.get("client_id")
            && (number.is_u64() || number.is_i64())
        {
            return number.to_string();
        }
        let before = self.reasons.len();
        let id = self.text("client_id").unwrap_or_default().trim();
        if id.is_empty() {
            if self.reasons.len() == before {
                self.refuse("client_id", "is missing");
            }
        } else if id.len() > ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            let reason = format!("use 1 to {ID_BYTES_MAX} visible ASCII characters, no space");
            self.refuse("client_id", reason);
        }
        id.to_owned()
    }

    fn owner(&mut self) -> String {
        let owner = self.text("owner").unwrap_or_default().trim();
        if owner.is_empty() {
            self.refuse("owner", "is missing; --owner names it for all that have none");
        }
        owner.to_owned()
    }

    fn kind(&mut self) -> AppKind {
        match self.text("kind").map(str::trim) {
            None | Some("web") => AppKind::Web,
            Some("native") => AppKind::Native,
            Some("single-page" | "single_page") => AppKind::SinglePage,
            Some("service") => AppKind::Service,
            Some("device") => AppKind::Device,
            Some("agent") => AppKind::Agent,
            Some(other) => {
                let reason =
                    format!("{other} is none of web, native, single-page, service, device, agent");
                self.refuse("kind", reason);
                AppKind::Web
            }
        }
    }

    fn standing(&mut self) -> Standing {
        match self.text("status").map(str::trim) {
            None | Some("live") => Standing::Unreviewed,
            Some("review") => Standing::Reviewed,
            Some(other) => {
                self.refuse("status", format!("{other} is neither live nor review"));
                Standing::Reviewed
            }
        }
    }

    fn about(&mut self) -> About {
        let mut text = |field| self.text(field).unwrap_or_default().to_owned();
        let typed = AppForm {
            name: text("name"),
            description: text("description"),
            homepage: text("homepage"),
            privacy_url: text("privacy_url"),
            terms_url: text("terms_url"),
            ..AppForm::blank()
        };
        let (about, errors) = form::check_about(&typed);
        for (field, error) in [
            ("name", errors.name),
            ("description", errors.description),
            ("homepage", errors.homepage),
            ("privacy_url", errors.privacy_url),
            ("terms_url", errors.terms_url),
        ] {
            if let Some(error) = error {
                self.refuse(field, error);
            }
        }
        about
    }

    fn publisher(&mut self) -> Option<String> {
        let publisher = self.text("publisher")?.trim().to_owned();
        if let Some(error) = form::name_error(&publisher) {
            self.refuse("publisher", error);
        }
        Some(publisher)
    }

    fn redirect_uris(&mut self, kind: AppKind) -> Vec<RedirectUri> {
        let mut errors = AppFormErrors::default();
        let lines = self.list("redirect_uris").join("\n");
        let uris = form::check_redirect_uris(kind, &lines, &mut errors);
        for bad in errors.redirect_lines {
            self.refuse("redirect_uris", format!("{}: {}", bad.uri, bad.reason));
        }
        if let Some(error) = errors.redirect_uris {
            self.refuse("redirect_uris", error);
        }
        uris
    }

    /// Names separated by spaces, or an array of names and of `{scope, purpose, required}`.
    fn scopes(&mut self, policy: &Policy) -> Vec<ScopeRequest> {
        let mut requested: Vec<ScopeRequest> = Vec::new();
        let asked: Vec<Option<ScopeRequest>> = match self.fields.get("scopes") {
            Some(Value::Array(items)) => items.iter().map(scope_request).collect(),
            _ => self.list("scopes").into_iter().map(named_scope).collect(),
        };
        for request in asked {
            match request {
                None => {
                    self.refuse("scopes", "one is neither a name nor {scope, purpose, required}")
                }
                Some(request) if policy.scope(&request.scope).is_none() => {
                    self.refuse(
                        "scopes",
                        format!("{} is not a scope of this provider", request.scope),
                    );
                }
                Some(request) if requested.iter().any(|known| known.scope == request.scope) => {
                    self.refuse("scopes", format!("{} is there twice", request.scope));
                }
                Some(request) => {
                    let error = form::purpose_error(&request.purpose);
                    if let Some(error) = error.filter(|_| !request.purpose.is_empty()) {
                        self.refuse("scopes", format!("the purpose of {}: {error}", request.scope));
                    }
                    requested.push(request);
                }
            }
        }
        requested
    }

    fn service_scopes(&mut self, kind: AppKind, requested: &[ScopeRequest]) -> Option<ScopeSet> {
        let names = self.list("service_scopes");
        if names.is_empty() {
            return None;
        }
        if !kind.is_confidential() {
            self.refuse("service_scopes", "a public app has no client credentials");
        }
        let mut scopes = ScopeSet::new();
        for name in names {
            match requested.iter().find(|request| request.scope.as_str() == name) {
                Some(request) => _ = scopes.insert(request.scope.clone()),
                None => {
                    self.refuse("service_scopes", format!("{name} is not among the app's scopes"));
                }
            }
        }
        Some(scopes)
    }

    /// Networks, and single addresses.
    fn addresses(&mut self) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.list("addresses") {
            let single = || text.parse::<IpAddr>().map(IpNet::from);
            match text.parse::<IpNet>().or_else(|_| single()) {
                Ok(network) => networks.push(network),
                Err(_) => {
                    let reason = format!("{text} is neither an address nor a network (10.0.0.0/8)");
                    self.refuse("addresses", reason);
                }
            }
        }
        networks
    }

    fn dialect(&mut self, policy: &Policy, kind: AppKind) -> Option<String> {
        let name = self.text("dialect")?.trim();
        let dialect = policy.dialect(name);
        if let Some(error) = dialect.and_then(|dialect| form::wire_error(dialect, kind)) {
            self.refuse("dialect", error);
        }
        if dialect.is_none() {
            self.refuse("dialect", format!("{name} is not among the `dialects` of the config"));
        }
        Some(name.to_owned())
    }

    fn also_standard(&mut self, has_dialect: bool) -> bool {
        let is_true = match self.fields.get("also_standard") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            // As CSV says it.
            Some(Value::String(text)) if text.trim() == "true" => true,
            Some(Value::String(text)) if matches!(text.trim(), "" | "false") => false,
            Some(_) => {
                self.refuse("also_standard", "write true or false");
                false
            }
        };
        if is_true && !has_dialect {
            self.refuse("also_standard", "an app without a dialect speaks the standard anyway");
        }
        is_true
    }

    fn secret(&mut self, kind: AppKind) -> GivenSecret {
        let (secret, hash) = (self.text("client_secret"), self.text("client_secret_hash"));
        match (secret, hash, kind.is_confidential()) {
            (Some(_), Some(_), _) => {
                self.refuse("client_secret", "give the secret or its hash, not both");
            }
            (None, None, false) => {}
            (None, None, true) => {
                let reason = "is missing; give it or client_secret_hash, or say which public kind \
                              of app it is (native, single-page, device, agent)";
                self.refuse("client_secret", reason);
            }
            (_, _, false) => self.refuse(
                if secret.is_some() { "client_secret" } else { "client_secret_hash" },
                "an app of a public kind (native, single-page, device, agent) has none",
            ),
            (Some(secret), None, true) => {
                // RFC 6749 Appendix A.2: VSCHAR.
                if secret.len() <= SECRET_BYTES_MAX
                    && secret.bytes().all(|b| matches!(b, b' '..=b'~'))
                {
                    return GivenSecret::Text(Secret::new(secret));
                }
                let reason = format!("use 1 to {SECRET_BYTES_MAX} printable ASCII characters");
                self.refuse("client_secret", reason);
            }
            (None, Some(hash), true) => match foreign_hash::check(hash.trim()) {
                Ok(hash) => return GivenSecret::Hash(hash),
                Err(error) => self.refuse("client_secret_hash", error),
            },
        }
        GivenSecret::None
    }
}

fn named_scope(name: &str) -> Option<ScopeRequest> {
    let scope = ScopeName::parse(name).ok()?;
    Some(ScopeRequest { scope, purpose: String::new(), required: false })
}

fn scope_request(item: &Value) -> Option<ScopeRequest> {
    let fields = match item {
        Value::String(name) => return named_scope(name),
        other => other.as_object()?,
    };
    if fields.keys().any(|name| !["scope", "purpose", "required"].contains(&name.as_str())) {
        return None;
    }
    let purpose = match fields.get("purpose") {
        None => "",
        Some(purpose) => purpose.as_str()?,
    };
    let required = match fields.get("required") {
        None => false,
        Some(required) => required.as_bool()?,
    };
    let request = named_scope(fields.get("scope")?.as_str()?)?;
    Some(ScopeRequest { purpose: purpose.trim().to_owned(), required, ..request })
}
