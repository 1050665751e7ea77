//! The dashboard: who may see it, what it shows (contract § 11).

mod browser;
mod password;
mod summaries;
mod support;
