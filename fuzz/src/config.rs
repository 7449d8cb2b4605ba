//! Files of an operator: whatever stands in a config, a dialect file or an OpenAPI document,
//! reading ends with a config or with problems that say where they are. Fields: config, dialect
//! file, OpenAPI document; an empty field stands for one that is right.

use std::path::Path;

use consentry::config::{Config, Environment, Place};

use super::input::Input;

const CONFIG: &str = r#"
issuer = "https://auth.example"
dialects = ["own.toml"]
[[scope]]
name = "orders.read"
text = "see your orders"
[[resource]]
path_prefix = "/api"
openapi = "api.yaml"
[resource.upstream]
url = "http://127.0.0.1:9000"
"#;

const DIALECT: &str = include_str!("../../dialects/whitebit.toml");

const OPENAPI: &str = "
openapi: 3.1.0
components: {securitySchemes: {oauth: {type: oauth2}}}
paths:
  /api/orders:
    get: {security: [{oauth: [orders.read]}]}
";

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let fields = [input.field(), input.field(), input.rest()];
    let right = [CONFIG, DIALECT, OPENAPI].map(str::as_bytes);
    let mut files = [CONFIG.as_bytes(); 3];
    for (file, (field, right)) in files.iter_mut().zip(fields.into_iter().zip(right)) {
        *file = if field.is_empty() { right } else { field };
    }
    let text = String::from_utf8_lossy(files[0]);
    let environment: Environment =
        [("CONSENTRY_MASTER_KEY".to_owned(), "0f".repeat(32))].into_iter().collect();
    let read = |path: &Path| match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => Ok(files[1].to_vec()),
        Some("yaml") => Ok(files[2].to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let file = Path::new("consentry.toml");
    match Config::parse(file, &text, &environment, &read) {
        Ok(config) => check_config(&config),
        Err(errors) => {
            assert!(!errors.0.is_empty(), "refused without a reason");
            for problem in &errors.0 {
                assert!(!problem.what.is_empty(), "{problem}");
                let Place::File { file: of, line, column } = &problem.place else { continue };
                assert!(*line > 0 && *column > 0, "{problem}");
                let lines = text.lines().count().max(1) + 1;
                assert!(of != file || *line <= lines, "{problem}: there are {lines} lines");
            }
        }
    }
}

/// What is accepted can be served: every route can be found, and no route hides another.
fn check_config(config: &Config) {
    let policy = config.policy_without_credentials();
    assert!(policy.issuer.starts_with("https://") || policy.issuer.starts_with("http://"));
    for dialect in &policy.dialects {
        for endpoint in &dialect.tokens {
            assert!(!endpoint.grant_types.is_empty());
            assert!(endpoint.errors.last().is_some_and(|rule| rule.when.is_empty()));
        }
    }
}
