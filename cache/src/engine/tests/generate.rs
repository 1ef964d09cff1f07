//! Random rows and random plans over them.

use super::fixtures::*;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use weir_planner::plan::{
    AggregateCall, AggregateKind, Bound, Exclusion, Frame, FrameMode, JoinKind, Node, SortKey, WindowCall, WindowKind,
};
use weir_planner::types::oid;
use weir_planner::value::Spread;
use weir_planner::{ColumnType, Expr, Plan, Row, Value};

const DEVIATION: AggregateKind = AggregateKind::Spread(Spread { deviation: true, sample: true });
const FLOAT_VARIANCE: AggregateKind = AggregateKind::FloatSpread(Spread { deviation: false, sample: false });

/// Columns of every random base table: a small integer, an integer that is rarely zero, a numeric with several images
/// of the same number, a text, a float.
pub fn table_columns() -> Vec<ColumnType> {
    [oid::INT8, oid::INT8, oid::NUMERIC, oid::TEXT, oid::FLOAT8].map(ColumnType::new).to_vec()
}

pub fn random_value(random: &mut StdRng, kind: u32) -> Value {
    if random.random_bool(0.15) {
        return Value::Null;
    }
    match kind {
        oid::INT8 => Value::Int8(random.random_range(1..5)),
        oid::NUMERIC => numeric(["1", "1.0", "1.00", "2.5", "2.50", "-3"][random.random_range(0..6)]),
        oid::TEXT => Value::text(["a", "b", "ab", ""][random.random_range(0..4)]),
        oid::FLOAT8 => Value::Float8([0.0, -0.0, 0.5, 1.25, -2.0, 3.0][random.random_range(0..6)]),
        oid::BOOL => Value::Bool(random.random()),
        _ => Value::Null,
    }
}

pub fn random_row(random: &mut StdRng) -> Row {
    let mut values: Vec<Value> = table_columns().iter().map(|column| random_value(random, column.oid)).collect();
    if random.random_bool(0.03) {
        values[1] = Value::Int8(0);
    }
    values.into()
}

/// Generates plans over these relations.
pub struct Plans<'a> {
    pub random: &'a mut StdRng,
    pub relations: Vec<(u32, Vec<ColumnType>)>,
    /// Stars that may still be made: each multiplies rows several times over.
    pub stars: usize,
}

