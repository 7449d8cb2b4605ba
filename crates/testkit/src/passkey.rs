//! A device that makes and uses a passkey as browsers do (WebAuthn), in this process.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// One passkey of one account at one site.
pub struct VirtualPasskey {
    pair: EcdsaKeyPair,
    pub credential_id: Vec<u8>,
    /// The account for which it was made.
    pub user_handle: Vec<u8>,
    host: String,
    pub origin: String,
    /// User present and verified.
    pub flags: u8,
    /// How often it has signed; zero for ever, as devices that share keys do.
    pub count: u32,
}

/// Fields of a form as the page's script fills them in.
pub type Fields = Vec<(&'static str, String)>;

impl VirtualPasskey {
    /// `user_handle`: in base64url, as the page has it.
    pub fn new(origin: &str, user_handle: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let credential_id = pair.public_key().as_ref()[1..17].to_vec();
        Self {
            pair,
            credential_id,
            user_handle: URL_SAFE_NO_PAD.decode(user_handle).unwrap(),
            host: url::Url::parse(origin).unwrap().host_str().unwrap().to_owned(),
            origin: origin.to_owned(),
            flags: 0b101,
            count: 0,
        }
    }

    /// What `navigator.credentials.create()` gives.
    pub fn create(&self, challenge: &str) -> Fields {
        let point = self.pair.public_key().as_ref();
        let key = [
            b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".as_slice(),
            &point[1..33],
            b"\x22\x58\x20",
            &point[33..],
        ];
        let length = u16::try_from(self.credential_id.len()).unwrap().to_be_bytes();
        let credential = [&[0; 16], length.as_slice(), &self.credential_id, &key.concat()].concat();
        let data = [self.authenticator_data(self.flags | 1 << 6), credential].concat();
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let head = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59";
        let object = [head.as_slice(), &length, &data].concat();
        vec![
            ("credential_id", encode(&self.credential_id)),
            ("client_data", encode(&self.client_data("webauthn.create", challenge))),
            ("attestation_object", encode(&object)),
        ]
    }

    /// What `navigator.credentials.get()` gives.
    pub fn get(&self, challenge: &str) -> Fields {
        let client_data = self.client_data("webauthn.get", challenge);
        let data = self.authenticator_data(self.flags);
        let hash = digest::digest(&digest::SHA256, &client_data);
        let signed = [data.as_slice(), hash.as_ref()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        vec![
            ("credential_id", encode(&self.credential_id)),
            ("client_data", encode(&client_data)),
            ("authenticator_data", encode(&data)),
            ("signature", encode(signature.as_ref())),
            ("user_handle", encode(&self.user_handle)),
        ]
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let data = json!({
            "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let hash = digest::digest(&digest::SHA256, self.host.as_bytes());
        [hash.as_ref(), &[flags], &self.count.to_be_bytes()].concat()
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
