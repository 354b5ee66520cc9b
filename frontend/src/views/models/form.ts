// A public model between the form, the API and the file's keys.
import type { Schema } from "@/api/types";
import { difference, type Wanted } from "@/views/keys/limits";

export type Model = Schema["Model"];
export const LEVELS = ["minimal", "low", "medium", "high", "xhigh", "max"] as const;
export const FAMILIES = ["gemini25", "gemini3", "claude", "gpt-oss", "image"] as const;
export const STRATEGIES = ["weighted", "round_robin", "random", "least_busy", "fill_first"] as const;
type Level = (typeof LEVELS)[number];
/** The fields of the form, under the file's names. */
export const MODEL_FIELDS = [
  ...["route", "display_name", "strategy", "aliases", "thinking", "thinking.budget", "thinking.level", "family", "context", "max_output"],
  ...["price", "price.input", "price.output", "price.cached_input"],
];

export interface ModelForm {
  name: string;
  display_name: string;
  route: string[];
  aliases: string[];
  /** Empty: routing's. */
  strategy: string;
  thinking: "client" | "off" | "budget" | "level";
  budget: number | null;
  level: Level;
  /** Empty: by the id. */
  family: string;
  context: number | null;
  max_output: number | null;
  input: number | null;
  output: number | null;
  cached_input: number | null;
}

export const stepName = (step: { upstream: string; model: string }) => `${step.upstream}/${step.model}`;

const isLevel = (text: unknown): text is Level => LEVELS.some((level) => level === text);

export function modelForm(model?: Model): ModelForm {
  const thinking: unknown = model?.thinking;
  const table = typeof thinking === "object" && thinking !== null ? (thinking as { budget?: unknown; level?: unknown }) : {};
  return {
    name: model?.name ?? "",
    display_name: model?.display_name ?? "",
    route: (model?.route ?? []).map(stepName),
    aliases: [...(model?.aliases ?? [])],
    strategy: model?.strategy ?? "",
    thinking: thinking === "off" ? "off" : table.budget !== undefined ? "budget" : table.level !== undefined ? "level" : "client",
    budget: typeof table.budget === "number" ? table.budget : null,
    level: isLevel(table.level) ? table.level : "medium",
    family: model?.family ?? "",
    context: model?.context ?? null,
    max_output: model?.max_output ?? null,
    input: model?.price?.input ?? null,
    output: model?.price?.output ?? null,
    // Where the file gives none it costs as all input does, and goes on following that.
    cached_input: model?.price && model.price.cached_input !== model.price.input ? model.price.cached_input : null,
  };
}

/** The file's values; what is missing is not given. */
function values(form: ModelForm): Map<string, unknown> {
  const map = new Map<string, unknown>([["route", form.route]]);
  if (form.aliases.length > 0) map.set("aliases", form.aliases);
  if (form.strategy !== "") map.set("strategy", form.strategy);
  if (form.thinking === "off") map.set("thinking", "off");
  if (form.thinking === "budget" && form.budget !== null) map.set("thinking", { budget: form.budget });
  if (form.thinking === "level") map.set("thinking", { level: form.level });
  if (form.family !== "") map.set("family", form.family);
  if (form.display_name.trim() !== "") map.set("display_name", form.display_name.trim());
  if (form.context !== null) map.set("context", form.context);
  if (form.max_output !== null) map.set("max_output", form.max_output);
  if (form.input !== null || form.output !== null) {
    const { input, output, cached_input } = form;
    map.set("price", { input: input ?? 0, output: output ?? 0, ...(cached_input === null ? {} : { cached_input }) });
  }
  return map;
}

export function addModel(form: ModelForm): Wanted[] {
  return [{ do: "add", section: "models", name: form.name.trim(), values: Object.fromEntries(values(form)) }];
}

/**
 * What must change in the file for a model to be as the form says. One that an upstream lists gets a table, with its route and
 * what differs from the upstream's list, so that the rest goes on following that.
 */
export function modelChanges(model: Model, form: ModelForm): Wanted[] {
  const before = values(modelForm(model));
  const after = values(form);
  const path = ["models", model.name];
  const changes = difference(path, before, after);
  if (model.in_file || changes.length === 0) return changes;
  const own = [...after].filter(([name, value]) => name === "route" || JSON.stringify(before.get(name)) !== JSON.stringify(value));
  return [{ do: "add", section: "models", name: model.name, values: Object.fromEntries(own) }];
}
