//! A private Postgres, Weir in front of it, and a scenario created through Weir.

use std::time::Instant;
use weir_tests::postgres::TestServer;
use weir_tests::scenario::Scenario;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

pub struct Stack {
    pub scenario: Scenario,
    // Fields drop in this order: Weir before its upstream.
    pub weir: TestWeir,
    pub postgres: TestServer,
}

impl Stack {
    /// Starts both and says what it does.
    pub fn start(scenario: Scenario) -> Stack {
        let postgres = TestServer::start();
        println!("{}: Postgres {} on {} (private, temporary)", scenario.name, postgres.major(), postgres.address());
        let weir = TestWeir::start(&postgres);
        println!("{}: Weir on {}, counters on http://{}/metrics", scenario.name, weir.address(), weir.http_address());
        let started = Instant::now();
        scenario.install(&mut RawClient::superuser(&weir.address()));
        weir.wait_until_live(scenario.tables);
        println!(
            "{}: {} stream tables created through Weir and in memory after {:.2} s",
            scenario.name,
            scenario.tables.len(),
            started.elapsed().as_secs_f64()
        );
        Stack { scenario, weir, postgres }
    }

    /// Ends Weir as a service manager would, so that what it holds in Postgres is given back.
    pub fn stop(&mut self) {
        self.weir.stop();
    }
}
