// The npm package `openai` against the running gateway: what an application does all day.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";

import { PDF, PNG, all, openaiTool, start, until } from "./harness.mjs";

const FLASH = "gemini-2.5-flash";
const user = (content) => ({ role: "user", content });

let gw;
let client;

before(async () => {
  gw = await start();
  client = gw.openai();
});
after(() => gw?.stop());
beforeEach(async () => {
  await gw.sim.script({});
  await gw.sim.clear();
});

const create = (body, options) => client.chat.completions.create({ model: FLASH, ...body }, options);

/** The inner request of the only generation so far. */
async function sent() {
  const calls = await gw.sim.generations();
  assert.equal(calls.length, 1);
  return calls[0].body.request;
}

describe("chat", () => {
  test("system, developer and user prompts, an answer with usage", async () => {
    const answer = await create({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "developer", content: [{ type: "text", text: "Be kind." }] },
        user("Good morning."),
        { role: "assistant", content: "Hello." },
        user([{ type: "text", text: "How are you?" }]),
      ],
    });
    assert.match(answer.id, /^chatcmpl-/);
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.model, FLASH);
    assert.equal(answer.choices[0].message.content, "You said: How are you?");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.match(answer._request_id, /^[0-9A-Z]{26}$/i);
    const request = await sent();
    assert.deepEqual(
      request.contents.map((c) => [c.role, c.parts.map((p) => p.text).join("")]),
      [
        ["user", "Good morning."],
        ["model", "Hello."],
        ["user", "How are you?"],
      ],
    );
    assert.match(JSON.stringify(request.systemInstruction), /Be brief\..*Be kind\./);
  });

  test("sampling parameters and an alias reach the upstream", async () => {
    const answer = await create({
      model: "gemini-flash",
      messages: [user("Hi")],
      temperature: 0.3,
      top_p: 0.9,
      seed: 7,
      presence_penalty: 0.5,
      frequency_penalty: -0.5,
      max_completion_tokens: 99,
    });
    assert.equal(answer.model, "gemini-flash");
    const { generationConfig } = await sent();
    assert.equal(generationConfig.temperature, 0.3);
    assert.equal(generationConfig.topP, 0.9);
    assert.equal(generationConfig.seed, 7);
    assert.equal(generationConfig.presencePenalty, 0.5);
    assert.equal(generationConfig.frequencyPenalty, -0.5);
    assert.equal(generationConfig.maxOutputTokens, 99);
  });

  test("what is accepted without effect is named in a header", async () => {
    const { response } = await create({ messages: [user("Hi")], logit_bias: { 1: 2 }, metadata: { a: "b" } }).withResponse();
    const dropped = response.headers.get("x-agp-dropped");
    assert.match(dropped, /logit_bias/);
    assert.match(dropped, /metadata/);
  });

  test("max_tokens ends with length, a stop sequence with stop", async () => {
    const long = await create({ messages: [user("x".repeat(400))], max_tokens: 5 });
    assert.equal(long.choices[0].finish_reason, "length");
    assert.ok(long.usage.completion_tokens <= 5);
    const stopped = await create({ messages: [user("one two three")], stop: ["two", "never"] });
    assert.equal(stopped.choices[0].finish_reason, "stop");
    assert.equal(stopped.choices[0].message.content, "You said: one ");
  });

  test("a filtered answer ends with content_filter", async () => {
    await gw.sim.script({ text: "half", finish: "SAFETY" });
    const answer = await create({ messages: [user("Hi")] });
    assert.equal(answer.choices[0].finish_reason, "content_filter");
  });

  test("cached and reasoning tokens are counted", async () => {
    await gw.sim.script({ cached_tokens: 6, thoughts: "I think, therefore I answer." });
    const { usage } = await create({ messages: [user("Count the tokens of this, please.")] });
    assert.equal(usage.prompt_tokens_details.cached_tokens, 6);
    assert.ok(usage.prompt_tokens >= 6);
    assert.ok(usage.completion_tokens_details.reasoning_tokens > 0);
    assert.ok(usage.completion_tokens > usage.completion_tokens_details.reasoning_tokens);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  });

  for (const model of ["gemini-3-pro-high", "claude-sonnet-4-5", "claude-opus-4-5", "gpt-oss-120b-medium"]) {
    test(`${model} answers`, async () => {
      const answer = await create({ model, messages: [user("Hello")] });
      assert.equal(answer.model, model);
      assert.equal(answer.choices[0].message.content, "You said: Hello");
    });
  }

  test("an image model's picture is a Markdown data URL", async () => {
    const answer = await create({ model: "gemini-3-pro-image", messages: [user("Draw a dot")] });
    assert.match(answer.choices[0].message.content, /!\[image\]\(data:image\/png;base64,iVBOR[^)]+\)/);
  });
});

