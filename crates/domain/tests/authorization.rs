//! What an authorization request leads to, and what a code yields, case by case.

#![expect(clippy::unwrap_used, reason = "tests assert by panicking")]

use std::time::Duration;

use domain::app::{App, AppKind, AppLifetimes, AppStatus, Approval, ScopeRequest, Turn};
use domain::authentication::Methods;
use domain::authorization::{Given, NextStep, SignInAsked, Visit, Wire};
use domain::condition::ReviewState;
use domain::consent::Consent;
use domain::entropy::Entropy;
use domain::grant::{Grant, LIVE_GRANTS_PER_APP_AND_USER_MAX, Mode, RefreshState};
use domain::id::{AppId, AttemptId, CodeId, GrantId, SessionId, UserId};
use domain::policy::{EffectiveLifetimes, Lifetimes};
use domain::redemption::{CodeOutcome, CodeRefusal, CodeRows, Proof, evictions};
use domain::session::Session;
use domain::time::Timestamp;
use domain::token::{AuthorizationCode, CODE_LIFETIME};
use domain::user::{User, UserStatus};
use protocol::authorize::{
    AuthorizeErrorCode, AuthorizeRequest, ClientPolicy, RawAuthorizeRequest,
};
use protocol::dialect::Relaxed;
use protocol::params::Params;
use protocol::pkce::CodeVerifier;
use protocol::redirect_uri::{RedirectPolicy, RedirectUri};
use protocol::scope::ScopeSet;

// RFC 7636 appendix B
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://bot.example.com/cb";

#[derive(Debug)]
struct Same;

impl Entropy for Same {
    fn fill(&self, out: &mut [u8]) {
        out.fill(9);
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000_000 + seconds)
}

fn scopes(text: &str) -> ScopeSet {
    text.parse().unwrap()
}

fn app(kind: AppKind) -> App {
    let request = |scope: &str, required| ScopeRequest {
        scope: scope.parse().unwrap(),
        purpose: "To work.".to_owned(),
        required,
    };
    App {
        id: AppId::from_bytes([1; 16]),
        mode: Mode::Live,
        client_id: "bot".to_owned(),
        kind,
        name: "Bot".to_owned(),
        description: String::new(),
        homepage: None,
        privacy_url: None,
        terms_url: None,
        owner: UserId::from_bytes([2; 16]),
        team: None,
        publisher: String::new(),
        logo: None,
        status: AppStatus::Live { since: at(0), approval: Approval::Unreviewed },
        paused_at: None,
        redirect_uris: vec![RedirectUri::register(RedirectPolicy::Web, CALLBACK).unwrap()],
        requested: vec![request("read", true), request("trade", false)],
        approved: scopes("read trade extra"),
        service_scopes: ScopeSet::default(),
        addresses: Vec::new(),
        lifetimes: AppLifetimes::default(),
        rotates_refresh_tokens: true,
        optional_ticked: false,
        dialect: None,
        also_standard: false,
        keys: None,
        created_at: at(0),
        plan: None,
        proposed: None,
        turn: Turn::Staff,
        changed_at: at(0),
        has_webhooks: false,
        review: ReviewState::default(),
    }
}

fn request(app: &App, more: &str) -> AuthorizeRequest {
    let query = format!(
        "response_type=code&client_id=bot&scope=read+trade&code_challenge={CHALLENGE}\
         &code_challenge_method=S256&{more}"
    );
    let raw = RawAuthorizeRequest::decode(&Params::parse(query.as_bytes()).unwrap()).unwrap();
    let policy = ClientPolicy {
        redirect_uris: &app.redirect_uris,
        allowed_scopes: &app.approved,
        default_scopes: &app.default_scopes(at(0)),
        require_pkce: true,
        any_loopback_port: false,
        may_use_code: true,
        known_resources: &[],
    };
    raw.validate(&policy).unwrap()
}

