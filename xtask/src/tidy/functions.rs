//! The length of functions. A function that does not fit a screen does more than one thing.

use super::mask::mask;
use super::{File, Finding};

const LINES_WANTED: usize = 70;
const LINES_MAX: usize = 100;

pub fn check(file: &File) -> Vec<Finding> {
    let functions = list_functions(&mask(&file.text));
    let too_long = functions.into_iter().filter(|function| function.lines > LINES_WANTED);
    too_long
        .map(|Function { name, first_line, lines }| {
            let advice = format!(
                "`{name}` has {lines} lines (wanted {LINES_WANTED}, at most {LINES_MAX}): \
                 split it where its story has a new paragraph"
            );
            let mut finding = Finding::new(&file.path, first_line, "function-size", advice);
            finding.is_warning = lines <= LINES_MAX;
            finding
        })
        .collect()
}

struct Function {
    name: String,
    first_line: usize,
    lines: usize,
}

/// Every function with a body in masked source, nested ones too.
fn list_functions(masked: &str) -> Vec<Function> {
    let text: Vec<char> = masked.chars().collect();
    let mut functions = Vec::new();
    let mut line = 1;
    for (index, current) in text.iter().enumerate() {
        if *current == '\n' {
            line += 1;
        }
        if let Some(name) = name_of_function_at(&text, index)
            && let Some(end) = end_of_body(&text, index)
        {
            let lines = text[index..end].iter().filter(|c| **c == '\n').count() + 1;
            functions.push(Function { name, first_line: line, lines });
        }
    }
    functions
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The name when a declaration `fn name` starts at `index`.
fn name_of_function_at(text: &[char], index: usize) -> Option<String> {
    let starts_word = index.checked_sub(1).is_none_or(|before| !is_name(text[before]));
    if !starts_word || !text[index..].starts_with(&['f', 'n', ' ']) {
        return None;
    }
    let name: String = text[index + 3..].iter().copied().take_while(|c| is_name(*c)).collect();
    (!name.is_empty()).then_some(name)
}

/// The index after the brace that closes the body, or `None` for a declaration without one.
fn end_of_body(text: &[char], start: usize) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (index, current) in text.iter().enumerate().skip(start) {
        match current {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            // `[u8; 4]` in a signature is no end.
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with_function_of(lines: usize) -> File {
        let body = "    let brace = \"}\";\n".repeat(lines - 2);
        let text = format!("//! x\nfn long(a: [u8; 4]) -> u8 {{\n{body}}}\n");
        File { path: "crates/a/src/lib.rs".into(), text }
    }

    #[test]
    fn a_long_function_is_a_warning_and_a_huge_one_an_error() {
        assert_eq!(check(&file_with_function_of(LINES_WANTED)), []);
        let warned = check(&file_with_function_of(LINES_WANTED + 1));
        assert!(warned[0].is_warning, "{warned:?}");
        assert_eq!(warned[0].line, 2);
        let refused = check(&file_with_function_of(LINES_MAX + 1));
        assert!(!refused[0].is_warning, "{refused:?}");
    }

    #[test]
    fn pointers_and_trait_methods_have_no_body() {
        assert!(list_functions("trait A { fn b(&self, c: fn (u8) -> u8); }").is_empty());
        let found = list_functions("trait A { fn b(&self); fn c() { d() } }");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "c");
    }
}
