//! Plans as indented text, for tests, logs and people.

use crate::expr::{BooleanTest, Expr};
use crate::functions::costing;
use crate::plan::{AggregateCall, Bound, Exclusion, Frame, JoinKind, Node, Plan, SortKey, WindowCall, WindowKind};
use crate::types::RelationId;
use crate::value::Value;
use std::fmt::Write;

impl Plan {
    /// One line per node, inputs indented below it. `name` says what a relation is called.
    ///
    /// Columns of the input row are `#0`, `#1` …; over a join the right input's columns follow the left's.
    pub fn to_text(&self, name: &dyn Fn(RelationId) -> String) -> String {
        let mut out = String::new();
        self.write(&mut out, 0, name);
        out
    }

    fn write(&self, out: &mut String, depth: usize, name: &dyn Fn(RelationId) -> String) {
        let line = self.line(name);
        // Writing to a String does not fail.
        let _ = writeln!(out, "{:indent$}{line}", "", indent = depth * 2);
        for input in self.inputs() {
            input.write(out, depth + 1, name);
        }
    }

    fn line(&self, name: &dyn Fn(RelationId) -> String) -> String {
        match &self.node {
            Node::Scan { relation, columns } => {
                let columns: Vec<String> = columns.iter().map(usize::to_string).collect();
                format!("Scan {} [{}]", name(*relation), columns.join(" "))
            }
            Node::Values { rows } => {
                let rows: Vec<String> = rows.iter().map(|row| format!("({})", list(row))).collect();
                format!("Values {}", rows.join(", "))
            }
            Node::Filter { predicate, .. } => format!("Filter {}", text(predicate)),
            Node::Project { exprs, .. } => format!("Project {}", list(exprs)),
            Node::Join(join) => {
                let kind = match join.kind {
                    JoinKind::Inner => "Inner",
                    JoinKind::Left => "Left",
                    JoinKind::Right => "Right",
                    JoinKind::Full => "Full",
                    JoinKind::Semi => "Semi",
                    JoinKind::Anti => "Anti",
                };
                let mut line = format!("{kind}Join");
                let width = join.left.columns.len();
                for (left, right) in &join.equal {
                    let right = right.map_columns(&mut |c| c + width);
                    line += &format!(" {} = {}", text(left), text(&right));
                }
                if let Some(residual) = &join.residual {
                    line += &format!(" when {}", text(residual));
                }
                line
            }
            Node::Aggregate { keys, aggregates, .. } => {
                let calls: Vec<String> = aggregates.iter().map(aggregate).collect();
                format!("Aggregate by ({}): {}", list(keys), calls.join(", "))
            }
            Node::Distinct { .. } => "Distinct".into(),
            Node::Window { functions, .. } => {
                format!("Window {}", functions.iter().map(window).collect::<Vec<_>>().join(", "))
            }
            Node::Sort { keys, limit, offset, .. } => {
                let mut line = format!("Sort ({})", sort_keys(keys));
                for (word, count) in [("limit", limit), ("offset", offset)] {
                    if let Some(count) = count {
                        line += &format!(" {word} {}", text(count));
                    }
                }
                line
            }
            Node::UnionAll { .. } => "UnionAll".into(),
            Node::Repeat { .. } => "Repeat".into(),
            Node::Fence { .. } => "Fence".into(),
            Node::ProjectSet(set) => {
                let set = &set.calls;
                let calls = set.calls.iter().map(|call| format!("{}({})", call.function.symbol, list(&call.args)));
                let mut line = format!("ProjectSet {}", calls.collect::<Vec<_>>().join(", "));
                if set.ordinality {
                    line += " with ordinality";
                }
                if let Some(condition) = &set.left {
                    line += &format!(" left when {}", text(condition));
                }
                line
            }
        }
    }
}

