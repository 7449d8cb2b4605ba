//! Every key that the config file knows, as data: the reader checks a file against it, environment
//! variables are mapped by it, and the reference in `docs/operator/config.md` is printed from it.

use super::partner_keys_schema::PARTNER_KEYS;
use super::plans_schema::{PERK, PLAN};
use super::resource_schema::RESOURCE;
use super::review_schema::REVIEW;
use super::sign_in_schema::SIGN_IN;
use super::webhooks_schema::WEBHOOKS;

/// A table of the config file.
#[derive(Debug)]
pub struct Shape {
    pub keys: &'static [Key],
}

#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// What holds when it is absent, in words; [`REQUIRED`] when there is no such thing.
    pub default: &'static str,
    pub text: &'static str,
}

pub const REQUIRED: &str = "required";

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Text,
    /// Texts in an array; in an environment variable separated by commas.
    Texts,
    /// An array of arrays of texts. Not settable by environment variables.
    TextGroups,
    Switch,
    /// A whole number.
    Number,
    /// `"10m"`, `"30d"`.
    Duration,
    /// `"16MiB"`, or a plain number of bytes.
    Bytes,
    /// `"100/1m"`.
    Rate,
    Choice(&'static [&'static str]),
    /// The name of a preset, or a table that [`protocol::envelope::EnvelopeSpec`] describes.
    Envelope,
    /// A path, relative to the folder of the config file.
    Path,
    Section(&'static Shape),
    Sections(&'static Shape),
}

impl Kind {
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Texts => "array of texts".into(),
            Self::TextGroups => "array of arrays of texts".into(),
            Self::Switch => "true or false".into(),
            Self::Number => "number".into(),
            Self::Duration => "duration".into(),
            Self::Bytes => "size".into(),
            Self::Rate => "rate".into(),
            Self::Choice(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Self::Envelope => "name or table".into(),
            Self::Path => "path".into(),
            Self::Section(_) => "table".into(),
            Self::Sections(_) => "array of tables".into(),
        }
    }
}

impl Shape {
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    text: &'static str,
) -> Key {
    Key { name, kind, default, text }
}

pub static ROOT: Shape = Shape {
    keys: &[
        key(
            "issuer",
            Kind::Text,
            REQUIRED,
            "Where users and apps reach this server: scheme, host and port, nothing behind. \
             It is the `iss` of every token; changing it ends all of them.",
        ),
        key(
            "data_dir",
            Kind::Path,
            "`data`",
            "Folder of the SQLite database and of the control socket. One running server each.",
        ),
        key(
            "database_url",
            Kind::Text,
            "`sqlite:` in the data folder",
            "`sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.",
        ),
        key(
            "master_key_file",
            Kind::Path,
            "`master.key`",
            "File with 64 hexadecimal digits that wrap every other key. Back it up apart from the \
             database: without it the database cannot be used. `CONSENTRY_MASTER_KEY` carries the \
             digits themselves instead.",
        ),
        key(
            "templates_dir",
            Kind::Path,
            "built-in pages",
            "Folder with page templates that replace built-in ones of the same name.",
        ),
        key(
            "registration",
            Kind::Choice(&["review", "live", "closed"]),
            "`review`",
            "What happens to a new app: it waits for staff, it is live at once (and the consent \
             page says that nobody looked at it), or developers cannot create any.",
        ),
        key(
            "dialects",
            Kind::Texts,
            "`[]`",
            "Wire formats besides the standard: `bitport`, `whitebit`, or the path of a \
             [dialect file](dialect-files.md).",
        ),
        key(
            "high_tier",
            Kind::Choice(&["second-factor", "second-factor-if-enrolled", "password"]),
            "`second-factor`",
            "What it takes to decide about scopes of the tier `high`: a second factor of the last \
             quarter of an hour, which users without any set up on the way; the same, but only of \
             users who have one; or a sign-in of any kind.",
        ),
        key(
            "docs",
            Kind::Choice(&["everyone", "developers"]),
            "`everyone`",
            "Who may read the [developer documentation](developer-docs.md) at `/docs`: everybody, \
             or only who may register apps.",
        ),
        key("listen", Kind::Section(&LISTEN), "", "Where the server accepts connections."),
        key("telemetry", Kind::Section(&TELEMETRY), "", "What is told of the running server."),
        key("mail", Kind::Section(&MAIL), "", "The server that sends messages to users."),
        key("accounts", Kind::Section(&ACCOUNTS), "", "What people do with accounts themselves."),
        key("brand", Kind::Section(&BRAND), "", "How the pages look."),
        key("sign_in", Kind::Section(&SIGN_IN), "", "How users sign in."),
        key("lifetimes", Kind::Section(&LIFETIMES), "", "How long things live."),
        key("review", Kind::Section(&REVIEW), "", "What staff look at."),
        key("scope", Kind::Sections(&SCOPE), "", "One permission that apps can ask for."),
        key("resource", Kind::Sections(&RESOURCE), "", "One API behind the gateway."),
        key(
            "plans",
            Kind::Sections(&PLAN),
            "",
            "What an app may do: [plans](plans.md). Without any, apps are not limited by plan.",
        ),
        key("perks", Kind::Sections(&PERK), "", "Something extra that developers can ask for."),
        key(
            "webhooks",
            Kind::Sections(&WEBHOOKS),
            "",
            "A server of yours that hears of events: see [webhooks](webhooks.md).",
        ),
        key(
            "partner_keys",
            Kind::Section(&PARTNER_KEYS),
            "",
            "Without this table there are none. With it, users can let an app have a key with \
             which it signs its calls, and pick what the key may do: \
             [partner keys](../developer/partner-keys.md).",
        ),
    ],
};

