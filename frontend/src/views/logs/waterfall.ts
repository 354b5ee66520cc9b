// Where everything of a request lies in its time. Pure.
import type { Schema } from "@/api/types";

export interface Bar {
  kind: "queue" | "try";
  /** Of a try. */
  call: Schema["Try"] | null;
  /** All in milliseconds after the request's begin. */
  start: number;
  /** The first byte of the answer. */
  first: number | null;
  end: number;
  failed: boolean;
  /** The begin was not kept; it is placed behind what came before. */
  guessed: boolean;
}

export interface Waterfall {
  total: number;
  ticks: number[];
  bars: Bar[];
  /** When the client got its first content. */
  content: number | null;
}

/** The bars of a request, in order of time. */
export function waterfall(request: Schema["Explained"]): Waterfall {
  const bars: Bar[] = [];
  let end = request.queue_ms;
  for (const call of request.tries) {
    const start = call.start_ms ?? end;
    end = start + call.latency_ms;
    const first = typeof call.first_byte_ms === "number" ? start + call.first_byte_ms : null;
    const failed = typeof call.class === "string";
    bars.push({ kind: "try", call, start, first, end, failed, guessed: typeof call.start_ms !== "number" });
  }
  queue(bars, request.queue_ms);
  const content = request.first_token_ms ?? null;
  const total = Math.max(1, request.latency_ms, content ?? 0, ...bars.map((bar) => bar.end));
  return { total, ticks: ticks(total), bars, content };
}

/** The wait is known by its length; it was before the try that has such a gap before it. */
function queue(bars: Bar[], waited: number): void {
  if (waited <= 0) return;
  let before = 0;
  let [place, widest] = [0, -1];
  for (const [i, bar] of bars.entries()) {
    const gap = bar.start - before;
    if (gap > widest) [place, widest] = [i, gap];
    if (gap >= waited * 0.9) break;
    before = bar.end;
  }
  const end = bars[place]?.start ?? waited;
  bars.splice(place, 0, { kind: "queue", call: null, start: Math.max(0, end - waited), first: null, end, failed: false, guessed: false });
}

/** Round times from nought on, four to seven of them. */
function ticks(total: number): number[] {
  const rough = total / 6;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, ([1, 2, 5, 10].find((factor) => factor * size >= rough) ?? 10) * size);
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => i * step);
}
