//! A server, a Weir, and some stream tables that must equal their views after every transaction.

use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

pub struct Ground {
    pub server: TestServer,
    pub weir: TestWeir,
    /// Through Weir, at the consistency level `latest`.
    pub app: RawClient,
    pub direct: RawClient,
    streams: Vec<String>,
    /// Those that need not be maintained incrementally.
    others: Vec<String>,
}

impl Ground {
    /// `setup` runs through Weir before there is any stream table.
    pub fn new(setup: &str) -> Ground {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut app = RawClient::superuser(&weir.address());
        let direct = RawClient::superuser(&server.address());
        app.execute(setup);
        app.execute("SET weir.consistency = 'latest'");
        Ground { server, weir, app, direct, streams: Vec::new(), others: Vec::new() }
    }

    /// Creates a stream table that must be maintained incrementally, and compares it.
    pub fn stream(&mut self, name: &str, query: &str) {
        self.create(name, query, "DIFFERENTIAL");
        self.weir.wait_until_live(&[name]);
        self.streams.push(name.to_owned());
        self.check();
    }

    /// Creates a stream table that may be left to Postgres, and compares it.
    pub fn stream_anyhow(&mut self, name: &str, query: &str) {
        self.create(name, query, "AUTO");
        self.others.push(name.to_owned());
        self.check();
    }

    pub fn create(&mut self, name: &str, query: &str, mode: &str) {
        self.app.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $weir$ {query} $weir$, \
             schedule => '1s', refresh_mode => '{mode}')"
        ));
    }

    /// One transaction through Weir; then every stream table must equal its view.
    pub fn commit(&mut self, statements: &str) {
        self.app.execute(&format!("BEGIN; {statements}; COMMIT"));
        self.check();
    }

    /// Every stream table as memory has it, in text and in binary; those that may be left to Postgres as they are answered.
    pub fn check(&mut self) {
        for name in self.others.clone() {
            self.read_anyhow(&format!("SELECT * FROM {name}"));
        }
        for name in &self.streams {
            let sql = format!("SELECT * FROM {name}");
            if let Err(difference) = compare_from_memory(&mut self.app, &mut self.direct, &sql, Order::Any) {
                panic!("{difference}");
            }
        }
    }

    /// A read over the stream tables, from memory.
    pub fn read(&mut self, sql: &str, order: Order) {
        if let Err(difference) = compare_from_memory(&mut self.app, &mut self.direct, sql, order) {
            panic!("{difference}");
        }
    }

    /// A read that need not come from memory, and must be right.
    pub fn read_anyhow(&mut self, sql: &str) {
        if let Err(difference) = compare(&mut self.app, &mut self.direct, sql, Order::Any) {
            panic!("{difference}");
        }
    }

    /// The rows that Postgres has, as text: that a case is the case it is meant to be.
    pub fn expect(&mut self, sql: &str, rows: &[&str]) {
        let found = self.direct.execute(sql).texts();
        let found: Vec<String> = found.iter().map(|row| row.join("|")).collect();
        assert_eq!(found, rows, "{sql}");
    }
}
