// A unified diff, taken apart for showing.

export interface DiffLine {
  kind: "file" | "hunk" | "add" | "del" | "same";
  text: string;
  before: number | null;
  after: number | null;
}

/** The lines of a unified diff, numbered. */
export function parseDiff(text: string): DiffLine[] {
  const lines: DiffLine[] = [];
  let before = 0;
  let after = 0;
  let inside = false;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
    if (hunk) {
      before = Number(hunk[1]);
      after = Number(hunk[2]);
      inside = true;
      lines.push({ kind: "hunk", text: line, before: null, after: null });
    } else if (!inside || /^(diff |index |--- |\+\+\+ )/.test(line)) {
      if (/^(diff |--- )/.test(line)) inside = false;
      if (line !== "") lines.push({ kind: "file", text: line, before: null, after: null });
    } else if (line.startsWith("+")) {
      lines.push({ kind: "add", text: line.slice(1), before: null, after: after++ });
    } else if (line.startsWith("-")) {
      lines.push({ kind: "del", text: line.slice(1), before: before++, after: null });
    } else if (!line.startsWith("\\")) {
      lines.push({ kind: "same", text: line.slice(1), before: before++, after: after++ });
    }
  }
  return lines;
}
