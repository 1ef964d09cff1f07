//! Scalar expressions.

use super::error::LowerError;
use super::inline::Body;
use super::parts::Parts;
use super::{Level, Lowering, unsupported};
use crate::cost::{at_cost, cost};
use crate::expr::{BooleanTest, Expr};
use crate::query::RangeKind;
use crate::tree::{Node, Tree};
use crate::types::{ColumnType, oid};
use crate::value::Value;
use std::collections::HashMap;

/// Where the columns of range table entries stand in a row: (varno, attribute number) → position.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    positions: HashMap<(usize, i64), usize>,
}

impl Columns {
    pub fn insert(&mut self, varno: usize, attribute: i64, position: usize) {
        self.positions.insert((varno, attribute), position);
    }

    /// These columns, and the others `offset` positions later.
    pub fn concat(mut self, others: Columns, offset: usize) -> Columns {
        self.positions.extend(others.positions.into_iter().map(|(key, position)| (key, position + offset)));
        self
    }

    pub fn position(&self, varno: usize, attribute: i64) -> Option<usize> {
        self.positions.get(&(varno, attribute)).copied()
    }

    pub fn shifted(&self, offset: usize) -> Columns {
        Columns::default().concat(self.clone(), offset)
    }
}

/// One query level as an expression sees it.
#[derive(Clone, Copy)]
pub(super) struct Frame<'l> {
    pub level: &'l Level<'l>,
    pub columns: &'l Columns,
}

/// An expression with its type and the collation it carries (`exprCollation`).
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub expr: Expr,
    pub kind: ColumnType,
    pub collation: u32,
}

pub(super) struct ExprLowerer<'l, 'c> {
    pub lowering: &'l mut Lowering<'c>,
    /// Innermost query first; a `varlevelsup` beyond them is a correlation that is not supported where it stands.
    pub frames: Vec<Frame<'l>>,
    /// What a `CaseTestExpr` stands for at the moment.
    pub case_test: Option<Typed>,
    /// What is cast to a domain, in its constraints.
    pub domain_value: Option<Typed>,
    /// Output columns of the subquery of `x IN (SELECT …)`.
    pub sublink_columns: Vec<Typed>,
    /// Bodies of functions around the expression, innermost last: whose parameters it mentions.
    pub bodies: Vec<Body>,
    pub parts: Parts,
}

impl<'l, 'c> ExprLowerer<'l, 'c> {
    pub fn new(lowering: &'l mut Lowering<'c>, frames: Vec<Frame<'l>>) -> ExprLowerer<'l, 'c> {
        ExprLowerer {
            lowering,
            frames,
            case_test: None,
            domain_value: None,
            sublink_columns: vec![],
            bodies: vec![],
            parts: Parts::default(),
        }
    }

    pub fn expr(&mut self, node: &Node) -> Result<Typed, LowerError> {
        match node.label.as_str() {
            "VAR" => self.var(node),
            "CONST" => self.constant(node),
            "PARAM" => self.param(node),
            "FUNCEXPR" => self.function_call(node),
            "OPEXPR" => self.operator_call(node),
            "DISTINCTEXPR" => {
                let (equal, args) = self.comparison(node, "IS DISTINCT FROM")?;
                Ok(boolean(Expr::Distinct { equal, args: Box::new(args) }))
            }
            "NULLIFEXPR" => self.null_if(node),
            "SCALARARRAYOPEXPR" => self.scalar_array(node),
            "BOOLEXPR" => self.boolean_operator(node),
            "NULLTEST" => self.null_test(node),
            "BOOLEANTEST" => self.boolean_test(node),
            "ROWCOMPAREEXPR" => self.row_comparison(node),
            "CASEEXPR" => self.case(node),
            "CASETESTEXPR" => match &self.case_test {
                Some(test) => Ok(test.clone()),
                None => unsupported("a case test outside CASE"),
            },
            "COALESCEEXPR" => self.coalesce(node),
            "ARRAYEXPR" => self.array(node),
            "SUBSCRIPTINGREF" => self.subscript(node),
            "MINMAXEXPR" => self.min_max(node),
            "RELABELTYPE" => self.relabel(node),
            "COERCEVIAIO" => self.via_text(node),
            "COERCETODOMAIN" => self.domain_cast(node),
            "COERCETODOMAINVALUE" => match &self.domain_value {
                Some(value) => Ok(value.clone()),
                None => unsupported("a domain's value outside its constraint"),
            },
            "COLLATEEXPR" => self.collate(node),
            "AGGREF" => self.aggregate(node),
            "WINDOWFUNC" => self.window_function(node),
            "GROUPINGFUNC" => self.grouping(node),
            "SUBLINK" => self.scalar_subquery(node),
            "SQLVALUEFUNCTION" => self.sql_value_function(node),
            "NAMEDARGEXPR" => self.expr(node.child("arg")?),
            label => unsupported(construct_name(label)),
        }
    }

