//! Names that read like others. Pure.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection as confusables;

/// A name of ours that is shorter than this stands inside too many honest words.
const INSIDE_WORDS_MIN: usize = 4;

/// Signs that stand for letters: `Pract!ce`.
const SIGNS: [char; 8] = ['!', '¡', '|', '@', '$', '©', '®', '℗'];

/// Would a hurried reader take `name` for something of the provider called `ours`? It contains our
/// name, whatever stands around and between.
pub fn imitates(name: &str, ours: &str) -> bool {
    // Signs may be letters or not, and a bar among letters is most often none.
    let readings = |text: &str| [text.to_owned(), text.replace('|', " "), text.replace(SIGNS, " ")];
    let (name, ours) = (readings(name), readings(ours));
    ours.iter().any(|ours| name.iter().any(|name| contains(name, ours)))
}

fn contains(name: &str, ours: &str) -> bool {
    let wanted = skeleton(ours);
    if wanted.is_empty() {
        return false;
    }
    if ours.chars().filter(|c| c.is_alphanumeric()).count() < INSIDE_WORDS_MIN {
        return plain(name).split(|c: char| !c.is_alphanumeric()).any(|word| shape(word) == wanted);
    }
    skeleton(name).contains(&wanted)
}

/// What a hurried reader sees in a name: case, spaces, punctuation, accents and look-alike letters
/// of any script do not count (Unicode TS 39 §4, and what it leaves apart).
pub fn skeleton(name: &str) -> String {
    shape(&plain(name))
}

/// The letters and digits of a plain name. `w` is `vv` there, as `m` is `rn` in TS 39: the other
/// way round they would hide where a word begins in “Dev Verve”.
fn shape(plain: &str) -> String {
    let letters: String = plain.chars().filter(|c| c.is_alphanumeric()).collect();
    letters.replace('w', "vv")
}

/// In small Latin letters where it looks like them, with spaces and punctuation.
fn plain(name: &str) -> String {
    let unstyled: String = name
        .chars()
        .map(without_square)
        .nfkd()
        .filter(|c| c.is_alphanumeric() || !is_combining_mark(*c))
        .collect();
    // Capitals look like other letters than their small ones do (Н and н), so both are asked.
    let capitals: String = confusables::skeleton(&signs_as_letters(&unstyled)).collect();
    let small = capitals.to_lowercase();
    confusables::skeleton(&small).map(without_likeness).collect()
}

/// Signs at which a word begins or goes on are letters; others are punctuation.
fn signs_as_letters(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let followers = letters.iter().skip(1).map(Some).chain([None]);
    let read = letters.iter().zip(followers).map(|(c, next)| match c {
        _ if !SIGNS.contains(c) => *c,
        _ if !next.is_some_and(|next| next.is_alphanumeric()) => ' ',
        '@' => 'a',
        '©' => 'c',
        '℗' => 'p',
        '®' => 'r',
        '$' => 's',
        _ => 'i',
    });
    read.collect()
}

/// What TS 39 keeps apart, because a careful reader can tell it, and impersonators use.
fn without_likeness(c: char) -> char {
    match c.to_ascii_lowercase() {
        '0' => 'o',
        '1' | 'l' => 'i',
        '2' => 'z',
        '3' | 'ꞓ' | 'ᴇ' | 'ǝ' | 'ε' => 'e',
        '4' | 'ᴀ' | 'ɐ' | 'ɒ' => 'a',
        '5' => 's',
        '7' | 'ᴛ' | 'τ' => 't',
        '8' | 'ʙ' | 'ß' => 'b',
        'ς' => 'c',
        'ᴅ' | '∂' => 'd',
        'ꜰ' => 'f',
        'ɢ' => 'g',
        'ʜ' => 'h',
        'ᴊ' => 'j',
        'ĸ' | 'κ' => 'k',
        'ʟ' => 'i',
        'ʍ' => 'm',
        'ɴ' | 'π' | 'ᴎ' => 'n',
        'ᴘ' => 'p',
        'ʀ' => 'r',
        'μ' => 'u',
        'ω' => 'w',
        'χ' => 'x',
        other => other,
    }
}

