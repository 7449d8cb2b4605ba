//! Names that read like others. Pure.

/// A name of ours that is shorter than this stands inside too many honest words.
const INSIDE_WORDS_MIN: usize = 4;

/// Would a hurried reader take `name` for something of the provider called `ours`? It contains our
/// name, whatever stands around and between.
pub fn imitates(name: &str, ours: &str) -> bool {
    let wanted = skeleton(ours);
    match wanted.chars().count() {
        0 => false,
        length if length < INSIDE_WORDS_MIN => {
            name.split(|c: char| !c.is_alphanumeric()).any(|word| skeleton(word) == wanted)
        }
        _ => skeleton(name).contains(&wanted),
    }
}

/// What a hurried reader sees in a name: case, spaces, punctuation, accents of Latin letters and
/// the common look-alike letters do not count (the idea of Unicode TS 39 §4, for the letters that
/// impersonators really use).
pub(super) fn skeleton(name: &str) -> String {
    let mut skeleton = String::with_capacity(name.len());
    let plain: String = name.chars().map(without_style).collect();
    for c in plain.to_lowercase().chars().filter(|c| c.is_alphanumeric()) {
        skeleton.push(match c {
            '0' | 'ο' | 'о' | 'ö' | 'ó' | 'ò' | 'ô' | 'õ' | 'ø' => 'o',
            '1' | 'l' | 'і' | 'ı' | 'ι' | 'í' | 'ì' | 'î' | 'ï' | 'ł' | 'ї' => 'i',
            '3' | 'е' | 'ё' | 'é' | 'è' | 'ê' | 'ë' | 'ε' => 'e',
            '4' | 'а' | 'á' | 'à' | 'â' | 'ä' | 'å' | 'ã' | 'α' => 'a',
            '5' | 'ѕ' | 'š' | 'ś' => 's',
            'с' | 'ç' | 'ć' | 'č' => 'c',
            'р' | 'ρ' => 'p',
            'х' | 'χ' => 'x',
            'у' | 'ý' | 'ÿ' | 'γ' => 'y',
            'в' | 'ß' | '8' => 'b',
            'н' => 'h',
            'к' | 'κ' => 'k',
            'м' => 'm',
            'т' | 'τ' | '7' => 't',
            'п' | 'ñ' | 'ń' | 'η' => 'n',
            'ν' => 'v',
            'υ' | 'ú' | 'ù' | 'û' | 'ü' | 'μ' => 'u',
            'ω' => 'w',
            'ž' | 'ź' | 'ż' | '2' => 'z',
            other => other,
        });
    }
    skeleton.replace("rn", "m").replace("vv", "w")
}

/// The letter or digit behind a full-width, circled or mathematical one, which fonts draw alike.
fn without_style(c: char) -> char {
    let code = u32::from(c);
    let letter = |index: u32| match index % 52 {
        upper @ 0..26 => 0x41 + upper,
        lower => 0x61 + lower - 26,
    };
    let plain = match code {
        0xff10..=0xff5a => code - 0xfee0,
        0x24b6..=0x24e9 => letter(code - 0x24b6),
        0x1d400..=0x1d6a3 => letter(code - 0x1d400),
        0x1d7ce..=0x1d7ff => 0x30 + (code - 0x1d7ce) % 10,
        _ => return c,
    };
    char::from_u32(plain).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_alike_have_one_skeleton() {
        let other = ["trading-bot", "TRADlNG BOT", "Тrаding Вot", "Trading  B0t", "Träding Bot"];
        for other in other {
            assert_eq!(skeleton(other), skeleton("Trading Bot"), "{other}");
        }
        assert_eq!(skeleton("Modem"), skeleton("Modern"));
    }

    #[test]
    fn styled_letters_are_letters() {
        let styled = ["Ｔｒａｄｉｎｇ Ｂｏｔ", "𝐓𝐫𝐚𝐝𝐢𝐧𝐠 𝐁𝐨𝐭", "𝕋𝕣𝕒𝕕𝕚𝕟𝕘 𝟙𝔹𝕠𝕥", "Ⓣⓡⓐⓓⓘⓝⓖ Ⓑⓞⓣ"];
        let plain = ["Trading Bot", "Trading Bot", "Trading 1Bot", "Trading Bot"];
        assert_eq!(styled.map(skeleton), plain.map(skeleton));
    }

    #[test]
    fn a_name_that_contains_ours_or_reads_like_it_imitates_us() {
        let ours = "Test Exchange";
        let imitations = [
            "Test Exchange",
            "TEST-EXCHANGE Wallet",
            "Official Tеst Ехchange",
            "T e s t  Exchange!",
            "My TestExchange Bot",
            "7e57 3xchange",
            "Te\u{301}st Exchange",
        ];
        for name in imitations {
            assert!(imitates(name, ours), "{name}");
        }
        for name in ["Exchange Tester", "Trading Bot", "Best Exchange"] {
            assert!(!imitates(name, ours), "{name}");
        }
    }

    #[test]
    fn a_short_name_of_ours_is_looked_for_as_a_word() {
        for name in ["Go", "GO Wallet", "Wallet for-g0"] {
            assert!(imitates(name, "Go"), "{name}");
        }
        for name in ["Gopher", "Ledger Cargo"] {
            assert!(!imitates(name, "Go"), "{name}");
        }
        assert!(!imitates("Anything", "☂"), "nothing to imitate");
    }

    #[test]
    fn names_that_read_differently_do_not() {
        assert_ne!(skeleton("Trading Bot"), skeleton("Trading Boat"));
        assert_ne!(skeleton("Portfolio Tracker"), skeleton("Portfolio Track"));
    }
}
