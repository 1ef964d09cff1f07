//! SCRAM-SHA-256 between two hops. Where Postgres' messages can be relayed, nothing of this is used; where both hops use
//! TLS and the client binds its login to Weir's certificate, Weir verifies the client with the role's secret, which it
//! asks Postgres for each time and does not keep, and logs in with the key that the client's proof contains. What is
//! said on which connection is `session`'s business.

mod message;
mod scram;
mod secrets;

pub use message::{ClientFirst, Gs2, Malformed};
pub use scram::{FinalError, Login, Secret, Shown, Verification};
pub use secrets::{Secrets, Unavailable};

/// The mechanisms' names (RFC 7677).
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
