use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::base::id::Dialect;
use crate::ir::{
    Block, KnownCall, Media, NoSignatures, OutputFormat, Reasoning, ResultPart, Role, Signature,
    Tool, ToolChoice, Turn,
};

const NATIVE: &str = "EjwKAgkQFx4lLDM6QUhPVl1ka3J5gIeOlZyj";

/// What the store knows, for tests.
#[derive(Default)]
struct Known {
    calls: HashMap<String, KnownCall>,
    texts: HashMap<String, String>,
    owners: HashMap<String, (SignatureFamily, Option<String>)>,
}

impl SignatureLookup for Known {
    fn by_call(&self, call_id: &str) -> Option<KnownCall> {
        self.calls.get(call_id).cloned()
    }

    fn by_text(&self, family: SignatureFamily, text: &str) -> Option<String> {
        self.texts
            .get(text)
            .filter(|_| family == SignatureFamily::Claude)
            .cloned()
    }

    fn owner(&self, signature: &str) -> Option<(SignatureFamily, Option<String>)> {
        self.owners.get(signature).cloned()
    }
}

fn upstream(native: &str) -> String {
    signatures::claude_upstream(native).unwrap().into_owned()
}

fn turn(role: Role, bodies: Vec<BlockBody>) -> Turn {
    Turn {
        role,
        blocks: bodies.into_iter().map(Block::from).collect(),
    }
}

fn text(text: &str) -> BlockBody {
    BlockBody::Text(text.to_owned())
}

fn call(id: &str, name: &str) -> BlockBody {
    BlockBody::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        input: "{\"n\":1.10}".to_owned(),
    }
}

fn result(id: &str, said: &str) -> BlockBody {
    BlockBody::ToolResult {
        call_id: id.to_owned(),
        name: None,
        content: vec![ResultPart::Text(said.to_owned())],
        is_error: false,
    }
}

fn thinking(said: &str, signature: Option<(Option<SignatureFamily>, &str)>) -> Block {
    Block {
        body: BlockBody::Thinking(said.to_owned()),
        signature: signature.map(|(family, value)| Signature {
            family,
            value: value.to_owned(),
        }),
    }
}

fn request(turns: Vec<Turn>) -> Request {
    let mut req = Request::new(Dialect::Anthropic, "m");
    req.turns = turns;
    req
}

struct Out {
    body: Value,
    encoded: Encoded,
}

fn run(
    req: &Request,
    model: &str,
    known: &dyn SignatureLookup,
    with: impl FnOnce(&mut Target<'_>),
) -> Result<Out, Error> {
    let safety = BTreeMap::from([("HARM_CATEGORY_HARASSMENT".to_owned(), "OFF".to_owned())]);
    let mut target = Target {
        model,
        family: Family::of(model),
        api: Api::Antigravity,
        max_output: None,
        thinking: None,
        safety_settings: &safety,
        session_id: Some("-12"),
        level_as_budget: false,
        repair: false,
    };
    with(&mut target);
    let mut out = Vec::new();
    let encoded = encode_request(req, &target, known, &mut out)?;
    Ok(Out {
        body: serde_json::from_slice(&out).expect("JSON"),
        encoded,
    })
}

fn encode(req: &Request, model: &str) -> Out {
    run(req, model, &NoSignatures, |_| {}).unwrap()
}

#[test]
fn results_follow_their_calls_and_gaps_are_filled() {
    let req = request(vec![
        turn(
            Role::Assistant,
            vec![call("a", "f"), call("b", "g/h"), call("c", "f")],
        ),
        turn(
            Role::User,
            vec![
                text("so"),
                result("b", "B"),
                result("x", "lost"),
                result("a", "A"),
            ],
        ),
    ]);
    let out = encode(&req, "gemini-2.5-flash");
    assert_eq!(
        out.body["contents"][0],
        json!({"role": "user", "parts": [{"text": "Begin."}]})
    );
    assert_eq!(
        out.body["contents"][2],
        json!({"role": "user", "parts": [
            {"functionResponse": {"id": "a", "name": "f", "response": {"output": "A"}}},
            {"functionResponse": {"id": "b", "name": "g_h", "response": {"output": "B"}}},
            {"functionResponse": {"id": "c", "name": "f", "response": {"error": "no result was given for this call"}}},
            {"text": "so"},
            {"text": "lost"}]})
    );
    assert_eq!(
        out.encoded.decode.names.get("g_h").map(String::as_str),
        Some("g/h")
    );
}

#[test]
fn arguments_go_out_to_the_last_digit() {
    let req = request(vec![
        turn(Role::User, vec![text("u")]),
        turn(Role::Assistant, vec![call("a", "f")]),
    ]);
    let safety = BTreeMap::new();
    let target = Target {
        model: "gemini-2.5-flash",
        family: Some(Family::Gemini25),
        api: Api::GeminiApi,
        max_output: None,
        thinking: None,
        safety_settings: &safety,
        session_id: Some("-1"),
        level_as_budget: false,
        repair: false,
    };
    let mut out = Vec::new();
    encode_request(&req, &target, &NoSignatures, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\"args\":{\"n\":1.10}"), "{text}");
    assert!(!text.contains("sessionId"), "only upstream 1 has it");
    assert!(
        text.contains("no result was given"),
        "a last call gets a result too"
    );
}

