import { Activity, FlaskConical, KeyRound, LayoutDashboard, ScrollText, Settings2, Users } from "@lucide/vue";

/** The entries of sidebar and bottom bar. `phone`: in the bar itself, the others behind "More". */
export const NAV = [
  { to: "/", label: "shell.nav.overview", icon: LayoutDashboard, phone: true },
  { to: "/accounts", label: "shell.nav.accounts", icon: Users, phone: true },
  { to: "/keys", label: "shell.nav.keys", icon: KeyRound, phone: true },
  { to: "/models", label: "shell.nav.models", icon: Activity, phone: false },
  { to: "/logs", label: "shell.nav.logs", icon: ScrollText, phone: true },
  { to: "/playground", label: "shell.nav.playground", icon: FlaskConical, phone: false },
  { to: "/config", label: "shell.nav.config", icon: Settings2, phone: false },
] as const;

/** Whether an entry is the one for this path. */
export function current(to: string, path: string): boolean {
  return to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`);
}
