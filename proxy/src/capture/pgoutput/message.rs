//! Bytes of one pgoutput message → [`Message`] (documentation: "Logical Replication Message Formats").

use super::relation::{Relation, RelationColumn};
use weir_cache::Position;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("message ends early in {0}")]
    Short(&'static str),
    #[error("unknown message type {0:?}")]
    UnknownMessage(char),
    #[error("unknown tuple or column kind {0:?}")]
    UnknownKind(char),
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    #[error("{0}")]
    OutOfOrder(&'static str),
}

/// One message; tuples are cut but not decoded.
#[derive(Debug, PartialEq)]
pub(in crate::capture) enum Message<'a> {
    Begin {
        xid: u32,
    },
    /// `end`: the end of the commit record. `time_micros` since 2000-01-01 UTC.
    Commit {
        end: Position,
        time_micros: i64,
    },
    Relation(Relation),
    Insert {
        relation: u32,
        new: Tuple<'a>,
    },
    /// `old` is the whole old row (kind 'O') or None (no old row, or the key only).
    Update {
        relation: u32,
        old: Option<Tuple<'a>>,
        new: Tuple<'a>,
    },
    /// As in Update.
    Delete {
        relation: u32,
        old: Option<Tuple<'a>>,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// `pg_logical_emit_message`. `end`: the end of its record.
    Logical {
        transactional: bool,
        end: Position,
        prefix: &'a str,
        content: &'a [u8],
    },
    /// Origin and Type: nothing that Weir needs.
    Ignored,
}

/// A row as sent: `columns` columns in `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Tuple<'a> {
    columns: u16,
    data: &'a [u8],
}

/// One column of a [`Tuple`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Column<'a> {
    Null,
    /// TOASTed and unchanged: the value is the old row's.
    Unchanged,
    /// Output of `typsend`.
    Binary(&'a [u8]),
    /// Output of `typoutput`: the type has no `typsend`.
    Text,
}

impl<'a> Tuple<'a> {
    pub(super) fn len(&self) -> usize {
        usize::from(self.columns)
    }

    pub(super) fn columns(self) -> impl Iterator<Item = Result<Column<'a>, DecodeError>> {
        let mut input = Input(self.data);
        (0..self.columns).map(move |_| input.column())
    }
}

