import "./style/index.css";

import { QueryClient, VueQueryPlugin } from "@tanstack/vue-query";
import { createApp } from "vue";

import { asApiError } from "@/api/client";

import App from "./App.vue";
import { firstLanguage, i18n } from "./i18n";
import { router } from "./router";

const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The event stream says what is old; nothing polls.
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      networkMode: "always",
      retry: (failures, error) => {
        const { status } = asApiError(error);
        return failures < 2 && (status === 0 || status >= 500);
      },
      retryDelay: (failures) => 400 * 2 ** failures,
    },
    mutations: { networkMode: "always" },
  },
});

await firstLanguage();
createApp(App).use(i18n).use(VueQueryPlugin, { queryClient }).use(router).mount("#app");
