//! Recorded rows → whole transactions in an order that could have been that of their commits.
//!
//! A record carries the number its statement drew from one sequence after it had locked its rows. Whoever changes the same
//! row (or truncates the table) later waits for that lock until the first transaction has ended, and draws a higher
//! number. So transactions ordered by their last number are in an order in which each finds the rows it removes. The
//! order of transaction ids is not such an order: the older transaction may be the one that had to wait.

use crate::capture::assemble::{TRANSACTION_BYTES_LIMIT, Transaction};
use crate::capture::watched::{Generation, WatchList};
use crate::capture::{Change, TableSpec, UNKNOWN_TABLE};
use bytes::Buf;
use std::collections::{HashMap, HashSet};
use weir_cache::Position;
use weir_planner::value::decode_binary;
use weir_planner::{RelationId, Row, Value};

/// What a trigger noted about one row, or about a whole statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Insert,
    Delete,
    Truncate,
    /// The table has other columns than when it was watched: the rows were not recorded.
    LayoutChanged,
    /// A mark of the installed SQL.
    Mark,
}

impl Action {
    pub(super) fn parse(letter: u8) -> Option<Action> {
        Some(match letter {
            b'I' | b'i' => Action::Insert,
            b'D' | b'd' => Action::Delete,
            b'T' => Action::Truncate,
            b'L' => Action::LayoutChanged,
            b'M' => Action::Mark,
            _ => return None,
        })
    }
}

/// One row of the change table.
#[derive(Debug)]
pub(super) struct Record {
    pub statement: i64,
    pub xid: u64,
    pub table: RelationId,
    pub action: Action,
    /// `pg_class.relnatts` of the partition that the row was recorded in.
    pub layout: Option<i16>,
    /// `record_send` of the row, or the text of a mark.
    pub image: Vec<u8>,
}

impl Record {
    /// The layout and the image in a recorded value, with which rows of partitions (of lower-case letter) begin.
    pub(super) fn split(letter: u8, value: &[u8]) -> Option<(Option<i16>, &[u8])> {
        if !letter.is_ascii_lowercase() {
            return Some((None, value));
        }
        let (layout, image) = value.split_first_chunk::<2>()?;
        Some((Some(i16::from_be_bytes(*layout)), image))
    }
}

/// All records of one drain → transactions at `position`, which had all been committed at `time_micros`. `strangers`: tables
/// that are not watched, and known to be so to those who read marks.
pub(super) fn transactions(
    mut records: Vec<Record>,
    watched: &WatchList,
    strangers: &mut HashSet<RelationId>,
    position: Position,
    time_micros: i64,
) -> Vec<Transaction> {
    let mut last: HashMap<u64, i64> = HashMap::new();
    for record in &records {
        let statement = last.entry(record.xid).or_insert(record.statement);
        *statement = (*statement).max(record.statement);
    }
    records.sort_by_key(|record| (last[&record.xid], record.statement));
    let mut shed: HashMap<RelationId, Generation> = HashMap::new();
    let size: usize = records.iter().map(|record| record.image.len()).sum();
    let mut transactions: Vec<Transaction> = Vec::new();
    for records in records.chunk_by(|a, b| a.xid == b.xid) {
        // The stream's ids have 32 bits; the gate extends them again by the nearest epoch.
        let xid = records[0].xid as u32;
        let mut transaction = Transaction { xid, position, time_micros, ..Transaction::default() };
        for (table, records) in by_table(records) {
            let Some(known) = watched.get(table) else {
                transaction.changes.extend(records.iter().filter_map(|record| mark(record)));
                if table != RelationId(0) && strangers.insert(table) {
                    transaction.changes.push(Change::Mark(UNKNOWN_TABLE.to_owned()));
                }
                continue;
            };
            if shed.get(&table) == Some(&known.generation) {
                continue;
            }
            let changes = if size > TRANSACTION_BYTES_LIMIT {
                Err("too much has changed at once to be held in memory".to_owned())
            } else {
                changes(&records, &known.spec)
            };
            match changes {
                Ok(changes) => transaction.changes.extend(changes),
                Err(reason) => {
                    shed.insert(table, known.generation);
                    transaction.sheds.push((table, known.generation, reason));
                }
            }
        }
        transactions.push(transaction);
    }
    transactions
}

