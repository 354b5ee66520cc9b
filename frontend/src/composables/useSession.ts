import { computed, readonly, ref } from "vue";

import { api, ApiError, call, session as hooks } from "@/api/client";
import type { LoginInfo, Session } from "@/api/types";

const current = ref<Session | null>(null);
const left: (() => void)[] = [];
let asking: Promise<boolean> | null = null;
/** Signing in or out in one tab holds for all. */
const others = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("agp-session");

function take(session: Session | null): void {
  const before = current.value;
  current.value = session;
  hooks.csrf = session?.csrf ?? null;
  if (before !== null && session === null) for (const run of left) run();
}

/** Asks the gateway whether there is a session; several questions at once are one. Throws where there is no answer. */
function renew(): Promise<boolean> {
  asking ??= (async () => {
    try {
      take(await call(api.GET("/session")));
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        take(null);
        return false;
      }
      throw error;
    } finally {
      asking = null;
    }
  })();
  return asking;
}

hooks.renew = renew;

others?.addEventListener("message", (event: MessageEvent<unknown>) => {
  if (event.data === "out") take(null);
});

async function signIn(password: string, remember: boolean): Promise<void> {
  take((await call(api.POST("/login", { body: { password, remember } }))).session);
}

/** Also where the gateway doesn't answer any more: then the cookie ends by its age. */
async function signOut(): Promise<void> {
  try {
    await call(api.POST("/logout"));
  } finally {
    take(null);
    others?.postMessage("out");
  }
}

/** Who is signed in. */
export function useSession() {
  return {
    session: readonly(current),
    signedIn: computed(() => current.value !== null),
    /** Whether writes are allowed; editors hide or disable what isn't. */
    canWrite: computed(() => current.value?.role === "write"),
    renew,
    signIn,
    signOut,
    info: (): Promise<LoginInfo> => call(api.GET("/login")),
    /** Runs when a session ends, by whatever cause. */
    onEnd: (run: () => void) => left.push(run),
  };
}
