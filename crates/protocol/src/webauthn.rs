//! Passkeys (WebAuthn Level 3): what a browser sends after a passkey was made or used, and the
//! checks of §7.1 and §7.2. Pure: challenges, and which key is whose, are the caller's.
//!
//! Attestation is not asked for: it would say which model a device is, and no decision here
//! depends on that. So what is in `attStmt` is passed over, as §7.1 has it for `none`.

use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use serde::Deserialize;

use crate::cbor::{Malformed, Reader, Value};

/// What keys may be like, the dearest first (COSE algorithms): ES256, EdDSA, RS256.
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];
/// §4, "credential id"
pub const CREDENTIAL_ID_BYTES_MAX: usize = 1023;
/// Nobody's answer is longer: a certificate chain of an attestation that was not asked for.
const BYTES_MAX: usize = 16 * 1024;

/// Whom passkeys are for: one origin of one host.
#[derive(Clone, Copy, Debug)]
pub struct RelyingParty<'a> {
    /// The host.
    pub id: &'a str,
    /// `https://id.example.com`, with the port if there is one.
    pub origin: &'a str,
}

/// A passkey that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPasskey {
    pub credential_id: Vec<u8>,
    /// A COSE key that [`check_assertion`] takes.
    pub public_key: Vec<u8>,
    pub signature_count: u32,
}

/// What a browser sends when a passkey was used.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    pub client_data: &'a [u8],
    pub authenticator_data: &'a [u8],
    pub signature: &'a [u8],
}

/// Why a passkey was not believed. For logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    #[error("what the browser sent cannot be read")]
    Malformed,
    #[error("it was made for another kind of request")]
    WrongType,
    #[error("it answers another challenge")]
    WrongChallenge,
    #[error("it was made on another site")]
    WrongOrigin,
    #[error("the device did not check who is using it")]
    NotVerified,
    #[error("the key is of a kind that is not supported")]
    UnsupportedKey,
    #[error("the signature is wrong")]
    BadSignature,
    #[error("the device counts fewer signatures than we have seen: there is a copy of it")]
    Copied,
}

impl From<Malformed> for PasskeyError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// §7.1: a passkey that was made for `challenge`.
pub fn check_registration(
    rp: RelyingParty<'_>,
    challenge: &str,
    client_data: &[u8],
    attestation_object: &[u8],
) -> Result<NewPasskey, PasskeyError> {
    check_client_data(rp, "webauthn.create", challenge, client_data)?;
    let data = AuthenticatorData::parse(authenticator_data_of(attestation_object)?)?;
    data.check(rp)?;
    let (credential_id, mut rest) = data.credential()?;
    let key = rest.clone();
    rest.skip()?;
    let length = key.rest().len() - rest.rest().len();
    let public_key = key.rest().get(..length).unwrap_or_default().to_vec();
    PublicKey::parse(&public_key)?;
    Ok(NewPasskey {
        credential_id: credential_id.to_vec(),
        public_key,
        signature_count: data.signature_count,
    })
}

/// §7.2: the passkey with this key answered `challenge`. Gives its count of signatures.
pub fn check_assertion(
    rp: RelyingParty<'_>,
    challenge: &str,
    assertion: &Assertion<'_>,
    public_key: &[u8],
    signature_count: u32,
) -> Result<u32, PasskeyError> {
    check_client_data(rp, "webauthn.get", challenge, assertion.client_data)?;
    let data = AuthenticatorData::parse(assertion.authenticator_data)?;
    data.check(rp)?;
    let hash = digest::digest(&digest::SHA256, assertion.client_data);
    let signed = [assertion.authenticator_data, hash.as_ref()].concat();
    PublicKey::parse(public_key)?
        .0
        .verify_sig(&signed, assertion.signature)
        .map_err(|_| PasskeyError::BadSignature)?;
    // §6.1.1: passkeys that are on several devices always say zero.
    let counts = data.signature_count > 0 || signature_count > 0;
    if counts && data.signature_count <= signature_count {
        return Err(PasskeyError::Copied);
    }
    Ok(data.signature_count)
}

/// §5.8.1. Browsers write it; other members may come.
#[derive(Deserialize)]
struct ClientData<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    challenge: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    origin: std::borrow::Cow<'a, str>,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

fn check_client_data(
    rp: RelyingParty<'_>,
    kind: &str,
    challenge: &str,
    bytes: &[u8],
) -> Result<(), PasskeyError> {
    if bytes.len() > BYTES_MAX {
        return Err(PasskeyError::Malformed);
    }
    let data: ClientData<'_> =
        serde_json::from_slice(bytes).map_err(|_| PasskeyError::Malformed)?;
    if data.kind != kind {
        return Err(PasskeyError::WrongType);
    }
    if data.challenge != challenge {
        return Err(PasskeyError::WrongChallenge);
    }
    // Our pages cannot be framed, so no honest answer comes from inside another site's.
    if data.origin != rp.origin || data.cross_origin {
        return Err(PasskeyError::WrongOrigin);
    }
    Ok(())
}

/// §6.5.4: a map with `fmt`, `attStmt` and `authData`.
fn authenticator_data_of(attestation_object: &[u8]) -> Result<&[u8], PasskeyError> {
    if attestation_object.len() > BYTES_MAX {
        return Err(PasskeyError::Malformed);
    }
    let mut reader = Reader::new(attestation_object);
    let Value::Map(pairs) = reader.value()? else { return Err(PasskeyError::Malformed) };
    let mut found = None;
    for _ in 0..pairs {
        match reader.value()? {
            Value::Text("authData") => match reader.value()? {
                Value::Bytes(bytes) => found = Some(bytes),
                _ => return Err(PasskeyError::Malformed),
            },
            Value::Text(_) => reader.skip()?,
            _ => return Err(PasskeyError::Malformed),
        }
    }
    found.filter(|_| reader.rest().is_empty()).ok_or(PasskeyError::Malformed)
}

