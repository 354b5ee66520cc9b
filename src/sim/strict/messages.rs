//! The fields that each message has on upstream 1 (upstream-protocol.md sections 3, 5 and 7).

use super::fields::{Kind, Many, Message};

use Kind::{AnyCase, Bool, Bytes, Enum, Int32, Int64, Num, Object, Open, Str};
use Many::{List, One};

/// 5.1; `userPromptId` is the Gemini CLI's.
pub(super) static ENVELOPE: Message = Message(&[
    ("project", Str, One),
    ("requestId", Str, One),
    ("model", Str, One),
    ("userAgent", Str, One),
    ("requestType", Str, One),
    ("enabledCreditTypes", Str, List),
    ("userPromptId", Str, One),
    ("request", Kind::Message(&REQUEST), One),
]);

static REQUEST: Message = Message(&[
    ("contents", Kind::Message(&CONTENT), List),
    ("systemInstruction", Kind::Message(&CONTENT), One),
    ("tools", Kind::Message(&TOOL), List),
    ("toolConfig", Kind::Message(&TOOL_CONFIG), One),
    ("generationConfig", Kind::Message(&GENERATION_CONFIG), One),
    ("safetySettings", Kind::Message(&SAFETY), List),
    ("sessionId", Str, One),
    ("cachedContent", Str, One),
]);

static CONTENT: Message = Message(&[("role", Str, One), ("parts", Kind::Message(&PART), List)]);

static PART: Message = Message(&[
    ("text", Str, One),
    ("inlineData", Kind::Message(&BLOB), One),
    ("fileData", Kind::Message(&FILE), One),
    ("functionCall", Kind::Message(&CALL), One),
    ("functionResponse", Kind::Message(&RESULT), One),
    ("executableCode", Object, One),
    ("codeExecutionResult", Object, One),
    ("thought", Bool, One),
    ("thoughtSignature", Bytes, One),
]);

static BLOB: Message = Message(&[("mimeType", Str, One), ("data", Bytes, One)]);
static FILE: Message = Message(&[("mimeType", Str, One), ("fileUri", Str, One)]);
static CALL: Message = Message(&[("id", Str, One), ("name", Str, One), ("args", Object, One)]);
static RESULT: Message = Message(&[
    ("id", Str, One),
    ("name", Str, One),
    ("response", Object, One),
]);

static TOOL: Message = Message(&[
    ("functionDeclarations", Kind::Message(&DECLARATION), List),
    ("googleSearch", Object, One),
    ("codeExecution", Object, One),
    ("urlContext", Object, One),
]);

static DECLARATION: Message = Message(&[
    ("name", Str, One),
    ("description", Str, One),
    ("parameters", Kind::Message(&SCHEMA), One),
    ("parametersJsonSchema", Open, One),
]);

static TOOL_CONFIG: Message = Message(&[
    ("functionCallingConfig", Kind::Message(&CALLING), One),
    ("includeServerSideToolInvocations", Bool, One),
]);

