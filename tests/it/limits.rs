//! Rate limits, stream limits, and attempts to exhaust a node.

mod backoff;
mod exhaustion;
mod paced_refusals;
mod rate;
mod shared;

/// Lets the test set a client address with `X-Forwarded-For`.
const TRUST_LOOPBACK: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.0/8");
