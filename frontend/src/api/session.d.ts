// The open operations around sessions, for as long as the OpenAPI document lacks them: what it has, wins (client.ts).
interface Json<T> {
  headers: Record<string, unknown>;
  content: { "application/json": T };
}

interface None {
  query?: never;
  header?: never;
  path?: never;
  cookie?: never;
}

interface Session {
  name: string;
  role: "read" | "write";
  how: "session" | "token" | "socket";
  csrf: string | null;
  expires: string | null;
  remembered: boolean;
}

export interface SessionPaths {
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
}