fn list(exprs: &[Expr]) -> String {
    exprs.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn sort_keys(keys: &[SortKey]) -> String {
    let key = |key: &SortKey| {
        // Only what differs from the default of its direction.
        let nulls = match (key.descending, key.nulls_first) {
            (false, true) => " nulls first",
            (true, false) => " nulls last",
            _ => "",
        };
        format!("{}{}{nulls}", text(&key.expr), if key.descending { " desc" } else { "" })
    };
    keys.iter().map(key).collect::<Vec<_>>().join(", ")
}

fn window(call: &WindowCall) -> String {
    let kind = match call.kind {
        WindowKind::RowNumber => "row_number".to_owned(),
        WindowKind::Rank => "rank".to_owned(),
        WindowKind::DenseRank => "dense_rank".to_owned(),
        WindowKind::Aggregate(kind) => format!("{kind:?}({})", list(&call.args)),
        kind => format!("{kind:?}({})", list(&call.args)),
    };
    let filter = call.filter.as_ref().map(|f| format!(" filter {}", text(f))).unwrap_or_default();
    let mut line = format!("{kind}{filter} by ({}) order ({})", list(&call.partition), sort_keys(&call.order));
    if call.frame != Frame::default() {
        let bound = |bound: &Bound| match bound {
            Bound::Unbounded => "unbounded".to_owned(),
            Bound::CurrentRow => "current row".to_owned(),
            Bound::Preceding(offset) => format!("{} preceding", text(offset)),
            Bound::Following(offset) => format!("{} following", text(offset)),
        };
        line += &format!(" {:?} {} to {}", call.frame.mode, bound(&call.frame.start), bound(&call.frame.end));
        if call.frame.exclusion != Exclusion::None {
            line += &format!(" excluding {:?}", call.frame.exclusion);
        }
    }
    line
}

fn aggregate(call: &AggregateCall) -> String {
    let distinct = if call.distinct { "distinct " } else { "" };
    let filter = call.filter.as_ref().map(|f| format!(" filter {}", text(f))).unwrap_or_default();
    let order = if call.order.is_empty() { String::new() } else { format!(" order {}", sort_keys(&call.order)) };
    format!("{:?}({distinct}{}{order}){filter}", call.kind, list(&call.args))
}

fn text(expr: &Expr) -> String {
    let all = |args: &[Expr], word: &str| {
        format!("({})", args.iter().map(text).collect::<Vec<_>>().join(&format!(" {word} ")))
    };
    match expr {
        Expr::Column(index) => format!("#{index}"),
        Expr::Const(value) => constant(value),
        Expr::Param(index) => format!("${}", index + 1),
        Expr::Call { function, args } if *function == costing() => args.first().map_or_else(String::new, text),
        Expr::Call { function, args } => format!("{}({})", function.symbol, list(args)),
        Expr::And(args) => all(args, "and"),
        Expr::Or(args) => all(args, "or"),
        Expr::Not(arg) => format!("not {}", text(arg)),
        Expr::IsNull(arg) => format!("{} is null", text(arg)),
        Expr::IsNotNull(arg) => format!("{} is not null", text(arg)),
        Expr::BooleanTest { arg, test } => {
            let test = match test {
                BooleanTest::IsTrue => "is true",
                BooleanTest::IsNotTrue => "is not true",
                BooleanTest::IsFalse => "is false",
                BooleanTest::IsNotFalse => "is not false",
                BooleanTest::IsUnknown => "is unknown",
                BooleanTest::IsNotUnknown => "is not unknown",
            };
            format!("{} {test}", text(arg))
        }
        Expr::Case { branches, otherwise } => {
            let branches = branches.iter().map(|(when, then)| format!("{} -> {}; ", text(when), text(then)));
            format!("case({}{})", branches.collect::<String>(), text(otherwise))
        }
        Expr::Coalesce(args) => format!("coalesce({})", list(args)),
        Expr::NullIf { args, .. } => format!("nullif({}, {})", text(&args.0), text(&args.1)),
        Expr::Distinct { args, .. } => format!("({} is distinct from {})", text(&args.0), text(&args.1)),
        Expr::ScalarArray { function, any, left, list: items } => {
            let word = if *any { "any" } else { "all" };
            format!("{}({}, {word} [{}])", function.symbol, text(left), list(items))
        }
        Expr::ArrayMember { function, any, left, array } => {
            format!("{}({}, {} {})", function.symbol, text(left), if *any { "any" } else { "all" }, text(array))
        }
        Expr::Array { items, .. } => format!("[{}]", list(items)),
        Expr::MinMax { greatest, args } => {
            format!("{}({})", if *greatest { "greatest" } else { "least" }, list(args))
        }
        Expr::ViaText { arg, from, to } => format!("via_text({}, {} -> {})", text(arg), from.oid, to.oid),
    }
}

fn constant(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(v) => v.to_string(),
        Value::Int2(v) => v.to_string(),
        Value::Int4(v) => v.to_string(),
        Value::Int8(v) => v.to_string(),
        Value::Float4(v) => format!("{v}f4"),
        Value::Float8(v) => format!("{v}f8"),
        Value::Numeric(v) => format!("{v}n"),
        Value::Text(v) => format!("'{v}'"),
        Value::Bpchar(v) => format!("'{v}'bp"),
        other => format!("{other:?}"),
    }
}
