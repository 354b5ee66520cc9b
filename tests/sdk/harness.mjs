// Starts the binary twice, as the simulated upstream and as the gateway in front of it, and gives clients of both.
//
// The binary is $AGP_BIN, else target/debug/agp of this checkout. Addresses are read from what the two print, so nothing
// is guessed and test files can run side by side.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

export { Anthropic, OpenAI };

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BIN = process.env.AGP_BIN || join(ROOT, "target/debug/agp");

/** 8×8 red pixels, original.md section 4. */
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53yE8AAAAASUVORK5CYII=";

/** The smallest file that calls itself a PDF. */
export const PDF = Buffer.from("%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").toString("base64");

/** The `[models]` of agp.toml.example: the original's 13 names. */
export const MODELS = readFileSync(join(ROOT, "agp.toml.example"), "utf8").replace(/^[\s\S]*?(?=^\[models\.)/m, "");

export const GOOD_KEY = "sk-sdk-tests-good-key-0123456789abcdef";
export const DISABLED_KEY = "sk-sdk-tests-disabled-key-0123456789ab";
export const WRONG_KEY = "sk-sdk-tests-wrong-key-0123456789abcde";

/** Runs the binary; `first` is waited for among its lines. Gives what it matched. */
async function run(args, first) {
  if (!existsSync(BIN)) {
    throw new Error(`there is no ${BIN}: build it with \`cargo build\`, or name another by AGP_BIN`);
  }
  const child = spawn(BIN, args, { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  // Should the tests be killed, the child must not live on.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let output = "";
  const matched = await new Promise((found, failed) => {
    const read = (piece) => {
      output = (output + piece).slice(-100_000);
      const match = first.exec(output);
      if (match) found(match);
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    exited.then(([code]) => failed(new Error(`agp ${args[0]} ended with ${code}:\n${output}`)), failed);
  });
  return {
    address: matched[1],
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      await exited;
      process.removeListener("exit", kill);
    },
  };
}

async function answered(response) {
  if (!response.ok) {
    throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  }
  return response.json();
}

/** The simulator's control endpoint, docs/simulator.md. */
function control(url) {
  const at = (path, options) => fetch(url + path, options).then(answered);
  return {
    url,
    /** Replaces the script. */
    script: (script) => at("/control/script", { method: "PUT", body: JSON.stringify(script) }),
    /** A script of rules for generations, each fired `times` (always where left out). */
    rules: (...rules) => at("/control/script", { method: "PUT", body: JSON.stringify({ rules }) }),
    /** The calls that generate, oldest first: the inner request with the envelope's fields beside it. */
    async generations() {
      const { requests } = await at("/control/requests");
      return requests.filter((r) => r.method === "generateContent" || r.method === "streamGenerateContent");
    },
    /** All calls. */
    requests: async () => (await at("/control/requests")).requests,
    clear: () => at("/control/requests", { method: "DELETE" }),
    release: (times = 1) => at(`/control/release?times=${times}`, { method: "POST" }),
    state: () => at("/control/state"),
    /** How many generations are under way. */
    async running() {
      const { loads } = await at("/control/state");
      return loads.find((load) => !load.account && !load.model)?.current ?? 0;
    },
  };
}

/**
 * A simulator and a gateway. `accounts` are names; `routing`, `server` and `upstream` are lines of those tables; `extra` is
 * more of the file; `models` replaces the 13 names.
 */
export async function start({ accounts = ["alice", "bob"], routing = "", server = "", upstream = "", extra = "", models = MODELS } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "agp-sdk-"));
  const sim = await run(["simulate", "--listen", "127.0.0.1:0"], /listens on (http:\S+)[\s\S]*# agp\.toml/);
  const url = sim.address;
  const limits = [];
  for (const line of ["max_concurrent_per_account = 0", "max_concurrent_per_model = 0"]) {
    if (!routing.includes(line.split(" ")[0])) limits.push(line);
  }
  await writeFile(
    join(folder, "agp.toml"),
    `version = 1
[server]
listen = "127.0.0.1:0"
${server}
[log]
level = "info"
format = "json"
[routing]
${limits.join("\n")}
${routing}
[upstreams.antigravity]
kind = "antigravity"
base_urls = ["${url}"]
oauth = { client_id = "sim-client", client_secret = "sim-secret", auth_url = "${url}/o/oauth2/v2/auth", token_url = "${url}/token", userinfo_url = "${url}/oauth2/v2/userinfo" }
${upstream}
${accounts.map((name) => `[accounts.${name}]\nupstream = "antigravity"\nrefresh_token = "sim-refresh-${name}"\n`).join("")}
[keys.good]
key = "${GOOD_KEY}"
[keys.off]
key = "${DISABLED_KEY}"
enabled = false
${extra}
${models}`,
  );
  let gateway;
  try {
    gateway = await run(["serve", "--config", join(folder, "agp.toml")], /"message":"listening","addr":"([^"]+)"/);
  } catch (error) {
    await sim.stop();
    throw error;
  }
  const base = `http://${gateway.address}`;
  const ready = async () => {
    try {
      return (await fetch(`${base}/readyz`)).status === 200;
    } catch {
      return false;
    }
  };
  await until(ready, "the gateway is ready");
  let stopped = false;
  return {
    base,
    sim: { ...control(url), stop: () => ((stopped = true), sim.stop()) },
    log: gateway.output,
    openai: (options) => new OpenAI({ baseURL: `${base}/v1`, apiKey: GOOD_KEY, maxRetries: 0, ...options }),
    anthropic: (options) => new Anthropic({ baseURL: base, apiKey: GOOD_KEY, maxRetries: 0, ...options }),
    async stop() {
      await gateway.stop();
      if (!stopped) await sim.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The error that a promise is rejected with. */
export async function rejection(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected an error, got ${JSON.stringify(value)}`);
}

/** Waits until `look` gives something true, and gives that. */
export async function until(look, what) {
  const end = Date.now() + 10_000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`waited 10 s in vain: ${what}`);
  }
}

/** Everything that an async iterable gives. */
export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** The tool that most tests offer, in both dialects. */
export const WEATHER = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
export const openaiTool = (name, parameters = WEATHER) => ({
  type: "function",
  function: { name, description: `the tool ${name}`, parameters },
});
export const anthropicTool = (name, input_schema = WEATHER) => ({ name, description: `the tool ${name}`, input_schema });
