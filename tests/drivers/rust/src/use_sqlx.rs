//! sqlx: its statement cache, pools, transactions, fetch streams, COPY, listeners, and statements that are not kept.

mod common;

use common::{REPETITIONS, note_route, notes_routes, pause, variable};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Executor, PgPool, Row};

fn options() -> PgConnectOptions {
    let port = variable("PGPORT").parse().expect("a port");
    PgConnectOptions::new()
        .host(&variable("PGHOST"))
        .port(port)
        .username(&variable("PGUSER"))
        .password(&variable("PGPASSWORD"))
        .database(&variable("PGDATABASE"))
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
        .disable_statement_logging()
}

fn say_rows(label: &str, found: &Result<Vec<PgRow>, sqlx::Error>) {
    match found {
        Ok(rows) => {
            println!("{label}: {} rows", rows.len());
            for row in rows {
                let images: Vec<_> = (0..row.len())
                    .map(|n| row.try_get_raw(n).ok().and_then(|value| value.as_bytes().ok().map(<[u8]>::to_vec)))
                    .collect();
                println!("{label}: {images:02x?}");
            }
        }
        Err(error) => println!("{label}: {error}"),
    }
}

async fn route(connection: &mut PgConnection, kind: &str) {
    if notes_routes() {
        let route: String = sqlx::query_scalar("SHOW weir.last_route").fetch_one(connection).await.expect("Weir answers");
        note_route(kind, &route);
    }
}

const POINT: &str = "SELECT name, orders, spent FROM customer_totals WHERE id = $1";
const ANY: &str = "SELECT id, spent FROM customer_totals WHERE id = ANY($1) ORDER BY id";
const JOIN: &str = "SELECT t.id, t.spent, c.spent FROM customer_totals t JOIN country_totals c ON c.country = t.country \
                    WHERE t.id < $1 ORDER BY t.id";
const TOP: &str = "SELECT id, name, spent FROM customer_totals ORDER BY spent DESC, id LIMIT $1";
const TEXT: &str = "SELECT id, spent FROM customer_totals WHERE country = $1 ORDER BY id LIMIT 3";
const KINDS: &str = "SELECT * FROM every_kind ORDER BY id";
const AGGREGATE: &str = "SELECT count(*), sum(spent), max(latest) FROM customer_totals";

async fn reads(connection: &mut PgConnection, persistent: bool) {
    for kind in ["point", "any", "join", "top", "text", "kinds", "aggregate"] {
        let mut before = String::new();
        for _ in 0..REPETITIONS {
            let query = match kind {
                "point" => sqlx::query(POINT).bind(17),
                "any" => sqlx::query(ANY).bind(vec![3, 5, 8]),
                "join" => sqlx::query(JOIN).bind(5),
                "top" => sqlx::query(TOP).bind(5i64),
                "text" => sqlx::query(TEXT).bind("JP"),
                "kinds" => sqlx::query(KINDS),
                _ => sqlx::query(AGGREGATE),
            };
            let found = query.persistent(persistent).fetch_all(&mut *connection).await;
            let size = format!("{:?}", found.as_ref().map(Vec::len));
            if size != before {
                say_rows(kind, &found);
            }
            before = size;
            pause().await;
        }
        route(connection, &format!("{kind}{}", if persistent { "" } else { " not kept" })).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), sqlx::Error> {
    println!("sqlx 0.9.0");
    let mut connection = options().connect().await?;
    reads(&mut connection, true).await;
    reads(&mut connection, false).await;
    for sql in ["SELECT * FROM extremes ORDER BY id", "SELECT * FROM every_extreme ORDER BY id", "SELECT * FROM every_document ORDER BY id"] {
        say_rows(sql, &sqlx::query(sql).fetch_all(&mut connection).await);
        say_rows(sql, &sqlx::raw_sql(sql).fetch_all(&mut connection).await);
    }
    for n in 0..REPETITIONS {
        let mut transaction = connection.begin().await?;
        say_rows("block", &sqlx::query(POINT).bind(17).fetch_all(&mut *transaction).await);
        if n == REPETITIONS - 1 {
            route(&mut transaction, "in a transaction block").await;
        }
        transaction.commit().await?;
        pause().await;
    }
    let mut transaction = connection.begin().await?;
    transaction.execute("INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)").await?;
    let mut savepoint = transaction.begin().await?;
    say_rows("unique", &sqlx::query("INSERT INTO scratch VALUES (1)").fetch_all(&mut *savepoint).await);
    savepoint.rollback().await?;
    say_rows("own writes", &sqlx::query("SELECT * FROM scratch_totals").fetch_all(&mut *transaction).await);
    transaction.rollback().await?;
    say_rows("rolled back", &sqlx::query("SELECT * FROM scratch_totals").fetch_all(&mut connection).await);

    let mut copy = connection.copy_in_raw("COPY scratch FROM STDIN").await?;
    for n in 0..3000 {
        copy.send(format!("{}\tcopy {}\t{n}\t\\N\n", 1000 + n, n % 5).into_bytes()).await?;
    }
    println!("copied in: {}", copy.finish().await?);
    let out = connection.copy_out_raw("COPY (SELECT id, spent FROM customer_totals ORDER BY id LIMIT 5) TO STDOUT").await?;
    println!("copied out: {:?}", out.try_collect::<Vec<_>>().await?.concat());
    say_rows("copied", &sqlx::query("SELECT * FROM scratch_totals ORDER BY label").fetch_all(&mut connection).await);
    let big = sqlx::query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)").fetch(&mut connection);
    println!("big: {}", big.try_fold(0, |count, _| async move { Ok(count + 1) }).await?);
    say_rows("several", &sqlx::raw_sql("SELECT 1; SELECT spent FROM customer_totals WHERE id = 17; SELECT 1/0").fetch_all(&mut connection).await);
    let mut wrong = 0;
    for n in 0..200 {
        sqlx::query("INSERT INTO scratch VALUES ($1, 'mine', 1, NULL)").bind(30000 + n).execute(&mut connection).await?;
        let found: i64 = sqlx::query_scalar("SELECT rows FROM scratch_totals WHERE label = $1").bind("mine").fetch_one(&mut connection).await?;
        wrong += i32::from(found != i64::from(n) + 1);
    }
    println!("writes not seen: {wrong}");
    route(&mut connection, "after own insert").await;
    connection.close().await?;

    let pool: PgPool = PgPoolOptions::new().max_connections(4).connect_with(options()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("news").await?;
    for n in 0..3 {
        sqlx::query("SELECT pg_notify('news', $1)").bind(format!("message {n}")).execute(&pool).await?;
    }
    for _ in 0..3 {
        let notification = listener.recv().await?;
        println!("notified: {} {}", notification.channel(), notification.payload());
    }
    for _ in 0..REPETITIONS {
        say_rows("pool", &sqlx::query(POINT).bind(17).fetch_all(&pool).await);
    }
    drop(listener);
    pool.close().await;
    Ok(())
}
