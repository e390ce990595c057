//! A PNG contact sheet of pictures with the labels they have and the labels they should have.

use std::path::Path;

use anyhow::{Result, ensure};
use image::{ImageFormat, Rgb, RgbImage};

use crate::run::write_atomically;

/// Pictures are enlarged by a whole factor to about this many pixels.
const PICTURE: usize = 64;
const GAP: usize = 12;
const GLYPH_WIDTH: usize = 5;
const GLYPH_HEIGHT: usize = 7;
pub(crate) const ADVANCE: usize = GLYPH_WIDTH + 1;
/// How far g, p, q and y reach below the line.
const DESCENT: usize = 2;
pub(crate) const LINE: usize = GLYPH_HEIGHT + DESCENT + 2;
/// Longest caption, in characters; the rest is cut.
const LONGEST_CAPTION: usize = 20;
const GIVEN: Rgb<u8> = Rgb([190, 30, 30]);
const SUGGESTED: Rgb<u8> = Rgb([0, 110, 60]);

/// One picture of a [`contact_sheet`].
#[derive(Clone, Debug)]
pub struct Tile {
    /// Gray values from 0 (black) to 1 (white), row by row.
    pub pixels: Vec<f32>,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// The label in the dataset: `"3"` for the caption `given 3`.
    pub given: String,
    /// The label proposed instead: `"8"` for the caption `suggested 8`.
    pub suggested: String,
}

impl Tile {
    fn captions(&self) -> [(String, Rgb<u8>); 2] {
        let cut = |text: String| text.chars().take(LONGEST_CAPTION).collect();
        [
            (cut(format!("given {}", self.given)), GIVEN),
            (cut(format!("suggested {}", self.suggested)), SUGGESTED),
        ]
    }

    /// How many times larger than its pixels the picture is drawn.
    fn scale(&self) -> usize {
        let side = self.height.max(self.width).max(1);
        ((PICTURE + side / 2) / side).max(1)
    }
}

/// Writes the pictures in rows of `columns`, each with its two captions below.
///
/// Captions know digits and letters, which all become lowercase; other characters leave a space.
///
/// # Errors
/// If `columns` is zero, if a tile has not `height * width` pixels, or if the file cannot be
/// written.
pub fn contact_sheet(path: &Path, tiles: &[Tile], columns: usize) -> Result<()> {
    ensure!(columns > 0, "contact sheet: expected at least one column");
    for (index, Tile { pixels, height, width, .. }) in tiles.iter().enumerate() {
        let found = pixels.len();
        ensure!(
            height.checked_mul(*width) == Some(found),
            "contact sheet: expected {height} x {width} pixels in tile {index}, found {found}"
        );
    }
    let sheet = draw(tiles, columns);
    write_atomically(path, |temporary| Ok(sheet.save_with_format(temporary, ImageFormat::Png)?))
}

fn draw(tiles: &[Tile], columns: usize) -> RgbImage {
    let largest = |side: fn(&Tile) -> usize| tiles.iter().map(side).max().unwrap_or(0);
    let picture_height = largest(|tile| tile.height * tile.scale());
    let captions = tiles.iter().flat_map(Tile::captions);
    let caption_width = captions.map(|(text, _)| ADVANCE * text.chars().count()).max();
    let cell_width =
        largest(|tile| tile.width * tile.scale()).max(caption_width.unwrap_or(0)) + GAP;
    let cell_height = picture_height + 3 + 2 * LINE + GAP;

    let (columns, rows) = (columns.min(tiles.len()), tiles.len().div_ceil(columns));
    let (width, height) = (GAP + columns * cell_width, GAP + rows * cell_height);
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, Rgb([255; 3]));
    for (index, tile) in tiles.iter().enumerate() {
        let left = GAP + index % columns * cell_width;
        let top = GAP + index / columns * cell_height;
        draw_picture(&mut sheet, left, top, tile);
        for (line, (text, color)) in tile.captions().into_iter().enumerate() {
            draw_text(&mut sheet, left, top + picture_height + 3 + line * LINE, &text, color);
        }
    }
    sheet
}