    pub fn exprs(&mut self, nodes: &[Tree]) -> Result<Vec<Typed>, LowerError> {
        nodes
            .iter()
            .map(|tree| match tree.as_node() {
                Some(node) => self.expr(node),
                None => unsupported("a dropped column"),
            })
            .collect()
    }

    fn var(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let level = node.index("varlevelsup")?;
        let varno = node.index("varno")?;
        let attribute = node.int("varattno")?;
        let Some(frame) = self.frames.get(level).copied() else { return unsupported("correlated subquery") };
        // A column of a join or of 18's group entry stands for an expression at that query level.
        if let Some(RangeKind::Join { columns } | RangeKind::Group { columns }) =
            frame.level.query.range.get(varno.wrapping_sub(1)).map(|entry| &entry.kind)
        {
            let meaning = usize::try_from(attribute - 1).ok().and_then(|index| columns.get(index));
            let Some(meaning) = meaning.and_then(Tree::as_node) else {
                return unsupported("whole-row reference");
            };
            let outer = self.frames.split_off(level);
            let inner = std::mem::replace(&mut self.frames, outer);
            let lowered = self.expr(meaning);
            let outer = std::mem::replace(&mut self.frames, inner);
            self.frames.extend(outer);
            return lowered;
        }
        let kind = self.lowering.kind(node.oid("vartype")?, node.int32("vartypmod")?, node.oid("varcollid")?)?;
        match frame.columns.position(varno, attribute) {
            Some(position) => Ok(Typed { expr: Expr::Column(position), kind, collation: node.oid("varcollid")? }),
            None if attribute == 0 => unsupported("whole-row reference"),
            None if attribute < 0 => unsupported(format!("system column {}", system_column(attribute))),
            None => unsupported("a column of a relation outside this clause (LATERAL)"),
        }
    }

    pub(super) fn param(&mut self, node: &Node) -> Result<Typed, LowerError> {
        /// `PARAM_EXTERN` and `PARAM_SUBLINK` of `src/include/nodes/primnodes.h`.
        const EXTERN: i64 = 0;
        const SUBLINK: i64 = 2;
        let index = node.index("paramid")?.wrapping_sub(1);
        match node.int("paramkind")? {
            EXTERN if !self.bodies.is_empty() => match self.bodies.last_mut().and_then(|body| body.argument(index)) {
                Some(argument) => Ok(argument),
                None => unsupported("a parameter that its function does not have"),
            },
            EXTERN => {
                let collation = node.oid("paramcollid")?;
                let kind = self.lowering.kind(node.oid("paramtype")?, node.int32("paramtypmod")?, collation)?;
                self.lowering.params = self.lowering.params.max(index + 1);
                Ok(Typed { expr: Expr::Param(index), kind, collation })
            }
            SUBLINK => match self.sublink_columns.get(index) {
                Some(column) => Ok(column.clone()),
                None => unsupported("a subquery column outside its subquery"),
            },
            _ => unsupported("an internal parameter"),
        }
    }

    fn boolean_operator(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let args = self.exprs(node.list("args")?)?.into_iter().map(|arg| arg.expr);
        Ok(boolean(match node.word("boolop")? {
            Some("and") => Expr::And(args.collect()),
            Some("or") => Expr::Or(args.collect()),
            Some("not") => match args.collect::<Vec<_>>().pop() {
                Some(arg) => Expr::Not(Box::new(arg)),
                None => return unsupported("NOT of nothing"),
            },
            _ => return unsupported("an unknown boolean operator"),
        }))
    }

    fn null_test(&mut self, node: &Node) -> Result<Typed, LowerError> {
        if node.bool("argisrow")? {
            return self.row_null_test(node);
        }
        let arg = Box::new(self.expr(node.child("arg")?)?.expr);
        Ok(boolean(if node.int("nulltesttype")? == 0 { Expr::IsNull(arg) } else { Expr::IsNotNull(arg) }))
    }

