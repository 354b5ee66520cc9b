// What came of asking an account's upstream, in the reader's language.
import { className, locale, t } from "@/i18n";
import { moment } from "@/lib/format";
import { refresh } from "@/lib/said";

import { stateName } from "./accounts";

/** Of one account of a job; empty where nothing came yet. The provider's own words stay as they are. */
export function resultText(message: string | null): string {
  const known = message === null ? null : refresh(message);
  switch (known?.is) {
    case undefined:
      return message ?? "";
    case "not_asked":
      return t("accounts.job.said.not_asked", { state: stateName(known.state) });
    case "failed":
      return `${className(known.class)}: ${known.why}`;
    case "done":
      return [
        t(known.renewed ? "accounts.job.said.renewed" : "accounts.job.said.still_good"),
        known.until === null ? "" : t("accounts.job.said.until", { at: moment(Date.parse(known.until), locale.value) }),
        known.project === null ? "" : t("accounts.job.said.project", { name: known.project }),
        known.tier === null ? "" : t("accounts.job.said.tier", { name: known.tier }),
        known.models === null ? "" : t("accounts.job.said.models", { n: known.models }, known.models),
      ]
        .filter(Boolean)
        .join(" · ");
  }
}
