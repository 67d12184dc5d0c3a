//! Servers with one fault each: every fault is seen, and by its name.

use super::*;
use crate::check::network::fixtures::{Authority, BOTH, agreeing, answering, secured};
use crate::check::network::proof::old_server_hello;

async fn look_at(address: SocketAddr, host: &str, authority: &Authority) -> Shown {
    let server = Server { address, host: host.to_owned() };
    look(&server, &Trust::web_and(std::slice::from_ref(&authority.root)), &Dice::system()).await.unwrap()
}

#[tokio::test]
async fn a_sound_server_is_trusted_and_refuses_what_is_weak() {
    let authority = Authority::new();
    for complete in [authority.issue("127.0.0.1", 2100), authority.issue_below("127.0.0.1", true)] {
        let sent = complete.0.len();
        let shown = look_at(secured(complete, BOTH).await, "127.0.0.1", &authority).await;
        assert!(
            matches!(&shown.strict, Strict::Trusted { version: "TLS 1.3", suite, group }
            if suite.starts_with("TLS13_") && !group.is_empty()),
            "{shown:?}"
        );
        let certificate = shown.certificate.unwrap();
        assert_eq!(
            (certificate.names_host, certificate.sent, certificate.key.as_str()),
            (true, sent, "P-256")
        );
        assert_eq!(certificate.ends, Some(4_102_444_800));
        for refused in [shown.legacy, shown.weak, shown.unprotected, shown.short, shown.hybrid] {
            assert!(refused.as_ref().is_ok_and(Answer::refuses), "{refused:?}");
        }
    }
    let older = secured(authority.issue("127.0.0.1", 2100), &[&rustls::version::TLS12]).await;
    let shown = look_at(older, "127.0.0.1", &authority).await;
    assert!(matches!(shown.strict, Strict::Trusted { version: "TLS 1.2", .. }), "{shown:?}");
}

#[tokio::test]
async fn every_fault_of_a_certificate_has_its_name() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (certificate, fault) in [
        (authority.issue("127.0.0.1", 2020), Fault::Expired),
        (authority.issue("other.example", 2100), Fault::WrongName),
        (Authority::alone("127.0.0.1"), Fault::SelfSigned),
        (authority.issue_below("127.0.0.1", false), Fault::NoPath),
        (stranger.issue("127.0.0.1", 2100), Fault::NoPath),
    ] {
        let shown = look_at(secured(certificate, BOTH).await, "127.0.0.1", &authority).await;
        assert_eq!(shown.strict, Strict::Untrusted(fault));
        assert_eq!(shown.certificate.unwrap().names_host, fault != Fault::WrongName);
    }
}

#[tokio::test]
async fn an_old_version_is_seen_though_we_do_not_speak_it() {
    let authority = Authority::new();
    for version in [hello::TLS10, hello::TLS11] {
        let shown =
            look_at(answering(old_server_hello(version, 0xc013)).await, "127.0.0.1", &authority).await;
        assert_eq!(shown.legacy, Ok(Answer::Picked { version, suite: 0xc013, group: None }));
        assert!(matches!(shown.strict, Strict::Refused(_)) && shown.certificate.is_none(), "{shown:?}");
    }
}

/// Whichever suite a server has: where it is offered at all, it is picked and seen.
#[tokio::test]
async fn every_suite_that_should_be_refused_is_offered() {
    let authority = Authority::new();
    for (suite, unprotected) in [
        (0x0002, true),
        (0x003b, true),
        (0x0018, true),
        (0xc0a0, false),
        (0xc0ae, false),
        (0x00be, false),
        (0x0004, false),
    ] {
        let shown = look_at(agreeing(suite).await, "127.0.0.1", &authority).await;
        let picked = Ok(Answer::Picked { version: hello::TLS12, suite, group: None });
        assert_eq!(shown.unprotected == picked, unprotected, "{suite:#06x}");
        assert_eq!(shown.weak == picked, !unprotected, "{suite:#06x}");
        assert!(shown.short.as_ref().is_ok_and(Answer::refuses), "{:?}", shown.short);
        assert_eq!(shown.legacy, picked, "of an old server any of them");
    }
}

/// A server of TLS 1.3 that takes tags of eight bytes is seen by the one offer that has them.
#[tokio::test]
async fn the_suite_of_tls_1_3_with_short_tags_is_offered() {
    let authority = Authority::new();
    let shown = look_at(agreeing(hello::SHORT_TAGS).await, "127.0.0.1", &authority).await;
    assert!(matches!(shown.short, Ok(Answer::Picked { suite: hello::SHORT_TAGS, .. })), "{:?}", shown.short);
    assert!(shown.weak.as_ref().is_ok_and(Answer::refuses), "{:?}", shown.weak);
}

