//! Requests that this process makes: HTTPS with the system's own trusted roots, one connection for
//! each, no redirect followed. A name is looked up once, and only the addresses that were looked at
//! are connected to, so that no second answer of a name server leads inside (attack F1).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use protocol::openid::is_plain_loopback;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use server::outbound::{Call, Outbound, OutboundError, Reach, Reply, is_public};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

type LookUp = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// The network that this machine is in.
pub(crate) struct Network {
    look_up: Box<LookUp>,
    /// Reading the roots takes tens of milliseconds, and most providers call nobody.
    tls: OnceCell<TlsConnector>,
}

impl Default for Network {
    fn default() -> Self {
        Self::looking_up(Box::new(|host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
        }))
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Outbound for Network {
    fn send(&self, call: Call) -> BoxFuture<'_, Result<Reply, OutboundError>> {
        Box::pin(async move {
            let patience = call.timeout;
            timeout(patience, self.send_now(call)).await.map_err(|_| OutboundError::Timeout)?
        })
    }
}

fn failed(error: impl fmt::Display) -> OutboundError {
    OutboundError::Failed(error.to_string())
}

impl Network {
    fn looking_up(look_up: Box<LookUp>) -> Self {
        Self { look_up, tls: OnceCell::new() }
    }

    async fn send_now(&self, call: Call) -> Result<Reply, OutboundError> {
        let is_plain = call.url.scheme() == "http";
        let may_be_plain = call.reach == Reach::Configured && is_plain_loopback(&call.url);
        if call.url.scheme() != "https" && !may_be_plain {
            return Err(OutboundError::NotAllowed(call.url.scheme().to_owned()));
        }
        let addresses = self.addresses(&call.url, call.reach).await?;
        let stream = connect(&addresses).await?;
        if is_plain {
            return exchange(stream, call).await;
        }
        let host = call.url.host_str().unwrap_or_default();
        let stream = secured(self.tls().await?, host, stream).await.map_err(failed)?;
        exchange(stream, call).await
    }

    /// Where `url` leads. Every address must be allowed: a name with one inside was made to lead
    /// there now and then.
    async fn addresses(&self, url: &Url, reach: Reach) -> Result<Vec<SocketAddr>, OutboundError> {
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![SocketAddr::from((address, port))],
            Some(Host::Ipv6(address)) => vec![SocketAddr::from((address, port))],
            Some(Host::Domain(name)) => {
                let found = (self.look_up)(name.to_owned(), port).await;
                found.map_err(|error| OutboundError::Unresolved(error.to_string()))?
            }
            None => Vec::new(),
        };
        let inside = |address: &&SocketAddr| match reach {
            Reach::Public => !is_public(address.ip()),
            // A name of this machine that a resolver sends elsewhere.
            Reach::Configured => url.scheme() == "http" && !address.ip().is_loopback(),
        };
        match addresses.iter().find(inside) {
            Some(address) => Err(OutboundError::NotAllowed(address.ip().to_string())),
            None if addresses.is_empty() => {
                Err(OutboundError::Unresolved("the name has no address".to_owned()))
            }
            None => Ok(addresses),
        }
    }

    async fn tls(&self) -> Result<&TlsConnector, OutboundError> {
        self.tls.get_or_try_init(async || connector().await.map_err(failed)).await
    }
}

/// `stream` to `host`, which has shown a certificate that this machine trusts.
pub(crate) async fn secured(
    tls: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    tls.connect(name.map_err(io::Error::other)?, stream).await
}

/// With the trusted roots of this machine (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).
pub(crate) async fn connector() -> io::Result<TlsConnector> {
    let made = tokio::task::spawn_blocking(with_roots_of_this_machine).await;
    made.map_err(io::Error::other)?.map_err(io::Error::other)
}

/// The provider of cryptography is named here: a default of the whole process would be a global.
fn with_roots_of_this_machine() -> Result<TlsConnector, rustls::Error> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted root of this machine cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let what = format!("this machine has no trusted roots ({ignored} unreadable)");
        return Err(rustls::Error::General(what));
    }
    let cryptography = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(cryptography)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The first that answers.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, OutboundError> {
    let mut last = failed("the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = failed(error),
        }
    }
    Err(last)
}

async fn exchange<S>(stream: S, call: Call) -> Result<Reply, OutboundError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // Ends with this value: with the answer, or when the time is over.
    let mut running = JoinSet::new();
    running.spawn(connection);
    let answer_bytes_max = call.answer_bytes_max;
    let request = request(call)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, answer_bytes_max).collect().await;
        let body = body.map_err(|error| {
            let is_too_long = error.is::<http_body_util::LengthLimitError>();
            if is_too_long { OutboundError::TooLong } else { failed(error) }
        })?;
        Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
    };
    answered.await
}

fn request(call: Call) -> Result<Request<Full<Bytes>>, OutboundError> {
    let target = &call.url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &call.url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::new(Full::new(call.body));
    *request.method_mut() = call.method;
    *request.uri_mut() = target.parse::<Uri>().map_err(failed)?;
    *request.headers_mut() = call.headers;
    let host = HeaderValue::from_str(authority).map_err(failed)?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("consentry"));
    Ok(request)
}

#[cfg(test)]
mod tests;
