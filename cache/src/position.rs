//! Where a state stands in the upstream's write-ahead log.

use std::fmt;

/// A WAL position (LSN), in bytes. States are ordered by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    /// As Postgres prints a `pg_lsn`: `16/B374D848`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 as u32)
    }
}

impl std::str::FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Position, ParsePositionError> {
        let (high, low) = text.split_once('/').ok_or(ParsePositionError)?;
        let high = u32::from_str_radix(high, 16).map_err(|_| ParsePositionError)?;
        let low = u32::from_str_radix(low, 16).map_err(|_| ParsePositionError)?;
        Ok(Position((u64::from(high) << 32) | u64::from(low)))
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a WAL position (expected hex/hex)")]
pub struct ParsePositionError;
