//! Messages and system prompts to turns.

use bytes::Bytes;

use crate::base::error::Error;
use crate::ir::{
    Block as IrBlock, BlockBody, Losses, Media, ResultPart, Role, Signature, SignatureFamily, Turn,
};
use crate::wire::anthropic::types::{Block, CLAUDE_MARK, Content, GEMINI_MARK, Message, Source};
use crate::wire::json::check::{not_one_of, note_unknown, required};
use crate::wire::json::{self, At, Text, TextOrObject, shown};
use crate::wire::media;

/// A block of type `text`.
pub(super) fn text_block(text: Text<'_>) -> Block<'_> {
    Block {
        kind: Some(Text("text".into())),
        text: Some(text),
        ..Block::default()
    }
}

/// Reads blocks, with what they need from outside.
pub(super) struct Reader<'r> {
    /// The body, of which media stays a slice.
    pub(super) body: &'r Bytes,
    /// Where drops are noted.
    pub(super) losses: &'r mut Losses,
}

impl Reader<'_> {
    /// One message.
    ///
    /// # Errors
    /// A 400 that names the block and the field in it.
    pub(super) fn turn(&mut self, message: Message<'_>, at: &At<'_>) -> Result<Turn, Error> {
        note_unknown(self.losses, "messages[]", &message.unknown);
        let role = match message.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            other => {
                return Err(not_one_of(
                    &at.key("role"),
                    "`user`, `assistant`, `system`",
                    other.unwrap_or_default(),
                ));
            }
        };
        let at = at.key("content");
        let blocks = blocks_of(message.content, &at)?;
        if role == Role::System {
            let blocks = self.system(blocks, &at)?;
            return Ok(Turn { role, blocks });
        }
        let mut out = Vec::with_capacity(blocks.len());
        for (i, block) in blocks.into_iter().enumerate() {
            self.block(block, role, &mut out, &at.index(i))?;
        }
        Ok(Turn { role, blocks: out })
    }

    /// Text blocks, empty ones left out.
    ///
    /// # Errors
    /// A 400 that names a block of another type.
    pub(super) fn system(
        &mut self,
        blocks: Vec<Block<'_>>,
        at: &At<'_>,
    ) -> Result<Vec<IrBlock>, Error> {
        let mut out = Vec::with_capacity(blocks.len());
        for (i, block) in blocks.into_iter().enumerate() {
            let at = at.index(i);
            note_unknown(self.losses, "system[]", &block.unknown);
            match block.kind.as_deref() {
                Some("text") => {
                    push_text(&mut out, text_of(block.text, &at)?);
                }
                other => {
                    return Err(not_one_of(
                        &at.key("type"),
                        "`text`",
                        other.unwrap_or_default(),
                    ));
                }
            }
        }
        Ok(out)
    }

    fn block(
        &mut self,
        mut block: Block<'_>,
        role: Role,
        out: &mut Vec<IrBlock>,
        at: &At<'_>,
    ) -> Result<(), Error> {
        let Some(kind) = block.kind.take() else {
            return Err(at.key("type").bad("expected the block's type, found none"));
        };
        if is_of_server_tool(&kind) {
            self.losses
                .note(format!("messages[].content[] ({})", shown(&kind)));
            return Ok(());
        }
        note_unknown(self.losses, "messages[].content[]", &block.unknown);
        let only_for = match &*kind {
            "thinking" | "redacted_thinking" | "tool_use" => Role::Assistant,
            "tool_result" => Role::User,
            _ => role,
        };
        if only_for != role {
            let wanted = if only_for == Role::User {
                "user"
            } else {
                "assistant"
            };
            return Err(at.key("type").bad(format_args!(
                "blocks of type `{kind}` belong into messages of role `{wanted}`",
                kind = &*kind
            )));
        }
        match &*kind {
            "thinking" => out.push(thinking(block)),
            "redacted_thinking" => {
                let data = block.data.map(Text::into_string).unwrap_or_default();
                out.push(BlockBody::RedactedThinking(data).into());
            }
            "tool_use" => out.push(tool_use(block, at)?.into()),
            "tool_result" => out.push(self.tool_result(block, at)?.into()),
            _ => {
                for part in self.content(&kind, block, at)? {
                    match part {
                        ResultPart::Text(text) => push_text(out, text),
                        ResultPart::Media(media) => out.push(BlockBody::Media(media).into()),
                    }
                }
            }
        }
        Ok(())
    }

    /// What may stand in messages and in results of tools alike.
    fn content(
        &mut self,
        kind: &str,
        block: Block<'_>,
        at: &At<'_>,
    ) -> Result<Vec<ResultPart>, Error> {
        match kind {
            "text" => Ok(vec![ResultPart::Text(text_of(block.text, at)?)]),
            "image" => self.image(block, at).map(|m| vec![ResultPart::Media(m)]),
            "document" => self.document(block, at),
            "search_result" => search_result(block, at),
            other => Err(at.key("type").bad(format_args!(
                "no block type `{}` is known here: expected one of `text`, `image`, `document`, `search_result`, \
                 `tool_use`, `tool_result`, `thinking`, `redacted_thinking`",
                shown(other)
            ))),
        }
    }

    fn image(&mut self, block: Block<'_>, at: &At<'_>) -> Result<Media, Error> {
        let at = at.key("source");
        let source = source_of(block.source, &at)?;
        match source.kind.as_deref() {
            Some("base64") => self.base64(source, None, &at),
            other => Err(unreadable_source(other, "`base64`", &at)),
        }
    }

    fn document(&mut self, block: Block<'_>, at: &At<'_>) -> Result<Vec<ResultPart>, Error> {
        let at = at.key("source");
        let source = source_of(block.source, &at)?;
        match source.kind.as_deref() {
            Some("base64") => {
                let title = block.title.map(Text::into_string);
                Ok(vec![ResultPart::Media(self.base64(source, title, &at)?)])
            }
            Some("text") => {
                let text = text_of(source.data, &at)?;
                let parts = [block.title, block.context].map(|t| t.map(Text::into_string));
                let lines = parts.into_iter().flatten().chain([text]);
                Ok(vec![ResultPart::Text(joined(lines))])
            }
            Some("content") => {
                let at = at.key("content");
                let mut out: Vec<ResultPart> = [block.title, block.context]
                    .into_iter()
                    .flatten()
                    .map(|text| ResultPart::Text(text.into_string()))
                    .collect();
                for (i, mut part) in blocks_of(source.content, &at)?.into_iter().enumerate() {
                    let at = at.index(i);
                    match part.kind.take().as_deref() {
                        Some("text") => out.push(ResultPart::Text(text_of(part.text, &at)?)),
                        Some("image") => out.push(ResultPart::Media(self.image(part, &at)?)),
                        other => {
                            return Err(not_one_of(
                                &at.key("type"),
                                "`text`, `image`",
                                other.unwrap_or_default(),
                            ));
                        }
                    }
                }
                Ok(out)
            }
            other => Err(unreadable_source(other, "`base64`, `text`, `content`", &at)),
        }
    }

    fn base64(
        &mut self,
        source: Source<'_>,
        name: Option<String>,
        at: &At<'_>,
    ) -> Result<Media, Error> {
        note_unknown(self.losses, "messages[].content[].source", &source.unknown);
        let label = required(source.media_type, &at.key("media_type"))?;
        let mime = media::mime_type(&label).ok_or_else(|| {
            at.key("media_type").bad(format_args!(
                "expected a type such as `image/png`, found `{}`",
                shown(&label)
            ))
        })?;
        let at = at.key("data");
        let data = source
            .data
            .ok_or_else(|| at.bad("expected base64, found none"))?;
        let mut read = media::from_base64(self.body, mime, data, &at)?;
        read.name = name;
        Ok(read)
    }

    fn tool_result(&mut self, block: Block<'_>, at: &At<'_>) -> Result<BlockBody, Error> {
        let call_id = required(block.tool_use_id, &at.key("tool_use_id"))?;
        let at = at.key("content");
        let mut content = Vec::new();
        let parts = match block.content {
            None => Vec::new(),
            given => blocks_of(given, &at)?,
        };
        for (i, mut part) in parts.into_iter().enumerate() {
            let at = at.index(i);
            note_unknown(self.losses, "messages[].content[].content[]", &part.unknown);
            let Some(kind) = part.kind.take() else {
                return Err(at.key("type").bad("expected the block's type, found none"));
            };
            if &*kind == "tool_reference" {
                let name = required(
                    part.tool_name.take().or(part.name.take()),
                    &at.key("tool_name"),
                )?;
                content.push(ResultPart::Text(name));
            } else {
                content.extend(self.content(&kind, part, &at)?);
            }
        }
        Ok(BlockBody::ToolResult {
            call_id,
            name: None,
            content,
            is_error: block.is_error.unwrap_or(false),
        })
    }
}

