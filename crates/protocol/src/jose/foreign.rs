//! Keys that somebody else publishes: an OpenID provider that signs users in, or an app. Its key
//! set may hold keys of kinds that we do not know, keys without `kid` and without `alg`; what is
//! not understood is left out, and what is left is as strict as with our own keys.

use serde_json::{Map, Value};

use super::{Algorithm, Jws, JwtError, KeyMaterial, VerifyingKey};

/// Keys that are kept of one set: nobody publishes more, and each is parsed.
const KEYS_MAX: usize = 32;

#[derive(Debug, Default)]
pub struct ForeignKeys(Vec<ForeignKey>);

#[derive(Debug)]
struct ForeignKey {
    has_kid: bool,
    key: VerifyingKey,
}

impl ForeignKeys {
    /// Reads a key set (RFC 7517 §5: "implementations SHOULD ignore JWKs within a JWK Set that use
    /// `kty` values that are not understood"). `None`: it is no key set.
    pub fn parse(document: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(document).ok()?;
        let keys = document.get("keys")?.as_array()?;
        Some(Self(keys.iter().filter_map(parse_key).take(KEYS_MAX).collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claims of a client assertion (RFC 7523 §3), whose `typ` is free but for other kinds.
    pub fn verify_assertion(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        self.verify_id_token(token)
    }

    /// The claims of an ID token. [`JwtError::UnknownKey`] is worth one look at a newer key set.
    pub fn verify_id_token(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        let jws = Jws::take_apart(token)?;
        // OpenID Connect asks for no `typ`; one that is there must not be another kind of token's
        // (RFC 8725 §3.11).
        if jws.header.typ.is_some() {
            jws.expect_type("JWT")?;
        }
        // The algorithm of the header chooses nothing: a name that we do not know fits no key.
        let fitting = |key: &&ForeignKey| key.key.algorithm.as_str() == jws.header.alg;
        let found = match jws.header.kid.as_deref() {
            Some(kid) => self.0.iter().find(|key| key.has_kid && key.key.kid == kid),
            // OpenID Connect Core §10.1: without `kid` only if there is no doubt.
            None => {
                let mut fitting = self.0.iter().filter(fitting);
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        found.ok_or(JwtError::UnknownKey)?.key.claims_of(&jws)
    }
}

fn parse_key(jwk: &Value) -> Option<ForeignKey> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let material: KeyMaterial = serde_json::from_value(jwk.clone()).ok()?;
    let algorithm = match &material {
        KeyMaterial::Ec { .. } => Algorithm::Es256,
        KeyMaterial::Okp { .. } => Algorithm::EdDsa,
        KeyMaterial::Rsa { .. } => Algorithm::Rs256,
    };
    if text("alg").is_some_and(|alg| alg != algorithm.as_str()) {
        return None;
    }
    let key = material.parse(algorithm).ok()?;
    let kid = text("kid");
    let key = VerifyingKey { kid: kid.unwrap_or_default().to_owned(), algorithm, key };
    Some(ForeignKey { has_kid: kid.is_some(), key })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::SigningKey;
    use super::*;

    fn key_set(keys: &[Value]) -> ForeignKeys {
        ForeignKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn public(key: &SigningKey) -> Value {
        serde_json::to_value(key.public_jwk()).unwrap()
    }

    fn without(mut jwk: Value, member: &str) -> Value {
        jwk.as_object_mut().unwrap().remove(member);
        jwk
    }

    #[test]
    fn keys_of_every_kind_we_know_verify_and_others_are_left_out() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let others = [
                json!({ "kty": "oct", "k": "c2VjcmV0" }),
                json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": key.kid() }),
                json!({ "kty": "PQ", "kid": "x" }),
                json!("nonsense"),
                without(without(public(&key), "alg"), "use"),
            ];
            let keys = key_set(&others);
            let token = key.sign("JWT", &json!({ "sub": "1" })).unwrap();
            assert_eq!(keys.verify_id_token(&token).unwrap()["sub"], "1");
        }
    }

    #[test]
    fn a_token_without_kid_is_for_the_only_key_that_fits() {
        let (one, two) = (
            SigningKey::generate(Algorithm::Es256).unwrap(),
            SigningKey::generate(Algorithm::Es256).unwrap(),
        );
        let token =
            super::super::compact(&json!({ "alg": "ES256" }), &json!({ "sub": "1" }), |message| {
                one.sign_bytes(message)
            })
            .unwrap();
        assert!(key_set(&[public(&one)]).verify_id_token(&token).is_ok());
        let both = key_set(&[public(&one), public(&two)]);
        assert_eq!(both.verify_id_token(&token), Err(JwtError::UnknownKey));
    }

    #[test]
    fn t4_a_foreign_key_is_used_for_its_own_algorithm_and_use_alone() {
        let key = SigningKey::generate(Algorithm::Rs256).unwrap();
        let token = key.sign("JWT", &json!({})).unwrap();
        let mut encryption = public(&key);
        encryption["use"] = json!("enc");
        assert_eq!(key_set(&[encryption]).verify_id_token(&token), Err(JwtError::UnknownKey));
        let mut other = public(&key);
        other["alg"] = json!("RS512");
        assert_eq!(key_set(&[other]).verify_id_token(&token), Err(JwtError::UnknownKey));
        let kind = key.sign("at+jwt", &json!({})).unwrap();
        let keys = key_set(&[public(&key)]);
        assert_eq!(keys.verify_id_token(&kind), Err(JwtError::WrongType));
        for alg in ["none", "HS256", "RS512", "ES256"] {
            let header = json!({ "alg": alg, "kid": key.kid() });
            let forged = super::super::compact(&header, &json!({}), |_| Ok(Vec::new())).unwrap();
            assert_eq!(keys.verify_id_token(&forged), Err(JwtError::WrongAlgorithm), "{alg}");
        }
    }
}