static CALLING: Message = Message(&[
    (
        "mode",
        Enum(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"]),
        One,
    ),
    ("allowedFunctionNames", Str, List),
]);

/// 5.6.
static GENERATION_CONFIG: Message = Message(&[
    ("temperature", Num, One),
    ("topP", Num, One),
    ("topK", Int32, One),
    ("maxOutputTokens", Int32, One),
    ("stopSequences", Str, List),
    ("candidateCount", Int32, One),
    ("seed", Int32, One),
    ("presencePenalty", Num, One),
    ("frequencyPenalty", Num, One),
    ("responseMimeType", Str, One),
    ("responseSchema", Kind::Message(&SCHEMA), One),
    ("responseJsonSchema", Open, One),
    ("responseLogprobs", Bool, One),
    ("logprobs", Int32, One),
    (
        "responseModalities",
        Enum(&["TEXT", "IMAGE", "AUDIO"]),
        List,
    ),
    ("imageConfig", Kind::Message(&IMAGE_CONFIG), One),
    ("mediaResolution", Str, One),
    ("speechConfig", Object, One),
    ("thinkingConfig", Kind::Message(&THINKING), One),
]);

/// 8.5.
static IMAGE_CONFIG: Message = Message(&[
    (
        "aspectRatio",
        Enum(&[
            "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9",
        ]),
        One,
    ),
    ("imageSize", Enum(&["1K", "2K", "4K"]), One),
]);

static THINKING: Message = Message(&[
    ("includeThoughts", Bool, One),
    ("thinkingBudget", Int32, One),
    (
        "thinkingLevel",
        Enum(&["MINIMAL", "LOW", "MEDIUM", "HIGH"]),
        One,
    ),
]);

/// 5.7.
static SAFETY: Message = Message(&[
    (
        "category",
        Enum(&[
            "HARM_CATEGORY_HARASSMENT",
            "HARM_CATEGORY_HATE_SPEECH",
            "HARM_CATEGORY_SEXUALLY_EXPLICIT",
            "HARM_CATEGORY_DANGEROUS_CONTENT",
            "HARM_CATEGORY_CIVIC_INTEGRITY",
            "HARM_CATEGORY_JAILBREAK",
            "HARM_CATEGORY_IMAGE_HATE",
            "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
            "HARM_CATEGORY_IMAGE_HARASSMENT",
            "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
        ]),
        One,
    ),
    (
        "threshold",
        Enum(&[
            "OFF",
            "BLOCK_NONE",
            "BLOCK_ONLY_HIGH",
            "BLOCK_MEDIUM_AND_ABOVE",
            "BLOCK_LOW_AND_ABOVE",
        ]),
        One,
    ),
]);

/// Section 7: all that Google's `Schema` knows.
static SCHEMA: Message = Message(&[
    (
        "type",
        AnyCase(&[
            "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL",
        ]),
        One,
    ),
    ("format", Str, One),
    ("title", Str, One),
    ("description", Str, One),
    ("nullable", Bool, One),
    ("enum", Str, List),
    ("items", Kind::Message(&SCHEMA), One),
    ("minItems", Int64, One),
    ("maxItems", Int64, One),
    ("properties", Kind::Map(&SCHEMA), One),
    ("required", Str, List),
    ("minProperties", Int64, One),
    ("maxProperties", Int64, One),
    ("minimum", Num, One),
    ("maximum", Num, One),
    ("minLength", Int64, One),
    ("maxLength", Int64, One),
    ("pattern", Str, One),
    ("example", Open, One),
    ("anyOf", Kind::Message(&SCHEMA), List),
    ("propertyOrdering", Str, List),
    ("default", Open, One),
]);

/// 5.8: the Code Assist form has only these.
pub(super) static COUNT: Message = Message(&[("request", Kind::Message(&COUNT_REQUEST), One)]);
static COUNT_REQUEST: Message = Message(&[
    ("model", Str, One),
    ("contents", Kind::Message(&CONTENT), List),
]);

/// 3.1. The enums of the client's metadata come as words or as numbers, so anything is read here and looked at later.
pub(super) static LOAD: Message = Message(&[
    ("metadata", Kind::Message(&METADATA), One),
    ("cloudaicompanionProject", Str, One),
    (
        "mode",
        Enum(&["MODE_UNSPECIFIED", "FULL_ELIGIBILITY_CHECK", "HEALTH_CHECK"]),
        One,
    ),
]);
static METADATA: Message = Message(&[
    ("ideType", Open, One),
    ("ideVersion", Str, One),
    ("pluginVersion", Str, One),
    ("platform", Open, One),
    ("updateChannel", Str, One),
    ("duetProject", Str, One),
    ("pluginType", Open, One),
    ("ideName", Str, One),
]);

/// 3.2.
pub(super) static ONBOARD: Message = Message(&[
    ("tierId", Str, One),
    ("metadata", Kind::Message(&METADATA), One),
    ("cloudaicompanionProject", Str, One),
]);

/// 4.1.
pub(super) static MODELS: Message = Message(&[("project", Str, One)]);
