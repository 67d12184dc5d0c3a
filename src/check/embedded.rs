//! The policies that this program was built with, as files below `policies/`.

/// Path below `policies/`, and text.
const FILES: &[(&str, &str)] = &[
    ("profiles.toml", include_str!("../../policies/profiles.toml")),
    ("score.toml", include_str!("../../policies/score.toml")),
    ("tasks.toml", include_str!("../../policies/tasks.toml")),
    ("licences.toml", include_str!("../../policies/licences.toml")),
    ("frameworks/owasp-top10-2025.toml", include_str!("../../policies/frameworks/owasp-top10-2025.toml")),
    ("frameworks/owasp-api-2023.toml", include_str!("../../policies/frameworks/owasp-api-2023.toml")),
    ("frameworks/owasp-asvs-5.toml", include_str!("../../policies/frameworks/owasp-asvs-5.toml")),
    ("frameworks/owasp-mcp-2025.toml", include_str!("../../policies/frameworks/owasp-mcp-2025.toml")),
    ("frameworks/nist-csf-2.toml", include_str!("../../policies/frameworks/nist-csf-2.toml")),
    ("frameworks/iso-27001-2022.toml", include_str!("../../policies/frameworks/iso-27001-2022.toml")),
    ("frameworks/soc2-2017.toml", include_str!("../../policies/frameworks/soc2-2017.toml")),
    ("frameworks/nsa-mcp.toml", include_str!("../../policies/frameworks/nsa-mcp.toml")),
    ("frameworks/k8s-restricted.toml", include_str!("../../policies/frameworks/k8s-restricted.toml")),
    ("frameworks/spotify-policy.toml", include_str!("../../policies/frameworks/spotify-policy.toml")),
    ("checks/keys.toml", include_str!("../../policies/checks/keys.toml")),
    ("checks/configuration.toml", include_str!("../../policies/checks/configuration.toml")),
    ("checks/sessions.toml", include_str!("../../policies/checks/sessions.toml")),
    ("checks/network.toml", include_str!("../../policies/checks/network.toml")),
    ("checks/data.toml", include_str!("../../policies/checks/data.toml")),
    ("checks/audit.toml", include_str!("../../policies/checks/audit.toml")),
    ("checks/supply.toml", include_str!("../../policies/checks/supply.toml")),
    ("checks/runtime.toml", include_str!("../../policies/checks/runtime.toml")),
    ("checks/maintenance.toml", include_str!("../../policies/checks/maintenance.toml")),
];

/// The groups of checks, and the first digit of their ids.
const GROUPS: &[(&str, char)] = &[
    ("keys", '1'),
    ("configuration", '2'),
    ("sessions", '3'),
    ("network", '4'),
    ("data", '5'),
    ("audit", '6'),
    ("supply", '7'),
    ("runtime", '8'),
    ("maintenance", '9'),
];

/// Every file.
pub fn files() -> Vec<(String, String)> {
    FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// The first digit of ids in this file of checks.
pub fn group(path: &str) -> Option<char> {
    let name = path.strip_prefix("checks/")?.strip_suffix(".toml")?;
    GROUPS.iter().find(|(known, _)| *known == name).map(|(_, digit)| *digit)
}
