//! The server under comparison, and values sent to it as binary arrays.

use bytes::{BufMut, BytesMut};
use std::error::Error;
use std::sync::LazyLock;
use tokio_postgres::Client;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use weir_planner::Value;
use weir_planner::value::encode_binary;
use weir_tests::postgres::TestServer;

/// One server for all tests of this program; its guard stops it when the program ends.
static SERVER: LazyLock<TestServer> = LazyLock::new(TestServer::start);

pub async fn connect() -> Client {
    SERVER.connect().await
}

/// A one-dimensional array of values of one type, in Postgres' binary format (`array_recv`).
#[derive(Debug)]
pub struct ValueArray {
    pub element: u32,
    pub values: Vec<Value>,
}

impl ToSql for ValueArray {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(if self.values.is_empty() { 0 } else { 1 });
        out.put_i32(1);
        out.put_u32(self.element);
        if !self.values.is_empty() {
            out.put_i32(self.values.len() as i32);
            out.put_i32(1);
        }
        for value in &self.values {
            if value.is_null() {
                out.put_i32(-1);
                continue;
            }
            let mut image = Vec::new();
            encode_binary(value, self.element, &mut image)?;
            out.put_i32(image.len() as i32);
            out.put_slice(&image);
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
