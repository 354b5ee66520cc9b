// The npm package `@anthropic-ai/sdk` against the running gateway: what an application does all day.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";

import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";

import { Anthropic, PDF, PNG, WEATHER, all, anthropicTool, rejection, start, until } from "./harness.mjs";

// The package warns of each use of a model that it holds to be old.
console.warn = () => {};

const SONNET = "claude-sonnet-4-5";
const THINKS = "claude-sonnet-4-5-thinking";
const user = (content) => ({ role: "user", content });
const result = (tool_use_id, content, more) => ({ type: "tool_result", tool_use_id, content, ...more });

let gw;
let client;

before(async () => {
  gw = await start();
  client = gw.anthropic();
});
after(() => gw?.stop());
beforeEach(async () => {
  await gw.sim.script({});
  await gw.sim.clear();
});

const create = (body, options) => client.messages.create({ model: SONNET, max_tokens: 1024, ...body }, options);
const stream = (body, options) => client.messages.stream({ model: SONNET, max_tokens: 1024, ...body }, options);

/** The inner request of the only generation so far. */
async function sent() {
  const calls = await gw.sim.generations();
  assert.equal(calls.length, 1);
  return calls[0].body.request;
}

describe("messages", () => {
  test("a system prompt, turns, an answer with usage", async () => {
    const answer = await create({
      system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
      messages: [user("Good morning."), { role: "assistant", content: "Hello." }, user([{ type: "text", text: "How are you?" }])],
    });
    assert.match(answer.id, /^msg_/);
    assert.equal(answer.type, "message");
    assert.equal(answer.role, "assistant");
    assert.equal(answer.model, SONNET);
    assert.deepEqual(answer.content, [{ type: "text", text: "You said: How are you?" }]);
    assert.equal(answer.stop_reason, "end_turn");
    assert.equal(answer.stop_sequence, null);
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
    const request = await sent();
    assert.deepEqual(
      request.contents.map((c) => [c.role, c.parts.map((p) => p.text).join("")]),
      [
        ["user", "Good morning."],
        ["model", "Hello."],
        ["user", "How are you?"],
      ],
    );
    assert.match(JSON.stringify(request.systemInstruction), /Be brief\./);
  });

  test("an answer's request id is where the SDK looks for it", async () => {
    const answer = await create({ messages: [user("Hi")] });
    assert.match(answer._request_id, /^req_/);
  });

  test("sampling parameters reach the upstream", async () => {
    await create({ messages: [user("Hi")], temperature: 0.3, top_k: 5, max_tokens: 77, stop_sequences: ["END"] });
    const { generationConfig } = await sent();
    assert.equal(generationConfig.temperature, 0.3);
    assert.equal(generationConfig.topK, 5);
    assert.equal(generationConfig.maxOutputTokens, 77);
    assert.deepEqual(generationConfig.stopSequences, ["END"]);
  });

  test("what is accepted without effect is named in a header", async () => {
    const { response } = await create({ messages: [user("Hi")], service_tier: "auto" }).withResponse();
    assert.match(response.headers.get("x-agp-dropped"), /service_tier/);
  });

  test("max_tokens is a stop reason, a stop sequence cuts", async () => {
    const long = await create({ messages: [user("x".repeat(400))], max_tokens: 5 });
    assert.equal(long.stop_reason, "max_tokens");
    assert.ok(long.usage.output_tokens <= 5);
    const cut = await create({ messages: [user("one two three")], stop_sequences: ["two"] });
    assert.equal(cut.content[0].text, "You said: one ");
    assert.equal(cut.stop_reason, "end_turn");
  });

  test("a filtered answer ends with refusal", async () => {
    await gw.sim.script({ text: "half", finish: "SAFETY" });
    assert.equal((await create({ messages: [user("Hi")] })).stop_reason, "refusal");
  });

  test("cached tokens are counted beside the others", async () => {
    const messages = [user("Count the tokens of this, please.")];
    const { usage: plain } = await create({ messages });
    await gw.sim.script({ cached_tokens: 6 });
    const { usage } = await create({ messages });
    assert.equal(usage.cache_read_input_tokens, 6);
    assert.equal(usage.input_tokens + 6, plain.input_tokens);
  });

  for (const model of ["gemini-2.5-flash", "gemini-3-flash", "claude-opus-4-5", "claude-haiku-4-5-20251001", "gpt-oss-120b-medium"]) {
    test(`${model} answers`, async () => {
      const answer = await create({ model, messages: [user("Hello")] });
      assert.equal(answer.model, model);
      assert.equal(answer.content.at(-1).text, "You said: Hello");
    });
  }

  test("an image model's picture is an image block", async () => {
    const { content } = await create({ model: "gemini-3-pro-image", messages: [user("Draw a dot")] });
    const picture = content.find((block) => block.type === "image");
    assert.equal(picture.source.media_type, "image/png");
    assert.match(picture.source.data, /^iVBOR/);
  });
});

