//! The OpenAPI documents by example: every documented call is made as its example says, and the
//! server answers with exactly the documented example, in the documented shape.

use super::schema::{check, follow};
use super::*;

const METHODS: [&str; 3] = ["get", "post", "delete"];

/// One operation of a document.
struct Call {
    method: Method,
    path: String,
    described: Value,
}

fn calls(document: &Value) -> Vec<Call> {
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            calls.push(Call { method, path: path.clone(), described: described.clone() });
        }
    }
    calls
}

impl Call {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn parameters(&self, place: &str) -> Vec<(String, String)> {
        let all = self.described["parameters"].as_array().into_iter().flatten();
        all.filter(|parameter| parameter["in"] == place && parameter.get("example").is_some())
            .map(|parameter| {
                let example = &parameter["example"];
                let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                (parameter["name"].as_str().unwrap().to_owned(), text)
            })
            .collect()
    }

    /// Path and query as the examples of the parameters have them.
    fn uri(&self) -> String {
        let path = self.parameters("path").iter().fold(self.path.clone(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), value)
        });
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.parameters("query"))
            .finish();
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    /// The media type of the request's body, its schema and its example.
    fn body(&self) -> Option<(&String, &Value)> {
        let content = self.described.get("requestBody")?["content"].as_object().unwrap();
        content.iter().next()
    }

    /// The example as a request of `alice`.
    fn request(&self, world: &World) -> Request<Body> {
        let audience = if self.path.starts_with("/v2") { DRIVE } else { EXCHANGE };
        let mut request = Request::builder().method(self.method.clone()).uri(self.uri());
        // A public route is called without.
        if self.described["security"].as_array().is_some_and(|security| !security.is_empty()) {
            request = request.header(ASSERTION_HEADER, world.assertion(audience, "alice"));
        }
        for (name, value) in self.parameters("header") {
            request = request.header(name, value);
        }
        let Some((media_type, body)) = self.body() else {
            return request.body(Body::empty()).unwrap();
        };
        let text = match media_type.as_str() {
            "application/x-www-form-urlencoded" => form_urlencoded::Serializer::new(String::new())
                .extend_pairs(
                    body["example"]
                        .as_object()
                        .unwrap()
                        .iter()
                        .map(|(k, v)| (k, v.as_str().unwrap())),
                )
                .finish(),
            _ => body["example"].to_string(),
        };
        request.header("content-type", media_type).body(Body::from(text)).unwrap()
    }
}

/// What has happened before each example. Of the exchange: an open order (number 32), an executed
/// one (33), a conversion (1) and an offer (2). Of the drive: a transfer half-way, and one in vain.
async fn world_of_the_examples() -> World {
    let world = World::new();
    let good = async |path: &str, body: Value| {
        let answer = world.trade("alice", path, body).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.text());
    };
    let order = json!({ "market": "BTC_USDT", "side": "buy", "amount": "0.1", "price": "50000",
        "clientOrderId": "my-order-1" });
    good("/api/v4/order/new", order).await;
    let order = json!({ "market": "ETH_USDT", "side": "buy", "amount": "300" });
    good("/api/v4/order/market", order).await;
    let offer = json!({ "from": "USDT", "to": "ETH", "direction": "to", "amount": "0.25" });
    good("/api/v4/convert/estimate", offer.clone()).await;
    good("/api/v4/convert/confirm", json!({ "quoteId": "1" })).await;
    good("/api/v4/convert/estimate", offer).await;
    for link in
        ["magnet:?xt=urn:btih:1111111111111111111111111111111111111111", "https://x.example"]
    {
        assert_eq!(world.start_transfer("alice", link).await.json()["status"], "success");
    }
    world.advance(9_500);
    world
}

/// The schema and the example of a documented answer.
fn documented<'a>(
    document: &'a Value,
    call: &'a Call,
    answer: &Answer,
) -> (&'a Value, Option<&'a Value>) {
    let name = call.name();
    let response = call.described["responses"].get(answer.status.as_str()).unwrap_or_else(|| {
        panic!("{name}: {} is not documented: {}", answer.status, answer.text())
    });
    let response = follow(document, response);
    for (header, _) in response["headers"].as_object().into_iter().flatten() {
        assert_ne!(answer.header(header), "", "{name}: {header} is documented");
    }
    let Some(content) = response.get("content") else {
        assert!(answer.body.is_empty(), "{name}: {}", answer.text());
        return (&Value::Null, None);
    };
    let media_type = answer.header("content-type").split(';').next().unwrap();
    let content = content.get(media_type).or_else(|| content.get("*/*"));
    let content = content.unwrap_or_else(|| panic!("{name}: {media_type} is not documented"));
    (&content["schema"], content.get("example"))
}

