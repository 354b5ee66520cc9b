// What goes wrong, as the official packages tell it: the class of the error, its status, code or type, and its words. The
// packages' own retries are off but where they are what is tested, and the gateway makes one try, so that each fault is told.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Anthropic, DISABLED_KEY, GOOD_KEY, OpenAI, WRONG_KEY, all, rejection, start } from "./harness.mjs";

// The package warns of each use of a model that it holds to be old.
console.warn = () => {};

const MODEL = "gemini-2.5-flash";
const ONE_TRY = 'max_attempts = 1\nqueue_timeout = "100ms"';

/** Both dialects behind one set of names. */
const DIALECTS = {
  OpenAI: {
    classes: OpenAI,
    client: (gw, options) => gw.openai(options),
    keyless: (gw) => gw.openai({ defaultHeaders: { Authorization: null } }),
    otherHeader: (gw) => gw.openai({ defaultHeaders: { Authorization: null, "x-api-key": GOOD_KEY } }),
    ask: (client, body) => client.chat.completions.create({ model: MODEL, messages: [{ role: "user", content: "Hi" }], ...body }),
    helper: (client) => client.chat.completions.stream({ model: MODEL, messages: [{ role: "user", content: "Hi" }] }).finalChatCompletion(),
    text: (answer) => answer.choices[0].message.content,
    piece: (chunk) => chunk.choices?.[0]?.delta.content ?? "",
    /** What each fault is: class, status, type, code. */
    faults: {
      missing_key: ["AuthenticationError", 401, "invalid_request_error", "missing_api_key"],
      invalid_key: ["AuthenticationError", 401, "invalid_request_error", "invalid_api_key"],
      unknown_model: ["NotFoundError", 404, "invalid_request_error", "model_not_found"],
      bad_request: ["BadRequestError", 400, "invalid_request_error", null],
      too_long: ["BadRequestError", 400, "invalid_request_error", "context_length_exceeded"],
      too_large: ["APIError", 413, "invalid_request_error", "request_too_large"],
      rate_limited: ["RateLimitError", 429, "rate_limit_error", "rate_limit_exceeded"],
      quota_exhausted: ["RateLimitError", 429, "rate_limit_error", "insufficient_quota"],
      overloaded: ["InternalServerError", 503, "server_error", "overloaded"],
      unavailable: ["InternalServerError", 503, "server_error", "service_unavailable"],
      upstream: ["InternalServerError", 502, "server_error", "upstream_error"],
      timeout: ["InternalServerError", 504, "server_error", "timeout"],
    },
    told: (error) => ({ type: error.type, code: error.code, message: error.error.message }),
  },
  Anthropic: {
    classes: Anthropic,
    client: (gw, options) => gw.anthropic(options),
    keyless: (gw) => gw.anthropic({ apiKey: null, authToken: null, defaultHeaders: { "x-api-key": null, Authorization: null } }),
    otherHeader: (gw) => gw.anthropic({ apiKey: null, authToken: GOOD_KEY }),
    ask: (client, body) => client.messages.create({ model: MODEL, max_tokens: 1024, messages: [{ role: "user", content: "Hi" }], ...body }),
    helper: (client) => client.messages.stream({ model: MODEL, max_tokens: 1024, messages: [{ role: "user", content: "Hi" }] }).finalMessage(),
    text: (answer) => answer.content.map((block) => block.text).join(""),
    piece: (event) => event.delta?.text ?? "",
    faults: {
      missing_key: ["AuthenticationError", 401, "authentication_error"],
      invalid_key: ["AuthenticationError", 401, "authentication_error"],
      unknown_model: ["NotFoundError", 404, "not_found_error"],
      bad_request: ["BadRequestError", 400, "invalid_request_error"],
      too_long: ["BadRequestError", 400, "invalid_request_error"],
      too_large: ["APIError", 413, "request_too_large"],
      rate_limited: ["RateLimitError", 429, "rate_limit_error"],
      quota_exhausted: ["RateLimitError", 429, "rate_limit_error"],
      overloaded: ["InternalServerError", 529, "overloaded_error"],
      unavailable: ["InternalServerError", 503, "api_error"],
      upstream: ["InternalServerError", 502, "api_error"],
      timeout: ["InternalServerError", 504, "timeout_error"],
    },
    told: (error) => ({ type: error.type, code: undefined, message: error.error.error.message }),
  },
};

