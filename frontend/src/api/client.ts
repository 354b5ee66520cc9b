// The only place that talks to the gateway: typed calls, the CSRF header, silent renewal, and errors as `ApiError`.
import createClient from "openapi-fetch";

import type { paths } from "./schema";
import type { SessionPaths } from "./session";

/** Every path, as the OpenAPI document has it. */
export type Paths = paths & Omit<SessionPaths, keyof paths>;

export const BASE = "/admin/api/v1";

/** One thing that is wrong: a dotted path into the body, or a parameter's name, and why. */
export interface FieldError {
  field: string;
  message: string;
}

/** A refusal, or (status 0) no answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: FieldError[] = [],
    /** Of a 409: what the files became meanwhile. */
    readonly diff: string | null = null,
    readonly present: { revision?: string; generation?: number } | null = null,
    /** Seconds to wait, where the answer says so. */
    readonly retryAfter: number | null = null,
    /** The whole answer, as the dialects' routes give it, and the request's id in the log. */
    readonly answer: { body: unknown; request: string | null } | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** No answer from the gateway, as opposed to a refusal by it. */
  get offline(): boolean {
    return this.status === 0;
  }

  /** Message by field; the first one of each counts. */
  get byField(): Record<string, string> {
    const by: Record<string, string> = {};
    for (const { field, message } of this.fields) by[field] ??= message;
    return by;
  }
}

/** Whatever was thrown, as an `ApiError`. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, error instanceof Error ? error.message : String(error));
}

/** What the session puts in: its CSRF token, and how to ask whether it still lives. */
export const session = {
  csrf: null as string | null,
  /** True where the session is good (again). */
  renew: (): Promise<boolean> => Promise.resolve(false),
};

const SAFE = new Set(["GET", "HEAD"]);
/** Paths whose 401 is an answer and no end of the session. */
const OPEN = [`${BASE}/login`, `${BASE}/session`];

/** Sends a request to the gateway. Rejects with `ApiError` unless the answer is a success. */
export async function send(request: Request): Promise<Response> {
  const own = new URL(request.url).pathname.startsWith(BASE);
  const writes = !SAFE.has(request.method);
  const open = OPEN.includes(new URL(request.url).pathname);
  const again = request.clone();
  const used = session.csrf;
  let response = await attempt(request, own && writes);
  // A session that was renewed elsewhere has another token; one that is over is known by asking.
  if (own && !open && (response.status === 401 || (response.status === 403 && writes))) {
    const good = await session.renew();
    if (good && (response.status === 401 || session.csrf !== used)) response = await attempt(again, writes);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function attempt(request: Request, csrf: boolean): Promise<Response> {
  if (csrf && session.csrf !== null) request.headers.set("X-AGP-CSRF", session.csrf);
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "no answer");
  }
}

async function refusal(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    const read: unknown = await response.json();
    if (typeof read === "object" && read !== null) body = read as Record<string, unknown>;
  } catch {
    // Not ours: a proxy's page.
  }
  const text = body["error"];
  // The dialects' routes (/v1) nest it.
  const inner = typeof text === "object" && text !== null ? (text as Record<string, unknown>)["message"] : text;
  const after = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const present = body["present"];
  return new ApiError(
    response.status,
    typeof inner === "string" ? inner : `${response.status} ${response.statusText}`,
    Array.isArray(body["fields"]) ? (body["fields"] as FieldError[]) : [],
    typeof body["diff"] === "string" ? body["diff"] : null,
    typeof present === "object" ? present : null,
    Number.isFinite(after) ? after : null,
    { body, request: response.headers.get("x-request-id") },
  );
}

/** The typed client, made from the OpenAPI document: `await call(api.GET("/session"))`. */
export const api = createClient<Paths>({ baseUrl: BASE, fetch: send });

/** The data of an answer; rejects with `ApiError`. */
export async function call<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<Exclude<T, undefined>> {
  const { data } = await answer;
  return data as Exclude<T, undefined>;
}
