import { useMedia } from "./useMedia";

/** Whether the window is as narrow as a phone; the same border as in the style sheets. */
export const usePhone = () => useMedia("(max-width: 720px)");
