// What was changed in a form and is not saved: kept by setting, and made into one edit.
import { computed, type InjectionKey, reactive } from "vue";

import type { Schema } from "@/api/types";
import { faultsOf, keyText } from "@/lib/faults";

import type { Field } from "./schema";

export type Setting = Schema["Setting"];
export type Wanted = Schema["Wanted"];

/** `gone`: the key goes from the file, so that the default holds. */
export type Draft = { field: Field; gone: true } | { field: Field; gone: false; value: unknown };

/** Values in force, by their key as the file writes it. */
export type Values = ReadonlyMap<string, Setting>;

/** An entry of a map: a new value, or null for the one that it has. */
export type MapValue = Record<string, string | null>;
/** A token: what is new of it. */
export type TokenValue = Record<string, { role: string; sha256?: string }>;

export function byKey(settings: readonly Setting[]): Map<string, Setting> {
  return new Map(settings.map((setting) => [keyText(setting.path), setting]));
}

/** The entries below a table. */
export function below(settings: Iterable<Setting>, path: readonly string[]): Setting[] {
  return [...settings].filter((setting) => setting.path.length > path.length && path.every((part, i) => setting.path[i] === part));
}

export function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function inFile(setting: Setting | undefined): boolean {
  return setting?.source.kind === "file";
}

export function useDraft() {
  const drafts = reactive(new Map<string, Draft>());

  return {
    drafts,
    count: computed(() => drafts.size),
    of: (field: Field): Draft | undefined => drafts.get(field.id),
    /** Takes a value, unless it is the one in force. */
    set(field: Field, value: unknown, now: Setting | undefined): void {
      if (now !== undefined && same(now.value, value)) drafts.delete(field.id);
      else drafts.set(field.id, { field, gone: false, value });
    },
    /** The default is to hold. */
    remove(field: Field, now: Setting | undefined, given = inFile(now)): void {
      if (given) drafts.set(field.id, { field, gone: true });
      else drafts.delete(field.id);
    },
    undo: (field: Field) => drafts.delete(field.id),
    clear: () => drafts.clear(),
  };
}

export type DraftStore = ReturnType<typeof useDraft>;
export const DRAFT: InjectionKey<DraftStore> = Symbol("draft");

/** A table's entries as changes: only what differs, so that secrets which are not known stay. */
function entries(field: Field, wanted: Record<string, unknown>, values: Values): Wanted[] {
  const now = new Set(below(values.values(), field.path).map(({ path }) => path[field.path.length] ?? ""));
  if (Object.keys(wanted).length === 0) return [{ do: "remove", path: field.path }];
  if (now.size === 0) return [{ do: "set", path: field.path, value: wanted }];
  const changes: Wanted[] = [...now].filter((key) => !(key in wanted)).map((key) => ({ do: "remove", path: [...field.path, key] }));
  for (const [key, value] of Object.entries(wanted)) {
    if (value === null) continue;
    const path = [...field.path, key];
    if (field.kind === "tokens" && now.has(key)) {
      const { role } = value as TokenValue[string];
      if (values.get(keyText([...path, "role"]))?.value !== role) changes.push({ do: "set", path: [...path, "role"], value: role });
    } else {
      changes.push({ do: "set", path, value });
    }
  }
  return changes;
}

/** The drafts as an edit of the file. */
export function changes(drafts: Iterable<Draft>, values: Values): Wanted[] {
  const wanted: Wanted[] = [];
  const groups = new Map<string, Draft[]>();
  for (const draft of drafts) {
    const { field } = draft;
    if (field.group !== null) {
      const id = keyText(field.group);
      groups.set(id, [...(groups.get(id) ?? []), draft]);
    } else if (draft.gone) {
      wanted.push({ do: "remove", path: field.path });
    } else if (field.kind === "map" || field.kind === "tokens") {
      wanted.push(...entries(field, draft.value as Record<string, unknown>, values));
    } else {
      wanted.push({ do: "set", path: field.path, value: draft.value });
    }
  }
  for (const own of groups.values()) wanted.push(...grouped(own, values));
  return wanted;
}

/** A table within a table comes and goes as a whole. */
function grouped(drafts: Draft[], values: Values): Wanted[] {
  const group = drafts[0]?.field.group ?? [];
  const given = below(values.values(), group).filter(inFile);
  const sets = drafts.flatMap((draft) => (draft.gone ? [] : [draft]));
  if (given.length === 0) {
    const value = Object.fromEntries(sets.map(({ field, value }) => [field.path.at(-1) ?? "", value]));
    return sets.length === 0 ? [] : [{ do: "set", path: group, value }];
  }
  const gone = new Set(drafts.filter(({ gone }) => gone).map(({ field }) => field.id));
  if (sets.length === 0 && given.every(({ path }) => gone.has(keyText(path)))) return [{ do: "remove", path: group }];
  return drafts.map((draft) => (draft.gone ? { do: "remove", path: draft.field.path } : { do: "set", path: draft.field.path, value: draft.value }));
}

/** The drafts of a new entry as its values. */
export function entryValues(drafts: Iterable<Draft>, depth: number): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const draft of drafts) {
    if (draft.gone) continue;
    const path = draft.field.path.slice(depth);
    let at = values;
    for (const part of path.slice(0, -1)) at = (at[part] ??= {}) as Record<string, unknown>;
    const last = path.at(-1);
    if (last !== undefined) at[last] = draft.value;
  }
  return values;
}

/** Shares messages by key out among the settings of a form. A table that is missing is missed where one begins to fill it in. */
export function settingErrors(errors: Readonly<Record<string, string>>, fields: readonly Field[]) {
  const begins = new Map([...fields].reverse().flatMap((field) => (field.group !== null && field.required ? [[keyText(field.group), field.id] as const] : [])));
  const placed = Object.fromEntries(Object.entries(errors).map(([key, message]) => [begins.get(key) ?? key, message]));
  const { at, others } = faultsOf({ ...placed, ...errors }, [...fields.map(({ id }) => id), ...begins.keys()]);
  return { of: (field: Field) => at(field.id), others };
}
