//! The first message of a TLS handshake, made by hand, and what a server picks in its answer: to see versions and suites
//! that our own TLS library refuses to speak at all (RFC 5246, RFC 8446 section 4.1).
//!
//! Pure: bytes in, bytes out. Never: more of a handshake than this; nothing here protects anything.

use super::suites;

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// TLS 1.1 at most, with every suite that a server of its time has.
    Legacy,
    /// TLS 1.2 with only those suites that have no forward secrecy or no authenticated encryption.
    WeakSuites,
    /// TLS 1.2 with only those suites that have no encryption, no authentication or keys made to be broken.
    Unprotected,
    /// TLS 1.3 with only the suite whose tags have eight bytes.
    ShortTags,
    /// TLS 1.3 with only those key exchanges that also hold against quantum computers.
    PostQuantum,
}

/// What a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes on with this version and suite; with TLS 1.3 also a key exchange, by its number.
    Picked {
        /// `0x0301` is TLS 1.0, `0x0304` is TLS 1.3.
        version: u16,
        /// By its number in the registry of IANA.
        suite: u16,
        /// By its number there.
        group: Option<u16>,
    },
    /// It ends the connection with this alert.
    Alert(u8),
    /// What it sends is no TLS, or it hangs up without a word.
    Other,
}

impl Answer {
    /// Whether it says that it will have none of what was offered: `handshake_failure`, `illegal_parameter`,
    /// `protocol_version`, `insufficient_security` (RFC 8446 section 6.2). Another alert, and none, can have any reason.
    pub const fn refuses(&self) -> bool {
        matches!(self, Self::Alert(40 | 47 | 70 | 71))
    }
}

/// TLS 1.0.
pub const TLS10: u16 = 0x0301;
/// TLS 1.1.
pub const TLS11: u16 = 0x0302;
/// TLS 1.2.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3.
pub const TLS13: u16 = 0x0304;

/// Those of TLS 1.3.
const MODERN: [u16; 3] = [0x1301, 0x1302, 0x1303];
/// TLS_AES_128_CCM_8_SHA256: a forgery in 2^64 is taken (RFC 8446 section B.4), for devices that have no room for more.
pub const SHORT_TAGS: u16 = 0x1305;
/// Beside the suites: that this client would renegotiate safely (RFC 5746), without which some servers refuse anything.
const RENEGOTIATES: u16 = 0x00ff;
/// x25519, P-256, P-384, P-521, x448, Brainpool's, secp256k1.
const CLASSIC_GROUPS: [u16; 9] = [0x001d, 0x0017, 0x0018, 0x0019, 0x001e, 0x001a, 0x001b, 0x001c, 0x0016];
/// X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024.
const HYBRID_GROUPS: [u16; 3] = [0x11ec, 0x11eb, 0x11ed];
/// ECDSA, RSA-PSS, Ed25519, RSA and DSA with SHA-256 and more, RSA, ECDSA and DSA with SHA-1.
const SIGNATURES: [u16; 14] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0402, 0x0203, 0x0201,
    0x0202,
];

/// The message that makes this offer, with a name where the host has one. `random` is shown to the server.
pub fn hello(offer: Offer, name: Option<&str>, random: &[u8; 32]) -> Vec<u8> {
    let version = if offer == Offer::Legacy { TLS11 } else { TLS12 };
    let mut body = version.to_be_bytes().to_vec();
    body.extend_from_slice(random);
    // A session id, as middleboxes expect of TLS 1.3 (RFC 8446 appendix D.4).
    body.push(32);
    body.extend_from_slice(random);
    body.extend(sized2(&words(&offered(offer))));
    // One way to compress: not at all.
    body.extend([1, 0]);
    body.extend(sized2(&extensions(offer, name)));
    let mut message = vec![1];
    message.extend(u32::try_from(body.len()).unwrap_or(0).to_be_bytes().get(1..).unwrap_or_default());
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(sized2(&message));
    record
}

fn offered(offer: Offer) -> Vec<u16> {
    let mut all = match offer {
        Offer::Legacy => [suites::weak(), suites::unprotected()].concat(),
        Offer::WeakSuites => suites::weak(),
        Offer::Unprotected => suites::unprotected(),
        Offer::PostQuantum => return MODERN.to_vec(),
        Offer::ShortTags => return vec![SHORT_TAGS],
    };
    all.push(RENEGOTIATES);
    all
}

