//! Retractable sums against `sum` and `avg` over what is left.

use crate::generate;
use crate::server::{ValueArray, connect};
use weir_planner::Value;
use weir_planner::types::oid;
use weir_planner::value::{Numeric, NumericSum};
use weir_tests::rng::{rounds, seeded};

const GROUPS: (usize, usize) = (300, 10_000);

#[tokio::test]
async fn sums_agree_after_retractions() {
    let client = connect().await;
    let mut rng = seeded("sums_agree_after_retractions");
    for round in 0..rounds(GROUPS.0, GROUPS.1) {
        let type_oid = [oid::NUMERIC, oid::INT8, oid::INT4][round % 3];
        let size = rand::Rng::random_range(&mut rng, 0..12);
        let mut sum = NumericSum::new();
        let add = |sum: &mut NumericSum, value: &Value, weight| match value {
            Value::Numeric(v) => sum.add(v, weight),
            Value::Int8(v) => sum.add_integer(*v, weight),
            Value::Int4(v) => sum.add_integer(*v as i64, weight),
            other => panic!("{other:?} is not summed"),
        };
        let kept: Vec<Value> = (0..size).map(|_| generate::value(&mut rng, type_oid)).collect();
        let passing: Vec<Value> = (0..6).map(|_| generate::value(&mut rng, type_oid)).collect();
        // Values that come and go leave no trace, also when they go before they come.
        let first = if rand::Rng::random(&mut rng) { 2 } else { -2 };
        passing.iter().for_each(|value| add(&mut sum, value, first));
        kept.iter().for_each(|value| add(&mut sum, value, 1));
        passing.iter().for_each(|value| add(&mut sum, value, -first));
        let name = ["numeric", "int8", "int4"][round % 3];
        let query = format!("SELECT sum(x)::text, avg(x)::text FROM unnest($1::{name}[]) AS x");
        let array = ValueArray { element: type_oid, values: kept.clone() };
        let row = client.query_one(&query, &[&array]).await.unwrap_or_else(|e| panic!("{query}: {e:?}"));
        let text = |result: Option<Result<Numeric, _>>| {
            result.map(|value: Result<Numeric, weir_planner::EvalError>| value.expect("within range").to_string())
        };
        assert_eq!(text(sum.sum()), row.get::<_, Option<String>>(0), "sum of {kept:?}");
        assert_eq!(text(sum.avg()), row.get::<_, Option<String>>(1), "avg of {kept:?}");
    }
}
