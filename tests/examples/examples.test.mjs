// The request examples R1–R12 of the original's description, as they stand there: each `R*.sh` is the text of one, with
// BASE, KEY, J and PNG given from outside. What each answer must hold is asserted, with either key header, and a wrong,
// disabled and missing key gets 401 in the shape of the dialect.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";

import { DISABLED_KEY, GOOD_KEY, PNG, WRONG_KEY, start } from "../sdk/harness.mjs";

const BEARER = '-H "Authorization: Bearer $KEY"';
const X_API_KEY = '-H "x-api-key: $KEY"';
const MARK = "\n--- curl ";
const OWNED_BY = {
  "gemini-3-flash": "google",
  "gemini-3-pro-high": "google",
  "gemini-3-pro-low": "google",
  "gemini-2.5-pro": "google",
  "gemini-2.5-flash": "google",
  "gemini-2.5-flash-thinking": "google",
  "gemini-2.5-flash-lite": "google",
  "gemini-3-pro-image": "google",
  "claude-opus-4-5": "anthropic",
  "claude-opus-4-5-thinking": "anthropic",
  "claude-sonnet-4-5": "anthropic",
  "claude-sonnet-4-5-thinking": "anthropic",
  "gpt-oss-120b-medium": "openai",
};
const TIME = "time (Asia/Shanghai): 2025-12-12 23:59:59\\nUTC offset: +8:00";

let gw;
// curl's own way to add a setting to every command: the commands stay as they are written.
let curlHome;

before(async () => {
  gw = await start();
  curlHome = mkdtempSync(join(tmpdir(), "agp-curl-"));
  writeFileSync(join(curlHome, ".curlrc"), `write-out = "\\n--- curl %{http_code} %{content_type}\\n"\n`);
});
after(async () => {
  await gw?.stop();
  rmSync(curlHome, { recursive: true, force: true });
});
beforeEach(async () => {
  await gw.sim.script({});
  await gw.sim.clear();
});

const text = (name) => readFileSync(new URL(`${name}.sh`, import.meta.url), "utf8");

/** Runs a script; gives status, type and body of each curl in it. */
async function shell(script, key = GOOD_KEY) {
  const env = {
    PATH: process.env.PATH,
    CURL_HOME: curlHome,
    HOME: curlHome,
    BASE: gw.base,
    KEY: key,
    J: "Content-Type: application/json",
    PNG,
  };
  const { stdout } = await promisify(execFile)("bash", ["-c", script], { env, maxBuffer: 1 << 24 });
  const answers = [];
  let rest = stdout;
  while (rest) {
    const at = rest.indexOf(MARK);
    assert.notEqual(at, -1, stdout);
    const end = rest.indexOf("\n", at + 1);
    const [status, type] = rest.slice(at + MARK.length, end).split(" ");
    answers.push({ status: Number(status), type, body: rest.slice(0, at) });
    rest = rest.slice(end + 1);
  }
  assert.ok(answers.length > 0, "no curl ran");
  return answers;
}

const otherHeader = (script) => {
  const other = script.includes(BEARER) ? script.replaceAll(BEARER, X_API_KEY) : script.replaceAll(X_API_KEY, BEARER);
  assert.notEqual(other, script);
  return other;
};
const noHeader = (script) => script.replaceAll(BEARER, "").replaceAll(X_API_KEY, "");
const streamed = (script) => {
  assert.match(script, /"model":"[^"]+",/);
  return script.replace(/"model":"[^"]+",/, '$&"stream":true,').replace("curl -sS", "curl -sSN");
};

/** The answers of a script with either key header: 200 and JSON, or the type given. */
async function good(script, type = "application/json") {
  const both = [...(await shell(script)), ...(await shell(otherHeader(script)))];
  for (const answer of both) {
    assert.equal(answer.status, 200, answer.body);
    assert.equal(answer.type, type);
  }
  return type === "application/json" ? both.map((answer) => JSON.parse(answer.body)) : both;
}