impl Plans<'_> {
    fn pick(&mut self, count: usize) -> usize {
        self.random.random_range(0..count)
    }

    fn columns_of(plan: &Plan, kind: u32) -> Vec<usize> {
        (0..plan.columns.len()).filter(|&index| plan.columns[index].oid == kind).collect()
    }

    fn any_column(&mut self, plan: &Plan) -> usize {
        self.pick(plan.columns.len())
    }

    pub fn plan(&mut self, depth: usize) -> Plan {
        if depth == 0 {
            return self.scan();
        }
        match self.pick(24) {
            0..=2 => {
                let input = self.plan(depth - 1);
                let predicate = self.predicate(&input, true);
                filter(input, predicate)
            }
            3..=5 => self.project(depth),
            6..=11 => self.join(depth),
            12..=14 => self.aggregate(depth),
            15 => {
                let input = self.plan(depth - 1);
                let columns = input.columns.clone();
                Plan { node: Node::Distinct { input: Box::new(input) }, columns }
            }
            16 => self.window(depth),
            17 => self.top(depth),
            _ if self.random.random_bool(0.3) => {
                let mut input = self.plan(depth - 1);
                let times = self.integer(&input);
                let mut exprs: Vec<Expr> = (0..input.columns.len()).map(column).collect();
                exprs.push(call(&ADD, vec![times, int(-2)]));
                let columns = input.columns.clone();
                let kinds = columns.iter().cloned().chain([ColumnType::new(oid::INT8)]).collect();
                input = project(input, exprs, kinds);
                Plan { node: Node::Repeat { input: Box::new(input) }, columns }
            }
            18 => {
                let inputs: Vec<Plan> = (0..2).map(|_| self.plan(depth - 1)).collect();
                let kinds = inputs[0].columns.clone();
                let inputs = inputs.into_iter().map(|input| self.conform(input, &kinds)).collect();
                Plan { node: Node::UnionAll { inputs }, columns: kinds }
            }
            22 => self.looked_up(depth),
            19..=21 if self.stars > 0 => {
                self.stars -= 1;
                self.star(depth)
            }
            _ => self.scan(),
        }
    }

    fn scan(&mut self) -> Plan {
        if self.random.random_bool(0.05) {
            let rows = (0..2).map(|_| vec![Expr::Const(random_value(self.random, oid::INT8))]).collect();
            return Plan { node: Node::Values { rows }, columns: int_columns(1) };
        }
        let which = self.pick(self.relations.len());
        let (relation, kinds) = self.relations[which].clone();
        let mut plan = scan(relation, kinds.clone());
        if self.random.random_bool(0.5)
            && let Node::Scan { columns, .. } = &mut plan.node
        {
            columns.shuffle(self.random);
            columns.truncate(self.random.random_range(1..=kinds.len()));
            plan.columns = columns.iter().map(|&column| kinds[column].clone()).collect();
        }
        plan
    }

    /// The plan's columns as these types: columns where they fit, constants where not.
    fn conform(&mut self, input: Plan, kinds: &[ColumnType]) -> Plan {
        let exprs = kinds
            .iter()
            .map(|kind| match Self::columns_of(&input, kind.oid).first() {
                Some(&index) => column(index),
                None => Expr::Const(random_value(self.random, kind.oid)),
            })
            .collect();
        project(input, exprs, kinds.to_vec())
    }

    fn integer(&mut self, plan: &Plan) -> Expr {
        let columns = Self::columns_of(plan, oid::INT8);
        match columns.len() {
            0 => int(2),
            count => column(columns[self.pick(count)]),
        }
    }

    fn predicate(&mut self, plan: &Plan, may_fail: bool) -> Expr {
        match self.pick(9) {
            8 if !Self::columns_of(plan, oid::INT8).is_empty() => self.equals_constant(plan),
            0 if may_fail => {
                let divisor = self.integer(plan);
                call(&LESS, vec![call(&DIVIDE, vec![int(12), divisor]), int(7)])
            }
            1 => Expr::IsNotNull(Box::new(column(self.any_column(plan)))),
            2 => {
                let (a, b) = (self.predicate(plan, may_fail), self.predicate(plan, may_fail));
                if self.random.random() { Expr::And(vec![a, b]) } else { Expr::Or(vec![a, b]) }
            }
            3 => {
                let (a, b) = (self.integer(plan), self.integer(plan));
                call(&LESS, vec![a, b])
            }
            _ => {
                let index = self.any_column(plan);
                let bound = random_value(self.random, plan.columns[index].oid);
                call(&LESS, vec![column(index), Expr::Const(bound)])
            }
        }
    }

    fn project(&mut self, depth: usize) -> Plan {
        let input = self.plan(depth - 1);
        let mut exprs = vec![];
        let mut kinds = vec![];
        for _ in 0..self.random.random_range(1..4) {
            match self.pick(8) {
                0 => {
                    let divisor = self.integer(&input);
                    exprs.push(call(&DIVIDE, vec![int(12), divisor]));
                    kinds.push(ColumnType::new(oid::INT8));
                }
                1 => {
                    let (a, b) = (self.integer(&input), self.integer(&input));
                    exprs.push(call(&ADD, vec![a, b]));
                    kinds.push(ColumnType::new(oid::INT8));
                }
                _ => {
                    let index = self.any_column(&input);
                    exprs.push(column(index));
                    kinds.push(input.columns[index].clone());
                }
            }
        }
        project(input, exprs, kinds)
    }

    fn join(&mut self, depth: usize) -> Plan {
        let (left, right) = (self.plan(depth - 1), self.plan(depth - 1));
        let mut equal = vec![];
        for _ in 0..self.random.random_range(1..3) {
            let index = self.any_column(&left);
            let partners = Self::columns_of(&right, left.columns[index].oid);
            if !partners.is_empty() {
                equal.push((column(index), column(partners[self.pick(partners.len())])));
            }
        }
        if self.random.random_bool(0.05) {
            let divisor = self.integer(&left);
            if let Some(&partner) = Self::columns_of(&right, oid::INT8).first() {
                equal = vec![(call(&DIVIDE, vec![int(12), divisor]), column(partner))];
            }
        }
        use JoinKind::*;
        let kind = [Inner, Inner, Left, Left, Right, Full, Semi, Anti][self.pick(8)];
        let mut plan = join(Inner, left.clone(), right.clone(), vec![], None);
        let may_fail = self.random.random_bool(0.2);
        let residual = self.random.random_bool(0.3).then(|| self.predicate(&plan, may_fail));
        plan = join(kind, left, right, equal, residual);
        plan
    }

    /// Several inputs joined to one by its own columns: the same ones or others, inner and outer, any relation again,
    /// with conditions and narrowing in between.
    fn star(&mut self, depth: usize) -> Plan {
        let mut plan = if self.random.random_bool(0.7) { self.whole_scan() } else { self.plan(depth - 1) };
        // Where the first input's columns are.
        let mut driver: Vec<(usize, u32)> = plan.columns.iter().map(|kind| kind.oid).enumerate().collect();
        // Where the columns are that others have been joined by.
        let mut linked: Vec<(usize, u32)> = vec![];
        for _ in 0..self.random.random_range(2..5) {
            let link = if self.random.random_bool(0.7) { self.whole_scan() } else { self.plan(depth - 1) };
            let mut equal = vec![];
            for _ in 0..self.random.random_range(1..3) {
                let from = if !linked.is_empty() && self.random.random_bool(0.15) { &linked } else { &driver };
                let (at, kind) = from[self.random.random_range(0..from.len())];
                let partners = Self::columns_of(&link, kind);
                if !partners.is_empty() {
                    equal.push((column(at), column(partners[self.pick(partners.len())])));
                }
            }
            if self.random.random_bool(0.04)
                && let Some((at, _)) = driver.iter().find(|(_, kind)| *kind == oid::INT8)
                && let Some(&partner) = Self::columns_of(&link, oid::INT8).first()
            {
                equal = vec![(call(&DIVIDE, vec![int(12), column(*at)]), column(partner))];
            }
            use JoinKind::*;
            let kind = [Inner, Inner, Left, Left, Right][self.pick(5)];
            let may_fail = self.random.random_bool(0.2);
            let (width, linked_width) = (plan.columns.len(), link.columns.len());
            let keys: Vec<(usize, u32)> = equal
                .iter()
                .filter_map(
                    |(_, expr)| if let Expr::Column(at) = expr { Some((*at, link.columns[*at].oid)) } else { None },
                )
                .collect();
            let (moved_by, keys_at) = if kind == Right { (linked_width, 0) } else { (0, width) };
            driver.iter_mut().chain(&mut linked).for_each(|(at, _)| *at += moved_by);
            linked.extend(keys.into_iter().map(|(at, kind)| (at + keys_at, kind)));
            if kind == Right {
                let equal: Vec<(Expr, Expr)> = equal.into_iter().map(|(a, b)| (b, a)).collect();
                plan = join(Right, link, plan, equal, None);
            } else {
                let both = join(Inner, plan.clone(), link.clone(), vec![], None);
                let residual =
                    (kind == Inner && self.random.random_bool(0.15)).then(|| self.predicate(&both, may_fail));
                plan = join(kind, plan, link, equal, residual);
            }
            if self.random.random_bool(0.15) {
                let predicate = self.predicate(&plan, may_fail);
                plan = filter(plan, predicate);
            }
            if self.random.random_bool(0.2) {
                let mut order: Vec<usize> = (0..plan.columns.len()).collect();
                order.shuffle(self.random);
                let kinds = order.iter().map(|&at| plan.columns[at].clone()).collect();
                let place = |old: usize| order.iter().position(|&at| at == old).unwrap_or(0);
                driver.iter_mut().chain(&mut linked).for_each(|(at, _)| *at = place(*at));
                plan = project(plan, order.into_iter().map(column).collect(), kinds);
            }
        }
        let top = self.pick(3);
        if top == 0 {
            return plan;
        }
        // Few columns of each input, and of the first input all or few: rows then repeat or do not.
        let mut kept: Vec<usize> = (0..plan.columns.len()).filter(|_| self.random.random_bool(0.3)).collect();
        if top == 1 {
            kept.extend(driver.iter().map(|(at, _)| *at));
        }
        let mut exprs: Vec<Expr> = kept.iter().map(|&at| column(at)).collect();
        let mut kinds: Vec<ColumnType> = kept.iter().map(|&at| plan.columns[at].clone()).collect();
        let (a, b) = (self.integer(&plan), self.integer(&plan));
        exprs.push(if self.random.random_bool(0.2) { call(&DIVIDE, vec![a, b]) } else { call(&ADD, vec![a, b]) });
        kinds.push(ColumnType::new(oid::INT8));
        project(plan, exprs, kinds)
    }

    /// An integer column with one value, if there is an integer column.
    fn equals_constant(&mut self, plan: &Plan) -> Expr {
        let equal = weir_planner::functions::lookup("int8eq").expect("a registered function");
        call(equal, vec![self.integer(plan), int(self.random.random_range(1..5))])
    }

    /// Groups that few rows look up by their keys: a subquery's value beside rows that a filter has left.
    fn looked_up(&mut self, depth: usize) -> Plan {
        use JoinKind::*;
        let few = self.whole_scan();
        let predicate = self.equals_constant(&few);
        let mut few = filter(few, predicate);
        if self.random.random_bool(0.4) {
            let many = self.whole_scan();
            let equal = self.pairs(&many, &few, 1);
            few = join([Inner, Semi][self.pick(2)], many, few, equal, None);
        }
        let mut input = if self.random.random_bool(0.6) { self.whole_scan() } else { self.plan(depth - 1) };
        if self.random.random_bool(0.4) {
            let other = self.whole_scan();
            let equal = self.pairs(&input, &other, 1);
            input = join([Inner, Left, Right, Semi, Anti][self.pick(5)], input, other, equal, None);
        }
        if self.random.random_bool(0.3) {
            let may_fail = self.random.random_bool(0.3);
            let predicate = self.predicate(&input, may_fail);
            input = filter(input, predicate);
        }
        let integers = Self::columns_of(&input, oid::INT8);
        if integers.is_empty() {
            return few;
        }
        let keys: Vec<usize> =
            (0..self.random.random_range(1..3)).map(|_| integers[self.pick(integers.len())]).collect();
        let calls = vec![aggregate_call(AggregateKind::SumInt8, Some(integers[self.pick(integers.len())]), &input)];
        let mut groups = aggregate(input, keys.clone(), calls);
        if self.random.random_bool(0.2) {
            let predicate = self.predicate(&groups, true);
            groups = filter(groups, predicate);
        }
        let mut equal = self.pairs(&few, &groups, 2);
        equal.retain(|(_, key)| matches!(key, Expr::Column(at) if *at < keys.len()));
        if self.random.random_bool(0.3) {
            let equal = equal.into_iter().map(|(a, b)| (b, a)).collect();
            return join([Inner, Semi, Anti, Right][self.pick(4)], groups, few, equal, None);
        }
        let both = join(Inner, few.clone(), groups.clone(), vec![], None);
        let may_fail = self.random.random_bool(0.2);
        let residual = self.random.random_bool(0.3).then(|| self.predicate(&both, may_fail));
        let plan = join([Inner, Inner, Left, Semi, Anti, Full][self.pick(6)], few, groups, equal, residual);
        if self.random.random_bool(0.3) {
            let other = self.whole_scan();
            let predicate = self.equals_constant(&other);
            let other = filter(other, predicate);
            let equal = self.pairs(&plan, &other, 1);
            return join(Semi, plan, other, equal, None);
        }
        plan
    }

    /// Pairs of integer columns, none where a side has none.
    fn pairs(&mut self, left: &Plan, right: &Plan, count: usize) -> Vec<(Expr, Expr)> {
        let (left, right) = (Self::columns_of(left, oid::INT8), Self::columns_of(right, oid::INT8));
        if left.is_empty() || right.is_empty() {
            return vec![];
        }
        (0..count).map(|_| (column(left[self.pick(left.len())]), column(right[self.pick(right.len())]))).collect()
    }

    /// All columns of some relation, in order.
    fn whole_scan(&mut self) -> Plan {
        let which = self.pick(self.relations.len());
        let (relation, kinds) = self.relations[which].clone();
        scan(relation, kinds)
    }

    fn aggregate(&mut self, depth: usize) -> Plan {
        let input = self.plan(depth - 1);
        let keys: Vec<usize> = (0..self.pick(3)).map(|_| self.any_column(&input)).collect();
        let mut calls = vec![];
        for _ in 0..self.random.random_range(usize::from(keys.is_empty())..4) {
            use AggregateKind::*;
            let index = self.any_column(&input);
            let kinds: &[AggregateKind] = match input.columns[index].oid {
                oid::INT8 => &[Count, SumInt, SumInt8, AvgInt, Min, Max, BitAnd, BitOr, BitXor, DEVIATION],
                oid::NUMERIC => &[Count, SumNumeric, Min, Max, DEVIATION],
                oid::FLOAT8 => &[Count, SumFloat, AvgFloat, Min, Max, FLOAT_VARIANCE],
                oid::BOOL => &[Count, BoolAnd, BoolOr],
                _ => &[Count, Min, Max],
            };
            let mut call = match self.pick(6) {
                0 => aggregate_call(CountRows, None, &input),
                1 if input.columns[index].oid == oid::TEXT => self.listed(index, &input),
                2 if matches!(input.columns[index].oid, oid::TEXT | oid::INT8) => self.ordered_set(index, &input),
                _ => aggregate_call(kinds[self.pick(kinds.len())], Some(index), &input),
            };
            call.distinct |= !call.args.is_empty() && call.order.is_empty() && self.random.random_bool(0.3);
            if self.random.random_bool(0.2) {
                call.filter = Some(self.predicate(&input, true));
            }
            calls.push(call);
        }
        aggregate(input, keys, calls)
    }

    /// `string_agg` by its argument, by another column, or by both.
    fn listed(&mut self, index: usize, input: &Plan) -> AggregateCall {
        let other = self.any_column(input);
        let (columns, distinct) = match self.pick(4) {
            0 => (vec![index], true),
            1 => (vec![other], false),
            _ => (vec![other, index], false),
        };
        let mut call = aggregate_call(AggregateKind::StringAgg, Some(index), input);
        call.args.push(Expr::Const(Value::text("-")));
        AggregateCall { order: self.sort_keys(input, columns), distinct, ..call }
    }

    /// `mode` or `percentile_disc`.
    fn ordered_set(&mut self, index: usize, input: &Plan) -> AggregateCall {
        let kind = [AggregateKind::Mode, AggregateKind::PercentileDisc][self.pick(2)];
        let mut call = aggregate_call(kind, Some(index), input);
        if kind == AggregateKind::PercentileDisc {
            call.args.push(Expr::Const(Value::Float8([0.0, 0.3, 0.5, 1.0][self.pick(4)])));
        }
        AggregateCall { order: self.sort_keys(input, vec![index]), ..call }
    }

    fn sort_keys(&mut self, plan: &Plan, columns: Vec<usize>) -> Vec<SortKey> {
        columns
            .into_iter()
            .map(|index| SortKey {
                expr: column(index),
                kind: plan.columns[index].clone(),
                descending: self.random.random(),
                nulls_first: self.random.random(),
            })
            .collect()
    }

    /// All columns in random order: rows that tie are then equal in every column.
    fn total_order(&mut self, plan: &Plan) -> Vec<SortKey> {
        let mut columns: Vec<usize> = (0..plan.columns.len()).collect();
        columns.shuffle(self.random);
        let mut keys = self.sort_keys(plan, columns);
        if self.random.random_bool(0.3) {
            let computed = call(&ADD, vec![self.integer(plan), int(1)]);
            keys.insert(0, SortKey { expr: computed, kind: ColumnType::new(oid::INT8), ..keys[0].clone() });
        }
        keys
    }

    fn window(&mut self, depth: usize) -> Plan {
        let input = self.plan(depth - 1);
        let mut columns = input.columns.clone();
        let mut functions: Vec<WindowCall> = vec![];
        for _ in 0..self.random.random_range(1..3) {
            let kind = [WindowKind::RowNumber, WindowKind::Rank, WindowKind::DenseRank][self.pick(3)];
            let partition = (0..self.pick(2)).map(|_| column(self.any_column(&input))).collect();
            let order = if kind == WindowKind::RowNumber || self.random.random() {
                self.total_order(&input)
            } else {
                let index = self.any_column(&input);
                self.sort_keys(&input, vec![index])
            };
            let (partition, order) = match functions.first() {
                Some(first) if self.random.random() && kind != WindowKind::RowNumber => {
                    (first.partition.clone(), first.order.clone())
                }
                _ => (partition, order),
            };
            let call = if self.random.random() {
                WindowCall::plain(kind, partition, order, ColumnType::new(oid::INT8))
            } else {
                self.framed(&input, partition, order)
            };
            columns.push(call.output.clone());
            functions.push(call);
        }
        Plan { node: Node::Window { input: Box::new(input), functions }, columns }
    }

    /// Functions of whole peer groups: what they give does not depend on the order among peers.
    fn framed(&mut self, input: &Plan, partition: Vec<Expr>, order: Vec<SortKey>) -> WindowCall {
        if self.random.random_bool(0.3) {
            let kind = if self.random.random() { WindowKind::PercentRank } else { WindowKind::CumeDist };
            return WindowCall::plain(kind, partition, order, ColumnType::new(oid::FLOAT8));
        }
        use AggregateKind::*;
        let index = self.any_column(input);
        let kind = match input.columns[index].oid {
            oid::INT8 => [SumInt, SumInt8, Min, Max, BitAnd, BitXor][self.pick(6)],
            oid::NUMERIC => [SumNumeric, Min, Max][self.pick(3)],
            oid::BOOL => [BoolAnd, BoolOr][self.pick(2)],
            _ => Count,
        };
        let call = aggregate_call(kind, Some(index), input);
        let filter = self.random.random_bool(0.2).then(|| self.predicate(input, true));
        let exclusion = [Exclusion::None, Exclusion::CurrentRow, Exclusion::Group, Exclusion::Ties][self.pick(4)];
        let frame = match self.pick(3) {
            0 => Frame { exclusion, ..Frame::default() },
            1 => Frame { mode: FrameMode::Range, start: Bound::CurrentRow, end: Bound::Unbounded, exclusion },
            _ => Frame {
                mode: FrameMode::Groups,
                start: Bound::Preceding(int(self.random.random_range(0..3))),
                end: Bound::Following(int(self.random.random_range(0..3))),
                exclusion,
            },
        };
        let kind = WindowKind::Aggregate(kind);
        WindowCall { kind, args: call.args, filter, partition, order, frame, input: call.input, output: call.output }
    }

    fn top(&mut self, depth: usize) -> Plan {
        let input = self.plan(depth - 1);
        let keys = self.total_order(&input);
        let limit = self.random.random_bool(0.8).then(|| int(self.random.random_range(0..6)));
        let offset = self.random.random_bool(0.4).then(|| int(self.random.random_range(0..4)));
        let columns = input.columns.clone();
        Plan { node: Node::Sort { input: Box::new(input), keys, limit, offset }, columns }
    }
}
