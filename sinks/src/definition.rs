//! What a stream table's catalog row says about its sink.

/// A checked sink definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Definition {
    /// Parquet files under `path`, registered in the DuckLake catalog as table `table_id`, or by the stream table's name.
    DuckLake { path: String, table_id: Option<i64> },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    #[error("unknown sink {0:?} (only \"ducklake\" is known)")]
    Unknown(String),
    #[error("sink \"ducklake\" needs {0}")]
    Incomplete(&'static str),
    #[error("{0} is given without a sink")]
    WithoutSink(&'static str),
}

impl Definition {
    /// From the columns `sink`, `ducklake_sink_path` and `ducklake_sink_table_id`; Ok(None) when there is no sink.
    pub fn from_catalog(
        sink: Option<&str>,
        path: Option<&str>,
        table_id: Option<i64>,
    ) -> Result<Option<Definition>, DefinitionError> {
        let Some(sink) = sink else {
            return match (path, table_id) {
                (Some(_), _) => Err(DefinitionError::WithoutSink("ducklake_sink_path")),
                (_, Some(_)) => Err(DefinitionError::WithoutSink("ducklake_sink_table_id")),
                (None, None) => Ok(None),
            };
        };
        if !sink.eq_ignore_ascii_case("ducklake") {
            return Err(DefinitionError::Unknown(sink.to_owned()));
        }
        let path = path.filter(|path| !path.is_empty()).ok_or(DefinitionError::Incomplete("ducklake_sink_path"))?;
        Ok(Some(Definition::DuckLake { path: path.to_owned(), table_id }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_whole_or_refused() {
        let ducklake = Definition::DuckLake { path: "s3://lake/t".into(), table_id: Some(5) };
        assert_eq!(Definition::from_catalog(Some("DuckLake"), Some("s3://lake/t"), Some(5)), Ok(Some(ducklake)));
        assert_eq!(Definition::from_catalog(None, None, None), Ok(None));
        let unnumbered = Definition::DuckLake { path: "x".into(), table_id: None };
        assert_eq!(Definition::from_catalog(Some("ducklake"), Some("x"), None), Ok(Some(unnumbered)));
        let missing = Err(DefinitionError::Incomplete("ducklake_sink_path"));
        assert_eq!(Definition::from_catalog(Some("ducklake"), None, Some(5)), missing);
        assert_eq!(Definition::from_catalog(Some("kafka"), None, None), Err(DefinitionError::Unknown("kafka".into())));
        assert_eq!(
            Definition::from_catalog(None, Some("x"), None),
            Err(DefinitionError::WithoutSink("ducklake_sink_path"))
        );
    }
}