for (const [name, dialect] of Object.entries(DIALECTS)) {
  const { classes, ask, faults } = dialect;

  /** Asserts that an error is what this dialect makes of `fault`; gives the text that the gateway wrote. */
  function assertFault(error, fault, words) {
    const [type, status, kind, code] = faults[fault];
    assert.ok(error instanceof classes[type], `${error?.constructor?.name}: ${error?.message}`);
    assert.equal(error.status, status);
    const told = dialect.told(error);
    assert.equal(told.type, kind);
    assert.equal(told.code, code);
    assert.match(told.message, words);
    assert.equal(typeof error.requestID, "string");
    // Nothing of the accounts or the way to them is for clients.
    assert.doesNotMatch(JSON.stringify(error.error), /alice|example\.com|sim-project|127\.0\.0\.1|sim-refresh/);
    return told.message;
  }

  /** A gateway of one account, for one test. */
  async function fresh(t, options) {
    const gw = await start({ accounts: ["alice"], routing: ONE_TRY, ...options });
    t.after(() => gw.stop());
    return { gw, client: dialect.client(gw) };
  }

  describe(`${name}: the client's mistakes`, () => {
    let gw;
    let client;
    before(async () => {
      gw = await start({
        extra: `[keys.narrow]\nkey = "sk-sdk-tests-narrow-key-0123456789abcd"\nmodels = ["claude-*"]\n[keys.old]\nkey = "sk-sdk-tests-expired-key-0123456789abc"\nexpires = 2020-01-01`,
        server: 'max_body = "64KiB"',
      });
      client = dialect.client(gw);
    });
    after(() => gw?.stop());

    for (const stream of [false, true]) {
      const how = stream ? "streamed" : "whole";

      test(`bad keys, ${how}`, async () => {
        for (const apiKey of [WRONG_KEY, DISABLED_KEY, "sk-sdk-tests-expired-key-0123456789abc"]) {
          const error = await rejection(ask(dialect.client(gw, { apiKey }), { stream }));
          const message = assertFault(error, "invalid_key", /key/i);
          assert.ok(!message.includes(apiKey));
        }
      });

      test(`no key, ${how}`, async () => {
        const error = await rejection(ask(dialect.keyless(gw), { stream }));
        assertFault(error, "missing_key", /x-api-key/);
      });

      test(`an unknown model, ${how}`, async () => {
        const error = await rejection(ask(client, { model: "no-such-model", stream }));
        assertFault(error, "unknown_model", /no-such-model/);
      });

      test(`a model that the key may not use, ${how}`, async () => {
        const narrow = dialect.client(gw, { apiKey: "sk-sdk-tests-narrow-key-0123456789abcd" });
        assertFault(await rejection(ask(narrow, { stream })), "unknown_model", new RegExp(MODEL));
        assert.equal(dialect.text(await ask(narrow, { model: "claude-sonnet-4-5" })), "You said: Hi");
        const ids = (await all(narrow.models.list())).map((model) => model.id);
        assert.ok(ids.length > 0 && ids.every((id) => id.startsWith("claude-")));
      });

      for (const [field, body] of [
        ["messages", { messages: [] }],
        ["messages", { messages: undefined }],
        ["messages[0].role", { messages: [{ role: "robot", content: "x" }] }],
        ["messages[0].content[0].type", { messages: [{ role: "user", content: [{ type: "smell" }] }] }],
        ["temperature", { temperature: 9 }],
        ["temperature", { temperature: "warm" }],
        ["max_tokens", { max_tokens: 0 }],
        ["tool_choice", { tools: [], tool_choice: "sometimes" }],
      ]) {
        test(`${JSON.stringify(body)} is refused by the name of ${field}, ${how}`, async () => {
          const error = await rejection(ask(client, { ...body, stream }));
          const message = assertFault(error, "bad_request", /./);
          assert.ok(message.includes(field), message);
          if (name === "OpenAI") assert.ok(error.param.startsWith(field), error.param);
        });
      }

      test(`a body that is too large, ${how}`, async () => {
        const error = await rejection(ask(client, { messages: [{ role: "user", content: "x".repeat(70_000) }], stream }));
        assertFault(error, "too_large", /65536/);
      });
    }

    test("an unknown model is not found by name either", async () => {
      const error = await rejection(client.models.retrieve("no-such-model"));
      assertFault(error, "unknown_model", /./);
    });

    test("http(s) images are refused for now", async () => {
      const url = "https://example.org/a.png";
      const part = name === "OpenAI" ? { type: "image_url", image_url: { url } } : { type: "image", source: { type: "url", url } };
      const error = await rejection(ask(client, { messages: [{ role: "user", content: [part] }] }));
      assertFault(error, "bad_request", /^messages\[0\]\.content\[0\]|`?messages\[0\]\.content\[0\]/);
    });

    test("either key header is good", async () => {
      assert.equal(dialect.text(await ask(dialect.otherHeader(gw))), "You said: Hi");
    });
  });

  describe(`${name}: the upstream's faults`, () => {
    for (const [title, behaviour, fault, words] of [
      ["a rate limit", { form: "retry_info", delay: "34s" }, "rate_limited", /rate limit/],
      ["a quota that is used up", { form: "quota_exhausted", delay: "1h" }, "quota_exhausted", /quota/],
      ["no capacity", { form: "capacity" }, "overloaded", /capacity/],
      ["an account that waits for a person", { form: "validation" }, "unavailable", /account/],
      ["a forbidden project", { form: "service_disabled" }, "unavailable", /account/],
      ["a server error", { status: 500 }, "upstream", /failed/],
      ["a page in place of an answer", { form: "html" }, "upstream", /understood/],
      ["a connection that ends", { drop: true }, "upstream", /reached/],
      ["a gateway's timeout", { status: 504 }, "timeout", /in time/],
      ["a request that it refuses", { status: 400, message: "The sky is not blue." }, "bad_request", /The sky is not blue\./],
      [
        "a prompt that is too long",
        { status: 400, message: "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)." },
        "too_long",
        name === "OpenAI" ? /exceeds the maximum number of tokens/ : /^prompt is too long/,
      ],
    ]) {
      for (const stream of [false, true]) {
        test(`${title}, ${stream ? "streamed" : "whole"}`, async (t) => {
          const { gw, client } = await fresh(t);
          await gw.sim.rules({ do: behaviour });
          assertFault(await rejection(ask(client, { stream })), fault, words);
          assert.equal((await gw.sim.generations()).length, 1);
        });
      }
    }

    test("Retry-After says when to come back, also while all accounts cool", async (t) => {
      const { gw, client } = await fresh(t);
      await gw.sim.rules({ times: 1, do: { form: "retry_info", delay: "34s" } });
      const first = await rejection(ask(client));
      assertFault(first, "rate_limited", /rate limit/);
      assert.equal(first.headers.get("retry-after"), "34");
      const second = await rejection(ask(client));
      assertFault(second, "rate_limited", /cooling/);
      const after = Number(second.headers.get("retry-after"));
      assert.ok(after >= 20 && after <= 34, String(after));
      assert.equal((await gw.sim.generations()).length, 1);
    });

    test("an upstream that is down", async (t) => {
      const { gw, client } = await fresh(t);
      assert.equal(dialect.text(await ask(client)), "You said: Hi");
      await gw.sim.stop();
      for (const stream of [false, true]) {
        assertFault(await rejection(ask(client, { stream })), "upstream", /could not be reached/);
      }
    });

    test("an upstream that was never there", async (t) => {
      const { gw, client } = await fresh(t);
      await gw.sim.stop();
      assertFault(await rejection(ask(client)), "upstream", /could not be reached/);
    });

    test("an upstream that does not answer in time", async (t) => {
      const { gw, client } = await fresh(t, { upstream: 'first_byte_timeout = "150ms"' });
      await gw.sim.script({ first_byte_delay: "1h" });
      assertFault(await rejection(ask(client)), "timeout", /in time/);
    });

    test("another account serves while one is limited", async (t) => {
      const { gw, client } = await fresh(t, { accounts: ["alice", "bob"], routing: "" });
      await gw.sim.rules({ account: "alice@example.com", do: { form: "retry_info", delay: "1h" } });
      for (let i = 0; i < 6; i++) {
        assert.equal(dialect.text(await ask(client)), "You said: Hi");
      }
      const limited = (await gw.sim.generations()).filter((call) => call.status === 429);
      assert.ok(limited.length <= 1);
    });

    test("the package's own retry gets through", async (t) => {
      const { gw, client } = await fresh(t);
      await gw.sim.rules({ times: 1, do: { status: 500 } });
      assert.equal(dialect.text(await ask(client.withOptions({ maxRetries: 1 }))), "You said: Hi");
    });

    test("an empty answer is an empty message", async (t) => {
      const { gw, client } = await fresh(t);
      await gw.sim.script({ answer: "empty" });
      const answer = await ask(client);
      assert.equal(dialect.text(answer) ?? "", "");
      const end = name === "OpenAI" ? answer.choices[0].finish_reason : answer.stop_reason;
      assert.equal(end, name === "OpenAI" ? "stop" : "end_turn");
    });
  });

  describe(`${name}: streams that break`, () => {
    const TEXT = "one two three four";

    test("an error before the first content is a proper status", async (t) => {
      const { gw, client } = await fresh(t);
      await gw.sim.script({ error_in_stream: 0, form: "retry_info", delay: "34s" });
      const error = await rejection(ask(client, { stream: true }));
      assertFault(error, "rate_limited", /rate limit/);
      assert.equal(error.headers.get("retry-after"), "34");
    });

    for (const [title, behaviour, kind] of [
      ["an error", { error_in_stream: 2, form: "capacity" }, "overloaded"],
      ["a server error", { error_in_stream: 2, status: 500 }, "upstream"],
      ["a connection that is cut", { cut: 2 }, "upstream"],
      ["an end without a finish", { truncate: 2 }, "upstream"],
    ]) {
      test(`${title} in the middle raises, after what came before`, async (t) => {
        const { gw, client } = await fresh(t);
        await gw.sim.script({ text: TEXT, chunks: 4, ...behaviour });
        let said = "";
        const error = await rejection(
          (async () => {
            for await (const chunk of await ask(client, { stream: true })) said += dialect.piece(chunk);
          })(),
        );
        assert.ok(error instanceof classes.APIError, String(error));
        assert.ok(!(error instanceof classes.APIUserAbortError));
        const [, , type, code] = faults[kind];
        const told = dialect.told(error);
        assert.equal(told.type, type);
        assert.equal(told.code, code);
        assert.ok(told.message.length > 0);
        assert.ok(said.length > 0 && said.length < TEXT.length && TEXT.startsWith(said), said);
        const helped = await rejection(dialect.helper(client));
        assert.ok(helped instanceof classes.APIError, String(helped));
        assert.deepEqual(dialect.told(helped), told);
      });

      test(`${title} in the middle of a whole answer is a status`, async (t) => {
        const { gw, client } = await fresh(t);
        await gw.sim.script({ text: TEXT, chunks: 4, ...behaviour });
        assertFault(await rejection(ask(client)), kind, /./);
      });
    }
  });

  describe(`${name}: silent streams`, () => {
    const QUICK = 'keepalive = "20ms"\nstream_commit_after = "20ms"';

    test("are kept open by what the package does not show", async (t) => {
      const { gw } = await fresh(t, { server: QUICK });
      await gw.sim.script({ text: "one two three", chunks: 3, pause_until_released: true });
      // Each ping lets the upstream go on: without any the answer would never end.
      const seeing = async (...args) => {
        const response = await fetch(...args);
        const see = new TransformStream({
          async transform(bytes, out) {
            if (/^(: ping|event: ping)$/m.test(Buffer.from(bytes).toString())) await gw.sim.release();
            out.enqueue(bytes);
          },
        });
        return new Response(response.body.pipeThrough(see), response);
      };
      let said = "";
      for await (const chunk of await ask(dialect.client(gw, { fetch: seeing }), { stream: true })) said += dialect.piece(chunk);
      assert.equal(said, "one two three");
    });

    test("that end in an error before any content still raise", async (t) => {
      const { gw, client } = await fresh(t, { server: QUICK });
      await gw.sim.script({ first_byte_delay: "400ms", status: 500 });
      const stream = await ask(client, { stream: true });
      const error = await rejection(all(stream));
      assert.ok(error instanceof classes.APIError);
      assert.equal(error.status, undefined);
      const [, , type, code] = faults.upstream;
      assert.deepEqual(dialect.told(error), { type, code, message: "the upstream failed" });
    });
  });
}
