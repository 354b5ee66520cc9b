import { readonly, ref } from "vue";

const query = matchMedia("(max-width: 720px)");
const phone = ref(query.matches);
query.addEventListener("change", (event) => (phone.value = event.matches));

/** Whether the window is as narrow as a phone; the same border as in the style sheets. */
export function usePhone() {
  return readonly(phone);
}
