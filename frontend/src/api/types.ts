// Shapes that many views share, in the words of the admin API. `Schema["Account"]` is any of its types.
import type { Paths } from "./client";
import type { components } from "./schema";

export type Schema = components["schemas"];

export type Session = Paths["/session"]["get"]["responses"][200]["content"]["application/json"];
export type LoginInfo = Paths["/login"]["get"]["responses"][200]["content"]["application/json"];

// The client's types know no tuples.
export type Plan = Omit<Schema["Plan"], "held"> & { held?: string[][] };
export type Edited = Omit<Schema["Edited"], "plan"> & { plan: Plan | null };
export type Risk = Schema["Risk"];
export type Job = Schema["Job"];

/** Data of the event stream, by the event's name. */
export type Events = { [E in Schema["Event"] as E["event"]]: E["data"] };