fn extensions(offer: Offer, name: Option<&str>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |kind: u16, content: Vec<u8>| {
        all.extend(kind.to_be_bytes());
        all.extend(sized2(&content));
    };
    if let Some(name) = name.filter(|name| name.len() < 256) {
        let mut entry = vec![0];
        entry.extend(sized2(name.as_bytes()));
        add(0, sized2(&entry));
    }
    let groups: &[u16] = if offer == Offer::PostQuantum { &HYBRID_GROUPS } else { &CLASSIC_GROUPS };
    add(10, sized2(&words(groups)));
    add(11, vec![1, 0]);
    add(13, sized2(&words(&SIGNATURES)));
    if matches!(offer, Offer::PostQuantum | Offer::ShortTags) {
        add(43, vec![2, 3, 4]);
        // No share: a server that knows one of the groups asks for it (RFC 8446 section 4.2.8).
        add(51, vec![0, 0]);
    }
    all
}

fn words(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// The bytes with their count in two bytes before them.
fn sized2(bytes: &[u8]) -> Vec<u8> {
    let mut sized = u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes().to_vec();
    sized.extend_from_slice(bytes);
    sized
}

/// Alerts that only warn (an unknown name, say) come before the answer itself and are none.
fn unwarned(mut bytes: &[u8]) -> &[u8] {
    while let [21, 3, _, 0, 2, 1, _, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// How many bytes there are up to the end of the first record that is no warning, once its head is there; what is no
/// record is over with its first byte.
pub fn answer_length(bytes: &[u8]) -> Option<usize> {
    let rest = unwarned(bytes);
    Some(bytes.len() - rest.len() + record_length(rest)?)
}

fn record_length(bytes: &[u8]) -> Option<usize> {
    if !matches!(bytes.first()?, 20..=23) {
        return Some(1);
    }
    let length = u16::from_be_bytes([*bytes.get(3)?, *bytes.get(4)?]);
    Some(5 + usize::from(length))
}

/// Reads the first record of an answer that is no warning.
pub fn answer(bytes: &[u8]) -> Answer {
    let bytes = unwarned(bytes);
    let content = record_length(bytes).and_then(|length| bytes.get(5..length.min(bytes.len())));
    match (bytes, content) {
        ([21, 3, ..], Some([_level, alert, ..])) => Answer::Alert(*alert),
        ([22, 3, ..], Some(message)) => server_hello(message).unwrap_or(Answer::Other),
        _ => Answer::Other,
    }
}

fn server_hello(message: &[u8]) -> Option<Answer> {
    let (2, rest) = (*message.first()?, message.get(4..)?) else { return None };
    let legacy = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
    let session = usize::from(*rest.get(34)?);
    let rest = rest.get(35 + session..)?;
    let suite = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
    let (mut version, mut group) = (legacy, None);
    // After the compression: the extensions with their length, where there are any.
    let mut extensions = rest.get(5..).unwrap_or_default();
    while let [kind1, kind2, length1, length2, more @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([*length1, *length2]));
        let (content, next) = more.split_at_checked(length)?;
        match (u16::from_be_bytes([*kind1, *kind2]), content) {
            (43, [high, low]) => version = u16::from_be_bytes([*high, *low]),
            (51, [high, low, ..]) => group = Some(u16::from_be_bytes([*high, *low])),
            _ => {}
        }
        extensions = next;
    }
    Some(Answer::Picked { version, suite, group })
}

/// A version as people call it.
pub fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSL 3.0".to_owned(),
        TLS10 => "TLS 1.0".to_owned(),
        TLS11 => "TLS 1.1".to_owned(),
        TLS12 => "TLS 1.2".to_owned(),
        TLS13 => "TLS 1.3".to_owned(),
        other => format!("version {other:#06x}"),
    }
}

