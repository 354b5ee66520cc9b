// Starts the binary twice, as the simulated upstream and as the gateway in front of it. The binary is $AGP_BIN, else
// target/debug/agp of this checkout. A debug build reads the panel from frontend/dist of the checkout that it was built in.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BIN = resolve(process.env["AGP_BIN"] ?? join(ROOT, "target/debug/agp"));

export const PASSWORD = "a long enough password";
/** A client key that every gateway here has. */
export const KEY = "sk-browser-tests-key-0123456789abcdef";

/** The `[models]` of agp.toml.example, on the simulator. */
export const MODELS = readFileSync(join(ROOT, "agp.toml.example"), "utf8")
  .replace(/^[\s\S]*?(?=^\[models\.)/m, "")
  .replaceAll('"antigravity/', '"sim/');

interface Running {
  address: string;
  output: () => string;
  stop: () => Promise<void>;
}

/** Runs the binary; `first` is waited for in what it prints. */
async function run(args: string[], first: RegExp): Promise<Running> {
  if (!existsSync(BIN)) throw new Error(`there is no ${BIN}: build it with \`cargo build\`, or name another by AGP_BIN`);
  const child: ChildProcess = spawn(BIN, args, { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  // Should the tests be killed, the child must not live on.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let output = "";
  const address = await new Promise<string>((found, failed) => {
    const read = (piece: string) => {
      output = (output + piece).slice(-200_000);
      const match = first.exec(output);
      if (match?.[1] !== undefined) found(match[1]);
    };
    child.stdout?.setEncoding("utf8").on("data", read);
    child.stderr?.setEncoding("utf8").on("data", read);
    exited.then(([code]) => failed(new Error(`agp ${args[0] ?? ""} ended with ${String(code)}:\n${output}`)), failed);
  });
  return {
    address,
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      await exited;
      process.removeListener("exit", kill);
    },
  };
}

let hashed: Promise<string> | undefined;

/** `password_hash = "…"` of `PASSWORD`, made once. */
function hash(): Promise<string> {
  hashed ??= new Promise<string>((found, failed) => {
    const child = execFile(BIN, ["hash-password"], (error, stdout) => {
      const line = /password_hash\s*=.*/.exec(stdout)?.[0];
      if (error || line === undefined) failed(new Error(error?.message ?? stdout));
      else found(line);
    });
    child.stdin?.end(PASSWORD);
  });
  return hashed;
}

/** What is special about a gateway. */
export interface Setup {
  /** Names of accounts at the simulator; alice and bob. */
  accounts?: string[];
  /** Whether the panel's password is set. */
  password?: boolean;
  /** Lines of these tables. */
  admin?: string;
  server?: string;
  routing?: string;
  state?: string;
  upstream?: string;
  /** More tables. */
  extra?: string;
  /** The `[models]`; the example's by default. */
  models?: string;
  /** The simulator's script, docs/simulator.md. */
  script?: unknown;
}

export interface Gateway {
  /** Such as http://127.0.0.1:40001. */
  url: string;
  /** The configuration file. */
  file: string;
  /** Its text now. */
  text: () => Promise<string>;
  /** Writes the file, as a person with an editor does. */
  edit: (change: (text: string) => string) => Promise<void>;
  /** A client's chat request; `body` overrides parts of it. */
  chat: (body?: Record<string, unknown>, key?: string) => Promise<Response>;
  sim: { url: string; script: (script: unknown) => Promise<void>; control: (path: string, init?: RequestInit) => Promise<unknown> };
  log: () => string;
  /** Ends both. */
  stop: () => Promise<void>;
}

async function answered(response: Response): Promise<unknown> {
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** A simulator and a gateway before it, with the panel. */
export async function startGateway(setup: Setup = {}): Promise<Gateway> {
  const { accounts = ["alice", "bob"], password = true, models = MODELS } = setup;
  const folder = await mkdtemp(join(tmpdir(), "agp-panel-"));
  const file = join(folder, "agp.toml");
  const upstream = await run(["simulate", "--listen", "127.0.0.1:0"], /listens on (http:\S+)[\s\S]*# agp\.toml/);
  const sim = upstream.address;
  const control = async (path: string, init?: RequestInit) => answered(await fetch(`${sim}/control${path}`, init));
  const script = async (text: unknown) => {
    await control("/script", { method: "PUT", body: JSON.stringify(text) });
  };
  if (setup.script !== undefined) await script(setup.script);
  await writeFile(
    file,
    `version = 1
# The comments of this file outlive every edit.
[server]
listen = "127.0.0.1:0"
${setup.server ?? ""}
[log]
level = "info"
format = "json"
[admin]
${password ? await hash() : ""}
${setup.admin ?? ""}
[state]
${setup.state ?? ""}
[routing]
${setup.routing ?? ""}
[upstreams.sim]
kind = "antigravity"
base_urls = ["${sim}"]
oauth = { client_id = "sim-client", client_secret = "sim-secret", auth_url = "${sim}/o/oauth2/v2/auth", token_url = "${sim}/token", userinfo_url = "${sim}/oauth2/v2/userinfo" }
${setup.upstream ?? ""}
${accounts.map((name) => `[accounts.${name}]\nupstream = "sim"\nrefresh_token = "sim-refresh-${name}"\n`).join("")}
[keys.tests]
key = "${KEY}"
${setup.extra ?? ""}
${models}`,
  );
  let gateway: Running;
  try {
    gateway = await run(["serve", "--config", file], /"message":"listening","addr":"([^"]+)"/);
  } catch (error) {
    await upstream.stop();
    throw error;
  }
  const url = `http://${gateway.address}`;
  await until(async () => (await fetch(`${url}/readyz`)).ok, "the gateway is ready");
  return {
    url,
    file,
    text: () => readFile(file, "utf8"),
    edit: async (change) => writeFile(file, change(await readFile(file, "utf8"))),
    chat: (body, key = KEY) =>
      fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
        body: JSON.stringify({ model: "gemini-2.5-flash", messages: [{ role: "user", content: "Hello" }], ...body }),
      }),
    sim: { url: sim, script, control },
    log: gateway.output,
    async stop() {
      await gateway.stop();
      await upstream.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until `look` gives something true, and gives that. */
export async function until<T>(look: () => Promise<T>, what: string): Promise<T> {
  const end = Date.now() + 20_000;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen;
    } catch {
      // Not there yet.
    }
    if (Date.now() > end) throw new Error(`waited 20 s in vain: ${what}`);
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
