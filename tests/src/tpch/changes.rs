//! The changes of a cycle. The specification's RF1 inserts and RF2 deletes 0.1 % of the orders with their line items;
//! here it is 1 %, and another 1 % is updated, so that a cycle reaches the rows of all 22 queries.
//!
//! dbgen leaves 24 of every 32 order keys free for RF1. Which orders a statement takes is a hash of their key and the
//! cycle's number, so that a run can be repeated.

/// One order in so many is taken by each of the three.
const TAKEN: u32 = 100;

/// The statements of one cycle.
#[derive(Clone, Copy, Debug)]
pub struct Changes {
    pub cycle: u32,
}

impl Changes {
    /// New orders with line items like existing ones, on other days, of other customers and quantities.
    pub fn insert(self) -> String {
        let taken = self.takes("o_orderkey", 1);
        let day = "(hashint4(o_orderkey) & 63) - 32";
        // Each cycle has its own places among the 24 until they are used up; then what is still there stays.
        let key = format!("(o_orderkey - (o_orderkey - 1) % 32 + (o_orderkey - 1) % 8 + {})", 8 * (1 + self.cycle % 3));
        format!(
            "WITH rf1 AS (SELECT o_orderkey AS source, {key} AS target, {day} AS days FROM orders \
             WHERE {taken} AND (o_orderkey - 1) % 32 < 8 \
             AND NOT EXISTS (SELECT FROM orders present WHERE present.o_orderkey = {orders_key})), \
             new_orders AS (INSERT INTO orders SELECT target, \
             1 + (o_custkey * 7 + {cycle}) % (SELECT count(*)::int FROM customer), o_orderstatus, o_totalprice + 100, \
             o_orderdate + days, o_orderpriority, o_clerk, o_shippriority, o_comment \
             FROM orders JOIN rf1 ON o_orderkey = source) \
             INSERT INTO lineitem SELECT target, l_partkey, l_suppkey, l_linenumber, 1 + (l_quantity + 11) % 50, \
             l_extendedprice + 1.5, l_discount, l_tax, l_returnflag, l_linestatus, l_shipdate + days, \
             l_commitdate + days, l_receiptdate + days, l_shipinstruct, l_shipmode, l_comment \
             FROM lineitem JOIN rf1 ON l_orderkey = source",
            orders_key = key.replace("o_orderkey", "orders.o_orderkey"),
            cycle = self.cycle,
        )
    }

    /// Orders go with their line items.
    pub fn delete(self) -> String {
        format!(
            "BEGIN; DELETE FROM lineitem WHERE {}; DELETE FROM orders WHERE {}; COMMIT",
            self.takes("l_orderkey", 2),
            self.takes("o_orderkey", 2)
        )
    }

    /// Orders and line items change in what the queries group, filter and sum by; so do rows of the other tables. New
    /// values do not depend on how often a row has changed, so that many cycles leave the data much as it was.
    pub fn update(self) -> String {
        let hash = |key: &str| format!("(hashint8extended({key}, {}) & 8191)::int", self.cycle);
        let (order, line) = (hash("o_orderkey"), hash("l_orderkey * 8::bigint + l_linenumber"));
        format!(
            "BEGIN; UPDATE orders SET o_orderdate = o_orderdate + {order} % 61 - 30, \
             o_totalprice = o_totalprice + {order}, \
             o_custkey = 1 + (o_custkey + {order}) % (SELECT count(*)::int FROM customer), \
             o_orderstatus = substr('FOP', 1 + {order} % 3, 1), \
             o_orderpriority = (ARRAY['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW'])[1 + {order} % 5], \
             o_comment = CASE WHEN {order} % 8 = 0 THEN 'special requests' ELSE 'none' END WHERE {orders}; \
             UPDATE lineitem SET l_quantity = 1 + {line} % 50, l_extendedprice = l_extendedprice + {line} / 100.0, \
             l_discount = ({line} % 11) / 100.0, l_shipdate = l_shipdate + {line} % 61 - 30, \
             l_commitdate = l_commitdate + {line} % 31 - 15, l_returnflag = substr('RAN', 1 + {line} % 3, 1), \
             l_shipmode = (ARRAY['MAIL', 'SHIP', 'AIR', 'AIR REG', 'RAIL'])[1 + {line} % 5] WHERE {lines}; \
             UPDATE customer SET c_acctbal = {customer} - 1000, c_nationkey = (c_nationkey + 7) % 25 WHERE {customers}; \
             UPDATE supplier SET s_acctbal = {supplier}, s_nationkey = (s_nationkey + 3) % 25, \
             s_comment = CASE WHEN {supplier} % 16 = 0 THEN 'Customer Complaints' ELSE 'none' END WHERE {suppliers}; \
             UPDATE part SET p_brand = 'Brand#' || 1 + {part} % 5 || 1 + {part} / 5 % 5, p_size = 1 + p_size % 50, \
             p_container = (ARRAY['MED BOX', 'MED BAG', 'SM CASE', 'LG BOX', 'JUMBO JAR'])[1 + {part} % 5], \
             p_name = (ARRAY['forest green', 'lemon', 'red', 'green', 'forest'])[1 + {part} % 5] WHERE {parts}; \
             UPDATE partsupp SET ps_availqty = 1 + ps_availqty * 7 % 9999, ps_supplycost = {stock} / 8.0 WHERE {stocks}; \
             COMMIT",
            orders = self.takes("o_orderkey", 3),
            lines = self.takes("l_orderkey", 3),
            customer = hash("c_custkey"),
            customers = self.takes("c_custkey", 4),
            supplier = hash("s_suppkey"),
            suppliers = self.takes("s_suppkey", 5),
            part = hash("p_partkey"),
            parts = self.takes("p_partkey", 6),
            stock = hash("ps_suppkey"),
            stocks = self.takes("ps_partkey", 7),
        )
    }

    fn takes(self, key: &str, salt: u32) -> String {
        format!("(hashint8extended({key}, {}) & 2147483647) % {TAKEN} = 0", self.cycle * 16 + salt)
    }
}
