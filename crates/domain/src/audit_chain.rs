//! How the audit trail proves itself: the hash over a block of rows and everything before it, and
//! signed checkpoints, which tell somebody who keeps one elsewhere that nothing up to it was
//! changed or cut off. Also the form in which rows leave the system, and how a copy is checked.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};
use protocol::jose::{self, SignError, SigningKey, VerifyingKey};
use protocol::jwk::Jwk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::{AuditActor, AuditEvent, AuditKind};
use crate::time::Timestamp;

/// The `typ` of a checkpoint's statement.
const CHECKPOINT_TYP: &str = "audit-checkpoint+jwt";

/// A stored event with its place in the trail.
#[derive(Clone, Debug)]
pub struct AuditRow {
    pub position: i64,
    pub event: AuditEvent,
    /// The block that covers it; `None` for about a second.
    pub seal: Option<i64>,
}

/// The hash over a block of rows and everything before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Blocks are numbered from 1 without gaps.
    pub number: i64,
    pub row_count: u64,
    pub hash: [u8; 32],
}

/// What is wrong with a trail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrailError {
    #[error("block {0} is missing")]
    MissingBlock(i64),
    #[error("block {0} does not match its rows: some were changed, added or taken away")]
    ChangedBlock(i64),
    #[error("line {line} of the copy cannot be read: {what}")]
    Unreadable { line: u64, what: String },
    #[error("the checkpoint of block {0} is not signed by the key that it names")]
    WrongSignature(i64),
    #[error("the checkpoint of block {0} is signed by another key than the one that was given")]
    ForeignKey(i64),
    #[error(
        "the trail ends at block {found}, and there is a checkpoint of block {wanted}: what came \
         behind was cut off"
    )]
    CutOff { found: i64, wanted: i64 },
    #[error(
        "up to block {0} the trail is not what was signed: rows were changed, added or taken away"
    )]
    NotWhatWasSigned(i64),
}

/// Every part with its length in front, so that no two blocks hash alike.
pub struct BlockHasher(Context);

impl BlockHasher {
    pub fn after(previous: &[u8; 32]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(previous);
        Self(context)
    }

    pub fn add(&mut self, row: &AuditRow) {
        let event = &row.event;
        let (actor_kind, actor_id) = event.actor.texts();
        let parts = [
            row.position.to_string(),
            event.at.as_millis().to_string(),
            event.kind.as_str().to_owned(),
            actor_kind.to_owned(),
            actor_id.unwrap_or_default(),
            event.app_id.map(|id| id.to_string()).unwrap_or_default(),
            event.user_id.map(|id| id.to_string()).unwrap_or_default(),
            event.consent_id.map(|id| id.to_string()).unwrap_or_default(),
            event.grant_id.map(|id| id.to_string()).unwrap_or_default(),
            event.address.map(|address| address.to_string()).unwrap_or_default(),
            event.detail.to_string(),
        ];
        for part in &parts {
            self.0.update(&(part.len() as u64).to_be_bytes());
            self.0.update(part.as_bytes());
        }
    }

    pub fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.iter_mut().zip(self.0.finish().as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }
}

pub fn block_hash<'r>(
    previous: &[u8; 32],
    rows: impl IntoIterator<Item = &'r AuditRow>,
) -> [u8; 32] {
    let mut hasher = BlockHasher::after(previous);
    rows.into_iter().for_each(|row| hasher.add(row));
    hasher.finish()
}

/// A signed statement: at this moment, this block and everything before it was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The block.
    pub number: i64,
    /// Rows up to and with it.
    pub rows: u64,
    /// Hexadecimal.
    pub hash: String,
    pub at_ms: Timestamp,
    /// A compact JWS over the four; any library can check it.
    pub statement: String,
    pub key_id: String,
    pub public_key: Jwk,
}

#[derive(Serialize, Deserialize)]
struct Statement {
    iss: String,
    block: i64,
    rows: u64,
    hash: String,
    at_ms: Timestamp,
}

impl Checkpoint {
    pub fn sign(
        key: &SigningKey,
        issuer: &str,
        seal: &Seal,
        rows: u64,
        now: Timestamp,
    ) -> Result<Self, SignError> {
        let hash = hexadecimal(&seal.hash);
        let statement = Statement {
            iss: issuer.to_owned(),
            block: seal.number,
            rows,
            hash: hash.clone(),
            at_ms: now,
        };
        Ok(Self {
            number: seal.number,
            rows,
            hash,
            at_ms: now,
            statement: key.sign(CHECKPOINT_TYP, &statement)?,
            key_id: key.kid().to_owned(),
            public_key: key.public_jwk(),
        })
    }

