//! The pages of the documentation.

use axum::extract::{Path, State};
use axum::response::Response;
use domain::policy::DocsReaders;
use domain::webhook::EventKind;
use http::header::{CACHE_CONTROL, HeaderValue};
use minijinja::{Value, context};
use protocol::partner_key::KeyFailure;

use super::api::{Api, Endpoint, Group};
use super::article::{self, Article};
use super::guide::{self, GUIDES};
use super::reader::DocsReader;
use super::snippet;
use super::wire::{self, Party, Values};
use super::{Shelf, broken, errors, published, snippets, standing};
use crate::display;
use crate::error::{PageError, duration_words};
use crate::oauth::answer;
use crate::pages::views::{
    DocsApi, DocsApiCard, DocsApp, DocsArticle, DocsChapter, DocsEndpoint, DocsFrame, DocsGroup,
    DocsGuideCard, DocsLink, DocsPage, DocsReference, DocsScope, DocsScopes, DocsStart, Snippet,
};
use crate::provider::Shared;
use crate::view;

/// A reference with more endpoints shows one group at a time.
const ENDPOINTS_OF_A_PAGE: usize = 120;

type Answer = Result<Response, PageError>;

pub async fn start(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let shelf = provider.manual.shelf(&reader.policy);
    let guide = |guide: &guide::Guide| DocsGuideCard {
        path: reader.link(&format!("/docs/guides/{}", guide.name)),
        title: guide.title.to_owned(),
        text: super::prose::blocks(guide.text),
    };
    let api = |api: &Api| DocsApiCard {
        path: reader.link(&format!("/docs/reference#{}", api.slug)),
        name: api.name.clone(),
        url: api.url.clone(),
        endpoint_count: count(api) as u64,
        document_path: document_path(api),
    };
    let link = |path: &str, title: &str, text| (reader.link(path), title.to_owned(), text);
    let mut links = vec![
        link("/docs/oauth", "OAuth endpoints", "Every parameter, answer and lifetime."),
        link("/docs/scopes", "Scopes", "What each one lets an app do, and what it opens."),
        link("/docs/errors", "Errors", "What each one means, and what to do."),
        link("/docs/webhooks", "Webhooks", "Hear when something happens to your app."),
        link("/docs/troubleshooting", "Troubleshooting", "When something does not work."),
    ];
    if reader.policy.partner_keys.is_some() {
        let text = "Sign calls for a user who is away, without tokens.";
        links.push(link("/docs/partner-keys", "Partner keys", text));
    }
    let page = DocsStart {
        layout: reader.layout.clone(),
        docs: frame(&reader, "Overview", Vec::new()),
        issuer: reader.policy.issuer.clone(),
        guides: GUIDES.iter().map(guide).collect(),
        apis: shelf.apis.iter().map(api).collect(),
        links,
    };
    view::page(&provider, &page)
}

pub async fn reference(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let shelf = provider.manual.shelf(&reader.policy);
    let is_long = shelf.apis.iter().map(count).sum::<usize>() > ENDPOINTS_OF_A_PAGE;
    let mut groups = shelf.apis.iter().flat_map(|api| &api.groups);
    let chosen = match (&reader.group, is_long) {
        (Some(wanted), true) => {
            Some(groups.find(|it| it.id == *wanted).ok_or(PageError::NotFound)?)
        }
        (None, true) => groups.next(),
        (_, false) => None,
    };
    let chosen = chosen.map(|group| group.id.as_str());
    let environment = snippets(reader.language)?;
    let program = |endpoint: &Endpoint| program(&reader, &environment, endpoint);
    let mut apis = Vec::new();
    for api in &shelf.apis {
        let mut told = Vec::new();
        for group in &api.groups {
            let is_here = chosen.is_none_or(|chosen| chosen == group.id);
            told.push(DocsGroup {
                id: group.id.clone(),
                title: group.title.clone(),
                text: super::prose::blocks(&group.description),
                elsewhere: (!is_here).then(|| group_path(&reader, group)),
                endpoints: match is_here {
                    true => group
                        .endpoints
                        .iter()
                        .map(|one| told_endpoint(&reader, one, program(one)?))
                        .collect::<Result<_, PageError>>()?,
                    false => Vec::new(),
                },
            });
        }
        apis.push(DocsApi {
            id: api.slug.clone(),
            name: api.name.clone(),
            url: api.url.clone(),
            text: super::prose::blocks(&api.description),
            document_path: document_path(api),
            rates: api.rates.clone(),
            groups: told,
        });
    }
    let sections = shelf.apis.iter().flat_map(|api| &api.groups).map(|group| DocsLink {
        path: match chosen {
            None => format!("{}#{}", reader.link(reader.path()), group.id),
            Some(_) => group_path(&reader, group),
        },
        title: group.title.clone(),
        is_current: chosen == Some(group.id.as_str()),
    });
    let docs = frame(&reader, "Endpoints", sections.collect());
    view::page(&provider, &DocsReference { layout: reader.layout.clone(), docs, apis })
}

