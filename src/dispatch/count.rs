//! Counting a prompt's tokens: asked of the upstream where an account is at hand, else estimated (section 5.8).

use std::sync::Arc;

use crate::base::error::Error;
use crate::base::time::Timestamp;
use crate::dispatch::seat::{Excluded, Seating};
use crate::dispatch::{Asker, Dispatcher};
use crate::ir::{self, BlockBody, ResultPart};
use crate::wire::gemini::{self, Target};

/// About so many bytes of text are a token.
const BYTES_PER_TOKEN: usize = 4;
/// About so many tokens are a picture or a page.
const TOKENS_PER_MEDIA: usize = 258;

impl Dispatcher {
    /// How many tokens the request's prompt has. An estimate where the upstream can't be asked: counting never fails for
    /// a reason that is not the client's, and never waits for a slot.
    ///
    /// # Errors
    /// The client's mistake: an unknown model, a request that can't be said to it.
    pub async fn count(
        self: &Arc<Self>,
        asker: Asker,
        mut request: ir::Request,
    ) -> Result<u64, Error> {
        let (route, _snapshot) = self.resolve(&asker, &mut request).await?;
        let seating = Seating {
            route,
            key: asker.key,
            queue: Arc::clone(&self.queue),
            home: None,
        };
        let Some((target, seat)) = seating.idle(&Excluded::default()) else {
            return Ok(estimate(&request));
        };
        let mut body = Vec::new();
        let encode = Target {
            model: &target.model,
            family: target.family,
            api: gemini::Api::Antigravity,
            max_output: target.max_output,
            thinking: None,
            safety_settings: &target.upstream.config.safety_settings,
            session_id: None,
            level_as_budget: false,
            repair: false,
        };
        gemini::encode_count(&request, &encode, &mut body)?;
        let counted = async {
            let token = seat.account.credential.token(Timestamp::now()).await?;
            let host = target.upstream.first_host(Timestamp::now());
            target
                .upstream
                .client
                .count_tokens(host, &token, body.into())
                .await
        };
        match counted.await {
            Ok(tokens) => Ok(tokens),
            Err(failure) => {
                tracing::debug!(
                    class = failure.class.as_str(),
                    detail = failure.detail,
                    "count estimated"
                );
                Ok(estimate(&request))
            }
        }
    }
}

/// About four bytes a token, and a fixed number for media.
pub fn estimate(request: &ir::Request) -> u64 {
    let mut bytes = 0;
    let mut media = 0;
    for block in request.turns.iter().flat_map(|turn| &turn.blocks) {
        match &block.body {
            BlockBody::Text(text) | BlockBody::Refusal(text) => bytes += text.len(),
            BlockBody::Media(_) => media += 1,
            BlockBody::ToolCall { name, input, .. } => bytes += name.len() + input.len(),
            BlockBody::ToolResult { content, .. } => {
                for part in content {
                    match part {
                        ResultPart::Text(text) => bytes += text.len(),
                        ResultPart::Media(_) => media += 1,
                    }
                }
            }
            BlockBody::Thinking(_) | BlockBody::RedactedThinking(_) => {}
        }
    }
    for tool in &request.tools {
        bytes += tool.name.len() + tool.description.as_ref().map_or(0, String::len);
        bytes += tool
            .parameters
            .as_ref()
            .map_or(0, |schema| schema.get().len());
    }
    (bytes.div_ceil(BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIA).max(1) as u64
}
