//! The colours, light and dark.

use super::*;

/// WCAG 2.2, 1.4.3 and 1.4.11: 4.5:1 for text, 3:1 for what a control is known by; both palettes.
#[test]
fn both_palettes_have_contrast() {
    let css = assets::all()[0].body();
    let (light, rest) = css.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let dark = rest.split_once("*, *::before").unwrap().0;
    let text = [
        ("ink", "ground"),
        ("ink", "surface"),
        ("ink", "sunken"),
        ("muted", "ground"),
        ("muted", "surface"),
        ("muted", "sunken"),
        ("link", "ground"),
        ("link", "surface"),
        ("on-accent", "accent"),
        ("on-accent", "accent-deep"),
        ("warn-ink", "warn-ground"),
        ("warn-ink", "surface"),
        ("bad", "surface"),
        ("bad", "bad-ground"),
        ("surface", "bad"),
    ];
    let controls = [
        ("line-strong", "surface"),
        ("line-strong", "ground"),
        ("focus", "ground"),
        ("focus", "surface"),
        ("good", "surface"),
    ];
    for palette in [light, dark] {
        for (pairs, least) in [(&text[..], 4.5), (&controls[..], 3.0)] {
            for (front, back) in pairs {
                let ratio = contrast(luminance(palette, front), luminance(palette, back));
                assert!(ratio >= least, "--{front} on --{back}: {ratio:.2}");
            }
        }
    }
}

fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(palette: &str, name: &str) -> f64 {
    let hex = palette.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("no --{name}")).1;
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}
