//! Values as they lie in memory on a little-endian server.

use super::Numeric;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatumError {
    #[error("the type has no known form in memory")]
    UnknownType,
    #[error("its bytes are not of the expected form")]
    Malformed,
}

/// The first N bytes: by-value datums are padded to eight.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DatumError> {
    bytes.get(..N).and_then(|head| head.try_into().ok()).ok_or(DatumError::Malformed)
}

/// The payload of a variable-length datum with a four-byte header, whose low two bits are flags.
pub(crate) fn varlena(bytes: &[u8]) -> Result<&[u8], DatumError> {
    let header = u32::from_le_bytes(fixed(bytes)?);
    let length = (header >> 2) as usize;
    if header & 3 != 0 { Err(DatumError::Malformed) } else { bytes.get(4..length).ok_or(DatumError::Malformed) }
}

/// NUMERIC on disk (`src/backend/utils/adt/numeric.c`): a short or long header, then base-10000 digits.
pub(crate) fn numeric(bytes: &[u8]) -> Result<Numeric, DatumError> {
    let header = u16::from_le_bytes(fixed(bytes)?);
    let (negative, dscale, weight, rest) = match header & 0xC000 {
        0xC000 => {
            let text = match header & 0xF000 {
                0xD000 => "Infinity",
                0xF000 => "-Infinity",
                _ => "NaN",
            };
            return Numeric::parse(text).map_err(|_| DatumError::Malformed);
        }
        0x8000 => {
            // Seven bits of two's-complement weight, six of scale.
            let magnitude = i32::from(header & 0x003F);
            let weight = if header & 0x0040 != 0 { magnitude - 64 } else { magnitude };
            (header & 0x2000 != 0, usize::from((header & 0x1F80) >> 7), weight, &bytes[2..])
        }
        sign => {
            let weight = i16::from_le_bytes(fixed(bytes.get(2..).ok_or(DatumError::Malformed)?)?);
            let rest = bytes.get(4..).ok_or(DatumError::Malformed)?;
            (sign == 0x4000, usize::from(header & 0x3FFF), i32::from(weight), rest)
        }
    };
    let digits: Vec<u16> = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let digit = |index: i32| usize::try_from(index).ok().and_then(|i| digits.get(i)).copied().unwrap_or(0);
    let mut text = String::from(if negative { "-" } else { "" });
    if weight < 0 {
        text.push('0');
    }
    for index in 0..=weight {
        let group = digit(index);
        text.push_str(&if index == 0 { format!("{group}") } else { format!("{group:04}") });
    }
    if dscale > 0 {
        let fraction: String =
            (0..dscale.div_ceil(4) as i32).map(|i| format!("{:04}", digit(weight + 1 + i))).collect();
        text.push('.');
        text.push_str(&fraction[..dscale]);
    }
    Numeric::parse(&text).map_err(|_| DatumError::Malformed)
}