/** What every example must do with a key that is not good. */
function keys(name, change = (script) => script) {
  test(`${name} with a wrong, disabled, missing key is 401 in the dialect's shape`, async () => {
    const script = change(text(name));
    const anthropic = script.includes("/v1/messages");
    const cases = [WRONG_KEY, DISABLED_KEY].flatMap((key) => [
      [script, key, "invalid_api_key"],
      [otherHeader(script), key, "invalid_api_key"],
    ]);
    cases.push([noHeader(script), GOOD_KEY, "missing_api_key"]);
    for (const [command, key, code] of cases) {
      for (const answer of await shell(command, key)) {
        assert.equal(answer.status, 401);
        assert.equal(answer.type, "application/json");
        const body = JSON.parse(answer.body);
        if (anthropic) {
          assert.equal(body.type, "error");
          assert.equal(body.error.type, "authentication_error");
        } else {
          assert.equal(body.error.type, "invalid_request_error");
          assert.equal(body.error.code, code);
        }
        assert.ok(body.error.message.length > 0);
        assert.ok(!answer.body.includes(key));
      }
    }
    assert.deepEqual(await gw.sim.generations(), []);
  });
}

/** Asserts an OpenAI answer that ends as `finish`; gives its message. */
function completion(body, finish) {
  assert.equal(body.object, "chat.completion");
  assert.equal(body.model, "gemini-2.5-flash");
  assert.equal(body.choices.length, 1);
  const [choice] = body.choices;
  assert.equal(choice.finish_reason, finish);
  assert.equal(choice.message.role, "assistant");
  const { prompt_tokens, completion_tokens, total_tokens } = body.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0);
  assert.equal(total_tokens, prompt_tokens + completion_tokens);
  return choice.message;
}

/** Asserts an Anthropic answer that ends in one of these ways; gives its blocks. */
function message(body, stops, model = "claude-opus-4-5-thinking") {
  assert.match(body.id, /^msg_/);
  assert.equal(body.type, "message");
  assert.equal(body.role, "assistant");
  assert.equal(body.model, model);
  assert.ok(stops.includes(body.stop_reason), body.stop_reason);
  assert.equal(body.stop_sequence, null);
  assert.ok(body.usage.input_tokens > 0);
  assert.ok(body.usage.output_tokens > 0 && body.usage.output_tokens <= 256);
  return body.content;
}

/** The one non-empty text block, with nothing but thinking before it. */
function textBlock(content) {
  const at = content.findIndex((block) => block.type === "text");
  assert.ok(at >= 0 && content[at].text.length > 0);
  assert.ok(content.slice(0, at).every((block) => block.type === "thinking"));
  return content[at].text;
}

const parts = (call) => call.body.request.contents.flatMap((content) => content.parts);

