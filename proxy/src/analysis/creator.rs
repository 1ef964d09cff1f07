//! What the makers of definitions mean by functions whose bodies are text: read under the role, search path and settings that are
//! kept with a definition, on a session of its own that is opened when the first definition calls for it.

use super::bodies::{OfTables, Texts};
use super::session::{AnalysisSession, settings_of_creator};
use super::statement::Failure;
use crate::catalog::rows::Pinned;
use crate::registry::Registry;
use crate::upstream::Upstream;
use std::sync::Arc;

/// Reads bodies for definitions.
pub struct CreatorSession {
    upstream: Upstream,
    registry: Arc<Registry>,
    session: Option<AnalysisSession>,
}

impl CreatorSession {
    pub fn new(upstream: impl Into<Upstream>, registry: Arc<Registry>) -> CreatorSession {
        CreatorSession { upstream: upstream.into(), registry, session: None }
    }

    /// What is meant by these functions. One whose body cannot be read has none: the role may be gone, for example.
    pub async fn texts(&mut self, functions: Vec<u32>, pinned: &Pinned) -> Texts {
        if functions.is_empty() {
            return Texts::default();
        }
        // The session may have been lost since it was used last.
        for _ in 0..2 {
            match self.ask(functions.clone(), pinned).await {
                Ok(texts) => return texts,
                Err(Failure::Unsupported { reason, detail }) => {
                    tracing::info!(
                        reason,
                        detail,
                        "bodies of functions could not be read as a definition's maker means them"
                    );
                    break;
                }
                Err(Failure::Transient(error) | Failure::Broken(error)) => {
                    tracing::info!(error, "the session is lost that reads bodies of functions");
                    self.session = None;
                }
            }
        }
        Texts { functions, bodies: Vec::new() }
    }

    async fn ask(&mut self, functions: Vec<u32>, pinned: &Pinned) -> Result<Texts, Failure> {
        let session = match &mut self.session {
            Some(session) => session,
            None => self.session.insert(AnalysisSession::open(&self.upstream).await?),
        };
        session.follow(&self.registry, self.registry.epoch()).await?;
        session.texts(functions, &settings_of_creator(pinned), OfTables::LeftOut).await
    }
}
