import type { QueryClient } from "@tanstack/vue-query";
import { onScopeDispose, readonly, ref } from "vue";

import { BASE } from "@/api/client";

import { useSession } from "./useSession";

/** `off`: not signed in. `lost`: what is shown may be old. */
export type Connection = "off" | "opening" | "open" | "lost";

export interface GatewayEvent {
  topic: string;
  data: unknown;
}

/**
 * Which queries a topic makes old: the first parts of their keys. A query's key begins with its topic, so a topic that is
 * not listed here makes old the queries of its own name.
 */
const OLD: Record<string, string[]> = {
  accounts: ["accounts", "overview", "status"],
  keys: ["keys", "overview"],
  config: ["config", "history", "status", "accounts", "keys", "models", "overview"],
  models: ["models"],
  logs: ["overview"],
  store: ["status", "overview"],
};
/** Asked for by the shell at all times. */
const ALWAYS = ["accounts", "keys", "config", "models", "store"];

const connection = ref<Connection>("off");
const since = ref<number | null>(null);
const topics = new Map<string, number>();
const handlers = new Set<{ topics: ReadonlySet<string>; run: (event: GatewayEvent) => void }>();
let source: EventSource | null = null;
let client: QueryClient | null = null;
let wanted = false;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let pending: ReturnType<typeof setTimeout> | undefined;
const stale = new Set<string>();

function asked(): string[] {
  return [...new Set([...ALWAYS, ...topics.keys()])].sort();
}

function open(): void {
  clearTimeout(timer);
  source?.close();
  source = null;
  if (!wanted) return;
  if (connection.value === "off") connection.value = "opening";
  const list = asked();
  const stream = new EventSource(`${BASE}/events?topics=${list.join(",")}`);
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
    if (source !== stream) return;
    stream.close();
    source = null;
    lost();
  };
  for (const topic of list) {
    stream.addEventListener(topic, (event: MessageEvent<string>) => told(topic, event.data));
  }
}

/** The browser's own way of trying again gives up at a refusal and doesn't slow down, so this one is ours. */
function lost(): void {
  if (connection.value !== "lost") since.value = Date.now();
  connection.value = "lost";
  failures += 1;
  const wait = Math.min(30_000, 500 * 2 ** Math.min(failures, 6)) * (0.75 + Math.random() / 2);
  timer = setTimeout(() => void retry(), wait);
}

async function retry(): Promise<void> {
  clearTimeout(timer);
  if (!wanted || source !== null) return;
  try {
    // A session that is over ends here instead of asking for ever.
    if (!(await useSession().renew())) return;
  } catch {
    lost();
    return;
  }
  open();
}

function told(topic: string, text: string): void {
  let data: unknown = null;
  try {
    data = JSON.parse(text);
  } catch {
    // Then the topic alone tells enough.
  }
  for (const key of OLD[topic] ?? [topic]) stale.add(key);
  // A burst of changes is one reload.
  pending ??= setTimeout(() => {
    pending = undefined;
    for (const key of stale) void client?.invalidateQueries({ queryKey: [key] });
    stale.clear();
  }, 150);
  for (const handler of handlers) if (handler.topics.has(topic)) handler.run({ topic, data });
}

/** Called by the shell when somebody is signed in, and when nobody is any more. */
export function connect(queries: QueryClient): void {
  client = queries;
  wanted = true;
  if (source === null) open();
}

export function disconnect(): void {
  wanted = false;
  clearTimeout(timer);
  source?.close();
  source = null;
  failures = 0;
  since.value = null;
  connection.value = "off";
}

addEventListener("online", () => void retry());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void retry();
});

/**
 * The page's one event stream. Queries are made old by it without further ado; `run` is for views that use the events
 * themselves (a live tail). Topics beyond the shell's are subscribed while the caller lives.
 */
export function useEvents(list: string[] = [], run?: (event: GatewayEvent) => void) {
  if (list.length > 0) {
    const before = asked().join();
    for (const topic of list) topics.set(topic, (topics.get(topic) ?? 0) + 1);
    if (wanted && asked().join() !== before) open();
    const handler = run ? { topics: new Set(list), run } : null;
    if (handler) handlers.add(handler);
    onScopeDispose(() => {
      if (handler) handlers.delete(handler);
      for (const topic of list) {
        const users = (topics.get(topic) ?? 1) - 1;
        if (users > 0) topics.set(topic, users);
        // The stream stays as it is: an event too many does no harm, opening it anew might lose one.
        else topics.delete(topic);
      }
    });
  }
  return { connection: readonly(connection), since: readonly(since), retry: () => void retry() };
}