describe("streaming", () => {
  test("async iteration: deltas, one finish, usage where asked for", async () => {
    const stream = await create({ messages: [user("Grüße aus Köln 🌍, good morning")], stream: true, stream_options: { include_usage: true } });
    const chunks = await all(stream);
    assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
    assert.equal(
      chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""),
      "You said: Grüße aus Köln 🌍, good morning",
    );
    const finishes = chunks.flatMap((c) => c.choices.map((choice) => choice.finish_reason)).filter(Boolean);
    assert.deepEqual(finishes, ["stop"]);
    const usage = chunks.at(-1);
    assert.deepEqual(usage.choices, []);
    assert.equal(usage.usage.total_tokens, usage.usage.prompt_tokens + usage.usage.completion_tokens);
    assert.ok(chunks.slice(0, -1).every((c) => !c.usage));
    const plain = await all(await create({ messages: [user("Hi")], stream: true }));
    assert.ok(plain.every((c) => !c.usage));
  });

  test("text that the upstream cuts inside characters arrives whole", async () => {
    await gw.sim.script({ text: "äöü€😀漢字".repeat(40), odd_borders: true, chunks: 30 });
    const chunks = await all(await create({ messages: [user("Hi")], stream: true }));
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), "äöü€😀漢字".repeat(40));
    for (const chunk of chunks) assert.ok(!JSON.stringify(chunk).includes("\ufffd"));
  });

  test("a chunk is there when the upstream sent it", async () => {
    await gw.sim.script({ text: "one two three", chunks: 3, pause_until_released: true });
    const stream = await create({ messages: [user("Hi")], stream: true });
    let said = "";
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content;
      if (!piece) continue;
      said += piece;
      // The upstream is silent until this: had the gateway held the piece back, the loop would hang here.
      await gw.sim.release();
    }
    assert.equal(said, "one two three");
  });

  test("the .stream() helper and its events", async () => {
    const stream = client.chat.completions.stream({ model: FLASH, messages: [user("Good morning")] });
    const deltas = [];
    stream.on("content", (delta) => deltas.push(delta));
    const final = await stream.finalChatCompletion();
    assert.equal(deltas.join(""), "You said: Good morning");
    assert.equal(await stream.finalContent(), "You said: Good morning");
    assert.equal(final.choices[0].finish_reason, "stop");
    assert.equal((await stream.finalMessage()).role, "assistant");
  });

  test("max_tokens ends a stream with length", async () => {
    const stream = client.chat.completions.stream({ model: FLASH, messages: [user("x".repeat(400))], max_tokens: 5 });
    assert.equal((await stream.finalChatCompletion()).choices[0].finish_reason, "length");
  });
});

