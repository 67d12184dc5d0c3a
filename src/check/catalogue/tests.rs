//! The built-in catalogue is whole, and one with a mistake is refused in words that name it.

use super::*;

/// An entry that fits; `more` stands before its controls.
fn entry(more: &str, controls: &str) -> String {
    format!(
        "[[check]]\nid = \"SMC1999\"\nname = \"Example\"\ntitle = \"An example\"\narea = \"config\"\nseverity = \"high\"\n\
         tags = [\"a-tag\"]\nexpected = \"expected\"\nwhy = \"because\"\nfix = \"mend it\"\nverify = \"look again\"\n{more}\n\
         [check.controls]\n{controls}\n"
    )
}

fn with(keys: &str) -> Result<Catalogue, String> {
    let mut files = embedded::files();
    files.retain(|(path, _)| !path.starts_with("checks/"));
    files.push(("checks/keys.toml".into(), keys.to_owned()));
    Catalogue::parse(&files, "test")
}

#[test]
fn the_built_in_catalogue_is_whole() {
    let catalogue = Catalogue::built_in().unwrap();
    assert_eq!(catalogue.digest.len(), 64);
    for check in &catalogue.checks {
        assert!(!check.title.ends_with('.'), "{}: a title is no sentence", check.id);
        for profile in Profile::ALL {
            let _parameters = catalogue.parameters(check, profile);
        }
        let mapped: usize = check.controls.values().map(Vec::len).sum();
        assert!(mapped > 0, "{}: mapped to nothing", check.id);
    }
}

#[test]
fn an_entry_that_fits_is_read() {
    let catalogue = with(&entry("", "owasp_top10_2025 = [\"A04\"]\ncwe = [\"CWE-321\"]")).unwrap();
    let check = catalogue.check("SMC1999").unwrap();
    assert_eq!((check.area, check.severity), (Area::Config, Severity::High));
    assert!(check.needs.is_empty() && check.parameters.said().is_empty());
}

#[test]
fn a_profile_takes_what_it_does_not_say_from_the_one_it_stands_on() {
    let more = "severity_in = { development = \"off\", production = \"critical\" }\n[check.parameters]\ndays = 30\n\
                most = 5\n[check.parameters_in.production]\ndays = 7\n[check.parameters_in.bank]\nmost = 1";
    let catalogue = with(&entry(more, "")).unwrap();
    let check = catalogue.check("SMC1999").unwrap();
    assert_eq!(catalogue.severity(check, Profile::Development), None);
    assert_eq!(catalogue.severity(check, Profile::Staging), Some(Severity::High));
    assert_eq!(catalogue.severity(check, Profile::Bank), Some(Severity::Critical));
    let bank = catalogue.parameters(check, Profile::Bank);
    assert_eq!((bank.number("days"), bank.number("most")), (7, 1));
    let staging = catalogue.parameters(check, Profile::Staging);
    assert_eq!((staging.number("days"), staging.number("most")), (30, 5));
}

#[test]
fn every_mistake_is_refused_and_named() {
    let fine = entry("", "");
    for (mistaken, named) in [
        (fine.replace("SMC1999", "SMC2999"), "SMC1 and three digits"),
        (fine.replace("SMC1999", "SMC19"), "SMC1 and three digits"),
        (fine.replace("\"Example\"", "\"example\""), "PascalCase"),
        (format!("{fine}{fine}"), "twice"),
        (fine.replace("\"because\"", "\"\""), "must say something"),
        (fine.replace("a-tag", "A tag"), "A tag"),
        (fine.replace("\"config\"", "\"data\""), "data"),
        (fine.replace("\"high\"", "\"urgent\""), "urgent"),
        (fine.replace("title", "titel"), "titel"),
        (entry("", "owasp_top10_2025 = [\"A11\"]"), "A11"),
        (entry("", "owasp_asvs_5 = [\"7.1.4\"]"), "7.1.4"),
        (entry("", "nist_csf_2 = [\"ID.AM-06\"]"), "ID.AM-06"),
        (entry("", "pci_dss_4 = [\"1.1\"]"), "pci_dss_4"),
        (entry("", "cwe = [\"321\"]"), "321"),
        (entry("[check.parameters_in.bank]\ndays = 1", ""), "days"),
        (entry("[check.parameters]\ndays = 1\n[check.parameters_in.bank]\ndays = \"1\"", ""), "days"),
        (entry("needs = [\"internet\"]", ""), "internet"),
        (entry("severity_in = { bnak = \"low\" }", ""), "bnak"),
    ] {
        let refused = with(&mistaken).unwrap_err();
        assert!(refused.contains(named) && refused.contains("checks/keys.toml"), "{named}: {refused}");
    }
}

#[test]
fn the_digest_is_of_every_file() {
    let mut files = embedded::files();
    let before = Catalogue::parse(&files, "test").unwrap().digest;
    files[0].1.push_str("\n# another word\n");
    assert_ne!(Catalogue::parse(&files, "test").unwrap().digest, before);
    files.remove(0);
    assert!(Catalogue::parse(&files, "test").unwrap_err().contains("profiles.toml is missing"));
}
