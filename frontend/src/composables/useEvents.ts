import type { QueryClient } from "@tanstack/vue-query";
import { onScopeDispose, readonly, ref, shallowReadonly, shallowRef } from "vue";

import { BASE } from "@/api/client";
import type { Events } from "@/api/types";

import { useSession } from "./useSession";

/** `off`: not signed in. `lost`: what is shown may be old. */
export type Connection = "off" | "opening" | "open" | "lost";

type Handlers = { [E in keyof Events]?: (data: Events[E]) => void };

/** Which queries an event makes old: the first part of their keys. A query's key begins with the area that it shows. */
const OLD: { [E in keyof Events]?: string[] } = {
  accounts: ["accounts", "overview", "oauth"],
  attention: ["overview"],
  job: ["jobs"],
};
const NAMES: (keyof Events)[] = ["hello", "config", "requests", "accounts", "job", "live", "attention", "ended"];
/** A burst of changes is one reload. */
const GATHER = 400;

const connection = ref<Connection>("off");
const since = ref<number | null>(null);
const hello = shallowRef<Events["hello"] | null>(null);
const config = shallowRef<Events["config"] | null>(null);
const live = shallowRef<Events["live"] | null>(null);
const attention = shallowRef<Events["attention"] | null>(null);
/** Another version runs than the one that this page came from. */
const outdated = ref(false);

const handlers = new Set<Handlers>();
let source: EventSource | null = null;
let withRequests = false;
let client: QueryClient | null = null;
let wanted = false;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let pending: ReturnType<typeof setTimeout> | undefined;
const stale = new Set<string>();

function open(): void {
  clearTimeout(timer);
  source?.close();
  source = null;
  if (!wanted) return;
  if (connection.value === "off") connection.value = "opening";
  withRequests = [...handlers].some((handler) => handler.requests !== undefined);
  const stream = new EventSource(`${BASE}/events${withRequests ? "?topics=requests" : ""}`);
  source = stream;
  stream.onopen = () => {
    const missed = connection.value === "lost";
    failures = 0;
    connection.value = "open";
    since.value = null;
    // What changed meanwhile was not told.
    if (missed) void client?.invalidateQueries();
  };
  stream.onerror = () => {
    if (source === stream) drop();
  };
  for (const name of NAMES) {
    stream.addEventListener(name, (event: MessageEvent<string>) => {
      if (source === stream) told(name, event.data);
    });
  }
}

/** The browser's own way of trying again gives up at a refusal and doesn't slow down, so this one is ours. */
function drop(): void {
  source?.close();
  source = null;
  if (connection.value !== "lost") since.value = Date.now();
  connection.value = "lost";
  failures += 1;
  const wait = Math.min(30_000, 500 * 2 ** Math.min(failures - 1, 6)) * (0.75 + Math.random() / 2);
  clearTimeout(timer);
  timer = setTimeout(() => void retry(), wait);
}

async function retry(): Promise<void> {
  clearTimeout(timer);
  if (!wanted || source !== null) return;
  try {
    // A session that is over ends here instead of asking for ever.
    if (!(await useSession().renew())) return;
  } catch {
    drop();
    return;
  }
  open();
}

function age(keys: string[]): void {
  for (const key of keys) stale.add(key);
  pending ??= setTimeout(() => {
    pending = undefined;
    const all = stale.has("*");
    // Log rows stay as they are: what is new comes with `requests`.
    if (all) void client?.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== "requests" });
    else for (const key of stale) void client?.invalidateQueries({ queryKey: [key] });
    stale.clear();
  }, GATHER);
}

function told(name: keyof Events, text: string): void {
  const data = JSON.parse(text) as Events[typeof name];
  remember({ [name]: data });
  age(OLD[name] ?? []);
  for (const handler of handlers) (handler[name] as ((data: unknown) => void) | undefined)?.(data);
}

function remember(event: Partial<Events>): void {
  if (event.hello) {
    const before = hello.value;
    hello.value = event.hello;
    if (before !== null && before.version !== event.hello.version) outdated.value = true;
    if (before !== null && before.started !== event.hello.started) age(["*"]);
    remember({ config: event.hello.config });
  }
  if (event.config) {
    const before = config.value;
    config.value = event.config;
    // Any view may show what the files say.
    if (before !== null && JSON.stringify(before) !== JSON.stringify(event.config)) age(["*"]);
  }
  if (event.live) live.value = event.live;
  if (event.attention) attention.value = event.attention;
  if (event.ended) drop();
}

/**
 * This page has saved: the files' revision is known before the event that tells of it, and whoever goes on at once would
 * else be told that somebody changed the file. Replaced by the next event.
 */
export function saved(revision: string): void {
  if (config.value !== null) config.value = { ...config.value, revision };
}

/** Called by the shell when somebody is signed in. */
export function connect(queries: QueryClient): void {
  client = queries;
  wanted = true;
  if (source === null) open();
}

/** Called by the shell when nobody is any more. */
export function disconnect(): void {
  wanted = false;
  clearTimeout(timer);
  source?.close();
  source = null;
  failures = 0;
  since.value = null;
  connection.value = "off";
  for (const state of [hello, config, live, attention]) state.value = null;
}

addEventListener("online", () => void retry());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void retry();
});

/**
 * The page's one event stream. Queries are made old by it without further ado. `on` is for views that use events themselves:
 * `useEvents({ job: (job) => … })`, for as long as the caller lives; `requests` are sent only while somebody asks for them.
 */
export function useEvents(on?: Handlers) {
  if (on) {
    handlers.add(on);
    if (on.requests && wanted && !withRequests && source !== null) open();
    // The stream stays as it is then: an event too many does no harm, opening it anew might lose one.
    onScopeDispose(() => handlers.delete(on));
  }
  return {
    connection: readonly(connection),
    /** When the connection was lost. */
    since: readonly(since),
    retry: () => void retry(),
    hello: shallowReadonly(hello),
    /** The configuration in force, with the revision that edits are asked with. */
    config: shallowReadonly(config),
    /** This moment: calls under way, waiting, a minute's requests and tokens. */
    live: shallowReadonly(live),
    attention: shallowReadonly(attention),
    outdated: readonly(outdated),
  };
}