fn draw_picture(sheet: &mut RgbImage, left: usize, top: usize, tile: &Tile) {
    let scale = tile.scale();
    for y in 0..tile.height * scale {
        for x in 0..tile.width * scale {
            let value = tile.pixels[y / scale * tile.width + x / scale];
            let gray = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
            sheet.put_pixel((left + x) as u32, (top + y) as u32, Rgb([gray; 3]));
        }
    }
}

pub(crate) fn draw_text(sheet: &mut RgbImage, left: usize, top: usize, text: &str, color: Rgb<u8>) {
    for (place, character) in text.chars().enumerate() {
        let bits = glyph(character);
        let top = if "gpqyGPQY".contains(character) { top + DESCENT } else { top };
        for bit in (0..GLYPH_WIDTH * GLYPH_HEIGHT).filter(|bit| bits >> bit & 1 == 1) {
            // The lowest bit is the lower right corner.
            let x = left + place * ADVANCE + GLYPH_WIDTH - 1 - bit % GLYPH_WIDTH;
            let y = top + GLYPH_HEIGHT - 1 - bit / GLYPH_WIDTH;
            sheet.put_pixel(x as u32, y as u32, color);
        }
    }
}

fn glyph(character: char) -> u64 {
    let lowercase = character.to_ascii_lowercase();
    FONT.iter().find(|(known, _)| char::from(*known) == lowercase).map_or(0, |(_, bits)| *bits)
}