impl<'a> Message<'a> {
    pub(in crate::capture) fn parse(bytes: &'a [u8]) -> Result<Message<'a>, DecodeError> {
        let mut input = Input(bytes);
        Ok(match input.u8("message")? {
            b'B' => {
                input.take(16, "Begin")?;
                Message::Begin { xid: input.u32("Begin")? }
            }
            b'C' => {
                input.take(9, "Commit")?;
                let end = Position(input.u64("Commit")?);
                Message::Commit { end, time_micros: input.u64("Commit")? as i64 }
            }
            b'R' => Message::Relation(input.relation()?),
            b'I' => {
                let relation = input.u32("Insert")?;
                match input.u8("Insert")? {
                    b'N' => Message::Insert { relation, new: input.tuple()? },
                    kind => return Err(DecodeError::UnknownKind(kind as char)),
                }
            }
            b'U' => {
                let relation = input.u32("Update")?;
                let (old, kind) = match input.u8("Update")? {
                    b'O' => (Some(input.tuple()?), input.u8("Update")?),
                    b'K' => {
                        input.tuple()?;
                        (None, input.u8("Update")?)
                    }
                    kind => (None, kind),
                };
                if kind != b'N' {
                    return Err(DecodeError::UnknownKind(kind as char));
                }
                Message::Update { relation, old, new: input.tuple()? }
            }
            b'D' => {
                let relation = input.u32("Delete")?;
                let kind = input.u8("Delete")?;
                let tuple = input.tuple()?;
                match kind {
                    b'O' => Message::Delete { relation, old: Some(tuple) },
                    b'K' => Message::Delete { relation, old: None },
                    kind => return Err(DecodeError::UnknownKind(kind as char)),
                }
            }
            b'T' => {
                let count = input.u32("Truncate")?;
                input.u8("Truncate")?;
                let relations = (0..count).map(|_| input.u32("Truncate")).collect::<Result<_, _>>()?;
                Message::Truncate { relations }
            }
            b'M' => {
                let transactional = input.u8("Message")? & 1 != 0;
                let end = Position(input.u64("Message")?);
                let prefix = input.text("Message")?;
                let length = input.u32("Message")? as usize;
                Message::Logical { transactional, end, prefix, content: input.take(length, "Message")? }
            }
            b'O' | b'Y' => Message::Ignored,
            tag => return Err(DecodeError::UnknownMessage(tag as char)),
        })
    }
}

/// What is left of a message; `what` names the part in errors.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::Short(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Short(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.array(what).map(u16::from_be_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.array(what).map(u32::from_be_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.array(what).map(u64::from_be_bytes)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or(DecodeError::Short(what))?;
        let text = std::str::from_utf8(self.take(end, what)?).map_err(|_| DecodeError::NotUtf8(what))?;
        self.u8(what)?;
        Ok(text)
    }

    fn column(&mut self) -> Result<Column<'a>, DecodeError> {
        Ok(match self.u8("column")? {
            b'n' => Column::Null,
            b'u' => Column::Unchanged,
            kind @ (b'b' | b't') => {
                let length = self.u32("column")? as usize;
                let bytes = self.take(length, "column")?;
                if kind == b'b' { Column::Binary(bytes) } else { Column::Text }
            }
            kind => return Err(DecodeError::UnknownKind(kind as char)),
        })
    }

    /// Cuts a tuple by walking over its columns.
    fn tuple(&mut self) -> Result<Tuple<'a>, DecodeError> {
        let columns = self.u16("tuple")?;
        let start = self.0;
        for _ in 0..columns {
            self.column()?;
        }
        Ok(Tuple { columns, data: &start[..start.len() - self.0.len()] })
    }

    fn relation(&mut self) -> Result<Relation, DecodeError> {
        let id = self.u32("Relation")?;
        // pg_catalog is sent as an empty schema name
        let schema = self.text("Relation schema")?.to_owned();
        let name = self.text("Relation name")?.to_owned();
        let identity = self.u8("Relation")?;
        let count = self.u16("Relation")?;
        let mut columns = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            self.u8("Relation column")?;
            columns.push(RelationColumn {
                name: self.text("Relation column")?.to_owned(),
                type_oid: self.u32("Relation column")?,
                typmod: self.u32("Relation column")? as i32,
            });
        }
        Ok(Relation { id, schema, name, identity, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `begin`, then what the parts append.
    fn bytes(begin: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![begin];
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    #[test]
    fn begin_and_commit() {
        let begin = bytes(b'B', &[&0x10_u64.to_be_bytes(), &7_u64.to_be_bytes(), &4711_u32.to_be_bytes()]);
        assert_eq!(Message::parse(&begin), Ok(Message::Begin { xid: 4711 }));
        let commit = bytes(b'C', &[&[0], &0x10_u64.to_be_bytes(), &0x30_u64.to_be_bytes(), &9_u64.to_be_bytes()]);
        assert_eq!(Message::parse(&commit), Ok(Message::Commit { end: Position(0x30), time_micros: 9 }));
    }

    #[test]
    fn update_with_full_old_row_and_unchanged_toast() {
        let update =
            bytes(b'U', &[&1_u32.to_be_bytes(), b"O\0\x02b\0\0\0\x01\x07b\0\0\0\x02zz", b"N\0\x02b\0\0\0\x01\x08u"]);
        let Ok(Message::Update { relation: 1, old: Some(old), new }) = Message::parse(&update) else {
            panic!("an update with an old row")
        };
        let columns = |tuple: Tuple<'static>| tuple.columns().collect::<Result<Vec<_>, _>>();
        let (old, new) = (leak(old), leak(new));
        assert_eq!(columns(old), Ok(vec![Column::Binary(&[7]), Column::Binary(b"zz")]));
        assert_eq!(columns(new), Ok(vec![Column::Binary(&[8]), Column::Unchanged]));
    }

    fn leak(tuple: Tuple<'_>) -> Tuple<'static> {
        Tuple { columns: tuple.columns, data: tuple.data.to_vec().leak() }
    }

    #[test]
    fn a_key_is_not_an_old_row() {
        let update = bytes(b'U', &[&1_u32.to_be_bytes(), b"K\0\x01n", b"N\0\x01n"]);
        assert!(matches!(Message::parse(&update), Ok(Message::Update { old: None, .. })));
        let delete = bytes(b'D', &[&1_u32.to_be_bytes(), b"K\0\x01n"]);
        assert_eq!(Message::parse(&delete), Ok(Message::Delete { relation: 1, old: None }));
    }

    #[test]
    fn truncate_names_its_relations_and_messages_their_prefix() {
        let truncate = bytes(b'T', &[&2_u32.to_be_bytes(), &[3], &5_u32.to_be_bytes(), &6_u32.to_be_bytes()]);
        assert_eq!(Message::parse(&truncate), Ok(Message::Truncate { relations: vec![5, 6] }));
        let mark = bytes(b'M', &[&[1], &0x99_u64.to_be_bytes(), b"weir\0", &3_u32.to_be_bytes(), b"ddl"]);
        let expected = Message::Logical { transactional: true, end: Position(0x99), prefix: "weir", content: b"ddl" };
        assert_eq!(Message::parse(&mark), Ok(expected));
    }

    #[test]
    fn relation_lists_its_columns() {
        let relation = bytes(
            b'R',
            &[&9_u32.to_be_bytes(), b"public\0t\0f\0\x01\x01id\0", &23_u32.to_be_bytes(), &(-1_i32).to_be_bytes()],
        );
        let Ok(Message::Relation(relation)) = Message::parse(&relation) else { panic!("a relation") };
        assert_eq!((relation.id, relation.name.as_str(), relation.identity), (9, "t", b'f'));
        assert_eq!(relation.columns, [RelationColumn { name: "id".into(), type_oid: 23, typmod: -1 }]);
    }

    /// No prefix of a valid message, and no single changed byte, makes the decoder panic.
    #[test]
    fn broken_bytes_are_errors() {
        let whole = bytes(b'U', &[&1_u32.to_be_bytes(), b"O\0\x02b\0\0\0\x01\x07n", b"N\0\x02b\0\0\0\x01\x08u"]);
        for end in 0..whole.len() {
            assert!(Message::parse(&whole[..end]).is_err(), "prefix of {end} bytes");
        }
        for (at, value) in (0..whole.len()).flat_map(|at| (0..=255_u8).map(move |value| (at, value))) {
            let mut changed = whole.clone();
            changed[at] = value;
            let _ = Message::parse(&changed);
        }
        assert_eq!(Message::parse(b"S"), Err(DecodeError::UnknownMessage('S')));
    }

    #[test]
    fn damaged_messages_are_errors() {
        let recorded: [&[u8]; 6] = [
            b"B\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x07\0\0\x12\x67",
            b"U\0\0\0\x01O\0\x02b\0\0\0\x01\x07b\0\0\0\x02zzN\0\x02b\0\0\0\x01\x08u",
            b"D\0\0\0\x01K\0\x01n",
            b"T\0\0\0\x02\x03\0\0\0\x05\0\0\0\x06",
            b"M\x01\0\0\0\0\0\0\0\x99weir\0\0\0\0\x03ddl",
            b"R\0\0\0\x09public\0t\0f\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff",
        ];
        weir_tests::hostile::hammer("pgoutput", &recorded, |bytes| match Message::parse(bytes) {
            Ok(Message::Insert { new, .. } | Message::Update { new, .. }) => new.columns().all(|column| column.is_ok()),
            other => other.is_ok(),
        });
    }
}
