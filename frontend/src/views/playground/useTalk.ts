import { reactive, ref } from "vue";

import { api, ApiError, asApiError } from "@/api/client";
import { useSession } from "@/composables/useSession";

import { type Answer, complaintOf, type Dialect, emptyAnswer, fieldOf, type Options, readEvent, readWhole, request, type Turn } from "./dialects";
import { events } from "./sse";

/** One request and what came of it. */
export interface Run {
  dialect: Dialect;
  key: string;
  answer: Answer;
  state: "waiting" | "streaming" | "done" | "stopped" | "failed";
  /** Its id in the log. */
  id: string | null;
  status: number | null;
  /** Milliseconds. */
  first: number | null;
  whole: number | null;
  error: string | null;
  /** What is wrong with a field of the request, by its name in the dialect. */
  fields: Record<string, string>;
  sent: string;
  got: string;
}

export interface Exchange {
  user: Extract<Turn, { role: "user" }>;
  run: Run;
}

/** More raw text than anybody reads. */
const MOST_RAW = 400_000;

// Outlives the view, so that a look at the log loses nothing; not the session.
const talk = ref<Exchange[]>([]);
const options = reactive<Options>(defaults());
let abort: AbortController | null = null;
let watched = false;

function defaults(): Options {
  return { model: "", system: "", max_tokens: null, temperature: null, thinking: null, stream: true, tools: "" };
}

function clear(): void {
  abort?.abort();
  talk.value = [];
}

function stop(): void {
  abort?.abort();
}

/** What was said so far, without requests that failed. */
function history(): Turn[] {
  return talk.value.filter(({ run }) => good(run)).flatMap(({ user, run }): Turn[] => [user, { role: "assistant", answer: run.answer }]);
}

function good({ state, answer }: Run): boolean {
  return (state === "done" || state === "stopped") && (answer.text !== "" || answer.tools.length > 0);
}

async function send(key: string, dialect: Dialect, user: Exchange["user"]): Promise<void> {
  const body = { key, dialect, request: request(dialect, [...history(), user], options) };
  talk.value.push({
    user,
    run: {
      dialect,
      key,
      answer: emptyAnswer(),
      state: "waiting",
      id: null,
      status: null,
      first: null,
      whole: null,
      error: null,
      fields: {},
      sent: JSON.stringify(body.request, null, 2),
      got: "",
    },
  });
  const run = talk.value.at(-1)?.run;
  if (run === undefined) return;
  const began = performance.now();
  const since = () => Math.round(performance.now() - began);
  const own = new AbortController();
  abort = own;
  const keep = (piece: string) => {
    if (run.got.length < MOST_RAW) run.got += piece;
  };
  try {
    const { response } = await api.POST("/playground", { body, parseAs: "stream", signal: own.signal });
    run.id = response.headers.get("x-request-id");
    run.status = response.status;
    if (response.body !== null && response.headers.get("content-type")?.startsWith("text/event-stream")) {
      run.state = "streaming";
      for await (const data of events(response.body, keep)) {
        if (readEvent(dialect, run.answer, data)) run.first ??= since();
      }
    } else {
      const text = await response.text();
      const whole: unknown = JSON.parse(text);
      keep(JSON.stringify(whole, null, 2));
      run.answer = readWhole(dialect, whole);
    }
    run.error = run.answer.error;
    run.state = own.signal.aborted ? "stopped" : run.error === null ? "done" : "failed";
  } catch (thrown) {
    if (own.signal.aborted) {
      run.state = "stopped";
    } else {
      run.state = "failed";
      fail(run, thrown);
    }
  } finally {
    run.whole = since();
    if (abort === own) abort = null;
  }
}

function fail(run: Run, thrown: unknown): void {
  const error: ApiError = asApiError(thrown);
  run.status = error.status || null;
  run.id ??= error.answer?.request ?? null;
  run.error = complaintOf(error.answer?.body) ?? error.message;
  run.fields = { ...fieldOf(error.answer?.body), ...error.byField };
  if (error.answer) run.got = JSON.stringify(error.answer.body, null, 2);
}

/** The conversation of the playground. */
export function useTalk() {
  if (!watched) {
    watched = true;
    useSession().onEnd(() => {
      clear();
      Object.assign(options, defaults());
    });
  }
  return { talk, options, send, stop, clear, good };
}
