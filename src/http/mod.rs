//! The whole router on one screen.
