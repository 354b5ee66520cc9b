// Limits and whole keys between the form, the API and the file's keys.
import type { Edited, Schema } from "@/api/types";
import { errorText } from "@/composables/useApi";
import type { Edit } from "@/composables/useEdit";

export type Key = Schema["Key"];
export type Group = Schema["Group"];
export type Made = Omit<Schema["MadeKey"], "edited"> & { edited: Edited };
export type Wanted = Schema["Wanted"];
type Limits = Schema["Limits"];

export interface LimitsForm {
  rpm: number | null;
  tokens_per_minute: number | null;
  tokens_per_day: number | null;
  max_concurrent: number | null;
  usd: number | null;
  per: "day" | "month";
}

export interface KeyForm {
  label: string;
  name: string;
  group: string;
  models: string[];
  accounts: string[];
  expires: string;
  limits: LimitsForm;
}

const COUNTS = ["rpm", "tokens_per_minute", "tokens_per_day", "max_concurrent"] as const;

export function limitsForm(limits: Limits = {}): LimitsForm {
  return {
    rpm: limits.rpm ?? null,
    tokens_per_minute: limits.tokens_per_minute ?? null,
    tokens_per_day: limits.tokens_per_day ?? null,
    max_concurrent: limits.max_concurrent ?? null,
    usd: limits.budget?.usd ?? null,
    per: limits.budget?.per === "day" ? "day" : "month",
  };
}

/** Only what is given, under the file's names. */
export function limitsOf(form: LimitsForm): Limits {
  const limits: Limits = {};
  for (const name of COUNTS) if (form[name] !== null) limits[name] = form[name];
  if (form.usd !== null) limits.budget = { usd: form.usd, per: form.per };
  return limits;
}

export function keyForm(key?: Key): KeyForm {
  return {
    label: key?.label ?? "",
    name: key?.name ?? "",
    group: key?.group ?? "",
    models: key ? key.models.filter((glob) => glob !== "*") : [],
    accounts: [...(key?.accounts ?? [])],
    // A date; the gateway may write it with a time.
    expires: key?.expires?.slice(0, 10) ?? "",
    limits: limitsForm(key?.limits),
  };
}

/** The file's values of a form; what is missing is not given. */
function values(form: KeyForm): Map<string, unknown> {
  const map = new Map<string, unknown>(Object.entries(limitsOf(form.limits)));
  if (form.label.trim() !== "") map.set("name", form.label.trim());
  if (form.group !== "") map.set("group", form.group);
  if (form.models.length > 0) map.set("models", form.models);
  if (form.accounts.length > 0) map.set("accounts", form.accounts);
  if (form.expires !== "") map.set("expires", form.expires);
  return map;
}

/** Changes that lead from the values of a table to others. */
export function difference(path: string[], before: Map<string, unknown>, after: Map<string, unknown>): Wanted[] {
  const changes: Wanted[] = [];
  for (const [name, value] of after) {
    if (JSON.stringify(before.get(name)) !== JSON.stringify(value)) changes.push({ do: "set", path: [...path, name], value });
  }
  for (const name of before.keys()) if (!after.has(name)) changes.push({ do: "remove", path: [...path, name] });
  return changes;
}

/** What must change in the file for a key to be as the form says; its table's name stays. */
export function keyChanges(key: Key, form: KeyForm): Wanted[] {
  return difference(["keys", key.name], values(keyForm(key)), values(form));
}

export function groupChanges(group: Group, form: LimitsForm): Wanted[] {
  const map = (limits: Limits) => new Map<string, unknown>(Object.entries(limits));
  return difference(["groups", group.name], map(limitsOf(limitsForm(group.limits))), map(limitsOf(form)));
}

/** How much of a limit is used, 0 and more. */
export const share = (use: Schema["LimitUse"]) => (use.bound > 0 ? use.used / use.bound : use.used > 0 ? 1 : 0);

/** The limit that ends first. */
export function tightest(uses: readonly Schema["LimitUse"][]): Schema["LimitUse"] | null {
  return uses.reduce<Schema["LimitUse"] | null>((most, use) => (most === null || share(use) > share(most) ? use : most), null);
}

/** The fields of limits and of a key, under the file's names. */
export const LIMIT_FIELDS = [...COUNTS, "budget", "budget.usd", "budget.per"] as const;
export const KEY_FIELDS = ["group", "models", "accounts", "expires", ...LIMIT_FIELDS] as const;

/** What a form shows at its head of a refusal that closed the preview: what it says, and what no field shows of it. */
export function refusal(edit: Edit, others: readonly string[] = []): string[] {
  if (edit.error.value === null || edit.open.value) return [];
  const text = errorText(edit.error.value);
  return [text, ...others.filter((line) => !text.includes(line))];
}
