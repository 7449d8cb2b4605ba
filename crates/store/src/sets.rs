//! Statements about several rows at once. A page that asks for each of its rows makes as many round
//! trips to PostgreSQL as it has rows.

use crate::Value;

/// Rows of one statement. More are asked for in several loads.
const LOAD: usize = 50;

/// A statement with a list of texts, the parameters 1 to 50 (see [`loads`]). Others follow them.
macro_rules! of_many {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, \
             $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50) ",
            $after
        )
    };
}
pub(crate) use of_many;

/// The parameters of as many statements as it takes. The last list is filled up with a text that it
/// holds already.
pub(crate) fn loads<'v, T: Copy + Into<Value<'v>>>(texts: &[T]) -> Vec<Vec<Value<'v>>> {
    let load = |texts: &[T]| {
        let filling = texts.iter().copied().cycle();
        filling.take(LOAD).map(Into::into).collect()
    };
    texts.chunks(LOAD).map(load).collect()
}
