// The words for a setting. English help is the schema's own, so that panel, editor hints and `agp schema` say the same.
import { shallowRef, watchEffect } from "vue";

import { i18n } from "@/i18n";

import type { Field } from "./schema";

interface Text {
  help: string;
  choices?: Record<string, string>;
}

const chinese = shallowRef<Record<string, Text>>({});
let asked = false;
watchEffect(() => {
  if (i18n.global.locale.value !== "zh" || asked) return;
  asked = true;
  void import("./help.zh.json").then((file) => (chinese.value = file.default));
});

function own(key: string): Text | undefined {
  return i18n.global.locale.value === "zh" ? chinese.value[key] : undefined;
}

export function label(field: Field): string {
  const key = `config.label.${field.key}`;
  if (i18n.global.te(key)) return i18n.global.t(key);
  // A setting that is newer than these words.
  const words = (field.path.at(-1) ?? "").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function help(field: Field): string {
  return own(field.key)?.help ?? field.description;
}

export function choiceHelp(field: Field, value: string): string {
  return own(field.key)?.choices?.[value] ?? field.choices.find((choice) => choice.value === value)?.description ?? "";
}

/** A value on a line, for "Default: …". */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
