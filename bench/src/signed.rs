//! Requests that are signed when they are sent, each with a number that was never used before.
//! Signing costs the load generator about as much as one more header.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::keys::{Form, Key};
use crate::load::Source;
use crate::wire::Answer;

const PATH: &str = "/api/items/17";

/// Signs in turn with each of some keys.
pub struct Signed {
    form: Form,
    host: String,
    /// Not in use by a connection: requests of one key must not overtake each other where its
    /// numbers increase.
    idle: VecDeque<Signer>,
    /// By connection: whose answer is awaited.
    asked: Vec<Option<Signer>>,
}

struct Signer {
    public: String,
    secret: hmac::Key,
    /// The last number.
    nonce: u128,
}

impl Signed {
    pub fn new(form: Form, host: &str, keys: &[Key]) -> Self {
        let algorithm = match form {
            Form::Message => hmac::HMAC_SHA256,
            Form::V4 => hmac::HMAC_SHA512,
        };
        let signer = |key: &Key| Signer {
            public: key.public.clone(),
            secret: hmac::Key::new(algorithm, key.secret.as_bytes()),
            nonce: 0,
        };
        let idle = keys.iter().map(signer).collect();
        Self { form, host: host.to_owned(), idle, asked: Vec::new() }
    }
}

impl Source for Signed {
    fn next(&mut self, connection: usize, out: &mut Vec<u8>) -> bool {
        let Some(mut signer) = self.idle.pop_front() else { return false };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // As bots that call often have it: the time of day in nanoseconds.
        signer.nonce = now.as_nanos().max(signer.nonce + 1);
        match self.form {
            Form::Message => signer.message(&self.host, now.as_secs(), out),
            Form::V4 => signer.v4(&self.host, out),
        }
        if self.asked.len() <= connection {
            self.asked.resize_with(connection + 1, || None);
        }
        if let Some(asked) = self.asked.get_mut(connection) {
            *asked = Some(signer);
        }
        true
    }

    fn answered(&mut self, connection: usize, answer: &Answer<'_>) -> bool {
        self.idle.extend(self.asked.get_mut(connection).and_then(Option::take));
        answer.status == 200
    }
}

impl Signer {
    /// RFC 9421 §2.5, for a request without a body.
    fn message(&self, host: &str, now: u64, out: &mut Vec<u8>) {
        let (key, nonce) = (&self.public, self.nonce);
        let input = format!(
            "(\"@method\" \"@authority\" \"@path\" \"@query\");created={now};keyid=\"{key}\";\
             alg=\"hmac-sha256\";nonce=\"{nonce}\""
        );
        let base = format!(
            "\"@method\": GET\n\"@authority\": {host}\n\"@path\": {PATH}\n\"@query\": ?\n\
             \"@signature-params\": {input}"
        );
        let mac = STANDARD.encode(hmac::sign(&self.secret, base.as_bytes()));
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nhost: {host}\r\nsignature-input: sig={input}\r\n\
             signature: sig=:{mac}:\r\n\r\n"
        );
        out.extend_from_slice(request.as_bytes());
    }

    /// As WhiteBIT's documentation has it.
    fn v4(&self, host: &str, out: &mut Vec<u8>) {
        let (key, nonce) = (&self.public, self.nonce);
        let body = format!("{{\"request\":\"{PATH}\",\"nonce\":{nonce}}}");
        let payload = STANDARD.encode(&body);
        let mac = hmac::sign(&self.secret, payload.as_bytes());
        let mut digits = String::with_capacity(128);
        for byte in mac.as_ref() {
            let _ = write!(digits, "{byte:02x}");
        }
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             x-txc-apikey: {key}\r\nx-txc-payload: {payload}\r\nx-txc-signature: {digits}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        out.extend_from_slice(request.as_bytes());
    }
}