#[test]
fn repeated_and_odd_ids_are_made_unique_alike_on_call_and_result() {
    let req = request(vec![
        turn(Role::User, vec![text("u")]),
        turn(Role::Assistant, vec![call("a:1", "f")]),
        turn(Role::User, vec![result("a:1", "one")]),
        turn(Role::Assistant, vec![call("a:1", "f")]),
        turn(Role::User, vec![result("a:1", "two")]),
    ]);
    let out = encode(&req, "claude-sonnet-4-6");
    let contents = &out.body["contents"];
    assert_eq!(contents[1]["parts"][0]["functionCall"]["id"], "a_1");
    assert_eq!(contents[2]["parts"][0]["functionResponse"]["id"], "a_1");
    assert_eq!(contents[3]["parts"][0]["functionCall"]["id"], "a_1_2");
    assert_eq!(contents[4]["parts"][0]["functionResponse"]["id"], "a_1_2");
    assert_eq!(
        contents[4]["parts"][0]["functionResponse"]["response"]["output"],
        "two"
    );
    let gemini = encode(&req, "gemini-2.5-flash");
    assert_eq!(
        gemini.body["contents"][1]["parts"][0]["functionCall"]["id"],
        "a:1"
    );
}

#[test]
fn system_text_alone_becomes_the_users() {
    let req = request(vec![turn(Role::System, vec![text("s"), text("")])]);
    let out = encode(&req, "gemini-2.5-flash");
    assert_eq!(
        out.body["contents"],
        json!([{"role": "user", "parts": [{"text": "s"}]}])
    );
    assert!(out.body.get("systemInstruction").is_none());
    let nothing = run(
        &request(Vec::new()),
        "gemini-2.5-flash",
        &NoSignatures,
        |_| {},
    );
    assert_eq!(
        nothing.err().and_then(|e| e.param).as_deref(),
        Some("messages")
    );
}

#[test]
fn a_prefill_is_sent_but_not_to_a_thinking_claude() {
    let mut req = request(vec![
        turn(Role::User, vec![text("u")]),
        turn(Role::Assistant, vec![text("{")]),
    ]);
    assert_eq!(
        encode(&req, "claude-sonnet-4-6").body["contents"][1]["role"],
        "model"
    );
    req.reasoning = Some(Reasoning::Budget(2000));
    let refused = run(&req, "claude-sonnet-4-6", &NoSignatures, |_| {});
    assert_eq!(
        refused.err().and_then(|e| e.param).as_deref(),
        Some("messages")
    );
    encode(&req, "gemini-2.5-flash");
}

