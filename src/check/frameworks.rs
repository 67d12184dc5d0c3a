//! Frameworks that checks are mapped to: each with its own complete list of control ids, from `policies/frameworks`.
//!
//! Never: a control that is not on its framework's list.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One framework in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framework {
    /// As checks name it.
    pub id: String,
    /// For people.
    pub title: String,
    /// Which edition.
    pub version: String,
    /// `final`, `beta`, ...: said wherever the framework is named.
    pub status: String,
    /// Where it is published.
    pub source: String,
    /// What stands before an id where it is cited, for example `v5.0.0-`.
    pub cited_as: String,
    /// The edition before this one, whose numbers stand in `was`.
    pub before: Option<String>,
    /// Every control, in the framework's order.
    pub controls: Vec<Control>,
}

/// One control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// As its framework writes it.
    pub id: String,
    /// For people; empty where the list has ids alone.
    pub title: String,
    /// Its ids in the edition before.
    pub was: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    title: String,
    version: String,
    status: String,
    source: String,
    #[serde(default)]
    cited_as: String,
    before: Option<String>,
    #[serde(default)]
    control: Vec<Entry>,
    #[serde(default)]
    controls: Vec<String>,
    #[serde(default)]
    counted: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    title: String,
    #[serde(default)]
    was: Vec<String>,
}

impl Framework {
    /// Reads one file of `policies/frameworks`.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let named = |id: String| Control { id, title: String::new(), was: Vec::new() };
        let entries = file.control.into_iter();
        let mut controls: Vec<Control> =
            entries.map(|entry| Control { id: entry.id, title: entry.title, was: entry.was }).collect();
        controls.extend(file.controls.into_iter().map(named));
        let mut sections = Vec::new();
        for (section, count) in &file.counted {
            if !(1..=100).contains(count) {
                return Err(format!("{section}: not a number from 1 to 100"));
            }
            sections.push((in_numbers(section), section, *count));
        }
        sections.sort();
        let of_section = |(_, section, count): (_, &String, u32)| {
            let section = section.clone();
            (1..=count).map(move |number| format!("{section}.{number}"))
        };
        controls.extend(sections.into_iter().flat_map(of_section).map(named));
        let framework = Self {
            id: file.id,
            title: file.title,
            version: file.version,
            status: file.status,
            source: file.source,
            cited_as: file.cited_as,
            before: file.before,
            controls,
        };
        framework.is_whole().map(|()| framework)
    }

    fn is_whole(&self) -> Result<(), String> {
        let mut ids: Vec<&str> = self.controls.iter().map(|control| control.id.as_str()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != count {
            return Err(format!("{}: a control is there twice", self.id));
        }
        if count == 0
            || [&self.id, &self.title, &self.version, &self.status].into_iter().any(String::is_empty)
        {
            return Err(format!("{}: something is empty", self.id));
        }
        let is_web = self.source.starts_with("https://");
        if is_web { Ok(()) } else { Err(format!("{}: the source is no https URL", self.id)) }
    }

    /// The control of this id.
    pub fn control(&self, id: &str) -> Option<&Control> {
        self.controls.iter().find(|control| control.id == id)
    }

    /// Title, version and, where it is not final, its status.
    pub fn named(&self) -> String {
        let open = matches!(self.status.as_str(), "final" | "in force" | "guidance");
        let status = if open { String::new() } else { format!(" ({})", self.status) };
        format!("{} {}{status}", self.title, self.version)
    }
}

/// A section's numbers, so that 10 comes after 9; letters before them as they are.
fn in_numbers(section: &str) -> (String, Vec<u32>) {
    let letters: String = section.chars().take_while(|c| !c.is_ascii_digit()).collect();
    let numbers = section[letters.len()..].split('.').filter_map(|part| part.parse().ok()).collect();
    (rank(&letters), numbers)
}

/// SOC 2 begins with the common criteria, and names the other categories by letters out of alphabetical order.
fn rank(letters: &str) -> String {
    let at = ["CC", "A", "C", "PI", "P"].iter().position(|known| *known == letters);
    at.map_or_else(|| letters.to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Catalogue;
    use super::*;

    /// What the frameworks themselves say of their size.
    const SIZES: &[(&str, usize)] = &[
        ("owasp_top10_2025", 10),
        ("owasp_api_2023", 10),
        ("owasp_asvs_5", 345),
        ("owasp_mcp_2025", 10),
        ("nist_csf_2", 106),
        ("iso_27001_2022", 93),
        ("soc2_2017", 61),
        ("nsa_mcp", 9),
        ("k8s_restricted", 16),
        ("spotify_policy", 8),
    ];

    #[test]
    fn every_framework_is_as_large_as_it_says_of_itself() {
        let catalogue = Catalogue::built_in().unwrap();
        let sizes: Vec<_> = catalogue
            .frameworks
            .iter()
            .map(|framework| (framework.id.as_str(), framework.controls.len()))
            .collect();
        assert_eq!(sizes, SIZES);
    }

    #[test]
    fn counted_sections_come_in_their_numbers_order() {
        let catalogue = Catalogue::built_in().unwrap();
        let of = |id: &str| catalogue.framework(id).unwrap();
        let asvs = of("owasp_asvs_5");
        assert_eq!((asvs.controls[0].id.as_str(), asvs.controls[344].id.as_str()), ("1.1.1", "17.3.2"));
        assert!(asvs.control("7.1.2").is_some() && asvs.control("7.1.4").is_none());
        assert_eq!(of("soc2_2017").controls[0].id, "CC1.1");
        assert!(of("iso_27001_2022").control("A.8.34").is_some());
        assert!(of("nist_csf_2").control("ID.AM-06").is_none(), "withdrawn in 2.0");
        let before: usize = of("owasp_top10_2025").controls.iter().map(|control| control.was.len()).sum();
        assert_eq!(before, 10, "each of 2021's ten stands somewhere in 2025's");
    }

    #[test]
    fn what_is_not_final_says_so() {
        let catalogue = Catalogue::built_in().unwrap();
        assert_eq!(
            catalogue.framework("owasp_mcp_2025").unwrap().named(),
            "OWASP MCP Top 10 2025, v0.1 (beta)"
        );
        assert_eq!(catalogue.framework("owasp_top10_2025").unwrap().named(), "OWASP Top 10 2025");
    }

    #[test]
    fn a_list_with_a_mistake_is_refused() {
        let head = "id = \"x\"\ntitle = \"X\"\nversion = \"1\"\nstatus = \"final\"\nsource = \"https://x.example\"\n";
        assert!(Framework::parse(&format!("{head}controls = [\"A\", \"A\"]")).unwrap_err().contains("twice"));
        assert!(Framework::parse(&format!("{head}[counted]\n\"A\" = 0")).unwrap_err().contains("1 to 100"));
        assert!(Framework::parse(head).unwrap_err().contains("empty"));
        assert!(Framework::parse(&format!("{head}contrals = [\"A\"]")).is_err());
    }
}
