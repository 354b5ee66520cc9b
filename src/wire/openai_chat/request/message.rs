//! Messages to turns, one for one.

use std::borrow::Cow;

use bytes::Bytes;

use crate::base::error::Error;
use crate::ir::{
    Block, BlockBody, Losses, Media, ResultPart, Role, Signature, SignatureFamily, Turn,
};
use crate::wire::json::check::{not_one_of, note_unknown, required};
use crate::wire::json::{self, At, Text, TextOr, TextOrObject, shown};
use crate::wire::media;
use crate::wire::openai_chat::types::{Audio, Call, CalledFunction, File, ImageUrl, Message, Part};

/// Decodes all messages.
///
/// # Errors
/// A 400 that names the message and the field in it.
pub(super) fn turns(
    body: &Bytes,
    messages: Vec<Message<'_>>,
    losses: &mut Losses,
) -> Result<Vec<Turn>, Error> {
    let at = At::field("messages");
    let mut reader = Reader {
        body,
        losses,
        called: Vec::new(),
    };
    messages
        .into_iter()
        .enumerate()
        .map(|(i, message)| reader.turn(message, i, &at.index(i)))
        .collect()
}

/// How a picture begins in the text of an answer.
const PICTURE: &str = "![image](data:image/";

struct Reader<'r> {
    body: &'r Bytes,
    losses: &'r mut Losses,
    /// Calls of the old form without an answer so far, as name and the id that was made for them.
    called: Vec<(String, String)>,
}