const USER_PRESENT: u8 = 1 << 0;
const USER_VERIFIED: u8 = 1 << 2;
const HAS_CREDENTIAL: u8 = 1 << 6;

/// §6.1
struct AuthenticatorData<'b> {
    host_hash: &'b [u8; 32],
    flags: u8,
    signature_count: u32,
    rest: &'b [u8],
}

impl<'b> AuthenticatorData<'b> {
    fn parse(bytes: &'b [u8]) -> Result<Self, PasskeyError> {
        let (host_hash, rest) = bytes.split_first_chunk().ok_or(PasskeyError::Malformed)?;
        let (flags, rest) = rest.split_first().ok_or(PasskeyError::Malformed)?;
        let (count, rest) = rest.split_first_chunk().ok_or(PasskeyError::Malformed)?;
        Ok(Self { host_hash, flags: *flags, signature_count: u32::from_be_bytes(*count), rest })
    }

    fn check(&self, rp: RelyingParty<'_>) -> Result<(), PasskeyError> {
        let expected = digest::digest(&digest::SHA256, rp.id.as_bytes());
        if expected.as_ref() != self.host_hash {
            return Err(PasskeyError::WrongOrigin);
        }
        // Verified: it is two factors in one, a thing and a finger or a PIN.
        let both = USER_PRESENT | USER_VERIFIED;
        if self.flags & both == both { Ok(()) } else { Err(PasskeyError::NotVerified) }
    }

    /// §6.5.1: the id, and where the key begins.
    fn credential(&self) -> Result<(&'b [u8], Reader<'b>), PasskeyError> {
        if self.flags & HAS_CREDENTIAL == 0 {
            return Err(PasskeyError::Malformed);
        }
        let (_model, rest) = self.rest.split_first_chunk::<16>().ok_or(PasskeyError::Malformed)?;
        let (length, rest) = rest.split_first_chunk().ok_or(PasskeyError::Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, key) = rest.split_at_checked(length).ok_or(PasskeyError::Malformed)?;
        if id.is_empty() || length > CREDENTIAL_ID_BYTES_MAX {
            return Err(PasskeyError::Malformed);
        }
        Ok((id, Reader::new(key)))
    }
}

/// A COSE key (RFC 9053) of one of [`ALGORITHMS`].
struct PublicKey(ParsedPublicKey);

impl PublicKey {
    fn parse(cose: &[u8]) -> Result<Self, PasskeyError> {
        let fields = CoseFields::read(cose)?;
        let unsupported = |_| PasskeyError::UnsupportedKey;
        // RFC 9053 §2.1, §2.2, RFC 8812 §2: algorithm, kind and curve belong together.
        let key = match fields {
            CoseFields {
                kind: Some(2),
                algorithm: Some(-7),
                first: Some(Value::Int(1)),
                second: Some(Value::Bytes(x)),
                third: Some(Value::Bytes(y)),
            } if x.len() == 32 && y.len() == 32 => {
                let point = [&[0x04], x, y].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map_err(unsupported)?
            }
            CoseFields {
                kind: Some(1),
                algorithm: Some(-8),
                first: Some(Value::Int(6)),
                second: Some(Value::Bytes(x)),
                ..
            } => ParsedPublicKey::new(&ED25519, x).map_err(unsupported)?,
            CoseFields {
                kind: Some(3),
                algorithm: Some(-257),
                first: Some(Value::Bytes(n)),
                second: Some(Value::Bytes(e)),
                ..
            } => PublicKeyComponents { n, e }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .map_err(|_| PasskeyError::UnsupportedKey)?,
            _ => return Err(PasskeyError::UnsupportedKey),
        };
        Ok(Self(key))
    }
}

/// The members of a COSE key that matter, by their numbers.
#[derive(Default)]
struct CoseFields<'b> {
    /// 1
    kind: Option<i64>,
    /// 3
    algorithm: Option<i64>,
    /// -1: the curve, or RSA's n
    first: Option<Value<'b>>,
    /// -2: x, or RSA's e
    second: Option<Value<'b>>,
    /// -3: y
    third: Option<Value<'b>>,
}

impl<'b> CoseFields<'b> {
    fn read(cose: &'b [u8]) -> Result<Self, PasskeyError> {
        let mut reader = Reader::new(cose);
        let Value::Map(pairs) = reader.value()? else { return Err(PasskeyError::Malformed) };
        let mut fields = Self::default();
        for _ in 0..pairs {
            let Value::Int(name) = reader.value()? else { return Err(PasskeyError::Malformed) };
            let number = |value| match value {
                Value::Int(number) => Ok(Some(number)),
                _ => Err(PasskeyError::Malformed),
            };
            match name {
                1 => fields.kind = number(reader.value()?)?,
                3 => fields.algorithm = number(reader.value()?)?,
                -1 => fields.first = Some(reader.value()?),
                -2 => fields.second = Some(reader.value()?),
                -3 => fields.third = Some(reader.value()?),
                _ => reader.skip()?,
            }
        }
        if reader.rest().is_empty() { Ok(fields) } else { Err(PasskeyError::Malformed) }
    }
}

#[cfg(test)]
mod tests;
