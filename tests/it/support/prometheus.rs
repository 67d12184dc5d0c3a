//! A strict reader of Prometheus' text format 0.0.4, written from its description and not from our writer: every line
//! is of the format, families are whole and named once, series are unique, histograms add up.

use std::collections::{BTreeMap, BTreeSet};

/// A scrape: the value of every series, and the type of every family.
#[derive(Debug)]
pub struct Scrape {
    /// By name, then labels sorted by their names.
    pub series: BTreeMap<(String, Labels), f64>,
    /// By family.
    pub types: BTreeMap<String, String>,
}

pub type Labels = BTreeMap<String, String>;

impl Scrape {
    /// Reads a text, or says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut scrape = Self { series: BTreeMap::new(), types: BTreeMap::new() };
        let (mut helped, mut family) = (BTreeSet::new(), String::new());
        if !text.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        for line in text.lines() {
            let wrong = |why: &str| Err(format!("{why}: {line}"));
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let Some((name, help)) = rest.split_once(' ') else { return wrong("no help") };
                if !is_name(name) || help.trim().is_empty() || !helped.insert(name.to_owned()) {
                    return wrong("a name that is none, no help, or a second one");
                }
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
                if !["counter", "gauge", "histogram"].contains(&kind) || !helped.contains(name) {
                    return wrong("a type that is none, or no help before it");
                }
                if (kind == "counter") != name.ends_with("_total") {
                    return wrong("counters, and nothing else, end in _total");
                }
                if scrape.types.insert(name.to_owned(), kind.to_owned()).is_some() {
                    return wrong("a family in two places");
                }
                family = name.to_owned();
            } else {
                let (name, labels, value) = sample(line).map_err(|why| format!("{why}: {line}"))?;
                let ends: &[&str] = if scrape.types.get(&family).is_some_and(|kind| kind == "histogram") {
                    &["_bucket", "_sum", "_count"]
                } else {
                    &[""]
                };
                if !ends.iter().any(|end| format!("{family}{end}") == name) {
                    return wrong("a series outside of its family");
                }
                if scrape.series.insert((name, labels), value).is_some() {
                    return wrong("a series twice");
                }
            }
        }
        scrape.check_histograms()?;
        Ok(scrape)
    }

    /// The value of one series.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.series.get(&(name.to_owned(), labels)).copied()
    }

    /// The same where it must be there.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.value(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
    }

    /// Names and labels of all series.
    pub fn names(&self) -> BTreeSet<(String, Labels)> {
        self.series.keys().cloned().collect()
    }

    fn check_histograms(&self) -> Result<(), String> {
        for family in self.types.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for ((name, labels), value) in &self.series {
                if *name == format!("{family}_bucket") {
                    let mut labels = labels.clone();
                    let bound = labels.remove("le").ok_or_else(|| format!("{family}: no bound"))?;
                    buckets.entry(labels).or_default().push((number(&bound)?, *value));
                }
            }
            for (labels, mut buckets) in buckets {
                buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
                let ascend = buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[0].0 < pair[1].0);
                let count = self.series.get(&(format!("{family}_count"), labels.clone()));
                let last = buckets.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|last| last.1);
                let sum = self.series.contains_key(&(format!("{family}_sum"), labels.clone()));
                if !ascend || !sum || last.is_none() || last != count.copied() {
                    return Err(format!("{family} {labels:?} does not add up: {buckets:?}"));
                }
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        text if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            text.parse().map_err(|_| format!("no number: {text}"))
        }
        text => Err(format!("no number: {text}")),
    }
}

/// `name{label="value",...} value`.
fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name) {
        return Err("a name that is none".to_owned());
    }
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("no label")?;
            if !is_name(label) || label.contains(':') || label.starts_with("__") {
                return Err("a label's name that is none".to_owned());
            }
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err("a label twice".to_owned());
            }
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    rest = after.strip_prefix('}').ok_or("labels without end")?;
                    break;
                }
            }
        }
    }
    Ok((name.to_owned(), labels, number(rest.strip_prefix(' ').ok_or("no blank")?)?))
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (true, 'n') => value.push('\n'),
            (true, '\\' | '"') => value.push(c),
            (true, _) => return Err("an escape that is none".to_owned()),
            (false, '\\') => {}
            (false, '"') => return Ok((value, &text[at + 1..])),
            (false, c) => value.push(c),
        }
        escaped = !escaped && c == '\\';
    }
    Err("a text without end".to_owned())
}

#[test]
fn the_reader_refuses_what_prometheus_would() {
    let good = "# HELP a_total h\n# TYPE a_total counter\na_total{x=\"1\\\"\"} 2\n";
    assert_eq!(Scrape::read(good).unwrap().get("a_total", &[("x", "1\"")]), 2.0);
    for bad in [
        good.trim_end().to_owned(),
        good.replace("a_total", "a"),
        good.replace("# HELP a_total h\n", ""),
        good.replace("} 2", "} two"),
        good.replace("} 2", "}2"),
        good.replace("x=", "1x="),
        good.replace("\\\"", "\\q"),
        format!("{good}{good}"),
        format!("{good}a_total{{x=\"1\\\"\"}} 3\n"),
        format!("{good}b 1\n"),
        format!("{good}\n"),
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"
            .to_owned(),
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n".to_owned(),
    ] {
        assert!(Scrape::read(&bad).is_err(), "{bad}");
    }
}
