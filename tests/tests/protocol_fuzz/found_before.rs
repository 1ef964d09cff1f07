//! Sequences that once were answered otherwise through Weir, each played whole and in pieces.

use crate::stage::{Pair, stack};
use weir_tests::protocol::{Sequence, Step};

/// Sequences that once were answered otherwise through Weir.
fn found_before() -> Vec<Sequence> {
    use Step::{Bind, CopyData, CopyDone, Describe, Execute, Parse, Query, Sync, Wait};
    let parse = |sql: &str| Parse { name: "", sql: sql.into(), types: vec![] };
    let bind = |statement| Bind { portal: "", statement, formats: vec![], values: vec![], results: vec![] };
    let execute = |rows| Execute { portal: "", rows };
    let totals = "SELECT * FROM totals ORDER BY shop";
    let lines = "SELECT id, shop FROM lines ORDER BY id LIMIT $1 OFFSET $2";
    let read = [parse(totals), bind(""), execute(0), Sync, Wait];
    let copy = [parse("COPY (SELECT * FROM totals ORDER BY shop) TO STDOUT"), bind(""), execute(0), Sync, Wait];
    let bind_values = |count: usize, formats: &[i16]| Bind {
        portal: "",
        statement: "",
        formats: formats.to_vec(),
        values: vec![None; count],
        results: vec![],
    };
    // What a failed block says of the unnamed statement and portal that memory was given in it.
    let begin = [Query(totals.into()), Wait, Query("BEGIN".into()), Wait];
    let fail = [bind("unknown"), Sync, Wait];
    let close = Step::Close { kind: 'P', name: "" };
    let refused = [
        &[bind_values(1, &[]), Sync, Wait, bind_values(2, &[1]), Sync, Wait, bind_values(0, &[1, 0]), Sync, Wait][..],
        &[bind_values(0, &[]), Sync, Wait, bind_values(2, &[0, 0, 0]), execute(1), Sync, Wait][..],
        &[Step::Raw { tag: 'B', length: 8, body: b"\0\0\0\x01".to_vec() }, Sync, Wait][..],
        &[Describe { kind: 'S', name: "" }, Sync, Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync]
            [..],
    ]
    .concat();
    let all = [
        // A Parse that nobody executes may be an error.
        vec![parse("SELECT nope FROM totals"), Sync],
        // So may a Bind.
        vec![parse(lines), bind(""), Sync],
        // A Sync with a body is one.
        vec![parse(totals), Step::Raw { tag: 'S', length: 5, body: b"x".to_vec() }],
        // A query behind a failed Bind is skipped with it, up to the Sync.
        vec![bind("unknown"), Query(totals.into()), Wait, Sync, Wait, Query(totals.into())],
        // What was put in for the client may be skipped, too.
        [&read[..], &[bind("unknown"), bind(""), execute(1), Sync, bind(""), execute(1), Sync]].concat(),
        // So does one that cannot be read.
        [
            &read[..],
            &[Step::Raw { tag: 'P', length: 17, body: b"\0SELECT '\xc3('\0\0\0"[..13].to_vec() }, Sync, Wait],
            &[
                Step::Raw { tag: 'P', length: 19, body: b"\0SELECT '\xc3('\0\0\0".to_vec() },
                Sync,
                Wait,
                bind(""),
                execute(1),
                Sync,
            ],
        ]
        .concat(),
        // A Parse that is skipped leaves the unnamed statement as it was.
        [&read[..], &[bind("unknown"), parse("SELECT 7"), Sync, Wait, bind(""), execute(1), Sync]].concat(),
        // In a block the unnamed portal outlives its batch; then a query destroys it.
        [&[Query("BEGIN".into()), Wait], &read[..], &[execute(0), Sync, Describe { kind: 'P', name: "" }, Sync, Wait]]
            .concat(),
        [
            &[Query("BEGIN".into()), Wait],
            &read[..],
            &[execute(0), Sync, Wait, Query("SELECT count(*) FROM lines".into()), Wait, execute(5), Sync],
        ]
        .concat(),
        // Nothing is put in while a copy runs.
        vec![Query(totals.into()), Wait, Query("COPY scratch FROM STDIN".into()), Wait, bind(""), Sync],
        // Behind a message of impossible length the replies to what came before are still told apart.
        vec![Query(totals.into()), Wait, bind(""), Step::Raw { tag: 'B', length: u32::MAX, body: vec![] }],
        // What has been collected before it is forwarded with the statement that memory was given.
        vec![
            Query(totals.into()),
            Wait,
            parse(totals),
            Step::Flush,
            bind_values(1, &[0]),
            Step::Raw { tag: 'Q', length: 0, body: vec![] },
        ],
        // A description takes no snapshot, not even that of a statement that upstream has not been given.
        [
            &read[..],
            &[Describe { kind: 'S', name: "" }, Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Sync],
        ]
        .concat(),
        // A block that is opened in one flight with its first read, and one whose opening fails.
        [
            &[parse("BEGIN"), bind(""), execute(0)],
            &read[..],
            &[Query("INSERT INTO scratch VALUES (9, 'x')".into()), Wait],
            &read[..],
            &[Query("COMMIT".into()), Wait],
        ]
        .concat(),
        [&[parse("BEGIN"), bind("unknown"), execute(0)], &read[..], &read[..]].concat(),
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind("unknown"), execute(0), parse("BEGIN"), bind("")][..],
            &[execute(0), Query("SELECT 1".into()), parse(totals), bind(""), Sync, Wait][..],
            &read[..],
        ]
        .concat(),
        // SET TRANSACTION comes too late behind a read of its block, also in the middle of a batch.
        [
            &[Query("BEGIN".into()), Wait],
            &read[..],
            &[Parse { name: "s1", sql: "SAVEPOINT a".into(), types: vec![] }],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Sync],
        ]
        .concat(),
        [
            &[Query(totals.into()), parse("BEGIN"), bind(""), execute(0), parse(lines), Sync],
            &[Parse { name: "s1", sql: "SAVEPOINT a".into(), types: vec![] }, bind("s1")][..],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Sync],
        ]
        .concat(),
        // A description takes one, too, which lasts up to the Sync.
        [
            &[Query(totals.into()), Wait, parse(totals), Describe { kind: 'S', name: "" }, Step::Flush, Wait][..],
            &[Query("BEGIN ISOLATION LEVEL REPEATABLE READ".into()), Wait, Query("ROLLBACK".into())],
        ]
        .concat(),
        [
            &[Query(totals.into()), Wait, parse(totals), Describe { kind: 'S', name: "" }, Step::Flush, Wait][..],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Wait],
        ]
        .concat(),
        // That of a COPY takes none.
        [
            &[Query(totals.into()), Wait, copy[0].clone(), Describe { kind: 'S', name: "" }, Step::Flush, Wait][..],
            &[Query("BEGIN ISOLATION LEVEL REPEATABLE READ".into()), Wait, Query("ROLLBACK".into())],
        ]
        .concat(),
        [
            &begin[..],
            &[copy[0].clone(), Describe { kind: 'S', name: "" }, Sync, Wait],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Wait],
        ]
        .concat(),
        [
            &[Query(totals.into()), Wait, parse(totals), Step::Flush, copy[0].clone(), Step::Flush, Wait][..],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Wait],
        ]
        .concat(),
        // The portal of a read in a block that has failed since, and in one whose end is under way.
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind(""), execute(0)],
            &read[..],
            &[parse("SELEC 1"), Sync, Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync],
        ]
        .concat(),
        [&[Query("BEGIN".into()), Wait], &read[..], &[Query("ROLLBACK".into()), execute(0), Sync]].concat(),
        [
            &[Parse { name: "end", sql: "ROLLBACK".into(), types: vec![] }, Sync, Query("BEGIN".into()), Wait],
            &read[..],
            &[Bind { portal: "p", statement: "end", formats: vec![], values: vec![], results: vec![] }],
            &[Execute { portal: "p", rows: 0 }, execute(0), Sync],
        ]
        .concat(),
        // A portal that memory made and closed, where upstream has another; and one that a description outlives.
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind(""), execute(0), parse(totals), bind(""), execute(0)],
            &[Step::Close { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync, Wait][..],
            &[Query("ROLLBACK".into()), Wait, Query("BEGIN".into()), Wait],
            &read[..],
            &[parse(totals), Describe { kind: 'S', name: "" }, Sync, Wait, Describe { kind: 'P', name: "" }, Sync],
        ]
        .concat(),
        // A type that there is not, for a parameter that is not used.
        vec![
            Parse { name: "", sql: format!("{totals} LIMIT 3"), types: vec![3_999_999_999] },
            bind(""),
            execute(0),
            Sync,
        ],
        // A Bind that fails leaves the portal as it was, or not.
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind(""), execute(0)],
            &read[..],
            &[
                parse(""),
                Bind { portal: "", statement: "", formats: vec![1, 0], values: vec![], results: vec![] },
                Sync,
            ],
            &[Describe { kind: 'P', name: "" }, Sync, Wait],
        ]
        .concat(),
        [
            &[Query(totals.into()), Wait, Query("BEGIN".into()), Wait, Query(totals.into()), Wait][..],
            &[parse("SELECT shop FROM totals ORDER BY shop FOR UPDATE"), bind(""), Sync, Wait, execute(1), Sync][..],
        ]
        .concat(),
        // A Sync behind a COPY that fails within it: whether it was answered is asked for once, and told.
        [
            &[Query("COPY scratch FROM STDIN".into()), Wait, CopyData(b"561\trow\n".to_vec()), CopyDone, Wait][..],
            &[Query("COPY totals FROM STDIN".into()), Wait],
            &[parse("COPY scratch FROM STDIN"), bind(""), CopyData(b"5\tstray\n".to_vec()), execute(0), Sync][..],
            &[CopyData(b"623\trow\n".to_vec()), CopyData(b"900\tcut he".to_vec()), CopyData(b"382\trow\n".to_vec())],
            &[CopyData(b"540\trow\n".to_vec())],
            &[
                Step::CopyFail,
                Sync,
                Wait,
                Query("DO $$ BEGIN PERFORM set_config('bytea_output', 'escape', false); END $$".into()),
                Wait,
                Query("SHOW TimeZone".into()),
                Wait,
                Step::CopyFail,
                Sync,
            ],
            &[
                Query("ROLLBACK".into()),
                Query("RESET SESSION AUTHORIZATION".into()),
                Query("RESET ALL".into()),
                Query("CLOSE ALL".into()),
                Query("UNLISTEN *".into()),
                Query("DEALLOCATE ALL".into()),
                Query("DISCARD TEMP".into()),
                Step::CopyFail,
                Sync,
                Query("ROLLBACK".into()),
            ],
            &[
                Query("SELECT 'end of sequence '".into()),
                Wait,
                Query("ROLLBACK".into()),
                Wait,
                Step::CopyFail,
                Sync,
                Query("ROLLBACK".into()),
                Query("RESET ALL".into()),
            ],
        ]
        .concat(),
        // A SET behind what fails its block, which is not known yet.
        [
            &begin[..],
            &read[..],
            &[close.clone(), execute(3), Sync, Query("SET DateStyle = 'ISO, DMY'".into()), Sync, Wait],
            &[Query("COMMIT".into()), Wait],
        ]
        .concat(),
        // BEGIN comes too late, too, behind a Bind that takes no snapshot.
        [
            &begin[..],
            &[Query(totals.into()), copy[0].clone(), bind("")],
            &[Parse { name: "s1", sql: "BEGIN ISOLATION LEVEL REPEATABLE READ".into(), types: vec![] }, bind("s1")],
            &[execute(0), Sync, Wait, Query("ROLLBACK".into())],
        ]
        .concat(),
        [
            &[Query(totals.into()), Wait, Query("BEGIN READ ONLY".into()), Wait],
            &[Query(totals.into()), copy[0].clone(), bind("")][..],
            &[Parse { name: "s1", sql: "BEGIN READ WRITE".into(), types: vec![] }, bind("s1")],
            &[execute(0), Sync, Wait, Query("ROLLBACK".into())],
        ]
        .concat(),
        // A Bind that is cut short leaves the portal as it was, or not.
        [
            &begin[..],
            &read[..],
            &[Step::Raw { tag: 'B', length: 6, body: b"\0\0".to_vec() }, Sync, execute(0), Sync, Wait],
        ]
        .concat(),
        [
            &begin[..],
            &read[..],
            &[Step::Raw { tag: 'B', length: 11, body: b"\0\0\0\0\0\0\0".to_vec() }, Sync, execute(0), Sync, Wait],
        ]
        .concat(),
        // A statement that is closed in the batch that parsed it.
        vec![
            Query(totals.into()),
            Wait,
            Parse { name: "s2", sql: "COPY (SELECT id FROM lines) TO STDOUT".into(), types: vec![] },
            Step::Close { kind: 'S', name: "s2" },
            Sync,
            Wait,
            bind("s2"),
            execute(0),
            Sync,
        ],
        // A read right behind a Close.
        [&read[..], &[Step::Close { kind: 'S', name: "" }, Sync], &read[..]].concat(),
        [&begin[..], &read[..], &fail, &refused].concat(),
        [&begin[..], &copy[..], &fail, &refused].concat(),
        // A query that fails in such a block leaves a portal of its own, or it does not.
        [
            &begin[..],
            &[Query(totals.into()), Wait][..],
            &[
                Query("SELECT total / (n - 20) FROM totals ORDER BY shop".into()),
                Describe { kind: 'P', name: "" },
                Sync,
            ],
        ]
        .concat(),
        [
            &begin[..],
            &read[..],
            &[Query("SELECT nope".into()), Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync],
        ]
        .concat(),
        [
            &begin[..],
            &copy[..],
            &[Query("SELECT nope".into()), Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync],
        ]
        .concat(),
        // A Close of that portal that is skipped behind an error, or refused, closes nothing; one that is answered does.
        [&begin[..], &read[..], &[fail[0].clone(), close.clone(), Sync, Wait, execute(3), Sync]].concat(),
        [&begin[..], &read[..], &[Step::Close { kind: 'X', name: "" }, Sync, Wait, execute(3), Sync]].concat(),
        [&begin[..], &read[..], &fail, &[close.clone(), execute(3), Sync, Wait, execute(3), Sync]].concat(),
        [&begin[..], &read[..], &[close.clone(), Describe { kind: 'P', name: "" }, Sync, Wait, execute(3), Sync]]
            .concat(),
        // A COPY has run to its end, whatever limit it was given, and does not run again.
        [&begin[..], &copy[..], &[Describe { kind: 'P', name: "" }, execute(1), Sync]].concat(),
        vec![
            copy[0].clone(),
            Describe { kind: 'S', name: "" },
            bind(""),
            Describe { kind: 'P', name: "" },
            execute(1),
            Sync,
        ],
        vec![copy[0].clone(), bind(""), execute(1), execute(1), Sync],
        // A parameter that nothing in it can refer to has no type.
        vec![Parse { name: "", sql: "COPY (SELECT * FROM totals) TO STDOUT".into(), types: vec![0] }, Sync],
        // A Sync within a copy that fails.
        vec![parse("COPY scratch FROM STDIN"), bind(""), execute(0), Sync, CopyData(b"x\n".to_vec()), Wait, Sync, Wait],
        // The copy fails before the Sync, and what follows is another copy with its own end.
        vec![
            Query("COPY scratch FROM STDIN".into()),
            CopyData(b"x\n".to_vec()),
            Sync,
            Query("COPY scratch FROM STDIN".into()),
            CopyData(b"7\tseven\n".to_vec()),
            CopyDone,
            Sync,
            Query(totals.into()),
            Wait,
            Query(totals.into()),
        ],
    ];
    all.into_iter().map(Sequence).collect()
}

#[test]
fn sequences_found_before() {
    let (server, weir) = stack(1);
    let mut pair = Pair::new(&server, &weir, 0);
    for sequence in found_before() {
        for pieces in 0..4 {
            if let Some(found) = pair.fails(&sequence, pieces) {
                panic!("{found}\n{sequence}");
            }
        }
    }
    assert!(!weir.log().contains("the analysis session is lost"), "{}", weir.log());
}