fn session(auth_time: Timestamp) -> Session {
    Session {
        id: SessionId::from_bytes([3; 16]),
        user_id: UserId::from_bytes([4; 16]),
        auth_time,
        methods: Methods::PASSWORD,
        second_factor_at: None,
        created_at: auth_time,
        last_seen_at: auth_time,
        expires_at: at(1_000_000),
        address: "127.0.0.1".parse().unwrap(),
        user_agent: String::new(),
    }
}

fn consent(asked: &str, allowed: &str) -> Consent {
    let (app, user) = (AppId::from_bytes([1; 16]), UserId::from_bytes([4; 16]));
    Consent::give(&Same, app, user, scopes(asked), scopes(allowed), at(0))
}

fn next(
    kind: AppKind,
    more: &str,
    sign_in: SignInAsked,
    auth_time: Option<Timestamp>,
    consent: Option<&Consent>,
) -> NextStep {
    let app = app(kind);
    let request = request(&app, more);
    let visit = Visit {
        app: &app,
        request: &request,
        started_at: at(100),
        sign_in,
        asks_second_factor: false,
        wire: Wire::default(),
    };
    visit.next_step(auth_time.map(session).as_ref(), consent, at(100))
}

fn refused(step: &NextStep) -> Option<AuthorizeErrorCode> {
    match step {
        NextStep::Refuse { code, .. } => Some(*code),
        _ => None,
    }
}

const START: SignInAsked = SignInAsked::NotYet;

#[test]
fn a_stranger_signs_in_and_a_known_user_is_asked() {
    assert_eq!(next(AppKind::Web, "", START, None, None), NextStep::SignIn);
    assert_eq!(next(AppKind::Web, "", START, Some(at(0)), None), NextStep::Consent);
}

#[test]
fn a_remembered_consent_of_a_confidential_app_is_not_asked_again() {
    let all = consent("read trade", "read trade");
    let step = next(AppKind::Web, "", START, Some(at(0)), Some(&all));
    assert_eq!(step, NextStep::Code(scopes("read trade")));
    let declined = consent("read trade", "read");
    let step = next(AppKind::Web, "", START, Some(at(0)), Some(&declined));
    assert_eq!(step, NextStep::Code(scopes("read")), "what was unticked is not asked each time");
}

#[test]
fn something_new_or_a_missing_required_scope_is_asked() {
    let never_asked_to_trade = consent("read", "read");
    let required_one_removed = consent("read trade", "trade");
    let withdrawn = consent("read trade", "read trade").withdraw(&Same, at(1)).unwrap();
    for consent in [never_asked_to_trade, required_one_removed, withdrawn] {
        let step = next(AppKind::Web, "", START, Some(at(0)), Some(&consent));
        assert_eq!(step, NextStep::Consent, "{consent:?}");
    }
}

#[test]
fn s4_a_public_app_is_asked_again_each_time() {
    let all = consent("read trade", "read trade");
    for kind in [AppKind::Native, AppKind::SinglePage] {
        assert_eq!(next(kind, "", START, Some(at(0)), Some(&all)), NextStep::Consent);
    }
}

#[test]
fn prompts_show_the_page_that_they_name() {
    let all = consent("read trade", "read trade");
    for prompt in ["prompt=consent", "prompt=select_account"] {
        assert_eq!(next(AppKind::Web, prompt, START, Some(at(0)), Some(&all)), NextStep::Consent);
    }
    let step = next(AppKind::Web, "prompt=login", START, Some(at(99)), Some(&all));
    assert_eq!(step, NextStep::SignIn);
}

#[test]
fn s3_prompt_none_never_shows_a_page() {
    let all = consent("read trade", "read trade");
    let step = next(AppKind::Web, "prompt=none", START, None, None);
    assert_eq!(refused(&step), Some(AuthorizeErrorCode::LoginRequired));
    let step = next(AppKind::Web, "prompt=none&max_age=10", START, Some(at(0)), Some(&all));
    assert_eq!(refused(&step), Some(AuthorizeErrorCode::LoginRequired));
    let step = next(AppKind::Web, "prompt=none", START, Some(at(0)), None);
    assert_eq!(refused(&step), Some(AuthorizeErrorCode::ConsentRequired));
    let step = next(AppKind::Web, "prompt=none", START, Some(at(0)), Some(&all));
    assert_eq!(step, NextStep::Code(scopes("read trade")));
}

