//! The markup of every page: well formed, within its policy, with forms that are ours and references that lead
//! somewhere.

use super::*;

/// A start tag with its attributes, as the browser would read them.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

const VOID: &[&str] = &["br", "input", "link", "meta", "rect", "circle", "path"];

/// Reads the tags of a document, in order; fails on an unbalanced tag, a stray `<` or an unquoted attribute.
fn tags(name: &str, html: &str) -> Vec<Tag> {
    let body = html.strip_prefix("<!doctype html>").unwrap_or_else(|| panic!("{name}: no doctype"));
    let (mut open, mut found) = (Vec::new(), Vec::new());
    for part in body.split('<').skip(1) {
        let (inside, text) = part.split_once('>').unwrap_or_else(|| panic!("{name}: stray < in {part}"));
        assert!(!text.contains('>'), "{name}: stray > after {inside}");
        if let Some(closed) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "{name}: unbalanced");
            continue;
        }
        let tag = parse_tag(name, inside.trim_end_matches('/'));
        if !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name.clone());
        }
        found.push(tag);
    }
    assert!(open.is_empty(), "{name}: never closed: {open:?}");
    found
}

fn parse_tag(page: &str, inside: &str) -> Tag {
    let (name, mut rest) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
    let mut attributes = Vec::new();
    rest = rest.trim();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ', '\n']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let value = match after.strip_prefix('=') {
            None => {
                rest = after.trim_start();
                ""
            }
            Some(quoted) => {
                let quoted = quoted.strip_prefix('"').unwrap_or_else(|| panic!("{page}: unquoted {key}"));
                let (value, after) =
                    quoted.split_once('"').unwrap_or_else(|| panic!("{page}: unclosed {key}"));
                rest = after.trim_start();
                value
            }
        };
        assert!(!attributes.iter().any(|(other, _)| other == key), "{page}: {key} twice in {inside}");
        attributes.push((key.to_owned(), value.to_owned()));
    }
    Tag { name: name.to_owned(), attributes }
}

#[test]
fn pages_are_well_formed_and_names_stay_in_their_place() {
    for (name, page) in pages() {
        let found = tags(&name, &page.html);
        assert!(!page.html.contains("alert(1)</script>") && !page.html.contains("<script>"), "{name}");
        assert!(
            !page.html.contains(
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            ),
            "{name}"
        );
        for c in ['\u{202e}', '\u{2066}', '\u{200b}'] {
            assert!(!page.html.contains(c), "{name}: direction or zero-width character");
        }
        assert_eq!(found.iter().filter(|tag| tag.name == "h1").count(), 1, "{name}");
        assert!(page.html.len() < 64 * 1024, "{name}: {} bytes", page.html.len());
    }
}

#[test]
fn pages_hold_to_their_content_security_policy() {
    for (name, page) in pages() {
        for tag in tags(&name, &page.html) {
            assert!(!matches!(tag.name.as_str(), "style" | "iframe" | "object" | "base" | "img"), "{name}");
            for (key, _) in &tag.attributes {
                assert!(!key.starts_with("on") && key != "style" && key != "formaction", "{name}: {key}");
            }
            if tag.name == "script" {
                assert!(tag.get("src").is_some_and(|src| src.starts_with("/assets/")), "{name}");
            }
            if tag.name == "link" {
                assert!(tag.get("href").is_some_and(|href| href.starts_with("/assets/")), "{name}");
            }
            if let Some(href) = tag.get("href").filter(|_| tag.name == "a") {
                let ours = href.starts_with('/') || href.starts_with('#') || href.starts_with("mailto:");
                let spotifys = [
                    "https://open.spotify.com/",
                    "https://www.spotify.com/",
                    "https://developer.spotify.com/",
                ];
                assert!(ours || spotifys.iter().any(|site| href.starts_with(site)), "{name}: {href}");
            }
        }
    }
}

#[test]
fn every_form_is_a_post_with_a_csrf_field() {
    let mut forms = 0;
    for (name, page) in pages() {
        for form in page.html.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap();
            assert!(form.starts_with("method=\"post\" action=\"/"), "{name}");
            assert!(form.contains("name=\"csrf\" value=\"the-csrf\""), "{name}");
            forms += 1;
        }
    }
    assert!(forms > 10, "the pages have lost their forms: {forms}");
}

#[test]
fn references_within_a_page_lead_somewhere() {
    for (name, page) in pages() {
        let found = tags(&name, &page.html);
        let ids: Vec<_> = found.iter().filter_map(|tag| tag.get("id")).collect();
        let unique: HashSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: an id twice");
        for tag in &found {
            let fragment = tag.get("href").and_then(|href| href.strip_prefix('#'));
            let named = ["for", "aria-labelledby", "aria-describedby", "data-copy"];
            for wanted in named.iter().filter_map(|key| tag.get(key)).chain(fragment) {
                assert!(unique.contains(&wanted), "{name}: nothing has the id {wanted}");
            }
            if tag.name == "input" && tag.get("type") != Some("hidden") {
                let labelled =
                    found.iter().any(|other| other.name == "label" && other.get("for") == tag.get("id"));
                assert!(labelled, "{name}: an input without label");
            }
        }
    }
}
