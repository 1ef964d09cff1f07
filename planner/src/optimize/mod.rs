//! Rewrites of plans into cheaper plans with the same answer. Each pass is one file and says why it is an
//! equivalence. What can raise an error is evaluated where Postgres may evaluate it: an error is Postgres' to tell.

mod asked;
mod beside_sets;
mod certainty;
mod disjunction;
mod eager;
mod equality;
mod facts;
mod fold;
mod joins;
mod planned;
mod prune;
mod pushdown;
mod reduce;
mod safety;
mod selective;
#[cfg(test)]
mod tests;
mod unseen;

pub use asked::{as_asked, turn};
pub use certainty::{Relations, is_certain};
pub(crate) use certainty::{is_sound, is_sound_over, is_sound_throughout};
pub use equality::split_equalities;
pub(crate) use facts::not_null;
pub(crate) use fold::simplified;
pub use fold::with_constants;
pub use planned::computed_in_planning;
pub(crate) use planned::failure_in_planning;
pub use reduce::reduce;
pub(crate) use safety::{cannot_fail, cannot_fail_itself};
pub use selective::is_selective_scan;
pub use unseen::{Dropper, is_executed_apart, raised, unseen};

use crate::catalog::Catalog;
use crate::plan::{Node, Plan};

/// All passes, in the order in which each prepares the next.
pub fn optimize(plan: Plan, catalog: &Catalog) -> Plan {
    let plan = fold::fold(plan);
    let plan = pushdown::push_filters(plan);
    let plan = prune::prune(plan);
    let plan = eager::aggregate_before_join(plan, catalog);
    let plan = facts::count_rows(plan, catalog);
    asked::order_conditions(prune::prune(plan))
}

/// [`optimize`] and what pays only where results are kept: a read looks for few keys by itself.
pub fn optimize_maintained(plan: Plan, catalog: &Catalog) -> Plan {
    asked::order_conditions(prune::prune(reduce(optimize(plan, catalog), catalog)))
}

/// The plan with each direct input replaced by what `f` makes of it, which must have the same columns.
fn map_inputs(mut plan: Plan, f: &mut dyn FnMut(Plan) -> Plan) -> Plan {
    for slot in plan.inputs_mut() {
        let input = std::mem::replace(slot, empty());
        *slot = f(input);
    }
    plan
}

/// A placeholder while a plan is taken apart.
fn empty() -> Plan {
    Plan { node: Node::Values { rows: vec![] }, columns: vec![] }
}

fn filter(input: Plan, predicates: Vec<crate::Expr>) -> Plan {
    match crate::Expr::conjunction(predicates) {
        None => input,
        Some(predicate) => {
            let columns = input.columns.clone();
            Plan { node: Node::Filter { input: Box::new(input), predicate }, columns }
        }
    }
}