#[test]
fn s3_the_session_that_was_not_good_enough_stays_refused() {
    let same = SignInAsked::Asked { refused_session: Some(SessionId::from_bytes([3; 16])) };
    let step = next(AppKind::Web, "prompt=login", same, Some(at(100)), None);
    assert_eq!(step, NextStep::SignIn, "the user went back instead of signing in");
    let other = SignInAsked::Asked { refused_session: Some(SessionId::from_bytes([8; 16])) };
    let step = next(AppKind::Web, "prompt=login", other, Some(at(100)), None);
    assert_eq!(step, NextStep::Consent);
    let step = next(AppKind::Web, "prompt=login", other, Some(at(99)), None);
    assert_eq!(step, NextStep::SignIn, "an older session than the request");
}

#[test]
fn max_age_asks_an_old_sign_in_again_and_accepts_the_new_one() {
    let step = next(AppKind::Web, "max_age=100", START, Some(at(0)), None);
    assert_eq!(step, NextStep::Consent);
    let step = next(AppKind::Web, "max_age=99", START, Some(at(0)), None);
    assert_eq!(step, NextStep::SignIn);
    let asked = SignInAsked::Asked { refused_session: Some(SessionId::from_bytes([8; 16])) };
    let step = next(AppKind::Web, "max_age=0", asked, Some(at(100)), None);
    assert_eq!(step, NextStep::Consent);
}

#[test]
fn s5_a_decision_allows_only_what_was_asked_and_always_what_is_required() {
    let app = app(AppKind::Web);
    let request = request(&app, "");
    let visit = Visit {
        app: &app,
        request: &request,
        started_at: at(0),
        sign_in: START,
        asks_second_factor: false,
        wire: Wire::default(),
    };
    assert_eq!(visit.question().allowed(&scopes("trade extra withdraw")), scopes("read trade"));
    assert_eq!(visit.question().allowed(&ScopeSet::default()), scopes("read"));
}

fn code(app: &App) -> AuthorizationCode {
    let more = format!("redirect_uri={CALLBACK}");
    let request = request(app, &more);
    let visit = Visit {
        app,
        request: &request,
        started_at: at(0),
        sign_in: START,
        asks_second_factor: false,
        wire: Wire::default(),
    };
    let ids = (CodeId::from_bytes([5; 16]), GrantId::from_bytes([6; 16]));
    let given = Given { scopes: scopes("read trade"), resources: vec!["https://api".to_owned()] };
    let consent = consent("read trade", "read trade");
    visit.code(ids, &session(at(0)), &consent, given, at(0))
}

fn verifier() -> CodeVerifier {
    CodeVerifier::parse(VERIFIER).unwrap()
}

fn user() -> User {
    User {
        id: UserId::from_bytes([4; 16]),
        email: "alice@example.com".to_owned(),
        name: "Alice".to_owned(),
        password: None,
        roles: Vec::new(),
        status: UserStatus::Active,
        created_at: at(0),
        locale: None,
        email_verified_at: None,
    }
}

fn lifetimes() -> EffectiveLifetimes {
    Lifetimes::default().for_app(&AppLifetimes::default())
}

const ATTEMPT: AttemptId = AttemptId::from_bytes([7; 16]);

fn grant() -> Grant {
    let (app, user) = (app(AppKind::Web), user());
    let consent = consent("read trade", "read trade");
    let rows = CodeRows { app: &app, user: Some(&user), consent: Some(&consent) };
    code(&app).into_grant(&rows, ATTEMPT, &lifetimes(), at(1)).unwrap()
}

