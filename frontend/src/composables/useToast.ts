import { ref } from "vue";

export type ToastKind = "good" | "info" | "warn" | "bad";

export interface Toast {
  id: number;
  kind: ToastKind;
  text: string;
  action?: { label: string; run: () => void };
}

const toasts = ref<Toast[]>([]);
let last = 0;

function show(kind: ToastKind, text: string, action?: Toast["action"]): void {
  last += 1;
  toasts.value = [...toasts.value.slice(-3), { id: last, kind, text, ...(action ? { action } : {}) }];
}

function close(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Short messages at the edge, read out by screen readers. Errors of a field belong to the field instead. */
export function useToast() {
  return {
    toasts,
    close,
    good: (text: string, action?: Toast["action"]) => show("good", text, action),
    info: (text: string, action?: Toast["action"]) => show("info", text, action),
    warn: (text: string, action?: Toast["action"]) => show("warn", text, action),
    bad: (text: string, action?: Toast["action"]) => show("bad", text, action),
  };
}
