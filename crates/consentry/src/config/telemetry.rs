//! What is told of the running server: metrics, and traces to a collector.

use url::Url;

use super::quantity;
use super::reader::Section;

#[derive(Clone, Debug)]
pub struct Telemetry {
    pub metrics: bool,
    /// Where traces go; `None`: nowhere.
    pub otlp: Option<Otlp>,
}

#[derive(Clone, Debug)]
pub struct Otlp {
    /// `http://host:port/path` of the traces endpoint.
    pub url: String,
    /// One request in this many starts a trace.
    pub one_in: u32,
}

pub(super) fn read(section: &Section<'_>) -> Telemetry {
    let one_in = section.parsed("otlp_one_in", quantity::count).map_or(1, |at| at.value);
    let url = section.parsed("otlp_endpoint", endpoint).map(|at| at.value);
    Telemetry {
        metrics: section.switch("metrics").unwrap_or(true),
        otlp: url.map(|url| Otlp { url, one_in }),
    }
}

/// OTLP/HTTP: the signal's path is added to the endpoint's, unless it is there.
fn endpoint(text: &str) -> Result<String, String> {
    const SIGNAL: &str = "/v1/traces";
    let url = Url::parse(text).map_err(|error| format!("Write http://HOST:PORT ({error})."))?;
    if url.scheme() != "http" {
        return Err("Traces are sent over plain HTTP. Give the address of a collector on this \
                    machine or inside your network; it can forward them over TLS."
            .to_owned());
    }
    let is_bare = url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err("Write http://HOST:PORT and at most a path, without credentials.".to_owned());
    }
    let url = url.as_str().trim_end_matches('/');
    Ok(if url.ends_with(SIGNAL) { url.to_owned() } else { format!("{url}{SIGNAL}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_of_a_collector_gets_the_path_of_traces() {
        let read = |text: &str| endpoint(text).ok();
        let full = Some("http://127.0.0.1:4318/v1/traces".to_owned());
        assert_eq!(read("http://127.0.0.1:4318"), full);
        assert_eq!(read("http://127.0.0.1:4318/v1/traces/"), full);
        assert_eq!(read("http://otel/x"), Some("http://otel/x/v1/traces".to_owned()));
        for wrong in ["127.0.0.1:4318", "https://otel", "http://a:b@otel", "http://otel?token=1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