static LISTEN: Shape = Shape {
    keys: &[
        key(
            "public",
            Kind::Texts,
            "loopback and the issuer's port, or `127.0.0.1:8400` for an https issuer",
            "`HOST:PORT` for users, apps and API calls. HTTP/1.1 and HTTP/2 without TLS: put a \
             proxy that speaks TLS in front.",
        ),
        key(
            "internal",
            Kind::Text,
            "none",
            "Address for `/healthz`, `/readyz`, `/metrics`, the admin API and forward-auth. \
             Never reachable from outside.",
        ),
        key(
            "trusted_proxies",
            Kind::Texts,
            "`[]`",
            "Networks whose `X-Forwarded-For` is believed. Everyone else's is ignored.",
        ),
        key(
            "forward_auth_peers",
            Kind::Texts,
            "loopback",
            "Networks that may ask the forward-auth endpoint.",
        ),
        key(
            "drain",
            Kind::Duration,
            "`20s`",
            "How long running requests may finish after a stop signal.",
        ),
        key(
            "connections_max",
            Kind::Number,
            "`20000`",
            "Connections of each public address; one client address may hold a quarter of them, \
             trusted proxies all. Further ones get 503 and are closed.",
        ),
        key(
            "tokens_in_service",
            Kind::Number,
            "`512`",
            "Token, revocation and introspection requests worked on at once. As many wait for up \
             to half a second; further ones get 503 with `Retry-After`.",
        ),
        key(
            "pages_in_service",
            Kind::Number,
            "`128`",
            "The same for pages, so that they take nothing from the token endpoints.",
        ),
    ],
};

static TELEMETRY: Shape = Shape {
    keys: &[
        key(
            "metrics",
            Kind::Switch,
            "`true`",
            "Count requests, and answer `/metrics` on the internal listener.",
        ),
        key(
            "otlp_endpoint",
            Kind::Text,
            "none",
            "`http://HOST:PORT` of an OpenTelemetry collector that takes OTLP over HTTP. Each \
             traced request is sent there.",
        ),
        key(
            "otlp_one_in",
            Kind::Number,
            "`1`",
            "Trace one request in this many. Requests that a trusted proxy traces always are.",
        ),
    ],
};

