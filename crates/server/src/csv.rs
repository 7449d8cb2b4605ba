//! Tables as CSV (RFC 4180) that spreadsheets open without running what is in them: a cell that
//! begins like a formula gets an apostrophe in front.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};

/// One line with its end.
pub fn line(cells: &[&str]) -> String {
    let mut line = String::new();
    for (index, cell) in cells.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let apostrophe = if is_formula { "'" } else { "" };
        // A String takes everything.
        let _ = write!(line, "{comma}\"{apostrophe}{}\"", cell.replace('"', "\"\""));
    }
    line.push_str("\r\n");
    line
}

/// A file to save. `name`: of our own letters.
pub fn answer(name: &str, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_become_a_formula_or_another_cell() {
        let cells = ["=1+1", "+1", "-1", "@x", "a\",\"b", "plain"];
        let expected = "\"'=1+1\",\"'+1\",\"'-1\",\"'@x\",\"a\"\",\"\"b\",\"plain\"\r\n";
        assert_eq!(line(&cells), expected);
    }
}
