//! A QR code as the path of an SVG picture.

use std::fmt::Write as _;

use qrcode::{Color, QrCode};
use serde::Serialize;

/// ISO/IEC 18004 §5.3.8: the empty edge that scanners need, in modules.
const QUIET_ZONE: usize = 4;

/// To be drawn black on white in dark mode too: many scanners read nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct Qr {
    /// Width and height, quiet zone included.
    pub size: usize,
    /// The dark modules.
    pub path: String,
}

impl Qr {
    /// `None`: the text is too long for one.
    pub fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text).ok()?;
        let (width, modules) = (code.width(), code.to_colors());
        let mut path = String::new();
        for (row, line) in modules.chunks(width).enumerate() {
            for (column, _) in line.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
                let _ = write!(path, "M{} {}h1v1h-1z", column + QUIET_ZONE, row + QUIET_ZONE);
            }
        }
        Some(Self { size: width.saturating_add(2 * QUIET_ZONE), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_code_with_its_quiet_zone_and_no_text_of_it() {
        let address = "http://localhost:8401/device?user_code=WDJB-MJHT";
        let picture = Qr::of(address).unwrap();
        let modules = QrCode::new(address).unwrap();
        let dark = modules.to_colors().iter().filter(|color| **color == Color::Dark).count();
        assert_eq!(picture.path.matches("h1v1h-1z").count(), dark);
        assert!(picture.path.starts_with("M4 4h1") && !picture.path.contains("M3 "));
        assert_eq!(picture.size, modules.width() + 8);
        assert!(Qr::of(&"x".repeat(5_000)).is_none());
    }
}