fn claude_loop(thought: Option<Block>) -> Request {
    let mut blocks: Vec<Block> = thought.into_iter().collect();
    blocks.push(call("t1", "f").into());
    let mut req = request(vec![
        turn(Role::User, vec![text("u")]),
        Turn {
            role: Role::Assistant,
            blocks,
        },
        turn(Role::User, vec![result("t1", "r")]),
    ]);
    req.reasoning = Some(Reasoning::Budget(2000));
    req
}

fn thought_of(out: &Out) -> (Option<&str>, Option<&str>) {
    let part = &out.body["contents"][1]["parts"][0];
    (part["text"].as_str(), part["thoughtSignature"].as_str())
}

#[test]
fn claudes_thinking_comes_back_from_the_client_or_the_store() {
    let up = upstream(NATIVE);
    let claude = Some(SignatureFamily::Claude);
    let own = claude_loop(Some(thinking("deep", Some((claude, NATIVE)))));
    let out = encode(&own, "claude-opus-4-6-thinking");
    assert_eq!(thought_of(&out), (Some("deep"), Some(up.as_str())));
    assert_eq!(out.encoded.used_signatures, [NATIVE]);

    let mut known = Known::default();
    known.texts.insert("deep".to_owned(), NATIVE.to_owned());
    let unsigned = claude_loop(Some(thinking("deep", None)));
    let out = run(&unsigned, "claude-opus-4-6-thinking", &known, |_| {}).unwrap();
    assert_eq!(thought_of(&out), (Some("deep"), Some(up.as_str())));

    let mut known = Known::default();
    known.calls.insert(
        "t1".to_owned(),
        KnownCall {
            family: SignatureFamily::Claude,
            signature: up.clone(),
            thinking: Some("stored".to_owned()),
        },
    );
    let bare = claude_loop(None);
    let out = run(&bare, "claude-opus-4-6-thinking", &known, |_| {}).unwrap();
    assert_eq!(thought_of(&out), (Some("stored"), Some(up.as_str())));
    assert_eq!(out.encoded.used_signatures, [NATIVE]);
}

#[test]
fn thinking_behind_other_text_is_put_in_front_once() {
    let up = upstream(NATIVE);
    let mut req = claude_loop(Some(thinking(
        "deep",
        Some((Some(SignatureFamily::Claude), NATIVE)),
    )));
    req.turns[1].blocks.insert(0, text("first").into());
    let mut known = Known::default();
    known.calls.insert(
        "t1".to_owned(),
        KnownCall {
            family: SignatureFamily::Claude,
            signature: NATIVE.to_owned(),
            thinking: Some("deep".to_owned()),
        },
    );
    let out = run(&req, "claude-opus-4-6-thinking", &known, |_| {}).unwrap();
    assert_eq!(thought_of(&out), (Some("deep"), Some(up.as_str())));
    assert_eq!(
        out.body["contents"][1]["parts"].as_array().unwrap().len(),
        3
    );
}

#[test]
fn claude_goes_without_thinking_only_where_nothing_else_helps() {
    let gemini = Some(SignatureFamily::Gemini);
    let foreign = thinking("deep", Some((gemini, NATIVE)));
    let mut elsewhere = Known::default();
    elsewhere.owners.insert(
        NATIVE.to_owned(),
        (SignatureFamily::Claude, Some("another text".to_owned())),
    );
    let moved = thinking("deep", Some((Some(SignatureFamily::Claude), NATIVE)));
    let cases: [(Option<Block>, &dyn SignatureLookup); 3] = [
        (None, &NoSignatures),
        (Some(foreign), &NoSignatures),
        (Some(moved), &elsewhere),
    ];
    for (thought, known) in cases {
        let req = claude_loop(thought);
        let out = run(&req, "claude-opus-4-6-thinking", known, |_| {}).unwrap();
        assert!(out.body["generationConfig"].get("thinkingConfig").is_none());
        assert!(
            out.body["contents"][1]["parts"][0]
                .get("functionCall")
                .is_some()
        );
        assert!(out.encoded.used_signatures.is_empty());
        assert!(!out.encoded.losses.is_empty());

        let mut again = req.clone();
        again.turns.push(turn(Role::User, vec![text("next")]));
        let out = run(&again, "claude-opus-4-6-thinking", known, |_| {}).unwrap();
        assert!(
            out.body["generationConfig"].get("thinkingConfig").is_some(),
            "thinking returns with the next message"
        );
    }
}

