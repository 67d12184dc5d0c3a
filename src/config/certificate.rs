//! The certificate and private key of built-in TLS: reads both files and says what is wrong with them as a pair.
//!
//! Never: judging who signed the certificate, which is the clients' affair. The key's bytes enter no message.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};
use zeroize::Zeroizing;

use super::problem::Wrong;
use crate::ambient::Timestamp;
use crate::reading::{self, io_cause};

/// The keys, for whoever says what is wrong with their files.
pub const CERTIFICATE: &str = "server.tls.certificate";
/// See [`CERTIFICATE`].
pub const KEY: &str = "server.tls.key";

/// Chains and keys are a few kilobytes.
const MAX_BYTES: u64 = 256 * 1024;

/// A moment after every certificate's end (RFC 5280, 4.1.2.5: the last that can be written is in the year 9999).
const NEVER: Duration = Duration::from_secs(253_402_300_800);

/// The files of built-in TLS, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and then those that lead to a root.
    pub certificate: PathBuf,
    /// Its private key, not encrypted.
    pub key: PathBuf,
}

/// A certificate with its key, fit to be served.
pub struct Pair {
    /// As rustls serves it.
    pub certified: Arc<CertifiedKey>,
    /// How long it is valid.
    pub lifetime: Duration,
    /// When it ends.
    pub ends: Timestamp,
}

/// What is wrong, and with which key's file.
pub type Unfit = (&'static str, Wrong);

/// The one provider of cryptography for TLS.
pub fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// Reads both files and holds them against each other and the time.
///
/// # Errors
/// A file that cannot be read or holds something else, a key of another certificate, a certificate that has ended or
/// not begun.
pub fn read(files: &TlsFiles, now: Timestamp) -> Result<Pair, Unfit> {
    let text = bytes(&files.certificate).map_err(|wrong| (CERTIFICATE, wrong))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.unwrap_or_default();
    let first = chain.first().ok_or_else(|| (CERTIFICATE, no_certificate(&files.certificate)))?;
    let (begins, ends) = validity(first).ok_or_else(|| (CERTIFICATE, no_certificate(&files.certificate)))?;
    let text = bytes(&files.key).map_err(|wrong| (KEY, wrong))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| (KEY, no_key(&files.key, &text)))?;
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| (KEY, misfit(&error)))?;
    if now >= ends || now < begins {
        return Err((CERTIFICATE, not_valid_now(begins, ends, now)));
    }
    Ok(Pair { certified: Arc::new(certified), lifetime: ends.since(begins), ends })
}

impl Pair {
    /// Whether a client that comes by this host name or address finds it in the certificate.
    pub fn covers(&self, host: &str) -> bool {
        let named = host.trim_start_matches('[').trim_end_matches(']');
        let parsed =
            self.certified.end_entity_cert().ok().and_then(|der| ParsedCertificate::try_from(der).ok());
        match (parsed, ServerName::try_from(named)) {
            (Some(parsed), Ok(name)) => verify_server_name(&parsed, &name).is_ok(),
            _ => false,
        }
    }
}

/// When a certificate begins and ends. rustls tells it only in its refusals: so it is asked about two moments at
/// which no certificate is valid, and who signed it does not come into it.
pub fn validity(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let (roots, provider) = (RootCertStore::empty(), provider());
    let refused = |at: Duration| {
        let at = UnixTime::since_unix_epoch(at);
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], at, algorithms).err()
    };
    let stamp = |time: UnixTime| i64::try_from(time.as_secs()).ok().map(Timestamp::from_secs);
    let begins = match refused(Duration::ZERO)? {
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            stamp(not_before)?
        }
        // Since 1970 or earlier.
        _ => Timestamp::from_secs(0),
    };
    match refused(NEVER)? {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Some((begins, stamp(not_after)?))
        }
        _ => None,
    }
}

fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    reading::bytes(path, MAX_BYTES).map(Zeroizing::new).map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::FileTooLarge => "name a PEM file with one chain or one key",
            _ => "name a regular file that exists and that this user may read",
        };
        let why = format!("{} cannot be read: {}", path.display(), io_cause(&error));
        Wrong::new(why, fix).coded("TLS_FILE_UNREADABLE").of_file(&error)
    })
}

fn no_certificate(path: &Path) -> Wrong {
    let why = format!("{} holds no certificate that can be read", path.display());
    let fix = "name a PEM file that begins with the server's certificate (-----BEGIN CERTIFICATE-----), its chain behind it";
    Wrong::new(why, fix).coded("TLS_CERTIFICATE_MISSING")
}

