//! How a provider looks: its name, logo and accent colour. Whatever colour an operator picks,
//! text stays readable: the variants used for text are moved until they contrast enough.

use super::filters;

/// What the operator's config says about looks.
#[derive(Clone, Debug)]
pub struct Brand {
    pub name: String,
    /// A path on this origin or a `data:image/…` address.
    pub logo_url: Option<String>,
    /// `#rgb` or `#rrggbb`.
    pub accent: String,
    /// For dark mode; derived from `accent` when absent.
    pub accent_dark: Option<String>,
    /// Where people find help: `https:` or `mailto:`.
    pub support_url: Option<String>,
}

impl Brand {
    /// The look of a provider that says nothing but its name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            logo_url: None,
            accent: "#14594b".into(),
            accent_dark: None,
            support_url: None,
        }
    }

    pub(super) fn check(&self) -> Result<Palette, BrandError> {
        if self.name.trim().is_empty() {
            return Err(BrandError::NoName);
        }
        if let Some(url) = self.logo_url.as_deref().filter(|url| filters::image(url) != *url) {
            return Err(BrandError::Logo(url.to_owned()));
        }
        let accent = Colour::parse(&self.accent)?;
        let dark = self.accent_dark.as_deref().map(Colour::parse).transpose()?;
        Ok(Palette { accent, dark })
    }
}

/// What is wrong with a [`Brand`], for the person who wrote the config.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrandError {
    #[error("the name is empty; users need to know whose account they give access to")]
    NoName,
    #[error("the colour {0:?} is not #rgb or #rrggbb")]
    Colour(String),
    #[error("the logo {0:?} must be a path like /assets/logo.svg or a data:image/ address")]
    Logo(String),
}

/// The checked colours.
pub(super) struct Palette {
    accent: Colour,
    dark: Option<Colour>,
}

// The page and card backgrounds of style.css.
const LIGHT_PAGE: Colour = Colour(0xf6, 0xf5, 0xf2);
const LIGHT_CARD: Colour = Colour(0xff, 0xff, 0xff);
const DARK_CARD: Colour = Colour(0x1b, 0x1e, 0x1d);

/// WCAG 2.2, 1.4.3: contrast of text.
const TEXT_CONTRAST: f64 = 4.5;
/// Thin coloured letters on black look weaker than they measure.
const DARK_TEXT_CONTRAST: f64 = 6.5;

impl Palette {
    pub(super) fn css(&self) -> String {
        let text = self.accent.readable_on(LIGHT_PAGE, TEXT_CONTRAST);
        let light = variables(self.accent, text, LIGHT_CARD);
        let dark_text = self.dark.unwrap_or(self.accent).readable_on(DARK_CARD, DARK_TEXT_CONTRAST);
        let dark = variables(self.dark.unwrap_or(dark_text), dark_text, DARK_CARD);
        format!(
            ":root {{\n{light}}}\n@media (prefers-color-scheme: dark) {{\n:root {{\n{dark}}}\n}}\n"
        )
    }
}