impl Reader<'_> {
    fn turn(&mut self, mut message: Message<'_>, index: usize, at: &At<'_>) -> Result<Turn, Error> {
        note_unknown(self.losses, "messages[]", &message.unknown);
        let role = message.role.take();
        let (role, blocks) = match role.as_deref() {
            Some("system" | "developer") => (Role::System, self.system(message, at)?),
            Some("user") => {
                if message.name.is_some() {
                    self.losses.note("messages[].name");
                }
                (Role::User, self.content(message.content, at)?)
            }
            Some("assistant") => (Role::Assistant, self.assistant(message, index, at)?),
            Some("tool") => {
                let id = required(message.tool_call_id.take(), &at.key("tool_call_id"))?;
                (Role::User, vec![self.result(message, id, at)?])
            }
            Some("function") => {
                let id = self.answered(&message, at)?;
                (Role::User, vec![self.result(message, id, at)?])
            }
            other => {
                return Err(not_one_of(
                    &at.key("role"),
                    "`system`, `developer`, `user`, `assistant`, `tool`, `function`",
                    other.unwrap_or_default(),
                ));
            }
        };
        Ok(Turn { role, blocks })
    }

    fn system(&mut self, message: Message<'_>, at: &At<'_>) -> Result<Vec<Block>, Error> {
        let blocks = self.content(message.content, at)?;
        for (i, block) in blocks.iter().enumerate() {
            if !matches!(block.body, BlockBody::Text(_)) {
                return Err(at
                    .key("content")
                    .index(i)
                    .bad("expected a part of type `text`: system messages hold nothing else"));
            }
        }
        Ok(blocks)
    }

    /// Thinking first, then what is said, then the calls.
    fn assistant(
        &mut self,
        message: Message<'_>,
        index: usize,
        at: &At<'_>,
    ) -> Result<Vec<Block>, Error> {
        let mut blocks = Vec::new();
        if let Some(text) = message.reasoning_content.filter(|text| !text.is_empty()) {
            blocks.push(BlockBody::Thinking(text.into_string()).into());
        }
        for block in self.content(message.content, at)? {
            match block.body {
                BlockBody::Text(text) if text.contains(PICTURE) => self.said(&text, &mut blocks),
                _ => blocks.push(block),
            }
        }
        if let Some(text) = message.refusal.filter(|text| !text.is_empty()) {
            blocks.push(BlockBody::Refusal(text.into_string()).into());
        }
        let calls = at.key("tool_calls");
        for (i, call) in message
            .tool_calls
            .map_or_else(Vec::new, |list| list.0)
            .into_iter()
            .enumerate()
        {
            blocks.push(self.call(call, &calls.index(i))?);
        }
        if let Some(call) = message.function_call {
            let at = at.key("function_call");
            let (name, input) = called(call, &at)?;
            // The old form has no ids: the place of the message makes one that is stable over the conversation.
            let id = format!("call_fn_{index}");
            self.called.push((name.clone(), id.clone()));
            blocks.push(BlockBody::ToolCall { id, name, input }.into());
        }
        Ok(blocks)
    }

    /// An earlier answer's text. Pictures stand in it as the encoder of answers wrote them; as text they would cost a
    /// hundred thousand tokens and show nothing.
    fn said(&self, text: &str, blocks: &mut Vec<Block>) {
        const HEAD: &str = "![image](";
        let (mut rest, mut from) = (text, 0);
        while let Some(found) = rest[from..].find(PICTURE) {
            let start = from + found;
            let url = &rest[start + HEAD.len()..];
            let Some(end) = url.find(')') else { break };
            let link = Text(Cow::Borrowed(&url[..end]));
            match media::from_url(self.body, link, "image/png", &At::field("messages")) {
                Ok(media) => {
                    push_text(blocks, &rest[..start]);
                    blocks.push(BlockBody::Media(media).into());
                    (rest, from) = (&url[end + 1..], 0);
                }
                Err(_) => from = start + HEAD.len(),
            }
        }
        push_text(blocks, rest);
    }

    fn call(&mut self, call: Call<'_>, at: &At<'_>) -> Result<Block, Error> {
        note_unknown(self.losses, "messages[].tool_calls[]", &call.unknown);
        let id = required(call.id, &at.key("id"))?;
        let (name, input) = match call.kind.as_deref() {
            None | Some("function") => {
                let at = at.key("function");
                let function = call
                    .function
                    .ok_or_else(|| at.bad("expected an object with `name` and `arguments`"))?;
                called(function, &at)?
            }
            Some("custom") => {
                let at = at.key("custom");
                let custom = call
                    .custom
                    .ok_or_else(|| at.bad("expected an object with `name` and `input`"))?;
                let name = required(custom.name, &at.key("name"))?;
                let mut input = br#"{"input":"#.to_vec();
                json::write::string(&mut input, custom.input.as_deref().unwrap_or_default());
                input.push(b'}');
                (name, json::write::into_string(input))
            }
            Some(other) => {
                return Err(not_one_of(&at.key("type"), "`function`, `custom`", other));
            }
        };
        let signature = call
            .extra_content
            .and_then(|extra| extra.google)
            .and_then(|google| google.thought_signature)
            .filter(|text| !text.is_empty())
            .map(|text| Signature {
                family: Some(SignatureFamily::Gemini),
                value: text.into_string(),
            });
        Ok(Block {
            body: BlockBody::ToolCall { id, name, input },
            signature,
        })
    }

    /// The id that was made for the call which a `function` message answers.
    fn answered(&mut self, message: &Message<'_>, at: &At<'_>) -> Result<String, Error> {
        let at = at.key("name");
        let Some(name) = message.name.as_deref().filter(|name| !name.is_empty()) else {
            return Err(at.bad("expected the name of the function that answers, found none"));
        };
        match self.called.iter().position(|(called, _)| called == name) {
            Some(found) => Ok(self.called.remove(found).1),
            None => Err(at.bad(format_args!(
                "no `function_call` before this message calls `{}`",
                shown(name)
            ))),
        }
    }

    fn result(
        &mut self,
        message: Message<'_>,
        call_id: String,
        at: &At<'_>,
    ) -> Result<Block, Error> {
        let content = match message.content {
            Some(TextOr::Text(text)) => vec![ResultPart::Text(text.into_string())],
            content => self
                .content(content, at)?
                .into_iter()
                .filter_map(|block| match block.body {
                    BlockBody::Text(text) => Some(ResultPart::Text(text)),
                    BlockBody::Media(media) => Some(ResultPart::Media(media)),
                    _ => None,
                })
                .collect(),
        };
        Ok(BlockBody::ToolResult {
            call_id,
            name: message.name.map(Text::into_string),
            content,
            is_error: false,
        }
        .into())
    }

    /// A message's content; empty texts say nothing and are left out.
    fn content(
        &mut self,
        content: Option<TextOr<'_, Part<'_>>>,
        at: &At<'_>,
    ) -> Result<Vec<Block>, Error> {
        match content {
            None => Ok(Vec::new()),
            Some(TextOr::Text(text)) if text.is_empty() => Ok(Vec::new()),
            Some(TextOr::Text(text)) => Ok(vec![BlockBody::Text(text.into_string()).into()]),
            Some(TextOr::List(parts)) => {
                let at = at.key("content");
                let mut blocks = Vec::with_capacity(parts.len());
                for (i, part) in parts.into_iter().enumerate() {
                    let body = self.part(part, &at.index(i))?;
                    if !matches!(&body, BlockBody::Text(text) if text.is_empty()) {
                        blocks.push(body.into());
                    }
                }
                Ok(blocks)
            }
        }
    }

    fn part(&mut self, part: Part<'_>, at: &At<'_>) -> Result<BlockBody, Error> {
        note_unknown(self.losses, "messages[].content[]", &part.unknown);
        let missing = |key| at.key(key).bad("expected a value, found none");
        match part.kind.as_deref() {
            Some("text") => match part.text {
                Some(text) => Ok(BlockBody::Text(text.into_string())),
                None => Err(missing("text")),
            },
            Some("refusal") => match part.refusal {
                Some(text) => Ok(BlockBody::Refusal(text.into_string())),
                None => Err(missing("refusal")),
            },
            Some("image_url") => {
                let image = part.image_url.ok_or_else(|| missing("image_url"))?;
                self.image(image, &at.key("image_url"))
                    .map(BlockBody::Media)
            }
            Some("input_audio") => {
                let audio = part.input_audio.ok_or_else(|| missing("input_audio"))?;
                self.audio(audio, &at.key("input_audio"))
                    .map(BlockBody::Media)
            }
            Some("file") => {
                let file = part.file.ok_or_else(|| missing("file"))?;
                self.file(file, &at.key("file")).map(BlockBody::Media)
            }
            other => Err(not_one_of(
                &at.key("type"),
                "`text`, `image_url`, `input_audio`, `file`, `refusal`",
                other.unwrap_or_default(),
            )),
        }
    }

    /// `image_url` is an object; the bare string of some clients is taken too.
    fn image(
        &mut self,
        image: TextOrObject<'_, ImageUrl<'_>>,
        at: &At<'_>,
    ) -> Result<Media, Error> {
        let url = match image {
            TextOrObject::Text(url) => url,
            TextOrObject::Object(image) => {
                if image.detail.is_some_and(|detail| &*detail != "auto") {
                    self.losses.note("messages[].content[].image_url.detail");
                }
                let at = at.key("url");
                let url = image
                    .url
                    .ok_or_else(|| at.bad("expected a data URL, found none"))?;
                return media::from_url(self.body, url, "image/png", &at);
            }
        };
        media::from_url(self.body, url, "image/png", at)
    }

    fn audio(&mut self, audio: Audio<'_>, at: &At<'_>) -> Result<Media, Error> {
        let format = required(audio.format, &at.key("format"))?.to_ascii_lowercase();
        let mime = match &*format {
            "pcm16" => Some("audio/pcm".to_owned()),
            format => media::mime_type(&format!("audio/{format}")),
        };
        let mime = mime.ok_or_else(|| {
            at.key("format").bad(format_args!(
                "expected a format such as `wav` or `mp3`, found `{}`",
                shown(&format)
            ))
        })?;
        let at = at.key("data");
        let data = audio
            .data
            .ok_or_else(|| at.bad("expected base64, found none"))?;
        media::from_base64(self.body, mime, data, &at)
    }

    fn file(&mut self, file: File<'_>, at: &At<'_>) -> Result<Media, Error> {
        if file.id.is_some() {
            return Err(at
                .key("file_id")
                .bad("files are not stored here: send the content in `file_data` as a data URL"));
        }
        let at = at.key("file_data");
        let data = file
            .data
            .ok_or_else(|| at.bad("expected a data URL or base64, found none"))?;
        let labelled = data
            .get(..5)
            .is_some_and(|head| head.eq_ignore_ascii_case("data:"));
        let mut read = media::from_url(self.body, data, "", &at)?;
        // The name says more than the first bytes of what has no label.
        let by_name = file.name.as_deref().and_then(media::type_of_name);
        if let Some(mime) = by_name.filter(|_| !labelled || read.mime.is_empty()) {
            mime.clone_into(&mut read.mime);
        }
        if read.mime.is_empty() {
            return Err(at.bad(
                "the type of this file is unknown: send a data URL (`data:<type>;base64,<data>`) or a `filename` with an extension",
            ));
        }
        read.name = file.name.map(Text::into_string);
        Ok(read)
    }
}

fn push_text(blocks: &mut Vec<Block>, text: &str) {
    if !text.is_empty() {
        blocks.push(BlockBody::Text(text.to_owned()).into());
    }
}

/// Name and arguments of a call.
fn called(call: CalledFunction<'_>, at: &At<'_>) -> Result<(String, String), Error> {
    let name = required(call.name, &at.key("name"))?;
    let arguments = call.arguments.map(|text| text.0).unwrap_or_default();
    Ok((name, json::arguments(arguments)))
}
