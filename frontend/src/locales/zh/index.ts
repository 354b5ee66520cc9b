// All areas' messages; a new file is an area by itself.
const files = import.meta.glob<Record<string, unknown>>("./*.json", { eager: true, import: "default" });

export default Object.fromEntries(Object.entries(files).map(([path, messages]) => [path.slice(2, -5), messages]));
