//! Queries that depend on the rows around them, taken apart: the inner query is evaluated once for every combination of
//! the outer values it mentions (its *domain*), carrying these values along as leading columns through every clause, and
//! is then joined to the outer rows by them. So grouping, windows, set operations and LIMIT inside are per outer row.

use super::error::LowerError;
use super::expr::{Columns, Frame};
use super::order::OrderedRows;
use super::select::project;
use super::{Level, Lowering, unsupported};
use crate::expr::Expr;
use crate::optimize::not_null;
use crate::plan::{Node as PlanNode, Plan};
use crate::query::{Query, RangeKind};
use crate::tree::{Node, Tree};
use crate::types::{ColumnType, RelationId, oid};
use crate::value::{Inet, IpVersion, Numeric, Range, Value, bound_type, element_type, has_many_images};

/// Stands for the domain while the outer rows it is made of are not known: no relation has this OID.
const UNKNOWN_ROWS: RelationId = RelationId(0);

/// A column of a query around.
#[derive(Clone, Copy)]
struct Mention {
    /// How many frames out.
    frame: usize,
    varno: usize,
    attribute: i64,
    /// Type, modifier and collation.
    kind: (u32, i32, u32),
}

/// The outer values that an inner query mentions.
pub(super) struct Domain {
    /// Over the outer row, one per column of the domain.
    exprs: Vec<Expr>,
    kinds: Vec<ColumnType>,
    /// Per frame around: where its columns stand in the domain.
    outer: Vec<Columns>,
}

/// An inner query over a domain whose rows are not known yet.
pub(super) struct Dependent {
    /// The domain's columns, then the query's own.
    pub plan: Plan,
    /// What the domain's columns are, over the outer row.
    pub exprs: Vec<Expr>,
}

impl Domain {
    pub fn width(&self) -> usize {
        self.exprs.len()
    }

    /// The rows of the domain, to be known later.
    fn rows(&self) -> Plan {
        let node = PlanNode::Scan { relation: UNKNOWN_ROWS, columns: (0..self.width()).collect() };
        Plan { node, columns: self.kinds.clone() }
    }
}

