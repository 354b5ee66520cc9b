//! The request as OpenAI publishes it, with the extensions of original.md section 3. upstream-protocol.md 10.1.

use serde_json::value::RawValue;

use crate::wire::json::read::object;
use crate::wire::json::{Int, List, Num, Text, TextOr, TextOrObject};

object! {
    /// The body. What is not named here is dropped and noted.
    struct Chat<'a> {
        "model" => model: Text<'a>,
        "messages" => messages: List<Message<'a>>,
        "stream" => stream: bool,
        "stream_options" => stream_options: StreamOptions<'a>,
        "temperature" => temperature: Num,
        "top_p" => top_p: Num,
        "top_k" => top_k: Int,
        "max_tokens" => max_tokens: Int,
        "max_completion_tokens" => max_completion_tokens: Int,
        "n" => n: Int,
        "stop" => stop: TextOr<'a, Text<'a>>,
        "seed" => seed: Int,
        "presence_penalty" => presence_penalty: Num,
        "frequency_penalty" => frequency_penalty: Num,
        "tools" => tools: List<Tool<'a>>,
        "functions" => functions: List<Function<'a>>,
        "tool_choice" => tool_choice: TextOrObject<'a, Choice<'a>>,
        "function_call" => function_call: TextOrObject<'a, Named<'a>>,
        "parallel_tool_calls" => parallel_tool_calls: bool,
        "response_format" => response_format: Format<'a>,
        "reasoning_effort" => reasoning_effort: Text<'a>,
        "thinking_budget" => thinking_budget: Int,
        "budget_tokens" => budget_tokens: Int,
        "modalities" => modalities: List<Text<'a>>,
        "size" => size: Text<'a>,
        "quality" => quality: Text<'a>,
        "user" => user: Text<'a>,
        "prompt_cache_key" => prompt_cache_key: Text<'a>,
        "store" => store: bool,
        "logprobs" => logprobs: bool,
    }

    /// `stream_options`.
    struct StreamOptions<'a> {
        "include_usage" => include_usage: bool,
        skip "include_obfuscation"
    }

    /// One of `messages`.
    struct Message<'a> {
        "role" => role: Text<'a>,
        "content" => content: TextOr<'a, Part<'a>>,
        "name" => name: Text<'a>,
        "refusal" => refusal: Text<'a>,
        "reasoning_content" => reasoning_content: Text<'a>,
        "tool_calls" => tool_calls: List<Call<'a>>,
        "function_call" => function_call: CalledFunction<'a>,
        "tool_call_id" => tool_call_id: Text<'a>,
        // What answers carry and clients send back as it was.
        skip "annotations", "id"
    }

    /// A part of a message's content, whatever its type.
    struct Part<'a> {
        "type" => kind: Text<'a>,
        "text" => text: Text<'a>,
        "refusal" => refusal: Text<'a>,
        "image_url" => image_url: TextOrObject<'a, ImageUrl<'a>>,
        "input_audio" => input_audio: Audio<'a>,
        "file" => file: File<'a>,
        skip "annotations", "cache_control"
    }

    /// `image_url`.
    struct ImageUrl<'a> {
        "url" => url: Text<'a>,
        "detail" => detail: Text<'a>,
    }

    /// `input_audio`.
    struct Audio<'a> {
        "data" => data: Text<'a>,
        "format" => format: Text<'a>,
    }

    /// `file`.
    struct File<'a> {
        "file_data" => data: Text<'a>,
        "filename" => name: Text<'a>,
        "file_id" => id: Text<'a>,
    }

    /// One of an assistant message's `tool_calls`.
    struct Call<'a> {
        "id" => id: Text<'a>,
        "type" => kind: Text<'a>,
        "function" => function: CalledFunction<'a>,
        "custom" => custom: CalledCustom<'a>,
        "extra_content" => extra_content: Extra<'a>,
        skip "index"
    }

    /// The function that was called.
    struct CalledFunction<'a> {
        "name" => name: Text<'a>,
        "arguments" => arguments: Text<'a>,
    }

    /// The custom tool that was called.
    struct CalledCustom<'a> {
        "name" => name: Text<'a>,
        "input" => input: Text<'a>,
    }

    /// `extra_content` of a call.
    struct Extra<'a> {
        "google" => google: ExtraGoogle<'a>,
    }

    /// `extra_content.google`: the convention of Google's own OpenAI endpoint.
    struct ExtraGoogle<'a> {
        "thought_signature" => thought_signature: Text<'a>,
    }

    /// One of `tools`.
    struct Tool<'a> {
        "type" => kind: Text<'a>,
        "function" => function: Function<'a>,
        "custom" => custom: Custom<'a>,
        skip "cache_control"
    }

    /// A function that is offered.
    struct Function<'a> {
        "name" => name: Text<'a>,
        "description" => description: Text<'a>,
        "parameters" => parameters: &'a RawValue,
        // Not enforced by the upstream, and set by every SDK's helpers.
        skip "strict"
    }

    /// A custom tool that is offered.
    struct Custom<'a> {
        "name" => name: Text<'a>,
        "description" => description: Text<'a>,
        "format" => format: Kind<'a>,
    }

    /// Something of which only the type is looked at.
    struct Kind<'a> {
        "type" => kind: Text<'a>,
    }

    /// `tool_choice` where it is an object.
    struct Choice<'a> {
        "type" => kind: Text<'a>,
        "function" => function: Named<'a>,
        "custom" => custom: Named<'a>,
        "allowed_tools" => allowed_tools: Allowed<'a>,
    }

    /// Something with a name.
    struct Named<'a> {
        "name" => name: Text<'a>,
    }

    /// `tool_choice.allowed_tools`.
    struct Allowed<'a> {
        "mode" => mode: Text<'a>,
        "tools" => tools: List<Choice<'a>>,
    }

    /// `response_format`.
    struct Format<'a> {
        "type" => kind: Text<'a>,
        "json_schema" => json_schema: JsonSchema<'a>,
    }

    /// `response_format.json_schema`.
    struct JsonSchema<'a> {
        "schema" => schema: &'a RawValue,
        skip "name", "strict", "description"
    }
}