describe("tools", () => {
  test("a round trip", async () => {
    const messages = [user("Call get_weather for Oslo")];
    const tools = [openaiTool("get_weather")];
    const first = await create({ messages, tools });
    assert.equal(first.choices[0].finish_reason, "tool_calls");
    const { message } = first.choices[0];
    assert.equal(message.content, null);
    const [call] = message.tool_calls;
    assert.equal(call.type, "function");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
    const second = await create({
      messages: [...messages, message, { role: "tool", tool_call_id: call.id, content: "snow, -3 °C" }],
      tools,
    });
    assert.equal(second.choices[0].finish_reason, "stop");
    assert.equal(second.choices[0].message.content, "get_weather answered: snow, -3 °C");
  });

  test("parallel calls have ids of their own, results find their calls in any order", async () => {
    const tools = [openaiTool("get_weather"), openaiTool("get_time")];
    const messages = [user("Use get_weather and get_time for Rome")];
    const first = await create({ messages, tools });
    const { message } = first.choices[0];
    assert.deepEqual(
      message.tool_calls.map((call) => call.function.name),
      ["get_weather", "get_time"],
    );
    const [weather, time] = message.tool_calls;
    assert.notEqual(weather.id, time.id);
    const second = await create({
      messages: [
        ...messages,
        message,
        { role: "tool", tool_call_id: time.id, content: "noon" },
        { role: "tool", tool_call_id: weather.id, content: "sun" },
      ],
      tools,
    });
    const { content } = second.choices[0].message;
    assert.match(content, /get_weather answered: sun/);
    assert.match(content, /get_time answered: noon/);
  });

  test("streamed parallel calls keep their indexes", async () => {
    await gw.sim.script({ spread_calls: true });
    const stream = client.chat.completions.stream({
      model: FLASH,
      messages: [user("Use get_weather and get_time for Rome")],
      tools: [openaiTool("get_weather"), openaiTool("get_time")],
    });
    const done = [];
    stream.on("tool_calls.function.arguments.done", (event) => done.push([event.index, event.name, event.arguments]));
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(done, [
      [0, "get_weather", '{"city":"Rome"}'],
      [1, "get_time", '{"city":"Rome"}'],
    ]);
    const calls = final.choices[0].message.tool_calls;
    assert.equal(new Set(calls.map((call) => call.id)).size, 2);
  });

  test("calls without ids of the upstream get some", async () => {
    await gw.sim.script({ call_ids: false, calls: ["get_weather", "get_weather"] });
    const { choices } = await create({ messages: [user("Weather?")], tools: [openaiTool("get_weather")] });
    const ids = choices[0].message.tool_calls.map((call) => call.id);
    assert.ok(ids.every((id) => id.length > 0));
    assert.notEqual(ids[0], ids[1]);
  });

  for (const stream of [false, true]) {
    for (const model of [FLASH, "gemini-3-pro-high", "claude-sonnet-4-5-thinking", "gpt-oss-120b-medium"]) {
      test(`runTools${stream ? " streamed" : ""} with ${model} runs to an answer`, async () => {
        const asked = [];
        const runner = client.chat.completions.runTools({
          model,
          stream,
          messages: [user("Use get_weather and get_time for Rome")],
          tools: [
            { type: "function", function: { name: "get_weather", description: "w", parameters: openaiTool("x").function.parameters, parse: JSON.parse, function: ({ city }) => (asked.push(city), `rain in ${city}`) } },
            { type: "function", function: { name: "get_time", description: "t", parameters: openaiTool("x").function.parameters, parse: JSON.parse, function: ({ city }) => (asked.push(city), `noon in ${city}`) } },
          ],
        });
        const content = await runner.finalContent();
        assert.deepEqual(asked, ["Rome", "Rome"]);
        assert.match(content, /get_weather answered: rain in Rome/);
        assert.match(content, /get_time answered: noon in Rome/);
      });
    }
  }

  test("tool_choice in all its forms", async () => {
    const tools = [openaiTool("get_weather"), openaiTool("get_time")];
    const named = (name) => ({ type: "function", function: { name } });
    const calls = async (tool_choice, text = "Hello") => {
      const { choices } = await create({ messages: [user(text)], tools, tool_choice });
      return (choices[0].message.tool_calls ?? []).map((call) => call.function.name);
    };
    assert.deepEqual(await calls("none", "get_weather"), []);
    assert.deepEqual(await calls("auto"), []);
    assert.deepEqual(await calls("auto", "get_time"), ["get_time"]);
    assert.deepEqual(await calls("required"), ["get_weather"]);
    assert.deepEqual(await calls(named("get_time")), ["get_time"]);
    const allowed = { mode: "required", tools: [named("get_time")] };
    assert.deepEqual(await calls({ type: "allowed_tools", allowed_tools: allowed }), ["get_time"]);
  });

  test("a custom tool takes and gives text", async () => {
    const tools = [{ type: "custom", custom: { name: "run_code", description: "runs code" } }];
    await gw.sim.script({ answer: "tools" });
    const { choices } = await create({ messages: [user("go")], tools });
    const [call] = choices[0].message.tool_calls;
    assert.equal(call.type, "custom");
    assert.equal(call.custom.name, "run_code");
    assert.equal(typeof call.custom.input, "string");
  });

  test("a tool without parameters can be called", async () => {
    const { choices } = await create({
      messages: [user("please ping")],
      tools: [{ type: "function", function: { name: "ping" } }],
    });
    assert.equal(choices[0].message.tool_calls[0].function.arguments, "{}");
  });
});