fn variables(fill: Colour, text: Colour, card: Colour) -> String {
    let ink =
        if fill.contrast(Colour::WHITE) >= TEXT_CONTRAST { Colour::WHITE } else { Colour::BLACK };
    format!(
        "  --accent: {};\n  --accent-ink: {};\n  --accent-hover: {};\n  --accent-text: {};\n  \
         --accent-soft: {};\n",
        fill.hex(),
        ink.hex(),
        // Towards the opposite of its ink: contrast only grows.
        fill.mixed(if ink == Colour::WHITE { Colour::BLACK } else { Colour::WHITE }, 0.14).hex(),
        text.hex(),
        card.mixed(text, 0.09).hex(),
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Colour(u8, u8, u8);

impl Colour {
    const BLACK: Self = Self(0, 0, 0);
    const WHITE: Self = Self(255, 255, 255);

    fn parse(text: &str) -> Result<Self, BrandError> {
        let error = || BrandError::Colour(text.to_owned());
        let digits: Vec<u8> = text
            .strip_prefix('#')
            .ok_or_else(error)?
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(error))
            .collect::<Result<_, _>>()?;
        match *digits.as_slice() {
            [r, g, b] => Ok(Self(r * 17, g * 17, b * 17)),
            [r1, r2, g1, g2, b1, b2] => Ok(Self(r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2)),
            _ => Err(error()),
        }
    }

    fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// `share` of `other` in it.
    fn mixed(self, other: Self, share: f64) -> Self {
        let channel = |a: u8, b: u8| {
            let value = f64::from(a) * (1.0 - share) + f64::from(b) * share;
            // A saturating cast of a value between two bytes.
            value.round() as u8
        };
        Self(channel(self.0, other.0), channel(self.1, other.1), channel(self.2, other.2))
    }

    /// The nearest shade of the same hue that contrasts enough: darker on a light background,
    /// lighter on a dark one.
    fn readable_on(self, background: Self, contrast: f64) -> Self {
        let end = if background.luminance() > 0.5 { Self::BLACK } else { Self::WHITE };
        (0..=50)
            .map(|step| self.with_lightness_towards(end, f64::from(step) / 50.0))
            .find(|colour| colour.contrast(background) >= contrast)
            .unwrap_or(end)
    }

    /// Scales all channels: unlike mixing with white, this keeps a dark green green.
    fn with_lightness_towards(self, end: Self, share: f64) -> Self {
        let strongest = self.0.max(self.1).max(self.2);
        if end == Self::BLACK || strongest == 0 {
            return self.mixed(end, share);
        }
        // First to the brightest colour of this hue, then, if that is not enough, to white.
        let full = 255.0 / f64::from(strongest);
        let bright = |channel: u8| (f64::from(channel) * full).round() as u8;
        let brightest = Self(bright(self.0), bright(self.1), bright(self.2));
        if share <= 0.6 {
            self.mixed(brightest.mixed(Self::WHITE, 0.25), share / 0.6)
        } else {
            brightest.mixed(Self::WHITE, 0.25 + 0.75 * (share - 0.6) / 0.4)
        }
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let channel = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(self.0) + 0.7152 * channel(self.1) + 0.0722 * channel(self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(css: &str, name: &str) -> Colour {
        let (_, rest) = css.split_once(&format!("--{name}: ")).unwrap();
        Colour::parse(&rest[..7]).unwrap()
    }

    #[test]
    fn every_accent_stays_readable_in_both_schemes() {
        for r in (0..=255).step_by(51) {
            for g in (0..=255).step_by(51) {
                for b in (0..=255).step_by(51) {
                    let accent = format!("#{r:02x}{g:02x}{b:02x}");
                    let brand = Brand { accent, ..Brand::named("X") };
                    let css = brand.check().unwrap().css();
                    let (light, dark) = css.split_once("@media").unwrap();
                    for (css, page) in [(light, LIGHT_PAGE), (dark, DARK_CARD)] {
                        let ink = variable(css, "accent-ink");
                        let accents = [variable(css, "accent"), variable(css, "accent-hover")];
                        assert!(accents.iter().all(|fill| fill.contrast(ink) >= TEXT_CONTRAST));
                        assert!(variable(css, "accent-text").contrast(page) >= TEXT_CONTRAST);
                    }
                }
            }
        }
    }

    #[test]
    fn a_colour_cannot_carry_css() {
        for bad in ["red", "#12", "#12345", "#1234567", "#fff;}body{display:none", "#ggg", ""] {
            let brand = Brand { accent: bad.into(), ..Brand::named("X") };
            assert_eq!(brand.check().err(), Some(BrandError::Colour(bad.into())));
        }
        assert_eq!(Colour::parse("#1aF"), Ok(Colour(0x11, 0xaa, 0xff)));
        assert_eq!(Colour::parse("#14594b"), Ok(Colour(0x14, 0x59, 0x4b)));
    }

    #[test]
    fn a_logo_must_be_one_that_the_policy_lets_through() {
        let with_logo = |url: &str| {
            Brand { logo_url: Some(url.into()), ..Brand::named("X") }.check().map(|_| ())
        };
        assert_eq!(with_logo("/assets/consentry.svg"), Ok(()));
        assert_eq!(with_logo("data:image/png;base64,AA=="), Ok(()));
        let elsewhere = "https://cdn.example/logo.png";
        assert_eq!(with_logo(elsewhere), Err(BrandError::Logo(elsewhere.into())));
    }
}
