//! SELECT DISTINCT: one row per class of equal rows.

use super::graph::NodeId;
use super::images::Images;
use super::memory::row_bytes;
use super::operator::{Batch, Operator, Output, StepContext, rows};
use crate::key::{KeyMap, KeySpec, KeyState, KeyValues};
use std::sync::Arc;
use weir_planner::{Expr, Row, Value};

pub(crate) struct DistinctOperator {
    key: KeySpec,
    many_images: bool,
    classes: KeyMap<Class>,
    touched: Vec<KeyValues>,
    heap: usize,
}

struct Class {
    rows: i64,
    images: Option<Box<Images>>,
    emitted: Option<Row>,
    touched: bool,
}

impl DistinctOperator {
    pub fn new(width: usize, many_images: bool) -> DistinctOperator {
        let key = KeySpec::new((0..width).map(Expr::Column).collect());
        DistinctOperator { key, many_images, classes: KeyMap::default(), touched: vec![], heap: 0 }
    }
}

impl Operator for DistinctOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        out.consolidated = true;
        let DistinctOperator { key, many_images, classes, touched, heap } = self;
        for (row, weight) in rows(&inputs[0]) {
            key.with_key(row, context.eval, |key, state| {
                if state == KeyState::Failed {
                    out.errors += weight;
                    return;
                }
                let class = classes.get_or_insert(key, || Class {
                    rows: 0,
                    images: many_images.then(|| Box::new(Images::new())),
                    emitted: None,
                    touched: false,
                });
                if !class.touched {
                    class.touched = true;
                    touched.push(KeyValues::from(key));
                }
                class.rows += weight;
                if let Some(images) = &mut class.images {
                    images.add(row, weight);
                }
            });
        }
        for key in touched.drain(..) {
            let Some(class) = classes.get_mut(&key) else { continue };
            class.touched = false;
            let lives = class.rows != 0;
            let new = match &class.images {
                _ if !lives => None,
                None => class.emitted.clone().or_else(|| Some(Row::from(key.as_slice()))),
                Some(images) => images.shown(),
            };
            if new != class.emitted {
                // Two classes that are not known to look like anything are emitted as the same row.
                let shown = class.emitted.iter().chain(&new).flat_map(|row| row.iter());
                out.consolidated &= class.images.is_none() || !shown.into_iter().any(Value::is_error);
                if let Some(old) = class.emitted.take() {
                    *heap = heap.saturating_sub(row_bytes(&old));
                    out.rows.push((old, -1));
                }
                if let Some(new) = &new {
                    *heap += row_bytes(new);
                    out.rows.push((new.clone(), 1));
                }
                class.emitted = new;
            }
            if !lives {
                classes.remove(&key);
            }
        }
    }

    fn content(&self, _inputs: &[NodeId], _context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        for (_, class) in self.classes.iter() {
            if let Some(row) = &class.emitted {
                f(row, 1);
            }
        }
        0
    }

    fn is_stateful(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        self.classes.bytes() + self.heap
    }
}