/// The letter of a square or of a dark circle, which compatibility forms (Unicode TR 15) leave as
/// they are, or of a half of a flag.
fn without_square(c: char) -> char {
    let first = match u32::from(c) {
        0x1f150..=0x1f169 => 0x1f150,
        0x1f170..=0x1f189 => 0x1f170,
        0x1f1e6..=0x1f1ff => 0x1f1e6,
        _ => return c,
    };
    char::from_u32(u32::from(c) - first + u32::from('a')).unwrap_or(c)
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
    fn no_letter_of_another_script_or_style_gets_our_name_past() {
        let letters = [
            ("p", "Ppр℗ℙᴾⓟ⒫ｐ𝐩ᴘᴩᏢᑭꓑƿƥρ🅿🄿🅟🇵"),
            ("r", "Rrⓡ𝐫ʳʀꭱᎡꓣᴦгṛŗ🆁🅡"),
            ("a", "AaаɑαᴀᵃаạäáâÅăą4@ⓐ⒜🅰🅐ª"),
            ("c", "Ccⅽсϲⲥᴄꮯçćčᶜⓒ🅲"),
            ("t", "TtтτᴛᎢꓔᵗţť7ⓣ🆃"),
            ("i", "IiіІιɩⅰɪⁱịıïíìîĩ!¡|1lLℓⓘ🅸łᛁ"),
            ("e", "EeеЕёℯᵉᴇεẹéèêëę3€єⓔ🅴"),
            ("d", "Ddԁⅾᴅᵈḍďđⓓ🅳Ꭰ"),
            ("v", "Vvⅴѵνᴠᵛṽṿⓥ🆅Ꮩ"),
        ];
        let mut passed = Vec::new();
        for (plain, alike) in letters {
            for c in alike.chars() {
                let name = "practice drive".replace(plain, &c.to_string());
                if !imitates(&name, "Practice Drive") {
                    passed.push(name);
                }
            }
        }
        assert_eq!(passed, [""; 0]);
        for name in [
            "ᴘʀᴀᴄᴛɪᴄᴇ ᴅʀɪᴠᴇ",
            "ᴾʳᵃᶜᵗⁱᶜᵉ Drive",
            "🅿🆁🅰🅲🆃🅸🅲🅴 🅳🆁🅸🆅🅴",
            "Pract!ce|Dr!ve",
            "Practice!Drive",
            "Practice | Drive!",
            "ꓑꓣАСТІСЕ ⅾrⅰⅴℯ",
        ] {
            assert!(imitates(name, "Practice Drive"), "{name}");
        }
        for name in ["Practical Drive", "Drive Practice", "Practice Dive"] {
            assert!(!imitates(name, "Practice Drive"), "{name}");
        }
    }

    #[test]
    fn a_word_before_our_name_does_not_hide_it() {
        for (name, ours) in [
            ("Our Neo Bank", "Neo Bank"),
            ("Dev Verve", "Verve"),
            ("Modern Wallet", "Modem VVallet"),
        ] {
            assert!(imitates(name, ours), "{name}");
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
        assert!(imitates("Wow Mom", "Mom") && !imitates("Moment", "Mom"));
        assert!(!imitates("Anything", "☂"), "nothing to imitate");
        assert!(imitates("My Pay Pal", "Pay|Pal!") && imitates("Pay|Pal", "Paypal"));
    }

    #[test]
    fn names_that_read_differently_do_not() {
        assert_ne!(skeleton("Trading Bot"), skeleton("Trading Boat"));
        assert_ne!(skeleton("Portfolio Tracker"), skeleton("Portfolio Track"));
    }
}
