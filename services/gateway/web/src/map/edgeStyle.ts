// How an edge of a kind is drawn, and how many particles its traffic is. Pure.

import type { Traffic } from "../store/entity.ts";
import type { EdgeColour } from "./palette.ts";

export interface EdgeStyle {
  readonly colour: EdgeColour;
  readonly isDashed: boolean;
  readonly opacity: number;
  /** Share of an edge that a particle moves in a second, at one request per second. */
  readonly pace: number;
}

const solid: EdgeStyle = { colour: "network", isDashed: false, opacity: 0.5, pace: 0.3 };
const dashed: EdgeStyle = { colour: "depends", isDashed: true, opacity: 0.6, pace: 0.3 };

const styles: Readonly<Record<string, EdgeStyle>> = {
  network: solid,
  http: { colour: "http", isDashed: false, opacity: 0.8, pace: 0.35 },
  grpc: { colour: "grpc", isDashed: true, opacity: 0.8, pace: 0.7 },
  nats: { colour: "nats", isDashed: false, opacity: 0.8, pace: 0.45 },
  messages: { colour: "nats", isDashed: true, opacity: 0.8, pace: 0.45 },
  volume: { colour: "volume", isDashed: false, opacity: 0.6, pace: 0.12 },
  depends: dashed,
  owns: { colour: "owns", isDashed: false, opacity: 0.55, pace: 0.3 },
  runs_on: { colour: "network", isDashed: false, opacity: 0.35, pace: 0.3 },
  routes: { colour: "http", isDashed: false, opacity: 0.45, pace: 0.35 },
  selects: dashed,
  scales: dashed,
  configures: dashed,
  same_as: dashed,
};

export function edgeStyleOf(kind: string): EdgeStyle {
  return Object.hasOwn(styles, kind) ? (styles[kind] ?? solid) : solid;
}

export interface Flow {
  readonly particles: number;
  /** Share of the edge per second. */
  readonly speed: number;
  /** 0..1 of the particles are drawn as errors. */
  readonly errors: number;
}

const particlesMax = 8;
/** Bytes per second that are drawn as one request per second would be. */
const bytesOfOne = 10_000;

/** What moves on an edge; null where no rate is known or nothing flows, since then nothing may move. */
export function flowOf(kind: string, traffic: Traffic | null): Flow | null {
  const rate = traffic?.requests_per_sec ?? (traffic?.bytes_per_sec ?? 0) / bytesOfOne;
  if (!(rate > 0) || !Number.isFinite(rate)) return null;
  const decades = Math.log10(1 + rate);
  return {
    particles: Math.min(particlesMax, 1 + Math.floor(decades * 2)),
    speed: edgeStyleOf(kind).pace * (0.6 + 0.4 * decades),
    errors: Math.min(1, Math.max(0, traffic?.error_rate ?? 0)),
  };
}
