// A level as colour, shape and word: never by colour alone.

import type { Level } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";

const SHAPES: Record<Level, string> = {
  critical: "M5 1h6l4 4v6l-4 4H5l-4-4V5z",
  warning: "M8 1.200 15.300 14.500H.7z",
  unknown: "M8 1.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zm0 2a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9z",
  healthy: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2z",
};

export function LevelMark({ level }: { level: Level }) {
  return (
    <svg class={`mark ${level}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      <path d={SHAPES[level]} fill-rule="evenodd" />
      {level === "critical" && <path class="inner" d="M5 5l6 6M11 5l-6 6" />}
      {level === "warning" && <path class="inner" d="M8 6v4M8 12v.6" />}
    </svg>
  );
}

export function LevelBadge({ level, score }: { level: Level; score?: number | null }) {
  return (
    <span class={`level ${level}`}>
      <LevelMark level={level} />
      <span class="word">{TEXTS.levels[level]}</span>
      {score !== undefined && score !== null && <span class="score">{score.toFixed(2)}</span>}
    </span>
  );
}

/** How many of each level, as parts of one bar. */
export function LevelBar({ counts }: { counts: ReadonlyMap<Level, number> }) {
  return (
    <span class="bar" aria-hidden="true">
      {[...counts].filter(([, count]) => count > 0).map(([level, count]) => (
        <span key={level} class={`part ${level}`} style={{ flexGrow: String(count) }} />
      ))}
    </span>
  );
}