describe("streaming", () => {
  test("async iteration: the events in their order, true usage", async () => {
    const events = await all(await create({ messages: [user("Grüße aus Köln 🌍, good morning")], stream: true }));
    const order = events.map((event) => event.type).filter((type, i, types) => type !== types[i - 1]);
    assert.deepEqual(order, [
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    const text = events.filter((event) => event.type === "content_block_delta").map((event) => event.delta.text);
    assert.ok(text.length > 1);
    assert.equal(text.join(""), "You said: Grüße aus Köln 🌍, good morning");
    const delta = events.at(-2);
    assert.equal(delta.delta.stop_reason, "end_turn");
    assert.ok(delta.usage.input_tokens > 0 && delta.usage.output_tokens > 0);
  });

  test("the .stream() helper gives the same message as a whole answer", async () => {
    const helper = stream({ messages: [user("Good morning")] });
    const deltas = [];
    helper.on("text", (delta) => deltas.push(delta));
    const final = await helper.finalMessage();
    assert.equal(deltas.join(""), "You said: Good morning");
    assert.equal(await helper.finalText(), "You said: Good morning");
    const whole = await create({ messages: [user("Good morning")] });
    for (const field of ["type", "role", "model", "content", "stop_reason", "stop_sequence"]) {
      assert.deepEqual(final[field], whole[field]);
    }
    assert.equal(final.usage.input_tokens, whole.usage.input_tokens);
    assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  });

  test("text that the upstream cuts inside characters arrives whole", async () => {
    await gw.sim.script({ text: "äöü€😀漢字".repeat(40), odd_borders: true, chunks: 30 });
    const final = await stream({ messages: [user("Hi")] }).finalMessage();
    assert.equal(final.content[0].text, "äöü€😀漢字".repeat(40));
  });

  test("a chunk is there when the upstream sent it", async () => {
    await gw.sim.script({ text: "one two three", chunks: 3, pause_until_released: true });
    let said = "";
    for await (const event of await create({ messages: [user("Hi")], stream: true })) {
      if (event.type !== "content_block_delta") continue;
      said += event.delta.text;
      // The upstream is silent until this: had the gateway held the piece back, the loop would hang here.
      await gw.sim.release();
    }
    assert.equal(said, "one two three");
  });

  test("max_tokens ends a stream as it ends an answer", async () => {
    const final = await stream({ messages: [user("x".repeat(400))], max_tokens: 5 }).finalMessage();
    assert.equal(final.stop_reason, "max_tokens");
  });
});

describe("tools", () => {
  test("a round trip", async () => {
    const messages = [user("Call get_weather for Oslo")];
    const tools = [anthropicTool("get_weather")];
    const first = await create({ messages, tools });
    assert.equal(first.stop_reason, "tool_use");
    const call = first.content.at(-1);
    assert.equal(call.type, "tool_use");
    assert.deepEqual(call.input, { city: "Oslo" });
    const second = await create({
      messages: [...messages, { role: "assistant", content: first.content }, user([result(call.id, "snow, -3 °C")])],
      tools,
    });
    assert.equal(second.stop_reason, "end_turn");
    assert.equal(second.content[0].text, "get_weather answered: snow, -3 °C");
  });

  test("parallel calls; results in another order, one an error, with text behind them", async () => {
    const tools = [anthropicTool("get_weather"), anthropicTool("get_time")];
    const messages = [user("Use get_weather and get_time for Rome")];
    const first = await create({ messages, tools });
    const calls = first.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(
      calls.map((call) => [call.name, call.input]),
      [
        ["get_weather", { city: "Rome" }],
        ["get_time", { city: "Rome" }],
      ],
    );
    assert.notEqual(calls[0].id, calls[1].id);
    const back = [result(calls[1].id, "no such city", { is_error: true }), result(calls[0].id, [{ type: "text", text: "sun" }]), { type: "text", text: "Well?" }];
    const second = await create({ messages: [...messages, { role: "assistant", content: first.content }, user(back)], tools });
    const { text } = second.content[0];
    assert.match(text, /get_weather answered: sun/);
    assert.match(text, /get_time answered: error: no such city/);
    assert.match(text, /You said: Well\?/);
  });

  test("streamed parallel calls have blocks of their own", async () => {
    await gw.sim.script({ spread_calls: true });
    const helper = stream({
      messages: [user("Use get_weather and get_time for Rome")],
      tools: [anthropicTool("get_weather"), anthropicTool("get_time")],
    });
    const blocks = [];
    helper.on("contentBlock", (block) => blocks.push(block));
    const final = await helper.finalMessage();
    assert.equal(final.stop_reason, "tool_use");
    assert.deepEqual(
      blocks.map((block) => [block.type, block.name, block.input]),
      [
        ["tool_use", "get_weather", { city: "Rome" }],
        ["tool_use", "get_time", { city: "Rome" }],
      ],
    );
    assert.equal(new Set(blocks.map((block) => block.id)).size, 2);
  });

  for (const streamed of [false, true]) {
    for (const model of [SONNET, THINKS, "claude-opus-4-5-thinking", "gemini-2.5-flash", "gemini-3-pro-high", "gpt-oss-120b-medium"]) {
      test(`toolRunner${streamed ? " streamed" : ""} with ${model} runs to an answer`, async () => {
        const asked = [];
        const runnable = (name, run) => ({ ...anthropicTool(name), run: ({ city }) => (asked.push(city), run(city)), parse: (input) => input });
        const runner = client.beta.messages.toolRunner({
          model,
          max_tokens: 8000,
          stream: streamed,
          messages: [user("Use get_weather and get_time for Rome")],
          tools: [runnable("get_weather", (city) => `rain in ${city}`), runnable("get_time", (city) => `noon in ${city}`)],
        });
        const final = await runner.runUntilDone();
        assert.deepEqual(asked, ["Rome", "Rome"]);
        const { text } = final.content.at(-1);
        assert.match(text, /get_weather answered: rain in Rome/);
        assert.match(text, /get_time answered: noon in Rome/);
        for (const call of await gw.sim.generations()) assert.equal(call.status, 200);
      });
    }
  }

  test("a thread, which nobody would hold, is refused before anything is lost", async () => {
    const thread = client.beta.messages.thread({ model: SONNET, max_tokens: 100 });
    const error = await rejection(thread.send(user("Hi")));
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.equal(error.errorCode, "thread_unsupported_request");
    assert.match(error.message, /thread/);
    assert.deepEqual(await gw.sim.generations(), []);
    const whole = client.beta.messages.thread({ model: SONNET, max_tokens: 100, unsupportedRequestBehavior: "continue_unthreaded" });
    await whole.send(user("Hi"));
    await whole.send(user("And again"));
    assert.equal((await gw.sim.generations()).at(-1).body.request.contents.length, 3);
  });

  test("tool_choice in all its forms", async () => {
    const tools = [anthropicTool("get_weather"), anthropicTool("get_time")];
    const calls = async (tool_choice, text = "Hello") => {
      const { content } = await create({ messages: [user(text)], tools, tool_choice });
      return content.filter((block) => block.type === "tool_use").map((block) => block.name);
    };
    assert.deepEqual(await calls({ type: "none" }, "get_weather"), []);
    assert.deepEqual(await calls({ type: "auto" }), []);
    assert.deepEqual(await calls({ type: "auto" }, "get_time"), ["get_time"]);
    assert.deepEqual(await calls({ type: "any" }), ["get_weather"]);
    assert.deepEqual(await calls({ type: "tool", name: "get_time" }), ["get_time"]);
  });

  test("server tools are skipped", async () => {
    const tools = [{ type: "web_search_20250305", name: "web_search" }, anthropicTool("get_weather")];
    const { data, response } = await create({ messages: [user("get_weather for Rome")], tools }).withResponse();
    assert.equal(data.content.at(-1).name, "get_weather");
    assert.ok(!JSON.stringify(await sent()).includes("web_search"));
    assert.match(response.headers.get("x-agp-dropped"), /web_search/);
  });
});

describe("media", () => {
  const bytes = (base64) => Buffer.from(base64, "base64").length;

  test("an image", async () => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
    const answer = await create({ messages: [user([image, { type: "text", text: "What is this?" }])] });
    assert.equal(answer.content[0].text, `You sent image/png of ${bytes(PNG)} bytes\nYou said: What is this?`);
    assert.equal((await sent()).contents[0].parts[0].inlineData.data, PNG);
  });

  test("a PDF", async () => {
    const document = { type: "document", source: { type: "base64", media_type: "application/pdf", data: PDF }, title: "Notes" };
    const answer = await create({ messages: [user([document, { type: "text", text: "Sum it up." }])] });
    assert.match(answer.content[0].text, /You sent application\/pdf of \d+ bytes/);
    const { contents } = await sent();
    assert.ok(contents[0].parts.some((part) => part.inlineData?.mimeType === "application/pdf" && part.inlineData.data === PDF));
  });

  test("a document of plain text", async () => {
    const document = { type: "document", source: { type: "text", media_type: "text/plain", data: "the quick brown fox" } };
    const answer = await create({ messages: [user([document, { type: "text", text: "Sum it up." }])] });
    assert.match(answer.content[0].text, /the quick brown fox/);
  });

  test("a tool's result with a picture", async () => {
    const messages = [user("Call get_weather for Oslo")];
    const tools = [anthropicTool("get_weather")];
    const first = await create({ messages, tools });
    const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
    const back = result(first.content.at(-1).id, [{ type: "text", text: "the radar" }, picture]);
    const second = await create({ messages: [...messages, { role: "assistant", content: first.content }, user([back])], tools });
    assert.match(second.content[0].text, /the radar/);
    assert.ok(JSON.stringify(await gw.sim.generations()).includes(PNG));
  });
});

describe("thinking", () => {
  const thinking = { type: "enabled", budget_tokens: 2000 };

  test("asked for: a signed block before the text", async () => {
    const answer = await create({ messages: [user("Think about cheese")], max_tokens: 8000, thinking });
    assert.deepEqual(
      answer.content.map((block) => block.type),
      ["thinking", "text"],
    );
    assert.match(answer.content[0].thinking, /^The user says: Think about cheese/);
    assert.match(answer.content[0].signature, /^E/);
    assert.equal((await sent()).generationConfig.thinkingConfig.thinkingBudget, 2000);
  });

  test("streamed: thinking, its signature, then the text", async () => {
    const helper = stream({ messages: [user("Think")], max_tokens: 8000, thinking });
    let thoughts = "";
    let signature;
    helper.on("thinking", (delta) => (thoughts += delta));
    helper.on("signature", (value) => (signature = value));
    const final = await helper.finalMessage();
    assert.equal(final.content[0].thinking, thoughts);
    assert.equal(final.content[0].signature, signature);
    assert.match(signature, /^E/);
    assert.equal(final.content[1].text, "You said: Think");
  });

  test("of the model's habit, and turned off", async () => {
    const on = await create({ model: THINKS, messages: [user("Hi")], max_tokens: 8000 });
    assert.equal(on.content[0].type, "thinking");
    const off = await create({ model: THINKS, messages: [user("Hi")], max_tokens: 8000, thinking: { type: "disabled" } });
    assert.deepEqual(
      off.content.map((block) => block.type),
      ["text"],
    );
  });

  /** A loop of two calls; `keep` says what of each answer a client gives back. */
  async function loop(model, keep, streamed) {
    const tools = [anthropicTool("get_weather"), anthropicTool("get_time")];
    const messages = [user("Use get_weather, later get_time, for Rome")];
    const answers = [];
    for (const name of ["get_weather", "get_time"]) {
      await gw.sim.script({ calls: [{ name, args: { city: "Rome" } }] });
      const body = { model, messages: [...messages], tools, max_tokens: 8000 };
      const answer = streamed ? await stream(body).finalMessage() : await create(body);
      answers.push(answer);
      messages.push({ role: "assistant", content: keep(answer.content) });
      messages.push(user([result(answer.content.at(-1).id, `result of ${name}`)]));
    }
    await gw.sim.script({});
    const last = await create({ model, messages, tools, max_tokens: 8000 });
    assert.equal(last.content.at(-1).text, "get_time answered: result of get_time");
    return { calls: await gw.sim.generations(), answers };
  }
  const thoughts = (call) => call.body.request.contents.flatMap((content) => content.parts).filter((part) => part.thought);

  for (const streamed of [false, true]) {
    const how = streamed ? "streamed" : "whole";

    test(`Claude's signed blocks come back as they were given, ${how}`, async () => {
      const { calls, answers } = await loop(THINKS, (content) => content, streamed);
      for (const answer of answers) assert.match(answer.content[0].signature, /^E/);
      // Nothing was refused, nothing switched off, and both blocks stand in the last request, in the upstream's own form.
      assert.deepEqual(calls.map((call) => call.status), [200, 200, 200]);
      for (const call of calls) assert.ok(call.body.request.generationConfig.thinkingConfig.thinkingBudget > 0);
      assert.deepEqual(
        thoughts(calls[2]).map((part) => part.text),
        answers.map((answer) => answer.content[0].thinking),
      );
      for (const part of thoughts(calls[2])) assert.match(part.thoughtSignature, /^R/);
    });

    test(`a client that drops thinking blocks keeps thinking all the same, ${how}`, async () => {
      const { calls } = await loop(THINKS, (content) => content.filter((block) => block.type !== "thinking"), streamed);
      assert.deepEqual(calls.map((call) => call.status), [200, 200, 200]);
      for (const call of calls) assert.ok(call.body.request.generationConfig.thinkingConfig.thinkingBudget > 0);
      assert.ok(thoughts(calls[2]).length > 0);
    });

    test(`a Gemini 3 loop keeps its signatures, ${how}`, async () => {
      const { calls } = await loop("gemini-3-pro-high", (content) => content, streamed);
      assert.deepEqual(calls.map((call) => call.status), [200, 200, 200]);
      const signed = calls[2].body.request.contents.flatMap((c) => c.parts).filter((part) => part.functionCall);
      assert.equal(signed.length, 2);
      for (const part of signed) assert.ok(part.thoughtSignature.length > 40, part.thoughtSignature);
    });
  }

  test("a signature that was altered is no error for the client", async () => {
    const spoil = (content) =>
      content.map((block) => (block.type === "thinking" ? { ...block, signature: `${block.signature.slice(0, -8)}AAAAAAA=` } : block));
    await loop(THINKS, spoil, false);
  });

  test("one model's thinking in the history of another is no error", async () => {
    const messages = [user("Think about cheese")];
    for (const model of [THINKS, "gemini-2.5-pro", "gemini-3-pro-high", "gpt-oss-120b-medium", THINKS]) {
      const answer = await create({ model, messages, max_tokens: 8000 });
      assert.equal(answer.stop_reason, "end_turn");
      messages.push({ role: "assistant", content: answer.content }, user("Go on"));
    }
    for (const call of await gw.sim.generations()) assert.equal(call.status, 200);
  });
});

describe("structured output", () => {
  const schema = {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer" }, kind: { type: "string", enum: ["sun", "rain"] } },
    required: ["city", "days", "kind"],
    additionalProperties: false,
  };

  test("messages.parse gives the value", async () => {
    const parsed = await client.messages.parse({
      model: "gemini-2.5-flash",
      max_tokens: 1024,
      messages: [user("Forecast for Oslo")],
      output_config: { format: jsonSchemaOutputFormat(schema) },
    });
    assert.deepEqual(parsed.parsed_output, { city: "Oslo", days: 1, kind: "sun" });
  });

  test("Claude is told the schema", async () => {
    await gw.sim.script({ text: '{"city":"Oslo","days":2,"kind":"rain"}' });
    const parsed = await client.messages.parse({
      model: SONNET,
      max_tokens: 1024,
      messages: [user("Forecast for Oslo")],
      output_config: { format: jsonSchemaOutputFormat(schema) },
    });
    assert.deepEqual(parsed.parsed_output, { city: "Oslo", days: 2, kind: "rain" });
    assert.match(JSON.stringify(await sent()), /days/);
  });
});

describe("counting and models", () => {
  test("count_tokens agrees with what an answer costs", async () => {
    const body = { model: SONNET, messages: [user("How many tokens has this sentence?")], system: "Be brief." };
    const { input_tokens } = await client.messages.countTokens(body);
    assert.equal((await create(body)).usage.input_tokens, input_tokens);
    const more = await client.messages.countTokens({ ...body, tools: [anthropicTool("get_weather")] });
    assert.ok(more.input_tokens > input_tokens);
    assert.equal((await gw.sim.requests()).filter((call) => call.method === "countTokens").length, 2);
  });

  test("count_tokens takes a history with thinking, calls and pictures", async () => {
    const { input_tokens } = await client.messages.countTokens({
      model: THINKS,
      messages: [
        user([{ type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }]),
        { role: "assistant", content: [{ type: "thinking", thinking: "hm", signature: "EAAAAAAA" }, { type: "tool_use", id: "toolu_1", name: "get_weather", input: {} }] },
        user([result("toolu_1", "sun")]),
      ],
      tools: [{ name: "get_weather", input_schema: WEATHER }],
    });
    assert.ok(input_tokens > 0);
  });

  test("list and retrieve", async () => {
    const models = await all(client.models.list());
    assert.equal(models.length, 13);
    const one = await client.models.retrieve("claude-opus-4-5-thinking");
    assert.deepEqual(
      one,
      models.find((model) => model.id === one.id),
    );
    assert.equal(one.type, "model");
    assert.equal(one.display_name, "Claude Opus 4.5 (thinking)");
    assert.equal(one.max_input_tokens, 200000);
    assert.ok(!Number.isNaN(Date.parse(one.created_at)));
  });
});

describe("abort", () => {
  test("a stream that is left cancels the upstream's call", async () => {
    await gw.sim.script({ text: "one two three", chunks: 3, pause_until_released: true });
    const before = (await gw.sim.state()).cancelled;
    const helper = stream({ messages: [user("Hi")] });
    helper.on("text", () => helper.abort());
    await assert.rejects(helper.finalMessage(), { name: "APIUserAbortError" });
    await until(async () => (await gw.sim.state()).cancelled === before + 1, "the upstream's call is cancelled");
  });

  test("a whole answer that is given up cancels it too", async () => {
    await gw.sim.script({ first_byte_delay: "1h" });
    const before = (await gw.sim.state()).cancelled;
    const controller = new AbortController();
    const answer = create({ messages: [user("Hi")] }, { signal: controller.signal });
    answer.catch(() => {});
    await until(() => gw.sim.running(), "the upstream is asked");
    controller.abort();
    await assert.rejects(answer, { name: "APIUserAbortError" });
    await until(async () => (await gw.sim.state()).cancelled === before + 1, "the upstream's call is cancelled");
  });
});
