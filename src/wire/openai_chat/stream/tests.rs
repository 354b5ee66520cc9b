use super::*;
use crate::wire::front::script::reply;

/// The chunks' deltas and what else there is, without the parts that all share.
fn run(form: ThinkingOutput, include_usage: bool, events: &[Event<'_>]) -> Vec<String> {
    let mut reply = reply(form);
    reply.include_usage = include_usage;
    let mut encoder = StreamEncoder::new(&reply);
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    let head = String::from_utf8(encoder.head.clone()).unwrap();
    String::from_utf8(out)
        .unwrap()
        .split_terminator("\n\n")
        .map(|frame| {
            let frame = frame.strip_prefix(&head).unwrap_or(frame);
            frame
                .trim_start_matches(r#"{"index":0,"delta":"#)
                .trim_end_matches(r#","logprobs":null,"finish_reason":null}]}"#)
                .to_owned()
        })
        .collect()
}

const ROLE: &str = r#"{"role":"assistant","content":""}"#;
const DONE: &str = "data: [DONE]";

#[test]
fn texts_go_out_as_they_come() {
    let stop = Event::BlockStop { signature: None };
    assert_eq!(
        run(
            ThinkingOutput::ReasoningContent,
            true,
            &[
                Event::ThinkingStart,
                Event::Thinking("hm"),
                stop.clone(),
                Event::TextStart,
                Event::Text("a\n"),
                Event::Text("b"),
                stop,
                Event::Usage(Usage {
                    output: Some(3),
                    ..Usage::default()
                }),
                Event::Stop(StopReason::MaxTokens),
            ]
        ),
        [
            ROLE,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"content":"a\n"}"#,
            r#"{"content":"b"}"#,
            r#"{},"logprobs":null,"finish_reason":"length"}]}"#,
            r#"],"usage":{"prompt_tokens":0,"completion_tokens":3,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
            DONE
        ]
    );
}

#[test]
fn a_blocked_prompt_is_an_empty_answer() {
    assert_eq!(
        run(
            ThinkingOutput::Tags,
            false,
            &[Event::Stop(StopReason::Filter)]
        ),
        [
            ROLE,
            r#"{},"logprobs":null,"finish_reason":"content_filter"}]}"#,
            DONE
        ]
    );
}

#[test]
fn calls_are_numbered_over_the_whole_answer() {
    let start = |id, free_text| Event::ToolCallStart {
        id,
        name: "f",
        free_text,
        signature: None,
    };
    let stop = Event::BlockStop { signature: None };
    assert_eq!(
        run(
            ThinkingOutput::Tags,
            false,
            &[
                Event::ThinkingStart,
                Event::Thinking("hm"),
                start("a", false),
                Event::ToolInput("{\"x\":1"),
                Event::ToolInput("}"),
                stop.clone(),
                start("b", true),
                Event::ToolInput("{\"input\":"),
                Event::ToolInput("\"t\\n\"}"),
                stop.clone(),
                start("c", false),
                stop,
                Event::Stop(StopReason::ToolUse),
            ]
        ),
        [
            ROLE,
            r#"{"content":"<think>hm"}"#,
            r#"{"content":"</think>"}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1"}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
            r#"{"tool_calls":[{"index":1,"id":"b","type":"custom","custom":{"name":"f","input":"t\n"}}]}"#,
            r#"{"tool_calls":[{"index":2,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{},"logprobs":null,"finish_reason":"tool_calls"}]}"#,
            DONE
        ]
    );
}

#[test]
fn tags_close_with_the_first_text_and_at_the_end() {
    assert_eq!(
        run(
            ThinkingOutput::Both,
            false,
            &[
                Event::ThinkingStart,
                Event::Thinking("a"),
                Event::TextStart,
                Event::Text("b"),
                Event::ThinkingStart,
                Event::Thinking("c"),
                Event::Stop(StopReason::End),
            ]
        ),
        [
            ROLE,
            r#"{"reasoning_content":"a","content":"<think>a"}"#,
            r#"{"content":"</think>b"}"#,
            r#"{"reasoning_content":"c","content":"<think>c"}"#,
            r#"{"content":"</think>"}"#,
            r#"{},"logprobs":null,"finish_reason":"stop"}]}"#,
            DONE
        ]
    );
}
