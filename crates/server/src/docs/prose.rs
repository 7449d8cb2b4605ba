//! Texts as a small part of Markdown: paragraphs, lists, tables, code, `code`, **strong** and
//! links. Everything else, HTML above all, stays the text that it is; the templates escape it.

use crate::pages::views::{Block, Span, SpanStyle};

/// What is longer is cut: a description is no place for a book.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Read a text of many lines.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    for line in cut(text, TEXT_BYTES_MAX).lines() {
        reader.line(line);
    }
    reader.finish()
}

/// Read a text of one line, or take all lines as one.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut plain = String::new();
    let mut rest = cut(text, TEXT_BYTES_MAX);
    while let Some(first) = rest.chars().next() {
        if let Some((span, after)) = special(rest) {
            flush(&mut plain, &mut spans);
            spans.push(span);
            rest = after;
            continue;
        }
        let escaped = rest.strip_prefix('\\').and_then(|after| after.chars().next());
        let (shown, length) = match escaped.filter(char::is_ascii_punctuation) {
            Some(c) => (c, 1 + c.len_utf8()),
            None => (first, first.len_utf8()),
        };
        plain.push(if shown == '\n' { ' ' } else { shown });
        rest = rest.get(length..).unwrap_or_default();
    }
    flush(&mut plain, &mut spans);
    spans
}

/// The start of `text` that fits into `bytes_max`.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn flush(plain: &mut String, spans: &mut Vec<Span>) {
    if !plain.is_empty() {
        spans.push(Span::plain(std::mem::take(plain)));
    }
}

/// A span that is more than text, if `text` begins with one, and what follows.
fn special(text: &str) -> Option<(Span, &str)> {
    if let Some(inner) = text.strip_prefix('`') {
        let (code, after) = inner.split_once('`')?;
        let span = Span { style: SpanStyle::Code, ..Span::plain(code) };
        return (!code.is_empty()).then_some((span, after));
    }
    if let Some(inner) = text.strip_prefix("**") {
        let (strong, after) = inner.split_once("**")?;
        let span = Span { style: SpanStyle::Strong, ..Span::plain(unescape(strong)) };
        return (!strong.is_empty()).then_some((span, after));
    }
    let (title, after) = text.strip_prefix('[')?.split_once("](")?;
    let (url, after) = after.split_once(')')?;
    if title.contains(['[', '\n']) || url.contains(char::is_whitespace) {
        return None;
    }
    let title = unescape(&title.replace('`', ""));
    Some((Span { link: Some(url.to_owned()), ..Span::plain(title) }, after))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => {}
            _ => out.push(c),
        }
    }
    out
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    /// Lines of a paragraph that may go on.
    paragraph: Vec<String>,
    items: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Inside of a fence.
    code: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let trimmed = line.trim();
        if let Some(code) = &mut self.code {
            if trimmed == "```" {
                let text = self.code.take().unwrap_or_default();
                self.blocks.push(Block::Code { text });
            } else {
                code.push_str(line.trim_end());
                code.push('\n');
            }
            return;
        }
        if trimmed.starts_with("```") {
            self.end_block();
            self.code = Some(String::new());
        } else if trimmed.is_empty() {
            self.end_block();
        } else if let Some(item) = trimmed.strip_prefix("- ").or(trimmed.strip_prefix("* ")) {
            self.end_paragraph();
            self.items.push(item.to_owned());
        } else if let Some(row) = trimmed.strip_prefix('|') {
            self.end_paragraph();
            self.rows.push(cells(row));
        } else if let Some(item) = self.items.last_mut() {
            item.push(' ');
            item.push_str(trimmed);
        } else {
            // A heading inside of a description would upset the page's own.
            self.paragraph.push(trimmed.trim_start_matches('#').trim_start().to_owned());
        }
    }

    fn end_paragraph(&mut self) {
        if !self.paragraph.is_empty() {
            let text = std::mem::take(&mut self.paragraph).join(" ");
            self.blocks.push(Block::Paragraph { spans: spans(&text) });
        }
    }

    fn end_block(&mut self) {
        self.end_paragraph();
        if !self.items.is_empty() {
            let items = std::mem::take(&mut self.items).iter().map(|item| spans(item)).collect();
            self.blocks.push(Block::List { items });
        }
        let is_rule = |row: &Vec<String>| row.iter().all(|cell| cell.trim_matches('-').is_empty());
        let rows = std::mem::take(&mut self.rows).into_iter().filter(|row| !is_rule(row));
        let mut rows = rows.map(|row| row.iter().map(|cell| spans(cell)).collect());
        if let Some(head) = rows.next() {
            let rows = rows.collect();
            self.blocks.push(Block::Table { head, rows });
        }
    }

    fn finish(mut self) -> Vec<Block> {
        self.end_block();
        if let Some(text) = self.code.take() {
            self.blocks.push(Block::Code { text });
        }
        self.blocks
    }
}

