// What is said, apart from any dialect; requests made of it, and answers read into it.

export type Dialect = "openai" | "anthropic";

export interface ToolCall {
  id: string;
  name: string;
  /** JSON, maybe not whole yet. */
  arguments: string;
}

export interface Usage {
  input: number | null;
  output: number | null;
  cached: number | null;
}

/** What the model said. */
export interface Answer {
  text: string;
  thinking: string;
  /** Of the thinking; Anthropic's dialect wants it back. */
  signature: string;
  tools: ToolCall[];
  stop: string | null;
  usage: Usage | null;
  /** What the stream itself complained of. */
  error: string | null;
}

export type Turn =
  | { role: "user"; text: string; results: { id: string; name: string; text: string }[] }
  | { role: "assistant"; answer: Answer };

export interface Options {
  model: string;
  system: string;
  max_tokens: number | null;
  temperature: number | null;
  thinking: number | null;
  stream: boolean;
  /** JSON: a list of `{name, description, parameters}`. */
  tools: string;
}

export const emptyAnswer = (): Answer => ({ text: "", thinking: "", signature: "", tools: [], stop: null, usage: null, error: null });

export const EXAMPLE_TOOLS = JSON.stringify(
  [
    {
      name: "get_time",
      description: "Tells the time in a time zone.",
      parameters: { type: "object", properties: { timezone: { type: "string", description: "Such as Europe/Berlin" } }, required: ["timezone"] },
    },
  ],
  null,
  2,
);

interface Tool {
  name: string;
  description?: string;
  parameters: unknown;
}

type Json = Record<string, unknown>;

const object = (value: unknown): Json => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

function parsed(json: string): unknown {
  try {
    return JSON.parse(json || "{}");
  } catch {
    return {};
  }
}

/** The tools of the editor; both dialects' forms are read. Null where the text is no such list. */
export function readTools(json: string): Tool[] | null {
  if (json.trim() === "") return [];
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  if (!Array.isArray(value)) return null;
  const tools: Tool[] = [];
  for (const entry of value) {
    const outer = object(entry);
    const tool = outer["function"] === undefined ? outer : object(outer["function"]);
    const name = text(tool["name"]);
    if (name === "") return null;
    const description = text(tool["description"]);
    tools.push({
      name,
      ...(description === "" ? {} : { description }),
      parameters: tool["parameters"] ?? tool["input_schema"] ?? { type: "object", properties: {} },
    });
  }
  return tools;
}

/** The request as a client of that dialect would send it. */
export function request(dialect: Dialect, turns: readonly Turn[], options: Options): Json {
  const tools = readTools(options.tools) ?? [];
  return dialect === "openai" ? openai(turns, options, tools) : anthropic(turns, options, tools);
}

function openai(turns: readonly Turn[], options: Options, tools: Tool[]): Json {
  const messages: Json[] = options.system.trim() === "" ? [] : [{ role: "system", content: options.system }];
  for (const turn of turns) {
    if (turn.role === "user") {
      for (const { id, text: content } of turn.results) messages.push({ role: "tool", tool_call_id: id, content });
      if (turn.text !== "" || turn.results.length === 0) messages.push({ role: "user", content: turn.text });
    } else {
      const { text: content, tools: calls } = turn.answer;
      messages.push({
        role: "assistant",
        content: content === "" ? null : content,
        ...(calls.length > 0 && {
          tool_calls: calls.map(({ id, name, arguments: args }) => ({ id, type: "function", function: { name, arguments: args || "{}" } })),
        }),
      });
    }
  }
  return {
    ...(options.model !== "" && { model: options.model }),
    messages,
    ...(options.max_tokens !== null && { max_tokens: options.max_tokens }),
    ...(options.temperature !== null && { temperature: options.temperature }),
    ...(options.thinking !== null && { thinking_budget: options.thinking }),
    ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: "function", function: tool })) }),
    stream: options.stream,
    ...(options.stream && { stream_options: { include_usage: true } }),
  };
}

/** Anthropic's dialect demands a maximum. */
const DEFAULT_MAX = 8192;

function anthropic(turns: readonly Turn[], options: Options, tools: Tool[]): Json {
  const messages: Json[] = turns.map((turn) => {
    if (turn.role === "user") {
      if (turn.results.length === 0) return { role: "user", content: turn.text };
      const results: Json[] = turn.results.map(({ id, text: content }) => ({ type: "tool_result", tool_use_id: id, content }));
      return { role: "user", content: turn.text === "" ? results : [...results, { type: "text", text: turn.text }] };
    }
    const { text: said, thinking, signature, tools: calls } = turn.answer;
    const blocks: Json[] = [];
    if (signature !== "") blocks.push({ type: "thinking", thinking, signature });
    if (said !== "") blocks.push({ type: "text", text: said });
    for (const { id, name, arguments: args } of calls) blocks.push({ type: "tool_use", id, name, input: parsed(args) });
    return { role: "assistant", content: blocks };
  });
  return {
    ...(options.model !== "" && { model: options.model }),
    max_tokens: options.max_tokens ?? DEFAULT_MAX,
    ...(options.system.trim() !== "" && { system: options.system }),
    messages,
    ...(options.temperature !== null && { temperature: options.temperature }),
    ...(options.thinking !== null && { thinking: { type: "enabled", budget_tokens: options.thinking } }),
    ...(tools.length > 0 && { tools: tools.map(({ parameters, ...tool }) => ({ ...tool, input_schema: parameters })) }),
    stream: options.stream,
  };
}

