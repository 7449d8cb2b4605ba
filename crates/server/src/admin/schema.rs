//! How the types of the API describe themselves: the fields of a `wire!` struct are its JSON schema
//! (draft 2020-12, the dialect of OpenAPI 3.1), and their comments its descriptions.

use std::collections::BTreeMap;

use domain::admin_token::AdminScope;
use domain::app::AppKind;
use domain::id::{
    AdminTokenId, AppId, AppMessageId, ConsentId, CredentialId, GrantId, PlanRequestId, TeamId,
    UserId,
};
use domain::user::Role;
use ipnet::IpNet;
use protocol::scope::{ScopeName, ScopeSet};
use serde_json::{Map, Value, json};

pub trait Schema {
    /// Need not be there.
    const OPTIONAL: bool = false;

    fn schema(of: &mut Components) -> Value;
}

/// The named schemas of a document.
#[derive(Debug, Default)]
pub struct Components(BTreeMap<&'static str, Value>);

impl Components {
    /// A reference to `name`, which `fill` describes when it comes first.
    pub fn named(
        &mut self,
        name: &'static str,
        doc: &str,
        fill: impl FnOnce(&mut Self, &mut Fields),
    ) -> Value {
        if !self.0.contains_key(name) {
            let mut fields = Fields::default();
            fill(self, &mut fields);
            self.0.insert(name, fields.into_object(doc));
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    pub fn into_value(self) -> Value {
        self.0.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
    }

    pub fn find(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// The members of one object.
#[derive(Debug, Default)]
pub struct Fields {
    properties: Map<String, Value>,
    required: Vec<Value>,
    strict: bool,
}

impl Fields {
    /// `how`: what serde is told about the field.
    pub fn field<T: Schema>(&mut self, of: &mut Components, name: &str, doc: &str, how: &str) {
        let mut schema = T::schema(of);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), sentence(doc).into());
        }
        let name = name.trim_start_matches("r#");
        self.properties.insert(name.to_owned(), schema);
        if !T::OPTIONAL && !how.contains("default") {
            self.required.push(name.into());
        }
    }

    pub fn container(&mut self, how: &str) {
        self.strict = how.contains("deny_unknown_fields");
    }

    fn into_object(self, doc: &str) -> Value {
        let mut object = json!({
            "type": "object", "description": sentence(doc), "properties": self.properties,
        });
        if let Some(fields) = object.as_object_mut() {
            if !self.required.is_empty() {
                fields.insert("required".to_owned(), self.required.into());
            }
            if self.strict {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
        }
        object
    }
}

/// A comment of several lines as one line of text.
fn sentence(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Structs that cross the wire. Each field has a comment: it is what the reference says.
macro_rules! wire {
    ($(
        $(#[doc = $doc:literal])+
        #[derive($($derive:ident),+)]
        $(#[serde($($container:tt)*)])?
        pub struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])+
                $(#[serde($($how:tt)*)])?
                pub $field:ident: $ty:ty,
            )*
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive($($derive),+)]
        $(#[serde($($container)*)])?
        pub struct $name {
            $(
                $(#[doc = $field_doc])+
                $(#[serde($($how)*)])?
                pub $field: $ty,
            )*
        }

        impl $crate::admin::schema::Schema for $name {
            fn schema(of: &mut $crate::admin::schema::Components) -> ::serde_json::Value {
                of.named(stringify!($name), concat!($($doc),+), |of, fields| {
                    fields.container(stringify!($($($container)*)?));
                    $(fields.field::<$ty>(
                        of,
                        stringify!($field),
                        concat!($($field_doc),+),
                        stringify!($($($how)*)?),
                    );)*
                })
            }
        }
    )+};
}
pub(crate) use wire;

/// Enums that cross the wire as one of a few texts.
macro_rules! choices {
    ($(#[doc = $doc:literal])+ pub enum $name:ident { $($variant:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $(#[serde(rename = $text)] $variant,)+ }

        impl $name {
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl $crate::admin::schema::Schema for $name {
            fn schema(_: &mut $crate::admin::schema::Components) -> ::serde_json::Value {
                ::serde_json::json!({ "type": "string", "enum": [$($text),+] })
            }
        }
    };
}
pub(crate) use choices;

macro_rules! plain {
    ($($ty:ty: $schema:tt)+) => {$(
        impl Schema for $ty {
            fn schema(_: &mut Components) -> Value {
                json!($schema)
            }
        }
    )+};
}

plain! {
    String: { "type": "string" }
    &'static str: { "type": "string" }
    bool: { "type": "boolean" }
    i64: { "type": "integer" }
    u64: { "type": "integer", "minimum": 0 }
    u32: { "type": "integer", "minimum": 0 }
    Value: {}
    ScopeName: { "type": "string" }
    ScopeSet: { "type": "string" }
    IpNet: { "type": "string" }
    AppKind: {
        "type": "string",
        "enum": ["web", "native", "single_page", "service", "device", "agent"]
    }
    Role: { "type": "string", "enum": ["developer", "reviewer", "admin"] }
}

macro_rules! ids {
    ($($id:ty)+) => {$(
        impl Schema for $id {
            fn schema(_: &mut Components) -> Value {
                json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
            }
        }
    )+};
}

ids! {
    AdminTokenId AppId AppMessageId ConsentId CredentialId GrantId PlanRequestId TeamId UserId
}

impl Schema for AdminScope {
    fn schema(_: &mut Components) -> Value {
        json!({ "type": "string", "enum": AdminScope::ALL })
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema(of: &mut Components) -> Value {
        json!({ "type": "array", "items": T::schema(of) })
    }
}

impl<K, T: Schema> Schema for BTreeMap<K, T> {
    fn schema(of: &mut Components) -> Value {
        json!({ "type": "object", "additionalProperties": T::schema(of) })
    }
}

impl<T: Schema> Schema for Option<T> {
    const OPTIONAL: bool = true;

    fn schema(of: &mut Components) -> Value {
        T::schema(of)
    }
}