/// One transaction's records by table, in their order; the order between tables means nothing within a transaction.
fn by_table(records: &[Record]) -> Vec<(RelationId, Vec<&Record>)> {
    let mut tables: Vec<(RelationId, Vec<&Record>)> = Vec::new();
    for record in records {
        match tables.iter_mut().find(|(table, _)| *table == record.table) {
            Some((_, list)) => list.push(record),
            None => tables.push((record.table, vec![record])),
        }
    }
    tables
}

fn mark(record: &Record) -> Option<Change> {
    (record.action == Action::Mark).then(|| Change::Mark(String::from_utf8_lossy(&record.image).into_owned()))
}

/// What one transaction did to one table: the net change since its last TRUNCATE, removed rows first. (A trigger's own
/// statements are recorded before the statement that fired it, so that the order within a transaction does not say
/// what was there when.)
fn changes(records: &[&Record], spec: &TableSpec) -> Result<Vec<Change>, String> {
    let table = spec.id;
    let mut changes = Vec::with_capacity(records.len());
    let mut rest = records;
    if let Some(at) = records.iter().rposition(|record| record.action == Action::Truncate) {
        changes.push(Change::Truncate { table });
        rest = &records[at + 1..];
    }
    let is_other = |layout: i16| layout != spec.attributes;
    if records.iter().any(|record| record.action == Action::LayoutChanged || record.layout.is_some_and(is_other)) {
        return Err("its columns have changed".to_owned());
    }
    let one_statement = rest.windows(2).all(|pair| pair[0].statement == pair[1].statement);
    let mut net: Vec<(&Record, i64)> = Vec::with_capacity(rest.len());
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    for record in rest {
        let weight = if record.action == Action::Insert { 1 } else { -1 };
        if one_statement {
            net.push((record, weight));
            continue;
        }
        let at = *known.entry(&record.image).or_insert_with(|| {
            net.push((record, 0));
            net.len() - 1
        });
        net[at].1 += weight;
    }
    net.sort_by_key(|(_, weight)| weight.signum());
    for (record, weight) in net {
        if weight == 0 {
            continue;
        }
        let row = row(&record.image, spec)?;
        for _ in 0..weight.unsigned_abs() {
            let row = Some(row.clone());
            changes.push(match weight {
                ..0 => Change::Row { table, old: row, new: None },
                0.. => Change::Row { table, old: None, new: row },
            });
        }
    }
    Ok(changes)
}