    /// Whether it says what was signed. `key`: the one that it must be; `None` believes the one
    /// that came with it, which only proves that it is whole.
    pub fn check(&self, key: Option<&Jwk>) -> Result<(), TrailError> {
        let wrong = || TrailError::WrongSignature(self.number);
        if key.is_some_and(|key| key.material != self.public_key.material) {
            return Err(TrailError::ForeignKey(self.number));
        }
        let key = VerifyingKey::from_jwk(&self.public_key).map_err(|_| wrong())?;
        let claims = jose::verify(&[key], CHECKPOINT_TYP, &self.statement).map_err(|_| wrong())?;
        let said: Statement = serde_json::from_value(Value::Object(claims)).map_err(|_| wrong())?;
        let is_same = said.block == self.number
            && said.rows == self.rows
            && said.hash == self.hash
            && said.at_ms == self.at_ms;
        if is_same { Ok(()) } else { Err(wrong()) }
    }
}

pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl AuditRow {
    /// One line of an export. `at`: the moment as people write it.
    pub fn exported(&self, at: &str) -> Value {
        let event = &self.event;
        let (kind, id) = event.actor.texts();
        json!({
            "position": self.position,
            "at": at,
            "at_ms": event.at,
            "kind": event.kind.as_str(),
            "actor": id.map_or_else(|| kind.to_owned(), |id| format!("{kind}:{id}")),
            "app_id": event.app_id,
            "user_id": event.user_id,
            "consent_id": event.consent_id,
            "grant_id": event.grant_id,
            "address": event.address,
            "detail": event.detail,
            "block": self.seal,
        })
    }

    /// Read a line of an export back.
    pub fn imported(line: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Line {
            position: i64,
            at_ms: Timestamp,
            kind: String,
            actor: String,
            app_id: Option<String>,
            user_id: Option<String>,
            consent_id: Option<String>,
            grant_id: Option<String>,
            address: Option<std::net::IpAddr>,
            detail: Value,
            block: Option<i64>,
        }
        fn id<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, String> {
            text.map(|text| text.parse().map_err(|_| "an id is damaged".to_owned())).transpose()
        }
        let line: Line = serde_json::from_value(line).map_err(|error| error.to_string())?;
        let (kind, actor_id) = match line.actor.split_once(':') {
            Some((kind, id)) => (kind, Some(id.to_owned())),
            None => (line.actor.as_str(), None),
        };
        Ok(Self {
            position: line.position,
            event: AuditEvent {
                at: line.at_ms,
                kind: AuditKind::from_name(&line.kind)
                    .ok_or_else(|| format!("no event is called {}", line.kind))?,
                actor: AuditActor::from_texts(kind, actor_id).ok_or("the actor is damaged")?,
                app_id: id(line.app_id)?,
                user_id: id(line.user_id)?,
                consent_id: id(line.consent_id)?,
                grant_id: id(line.grant_id)?,
                address: line.address,
                detail: line.detail,
            },
            seal: line.block,
        })
    }
}

/// A copy of the trail that is checked row by row, in the order of the export: by block, and in it
/// by position.
pub struct TrailCheck {
    /// By the number of their block; each was checked by itself.
    checkpoints: BTreeMap<i64, Vec<Checkpoint>>,
    open: Option<(i64, BlockHasher)>,
    newest: i64,
    hash: [u8; 32],
    report: TrailReport,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailReport {
    pub blocks: i64,
    pub rows: u64,
    /// Too young to be in a block when the copy was made: nothing proves these.
    pub unsealed: u64,
    pub checkpoints: u64,
    /// The block up to which a checkpoint vouches.
    pub proven_to: i64,
    /// Of the newest block, hexadecimal.
    pub hash: String,
}

impl TrailCheck {
    /// `key`: whose checkpoints are believed; `None`: whatever key came with them.
    pub fn new(checkpoints: Vec<Checkpoint>, key: Option<&Jwk>) -> Result<Self, TrailError> {
        let mut by_block: BTreeMap<i64, Vec<Checkpoint>> = BTreeMap::new();
        for checkpoint in checkpoints {
            checkpoint.check(key)?;
            by_block.entry(checkpoint.number).or_default().push(checkpoint);
        }
        Ok(Self {
            checkpoints: by_block,
            open: None,
            newest: 0,
            hash: [0; 32],
            report: TrailReport::default(),
        })
    }

