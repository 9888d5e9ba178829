// The colours of the map, from the style sheet's variables. Pure: the variables are given as a function.

import type { Level } from "../store/entity.ts";
import { hash } from "./layout/random.ts";

/** Red, green, blue, each 0..1, as the style sheet has them (not linear). */
export type Colour = readonly [number, number, number];

export interface Palette {
  readonly isDark: boolean;
  readonly page: Colour;
  readonly panel: Colour;
  readonly text: Colour;
  readonly textSoft: Colour;
  readonly line: Colour;
  readonly accent: Colour;
  readonly levels: Readonly<Record<Level, Colour>>;
  readonly edges: Readonly<Record<EdgeColour, Colour>>;
  /** Secrets, whatever their state. */
  readonly amber: Colour;
}

export type EdgeColour = "network" | "http" | "grpc" | "nats" | "volume" | "depends" | "owns";

const hues = 16;
const grey: Colour = [0.5, 0.5, 0.5];

/** `variable("--page")` → `#f6f7f9`; a variable that is missing or not written as `#rrggbb` is grey. */
export function readPalette(variable: (name: string) => string): Palette {
  const colour = (name: string): Colour => parseColour(variable(name)) ?? grey;
  const page = colour("--page");
  return {
    isDark: luminance(page) < 0.4,
    page,
    panel: colour("--panel"),
    text: colour("--text"),
    textSoft: colour("--text-soft"),
    line: colour("--line-strong"),
    accent: colour("--accent"),
    levels: {
      critical: colour("--level-critical"),
      warning: colour("--level-warning"),
      unknown: colour("--level-unknown"),
      healthy: colour("--level-healthy"),
    },
    edges: {
      network: colour("--edge-network"),
      http: colour("--edge-http"),
      grpc: colour("--edge-grpc"),
      nats: colour("--edge-nats"),
      volume: colour("--edge-volume"),
      depends: colour("--edge-depends"),
      owns: colour("--edge-owns"),
    },
    amber: luminance(page) < 0.4 ? [0.72, 0.58, 0.3] : [0.66, 0.5, 0.16],
  };
}

/** `#rrggbb` or `#rgb`; null if it is neither. */
export function parseColour(text: string): Colour | null {
  const digits = text.trim().replace(/^#/, "");
  const wide = digits.length === 3 ? digits.replace(/./g, "$&$&") : digits;
  if (!/^[0-9a-fA-F]{6}$/.test(wide)) return null;
  const value = Number.parseInt(wide, 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

export function mix(one: Colour, other: Colour, share: number): Colour {
  const at = (index: 0 | 1 | 2): number => one[index] + (other[index] - one[index]) * share;
  return [at(0), at(1), at(2)];
}

/** The colour of a name, such as a namespace's: one of 16, the same everywhere. */
export function nameColour(name: string, isDark: boolean): Colour {
  const hue = (hash(name) % hues) / hues;
  return isDark ? fromHsl(hue, 0.5, 0.62) : fromHsl(hue, 0.5, 0.42);
}

export function css(colour: Colour, alpha = 1): string {
  const [red, green, blue] = colour.map((each) => Math.round(each * 255));
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

function luminance([red, green, blue]: Colour): number {
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function fromHsl(hue: number, saturation: number, lightness: number): Colour {
  const spread = saturation * Math.min(lightness, 1 - lightness);
  const channel = (offset: number): number => {
    const k = (offset + hue * 12) % 12;
    return lightness - spread * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  };
  return [channel(0), channel(8), channel(4)];
}
