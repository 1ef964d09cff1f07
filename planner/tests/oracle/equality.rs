//! `compare` and canonical images against each type's default btree operators.

use crate::generate::{self, TYPES};
use crate::server::{ValueArray, connect};
use std::cmp::Ordering;
use weir_planner::value::compare;
use weir_tests::rng::{rounds, seeded};

const PAIRS: (usize, usize) = (2_000, 50_000);

#[tokio::test]
async fn order_and_equality_agree() {
    let client = connect().await;
    let mut rng = seeded("order_and_equality_agree");
    let count = rounds(PAIRS.0, PAIRS.1);
    for type_oid in TYPES {
        // Every other pair shares a small pool, so that equal values of different images meet.
        let pool: Vec<_> = (0..40).map(|_| generate::value(&mut rng, *type_oid)).collect();
        let mut draw = |i: usize| {
            if i.is_multiple_of(2) {
                pool[rand::Rng::random_range(&mut rng, 0..pool.len())].clone()
            } else {
                generate::value(&mut rng, *type_oid)
            }
        };
        let left: Vec<_> = (0..count).map(&mut draw).collect();
        let right: Vec<_> = (0..count).map(&mut draw).collect();
        let row = client
            .query_one("SELECT typname::text FROM pg_type WHERE oid = $1::int8", &[&(*type_oid as i64)])
            .await
            .expect("a known type");
        let name: String = row.get(0);
        let query =
            format!("SELECT a < b, a = b FROM unnest($1::pg_catalog.{name}[], $2::pg_catalog.{name}[]) AS t(a, b)");
        let arrays = (
            ValueArray { element: *type_oid, values: left.clone() },
            ValueArray { element: *type_oid, values: right.clone() },
        );
        let rows = client.query(&query, &[&arrays.0, &arrays.1]).await.unwrap_or_else(|e| panic!("{query}: {e:?}"));
        for ((a, b), row) in left.iter().zip(&right).zip(&rows) {
            let (less, equal): (bool, bool) = (row.get(0), row.get(1));
            let expected = match (less, equal) {
                (true, _) => Ordering::Less,
                (_, true) => Ordering::Equal,
                _ => Ordering::Greater,
            };
            assert_eq!(compare(a, b), expected, "{name}: {a:?} against {b:?}");
            assert_eq!(compare(b, a), expected.reverse(), "{name}: {b:?} against {a:?}");
            assert_eq!(a.canonical() == b.canonical(), equal, "{name}: canonical {a:?} and {b:?}");
            assert_eq!(a.is_canonical(), a.canonical() == *a, "{name}: {a:?}");
        }
    }
}
