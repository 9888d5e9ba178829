// One figure of a database in words, with a bar of its share where there is one.

import type { ComponentChildren } from "preact";
import { TEXTS } from "../texts.ts";

const HIGH = 0.8;

/** Undefined: it does not apply; null: it is not known. */
export type Read = number | null | undefined;

interface GaugeProps {
  readonly name: string;
  readonly value: Read;
  readonly limit?: Read;
  readonly share?: Read;
  /** From here on the share is good, and the more the better; without it, the less the better. */
  readonly goodFrom?: number;
  readonly text: (value: number) => string;
  readonly children?: ComponentChildren;
}

export function Gauge({ name, value, limit, share, goodFrom, text, children }: GaugeProps) {
  if (value === undefined) return null;
  const words = value === null ? TEXTS.unknown : typeof limit === "number" ? TEXTS.load.gauges.of(text(value), text(limit)) : text(value);
  const bounds = goodFrom === undefined ? { high: HIGH, optimum: 0 } : { low: goodFrom, high: goodFrom, optimum: 1 };
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <span class={value === null ? "soft" : ""}>{words}</span> {children}
        {typeof share === "number" && <meter min={0} max={1} {...bounds} value={share} aria-label={TEXTS.value(name, words)} />}
      </dd>
    </div>
  );
}