fn group_path(reader: &DocsReader, group: &Group) -> String {
    let query = reader.query();
    let join = if query.is_empty() { "?" } else { "&" };
    format!("/docs/reference{query}{join}group={}", group.id)
}

fn count(api: &Api) -> usize {
    api.groups.iter().map(|group| group.endpoints.len()).sum()
}

fn document_path(api: &Api) -> String {
    format!("/docs/openapi/{}.json", api.slug)
}

fn told_endpoint(
    reader: &DocsReader,
    endpoint: &Endpoint,
    snippet: Option<Snippet>,
) -> Result<DocsEndpoint, PageError> {
    let standing = reader.app.as_ref().and_then(|app| standing::of_endpoint(app, &endpoint.access));
    Ok(DocsEndpoint { standing, snippet, ..endpoint.view.clone() })
}

/// How to make this call.
fn program(
    reader: &DocsReader,
    environment: &minijinja::Environment<'static>,
    endpoint: &Endpoint,
) -> Result<Option<Snippet>, PageError> {
    let kind = reader.app.as_ref().map_or(domain::app::AppKind::Web, |app| app.kind);
    let party = Party::new(reader.app.as_ref(), kind, &protocol::scope::ScopeSet::default());
    let call = endpoint.call.clone();
    let values = Values::new(&reader.policy, None, &party, call, "authorize");
    let text = snippet::fill(environment, "call", &values).map_err(broken)?;
    let id = format!("snippet-{}", endpoint.view.id);
    let languages = article::languages(reader, &endpoint.view.id);
    Ok(text.map(|text| Snippet { id, title: "Call it".to_owned(), text, languages }))
}

pub async fn scopes(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let shelf = provider.manual.shelf(&reader.policy);
    let all = || {
        shelf
            .apis
            .iter()
            .flat_map(|api| &api.groups)
            .flat_map(|group| group.endpoints.iter().map(move |endpoint| (group, endpoint)))
    };
    let is_long = all().count() > ENDPOINTS_OF_A_PAGE;
    let opens = |name: &str| {
        let needs =
            |one: &Endpoint| one.view.needs.iter().flatten().any(|scope| scope.name == name);
        all()
            .filter(|(_, one)| needs(one))
            .map(|(group, one)| {
                let page = match is_long {
                    true => group_path(&reader, group),
                    false => reader.link("/docs/reference"),
                };
                let view = &one.view;
                (view.method.clone(), view.path.clone(), format!("{page}#{}", view.id))
            })
            .collect()
    };
    let scope = |definition: &domain::policy::ScopeDefinition| {
        let words = display::scope_words(definition);
        let name = definition.name.as_str();
        DocsScope {
            name: name.to_owned(),
            text: words.text,
            kind: words.kind,
            tier: words.tier,
            standing: reader.app.as_ref().map(|app| standing::of_scope(app, name)),
            endpoints: opens(name),
        }
    };
    let page = DocsScopes {
        layout: reader.layout.clone(),
        docs: frame(&reader, "Scopes", Vec::new()),
        scopes: reader.policy.scopes.values().map(scope).collect(),
    };
    view::page(&provider, &page)
}

pub async fn guide(
    State(provider): State<Shared>,
    reader: DocsReader,
    Path(name): Path<String>,
) -> Answer {
    let guide = guide::find(&name).ok_or(PageError::NotFound)?;
    let shelf: std::sync::Arc<Shelf> = provider.manual.shelf(&reader.policy);
    let (facts, values) = guide.fill(&reader, &shelf);
    let text = format!("guides/{}", guide.name);
    show(&provider, &reader, article::write(&text, &facts, Some(&values), &reader)?)
}

pub async fn oauth(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let (text, facts) = match reader.dialect() {
        None => ("texts/oauth", guide::common(&reader)),
        Some(dialect) => (
            "texts/oauth-dialect",
            context! {
                path => dialect.authorize.path.as_str(),
                parameters => parameters(&dialect.authorize.parameters, &[]),
                has_iss => !dialect.relaxed.iss,
                any_port => dialect.relaxed.loopback_port,
                bare_token => dialect.relaxed.bare_token,
                tokens => dialect
                    .tokens
                    .iter()
                    .map(|endpoint| token_facts(endpoint, dialect))
                    .collect::<Vec<_>>(),
                code_page => dialect.user_code.as_ref().map(|page| &page.path),
                has_refresh => dialect.lifetimes.refresh_token.is_some(),
                idle => duration_words(dialect.lifetimes.idle),
                refusals => refusals(dialect),
                ..guide::common(&reader)
            },
        ),
    };
    show(&provider, &reader, article::write(text, &facts, None, &reader)?)
}

