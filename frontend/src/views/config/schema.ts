// The form's fields, made from the file's JSON Schema. Pure.
import { keyText } from "@/lib/faults";

export interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  type?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  patternProperties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  const?: unknown;
  required?: string[];
  description?: string;
  default?: unknown;
  examples?: unknown[];
  minimum?: number;
  maximum?: number;
  pattern?: string;
}

export type Kind =
  | "boolean"
  | "integer"
  | "choice"
  | "duration"
  | "size"
  | "secret"
  | "hash"
  | "list"
  | "map"
  | "tokens"
  | "text";

export interface Choice {
  value: string;
  description: string;
}

/** One setting of the form. */
export interface Field {
  /** Its key's path, as edits take it. */
  path: string[];
  /** The same as the file writes it: "routing.max_queue". */
  id: string;
  /** The part of the path that texts are found by: without the name of a named table. */
  key: string;
  kind: Kind;
  description: string;
  /** `undefined` where there is none. */
  default: unknown;
  example: unknown;
  min: number | undefined;
  max: number | undefined;
  choices: Choice[];
  /** The optional table around it, such as `server.tls`. */
  group: string[] | null;
  /** Whether its table can't do without it. */
  required: boolean;
}

export interface Section {
  name: string;
  description: string;
  fields: Field[];
}

/** The sections of the form, what is asked for most first. */
export const SECTIONS = ["routing", "server", "admin", "state", "log", "openai", "fetch", "secrets"];

function resolver(root: JsonSchema) {
  return (node: JsonSchema): { node: JsonSchema; name: string } => {
    const name = node.$ref?.split("/").at(-1) ?? "";
    return { node: { ...root.$defs?.[name], ...node }, name };
  };
}

const BY_NAME: Record<string, Kind> = { Dur: "duration", Positive: "duration", Size: "size", Secret: "secret", PasswordHash: "hash" };

function kindOf(node: JsonSchema, name: string): Kind {
  const named = BY_NAME[name];
  if (named !== undefined) return named;
  if (node.oneOf?.every((one) => typeof one.const === "string")) return "choice";
  if (node.type === "boolean") return "boolean";
  if (node.type === "integer") return "integer";
  if (node.type === "array") return "list";
  if (node.type === "object") {
    const inner = typeof node.additionalProperties === "object" ? node.additionalProperties : undefined;
    return inner?.$ref?.endsWith("/Token") ? "tokens" : "map";
  }
  return "text";
}

function entry(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

/** The fields of a table; `path` leads to it, `key` is the same without the name of a named table. */
function fieldsOf(root: JsonSchema, table: JsonSchema, path: string[], key: string[], group: string[] | null = null): Field[] {
  const resolve = resolver(root);
  return Object.entries(table.properties ?? {}).flatMap(([own, child]) => {
    const { node, name } = resolve(child);
    const at = [...path, own];
    if (node.properties !== undefined) {
      const inner = fieldsOf(root, node, at, [...key, own], at);
      return inner.map((field) => ({ ...field, default: field.default ?? entry(node.default, own === field.path.at(-2) ? (field.path.at(-1) ?? "") : "") }));
    }
    // A list's item says what one looks like.
    const item = node.items === undefined ? undefined : resolve(node.items).node.examples?.[0];
    return [
      {
        path: at,
        id: keyText(at),
        key: [...key, own].join("."),
        kind: kindOf(node, name),
        description: node.description ?? "",
        default: node.default,
        example: node.examples?.[0] ?? item,
        min: node.minimum,
        max: node.maximum,
        choices: (node.oneOf ?? []).map((one) => ({ value: String(one.const), description: one.description ?? "" })),
        group,
        required: (table.required ?? []).includes(own),
      },
    ];
  });
}

/** The settings outside of named tables. */
export function sections(root: JsonSchema): Section[] {
  const resolve = resolver(root);
  return SECTIONS.flatMap((name) => {
    const child = root.properties?.[name];
    if (child === undefined) return [];
    const { node } = resolve(child);
    return [{ name, description: child.description ?? "", fields: fieldsOf(root, node, [name], [name]) }];
  });
}

/** The settings of an entry of a named table, such as `upstreams.antigravity`. */
export function entryFields(root: JsonSchema, table: string, name: string): Field[] {
  const inner = root.properties?.[table]?.additionalProperties;
  if (typeof inner !== "object") return [];
  return fieldsOf(root, resolver(root)(inner).node, [table, name], [table]);
}
