import { api, asApiError, call } from "@/api/client";
import { t } from "@/i18n";

/** A sentence for a person, of whatever was thrown: the panel's, where the status says all, else the gateway's. */
export function errorText(error: unknown): string {
  const known = asApiError(error);
  if (known.offline) return t("common.error.offline");
  if (known.status === 403) return t("common.error.forbidden");
  if (known.status === 429 && known.retryAfter !== null) return t("common.error.wait", { n: known.retryAfter }, known.retryAfter);
  if (known.status === 401 && known.fields.length === 0) return t("common.error.signed_out");
  if (known.status === 409 && known.present?.revision !== undefined) return t("common.error.moved");
  if (known.status === 413 && known.fields.length === 0) return t("common.error.too_large");
  if (known.status === 500) return t("common.error.failed");
  return known.message;
}

/** The typed client: `const { api, call } = useApi(); useQuery({ queryFn: () => call(api.GET("/status")) })`. */
export function useApi() {
  return { api, call, errorText };
}
