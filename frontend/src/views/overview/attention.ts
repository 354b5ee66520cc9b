// What needs a person: in the panel's words, and what can be done at once about it. Pure.
import type { RouteLocationRaw } from "vue-router";

import type { Schema } from "@/api/types";
import { webLink } from "@/lib/links";
import { disabledBy, ofAccount, ofBudget, ofDrift, ofRestart, ofStore } from "@/lib/said";

export type Attention = Schema["Attention"];

/** Where its button leads: a view, the provider's page, or asking again. `label` is the last part of a message's key. */
export type Action =
  | { label: "sign_in" | "account" | "line" | "difference" | "settings" | "budget" | "add_account" | "add_key"; to: RouteLocationRaw }
  | { label: "verify"; href: string }
  | { label: "again" };

/** The action of one thing; `write` is whether the reader may change anything. */
export function action(item: Attention, write: boolean): Action {
  const account = item.account ?? "";
  const open: Action = account === "" ? { label: "account", to: "/accounts" } : { label: "account", to: `/accounts/${encodeURIComponent(account)}` };
  switch (item.kind) {
    case "sign_in":
      return write && account !== "" ? { label: "sign_in", to: { path: "/accounts", query: { signin: account } } } : open;
    case "verify": {
      const href = webLink(item.link);
      return href === null ? open : { label: "verify", href };
    }
    case "account":
      return open;
    case "reload": {
      const { file, line } = item;
      const hash = file ? `#${file}${line ? `:${line}` : ""}` : "";
      return { label: "line", to: { path: "/config", query: { tab: "files" }, hash } };
    }
    case "drift":
      return { label: "difference", to: { path: "/config", query: { tab: "files" } } };
    case "restart":
      return { label: "settings", to: "/config" };
    case "budget":
      return { label: "budget", to: { path: "/keys", query: item.key ? { key: item.key } : item.group ? { tab: "groups" } : {} } };
    case "store":
      return { label: "again" };
    case "no_account":
      return { label: "add_account", to: { path: "/accounts", query: write ? { add: "oauth" } : {} } };
    case "no_key":
      return { label: "add_key", to: { path: "/keys", query: write ? { new: "true" } : {} } };
  }
}

/** A message of the area: the end of its key, and what stands in it. */
interface Phrase {
  key: string;
  values?: Record<string, string>;
}

/** A thing in the panel's words. What the gateway alone can tell, such as a diagnostic, stands in `raw` as it is. */
export interface Told {
  title: Phrase;
  detail: Phrase | null;
  raw: string | null;
  since: string | null;
  step: Phrase | null;
  /** Until when one can wait instead: the step has its place {time}. */
  until: string | null;
}

export function told(item: Attention): Told {
  const { kind, message } = item;
  const place = item.file && item.line ? `${item.file}:${item.line}` : item.file;
  const what = item.account ?? item.key ?? item.group ?? place ?? "";
  const title = what === "" ? { key: `${kind}.some` } : { key: `${kind}.one`, values: { what } };
  const plain: Told = { title, detail: null, raw: null, since: null, step: { key: `${kind}.step` }, until: null };
  /** Not recognised: the gateway's words. */
  const asSaid: Told = { ...plain, raw: message };
  switch (kind) {
    case "sign_in":
    case "verify":
      return { ...plain, detail: { key: `${kind}.detail` }, since: ofAccount(message)?.since ?? null };
    case "account": {
      const found = ofAccount(message);
      const why = found === null ? null : disabledBy(found.reason);
      return { ...plain, detail: why === null ? null : { key: `account.${why}` }, raw: why === null ? (found?.reason ?? message) : null, since: found?.since ?? null };
    }
    case "reload":
      return asSaid;
    case "drift": {
      const why = ofDrift(message);
      return why === null ? { ...asSaid, step: null } : { ...plain, detail: { key: `drift.${why}` }, step: null };
    }
    case "restart": {
      const setting = ofRestart(message);
      return setting === null ? asSaid : { ...plain, title: { key: "restart.one", values: { what: setting } } };
    }
    case "budget": {
      const used = ofBudget(message, item.step ?? "");
      if (used === null) return { ...asSaid, step: null };
      const over = item.urgency === "error" ? { key: "budget.over", values: { what } } : title;
      return { ...plain, title: over, detail: { key: `budget.${used.per}`, values: { used: used.used, bound: used.bound } }, until: used.until };
    }
    case "store": {
      const failing = ofStore(message);
      return failing === null ? asSaid : { ...plain, title: { key: `store.${failing.file}` }, raw: failing.error, since: failing.since };
    }
    case "no_account":
    case "no_key":
      return { ...plain, detail: { key: `${kind}.detail` }, step: null };
  }
}