/// A key exchange that also holds against quantum computers, by its name.
pub const fn hybrid_name(group: u16) -> Option<&'static str> {
    match group {
        0x11ec => Some("X25519MLKEM768"),
        0x11eb => Some("SecP256r1MLKEM768"),
        0x11ed => Some("SecP384r1MLKEM1024"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server's answer with this version, suite and extensions.
    fn picked(version: u16, suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend([3, 1, 2, 3]);
        body.extend(suite.to_be_bytes());
        body.push(0);
        if !extensions.is_empty() {
            body.extend(sized2(extensions));
        }
        let mut message = vec![2, 0, 0, u8::try_from(body.len()).unwrap()];
        message.extend(body);
        let mut record = vec![22, 3, 3];
        record.extend(sized2(&message));
        record
    }

    #[test]
    fn what_a_server_picks_is_read_with_and_without_extensions() {
        let old = picked(TLS10, 0xc013, &[]);
        assert_eq!(answer(&old), Answer::Picked { version: TLS10, suite: 0xc013, group: None });
        let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0x11, 0xec];
        let new = picked(TLS12, 0x1301, &extensions);
        assert_eq!(answer(&new), Answer::Picked { version: TLS13, suite: 0x1301, group: Some(0x11ec) });
        assert_eq!(answer(&[21, 3, 3, 0, 2, 2, 70]), Answer::Alert(70));
        for other in [&b"HTTP/1.1 400 Bad Request"[..], b"", &[22, 3], &[22, 3, 3, 0, 0], &old[..20]] {
            assert_eq!(answer(other), Answer::Other);
        }
        assert_eq!((record_length(&old), record_length(&[22])), (Some(old.len()), None));
        assert_eq!(record_length(b"HTTP/1.1 400"), Some(1), "nothing to wait for");
    }

    #[test]
    fn a_warning_is_no_answer_and_not_every_alert_refuses() {
        let warning = [21, 3, 1, 0, 2, 1, 112];
        assert_eq!((answer(&warning), answer_length(&warning)), (Answer::Other, None));
        let hello = [&warning[..], &picked(TLS10, 0x0002, &[])].concat();
        assert_eq!(answer_length(&hello), Some(hello.len()));
        assert_eq!(answer(&hello), Answer::Picked { version: TLS10, suite: 0x0002, group: None });
        let refusing: Vec<u8> = (0..=255).filter(|alert| Answer::Alert(*alert).refuses()).collect();
        assert_eq!(refusing, [40, 47, 70, 71]);
        assert!(!Answer::Other.refuses());
    }

    #[test]
    fn an_offer_says_its_own_length_and_names_the_host() {
        for offer in
            [Offer::Legacy, Offer::WeakSuites, Offer::Unprotected, Offer::ShortTags, Offer::PostQuantum]
        {
            let bytes = hello(offer, Some("music.example"), &[9; 32]);
            assert_eq!(record_length(&bytes), Some(bytes.len()));
            let message = usize::from(bytes[7]) << 8 | usize::from(bytes[8]);
            assert_eq!(message + 9, bytes.len());
            assert!(bytes.windows(13).any(|part| part == b"music.example"));
            assert!(bytes.len() < 1024, "{offer:?} fits any first read");
        }
        assert_eq!(hello(Offer::Legacy, None, &[9; 32])[9..11], [3, 2]);
    }

    /// Our own TLS library as the server: it understands the offers, and refuses them for the right reason.
    #[test]
    fn a_real_server_understands_the_offers() {
        use rustls::server::Acceptor;
        for (offer, version) in
            [(Offer::WeakSuites, TLS12), (Offer::Unprotected, TLS12), (Offer::PostQuantum, TLS13)]
        {
            let mut acceptor = Acceptor::default();
            acceptor.read_tls(&mut hello(offer, Some("music.example"), &[9; 32]).as_slice()).unwrap();
            let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().expect("a whole hello");
            assert_eq!(accepted.client_hello().server_name(), Some("music.example"), "{version:#x}");
            assert!(accepted.client_hello().cipher_suites().len() >= 3);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..60_usize, byte: u8) {
            let _ = answer(&bytes);
            let mut near = picked(TLS12, 0x1301, &[0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0x11, 0xec]);
            let at = at % near.len();
            near[at] = byte;
            let _ = answer(&near);
        }
    }
}