#[test]
fn a_code_becomes_the_grant_that_the_user_gave() {
    let grant = grant();
    assert_eq!(grant.id, GrantId::from_bytes([6; 16]));
    assert_eq!(grant.scopes, scopes("read trade"));
    assert_eq!(grant.refresh, Some(RefreshState::first(at(1))));
    assert_eq!(grant.idle_expires_at, at(1).after(Duration::from_secs(30 * 86_400)));
    assert!(grant.is_live(at(2)));
}

#[test]
fn c2_c3_p1_p2_p3_a_code_without_its_whole_proof_is_refused() {
    let app = app(AppKind::Web);
    let code = code(&app);
    let (right, wrong) = (verifier(), CodeVerifier::parse(&"x".repeat(43)).unwrap());
    let good = Proof {
        app: &app,
        dialect: None,
        relaxed: Relaxed::default(),
        redirect_uri: Some(CALLBACK),
        verifier: Some(&right),
    };
    assert_eq!(code.check_proof(&good), Ok(()));
    let other_app = App { id: AppId::from_bytes([99; 16]), ..app.clone() };
    let cases = [
        (Proof { app: &other_app, ..good }, CodeRefusal::OtherApp),
        (Proof { dialect: Some("bitport"), ..good }, CodeRefusal::OtherDialect),
        (Proof { redirect_uri: None, ..good }, CodeRefusal::RedirectUri),
        (Proof { redirect_uri: Some("https://evil.example/cb"), ..good }, CodeRefusal::RedirectUri),
        (Proof { verifier: None, ..good }, CodeRefusal::VerifierMissing),
        (Proof { verifier: Some(&wrong), ..good }, CodeRefusal::VerifierWrong),
    ];
    for (proof, refusal) in cases {
        assert_eq!(code.check_proof(&proof), Err(refusal));
    }
    let without_challenge = AuthorizationCode { challenge: None, ..code };
    assert_eq!(without_challenge.check_proof(&good), Err(CodeRefusal::VerifierUnasked));
    let no_verifier = Proof { verifier: None, ..good };
    assert_eq!(without_challenge.check_proof(&no_verifier), Err(CodeRefusal::VerifierMissing));
}

#[test]
fn b1_only_a_dialect_that_says_so_takes_a_code_without_pkce_or_redirect_uri() {
    let app = App { dialect: Some("old".to_owned()), ..app(AppKind::Web) };
    let code = AuthorizationCode { challenge: None, dialect: Some("old".to_owned()), ..code(&app) };
    let bare = |relaxed| Proof {
        app: &app,
        dialect: Some("old"),
        relaxed,
        redirect_uri: None,
        verifier: None,
    };
    let strict = Relaxed::default();
    let pkce = Relaxed { pkce: true, ..strict };
    let both = Relaxed { redirect_uri_repeat: true, ..pkce };
    assert_eq!(code.check_proof(&bare(strict)), Err(CodeRefusal::RedirectUri));
    assert_eq!(code.check_proof(&bare(pkce)), Err(CodeRefusal::RedirectUri));
    assert_eq!(code.check_proof(&bare(both)), Ok(()));
    let elsewhere = Proof { redirect_uri: Some("https://evil.example/cb"), ..bare(both) };
    assert_eq!(code.check_proof(&elsewhere), Err(CodeRefusal::RedirectUri));
}

