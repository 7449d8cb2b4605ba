//! The developer documentation: what a deployment tells developers about its API and its OAuth
//! endpoints, with the values of one of their apps where they chose one.

use serde::Serialize;

use super::{AppStatus, Layout, ScopeKind, Section, Tier, View};

/// `docs` of every page whose template extends `docs_frame.html`.
#[derive(Clone, Debug, Serialize)]
pub struct DocsFrame {
    pub title: String,
    /// The way through the documentation.
    pub chapters: Vec<DocsChapter>,
    /// Whose values are filled in.
    pub app: Option<DocsApp>,
    /// Whether the reader could choose an app.
    pub can_choose_app: bool,
    /// Wire formats, where there is more than one.
    pub wires: Vec<DocsLink>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsChapter {
    pub title: &'static str,
    pub pages: Vec<DocsPage>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsPage {
    pub link: DocsLink,
    /// Of the page that is shown: its sections.
    pub sections: Vec<DocsLink>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsLink {
    pub path: String,
    pub title: String,
    pub is_current: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsApp {
    /// Its own page.
    pub path: String,
    pub name: String,
    pub status: AppStatus,
    pub client_id: String,
    /// The same page without its values.
    pub leave_path: String,
}

/// A piece of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    Paragraph { spans: Vec<Span> },
    List { items: Vec<Vec<Span>> },
    Table { head: Vec<Vec<Span>>, rows: Vec<Vec<Vec<Span>>> },
    Code { text: String },
    Snippet(Snippet),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    pub text: String,
    pub style: SpanStyle,
    pub link: Option<String>,
}

impl Span {
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: SpanStyle::Plain, link: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanStyle {
    Plain,
    Code,
    Strong,
}

/// A program's text, to copy from `#{id}`. `languages` are the other ways to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snippet {
    pub id: String,
    pub title: String,
    pub text: String,
    pub languages: Vec<(String, String, bool)>,
}

impl Snippet {
    fn sample() -> Self {
        let language = |name: &str, is_current| {
            (format!("/docs/guides/device?lang={name}#s"), name.into(), is_current)
        };
        Self {
            id: "snippet-exchange".into(),
            title: "Trade the code".into(),
            text: "curl -sS http://localhost:8400/oauth/token \\\n  -d 'code=cs_ac_…'\n".into(),
            languages: vec![language("curl", true), language("Python", false)],
        }
    }
}

/// `GET /docs/guides/{case}`, `/docs/oauth`, `/docs/errors`, `/docs/troubleshooting`,
/// `/docs/webhooks` and `/docs/partner-keys`: text in sections.
#[derive(Clone, Debug, Serialize)]
pub struct DocsArticle {
    pub layout: Layout,
    pub docs: DocsFrame,
    pub lead: Vec<Block>,
    pub sections: Vec<DocsSection>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsSection {
    pub id: String,
    pub title: String,
    pub blocks: Vec<Block>,
}

impl View for DocsArticle {
    const TEMPLATE: &'static str = "docs_article.html";

    fn sample() -> Vec<Self> {
        let code = Span { style: SpanStyle::Code, ..Span::plain("state") };
        let strong = Span { style: SpanStyle::Strong, ..Span::plain("before anything else") };
        let link = Span { link: Some("/docs/errors".into()), ..Span::plain("errors") };
        let words = vec![Span::plain("Compare "), code, Span::plain(" "), strong, link];
        let blocks = vec![
            Block::Paragraph { spans: words.clone() },
            Block::List { items: vec![words.clone(), words.clone()] },
            Block::Table { head: vec![words.clone()], rows: vec![vec![words.clone()]] },
            Block::Code { text: "GET /\n".into() },
            Block::Snippet(Snippet::sample()),
        ];
        let section = |id: &str, title: &str| DocsSection {
            id: id.into(),
            title: title.into(),
            blocks: blocks.clone(),
        };
        let only_text = DocsSection { blocks: vec![], ..section("end", "The end") };
        let sections = vec![section("ask-the-user", "Ask the user"), only_text];
        let article = |docs| Self {
            layout: Layout::sample().in_section(Section::Docs),
            docs,
            lead: vec![Block::Paragraph { spans: words.clone() }],
            sections: Vec::new(),
        };
        vec![
            Self { sections, ..article(DocsFrame::sample("Trading bot", true)) },
            Self {
                layout: Layout::signed_out("csrf-sample"),
                ..article(DocsFrame::sample("Errors", false))
            },
        ]
    }
}

impl DocsFrame {
    fn sample(title: &str, with_app: bool) -> Self {
        let link = |path: &str, title: &str, is_current| DocsLink {
            path: path.into(),
            title: title.into(),
            is_current,
        };
        let page =
            |path, name, sections| DocsPage { link: link(path, name, name == title), sections };
        let section = vec![link("/docs/guides/trading-bot#ask-the-user", "Ask the user", false)];
        Self {
            title: title.into(),
            chapters: vec![
                DocsChapter { title: "Start", pages: vec![page("/docs", "Overview", vec![])] },
                DocsChapter {
                    title: "Guides",
                    pages: vec![page("/docs/guides/trading-bot", "Trading bot", section)],
                },
                DocsChapter {
                    title: "Reference",
                    pages: vec![page("/docs/reference", "Endpoints", vec![])],
                },
            ],
            app: with_app.then(|| DocsApp {
                path: "/apps/a1".into(),
                name: "Trading Bot".into(),
                status: AppStatus::Live,
                client_id: "tradingbot".into(),
                leave_path: "/docs".into(),
            }),
            can_choose_app: !with_app,
            wires: vec![link("/docs", "Standard", true), link("/docs?wire=b", "Bitport", false)],
        }
    }
}

/// `GET /docs`.
#[derive(Clone, Debug, Serialize)]
pub struct DocsStart {
    pub layout: Layout,
    pub docs: DocsFrame,
    pub issuer: String,
    pub guides: Vec<DocsGuideCard>,
    pub apis: Vec<DocsApiCard>,
    pub links: Vec<(String, String, &'static str)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsGuideCard {
    pub path: String,
    pub title: String,
    pub text: Vec<Block>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsApiCard {
    pub path: String,
    pub name: String,
    pub url: String,
    pub endpoint_count: u64,
    /// Where its OpenAPI document is.
    pub document_path: String,
}

impl View for DocsStart {
    const TEMPLATE: &'static str = "docs_start.html";

    fn sample() -> Vec<Self> {
        vec![Self {
            layout: Layout::sample().in_section(Section::Docs),
            docs: DocsFrame::sample("Overview", true),
            issuer: "http://localhost:8400".into(),
            guides: vec![DocsGuideCard {
                path: "/docs/guides/trading-bot".into(),
                title: "Trading bot".into(),
                text: vec![Block::Paragraph { spans: vec![Span::plain("Places orders.")] }],
            }],
            apis: vec![DocsApiCard {
                path: "/docs/reference".into(),
                name: "Practice Exchange API".into(),
                url: "http://localhost:8400/api/v4".into(),
                endpoint_count: 1_234,
                document_path: "/docs/openapi/api.json".into(),
            }],
            links: vec![("/docs/errors".into(), "Errors".into(), "What each one means.")],
        }]
    }
}

/// `GET /docs/reference`. Each endpoint is at `#{id}`.
#[derive(Clone, Debug, Serialize)]
pub struct DocsReference {
    pub layout: Layout,
    pub docs: DocsFrame,
    pub apis: Vec<DocsApi>,
}

/// An API, or what of it the page shows.
#[derive(Clone, Debug, Serialize)]
pub struct DocsApi {
    pub id: String,
    pub name: String,
    pub url: String,
    pub text: Vec<Block>,
    pub document_path: String,
    /// "1,200 calls in 1 minute of an app".
    pub rates: Vec<String>,
    pub groups: Vec<DocsGroup>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsGroup {
    pub id: String,
    pub title: String,
    pub text: Vec<Block>,
    /// Where its endpoints are told, if not on this page.
    pub elsewhere: Option<String>,
    pub endpoints: Vec<DocsEndpoint>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsEndpoint {
    pub id: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    pub is_deprecated: bool,
    pub text: Vec<Block>,
    pub is_public: bool,
    /// All scopes of one of these. An empty one: any token.
    pub needs: Vec<Vec<DocsScopeName>>,
    /// Of the chosen app.
    pub standing: Option<DocsStanding>,
    pub parameters: Vec<DocsField>,
    pub body: Option<DocsBody>,
    pub answers: Vec<DocsAnswer>,
    pub snippet: Option<Snippet>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsScopeName {
    pub name: String,
    /// The operator's words.
    pub text: String,
}

/// Whether the chosen app may call an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DocsStanding {
    Approved,
    Waiting { scopes: Vec<String> },
    Missing { scopes: Vec<String>, request_path: String },
}

/// A parameter, or a member of a JSON object.
#[derive(Clone, Debug, Serialize)]
pub struct DocsField {
    pub name: String,
    /// "in the path"; empty for members.
    pub place: String,
    pub kind: String,
    pub is_required: bool,
    pub text: Vec<Block>,
    /// "one of buy, sell", "at most 100".
    pub limits: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsBody {
    pub content_type: String,
    pub text: Vec<Block>,
    pub is_required: bool,
    pub fields: Vec<DocsField>,
    pub example: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsAnswer {
    pub status: String,
    pub text: Vec<Block>,
    pub fields: Vec<DocsField>,
    pub example: Option<String>,
}

impl View for DocsReference {
    const TEMPLATE: &'static str = "docs_reference.html";

    fn sample() -> Vec<Self> {
        let words = |text: &str| vec![Block::Paragraph { spans: vec![Span::plain(text)] }];
        let scope = |name: &str| DocsScopeName { name: name.into(), text: "place orders".into() };
        let field = |name: &str, is_required| DocsField {
            name: name.into(),
            place: String::new(),
            kind: "text".into(),
            is_required,
            text: words("Which way."),
            limits: vec!["one of buy, sell".into()],
        };
        let endpoint = |id: &str, standing| DocsEndpoint {
            id: id.into(),
            method: "POST".into(),
            path: "/api/v4/order/new".into(),
            summary: "Place a limit order".into(),
            is_deprecated: false,
            text: words("Trades at once with what the book offers."),
            is_public: false,
            needs: vec![vec![scope("orders.create"), scope("orders.read")], vec![scope("full")]],
            standing: Some(standing),
            parameters: vec![DocsField { place: "in the path".into(), ..field("id", true) }],
            body: Some(DocsBody {
                content_type: "application/json".into(),
                text: words("An order."),
                is_required: true,
                fields: vec![field("side", true), field("price", false)],
                example: Some("{\n  \"side\": \"buy\"\n}".into()),
            }),
            answers: vec![DocsAnswer {
                status: "200".into(),
                text: words("The order."),
                fields: vec![field("status", true)],
                example: Some("{}".into()),
            }],
            snippet: Some(Snippet { id: format!("snippet-{id}"), ..Snippet::sample() }),
        };
        let waiting = DocsStanding::Waiting { scopes: vec!["orders.create".into()] };
        let missing = DocsStanding::Missing {
            scopes: vec!["orders.create".into()],
            request_path: "/apps/a1#request-scopes".into(),
        };
        let bare = DocsEndpoint {
            method: "GET".into(),
            is_deprecated: true,
            is_public: true,
            summary: String::new(),
            text: vec![],
            needs: vec![],
            parameters: vec![],
            body: None,
            answers: vec![],
            standing: None,
            snippet: None,
            ..endpoint("bare", DocsStanding::Approved)
        };
        let any = DocsEndpoint { needs: vec![vec![]], ..endpoint("any", DocsStanding::Approved) };
        let group = |id: &str, endpoints| DocsGroup {
            id: id.into(),
            title: "Orders".into(),
            text: words("What the user wants to trade."),
            elsewhere: None,
            endpoints,
        };
        let endpoints = vec![endpoint("new", waiting), endpoint("other", missing), bare, any];
        let elsewhere = Some("/docs/reference?group=history".into());
        vec![Self {
            layout: Layout::sample().in_section(Section::Docs),
            docs: DocsFrame::sample("Endpoints", true),
            apis: vec![DocsApi {
                id: "api".into(),
                name: "Practice Exchange API".into(),
                url: "http://localhost:8400/api/v4".into(),
                text: words("Balances and orders."),
                document_path: "/docs/openapi/api.json".into(),
                rates: vec!["1,200 calls in 1 minute of one app".into()],
                groups: vec![
                    group("orders", endpoints),
                    DocsGroup { elsewhere, ..group("history", vec![]) },
                ],
            }],
        }]
    }
}

/// `GET /docs/scopes`.
#[derive(Clone, Debug, Serialize)]
pub struct DocsScopes {
    pub layout: Layout,
    pub docs: DocsFrame,
    pub scopes: Vec<DocsScope>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DocsScope {
    pub name: String,
    pub text: String,
    pub kind: ScopeKind,
    pub tier: Tier,
    pub standing: Option<DocsStanding>,
    /// Endpoints that it opens, alone or with others: method, path, where they are told.
    pub endpoints: Vec<(String, String, String)>,
}

impl View for DocsScopes {
    const TEMPLATE: &'static str = "docs_scopes.html";

    fn sample() -> Vec<Self> {
        let route = ("GET".into(), "/api/v4/orders".into(), "/docs/reference#a".into());
        let scope = |name: &str, kind, tier, standing, endpoints| DocsScope {
            name: name.into(),
            text: "see your orders".into(),
            kind,
            tier,
            standing,
            endpoints,
        };
        let missing = DocsStanding::Missing {
            scopes: vec!["full".into()],
            request_path: "/apps/a1#request-scopes".into(),
        };
        let waiting = DocsStanding::Waiting { scopes: vec!["orders.create".into()] };
        let approved = Some(DocsStanding::Approved);
        vec![Self {
            layout: Layout::sample().in_section(Section::Docs),
            docs: DocsFrame::sample("Scopes", true),
            scopes: vec![
                scope("orders.read", ScopeKind::Read, Tier::Low, approved, vec![route]),
                scope("orders.create", ScopeKind::Money, Tier::High, Some(waiting), vec![]),
                scope("full", ScopeKind::Change, Tier::Sensitive, Some(missing), vec![]),
                scope("other", ScopeKind::Change, Tier::Low, None, vec![]),
            ],
        }]
    }
}
