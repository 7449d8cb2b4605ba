//! The authorization request and its answers: rows R6, R7, R8, M1, P2 and P3 of the attack list.

use super::*;
use crate::authorize_response::EncodedResponse;
use crate::params::ParamsError;
use crate::redirect_uri::RedirectPolicy;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const ISSUER: &str = "https://as.example";

struct App {
    redirect_uris: Vec<RedirectUri>,
    allowed: ScopeSet,
    defaults: ScopeSet,
    resources: Vec<String>,
}

impl App {
    fn new(redirect_uris: &[&str]) -> Self {
        let register = |text: &&str| RedirectUri::register(RedirectPolicy::Native, text).unwrap();
        Self {
            redirect_uris: redirect_uris.iter().map(register).collect(),
            allowed: ScopeSet::parse("orders.read orders.create balances.read").unwrap(),
            defaults: ScopeSet::parse("orders.read").unwrap(),
            resources: vec!["https://api.example".to_owned()],
        }
    }

    fn policy(&self) -> ClientPolicy<'_> {
        ClientPolicy {
            redirect_uris: &self.redirect_uris,
            allowed_scopes: &self.allowed,
            default_scopes: &self.defaults,
            require_pkce: true,
            any_loopback_port: false,
            may_use_code: true,
            known_resources: &self.resources,
        }
    }
}

fn app() -> App {
    App::new(&["https://app.example/cb"])
}

