//! Signed notes (c2sp.org/signed-note@v1.0.0) and the checkpoints of a log (c2sp.org/tlog-checkpoint@v1.0.0), by
//! Ed25519 alone. Pure. Never: deciding which keys are trusted, or taking a text for true before a key has vouched.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::merkle::Hash;
use crate::crypto::{Key, signature};

/// Most signatures of a note that are looked at (the specification asks for 16 at least).
const MOST_SIGNATURES: usize = 64;
/// The longest note that is read, in bytes.
const LONGEST: usize = 64 << 10;
/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";
/// The signature type of Ed25519 over the note's text.
const ED25519: u8 = 1;

/// The origin of a chain's checkpoints, which is also the name of the keys that sign them.
pub fn origin(chain_uid: &str) -> String {
    format!("spotify-mcp/audit/{chain_uid}")
}

/// A public key with its name. As text, `name+id+key`: the id in 8 hexadecimal digits, the type and the key in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: [u8; 32],
}

impl Verifier {
    /// Joins a name (not empty, without white space and plus) and an Ed25519 public key of 32 bytes.
    pub fn new(name: &str, public_key: &[u8]) -> Option<Self> {
        let key = public_key.try_into().ok()?;
        is_name(name).then(|| Self { name: name.to_owned(), key })
    }

    /// Reads the text form; `None` also where the id is not of this name and key.
    pub fn parse(vkey: &str) -> Option<Self> {
        let (name, rest) = vkey.split_once('+')?;
        let (id, key) = rest.split_once('+')?;
        let key = STANDARD.decode(key).ok()?;
        let (kind, key) = key.split_first()?;
        let verifier = Self::new(name, key)?;
        (*kind == ED25519 && id == hex(&verifier.id())).then_some(verifier)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name || 0x0A || 0x01 || public key): names the key, and proves nothing.
    pub fn id(&self) -> [u8; 4] {
        let digest =
            Sha256::new_with_prefix(&self.name).chain_update([b'\n', ED25519]).chain_update(self.key);
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest.finalize());
        [a, b, c, d]
    }

    /// The Ed25519 public key.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519][..], &self.key].concat());
        write!(out, "{}+{}+{key}", self.name, hex(&self.id()))
    }
}

/// Why a note is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is no signed note at all.
    #[error("it is not a signed note")]
    Malformed,
    /// Nobody signed it.
    #[error("it is not signed")]
    Unsigned,
    /// None of its signatures is by a key that is trusted.
    #[error("no key that is trusted here signed it")]
    UnknownKey,
    /// A trusted key's signature is not of this text.
    #[error("its signature is not of this text")]
    BadSignature,
}

