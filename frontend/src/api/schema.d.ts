/* In the form that `npm run api` makes of docs/openapi.json, and replaced by it. */

interface Json<T> {
  headers: Record<string, unknown>;
  content: { "application/json": T };
}

interface Session {
  name: string;
  role: "read" | "write";
  how: "session" | "token" | "socket";
  csrf: string | null;
  expires?: string | null;
  remembered?: boolean;
}

interface Status {
  version: string;
  ready: boolean;
  started?: string;
  listen: string;
  config: {
    generation: number;
    revision: string;
    differs?: string | null;
    errors: string[];
    after_restart: string[];
  };
  store: {
    state: { state: "ok" | "failing"; since?: string; error?: string };
    log: { state: "ok" | "failing"; since?: string; error?: string };
  };
}

interface None {
  query?: never;
  header?: never;
  path?: never;
  cookie?: never;
}

export interface paths {
  "/login": {
    parameters: None;
    get: {
      parameters: None;
      responses: { 200: Json<{ password: boolean; remember_seconds: number | null; version: string }> };
    };
    post: {
      parameters: None;
      requestBody: { content: { "application/json": { password: string; remember: boolean } } };
      responses: { 200: Json<{ session: Session }> };
    };
  };
  "/session": {
    parameters: None;
    get: { parameters: None; responses: { 200: Json<Session> } };
  };
  "/logout": {
    parameters: None;
    post: { parameters: None; responses: { 200: Json<Record<string, never>> } };
  };
  "/status": {
    parameters: None;
    get: { parameters: None; responses: { 200: Json<Status> } };
  };
}
