// A line of TOML in parts: what it is, and what was found in it. Only for looking at; the gateway reads the file.

export type Severity = "error" | "warning" | "note";

export interface Mark {
  severity: Severity;
  /** In characters from 0; `to` is the one behind the end. */
  from: number;
  to: number;
}

export interface Part {
  text: string;
  kind: "plain" | "comment" | "header" | "key" | "string";
  severity: Severity | null;
}

interface Piece {
  kind: Part["kind"];
  from: number;
  to: number;
}

function pieces(line: string): Piece[] {
  const header = /^\s*\[[^#]*/.exec(line);
  const key = /^\s*(?:[\w.-]|"[^"]*"|'[^']*')+(?=\s*=)/.exec(line);
  const found: Piece[] = [];
  let at = 0;
  if (header) found.push({ kind: "header", from: 0, to: (at = header[0].length) });
  else if (key) found.push({ kind: "key", from: 0, to: (at = key[0].length) });
  for (const match of line.slice(at).matchAll(/"(?:\\.|[^"\\])*"|'[^']*'|#.*$/g)) {
    const from = at + match.index;
    found.push({ kind: match[0].startsWith("#") ? "comment" : "string", from, to: from + match[0].length });
  }
  return found;
}

const WORST: Record<Severity, number> = { error: 3, warning: 2, note: 1 };

export function parts(line: string, marks: readonly Mark[]): Part[] {
  // Columns count characters, and some take two of JavaScript's units.
  const chars = Array.from(line);
  const wide = chars.length !== line.length;
  const unit = wide ? (column: number) => chars.slice(0, column).join("").length : (column: number) => column;
  const found = pieces(line);
  const own = marks.map((mark) => {
    const from = unit(mark.from);
    // A masked value is shorter than what the columns were counted in.
    const masked = found.find((piece) => piece.from === from && line.slice(piece.from, piece.to).includes("••••"));
    return { ...mark, from, to: masked?.to ?? unit(Math.max(mark.to, mark.from + 1)) };
  });
  const cuts = new Set([0, line.length]);
  for (const { from, to } of [...found, ...own]) for (const cut of [from, to]) if (cut < line.length) cuts.add(cut);
  const sorted = [...cuts].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((from, i) => {
    const to = sorted[i + 1] ?? line.length;
    const over = own.filter((mark) => mark.from <= from && mark.to >= to).sort((a, b) => WORST[b.severity] - WORST[a.severity]);
    return {
      text: line.slice(from, to),
      kind: found.find((piece) => piece.from <= from && piece.to >= to)?.kind ?? "plain",
      severity: over[0]?.severity ?? null,
    };
  });
}