/// Characters of 5 x 7 bits, from the top row to the bottom row.
const FONT: [(u8, u64); 36] = [
    (b'0', 0b01110_10001_10011_10101_11001_10001_01110),
    (b'1', 0b00100_01100_00100_00100_00100_00100_01110),
    (b'2', 0b01110_10001_00001_00010_00100_01000_11111),
    (b'3', 0b11111_00010_00100_00010_00001_10001_01110),
    (b'4', 0b00010_00110_01010_10010_11111_00010_00010),
    (b'5', 0b11111_10000_11110_00001_00001_10001_01110),
    (b'6', 0b00110_01000_10000_11110_10001_10001_01110),
    (b'7', 0b11111_00001_00010_00100_01000_01000_01000),
    (b'8', 0b01110_10001_10001_01110_10001_10001_01110),
    (b'9', 0b01110_10001_10001_01111_00001_00010_01100),
    (b'a', 0b00000_00000_01110_00001_01111_10001_01111),
    (b'b', 0b10000_10000_10110_11001_10001_10001_11110),
    (b'c', 0b00000_00000_01110_10000_10000_10001_01110),
    (b'd', 0b00001_00001_01101_10011_10001_10001_01111),
    (b'e', 0b00000_00000_01110_10001_11111_10000_01110),
    (b'f', 0b00110_01001_01000_11100_01000_01000_01000),
    (b'g', 0b01111_10001_10001_10001_01111_00001_01110),
    (b'h', 0b10000_10000_10110_11001_10001_10001_10001),
    (b'i', 0b00100_00000_01100_00100_00100_00100_01110),
    (b'j', 0b00010_00000_00110_00010_00010_10010_01100),
    (b'k', 0b10000_10000_10010_10100_11000_10100_10010),
    (b'l', 0b01100_00100_00100_00100_00100_00100_01110),
    (b'm', 0b00000_00000_11010_10101_10101_10001_10001),
    (b'n', 0b00000_00000_10110_11001_10001_10001_10001),
    (b'o', 0b00000_00000_01110_10001_10001_10001_01110),
    (b'p', 0b11110_10001_10001_10001_11110_10000_10000),
    (b'q', 0b01111_10001_10001_10001_01111_00001_00001),
    (b'r', 0b00000_00000_10110_11001_10000_10000_10000),
    (b's', 0b00000_00000_01110_10000_01110_00001_11110),
    (b't', 0b01000_01000_11100_01000_01000_01001_00110),
    (b'u', 0b00000_00000_10001_10001_10001_10011_01101),
    (b'v', 0b00000_00000_10001_10001_10001_01010_00100),
    (b'w', 0b00000_00000_10001_10001_10101_10101_01010),
    (b'x', 0b00000_00000_10001_01010_00100_01010_10001),
    (b'y', 0b10001_10001_10001_10001_01111_00001_01110),
    (b'z', 0b00000_00000_11111_00010_00100_01000_11111),
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WHITE: Rgb<u8> = Rgb([255; 3]);

    fn tile(height: usize, width: usize, given: &str, suggested: &str) -> Tile {
        let pixels = (0..height * width).map(|i| i as f32 / (height * width) as f32).collect();
        Tile { pixels, height, width, given: given.into(), suggested: suggested.into() }
    }

    fn drawn_text(text: &str) -> Vec<String> {
        let mut sheet = RgbImage::from_pixel((text.len() * ADVANCE) as u32, 9, WHITE);
        draw_text(&mut sheet, 0, 0, text, GIVEN);
        let mark = |pixel: &Rgb<u8>| if *pixel == GIVEN { '#' } else { '.' };
        sheet.rows().map(|row| row.map(mark).collect()).collect()
    }

    #[test]
    fn text_is_drawn_upright_and_in_order() {
        let expected = [
            "#####.......",
            "....#.......",
            "...#...####.",
            "..#...#...#.",
            ".#....#...#.",
            ".#....#...#.",
            ".#.....####.",
            "..........#.",
            ".......###..",
        ];
        assert_eq!(drawn_text("7g"), expected);
        assert_eq!(drawn_text("A"), drawn_text("a"));
        assert_eq!(drawn_text("?"), drawn_text(" "));
    }

    #[test]
    fn font_has_each_digit_and_letter_once() {
        let known: Vec<_> = FONT.iter().map(|(character, _)| *character).collect();
        assert_eq!(known, (b'0'..=b'9').chain(b'a'..=b'z').collect::<Vec<_>>());
        let mut shapes: Vec<_> = FONT.iter().map(|(_, bits)| *bits).collect();
        shapes.sort_unstable();
        shapes.dedup();
        assert_eq!(shapes.len(), 36);
    }

    #[test]
    fn sheet_holds_scaled_pictures_and_both_captions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sheet.png");
        let tiles = [tile(8, 8, "3", "8"), tile(28, 20, "cat", "dog"), tile(8, 8, "1", "7")];
        contact_sheet(&path, &tiles, 2).unwrap();
        let sheet = image::open(&path).unwrap().to_rgb8();
        let cell = (13 * ADVANCE + GAP, 64 + 3 + 2 * LINE + GAP);
        assert_eq!(sheet.dimensions(), ((GAP + 2 * cell.0) as u32, (GAP + 2 * cell.1) as u32));
        // The first pixel covers 8 x 8 pixels, the second the next ones.
        assert_eq!(*sheet.get_pixel(19, 19), Rgb([0; 3]));
        assert_eq!(*sheet.get_pixel(20, 19), Rgb([4; 3]));
        assert!(sheet.pixels().any(|&pixel| pixel == GIVEN));
        assert!(sheet.pixels().any(|&pixel| pixel == SUGGESTED));
        assert_eq!(*sheet.get_pixel(sheet.width() - 20, sheet.height() - 20), WHITE);
    }

    #[test]
    fn scale_is_a_whole_number_near_64_pixels() {
        for (side, scale) in [(0, 64), (1, 64), (8, 8), (28, 2), (32, 2), (64, 1), (300, 1)] {
            assert_eq!(tile(side, side, "", "").scale(), scale, "{side}");
        }
    }

    #[test]
    fn degenerate_sheets_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sheet.png");
        contact_sheet(&path, &[], 3).unwrap();
        contact_sheet(&path, &[tile(0, 0, "", &"x".repeat(99))], 9).unwrap();
        let sheet = image::open(&path).unwrap();
        assert_eq!(sheet.width() as usize, 2 * GAP + LONGEST_CAPTION * ADVANCE);
        let mut wild = tile(1, 2, "a", "b");
        wild.pixels = vec![f32::NAN, 7.0];
        contact_sheet(&path, &[wild], 1).unwrap();
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let path = Path::new("unused.png");
        let mut short = tile(2, 2, "a", "b");
        short.pixels.pop();
        let error = contact_sheet(path, &[short], 1).unwrap_err().to_string();
        assert_eq!(error, "contact sheet: expected 2 x 2 pixels in tile 0, found 3");
        assert!(contact_sheet(path, &[], 0).is_err());
    }
}