#[test]
fn c3_t8_a_code_is_worth_what_the_rows_say_when_it_is_redeemed() {
    let (live, user, given) = (app(AppKind::Web), user(), consent("read trade", "read trade"));
    let blocked = user.clone().block("abuse".to_owned(), at(1));
    let suspended = live.clone().suspend("abuse".to_owned(), at(1)).unwrap();
    let renewed = Consent { epoch: [1; 16], ..given.clone() };
    let withdrawn = Consent { ..given.clone() }.withdraw(&Same, at(1)).unwrap();
    let fewer = App { approved: scopes("read"), ..live.clone() };
    let rows = CodeRows { app: &live, user: Some(&user), consent: Some(&given) };
    let redeem = |rows: &CodeRows<'_>, now| {
        code(&live).into_grant(rows, ATTEMPT, &lifetimes(), now).map(|grant| grant.scopes)
    };
    let late = at(0).after(CODE_LIFETIME);
    assert_eq!(redeem(&rows, late), Err(CodeRefusal::Expired));
    let cases = [
        (CodeRows { app: &suspended, ..rows }, CodeRefusal::AppNotLive),
        (CodeRows { user: Some(&blocked), ..rows }, CodeRefusal::UserBlocked),
        (CodeRows { user: None, ..rows }, CodeRefusal::UserBlocked),
        (CodeRows { consent: None, ..rows }, CodeRefusal::ConsentGone),
        (CodeRows { consent: Some(&renewed), ..rows }, CodeRefusal::ConsentGone),
        (CodeRows { consent: Some(&withdrawn), ..rows }, CodeRefusal::ConsentGone),
    ];
    for (rows, refusal) in cases {
        assert_eq!(redeem(&rows, at(1)), Err(refusal));
    }
    assert_eq!(redeem(&CodeRows { app: &fewer, ..rows }, at(1)), Ok(scopes("read")));
}

#[test]
fn c1_only_the_attempt_that_inserted_the_grant_gets_it_again() {
    let code = code(&app(AppKind::Web));
    let stranger = AttemptId::from_bytes([8; 16]);
    let made = grant();
    assert_eq!(code.present(None, ATTEMPT), CodeOutcome::First);
    assert_eq!(
        code.present(Some(made.clone()), ATTEMPT),
        CodeOutcome::OwnRow(Box::new(made.clone()))
    );
    assert_eq!(
        code.present(Some(made.clone()), stranger),
        CodeOutcome::Replay(Box::new(made.clone()))
    );
    let of_another_code = Grant { code_id: Some(CodeId::from_bytes([1; 16])), ..made };
    assert_eq!(code.present(Some(of_another_code), ATTEMPT), CodeOutcome::Foreign);
}

#[test]
fn the_longest_unused_grants_make_room_for_a_new_one() {
    let used = |number: u8| (at(1000 - i64::from(number)), GrantId::from_bytes([number; 16]));
    let count = u8::try_from(LIVE_GRANTS_PER_APP_AND_USER_MAX).unwrap();
    let full: Vec<_> = (0..count).map(used).collect();
    assert_eq!(evictions(full.clone()), [GrantId::from_bytes([count - 1; 16])]);
    assert!(evictions(full[1..].to_vec()).is_empty());
}

#[test]
fn s4_b1_a_consent_to_one_wire_format_is_none_to_a_looser_one() {
    let app = app(AppKind::Web);
    let (request, consent) = (request(&app, ""), consent("read trade", "read trade"));
    let step = |request: &AuthorizeRequest, wire| {
        let visit = Visit {
            app: &app,
            request,
            started_at: at(0),
            sign_in: START,
            asks_second_factor: false,
            wire,
        };
        visit.next_step(Some(&session(at(0))), Some(&consent), at(1))
    };
    let old = Wire { dialect: Some("old"), relaxed: Relaxed::default(), has_grant: false };
    assert_eq!(step(&request, old), NextStep::Consent);
    let known = Wire { has_grant: true, ..old };
    assert_eq!(step(&request, known), NextStep::Code(scopes("read trade")));
    let on_the_device = AuthorizeRequest {
        redirect_uri: RedirectUri::register(RedirectPolicy::Web, "http://127.0.0.1:9/cb").unwrap(),
        ..request
    };
    let loose = Wire { relaxed: Relaxed { loopback_port: true, ..Relaxed::default() }, ..known };
    assert_eq!(step(&on_the_device, known), NextStep::Code(scopes("read trade")));
    assert_eq!(step(&on_the_device, loose), NextStep::Consent);
}