/// `record_send` (`rowtypes.c`): the number of live columns, then for each its type, its length (-1: NULL) and its bytes.
fn row(mut image: &[u8], spec: &TableSpec) -> Result<Row, String> {
    let short = || "a recorded row ends early".to_owned();
    let count = image.try_get_i32().map_err(|_| short())?;
    if usize::try_from(count) != Ok(spec.columns.len()) {
        return Err("a recorded row has another number of columns".to_owned());
    }
    let mut values = Vec::with_capacity(spec.columns.len());
    for column in &spec.columns {
        let type_oid = image.try_get_u32().map_err(|_| short())?;
        if type_oid != column.type_oid {
            return Err(format!("column {:?} has changed its type", column.name));
        }
        let length = image.try_get_i32().map_err(|_| short())?;
        let Ok(length) = usize::try_from(length) else {
            values.push(Value::Null);
            continue;
        };
        let (bytes, rest) = image.split_at_checked(length).ok_or_else(short)?;
        image = rest;
        // Generated columns are computed from the others.
        values.push(match column.generated {
            ' ' => decode_binary(column.value_oid, bytes).map_err(|error| error.to_string())?,
            _ => Value::Null,
        });
    }
    Ok(values.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::watched::Watched;
    use weir_planner::catalog::ColumnEntry;
    use weir_planner::types::oid;

    const TABLE: RelationId = RelationId(7);

    fn spec() -> TableSpec {
        let column = ColumnEntry {
            name: "v".into(),
            number: 1,
            type_oid: oid::INT4,
            value_oid: oid::INT4,
            typmod: -1,
            collation: 0,
            not_null: false,
            generated: ' ',
        };
        TableSpec {
            id: TABLE,
            life: 0,
            schema: "public".into(),
            name: "t".into(),
            attributes: 1,
            columns: vec![column],
        }
    }

    fn image(value: i32) -> Vec<u8> {
        let mut image = 1_i32.to_be_bytes().to_vec();
        image.extend(oid::INT4.to_be_bytes());
        image.extend(4_i32.to_be_bytes());
        image.extend(value.to_be_bytes());
        image
    }

    fn record(statement: i64, xid: u64, action: Action, value: i32) -> Record {
        Record { statement, xid, table: TABLE, action, layout: None, image: image(value) }
    }

    fn watched() -> WatchList {
        let list = WatchList::default();
        list.insert(Watched { spec: spec(), generation: 1, needs: None });
        list
    }

    /// `+1`, `-1`, `T` per change.
    fn told(transactions: &[Transaction]) -> Vec<String> {
        let text = |change: &Change| match change {
            Change::Row { old: Some(row), new: None, .. } => format!("-{:?}", row[0]),
            Change::Row { old: None, new: Some(row), .. } => format!("+{:?}", row[0]),
            Change::Truncate { .. } => "T".to_owned(),
            other => format!("{other:?}"),
        };
        transactions.iter().flat_map(|transaction| transaction.changes.iter().map(text)).collect()
    }

    #[test]
    fn the_transaction_that_had_to_wait_comes_last_however_old_it_is() {
        // 10 drew its id first, on another table; 11 inserted and committed; 10 then truncated.
        let records = vec![
            record(3, 10, Action::Truncate, 0),
            record(2, 11, Action::Insert, 5),
            record(1, 10, Action::Insert, 4),
        ];
        let transactions = transactions(records, &watched(), &mut HashSet::new(), Position(1), 0);
        assert_eq!(transactions.iter().map(|t| t.xid).collect::<Vec<_>>(), [11, 10]);
        assert_eq!(told(&transactions), ["+Int4(5)", "T"]);
    }

    #[test]
    fn a_trigger_that_changes_the_row_again_is_recorded_before_its_cause() {
        // 1 → 2 by the statement, 2 → 3 by its row trigger, whose statement ends first.
        let records = vec![
            record(1, 9, Action::Delete, 2),
            record(1, 9, Action::Insert, 3),
            record(2, 9, Action::Delete, 1),
            record(2, 9, Action::Insert, 2),
        ];
        assert_eq!(
            told(&transactions(records, &watched(), &mut HashSet::new(), Position(1), 0)),
            ["-Int4(1)", "+Int4(3)"]
        );
    }

    #[test]
    fn equal_rows_are_counted() {
        let records = vec![
            record(1, 9, Action::Insert, 1),
            record(1, 9, Action::Insert, 1),
            record(2, 9, Action::Insert, 1),
            record(3, 9, Action::Delete, 1),
        ];
        assert_eq!(
            told(&transactions(records, &watched(), &mut HashSet::new(), Position(1), 0)),
            ["+Int4(1)", "+Int4(1)"]
        );
    }

    #[test]
    fn a_row_of_another_layout_sheds_the_table_once() {
        let mut wrong = record(1, 9, Action::Insert, 1);
        wrong.image[3] = 2;
        let records = vec![wrong, record(2, 10, Action::Insert, 1), record(3, 11, Action::LayoutChanged, 0)];
        let transactions = transactions(records, &watched(), &mut HashSet::new(), Position(1), 0);
        assert_eq!(transactions.iter().map(|transaction| transaction.sheds.len()).sum::<usize>(), 1);
        assert!(told(&transactions).is_empty());
    }

    #[test]
    fn damaged_records_are_errors() {
        weir_tests::hostile::hammer("recorded rows", &[&image(5)], |bytes| row(bytes, &spec()).is_ok());
    }
}