static MAIL: Shape = Shape {
    keys: &[
        key(
            "host",
            Kind::Text,
            "no mail is sent",
            "Name of the SMTP server; its certificate must have it.",
        ),
        key("port", Kind::Number, "by `tls`: `465`, `587`, `25`", "Port of the SMTP server."),
        key(
            "tls",
            Kind::Choice(&["tls", "starttls", "none"]),
            "`tls`",
            "TLS from the first byte, after STARTTLS (required, not tried), or not at all: for a \
             server on this machine.",
        ),
        key("ca_file", Kind::Path, "the system's", "A certificate (PEM) to trust besides those."),
        key("username", Kind::Text, "no sign-in", "User at the SMTP server."),
        key("password", Kind::Text, "none", "Its password. Better in `password_file`."),
        key("password_file", Kind::Path, "none", "File with the password."),
        key(
            "from",
            Kind::Text,
            REQUIRED,
            "Sender of all messages: `Example <no-reply@example.com>`.",
        ),
    ],
};

static ACCOUNTS: Shape = Shape {
    keys: &[
        key(
            "sign_up",
            Kind::Choice(&["off", "on"]),
            "`off`",
            "Whether anybody can make an account, by a link in a message. Needs `[mail]`.",
        ),
        key(
            "developers",
            Kind::Choice(&["invited", "verified", "anyone", "staff_only"]),
            "`invited`",
            "Who may register apps: accounts to which you gave the role, every account with a \
             confirmed e-mail address, every account, or reviewers and admins alone (then accounts \
             with the role look after the apps that they have).",
        ),
        key(
            "language",
            Kind::Text,
            "`en`",
            "Of messages to people who have chosen none: `en`, `de`, or a folder of your own \
             (see [mail](mail.md)).",
        ),
        key(
            "breached_passwords",
            Kind::Path,
            "the commonest 300",
            "File with SHA-1 hashes of breached passwords, sorted, one `HASH:COUNT` per line, as \
             Have I Been Pwned gives it. They are refused as new passwords.",
        ),
    ],
};

static BRAND: Shape = Shape {
    keys: &[
        key("name", Kind::Text, "host of the issuer", "What the company is called."),
        key("logo", Kind::Path, "none", "An image file (svg, png, jpg, webp) of at most 64 KiB."),
        key("accent", Kind::Text, "`#14594b`", "Colour of buttons and links, `#rrggbb`."),
        key("accent_dark", Kind::Text, "from `accent`", "The same in dark mode."),
        key("support_url", Kind::Text, "none", "Where users find help: `https:` or `mailto:`."),
    ],
};

static LIFETIMES: Shape = Shape {
    keys: &[
        key("access_token", Kind::Duration, "`10m`", "Access tokens, unless an app says less."),
        key("access_token_max", Kind::Duration, "`1h`", "The most that an app can say."),
        key(
            "refresh_idle",
            Kind::Duration,
            "`30d`",
            "An authorization ends when it was not refreshed for this long.",
        ),
        key("refresh_idle_max", Kind::Duration, "`90d`", "The most that an app can say."),
        key(
            "grant",
            Kind::Duration,
            "`365d`",
            "An authorization ends after this long, however often it is refreshed.",
        ),
        key("grant_max", Kind::Duration, "`365d`", "The most that an app can say."),
    ],
};

static SCOPE: Shape = Shape {
    keys: &[
        key("name", Kind::Text, REQUIRED, "As apps write it: `orders.read`."),
        key(
            "text",
            Kind::Text,
            REQUIRED,
            "What it lets an app do, in plain words, read after “This app will be able to”.",
        ),
        key(
            "kind",
            Kind::Choice(&["read", "change", "money"]),
            "`read`",
            "Whether it looks, changes things or moves money. The consent page groups by it.",
        ),
        key(
            "tier",
            Kind::Choice(&["low", "sensitive", "high"]),
            "`low`",
            "How much harm it can do.",
        ),
    ],
};