describe("OpenAI", () => {
  test("R1 chat", async () => {
    for (const body of await good(text("R1"))) {
      assert.ok(completion(body, "stop").content.length > 0);
    }
  });
  keys("R1");

  test("R2 tools, first call", async () => {
    await gw.sim.script({ answer: "tools" });
    const ids = new Set();
    for (const body of await good(text("R2"))) {
      const { tool_calls, content } = completion(body, "tool_calls");
      assert.ok(content === null || typeof content === "string");
      assert.equal(tool_calls.length, 1);
      const [call] = tool_calls;
      assert.equal(call.type, "function");
      assert.equal(call.function.name, "get_time");
      assert.equal(typeof call.function.arguments, "string");
      assert.ok("timezone" in JSON.parse(call.function.arguments));
      assert.ok(call.id.length > 0);
      ids.add(call.id);
    }
    assert.equal(ids.size, 2);
  });
  keys("R2");

  for (const [title, change] of [
    ["R3 tool result, second call", (script) => script],
    ["R3 without the name of the tool", (script) => script.replace('"name":"get_time","content":"time', '"content":"time')],
  ]) {
    test(title, async () => {
      const script = change(text("R3"));
      assert.equal(script === text("R3"), !title.includes("without"));
      for (const body of await good(script)) {
        assert.ok(completion(body, "stop").content.includes(TIME));
      }
      for (const call of await gw.sim.generations()) {
        const result = parts(call).find((part) => part.functionResponse).functionResponse;
        assert.equal(result.name, "get_time");
        assert.equal(result.response.output, TIME);
      }
    });
  }
  keys("R3");

  test("R7 model list", async () => {
    for (const body of await good(text("R7"))) {
      assert.equal(body.object, "list");
      for (const model of body.data) {
        assert.equal(model.object, "model");
        assert.ok(Number.isInteger(model.created));
      }
      assert.deepEqual(Object.fromEntries(body.data.map((m) => [m.id, m.owned_by])), OWNED_BY);
    }
  });
  keys("R7");

  test("R8, R9 image: data URL, then bare base64", async () => {
    const answers = await good(text("R8-R9"));
    assert.equal(answers.length, 4);
    for (const body of answers) {
      assert.ok(completion(body, "stop").content.length > 0);
    }
    const calls = await gw.sim.generations();
    assert.equal(calls.length, 4);
    for (const call of calls) {
      assert.deepEqual(parts(call), [
        { text: "Which colour is this?" },
        { inlineData: { mimeType: "image/png", data: PNG } },
      ]);
    }
  });
  keys("R8-R9");

  /** The chunks of a streamed answer, which must end with [DONE]. */
  function chunks({ body }) {
    const lines = body.split("\n").filter((line) => line.startsWith("data: "));
    assert.equal(lines.pop(), "data: [DONE]");
    const read = lines.map((line) => JSON.parse(line.slice(6)));
    assert.equal(new Set(read.map((chunk) => chunk.id)).size, 1);
    for (const chunk of read) {
      assert.equal(chunk.object, "chat.completion.chunk");
      assert.equal(chunk.model, "gemini-2.5-flash");
    }
    const finishes = read.map((chunk) => chunk.choices[0]?.finish_reason ?? null);
    assert.ok(finishes.slice(0, -1).every((finish) => finish === null));
    return { deltas: read.map((chunk) => chunk.choices[0].delta), finish: finishes.at(-1) };
  }

  test("R11 R1 streamed", async () => {
    for (const answer of await good(streamed(text("R1")), "text/event-stream")) {
      const { deltas, finish } = chunks(answer);
      assert.equal(finish, "stop");
      assert.equal(deltas[0].role, "assistant");
      assert.equal(deltas.map((delta) => delta.content ?? "").join(""), "You said: Say good morning.");
    }
  });
  keys("R1", streamed);

  test("R11 R2 streamed", async () => {
    await gw.sim.script({ calls: ["get_time", "get_time"] });
    for (const answer of await good(streamed(text("R2")), "text/event-stream")) {
      const { deltas, finish } = chunks(answer);
      assert.equal(finish, "tool_calls");
      const calls = [];
      for (const piece of deltas.flatMap((delta) => delta.tool_calls ?? [])) {
        assert.ok(piece.index === calls.length - 1 || piece.index === calls.length);
        calls[piece.index] ??= { id: piece.id, name: piece.function.name, arguments: "" };
        calls[piece.index].arguments += piece.function.arguments ?? "";
      }
      assert.equal(calls.length, 2);
      assert.equal(new Set(calls.map((call) => call.id)).size, 2);
      for (const call of calls) {
        assert.equal(call.name, "get_time");
        assert.ok("timezone" in JSON.parse(call.arguments));
      }
    }
  });
  keys("R2", streamed);
});