#[test]
fn repair_sends_no_signature_of_the_history() {
    let claude = Some(SignatureFamily::Claude);
    let req = claude_loop(Some(thinking("deep", Some((claude, NATIVE)))));
    let out = run(&req, "claude-opus-4-6-thinking", &NoSignatures, |t| {
        t.repair = true;
    })
    .unwrap();
    assert!(!out.body.to_string().contains("thoughtSignature"));
    assert!(out.body["generationConfig"].get("thinkingConfig").is_none());

    let mut signed = claude_loop(None);
    signed.turns[1].blocks[0].signature = Some(Signature {
        family: Some(SignatureFamily::Gemini),
        value: "EiBad".to_owned(),
    });
    let out = run(&signed, "gemini-3-flash", &NoSignatures, |t| {
        t.repair = true;
    })
    .unwrap();
    assert_eq!(thought_signature(&out, 1, 0), Some(signatures::SENTINEL));
}

fn thought_signature(out: &Out, content: usize, part: usize) -> Option<&str> {
    out.body["contents"][content]["parts"][part]["thoughtSignature"].as_str()
}

#[test]
fn gemini_gets_signatures_on_calls_in_the_order_of_trust() {
    let gemini = Some(SignatureFamily::Gemini);
    let parallel = |first: Option<&str>, thought: Option<Block>| {
        let mut blocks: Vec<Block> = thought.into_iter().collect();
        blocks.push(Block {
            body: call("a", "f"),
            signature: first.map(|value| Signature {
                family: gemini,
                value: value.to_owned(),
            }),
        });
        blocks.push(call("b", "f").into());
        request(vec![
            turn(Role::User, vec![text("u")]),
            Turn {
                role: Role::Assistant,
                blocks,
            },
        ])
    };
    let mut known = Known::default();
    known.calls.insert(
        "a".to_owned(),
        KnownCall {
            family: SignatureFamily::Gemini,
            signature: "EiStored".to_owned(),
            thinking: None,
        },
    );
    let of = |req: &Request, model: &str, known: &dyn SignatureLookup| {
        let out = run(req, model, known, |_| {}).unwrap();
        assert_eq!(
            thought_signature(&out, 1, 1),
            None,
            "only the first call has one"
        );
        thought_signature(&out, 1, 0).map(str::to_owned)
    };
    let own = parallel(Some("EiOwn"), None);
    assert_eq!(of(&own, "gemini-3-flash", &known).as_deref(), Some("EiOwn"));
    let bare = parallel(None, None);
    assert_eq!(
        of(&bare, "gemini-3-flash", &known).as_deref(),
        Some("EiStored")
    );
    let thought = parallel(None, Some(thinking("t", Some((gemini, "EiThought")))));
    assert_eq!(
        of(&thought, "gemini-3-flash", &NoSignatures).as_deref(),
        Some("EiThought")
    );
    assert_eq!(
        of(&bare, "gemini-3-flash", &NoSignatures).as_deref(),
        Some(signatures::SENTINEL)
    );
    assert_eq!(of(&bare, "gemini-2.5-flash", &NoSignatures), None);
    assert_eq!(of(&own, "gpt-oss-120b-medium", &known), None);
    assert_eq!(of(&own, "claude-sonnet-4-6", &known), None);
    let foreign = parallel(
        None,
        Some(thinking("t", Some((Some(SignatureFamily::Claude), NATIVE)))),
    );
    assert_eq!(of(&foreign, "gemini-2.5-flash", &NoSignatures), None);
}

