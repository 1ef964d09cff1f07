//! Traversal of expressions: which columns one reads, and copies with parts replaced.

use crate::expr::Expr;
use crate::functions::lookup;

impl Expr {
    /// The direct sub-expressions, in evaluation order.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Column(_) | Expr::Const(_) | Expr::Param(_) => vec![],
            Expr::Call { args, .. }
            | Expr::And(args)
            | Expr::Or(args)
            | Expr::Coalesce(args)
            | Expr::Array { items: args, .. }
            | Expr::MinMax { args, .. } => args.iter().collect(),
            Expr::Not(arg)
            | Expr::IsNull(arg)
            | Expr::IsNotNull(arg)
            | Expr::BooleanTest { arg, .. }
            | Expr::ViaText { arg, .. } => vec![arg],
            Expr::Case { branches, otherwise } => {
                branches.iter().flat_map(|(when, then)| [when, then]).chain([otherwise.as_ref()]).collect()
            }
            Expr::NullIf { args, .. } | Expr::Distinct { args, .. } => vec![&args.0, &args.1],
            Expr::ScalarArray { left, list, .. } => std::iter::once(left.as_ref()).chain(list).collect(),
            Expr::ArrayMember { left, array, .. } => vec![left, array],
        }
    }

    /// Calls `f` on this expression and all below it, parents first.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Expr)) {
        f(self);
        for child in self.children() {
            child.visit(f);
        }
    }

    /// Input columns read, ascending, each once.
    pub fn columns(&self) -> Vec<usize> {
        let mut found = std::collections::BTreeSet::new();
        self.visit(&mut |expr| {
            if let Expr::Column(index) = expr {
                found.insert(*index);
            }
        });
        found.into_iter().collect()
    }

    /// A copy in which every sub-expression for which `f` gives a replacement is replaced, outermost first;
    /// replacements are not searched again.
    pub fn replace(&self, f: &mut impl FnMut(&Expr) -> Option<Expr>) -> Expr {
        match f(self) {
            Some(replacement) => replacement,
            None => self.map_children(&mut |child| child.replace(f)),
        }
    }

    /// A copy with other column positions.
    pub fn map_columns(&self, f: &mut impl FnMut(usize) -> usize) -> Expr {
        self.replace(&mut |expr| match expr {
            Expr::Column(index) => Some(Expr::Column(f(*index))),
            _ => None,
        })
    }

    /// A copy whose direct sub-expressions are what `f` makes of them.
    pub fn map_children(&self, f: &mut impl FnMut(&Expr) -> Expr) -> Expr {
        match self {
            Expr::Column(_) | Expr::Const(_) | Expr::Param(_) => self.clone(),
            Expr::Call { function, args } => Expr::Call { function, args: args.iter().map(f).collect() },
            Expr::And(args) => Expr::And(args.iter().map(f).collect()),
            Expr::Or(args) => Expr::Or(args.iter().map(f).collect()),
            Expr::Coalesce(args) => Expr::Coalesce(args.iter().map(f).collect()),
            Expr::Array { element, items } => Expr::Array { element: *element, items: items.iter().map(f).collect() },
            Expr::MinMax { greatest, args } => Expr::MinMax { greatest: *greatest, args: args.iter().map(f).collect() },
            Expr::Not(arg) => Expr::Not(Box::new(f(arg))),
            Expr::IsNull(arg) => Expr::IsNull(Box::new(f(arg))),
            Expr::IsNotNull(arg) => Expr::IsNotNull(Box::new(f(arg))),
            Expr::BooleanTest { arg, test } => Expr::BooleanTest { arg: Box::new(f(arg)), test: *test },
            Expr::ViaText { arg, from, to } => {
                Expr::ViaText { arg: Box::new(f(arg)), from: from.clone(), to: to.clone() }
            }
            Expr::Case { branches, otherwise } => Expr::Case {
                branches: branches.iter().map(|(when, then)| (f(when), f(then))).collect(),
                otherwise: Box::new(f(otherwise)),
            },
            Expr::NullIf { equal, args } => Expr::NullIf { equal, args: Box::new((f(&args.0), f(&args.1))) },
            Expr::Distinct { equal, args } => Expr::Distinct { equal, args: Box::new((f(&args.0), f(&args.1))) },
            Expr::ScalarArray { function, any, left, list } => {
                Expr::ScalarArray { function, any: *any, left: Box::new(f(left)), list: list.iter().map(f).collect() }
            }
            Expr::ArrayMember { function, any, left, array } => {
                Expr::ArrayMember { function, any: *any, left: Box::new(f(left)), array: Box::new(f(array)) }
            }
        }
    }

    /// The operands of a top-level AND, or the expression itself.
    pub fn into_conjuncts(self) -> Vec<Expr> {
        match self {
            Expr::And(args) => args.into_iter().flat_map(Expr::into_conjuncts).collect(),
            other => vec![other],
        }
    }

    /// A call that the planner itself puts in.
    ///
    /// # Panics
    /// Where no function of that symbol is registered: a mistake of whoever wrote the symbol down.
    pub(crate) fn call(symbol: &str, args: Vec<Expr>) -> Expr {
        let function = lookup(symbol).unwrap_or_else(|| panic!("{symbol} is no registered function"));
        Expr::Call { function, args }
    }

    /// The AND of these; None for none.
    pub fn conjunction(mut conjuncts: Vec<Expr>) -> Option<Expr> {
        match conjuncts.len() {
            0 | 1 => conjuncts.pop(),
            _ => Some(Expr::And(conjuncts)),
        }
    }
}
