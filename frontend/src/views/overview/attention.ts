// What a person can do at once about each thing that needs one. Pure.
import type { RouteLocationRaw } from "vue-router";

import type { Schema } from "@/api/types";
import { webLink } from "@/lib/links";

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
