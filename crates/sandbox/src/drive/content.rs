//! The bytes that every practice drive starts with, made by arithmetic so that they are the same
//! everywhere: texts, a picture, a sound, and something large enough to be worth a range request.

/// A file of the first day: the folder it lies in (empty for the top), its name, its bytes.
pub(crate) struct Sample {
    pub(crate) folder: &'static [&'static str],
    pub(crate) name: &'static str,
    pub(crate) bytes: fn() -> Vec<u8>,
}

pub(crate) const SAMPLES: [Sample; 6] = [
    Sample { folder: &[], name: "Welcome.txt", bytes: || WELCOME.into() },
    Sample { folder: &["Documents"], name: "Budget.csv", bytes: || BUDGET.into() },
    Sample { folder: &["Documents", "Travel"], name: "Packing list.txt", bytes: || PACKING.into() },
    Sample { folder: &["Pictures"], name: "Sunrise.bmp", bytes: picture },
    Sample { folder: &["Music"], name: "Tone.wav", bytes: || sound(100) },
    Sample { folder: &["Backups"], name: "archive.bin", bytes: archive },
];

const WELCOME: &str = "Welcome to the practice drive.\n\
    \n\
    Everything here was made by a program, and you may delete it.\n\
    The files are yours alone: another user has copies of his own.\n";
const BUDGET: &str = "month,income,spent\nJanuary,2400,1910\nFebruary,2400,2075\nMarch,2550,1880\n";
const PACKING: &str = "- passport\n- charger\n- two books\n- rain jacket\n";

const ARCHIVE_BYTES: usize = 3 * 1024 * 1024;

/// A sky that brightens towards the bottom: an uncompressed 24-bit Windows bitmap.
fn picture() -> Vec<u8> {
    const WIDTH: u32 = 96;
    const HEIGHT: u32 = 64;
    const HEADERS: u32 = 14 + 40;
    let pixels = WIDTH * HEIGHT * 3;
    let mut bytes = b"BM".to_vec();
    for field in [HEADERS + pixels, 0, HEADERS, 40, WIDTH, HEIGHT] {
        bytes.extend(field.to_le_bytes());
    }
    // One plane of 24 bits, not compressed, 72 dots to the inch, no palette.
    bytes.extend([1, 0, 24, 0]);
    for field in [0, pixels, 2835, 2835, 0, 0] {
        bytes.extend(u32::to_le_bytes(field));
    }
    // A bitmap starts with its lowest row; each pixel is blue, green, red.
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            let height = row * 255 / HEIGHT;
            let across = column * 40 / WIDTH;
            let shades = [60 + height / 2, 160 - height / 2 + across, 255 - height / 2];
            bytes.extend(shades.map(|shade| shade.min(255).to_le_bytes()[0]));
        }
    }
    bytes
}

/// One second of a triangle wave whose period is so many samples (100 make 441 Hz): mono, 16 bits,
/// 44,100 samples a second.
pub(crate) fn sound(period: i32) -> Vec<u8> {
    const RATE: u32 = 44_100;
    let quarter = period / 4;
    let data = RATE * 2;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(RATE.to_le_bytes());
    bytes.extend(data.to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    for sample in (0..period).cycle().take(44_100) {
        // From minus a quarter of the period up and down again, scaled to a third of full volume.
        let height = quarter - (sample - period / 2).abs();
        let level = i16::try_from(height * 10_000 / quarter.max(1)).unwrap_or(0);
        bytes.extend(level.to_le_bytes());
    }
    bytes
}

/// Three seconds of a white ball on grey, falling and rising: raw frames as YUV4MPEG2 keeps them.
pub(crate) fn film() -> Vec<u8> {
    const WIDTH: i32 = 64;
    const HEIGHT: i32 = 48;
    const RADIUS: i32 = 6;
    let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n".to_vec();
    for frame in 0..75 {
        bytes.extend(b"FRAME\n");
        // A parabola every 25 frames, from the top of the picture to its bottom and back.
        let time = frame % 25 - 12;
        let height = HEIGHT - RADIUS - (144 - time * time) * (HEIGHT - 2 * RADIUS) / 144;
        for row in 0..HEIGHT {
            for column in 0..WIDTH {
                let (down, right) = (row - height, column - WIDTH / 2);
                let is_ball = down * down + right * right <= RADIUS * RADIUS;
                bytes.push(if is_ball { 235 } else { 110 });
            }
        }
        // Both colour planes, a quarter of the size: no colour.
        bytes.extend([128; 64 * 48 / 2]);
    }
    bytes
}

/// Three mebibytes of numbers without a pattern (xorshift64).
fn archive() -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut bytes = Vec::with_capacity(ARCHIVE_BYTES);
    while bytes.len() < ARCHIVE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes
}

/// CRC-32 as in zip and gzip (ISO 3309, reflected).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let mut value = u32::try_from(index).unwrap_or(0);
        for _ in 0..8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
        }
        value
    });
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        let index = usize::from(crc.to_le_bytes()[0] ^ byte);
        table.get(index).copied().unwrap_or(0) ^ (crc >> 8)
    });
    !crc
}

/// Bitport's kind of a file and its media type, by the end of its name.
pub(crate) fn kind_of(name: &str) -> (&'static str, &'static str, String) {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let extension = extension.to_ascii_lowercase();
    let (kind, media_type) = match extension.as_str() {
        "txt" => ("document", "text/plain; charset=utf-8"),
        "csv" => ("document", "text/csv; charset=utf-8"),
        "bmp" => ("image", "image/bmp"),
        "wav" => ("audio", "audio/wav"),
        "y4m" => ("video", "video/x-yuv4mpeg"),
        "zip" => ("archive", "application/zip"),
        _ => ("other", "application/octet-stream"),
    };
    (kind, media_type, extension)
}
