// Server-sent events of an answer that `EventSource` can't read, since it was asked for by POST.

/** The data of each event, as it comes; `raw` gets the text as it is. */
export async function* events(body: ReadableStream<Uint8Array>, raw: (piece: string) => void): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const piece = done ? decoder.decode() : decoder.decode(value, { stream: true });
      if (piece !== "") raw(piece);
      rest += piece;
      // A CR at the end may be the half of a line's end.
      const lines = rest.split(done ? /\r\n|\n|\r/ : /\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      if (done && rest !== "") lines.push(rest);
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield data.join("\n");
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
        }
      }
      if (done) {
        // What an end without an empty line cut off is an event all the same: it may be the error.
        if (data.length > 0) yield data.join("\n");
        return;
      }
    }
  } finally {
    // Whoever stops reading ends the request, too.
    await reader.cancel().catch(() => undefined);
  }
}
