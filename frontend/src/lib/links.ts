// Addresses from elsewhere. Pure.

/** The address, where it is one of the web: what comes from a provider's answer may be anything. */
export function webLink(text: string | null | undefined): string | null {
  if (!text || !URL.canParse(text)) return null;
  const { protocol, href } = new URL(text);
  return protocol === "http:" || protocol === "https:" ? href : null;
}
