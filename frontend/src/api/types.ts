// Shapes that many views share, in the words of the admin API. `Schema["Account"]` is any of its types.
import type { Paths } from "./client";
import type { components } from "./schema";

export type Schema = components["schemas"];

export type Session = Paths["/session"]["get"]["responses"][200]["content"]["application/json"];
export type LoginInfo = Paths["/login"]["get"]["responses"][200]["content"]["application/json"];

export type Edited = Schema["Edited"];
export type Plan = Schema["Plan"];
export type Risk = Schema["Risk"];
export type Job = Schema["Job"];

/** Data of the event stream, by the event's name. */
export type Events = { [E in Schema["Event"] as E["event"]]: E["data"] };
