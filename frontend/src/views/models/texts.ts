import { locale, t } from "@/i18n";
import { whole } from "@/lib/format";

import { LEVELS } from "./form";

/** Thinking where the client says nothing, in words. */
export function thinkingText(thinking: unknown): string {
  if (thinking === "off") return t("models.thinking.off");
  if (typeof thinking !== "object" || thinking === null) return t("models.thinking.client");
  const { budget, level } = thinking as { budget?: unknown; level?: unknown };
  if (typeof budget === "number") return t("models.thinking.budget_of", { n: whole(budget, locale.value) });
  const known = LEVELS.find((name) => name === level);
  return known ? t(`models.level.${known}`) : t("models.thinking.client");
}
