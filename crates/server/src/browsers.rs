//! What a browser says it is, in few words that a person recognises. It can say anything; only
//! words of ours are repeated, or one that cannot be mistaken for a sentence.

/// Of a program that we do not know, in characters.
const NAME_MAX: usize = 40;

/// “Firefox on Linux”; empty when it says nothing that can be shown.
pub fn in_words(user_agent: &str) -> String {
    // Most browsers also say that they are others: the order matters.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(sign, _)| user_agent.contains(sign)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => {
            let first = user_agent.split([' ', '/']).next().unwrap_or_default();
            let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            first.chars().take_while(plain).take(NAME_MAX).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn browsers_are_called_as_people_call_them() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
                    Gecko) Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0";
        assert_eq!(in_words(edge), "Edge on Windows");
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1";
        assert_eq!(in_words(safari), "Safari on iPhone");
        assert_eq!(in_words("curl/8.5.0"), "curl");
    }

    #[test]
    fn nobody_puts_a_sentence_into_our_mouth() {
        assert_eq!(in_words("Call:+1-555-0100 now"), "Call");
        assert_eq!(in_words("https://evil.example"), "https");
        assert_eq!(in_words("\u{202e}abc"), "");
    }
}
