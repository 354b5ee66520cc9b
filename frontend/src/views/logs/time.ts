import { computed } from "vue";

import { locale } from "@/i18n";

// Made once: making a formatter costs more than a row.
const short = computed(
  () =>
    new Intl.DateTimeFormat(locale.value, {
      month: locale.value === "en" ? "short" : "numeric",
      day: "numeric",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
    }),
);

/** Date and time of a row, in the reader's zone. */
export function rowTime(at: string): string {
  return short.value.format(Date.parse(at));
}
