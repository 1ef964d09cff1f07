//! The five bytes every message after start-up begins with: a type byte and a length that counts itself
//! (Postgres documentation, "Message Flow" and "Message Formats").

/// Type byte and length word.
pub const HEADER_BYTES: usize = 5;

/// `PQ_SMALL_MESSAGE_LIMIT` of `src/include/libpq/libpq.h`, for messages that hold no text or values of the client's.
pub const MAX_SHORT_MESSAGE_BYTES: usize = 10_000;

/// Postgres itself refuses longer messages (`MaxAllocSize`, 1 GiB - 1, in `src/include/utils/memutils.h`).
pub const MAX_MESSAGE_BYTES: usize = 0x3fff_ffff;

/// The header of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub tag: u8,
    /// Bytes of the whole message, the type byte included.
    pub total: usize,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid message length {length} for message type {tag:#04x}")]
pub struct InvalidLength {
    pub tag: u8,
    pub length: u32,
}

/// Reads the header at the start of `bytes`; `None` when fewer than five bytes are there.
#[inline]
pub fn header(bytes: &[u8]) -> Result<Option<Header>, InvalidLength> {
    let [tag, a, b, c, d, ..] = *bytes else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]);
    if length < 4 || length as usize > MAX_MESSAGE_BYTES {
        return Err(InvalidLength { tag, length });
    }
    Ok(Some(Header { tag, total: length as usize + 1 }))
}

/// A whole message at the start of `bytes`, as (tag, body); `None` when it is not complete.
pub fn message(bytes: &[u8]) -> Result<Option<(u8, &[u8])>, InvalidLength> {
    let Some(header) = header(bytes)? else { return Ok(None) };
    Ok(bytes.get(HEADER_BYTES..header.total).map(|body| (header.tag, body)))
}

/// Walks over whole messages that lie one behind the other; stops at the first that is incomplete or malformed.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (tag, body) = message(rest).ok()??;
        rest = &rest[HEADER_BYTES + body.len()..];
        Some((tag, body))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_needs_five_bytes_and_a_length_that_counts_itself() {
        assert_eq!(header(b"Q\0\0\0"), Ok(None));
        assert_eq!(header(b"S\0\0\0\x04"), Ok(Some(Header { tag: b'S', total: 5 })));
        assert_eq!(header(b"Q\0\0\0\x03"), Err(InvalidLength { tag: b'Q', length: 3 }));
        assert_eq!(header(b"Q\xff\xff\xff\xff"), Err(InvalidLength { tag: b'Q', length: u32::MAX }));
    }

    #[test]
    fn messages_are_walked_in_order_and_the_cut_one_is_left() {
        let bytes = b"S\0\0\0\x04Q\0\0\0\x06a\0H\0\0";
        let seen: Vec<_> = messages(bytes).collect();
        assert_eq!(seen, vec![(b'S', &b""[..]), (b'Q', &b"a\0"[..])]);
    }
}