    pub fn add(&mut self, row: &AuditRow) -> Result<(), TrailError> {
        let Some(block) = row.seal else {
            self.report.unsealed += 1;
            return Ok(());
        };
        if self.open.as_ref().is_none_or(|(open, _)| *open != block) {
            self.close()?;
            if block != self.newest.saturating_add(1) {
                return Err(TrailError::MissingBlock(self.newest.saturating_add(1)));
            }
            self.open = Some((block, BlockHasher::after(&self.hash)));
        }
        if let Some((_, hasher)) = &mut self.open {
            hasher.add(row);
            self.report.rows += 1;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), TrailError> {
        let Some((number, hasher)) = self.open.take() else { return Ok(()) };
        (self.newest, self.hash) = (number, hasher.finish());
        self.report.hash = hexadecimal(&self.hash);
        for checkpoint in self.checkpoints.remove(&number).unwrap_or_default() {
            if checkpoint.hash != self.report.hash || checkpoint.rows != self.report.rows {
                return Err(TrailError::NotWhatWasSigned(number));
            }
            self.report.checkpoints += 1;
            self.report.proven_to = number;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<TrailReport, TrailError> {
        self.close()?;
        if let Some(wanted) = self.checkpoints.keys().next_back() {
            return Err(TrailError::CutOff { found: self.newest, wanted: *wanted });
        }
        self.report.blocks = self.newest;
        Ok(self.report)
    }
}

#[cfg(test)]
mod tests {
    use protocol::jwk::Algorithm;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    /// Two rows in each of two blocks, and one in none.
    fn rows() -> Vec<AuditRow> {
        let row = |position: i64, seal| AuditRow {
            position,
            event: AuditEvent::new(NOW, AuditKind::KeysRotated, AuditActor::System)
                .detail(json!({ "n": position, "text": "é\"" })),
            seal,
        };
        let blocks = [Some(1), Some(1), Some(2), Some(2), None];
        (1..).zip(blocks).map(|(position, block)| row(position, block)).collect()
    }

    fn seal_of(rows: &[AuditRow]) -> Seal {
        let of = |number| rows.iter().filter(move |row| row.seal == Some(number));
        let hash = block_hash(&block_hash(&[0; 32], of(1)), of(2));
        Seal { number: 2, row_count: 2, hash }
    }

    fn checkpoint(key: &SigningKey) -> Checkpoint {
        Checkpoint::sign(key, "https://id.example", &seal_of(&rows()), 4, NOW).unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::EdDsa).unwrap()
    }

    /// Through the text of an export and back.
    fn check(rows: &[AuditRow], checkpoints: Vec<Checkpoint>) -> Result<TrailReport, TrailError> {
        let mut check = TrailCheck::new(checkpoints, None)?;
        for row in rows {
            let text = row.exported("1970-01-01T00:16:40Z").to_string();
            let row = AuditRow::imported(serde_json::from_str(&text).unwrap()).unwrap();
            check.add(&row)?;
        }
        check.finish()
    }

    #[test]
    fn a_whole_copy_is_proven_up_to_its_checkpoint() {
        let report = check(&rows(), vec![checkpoint(&key())]).unwrap();
        let TrailReport { blocks, rows, unsealed, checkpoints, proven_to, .. } = report;
        assert_eq!((blocks, rows, unsealed, checkpoints, proven_to), (2, 4, 1, 1, 2));
    }

    #[test]
    fn a_copy_whose_end_was_cut_off_shows() {
        let cut: Vec<_> = rows().into_iter().filter(|row| row.seal == Some(1)).collect();
        let cut_off = TrailError::CutOff { found: 1, wanted: 2 };
        assert_eq!(check(&cut, vec![checkpoint(&key())]), Err(cut_off));
        assert!(check(&cut, Vec::new()).is_ok(), "without a checkpoint nobody could tell");
        let none = TrailError::CutOff { found: 0, wanted: 2 };
        assert_eq!(check(&[], vec![checkpoint(&key())]), Err(none));
    }

    #[test]
    fn a_row_that_was_changed_added_or_taken_away_shows() {
        let signed = || vec![checkpoint(&key())];
        let not_signed = Err(TrailError::NotWhatWasSigned(2));
        let mut changed = rows();
        changed[0].event.detail = json!({ "n": 2 });
        assert_eq!(check(&changed, signed()), not_signed);
        let mut taken = rows();
        taken.remove(1);
        assert_eq!(check(&taken, signed()), not_signed);
        let mut added = rows();
        added.insert(2, AuditRow { seal: Some(1), ..added[0].clone() });
        assert_eq!(check(&added, signed()), not_signed);
        let gap: Vec<_> = rows().into_iter().filter(|row| row.seal != Some(1)).collect();
        assert_eq!(check(&gap, signed()), Err(TrailError::MissingBlock(1)));
    }

    #[test]
    fn a_checkpoint_that_was_changed_or_signed_by_another_shows() {
        let (ours, theirs) = (key(), key());
        let whole = checkpoint(&ours);
        assert_eq!(whole.check(Some(&ours.public_jwk())), Ok(()));
        assert_eq!(whole.check(Some(&theirs.public_jwk())), Err(TrailError::ForeignKey(2)));
        let wrong = Err(TrailError::WrongSignature(2));
        let changed = Checkpoint { rows: 3, ..whole.clone() };
        assert_eq!(changed.check(None), wrong);
        let swapped = Checkpoint { public_key: theirs.public_jwk(), ..whole };
        assert_eq!(swapped.check(None), wrong);
    }
}
