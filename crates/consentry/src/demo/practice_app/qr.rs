//! A QR code as an inline picture: what a device with a screen shows beside its code.

use std::fmt::Write as _;

use qrcode::{Color, QrCode};

/// ISO/IEC 18004 §5.3.8: the empty edge that scanners need, in modules.
const QUIET_ZONE: usize = 4;

/// `None`: the text is too long for one.
pub(super) fn svg(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    let (width, modules) = (code.width(), code.to_colors());
    let size = width.saturating_add(2 * QUIET_ZONE);
    let mut path = String::new();
    for (row, line) in modules.chunks(width).enumerate() {
        for (column, _) in line.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
            let _ = write!(path, "M{} {}h1v1h-1z", column + QUIET_ZONE, row + QUIET_ZONE);
        }
    }
    // Black on white in dark mode too: many scanners read nothing else.
    Some(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"The address with the code, as a QR code\" \
         viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" \
         d=\"M0 0h{size}v{size}H0z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_code_with_its_quiet_zone_and_no_text_of_it() {
        let address = "http://localhost:8401/device?user_code=WDJB-MJHT";
        let svg = svg(address).unwrap();
        let modules = QrCode::new(address).unwrap();
        let dark = modules.to_colors().iter().filter(|color| **color == Color::Dark).count();
        assert_eq!(svg.matches("h1v1h-1z").count(), dark);
        assert!(svg.contains("M4 4h1") && !svg.contains("M3 "), "the finder begins at the edge");
        assert!(!svg.contains("WDJB"));
        assert!(self::svg(&"x".repeat(5_000)).is_none());
    }
}
