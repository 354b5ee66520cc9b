// Where in a form a refusal belongs. The gateway names a field of the body, a key of the file, or a place in the list of changes
// that was sent. Pure.
import type { Schema } from "@/api/types";

type Wanted = Schema["Wanted"];
type Messages = Readonly<Record<string, string>>;

/** A key's path as the file writes it. */
export function keyText(path: readonly string[]): string {
  return path.map((part) => (/^[A-Za-z0-9_-]+$/.test(part) ? part : JSON.stringify(part))).join(".");
}

const joined = (table: string, rest: string) => (rest === "" || rest.startsWith("[") ? table + rest : `${table}.${rest}`);

/** The key that a place in a change is about; null where it is about none. */
function keyIn(change: Wanted, place: string): string | null {
  if ("path" in change) return joined(keyText(change.path), place.replace(/^(?:value|path)(?![^.[])\.?/, ""));
  if (change.do !== "add") return null;
  const table = keyText([change.section, change.name]);
  return place.startsWith("values.") ? joined(table, place.slice("values.".length)) : table;
}

/** Messages by key of the file, of what the gateway named. */
export function errorsByKey(errors: Messages, sent: readonly Wanted[]): Record<string, string> {
  const by: Record<string, string> = {};
  for (const [field, message] of Object.entries(errors)) {
    const [, number, place = ""] = /^changes\[(\d+)\]\.?(.*)$/.exec(field) ?? [];
    const change = number === undefined ? undefined : sent[Number(number)];
    by[(change && keyIn(change, place)) ?? field] ??= message;
  }
  return by;
}

/** Whether a key is this one, or something inside of it. */
export function within(key: string, outer: string): boolean {
  return key === outer || (outer !== "" && (key.startsWith(`${outer}.`) || key.startsWith(`${outer}[`)));
}

export interface Faults {
  /** What is shown at a field. */
  at: (field: string) => string | undefined;
  /** What no field of the form shows. */
  others: string[];
}

/**
 * Shares messages out among a form's fields, named as in the body, or as in the `table` of the file that the form is about. The
 * closest field counts; "" stands for the table itself.
 */
export function faultsOf(errors: Messages, fields: readonly string[], table: readonly string[] = []): Faults {
  const own = keyText(table);
  const at = new Map<string, string>();
  const others: string[] = [];
  for (const [key, message] of Object.entries(errors)) {
    const inner = own !== "" && within(key, own) ? key.slice(own.length).replace(/^\./, "") : key;
    const field = fields.filter((name) => within(inner, name)).sort((a, b) => b.length - a.length)[0];
    if (field === undefined) others.push(key === "" ? message : `${key}: ${message}`);
    else if (!at.has(field)) at.set(field, message);
  }
  return { at: (field) => at.get(field), others };
}
