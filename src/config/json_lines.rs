//! Where each key of a JSON text stands, which the JSON parser does not tell. The text has been parsed before, so
//! this only has to follow it.

use std::collections::{HashMap, HashSet};

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
    open: Vec<Open>,
    lines: HashMap<String, usize>,
    twice: Option<(String, usize)>,
}

/// An object or list that has not ended yet.
enum Open {
    Object {
        path: String,
        /// Its keys so far, as the parser sees them.
        keys: HashSet<String>,
        /// The path of the value that follows; `None` where the next text is a key.
        value: Option<String>,
    },
    /// Keys inside lists repeat by right: their paths carry the position in the text.
    List { path: String, position: usize },
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
            '{' => {
                self.open.push(Open::Object { path: self.within(), keys: HashSet::new(), value: None });
            }
            '[' => self.open.push(Open::List { path: self.within(), position: self.rest.len() }),
            '}' | ']' => drop(self.open.pop()),
            ',' => self.after_comma(),
            _ => {}
        }
        true
    }

    /// The path at which a value now begins: its key's, or its list's.
    fn within(&self) -> String {
        match self.open.last() {
            None => String::new(),
            Some(Open::Object { path, value, .. }) => value.as_ref().unwrap_or(path).clone(),
            Some(Open::List { path, position }) => format!("{path}[{position}]"),
        }
    }

    fn meet(&mut self, text: &str) {
        let Some(Open::Object { path, keys, value: value @ None }) = self.open.last_mut() else { return };
        // A dot inside a key would look like nesting; no known key has one, and the parser sees the real name.
        let key = join(path, &text.replace('.', "\u{2024}"));
        if !keys.insert(text.to_owned()) && self.twice.is_none() {
            self.twice = Some((key.clone(), self.line));
        }
        self.lines.insert(key.clone(), self.line);
        *value = Some(key);
    }

    fn after_comma(&mut self) {
        match self.open.last_mut() {
            Some(Open::Object { value, .. }) => *value = None,
            Some(Open::List { position, .. }) => *position = self.rest.len(),
            None => {}
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
        let text = self.rest.get(..end + 2).and_then(|quoted| serde_json::from_str(quoted).ok());
        self.rest = body.get(end + 1..).unwrap_or_default();
        text.unwrap_or_else(|| body[..end].to_owned())
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
        // Brackets in a name are no list, and an escape is the character that it stands for.
        assert_eq!(scan("{\"a]\": 1, \"b\": 2,\n\"b\": 3}").1, Some(("b".into(), 2)));
        assert_eq!(scan("{\"a\": 1, \"\\u0061\": 2}").1, Some(("a".into(), 1)));
        assert_eq!(scan("{\"\": {\"a\": 1}, \"a\": 2}").1, None);
    }
}
