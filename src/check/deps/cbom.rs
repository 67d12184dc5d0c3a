//! The cryptography that this program uses, as CycloneDX 1.6 `cryptographic-asset` components (a CBOM; ASVS 11.1.2).
//!
//! Written by hand from the code that it describes: each entry names the module that uses it. Never: a claim about
//! certification.

use serde_json::{Value, json};

/// An algorithm or protocol, and what for.
struct Asset {
    name: &'static str,
    /// CycloneDX's word for what it is; `None`: a protocol.
    primitive: Option<&'static str>,
    /// Key length, variant or curve, where the name does not say it all.
    parameters: &'static str,
    functions: &'static [&'static str],
    /// Bits of classical security, and NIST's category against quantum computers (0: none).
    strength: (u32, u32),
    purpose: &'static str,
}

const fn asset(
    name: &'static str,
    (primitive, parameters): (&'static str, &'static str),
    functions: &'static [&'static str],
    strength: (u32, u32),
    purpose: &'static str,
) -> Asset {
    Asset { name, primitive: Some(primitive), parameters, functions, strength, purpose }
}

const fn protocol(name: &'static str, version: &'static str, purpose: &'static str) -> Asset {
    Asset { name, primitive: None, parameters: version, functions: &[], strength: (0, 0), purpose }
}

const ASSETS: &[Asset] = &[
    asset(
        "AES-256-GCM",
        ("ae", "256"),
        &["encrypt", "decrypt"],
        (256, 5),
        "values at rest, backups, sealed configuration (src/crypto/envelope.rs, stream.rs)",
    ),
    asset(
        "HKDF-SHA256",
        ("kdf", "256"),
        &["keyderive"],
        (256, 5),
        "a key for each purpose and record (src/crypto/keys.rs, envelope.rs)",
    ),
    asset(
        "Argon2id",
        ("kdf", "19 MiB or more"),
        &["keyderive"],
        (256, 5),
        "keys from passphrases (src/crypto/kdf.rs)",
    ),
    asset(
        "PBKDF2-HMAC-SHA256",
        ("kdf", "600000 rounds or more"),
        &["keyderive"],
        (256, 5),
        "keys from passphrases (src/crypto/kdf.rs)",
    ),
    asset(
        "HMAC-SHA256",
        ("mac", "256"),
        &["tag", "verify"],
        (256, 5),
        "document codes, request signatures, webhooks (src/config/sealed, src/domain/signature.rs, src/alerts/webhook.rs)",
    ),
    asset(
        "SHA-256",
        ("hash", "256"),
        &["digest"],
        (128, 2),
        "the audit chain and tree, hashed credentials, PKCE (src/audit, src/crypto/token.rs)",
    ),
    asset("BLAKE2b", ("hash", "512"), &["digest"], (256, 5), "within Argon2id alone (src/crypto/kdf.rs)"),
    asset(
        "SHA-1",
        ("hash", "160"),
        &["digest"],
        (0, 0),
        "names of things in reports (UUIDs of version 5, src/check/report/uuid.rs); nothing is proven by it",
    ),
    asset(
        "MD5",
        ("hash", "128"),
        &["digest"],
        (0, 0),
        "within the PostgreSQL driver alone, for servers whose passwords are still stored so, which SMC5004 finds",
    ),
    asset(
        "Ed25519",
        ("signature", "Curve25519"),
        &["sign", "verify"],
        (128, 0),
        "checkpoints of the audit trail, evidence (src/crypto/signature.rs)",
    ),
    asset(
        "System random generator",
        ("drbg", "getrandom"),
        &["generate"],
        (256, 5),
        "keys, nonces, tokens, states (src/ambient.rs)",
    ),
    protocol(
        "TLS",
        "1.3",
        "every connection to others and, where a certificate is configured, from clients (rustls)",
    ),
    protocol("TLS", "1.2", "the same, with peers that have no 1.3; forward-secret suites alone (rustls)"),
];

/// What each asset is called.
pub(super) fn names() -> Vec<&'static str> {
    ASSETS.iter().map(|asset| asset.name).collect()
}

/// Each asset's name within the document.
pub(super) fn references() -> impl Iterator<Item = String> {
    ASSETS.iter().map(reference)
}

/// The components.
pub(super) fn components() -> impl Iterator<Item = Value> {
    ASSETS.iter().map(component)
}

fn reference(asset: &Asset) -> String {
    let name = asset.name.to_ascii_lowercase().replace(' ', "-");
    let version = if asset.primitive.is_none() { format!("-{}", asset.parameters) } else { String::new() };
    format!("crypto/{name}{version}")
}

fn component(asset: &Asset) -> Value {
    let properties = match asset.primitive {
        Some(primitive) => json!({
            "assetType": "algorithm",
            "algorithmProperties": {
                "primitive": primitive,
                "parameterSetIdentifier": asset.parameters,
                "executionEnvironment": "software-plain-ram",
                "cryptoFunctions": asset.functions,
                "classicalSecurityLevel": asset.strength.0,
                "nistQuantumSecurityLevel": asset.strength.1,
            },
        }),
        None => json!({
            "assetType": "protocol",
            "protocolProperties": {"type": "tls", "version": asset.parameters},
        }),
    };
    json!({
        "type": "cryptographic-asset",
        "bom-ref": reference(asset),
        "name": asset.name,
        "description": asset.purpose,
        "cryptoProperties": properties,
    })
}
