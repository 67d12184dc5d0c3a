//! Facts, rules, findings, reports.
