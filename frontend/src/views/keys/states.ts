import type { Tone } from "@/components/Badge.vue";

import type { Key } from "./limits";

export const STATE_TONES: Record<Key["state"], Tone> = { active: "good", disabled: "idle", expired: "warn" };