/// The cells of a row without its first bar. A bar inside of `code`, or behind a backslash, is a
/// character.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut in_code, mut is_escaped) = (false, false);
    for c in row.trim_end().strip_suffix('|').unwrap_or(row).chars() {
        match (c, cells.last_mut()) {
            ('|', _) if !in_code && !is_escaped => cells.push(String::new()),
            (c, Some(cell)) => cell.push(c),
            (_, None) => {}
        }
        in_code ^= c == '`' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped && !in_code;
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styles(text: &str) -> Vec<(SpanStyle, String)> {
        spans(text).into_iter().map(|span| (span.style, span.text)).collect()
    }

    #[test]
    fn html_stays_text() {
        let text = "<script>alert(1)</script> & <b>bold</b>";
        assert_eq!(styles(text), [(SpanStyle::Plain, text.to_owned())]);
    }

    #[test]
    fn code_strong_and_links_are_told_apart() {
        let found = spans(r"Send `code|x` **now** to [us](https://a.example), \*not\* later");
        let told: Vec<_> = found
            .iter()
            .map(|span| (span.style, span.text.as_str(), span.link.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (SpanStyle::Plain, "Send ", None),
                (SpanStyle::Code, "code|x", None),
                (SpanStyle::Plain, " ", None),
                (SpanStyle::Strong, "now", None),
                (SpanStyle::Plain, " to ", None),
                (SpanStyle::Plain, "us", Some("https://a.example")),
                (SpanStyle::Plain, ", *not* later", None),
            ]
        );
    }

    #[test]
    fn marks_without_an_end_are_text() {
        for text in ["a ` b", "a ** b", "[a](b c)", "[a", "``", "****", "\\"] {
            assert_eq!(styles(text), [(SpanStyle::Plain, text.to_owned())], "{text}");
        }
    }

    #[test]
    fn blocks_are_paragraphs_lists_tables_and_code() {
        let text = "One\ntwo\n\n- a\n  b\n- c\n\n| x | y |\n|---|---|\n| `a|b` | c \\| d |\n\n\
                    ```sh\n| no\n```";
        let found = blocks(text);
        assert!(matches!(&found[0], Block::Paragraph { spans } if spans[0].text == "One two"));
        assert!(matches!(&found[1], Block::List { items } if items.len() == 2));
        let Block::Table { head, rows } = &found[2] else { panic!("{found:?}") };
        assert_eq!((head.len(), rows.len()), (2, 1));
        assert_eq!((rows[0][0][0].text.as_str(), rows[0][1][0].text.as_str()), ("a|b", "c | d"));
        assert!(matches!(&found[3], Block::Code { text } if text == "| no\n"));
    }

    #[test]
    fn a_huge_text_is_cut() {
        let Block::Paragraph { spans } = &blocks(&"ä".repeat(1 << 20))[0] else { panic!() };
        assert_eq!(spans[0].text.len(), TEXT_BYTES_MAX);
    }
}
