// What accounts are called, coloured and asked for, wherever they are shown. The gateway's own words are English; where it
// names a state or a kind of refusal, the panel says it in the reader's language.
import type { Tone } from "@/components/Badge.vue";
import type { Edited, Schema } from "@/api/types";
import { className, t } from "@/i18n";
import { webLink } from "@/lib/links";
import { disabledBy } from "@/lib/said";

export type Account = Schema["Account"];
export type Quota = Schema["Quota"];
export type AddedAccount = Omit<Schema["AddedAccount"], "edited"> & { edited: Edited };
export type AddedAccounts = Omit<Schema["AddedAccounts"], "edited"> & { edited: Edited | null };

export const STATES = ["active", "cooling", "exhausted", "needs_login", "needs_verification", "disabled", "paused"] as const;
export type State = (typeof STATES)[number];
/** Those that end by a person's hand only. */
export const WAITING: readonly State[] = ["needs_login", "needs_verification", "disabled"];
/** Those that end by themselves. */
export const RESTING: readonly State[] = ["cooling", "exhausted"];

const TONES: Record<State, Tone> = {
  active: "good",
  cooling: "warn",
  exhausted: "warn",
  needs_login: "bad",
  needs_verification: "bad",
  disabled: "bad",
  paused: "idle",
};

const known = (state: string): state is State => (STATES as readonly string[]).includes(state);

export function stateTone(state: string): Tone {
  return known(state) ? TONES[state] : "idle";
}

export function stateName(state: string): string {
  return known(state) ? t(`accounts.state.${state}`) : state;
}

/** Why it is in its state; empty where there is nothing to say. */
export function reasonText(account: Account): string {
  if (!account.enabled) return t("accounts.reason.not_enabled");
  switch (account.state) {
    case "paused":
      return t("accounts.reason.paused");
    case "needs_login":
      return t("accounts.reason.needs_login");
    case "needs_verification":
      return t("accounts.reason.needs_verification");
    case "exhausted":
      return t("accounts.reason.exhausted");
    case "cooling":
      return account.class ? t("accounts.reason.cooling", { why: className(account.class) }) : (account.reason ?? "");
    case "active":
      if (account.reason?.startsWith("on trial")) return t("accounts.reason.trial");
      if (account.models.length > 0) return t("accounts.reason.some_closed", { n: account.models.length }, account.models.length);
      return account.reason ?? "";
    case "disabled":
      return disabledReason(account.reason ?? "");
    default:
      return account.reason ?? "";
  }
}

/** Why it is out of service. */
export function disabledReason(reason: string): string {
  const why = disabledBy(reason);
  return why === null ? reason : t(`accounts.disabled.${why}`);
}

export type Step = "signin" | "verify" | "release" | "resume" | "enable";

/** What a person can do about its state, if anything. */
export function nextStep(account: Account): Step | null {
  if (!account.enabled) return "enable";
  switch (account.state) {
    case "paused":
      return "resume";
    case "needs_login":
      return "signin";
    case "needs_verification":
      return webLink(account.link) ? "verify" : "release";
    case "disabled":
    case "cooling":
      return "release";
    default:
      return null;
  }
}

/** What follows of itself, or what a person should do, in a sentence. */
export function stepText(account: Account): string {
  if (!account.enabled) return t("accounts.step.enable");
  return known(account.state) && account.state !== "active" ? t(`accounts.step.${account.state}`) : "";
}

/** Whether something of it rests that a release would end. */
export function rests(account: Account): boolean {
  return account.enabled && (account.cooling_until !== null || account.models.some(({ class: why }) => why !== null));
}

/** Least left first; what is not known stands last. */
export function worstFirst(quotas: readonly Quota[]): Quota[] {
  return [...quotas].sort(
    (a, b) => (a.remaining ?? 2) - (b.remaining ?? 2) || a.model.localeCompare(b.model, undefined, { numeric: true }),
  );
}

export function tokenState(account: Account, now: number): "none" | "valid" | "expired" {
  if (!account.token_until) return "none";
  return Date.parse(account.token_until) > now ? "valid" : "expired";
}

export const TOKEN_TONES: Record<ReturnType<typeof tokenState>, Tone> = { none: "idle", valid: "good", expired: "warn" };
