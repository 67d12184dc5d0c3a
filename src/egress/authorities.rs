//! Certificate authorities that the operator names in a file. Never: a private key, or a file that anything else wrote.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::reading::{self, io_cause};

/// Largest file that is read.
const LARGEST: u64 = 1 << 20;

/// Every certificate of a PEM file.
///
/// # Errors
/// Why there is none, in words that follow the name of a configuration key.
pub fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem =
        reading::bytes(file, LARGEST).map_err(|error| format!("it cannot be read: {}", io_cause(&error)))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("it holds no certificate in PEM".to_owned()),
    }
}