#[test]
fn claude_gets_its_maximum_and_no_settings_of_gemini() {
    let mut req = request(vec![turn(Role::User, vec![text("u")])]);
    let with_max = |t: &mut Target<'_>| t.max_output = Some(64_000);
    let out = run(&req, "claude-sonnet-4-6", &NoSignatures, with_max).unwrap();
    assert_eq!(
        out.body["generationConfig"],
        json!({"maxOutputTokens": 64000})
    );
    assert!(out.body.get("safetySettings").is_none());
    let gemini = run(&req, "gemini-2.5-flash", &NoSignatures, with_max).unwrap();
    assert!(gemini.body.get("generationConfig").is_none());
    assert_eq!(
        gemini.body["safetySettings"],
        json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}])
    );
    assert_eq!(gemini.body["sessionId"], "-12");

    req.dialect = Dialect::OpenAiChat;
    req.reasoning = Some(Reasoning::Budget(2000));
    req.sampling.temperature = Some(0.3);
    req.sampling.top_k = Some(4);
    req.sampling.top_p = Some(0.5);
    req.sampling.presence_penalty = Some(1.0);
    req.sampling.max_output = Some(99_000);
    let out = run(&req, "claude-sonnet-4-6", &NoSignatures, with_max).unwrap();
    assert_eq!(
        out.body["generationConfig"],
        json!({"maxOutputTokens": 64000, "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 2000}})
    );
    assert_eq!(out.encoded.losses.entries().len(), 5);
}

fn tool(name: &str, parameters: Option<Value>) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: parameters.map(|p| RawValue::from_string(p.to_string()).unwrap()),
        free_text: false,
    }
}

