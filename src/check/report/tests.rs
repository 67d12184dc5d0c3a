//! Reports, in every form.