/** What an error of either dialect says. */
export function complaintOf(body: unknown): string | null {
  const error = object(body)["error"];
  if (typeof error === "string") return error;
  const { type, code, message } = object(error);
  const said = text(message);
  if (said === "") return null;
  const kind = text(code) || text(type);
  return kind === "" ? said : `${kind}: ${said}`;
}

/** Which field of the request an error of the OpenAI dialect is about, and what it says of it. */
export function fieldOf(body: unknown): Record<string, string> {
  const { param, message } = object(object(body)["error"]);
  return text(param) === "" ? {} : { [text(param)]: text(message) };
}

/** Reads a whole answer. */
export function readWhole(dialect: Dialect, body: unknown): Answer {
  const answer = emptyAnswer();
  answer.error = complaintOf(body);
  const top = object(body);
  if (dialect === "openai") {
    const choice = object(list(top["choices"])[0]);
    openaiPiece(answer, object(choice["message"]));
    answer.stop = text(choice["finish_reason"]) || null;
    openaiUsage(answer, top["usage"]);
    return answer;
  }
  for (const entry of list(top["content"])) {
    const block = object(entry);
    answer.text += text(block["text"]);
    answer.thinking += text(block["thinking"]);
    answer.signature += text(block["signature"]);
    if (block["type"] === "tool_use") {
      answer.tools.push({ id: text(block["id"]), name: text(block["name"]), arguments: JSON.stringify(block["input"] ?? {}) });
    }
  }
  answer.stop = text(top["stop_reason"]) || null;
  anthropicUsage(answer, top["usage"]);
  return answer;
}

/** Reads one event of a stream into the answer. True where it held something of the content. */
export function readEvent(dialect: Dialect, answer: Answer, data: string): boolean {
  if (data === "[DONE]") return false;
  let event: Json;
  try {
    event = object(JSON.parse(data));
  } catch {
    answer.error = data;
    return false;
  }
  const wrong = complaintOf(event);
  if (wrong !== null) {
    answer.error = wrong;
    return false;
  }
  return dialect === "openai" ? openaiEvent(answer, event) : anthropicEvent(answer, event);
}

function openaiEvent(answer: Answer, event: Json): boolean {
  openaiUsage(answer, event["usage"]);
  const choice = object(list(event["choices"])[0]);
  answer.stop = text(choice["finish_reason"]) || answer.stop;
  return openaiPiece(answer, object(choice["delta"]));
}

function openaiPiece(answer: Answer, piece: Json): boolean {
  const said = text(piece["content"]);
  const thought = text(piece["reasoning_content"]);
  answer.text += said;
  answer.thinking += thought;
  const calls = list(piece["tool_calls"]).map(object);
  calls.forEach((call, i) => {
    const at = number(call["index"]) ?? i;
    const what = object(call["function"]);
    const tool = (answer.tools[at] ??= { id: "", name: "", arguments: "" });
    tool.id ||= text(call["id"]);
    tool.name ||= text(what["name"]);
    tool.arguments += text(what["arguments"]);
  });
  return said !== "" || thought !== "" || calls.length > 0;
}

function openaiUsage(answer: Answer, usage: unknown): void {
  const sums = object(usage);
  if (Object.keys(sums).length === 0) return;
  answer.usage = {
    input: number(sums["prompt_tokens"]),
    output: number(sums["completion_tokens"]),
    cached: number(object(sums["prompt_tokens_details"])["cached_tokens"]),
  };
}

/** Which tool call a block of Anthropic's stream is; the others have none. */
const BLOCKS = new WeakMap<Answer, Map<number, ToolCall>>();

function anthropicEvent(answer: Answer, event: Json): boolean {
  const index = number(event["index"]) ?? 0;
  const blocks = BLOCKS.get(answer) ?? new Map<number, ToolCall>();
  BLOCKS.set(answer, blocks);
  switch (event["type"]) {
    case "message_start":
      anthropicUsage(answer, object(event["message"])["usage"]);
      return false;
    case "content_block_start": {
      const block = object(event["content_block"]);
      answer.text += text(block["text"]);
      answer.thinking += text(block["thinking"]);
      if (block["type"] !== "tool_use") return text(block["text"]) !== "" || text(block["thinking"]) !== "";
      answer.tools.push({ id: text(block["id"]), name: text(block["name"]), arguments: "" });
      const tool = answer.tools.at(-1);
      if (tool) blocks.set(index, tool);
      return true;
    }
    case "content_block_delta": {
      const delta = object(event["delta"]);
      answer.text += text(delta["text"]);
      answer.thinking += text(delta["thinking"]);
      answer.signature += text(delta["signature"]);
      const tool = blocks.get(index);
      if (tool) tool.arguments += text(delta["partial_json"]);
      return true;
    }
    case "message_delta":
      answer.stop = text(object(event["delta"])["stop_reason"]) || answer.stop;
      anthropicUsage(answer, event["usage"]);
      return false;
    default:
      return false;
  }
}

function anthropicUsage(answer: Answer, usage: unknown): void {
  const sums = object(usage);
  if (Object.keys(sums).length === 0) return;
  const before = answer.usage ?? { input: null, output: null, cached: null };
  answer.usage = {
    input: number(sums["input_tokens"]) ?? before.input,
    output: number(sums["output_tokens"]) ?? before.output,
    cached: number(sums["cache_read_input_tokens"]) ?? before.cached,
  };
}
