//! A dotenv file: `NAME=VALUE` lines, `#` comments, an optional `export`, optional quotes. No expansion, no
//! continuation lines: what stands there is what is meant.

use std::collections::BTreeMap;

/// Reads the text; the error is every line (counted from 1) that cannot be understood.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, Vec<usize>> {
    let mut values = BTreeMap::new();
    let mut wrong = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match pair(line) {
            Some((name, value)) => drop(values.insert(name, value)),
            None => wrong.push(at + 1),
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}

fn pair(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !named {
        return None;
    }
    let value = value.trim();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value.strip_prefix(quote)?.strip_suffix(quote)?,
        _ => value.split(" #").next().unwrap_or(value).trim_end(),
    };
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms() {
        let values = parse("# c\nA=1\nexport B = 'x y' \nC=\"#z\"\nD=v # c\nE=\n").unwrap();
        let value = |name: &str| values[name].as_str();
        assert_eq!((value("A"), value("B"), value("C"), value("D"), value("E")), ("1", "x y", "#z", "v", ""));
    }

    #[test]
    fn every_broken_line_is_named() {
        assert_eq!(parse("A=1\nB\n=2\nC='x\nD-E=1"), Err(vec![2, 3, 4, 5]));
    }
}