describe("Anthropic", () => {
  const ENDS = ["end_turn", "max_tokens"];

  test("R4 message", async () => {
    for (const body of await good(text("R4"))) {
      assert.ok(textBlock(message(body, ENDS)).length > 0);
    }
    for (const call of await gw.sim.generations()) {
      assert.equal(call.body.request.generationConfig.maxOutputTokens, 256);
    }
  });
  test("R4 stops at the client's small maximum", async () => {
    await gw.sim.script({ answer_bytes: 8000 });
    for (const body of await good(text("R4"))) {
      message(body, ["max_tokens"]);
    }
  });
  keys("R4");

  test("R5 tools, first call", async () => {
    await gw.sim.script({ answer: "tools" });
    for (const body of await good(text("R5"))) {
      const call = message(body, ["tool_use"]).find((block) => block.type === "tool_use");
      assert.ok(call.id.length > 0);
      assert.equal(call.name, "get_time");
      assert.equal(typeof call.input, "object");
      assert.ok("timezone" in call.input);
    }
  });
  keys("R5");

  test("R6 tool result, second call", async () => {
    for (const body of await good(text("R6"))) {
      assert.ok(textBlock(message(body, ENDS)).includes(TIME));
    }
    for (const call of await gw.sim.generations()) {
      const result = parts(call).find((part) => part.functionResponse).functionResponse;
      assert.equal(result.response.output, TIME);
    }
  });
  keys("R6");

  test("R10 image", async () => {
    for (const body of await good(text("R10"))) {
      assert.ok(textBlock(message(body, ENDS, "claude-sonnet-4-5")).length > 0);
    }
    const calls = await gw.sim.generations();
    assert.equal(calls.length, 2);
    for (const call of calls) {
      assert.deepEqual(parts(call), [
        { inlineData: { mimeType: "image/png", data: PNG } },
        { text: "Which colour is this?" },
      ]);
    }
  });
  keys("R10");

  /** The events of a streamed answer in their order; pings are left out. */
  function events({ body }) {
    const read = body
      .trim()
      .split("\n\n")
      .map((event) => /^event: (.*)\ndata: (.*)$/.exec(event))
      .map(([, name, data]) => ({ name, ...JSON.parse(data) }));
    for (const event of read) assert.equal(event.name, event.type);
    const seen = read.filter((event) => event.name !== "ping");
    assert.equal(seen[0].type, "message_start");
    assert.equal(seen.at(-2).type, "message_delta");
    assert.equal(seen.at(-1).type, "message_stop");
    const blocks = [];
    let open = false;
    for (const event of seen.slice(1, -2)) {
      if (event.type === "content_block_start") {
        assert.ok(!open);
        open = true;
        assert.equal(event.index, blocks.length);
        blocks.push({ ...event.content_block, deltas: [] });
      } else {
        assert.ok(open);
        assert.equal(event.index, blocks.length - 1);
        if (event.type === "content_block_stop") open = false;
        else {
          assert.equal(event.type, "content_block_delta");
          blocks.at(-1).deltas.push(event.delta);
        }
      }
    }
    assert.ok(!open);
    const delta = seen.at(-2);
    assert.ok(delta.usage.output_tokens > 0 && delta.usage.output_tokens <= 256);
    assert.ok((delta.usage.input_tokens ?? seen[0].message.usage.input_tokens) > 0);
    return { start: seen[0].message, blocks, stop: delta.delta.stop_reason };
  }

  test("R12 R4 streamed", async () => {
    for (const answer of await good(streamed(text("R4")), "text/event-stream")) {
      const { start, blocks, stop } = events(answer);
      assert.match(start.id, /^msg_/);
      assert.equal(start.model, "claude-opus-4-5-thinking");
      assert.ok(ENDS.includes(stop));
      const said = blocks.find((block) => block.type === "text");
      assert.equal(said.deltas.map((delta) => delta.text).join(""), "You said: Hello");
    }
  });
  keys("R4", streamed);

  test("R12 R5 streamed", async () => {
    await gw.sim.script({ answer: "tools" });
    for (const answer of await good(streamed(text("R5")), "text/event-stream")) {
      const { blocks, stop } = events(answer);
      assert.equal(stop, "tool_use");
      const call = blocks.find((block) => block.type === "tool_use");
      assert.equal(call.name, "get_time");
      assert.ok("timezone" in JSON.parse(call.deltas.map((delta) => delta.partial_json).join("")));
    }
  });
  keys("R5", streamed);
});
