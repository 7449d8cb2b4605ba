//! Error envelopes: the presets, templates from configuration, and valid JSON whatever comes in.

use proptest::prelude::*;

use serde_json::{Value, json};

use super::*;

fn refusal(kind: RefusalKind, message: &str) -> Refusal<'_> {
    Refusal { kind, message, missing_scopes: None }
}

fn body(rendered: &Rendered) -> Value {
    serde_json::from_str(&rendered.body).unwrap()
}

fn spec(template: &str) -> EnvelopeSpec {
    serde_json::from_value(json!({ "template": template })).unwrap()
}

#[test]
fn problem_json_names_all_missing_scopes() {
    let missing = ScopeSet::parse("orders.create orders.read").unwrap();
    let rendered = ErrorEnvelope::problem_json().render(&Refusal {
        kind: RefusalKind::InsufficientScope,
        message: "the token lacks orders.create orders.read",
        missing_scopes: Some(&missing),
    });
    assert_eq!(rendered.status, StatusCode::FORBIDDEN);
    assert_eq!(rendered.content_type, "application/problem+json");
    assert_eq!(
        body(&rendered),
        json!({
            "type": "about:blank", "title": "Forbidden", "status": 403,
            "detail": "the token lacks orders.create orders.read",
            "error": "insufficient_scope",
            "missing_scopes": ["orders.create", "orders.read"],
        })
    );
}

#[test]
fn a_member_without_a_value_is_left_out() {
    let rendered = ErrorEnvelope::problem_json().render(&refusal(RefusalKind::NotFound, "no"));
    assert!(body(&rendered).get("missing_scopes").is_none());
}

#[test]
fn every_kind_renders() {
    let envelope = ErrorEnvelope::problem_json();
    for kind in RefusalKind::ALL {
        let rendered = envelope.render(&refusal(kind, "text"));
        assert!(body(&rendered).is_object(), "{kind:?}");
        assert!(!rendered.body.contains("{{"), "{kind:?}: {}", rendered.body);
    }
}

#[test]
fn a_kind_is_the_same_word_everywhere() {
    for kind in RefusalKind::ALL {
        assert_eq!(json!(kind), kind.as_str());
        assert!(kind.status().is_client_error() || kind.status().is_server_error());
    }
}

#[test]
fn configuration_may_say_statuses_codes_and_messages_per_kind() {
    let spec: EnvelopeSpec = serde_json::from_value(json!({
        "content_type": "application/vnd.api+json",
        "template": r#"{
            "code": "{{code}}",
            "text": "{{error}}: {{ message }} ({{code}})",
            "need": "<{{missing_scopes}}>",
            "n": [1, true]
        }"#,
        "statuses": { "rate_limited": 420 },
        "codes": { "rate_limited": -7 },
        "messages": { "rate_limited": "slow down" },
    }))
    .unwrap();
    let envelope = ErrorEnvelope::new(spec).unwrap();
    let rendered = envelope.render(&refusal(RefusalKind::RateLimited, "ignored"));
    assert_eq!(rendered.status.as_u16(), 420);
    assert_eq!(rendered.content_type, "application/vnd.api+json");
    assert_eq!(
        body(&rendered),
        json!({ "code": -7, "text": "rate_limited: slow down (-7)", "need": "<>", "n": [1, true] })
    );
}

#[test]
fn faults_of_a_template_are_told() {
    use EnvelopeError as E;
    let fault = |template: &str| ErrorEnvelope::new(spec(template)).unwrap_err();
    assert!(matches!(fault(r#"{"a":{{code}}}"#), E::Template(TemplateError::NotJson(_))));
    let unknown = fault(r#"{"a":"{{cod}}"}"#).to_string();
    assert!(unknown.starts_with("the template has the unknown placeholder {{cod}}"), "{unknown}");
    let mut bad = spec("{}");
    bad.statuses.insert(RefusalKind::NotFound, 101);
    assert_eq!(ErrorEnvelope::new(bad), Err(E::BadStatus(101)));
    let mut bad = spec("{}");
    bad.content_type = "a\r\nb".to_owned();
    assert!(matches!(ErrorEnvelope::new(bad), Err(E::BadContentType(_))));
    let unknown = json!({ "template": "{}", "templates": "{}" });
    assert!(serde_json::from_value::<EnvelopeSpec>(unknown).is_err());
}

proptest! {
    #[test]
    fn r8_no_message_can_break_out_of_the_json(message in any::<String>()) {
        let rendered =
            ErrorEnvelope::problem_json().render(&refusal(RefusalKind::BadRequest, &message));
        let parsed: Value = serde_json::from_str(&rendered.body).unwrap();
        prop_assert!(parsed.to_string().contains(&json!(message).to_string()));
    }
}