impl Lowering<'_> {
    /// The domain of these trees: subqueries and expressions of the innermost of `frames`.
    pub(super) fn domain(&mut self, trees: &[&Node], frames: &[Frame<'_>]) -> Result<Domain, LowerError> {
        let mut mentions = Vec::new();
        for node in trees {
            mentioned(node, 0, frames, &mut mentions)?;
        }
        let mut domain = Domain { exprs: vec![], kinds: vec![], outer: vec![Columns::default(); frames.len()] };
        for Mention { frame, varno, attribute, kind } in mentions {
            let Some(position) = frames[frame].columns.position(varno, attribute) else {
                return unsupported("correlated subquery");
            };
            let (kind, collation) = (self.kind(kind.0, kind.1, kind.2)?, kind.2);
            self.check_equality("correlation by a value", &kind, collation)?;
            // Of two equal ones one may be held with a bitmap, which no text tells.
            if element_type(kind.oid).is_some() {
                return unsupported("correlation by an array");
            }
            domain.outer[frame].insert(varno, attribute, domain.exprs.len());
            domain.exprs.push(Expr::Column(position));
            domain.kinds.push(kind);
        }
        if domain.exprs.is_empty() {
            // One row for all: a group by nothing would be there without rows.
            domain.exprs.push(Expr::Const(Value::Bool(true)));
            domain.kinds.push(ColumnType::new(oid::BOOL));
        }
        // Equal values that look different are different to the inner query.
        for at in 0..domain.exprs.len() {
            if has_many_images(domain.kinds[at].oid) {
                let text = ColumnType::new(oid::TEXT);
                let arg = Box::new(domain.exprs[at].clone());
                domain.exprs.push(Expr::ViaText { arg, from: domain.kinds[at].clone(), to: text.clone() });
                domain.kinds.push(text);
            }
        }
        Ok(domain)
    }

    /// A query over a domain.
    pub(super) fn dependent(&mut self, node: &Node, frames: &[Frame<'_>]) -> Result<Dependent, LowerError> {
        let domain = self.domain(&[node], frames)?;
        self.over_domain(node, &domain, frames)
    }

    pub(super) fn over_domain(
        &mut self,
        node: &Node,
        domain: &Domain,
        frames: &[Frame<'_>],
    ) -> Result<Dependent, LowerError> {
        let plan = self.carrying(node, frames[0].level, domain.outer.clone(), domain.rows())?;
        Ok(Dependent { plan, exprs: domain.exprs.clone() })
    }

    /// As [`Self::dependent`], with what the rows are sorted by, and what the domain's columns are.
    pub(super) fn ordered_over_domain(
        &mut self,
        node: &Node,
        frames: &[Frame<'_>],
    ) -> Result<(OrderedRows, Vec<Expr>), LowerError> {
        let domain = self.domain(&[node], frames)?;
        let rows = self.carrying_ordered(node, frames[0].level, domain.outer.clone(), domain.rows())?;
        Ok((rows, domain.exprs))
    }

    /// A query whose FROM begins with `carried`, and which keeps the columns of that in front of its own. `outer` says
    /// where the columns of the queries around it stand in `carried`.
    pub(super) fn carrying(
        &mut self,
        node: &Node,
        parent: &Level<'_>,
        outer: Vec<Columns>,
        carried: Plan,
    ) -> Result<Plan, LowerError> {
        Ok(super::without_order(self.carrying_ordered(node, parent, outer, carried)?.shown().plan))
    }

    fn carrying_ordered(
        &mut self,
        node: &Node,
        parent: &Level<'_>,
        outer: Vec<Columns>,
        carried: Plan,
    ) -> Result<OrderedRows, LowerError> {
        self.nested(|lowering| {
            let query = Query::read(node)?;
            lowering.ordered_select(&Level { query: &query, parent: Some(parent), outer, carried: Some(carried) })
        })
    }

    /// The rows of a query that mentions nothing of the queries around it.
    pub(super) fn ordered_rows(&mut self, node: &Node, parent: &Level<'_>) -> Result<OrderedRows, LowerError> {
        self.nested(|lowering| {
            let query = Query::read(node)?;
            lowering.ordered_select(&Level::new(&query, Some(parent)))
        })
    }

    /// Where the columns of the frames around stand in a domain, for expressions over it.
    pub(super) fn domain_frames<'f>(frames: &[Frame<'f>], domain: &'f Domain) -> Vec<Frame<'f>> {
        frames.iter().zip(&domain.outer).map(|(frame, columns)| Frame { level: frame.level, columns }).collect()
    }

    /// The domain's rows put in, as those of `outer`, and the pairs by which the result is joined to these.
    pub(super) fn resolved(&self, inner: Plan, exprs: &[Expr], outer: &Plan) -> (Plan, Vec<(Expr, Expr)>) {
        let known = not_null(outer, self.catalog);
        let kinds = inner.columns[..exprs.len()].to_vec();
        let rows = project(outer.clone(), exprs.iter().cloned().zip(kinds.clone()).collect());
        let columns = rows.columns.clone();
        let rows = Plan { node: PlanNode::Distinct { input: Box::new(rows) }, columns };
        let mut pairs = Vec::with_capacity(exprs.len());
        for (at, (expr, kind)) in exprs.iter().zip(&kinds).enumerate() {
            let column = Expr::Column(at);
            match expr {
                Expr::Column(own) if known.contains(own) => pairs.push((expr.clone(), column)),
                _ => pairs.extend(same(expr, &column, kind)),
            }
        }
        (with_rows(inner, &rows), pairs)
    }
}

/// Equalities that hold together where both values are NULL or both are equal.
pub(super) fn same(left: &Expr, right: &Expr, kind: &ColumnType) -> [(Expr, Expr); 2] {
    let default = Expr::Const(any_value(kind.oid));
    let filled = |expr: &Expr| Expr::Coalesce(vec![expr.clone(), default.clone()]);
    let is_null = |expr: &Expr| Expr::IsNull(Box::new(expr.clone()));
    [(filled(left), filled(right)), (is_null(left), is_null(right))]
}

/// Some value of a type that has equality.
fn any_value(type_oid: u32) -> Value {
    match type_oid {
        oid::BOOL => Value::Bool(false),
        oid::INT2 => Value::Int2(0),
        oid::INT4 => Value::Int4(0),
        oid::INT8 => Value::Int8(0),
        oid::FLOAT4 => Value::Float4(0.0),
        oid::FLOAT8 => Value::Float8(0.0),
        oid::NUMERIC => Value::Numeric(Numeric::ZERO),
        oid::BPCHAR => Value::Bpchar("".into()),
        oid::BYTEA => Value::Bytea([].into()),
        oid::DATE => Value::Date(0),
        oid::TIME => Value::Time(0),
        oid::TIMESTAMP => Value::Timestamp(0),
        oid::TIMESTAMPTZ => Value::TimestampTz(0),
        oid::INTERVAL => Value::interval(0, 0, 0),
        oid::UUID => Value::Uuid([0; 16].into()),
        oid::JSONB => Value::Jsonb("null".into()),
        oid::INET | oid::CIDR => Value::Inet(Inet { version: IpVersion::V4, bits: 0, address: [0; 16] }),
        oid::TIMETZ => Value::TimeTz(0, 0),
        oid::OID | oid::MACADDR | oid::MACADDR8 => Value::Opaque([].into()),
        _ => match bound_type(type_oid) {
            Some(bound) => Value::Range(Range::empty(bound).into()),
            None => Value::text(""),
        },
    }
}

fn with_rows(mut plan: Plan, rows: &Plan) -> Plan {
    if let PlanNode::Scan { relation: UNKNOWN_ROWS, .. } = plan.node {
        return rows.clone();
    }
    for input in plan.inputs_mut() {
        let below = std::mem::replace(input, Plan { node: PlanNode::Values { rows: vec![] }, columns: vec![] });
        *input = with_rows(below, rows);
    }
    plan
}

/// Collects the columns of `frames` that a tree mentions, each once, with type, typmod and collation. `depth` is the
/// number of queries between the tree and the innermost frame: 0 for its own expressions.
fn mentioned(node: &Node, depth: i64, frames: &[Frame<'_>], found: &mut Vec<Mention>) -> Result<(), LowerError> {
    let depth = depth + i64::from(node.label == "QUERY");
    if node.label == "VAR" {
        let Some(frame) = usize::try_from(node.int("varlevelsup")? - depth).ok() else { return Ok(()) };
        let Some(around) = frames.get(frame) else { return unsupported("correlated subquery") };
        let (varno, attribute) = (node.index("varno")?, node.int("varattno")?);
        // A column of a join or of 18's group entry stands for an expression at that level.
        if let Some(RangeKind::Join { columns } | RangeKind::Group { columns }) =
            around.level.query.range.get(varno.wrapping_sub(1)).map(|entry| &entry.kind)
        {
            let meaning = usize::try_from(attribute - 1).ok().and_then(|index| columns.get(index));
            let Some(meaning) = meaning.and_then(Tree::as_node) else { return unsupported("whole-row reference") };
            let mut within = Vec::new();
            mentioned(meaning, 0, &frames[frame..], &mut within)?;
            for inner in within {
                add(found, Mention { frame: inner.frame + frame, ..inner });
            }
            return Ok(());
        }
        let kind = (node.oid("vartype")?, node.int32("vartypmod")?, node.oid("varcollid")?);
        add(found, Mention { frame, varno, attribute, kind });
        return Ok(());
    }
    for (_, value) in &node.fields {
        mentioned_below(value, depth, frames, found)?;
    }
    Ok(())
}

fn add(found: &mut Vec<Mention>, mention: Mention) {
    let place = |mention: &Mention| (mention.frame, mention.varno, mention.attribute);
    if !found.iter().any(|known| place(known) == place(&mention)) {
        found.push(mention);
    }
}

fn mentioned_below(tree: &Tree, depth: i64, frames: &[Frame<'_>], found: &mut Vec<Mention>) -> Result<(), LowerError> {
    match tree {
        Tree::Node(node) => mentioned(node, depth, frames, found),
        Tree::List(items) => items.iter().try_for_each(|item| mentioned_below(item, depth, frames, found)),
        _ => Ok(()),
    }
}
