/** A column of `DataTable`. The slot `cell-KEY` shows it; without one, `value` does. */
export interface Column<Row> {
  key: string;
  /** The heading; empty for actions. */
  label: string;
  /** A track of CSS grid, such as "8rem" or "minmax(10rem, 2fr)"; by default "minmax(6rem, 1fr)". */
  width?: string;
  align?: "end";
  /** Plain text of the cell, and what the table sorts by unless `sortBy` is there. */
  value?: (row: Row) => string | number | null | undefined;
  sortBy?: (row: Row) => string | number | null | undefined;
  sortable?: boolean;
  /** On phones: the head of the card, its foot (actions), or nothing. One column is the title; it also heads the row. */
  card?: "title" | "foot" | "hide";
}

export interface Sort {
  key: string;
  descending: boolean;
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Sorted by a column; what has no value stands last either way. Equal rows keep their order. */
export function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: Sort | null): readonly Row[] {
  const column = columns.find(({ key }) => key === sort?.key);
  const by = column?.sortBy ?? column?.value;
  if (sort === null || by === undefined) return rows;
  const sign = sort.descending ? -1 : 1;
  return rows
    .map((row) => ({ row, value: by(row) ?? null }))
    .sort((a, b) => {
      if (a.value === null || b.value === null) return a.value === b.value ? 0 : a.value === null ? 1 : -1;
      if (typeof a.value === "number" && typeof b.value === "number") return sign * (a.value - b.value);
      return sign * collator.compare(String(a.value), String(b.value));
    })
    .map(({ row }) => row);
}