async fn assert_examples_hold(text: &str, router_of: fn(&World) -> &Router) {
    let document: Value = serde_saphyr::from_str(text).unwrap();
    // What only reads leaves the world as it is for the next.
    let unchanged = world_of_the_examples().await;
    for call in calls(&document) {
        let name = call.name();
        if call.path == "/api/v4/accounts/stream" {
            // It never ends: `the_stream_tells_a_user_of_his_orders_and_nobody_elses` reads it.
            continue;
        }
        let fresh = match call.method {
            Method::GET => None,
            _ => Some(world_of_the_examples().await),
        };
        let world = fresh.as_ref().unwrap_or(&unchanged);
        let answer = send(router_of(world), call.request(world)).await;
        assert!(answer.status.as_u16() < 400, "{name}: {}", answer.text());
        let (schema, example) = documented(&document, &call, &answer);
        if schema.is_null() {
            continue;
        }
        check(&document, schema, &answer.json()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(Some(&answer.json()), example, "{name}: the document says otherwise");
    }
}

#[tokio::test]
async fn every_documented_call_of_the_exchange_is_answered_as_its_example_says() {
    assert_examples_hold(exchange::OPENAPI, |world| &world.exchange).await;
}

#[tokio::test]
async fn every_documented_call_of_the_drive_is_answered_as_its_example_says() {
    assert_examples_hold(drive::OPENAPI, |world| &world.drive).await;
}

/// One body that is wrong everywhere: each call finds something to refuse, in the documented shape.
#[tokio::test]
async fn every_call_of_the_exchange_refuses_a_wrong_body_in_the_documented_shape() {
    let document: Value = serde_saphyr::from_str(exchange::OPENAPI).unwrap();
    let world = World::new();
    let fields = [
        "market",
        "side",
        "amount",
        "price",
        "ticker",
        "orderId",
        "limit",
        "offset",
        "from",
        "to",
        "direction",
        "quoteId",
        "transactionMethod",
        "fromTicker",
    ];
    let wrong: Value = fields.iter().map(|field| ((*field).to_owned(), json!("?"))).collect();
    for call in calls(&document).iter().filter(|call| call.method == Method::POST) {
        let answer = world.trade("alice", &call.path, wrong.clone()).await;
        assert_eq!(answer.status, 422, "{}: {}", call.name(), answer.text());
        let (schema, _) = documented(&document, call, &answer);
        check(&document, schema, &answer.json()).unwrap();
    }
}

#[tokio::test]
async fn every_call_of_the_drive_says_what_was_wrong_in_the_documented_shape() {
    let document: Value = serde_saphyr::from_str(drive::OPENAPI).unwrap();
    let world = World::new();
    let mut refused = Vec::new();
    for call in calls(&document) {
        // Anything can be searched for, and signed links are no part of the API.
        let names_something = call.path.ends_with("{code}") || call.path.contains("{code}/");
        if call.path.starts_with("/v2/dl/") || !(names_something || call.method == Method::POST) {
            continue;
        }
        let path = call.path.replace("{code}", "none");
        let answer = world.drive("alice", call.method.clone(), &path).await;
        assert_eq!(answer.status, 200, "{}", call.name());
        let (schema, _) = documented(&document, &call, &answer);
        check(&document, schema, &answer.json()).unwrap();
        assert_eq!(answer.json()["status"], "error", "{}", call.name());
        refused.push(call.name());
    }
    assert_eq!(refused.len(), 8, "{refused:?}");
}

/// Every response's and request's example is of its own shape, errors included.
#[test]
fn every_example_of_the_documents_has_the_shape_that_is_described_beside_it() {
    fn visit(document: &Value, part: &Value, checked: &mut usize) {
        if let (Some(schema), Some(example)) = (part.get("schema"), part.get("example")) {
            check(document, schema, example).unwrap();
            *checked += 1;
        }
        let inner = part.as_object().into_iter().flat_map(|object| object.values());
        let inner = inner.chain(part.as_array().into_iter().flatten());
        inner.for_each(|part| visit(document, part, checked));
    }
    for text in [exchange::OPENAPI, drive::OPENAPI] {
        let document: Value = serde_saphyr::from_str(text).unwrap();
        let mut checked = 0;
        visit(&document, &document["paths"], &mut checked);
        visit(&document, &document["components"]["responses"], &mut checked);
        assert!(checked > 15, "{checked}");
    }
}
