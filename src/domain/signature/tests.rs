//! Signatures as they should be, and every way in which they should not.

use proptest::prelude::*;

use super::*;
use crate::crypto::keys::{mac_holds, signing_key};

/// The vector of docs/request-signing.md, computed by examples/signed_request.py.
const KEY: &str = "smcp_WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpgvwfE";
const COVERED: &str = "\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\"";
const PARAMETERS: &str = ";created=1795233600;nonce=\"b3dl2kcpvgJTbOtGAcMxuQ\"\
    ;keyid=\"ak_0123456789abcdef0123456789abcdef\";alg=\"hmac-sha256\"";
const SIGNATURE: &str = "sig=:F6Y54jvU2Diq0dgpoAsDmSVOuqt0FJMvSaWJa2i1ozc=:";
const DIGEST: &str = "sha-256=:uendAwx8IfeVG+LGfE90zy73aWDnNViHtq+jPAdN9VM=:";

fn now() -> Timestamp {
    Timestamp::from_secs(1_795_233_610)
}

/// Reads a request with these headers beside the vector's, which they replace.
fn read_with(headers: &[(&str, &str)], query: Option<&str>, now: Timestamp) -> Result<Option<Signed>, Flaw> {
    let input = format!("sig=({COVERED}){PARAMETERS}");
    let usual = [("signature-input", input.as_str()), ("signature", SIGNATURE), ("content-digest", DIGEST)];
    let field = |name: &str| {
        let given: Vec<_> = headers.iter().filter(|(other, _)| *other == name).collect();
        let all =
            if given.is_empty() { usual.iter().filter(|(other, _)| *other == name).collect() } else { given };
        Some(all.iter().map(|(_, value)| (*value).to_owned()).collect())
    };
    let message = Message {
        method: "POST",
        scheme: "https",
        authority: "Music.Example:443",
        path: "/mcp",
        query,
        has_content: true,
        field: &field,
    };
    read(&message, now)
}

fn input(covered: &str, parameters: &str) -> Result<Option<Signed>, Flaw> {
    read_with(&[("signature-input", &format!("sig=({covered}){parameters}"))], Some("x=1"), now())
}

fn flaw(read: Result<Option<Signed>, Flaw>) -> Flaw {
    read.expect_err("it was accepted")
}

#[test]
fn the_vector_of_the_documentation_holds() {
    let signed = read_with(&[], Some("x=1"), now()).unwrap().unwrap();
    assert_eq!(signed.key.as_str(), "ak_0123456789abcdef0123456789abcdef");
    assert_eq!(signed.nonce, "b3dl2kcpvgJTbOtGAcMxuQ");
    assert!(signed.base.starts_with(
        "\"@method\": POST\n\"@authority\": music.example\n\"@path\": /mcp\n\"@query\": ?x=1\n"
    ));
    assert!(mac_holds(&signing_key(KEY), signed.base.as_bytes(), &signed.mac));
    assert!(!mac_holds(&signing_key(&KEY.replace('W', "V")), signed.base.as_bytes(), &signed.mac));
    assert!(!mac_holds(&signing_key(KEY), signed.base.as_bytes(), &signed.mac[..31]));
    for other in [None, Some(""), Some("x=2"), Some("x=1&y")] {
        let signed = read_with(&[], other, now()).unwrap().unwrap();
        assert!(!mac_holds(&signing_key(KEY), signed.base.as_bytes(), &signed.mac), "{other:?}");
    }
}

#[test]
fn what_must_be_covered_is_and_nothing_twice_or_unknown() {
    let covers = |covered: &str| input(covered, PARAMETERS);
    for enough in [
        COVERED,
        "\"@method\" \"@target-uri\" \"content-digest\"",
        "\"@method\" \"@authority\" \"@request-target\" \"content-digest\"",
    ] {
        assert!(covers(enough).is_ok(), "{enough}");
    }
    for without in ["@method", "@authority", "@path", "@query", "content-digest"] {
        let less = COVERED.replace(&format!("\"{without}\""), "");
        assert_eq!(flaw(covers(&less)), Flaw::Components, "{without}");
    }
    for more in [
        "\"@path\"",
        "\"@status\"",
        "\"@query-param\";name=\"x\"",
        "\"x-absent\"",
        "\"Content-Digest\"",
        "\"content-digest\";sf",
        "\"content-digest\";req",
        "content-digest",
        "1",
    ] {
        assert_eq!(flaw(covers(&format!("{COVERED} {more}"))), Flaw::Components, "{more}");
    }
    // No query, nothing to cover; and a query that is added later is noticed.
    let without = format!("sig=({}){PARAMETERS}", COVERED.replace("\"@query\"", ""));
    let read = |query| read_with(&[("signature-input", &without)], query, now());
    assert!(read(None).is_ok());
    assert_eq!(flaw(read(Some(""))), Flaw::Components);
    let many: String = (0..40).map(|n| format!(" \"x-{n}\"")).collect();
    assert_eq!(flaw(covers(&format!("{COVERED}{many}"))), Flaw::Components);
}