/// A text and who signed it. Its signatures are only claims until [`Note::check`] has looked at them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Note {
    /// Signs a text, which ends in a newline and has no other control characters, under a key's name.
    pub fn signed(text: &str, name: &str, seed: &Key) -> Option<Self> {
        let plain = is_text(text) && text.ends_with('\n');
        plain.then(|| Self { text: text.to_owned(), signatures: Vec::new() })?.and_signed(name, seed)
    }

    /// Adds one more key's signature.
    pub fn and_signed(mut self, name: &str, seed: &Key) -> Option<Self> {
        let signed = signature::sign(seed, self.text.as_bytes())?;
        let id = Verifier::new(name, &signed.public_key)?.id();
        self.signatures.push(Signature { name: name.to_owned(), id, bytes: signed.signature });
        Some(self)
    }

    /// Reads a note's text form.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], or [`NoteError::Unsigned`] where no signature follows the text.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > LONGEST || !is_text(note) || !note.ends_with('\n') {
            return Err(NoteError::Malformed);
        }
        // The last empty line separates the text, which keeps its own newline, from the signatures.
        let Some(at) = note.rfind("\n\n") else { return Err(NoteError::Unsigned) };
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        if signatures.is_empty() {
            return Err(NoteError::Unsigned);
        }
        let lines: Vec<&str> = signatures.lines().collect();
        if lines.len() > MOST_SIGNATURES {
            return Err(NoteError::Malformed);
        }
        let signatures = lines.into_iter().map(Signature::parse).collect::<Option<_>>();
        signatures.map(|signatures| Self { text: text.to_owned(), signatures }).ok_or(NoteError::Malformed)
    }

    /// The text that is signed, its last newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which of the known keys signed it: one at least. Signatures by others are passed over.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] where one that claims to be by a known key is not of this text;
    /// [`NoteError::UnknownKey`] where none is by a known key.
    pub fn check<'a>(&self, known: &'a [Verifier]) -> Result<Vec<&'a Verifier>, NoteError> {
        let mut by = Vec::new();
        for claim in &self.signatures {
            for verifier in known.iter().filter(|one| one.name == claim.name && one.id() == claim.id) {
                if !signature::verify(&verifier.key, self.text.as_bytes(), &claim.bytes) {
                    return Err(NoteError::BadSignature);
                }
                by.push(verifier);
            }
        }
        if by.is_empty() { Err(NoteError::UnknownKey) } else { Ok(by) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.text)?;
        self.signatures.iter().try_for_each(|one| {
            let bytes = STANDARD.encode([&one.id[..], &one.bytes].concat());
            writeln!(out, "{DASH}{} {bytes}", one.name)
        })
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, bytes) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = STANDARD.decode(bytes).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        let whole = is_name(name) && !bytes.is_empty();
        whole.then(|| Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

/// What a checkpoint says: which log, how many records it has, and the root of their tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// The text to sign.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text of a checkpoint. Extension lines, which we never write, are refused: nobody would look at them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let digits =
            size.bytes().all(|byte| byte.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        if origin.is_empty() || !digits || lines.next().is_some() {
            return None;
        }
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        Some(Self { origin: origin.to_owned(), size: size.parse().ok()?, root })
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.chars().all(fits)
}

/// Without control characters of ASCII other than newlines.
fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' || byte == b'\n')
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The key and the note of the documentation of golang.org/x/mod/sumdb/note, where the format comes from.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SEED: &str = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn seed(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    fn verifier(name: &str, byte: u8) -> Verifier {
        Verifier::new(name, &signature::sign(&seed(byte), b"").unwrap().public_key).unwrap()
    }

    #[test]
    fn the_reference_implementations_note_holds_and_is_written_the_same() {
        let peter = Verifier::parse(PETER).unwrap();
        assert_eq!((peter.name(), hex(&peter.id()).as_str()), ("PeterNeumann", "c74f20a3"));
        assert_eq!(peter.to_string(), PETER);
        let note = Note::parse(NOTE).unwrap();
        assert_eq!((note.text(), note.to_string().as_str()), (TEXT, NOTE));
        assert_eq!(note.check(std::slice::from_ref(&peter)), Ok(vec![&peter]));
        let changed = Note::parse(&NOTE.replace("answer", "Answer")).unwrap();
        assert_eq!(changed.check(&[peter]), Err(NoteError::BadSignature));
    }

    #[test]
    fn a_note_that_nobody_trusted_has_signed_is_not_believed() {
        let note = Note::signed("x\n", "a", &seed(1)).unwrap();
        assert_eq!(note.check(&[]), Err(NoteError::UnknownKey));
        assert_eq!(note.check(&[verifier("a", 2), verifier("b", 1)]), Err(NoteError::UnknownKey));
        let both = note.clone().and_signed("a", &seed(2)).unwrap();
        assert_eq!(both.check(&[verifier("a", 2)]), Ok(vec![&verifier("a", 2)]));
        assert_eq!(both.check(&[verifier("a", 2), verifier("a", 1)]).unwrap().len(), 2);
        assert_eq!(Note::parse(&both.to_string()), Ok(both));
    }

    #[test]
    fn what_is_no_note_is_told_apart_from_one_without_signatures() {
        for unsigned in ["x\n", "x\n\n", "o\n1\nAAAA\n"] {
            assert_eq!(Note::parse(unsigned), Err(NoteError::Unsigned), "{unsigned:?}");
        }
        let whole = Note::signed("x\n", "a", &seed(1)).unwrap().to_string();
        let torn = &whole[..whole.len() - 1];
        let carriage = whole.replace('\n', "\r\n");
        let long = format!("{}\n\n{}", "x".repeat(LONGEST), "y");
        for malformed in
            ["", "x", torn, &carriage, &long, "x\n\ny\n", "x\n\n— a AAAA\n", "x\n\n— a+b AAAAAAAA\n"]
        {
            assert_eq!(Note::parse(malformed), Err(NoteError::Malformed), "{malformed:?}");
        }
        assert_eq!(Note::signed("no newline", "a", &seed(1)), None);
        assert_eq!(Note::signed("x\n", "a b", &seed(1)), None);
    }

    #[test]
    fn a_key_whose_id_does_not_fit_is_no_key() {
        for wrong in [
            "",
            "a",
            "PeterNeumann+c74f20a3",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        ] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_the_one_way_to_write_a_checkpoint_is_read() {
        let checkpoint = Checkpoint { origin: origin("abc"), size: 20, root: [7; 32] };
        let text = checkpoint.text();
        assert!(text.starts_with("spotify-mcp/audit/abc\n20\nBwcH"), "{text}");
        assert_eq!(Checkpoint::parse(&text), Some(checkpoint));
        for wrong in [
            text.trim_end().to_owned(),
            text.replace("\n20\n", "\n020\n"),
            text.replace("\n20\n", "\n+20\n"),
            text.replace("\n20\n", "\n18446744073709551616\n"),
            text.replace("\n20\n", "\n\n"),
            text.replace("BwcH", "Bwc"),
            format!("{text}extension\n"),
            text.replace("spotify-mcp/audit/abc", ""),
        ] {
            assert_eq!(Checkpoint::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_same_key_signs_the_same_note() {
        let seed = Key::new(STANDARD.decode(SEED).unwrap().try_into().unwrap());
        assert_eq!(Note::signed(TEXT, "PeterNeumann", &seed).unwrap().to_string(), NOTE);
    }

    proptest! {
        #[test]
        fn notes_and_keys_come_back_as_they_were(text in "[ -~\n]{0,80}", name in "[a-z./]{1,20}", byte: u8) {
            let text = text + "\n";
            let note = Note::signed(&text, &name, &seed(byte)).unwrap();
            prop_assert_eq!(Note::parse(&note.to_string()), Ok(note.clone()));
            let known = verifier(&name, byte);
            prop_assert_eq!(Verifier::parse(&known.to_string()), Some(known.clone()));
            prop_assert!(note.check(&[known]).is_ok());
        }

        #[test]
        fn one_changed_character_is_never_believed(at: prop::sample::Index, to in "[ -~]") {
            let known = verifier("a", 1);
            let note = Note::signed(&Checkpoint { origin: "a".into(), size: 5, root: [1; 32] }.text(), "a", &seed(1));
            let text = note.clone().unwrap().to_string();
            let at = at.index(text.len());
            prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + 1) && text[at..=at] != to);
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            let believed = Note::parse(&changed).is_ok_and(|note| note.check(std::slice::from_ref(&known)).is_ok());
            prop_assert!(!believed, "{changed}");
        }
    }
}
