//! What set-returning functions give for one row (nodeProjectSet.c, nodeFunctionscan.c).

use super::{EvalContext, Tuple};
use crate::plan::SetCalls;
use crate::value::{EvalError, Value};

/// The columns that the node adds to this input row, one list for each row it becomes. `Err` when an argument, a
/// function or the condition failed: it is then undecided which rows there are.
pub fn set_rows(set: &SetCalls, row: &[Value], ctx: &EvalContext) -> Result<Vec<Vec<Value>>, EvalError> {
    let mut lists = Vec::with_capacity(set.calls.len());
    for call in &set.calls {
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            match arg.eval(Tuple::single(row), ctx) {
                Value::Error(error) => return Err((*error).clone()),
                value => args.push(value),
            }
        }
        if args.iter().any(Value::is_null) {
            lists.push(None);
            continue;
        }
        match (call.function.eval)(&args.iter().collect::<Vec<_>>(), ctx)? {
            Value::Array(array) => lists.push(Some(array)),
            other => return Err(EvalError::unsupported(format!("{} gives {other:?}", call.function.symbol))),
        }
    }
    let elements = |list: &Option<std::sync::Arc<crate::value::Array>>| list.as_ref().map_or(0, |l| l.elements.len());
    let longest = lists.iter().map(elements).max().unwrap_or(0);
    let mut rows = Vec::with_capacity(longest);
    for at in 0..longest {
        let value = |list: &Option<std::sync::Arc<crate::value::Array>>| {
            list.as_ref().and_then(|list| list.elements.get(at)).cloned().unwrap_or(Value::Null)
        };
        let mut added: Vec<Value> = lists.iter().map(value).collect();
        if set.ordinality {
            added.push(Value::Int8(at as i64 + 1));
        }
        let passes = match &set.left {
            Some(condition) => condition.eval_bool(Tuple::pair(row, &added), ctx)?,
            None => true,
        };
        if passes {
            rows.push(added);
        }
    }
    if rows.is_empty() && set.left.is_some() {
        rows.push(vec![Value::Null; set.width()]);
    }
    Ok(rows)
}
