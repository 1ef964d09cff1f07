//! Typed scalar expressions over the columns of an input row.

use crate::functions::Function;
use crate::types::ColumnType;
use crate::value::Value;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// Position in the input row (for a join: left columns, then right).
    Column(usize),
    Const(Value),
    /// External parameter, 0-based.
    Param(usize),
    Call {
        function: &'static Function,
        args: Vec<Expr>,
    },
    /// Three-valued.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    IsNotNull(Box<Expr>),
    /// `x IS [NOT] TRUE | FALSE | UNKNOWN`.
    BooleanTest {
        arg: Box<Expr>,
        test: BooleanTest,
    },
    /// `CASE`; the simple form is lowered to the searched form over `arg` with the tree's own equality calls.
    /// Branches after the one taken are not evaluated.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Box<Expr>,
    },
    Coalesce(Vec<Expr>),
    /// `NULLIF(a, b)` with the equality function the tree names.
    NullIf {
        equal: &'static Function,
        args: Box<(Expr, Expr)>,
    },
    /// `IS DISTINCT FROM` with the equality function the tree names.
    Distinct {
        equal: &'static Function,
        args: Box<(Expr, Expr)>,
    },
    /// `left op ANY (list)` (`any`) or `left op ALL (list)`; the list is expanded.
    ScalarArray {
        function: &'static Function,
        any: bool,
        left: Box<Expr>,
        list: Vec<Expr>,
    },
    /// `left op ANY (array)` or `left op ALL (array)` over one array value, a parameter for example.
    ArrayMember {
        function: &'static Function,
        any: bool,
        left: Box<Expr>,
        array: Box<Expr>,
    },
    /// `ARRAY[…]` of one dimension, of elements of this type (`pg_type.oid`).
    Array {
        element: u32,
        items: Vec<Expr>,
    },
    /// GREATEST (`greatest`) or LEAST, by the type's default order.
    MinMax {
        greatest: bool,
        args: Vec<Expr>,
    },
    /// Cast through text (`CoerceViaIO`): output function of `from`, input function of `to`.
    ViaText {
        arg: Box<Expr>,
        from: ColumnType,
        to: ColumnType,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BooleanTest {
    IsTrue,
    IsNotTrue,
    IsFalse,
    IsNotFalse,
    IsUnknown,
    IsNotUnknown,
}
