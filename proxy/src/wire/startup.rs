//! The untyped packets that open a connection (`src/include/libpq/pqcomm.h`, `ProcessStartupPacket` in
//! `src/backend/tcop/backend_startup.c`).

/// Postgres' own limit (`MAX_STARTUP_PACKET_LENGTH`).
pub const MAX_STARTUP_BYTES: usize = 10_000;

const SSL_REQUEST: u32 = (1234 << 16) | 5679;
/// A whole SSLRequest: its length and its code.
pub const SSL_REQUEST_PACKET: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSSENC_REQUEST: u32 = (1234 << 16) | 5680;
const CANCEL_REQUEST: u32 = (1234 << 16) | 5678;

/// The first packet of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Ssl,
    GssEncryption,
    /// The key in the clear: process id and secret, as the server issued them (4 to 256 bytes of secret).
    Cancel {
        key: &'a [u8],
    },
    Startup(Startup<'a>),
    /// Another protocol version, or a layout that is not one: Postgres' to refuse.
    Unknown,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Startup<'a> {
    pub user: &'a [u8],
    /// The user's name where none is given.
    pub database: &'a [u8],
    /// `replication` is on or `database`: a walsender session, which speaks another language.
    pub replication: bool,
}

/// Not the beginning of a conversation in this protocol: Postgres closes such a connection without a word.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid length of startup packet")]
pub struct InvalidLength;

/// The packet at the start of `bytes` and its length; `None` when it is not complete.
pub fn parse(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, InvalidLength> {
    let [a, b, c, d, ..] = *bytes else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(8..=MAX_STARTUP_BYTES).contains(&length) {
        return Err(InvalidLength);
    }
    let Some(packet) = bytes.get(4..length) else { return Ok(None) };
    let (code, rest) = packet.split_at(4);
    let packet = match u32::from_be_bytes([code[0], code[1], code[2], code[3]]) {
        SSL_REQUEST => Packet::Ssl,
        GSSENC_REQUEST => Packet::GssEncryption,
        CANCEL_REQUEST => Packet::Cancel { key: rest },
        // Whatever the minor version: the server says which it speaks (NegotiateProtocolVersion).
        version if version >> 16 == 3 => parameters(rest).map_or(Packet::Unknown, Packet::Startup),
        _ => Packet::Unknown,
    };
    Ok(Some((packet, length)))
}

/// `None`: not laid out as it must be.
fn parameters(bytes: &[u8]) -> Option<Startup<'_>> {
    let pairs = bytes.strip_suffix(&[0])?;
    let mut startup = Startup::default();
    let mut fields = pairs.split(|b| *b == 0);
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match name {
            b"" => break,
            b"user" => startup.user = value,
            b"database" => startup.database = value,
            // Any boolean spelling turns it on; only the spellings of "off" leave an ordinary session.
            b"replication" => startup.replication = !matches!(value, b"false" | b"off" | b"no" | b"0" | b"f" | b"n"),
            _ => {}
        }
    }
    if startup.database.is_empty() {
        startup.database = startup.user;
    }
    Some(startup)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = ((rest.len() + 8) as u32).to_be_bytes().to_vec();
        bytes.extend(code.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn startup_parameters_default_the_database_to_the_user() {
        let bytes = packet(3 << 16, b"user\0alice\0options\0-c a=b\0\0");
        let (found, length) = parse(&bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        let expected = Startup { user: b"alice", database: b"alice", replication: false };
        assert_eq!(found, Packet::Startup(expected));
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(None));
        }
    }

    #[test]
    fn replication_is_seen() {
        let bytes = packet(3 << 16, b"user\0a\0database\0d\0replication\0database\0\0");
        let expected = Startup { user: b"a", database: b"d", replication: true };
        assert_eq!(parse(&bytes), Ok(Some((Packet::Startup(expected), bytes.len()))));
    }

    #[test]
    fn requests_and_nonsense_are_told_apart() {
        assert_eq!(parse(&packet(SSL_REQUEST, b"")), Ok(Some((Packet::Ssl, 8))));
        assert_eq!(parse(&packet(GSSENC_REQUEST, b"")), Ok(Some((Packet::GssEncryption, 8))));
        assert_eq!(parse(&packet(CANCEL_REQUEST, b"12345678")), Ok(Some((Packet::Cancel { key: b"12345678" }, 16))));
        assert_eq!(parse(&SSL_REQUEST_PACKET), Ok(Some((Packet::Ssl, 8))));
        assert_eq!(parse(&packet(2 << 16, b"")), Ok(Some((Packet::Unknown, 8))));
        assert_eq!(parse(b"GET / HTTP/1.1\r\n"), Err(InvalidLength));
        assert_eq!(parse(&packet(3 << 16, b"user\0a")), Ok(Some((Packet::Unknown, 14))));
    }
}
