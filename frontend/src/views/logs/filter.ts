// What the list of requests is filtered by: from the address to the query, and the same test for rows that come live. Pure.
import type { Schema } from "@/api/types";

export type Row = Schema["LogRow"];

/** As in the address. Times of `custom` are RFC 3339; the texts are empty where nothing is chosen. */
export interface Filter {
  range: string;
  from: string;
  to: string;
  model: string;
  account: string;
  key: string;
  status: string;
  id: string;
}

export const NO_FILTER: Filter = { range: "", from: "", to: "", model: "", account: "", key: "", status: "", id: "" };
export const PRESETS = ["15m", "1h", "24h", "7d", "30d"] as const;
export const SIZES = ["20", "50", "100"] as const;

/** Statuses by the hundred, then those that a gateway answers with. */
export const STATUSES = ["2xx", "4xx", "5xx", "400", "401", "403", "404", "413", "429", "499", "500", "502", "503", "504"] as const;

export type Asked = Partial<Record<"model" | "account" | "key" | "status" | "id" | "since" | "until", string>>;

/** The parameters of the admin API. */
export function asked(filter: Filter): Asked {
  const query: Asked = {};
  for (const name of ["model", "account", "key", "status", "id"] as const) {
    const value = filter[name].trim();
    if (value !== "") query[name] = value;
  }
  if (filter.range === "custom") {
    if (filter.from !== "") query.since = filter.from;
    if (filter.to !== "") query.until = filter.to;
  } else if (filter.range !== "") {
    query.since = filter.range;
  }
  return query;
}

/** Whether a row that ended just now belongs into the list. */
export function passes(row: Row, filter: Filter): boolean {
  const { model, account, key, status, id } = asked(filter);
  if (model !== undefined && (row.model ?? row.requested) !== model) return false;
  if (account !== undefined && row.account !== account) return false;
  if (key !== undefined && row.key !== key) return false;
  if (status !== undefined && !hasStatus(row.status, status)) return false;
  if (id !== undefined && !row.id.toUpperCase().startsWith(id.toUpperCase())) return false;
  if (filter.range !== "custom") return true;
  const at = Date.parse(row.at);
  return !(filter.from !== "" && at < Date.parse(filter.from)) && !(filter.to !== "" && at > Date.parse(filter.to));
}

function hasStatus(status: number, wanted: string): boolean {
  return wanted.endsWith("xx") ? String(status).startsWith(wanted.slice(0, 1)) : String(status) === wanted;
}

/** A time of the reader's zone for an input of kind `datetime-local`; empty where there is none. */
export function toLocal(time: string): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The other way. */
export function fromLocal(text: string): string {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}

export type Outcome = "ok" | "client" | "upstream" | "gateway";

/** How a request ended. An answer that broke off has status 200 and an error. */
export function outcome(row: Pick<Row, "status" | "error">): Outcome {
  const fault = row.error?.fault;
  if (fault === "client" || fault === "upstream" || fault === "gateway") return fault;
  if (row.status < 400) return "ok";
  return row.status < 500 ? "client" : "upstream";
}

export const TONES = { ok: "good", client: "warn", upstream: "bad", gateway: "bad" } as const;

/** The address of the present filter as a file. */
export function exportUrl(base: string, filter: Filter, format: "jsonl" | "csv"): string {
  return `${base}/request-export?${new URLSearchParams({ ...asked(filter), format }).toString()}`;
}
