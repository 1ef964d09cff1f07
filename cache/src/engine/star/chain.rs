//! Finds stars in plans: the longest chain of joins above one driving input whose keys are the driver's own columns.

use weir_planner::plan::{Join, JoinKind, Node};
use weir_planner::temporal::reads_clock;
use weir_planner::{Expr, Plan};

/// A chain of inner and left joins. Expressions are over the *wide* row: the driver's plan columns, then each link's.
pub(crate) struct Chain<'p> {
    pub driver: &'p Plan,
    pub links: Vec<ChainLink<'p>>,
    /// Where the columns of the plan stand in the wide row.
    pub columns: Vec<usize>,
}

/// One input joined to the driver.
pub(crate) struct ChainLink<'p> {
    pub plan: &'p Plan,
    /// Drivers without a match are kept and this link's columns are NULL.
    pub outer: bool,
    /// Pairs over the driver's columns and over this link's own.
    pub equal: Vec<(Expr, Expr)>,
    /// What must hold of the wide row up to and with this link.
    pub conditions: Vec<Expr>,
}

impl<'p> Chain<'p> {
    /// The chain that ends in this join; None when this join cannot be a link. `is_few` says which plans have few rows.
    pub fn of_join(join: &'p Join, is_few: &dyn Fn(&Plan) -> bool) -> Option<Chain<'p>> {
        let (below, linked, outer) = match (join.kind, &join.residual) {
            (JoinKind::Inner, _) => (&join.left, &join.right, false),
            (JoinKind::Left, None) => (&join.left, &join.right, true),
            (JoinKind::Right, None) => (&join.right, &join.left, true),
            // Whether a row has a match depends on the residual: not a lookup by key.
            _ => return None,
        };
        if join.equal.is_empty() {
            return None;
        }
        let swapped = join.kind == JoinKind::Right;
        let pairs: Vec<(&Expr, &Expr)> =
            join.equal.iter().map(|(left, right)| if swapped { (right, left) } else { (left, right) }).collect();
        let mut chain = Chain::of(below, is_few).unwrap_or_else(|| Chain::leaf(below));
        if chain.over_driver(&pairs).is_none() {
            chain.drive_by_first_link();
        }
        if chain.over_driver(&pairs).is_none() || chain.drops_most(is_few) {
            chain = Chain::leaf(below);
        }
        let equal = chain.over_driver(&pairs)?;
        let start = chain.width();
        let own = start..start + linked.columns.len();
        chain.columns =
            if swapped { own.chain(chain.columns).collect() } else { chain.columns.into_iter().chain(own).collect() };
        chain.links.push(ChainLink { plan: linked, outer, equal, conditions: vec![] });
        if let Some(residual) = &join.residual {
            chain.filter(residual);
        }
        Some(chain)
    }

    /// The chain a plan consists of, with at least one link.
    fn of(plan: &'p Plan, is_few: &dyn Fn(&Plan) -> bool) -> Option<Chain<'p>> {
        match &plan.node {
            Node::Join(join) => Chain::of_join(join, is_few),
            // A comparison with the time is an operator of its own above the join.
            Node::Filter { input, predicate } if !reads_clock(predicate) => {
                let mut chain = Chain::of(input, is_few)?;
                chain.filter(predicate);
                Some(chain)
            }
            Node::Project { input, exprs } => {
                let chain = Chain::of(input, is_few)?;
                let picked = exprs.iter().map(|expr| match expr {
                    Expr::Column(column) => Some(chain.columns[*column]),
                    _ => None,
                });
                Some(Chain { columns: picked.collect::<Option<_>>()?, ..chain })
            }
            _ => None,
        }
    }

    fn leaf(plan: &'p Plan) -> Chain<'p> {
        Chain { driver: plan, links: vec![], columns: (0..plan.columns.len()).collect() }
    }

    /// Most drivers find nothing in some link. What is left of them is then the driver of what follows: keeping those few
    /// rows costs less than keeping all drivers by one more key.
    fn drops_most(&self, is_few: &dyn Fn(&Plan) -> bool) -> bool {
        self.links.iter().any(|link| !link.outer && is_few(link.plan)) && !is_few(self.driver)
    }

    /// Keeps only rows for which this predicate over the plan's columns holds.
    pub fn filter(&mut self, predicate: &Expr) {
        let condition = self.widen(predicate);
        self.links.last_mut().expect("a filter in a chain is above its joins").conditions.push(condition);
    }

    /// An expression over the plan's columns as one over the wide row.
    pub fn widen(&self, expr: &Expr) -> Expr {
        expr.map_columns(&mut |column| self.columns[column])
    }

    pub fn width(&self) -> usize {
        self.driver.columns.len() + self.links.iter().map(|link| link.plan.columns.len()).sum::<usize>()
    }

    /// The pairs with their first sides over the driver's columns only, if they can be had from these.
    fn over_driver(&self, pairs: &[(&Expr, &Expr)]) -> Option<Vec<(Expr, Expr)>> {
        let own = self.driver.columns.len();
        let one = |expr: &Expr| {
            let expr = self.widen(expr);
            if expr.columns().iter().all(|column| *column < own) {
                return Some(expr);
            }
            match expr {
                Expr::Column(column) => self.equal_driver_column(column),
                _ => None,
            }
        };
        pairs.iter().map(|(above, linked)| Some((one(above)?, (*linked).clone()))).collect()
    }

    /// The driver's expression that an inner join has made equal to this column of a link: as a key it is the same.
    fn equal_driver_column(&self, column: usize) -> Option<Expr> {
        let mut start = self.driver.columns.len();
        for link in &self.links {
            let own = start..start + link.plan.columns.len();
            if own.contains(&column) {
                let is_it = |(_, linked): &&(Expr, Expr)| *linked == Expr::Column(column - own.start);
                return link.equal.iter().find(is_it).filter(|_| !link.outer).map(|(driver, _)| driver.clone());
            }
            start = own.end;
        }
        None
    }

    /// `dimension ⋈ facts` as `facts ⋈ dimension`, when that is all there is so far: keys of later joins are then
    /// usually the driver's.
    fn drive_by_first_link(&mut self) {
        let [link] = self.links.as_mut_slice() else { return };
        if link.outer {
            return;
        }
        let (old, new) = (self.driver.columns.len(), link.plan.columns.len());
        let moved = |column: usize| if column < old { column + new } else { column - old };
        std::mem::swap(&mut self.driver, &mut link.plan);
        for (driver, linked) in &mut link.equal {
            std::mem::swap(driver, linked);
        }
        for condition in &mut link.conditions {
            *condition = condition.map_columns(&mut |column| moved(column));
        }
        self.columns.iter_mut().for_each(|column| *column = moved(*column));
    }
}
