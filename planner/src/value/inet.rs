//! Network addresses (`src/backend/utils/adt/network.c`): inet and cidr are held alike.

use std::cmp::Ordering;

/// An address and how many of its bits are the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inet {
    pub version: IpVersion,
    pub bits: u8,
    /// Of version 4 the first four.
    pub address: [u8; 16],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpVersion {
    V4,
    V6,
}

impl IpVersion {
    /// `PGSQL_AF_INET` and `PGSQL_AF_INET6`.
    pub fn code(self) -> u8 {
        match self {
            IpVersion::V4 => 2,
            IpVersion::V6 => 3,
        }
    }

    pub fn of_code(code: u8) -> Option<IpVersion> {
        [IpVersion::V4, IpVersion::V6].into_iter().find(|version| version.code() == code)
    }

    /// Bytes of an address.
    pub fn length(self) -> usize {
        match self {
            IpVersion::V4 => 4,
            IpVersion::V6 => 16,
        }
    }

    /// Bits of an address.
    pub fn width(self) -> u8 {
        (self.length() * 8) as u8
    }
}

impl Inet {
    /// None where the lengths do not fit.
    pub fn new(version: IpVersion, bits: u8, bytes: &[u8]) -> Option<Inet> {
        let mut address = [0; 16];
        address.get_mut(..version.length()).filter(|own| own.len() == bytes.len())?.copy_from_slice(bytes);
        (bits <= version.width()).then_some(Inet { version, bits, address })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.address[..self.version.length()]
    }

    /// The first bits of both (`bitncmp`).
    pub fn compare_bits(&self, other: &Inet, bits: u8) -> Ordering {
        let (whole, rest) = (usize::from(bits / 8), bits % 8);
        let bytes = self.address[..whole].cmp(&other.address[..whole]);
        if rest == 0 {
            return bytes;
        }
        let masked = |inet: &Inet| inet.address[whole] >> (8 - rest);
        bytes.then_with(|| masked(self).cmp(&masked(other)))
    }

    /// `network_cmp`: by the networks' common bits, then how many there are, then the whole address.
    pub fn compare(&self, other: &Inet) -> Ordering {
        self.version.cmp(&other.version).then_with(|| {
            self.compare_bits(other, self.bits.min(other.bits))
                .then(self.bits.cmp(&other.bits))
                .then_with(|| self.address.cmp(&other.address))
        })
    }

    /// The network of the other holds this one's, which is of more bits, or of `least` more.
    pub fn is_within(&self, other: &Inet, least: u8) -> bool {
        self.version == other.version
            && self.bits >= other.bits.saturating_add(least)
            && self.compare_bits(other, other.bits).is_eq()
    }
}
