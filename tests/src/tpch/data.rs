//! dbgen's tables, made once per scale factor and kept in the user's cache folder.

use super::Scale;
use crate::postgres::{TestServer, connect};
use futures_util::SinkExt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const TABLES: [&str; 8] = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

/// Has the data ready for [`load`]; says what is in the way when dbgen cannot be fetched.
pub fn fetch(scale: Scale) -> Result<(), String> {
    fetched(scale).map(drop)
}

/// Makes the tables with their rows, keys and indexes and the view of q15, directly in Postgres. Panics when the data
/// cannot be had.
pub async fn load(server: &TestServer, scale: Scale) {
    let directory = fetched(scale).unwrap_or_else(|error| panic!("{error}"));
    let client = connect(&server.config()).await;
    client.batch_execute(include_str!("../../tpch/schema.sql")).await.expect("the schema is Postgres'");
    for table in TABLES {
        let path = directory.join(format!("{table}.csv"));
        let rows = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let copy = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT csv)")).await.expect("COPY begins");
        let mut copy = std::pin::pin!(copy);
        copy.send(bytes::Bytes::from(rows)).await.expect("Postgres takes the rows");
        copy.as_mut().finish().await.unwrap_or_else(|error| panic!("dbgen's {table} does not fit: {error}"));
    }
    client.batch_execute(include_str!("../../tpch/q15_view.sql")).await.expect("the view of q15");
    client.batch_execute(include_str!("../../tpch/indexes.sql")).await.expect("the indexes");
}

fn fetched(scale: Scale) -> Result<PathBuf, String> {
    let cache = std::env::var_os("WEIR_TPCH_CACHE").map_or_else(default_cache, PathBuf::from);
    std::fs::create_dir_all(&cache).unwrap_or_else(|error| panic!("cannot make {}: {error}", cache.display()));
    let directory = cache.join(format!("sf{}", scale.factor));
    // One process fetches, others wait; released when the file is closed, however its owner ends.
    let lock = File::create(cache.join("lock")).expect("the cache is writable");
    lock.lock().expect("a file can be locked");
    if !directory.exists() {
        generate(&cache, &directory, scale)?;
    }
    Ok(directory)
}

fn default_cache() -> PathBuf {
    let home = std::env::var_os("HOME").expect("HOME or WEIR_TPCH_CACHE says where TPC-H's data is kept");
    PathBuf::from(home).join(".cache/weir-tpch")
}

fn generate(cache: &Path, directory: &Path, scale: Scale) -> Result<(), String> {
    // Made under another name and renamed, so that what was cut short is never used.
    let partial = cache.join(format!("partial.{}", std::process::id()));
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/prepare-tpch.sh"));
    script.arg(scale.factor).arg(&partial).env("WEIR_TPCH_CACHE", cache);
    let done = script.output().expect("the script can be run");
    if !done.status.success() {
        return Err(format!("no TPC-H data: {}", String::from_utf8_lossy(&done.stderr)));
    }
    std::fs::rename(&partial, directory)
        .unwrap_or_else(|error| panic!("cannot rename {} to {}: {error}", partial.display(), directory.display()));
    Ok(())
}
