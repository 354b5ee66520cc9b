// A request's explanation in the reader's language.
import { className, locale, t } from "@/i18n";
import { moment } from "@/lib/format";
import { verdict } from "@/lib/said";
import { disabledReason } from "@/views/accounts/accounts";

/** Why an account was used or not; the gateway's own words where the panel doesn't know them. */
export function verdictText(text: string): string {
  const known = verdict(text);
  if (known === null) return text;
  const at = (time: string) => moment(Date.parse(time), locale.value);
  switch (known.is) {
    case "cooling":
      return known.class === null
        ? t("logs.verdicts.is.cooling", { at: at(known.until) })
        : t("logs.verdicts.is.cooling_class", { at: at(known.until), why: className(known.class) });
    case "no_quota":
    case "model_cooling":
      return t(`logs.verdicts.is.${known.is}`, { at: at(known.until) });
    case "disabled":
      return t("logs.verdicts.is.disabled", { why: disabledReason(known.why) });
    default:
      return t(`logs.verdicts.is.${known.is}`);
  }
}
