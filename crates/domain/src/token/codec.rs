//! The binary form of token contents. Lengths are bounded before anything is allocated; what is
//! left over, too short or of an unknown version is refused as a whole.

use protocol::scope::ScopeSet;

use super::{AccessToken, AuthorizationCode, RefreshToken};
use crate::authentication::Methods;
use crate::grant::Mode;
use crate::id::{AppId, CodeId, ConsentId, GrantId, SessionId, TokenId, UserId};
use crate::time::Timestamp;

/// First byte of every content. A change of the layout takes the next number.
const VERSION: u8 = 1;
/// Of codes: since 2 they tell how the user signed in.
const CODE_VERSION: u8 = 2;
const RESOURCES_MAX: u8 = 16;

/// The content is not one of ours. Deliberately says no more: see attack T3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token content")]
pub struct Malformed;

/// What [`crate::keyring::Keyring`] can seal and open.
pub trait Content: Sized {
    /// Fails when a part is too long to be packed.
    fn pack(&self) -> Result<Vec<u8>, Malformed>;
    fn unpack(bytes: &[u8]) -> Result<Self, Malformed>;
}

impl Content for AccessToken {
    fn pack(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Writer::new();
        out.raw(self.grant_id.as_bytes());
        out.raw(self.token_id.as_bytes());
        out.text(&self.scopes.to_string())?;
        out.text(&self.audience)?;
        out.time(self.issued_at);
        out.time(self.expires_at);
        out.optional(self.key_binding.as_deref())?;
        Ok(out.0)
    }

    fn unpack(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes)?;
        let token = Self {
            grant_id: GrantId::from_bytes(input.array()?),
            token_id: TokenId::from_bytes(input.array()?),
            scopes: input.scopes()?,
            audience: input.text()?,
            issued_at: input.time()?,
            expires_at: input.time()?,
            key_binding: input.optional()?.map(<[u8]>::to_vec),
        };
        input.end().map(|()| token)
    }
}

impl Content for RefreshToken {
    fn pack(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Writer::new();
        out.raw(self.grant_id.as_bytes());
        out.raw(&self.generation.to_be_bytes());
        Ok(out.0)
    }

    fn unpack(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes)?;
        let grant_id = GrantId::from_bytes(input.array()?);
        let generation = i64::from_be_bytes(input.array()?);
        input.end().map(|()| Self { grant_id, generation })
    }
}

impl Content for AuthorizationCode {
    fn pack(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Writer(vec![CODE_VERSION]);
        out.raw(self.code_id.as_bytes());
        out.raw(self.grant_id.as_bytes());
        out.raw(self.app_id.as_bytes());
        out.raw(self.user_id.as_bytes());
        out.raw(self.consent_id.as_bytes());
        out.raw(&self.consent_epoch);
        out.text(&self.scopes.to_string())?;
        let count = u8::try_from(self.resources.len()).map_err(|_| Malformed)?;
        if count > RESOURCES_MAX {
            return Err(Malformed);
        }
        out.raw(&[count]);
        for resource in &self.resources {
            out.text(resource)?;
        }
        out.raw(&[u8::from(self.mode == Mode::Test)]);
        out.optional(self.dialect.as_deref().map(str::as_bytes))?;
        out.raw(&self.redirect_uri_hash);
        out.raw(&[u8::from(self.redirect_uri_given)]);
        out.optional(self.challenge.as_deref().map(str::as_bytes))?;
        out.raw(self.session_id.as_bytes());
        out.time(self.auth_time);
        out.raw(&[self.methods.bits()]);
        out.time(self.issued_at);
        out.time(self.expires_at);
        Ok(out.0)
    }

    fn unpack(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::of_version(CODE_VERSION, bytes)?;
        let code = Self {
            code_id: CodeId::from_bytes(input.array()?),
            grant_id: GrantId::from_bytes(input.array()?),
            app_id: AppId::from_bytes(input.array()?),
            user_id: UserId::from_bytes(input.array()?),
            consent_id: ConsentId::from_bytes(input.array()?),
            consent_epoch: input.array()?,
            scopes: input.scopes()?,
            resources: input.resources()?,
            mode: if input.flag()? { Mode::Test } else { Mode::Live },
            dialect: input.optional_text()?,
            redirect_uri_hash: input.array()?,
            redirect_uri_given: input.flag()?,
            challenge: input.optional_text()?,
            session_id: SessionId::from_bytes(input.array()?),
            auth_time: input.time()?,
            methods: Methods::from_bits(u8::from_be_bytes(input.array()?)).ok_or(Malformed)?,
            issued_at: input.time()?,
            expires_at: input.time()?,
        };
        input.end().map(|()| code)
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Self {
        Self(vec![VERSION])
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn time(&mut self, at: Timestamp) {
        self.raw(&at.as_millis().to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let length = u16::try_from(bytes.len()).map_err(|_| Malformed)?;
        self.raw(&length.to_be_bytes());
        self.raw(bytes);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Malformed> {
        self.bytes(text.as_bytes())
    }

    fn optional(&mut self, bytes: Option<&[u8]>) -> Result<(), Malformed> {
        self.raw(&[u8::from(bytes.is_some())]);
        bytes.map_or(Ok(()), |bytes| self.bytes(bytes))
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::of_version(VERSION, bytes)
    }

    fn of_version(version: u8, bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes.split_first() {
            Some((&first, rest)) if first == version => Ok(Self(rest)),
            _ => Err(Malformed),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.array().map(|bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)))
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(usize::from(length))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| Malformed)
    }

    fn scopes(&mut self) -> Result<ScopeSet, Malformed> {
        self.text()?.parse().map_err(|_| Malformed)
    }

    fn resources(&mut self) -> Result<Vec<String>, Malformed> {
        let [count] = self.array()?;
        if count > RESOURCES_MAX {
            return Err(Malformed);
        }
        (0..count).map(|_| self.text()).collect()
    }

    fn optional(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        if self.flag()? { self.bytes().map(Some) } else { Ok(None) }
    }

    fn optional_text(&mut self) -> Result<Option<String>, Malformed> {
        if self.flag()? { self.text().map(Some) } else { Ok(None) }
    }

    fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
