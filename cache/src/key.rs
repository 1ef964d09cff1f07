//! Key extraction and hash maps keyed by the canonical values of key expressions.

use crate::delta::hash_values;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use smallvec::SmallVec;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::{EvalError, Expr, Value};

/// Key values of a row on the stack.
pub(crate) type KeyValues = SmallVec<[Value; 4]>;

/// What a row's key says about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyState {
    Present,
    /// Some value is NULL: in a join it equals nothing, in a group it is a value like any other.
    HasNull,
    /// Some key expression failed.
    Failed,
}

/// Expressions whose canonical values form a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeySpec {
    pub exprs: Vec<Expr>,
}

impl KeySpec {
    pub fn new(exprs: Vec<Expr>) -> KeySpec {
        KeySpec { exprs }
    }

    /// Nothing has to be evaluated for the key.
    pub fn is_columns(&self) -> bool {
        self.exprs.iter().all(|expr| matches!(expr, Expr::Column(_)))
    }

    /// True when both rows surely have the same key.
    #[inline]
    pub fn is_same(&self, a: &[Value], b: &[Value]) -> bool {
        self.exprs.iter().all(|expr| matches!(expr, Expr::Column(column) if a[*column] == b[*column]))
    }

    /// Calls `f` with the canonical key of the row. A single plain column is borrowed from the row, not copied.
    #[inline]
    pub fn with_key<R>(&self, row: &[Value], context: &EvalContext, f: impl FnOnce(&[Value], KeyState) -> R) -> R {
        if let [Expr::Column(index)] = self.exprs.as_slice() {
            let value = &row[*index];
            let state = state_of(value);
            if value.is_canonical() {
                return f(std::slice::from_ref(value), state);
            }
            return f(&[value.canonical()], state);
        }
        let mut values = KeyValues::new();
        let mut state = KeyState::Present;
        for expr in &self.exprs {
            let value = match expr {
                Expr::Column(index) => canonical(&row[*index]),
                other => canonical(&other.eval(Tuple::single(row), context)),
            };
            state = match (state, state_of(&value)) {
                (KeyState::Failed, _) | (_, KeyState::Failed) => KeyState::Failed,
                (KeyState::HasNull, _) | (_, KeyState::HasNull) => KeyState::HasNull,
                _ => KeyState::Present,
            };
            values.push(value);
        }
        f(&values, state)
    }
}

#[inline]
fn state_of(value: &Value) -> KeyState {
    match value {
        Value::Null => KeyState::HasNull,
        Value::Error(_) => KeyState::Failed,
        _ => KeyState::Present,
    }
}

/// What a class of equal values is shown as that look different: Postgres shows the one it meets first.
pub(crate) fn of_several_looks() -> EvalError {
    EvalError::unsettled("a group or distinct row that is one of several looks of equal values")
}

#[inline]
pub(crate) fn canonical(value: &Value) -> Value {
    if value.is_canonical() { value.clone() } else { value.canonical() }
}

/// A stored key: one value inline, more on the heap.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    One(Value),
    Many(Box<[Value]>),
}

impl Key {
    pub fn new(values: &[Value]) -> Key {
        match values {
            [one] => Key::One(one.clone()),
            many => Key::Many(many.into()),
        }
    }

    #[inline]
    pub fn values(&self) -> &[Value] {
        match self {
            Key::One(value) => std::slice::from_ref(value),
            Key::Many(values) => values,
        }
    }
}

/// Hash map from canonical key values to `V`.
#[derive(Debug)]
pub(crate) struct KeyMap<V> {
    table: HashTable<(Key, V)>,
}

impl<V> Default for KeyMap<V> {
    fn default() -> KeyMap<V> {
        KeyMap { table: HashTable::new() }
    }
}

impl<V> KeyMap<V> {
    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub fn get(&self, key: &[Value]) -> Option<&V> {
        if self.table.is_empty() {
            return None;
        }
        self.table.find(hash_values(key), |(other, _)| other.values() == key).map(|(_, value)| value)
    }

    /// The value under the key, made by `make` when there is none.
    #[inline]
    pub fn get_or_insert(&mut self, key: &[Value], make: impl FnOnce() -> V) -> &mut V {
        let entry = self.table.entry(
            hash_values(key),
            |(other, _)| other.values() == key,
            |(other, _)| hash_values(other.values()),
        );
        match entry {
            Entry::Occupied(entry) => &mut entry.into_mut().1,
            Entry::Vacant(entry) => &mut entry.insert((Key::new(key), make())).into_mut().1,
        }
    }

    #[inline]
    pub fn get_mut(&mut self, key: &[Value]) -> Option<&mut V> {
        self.table.find_mut(hash_values(key), |(other, _)| other.values() == key).map(|(_, value)| value)
    }

    pub fn remove(&mut self, key: &[Value]) -> Option<V> {
        match self.table.find_entry(hash_values(key), |(other, _)| other.values() == key) {
            Ok(entry) => Some(entry.remove().0.1),
            Err(_) => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut V)> {
        self.table.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.table.iter().map(|(key, value)| (key, value))
    }

    pub fn into_entries(self) -> impl Iterator<Item = (Key, V)> {
        self.table.into_iter()
    }

    /// Bytes of the table itself, without what values own.
    pub fn bytes(&self) -> usize {
        self.table.capacity() * (size_of::<(Key, V)>() + 1)
    }
}