fn no_key(path: &Path, text: &[u8]) -> Wrong {
    let encrypted = b"ENCRYPTED";
    let why = match text.windows(encrypted.len()).any(|part| part == encrypted) {
        true => format!("the private key in {} is encrypted", path.display()),
        false => format!("{} holds no private key that can be read", path.display()),
    };
    let fix = "name a PEM file with the private key, not encrypted (-----BEGIN PRIVATE KEY-----), readable by this user alone";
    Wrong::new(why, fix).coded("TLS_KEY_MISSING")
}

fn misfit(error: &Error) -> Wrong {
    match error {
        Error::InconsistentKeys(_) => Wrong::new(
            "it is the key of another certificate",
            "name the certificate and the key that were made together; while they are renewed, replace both",
        )
        .coded("TLS_KEY_MISMATCH"),
        _ => Wrong::new(
            "it is no key that can sign for TLS",
            "use an ECDSA (P-256 or P-384), Ed25519 or RSA key of at least 2048 bits",
        )
        .coded("TLS_KEY_UNFIT"),
    }
}

fn not_valid_now(begins: Timestamp, ends: Timestamp, now: Timestamp) -> Wrong {
    if now < begins {
        let why = format!("the certificate is not valid before {}", begins.rfc3339());
        return Wrong::new(why, "check this machine's clock").coded("TLS_CERTIFICATE_NOT_YET_VALID");
    }
    let why = format!("the certificate ended at {}", ends.rfc3339());
    Wrong::new(why, "renew it").coded("TLS_CERTIFICATE_EXPIRED")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    struct Files(TlsFiles);

    impl Files {
        fn new(name: &str, certificate: &str, key: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("spotify-mcp-pair-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
            std::fs::write(&files.certificate, certificate).unwrap();
            std::fs::write(&files.key, key).unwrap();
            Self(files)
        }

        fn code(&self) -> (&'static str, &'static str) {
            read(&self.0, NOW).err().map_or(("", ""), |(key, wrong)| (key, wrong.code))
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(self.0.key.parent().unwrap());
        }
    }

    fn pem(from: i32, to: i32, ca: bool) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(["music.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        if ca {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&key).unwrap();
        (text("CERTIFICATE", certificate.der()), text("PRIVATE KEY", &key.serialize_der()))
    }

    fn text(label: &str, der: &[u8]) -> String {
        use base64::Engine as _;
        let lines = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> =
            lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn a_good_pair_tells_its_times_and_names() {
        for (name, ca) in [("good", false), ("its-own-ca", true)] {
            let (certificate, key) = pem(2020, 2030, ca);
            let files = Files::new(name, &format!("a comment\n{certificate}"), &key);
            let pair = read(&files.0, NOW).ok().unwrap();
            assert_eq!(pair.ends.rfc3339(), "2030-01-01T00:00:00.000Z");
            assert_eq!(pair.lifetime.as_secs() / 86_400, 3653);
            assert!(pair.covers("music.example") && pair.covers("127.0.0.1"));
            assert!(!pair.covers("other.example") && !pair.covers("[::1]") && !pair.covers(""));
        }
    }

    #[test]
    fn each_fault_has_its_code_and_its_key() {
        let (certificate, key) = pem(2020, 2030, false);
        let (old, old_key) = pem(2010, 2020, false);
        let (future, future_key) = pem(2100, 2110, false);
        let (_, other) = pem(2020, 2030, false);
        let encrypted = key
            .replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE")
            .replace("END PRIVATE", "END ENCRYPTED PRIVATE");
        for (name, certificate, key, expected) in [
            ("mixed", &certificate, &other, (KEY, "TLS_KEY_MISMATCH")),
            ("swapped", &key, &certificate, (CERTIFICATE, "TLS_CERTIFICATE_MISSING")),
            ("cut", &certificate[..200].to_owned(), &key, (CERTIFICATE, "TLS_CERTIFICATE_MISSING")),
            ("keyless", &certificate, &certificate, (KEY, "TLS_KEY_MISSING")),
            ("encrypted", &certificate, &encrypted, (KEY, "TLS_KEY_MISSING")),
            ("old", &old, &old_key, (CERTIFICATE, "TLS_CERTIFICATE_EXPIRED")),
            ("future", &future, &future_key, (CERTIFICATE, "TLS_CERTIFICATE_NOT_YET_VALID")),
            ("large", &certificate.repeat(1000), &key, (CERTIFICATE, "TLS_FILE_UNREADABLE")),
        ] {
            assert_eq!(Files::new(name, certificate, key).code(), expected, "{name}");
        }
        let missing = TlsFiles { certificate: "/nowhere/cert.pem".into(), key: "/nowhere/key.pem".into() };
        assert_eq!(read(&missing, NOW).err().unwrap().1.code, "TLS_FILE_UNREADABLE");
    }
}
