//! tokio-postgres: prepared statements in binary, pipelining, portals, COPY, notifications, cancel, simple queries.

mod common;

use common::{REPETITIONS, note_route, notes_routes, pause, variable};
use futures_util::{SinkExt, StreamExt, TryStreamExt, future};
use std::time::{Duration, SystemTime};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, Row, SimpleQueryMessage};

/// The image of any value, as it came.
struct Image(Option<Vec<u8>>);

impl<'a> FromSql<'a> for Image {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Image, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Image(Some(raw.to_vec())))
    }
    fn from_sql_null(_: &Type) -> Result<Image, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Image(None))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

fn say_rows(label: &str, found: &Result<Vec<Row>, Error>) {
    match found {
        Ok(rows) => {
            println!("{label}: {} rows", rows.len());
            for row in rows {
                let images: Vec<_> = (0..row.len()).map(|n| row.get::<_, Image>(n).0.map(|image| format!("{image:02x?}"))).collect();
                println!("{label}: {images:?}");
            }
        }
        Err(error) => println!("{label}: {:?} {error}", error.code()),
    }
}

async fn route(client: &Client, kind: &str) {
    if notes_routes() {
        for message in client.simple_query("SHOW weir.last_route").await.expect("Weir answers") {
            if let SimpleQueryMessage::Row(row) = message {
                note_route(kind, row.get(0).unwrap_or_default());
            }
        }
    }
}

async fn connect(listen: Option<tokio::sync::mpsc::UnboundedSender<AsyncMessage>>) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host(variable("PGHOST")).port(variable("PGPORT").parse().expect("a port"));
    config.user(variable("PGUSER")).password(variable("PGPASSWORD")).dbname(variable("PGDATABASE"));
    let (client, mut connection) = config.connect(NoTls).await.expect("the server accepts");
    tokio::spawn(async move {
        while let Some(message) = future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let (Ok(message), Some(listener)) = (message, &listen) {
                let _ = listener.send(message);
            }
        }
    });
    client
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

async fn reads(client: &Client) {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_705_708_800);
    let reads: [(&str, &str, Parameters<'_>); 11] = [
        ("point", "SELECT name, orders, spent FROM customer_totals WHERE id = $1", &[&17i32]),
        ("any", "SELECT id, spent FROM customer_totals WHERE id = ANY($1) ORDER BY id", &[&vec![3i32, 5, 8]]),
        ("in", "SELECT id, spent FROM customer_totals WHERE id IN ($1, $2, $3) ORDER BY id", &[&3i32, &5i32, &8i32]),
        ("top", "SELECT id, name, spent FROM customer_totals ORDER BY spent DESC, id LIMIT 5", &[]),
        ("limit", "SELECT id, spent FROM customer_totals ORDER BY id LIMIT $1 OFFSET $2", &[&5i64, &10i64]),
        (
            "join",
            "SELECT t.id, t.spent, c.spent FROM customer_totals t JOIN country_totals c ON c.country = t.country \
             WHERE t.id < $1 ORDER BY t.id",
            &[&5i32],
        ),
        ("aggregate", "SELECT count(*), sum(spent), max(latest) FROM customer_totals", &[]),
        ("group", "SELECT country, max(spent) FROM customer_totals GROUP BY country ORDER BY country", &[]),
        ("text", "SELECT id, spent FROM customer_totals WHERE country = $1 ORDER BY id LIMIT 3", &[&"JP"]),
        ("range", "SELECT count(*), sum(amount) FROM order_lines WHERE placed >= $1", &[&start]),
        ("kinds", "SELECT * FROM every_kind ORDER BY id", &[]),
    ];
    for (kind, sql, parameters) in reads {
        let statement = client.prepare(sql).await.expect("the statement is right");
        for n in 0..REPETITIONS {
            let found = client.query(&statement, parameters).await;
            if n == 0 || n == REPETITIONS - 1 {
                say_rows(kind, &found);
            }
            pause().await;
        }
        route(client, kind).await;
        for n in 0..REPETITIONS {
            let found = client.query(sql, parameters).await;
            if n == REPETITIONS - 1 {
                say_rows(kind, &found);
            }
            pause().await;
        }
        route(client, &format!("{kind} prepared each time")).await;
    }
    for table in ["kinds", "every_kind", "extremes", "every_extreme", "documents", "every_document"] {
        say_rows(table, &client.query(&format!("SELECT * FROM {table} ORDER BY id"), &[]).await);
    }
}