/// Blocks that belong to tools which only Anthropic's own servers run: dropped, as the tools are.
fn is_of_server_tool(kind: &str) -> bool {
    kind == "server_tool_use"
        || kind == "container_upload"
        || kind.starts_with("mcp_")
        || (kind.ends_with("_tool_result") && kind != "tool_result")
}

fn blocks_of<'a>(content: Option<Content<'a>>, at: &At<'_>) -> Result<Vec<Block<'a>>, Error> {
    match content {
        Some(Content::Text(text)) => Ok(vec![text_block(text)]),
        Some(Content::Blocks(blocks)) => Ok(blocks),
        Some(Content::Object) => {
            Err(at.bad("expected a string or an array of content blocks, found an object"))
        }
        None => Err(at.bad("expected a string or an array of content blocks, found none")),
    }
}

fn text_of(text: Option<Text<'_>>, at: &At<'_>) -> Result<String, Error> {
    match text {
        Some(text) => Ok(text.into_string()),
        None => Err(at.key("text").bad("expected a string, found none")),
    }
}

/// Empty texts say nothing and are left out.
fn push_text(out: &mut Vec<IrBlock>, text: String) {
    if !text.is_empty() {
        out.push(BlockBody::Text(text).into());
    }
}

fn source_of<'a>(
    source: Option<TextOrObject<'a, Source<'a>>>,
    at: &At<'_>,
) -> Result<Source<'a>, Error> {
    match source {
        Some(TextOrObject::Object(source)) => Ok(source),
        _ => Err(at.bad("expected an object with `type`, found none")),
    }
}

