//! Blanks out what is not code. A word in a comment or a string must neither break a rule that is
//! about code nor confuse the counting of braces.

/// `source` with the contents of comments, strings and character literals replaced by spaces.
/// Line breaks stay, so line numbers stay.
pub fn mask(source: &str) -> String {
    let mut masker = Masker { source: source.chars().collect(), at: 0, out: String::new() };
    while let Some(current) = masker.peek(0) {
        match (current, masker.peek(1)) {
            ('/', Some('/')) => masker.blank_while(|masker| masker.peek(0) != Some('\n')),
            ('/', Some('*')) => masker.block_comment(),
            ('"', _) => masker.string(),
            ('r', Some('"' | '#')) if masker.starts_raw_string() => masker.raw_string(),
            ('\'', _) if masker.starts_character() => masker.character(),
            _ => masker.keep(),
        }
    }
    masker.out
}

struct Masker {
    source: Vec<char>,
    at: usize,
    out: String,
}

impl Masker {
    fn peek(&self, offset: usize) -> Option<char> {
        self.source.get(self.at + offset).copied()
    }

    fn keep(&mut self) {
        if let Some(current) = self.peek(0) {
            self.out.push(current);
            self.at += 1;
        }
    }

    fn blank(&mut self) {
        if let Some(current) = self.peek(0) {
            self.out.push(if current == '\n' { '\n' } else { ' ' });
            self.at += 1;
        }
    }

    fn blank_while(&mut self, goes_on: impl Fn(&Self) -> bool) {
        while self.peek(0).is_some() && goes_on(self) {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(current) = self.peek(0) {
            let step = match (current, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    2
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    2
                }
                _ => 1,
            };
            (0..step).for_each(|_| self.blank());
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep();
        while let Some(current) = self.peek(0) {
            match current {
                '"' => return self.keep(),
                '\\' => (0..2).for_each(|_| self.blank()),
                _ => self.blank(),
            }
        }
    }

    /// `r"` or `r#…#"`, and not the end of a name (`for"`), nor a raw name (`r#type`).
    fn starts_raw_string(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|index| self.source.get(index));
        // `br"` and `cr"` are raw strings as well.
        let is_name =
            before.is_some_and(|c| (c.is_alphanumeric() || *c == '_') && !"bc".contains(*c));
        let hashes = self.source[self.at + 1..].iter().take_while(|c| **c == '#').count();
        !is_name && self.peek(1 + hashes) == Some('"')
    }

    fn raw_string(&mut self) {
        self.keep();
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.keep();
        }
        self.keep();
        while self.peek(0).is_some() {
            let closes =
                self.peek(0) == Some('"') && (1..=hashes).all(|i| self.peek(i) == Some('#'));
            if closes {
                return (0..=hashes).for_each(|_| self.keep());
            }
            self.blank();
        }
    }

    /// `'x'` or `'\…'`; anything else that starts with a quote is a lifetime.
    fn starts_character(&self) -> bool {
        self.peek(1) == Some('\\') || self.peek(2) == Some('\'')
    }

    fn character(&mut self) {
        self.keep();
        if self.peek(0) == Some('\\') {
            self.blank();
        }
        self.blank();
        self.blank_while(|masker| masker.peek(0) != Some('\''));
        self.keep();
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn comments_and_strings_become_blanks() {
        assert_eq!(mask("a // b {\nc"), "a       \nc");
        assert_eq!(mask("a/*{/*{*/*/b"), format!("a{}b", " ".repeat(10)));
        assert_eq!(mask(r#"f("{\"}") }"#), r#"f("    ") }"#);
    }

    #[test]
    fn raw_strings_end_where_they_end() {
        assert_eq!(mask(r##"r#"a"{"# }"##), r##"r#"   "# }"##);
        assert_eq!(mask(r#"br"\" }"#), r#"br" " }"#);
        assert_eq!(mask("r#type {"), "r#type {");
    }

    #[test]
    fn characters_are_blanked_and_lifetimes_are_not() {
        assert_eq!(mask("'{' x"), "' ' x");
        assert_eq!(mask(r"'\'' {"), "'  ' {");
        assert_eq!(mask(r"'\u{1F}' {"), "'      ' {");
        assert_eq!(mask("&'a str {"), "&'a str {");
    }
}