#[test]
fn parameters_are_all_there_and_of_their_kind() {
    for (from, to) in [
        (";created=1795233600", ""),
        ("created=1795233600", "created=\"1795233600\""),
        ("created=1795233600", "created=1795233600.5"),
        (";nonce=\"b3dl2kcpvgJTbOtGAcMxuQ\"", ""),
        ("b3dl2kcpvgJTbOtGAcMxuQ", "short"),
        (";alg=\"hmac-sha256\"", ""),
        ("hmac-sha256", "rsa-v1_5-sha256"),
        ("hmac-sha256", "none"),
        (";alg", ";expires=x;alg"),
    ] {
        assert_eq!(flaw(input(COVERED, &PARAMETERS.replace(from, to))), Flaw::Parameters, "{to}");
    }
    let long = PARAMETERS.replace("b3dl2kcpvgJTbOtGAcMxuQ", &"n".repeat(129));
    assert_eq!(flaw(input(COVERED, &long)), Flaw::Parameters);
}

#[test]
fn only_a_few_minutes_count() {
    let at = |secs: i64| read_with(&[], None, Timestamp::from_secs(1_795_233_600 + secs));
    assert!(at(-30).is_ok() && at(0).is_ok() && at(300).is_ok());
    assert_eq!(flaw(at(-31)), Flaw::Early);
    assert_eq!(flaw(at(301)), Flaw::Old);
    let ended = PARAMETERS.replace(";alg", ";expires=1795233610;alg");
    assert_eq!(flaw(input(COVERED, &ended)), Flaw::Old);
    assert!(input(COVERED, &PARAMETERS.replace(";alg", ";expires=1795233611;alg")).is_ok());
    let signed = at(0).unwrap().unwrap();
    assert!(signed.spent_until > Timestamp::from_secs(1_795_233_600 + 300), "longer than it is accepted");
}

#[test]
fn headers_that_mean_two_things_are_refused() {
    let both = format!("sig=({COVERED}){PARAMETERS}, sig=({COVERED}){PARAMETERS}");
    let two = format!("sig=({COVERED}){PARAMETERS}, other=({COVERED}){PARAMETERS}");
    let one = format!("sig=({COVERED}){PARAMETERS}");
    for headers in [
        [("signature-input", both.as_str())].as_slice(),
        &[("signature-input", &one), ("signature-input", &one)],
        &[("signature-input", &two)],
        &[("signature", &format!("{SIGNATURE}, {SIGNATURE}"))],
        &[("signature", "other=:AAAA:")],
        &[("signature", "sig=AAAA")],
        &[("signature", "sig=:!:")],
        &[("signature", "")],
        &[("signature-input", "sig=(")],
        &[("signature", &"x".repeat(5000))],
    ] {
        assert_eq!(flaw(read_with(headers, None, now())), Flaw::Malformed, "{headers:?}");
    }
}

#[test]
fn signatures_of_others_are_nobodys() {
    for input in [
        "bot=(\"@authority\");created=1795233600;keyid=\"poqkLGiymh_W0uP6PZFw\";tag=\"web-bot-auth\"",
        "sig=(\"@method\");created=1",
        "sig=1",
        "",
    ] {
        assert!(read_with(&[("signature-input", input)], None, now()).unwrap().is_none(), "{input}");
    }
    // Beside one of ours they do no harm.
    let beside = format!("sig=({COVERED}){PARAMETERS}, bot=(\"@authority\");keyid=\"x\"");
    assert!(read_with(&[("signature-input", &beside)], None, now()).unwrap().is_some());
}

#[test]
fn a_digest_is_the_sha_256_of_the_body() {
    for digest in [
        "",
        "sha-512=:uendAwx8IfeVG+LGfE90zy73aWDnNViHtq+jPAdN9VM=:",
        "sha-256=uendAwx8",
        "sha-256=:uendAwx8:",
        "sha-256=:!:",
        "sha-256",
    ] {
        let read = read_with(&[("content-digest", digest)], None, now());
        assert_eq!(flaw(read), Flaw::Digest, "{digest}");
    }
    let twice = format!("{DIGEST}, {DIGEST}");
    assert_eq!(flaw(read_with(&[("content-digest", &twice)], None, now())), Flaw::Digest);
    let beside = format!("md5=:AAAA:, {DIGEST}");
    assert!(read_with(&[("content-digest", &beside)], None, now()).is_ok());
}

#[test]
fn advice_fits_into_a_challenge() {
    for flaw in [
        Flaw::Unsigned,
        Flaw::Malformed,
        Flaw::Components,
        Flaw::Parameters,
        Flaw::Old,
        Flaw::Early,
        Flaw::Digest,
        Flaw::Wrong,
        Flaw::Replayed,
        Flaw::OtherBody,
    ] {
        let advice = flaw.advice();
        assert!(!advice.contains([',', '=', '"', '\\']) && advice.is_ascii(), "{advice}");
    }
}

proptest! {
    #[test]
    fn any_headers_are_judged_without_a_panic(
        input in "(sig=|[ -~]{0,10})\\PC{0,120}", signature in "\\PC{0,60}", digest in "\\PC{0,60}",
    ) {
        let headers = [("signature-input", &*input), ("signature", &signature), ("content-digest", &digest)];
        let _ = read_with(&headers, None, now());
    }

    #[test]
    fn nothing_random_in_the_list_of_components_is_taken_for_enough(covered in "[ -~]{0,80}") {
        if let Ok(Some(signed)) = input(&covered, PARAMETERS) {
            prop_assert!(signed.base.contains("\"@method\": POST\n") || signed.base.contains("@target-uri"));
        }
    }
}