fn unreadable_source(kind: Option<&str>, expected: &str, at: &At<'_>) -> Error {
    let at = at.key("type");
    match kind {
        Some("url") => at.bad(
            "fetching from an address is not available yet: send the content with a source of type `base64`",
        ),
        Some("file") => at.bad(
            "files are not stored here: send the content with a source of type `base64`",
        ),
        other => not_one_of(&at, expected, other.unwrap_or_default()),
    }
}

fn thinking(block: Block<'_>) -> IrBlock {
    let signature = block.signature.filter(|text| !text.is_empty()).map(|text| {
        match text.strip_prefix(GEMINI_MARK) {
            Some(value) => Signature {
                family: Some(SignatureFamily::Gemini),
                value: value.to_owned(),
            },
            None => Signature {
                // Unmarked is the dialect's own vendor.
                family: Some(SignatureFamily::Claude),
                value: text.strip_prefix(CLAUDE_MARK).unwrap_or(&text).to_owned(),
            },
        }
    });
    IrBlock {
        body: BlockBody::Thinking(block.thinking.map(Text::into_string).unwrap_or_default()),
        signature,
    }
}

fn tool_use(block: Block<'_>, at: &At<'_>) -> Result<BlockBody, Error> {
    let input = match block.input {
        None => "{}".to_owned(),
        // The reader has checked the text and its depth.
        Some(raw) if json::is_object(raw) => raw.get().to_owned(),
        Some(raw) => json::arguments(raw.get().into()),
    };
    Ok(BlockBody::ToolCall {
        id: required(block.id, &at.key("id"))?,
        name: required(block.name, &at.key("name"))?,
        input,
    })
}

/// Title, source and texts, each on lines of its own.
fn search_result(block: Block<'_>, at: &At<'_>) -> Result<Vec<ResultPart>, Error> {
    let mut lines = Vec::new();
    lines.extend(block.title.map(Text::into_string));
    if let Some(TextOrObject::Text(source)) = block.source {
        lines.push(source.into_string());
    }
    let at = at.key("content");
    for (i, part) in blocks_of(block.content, &at)?.into_iter().enumerate() {
        lines.push(text_of(part.text, &at.index(i))?);
    }
    Ok(vec![ResultPart::Text(joined(lines.into_iter()))])
}

fn joined(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}