#[tokio::main]
async fn main() {
    println!("tokio-postgres 0.7.18");
    let mut client = connect(None).await;
    reads(&client).await;

    // Sent together: one pipeline.
    let statement = client.prepare("SELECT spent FROM customer_totals WHERE id = $1").await.expect("right");
    for _ in 0..REPETITIONS {
        let ids = [3i32, 5, 8];
        let found = future::join_all(ids.iter().map(|id| client.query(&statement, std::slice::from_ref(id).iter().map(|id| id as &(dyn ToSql + Sync)).collect::<Vec<_>>().leak()))).await;
        found.iter().for_each(|found| say_rows("pipeline", found));
        pause().await;
    }
    route(&client, "pipeline").await;

    for n in 0..REPETITIONS {
        let transaction = client.transaction().await.expect("a transaction begins");
        say_rows("block", &transaction.query(&statement, &[&17i32]).await);
        if n == REPETITIONS - 1 {
            if let Ok(messages) = transaction.simple_query("SHOW weir.last_route").await {
                for message in messages {
                    if let SimpleQueryMessage::Row(row) = message {
                        note_route("in a transaction block", row.get(0).unwrap_or_default());
                    }
                }
            }
        }
        let _ = transaction.commit().await;
        pause().await;
    }
    let mut transaction = client.transaction().await.expect("a transaction begins");
    transaction.execute("INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)", &[]).await.expect("inserted");
    {
        let savepoint = transaction.savepoint("one").await.expect("a savepoint");
        say_rows("unique", &savepoint.query("INSERT INTO scratch VALUES (1)", &[]).await);
    }
    say_rows("own writes", &transaction.query("SELECT * FROM scratch_totals", &[]).await);
    let portal = transaction.bind("SELECT id FROM customer_totals ORDER BY id", &[]).await.expect("a portal");
    for _ in 0..3 {
        say_rows("portal", &transaction.query_portal(&portal, 3).await);
    }
    transaction.rollback().await.expect("rolled back");
    say_rows("rolled back", &client.query("SELECT * FROM scratch_totals", &[]).await);

    let mut sink = Box::pin(client.copy_in("COPY scratch FROM STDIN").await.expect("copy begins"));
    for n in 0..3000 {
        let line = bytes::Bytes::from(format!("{}\tcopy {}\t{n}\t\\N\n", 1000 + n, n % 5));
        sink.send(line).await.expect("taken");
    }
    println!("copied in: {:?}", sink.as_mut().finish().await.map_err(|error| error.code().cloned()));
    let out = client.copy_out("COPY (SELECT * FROM every_kind ORDER BY id) TO STDOUT (FORMAT binary)").await.expect("copy begins");
    let blocks: Vec<bytes::Bytes> = out.try_collect().await.expect("copied");
    println!("copied out: {:02x?}", blocks.concat());
    say_rows("copied", &client.query("SELECT * FROM scratch_totals ORDER BY label", &[]).await);
    match client.simple_query("SELECT 1; SELECT spent FROM customer_totals WHERE id = 17; SELECT 1/0; SELECT 2").await {
        Ok(messages) => println!("several: {} messages", messages.len()),
        Err(error) => println!("several: {:?}", error.code()),
    }
    let stream = client.query_raw("SELECT repeat('x', 1000) FROM generate_series(1, 20000)", Vec::<i32>::new()).await;
    println!("big: {}", Box::pin(stream.expect("rows")).count().await);

    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let listener = connect(Some(sender)).await;
    listener.batch_execute("LISTEN news; DO $$ BEGIN RAISE NOTICE 'hello'; END $$").await.expect("listens");
    for n in 0..3 {
        client.execute("SELECT pg_notify('news', $1)", &[&format!("message {n}")]).await.expect("notified");
    }
    for _ in 0..4 {
        match tokio::time::timeout(Duration::from_secs(5), heard.recv()).await {
            Ok(Some(AsyncMessage::Notification(n))) => println!("notified: {} {}", n.channel(), n.payload()),
            Ok(Some(AsyncMessage::Notice(notice))) => println!("notice: {notice}"),
            other => println!("nothing came: {}", other.is_err()),
        }
    }
    let token = client.cancel_token();
    let (slow, _) = tokio::join!(client.query("SELECT pg_sleep(30)", &[]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await
    });
    println!("cancel: {:?}", slow.err().and_then(|error| error.code().cloned()));
    let mut wrong = 0;
    let read = client.prepare("SELECT rows FROM scratch_totals WHERE label = $1").await.expect("right");
    for n in 0..200i32 {
        client.execute("INSERT INTO scratch VALUES ($1, 'mine', 1, NULL)", &[&(30000 + n)]).await.expect("inserted");
        let found = client.query_one(&read, &[&"mine"]).await.expect("one row");
        wrong += i32::from(found.get::<_, i64>(0) != i64::from(n) + 1);
    }
    println!("writes not seen: {wrong}");
    route(&client, "after own insert").await;
}