    fn boolean_test(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let arg = Box::new(self.expr(node.child("arg")?)?.expr);
        let test = match node.int("booltesttype")? {
            0 => BooleanTest::IsTrue,
            1 => BooleanTest::IsNotTrue,
            2 => BooleanTest::IsFalse,
            3 => BooleanTest::IsNotFalse,
            4 => BooleanTest::IsUnknown,
            5 => BooleanTest::IsNotUnknown,
            _ => return unsupported("an unknown boolean test"),
        };
        Ok(boolean(Expr::BooleanTest { arg, test }))
    }

    /// The simple form becomes the searched form: in its WHEN a `CaseTestExpr` stands for the tested value.
    fn case(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let test = node.optional("arg")?.map(|arg| self.expr(arg)).transpose()?;
        let mut branches = Vec::new();
        for when in node.nodes("args")? {
            let outer = std::mem::replace(&mut self.case_test, test.clone());
            let condition = self.expr(when.child("expr")?);
            self.case_test = outer;
            let condition = condition?.expr;
            // Postgres computes what is tested once.
            let again = test.as_ref().filter(|_| !branches.is_empty()).map_or(0, |test| cost(&test.expr));
            let others = cost(&condition).saturating_sub(again);
            let condition = if again > 0 { at_cost(condition, others) } else { condition };
            branches.push((condition, self.expr(when.child("result")?)?.expr));
        }
        let otherwise = match node.optional("defresult")? {
            Some(result) => self.expr(result)?.expr,
            None => Expr::Const(Value::Null),
        };
        let expr = Expr::Case { branches, otherwise: Box::new(otherwise) };
        self.typed(expr, node.oid("casetype")?, node.oid("casecollid")?)
    }

    fn coalesce(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let args = self.exprs(node.list("args")?)?.into_iter().map(|arg| arg.expr).collect();
        self.typed(Expr::Coalesce(args), node.oid("coalescetype")?, node.oid("coalescecollid")?)
    }

    fn min_max(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let greatest = node.int("op")? == 0;
        let name = if greatest { "GREATEST" } else { "LEAST" };
        let result = self.typed(Expr::Const(Value::Null), node.oid("minmaxtype")?, node.oid("minmaxcollid")?)?;
        if !super::has_order(result.kind.oid) && !result.is_enum() {
            return unsupported(format!("{name} of type {}", self.lowering.type_name(result.kind.oid)));
        }
        self.lowering.check_order(name, node.oid("inputcollid")?)?;
        self.lowering.check_type_order(name, &result.kind)?;
        let args = self.exprs(node.list("args")?)?;
        let args = args.into_iter().map(|arg| self.lowering.ordered(arg.expr, &result.kind).0).collect();
        let expr = self.lowering.of_order(Expr::MinMax { greatest, args }, &result.kind);
        Ok(Typed { expr, ..result })
    }

    fn null_if(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let (equal, args) = self.comparison(node, "NULLIF")?;
        let expr = Expr::NullIf { equal, args: Box::new(args) };
        self.typed(expr, node.oid("opresulttype")?, node.oid("opcollid")?)
    }

    pub fn typed(&self, expr: Expr, type_oid: u32, collation: u32) -> Result<Typed, LowerError> {
        Ok(Typed { expr, kind: self.lowering.kind(type_oid, -1, collation)?, collation })
    }
}

pub(super) fn boolean(expr: Expr) -> Typed {
    Typed { expr, kind: ColumnType::new(oid::BOOL), collation: 0 }
}

/// `src/include/access/sysattr.h`.
fn system_column(attribute: i64) -> &'static str {
    match attribute {
        -1 => "ctid",
        -2 => "xmin",
        -3 => "cmin",
        -4 => "xmax",
        -5 => "cmax",
        -6 => "tableoid",
        _ => "of unknown number",
    }
}

/// A node that has no counterpart, in SQL words.
fn construct_name(label: &str) -> String {
    match label {
        "ROWEXPR" => "row constructor".into(),
        "FIELDSELECT" | "FIELDSTORE" => "field of a composite value".into(),
        "ARRAYCOERCEEXPR" => "cast of an array".into(),
        "CONVERTROWTYPEEXPR" => "cast of a row".into(),
        "XMLEXPR" => "XML expression".into(),
        "NEXTVALUEEXPR" => "nextval".into(),
        "JSONVALUEEXPR" | "JSONCONSTRUCTOREXPR" | "JSONISPREDICATE" | "JSONEXPR" => "SQL/JSON expression".into(),
        "MERGESUPPORTFUNC" => "MERGE_ACTION()".into(),
        "RETURNINGEXPR" => "RETURNING OLD or NEW".into(),
        other => format!("expression {other}"),
    }
}
