//! An unexpected error: opaque to the caller, the whole chain in the log.
//!
//! Expected refusals have enums of their own, with stable codes; this is for what should not happen (a database
//! that is gone, a disk that is full). It never prints its cause to a caller, because causes can quote data.

use std::error::Error;
use std::fmt;

/// Something that should not have happened. Made from any error by `?`.
///
/// `Display` gives the outside text (the context alone); [`Failure::chain`] gives the log everything.
pub struct Failure {
    context: &'static str,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without an underlying error. `context` is shown to callers: no secrets, no data.
    pub const fn new(context: &'static str) -> Self {
        Self { context, cause: None }
    }

    /// Says what was being done when `cause` struck.
    pub fn caused(context: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { context, cause: Some(cause.into()) }
    }

    /// The context and every cause below it, for the log.
    pub fn chain(&self) -> String {
        let mut line = self.context.to_owned();
        let mut next: Option<&(dyn Error + 'static)> = self.cause.as_deref().map(|cause| cause as _);
        while let Some(cause) = next {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        line
    }

    /// The underlying error, for the few that decide by its type.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.context)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.chain())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(cause: E) -> Self {
        Self::caused("internal error", cause)
    }
}

/// Adds what was being done to a result whose error is unexpected.
pub trait During<T> {
    /// Turns the error into a [`Failure`] with this context.
    fn during(self, context: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> During<T> for Result<T, E> {
    fn during(self, context: &'static str) -> Result<T, Failure> {
        self.map_err(|cause| Failure::caused(context, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outside_text_hides_the_cause_and_the_chain_shows_it() {
        let failure = Err::<(), _>(std::io::Error::other("disk /secret full")).during("saving").unwrap_err();
        assert_eq!(failure.to_string(), "saving");
        assert_eq!(failure.chain(), "saving: disk /secret full");
    }
}
