//! Keys from passphrases.