fn refusals(dialect: &protocol::dialect::Dialect) -> Vec<Value> {
    let told = errors::of_dialect(dialect).into_iter();
    told.map(|(status, body, cause)| context! { status, body, cause }).collect()
}

fn token_facts(
    endpoint: &protocol::dialect::TokenEndpoint,
    dialect: &protocol::dialect::Dialect,
) -> Value {
    let grants = endpoint.grant_types.iter();
    let rate = endpoint
        .rate_per_app
        .map(|rate| format!("{} in {} of one app", rate.requests, duration_words(rate.period)));
    context! {
        path => endpoint.path.as_str(),
        does => grants.clone().map(|(grant, _)| grant.words()).collect::<Vec<_>>(),
        words => grants.map(|(_, word)| word.clone()).collect::<Vec<_>>(),
        parameters => parameters(&endpoint.parameters, &endpoint.required),
        takes_basic => endpoint.takes_basic,
        needs_addresses => endpoint.needs_listed_address,
        rate,
        answer => wire::example_tokens(endpoint, dialect),
    }
}

/// Own name, what it is, whether nothing goes without it.
fn parameters(parameters: &[protocol::dialect::Parameter], required: &[String]) -> Vec<Value> {
    let words = |standard: &str| match standard {
        "client_id" => "The client id of your app.",
        "client_secret" => "Its secret.",
        "redirect_uri" => "Where the user comes back to: one that is registered for your app.",
        "response_type" => "`code`",
        "scope" => "What your app asks for.",
        "state" => "Comes back unchanged. Make it unguessable, and compare it.",
        "code_challenge" => "PKCE: the SHA-256 of the verifier, in base64url.",
        "code_challenge_method" => "`S256`",
        "code_verifier" => "PKCE: the verifier itself.",
        "code" => "The code that came back.",
        "refresh_token" => "The refresh token that came last.",
        "grant_type" => "What is traded.",
        "resource" => "The API that the token is for.",
        _ => "As in the standard.",
    };
    let named = parameters.iter().filter_map(|one| Some((one.name.as_ref()?, one)));
    named
        .map(|(name, one)| {
            context! {
                name,
                text => Value::from_safe_string(words(&one.standard).to_owned()),
                is_required => required.contains(name),
            }
        })
        .collect()
}

pub async fn errors(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let policy = &reader.policy;
    let api = |resource: &domain::policy::Resource| {
        context! {
            name => resource.name.as_str(),
            rows => safe_rows(errors::of_api(&resource.envelope)),
            content_type => resource.envelope.content_type(),
            example => Value::from_safe_string(errors::example_refusal(&resource.envelope)),
        }
    };
    let facts = context! {
        authorization => safe_rows(errors::of_authorization(policy.partner_keys.is_some())),
        oauth => safe_rows(errors::of_oauth()),
        refusals => reader.dialect().map(|dialect| refusals(dialect)),
        apis => policy.resources.iter().map(api).collect::<Vec<_>>(),
        ..guide::common(&reader)
    };
    show(&provider, &reader, article::write("texts/errors", &facts, None, &reader)?)
}

/// Our own words are Markdown already.
fn safe_rows(rows: Vec<errors::ErrorRow>) -> Vec<Value> {
    rows.into_iter()
        .map(|row| {
            context! {
                status => row.status,
                word => row.word,
                cause => Value::from_safe_string(row.cause.to_owned()),
                remedy => Value::from_safe_string(row.remedy.to_owned()),
            }
        })
        .collect()
}

pub async fn troubleshooting(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let facts = guide::common(&reader);
    show(&provider, &reader, article::write("texts/troubleshooting", &facts, None, &reader)?)
}

pub async fn webhooks(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let event = |kind: EventKind| context! { name => kind.name(), about => kind.about() };
    let events = EventKind::offered_to_apps().chain([EventKind::Test]).map(event);
    let facts = context! {
        events => events.collect::<Vec<_>>(),
        ..guide::common(&reader)
    };
    show(&provider, &reader, article::write("texts/webhooks", &facts, None, &reader)?)
}

