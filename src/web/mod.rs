//! Pages and their templates.