#[tokio::test]
async fn what_is_no_tls_or_not_there_is_told_apart() {
    let authority = Authority::new();
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    let shown = look_at(plain, "localhost", &authority).await;
    assert!(matches!(shown.strict, Strict::Refused(_)));
    assert_eq!(shown.legacy, Ok(Answer::Other));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gone = Server { address, host: "localhost".to_owned() };
    let unseen = look(&gone, &Trust::web_and(&[]), &Dice::system()).await.unwrap_err();
    assert!(unseen.why.contains("cannot be connected to"), "{unseen}");
}

#[test]
fn keys_have_names() {
    let rsa: Vec<u8> =
        [&[0x30, 0x82][..], &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01], &[0; 294 - 11]].concat();
    assert_eq!(key_name(&rsa), "RSA 2048");
    assert_eq!((key_name(&[0; 44]), key_name(&[0; 91])), ("Ed25519".to_owned(), "P-256".to_owned()));
    assert_eq!(key_name(&[0; 5]), "a key of 5 bytes");
}

/// A certificate for a key of RSA with 1024 bits, which another's certificate leads to.
const SMALL: &str = "-----BEGIN CERTIFICATE-----\n\
MIICjTCCAXWgAwIBAgIURiogj15f+8YN2bPexpABP6IkWdUwDQYJKoZIhvcNAQEL\n\
BQAwDzENMAsGA1UEAwwEcm9vdDAgFw0yNjExMjIwNTIyNTNaGA8yMTI2MTAyOTA1\n\
MjI1M1owFDESMBAGA1UEAwwJMTI3LjAuMC4xMIGfMA0GCSqGSIb3DQEBAQUAA4GN\n\
ADCBiQKBgQC7SBNtIw7X10+FtUJDp13DXV41fDi6lkXdS5RN8rw5X5Se5tq4bakf\n\
f3WBmTsAiHZdnKE1IQWdrHd9NWRmHD/9rBQsdDcKwEvRf8aHPcUsrGlKPQw4+8NN\n\
ySz2/s9dx+t17qXy0L08ZIJ85tzRUkbPcHg00bDTp+65kE786BFwnQIDAQABo14w\n\
XDAPBgNVHREECDAGhwR/AAABMAkGA1UdEwQCMAAwHQYDVR0OBBYEFDT+3Eslf2O+\n\
9AcbKon6B8M4aQFYMB8GA1UdIwQYMBaAFMpYKYatKCC5d1BIiscpAfpzC6VLMA0G\n\
CSqGSIb3DQEBCwUAA4IBAQBXUGq2P44QdpzARLmHfLOv6qzN0xwk6ji90rMkY7e3\n\
IchQ8e9tFHC485/wT6/ghhbc29wnGZAFOIIXiik0TZFiOqee86yil25oGNLW/byW\n\
84+GCeeIvMBj1qdOI0FR2dFZV6va8ei8L/dKu3Hlb4u1llxoXc3NvykRvUjpQSc9\n\
SUvW9TS3kZRO/wV4+XF9Mliih0Tz4DxmaPvG59CpWfpcqdeK6YaQal7JpXg+7FzG\n\
Sf90M3j2vv/35qXDu92VEUKPDTVV7ryc+HpdCiHZYDXm1OlV5lZJ3XB6pBHhUDlv\n\
j2V03NqDB0zdCv/tTg6lHjR4VkqlCbDOwU4SVosTqkTz\n\
-----END CERTIFICATE-----\n";

#[test]
fn a_key_that_is_too_small_is_named_whatever_else_is_said() {
    use rustls::pki_types::pem::PemObject as _;
    let small = CertificateDer::from_pem_slice(SMALL.as_bytes()).unwrap();
    for said in [CertificateError::BadSignature, CertificateError::UnknownIssuer] {
        assert_eq!(fault(&said, std::slice::from_ref(&small)), Fault::SmallKey);
    }
    assert_eq!(fault(&CertificateError::Expired, std::slice::from_ref(&small)), Fault::Expired);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    assert_eq!(described(&[small], &name).key, "RSA 1024");
    for (length, bits) in [(94, 512), (162, 1024), (226, 1536), (294, 2048), (422, 3072), (550, 4096)] {
        let mut info = vec![0; length];
        info[6..15].copy_from_slice(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]);
        assert_eq!(rsa_bits(&info), Some(bits));
    }
}
