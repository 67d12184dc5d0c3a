//! For tests: what documents look like, by the rules of their formats.
