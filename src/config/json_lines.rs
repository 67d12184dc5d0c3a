//! Where each key of a JSON text stands, which the JSON parser does not tell. The text has been parsed before, so
//! this only has to follow it.

use std::collections::HashMap;

use super::file::join;

/// The line of every dotted key, and the first key that is there twice with its line.
pub fn scan(text: &str) -> (HashMap<String, usize>, Option<(String, usize)>) {
    let mut scanner = Scanner { rest: text, line: 1, open: Vec::new(), lines: HashMap::new(), twice: None };
    while scanner.step() {}
    (scanner.lines, scanner.twice)
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    /// The path of every open object or list, and whether it is an object whose next text is a key.
    open: Vec<(String, bool)>,
    lines: HashMap<String, usize>,
    twice: Option<(String, usize)>,
}

impl Scanner<'_> {
    fn step(&mut self) -> bool {
        let Some(next) = self.rest.chars().next() else { return false };
        if next == '"' {
            let text = self.take_text();
            self.meet(&text);
            return true;
        }
        self.rest = &self.rest[next.len_utf8()..];
        match next {
            '\n' => self.line += 1,
            '{' => self.open.push((self.within(), true)),
            '[' => {
                // Keys inside lists repeat by right: their paths carry the position in the text.
                let inside = format!("{}[{}]", self.within(), self.rest.len());
                self.open.push((inside, false));
            }
            '}' | ']' => drop(self.open.pop()),
            ',' => self.after_comma(),
            _ => {}
        }
        true
    }

    /// The path at which a value now begins: its key's, or its list's.
    fn within(&self) -> String {
        self.open.last().map(|(path, _)| path.clone()).unwrap_or_default()
    }

    fn meet(&mut self, text: &str) {
        let Some((path, expects_key)) = self.open.last_mut() else { return };
        if !*expects_key {
            return;
        }
        *expects_key = false;
        *path = join(path, text);
        if self.lines.insert(path.clone(), self.line).is_some() && self.twice.is_none() {
            self.twice = Some((path.clone(), self.line));
        }
    }

    fn after_comma(&mut self) {
        let Some((path, expects_key)) = self.open.last_mut() else { return };
        if path.ends_with(']') {
            let position = self.rest.len();
            path.truncate(path.rfind('[').unwrap_or(0));
            *path = format!("{path}[{position}]");
        } else {
            path.truncate(path.rfind('.').unwrap_or(0));
            *expects_key = true;
        }
    }

    fn take_text(&mut self) -> String {
        let body = &self.rest[1..];
        let mut escaped = false;
        let end = body.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.unwrap_or(body.len());
        self.rest = body.get(end + 1..).unwrap_or_default();
        // A dot inside a key would look like nesting; no known key has one, and the parser sees the real name.
        body[..end].replace('.', "\u{2024}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_keys_lists_and_escapes() {
        let text = "{\n \"a\": {\"b\": \"x\\\"{,\", \"c\": [1, {\"k\": 1}, {\"k\": 2}]},\n \"d\": \"a\",\n \"e\": true}";
        let (lines, twice) = scan(text);
        assert_eq!(twice, None);
        assert_eq!((lines["a"], lines["a.b"], lines["a.c"], lines["d"], lines["e"]), (2, 2, 2, 3, 4));
    }

    #[test]
    fn a_key_that_is_there_twice_is_found() {
        assert_eq!(scan("{\"s\": {\"a\": 1,\n\"a\": 2}}").1, Some(("s.a".into(), 2)));
        assert_eq!(scan("{\"s\": {\"a\": 1}, \"t\": {\"a\": 2}}").1, None);
    }
}
