//! Logos: whatever was uploaded is drawn again, so that nothing of the file but its pixels goes on,
//! and every logo has one size.

use std::io::Cursor;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use domain::id::{AppId, LogoId};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, RgbaImage};
use tokio::sync::Semaphore;

/// Of what is uploaded.
pub(crate) const BYTES_MAX: usize = 512 * 1024;
/// Its width, and its height.
const PIXELS_MAX: u32 = 2048;
/// Four bytes for each pixel, twice.
const MEMORY_MAX: u64 = 2 * 4 * (PIXELS_MAX as u64) * (PIXELS_MAX as u64);
/// Width and height of what is kept.
const SIZE: u32 = 256;

/// Images that are drawn at once; each may take [`MEMORY_MAX`].
const AT_ONCE: usize = 2;

#[derive(Debug)]
pub(crate) struct LogoPlaces(Arc<Semaphore>);

impl Default for LogoPlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// What is kept of a logo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    png: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogoError {
    #[error("Use a file of at most 512 KiB.")]
    TooLong,
    #[error("Use a PNG, JPEG or WebP image.")]
    NoImage,
    #[error("Use an image of at most {PIXELS_MAX} by {PIXELS_MAX} pixels.")]
    TooLarge,
    /// Not the developer's fault.
    #[error("Too many images are looked at right now. Try again in a moment.")]
    Busy,
}

impl LogoPlaces {
    /// Draw an upload again, on a thread that may take its time.
    pub(crate) async fn draw(&self, upload: Bytes) -> Result<Drawn, LogoError> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| LogoError::Busy)?;
        let work = move || {
            let _place = place;
            draw(&upload)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(LogoError::NoImage))
    }
}

impl Drawn {
    /// Of the app and its pixels: the same image of another app is another logo.
    pub(crate) fn id(&self, app: AppId) -> LogoId {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(app.as_bytes());
        context.update(&self.png);
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        LogoId::from_bytes(id)
    }

    pub(crate) fn png(&self) -> &[u8] {
        &self.png
    }
}

fn draw(upload: &[u8]) -> Result<Drawn, LogoError> {
    if upload.len() > BYTES_MAX {
        return Err(LogoError::TooLong);
    }
    let format = image::guess_format(upload).map_err(|_| LogoError::NoImage)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP) {
        return Err(LogoError::NoImage);
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(PIXELS_MAX);
    limits.max_image_height = Some(PIXELS_MAX);
    limits.max_alloc = Some(MEMORY_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(told)?;
    // A photo of a telephone lies on its side, and its metadata says so.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(told)?;
    image.apply_orientation(orientation);
    let small = image.resize(SIZE, SIZE, FilterType::Lanczos3).into_rgba8();
    let mut canvas = RgbaImage::new(SIZE, SIZE);
    let middle = |length: u32| i64::from(SIZE.saturating_sub(length) / 2);
    imageops::overlay(&mut canvas, &small, middle(small.width()), middle(small.height()));
    let mut png = Cursor::new(Vec::new());
    canvas.write_to(&mut png, ImageFormat::Png).map_err(|_| LogoError::NoImage)?;
    Ok(Drawn { png: png.into_inner() })
}

fn told(error: image::ImageError) -> LogoError {
    match error {
        image::ImageError::Limits(_) => LogoError::TooLarge,
        _ => LogoError::NoImage,
    }
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let red = RgbaImage::from_pixel(width, height, Rgba([200, 10, 10, 255]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(red).into_rgb8().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_image_becomes_a_square_of_one_size() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let drawn = draw(&picture(40, 20, format)).unwrap();
            let again = image::load_from_memory(&drawn.png).unwrap().into_rgba8();
            assert_eq!((again.width(), again.height()), (SIZE, SIZE));
            assert_eq!(again.get_pixel(0, 0)[3], 0, "what it does not fill is transparent");
            assert!(again.get_pixel(128, 128)[0] > 180);
        }
    }

    #[test]
    fn nothing_of_the_file_but_its_pixels_is_kept() {
        let mut jpeg = picture(32, 32, ImageFormat::Jpeg);
        let plain = draw(&jpeg).unwrap();
        let comment = *b"\xff\xfe\x00\x0ewhere I live";
        jpeg.splice(2..2, comment);
        let drawn = draw(&jpeg).unwrap();
        assert!(!drawn.png.windows(7).any(|window| window == b"where I"));
        assert_eq!(drawn, plain);
        let app = AppId::from_bytes([1; 16]);
        assert_eq!(drawn.id(app), plain.id(app));
        assert_ne!(drawn.id(app), plain.id(AppId::from_bytes([2; 16])));
    }

    #[test]
    fn what_is_no_image_too_long_or_too_large_is_refused_with_the_reason() {
        let script = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
        assert_eq!(draw(script), Err(LogoError::NoImage));
        assert_eq!(draw(b""), Err(LogoError::NoImage));
        assert_eq!(draw(b"GIF89a\x01\x00\x01\x00"), Err(LogoError::NoImage));
        let png = picture(32, 32, ImageFormat::Png);
        assert_eq!(draw(&png[..png.len() / 2]), Err(LogoError::NoImage));
        assert_eq!(draw(&vec![0; BYTES_MAX + 1]), Err(LogoError::TooLong));
        let wide = picture(PIXELS_MAX + 1, 1, ImageFormat::Png);
        assert_eq!(draw(&wide), Err(LogoError::TooLarge));
        // A bomb: an IHDR that promises 60,000 by 60,000 pixels.
        let mut bomb = png;
        bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        assert!(draw(&bomb).is_err());
    }
}
