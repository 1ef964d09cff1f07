//! No bytes a client or a server sends make a session panic: every parser of the wire and of SQL texts under mutation.

use super::batch;
use super::cursor::{Cursors, Spoken};
use super::exchange::ServerError;
use super::parameters;
use super::scan;
use super::shape::shape;
use super::statements::Statements;
use crate::analysis::Labels;
use crate::registry::Tables;
use crate::wire::{frame, frontend, startup};
use bytes::{Bytes, BytesMut};
use weir_planner::settings::Settings;
use weir_tests::hostile::hammer;

fn tables() -> Tables {
    let mut tables = Tables::default();
    for name in ["totals", "größe", "odd\"name"] {
        tables.names.insert(name.to_owned());
    }
    tables
}

/// Parse, Bind, Execute, Close and Sync of a read with a parameter.
fn recorded_batch() -> BytesMut {
    let mut out = BytesMut::new();
    frontend::say_parse(&mut out, "", "select * from totals where shop = $1", &[25]);
    frontend::say_bind(&mut out, "", 1, vec![Some(Bytes::from_static(b"shop 1"))]);
    out.extend_from_slice(b"D\0\0\0\x06P\0");
    frontend::say_execute(&mut out);
    frontend::say_close_statement(&mut out, "");
    frontend::say_sync(&mut out);
    out
}

#[test]
fn batches_of_messages() {
    let tables = tables();
    let batch = recorded_batch();
    hammer(
        "batches",
        &[&batch, b"Q\0\0\0\x19select 1 from totals\0", b"B\0\0\0\x0c\0\0\0\0\0\0\0\0S\0\0\0\x04"],
        |bytes| {
            let mut statements = Statements::default();
            batch::read(bytes, &mut statements, &tables, bytes.len() % 2 == 0).is_ok()
        },
    );
}

#[test]
fn cursors() {
    let mut fetch = BytesMut::new();
    frontend::say_parse(
        &mut fetch,
        "",
        "declare \"c\" no scroll cursor without hold for select * from totals order by 1",
        &[],
    );
    frontend::say_bind(&mut fetch, "", 0, vec![]);
    frontend::say_describe_portal(&mut fetch, "");
    frontend::say_execute(&mut fetch);
    frontend::say_sync(&mut fetch);
    let query = b"Q\0\0\0\x26declare c cursor for table totals\0";
    hammer("cursors", &[&fetch, query], |bytes| Spoken::read(bytes, &Cursors::default()).is_some());
}

#[test]
fn single_messages() {
    let batch = recorded_batch();
    let bodies: Vec<&[u8]> = frame::messages(&batch).map(|(_, body)| body).collect();
    hammer("message bodies", &bodies, |body| {
        let _ = (frontend::query(body), frontend::parse(body), frontend::target(body), frontend::execute(body));
        let _ = (frontend::bind_names(body), frontend::parse_name(body), frontend::bound(body), frame::header(body));
        let _ = frame::messages(body).count();
        frontend::bind(body).is_ok() || frontend::parse(body).is_ok()
    });
}

#[test]
fn start_up_packets() {
    let packets: [&[u8]; 6] = [
        b"\0\0\0\x29\0\x03\0\0user\0alice\0options\0-c a=b\0\0",
        b"\0\0\0\x2f\0\x03\0\x02user\0a\0database\0d\0_pq_.x\0y\0\0",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"\0\0\0\x08\x04\xd2\x16\x30",
        b"\0\0\0\x10\x04\xd2\x16\x2e12345678",
        b"GET / HTTP/1.1\r\n",
    ];
    hammer("start-up packets", &packets, |bytes| matches!(startup::parse(bytes), Ok(Some(_))));
}

#[test]
fn error_responses() {
    let errors: [&[u8]; 2] = [b"SFEHLER\0VERROR\0C26000\0Mgone\0\0", b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0"];
    hammer("ErrorResponse", &errors, |bytes| ServerError::read(bytes).sqlstate.len() == 5);
}

#[test]
fn statements_as_text() {
    let tables = tables();
    let texts: [&[u8]; 10] = [
        b"select * from totals where a=5 limit 10",
        b"/* hint */ -- x\n select 1 from public.\"totals\", \"odd\"\"name\"",
        b"select 'it''s', 1.50, 3000000000, -7e-3 from gr\xc3\xb6\xc3\x9fe group by 1, f(2, 3)",
        b"begin isolation level read committed read write;",
        b"select $1, $$x$$, E'a\\'', U&'d\\0061t', 0x1F, 1_000",
        b"set transaction read only",
        b"show weir.last_route",
        b"select pgtrickle.create_stream_table('t', $$select 1$$)",
        b"with a as (select 'a'\n'b') table totals order by 1, 2 limit 3",
        b"insert into log select * from totals",
    ];
    hammer("statements", &texts, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        let _ = scan::classify(text, &tables);
        shape(text).is_some()
    });
}

#[test]
fn parameter_values() {
    let types =
        [16, 17, 20, 21, 23, 25, 26, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802, 1007, 1009];
    let values: [&[u8]; 8] = [
        b"42",
        b"2024-01-03 05:00Z",
        b"\0\0\0\x2a",
        b"1 day 02:03",
        b"{1,2,NULL}",
        b"\0\x01\0\0\0\0\0\0\x30\x39",
        b"-1.5e10",
        b"t",
    ];
    let settings = Settings::default();
    hammer("parameters", &values, |bytes| {
        let mut accepted = false;
        for type_oid in types {
            for format in [0, 1] {
                let bind = frontend::Bind {
                    portal: b"",
                    statement: b"",
                    formats: vec![format],
                    values: vec![Some(bytes)],
                    result_formats: vec![],
                };
                accepted |= parameters::decode(&bind, &[type_oid], &Labels::new(), &settings, &mut Vec::new()).is_ok();
            }
        }
        accepted
    });
}