#[test]
fn tools_and_choices_go_out_by_family() {
    let mut req = request(vec![turn(Role::User, vec![text("u")])]);
    req.tools = vec![
        tool(
            "f/x",
            Some(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        ),
        tool("ping", None),
        tool("ping", None),
        Tool {
            free_text: true,
            ..tool("patch", None)
        },
    ];
    let claude = encode(&req, "claude-sonnet-4-6");
    let functions = claude.body["tools"][0]["functionDeclarations"].clone();
    assert_eq!(functions.as_array().unwrap().len(), 3);
    assert_eq!(
        functions[1]["parameters"],
        json!({"type": "object", "properties": {}})
    );
    assert_eq!(
        claude.body["toolConfig"]["functionCallingConfig"]["mode"],
        "VALIDATED"
    );
    assert!(claude.encoded.decode.free_text.contains("patch"));

    let gemini = encode(&req, "gemini-2.5-flash");
    assert!(
        gemini.body["tools"][0]["functionDeclarations"][1]
            .get("parameters")
            .is_none()
    );
    assert!(gemini.body.get("toolConfig").is_none());

    let config = |choice: ToolChoice| {
        let mut req = req.clone();
        req.tool_choice = Some(choice);
        run(&req, "gemini-2.5-flash", &NoSignatures, |_| {})
            .map(|o| o.body["toolConfig"]["functionCallingConfig"].clone())
    };
    assert_eq!(config(ToolChoice::Auto).unwrap(), json!({"mode": "AUTO"}));
    assert_eq!(config(ToolChoice::None).unwrap(), json!({"mode": "NONE"}));
    assert_eq!(config(ToolChoice::Any).unwrap(), json!({"mode": "ANY"}));
    assert_eq!(
        config(ToolChoice::Named("f/x".to_owned())).unwrap(),
        json!({"mode": "ANY", "allowedFunctionNames": ["f_x"]})
    );
    assert_eq!(
        config(ToolChoice::Allowed {
            names: vec!["ping".to_owned()],
            required: false
        })
        .unwrap(),
        json!({"mode": "VALIDATED", "allowedFunctionNames": ["ping"]})
    );
    assert_eq!(
        config(ToolChoice::Named("nope".to_owned()))
            .unwrap_err()
            .param
            .as_deref(),
        Some("tool_choice")
    );
    req.tools[0] = tool("f", Some(json!("x")));
    let error = run(&req, "gemini-2.5-flash", &NoSignatures, |_| {})
        .err()
        .unwrap();
    assert_eq!(error.param.as_deref(), Some("tools.f"));
}

#[test]
fn structured_answers_are_asked_for_by_field_or_in_words() {
    let mut req = request(vec![turn(Role::User, vec![text("u")])]);
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    req.output = OutputFormat::JsonSchema(RawValue::from_string(schema.to_string()).unwrap());
    let gemini = encode(&req, "gemini-2.5-flash");
    assert_eq!(
        gemini.body["generationConfig"]["responseMimeType"],
        "application/json"
    );
    assert_eq!(
        gemini.body["generationConfig"]["responseSchema"]["type"],
        "OBJECT"
    );
    let claude = encode(&req, "claude-sonnet-4-6");
    assert!(claude.body.get("generationConfig").is_none());
    let words = claude.body["systemInstruction"]["parts"][0]["text"]
        .as_str()
        .unwrap();
    assert!(words.contains(&schema.to_string()));
    assert!(claude.encoded.decode.strip_fence);
    assert!(!gemini.encoded.decode.strip_fence);
}

#[test]
fn image_models_get_their_own_form() {
    let picture = Media {
        mime: "image/png".to_owned(),
        base64: Bytes::from_static(b"AAAA"),
        name: None,
    };
    let mut req = request(vec![
        turn(Role::System, vec![text("s")]),
        turn(Role::User, vec![text("u"), BlockBody::Media(picture)]),
    ]);
    req.image.size = Some("1024x1536".to_owned());
    req.image.quality = Some("hd".to_owned());
    req.tools = vec![tool("f", None)];
    let out = encode(&req, "gemini-3-pro-image");
    assert_eq!(
        out.body["contents"],
        json!([{"role": "user", "parts": [{"text": "s"}, {"text": "u"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}])
    );
    assert_eq!(
        out.body["generationConfig"],
        json!({"imageConfig": {"aspectRatio": "2:3", "imageSize": "4K"}})
    );
    assert!(out.body.get("tools").is_none() && out.body.get("systemInstruction").is_none());
    let vertex = run(&req, "gemini-3-pro-image", &NoSignatures, |t| {
        t.api = Api::Vertex;
    })
    .unwrap();
    assert_eq!(
        vertex.body["generationConfig"]["responseModalities"],
        json!(["TEXT", "IMAGE"])
    );
}

#[test]
fn counting_takes_everything_as_contents() {
    let mut req = request(vec![
        turn(Role::System, vec![text("s")]),
        turn(Role::User, vec![text("u")]),
        Turn {
            role: Role::Assistant,
            blocks: vec![thinking("t", None), text("a").into()],
        },
    ]);
    req.tools = vec![tool("f", None)];
    let safety = BTreeMap::new();
    let target = Target {
        model: "gemini-3-flash",
        family: Some(Family::Gemini3),
        api: Api::Antigravity,
        max_output: None,
        thinking: None,
        safety_settings: &safety,
        session_id: None,
        level_as_budget: false,
        repair: false,
    };
    let mut out = Vec::new();
    encode_count(&req, &target, &mut out).unwrap();
    let body: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(body["request"]["model"], "models/gemini-3-flash");
    let contents = body["request"]["contents"].as_array().unwrap();
    assert_eq!(contents.len(), 2);
    assert_eq!(contents[0]["parts"].as_array().unwrap().len(), 3);
    assert_eq!(
        contents[1],
        json!({"role": "model", "parts": [{"text": "a"}]})
    );
}

fn any_block() -> impl Strategy<Value = Block> {
    let id = prop_oneof![Just("a"), Just("b"), Just("c:d"), Just("")];
    let said = prop_oneof![Just(""), Just(" \n"), Just("x"), Just("deep")];
    let signature = prop_oneof![
        Just(None),
        Just(Some((None, NATIVE))),
        Just(Some((Some(SignatureFamily::Gemini), "EiSig"))),
        Just(Some((Some(SignatureFamily::Claude), NATIVE))),
    ];
    (id, said, signature, 0..6_u8).prop_map(|(id, said, signature, kind)| {
        let mut block = match kind {
            0 => call(id, "f").into(),
            1 => result(id, said).into(),
            2 => BlockBody::RedactedThinking("x".to_owned()).into(),
            3 => thinking(said, None),
            _ => Block::from(text(said)),
        };
        block.signature = signature.map(|(family, value)| Signature {
            family,
            value: value.to_owned(),
        });
        block
    })
}

/// Rules 1–6 of 5.2 and 8.1's rules for the running turn.
fn check(body: &Value, claude: bool) -> Result<(), String> {
    let contents = body["contents"].as_array().ok_or("no contents")?;
    let mut ids = std::collections::HashSet::new();
    let mut open: Vec<Value> = Vec::new();
    for (n, content) in contents.iter().enumerate() {
        let role = if n % 2 == 0 { "user" } else { "model" };
        if content["role"] != role {
            return Err(format!("{n}: expected {role}"));
        }
        let parts = content["parts"].as_array().ok_or("no parts")?;
        if parts.is_empty() {
            return Err(format!("{n}: empty"));
        }
        let results: Vec<Value> = parts
            .iter()
            .map_while(|p| p.get("functionResponse").map(|r| r["id"].clone()))
            .collect();
        let total = parts
            .iter()
            .filter(|p| p.get("functionResponse").is_some())
            .count();
        if results != open || total != results.len() {
            return Err(format!("{n}: results {results:?} for calls {open:?}"));
        }
        open = parts
            .iter()
            .filter_map(|p| p.get("functionCall").map(|c| c["id"].clone()))
            .collect();
        for id in &open {
            let plain = id.as_str().is_some_and(|s| {
                !s.is_empty()
                    && s.bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            });
            if !ids.insert(id.clone()) || (claude && !plain) {
                return Err(format!("{n}: id {id}"));
            }
        }
        for part in parts {
            if let Some(text) = part.get("text").and_then(Value::as_str)
                && (text.is_empty() || (claude && text.trim().is_empty()))
                && part.get("thought").is_none()
            {
                return Err(format!("{n}: blank text"));
            }
            if part.get("thought").is_some() && part.get("thoughtSignature").is_none() {
                return Err(format!("{n}: unsigned thought"));
            }
        }
    }
    if !open.is_empty() {
        return Err("calls without results at the end".to_owned());
    }
    let thinks = body["generationConfig"].get("thinkingConfig").is_some();
    let ordinary = |c: &Value| {
        c["role"] == "user"
            && c["parts"]
                .as_array()
                .is_some_and(|p| p.iter().any(|p| p.get("functionResponse").is_none()))
    };
    let from = contents.iter().rposition(ordinary).map_or(0, |n| n + 1);
    for content in &contents[from..] {
        let calls = content["parts"]
            .as_array()
            .is_some_and(|p| p.iter().any(|p| p.get("functionCall").is_some()));
        if claude && thinks && calls && content["parts"][0].get("thought").is_none() {
            return Err("a call without thinking in the running turn".to_owned());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_history_comes_out_well_formed(
        turns in proptest::collection::vec(
            (prop_oneof![Just(Role::User), Just(Role::Assistant), Just(Role::System)],
             proptest::collection::vec(any_block(), 0..5)), 0..7),
        model in prop_oneof![Just("claude-opus-4-6"), Just("gemini-3-flash"), Just("gemini-2.5-pro"), Just("gpt-oss-120b"), Just("other")],
        thinks in any::<bool>(),
        repair in any::<bool>(),
    ) {
        let mut req = request(turns.into_iter().map(|(role, blocks)| Turn { role, blocks }).collect());
        if thinks {
            req.reasoning = Some(Reasoning::Budget(2000));
        }
        match run(&req, model, &NoSignatures, |t| t.repair = repair) {
            Err(error) => prop_assert_eq!(error.param.as_deref(), Some("messages")),
            Ok(out) => {
                if let Err(why) = check(&out.body, model.starts_with("claude")) {
                    prop_assert!(false, "{why}\n{}", out.body);
                }
            }
        }
    }
}
