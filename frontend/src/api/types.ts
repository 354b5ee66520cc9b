// Shapes that many views share, in the words of the admin API.
import type { paths } from "./schema";

export type Session = paths["/session"]["get"]["responses"][200]["content"]["application/json"];
export type LoginInfo = paths["/login"]["get"]["responses"][200]["content"]["application/json"];
export type Status = paths["/status"]["get"]["responses"][200]["content"]["application/json"];

export type Risk = "low" | "medium" | "high";

/** What an edit does to one table of the file. */
export interface PlanChange {
  section: string;
  path: string;
  was?: string;
  kind: "added" | "removed" | "changed" | "renamed";
  fields: { field: string; from: string | null; to: string | null; note?: "restart" | "not_in_effect" }[];
  reasons: { risk: Risk; why: string }[];
}

export interface Plan {
  changes: PlanChange[];
  /** What follows elsewhere. */
  effects: { path: string; risk: Risk; why: string }[];
  /** Settings that an environment variable holds, with its name. */
  held?: [string, string][];
}

/** The answer of every operation that edits the file, previewed or done. */
export interface Edited {
  changed: boolean;
  saved: boolean;
  /** Why nothing was saved. */
  why?: string | null;
  diff: string;
  plan?: Plan | null;
  /** In GitOps mode: what to commit, and the command that applies it. */
  patch?: { text: string; command: string } | null;
  revision: string;
  generation?: number;
}