fn good() -> String {
    format!(
        "client_id=bot&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code\
         &scope=orders.read&state=s1&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )
}

fn decode(query: &str) -> Result<RawAuthorizeRequest, DirectError> {
    RawAuthorizeRequest::decode(&Params::parse(query.as_bytes()).unwrap())
}

fn validate(app: &App, query: &str) -> Result<AuthorizeRequest, AuthorizeError> {
    decode(query).unwrap().validate(&app.policy())
}

fn redirected(app: &App, query: &str) -> RedirectError {
    match validate(app, query) {
        Err(AuthorizeError::Redirect(error)) => *error,
        other => panic!("{query}: {other:?}"),
    }
}

fn location(response: &AuthorizeResponse) -> String {
    match response.encode() {
        EncodedResponse::Redirect(location) => location,
        EncodedResponse::FormPost(form) => panic!("{form:?}"),
    }
}

#[test]
fn a_good_request_says_all_it_said() {
    let query = good()
        + "&response_mode=form_post&prompt=login+consent&max_age=300&login_hint=alice%40example.com\
           &nonce=n1&resource=https%3A%2F%2Fapi.example&unknown=1&unknown=2";
    let request = validate(&app(), &query).unwrap();
    assert_eq!(request.client_id, "bot");
    assert_eq!(request.redirect_uri.as_str(), "https://app.example/cb");
    assert!(request.redirect_uri_was_sent);
    assert_eq!(request.response_mode, ResponseMode::FormPost);
    assert_eq!(request.scopes.to_string(), "orders.read");
    assert_eq!(request.state.as_deref(), Some("s1"));
    assert_eq!(request.code_challenge.unwrap().to_string(), CHALLENGE);
    assert!(request.prompts.contains(Prompt::Login) && request.prompts.contains(Prompt::Consent));
    assert!(!request.prompts.contains(Prompt::None));
    assert_eq!(request.max_age_seconds, Some(300));
    assert_eq!(request.login_hint.as_deref(), Some("alice@example.com"));
    assert_eq!(request.nonce.as_deref(), Some("n1"));
    assert_eq!(request.resources, ["https://api.example"]);
}

#[test]
fn a_raw_request_survives_a_round_trip() {
    let raw = decode(&(good() + "&state=again")).unwrap();
    let text = serde_json::to_string(&raw).unwrap();
    assert_eq!(serde_json::from_str::<RawAuthorizeRequest>(&text).unwrap(), raw);
}

#[test]
fn r6_nothing_is_redirected_before_the_redirect_uri_is_known_to_be_good() {
    for rest in [
        "response_type=token",
        "response_type=code&scope=unknown",
        "response_type=code&response_mode=fragment",
        "",
        "state=a&state=b",
        "request=x",
    ] {
        let evil = format!("client_id=bot&redirect_uri=https%3A%2F%2Fevil.example%2Fcb&{rest}");
        assert_eq!(
            validate(&app(), &evil),
            Err(AuthorizeError::Direct(DirectError::RedirectUriMismatch)),
            "{rest}"
        );
    }
}

#[test]
fn r6_an_unclear_client_or_redirect_uri_is_never_redirected() {
    assert_eq!(decode("response_type=code"), Err(DirectError::ClientIdMissing));
    assert_eq!(decode("client_id="), Err(DirectError::ClientIdMissing));
    for name in ["client_id", "redirect_uri"] {
        let doubled = good() + "&" + name + "=x";
        assert_eq!(decode(&doubled), Err(DirectError::Duplicate(name.to_owned())));
    }
    let unreadable = DirectError::from(ParamsError::NotUtf8);
    assert_eq!(unreadable.to_string(), "the request is not readable: a parameter is not UTF-8");
}

#[test]
fn the_redirect_uri_may_be_left_out_when_one_is_registered() {
    let query = good().replace("redirect_uri=https%3A%2F%2Fapp.example%2Fcb&", "");
    let request = validate(&app(), &query).unwrap();
    assert_eq!(request.redirect_uri.as_str(), "https://app.example/cb");
    assert!(!request.redirect_uri_was_sent);
    for uris in [&[][..], &["https://app.example/cb", "https://app.example/cb2"][..]] {
        assert_eq!(
            validate(&App::new(uris), &query),
            Err(AuthorizeError::Direct(DirectError::RedirectUriMissing))
        );
    }
}

#[test]
fn a_native_app_is_answered_at_the_port_it_named() {
    let query =
        good().replace("https%3A%2F%2Fapp.example%2Fcb", "http%3A%2F%2F127.0.0.1%3A5123%2F");
    let request = validate(&App::new(&["http://127.0.0.1/"]), &query).unwrap();
    assert_eq!(
        location(&request.granted("c1".to_owned(), Some(ISSUER))),
        "http://127.0.0.1:5123/?code=c1&state=s1&iss=https%3A%2F%2Fas.example"
    );
}

#[test]
fn faults_of_a_known_client_are_redirected_with_their_code() {
    for (from, to, code) in [
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("response_type=code", "response_type=code+id_token", "unsupported_response_type"),
        ("response_type=code", "response_type=", "invalid_request"),
        ("scope=orders.read", "scope=orders.read+admin", "invalid_scope"),
        ("scope=orders.read", "scope=orders.read%22", "invalid_scope"),
        ("scope=orders.read", "scope=+", "invalid_scope"),
        ("code_challenge_method=S256", "code_challenge_method=plain", "invalid_request"),
        ("code_challenge_method=S256", "", "invalid_request"),
        ("code_challenge=E9", "code_challenge=9", "invalid_request"),
        ("state=s1", "state=s1&prompt=none+login", "invalid_request"),
        ("state=s1", "state=s1&prompt=create", "invalid_request"),
        ("state=s1", "state=s1&max_age=-1", "invalid_request"),
        ("state=s1", "state=s1&max_age=%2B1", "invalid_request"),
        ("state=s1", "state=s1&max_age=99999999999", "invalid_request"),
        ("state=s1", "state=s1&response_mode=fragment", "invalid_request"),
        ("state=s1", "state=s1&resource=https://other.example", "invalid_target"),
        ("state=s1", "state=s1&resource=relative", "invalid_target"),
        ("state=s1", "state=s1&resource=https://api.example%23x", "invalid_target"),
        ("state=s1", "state=s1&request=eyJ", "request_not_supported"),
        ("state=s1", "state=s1&request_uri=urn:x", "request_uri_not_supported"),
        ("state=s1", "state=s1&nonce=a%0Ab", "invalid_request"),
    ] {
        let query = good().replace(from, to);
        let error = redirected(&app(), &query);
        assert_eq!(error.code.as_str(), code, "{to}");
        assert_eq!(error.state.as_deref(), Some("s1"), "{to}");
        assert_eq!(error.redirect_uri.as_str(), "https://app.example/cb");
        assert!(!error.description.is_empty());
    }
}

#[test]
fn an_app_without_the_code_grant_is_told_so() {
    let app = app();
    let policy = ClientPolicy { may_use_code: false, ..app.policy() };
    let error = decode(&good()).unwrap().validate(&policy).unwrap_err();
    assert!(error.to_string().starts_with("unauthorized_client"), "{error}");
}

#[test]
fn p2_a_request_without_a_challenge_is_refused() {
    let stripped = good()
        .replace(&format!("&code_challenge={CHALLENGE}"), "")
        .replace("&code_challenge_method=S256", "");
    let error = redirected(&app(), &stripped);
    assert_eq!(error.code, AuthorizeErrorCode::InvalidRequest);
    assert!(error.description.contains("PKCE"));
    let app = app();
    let dialect = ClientPolicy { require_pkce: false, ..app.policy() };
    assert_eq!(decode(&stripped).unwrap().validate(&dialect).unwrap().code_challenge, None);
}

#[test]
fn a_request_without_scope_means_the_apps_defaults() {
    let query = good().replace("&scope=orders.read", "");
    let app = app();
    assert_eq!(validate(&app, &query).unwrap().scopes, app.defaults);
    let without = App { defaults: ScopeSet::new(), ..app };
    assert_eq!(redirected(&without, &query).code, AuthorizeErrorCode::InvalidScope);
}

#[test]
fn r7_a_doubled_parameter_is_an_invalid_request() {
    for name in ["response_type", "scope", "code_challenge", "prompt", "nonce", "response_mode"] {
        let error = redirected(&app(), &(good() + &format!("&{name}=a&{name}=b")));
        assert_eq!(error.code, AuthorizeErrorCode::InvalidRequest);
        assert!(error.description.contains(name), "{}", error.description);
    }
    let error = redirected(&app(), &(good() + "&state=s2"));
    assert_eq!(error.state, None, "which of the two would be right is not known");
}

#[test]
fn r7_the_answer_keeps_the_query_of_the_redirect_uri_and_says_nothing_twice() {
    let app = App::new(&["https://app.example/cb?tenant=7"]);
    let query = good().replace("%2Fcb", "%2Fcb%3Ftenant%3D7");
    let request = validate(&app, &query).unwrap();
    assert_eq!(
        location(&request.granted("c1".to_owned(), Some(ISSUER))),
        "https://app.example/cb?tenant=7&code=c1&state=s1&iss=https%3A%2F%2Fas.example"
    );
}

#[test]
fn r7_what_a_state_contains_does_not_become_a_parameter() {
    let query = good().replace("state=s1", "state=a%26code%3Devil%23x");
    let request = validate(&app(), &query).unwrap();
    let location = location(&request.granted("c1".to_owned(), Some(ISSUER)));
    assert_eq!(
        location,
        "https://app.example/cb?code=c1&state=a%26code%3Devil%23x&iss=https%3A%2F%2Fas.example"
    );
}

#[test]
fn m1_every_answer_carries_iss_errors_included() {
    let request = validate(&app(), &good()).unwrap();
    let granted = request.granted("c1".to_owned(), Some(ISSUER));
    let refused = request.refused(AuthorizeErrorCode::AccessDenied, "said no", Some(ISSUER));
    let fault = redirected(&app(), &good().replace("=code", "=token")).into_response(Some(ISSUER));
    for answer in [granted, refused, fault] {
        let fields = answer.fields();
        assert_eq!(fields.iter().filter(|(name, _)| *name == "iss").count(), 1);
        assert!(fields.contains(&("iss", ISSUER.into())));
        assert!(fields.contains(&("state", "s1".into())));
    }
}

#[test]
fn a_dialect_may_leave_iss_out() {
    let request = validate(&app(), &good()).unwrap();
    let location = location(&request.granted("c1".to_owned(), None));
    assert_eq!(location, "https://app.example/cb?code=c1&state=s1");
}

#[test]
fn form_post_gives_the_fields_of_a_page() {
    let request = validate(&app(), &(good() + "&response_mode=form_post")).unwrap();
    let EncodedResponse::FormPost(form) =
        request.refused(AuthorizeErrorCode::AccessDenied, "said no", Some(ISSUER)).encode()
    else {
        panic!("not a form");
    };
    assert_eq!(form.action, "https://app.example/cb");
    let expected = [
        ("error", "access_denied"),
        ("error_description", "said no"),
        ("state", "s1"),
        ("iss", ISSUER),
    ];
    assert_eq!(form.fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn r8_text_of_the_request_cannot_leave_the_description() {
    let query = good().replace("scope=orders.read", "scope=%3Cscript%3E");
    let error = redirected(&app(), &query);
    assert_eq!(error.description, "not approved for this app: <script>");
    let request = validate(&app(), &good()).unwrap();
    let refused =
        request.refused(AuthorizeErrorCode::AccessDenied, "a\"b\\c\r\nd é".to_owned(), None);
    assert!(refused.fields().contains(&("error_description", "a'b?c??d ?".into())));
}

#[test]
fn x1_over_long_texts_are_refused_without_an_echo() {
    let error =
        redirected(&app(), &good().replace("state=s1", &format!("state={}", "s".repeat(5000))));
    assert_eq!(error.code, AuthorizeErrorCode::InvalidRequest);
    assert_eq!(error.state, None);
    let many = "&resource=https://api.example".repeat(RESOURCES_MAX + 1);
    assert_eq!(redirected(&app(), &(good() + &many)).code, AuthorizeErrorCode::InvalidTarget);
}
