//! `format()`, whose arguments may be of any types, over random templates.

use crate::generate;
use crate::server::{ValueArray, connect};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio_postgres::types::ToSql;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::types::oid;
use weir_planner::{Expr, Value};
use weir_tests::rng::{rounds, seeded};

/// format(): random templates, most of them well-formed, with arguments of three types and NULLs.
#[tokio::test]
async fn formats_agree() {
    let client = connect().await;
    let mut rng = seeded("formats_agree");
    let format = weir_planner::functions::lookup("text_format").expect("registered");
    const PIECES: [&str; 29] = [
        "%s",
        "%s",
        "%L",
        "%I",
        "%1$I",
        "%-9I",
        "%1$s",
        "%2$L",
        "%3$s",
        "%4$s",
        "%-8s",
        "%7s",
        "%*s",
        "%-*s",
        "%*2$s",
        "%1$*2$L",
        "%-3$5s",
        "%2$-6s",
        "%%",
        "é",
        " a ",
        "$",
        "%0$s",
        "%",
        "%y",
        "%12345678901s",
        "%*0$s",
        "%*2s",
        "%--3L",
    ];
    client
        .batch_execute(
            "CREATE FUNCTION pg_temp.attempt(f text, a text, b int, c numeric) RETURNS text[] LANGUAGE plpgsql AS $body$
             BEGIN RETURN ARRAY['value', format(f, a, b, c)];
             EXCEPTION WHEN OTHERS THEN RETURN ARRAY[SQLSTATE, SQLERRM]; END $body$",
        )
        .await
        .expect("format can be wrapped");
    let words: Vec<String> = client
        .query(
            "SELECT word FROM pg_get_keywords() UNION ALL VALUES ('a_1'), ('_'), ('A'), ('1a'), (''), ('a\"b'), ('ä')",
            &[],
        )
        .await
        .expect("the keywords")
        .iter()
        .map(|row| row.get(0))
        .collect();
    // Every keyword is quoted where the server quotes it, or left to it.
    let quote = weir_planner::functions::lookup("quote_ident").expect("registered");
    for word in &words {
        let expected: String = client.query_one("SELECT quote_ident($1)", &[word]).await.expect("it is quoted").get(0);
        let call = Expr::Call { function: quote, args: vec![Expr::Const(Value::text(word))] };
        match call.eval(Tuple::single(&[]), &EvalContext::default()) {
            Value::Text(text) => assert_eq!(*text, *expected),
            Value::Error(error) => assert!(error.is_unsupported() && word.contains('_') || word == "json", "{word}"),
            other => panic!("{word}: {other:?}"),
        }
    }
    let (mut values, mut errors, mut left) = (0, 0, 0);
    for _ in 0..rounds(400, 10_000) {
        let template: String =
            (0..rng.random_range(0..5)).map(|_| *PIECES.choose(&mut rng).expect("not empty")).collect();
        let optional = |value: Value, rng: &mut StdRng| if rng.random_bool(0.1) { Value::Null } else { value };
        let text = match rng.random_bool(0.3) {
            true => Value::text(words.choose(&mut rng).expect("not empty")),
            false => generate::value(&mut rng, oid::TEXT),
        };
        let text = optional(text, &mut rng);
        let number = Value::Int4(rng.random_range(-12..12));
        let number = optional(number, &mut rng);
        let exact = generate::value(&mut rng, oid::NUMERIC);
        let exact = optional(exact, &mut rng);
        let args = vec![Value::text(&template), text, number, exact];
        let arrays: Vec<ValueArray> = [oid::TEXT, oid::TEXT, oid::INT4, oid::NUMERIC]
            .into_iter()
            .zip(&args)
            .map(|(element, value)| ValueArray { element, values: vec![value.clone()] })
            .collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = arrays.iter().map(|array| array as _).collect();
        let query = "SELECT pg_temp.attempt(f, a, b, c) \
                     FROM unnest($1::text[], $2::text[], $3::int4[], $4::numeric[]) AS t(f, a, b, c)";
        let row = client.query_one(query, &parameters).await.expect("it is wrapped");
        let expected: Vec<Option<String>> = row.get(0);
        let columns = (0..args.len()).map(Expr::Column).collect();
        let call = Expr::Call { function: format, args: columns };
        let actual = match call.eval(Tuple::single(&args), &EvalContext::default()) {
            Value::Text(text) => ["value".to_owned(), text.to_string()],
            // A width that is no integer.
            Value::Error(error) if error.is_unsupported() => {
                left += 1;
                continue;
            }
            Value::Error(error) => [error.sqlstate.to_string(), error.message.to_string()],
            other => panic!("{args:?}: {other:?}"),
        };
        if actual[0] == "value" {
            values += 1
        } else {
            errors += 1
        }
        assert_eq!(actual.map(Some).to_vec(), expected, "{args:?}");
    }
    eprintln!("{values} texts, {errors} errors, {left} left to Postgres");
    assert!(values > 100 && errors > 20 && left < values);
}