describe("media", () => {
  test("an image as a data URL", async () => {
    const answer = await create({
      messages: [
        user([
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
        ]),
      ],
    });
    const bytes = Buffer.from(PNG, "base64").length;
    assert.equal(answer.choices[0].message.content, `You said: What is this?\nYou sent image/png of ${bytes} bytes`);
    const { contents } = await sent();
    assert.equal(contents[0].parts[1].inlineData.data, PNG);
  });

  for (const file of [
    { filename: "a.pdf", file_data: `data:application/pdf;base64,${PDF}` },
    { filename: "a.pdf", file_data: PDF },
  ]) {
    test(`a PDF as ${file.file_data.startsWith("data:") ? "a data URL" : "base64 with a name"}`, async () => {
      const answer = await create({ messages: [user([{ type: "file", file }, { type: "text", text: "Sum it up." }])] });
      assert.match(answer.choices[0].message.content, /You sent application\/pdf of \d+ bytes/);
      const { contents } = await sent();
      assert.deepEqual(contents[0].parts[0], { inlineData: { mimeType: "application/pdf", data: PDF } });
    });
  }

  test("a tool's result with a picture", async () => {
    const messages = [user("Call get_weather for Oslo")];
    const tools = [openaiTool("get_weather")];
    const { message } = (await create({ messages, tools })).choices[0];
    const content = [
      { type: "text", text: "the radar" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
    ];
    const second = await create({
      messages: [...messages, message, { role: "tool", tool_call_id: message.tool_calls[0].id, content }],
      tools,
    });
    assert.match(second.choices[0].message.content, /the radar/);
    assert.ok(JSON.stringify(await gw.sim.generations()).includes(PNG));
  });
});

describe("thinking", () => {
  test("reasoning_content stands beside the answer, and may come back", async () => {
    const messages = [user("Think about cheese")];
    const model = "gemini-2.5-flash-thinking";
    const { message } = (await create({ model, messages })).choices[0];
    assert.match(message.reasoning_content, /^The user says: Think about cheese/);
    assert.equal(message.content, "You said: Think about cheese");
    const next = await create({ model, messages: [...messages, message, user("And wine")] });
    assert.equal(next.choices[0].message.content, "You said: And wine");
  });

  test("it is streamed before the text", async () => {
    const chunks = await all(await create({ model: "gemini-2.5-pro", messages: [user("Think")], stream: true }));
    const kinds = chunks.flatMap(({ choices: [{ delta }] }) =>
      delta.reasoning_content ? ["thinking"] : delta.content ? ["text"] : [],
    );
    assert.ok(kinds.includes("thinking"));
    assert.ok(kinds.lastIndexOf("thinking") < kinds.indexOf("text"));
  });

  test("reasoning_effort asks for it and turns it off", async () => {
    const on = await create({ messages: [user("Hi")], reasoning_effort: "high" });
    assert.ok(on.choices[0].message.reasoning_content.length > 0);
    assert.ok(on.usage.completion_tokens_details.reasoning_tokens > 0);
    const off = await create({ model: "gemini-2.5-flash-thinking", messages: [user("Hi")], reasoning_effort: "none" });
    assert.equal(off.choices[0].message.reasoning_content, undefined);
    assert.equal(off.usage.completion_tokens_details.reasoning_tokens, 0);
  });

  /**
   * A loop of three steps whose history keeps only what OpenAI's own types have. The simulator refuses a running turn whose
   * first calls lack their signatures, so the gateway must have put them back.
   */
  async function loop(model, stream) {
    const tools = [openaiTool("get_weather"), openaiTool("get_time")];
    const messages = [user("Use get_weather, later get_time, for Rome")];
    for (const name of ["get_weather", "get_time"]) {
      await gw.sim.script({ calls: [{ name, args: { city: "Rome" } }] });
      const body = { model, messages, tools };
      const final = stream ? await client.chat.completions.stream(body).finalChatCompletion() : await create(body);
      const { role, content, tool_calls } = final.choices[0].message;
      const bare = tool_calls.map(({ id, type, function: { name, arguments: args } }) => ({ id, type, function: { name, arguments: args } }));
      messages.push({ role, content, tool_calls: bare });
      for (const call of bare) messages.push({ role: "tool", tool_call_id: call.id, content: `result of ${call.function.name}` });
    }
    await gw.sim.script({});
    const last = await create({ model, messages, tools });
    assert.equal(last.choices[0].message.content, "get_time answered: result of get_time");
    return gw.sim.generations();
  }

  for (const stream of [false, true]) {
    const how = stream ? "streamed" : "whole";
    test(`a Gemini 3 tool loop without extra_content keeps its signatures, ${how}`, async () => {
      const calls = await loop("gemini-3-pro-high", stream);
      // None was refused and tried again, and what went back is the real thing, not a sentinel.
      assert.deepEqual(calls.map((call) => call.status), [200, 200, 200]);
      const signed = calls.at(-1).body.request.contents.flatMap((c) => c.parts).filter((p) => p.functionCall);
      assert.equal(signed.length, 2);
      for (const part of signed) assert.ok(part.thoughtSignature.length > 40, part.thoughtSignature);
    });

    test(`a Claude tool loop keeps thinking, ${how}`, async () => {
      const calls = await loop("claude-sonnet-4-5-thinking", stream);
      assert.deepEqual(calls.map((call) => call.status), [200, 200, 200]);
      for (const call of calls) {
        assert.ok(call.body.request.generationConfig.thinkingConfig.thinkingBudget > 0);
      }
      const thoughts = calls.at(-1).body.request.contents.flatMap((c) => c.parts).filter((p) => p.thought);
      assert.ok(thoughts.length >= 1);
      for (const thought of thoughts) assert.ok(thought.thoughtSignature.length > 40);
    });
  }

  test("extra_content carries the signature of a Gemini 3 call, for clients that keep it", async () => {
    const tools = [openaiTool("get_weather")];
    const { message } = (await create({ model: "gemini-3-flash", messages: [user("get_weather for Rome")], tools })).choices[0];
    const signature = message.tool_calls[0].extra_content.google.thought_signature;
    assert.ok(signature.length > 40);
  });
});

describe("settings", () => {
  for (const [form, message] of [
    ["tags", { content: /^<think>\s*The user says: Hi[\s\S]*<\/think>\s*You said: Hi$/ }],
    ["both", { content: /^<think>\s*The user says: Hi[\s\S]*<\/think>\s*You said: Hi$/, reasoning_content: /^The user says: Hi/ }],
  ]) {
    test(`thinking_output = "${form}"`, async (t) => {
      const own = await start({ extra: `[openai]\nthinking_output = "${form}"` });
      t.after(() => own.stop());
      const body = { model: "gemini-2.5-pro", messages: [user("Hi")] };
      const whole = (await own.openai().chat.completions.create(body)).choices[0].message;
      const chunks = await all(await own.openai().chat.completions.create({ ...body, stream: true }));
      const streamed = {};
      for (const field of ["content", "reasoning_content"]) {
        streamed[field] = chunks.map((chunk) => chunk.choices[0].delta[field] ?? "").join("") || undefined;
      }
      for (const got of [whole, streamed]) {
        assert.match(got.content, message.content);
        if (message.reasoning_content) assert.match(got.reasoning_content, message.reasoning_content);
        else assert.equal(got.reasoning_content, undefined);
      }
    });
  }

  test("a request that names no model gets the default one; without one it is refused", async (t) => {
    const own = await start({ routing: 'default_model = "gemini-2.5-flash-lite"' });
    t.after(() => own.stop());
    const answer = await own.openai().chat.completions.create({ messages: [user("Hi")] });
    assert.equal(answer.model, "gemini-2.5-flash-lite");
    assert.equal((await own.sim.generations())[0].model, "gemini-2.5-flash-lite");
    await assert.rejects(create({ model: undefined, messages: [user("Hi")] }), { status: 400, param: "model" });
  });
});

describe("structured output", () => {
  const schema = {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer", minimum: 3 }, kind: { enum: ["sun", "rain"], type: "string" } },
    required: ["city", "days", "kind"],
    additionalProperties: false,
  };
  const response_format = { type: "json_schema", json_schema: { name: "forecast", strict: true, schema } };

  for (const model of [FLASH, "gemini-3-flash", "claude-sonnet-4-5", "gpt-oss-120b-medium"]) {
    test(`a JSON schema with ${model}`, async () => {
      const answer = await create({ model, messages: [user("Forecast for Oslo")], response_format });
      const request = await sent();
      // Where the upstream takes schemas the simulator obeys them; elsewhere the schema must at least be in the prompt.
      if (model.startsWith("gemini")) {
        assert.deepEqual(JSON.parse(answer.choices[0].message.content), { city: "Oslo", days: 3, kind: "sun" });
      } else {
        assert.match(JSON.stringify(request), /days/);
      }
    });
  }

  test("chat.completions.parse gives the value", async () => {
    const parsed = await client.chat.completions.parse({
      model: FLASH,
      messages: [user("Forecast for Oslo")],
      // What the package's own helpers make of a schema: a format that knows how to read its answer.
      response_format: Object.defineProperties(
        { ...response_format },
        { $brand: { value: "auto-parseable-response-format" }, $parseRaw: { value: JSON.parse } },
      ),
    });
    assert.deepEqual(parsed.choices[0].message.parsed, { city: "Oslo", days: 3, kind: "sun" });
  });

  test("json_object", async () => {
    const answer = await create({ messages: [user("Give JSON")], response_format: { type: "json_object" } });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), { echo: "Give JSON" });
    assert.equal((await sent()).generationConfig.responseMimeType, "application/json");
  });
});

describe("models", () => {
  test("list and retrieve", async () => {
    const models = await all(client.models.list());
    assert.equal(models.length, 13);
    const one = await client.models.retrieve("claude-opus-4-5-thinking");
    assert.deepEqual(
      one,
      models.find((model) => model.id === one.id),
    );
    assert.equal(one.object, "model");
    assert.equal(one.owned_by, "anthropic");
  });
});

describe("abort", () => {
  test("a stream that is left cancels the upstream's call", async () => {
    await gw.sim.script({ text: "one two three", chunks: 3, pause_until_released: true });
    const before = (await gw.sim.state()).cancelled;
    const controller = new AbortController();
    const stream = await create({ messages: [user("Hi")], stream: true }, { signal: controller.signal });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) controller.abort();
    }
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
    await assert.rejects(answer, { message: "Request was aborted." });
    await until(async () => (await gw.sim.state()).cancelled === before + 1, "the upstream's call is cancelled");
  });
});
