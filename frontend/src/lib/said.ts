// What the gateway says in sentences of its own, where the API has no code for it: recognised by its form and taken apart, for the panel
// to say it in the reader's language. `null`: not known, so it stays as the gateway says it. Times are as the gateway writes them. Pure.

export type Verdict =
  | { is: "chosen" | "usable" | "excluded" | "not_for_key" | "not_enabled" | "not_its_model" | "person" | "full" | "paused" | "needs_login" | "needs_verification" }
  | { is: "cooling"; until: string; class: string | null }
  | { is: "no_quota" | "model_cooling"; until: string }
  | { is: "disabled"; why: string };

const VERDICTS: Record<string, Verdict> = {
  chosen: { is: "chosen" },
  usable: { is: "usable" },
  "not for this key": { is: "not_for_key" },
  "paused: `enabled = false` in the file": { is: "not_enabled" },
  "its `models` leave this model out": { is: "not_its_model" },
  "not for this request": { is: "excluded" },
  "waits for a person": { is: "person" },
  "all slots taken": { is: "full" },
  "paused by a person": { is: "paused" },
  "needs_login: its sign-in is refused": { is: "needs_login" },
  "needs_verification: the provider wants to see a person": { is: "needs_verification" },
};

/** Why an account was used for a request or not. */
export function verdict(text: string): Verdict | null {
  const cooling = /^cooling until (\S+)(?: \((\w+)\))?$/.exec(text);
  if (cooling?.[1] !== undefined) return { is: "cooling", until: cooling[1], class: cooling[2] ?? null };
  const quota = /^no quota left until (\S+)$/.exec(text);
  if (quota?.[1] !== undefined) return { is: "no_quota", until: quota[1] };
  const model = /^the model cools until (\S+)$/.exec(text);
  if (model?.[1] !== undefined) return { is: "model_cooling", until: model[1] };
  const disabled = /^disabled: (.+)$/s.exec(text);
  if (disabled?.[1] !== undefined) return { is: "disabled", why: disabled[1] };
  return Object.hasOwn(VERDICTS, text) ? (VERDICTS[text] ?? null) : null;
}

/** Why an account is out of service. */
export function disabledBy(reason: string): "closed" | "refused" | "refused_again" | null {
  switch (reason) {
    case "closed by the provider":
      return "closed";
    case "refused three times in a row":
      return "refused";
    case "refused again on its trial":
      return "refused_again";
    default:
      return null;
  }
}

/** The reason and the begin that `account NAME: REASON (since TIME)` tells. */
export function ofAccount(message: string): { reason: string; since: string | null } | null {
  const parts = /^account `[^`]*`: (.+?)(?: \(since (\S+)\))?$/s.exec(message);
  return parts?.[1] === undefined ? null : { reason: parts[1], since: parts[2] ?? null };
}

/** What is used of a budget, in dollars as they are written, and when it begins anew. */
export function ofBudget(message: string, step: string): { used: string; bound: string; per: "day" | "month"; until: string } | null {
  const parts = / has used (\$[\d.,]+) of (\$[\d.,]+) a (day|month)$/.exec(message);
  const until = / wait until (\S+)$/.exec(step)?.[1];
  if (parts?.[1] === undefined || parts[2] === undefined || until === undefined) return null;
  return { used: parts[1], bound: parts[2], per: parts[3] === "day" ? "day" : "month", until };
}

/** Which store can't be written, since when and why. */
export function ofStore(message: string): { file: "log" | "state"; since: string; error: string } | null {
  const parts = /^the (log|state) can't be written since (\S+): (.*)$/s.exec(message);
  if (parts?.[2] === undefined || parts[3] === undefined) return null;
  return { file: parts[1] === "log" ? "log" : "state", since: parts[2], error: parts[3] };
}

/** The setting that waits for a restart. */
export function ofRestart(message: string): string | null {
  return /^`([^`]+)` takes effect after a restart$/.exec(message)?.[1] ?? null;
}

/** Why the files differ from what runs. */
export function ofDrift(message: string): "refused" | "waiting" | "unread" | null {
  switch (/^the files differ from what runs: (.*)$/.exec(message)?.[1]) {
    case "refused":
      return "refused";
    case "waiting for an included file":
      return "waiting";
    case "not read yet":
      return "unread";
    default:
      return null;
  }
}

export type Refresh =
  | { is: "done"; renewed: boolean; until: string | null; project: string | null; tier: string | null; models: number | null }
  | { is: "not_asked"; state: string }
  | { is: "failed"; class: string; why: string };

/** What came of asking an account's upstream. */
export function refresh(message: string): Refresh | null {
  const done = /^token (renewed|still good)(?: until (\S+?))?(?:, project (.+?))?(?:, tier (.+?))?(?:, (\d+) models)?$/.exec(message);
  if (done) {
    const [, token, until, project, tier, models] = done as (string | undefined)[];
    const part = (text: string | undefined) => text ?? null;
    return { is: "done", renewed: token === "renewed", until: part(until), project: part(project), tier: part(tier), models: models === undefined ? null : Number(models) };
  }
  const state = /^not asked, since it is (\w+): /.exec(message)?.[1];
  if (state !== undefined) return { is: "not_asked", state };
  const failed = /^([a-z_]+): (.+)$/s.exec(message);
  return failed?.[1] === undefined || failed[2] === undefined ? null : { is: "failed", class: failed[1], why: failed[2] };
}
