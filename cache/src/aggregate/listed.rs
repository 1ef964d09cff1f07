//! Values in an order the call gives: `string_agg`, `array_agg`.

use super::json::{json_array, json_object, jsonb_object};
use super::ordered::image_order;
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::plan::{AggregateCall, AggregateKind, SortKey};
use weir_planner::types::oid;
use weir_planner::value::{Array, compare_nulls, element_type};
use weir_planner::{EvalError, Expr, Value};

/// The key's direction and where its NULLs go.
#[derive(Clone, Copy, Debug)]
struct Direction {
    descending: bool,
    nulls_first: bool,
}

/// What is kept of one row: what it is sorted by, then arguments that are no sort key.
#[derive(Debug)]
struct Entry {
    directions: Arc<[Direction]>,
    values: Box<[Value]>,
}

impl Entry {
    fn by_keys(&self, other: &Entry) -> Ordering {
        let pairs = self.values.iter().zip(&other.values).zip(self.directions.iter());
        let orders = pairs.map(|((a, b), key)| compare_nulls(a, b, key.descending, key.nulls_first));
        orders.fold(Ordering::Equal, Ordering::then)
    }
}

impl Ord for Entry {
    /// By the keys, then by anything that tells images apart.
    fn cmp(&self, other: &Entry) -> Ordering {
        self.by_keys(other).then_with(|| {
            let orders = self.values.iter().zip(&other.values).map(|(a, b)| image_order(a, b));
            orders.fold(Ordering::Equal, Ordering::then)
        })
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}

/// A multiset of rows in the call's order: a row comes and goes in O(log n), the value is written anew.
#[derive(Debug)]
pub(crate) struct ListedValues {
    directions: Arc<[Direction]>,
    /// Where each argument is in an entry's values.
    places: Box<[usize]>,
    rows: BTreeMap<Entry, i64>,
    heap: usize,
}

impl ListedValues {
    pub fn new(call: &AggregateCall) -> ListedValues {
        let direction = |key: &SortKey| Direction { descending: key.descending, nulls_first: key.nulls_first };
        let mut next = call.order.len();
        let mut place = |argument: &Expr| {
            call.order.iter().position(|key| key.expr == *argument).unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        };
        let places = call.args.iter().map(&mut place).collect();
        ListedValues { directions: call.order.iter().map(direction).collect(), places, rows: BTreeMap::new(), heap: 0 }
    }

    /// Adds a row `weight` times, or takes it back. `string_agg` is silent about NULLs, `array_agg` is not.
    pub fn update(
        &mut self,
        call: &AggregateCall,
        row: Tuple<'_>,
        weight: i64,
        context: &EvalContext,
    ) -> Result<(), Arc<EvalError>> {
        let keys = call.order.iter().map(|key| &key.expr);
        let others = call.args.iter().zip(&self.places).filter(|(_, place)| **place >= call.order.len());
        let exprs = keys.chain(others.map(|(argument, _)| argument));
        let values: Box<[Value]> = exprs.map(|expr| expr.eval(row, context)).collect();
        if let Some(Value::Error(error)) = values.iter().find(|value| value.is_error()) {
            return Err(error.clone());
        }
        let skips_null = !call.kind.takes_nulls();
        if skips_null && self.places.first().is_some_and(|place| values[*place].is_null()) {
            return Ok(());
        }
        self.add(values, weight);
        Ok(())
    }

    fn add(&mut self, values: Box<[Value]>, weight: i64) {
        let size = values.iter().map(|value| size_of::<Value>() + value.heap_size()).sum::<usize>();
        let entry = Entry { directions: self.directions.clone(), values };
        match self.rows.entry(entry) {
            btree_map::Entry::Occupied(mut entry) => {
                *entry.get_mut() += weight;
                if *entry.get() == 0 {
                    entry.remove();
                    self.heap = self.heap.saturating_sub(size);
                }
            }
            btree_map::Entry::Vacant(entry) => {
                entry.insert(weight);
                self.heap += size;
            }
        }
    }

    /// The first argument of some row is NULL.
    pub(super) fn has_null(&self) -> bool {
        let Some(&place) = self.places.first() else { return false };
        self.rows.iter().any(|(entry, count)| *count > 0 && entry.values[place].is_null())
    }

    /// Calls `f` with each row's arguments in order; with DISTINCT, whose order has all arguments as keys, with those of
    /// one row of each class. Rows that the keys leave equal and that differ have no order that could be known.
    pub(super) fn for_each<'a>(&'a self, distinct: bool, mut f: impl FnMut(&[&'a Value])) -> Result<(), EvalError> {
        let mut last: Option<(&Entry, SmallVec<[&Value; 2]>)> = None;
        for (entry, count) in self.rows.iter().filter(|(_, count)| **count > 0) {
            let arguments: SmallVec<[&Value; 2]> = self.places.iter().map(|place| &entry.values[*place]).collect();
            let is_peer = last.as_ref().is_some_and(|(last, _)| last.by_keys(entry) == Ordering::Equal);
            if is_peer && last.as_ref().is_some_and(|(_, last)| *last != arguments) {
                return Err(EvalError::unsettled("an aggregate whose value depends on the order of equal rows"));
            }
            let copies = match distinct {
                true => i64::from(!is_peer),
                false => *count,
            };
            (0..copies).for_each(|_| f(&arguments));
            last = Some((entry, arguments));
        }
        Ok(())
    }

    /// The aggregate's value over all rows.
    pub fn value(&self, call: &AggregateCall) -> Result<Value, EvalError> {
        match call.kind {
            AggregateKind::StringAgg => self.string(call),
            AggregateKind::JsonAgg => json_array(self, call, false),
            AggregateKind::JsonbAgg => json_array(self, call, true),
            AggregateKind::JsonObjectAgg => json_object(self, call),
            AggregateKind::JsonbObjectAgg => jsonb_object(self, call),
            _ => self.array(call),
        }
    }

    /// `string_agg_transfn`, `bytea_string_agg_transfn` of varlena.c: each value but the first behind its own row's delimiter.
    fn string(&self, call: &AggregateCall) -> Result<Value, EvalError> {
        let mut string: Option<Vec<u8>> = None;
        let bytes = |value: &Value, out: &mut Vec<u8>| match value {
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Bytea(bytes) => out.extend_from_slice(bytes),
            _ => {}
        };
        self.for_each(call.distinct, |arguments| {
            let is_first = string.is_none();
            let out = string.get_or_insert_default();
            if let (false, Some(delimiter)) = (is_first, arguments.get(1)) {
                bytes(delimiter, out);
            }
            arguments.first().into_iter().for_each(|value| bytes(value, out));
        })?;
        match string {
            None => Ok(Value::Null),
            Some(bytes) if call.output.oid == oid::BYTEA => Ok(Value::Bytea(bytes.into())),
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Value::text(&text)),
                Err(_) => Err(EvalError::unsupported("string_agg of what is no text")),
            },
        }
    }

    /// `array_agg_transfn` of array_userfuncs.c.
    fn array(&self, call: &AggregateCall) -> Result<Value, EvalError> {
        let mut values: Vec<Value> = vec![];
        self.for_each(call.distinct, |arguments| values.extend(arguments.first().map(|value| (*value).clone())))?;
        match element_type(call.output.oid) {
            Some(_) if values.is_empty() => Ok(Value::Null),
            Some(element) => Ok(Value::Array(Array::list(element, values).into())),
            None => Err(EvalError::unsupported("array_agg of a type without known arrays")),
        }
    }

    pub fn bytes(&self) -> usize {
        self.heap + self.rows.len() * size_of::<(Entry, i64)>()
    }
}
