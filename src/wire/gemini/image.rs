//! The shape of generated pictures. upstream-protocol.md 8.5.

use crate::ir::Losses;
use crate::ir::request::ImageOptions;
use crate::wire::gemini::Api;
use crate::wire::gemini::writer::Object;

/// The ratios that models know.
const RATIOS: [(&str, f64); 10] = [
    ("1:1", 1.0),
    ("2:3", 2.0 / 3.0),
    ("3:2", 1.5),
    ("3:4", 0.75),
    ("4:3", 4.0 / 3.0),
    ("4:5", 0.8),
    ("5:4", 1.25),
    ("9:16", 9.0 / 16.0),
    ("16:9", 16.0 / 9.0),
    ("21:9", 21.0 / 9.0),
];

/// Writes what an image model is told into `generationConfig`.
pub(super) fn write(
    config: &mut Object<'_>,
    options: &ImageOptions,
    api: Api,
    losses: &mut Losses,
) {
    if api != Api::Antigravity {
        config.json("responseModalities", &["TEXT", "IMAGE"]);
    }
    let ratio = match options.size.as_deref() {
        None | Some("auto") => None,
        Some(size) => {
            let nearest = nearest_ratio(size);
            if nearest.is_none() {
                losses.note("size");
            }
            nearest
        }
    };
    let size = match options.quality.as_deref() {
        None => None,
        Some("hd" | "high") => Some("4K"),
        Some("medium") => Some("2K"),
        Some("standard" | "low" | "auto") => Some("1K"),
        Some(_) => {
            losses.note("quality");
            None
        }
    };
    if ratio.is_none() && size.is_none() {
        return;
    }
    let mut image = Object::new(config.key("imageConfig"));
    image.some("aspectRatio", ratio);
    image.some("imageSize", size);
    image.end();
}

/// The ratio nearest to `WxH`, by proportion, so that wide and tall are treated alike.
fn nearest_ratio(size: &str) -> Option<&'static str> {
    let (width, height) = size.split_once('x')?;
    let width: f64 = width.trim().parse::<u32>().ok()?.into();
    let height: f64 = height.trim().parse::<u32>().ok()?.into();
    if width < 1.0 || height < 1.0 {
        return None;
    }
    let off = |ratio: f64| (width / height / ratio).ln().abs();
    RATIOS
        .iter()
        .min_by(|a, b| off(a.1).total_cmp(&off(b.1)))
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_to_the_nearest_ratio() {
        for (size, ratio) in [
            ("1024x1024", Some("1:1")),
            ("1792x1024", Some("16:9")),
            ("1024x1536", Some("2:3")),
            ("2560x1080", Some("21:9")),
            ("0x5", None),
            ("big", None),
        ] {
            assert_eq!(nearest_ratio(size), ratio, "{size}");
        }
    }
}