pub async fn partner_keys(State(provider): State<Shared>, reader: DocsReader) -> Answer {
    let terms = reader.policy.partner_keys.as_ref().ok_or(PageError::NotFound)?;
    let of_dialect = reader.dialect().and_then(|dialect| dialect.partner_keys.as_ref());
    let signed = reader.dialect().and_then(|dialect| dialect.signed.as_ref());
    let paths = of_dialect.map_or(
        ["/oauth/partner-keys/info", "/oauth/partner-keys/{id}/secret", "/oauth/partner-keys/{id}"],
        |keys| keys.paths(),
    );
    let paths = paths.map(str::to_owned);
    let refusal = |failure: KeyFailure| {
        let status = of_dialect.map_or(failure.status(), |keys| keys.refuse(failure).status);
        context! {
            status => status.as_u16(),
            word => failure.as_str(),
            cause => failure.description(),
        }
    };
    let group = |group: &domain::key_terms::PermissionGroup| {
        context! {
            name => group.name.as_str(),
            title => group.title.text.as_str(),
            moves_money => group.moves_money,
            endpoints => group.endpoints.iter().map(|one| one.url.clone()).collect::<Vec<_>>(),
        }
    };
    let facts = context! {
        create => terms.create.as_str(),
        read => terms.read.as_str(),
        delete => terms.delete.as_str(),
        lifetime => duration_words(terms.access_token),
        paths,
        public_key => of_dialect.map_or("partner_key", |keys| &keys.redirect_parameter),
        asked_by => of_dialect.and_then(|keys| keys.asked_by.as_deref()),
        refusals => KeyFailure::ALL.into_iter().map(refusal).collect::<Vec<_>>(),
        groups => terms.groups.iter().map(group).collect::<Vec<_>>(),
        signed => signed.map(|form| context! {
            key => form.key_header.as_str(),
            payload => form.payload_header.as_str(),
            signature => form.signature_header.as_str(),
        }),
        ..guide::common(&reader)
    };
    show(&provider, &reader, article::write("texts/partner-keys", &facts, None, &reader)?)
}

pub async fn document(
    State(provider): State<Shared>,
    reader: DocsReader,
    Path(file): Path<String>,
) -> Answer {
    let slug = file.strip_suffix(".json").ok_or(PageError::NotFound)?;
    let shelf = provider.manual.shelf(&reader.policy);
    let at = shelf.apis.iter().position(|api| api.slug == slug).ok_or(PageError::NotFound)?;
    let resource = reader.policy.resources.get(at).ok_or(PageError::NotFound)?;
    let mut response = answer::document(published::document(&reader.policy, resource).to_string());
    if reader.policy.docs == DocsReaders::Developers {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

fn show(provider: &Shared, reader: &DocsReader, article: Article) -> Answer {
    let link = |section: &crate::pages::views::DocsSection| DocsLink {
        path: format!("{}#{}", reader.link(reader.path()), section.id),
        title: section.title.clone(),
        is_current: false,
    };
    let sections = article.sections.iter().map(link).collect();
    let page = DocsArticle {
        layout: reader.layout.clone(),
        docs: frame(reader, &article.title, sections),
        lead: article.lead,
        sections: article.sections,
    };
    view::page(provider, &page)
}

/// The way through the documentation, as seen from the page called `title`.
fn frame(reader: &DocsReader, title: &str, mut sections: Vec<DocsLink>) -> DocsFrame {
    let mut page = |path: &str, title: &str| {
        let is_current = path == reader.path();
        DocsPage {
            link: DocsLink { path: reader.link(path), title: title.to_owned(), is_current },
            sections: if is_current { std::mem::take(&mut sections) } else { Vec::new() },
        }
    };
    let mut reference = vec![
        page("/docs/reference", "Endpoints"),
        page("/docs/oauth", "OAuth"),
        page("/docs/scopes", "Scopes"),
        page("/docs/errors", "Errors"),
        page("/docs/webhooks", "Webhooks"),
    ];
    if reader.policy.partner_keys.is_some() {
        reference.push(page("/docs/partner-keys", "Partner keys"));
    }
    let guides =
        GUIDES.iter().map(|guide| page(&format!("/docs/guides/{}", guide.name), guide.title));
    let guides = guides.collect();
    let start = vec![page("/docs", "Overview"), page("/docs/troubleshooting", "Troubleshooting")];
    let chapter = |title, pages| DocsChapter { title, pages };
    let wires = reader.wires();
    let wires = wires.iter().filter(|_| wires.len() > 1).map(|(name, title)| DocsLink {
        path: reader.in_wire(name),
        title: (*title).to_owned(),
        is_current: *name == reader.wire_name(),
    });
    DocsFrame {
        title: title.to_owned(),
        chapters: vec![
            chapter("Start", start),
            chapter("Guides", guides),
            chapter("Reference", reference),
        ],
        app: reader.app.as_ref().map(|app| DocsApp {
            path: format!("/apps/{}", app.id),
            name: app.name.clone(),
            status: display::app_status(app),
            client_id: app.client_id.clone(),
            leave_path: reader.without_app(),
        }),
        can_choose_app: reader.is_developer && reader.app.is_none(),
        wires: wires.collect(),
    }
}
