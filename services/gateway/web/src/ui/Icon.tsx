// The few icons there are. Each stands beside a word or has a label.

const PATHS = {
  close: "M4 4l8 8M12 4l-8 8",
  filter: "M2 4h12M4.500 8h7M7 12h2",
  sun: "M8 4.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM8 .8v1.600M8 13.600v1.600M.8 8h1.600M13.600 8h1.600M2.900 2.900 4 4M12 12l1.100 1.100M2.900 13.100 4 12M12 4l1.100-1.100",
  moon: "M13.500 9.800A6 6 0 1 1 6.200 2.500a4.800 4.800 0 0 0 7.300 7.300z",
  keys: "M1.500 4h13v8h-13zM4 6.500h.6M7 6.500h.6M10 6.500h.6M4 9.500h8",
  search: "M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.500 10.500 14 14",
  back: "M9.500 3.500 5 8l4.500 4.500",
  forth: "M6.500 3.500 11 8l-4.500 4.500",
  leave: "M9.500 3H3v10h6.500M7 8h7M11.500 5.500 14 8l-2.500 2.500",
  panel: "M2 3h12v10H2zM10 3v10",
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
