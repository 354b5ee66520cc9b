import { api, asApiError, call } from "@/api/client";
import { t } from "@/i18n";

/** A sentence for a person, of whatever was thrown. */
export function errorText(error: unknown): string {
  const known = asApiError(error);
  if (known.offline) return t("common.error.offline");
  if (known.status === 403) return t("common.error.forbidden");
  if (known.status === 429 && known.retryAfter !== null) return t("common.error.wait", { n: known.retryAfter }, known.retryAfter);
  return known.message;
}

/** The typed client: `const { api, call } = useApi(); useQuery({ queryFn: () => call(api.GET("/status")) })`. */
export function useApi() {
  return { api, call, errorText };
}
