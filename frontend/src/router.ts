import { createRouter, createWebHistory, type RouteRecordRaw } from "vue-router";

import { useSession } from "@/composables/useSession";

declare module "vue-router" {
  interface RouteMeta {
    /** Key of the title. */
    title?: string;
    /** Needs no session, and has no shell around it. `any`: also for whoever has one; else that leads to the overview. */
    open?: boolean | "any";
    /** Addresses with the same key are one view that stays. */
    key?: string;
  }
}

// Each view is a chunk of its own.
const routes: RouteRecordRaw[] = [
  { path: "/login", component: () => import("@/views/login/LoginView.vue"), meta: { title: "login.title", open: true } },
  { path: "/", component: () => import("@/views/overview/OverviewView.vue"), meta: { title: "shell.nav.overview" } },
  { path: "/accounts", component: () => import("@/views/accounts/AccountsView.vue"), meta: { title: "shell.nav.accounts" } },
  { path: "/accounts/:name", component: () => import("@/views/accounts/AccountView.vue"), props: true, meta: { title: "shell.nav.accounts" } },
  { path: "/keys", component: () => import("@/views/keys/KeysView.vue"), meta: { title: "shell.nav.keys" } },
  { path: "/models", component: () => import("@/views/models/ModelsView.vue"), meta: { title: "shell.nav.models" } },
  // One view: the list stays as it is while a request is open beside it.
  { path: "/logs/:id?", component: () => import("@/views/logs/LogsView.vue"), props: true, meta: { title: "shell.nav.logs", key: "logs" } },
  { path: "/playground", component: () => import("@/views/playground/PlaygroundView.vue"), meta: { title: "shell.nav.playground" } },
  { path: "/config", component: () => import("@/views/config/ConfigView.vue"), meta: { title: "shell.nav.config" } },
  { path: "/oauth/:state", component: () => import("@/views/oauth/OAuthView.vue"), props: true, meta: { title: "shell.nav.oauth" } },
  { path: "/oauth-callback", component: () => import("@/views/oauth/CallbackView.vue"), meta: { title: "shell.nav.oauth", open: "any" } },
  { path: "/:path(.*)*", component: () => import("@/views/missing/MissingView.vue"), meta: { title: "shell.missing.title" } },
];

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (to, from, saved) => saved ?? ((to.meta.key ?? to.path) === (from.meta.key ?? from.path) ? false : { top: 0 }),
});

router.beforeEach(async (to) => {
  if (to.meta.open === "any") return true;
  const { signedIn, renew } = useSession();
  if (!signedIn.value) {
    try {
      await renew();
    } catch {
      // No answer: the sign-in view says so, and offers to ask again.
    }
  }
  if (to.meta.open) return signedIn.value ? "/" : true;
  return signedIn.value ? true : { path: "/login", query: to.fullPath === "/" ? {} : { next: to.fullPath } };
});

// A chunk that is gone belongs to a panel that was replaced meanwhile: the new one is loaded whole.
router.onError((error: unknown, to) => {
  if (error instanceof TypeError && /module/i.test(error.message)) location.assign(to.fullPath);
});
